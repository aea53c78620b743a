"""Hides the rows behind a record of attendance: a person's own, and the register of a small group.

A mark counts by the kind and number of the gathering within its course: who sat in another group that week was there.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from app import access
from app.courses import calendar
from app.courses import file as course_file
from app.courses.file import CourseFile
from app.db import Tx
from app.db.prepared import Among, Prepared, slot
from app.errors import Invalid, NotFound
from app.keyring import Keyring
from app.models import Attendance, Course, Group, MakeUp, Membership, Participant
from app.models import Gathering as GatheringRow
from app.people import names
from bots.attendance.register import Mark, MyCourse, Register, Seat, Sitting, needed
from bots.turns import Role

#: A gathering by kind and number.
_Key = tuple[str, int]


def mine(tx: Tx, person_id: int) -> tuple[MyCourse, ...]:
    """Every course that runs and in which this person takes part, with its gatherings and their marks."""
    courses: dict[int, Any] = {}
    groups: dict[int, set[int]] = defaultdict(set)
    for row in _COURSES.all(tx, person=person_id):
        courses[row.id] = row
        groups[row.id].add(row.group_id)
    return tuple(_mine(tx, course, groups[course.id], person_id) for course in courses.values())


_COURSES = Prepared(
    lambda _: [
        sa.select(Course.id, Course.title, course_file.COPY, Membership.group_id)
        .join(Group, Group.course_id == Course.id)
        .join(Membership, Membership.group_id == Group.id)
        .where(Membership.person_id == slot("person"), Membership.role == Role.PARTICIPANT.value, Membership.ended_at.is_(None))
        .where(Course.file.is_not(None), Course.ended_at.is_(None))
        .order_by(Course.id)
    ]
)


def _mine(tx: Tx, course: Any, group_ids: set[int], person_id: int) -> MyCourse:
    file = course_file.frozen(course.file)
    sittings, ids = _sittings(tx, file, course.id, group_ids)
    marks = _by_person(tx, course.id, [person_id], ids).get(person_id, {})
    asked = _claims(tx, course.id, [person_id], ids).get(person_id, {})
    return MyCourse(course.id, course.title, _needed(file, sittings), sittings, marks, frozenset(asked))


def register(tx: Tx, keyring: Keyring, person_id: int, group_id: int) -> Register:
    """The register of a small group, as its staff see it; unseen by everybody else."""
    return register_for(tx, keyring, group_id) if access.may_take_attendance(tx, person_id, group_id) else Register()


def register_for(tx: Tx, keyring: Keyring, group_id: int) -> Register:
    """The register of a small group, without asking who looks: for the operator. Unseen where its course has no calendar."""
    query = sa.select(Group.id, Group.name, Group.course_id, course_file.COPY).join(Course, Course.id == Group.course_id)
    group = tx.execute(query.where(Group.id == group_id, Course.file.is_not(None))).one_or_none()
    if group is None:
        return Register()
    file = course_file.frozen(group.file)
    large = tx.execute(sa.select(Group.id).where(Group.course_id == group.course_id, Group.large)).scalars().all()
    sittings, ids = _sittings(tx, file, group.course_id, {group_id, *large})
    people = participants(tx, group_id)
    known = names(tx, keyring, people)
    marks, claims = _by_person(tx, group.course_id, people, ids), _claims(tx, group.course_id, people, ids)
    seats = tuple(Seat(each, known.get(each, "?"), marks.get(each, {}), claims.get(each, {})) for each in people)
    return Register(True, group.id, group.name, _needed(file, sittings), sittings, seats)


def gathering_of(tx: Tx, course_id: int, kind: str, number: int, group_id: int | None = None) -> tuple[int, int]:
    """The gathering of a course and the course's account. Raises `NotFound`, and `Invalid` where several groups have one of their own."""
    query = sa.select(GatheringRow.id, Course.account_id).join(Course, Course.id == GatheringRow.course_id)
    mine = query.where(GatheringRow.course_id == course_id, GatheringRow.kind == kind, GatheringRow.number == number, GatheringRow.held)
    rows = tx.execute(mine if group_id is None else mine.where(GatheringRow.group_id == group_id)).all()
    if not rows:
        raise NotFound("gathering", f"There is no {kind} {number} here; `tongban course calendar` shows what there is.")
    if len(rows) > 1:
        raise Invalid("group", f"Each group has a {kind} {number} of its own; say which with --group.")
    return rows[0].id, rows[0].account_id


