"""A course with a calendar and what its leaders have planned, in a database of its own, ready to be rehearsed."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

from pydantic import SecretStr

from app import accounts, courses, groups, people, rehearsal, schedules
from app.assembly import Assembly, assemble
from app.courses import file, running
from app.db import Tx
from app.prompts import planning
from app.rehearsal import Played, copying
from app.settings import Settings
from bots.effects import PlanPrompt, Poll
from bots.recurrence import Rule
from bots.turns import Role

T = TypeVar("T")

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
START = date(2026, 11, 23)
KEY = base64.b64encode(b"k" * 32).decode()


@dataclass
class Board:
    """A course with small groups by name, and the real leader of each."""

    assembly: Assembly
    course_id: int
    account_id: int
    groups: dict[str, int]
    leaders: dict[str, int]

    def write(self, work: Callable[[Tx], T]) -> T:
        """Do this in the real database."""
        return self.assembly.database.write_now(work)

    def copy(self) -> copying.Copy:
        """What a rehearsal takes of it."""
        return self.assembly.database.read_now(lambda tx: copying.take(tx, self.course_id))

    def play(self, people: int, progress: Callable[[float], None] = lambda _: None) -> Played:
        """Rehearse it with so many participants."""
        return asyncio.run(rehearsal.play(self.assembly.settings, self.copy(), rehearsal.Options(people), progress))


@contextmanager
def board(
    url: str, *, code: str = "two-week-pilot", names: tuple[str, ...] = ("晨光组", "晚霞组"), cap: int | None = None
) -> Iterator[Board]:
    """A started course, with what its leaders have planned for the second week: a poll, and a practice prompt."""
    settings = Settings(_env_file=None, database_url=url, master_key=SecretStr(KEY), index_key=SecretStr(KEY))  # type: ignore[call-arg]
    assembly = assemble(settings)
    with assembly.database as database:
        yield database.write_now(lambda tx: _found(tx, assembly, code, names, cap))


def _found(tx: Tx, assembly: Assembly, code: str, names: tuple[str, ...], cap: int | None) -> Board:
    keyring = assembly.tools.keyring
    account = accounts.add(tx, keyring, NOW, name="msc", appid="wx1", original_id="gh_1", secret="s3cret", api_base="http://127.0.0.1:9")
    course = courses.create(tx, keyring, NOW, account_id=account, code="msc-1", title="正念自我关怀")
    if cap is not None:
        courses.set_cap(tx, course, cap, NOW)
    small = {name: groups.create(tx, course, code=f"g{number}", name=name) for number, name in enumerate(names)}
    leaders = {}
    for number, (name, group) in enumerate(small.items()):
        known = people.meet(tx, keyring, account, f"oRealLeader{number:016d}", NOW)
        people.rename(tx, known, f"{name}的真组长")
        groups.enter(tx, group, known.id, Role.LEADER, NOW)
        leaders[name] = known.id
    running.start(tx, assembly.tools, course, running.Plan(file.read(code), START), NOW)
    made = Board(assembly, course, account, small, leaders)
    for number, name in enumerate(names):
        _plan(tx, made, name, number)
    return made


def _plan(tx: Tx, made: Board, name: str, number: int) -> None:
    keyring, leader, group = made.assembly.tools.keyring, made.leaders[name], made.groups[name]
    second = datetime.combine(START + timedelta(days=8), time(4, number), UTC)
    poll = Poll(("周六上午", "周日下午"))
    schedules.plan_announcement(
        tx, keyring, author_id=leader, group_id=group, text=f"{name}什么时候见面？", at=second, draft=number + 1, now=NOW, poll=poll
    )
    rule = Rule(time(12, 30), weekdays=(1, 3))
    wanted = PlanPrompt((group,), f"{name}，第 {{week}} 周，停下来呼吸三次。", rule, START + timedelta(days=13), 100 + number)
    planning.plan(tx, keyring, leader, wanted, NOW)
