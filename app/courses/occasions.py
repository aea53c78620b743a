"""Hides what a running course says by itself: fires what is due exactly once, greets late joiners, ends the course.

An occasion's sender writes the messages that are due and says when to go on with it, or that it is done.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import audit, broadcasts
from app.broadcasts import Draft
from app.courses import calendar
from app.courses import file as course_file
from app.db import Tx
from app.db.prepared import NOW, Anything, Earliest
from app.homework import sending
from app.models import Attendance, Course, Group, Membership, Participant, Person, Schedule
from app.models import Gathering as GatheringRow
from app.models import Occasion as OccasionRow
from app.models.columns import one_of
from app.situation import Tools
from app.states import TO_COME
from bots.facts import Planned
from bots.turns import OccasionKind, Role

#: What comes later than this is missed: nobody wants last night's reminder in the morning (bad-inputs.md K4).
LATE = timedelta(hours=1)
#: For how long words without a date of their own are of use.
_USEFUL = timedelta(days=2)
#: Late joiners that are greeted in one transaction, and gatherings that a digest names.
_CHUNK, _NEXT = 100, 3

#: A sender writes what is due and returns when to go on; None: it is done.
Sender = Callable[[Tx, Tools, Any, datetime], datetime | None]


def any_due(tx: Tx, now: datetime) -> bool:
    """Whether `go_on` would do something."""
    return _ANY_DUE.there(tx, now=now)


def go_on(tx: Tx, tools: Tools, now: datetime) -> bool:
    """Take the next step that is due: an occasion, the greeting of late joiners, the end of a course. False where none is."""
    return _fire(tx, tools, now) or _catch_up(tx, tools, now) or _end(tx, now)


def next_moment(tx: Tx) -> datetime | None:
    """When something is due by itself."""
    return _NEXT_MOMENT.moment(tx)


def rest(tx: Tx, now: datetime) -> int:
    """What was due while a copy of the rows rested in a backup may have gone out then: it is missed. Returns how many."""
    missed = sa.update(OccasionRow).where(OccasionRow.state == "planned", OccasionRow.fire_at <= now).values(state="missed", why="restored")
    count = tx.execute(missed).rowcount
    greeted = [row.id for row in tx.execute(_newcomers(now))]
    tx.execute(sa.update(Participant).where(Participant.id.in_(greeted)).values(caught_up_at=now))
    return count


# Occasions ------------------------------------------------------------------------------------------------------------------------------


def _known_kind() -> "sa.ColumnElement[bool]":
    return one_of(OccasionRow.kind, SENDERS)


def _due(now: datetime) -> "sa.Select[Any]":
    query = sa.select(*OccasionRow.__table__.columns).join(Course, Course.id == OccasionRow.course_id)
    due = query.where(OccasionRow.state == "planned", OccasionRow.fire_at <= now, _known_kind(), Course.ended_at.is_(None))
    return due.order_by(OccasionRow.fire_at, OccasionRow.id)


_ANY_DUE = Anything(lambda: _due(NOW).order_by(None), lambda: _newcomers(NOW).order_by(None), lambda: _over(NOW).order_by(None))
_NEXT_MOMENT = Earliest(
    lambda: sa.select(sa.func.min(OccasionRow.fire_at)).where(OccasionRow.state == "planned", _known_kind()),
    lambda: sa.select(sa.func.min(Course.over_at)).where(Course.ended_at.is_(None)),
)


def _fire(tx: Tx, tools: Tools, now: datetime) -> bool:
    """The next occasion that is due. Its row is held: whoever moves or cancels it comes before or after, and the fire is whole or none."""
    row = tx.execute(_due(now).limit(1).with_for_update(skip_locked=True, of=OccasionRow)).one_or_none()
    if row is None:
        return False
    if now - (row.until or row.fire_at) > (timedelta() if row.until else LATE) and row.broadcast_id is None:
        settle(tx, row.id, "missed", "late", now)
        audit.alarm(tx, now, "occasion_missed", f"course:{row.course_id}")
        return True
    following = SENDERS[row.kind](tx, tools, row, now)
    if following is None:
        tx.execute(
            sa.update(OccasionRow).where(OccasionRow.id == row.id, OccasionRow.state == "planned").values(state="fired", fired_at=now)
        )
    else:
        tx.execute(sa.update(OccasionRow).where(OccasionRow.id == row.id).values(fire_at=following))
    return True


def settle(tx: Tx, occasion_id: int, state: str, why: str, now: datetime) -> None:
    """An occasion that is not fired: `state` is missed or cancelled."""
    tx.execute(sa.update(OccasionRow).where(OccasionRow.id == occasion_id).values(state=state, why=why))
    audit.record(tx, now, "system", f"occasion.{state}", f"occasion:{occasion_id}", why=why)


def draft(tx: Tx, row: Any, bot: str, kind: OccasionKind, details: Mapping[str, Any], stale_at: datetime) -> Draft:
    """A message of this occasion's course to its group."""
    return broadcasts.in_course(tx, row.course_id, bot, kind, details, group_id=row.group_id, stale_at=stale_at)


