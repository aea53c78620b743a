"""The database is away, frozen or locked, or the other side hung up: answered within five seconds, kindly, and counted honestly."""

import asyncio
import os
import signal
import sqlite3
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import psycopg
import sqlalchemy as sa

from app import clock, schedules
from app.db import SHORT_THREADS
from app.models import Delivery, InboxItem, Person
from app.web.hooks import Hooks
from migrations import running
from tests import postgres
from tests.app.outage import drained
from tests.app.wire import Wire
from tests.stage import Stage

#: The platform hangs up after five seconds (wechat-platform.md, section 1.4).
FIVE = 5.0


def test_a_frozen_server_is_not_waited_for_longer_than_the_platform_waits_for_us(tmp_path: Path) -> None:
    with postgres.throwaway() as server:
        asyncio.run(_frozen(server, tmp_path))


async def _frozen(server: postgres.Server, folder: Path) -> None:
    url = server.url("postgres")
    running.upgrade(url)
    async with Stage(url, folder) as stage:
        wire = Wire(stage)
        openid = await stage.openid("小雨", following=True)
        assert await wire.says(openid, "你好")
        for said in (1, 2):
            stage.assembly.accounts._read_at = -100.0  # the accounts are due to be read again
            query, body = wire.sealed(wire.text(openid, "还在吗"))
            roots = [psutil.Process(root) for root in server.processes()]
            frozen = {each.pid for root in roots for each in [root, *root.children(recursive=True)]}
            for process in frozen:
                os.kill(process, signal.SIGSTOP)
            began = time.monotonic()
            try:
                answer = await stage.web.post(wire.path, params=urlencode(query), content=body)
                took = time.monotonic() - began
                began = time.monotonic()
                at_once = await wire.says(openid, "我不想活了")
                took_known = time.monotonic() - began
                ready = await stage.web.get("/health/ready")
            finally:
                for process in frozen:
                    os.kill(process, signal.SIGCONT)
            assert (answer.status_code, answer.content, ready.status_code) == (200, b"success", 503)
            assert took < FIVE
            assert "12356" in at_once
            assert took_known < took / 2  # found away, it is not waited for again
            await drained(stage)
            assert wire.count(InboxItem) == 1 + 2 * said
        assert await wire.says(openid, "回来了")


def test_pushes_that_cannot_be_understood_do_not_queue_up_behind_a_locked_file(sqlite_url: str, tmp_path: Path) -> None:
    asyncio.run(_locked(sqlite_url, tmp_path))


async def _locked(sqlite_url: str, folder: Path) -> None:
    async with Stage(sqlite_url, folder) as stage:
        wire, page = Wire(stage), f"/read/{stage.assembly.reading.token(1)}"
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        sealed = [wire.sealed(b"<nonsense/>") for _ in range(6)]
        posts = (stage.web.post(wire.path, params=urlencode(query), content=body) for query, body in sealed)
        answers = await asyncio.gather(*posts)
        took = time.monotonic() - began
        away = await stage.web.get(page)
        other.execute("ROLLBACK")
        other.close()
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, b"success")}
        assert took < FIVE
        assert away.status_code == 503
        assert "再点一次" in away.text
        await drained(stage)
        assert (await stage.web.get(page)).status_code == 404
        assert len(wire.quarantined()) == 1  # six times the same bytes


def test_a_reply_to_somebody_who_has_hung_up_is_not_counted_as_handed_over(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_hung_up(database_url, tmp_path))


async def _hung_up(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        await waiting_for(stage, "小雨")
        wire = Wire(stage)
        query, body = wire.sealed(wire.text(await stage.openid("小雨"), "你好"))
        heard: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]
        said: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return heard.pop(0)

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        hooks = Hooks(stage.assembly)
        await hooks({"type": "http", "method": "POST", "path": "/demo", "query_string": urlencode(query).encode()}, receive, send)
        await hooks.finish()
        assert said[0]["status"] == 200
        assert states(stage) == ["sending"]
        await stage.advance(timedelta(minutes=1))
        stage.write(lambda tx: tx.execute(sa.update(Delivery).values(lease_until=0)))
        await stage.worker.reap()
        assert states(stage) == ["unknown"]


def test_a_silenced_exchange_takes_nothing_along(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_silenced(database_url, tmp_path))


async def _silenced(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        wire, openid = Wire(stage), await stage.openid("小雨", following=True)
        answers = [await wire.says(openid, "哈") for _ in range(5)]
        assert all(answers)
        await waiting_for(stage, "小雨")
        assert await wire.says(openid, "哈") == ""
        assert states(stage) == ["waiting"]


def test_nothing_rides_along_with_help_for_somebody_in_danger(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_in_danger(database_url, tmp_path))


async def _in_danger(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        await waiting_for(stage, "小雨")
        answer = await stage.says("小雨", "我不想活了")
        assert "12356" in answer.text
        assert "明晚八点上课" not in answer.text
        assert "条消息" not in answer.text
        assert states(stage) == ["waiting"]
        assert "明晚八点上课" in (await stage.says("小雨", "谢谢")).text


async def waiting_for(stage: Stage, name: str) -> None:
    """An announcement that waits for this one member to write."""
    stage.course("正念自我关怀")
    group = stage.group("晨光组")
    await stage.member(name, group)
    stage.write(lambda tx: tx.exec_driver_sql("UPDATE allowances SET typed_left = 0, tapped_left = 0"))
    stage.write(
        lambda tx: schedules.plan_announcement(
            tx, stage.keyring, author_id=None, group_id=group, text="明晚八点上课", at=None, draft=None, now=clock.now()
        )
    )
    await stage.settle()
    assert states(stage) == ["waiting"]


def states(stage: Stage) -> list[str]:
    return list(stage.read(lambda tx: tx.execute(sa.select(Delivery.state)).scalars()))


def test_as_many_locked_rows_as_there_are_threads_keep_nobody_else_from_an_answer(postgres_url: str, tmp_path: Path) -> None:
    """A process that was stopped in the middle holds so many, and the platform brings their pushes to the next one."""
    asyncio.run(_all_locked(postgres_url, tmp_path))


async def _all_locked(postgres_url: str, folder: Path) -> None:
    async with Stage(postgres_url, folder) as stage:
        wire, openids = Wire(stage), [await stage.openid(f"同学{number}", following=True) for number in range(SHORT_THREADS + 1)]
        for openid in openids:
            assert await wire.says(openid, "你好")
        *locked, free = openids
        last = stage.read(lambda tx: tx.execute(sa.select(sa.func.max(Person.id))).scalar_one())
        with psycopg.connect(postgres_url.replace("+psycopg", "")) as other:
            other.execute("SELECT id FROM persons WHERE id <> %s FOR UPDATE", [last])
            held_up = [asyncio.create_task(wire.says(openid, "我的行被锁住了")) for openid in locked]
            await asyncio.sleep(0.1)
            assert await wire.says(free, "还在吗")
            assert await asyncio.gather(*held_up) == [""] * SHORT_THREADS, "kept in the spool"
        await drained(stage)
        assert wire.count(InboxItem) >= 2 * len(openids)
