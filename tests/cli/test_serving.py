"""What keeps running: it starts, answers, and ends in good order when it is told to."""

import asyncio
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from app import heartbeat
from app.cli import listening
from app.db import Database
from app.web import connections
from tests.cli.conftest import Tongban, refused
from tests.cli.test_demo import ROOT, free_port


@contextmanager
def started(*words: str, port: int = 8000) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own; killed where it does not end by itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *words],
        cwd=ROOT,
        env=os.environ | {"TONGBAN_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr:
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def ready(port: int, path: str) -> int:
    """The status of a page, asked again until somebody listens."""
    deadline = time.monotonic() + 120  # two busy cores start a process in ten seconds
    while True:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as asked:
                asked.request("GET", path)
                return asked.getresponse().status
        except OSError:
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.1)


@pytest.mark.parametrize("signalled", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_run_answers_and_ends_when_told(signalled: signal.Signals, tongban: Tongban) -> None:
    port = free_port()
    with started("run", port=port) as process:
        assert ready(port, "/health/ready") == 200
        process.send_signal(signalled)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_a_worker_shows_that_it_lives_and_ends_when_told(
    tongban: Tongban, tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONGBAN_HEARTBEAT_FILE", str(tmp_path / "beat"))
    with Database(sqlite_url) as database, started("worker") as process:
        assert process.stderr is not None
        assert "worker runs" in process.stderr.readline()
        deadline = time.monotonic() + 60
        while not database.read_now(lambda tx: heartbeat.alive(tx, time.time())):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert (tmp_path / "beat").exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()


def test_the_sandbox_stands_alone(tongban: Tongban, tmp_path: Path) -> None:
    port = free_port()
    with started("sandbox", "--port", str(port), "--data", str(tmp_path)) as process:
        assert ready(port, "/phones") == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert (tmp_path / "sandbox" / "clock").exists()


def test_a_moved_clock_is_refused_for_a_real_account(tongban: Tongban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tongban("account", "add", "real", "--appid", "wx1", "--original-id", "gh_1", "--secret", "s")
    monkeypatch.setenv("TONGBAN_CLOCK_FILE", str(tmp_path / "clock"))
    for command in ("run", "web", "worker"):
        assert "is for demos" in refused(tongban(command))


def test_a_port_that_is_taken_is_named(tongban: Tongban, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening.listen("127.0.0.1", 0, "--port") as taken:
        monkeypatch.setenv("TONGBAN_PORT", str(taken.getsockname()[1]))
        assert "TONGBAN_PORT" in refused(tongban("run"))


def test_a_log_level_that_is_none_is_refused(tongban: Tongban, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAN_LOG_LEVEL", "LOUD")
    assert "DEBUG, INFO, WARNING or ERROR" in refused(tongban("run"))


async def hello(scope: dict[str, str], receive: object, send: Any) -> None:
    """The smallest application."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_a_header_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)

    async def scene() -> tuple[list[bytes], bytes]:
        with listening.listen("127.0.0.1", 0, "--port") as listener:
            config = listening.configure(hello, "WARNING")
            config.lifespan = "off"
            async with listening.serving(config, listener):
                port = listener.getsockname()[1]
                slow = [await drip(port, start) for start in (b"", b"GET / HTTP/1.1\r\nHost: ", b"GET / HTTP/1.1\r\nA: b\r\n")]
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                honest = await reader.readline()
                writer.close()
                await writer.wait_closed()
        return slow, honest

    slow, honest = asyncio.run(scene())
    assert slow == [b"", b"", b""]
    assert honest.startswith(b"HTTP/1.1 200")


async def drip(port: int, start: bytes) -> bytes:
    """What comes back to somebody who begins and does not end: nothing, and soon."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    answer = await asyncio.wait_for(reader.read(), connections.HEADER_SECONDS + 20)
    writer.close()
    await writer.wait_closed()
    return answer