def _remind(tx: Tx, tools: Tools, row: Any, now: datetime) -> None:
    """Words of the course file, to everybody of the group or to who was, or was not, there."""
    gathering = tx.execute(sa.select(GatheringRow.link, GatheringRow.id).where(GatheringRow.id == row.gathering_id)).one_or_none()
    begins = row.details.get("begins_at")
    begins_at = datetime.fromisoformat(begins) if begins else None
    details = {**row.details, "what": "words", "begins_at": begins_at, "link": (gathering and gathering.link) or "" if begins_at else ""}
    message = draft(tx, row, "course", OccasionKind.CALENDAR, details, begins_at or now + _USEFUL)
    if row.to in ("present", "absent"):
        _remind_who_was(tx, tools, row, message, now)
        return
    written = broadcasts.send_to_group(tx, tools.keyring, message, now)
    tx.execute(sa.update(OccasionRow).where(OccasionRow.id == row.id).values(broadcast_id=written))


def _remind_who_was(tx: Tx, tools: Tools, row: Any, message: Draft, now: datetime) -> None:
    """Where nobody was marked as present nobody took attendance: to write to everybody that they were missed would be wrong.

    In a class of the large group that holds for each small group by itself: its leader took the roll, or did not.
    """
    there = sa.select(Attendance.person_id).where(Attendance.gathering_id == row.gathering_id)
    if tx.execute(there.limit(1)).first() is None:
        settle(tx, row.id, "missed", "no_attendance", now)
        return
    people = members(row.group_id, {Role.PARTICIPANT})
    chosen = people.where(Membership.person_id.in_(there))
    if row.to == "absent":
        chosen = people.where(Membership.person_id.not_in(there), Membership.person_id.in_(_beside(there)))
    written = broadcasts.send_to(tx, tools.keyring, message, tx.execute(chosen).scalars(), now)
    tx.execute(sa.update(OccasionRow).where(OccasionRow.id == row.id).values(broadcast_id=written))


def _beside(there: "sa.Select[int]") -> "sa.Select[int]":
    """Who sits in a small group with somebody of these."""
    seats = sa.select(Membership.group_id).join(Group, Group.id == Membership.group_id).where(~Group.large, Membership.ended_at.is_(None))
    groups = seats.where(Membership.person_id.in_(there), Membership.role == Role.PARTICIPANT.value)
    return sa.select(Membership.person_id).where(Membership.group_id.in_(groups), Membership.ended_at.is_(None))


def members(group_id: int, roles: set[Role]) -> "sa.Select[int]":
    """Who is in a group with one of these roles."""
    query = sa.select(Membership.person_id).distinct().where(Membership.group_id == group_id, Membership.ended_at.is_(None))
    return query.where(Membership.role.in_(sorted(role.value for role in roles)))


#: Who writes the messages of which kind of occasion.
SENDERS: dict[str, Sender] = {
    "reminder": _remind,
    "closing": _remind,
    "homework": sending.fire,
    "homework_reminder": sending.fire,
}


# Late joiners ---------------------------------------------------------------------------------------------------------------------------


def _newcomers(now: datetime) -> "sa.Select[*tuple[Any, ...]]":
    """Who joined a course that runs after its first class, and has not been greeted."""
    first = sa.select(sa.func.min(GatheringRow.starts_at)).where(GatheringRow.course_id == Course.id, GatheringRow.kind == "class")
    query = sa.select(Participant.id, Participant.person_id, Participant.course_id, Course.late_joiners, Person.paused_at)
    query = query.join(Course, Course.id == Participant.course_id).join(Person, Person.id == Participant.person_id)
    running = query.where(Course.file.is_not(None), Course.ended_at.is_(None), first.scalar_subquery() <= now)
    return running.where(
        Participant.caught_up_at.is_(None), Participant.withdrawn_at.is_(None), Participant.joined_at > first.scalar_subquery()
    ).order_by(Participant.id)


