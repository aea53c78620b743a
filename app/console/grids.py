"""Hides what the two grids of a group show: who practised on which day, and who was at which class. Done or not, never how well."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import attendance
from app.console.actors import Actor
from app.db import Tx
from app.errors import NotFound
from app.homework import looking
from app.keyring import Keyring
from app.models import Course, Group
from bots.attendance.register import Mark, Sitting

_DAY = timedelta(days=1)
#: The days that stand side by side: a course of eight weeks and the days around it. Where there is no first day yet, the last four weeks.
MOST_DAYS, _USUAL_DAYS = 70, 28
#: What stands in the grid of attendance; weekly meetings would make it twice as wide.
_KINDS = ("class", "retreat")


@dataclass(frozen=True)
class Row:
    """One participant's days. `since`: from when on they could practise."""

    name: str = field(repr=False)
    since: date
    done: frozenset[date]


@dataclass(frozen=True)
class Practice:
    """Everybody's days from the first class on, the newest last."""

    days: tuple[date, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Column:
    """A class or the retreat. `over`: it has begun; where it is `taken`, a gap says that one was not there."""

    sitting: Sitting
    title: str
    over: bool
    came: int

    @property
    def taken(self) -> bool:
        """Whether somebody of the group was marked."""
        return self.came > 0


@dataclass(frozen=True)
class Seat:
    """One participant's marks, by gathering; `claims`: gatherings that they say they made up. `came`: to how many classes."""

    name: str = field(repr=False)
    marks: Mapping[int, Mark]
    claims: frozenset[int]
    came: int


@dataclass(frozen=True)
class Attendance:
    """Who was at which class, and at how many one should have been in the end."""

    columns: tuple[Column, ...]
    seats: tuple[Seat, ...]
    needed: int


@dataclass(frozen=True)
class Grids:
    """A small group's two grids."""

    id: int
    name: str
    course: str
    zone: str
    today: date
    practice: Practice
    attendance: Attendance


def page(tx: Tx, keyring: Keyring, actor: Actor, group_id: int, language: str, now: datetime) -> Grids:
    """The grids of a small group. Raises `NotFound` for the large one, which has none of its own."""
    query = sa.select(Group.name, Group.large, Course.title, Course.zone, Course.starts_on).join(Course, Course.id == Group.course_id)
    group = tx.execute(query.where(Group.id == group_id)).one()
    if group.large:
        raise NotFound("group", "The large group has no grids of its own.")
    here = now.astimezone(ZoneInfo(group.zone)).date()
    return Grids(
        id=group_id,
        name=group.name,
        course=group.title,
        zone=group.zone,
        today=here,
        practice=_practice(tx, keyring, group_id, group.starts_on, here),
        attendance=_attendance(tx, keyring, actor, group_id, language, now),
    )


def _practice(tx: Tx, keyring: Keyring, group_id: int, starts_on: date | None, here: date) -> Practice:
    first = max(starts_on or here - (_USUAL_DAYS - 1) * _DAY, here - (MOST_DAYS - 1) * _DAY)
    days = tuple(first + _DAY * place for place in range((here - first).days + 1))
    people = looking.calendar(tx, keyring, group_id, first)
    return Practice(days, tuple(Row(each.name, each.since, frozenset(each.days)) for each in people))


def _attendance(tx: Tx, keyring: Keyring, actor: Actor, group_id: int, language: str, now: datetime) -> Attendance:
    register = attendance.register(tx, keyring, actor.person_id, group_id)
    classes = {each.id for each in register.sittings if each.kind == "class"}
    seats = tuple(
        Seat(each.name, each.marks, frozenset(each.claims), sum(gathering in classes for gathering in each.marks))
        for each in register.seats
    )
    columns = []
    for sitting in register.sittings:
        if sitting.kind in _KINDS:
            came = sum(sitting.id in each.marks for each in seats)
            title = sitting.title.get(language) or sitting.title.get("zh", "")
            columns.append(Column(sitting, title, sitting.opens_at <= now, came))
    return Attendance(tuple(columns), seats, register.needed)
