"""Hides the lists that an operator looks at: accounts, courses, groups, on-call people and the people themselves."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import flags, reach
from app.db import Tx
from app.errors import NotFound
from app.groups import seated
from app.keyring import Keyring, Place
from app.models import Account, Course, Group, Identity, InboxItem, Membership, Participant, Person
from app.people import names
from bots.turns import Role


@dataclass(frozen=True)
class AccountLine:
    """An account without its secrets."""

    id: int
    name: str
    appid: str
    api_base: str
    mode: str
    notice_id: str | None


def accounts(tx: Tx) -> list[AccountLine]:
    """Every account by name."""
    columns = (Account.id, Account.name, Account.appid, Account.api_base, Account.mode, Account.notice_id)
    return [AccountLine(*row) for row in tx.execute(sa.select(*columns).order_by(Account.name))]


@dataclass(frozen=True)
class CourseLine:
    """A course, with the texts that its study brought: languages by name, `consent` and `resources`."""

    id: int
    code: str
    title: str
    account: str
    api_base: str
    zone: str
    quiet: tuple[str, str]
    cap: int | None
    second_eyes: int
    silences: list[tuple[datetime, datetime]]
    consent_version: str
    texts: dict[str, tuple[str, ...]]
    ended_at: datetime | None


def courses(tx: Tx) -> list[CourseLine]:
    """Every course by its code."""
    rows = tx.execute(
        sa.select(*Course.__table__.columns, Account.name, Account.api_base)
        .join(Account, Account.id == Course.account_id)
        .order_by(Course.code)
    )
    return [
        CourseLine(
            row.id,
            row.code,
            row.title,
            row.name,
            row.api_base,
            row.zone,
            (row.quiet_from, row.quiet_until),
            row.cap,
            row.second_eyes,
            reach.silences(row.silences),
            row.consent_version,
            {kind: tuple(sorted(row.details.get(kind) or {})) for kind in ("consent", "resources")},
            row.ended_at,
        )
        for row in rows
    ]


@dataclass(frozen=True)
class GroupLine:
    """A group and how many of each role are in it."""

    id: int
    course: str
    code: str
    name: str
    large: bool
    capacity: int | None
    members: dict[Role, int]


def groups(tx: Tx, course_id: int | None = None) -> list[GroupLine]:
    """The groups of a course, or of all, small ones first."""
    query = (
        sa.select(Group.id, Course.code.label("course"), Group.code, Group.name, Group.large, Group.capacity)
        .join(Course, Course.id == Group.course_id)
        .order_by(Course.code, Group.large, Group.code)
    )
    rows = tx.execute(query if course_id is None else query.where(Group.course_id == course_id)).all()
    members = seated(tx, [row.id for row in rows])
    return [GroupLine(*row, members[row.id]) for row in rows]


def course_of_group(tx: Tx, group_id: int) -> tuple[int, str]:
    """Account and zone of the course that a group belongs to."""
    row = tx.execute(sa.select(Course.account_id, Course.zone).join(Group, Group.course_id == Course.id).where(Group.id == group_id)).one()
    return row.account_id, row.zone


def zone_of(tx: Tx, course_id: int) -> str:
    """The IANA time zone of a course."""
    return tx.execute(sa.select(Course.zone).where(Course.id == course_id)).scalar_one()


@dataclass(frozen=True)
class OnCallLine:
    """Somebody on call and the routes to them."""

    id: int
    position: int
    name: str
    routes: dict[str, str] = field(repr=False)  # "chat", "email" or "webhook" to the address


def on_call(tx: Tx, keyring: Keyring, course_id: int) -> list[OnCallLine]:
    """Who is alerted for a course, in order, with every address readable."""
    key = keyring.open(tx, tx.execute(sa.select(Course.data_key_id).where(Course.id == course_id)).scalar_one())
    rows = flags.on_call(tx, course_id)
    known = names(tx, keyring, [row.person_id for row in rows if row.person_id is not None])
    lines = []
    for row in rows:
        routes = {} if row.person_id is None else {"chat": known.get(row.person_id, "?")}
        for route, sealed in (("email", row.email_sealed), ("webhook", row.webhook_sealed)):
            if sealed is not None:
                routes[route] = key.unseal(Place("oncall", f"{route}_sealed", row.id), sealed)
        lines.append(OnCallLine(row.id, row.position, known.get(row.person_id, ""), routes))
    return lines


@dataclass(frozen=True)
class PersonLine:
    """A person as an operator finds them."""

    id: int
    name: str
    numbers: tuple[str, ...]
    places: tuple[str, ...]  # group and role
    state: str  # active, paused, unfollowed, erased


def find_people(tx: Tx, keyring: Keyring, words: str) -> list[PersonLine]:
    """The people whose id or participant number is this, or whose name contains it. Every name is opened to look."""
    ids = list(tx.execute(sa.select(Person.id).order_by(Person.id)).scalars())
    known = names(tx, keyring, ids)
    numbers = _grouped(tx.execute(sa.select(Participant.person_id, Participant.number)).all())
    wanted = _plain(words)
    found = [
        each for each in ids if words in (str(each), *numbers.get(each, ())) or (wanted and each in known and wanted in _plain(known[each]))
    ]
    return [_person(tx, each, known.get(each, "?"), numbers.get(each, ())) for each in found]


def person(tx: Tx, keyring: Keyring, words: str) -> PersonLine:
    """The one person that these words name. Raises `NotFound` where there is none or more than one."""
    found = find_people(tx, keyring, words)
    if len(found) != 1:
        listed = ", ".join(f"{each.id} ({each.name})" for each in found[:5])
        remedy = f"name one by its id: {listed}" if found else "`tongban person find NAME` looks them up by name, number or id"
        raise NotFound("person", f"There is no single person {words!r}; {remedy}.")
    return found[0]


def numbers(tx: Tx, course_id: int) -> dict[int, str]:
    """The participant numbers of a course by person."""
    rows = tx.execute(sa.select(Participant.person_id, Participant.number).where(Participant.course_id == course_id))
    return {row.person_id: row.number for row in rows if row.person_id is not None}


def pushes(tx: Tx, account_id: int) -> int:
    """How many pushes an account has brought so far."""
    return tx.execute(sa.select(sa.func.count()).select_from(InboxItem).where(InboxItem.account_id == account_id)).scalar_one()


def _person(tx: Tx, person_id: int, name: str, numbers: Sequence[str]) -> PersonLine:
    row = tx.execute(sa.select(Person.paused_at, Person.erased_at).where(Person.id == person_id)).one()
    following = tx.execute(sa.select(Identity.id).where(Identity.person_id == person_id, Identity.unfollowed_at.is_(None)).limit(1)).first()
    places = tx.execute(
        sa.select(Group.name, Membership.role)
        .join(Group, Group.id == Membership.group_id)
        .where(Membership.person_id == person_id, Membership.ended_at.is_(None))
        .order_by(Group.large, Group.name)
    ).all()
    state = "erased" if row.erased_at else "paused" if row.paused_at else "active" if following else "unfollowed"
    return PersonLine(person_id, name, tuple(numbers), tuple(f"{place.name} ({place.role})" for place in places), state)


def _grouped(rows: Sequence[Any]) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for person_id, number in rows:
        if person_id is not None:
            found[person_id] = (*found.get(person_id, ()), number)
    return found


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