def _catch_up(tx: Tx, tools: Tools, now: datetime) -> bool:
    rows = tx.execute(_newcomers(now).limit(_CHUNK).with_for_update(skip_locked=True, of=Participant)).all()
    for row in rows:
        if row.late_joiners != "skip" and row.paused_at is None:
            _greet(tx, tools, row, now)
    tx.execute(sa.update(Participant).where(Participant.id.in_([row.id for row in rows])).values(caught_up_at=now))
    return bool(rows)


def _greet(tx: Tx, tools: Tools, row: Any, now: datetime) -> None:
    course = tx.execute(sa.select(Course.title, course_file.COPY).where(Course.id == row.course_id)).one()
    file = course_file.frozen(course.file)
    coming = planned(tx, row.person_id, now)
    begun = _weeks_begun(tx, row.course_id, now)
    details = {
        "what": "digest",
        "course": course.title,
        "next": [
            {"kind": each.kind, "number": each.number, "title": each.title, "at": each.at.isoformat()}
            for each in coming
            if each.course == row.course_id and each.at is not None
        ][:_NEXT],
        "week": [file.practice(code).name for code in file.weeks[begun - 1].practices] if begun else [],
        "past": [_week(file, number) for number in range(1, begun)] if row.late_joiners == "all" else [],
    }
    message = broadcasts.in_course(tx, row.course_id, "course", OccasionKind.CALENDAR, details, stale_at=now + _USEFUL)
    broadcasts.send_to(tx, tools.keyring, message, [row.person_id], now)


def _week(file: course_file.CourseFile, number: int) -> dict[str, Any]:
    week = file.weeks[number - 1]
    return {"number": number, "title": week.title, "practices": [file.practice(code).name for code in week.practices]}


def _weeks_begun(tx: Tx, course_id: int, now: datetime) -> int:
    query = sa.select(sa.func.max(GatheringRow.number)).where(
        GatheringRow.course_id == course_id, GatheringRow.kind == "class", GatheringRow.starts_at <= now
    )
    return tx.execute(query).scalar_one() or 0


def planned(tx: Tx, person_id: int, now: datetime) -> tuple[Planned, ...]:
    """What is still to come for this person: one line for each gathering, or for each course that has no calendar."""
    mine = sa.select(Membership.group_id).where(Membership.person_id == person_id, Membership.ended_at.is_(None))
    theirs = sa.select(Group.course_id).where(Group.id.in_(mine))
    courses = tx.execute(sa.select(Course.id, course_file.COPY).where(Course.id.in_(theirs), Course.ended_at.is_(None)))
    files = {row.id: None if row.file is None else course_file.frozen(row.file) for row in courses}
    query = sa.select(*GatheringRow.__table__.columns).where(GatheringRow.course_id.in_(list(files)), _comes_to(mine), GatheringRow.held)
    rows = tx.execute(query.order_by(GatheringRow.starts_at, GatheringRow.id)).all()
    coming = [row for row in rows if row.starts_at + timedelta(minutes=row.minutes) > now]
    found = [
        Planned(row.course_id, row.kind, row.number, calendar.title(file, row.kind, row.number), row.starts_at, row.link or "")
        for row in coming
        if (file := files[row.course_id]) is not None
    ]
    return (*(Planned(course_id) for course_id, file in files.items() if file is None), *found)


def _comes_to(mine: "sa.Select[int]") -> "sa.ColumnElement[bool]":
    """Gatherings of the person's own groups, or of everybody in their course."""
    return sa.or_(GatheringRow.group_id.in_(mine), GatheringRow.group_id.in_(sa.select(Group.id).where(Group.large)))


# The end --------------------------------------------------------------------------------------------------------------------------------


def _over(now: datetime) -> "sa.Select[Any]":
    return sa.select(Course.id).where(Course.over_at <= now, Course.ended_at.is_(None)).order_by(Course.id)


def _end(tx: Tx, now: datetime) -> bool:
    found = tx.execute(_over(now).limit(1).with_for_update(skip_locked=True)).scalar_one_or_none()
    if found is not None:
        end(tx, found, now)
    return found is not None


def end(tx: Tx, course_id: int, now: datetime, *, actor: str = "system") -> None:
    """The course is over: it starts nothing any more. What people wrote and answered stays as its retention says."""
    tx.execute(sa.update(Course).where(Course.id == course_id).values(ended_at=now))
    left = sa.and_(OccasionRow.course_id == course_id, OccasionRow.state == "planned")
    tx.execute(sa.update(OccasionRow).where(left).values(state="cancelled", why="course_ended"))
    waiting = sa.and_(Schedule.course_id == course_id, Schedule.state.in_(TO_COME))
    tx.execute(sa.update(Schedule).where(waiting).values(state="cancelled", why="course_ended"))
    audit.record(tx, now, actor, "course.end", f"course:{course_id}")
