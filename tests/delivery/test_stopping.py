"""A worker that is told to stop ends within seconds, under load, while the API hangs or the database is away, and says what it knows."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import time_machine

from app import clock, worker
from app.channels.wechat import transport
from app.errors import Unavailable
from app.models import Delivery
from tests.delivery.scene import NOW, announce, deliveries, run, writers
from tests.stage import Stage

SEND = "message/custom/send"


def test_a_stop_lets_calls_end_and_puts_back_what_has_not_begun(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TOTAL_SECONDS", 1.0)
    run(_hanging(database_url, tmp_path))


async def _hanging(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder, at=None) as stage:
        stage.course("正念自我关怀")
        group = stage.group("大组")
        await writers(stage, group, [f"同学{number}" for number in range(20)])
        stage.write(lambda tx: tx.execute(sa.text("UPDATE courses SET quiet_from = '00:00', quiet_until = '00:00'")).rowcount)
        await stage.faults(api=SEND, delay_ms=3000, times=None)
        schedule = announce(stage, group)
        stage.worker.start()
        await _until(stage, lambda states: states["sending"] == 8)
        began = time.monotonic()
        await stage.worker.stop()
        assert time.monotonic() - began < worker._STOP_SECONDS
        rows = stage.read(lambda tx: deliveries(tx, schedule)).values()
        assert Counter(row.state for row in rows) == {"unknown": 8, "ready": 12}
        assert {row.attempts for row in rows if row.state == "ready"} == {0}
        assert stage.read(lambda tx: tx.execute(sa.select(Delivery.id).where(Delivery.lease_owner.is_not(None))).first()) is None
        await stage.phones.delete("/sandbox/faults")


async def _until(stage: Stage, holds: Callable[[Counter[str]], bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            rows = stage.read(lambda tx: tx.execute(sa.select(Delivery.state)).scalars().all())
            if holds(Counter(rows)):
                return
            await asyncio.sleep(0.05)


def test_a_stop_ends_although_the_database_is_away(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_STOP_SECONDS", 3.0)
    run(_away(sqlite_url, tmp_path, monkeypatch))


async def _away(database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stage(database_url, folder, at=None) as stage:
        stage.course("正念自我关怀")
        group = stage.group("大组")
        await writers(stage, group, [f"同学{number}" for number in range(12)])
        stage.write(lambda tx: tx.execute(sa.text("UPDATE courses SET quiet_from = '00:00', quiet_until = '00:00'")).rowcount)
        await stage.faults(api=SEND, delay_ms=300, times=None)
        announce(stage, group)
        stage.worker.start()
        await _until(stage, lambda states: states["sending"] == 8)

        async def away(_: object) -> None:
            raise Unavailable("database", "away")

        database = stage.assembly.database
        with monkeypatch.context() as patch:
            for verb in ("write", "read", "write_short"):
                patch.setattr(database, verb, away)
            began = time.monotonic()
            await stage.worker.stop()
            assert time.monotonic() - began < 15
        later = clock.now() + timedelta(minutes=1)
        stage.write(lambda tx: tx.execute(sa.update(Delivery).where(Delivery.lease_until.is_not(None)).values(lease_until=1.0)).rowcount)
        await stage.worker._postman.reap(later)
        rows = stage.read(lambda tx: tx.execute(sa.select(Delivery.state)).scalars().all())
        assert Counter(rows) == {"unknown": 8, "ready": 4}, "nobody pretends: the reaper says that it is not known"


def test_a_clock_that_is_set_back_does_not_stop_the_ticks(sqlite_url: str, tmp_path: Path) -> None:
    run(_set_back(sqlite_url, tmp_path))


async def _set_back(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder, at=None) as stage:
        ticks: list[datetime] = []

        async def tick() -> None:
            ticks.append(clock.now())

        stage.worker.tick = tick  # type: ignore[method-assign]
        with time_machine.travel(NOW, tick=True):
            stage.worker.start()
            await _ticked(ticks, after=NOW)
        with time_machine.travel(NOW - timedelta(hours=2), tick=True):
            before = len(ticks)
            async with asyncio.timeout(60):
                while len(ticks) < before + 2:  # noqa: ASYNC110 - the ticker offers no event
                    await asyncio.sleep(0.05)
            await stage.worker.stop()


async def _ticked(ticks: list[datetime], after: datetime) -> None:
    async with asyncio.timeout(60):
        while not [tick for tick in ticks if tick > after]:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
