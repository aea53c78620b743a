"""Hides how somebody comes to be marked: signs in, is ticked by their staff, makes up a class; each once, whoever is first."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import access, audit, broadcasts, ids
from app.attendance.reading import cities_of, participants
from app.broadcasts import Draft
from app.courses import calendar
from app.courses import file as course_file
from app.db import Tx, upsert, upserting
from app.db.prepared import Among, Prepared, slot
from app.groups import Refused
from app.keyring import Keyring
from app.models import Attendance, Course, Group, MakeUp, Membership
from app.models import Gathering as GatheringRow
from app.people import names
from bots.attendance.register import EARLY, LATE
from bots.effects import Attend, ClaimMakeUp, MarkAttendance, SettleMakeUp
from bots.turns import OccasionKind, Role

#: For how long a leader is asked, and a participant told, of a make-up.
_USEFUL = timedelta(days=7)


def apply(tx: Tx, keyring: Keyring, person_id: int, effect: Attend | MarkAttendance | ClaimMakeUp | SettleMakeUp, now: datetime) -> None:
    """What this person does in the chat. Raises `Refused`, as the function for it does."""
    match effect:
        case Attend():
            sign_in(tx, person_id, effect, now)
        case MarkAttendance():
            mark(tx, person_id, effect, now)
        case ClaimMakeUp(gathering=gathering):
            claim(tx, keyring, person_id, gathering, now)
        case SettleMakeUp():
            settle(tx, keyring, person_id, effect, now)


def sign_in(tx: Tx, person_id: int, effect: Attend, now: datetime) -> None:
    """The person is there. Raises `Refused` ("foreign", "closed", "city"). Of two that race both are content and one is kept."""
    row = _own(tx, person_id, effect.gathering)
    if not row.starts_at - EARLY <= now < row.starts_at + timedelta(minutes=row.minutes) + LATE:
        raise Refused("closed", "One signs in from a quarter of an hour before the beginning until half an hour after the end.")
    if effect.city not in ([each["zh"] for each in cities_of(course_file.frozen(row.file), row.kind)] or [""]):
        raise Refused("city", "The retreat is not held there.")
    put(tx, row.id, [person_id], effect.how if effect.how in ("word", "qr") else "word", now, city=effect.city or None)
    if effect.city:
        mine = (Attendance.gathering_id == row.id, Attendance.person_id == person_id)
        tx.execute(sa.update(Attendance).where(*mine).values(city=effect.city))


def put(tx: Tx, gathering_id: int, people: Iterable[int], how: str, now: datetime, *, city: str | None = None) -> int:
    """Mark these people, where they are not marked; returns how many were not."""
    rows = [{"gathering_id": gathering_id, "person_id": each, "how": how, "city": city, "at": now} for each in people]
    if not rows:
        return 0
    before = {row.person_id for row in _THERE.all(tx, [row["person_id"] for row in rows], gathering=gathering_id)}
    _MARK.each(tx, rows)
    return len({row["person_id"] for row in rows} - before)


_THERE = Among(
    lambda people: sa.select(Attendance.person_id).where(Attendance.gathering_id == slot("gathering"), Attendance.person_id.in_(people))
)
_ROW = ("gathering_id", "person_id", "how", "city", "at")
_MARK = Prepared(lambda dialect: [upserting(dialect, Attendance).values({name: slot(name) for name in _ROW}).on_conflict_do_nothing()])


def mark(tx: Tx, person_id: int, effect: MarkAttendance, now: datetime) -> None:
    """Staff say who was there. Raises `Refused` ("role", "foreign", "early")."""
    if not access.may_take_attendance(tx, person_id, effect.group):
        raise Refused("role", "Only the staff of a group mark who came.")
    if effect.how not in ("tick", "made_up", ""):
        raise ValueError(f"Staff tick, or say made up, not {effect.how!r}.")
    row = _gathering(tx, effect.gathering)
    group = tx.execute(sa.select(Group.id, Group.course_id).where(Group.id == effect.group)).one()
    if row is None or row.course_id != group.course_id or not (row.group_id == group.id or row.large):
        raise Refused("foreign", "This group does not come to that gathering.")
    if not set(effect.people) <= set(participants(tx, effect.group)):
        raise Refused("foreign", "Somebody of these does not take part in this group.")
    if now < row.starts_at - EARLY:
        raise Refused("early", "It has not begun.")
    alike = _alike(row)
    if effect.how == "":
        tx.execute(sa.delete(Attendance).where(Attendance.gathering_id.in_(alike), Attendance.person_id.in_(effect.people)))
    else:
        _let_be(tx, row.id, alike, effect.people, effect.how, now)
    actor = f"person:{person_id}"
    audit.record(tx, now, actor, "attendance.mark", f"gathering:{row.id}", group=effect.group, how=effect.how, people=len(effect.people))


def _let_be(tx: Tx, gathering_id: int, alike: "sa.Select[int]", people: Iterable[int], how: str, now: datetime) -> None:
    """Ticked or made up, whatever was before; who signed in themself stays signed in when they are ticked too."""
    # Claims before marks, as `settle` has it: two who meet here wait for each other and do not lock each other out.
    tx.execute(sa.delete(MakeUp).where(MakeUp.gathering_id.in_(alike), MakeUp.person_id.in_(people)))
    marked = sa.select(Attendance.person_id).where(Attendance.gathering_id.in_(alike), Attendance.person_id.in_(people))
    there = set(tx.execute(marked).scalars())
    put(tx, gathering_id, [each for each in people if each not in there], how, now)
    former = (Attendance.gathering_id.in_(alike), Attendance.person_id.in_(there))
    changes = Attendance.how == "made_up" if how == "tick" else Attendance.how != "made_up"
    tx.execute(sa.update(Attendance).where(*former, changes).values(how=how, at=now))


# Make-ups -------------------------------------------------------------------------------------------------------------------------------


def claim(tx: Tx, keyring: Keyring, person_id: int, gathering_id: int, now: datetime) -> None:
    """Somebody says that they made up a class; who leads them is asked. Raises `Refused` ("foreign", "early", "there", "asked")."""
    row = _own(tx, person_id, gathering_id)
    if row.kind != "class":
        raise Refused("foreign", "Classes are made up, nothing else.")
    if now < row.starts_at + timedelta(minutes=row.minutes):
        raise Refused("early", "The class is not over.")
    alike = _alike(row)
    if tx.execute(sa.select(Attendance.id).where(Attendance.gathering_id.in_(alike), Attendance.person_id == person_id)).first():
        raise Refused("there", "They are marked as there.")
    claim_id = ids.new_id()
    values = {"id": claim_id, "gathering_id": row.id, "person_id": person_id, "asked_at": now}
    tx.execute(upsert(tx, MakeUp).values(**values).on_conflict_do_nothing())
    if tx.execute(sa.select(MakeUp.id).where(MakeUp.id == claim_id)).first() is None:
        raise Refused("asked", "Their leader has been asked already.")
    details = {"reason": "claim", "claim": claim_id, "author_name": names(tx, keyring, [person_id]).get(person_id) or ""}
    _report(tx, keyring, row, details, _staff(tx, person_id, row.course_id), now, author_id=person_id)


def settle(tx: Tx, keyring: Keyring, person_id: int, effect: SettleMakeUp, now: datetime) -> None:
    """Staff confirm a make-up, or do not; who asked is told. Raises `Refused` ("role", "gone")."""
    query = sa.select(MakeUp.id, MakeUp.person_id, MakeUp.gathering_id).where(MakeUp.id == effect.claim)
    found = tx.execute(query.with_for_update()).one_or_none()
    if found is None:
        raise Refused("gone", "Nobody waits for this any more.")
    row = _gathering(tx, found.gathering_id)
    assert row is not None  # noqa: S101 - a claim goes with its gathering
    if not any(access.may_take_attendance(tx, person_id, each) for each in _small_groups(tx, found.person_id, row.course_id)):
        raise Refused("role", "Only the staff of their group confirm this.")
    tx.execute(sa.delete(MakeUp).where(MakeUp.id == found.id))
    if effect.accepted:
        _let_be(tx, row.id, _alike(row), [found.person_id], "made_up", now)
    audit.record(tx, now, f"person:{person_id}", "attendance.settle", f"gathering:{row.id}", accepted=effect.accepted)
    _report(tx, keyring, row, {"reason": "settled", "accepted": effect.accepted}, [found.person_id], now)


def _report(
    tx: Tx, keyring: Keyring, row: Any, details: dict[str, Any], people: list[int], now: datetime, *, author_id: int | None = None
) -> None:
    title = calendar.title(course_file.frozen(row.file), row.kind, row.number)
    draft = Draft(
        account_id=row.account_id,
        key_id=row.data_key_id,
        bot="attendance",
        kind=OccasionKind.REPORT,
        details={"number": row.number, "title": dict(title), **details},
        course_id=row.course_id,
        author_id=author_id,
        stale_at=now + _USEFUL,
    )
    if people:
        broadcasts.send_to(tx, keyring, draft, people, now)


def _staff(tx: Tx, person_id: int, course_id: int) -> list[int]:
    """Who leads and assists this person's small group; where nobody does, the administrators of the course."""
    own = sa.select(Membership.person_id).distinct().where(Membership.ended_at.is_(None)).order_by(Membership.person_id)
    leading = own.where(
        Membership.group_id.in_(_small_groups(tx, person_id, course_id)),
        Membership.role.in_([Role.LEADER.value, Role.ASSISTANT.value]),
    )
    groups = sa.select(Group.id).where(Group.course_id == course_id)
    administering = own.where(Membership.group_id.in_(groups), Membership.role == Role.ADMINISTRATOR.value)
    return list(tx.execute(leading).scalars()) or list(tx.execute(administering).scalars())


