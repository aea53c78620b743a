"""The clockwork: one account that waits keeps nobody else waiting, and a clash is tried again while a defect is told to the author."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from app import accounts, audit, broadcasts, clock, courses, groups, people, schedules, worker
from app.db import Tx
from app.models import Alarm, Assignment, Broadcast, Delivery, Schedule, Wave
from app.questionnaires import waves
from app.questionnaires.waves import Plan
from bots.turns import Role
from tests.delivery.scene import announce, run
from tests.stage import Stage


def test_a_slow_account_keeps_no_other_account_waiting_whenever_its_message_is_planned(database_url: str, tmp_path: Path) -> None:
    run(_slow(database_url, tmp_path))


async def _slow(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        slow = stage.group("慢组")
        for name in ("甲", "乙", "丙"):
            await stage.member(name, slow)
            await stage.says(name, "你好")
        quick = stage.write(lambda tx: _second_account(tx, stage))
        await stage.assembly.accounts.refresh(force=True)
        await stage.faults(api="message/custom/send", delay_ms=4000, times=3)
        announce(stage, slow, "慢慢来")
        stage.worker.start()
        await _until(stage, lambda state: state.get("sending") == 3)
        plan = schedules.plan_announcement
        stage.write(lambda tx: plan(tx, stage.keyring, author_id=None, group_id=quick, text="快", at=None, draft=None, now=clock.now()))
        await _until(stage, lambda state: state.get("waiting") == 1)
        assert (await _states(stage)).get("sending") == 3  # the slow ones are still under way


def _second_account(tx: Tx, stage: Stage) -> int:
    """An account with a course, a group and a member whose window is closed."""
    now = clock.now()
    account = accounts.add(
        tx,
        stage.keyring,
        now,
        name="second",
        appid="wx1111111111111111",
        original_id="gh_1",
        secret="s" * 32,
        api_base="http://127.0.0.1:9",
    )
    course = courses.create(tx, stage.keyring, now, account_id=account, code="second", title="第二门课")
    group = groups.create(tx, course, code="quick", name="快组")
    known = people.meet(tx, stage.keyring, account, "oSecond0000000000000000000001", now)
    people.consent(tx, known.id, course, courses.SHIPPED_CONSENT, ("online",), now)
    groups.enter(tx, group, known.id, Role.PARTICIPANT, now)
    return group


async def _states(stage: Stage) -> dict[str, int]:
    query = sa.text("SELECT state, count(*) AS number FROM deliveries GROUP BY state")
    return {row.state: row.number for row in stage.read(lambda tx: tx.execute(query).all())}


async def _until(stage: Stage, holds: Any) -> None:
    async with asyncio.timeout(60):
        while not holds(await _states(stage)):  # noqa: ASYNC110 - the rows are changed by the worker
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(("breaks", "state"), [(OperationalError("x", {}, Exception()), "planned"), (ValueError("x"), "missed")])
def test_a_clash_is_tried_again_and_a_defect_is_told_to_the_author(
    breaks: Exception, state: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(_breaking(breaks, state, database_url, tmp_path, monkeypatch))


async def _breaking(breaks: Exception, state: str, database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        leader = await stage.member("李老师", group, Role.LEADER)
        announce(stage, group, "今晚见", author=leader)

        def fail(*_: object) -> None:
            raise breaks

        monkeypatch.setattr(schedules, "_fire", fail)
        tick = stage.worker._guarded(stage.worker.tick)
        await tick()
        assert stage.read(lambda tx: tx.execute(sa.select(Schedule.state)).scalar_one()) == state
        kinds = stage.read(lambda tx: list(tx.execute(sa.select(Broadcast.kind)).scalars()))
        alarms = stage.read(lambda tx: list(tx.execute(sa.select(Alarm.kind)).scalars()))
        assert (kinds, alarms) == (([], []) if state == "planned" else (["report"], ["schedule_failed"]))
        monkeypatch.undo()
        await tick()
        if state == "planned":
            assert stage.read(lambda tx: tx.execute(sa.select(Schedule.state)).scalar_one()) == "fired"


def test_a_wave_that_fails_holds_up_no_audience_and_many_people_no_alert(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(_failing(database_url, tmp_path, monkeypatch))


async def _failing(database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stage(database_url, folder) as stage:
        course_id = stage.course("正念自我关怀")
        group = stage.group("晨光组")
        for name in ("甲", "乙", "丙", "丁"):
            await stage.member(name, group)
        now, shelf = clock.now(), stage.assembly.tools.shelf
        plan = Plan("baseline", {"zh": "课前"}, now - timedelta(hours=1), now + timedelta(days=9), ["shs"], {})
        stage.write(lambda tx: waves.add(tx, shelf, course_id, plan, now))
        frozen = stage.read(lambda tx: tx.execute(sa.select(Wave.plan)).scalar_one())
        stage.write(lambda tx: tx.execute(sa.update(Wave).values(plan={**frozen, "reminders": None})))
        monkeypatch.setattr(broadcasts, "CHUNK", 2)
        announce(stage, group, "今晚见")
        await stage.worker.tick()
        written = sa.select(sa.func.count()).select_from(Delivery)
        assert stage.read(lambda tx: tx.execute(written).scalar_one()) == 4, "the rest of the audience was written behind the failing wave"
        assert [each.kind for each in stage.read(lambda tx: audit.alarms(tx, now - timedelta(days=1)))] == ["step_failed"]
        stage.write(lambda tx: tx.execute(sa.update(Wave).values(plan=frozen)))
        monkeypatch.setattr(waves, "CHUNK", 1)
        monkeypatch.setattr(worker, "_EXPANDING_SECONDS", 0)
        await stage.worker.tick()
        invited = sa.select(sa.func.count()).select_from(Assignment)
        assert stage.read(lambda tx: tx.execute(invited).scalar_one()) == 1, "the next tick goes on, after it has called whom it must"
        await stage.worker.tick()
        assert stage.read(lambda tx: tx.execute(invited).scalar_one()) == 2
