"""Hides where the writing processes of one SQLite file line up: SQLite itself lets whoever asks at the right moment go first."""

import fcntl
import time
from pathlib import Path
from typing import IO

from app import clock

#: Whoever stands in the turnstile is let by after so long: a process that was frozen there must not hold up all others.
_LONGEST_SECONDS = 0.5
_LOOK_SECONDS = 0.001


class Turnstile:
    """One file beside the database. A process is in it from when it wants to write until it has begun; the next one waits outside.

    A process that writes all the time would else leave the others a few microseconds between two transactions, and they, who look
    every hundred milliseconds, would starve.
    """

    def __init__(self, path: Path | None) -> None:
        """`path`: the file; None where this process is the only one that writes, so that nobody lines up."""
        self._path = path
        self._file: IO[bytes] | None = None

    def enter(self, patience: float) -> bool:
        """Whether it is our turn. With no patience False at once where it is not; else it is always our turn in the end."""
        if self._path is None:
            return True
        until = clock.steady() + min(patience, _LONGEST_SECONDS)
        while not self._try(self._path):
            if clock.steady() >= until:
                return patience > 0
            time.sleep(_LOOK_SECONDS)
        return True

    def leave(self) -> None:
        """Let the next one in."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _try(self, path: Path) -> bool:
        try:
            if self._file is None:
                self._file = path.open("ab")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a folder that takes no file: nobody lines up, as before
            return True
        return True