def _small_groups(tx: Tx, person_id: int, course_id: int) -> list[int]:
    query = sa.select(Membership.group_id).join(Group, Group.id == Membership.group_id)
    mine = query.where(Membership.person_id == person_id, Membership.role == Role.PARTICIPANT.value, Membership.ended_at.is_(None))
    return list(tx.execute(mine.where(Group.course_id == course_id, ~Group.large)).scalars())


# Gatherings -----------------------------------------------------------------------------------------------------------------------------


def _gathering(tx: Tx, gathering_id: int) -> Any:
    """A gathering that is not called off, with its group and course; None where there is none, or the course has ended."""
    return _LIVE.first(tx, gathering=gathering_id)


def _live() -> "sa.Select[Any]":
    course = (course_file.COPY, Course.account_id, Course.data_key_id)
    query = (
        sa.select(*GatheringRow.__table__.columns, Group.large, *course)
        .join(Group, Group.id == GatheringRow.group_id)
        .join(Course, Course.id == GatheringRow.course_id)
    )
    return query.where(GatheringRow.id == slot("gathering"), GatheringRow.held, Course.ended_at.is_(None), Course.file.is_not(None))


_LIVE = Prepared(lambda _: [_live()])


def _own(tx: Tx, person_id: int, gathering_id: int) -> Any:
    """A gathering of a group in which this person takes part. Raises `Refused` ("foreign")."""
    row = _gathering(tx, gathering_id)
    if row is None or not _takes_part(tx, person_id, row.group_id):
        raise Refused("foreign", "This person does not take part in that group.")
    return row


def _takes_part(tx: Tx, person_id: int, group_id: int) -> bool:
    return _SEAT.first(tx, person=person_id, group=group_id) is not None


_SEAT = Prepared(
    lambda _: [
        sa.select(Membership.id)
        .where(Membership.person_id == slot("person"), Membership.group_id == slot("group"), Membership.ended_at.is_(None))
        .where(Membership.role == Role.PARTICIPANT.value)
        .limit(1)
    ]
)


def _alike(row: Any) -> "sa.Select[int]":
    """The gatherings of the course with the same kind and number, this one too."""
    return sa.select(GatheringRow.id).where(
        GatheringRow.course_id == row.course_id, GatheringRow.kind == row.kind, GatheringRow.number == row.number
    )
