"""Hides how the week's practices and the reminders of them go out: one message, each person's copy when their hour has come.

An occasion lasts for a day. Each step writes a delivery for everybody whose hour has come and who has none: a change of the hour or a late
joiner is neither forgotten nor written to twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import broadcasts
from app.broadcasts import Draft
from app.courses import file as course_file
from app.courses.file import CourseFile
from app.db import Tx
from app.db.prepared import NOW, Prepared, slot
from app.homework import hours
from app.models import Broadcast, CheckIn, Course, Delivery, Gathering, Membership, Occasion, Person, PracticeHour
from app.situation import Tools
from bots.homework import days
from bots.turns import OccasionKind, Role

#: What waits for its reader is of use until the next week's practices come; a reminder of them until the evening after.
_USEFUL = {"homework": timedelta(days=5), "homework_reminder": timedelta(days=1)}
#: The day is over this long before midnight: what were written later would be held by the quiet hours of most courses anyhow.
_LAST = timedelta(minutes=1)
#: A worker that comes this long after the day writes nothing more.
_LATE = timedelta(hours=1)


@dataclass(frozen=True)
class _Day:
    """One occasion on its day."""

    row: Any
    course: Any
    file: CourseFile
    starts: datetime
    since: Any  # the day of the class: whoever checked in from then on is not reminded

    @property
    def reminds(self) -> bool:
        return bool(self.row.kind == "homework_reminder")


def fire(tx: Tx, tools: Tools, row: Any, now: datetime) -> datetime | None:
    """Write to everybody whose hour has come; returns when to go on, None when the day is over."""
    day = _day(tx, row)
    default = day.file.homework.at
    ways = _ways(tx, day, default)
    moments = {way: days.hour_comes(day.starts, row.until, way[0], way[1]) for way in ways}
    due = [way for way, moment in moments.items() if moment <= now]
    if due and now < row.until + _LATE:
        _write(tx, tools, day, due, default, now)
    last = row.until - _LAST
    coming = [moment for moment in moments.values() if moment > now]
    return None if now >= last else min([*coming, last])


def _day(tx: Tx, row: Any) -> _Day:
    columns = (
        Course.id,
        Course.account_id,
        Course.data_key_id,
        Course.zone,
        course_file.COPY,
        Course.quiet_from,
        Course.quiet_until,
    )
    course = tx.execute(sa.select(*columns).where(Course.id == row.course_id)).one()
    begins = tx.execute(sa.select(Gathering.starts_at).where(Gathering.id == row.gathering_id)).scalar_one_or_none()
    begin = days.beginning_of_day_before(row.until, course.zone)
    since = days.today(begins or begin, course.zone)
    return _Day(row, course, course_file.frozen(course.file), begin, since)


def _people(day: _Day, default: str) -> "sa.Select[*tuple[Any, ...]]":
    """Who is meant, with the hour and the zone by which it comes. Who is paused is left out; once they resume they are seen again."""
    hour = sa.func.coalesce(PracticeHour.hour, default).label("hour")
    query = (
        sa.select(Membership.person_id.label("person_id"), hour, Person.zone.label("zone"))
        .join(Person, Person.id == Membership.person_id)
        .outerjoin(PracticeHour, PracticeHour.person_id == Membership.person_id)
        .where(
            Membership.group_id == day.row.group_id,
            Membership.role == Role.PARTICIPANT.value,
            Membership.ended_at.is_(None),
            Person.paused_at.is_(None),
            Person.erased_at.is_(None),
        )
    )
    if not day.reminds:
        return query
    practised = sa.select(CheckIn.id).where(
        CheckIn.person_id == Membership.person_id, CheckIn.course_id == day.course.id, CheckIn.day >= day.since
    )
    return query.where(~practised.exists())


def _ways(tx: Tx, day: _Day, default: str) -> list[tuple[str, str]]:
    """Every hour that somebody has, in every zone."""
    people = _people(day, default).subquery()
    rows = tx.execute(sa.select(people.c.hour, people.c.zone).distinct())
    return sorted((row.hour, row.zone) for row in rows)


def _write(tx: Tx, tools: Tools, day: _Day, due: list[tuple[str, str]], default: str, now: datetime) -> None:
    people = _people(day, default).subquery()
    has = sa.select(Delivery.id).where(Delivery.broadcast_id == (day.row.broadcast_id or 0), Delivery.person_id == people.c.person_id)
    fits = sa.or_(*(sa.and_(people.c.hour == hour, people.c.zone == zone) for hour, zone in due))
    meant = sa.select(people.c.person_id).where(fits, ~has.exists()).order_by(people.c.person_id)
    if tx.execute(meant.limit(1)).first() is None:
        return
    broadcast_id = day.row.broadcast_id or _begin(tx, tools, day, now)
    broadcasts.add_readers(tx, broadcast_id, meant, now)
    if _asks(tx, day):
        lacking = sa.select(Delivery.person_id).where(Delivery.broadcast_id == broadcast_id)
        known = sa.select(PracticeHour.person_id)
        hours.note_asked(tx, tx.execute(lacking.where(Delivery.person_id.not_in(known))).scalars(), now)


def _begin(tx: Tx, tools: Tools, day: _Day, now: datetime) -> int:
    details = dict(about(day.course.id, day.file, day.row.details["week"]))
    details |= {"what": "reminder" if day.reminds else "week", "asks": _asks(tx, day), "default": day.file.homework.at}
    details |= {
        "day": days.today(day.starts, day.course.zone).isoformat(),
        "quiets": [[day.course.zone, day.course.quiet_from, day.course.quiet_until]],
    }
    draft = Draft(
        account_id=day.course.account_id,
        key_id=day.course.data_key_id,
        bot="homework",
        kind=OccasionKind.HOMEWORK,
        details=details,
        course_id=day.course.id,
        group_id=day.row.group_id,
        stale_at=day.row.until + _USEFUL[day.row.kind],
    )
    made = broadcasts.send_to(tx, tools.keyring, draft, [], now)
    tx.execute(sa.update(Occasion).where(Occasion.id == day.row.id).values(broadcast_id=made))
    return made


def about(course_id: int, file: CourseFile, week: int) -> Mapping[str, Any]:
    """A week's practices as the bot's messages name them."""
    places = {practice.code: place for place, practice in enumerate(file.practices)}
    listed = [
        {"place": places[code], "name": file.practice(code).name, "minutes": file.practice(code).minutes}
        for code in file.weeks[week - 1].practices
    ]
    return {"course": course_id, "week": week, "words": file.weeks[week - 1].homework, "practices": listed}


def _asks(tx: Tx, day: _Day) -> bool:
    """Whether this message asks for an hour: the first one with practices that the group gets."""
    if day.reminds:
        return False
    earlier = sa.select(Occasion.id).where(
        Occasion.group_id == day.row.group_id,
        Occasion.kind == "homework",
        Occasion.id != day.row.id,
        Occasion.broadcast_id.is_not(None),
        Occasion.until < day.row.until,
    )
    return tx.execute(earlier.limit(1)).first() is None


def take_back_reminders(tx: Tx, course_id: int, person_id: int, now: datetime) -> None:
    """Somebody has checked in: a reminder on its way to them is taken back.

    Whoever fires one just now is waited for: what it wrote is seen here, and who comes behind sees the check-in.
    """
    _FIRING.all(tx, course=course_id, now=now)
    live = [row.broadcast_id for row in _ON_THEIR_WAY.all(tx, course=course_id)]
    if live:
        broadcasts.take_back_from(tx, person_id, live, "practised", now)


_REMINDERS = (Occasion.course_id == slot("course"), Occasion.kind == "homework_reminder")
_FIRING = Prepared(
    lambda _: [sa.select(Occasion.id).where(*_REMINDERS, Occasion.state == "planned", Occasion.fire_at <= NOW).with_for_update(read=True)]
)
_ON_THEIR_WAY = Prepared(
    lambda _: [
        sa.select(Occasion.broadcast_id)
        .join(Broadcast, Broadcast.id == Occasion.broadcast_id)
        .where(*_REMINDERS, Broadcast.state == "going")
    ]
)
