"""Measures how long the console's pages take: a course of 500 people after ten weeks, alone and among 99 others of the same size.

The application answers in this process, without a socket: what is measured is the server's own time, from the request to the last byte.
What ten weeks leave is written in sets: announcements and their deliveries, attendance, practice, questionnaires, questions, the audit.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import httpx
import sqlalchemy as sa

from app import clock, encouragement, groups, ids, people
from app.assembly import Assembly, assemble
from app.console import logins, sessions
from app.courses import file, running
from app.db import Tx
from app.keyring import Place
from app.main import create_app
from app.models import Assignment, Audit, Broadcast, Course, Group, Participant, Question, Schedule, Wave
from app.questionnaires import waves
from app.questionnaires.waves import Plan
from app.web.console import ROUTES
from app.web.console.routing import HOME, THING
from benchmarks.founding import another, found, settings
from benchmarks.grounds import Grounds
from benchmarks.report import Figure, Goal
from benchmarks.town import WORDS, Town
from bots.turns import Role

PEOPLE, COURSES, WEEKS = 500, 100, 10
#: Announcements of a week to the large group; questions asked in the whole course.
_ANNOUNCED, _ASKED, _AUDITED = 2, 100, 2_000
#: Milliseconds that a page may take: alone, and among all the others.
_ALONE, _AMONG = 100.0, 300.0
_ROUNDS = 9
#: Ids for rows that a database counts up itself: below every id that is issued today.
_FIRST = itertools.count(2 * PEOPLE, 2 * PEOPLE)
#: Written by the database itself, from who is there: a delivery to each, who came, and who practised on which day.
_DELIVERED = """
INSERT INTO deliveries (account_id, broadcast_id, person_id, part, priority, state, reason, route, due_at, changed_at, attempts)
SELECT :account, :broadcast, person_id, 0, 5, 'sent', 'service', 'service', :at, :at, 1
FROM memberships WHERE group_id = :large AND role = 'participant'
"""
_CAME = """
INSERT INTO attendances (gathering_id, person_id, how, at)
SELECT gatherings.id, memberships.person_id, 'word', gatherings.starts_at
FROM gatherings JOIN memberships ON memberships.group_id = :large AND memberships.role = 'participant'
WHERE gatherings.group_id = :large AND gatherings.starts_at < :now
"""
_NOTED = """
INSERT INTO check_ins (id, course_id, person_id, day, practice, noted_at)
SELECT :first + row_number() OVER (ORDER BY person_id), :course, person_id, :day, 'breath', :at
FROM memberships WHERE group_id = :large AND role = 'participant'
"""


@dataclass(frozen=True)
class _Place:
    """Whose pages are opened, and the things that stand in their addresses."""

    token: str
    things: dict[str, int]


class Contest:
    """Every page on one kind of database, first alone, then among many."""

    def __init__(self, ground: Grounds, rounds: int, say: Callable[[str], None]) -> None:
        self._ground, self._rounds, self._say = ground, max(rounds, _ROUNDS), say

    def run(self) -> list[Figure]:
        """Both sizes."""
        url = self._ground.new("paging")
        town = found(url, PEOPLE)
        assembly = assemble(settings(town, url))
        with assembly.database as database:
            now = clock.now()
            database.write_now(lambda tx: _lived(tx, assembly, town.course_id, now, dated=True))
            place = database.write_now(lambda tx: _administrator(tx, assembly, town, now))
        self._ground.settle(url)
        figures = self._measured(town, url, place, f"{PEOPLE} people", _ALONE)
        began = time.monotonic()
        with assemble(settings(town, url)).database as database:
            for number in range(1, COURSES):
                database.write_now(partial(_further, assembly=assembly, account_id=town.account_id, code=f"c{number}", now=now))
        self._ground.settle(url)
        self._say(f"  {COURSES * PEOPLE} people in {COURSES} courses, written in {time.monotonic() - began:.0f} s")
        return [*figures, *self._measured(town, url, place, f"{COURSES * PEOPLE} people in {COURSES} courses", _AMONG)]

    def _measured(self, town: Town, url: str, place: _Place, size: str, most: float) -> list[Figure]:
        assembly = assemble(settings(town, url))
        with assembly.database:
            taken = asyncio.run(_opened(assembly, place, self._rounds))
        goal = [Goal(most, at_least=False, of_ratio=False)]
        for path, spent in taken.items():
            self._say(f"  {self._ground.database}, {size}: {path:32} {sorted(spent)[len(spent) // 2]:7.1f} ms")
        return [Figure(f"pages, {self._ground.database}, {size}: {path}", "ms", spent, goals=goal) for path, spent in taken.items()]


def _further(tx: Tx, *, assembly: Assembly, account_id: int, code: str, now: datetime) -> None:
    _lived(tx, assembly, another(tx, assembly, account_id, code, PEOPLE), now)


async def _opened(assembly: Assembly, place: _Place, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each page, by its address without ids. The first time warms up."""
    transport = httpx.ASGITransport(create_app(assembly, worker=False), client=("203.0.113.7", 4711))
    taken: dict[str, list[float]] = {}
    async with httpx.AsyncClient(transport=transport, base_url=assembly.settings.public_url, timeout=60) as http:
        http.cookies.set("tongban", place.token, domain=httpx.URL(assembly.settings.public_url).host)
        for route in (route for route in ROUTES if route.method == "GET"):
            if THING in route.path and route.rule.of.value not in place.things:
                continue
            path = route.path.replace(THING, str(place.things.get(route.rule.of.value)))
            for number in range(rounds + 1):
                began = time.perf_counter()
                answer = await http.get(path)
                if answer.status_code == 200 and number:
                    taken.setdefault(route.path.removeprefix(HOME), []).append(1_000 * (time.perf_counter() - began))
    return taken


