"""Hides how check-ins are stored: one for a person, day and practice; a line for their own eyes; shared only by an explicit choice."""

from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import access, audit, broadcasts, encouragement, ids
from app.broadcasts import Draft
from app.courses import file as course_file
from app.db import Tx
from app.db.prepared import Prepared, slot
from app.groups import Refused
from app.homework import sending
from app.keyring import Place
from app.models import CheckIn, Course, Group, Membership
from app.situation import Situation, Tools
from bots.effects import AddLine, ShareCheckIn
from bots.effects import CheckIn as Noted
from bots.encouragement.words import Trigger
from bots.homework import days
from bots.homework.voice import LINE_BYTES
from bots.turns import OccasionKind, Role

_MOST_MINUTES = 600
#: What somebody shared is of use for so long.
_USEFUL = timedelta(days=3)


def note(tx: Tx, tools: Tools, situation: Situation, noted: Noted) -> None:
    """Store that the person practised; a second time corrects the first. Raises `Refused` ("role", "day", "practice")."""
    person_id, now = situation.known.id, situation.now
    here = days.today(now, situation.known.zone)
    file = _file(tx, person_id, noted.course)
    if not days.may_note(noted.day, here):
        raise Refused("day", "Only today and the two days before can be noted.")
    if all(each.code != noted.practice for each in file.practices):
        raise Refused("practice", "The course has no such practice.")
    sending.take_back_reminders(tx, noted.course, person_id, now)
    before = _days(tx, person_id, noted.course)
    _store(tx, person_id, noted, now)
    if not before:
        encouragement.after(tx, tools, noted.course, person_id, Trigger.FIRST, now)
    elif days.returns(before, here):
        encouragement.after(tx, tools, noted.course, person_id, Trigger.RETURN, now)


def _file(tx: Tx, person_id: int, course_id: int) -> course_file.CourseFile:
    """The file of a course in which the person takes part now, with consent. Raises `Refused` ("role")."""
    row = _RUNS.first(tx, person=person_id, course=course_id)
    if row is None:
        raise Refused("role", "Only who takes part in a running course checks in there.")
    return course_file.frozen(row.file)


def _running() -> "sa.Select[Any]":
    """The frozen file of a course in which somebody takes part, with consent."""
    person = slot("person")
    runs = (Course.id == slot("course"), Course.ended_at.is_(None), Course.file.is_not(None))
    return sa.select(course_file.COPY).where(*runs, access.seated(person, Course.id), access.agreed(person, Course.id))


_RUNS = Prepared(lambda _: [_running()])


_DAYS = Prepared(
    lambda _: [sa.select(CheckIn.day).distinct().where(CheckIn.person_id == slot("person"), CheckIn.course_id == slot("course"))]
)


def _days(tx: Tx, person_id: int, course_id: int) -> set[date]:
    return {row.day for row in _DAYS.all(tx, person=person_id, course=course_id)}


_FOUND = Prepared(
    lambda _: [
        sa.select(*CheckIn.__table__.columns)
        .where(CheckIn.person_id == slot("person"), CheckIn.course_id == slot("course"))
        .where(CheckIn.day == slot("day"), CheckIn.practice == slot("practice"))
        .with_for_update()
    ]
)


def _store(tx: Tx, person_id: int, noted: Noted, now: datetime) -> None:
    minutes = noted.minutes if noted.minutes is None else max(1, min(noted.minutes, _MOST_MINUTES))
    found = _FOUND.first(tx, person=person_id, course=noted.course, day=noted.day, practice=noted.practice)
    if found is None:
        row = {"id": ids.new_id(), "course_id": noted.course, "person_id": person_id, "day": noted.day, "practice": noted.practice}
        _NOTE.run(tx, **row, minutes=minutes, noted_at=now)
    elif minutes is not None:
        _CORRECT.run(tx, check_in=found.id, minutes=minutes)


