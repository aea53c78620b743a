"""Hides what the pages of groups show: how many sit where, what is odd about it in words, who is reachable how, who moved."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import access, forecast, groups
from app.channels import Rules
from app.console.actors import Actor
from app.console.rules import SEES_GROUPS
from app.db import Tx
from app.errors import Conflict, NotFound
from app.keyring import Keyring
from app.models import Course, Group, Identity, Membership, Person
from app.people import names
from bots.turns import Role

#: What the method asks of a small group: participants, and assistants beside the leader.
FEWEST, MOST = 20, 30
FEWEST_ASSISTANTS, MOST_ASSISTANTS = 2, 3
#: Members on one page, and moves that are shown.
PAGE, _MOVES = 100, 30
_ORDER = (Role.LEADER, Role.ASSISTANT, Role.MENTOR, Role.ADMINISTRATOR, Role.PARTICIPANT)


@dataclass(frozen=True)
class GroupLine:
    """A group and who sits in it. `warnings`: ends of text keys, with the number that is odd."""

    id: int
    course: str
    name: str
    large: bool
    capacity: int | None
    closed: bool
    counts: dict[Role, int]
    warnings: tuple[tuple[str, int], ...]

    @property
    def participants(self) -> int:
        """How many take part."""
        return self.counts.get(Role.PARTICIPANT, 0)


def lines(tx: Tx, actor: Actor, only: int | None = None) -> list[GroupLine]:
    """The groups that somebody looks after, small ones first; `only` one of them."""
    mine = access.groups_of(actor.person_id, SEES_GROUPS)
    query = (
        sa.select(Group.id, Course.title, Group.name, Group.large, Group.capacity, Group.closed_at)
        .join(Course, Course.id == Group.course_id)
        .where(Group.id.in_(mine))
        .order_by(Course.id.desc(), Group.large, Group.code)
    )
    rows = tx.execute(query if only is None else query.where(Group.id == only)).all()
    counts = groups.seated(tx, [row.id for row in rows])
    return [
        GroupLine(
            row.id, row.title, row.name, row.large, row.capacity, row.closed_at is not None, counts[row.id], _odd(row.large, counts[row.id])
        )
        for row in rows
    ]


def _odd(large: bool, counts: dict[Role, int]) -> tuple[tuple[str, int], ...]:
    if large:
        return ()
    people, leaders, assistants = (counts.get(role, 0) for role in (Role.PARTICIPANT, Role.LEADER, Role.ASSISTANT))
    found = (
        ("few", people, people < FEWEST),
        ("many", people, people > MOST),
        ("no_leader", leaders, leaders == 0),
        ("few_assistants", assistants, assistants < FEWEST_ASSISTANTS),
        ("many_assistants", assistants, assistants > MOST_ASSISTANTS),
    )
    return tuple((key, number) for key, number, odd in found if odd)


@dataclass(frozen=True)
class Member:
    """Somebody in a group. `reach`: now, notice, later or never, the last with a reason."""

    person_id: int
    name: str = field(repr=False)
    role: Role
    since: datetime
    reach: str
    why: str


@dataclass(frozen=True)
class Move:
    """Somebody left the group, or came from another one."""

    name: str = field(repr=False)
    role: Role
    at: datetime
    why: str


@dataclass(frozen=True)
class GroupPage:
    """A group with its members, a page of them, and who left it lately. `grids`: practice and attendance may be seen too."""

    line: GroupLine
    members: tuple[Member, ...]
    reach: dict[str, int]
    more: bool
    moves: tuple[Move, ...]
    grids: bool


def page(tx: Tx, keyring: Keyring, rules: Rules, actor: Actor, group_id: int, number: int, now: datetime) -> GroupPage:
    """Page `number`, from 0, of a group that this person may see."""
    line = lines(tx, actor, group_id)[0]
    ways = forecast.ways(tx, rules, group_id, now)
    rows = tx.execute(_members(group_id).limit(PAGE + 1).offset(number * PAGE)).all()
    gone = tx.execute(_left(group_id)).all()
    known = names(tx, keyring, [row.person_id for row in (*rows, *gone)])
    reach = {word: sum(1 for way in ways.values() if way == word) for word in ("now", "notice", "later", "never")}
    members = tuple(_member(row, known.get(row.person_id, "?"), ways.get(row.person_id, "never")) for row in rows[:PAGE])
    moves = tuple(Move(known.get(row.person_id, "?"), Role(row.role), row.ended_at, row.why_ended or "") for row in gone)
    grids = access.may_see_practice(tx, actor.person_id, group_id)
    return GroupPage(line, members, reach, len(rows) > PAGE, moves, grids)


def _members(group_id: int) -> "sa.Select[*tuple[Any, ...]]":
    consents = access.agreed(Membership.person_id, Group.course_id)
    order = sa.case({role.value: place for place, role in enumerate(_ORDER)}, value=Membership.role, else_=len(_ORDER))
    return (
        sa.select(
            *(Membership.person_id, Membership.role, Membership.started_at, Person.paused_at),
            *(Identity.unfollowed_at, Identity.unreachable_code, Identity.id.label("identity_id"), consents.label("consents")),
        )
        .join(Group, Group.id == Membership.group_id)
        .join(Course, Course.id == Group.course_id)
        .join(Person, Person.id == Membership.person_id)
        .outerjoin(Identity, sa.and_(Identity.person_id == Person.id, Identity.account_id == Course.account_id))
        .where(Membership.group_id == group_id, Membership.ended_at.is_(None), Membership.role != Role.RESEARCHER.value)
        .order_by(order, Membership.person_id)
    )


def _member(row: Any, name: str, way: str) -> Member:
    reasons = (
        ("paused", row.paused_at is not None),
        ("absent", row.identity_id is None),
        ("unfollowed", row.unfollowed_at is not None),
        ("blocked", row.unreachable_code is not None),
        ("no_consent", row.role == Role.PARTICIPANT.value and not row.consents),
    )
    why = next((word for word, holds in reasons if holds), "") if way == "never" else ""
    return Member(row.person_id, name, Role(row.role), row.started_at, way, why)


def _left(group_id: int) -> "sa.Select[*tuple[Any, ...]]":
    return (
        sa.select(Membership.person_id, Membership.role, Membership.ended_at, Membership.why_ended)
        .where(Membership.group_id == group_id, Membership.ended_at.is_not(None), Membership.role != Role.RESEARCHER.value)
        .order_by(Membership.ended_at.desc())
        .limit(_MOVES)
    )


def destinations(tx: Tx, group_id: int) -> list[tuple[int, str]]:
    """The other small groups of the same course into which somebody may be moved: id and name."""
    course = sa.select(Group.course_id).where(Group.id == group_id).scalar_subquery()
    query = sa.select(Group.id, Group.name).where(Group.course_id == course, ~Group.large, Group.id != group_id, Group.closed_at.is_(None))
    return [(row.id, row.name) for row in tx.execute(query.order_by(Group.code))]


def move(tx: Tx, actor: str, group_id: int, person_id: int, to: int, now: datetime) -> None:
    """Seat a participant of this group in another small group of the course. Raises `NotFound`, `Conflict` ("full").

    `actor`: whoever does it, as an audit row names them.
    """
    sits = sa.select(Membership.id).where(
        Membership.group_id == group_id,
        Membership.person_id == person_id,
        Membership.role == Role.PARTICIPANT.value,
        Membership.ended_at.is_(None),
    )
    if tx.execute(sits).first() is None or to not in {each for each, _ in destinations(tx, group_id)}:
        raise NotFound("seat", "There is no such seat.")
    capacity = tx.execute(sa.select(Group.capacity).where(Group.id == to).with_for_update()).scalar_one()
    if capacity is not None and groups.participants(tx, to) >= capacity:
        raise Conflict("full", "That group is full.")
    groups.move(tx, person_id, to, now, actor=actor)
