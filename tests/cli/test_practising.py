"""`tongban homework` shows a group's week to operators, and no minutes or line that were not shared."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
import time_machine

from app import groups, people
from app.assembly import assemble
from app.courses import file, running
from app.db import Tx
from app.homework import checkins
from app.models import Account, Course, Group
from app.settings import Settings
from app.situation import Situation, Tools
from bots.effects import CheckIn, ShareCheckIn
from bots.turns import Role
from tests.cli.conftest import Tongban, refused

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)  # Tuesday, 11:00 in Shanghai


@pytest.fixture(autouse=True)
def _today() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
def practised(course: Tongban) -> Tongban:
    """The same terminal, where two people of the dawn group practised, and one of them shared it."""
    assembly = assemble(Settings(_env_file=None))  # type: ignore[call-arg]  # the rest comes from the environment
    with assembly.database as database:
        database.write_now(lambda tx: _practise(tx, assembly.tools))
    return course


def _practise(tx: Tx, tools: Tools) -> None:
    course_id, account_id = (tx.execute(sa.select(table.id)).scalar_one() for table in (Course, Account))
    running.start(tx, tools, course_id, running.Plan(file.read("two-week-pilot"), date(2026, 11, 23)), NOW)
    group_id = tx.execute(sa.select(Group.id).where(Group.code == "dawn")).scalar_one()
    for name in ("小雨", "阿静"):
        known = people.meet(tx, tools.keyring, account_id, f"openid-{name}", NOW)
        people.rename(tx, known, name)
        people.consent(tx, known.id, course_id, "template-3", (), NOW)
        groups.enter(tx, group_id, known.id, Role.PARTICIPANT, NOW)
        turn = Situation(account_id, known, people.view(tx, known), 1, NOW)
        checkins.note(tx, tools, turn, CheckIn(course_id, date(2026, 11, 24), "pause", 12))
        if name == "阿静":
            checkins.share(tx, tools, turn, ShareCheckIn(course_id, date(2026, 11, 24), "pause", aloud=False))


@pytest.mark.parametrize("words", [(), ("--group", "dawn")])
def test_the_week_of_a_group_is_shown_by_day(words: tuple[str, ...], practised: Tongban) -> None:
    ended = practised("homework", "msc-1", *words)
    assert ended.code == 0, ended.err
    assert "晨光组, since 2026-11-23: 2 of 2 have checked in." in ended.out
    assert "Tue 2026-11-24  小雨, 阿静 (12 minutes)" in ended.out


def test_what_is_no_small_group_is_refused(practised: Tongban) -> None:
    assert "no single group 'night'" in refused(practised("homework", "msc-1", "--group", "night"))
    assert "large group" in refused(practised("homework", "msc-1", "--group", "msc-1-all"))
    assert "msc-9" in refused(practised("homework", "msc-9"))


def test_who_was_not_heard_of_is_listed_with_the_days(practised: Tongban) -> None:
    with time_machine.travel(datetime(2026, 11, 29, 3, 0, tzinfo=UTC), tick=True):
        assert "not heard of for 5 days: 小雨" in practised("homework", "msc-1").out
