"""Hides who acts in the console: a person with the places that make them staff, read anew for every request."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa

from app import access
from app.access import GUARDED, STAFF
from app.db import Tx
from app.models import Course, Group, Membership
from bots.turns import Role


@dataclass(frozen=True)
class Seat:
    """A group in which somebody is staff."""

    course: int
    course_title: str
    group: int
    group_name: str
    large: bool
    role: Role


@dataclass(frozen=True)
class Actor:
    """Who is signed in. `session_id` is the session that asks."""

    login_id: int
    person_id: int
    session_id: int
    name: str = field(repr=False)
    language: str
    zone: str
    seats: tuple[Seat, ...] = ()
    on_call: bool = False  # for some course, and signed in as somebody who may see a name

    @property
    def roles(self) -> frozenset[Role]:
        """Every role that they hold anywhere."""
        return frozenset(seat.role for seat in self.seats)

    @property
    def word(self) -> str:
        """As an audit row names them."""
        return f"person:{self.person_id}"


def seats(tx: Tx, person_id: int) -> tuple[Seat, ...]:
    """Where this person is staff now, small groups first."""
    rows = tx.execute(
        sa.select(Group.course_id, Course.title, Group.id, Group.name, Group.large, Membership.role)
        .join(Group, Group.id == Membership.group_id)
        .join(Course, Course.id == Group.course_id)
        .where(Membership.person_id == person_id, Membership.ended_at.is_(None), Membership.role.in_([role.value for role in STAFF]))
        .order_by(Group.large, Group.id, Membership.role)
    )
    return tuple(Seat(*row[:5], Role(row.role)) for row in rows)


def is_on_call(tx: Tx, person_id: int, held: Iterable[Seat]) -> bool:
    """Whether this person is on call for some course and signs in with a second factor: a flag leads to a name."""
    return needs_code(held) and access.may_take_flag(tx, person_id, None)


def fingerprint(held: Iterable[Seat]) -> str:
    """What changes with every role that is given or taken: a session ends with it."""
    words = ",".join(sorted(f"{seat.group}:{seat.role}" for seat in held))
    return hashlib.sha256(words.encode()).hexdigest()[:32]


def needs_code(held: Iterable[Seat]) -> bool:
    """Whether who holds these signs in with a second factor: they see names or may address people."""
    return any(seat.role in GUARDED for seat in held)
