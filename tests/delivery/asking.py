"""What the tests of waves share: a desk with a round of questionnaires, and looks at its rows."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app.models import Assignment, AssignmentChange, Broadcast, Delivery, Wave
from app.people import Known
from app.questionnaires import sheets, waves
from app.questionnaires.waves import Plan, Rule
from app.states import Asked
from bots.effects import BeginAssignment, Decline, Given, HandIn, Record, RemindLater
from tests.delivery.scene import NOW, Desk

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
ZONE = ZoneInfo("Asia/Shanghai")
OPENS = datetime(2026, 12, 1, 9, 0, tzinfo=ZONE)
CLOSES = datetime(2026, 12, 8, 19, 0, tzinfo=ZONE)
PLAN = Plan("baseline", {"zh": "课程前", "en": "Before"}, OPENS, CLOSES, ("shs", "swls"), {}, Rule((2, 4)))


def local(day: int, hour: int = 19) -> datetime:
    """A moment of December in the course's zone."""
    return datetime(2026, 12, day, hour, 0, tzinfo=ZONE)


class Round:
    """A desk with a wave, and looks at its rows."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.wave = 0

    def add(self, plan: Plan = PLAN, now: datetime = NOW) -> int:
        self.wave = self.desk.write(lambda tx: waves.add(tx, self.desk.tools.shelf, self.desk.course_id, plan, now))
        return self.wave

    def go(self, now: datetime) -> int:
        """Take every step that is due; returns how many there were."""
        steps = 0
        while self.desk.read(lambda tx: waves.any_due(tx, now)):
            assert self.desk.write(lambda tx: waves.go_on(tx, self.desk.tools, now)), "it looks due and is not"
            steps += 1
            assert steps < 50, "it never comes to rest"
        assert not self.desk.write(lambda tx: waves.go_on(tx, self.desk.tools, now)), "it is due and does not look so"
        self.adds_up()
        return steps

    def adds_up(self) -> None:
        """The states of everybody add up, whatever happened."""
        for wave in self.desk.read(lambda tx: tx.execute(sa.select(Wave.id)).scalars().all()):
            counts = self.desk.read(lambda tx, wave=wave: waves.counts(tx, wave))  # type: ignore[misc]  # mypy knows no bound default
            query = sa.select(sa.func.count()).select_from(Assignment).where(Assignment.wave_id == wave)
            assert sum(counts.values()) == self.desk.read(lambda tx, query=query: tx.execute(query).scalar_one())  # type: ignore[misc]  # as above
            assert set(counts) <= set(Asked)

    def row(self, known: Known, wave: int = 0) -> Any:
        mine = sa.select(*Assignment.__table__.columns).where(Assignment.person_id == known.id, Assignment.wave_id == (wave or self.wave))
        return self.desk.read(lambda tx: tx.execute(mine).one_or_none())

    def state(self, known: Known) -> str | None:
        row = self.row(known)
        return None if row is None else str(row.state)

    def history(self, known: Known) -> list[tuple[str, str, datetime]]:
        query = sa.select(AssignmentChange.state, AssignmentChange.cause, AssignmentChange.at)
        query = query.where(AssignmentChange.assignment_id == self.row(known).id).order_by(AssignmentChange.id)
        return [(row.state, row.cause, row.at) for row in self.desk.read(lambda tx: tx.execute(query).all())]

    def messages(self, known: Known, kind: str | None = None) -> list[tuple[str, str, str, datetime]]:
        """Kind, state, reason and moment of all that was written to somebody."""
        query = sa.select(Broadcast.kind, Delivery.state, Delivery.reason, Delivery.due_at)
        query = query.join(Broadcast, Broadcast.id == Delivery.broadcast_id).where(Delivery.person_id == known.id)
        rows = self.desk.read(lambda tx: tx.execute(query.order_by(Delivery.due_at, Delivery.id)).all())
        return [(row.kind, row.state, row.reason, row.due_at) for row in rows if kind in {None, row.kind}]

    def wave_state(self) -> str:
        return self.desk.read(lambda tx: tx.execute(sa.select(Wave.state).where(Wave.id == self.wave)).scalar_one())

    def settle(self, known: Known, state: str, moment: datetime) -> None:
        """What the outbox would have done with this person's messages."""
        mine = sa.update(Delivery).where(Delivery.person_id == known.id)
        self.desk.write(lambda tx: tx.execute(mine.values(state=state, changed_at=moment)))

    def does(self, known: Known, effect: Any, now: datetime) -> None:
        """The person answers, as the conversation would have it."""
        jobs = {
            Record: lambda tx, open_: sheets.record(tx, known, open_, effect, now),
            BeginAssignment: lambda tx, open_: sheets.begin(tx, open_, effect, now),
            HandIn: lambda tx, open_: sheets.hand_in(tx, open_, effect, now),
            Decline: lambda tx, open_: sheets.decline(tx, open_, effect, now),
            RemindLater: lambda tx, open_: sheets.remind_later(tx, open_, effect, now),
        }
        shelf, account = self.desk.tools.shelf, self.desk.account_id
        self.desk.write(lambda tx: jobs[type(effect)](tx, sheets.find(tx, shelf, known.id, account, "zh")))
        self.adds_up()

    def finishes(self, known: Known, now: datetime, wave: int = 0) -> None:
        """The person answers everything and hands it in."""
        shelf, account = self.desk.tools.shelf, self.desk.account_id
        found = self.desk.read(lambda tx: sheets.find(tx, shelf, known.id, account, "zh"))
        for sheet in next(each for each in found if each.wave_id == (wave or self.wave)).sheets:
            given = tuple(Given(item.number, item.lowest, "1") for item in sheet.instrument.items)
            self.does(known, Record(sheet.id, given, "many"), now)
            self.does(known, HandIn(sheet.id), now)