_NEW = ("id", "course_id", "person_id", "day", "practice", "minutes", "noted_at")
_NOTE = Prepared(lambda _: [sa.insert(CheckIn).values({name: slot(name) for name in _NEW})])
_CORRECT = Prepared(lambda _: [_one().values(minutes=slot("minutes"))])
_PUT_LINE = Prepared(lambda _: [_one().values(line_sealed=slot("line"))])
_SHARE = Prepared(
    lambda _: [_one().values(shared_at=slot("shared_at"), told_at=slot("told_at"), broadcast_id=slot("broadcast"))],
)


def _one() -> "sa.Update":
    """A change of one check-in."""
    return sa.update(CheckIn).where(CheckIn.id == slot("check_in"))


def add_line(tx: Tx, situation: Situation, line: AddLine) -> None:
    """Put a line to a check-in, sealed under the person's key. Raises `Refused` ("role", "foreign", "long")."""
    _file(tx, situation.known.id, line.course)
    found = _mine(tx, situation, line)
    if len(line.text.encode()) > LINE_BYTES:
        raise Refused("long", f"A line holds at most {LINE_BYTES} bytes (about 200 Chinese characters).")
    sealed = situation.known.key.seal(Place("check_ins", "line_sealed", found.id), line.text)
    _PUT_LINE.run(tx, check_in=found.id, line=sealed)


def _mine(tx: Tx, situation: Situation, of: AddLine | ShareCheckIn) -> Any:
    found = _FOUND.first(tx, person=situation.known.id, course=of.course, day=of.day, practice=of.practice)
    if found is None:
        raise Refused("foreign", "There is no such check-in of theirs.")
    return found


def share(tx: Tx, tools: Tools, situation: Situation, wish: ShareCheckIn) -> None:
    """Let those who lead see it, and with `aloud` tell the small group, once. Raises `Refused` ("role", "foreign", "group")."""
    person_id, now = situation.known.id, situation.now
    file = _file(tx, person_id, wish.course)
    found = _mine(tx, situation, wish)
    group = _SMALL_GROUP.first(tx, person=person_id, course=wish.course)
    if group is None:
        raise Refused("group", "They sit in no small group of this course.")
    tells = wish.aloud and found.told_at is None
    if tells or found.shared_at is None:
        told_at, told = (now, _tell(tx, tools, situation, file, found, group)) if tells else (found.told_at, found.broadcast_id)
        _SHARE.run(tx, check_in=found.id, shared_at=found.shared_at or now, told_at=told_at, broadcast=told)
        audit.record(tx, now, f"person:{person_id}", "homework.share", f"group:{group.id}", aloud=wish.aloud)


def _small_group() -> "sa.Select[*tuple[Any, ...]]":
    """The small group in which somebody takes part."""
    query = sa.select(Group.id, Group.name, Group.course_id).join(Membership, Membership.group_id == Group.id)
    seated = query.where(Membership.person_id == slot("person"), Membership.ended_at.is_(None), Membership.role == Role.PARTICIPANT.value)
    return seated.where(Group.course_id == slot("course"), ~Group.large).order_by(Group.id).limit(1)


_SMALL_GROUP = Prepared(lambda _: [_small_group()])


def _tell(tx: Tx, tools: Tools, situation: Situation, file: course_file.CourseFile, found: Any, group: Any) -> int:
    """One message to the others in the group, under the sharer's own key: with the key its words are gone."""
    key = situation.known.key
    line = None if found.line_sealed is None else key.unseal(Place("check_ins", "line_sealed", found.id), found.line_sealed)
    details = {
        "author_name": situation.known.name or "",
        "group_name": group.name,
        "practice": file.practice(found.practice).name,
        "minutes": found.minutes,
        "text": line or "",
    }
    draft = Draft(
        account_id=situation.account_id,
        key_id=key.id,
        bot="homework",
        kind=OccasionKind.SHARED,
        details=details,
        course_id=group.course_id,
        group_id=group.id,
        author_id=situation.known.id,
        stale_at=situation.now + _USEFUL,
    )
    return broadcasts.send_to_group(tx, tools.keyring, draft, situation.now)
