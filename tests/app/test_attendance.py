"""Attendance through the running application: one person at two doors at once, and a leader who stopped being one."""

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path

import sqlalchemy as sa

from app import clock, groups
from app.courses import file, running
from app.db import Tx
from app.models import Attendance, Audit, Gathering, Membership
from bots.scans import gathering_code
from bots.turns import Role
from tests.stage import Stage

#: A quarter of an hour into the first class, in Shanghai.
IN_CLASS = datetime(2026, 12, 7, 11, 45, tzinfo=UTC)


async def _school(stage: Stage) -> tuple[int, int]:
    """A course that runs, with a participant and a leader; returns its small group and its first class."""
    stage.course("正念自我关怀")
    group_id = stage.group("晨光组", code="MORNING234")
    plan = running.Plan(file.read("two-week-pilot"), date(2026, 12, 7))
    stage.write(lambda tx: running.start(tx, stage.assembly.tools, stage.course_id, plan, clock.now()))
    large = stage.read(lambda tx: int(tx.execute(sa.select(Gathering.group_id).limit(1)).scalar_one()))
    for name, role in (("小雨", Role.PARTICIPANT), ("李老师", Role.LEADER)):
        for each in (group_id, large):
            await stage.member(name, each, role)
    first = sa.select(Gathering.id).where(Gathering.kind == "class", Gathering.number == 1)
    return group_id, stage.read(lambda tx: int(tx.execute(first).scalar_one()))


def _rows(stage: Stage) -> list[str]:
    return stage.read(lambda tx: list(tx.execute(sa.select(Attendance.how)).scalars()))


def test_a_word_and_a_scan_at_the_same_moment_are_one_sign_in(database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(database_url, tmp_path, at=IN_CLASS) as stage:
            _, first = await _school(stage)
            code = gathering_code(first)
            channel = (await stage.worker._channels.all())[stage.account_id]
            await channel.create_qr(code, None)
            answers = await asyncio.gather(stage.says("小雨", "签到"), stage.does("小雨", "scan", scene=code), stage.says("小雨", "签到"))
            assert all("签到" in each.text and not each.fault for each in answers), answers
            assert len(_rows(stage)) == 1

    asyncio.run(play())


def test_f3_a_tap_of_a_leader_who_stopped_being_one_marks_nobody_and_is_audited(database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(database_url, tmp_path, at=IN_CLASS) as stage:
            group_id, _ = await _school(stage)
            assert "小雨" in (await stage.says("李老师", "点名")).text

            leads = sa.select(Membership.person_id).where(Membership.group_id == group_id, Membership.role == Role.LEADER.value)

            def step_down(tx: Tx) -> None:
                groups.end_membership(tx, group_id, tx.execute(leads).scalar_one(), Role.LEADER, clock.now(), "left")

            stage.write(step_down)
            await stage.taps("李老师", "小雨到了")
            assert _rows(stage) == []
            assert "小雨" not in (await stage.says("李老师", "都到了")).text
            assert _rows(stage) == []
            assert stage.read(lambda tx: tx.execute(sa.select(Audit.id).where(Audit.action == "attendance.mark")).all()) == []

    asyncio.run(play())
