"""The only place that asks the time. `now()` may run ahead in a demo; leases and time-outs never do.

In a demo the sandbox's clock can be moved forward: the number of seconds stands in the file that `TONGBAN_CLOCK_FILE` names, and is read
at each call. `app/settings.py` refuses the file for an account whose API is not on this machine. A rehearsal, which has its process to
itself and reaches nobody, holds the time at one moment after the other.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

CLOCK_FILE = "TONGBAN_CLOCK_FILE"
#: Where a rehearsal holds the time of this process; None: it flows.
_held: datetime | None = None


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
    return _held or datetime.now(UTC) + offset()


def hold(moment: datetime | None) -> datetime | None:
    """Let it be this moment in this process until told otherwise; None: time flows again. Returns what was held before.

    For a rehearsal alone.
    """
    global _held
    before, _held = _held, moment
    return before


def machine_seconds() -> float:
    """Seconds since 1970 by the machine, never moved by a demo: for leases in rows that several processes read."""
    return time.time()


def cpu_seconds() -> float:
    """Seconds that this process has had a processor, over all its threads: what work costs, however busy the machine is."""
    return time.process_time()


def steady() -> float:
    """Seconds of a clock that only moves forward, for time-outs within one process."""
    return time.monotonic()
