"""Hides which groups stand on a course's sheet of QR codes, and the code by which each is joined."""

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from app import access, groups
from app.console.actors import Actor
from app.console.rules import ANNOUNCES
from app.db import Tx
from app.keyring import Keyring
from app.models import Course, Group


@dataclass(frozen=True)
class CourseLine:
    """A course that runs, with the groups of it that this person may invite into: id and name."""

    id: int
    title: str
    account_id: int
    groups: tuple[tuple[int, str], ...]


def courses(tx: Tx, actor: Actor, only: int | None = None) -> list[CourseLine]:
    """The courses with small groups that are open and this person's, newest first; `only` one of them."""
    query = (
        sa.select(Course.id, Course.title, Course.account_id, Group.id.label("group_id"), Group.name)
        .join(Group, Group.course_id == Course.id)
        .where(
            Group.id.in_(access.groups_of(actor.person_id, ANNOUNCES)), ~Group.large, Group.closed_at.is_(None), Course.ended_at.is_(None)
        )
        .order_by(Course.id.desc(), Group.code)
    )
    found: dict[tuple[int, str, int], list[tuple[int, str]]] = {}
    for row in tx.execute(query if only is None else query.where(Course.id == only)):
        found.setdefault((row.id, row.title, row.account_id), []).append((row.group_id, row.name))
    return [CourseLine(*course, tuple(own)) for course, own in found.items()]


@dataclass(frozen=True)
class Code:
    """A group with the code to type."""

    name: str
    code: str = field(repr=False)


def codes(tx: Tx, keyring: Keyring, course: CourseLine, now: datetime) -> list[Code]:
    """The code of each group; made where there is none."""
    return [Code(name, groups.group_code(tx, keyring, group_id, now)) for group_id, name in course.groups]
