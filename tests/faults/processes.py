"""Hides real processes of the program: started in milliseconds, killed, frozen, stopped, reaped, their last words kept.

    worker = nursery.start("worker", environment=…)                    # `tongban worker`
    worker.kill()                                                      # SIGKILL; also freeze(), thaw(), stop()
    web = nursery.start("web", listener=listener, environment=…)       # listens on a socket of the test's, which outlives it

A nursery is one forking parent (`tests/faults/zygote.py`) with its children. When it closes, nothing of it lives.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.faults.zygote import MOST, UNPREPARED

ROOT = Path(__file__).parents[2]
#: Seconds after which something that always happens has not happened: two busy cores are slow.
PATIENCE = 180.0


class Ended(AssertionError):
    """A process ended that should live, or with a code that nobody expects; its last words stand in the message."""


@dataclass
class Process:
    """One process of the program. `points`: where it kills itself, and at which time."""

    pid: int
    name: str
    log: Path
    hits: Path
    points: Mapping[str, int]
    _nursery: "Nursery" = field(repr=False)
    _code: int | None = None

    def poll(self) -> int | None:
        """The exit code (minus the signal that ended it), None while it lives."""
        if self._code is None:
            self._code = self._nursery.ask({"what": "poll", "pid": self.pid})
            if self._code is not None:
                self._nursery.living.pop(self.pid, None)
        return self._code

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit code, waited for."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline, f"{self.name} did not end within {seconds} s\n{self.said()}"
            time.sleep(0.005)
        return code

    def kill(self) -> None:
        """SIGKILL, whatever it does, also while it is frozen. Raises `Ended` where it had ended by itself before."""
        self.must_live()
        os.kill(self.pid, signal.SIGKILL)
        code = self.wait()
        if code != -signal.SIGKILL:
            raise Ended(f"{self.name} ended by itself with {code}\n{self.said()}")

    def freeze(self) -> None:
        """SIGSTOP: it lives, and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on where it was, and does not know how long it slept."""
        os.kill(self.pid, signal.SIGCONT)

    def tell_to_stop(self) -> None:
        """SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)

    def stop(self, seconds: float = PATIENCE) -> int:
        """SIGTERM; the exit code."""
        self.tell_to_stop()
        return self.wait(seconds)

    def must_live(self) -> None:
        """Raise `Ended` where it has ended."""
        code = self.poll()
        if code is not None:
            why = "its crash point or tuning does not fit the program" if code == UNPREPARED else f"exit code {code}"
            raise Ended(f"{self.name} ended by itself: {why}\n{self.said()}")

    def crashed_at(self) -> str | None:
        """The crash point at which it killed itself, once it has ended; None where something else ended it."""
        return self.hits.read_text(encoding="ascii").strip() if self.hits.exists() else None

    def said(self, most: int = 3_000) -> str:
        """The end of its standard error."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-most:] if self.log.exists() else ""


class Nursery:
    """The forking parent and its children; a context manager. `folder` keeps what the children said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.living: dict[int, Process] = {}
        self._count = 0

    def __enter__(self) -> Self:
        self._desk, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        command = [sys.executable, "-m", "tests.faults.zygote", str(theirs.fileno())]
        self._parent = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self._desk.settimeout(PATIENCE)
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._desk.close()  # by which it ends its children and itself
        try:
            self._parent.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._parent.kill()
            self._parent.wait()

    def start(
        self,
        program: str,
        *words: str,
        environment: Mapping[str, str],
        points: Mapping[str, int] | None = None,
        tuned: Mapping[str, Any] | None = None,
        listener: socket.socket | None = None,
        folder: Path | None = None,
    ) -> Process:
        """Start `tongban PROGRAM WORDS`. `points`: crash points with the hit at which each kills; `tuned`: `module:name` to value."""
        self._count += 1
        name = f"{program}-{self._count}"
        where = folder or self.folder
        log, hits = where / f"{name}.log", where / f"{name}.hit"
        order = {
            "what": "start",
            "program": program,
            "words": list(words) if program == "sandbox" else [program, *words],
            "folder": str(where),
            "log": str(log),
            "hits": str(hits),
            "points": dict(points or {}),
            "tuned": dict(tuned or {}),
            "environment": {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", **environment},
        }
        pid = self.ask(order, [] if listener is None else [listener.fileno()])
        process = Process(pid, name, log, hits, dict(points or {}), self)
        self.living[pid] = process
        return process

    def end_all(self) -> None:
        """SIGKILL for every child that lives."""
        for process in list(self.living.values()):
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()

    def last_words(self) -> str:
        """What the children that live, and those that logged lately, said last: for the message of a failure."""
        logs = sorted(self.folder.rglob("*.log"), key=lambda path: path.stat().st_mtime)[-6:]
        return "\n".join(f"--- {log.name}\n{log.read_text(encoding='utf-8', errors='replace')[-1_200:]}" for log in logs)

    def ask(self, order: Mapping[str, Any], handed: list[int] | None = None) -> Any:
        """One order to the forking parent."""
        message = json.dumps(order).encode()
        assert len(message) < MOST, "an order fits into one message"
        try:
            socket.send_fds(self._desk, [message], handed or [])
            answer = self._desk.recv(MOST)
        except OSError as gone:
            raise Ended(f"the forking parent is gone: {gone}") from None
        assert answer, f"the forking parent has ended with {self._parent.poll()}"
        return json.loads(answer)


def listening() -> socket.socket:
    """A socket of this machine that listens on a free port; children that get it answer on it, and their death closes it not."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    return listener


def address_of(listener: socket.socket) -> str:
    """The http address of a listening socket."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"
