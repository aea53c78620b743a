"""The only place that asks the time. `now()` may run ahead in a demo; leases and time-outs never do.

In a demo the sandbox's clock can be moved forward: the number of seconds stands in the file that `TONGBAN_CLOCK_FILE` names, and is read
at each call. `app/settings.py` refuses the file for an account whose API is not on this machine.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

CLOCK_FILE = "TONGBAN_CLOCK_FILE"


def offset() -> timedelta:
    """How far the demo's clock runs ahead; zero without a clock file or while it is unreadable."""
    path = os.environ.get(CLOCK_FILE)
    if not path:
        return timedelta()
    try:
        return timedelta(seconds=max(0.0, float(Path(path).read_text(encoding="ascii"))))
    except (OSError, ValueError):
        return timedelta()


def now() -> datetime:
    """The business time, UTC."""
    return datetime.now(UTC) + offset()


def machine_seconds() -> float:
    """Seconds since 1970 by the machine, never moved by a demo: for leases in rows that several processes read."""
    return time.time()


def steady() -> float:
    """Seconds of a clock that only moves forward, for time-outs within one process."""
    return time.monotonic()
