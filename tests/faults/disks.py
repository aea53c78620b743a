"""How a disk fills up or fails beneath a running program: a small file system, a limit on the size of files, errors from the kernel.

What the machine does not allow is skipped by name.
"""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.faults.processes import PATIENCE

_INJECTED = "(INJECTED)"


class SmallDisk:
    """A file system in memory whose size a test decides."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def leave(self, free: int) -> None:
        """So many bytes are free from now on."""
        stat = os.statvfs(self.place)
        self.resize((stat.f_blocks - stat.f_bfree) * stat.f_frsize + free)

    def resize(self, size: int) -> None:
        """So large it is from now on, but never smaller than what it holds."""
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.place)], check=True, capture_output=True)


@contextlib.contextmanager
def small_disk(place: Path, owner: int = 0) -> Iterator[SmallDisk]:
    """Mount one here. Skips the test where nobody lets us mount."""
    place.mkdir(exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size=64m,mode=0700,uid={owner},gid=0", "tmpfs", str(place)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield SmallDisk(place)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def limit_files(pids: Sequence[int], size: int | None) -> None:
    """These processes write no file beyond this size; None lifts the limit."""
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY if size is None else size, resource.RLIM_INFINITY))


class Errors:
    """What the kernel answered with an error so far."""

    def __init__(self, logs: Sequence[Path]) -> None:
        self._logs = logs

    def count(self) -> int:
        """How many calls failed because we wished it."""
        return sum(log.read_text(errors="replace").count(_INJECTED) for log in self._logs if log.exists())


@contextlib.contextmanager
def failing(pids: Sequence[int], folder: Path, calls: str, when: str, paths: Sequence[Path] = ()) -> Iterator[Errors]:
    """Inside the block these calls of the processes fail with EIO at these times (strace's `when`), on these files if any are named.

    Skips the test where strace is missing or not allowed.
    """
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed here")
    inject = ["-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO:when={when}"]
    only = [word for path in paths for word in ("-P", str(path))]
    logs = [folder / f"strace-{pid}.log" for pid in pids]
    tracers = [
        subprocess.Popen(
            ["strace", "-f", "-q", "-p", str(pid), "-o", str(log), *only, *inject],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for pid, log in zip(pids, logs, strict=True)
    ]
    try:
        for pid, tracer in zip(pids, tracers, strict=True):
            _until_traced(pid, tracer)
        yield Errors(logs)
    finally:
        for tracer in tracers:
            tracer.send_signal(signal.SIGINT)  # lets go of the process, which lives on
        for tracer in tracers:
            tracer.communicate(timeout=PATIENCE)


def _until_traced(pid: int, tracer: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while "TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text():
        if tracer.poll() is not None:
            pytest.skip("strace may not attach to a process here")
        assert time.monotonic() < deadline, "strace did not attach"
        time.sleep(0.01)
