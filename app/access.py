"""Who may do what to whom: the only doors to other people's things. Roles are read in the caller's transaction."""

import sqlalchemy as sa

from app.db import Tx
from app.models import Course, Group, Membership, OnCall
from bots.turns import ANNOUNCERS, Role

#: Who may take the answers of a course away, under numbers.
EXPORTERS = frozenset({Role.RESEARCHER, Role.ADMINISTRATOR})


def roles_in_group(tx: Tx, person_id: int, group_id: int) -> frozenset[Role]:
    """The roles that a person holds now in a group; an administrator of the course holds theirs in each of its groups."""
    course_id = sa.select(Group.course_id).where(Group.id == group_id).scalar_subquery()
    rows = tx.execute(
        sa.select(Membership.role)
        .join(Group, Group.id == Membership.group_id)
        .where(
            Membership.person_id == person_id,
            Membership.ended_at.is_(None),
            sa.or_(
                Membership.group_id == group_id,
                sa.and_(Group.course_id == course_id, Membership.role == Role.ADMINISTRATOR.value),
            ),
        )
    )
    return frozenset(Role(row.role) for row in rows)


def may_announce(tx: Tx, person_id: int, group_id: int) -> bool:
    """Whether this person may address this group: its leader or assistant, or an administrator of its course.

    In the large group sit all leaders, but only administrators speak to it.
    """
    large = tx.execute(sa.select(Group.large).where(Group.id == group_id)).scalar_one_or_none()
    speakers = frozenset({Role.ADMINISTRATOR}) if large else ANNOUNCERS
    return bool(roles_in_group(tx, person_id, group_id) & speakers)


def may_see_practice(tx: Tx, person_id: int, group_id: int) -> bool:
    """Whether this person sees who practised in a small group, and what was shared with it: who may address it."""
    large = tx.execute(sa.select(Group.large).where(Group.id == group_id)).scalar_one_or_none()
    return large is False and may_announce(tx, person_id, group_id)


def may_take_flag(tx: Tx, person_id: int, course_id: int | None) -> bool:
    """Whether this person is on call for the course (None: for any course)."""
    query = sa.select(OnCall.id).where(OnCall.person_id == person_id)
    if course_id is not None:
        query = query.where(OnCall.course_id == course_id)
    return tx.execute(query.limit(1)).first() is not None


def may_export(tx: Tx, person_id: int, course_id: int) -> bool:
    """Whether this person may have the numbers and answers of a course for research: its researchers and administrators."""
    return _holds(tx, person_id, course_id, EXPORTERS)


def may_keep_words(tx: Tx, person_id: int, course_id: int) -> bool:
    """Whether this person decides about the warm words of a course, and sees how they are received: its administrators."""
    return _holds(tx, person_id, course_id, frozenset({Role.ADMINISTRATOR}))


def may_propose_words(tx: Tx, person_id: int, course_id: int) -> bool:
    """Whether this person may put words into the library of a course, for an administrator to approve: its staff in the chat."""
    return _holds(tx, person_id, course_id, ANNOUNCERS)


def _holds(tx: Tx, person_id: int, course_id: int, roles: frozenset[Role]) -> bool:
    """Whether this person holds one of these roles now in any group of the course."""
    mine = (
        sa.select(Membership.id)
        .join(Group, Group.id == Membership.group_id)
        .where(
            Group.course_id == course_id,
            Membership.person_id == person_id,
            Membership.ended_at.is_(None),
            Membership.role.in_([role.value for role in roles]),
        )
    )
    return tx.execute(mine.limit(1)).first() is not None


def announced_groups(tx: Tx, person_id: int) -> tuple[int, ...]:
    """The ids of every group that this person may address now."""
    mine = (
        sa.select(Membership.group_id)
        .join(Group, Group.id == Membership.group_id)
        .where(
            Membership.person_id == person_id,
            Membership.ended_at.is_(None),
            Membership.role.in_([role.value for role in ANNOUNCERS]),
            ~Group.large,
        )
    )
    administered = (
        sa.select(Group.course_id)
        .join(Membership, Membership.group_id == Group.id)
        .join(Course, Course.id == Group.course_id)
        .where(Membership.person_id == person_id, Membership.ended_at.is_(None), Membership.role == Role.ADMINISTRATOR.value)
    )
    rows = tx.execute(sa.select(Group.id).where(sa.or_(Group.id.in_(mine), Group.course_id.in_(administered))))
    return tuple(row.id for row in rows)
