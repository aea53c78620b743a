"""What the tests of warm words share: a desk whose course has the library and a plan, and looks at who was given what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import encouragement, groups
from app.db import Tx
from app.models import Broadcast, Course, Delivery, Group, WarmFiring, WarmGiven, WarmPlan, WarmWord
from app.people import Known
from bots.encouragement.words import Trigger
from bots.turns import Role
from tests.delivery.scene import NOW, Desk, wrote

ZONE = ZoneInfo("Asia/Shanghai")
MONDAY = date(2026, 11, 23)
WEEK = timedelta(days=7)


def noon(day: date = MONDAY, hour: int = 12, minute: int = 30) -> datetime:
    """The hour of the plan on this day."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE)


@dataclass
class Warm:
    """A course with the shipped words; `begin` makes the plan."""

    desk: Desk

    def begin(self, days: str = "14", hour: str = "12:30", *, now: datetime | None = None, starts_on: date | None = MONDAY) -> None:
        """Monday and Thursday at half past twelve, from the first day of the course on."""
        course_id, keyring, moment = self.desk.course_id, self.desk.keyring, now or noon() - timedelta(hours=1)

        def work(tx: Tx) -> None:
            tx.execute(sa.update(Course).where(Course.id == course_id).values(starts_on=starts_on))
            encouragement.adopt(tx, keyring, course_id, moment)
            encouragement.set_plan(tx, course_id, days, hour, moment)

        self.desk.write(work)

    def person(self, name: str = "小雨", role: Role = Role.PARTICIPANT) -> Known:
        """Somebody in the group and in the large one."""
        known, course_id = self.desk.person(name, role), self.desk.course_id

        def enter(tx: Tx) -> None:
            large = tx.execute(sa.select(Group.id).where(Group.course_id == course_id, Group.large)).scalar_one()
            groups.enter(tx, large, known.id, role, NOW)
            wrote(tx, known.identity_id, noon() + 20 * WEEK)

        self.desk.write(enter)
        return known

    def go(self, now: datetime) -> int:
        """Take every step that is due; returns how many there were."""
        steps = 0
        while self.desk.write(lambda tx: encouragement.go_on(tx, self.desk.tools, now)):
            steps += 1
        assert not self.desk.read(lambda tx: encouragement.any_due(tx, now))
        return steps

    def after(self, known: Known, trigger: Trigger, now: datetime) -> int | None:
        """They did something."""
        course_id, tools = self.desk.course_id, self.desk.tools
        return self.desk.write(lambda tx: encouragement.after(tx, tools, course_id, known.id, trigger, now))

    def words(self, **given: Any) -> int:
        """A word of the course's own that may be given; returns its id."""
        course_id, keyring = self.desk.course_id, self.desk.keyring

        def work(tx: Tx) -> int:
            made = encouragement.propose(tx, keyring, course_id, {"zh": given.pop("zh")}, NOW, author="陈老师", **given)
            encouragement.approve(tx, made, NOW)
            return made

        return self.desk.write(work)

    def only(self, *codes: str) -> None:
        """Let all shipped words rest but these."""
        kept = WarmWord.code.in_(codes)
        self.desk.write(lambda tx: tx.execute(sa.update(WarmWord).where(~kept).values(state="paused")))

    def given(self, known: Known) -> list[tuple[str, str]]:
        """Theme and occasion of every word that somebody was given, in order."""
        query = sa.select(WarmWord.theme, WarmGiven.after).join(WarmWord, WarmWord.id == WarmGiven.word_id)
        rows = self.desk.read(
            lambda tx: tx.execute(query.where(WarmGiven.person_id == known.id).order_by(WarmGiven.at, WarmGiven.id)).all()
        )
        return [(row.theme, row.after) for row in rows]

    def word_ids(self, known: Known) -> list[int]:
        """The words that somebody was given."""
        query = sa.select(WarmGiven.word_id).where(WarmGiven.person_id == known.id).order_by(WarmGiven.at, WarmGiven.id)
        return self.desk.read(lambda tx: list(tx.execute(query).scalars()))

    def messages(self, known: Known, kind: str = "encouragement") -> list[tuple[str, str, int]]:
        """State, reason and priority of every message of this kind to somebody."""
        query = sa.select(Delivery.state, Delivery.reason, Delivery.priority).join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        query = query.where(Delivery.person_id == known.id, Broadcast.kind == kind).order_by(Delivery.id)
        return [tuple(row) for row in self.desk.read(lambda tx: tx.execute(query).all())]  # type: ignore[misc]  # three columns

    def firings(self) -> list[tuple[datetime, str, str, str]]:
        """Moment, theme, outcome and why of every firing."""
        columns = (WarmFiring.fire_at, WarmFiring.theme, WarmFiring.outcome, WarmFiring.why)
        rows: Sequence[Any] = self.desk.read(lambda tx: tx.execute(sa.select(*columns).order_by(WarmFiring.fire_at)).all())
        return [tuple(row) for row in rows]

    def next_at(self) -> datetime:
        """The moment that the plan waits for."""
        return self.desk.read(lambda tx: tx.execute(sa.select(WarmPlan.next_at)).scalar_one())
