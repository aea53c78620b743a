"""Hides how state survives a restart: an append-only file of JSON lines, replayed at start, written in batches without fsync."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

Event = dict[str, Any]
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Journal:
    """One file. What was appended reaches it within `delay` seconds of real time, or at `close`. Without one all is forgotten."""

    def __init__(self, path: Path | None, delay: float = 0.2) -> None:
        self._path = path
        self._delay = delay
        self._file: TextIO | None = None
        if path is not None:
            _drop_torn_line(path)
            path.touch(mode=0o600)  # it holds the account's secrets
            self._file = path.open("a", encoding="utf-8", errors="replace")
        self._waiting: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def replay(self) -> Iterator[Event]:
        """Every event so far, oldest first."""
        if self._path is None:
            return
        with self._path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)

    def append(self, event: Event) -> None:
        if self._file is None:
            return
        self._waiting.append(_encode(event))
        if self._timer is None:
            self._schedule()

    def flush(self) -> None:
        """Hand everything to the operating system now."""
        self._timer = None
        if self._waiting and self._file is not None:
            self._file.write("\n".join(self._waiting) + "\n")
            self._file.flush()
            self._waiting.clear()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._file is not None and not self._file.closed:
            self.flush()
            self._file.close()

    def _schedule(self) -> None:
        try:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self.flush)
        except RuntimeError:
            self.flush()


def _drop_torn_line(path: Path) -> None:
    """A process killed while writing leaves half a line: what it said was never promised to anybody."""
    if not path.exists():
        return
    whole = path.read_bytes()
    if whole and not whole.endswith(b"\n"):
        path.write_bytes(whole[: whole.rfind(b"\n") + 1])
