"""Who may do what to whom: the only doors to other people's things. Roles are read in the caller's transaction."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from app.db import Tx
from app.db.prepared import Prepared, slot
from app.models import ConsentGiven, Course, Flag, Group, Membership, OnCall, Prompt, PromptGroup
from app.models.columns import one_of
from bots.turns import ANNOUNCERS, APPROVERS, Role

#: Who may take the answers of a course away, under numbers.
EXPORTERS = frozenset({Role.RESEARCHER, Role.ADMINISTRATOR})
#: Who holds these holds them in every group of the course.
COURSE_WIDE = frozenset({Role.ADMINISTRATOR, Role.RESEARCHER})
#: Who may see the console at all, and who of them sees names or may address people: these sign in with a second factor.
STAFF = frozenset(Role) - {Role.PARTICIPANT}
GUARDED = STAFF - {Role.RESEARCHER}


def roles_in_group(tx: Tx, person_id: int, group_id: int) -> frozenset[Role]:
    """The roles that a person holds now in a group; an administrator of the course holds theirs in each of its groups."""
    return frozenset(Role(row.role) for row in _ROLES.all(tx, person=person_id, group=group_id))


def _roles() -> "sa.Select[str]":
    course_id = sa.select(Group.course_id).where(Group.id == slot("group")).scalar_subquery()
    here = sa.or_(Membership.group_id == slot("group"), sa.and_(Group.course_id == course_id, Membership.role == Role.ADMINISTRATOR.value))
    query = sa.select(Membership.role).join(Group, Group.id == Membership.group_id)
    return query.where(Membership.person_id == slot("person"), Membership.ended_at.is_(None), here)


_ROLES = Prepared(lambda _: [_roles()])


def may_announce(tx: Tx, person_id: int, group_id: int) -> bool:
    """Whether this person may address this group: its leader or assistant, or an administrator of its course.

    In the large group sit all leaders, but only administrators speak to it.
    """
    large = _large(tx, group_id)
    speakers = frozenset({Role.ADMINISTRATOR}) if large else ANNOUNCERS
    return bool(roles_in_group(tx, person_id, group_id) & speakers)


def may_approve(tx: Tx, person_id: int, group_id: int) -> bool:
    """Whether this person's eyes count as the second pair for what goes to this group. Whose words they are is not asked here."""
    return tx.execute(approved_groups(person_id).where(Group.id == group_id)).first() is not None


def approved_groups(person_id: int) -> "sa.Select[int]":
    """The ids of the groups for which somebody's eyes count as the second pair.

    An administrator's for every group of the course; a mentor's for their groups, and for the large group, in which these sit.
    """
    large = sa.and_(Group.large, Group.course_id.in_(courses_of(person_id, {Role.MENTOR})))
    return sa.select(Group.id).where(sa.or_(Group.id.in_(groups_of(person_id, APPROVERS)), large))


def approvers(tx: Tx, group_id: int, author_id: int | None) -> list[int]:
    """Whose eyes count as the second pair for what this author says to this group; None: the operator."""
    group = tx.execute(sa.select(Group.course_id, Group.large).where(Group.id == group_id)).one()
    here = sa.true() if group.large else Membership.group_id == group_id
    counts = sa.or_(Membership.role == Role.ADMINISTRATOR.value, sa.and_(Membership.role == Role.MENTOR.value, here))
    query = (
        sa.select(Membership.person_id)
        .distinct()
        .join(Group, Group.id == Membership.group_id)
        .where(Group.course_id == group.course_id, Membership.ended_at.is_(None), counts)
        .order_by(Membership.person_id)
    )
    return [person_id for person_id in tx.execute(query).scalars() if person_id != author_id]


def _large(tx: Tx, group_id: int) -> bool | None:
    """Whether it is the large group; None where there is no such group."""
    row = _LARGE.first(tx, group=group_id)
    return None if row is None else bool(row.large)


_LARGE = Prepared(lambda _: [sa.select(Group.large).where(Group.id == slot("group"))])


def takes_part(tx: Tx, person_id: int, group_id: int) -> bool:
    """Whether this person takes part in this small group of a running course, and thus may ask its leader."""
    return _sits(tx, person_id, group_id, (Role.PARTICIPANT,))


def agreed(person: Any, course: Any) -> sa.Exists:
    """For a statement: whether somebody's consent to a course stands. Both are columns or places of the statement."""
    mine = (ConsentGiven.person_id == person, ConsentGiven.course_id == course, ConsentGiven.ended_at.is_(None))
    return sa.select(ConsentGiven.id).where(*mine).exists()


def seated(person: Any, course: Any) -> sa.Exists:
    """For a statement: whether somebody takes part in any group of a course. Both are columns or places of the statement."""
    mine = (Membership.person_id == person, Membership.role == Role.PARTICIPANT.value, Membership.ended_at.is_(None))
    return sa.select(Membership.id).join(Group, Group.id == Membership.group_id).where(Group.course_id == course, *mine).exists()


def may_answer(tx: Tx, person_id: int, group_id: int) -> bool:
    """Whether this person sees and answers what is asked in this small group: its leader and assistants, and nobody above them."""
    return _sits(tx, person_id, group_id, (Role.LEADER, Role.ASSISTANT))


