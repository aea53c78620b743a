"""A web process of its own: `tongban web` as an operator starts it, and what the system says of its memory and its descriptors.

    with WebProcess(database_url, tmp_path) as web: ...

It runs in real time on a free port of loopback. Its log is kept in a file at the most talkative level.
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.stage import KEY

ROOT = Path(__file__).parents[2]
#: Seconds until a start counts as failed: two busy cores start a process in ten.
PATIENCE = 120


class WebProcess:
    """One `tongban web` on a database that is migrated and has its account."""

    def __init__(self, database_url: str, folder: Path, **settings: str) -> None:
        self._file = folder / f"web-{len(list(folder.glob('web-*.log')))}.log"
        self._file.touch()
        ours = {"DATABASE_URL": database_url, "MASTER_KEY": KEY, "INDEX_KEY": KEY, "SPOOL": str(folder / "spool"), "LOG_LEVEL": "DEBUG"}
        self._settings = ours | settings
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        for _ in range(3):  # somebody else may take the free port first
            self.port = _free_port()
            self._process = self._start()
            if self._listens():
                return self
            self._end(0)
        raise RuntimeError(f"the web process did not start:\n{self.log()[-2000:]}")

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._end(20)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lives(self) -> bool:
        """Whether it still runs."""
        return self._process is not None and self._process.poll() is None

    def memory(self) -> int:
        """Bytes of memory that it holds (resident)."""
        return int(self._seen().memory_info().rss)

    def descriptors(self) -> int:
        """Open files and sockets."""
        return int(self._seen().num_fds())

    def processor(self) -> float:
        """Seconds of processor time so far."""
        spent = self._seen().cpu_times()
        return float(spent.user + spent.system)

    def log(self) -> str:
        """Everything that it printed."""
        return self._file.read_text(encoding="utf-8", errors="replace")

    def _seen(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def _start(self) -> "subprocess.Popen[bytes]":
        given = {f"TONGBAN_{name}": value for name, value in self._settings.items()}
        with self._file.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "app", "web"],
                cwd=ROOT,
                env=os.environ | given | {"TONGBAN_PORT": str(self.port)},
                stdout=log,
                stderr=log,
            )

    def _listens(self) -> bool:
        deadline = time.monotonic() + PATIENCE
        while self.lives() and time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=20) as asked:
                    asked.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    return asked.recv(64).startswith(b"HTTP/1.1 200 ")
            except OSError:
                time.sleep(0.05)
        return False

    def _end(self, patience: float) -> None:
        assert self._process is not None
        try:
            if patience:
                self._process.terminate()
                self._process.wait(patience)
        finally:
            self._process.kill()
            self._process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
