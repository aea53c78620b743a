"""Sets up structured logs that hold no name, openid, token or text: known secrets are scrubbed, line breaks are encoded."""

import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

#: Libraries that write addresses with tokens at INFO (bad-inputs.md, part 6).
_QUIET = ("httpx", "httpcore", "aiohttp", "uvicorn.access", "asyncio", "smtplib")
_SECRET = re.compile(r"(?i)(access_token|secret|appsecret|token|key|signature|code)=[^&\s\"']+|\bo[A-Za-z0-9_-]{27}\b")


def set_up(level: str) -> None:
    """Write JSON lines to standard error at `level`."""
    logging.basicConfig(level=level.upper(), format="%(message)s", force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a tick that is still busy is skipped, as it should be
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            scrub,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # wherever standard error leads at that moment
    )


@contextmanager
def only(level: str) -> Iterator[None]:
    """As `set_up`, for as long as something runs within a command."""
    before = structlog.get_config()
    set_up(level)
    try:
        yield
    finally:
        structlog.configure(**before)


def scrub(_logger: Any, _method: str, event: Any) -> Any:
    """Replace what looks like a secret or an openid in every text of a log event."""
    return {name: _SECRET.sub("[…]", value) if isinstance(value, str) else value for name, value in event.items()}


def place_of(bug: BaseException) -> str:
    """File and line where a bug was raised: all of it that may stand in a log, since its text may hold what somebody wrote."""
    frame = traceback.extract_tb(bug.__traceback__)[-1]
    return f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
