"""Hides what an administrator sees of the machinery: quota, token and errors of their accounts, alarms, and the audit of their courses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import access, audit, gauges
from app.access import STAFF
from app.channels import Rules
from app.console.actors import Actor
from app.console.rules import RUNS
from app.db import Tx
from app.gauges import AccountGauges
from app.integrations.rules import integrations_in
from app.keyring import Keyring
from app.models import Account, Audit, Course, Flag, Group, Integration, Login, Membership, Schedule, Wave
from app.people import names
from app.states import State

#: Alarms of this long are shown, and audit rows on one page.
ALARMS_FOR, PAGE = timedelta(days=7), 50
#: The kinds of audit rows by which one may filter: what stands before the dot, or alone.
KINDS = (
    "console",
    "flag",
    "roster",
    "placing",
    "invite",
    "export",
    "membership",
    "group",
    "role",
    "join",
    "withdraw",
    "erase",
    "wave",
    "course",
    "announce",
    "oncall",
    "integration",
)


@dataclass(frozen=True)
class ApiUse:
    """One API of an account: calls used of those that it has a day; why it rests, or empty."""

    name: str
    used: int
    most: int
    parked: str


@dataclass(frozen=True)
class AccountLine:
    """One account. `token_minutes`: how long its token still holds, None where none was ever fetched. `odd`: what needs a look, counted."""

    name: str
    apis: tuple[ApiUse, ...]
    token_minutes: int | None
    odd: Mapping[str, int]


@dataclass(frozen=True)
class AlarmLine:
    """An alarm of the last days."""

    kind: str
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class Overview:
    """The first page of whoever runs a course."""

    courses: tuple[tuple[int, str, bool], ...]  # id, title, whether it is over
    accounts: tuple[AccountLine, ...]
    workers: int
    alarms: tuple[AlarmLine, ...]


def overview(tx: Tx, rules: Rules, actor: Actor, now: datetime, machine: float) -> Overview:
    """Courses, accounts and alarms of somebody who runs a course. `machine`: seconds of the machine's clock."""
    held = access.courses_of(actor.person_id, RUNS)
    courses = tx.execute(sa.select(Course.id, Course.title, Course.ended_at).where(Course.id.in_(held)).order_by(Course.id.desc())).all()
    accounts = {
        row.name: row.id
        for row in tx.execute(
            sa.select(Account.id, Account.name).where(Account.id.in_(sa.select(Course.account_id).where(Course.id.in_(held))))
        )
    }
    read = gauges.read(tx, rules, now, machine)
    mine = {f"course:{row.id}" for row in courses} | {f"account:{each}" for each in accounts.values()}
    mine |= {f"group:{each}" for each in tx.execute(sa.select(Group.id).where(Group.course_id.in_(held))).scalars()}
    alarms = [each for each in audit.alarms(tx, now - ALARMS_FOR) if _is_mine(each.subject, mine)]
    return Overview(
        courses=tuple((row.id, row.title, row.ended_at is not None) for row in courses),
        accounts=tuple(_account(each, rules) for each in read.accounts if each.account in accounts),
        workers=read.workers,
        alarms=tuple(AlarmLine(each.kind, each.count, each.first_at, each.last_at) for each in alarms),
    )


def _is_mine(subject: str, mine: set[str]) -> bool:
    """Whether an alarm is about a course, group or account of theirs, or about the service as a whole."""
    return subject.partition(":")[0] not in ("course", "account", "group") or subject.partition(".")[0] in mine


def _account(each: AccountGauges, rules: Rules) -> AccountLine:
    most = {"service": rules.service_a_day, "notice": rules.notices_a_day, "mass": rules.masses_a_day}
    apis = tuple(ApiUse(name, most[name] - api.left, most[name], api.parked_code or "") for name, api in each.apis.items())
    odd = {
        "unknown": each.deliveries.get(State.UNKNOWN, 0),
        "held": each.deliveries.get(State.HELD, 0),
        "quarantined": each.quarantined,
        "overdue": each.schedules_overdue,
        "flags": each.flags,
        "unclosed": each.unclosed,
    }
    left = None if each.token_left is None else int(each.token_left // 60)
    return AccountLine(each.account, apis, left, {word: count for word, count in odd.items() if count})


@dataclass(frozen=True)
class AuditLine:
    """Who did what to what: ids and words of ours. `name`: of staff who did it. `reason` is the one thing that somebody wrote."""

    at: datetime
    actor: str
    name: str = field(repr=False)
    action: str
    subject: str
    reason: str


def audited(tx: Tx, keyring: Keyring, actor: Actor, kind: str, number: int) -> tuple[list[AuditLine], bool]:
    """Page `number`, from 0, of what happened in their courses, the newest first, and whether there is more. `kind`: of `KINDS`, or all."""
    held = access.courses_of(actor.person_id, RUNS)
    query = sa.select(Audit.at, Audit.actor, Audit.action, Audit.subject, Audit.details).where(Audit.subject.in_(_subjects(held)))
    if kind in KINDS:
        query = query.where(sa.or_(Audit.action == kind, Audit.action.startswith(f"{kind}.", autoescape=True)))
    rows = tx.execute(query.order_by(Audit.id.desc()).limit(PAGE + 1).offset(number * PAGE)).all()
    known = _staff(tx, keyring, held, {row.actor for row in rows}) | _systems(tx, held)
    lines = [
        AuditLine(row.at, row.actor, known.get(row.actor, ""), row.action, row.subject, str(row.details.get("reason", "")))
        for row in rows[:PAGE]
    ]
    return lines, len(rows) > PAGE


def _staff(tx: Tx, keyring: Keyring, held: "sa.Select[int]", actors: set[str]) -> dict[str, str]:
    """The names of those who are, or were, staff of these courses, by the word that stands for them."""
    acted = [int(word.removeprefix("person:")) for word in actors if word.startswith("person:")]
    staff = (
        sa.select(Membership.person_id)
        .join(Group, Group.id == Membership.group_id)
        .where(Membership.person_id.in_(acted), Membership.role.in_([role.value for role in STAFF]), Group.course_id.in_(held))
        .distinct()
    )
    return {f"person:{person_id}": name for person_id, name in names(tx, keyring, list(tx.execute(staff).scalars())).items()}


def _systems(tx: Tx, held: "sa.Select[int]") -> dict[str, str]:
    """The names of the systems that these courses are, or were, connected to, by the word that stands for them."""
    connected = sa.select(Integration.id, Integration.name).where(Integration.id.in_(integrations_in(held)))
    return {f"integration:{row.id}": row.name for row in tx.execute(connected)}


def _subjects(held: "sa.Select[int]") -> "sa.CompoundSelect[Any]":
    """What an audit row of these courses may be about, as it is written there."""
    groups = sa.select(Group.id).where(Group.course_id.in_(held))
    people = sa.select(Membership.person_id).where(Membership.group_id.in_(groups))
    kinds = {
        "course": sa.select(Course.id).where(Course.id.in_(held)),
        "group": groups,
        "person": people,
        "login": sa.select(Login.id).where(Login.person_id.in_(people)),
        "flag": sa.select(Flag.id).where(Flag.course_id.in_(held)),
        "wave": sa.select(Wave.id).where(Wave.course_id.in_(held)),
        "schedule": sa.select(Schedule.id).where(Schedule.course_id.in_(held)),
        "integration": integrations_in(held),
    }
    found = []
    for kind, ids in kinds.items():
        each = ids.subquery()
        found.append(sa.select(sa.literal(f"{kind}:") + sa.cast(each.c[0], sa.String)))
    return sa.union_all(*found)
