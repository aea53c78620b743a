"""Hides at which hour somebody gets practices, and lets what is on its way that day follow a change."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.db import Tx, upsert
from app.db.prepared import Prepared, slot
from app.groups import Refused
from app.models import Course, Group, Membership, Occasion, Person, PracticeHour
from bots.homework import days, hours
from bots.homework.hours import Quiet
from bots.turns import Role

#: The kinds of occasions that go at each one's hour.
KINDS = ("homework", "homework_reminder")


def choose(tx: Tx, person_id: int, hour: str | None, now: datetime) -> None:
    """Practices come at this hour of the person's day from now on; None: they were asked. Raises `Refused` ("hour", "quiet")."""
    if hour is None:
        note_asked(tx, [person_id], now)
        return
    zone = tx.execute(sa.select(Person.zone).where(Person.id == person_id)).scalar_one()
    if not hours.is_hour(hour):
        raise Refused("hour", "An hour is written as 7:30; practices go on the hour or the half hour.")
    if not hours.allowed(hour, zone, days.today(now, zone), quiets(tx, person_id)):
        raise Refused("quiet", "This hour lies within the quiet hours of a course; choose another.")
    values = {"hour": hour, "asked_at": now}
    insert = upsert(tx, PracticeHour).values(person_id=person_id, **values)
    tx.execute(insert.on_conflict_do_update(index_elements=["person_id"], set_={"hour": hour}))
    wake(tx, person_id, now)


def note_asked(tx: Tx, people: Iterable[int], now: datetime) -> None:
    """These people were asked for their hour; nobody is asked twice."""
    rows = [{"person_id": person, "hour": None, "asked_at": now} for person in people]
    if rows:
        tx.execute(upsert(tx, PracticeHour).on_conflict_do_nothing(), rows)


def wake(tx: Tx, person_id: int, now: datetime) -> None:
    """Let what goes out today in the person's groups be looked at once more: they have come, come back, or want another hour.

    Whoever fires such an occasion just now is waited for, so that the change is either seen by it or comes behind it.
    """
    mine = sa.select(Membership.group_id).where(Membership.person_id == person_id, Membership.ended_at.is_(None))
    begun = sa.and_(Occasion.kind.in_(KINDS), Occasion.state == "planned", Occasion.until > now, Occasion.group_id.in_(mine))
    rows = tx.execute(
        sa.select(Occasion.id, Occasion.fire_at, Occasion.until, Course.zone)
        .join(Course, Course.id == Occasion.course_id)
        .where(begun)
        .order_by(Occasion.id)
        .with_for_update(of=Occasion)
    ).all()
    for row in rows:
        if now < row.fire_at and beginning(row) <= now:
            tx.execute(sa.update(Occasion).where(Occasion.id == row.id).values(fire_at=now))


def beginning(row: Any) -> datetime:
    """When the day of such an occasion begins; `row` has its `until` and the course's `zone`."""
    return days.beginning_of_day_before(row.until, row.zone)


_QUIETS = Prepared(
    lambda _: [
        sa.select(Course.id, Course.zone, Course.quiet_from, Course.quiet_until)
        .join(Group, Group.course_id == Course.id)
        .join(Membership, Membership.group_id == Group.id)
        .where(
            Membership.person_id == slot("person"),
            Membership.ended_at.is_(None),
            Membership.role == Role.PARTICIPANT.value,
            Course.ended_at.is_(None),
        )
        .order_by(Course.id)
    ]
)


def quiets(tx: Tx, person_id: int) -> tuple[Quiet, ...]:
    """The quiet hours of every course in which this person takes part."""
    rows = _QUIETS.all(tx, person=person_id)
    return tuple(dict.fromkeys(Quiet(row.zone, row.quiet_from, row.quiet_until) for row in rows))
