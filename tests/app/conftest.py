"""For the tests of the whole application: its logs, written as in production."""

import contextlib
import io
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from app import logs


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Everything that was logged since the last call, at the most talkative level that an operator can set."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in (*logs._QUIET, "apscheduler")}
    root.handlers[:] = []
    stream = io.StringIO()
    with contextlib.redirect_stderr(stream):
        logs.set_up("debug")

    def read() -> str:
        captured = capsys.readouterr()  # what libraries print past our set-up
        text = stream.getvalue() + captured.out + captured.err
        stream.truncate(0)
        stream.seek(0)
        return text

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, former in quiet.items():
        logging.getLogger(name).setLevel(former)
    structlog.reset_defaults()