def _administrator(tx: Tx, assembly: Assembly, town: Town, now: datetime) -> _Place:
    """Somebody who sees every page but the mentor's, and a session of theirs."""
    keyring, large = assembly.tools.keyring, town.large_group
    known = people.meet(tx, keyring, town.account_id, f"o{'a' * 27}", now)
    people.rename(tx, known, "管理员")
    groups.enter(tx, large, known.id, Role.ADMINISTRATOR, now)
    login = logins.of_person(tx, known.id, now)
    if login is None:
        raise AssertionError("staff without a login")
    token = sessions.begin(tx, keyring.vault, login, "wechat", "computer", sessions.moment())
    schedule = tx.execute(sa.select(sa.func.max(Schedule.id)).where(Schedule.course_id == town.course_id)).scalar_one()
    wave = tx.execute(sa.select(sa.func.max(Wave.id)).where(Wave.course_id == town.course_id)).scalar_one()
    return _Place(token, {"course": town.course_id, "group": large, "announcement": schedule, "wave": wave})


def _lived(tx: Tx, assembly: Assembly, course_id: int, now: datetime, *, dated: bool = False) -> None:
    """What ten weeks of a course leave; `dated`: with its calendar, which others need not have to be in the way."""
    tools = assembly.tools
    began = now - timedelta(weeks=WEEKS)
    if dated:
        running.start(tx, tools, course_id, running.Plan(file.read("msc-8-week"), began.date()), began)
        encouragement.adopt(tx, tools.keyring, course_id, now)
    large = tx.execute(sa.select(Group.id).where(Group.course_id == course_id, Group.large)).scalar_one()
    _announce(tx, assembly, course_id, large, began)
    tx.execute(sa.text(_CAME), {"large": large, "now": now.isoformat(" ")})
    for day in range(0, 7 * WEEKS, 2):
        at = began + timedelta(days=day)
        tx.execute(
            sa.text(_NOTED),
            {"first": next(_FIRST), "course": course_id, "day": at.date().isoformat(), "at": at.isoformat(" "), "large": large},
        )
    _ask(tx, assembly, course_id, now)
    subjects = [{"at": now, "actor": "operator", "action": "export", "subject": f"course:{course_id}", "details": {}}] * _AUDITED
    tx.execute(sa.insert(Audit), subjects)


def _announce(tx: Tx, assembly: Assembly, course_id: int, large: int, began: datetime) -> None:
    row = tx.execute(sa.select(Course.data_key_id, Course.account_id).where(Course.id == course_id)).one()
    key = assembly.tools.keyring.open(tx, row.data_key_id)
    details = f'{{"text": "{WORDS}", "group_name": "大群", "author_name": "", "author_role": "operator", "course_title": "课"}}'
    for number in range(WEEKS * _ANNOUNCED):
        at, schedule, broadcast = began + timedelta(days=7 * number / _ANNOUNCED), ids.new_id(), ids.new_id()
        place, sent = Place("schedules", "details_sealed", schedule), Place("broadcasts", "details_sealed", broadcast)
        about = {"course_id": course_id, "group_id": large, "kind": "announcement", "created_at": at}
        tx.execute(
            sa.insert(Schedule).values(
                **about,
                id=schedule,
                number=number + 1,
                details_sealed=key.seal(place, details),
                details_hash=b"",
                fire_at=at,
                state="fired",
            )
        )
        tx.execute(
            sa.insert(Broadcast).values(
                **about,
                id=broadcast,
                account_id=row.account_id,
                schedule_id=schedule,
                data_key_id=row.data_key_id,
                bot="announcement",
                details_sealed=key.seal(sent, details),
                priority=5,
                state="done",
            )
        )
        values = {"account": row.account_id, "broadcast": broadcast, "at": at.isoformat(" "), "large": large}
        tx.execute(sa.text(_DELIVERED), values)


def _ask(tx: Tx, assembly: Assembly, course_id: int, now: datetime) -> None:
    """Two waves with everybody in them, and questions to leaders."""
    course = tx.execute(sa.select(Course.account_id).where(Course.id == course_id)).scalar_one()
    whom: Sequence[int] = [
        each for each in tx.execute(sa.select(Participant.person_id).where(Participant.course_id == course_id)).scalars() if each
    ]
    for code in ("first", "second"):
        plan = Plan(code, {"zh": f"问卷 {code}", "en": code}, now - timedelta(hours=1), now + timedelta(days=7), ("scs", "cs24"), {})
        wave = waves.add(tx, assembly.tools.shelf, course_id, plan, now - timedelta(hours=1))
        tx.execute(sa.update(Wave).where(Wave.id == wave).values(state="open"))
        fixed: dict[str, Any] = {"wave_id": wave, "account_id": course, "seed": 1, "changed_at": now, "reminders": 0}
        states = ("complete", "complete", "complete", "reached", "opened")
        tx.execute(
            sa.insert(Assignment), [{**fixed, "id": ids.new_id(), "person_id": each, "state": states[n % 5]} for n, each in enumerate(whom)]
        )
    group = tx.execute(sa.select(sa.func.min(Group.id)).where(Group.course_id == course_id, ~Group.large)).scalar_one()
    about = {
        "course_id": course_id,
        "group_id": group,
        "account_id": course,
        "state": "open",
        "asked_at": now,
        "changed_at": now,
        "step": 0,
    }
    asked = [{**about, "id": ids.new_id(), "number": n + 1, "person_id": whom[n]} for n in range(_ASKED)]
    tx.execute(sa.insert(Question), asked)
