"""Hides the processes of a measurement: starts them, asks what they cost, ends them by their id, and removes what they wrote."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
#: Seconds until a start or a stop counts as failed.
PATIENCE = 60.0


@dataclass
class Running:
    """One process of ours."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int = 0

    def seconds(self) -> float:
        """CPU seconds that it has used so far, its own and the kernel's for it."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def megabytes(self) -> float:
        """What it holds of the memory."""
        return float(psutil.Process(self.process.pid).memory_info().rss / 1e6)

    def tail(self) -> str:
        """The end of what it said."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def stop(self) -> None:
        """Ask it to end; insist after a while."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)


class Yard:
    """A folder and the processes that work in it; nothing of either is left afterwards."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tongban-bench-"))
        self._running: list[Running] = []
        self._started = 0

    def __enter__(self) -> "Yard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process that runs in it, and remove the folder."""
        while self._running:
            self._running.pop().stop()
        shutil.rmtree(self.folder)

    def start(self, name: str, module: str, *words: str, env: Mapping[str, str] | None = None, given: Any = None, port: int = 0) -> Running:
        """Start `python -m module words` in a folder of its own, with `given` as JSON on its input."""
        self._started += 1
        place = self.folder / f"{self._started}-{name}"
        place.mkdir()
        log, entry = place / "log", place / "given.json"
        entry.write_text(json.dumps(given), encoding="utf-8")
        with log.open("wb") as said, entry.open("rb") as heard:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                stdin=heard,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=place,
                env=_environment(env),
                start_new_session=True,
            )
        running = Running(name, process, log, port)
        self._running.append(running)
        if port:
            _wait_for(running)
        return running

    def stop(self, running: Running) -> None:
        """End one of them."""
        running.stop()
        self._running.remove(running)


def ask(module: str, order: Any, *words: str) -> Any:
    """Run `python -m module` to its end with an order as JSON; returns what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        input=json.dumps(order).encode(),
        capture_output=True,
        check=False,
        env=_environment(None),
        cwd=ROOT,
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr.decode(errors='replace')[-3000:]}")
    return json.loads(done.stdout)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses just now."""
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def cpu_of_tree(pid: int) -> float:
    """CPU seconds of a process, of those under it and of those that ended under it: PostgreSQL's and its backends'."""
    top = psutil.Process(pid)
    own = top.cpu_times()
    total = float(own.user + own.system + own.children_user + own.children_system)
    for child in top.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            total += float(times.user + times.system)
    return total


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    return {**(os.environ if env is None else env), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def _wait_for(running: Running) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and running.process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", running.port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{running.name} did not start:\n{running.tail()}")
