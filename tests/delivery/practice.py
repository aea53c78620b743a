"""What the tests of practice share: a running course at its second day, people who check in, looks at the rows."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import groups
from app.courses import file, occasions, running
from app.db import Tx
from app.homework import checkins, hours, looking
from app.models import Broadcast, CheckIn, Delivery, Group, Occasion, Person
from app.people import Known, known_by_id, view
from app.situation import Situation
from bots.effects import CheckIn as Noted
from bots.homework.book import Book
from bots.turns import Role
from tests.delivery.scene import Desk

ZONE = ZoneInfo("Asia/Shanghai")
#: The pilot's first class is on this Monday evening; its practices go out the day after, and on Friday who has not practised is reminded.
CLASS_DAY, SENT_DAY, REMINDED_DAY = date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 27)
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


def at(day: date, clock: str) -> datetime:
    """This hour of the day in Shanghai."""
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZONE)


class Practising:
    """The pilot of two weeks, running since the Monday."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        plan = running.Plan(file.read("two-week-pilot"), CLASS_DAY)
        desk.write(lambda tx: running.start(tx, desk.tools, desk.course_id, plan, at(CLASS_DAY, "18:00")))
        self.large = desk.read(lambda tx: tx.execute(sa.select(Group.id).where(Group.large)).scalar_one())

    def person(self, name: str = "小雨", role: Role = Role.PARTICIPANT, *, hour: str | None = None, zone: str | None = None) -> Known:
        """Somebody in the small group and in the large one."""
        known = self.desk.person(name, role)

        def enter(tx: Tx) -> None:
            groups.enter(tx, self.large, known.id, role, at(CLASS_DAY, "18:00"))
            if zone is not None:
                tx.execute(sa.update(Person).where(Person.id == known.id).values(zone=zone))
            if hour is not None:
                hours.choose(tx, known.id, hour, at(CLASS_DAY, "18:00"))

        self.desk.write(enter)
        found = self.desk.read(lambda tx: known_by_id(tx, self.desk.keyring, known.id, self.desk.account_id))
        assert found is not None
        return found

    def situation(self, tx: Tx, known: Known, now: datetime) -> Situation:
        """A turn of somebody."""
        return Situation(self.desk.account_id, known, view(tx, known), 1, now)

    def checks_in(self, known: Known, now: datetime, *, back: int = 0, practice: str = "pause", minutes: int | None = None) -> None:
        """Somebody notes a practice."""
        day = now.astimezone(ZoneInfo(known.zone)).date() - timedelta(days=back)
        self.desk.write(lambda tx: self.note(tx, known, now, Noted(self.desk.course_id, day, practice, minutes)))

    def note(self, tx: Tx, known: Known, now: datetime, noted: Noted) -> None:
        """As `checks_in`, in somebody's transaction."""
        checkins.note(tx, self.desk.tools, self.situation(tx, known, now), noted)

    def book(self, known: Known, now: datetime) -> Book:
        """What somebody sees of their own practice."""
        return self.desk.read(lambda tx: looking.book(tx, self.desk.keyring, self.situation(tx, known, now)))

    def go(self, now: datetime) -> int:
        """Take every step that is due; returns how many."""
        steps = 0
        while self.desk.write(lambda tx: occasions.go_on(tx, self.desk.tools, now)):
            steps += 1
            assert steps < 50, "an occasion that is always due"
        return steps

    def occasion(self, code: str = "homework.1") -> Any:
        """The occasion of this code."""
        query = sa.select(*Occasion.__table__.columns).where(Occasion.code == code)
        return self.desk.read(lambda tx: tx.execute(query).one())

    def got(self, known: Known, code: str = "homework.1") -> list[tuple[str, str]]:
        """State and reason of each message of this occasion to somebody."""
        query = sa.select(Delivery.state, Delivery.reason).join(Occasion, Occasion.broadcast_id == Delivery.broadcast_id)
        query = query.where(Occasion.code == code, Delivery.person_id == known.id)
        return [tuple(row) for row in self.desk.read(lambda tx: tx.execute(query).all())]  # type: ignore[misc]  # two columns

    def broadcasts(self, kind: str = "homework") -> list[str]:
        """The states of every message of this kind."""
        query = sa.select(Broadcast.state).where(Broadcast.kind == kind).order_by(Broadcast.id)
        return self.desk.read(lambda tx: list(tx.execute(query).scalars()))

    def noted(self, known: Known) -> list[Any]:
        """Every check-in of somebody."""
        query = sa.select(*CheckIn.__table__.columns).where(CheckIn.person_id == known.id).order_by(CheckIn.day, CheckIn.practice)
        return list(self.desk.read(lambda tx: tx.execute(query).all()))
