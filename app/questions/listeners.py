"""Hides who is called for a group's questions: the leader and assistants, without whoever is away, the one who covers first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.db import Tx
from app.db.prepared import NOW, Prepared, slot
from app.models import Absence, Group, Membership
from app.models.columns import one_of
from bots.turns import Role

#: Who sees and answers the questions of a small group, the leader first.
ANSWERERS = (Role.LEADER, Role.ASSISTANT)


@dataclass(frozen=True)
class Staff:
    """One who answers in a group. `away_until` None: there. `covers`: called first while the leader is away."""

    person_id: int
    role: Role
    away_until: datetime | None = None
    covers: bool = False


def staff(tx: Tx, group_id: int, now: datetime) -> list[Staff]:
    """Everybody who answers in a group, leaders first; somebody who is both counts as leader."""
    rows = _STAFF.all(tx, group=group_id)
    roles = {row.person_id: Role(row.role) for row in reversed(rows)}
    away = {row.person_id: row for row in absences(tx, group_id, now)}
    covers = {row.cover_id for row in away.values()} - away.keys()
    order = dict.fromkeys(row.person_id for row in rows)
    return [Staff(each, roles[each], away[each].ends_at if each in away else None, each in covers) for each in order]


def absences(tx: Tx, group_id: int, now: datetime) -> list[Any]:
    """The absences that hold at this moment, the oldest first."""
    return _AWAY.all(tx, group=group_id, now=now)


_STAFF = Prepared(
    lambda _: [
        sa.select(Membership.person_id, Membership.role)
        .join(Group, Group.id == Membership.group_id)
        .where(Membership.group_id == slot("group"), Membership.ended_at.is_(None), one_of(Membership.role, ANSWERERS), ~Group.large)
        .order_by(sa.case((Membership.role == Role.LEADER.value, 0), else_=1), Membership.id)
    ]
)
_AWAY = Prepared(
    lambda _: [
        sa.select(*Absence.__table__.columns)
        .where(Absence.group_id == slot("group"), Absence.starts_at <= NOW, Absence.ends_at > NOW, Absence.ended_at.is_(None))
        .order_by(Absence.id)
    ]
)


def to_call(tx: Tx, group_id: int, now: datetime, *, first: bool) -> list[int]:
    """Whom to call: whoever is there; `first`: only who covers, where the leader is away. With everybody away, everybody."""
    everybody = staff(tx, group_id, now)
    there = [each for each in everybody if each.away_until is None]
    covering = [each for each in there if each.covers]
    return [each.person_id for each in (covering if first and covering else there or everybody)]


def mentors(tx: Tx, group_id: int) -> list[int]:
    """Who is told that questions wait: the group's mentors, else those of its course; without any, its administrators."""
    course_id = sa.select(Group.course_id).where(Group.id == group_id).scalar_subquery()
    rows = tx.execute(
        sa.select(Membership.person_id, Membership.role, Membership.group_id)
        .join(Group, Group.id == Membership.group_id)
        .where(
            Group.course_id == course_id,
            Membership.ended_at.is_(None),
            Membership.role.in_([Role.MENTOR.value, Role.ADMINISTRATOR.value]),
            sa.or_(Membership.group_id == group_id, Group.large),
        )
        .order_by(Membership.id)
    ).all()
    mentoring = [row for row in rows if row.role == Role.MENTOR.value]
    nearest = [row for row in mentoring if row.group_id == group_id] or mentoring or rows
    return list(dict.fromkeys(row.person_id for row in nearest))