def came_enough(tx: Tx, course_id: int) -> int | None:
    """How many who ever took part were at as many classes as the course's rule asks for, made up ones included; None without a calendar.

    A class counts once, whichever group one sat with.
    """
    file = tx.execute(sa.select(course_file.COPY).where(Course.id == course_id, Course.file.is_not(None))).scalar_one_or_none()
    if file is None:
        return None
    plan = course_file.frozen(file)
    classes = (GatheringRow.course_id == course_id, GatheringRow.kind == "class", GatheringRow.held)
    held = tx.execute(sa.select(sa.func.count(GatheringRow.number.distinct())).where(*classes)).scalar_one()
    each = (
        sa.select(Attendance.person_id)
        .join(GatheringRow, GatheringRow.id == Attendance.gathering_id)
        .join(Participant, sa.and_(Participant.person_id == Attendance.person_id, Participant.course_id == course_id))
        .where(*classes)
        .group_by(Attendance.person_id)
        .having(sa.func.count(GatheringRow.number.distinct()) >= max(1, _rule(plan, held)))
    )
    return tx.execute(sa.select(sa.func.count()).select_from(each.subquery())).scalar_one()


def participants(tx: Tx, group_id: int) -> list[int]:
    """The participants of a group in the order in which they joined."""
    query = sa.select(Membership.person_id).where(
        Membership.group_id == group_id, Membership.role == Role.PARTICIPANT.value, Membership.ended_at.is_(None)
    )
    return list(tx.execute(query.order_by(Membership.id)).scalars())


def cities_of(file: CourseFile, kind: str) -> tuple[dict[str, str], ...]:
    """Where gatherings of a kind are held, by language."""
    return tuple(file.retreat.cities) if kind == "retreat" and file.retreat is not None else ()


def _needed(file: CourseFile, sittings: Iterable[Sitting]) -> int:
    return _rule(file, sum(each.kind == "class" for each in sittings))


def _rule(file: CourseFile, held: int) -> int:
    return needed(file.attendance.needed if file.attendance else None, len(file.weeks), held)


def _sittings(tx: Tx, file: CourseFile, course_id: int, group_ids: set[int]) -> tuple[tuple[Sitting, ...], dict[_Key, int]]:
    """What is not called off of these groups, in its order, and its ids."""
    rows = _SITTINGS.all(tx, sorted(group_ids), course=course_id)
    found = [
        Sitting(
            row.id,
            row.kind,
            row.number,
            calendar.title(file, row.kind, row.number),
            row.starts_at,
            row.minutes,
            cities_of(file, row.kind),
        )
        for row in rows
    ]
    return tuple(found), {(each.kind, each.number): each.id for each in found}


_SITTINGS = Among(
    lambda groups: (
        sa.select(GatheringRow.id, GatheringRow.kind, GatheringRow.number, GatheringRow.starts_at, GatheringRow.minutes)
        .where(GatheringRow.course_id == slot("course"), GatheringRow.group_id.in_(groups), GatheringRow.held)
        .order_by(GatheringRow.starts_at, GatheringRow.id)
    )
)


def _by_person(tx: Tx, course_id: int, people: list[int], ids: dict[_Key, int]) -> dict[int, dict[int, Mark]]:
    found: dict[int, dict[int, Mark]] = defaultdict(dict)
    for row in _MARKS.all(tx, people, course=course_id):
        if (row.kind, row.number) in ids:
            found[row.person_id][ids[row.kind, row.number]] = Mark(row.how, row.city or "")
    return found


_MARKS = Among(
    lambda people: (
        sa.select(Attendance.person_id, Attendance.how, Attendance.city, GatheringRow.kind, GatheringRow.number)
        .join(GatheringRow, GatheringRow.id == Attendance.gathering_id)
        .where(GatheringRow.course_id == slot("course"), Attendance.person_id.in_(people))
    )
)


def _claims(tx: Tx, course_id: int, people: list[int], ids: dict[_Key, int]) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = defaultdict(dict)
    for row in _CLAIMS.all(tx, people, course=course_id):
        if (row.kind, row.number) in ids:
            found[row.person_id][ids[row.kind, row.number]] = row.id
    return found


_CLAIMS = Among(
    lambda people: (
        sa.select(MakeUp.id, MakeUp.person_id, GatheringRow.kind, GatheringRow.number)
        .join(GatheringRow, GatheringRow.id == MakeUp.gathering_id)
        .where(GatheringRow.course_id == slot("course"), MakeUp.person_id.in_(people))
        .order_by(MakeUp.id)
    )
)
