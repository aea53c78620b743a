"""Hides the list of staff as an administrator sees it: who is what where, how they sign in, what may be done about it."""

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from app import access, groups, people
from app.access import STAFF
from app.console import logins
from app.console.actors import Actor
from app.console.rules import RUNS
from app.db import Tx
from app.errors import Invalid, NotFound
from app.keyring import Keyring
from app.models import Course, Group, Identity, Login, Membership
from bots.turns import Role

#: What somebody may be invited as, in the order of the form.
INVITED = (Role.LEADER, Role.ASSISTANT, Role.MENTOR, Role.RESEARCHER, Role.ADMINISTRATOR)
_LONGEST_NAME = 60


@dataclass(frozen=True)
class StaffRow:
    """One person who is staff. `how`: password, password+code, wechat, none. `elsewhere`: in another course too, so not ours to change."""

    person_id: int
    name: str = field(repr=False)
    seats: tuple[tuple[str, Role], ...]
    how: str
    disabled: bool
    elsewhere: bool
    oneself: bool


def listed(tx: Tx, keyring: Keyring, actor: Actor) -> list[StaffRow]:
    """Everybody who is staff in the courses that this person runs."""
    held = access.courses_of(actor.person_id, RUNS)
    rows = tx.execute(
        sa.select(Membership.person_id, Group.name, Membership.role)
        .join(Group, Group.id == Membership.group_id)
        .where(Group.course_id.in_(held), Membership.ended_at.is_(None), Membership.role.in_([role.value for role in STAFF]))
        .order_by(Membership.person_id, Group.large, Group.code)
    ).all()
    whom = list(dict.fromkeys(row.person_id for row in rows))
    seats: dict[int, tuple[tuple[str, Role], ...]] = {}
    for row in rows:
        seats[row.person_id] = (*seats.get(row.person_id, ()), (row.name, Role(row.role)))
    names = people.names(tx, keyring, whom)
    columns = (Login.person_id, Login.password_hash, Login.totp_sealed, Login.disabled_at)
    known = {row.person_id: row for row in tx.execute(sa.select(*columns).where(Login.person_id.in_(whom)))}
    followed = sa.select(Identity.person_id).where(Identity.person_id.in_(whom), Identity.unfollowed_at.is_(None))
    following = set(tx.execute(followed).scalars())
    ours = set(tx.execute(access.staff_under(actor.person_id, RUNS)).scalars())

    def how(person_id: int) -> str:
        login = known.get(person_id)
        if login is None or login.password_hash is None:
            return "wechat" if person_id in following else "none"
        return "password" if login.totp_sealed is None else "password+code"

    return [
        StaffRow(
            person_id=each,
            name=names.get(each, "?"),
            seats=seats[each],
            how=how(each),
            disabled=each in known and known[each].disabled_at is not None,
            elsewhere=each not in ours and each != actor.person_id,
            oneself=each == actor.person_id,
        )
        for each in whom
    ]


def places(tx: Tx, actor: Actor) -> list[tuple[int, str, str, bool]]:
    """The groups into which they may invite staff: id, name, course, whether it is the large one."""
    query = (
        sa.select(Group.id, Group.name, Course.title, Group.large)
        .join(Course, Course.id == Group.course_id)
        .where(Group.id.in_(access.groups_of(actor.person_id, RUNS)), Course.ended_at.is_(None))
        .order_by(Course.id.desc(), Group.large, Group.code)
    )
    return [(row.id, row.name, row.title, row.large) for row in tx.execute(query)]


@dataclass(frozen=True)
class Invited:
    """A code for the chat and the token of a link into the console; each works once."""

    name: str = field(repr=False)
    code: str = field(repr=False)
    token: str = field(repr=False)


def invite(tx: Tx, keyring: Keyring, actor: Actor, group_id: int, role: str, name: str, at: datetime, now: datetime) -> Invited:
    """Invite somebody as staff of a group. Raises `NotFound` for a foreign group, `Invalid` ("role", "invited_name", "place")."""
    known = {each[0]: each[3] for each in places(tx, actor)}
    if group_id not in known:
        raise NotFound("group", "There is no such group.")
    if role not in INVITED:
        raise Invalid("role", "Choose what they become.")
    if (role in (Role.LEADER, Role.ASSISTANT, Role.MENTOR)) is known[group_id]:
        raise Invalid("place", "Leaders, assistants and mentors belong in a small group, administrators and researchers in the large one.")
    words = " ".join(name.split())
    if not words or len(words) > _LONGEST_NAME or not words.isprintable():
        raise Invalid("invited_name", f"Write a name of at most {_LONGEST_NAME} characters.")
    code = groups.invite(tx, keyring, group_id, now, role=Role(role), once=True, name=words, actor=actor.word)
    return Invited(words, code, logins.invite(tx, keyring.vault, code, at))


def new_link(tx: Tx, keyring: Keyring, actor: Actor, person_id: int, at: datetime, now: datetime) -> tuple[str, str]:
    """Name and the token of a new link for somebody who is staff; earlier ones work no more."""
    token = logins.let_in(tx, keyring.vault, person_id, at, now, actor=actor.word)
    return people.names(tx, keyring, [person_id]).get(person_id, "?"), token


def set_disabled(tx: Tx, actor: Actor, person_id: int, at: datetime, now: datetime, *, disabled: bool) -> None:
    """Close somebody's way into the console at once, or open it again."""
    logins.set_disabled(tx, person_id, at, now, disabled=disabled, actor=actor.word)