def leads(tx: Tx, person_id: int, group_id: int) -> bool:
    """Whether this person leads this small group now."""
    return _sits(tx, person_id, group_id, (Role.LEADER,))


def _sits(tx: Tx, person_id: int, group_id: int, roles: tuple[Role, ...]) -> bool:
    held = _SITS.all(tx, person=person_id, group=group_id)
    return any(row.role in roles for row in held)


_SITS = Prepared(
    lambda _: [
        sa.select(Membership.role)
        .join(Group, Group.id == Membership.group_id)
        .join(Course, Course.id == Group.course_id)
        .where(
            Membership.person_id == slot("person"),
            Membership.group_id == slot("group"),
            Membership.ended_at.is_(None),
            ~Group.large,
            Course.ended_at.is_(None),
        )
    ]
)


def may_take_attendance(tx: Tx, person_id: int, group_id: int) -> bool:
    """Whether this person sees and marks who came: leader or assistant of this small group, or an administrator of its course.

    The large group has no register of its own: each small group keeps the one of its people.
    """
    large = _large(tx, group_id)
    return large is False and bool(roles_in_group(tx, person_id, group_id) & ANNOUNCERS)


def may_see_practice(tx: Tx, person_id: int, group_id: int) -> bool:
    """Whether this person sees who practised in a small group, and what was shared with it: who may address it."""
    large = _large(tx, group_id)
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


def may_change_prompt(tx: Tx, person_id: int, prompt_id: int) -> bool:
    """Whether a practice prompt is this person's to change, pause or end.

    It is where they may address each of its groups; its author may also where they still may address one of them.
    """
    allowed = set(announced_groups(tx, person_id))
    groups = set(tx.execute(sa.select(PromptGroup.group_id).where(PromptGroup.prompt_id == prompt_id)).scalars())
    author = tx.execute(sa.select(Prompt.author_id).where(Prompt.id == prompt_id)).scalar_one_or_none()
    return bool(groups & allowed) and (groups <= allowed or author == person_id)


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


def answered_groups(tx: Tx, person_id: int) -> tuple[int, ...]:
    """The ids of the small groups whose questions this person sees and answers now."""
    return tuple(row.group_id for row in _ANSWERED.all(tx, person=person_id))


_ANSWERED = Prepared(
    lambda _: [
        sa.select(Membership.group_id)
        .distinct()
        .join(Group, Group.id == Membership.group_id)
        .join(Course, Course.id == Group.course_id)
        .where(
            Membership.person_id == slot("person"),
            Membership.ended_at.is_(None),
            one_of(Membership.role, (Role.LEADER, Role.ASSISTANT)),
            ~Group.large,
            Course.ended_at.is_(None),
        )
    ]
)


# Where the console's queries begin: what is not in one of these does not exist for whoever asks ---------------------------------------


def groups_of(person_id: int, roles: Iterable[Role]) -> "sa.Select[int]":
    """The ids of the groups in which this person holds one of these roles: staff their small groups, administrators their whole course."""
    wanted = frozenset(roles)
    own = (
        sa.select(Membership.group_id)
        .join(Group, Group.id == Membership.group_id)
        .where(
            Membership.person_id == person_id,
            Membership.ended_at.is_(None),
            Membership.role.in_([role.value for role in wanted - COURSE_WIDE]),
            ~Group.large,
        )
    )
    return sa.select(Group.id).where(sa.or_(Group.id.in_(own), Group.course_id.in_(courses_of(person_id, wanted & COURSE_WIDE))))


def courses_of(person_id: int, roles: Iterable[Role]) -> "sa.Select[int]":
    """The ids of the courses in any group of which this person holds one of these roles."""
    return (
        sa.select(Group.course_id)
        .join(Membership, Membership.group_id == Group.id)
        .where(Membership.person_id == person_id, Membership.ended_at.is_(None), Membership.role.in_([role.value for role in roles]))
    )


def flags_of(person_id: int, roles: Iterable[Role], *, on_call: bool) -> "sa.Select[int]":
    """The ids of the flags of the courses in which this person holds one of these roles, and with `on_call` of those they are on call for.

    A flag of no course is for whoever is on call for any.
    """
    held = courses_of(person_id, roles)
    mine = sa.select(OnCall.course_id).where(OnCall.person_id == person_id)
    theirs = sa.or_(Flag.course_id.in_(mine), sa.and_(Flag.course_id.is_(None), mine.exists())) if on_call else sa.false()
    return sa.select(Flag.id).where(sa.or_(Flag.course_id.in_(held), theirs))


def staff_under(person_id: int, roles: Iterable[Role]) -> "sa.Select[int]":
    """The ids of the others who are staff in the courses in which this person holds one of these roles, and nowhere else.

    Who is staff in another course too is not theirs: a new password for them would open that one.
    """
    held = courses_of(person_id, roles)
    staff = sa.select(Membership.person_id).join(Group, Group.id == Membership.group_id)
    staff = staff.where(Membership.ended_at.is_(None), Membership.role.in_([role.value for role in STAFF]))
    elsewhere = staff.where(Group.course_id.not_in(held))
    mine = staff.where(Group.course_id.in_(held), Membership.person_id != person_id).subquery()
    return sa.select(mine.c.person_id.label("id")).where(mine.c.person_id.not_in(elsewhere)).distinct()
