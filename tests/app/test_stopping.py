"""A process that is told to stop answers what it began, and ends within fifteen seconds whatever hangs; headers have an end, too."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx
import psutil
import pytest

from app import clock
from app.models import InboxItem
from app.web import connections
from migrations import running
from tests import postgres
from tests.app.outage import Outage, files, until
from tests.app.wire import OtherProcess, Wire
from tests.stage import KEY, Stage

ROOT = Path(__file__).parents[2]


@contextmanager
def process(command: str, database_url: str, port: int) -> Iterator["subprocess.Popen[str]"]:
    """`tongban run` or `tongban web`, as an operator starts it."""
    given = {"DATABASE_URL": database_url, "MASTER_KEY": KEY, "INDEX_KEY": KEY, "PORT": str(port)}
    environment = {**os.environ, **{f"TONGBAN_{name}": value for name, value in given.items()}}
    environment.pop("TONGBAN_CLOCK_FILE", None)
    started = subprocess.Popen([sys.executable, "-m", "app", command], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


async def answers(address: str) -> httpx.AsyncClient:
    """A client to a process, once that is there."""
    web = httpx.AsyncClient(base_url=address, timeout=60, verify=False)  # plain HTTP
    deadline = clock.steady() + 120
    while clock.steady() < deadline:
        try:
            if (await web.get("/health/live")).status_code == 200:
                return web
        except httpx.HTTPError:
            await asyncio.sleep(0.05)
    raise TimeoutError("the process did not start")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_what_is_under_way_is_answered_before_a_process_ends(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_under_way(database_url, tmp_path, "run" if database_url.startswith("sqlite") else "web"))


async def _under_way(database_url: str, folder: Path, command: str) -> None:
    outage, port = Outage(database_url), free_port()
    async with Stage(database_url, folder, at=None) as stage:
        wire, openid = Wire(stage), await stage.openid("小雨", following=True)
        with process(command, database_url, port) as other:
            web = await answers(f"http://127.0.0.1:{port}")
            assert wire.words(await wire.push(wire.text(openid, "你好"), at=web))
            with outage:
                asked = asyncio.create_task(wire.push(wire.text(openid, "我还在说"), at=web))
                await asyncio.sleep(0.3)
                other.send_signal(signal.SIGTERM)
                told = clock.steady()
                assert (await asked).content == b"success"
                code = await asyncio.to_thread(other.wait, 30)
            assert code == 0
            assert clock.steady() - told < 15
            await web.aclose()
        await until(lambda: wire.count(InboxItem) == 2)  # the stage's own process takes over what was left


@pytest.mark.long
def test_a_process_ends_in_time_although_its_database_hangs(tmp_path: Path) -> None:
    with postgres.throwaway() as server:
        asyncio.run(_hangs(server, tmp_path))


async def _hangs(server: postgres.Server, folder: Path) -> None:
    url, port = server.url("postgres"), free_port()
    running.upgrade(url)
    async with Stage(url, folder, at=None) as stage:
        wire, openid = Wire(stage), await stage.openid("小雨", following=True)
        with process("run", url, port) as other:
            web = await answers(f"http://127.0.0.1:{port}")
            assert wire.words(await wire.push(wire.text(openid, "你好"), at=web))
            roots = [psutil.Process(root) for root in server.processes()]
            frozen = {each.pid for root in roots for each in [root, *root.children(recursive=True)]}
            for each in frozen:
                os.kill(each, signal.SIGSTOP)
            try:
                query, body = wire.sealed(wire.text(openid, "我不想活了"))
                asked = asyncio.create_task(web.post(wire.path, params=urlencode(query), content=body))
                await asyncio.sleep(0.3)
                other.send_signal(signal.SIGTERM)
                told = clock.steady()
                assert "12356" in wire.words(await asked)
                await asyncio.to_thread(other.wait, 30)
                assert clock.steady() - told < 16
                assert len(files(stage)) == 1
            finally:
                for each in frozen:
                    os.kill(each, signal.SIGCONT)
            await web.aclose()
        await until(lambda: wire.count(InboxItem) == 2)


def test_headers_without_end_are_cut_off(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 60.0)  # it is not the time that ends them
    asyncio.run(_endless(sqlite_url, tmp_path))


async def _endless(sqlite_url: str, folder: Path) -> None:
    async with Stage(sqlite_url, folder) as stage, OtherProcess(stage) as front:
        line = b"POST /hooks/wechat/demo HTTP/1.1\r\nHost: a\r\n"
        many = [b"".join(b"X-%d: " % number + b"a" * 1000 + b"\r\n" for number in range(60))] * 400
        endless = {
            "one": [line + b"X: ", *[b"a" * 65536] * 400],
            "many": [line, *many],
            "address": [b"GET /", *[b"a" * 65536] * 400],
            "behind the body": [line + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", *many],
        }
        for what, parts in endless.items():
            tracemalloc.start()
            answer = await front.raw(*parts, limit=2.0)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert not answer or answer[9:12] in {b"400", b"403", b"404", b"408", b"414"}, what
            assert peak < 3_000_000, what
        assert (await stage.web.get("/health/live")).status_code == 200
