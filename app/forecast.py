"""Counts whom a message to a group would find, by route, in one statement: the promise that is shown before a send."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import access, reach
from app.channels import Rules
from app.db import Tx
from app.models import Account, Allowance, Course, Group, Identity, Membership, Pace, Person
from app.outbox import mass_rows
from app.outbox.mass import NOT_POSSIBLE
from app.states import Route
from bots.facts import MassForecast, ReachForecast, SecondEyes
from bots.turns import Role

#: Somebody with two roles in a group is reached by the better of their ways: a larger number.
_NEVER, _CLOSED, _CAPPED, _NOW = 0, 1, 2, 3


def forecast(tx: Tx, rules: Rules, group_id: int, author_id: int | None, at: datetime | None, now: datetime) -> ReachForecast:
    """Who would be reached in a group if its author sent something at `at` (None: now)."""
    moment = at or now
    course = tx.execute(
        sa.select(
            Course.zone,
            Course.quiet_from,
            Course.quiet_until,
            Course.cap,
            Course.silences,
            Account.notice_id,
            Course.second_eyes,
            Group.large,
        )
        .join(Group, Group.course_id == Course.id)
        .join(Account, Account.id == Course.account_id)
        .where(Group.id == group_id)
    ).one()
    silent, quiet = _held(moment, course)
    moment = max(silent or moment, quiet or moment)
    notices = course.notice_id is not None
    full: sa.ColumnElement[bool] = sa.false()
    if course.cap is not None:
        full = sa.and_(Allowance.started_on >= reach.local_day(moment, course.zone), Allowance.started >= course.cap)
    which = Membership.group_id == group_id
    if author_id is not None:
        which = sa.and_(which, Membership.person_id != author_id)
    people = _people(which, moment, rules, full, notices=notices).subquery()
    counts: dict[int, int] = {
        row.way: row.number for row in tx.execute(sa.select(people.c.way, sa.func.count().label("number")).group_by(people.c.way))
    }
    closed = counts.get(_CLOSED, 0)
    mass = _mass(tx, rules, group_id, people, moment, now) if course.large else None
    total = sum(counts.values())
    wait = course.second_eyes and total > course.second_eyes
    return ReachForecast(
        total=total,
        now=counts.get(_NOW, 0),
        notice=closed if notices else 0,
        later=0 if notices else closed,
        never=counts.get(_NEVER, 0),
        at=at,
        notices_possible=notices,
        quiet_until=quiet,
        silent_until=silent,
        capped=counts.get(_CAPPED, 0),
        mass=mass,
        eyes=SecondEyes(course.second_eyes, len(access.approvers(tx, group_id, author_id))) if wait else None,
    )


def _mass(tx: Tx, rules: Rules, group_id: int, people: "sa.Subquery", moment: datetime, now: datetime) -> MassForecast | None:
    """What a mass send would find; None while WeChat takes none from this account."""
    account_id = tx.execute(sa.select(Course.account_id).join(Group, Group.course_id == Course.id).where(Group.id == group_id)).scalar_one()
    parked = (Pace.account_id == account_id, Pace.api == Route.MASS.value, Pace.parked_until > moment, Pace.parked_code.in_(NOT_POSSIBLE))
    if tx.execute(sa.select(Pace.api).where(*parked)).first() is not None:
        return None
    month = mass_rows.month_of(moment)
    counts = mass_rows.used(account_id, month).subquery()
    had = sa.func.coalesce(counts.c.used, 0)
    query = (
        sa.select(
            sa.func.coalesce(sa.func.sum(sa.case((had < rules.masses_a_month, 1), else_=0)), 0).label("reached"),
            sa.func.count().label("total"),
            sa.func.coalesce(sa.func.max(sa.case((had < rules.masses_a_month, had), else_=0)), 0).label("most"),
        )
        .select_from(people.outerjoin(counts, counts.c.person_id == people.c.person_id))
        .where(people.c.way != _NEVER)
    )
    row = tx.execute(query).one()
    left = max(0, rules.masses_a_month - int(row.most) - mass_rows.planned_in(tx, group_id, month, now))
    return MassForecast(int(row.reached), int(row.total) - int(row.reached), left, rules.masses_a_month)


def _held(moment: datetime, course: Any) -> tuple[datetime | None, datetime | None]:
    """The end of the course's silence and of its quiet hours, where they hold back what would leave then; one may lead into the other."""
    silences, silent, quiet = reach.silences(course.silences), None, None
    while True:
        held = reach.silent_until(moment, silences)
        if held is not None:
            moment = silent = held
        held = reach.quiet_until(moment, course.zone, course.quiet_from, course.quiet_until)
        if held is None:
            return silent, quiet
        moment = quiet = held


def ways(tx: Tx, rules: Rules, group_id: int, now: datetime, *, only: Sequence[int] | None = None) -> dict[int, str]:
    """How each member of a group, or `only` these, would be reached by a message that left now: now, notice, later or never."""
    notices = tx.execute(
        sa.select(Account.notice_id)
        .join(Course, Course.account_id == Account.id)
        .join(Group, Group.course_id == Course.id)
        .where(Group.id == group_id)
    ).scalar_one()
    words = _words(notices is not None)
    query = _people(Membership.group_id == group_id, now, rules, sa.false(), notices=notices is not None)
    people = (query if only is None else query.where(Membership.person_id.in_(only))).subquery()
    return {row.person_id: words[row.way] for row in tx.execute(sa.select(people.c.person_id, people.c.way))}


def participants_by_way(tx: Tx, rules: Rules, course_id: int, groups: Sequence[int], now: datetime) -> dict[int, dict[str, int]]:
    """How many participants of each of these groups of a course would be reached in which way, in words as in `ways`."""
    account = sa.select(Account.notice_id).join(Course, Course.account_id == Account.id).where(Course.id == course_id)
    notices = tx.execute(account).scalar_one() is not None
    which = sa.and_(Membership.group_id.in_(groups), Membership.role == Role.PARTICIPANT.value)
    people, words = _people(which, now, rules, sa.false(), notices=notices).subquery(), _words(notices)
    found: dict[int, dict[str, int]] = {group: {} for group in groups}
    counted = sa.select(people.c.group_id, people.c.way, sa.func.count().label("number")).group_by(people.c.group_id, people.c.way)
    for row in tx.execute(counted):
        found[row.group_id][words[row.way]] = row.number
    return found


def _words(notices: bool) -> dict[int, str]:
    return {_NEVER: "never", _CLOSED: "notice" if notices else "later", _NOW: "now"}


def _people(which: "sa.ColumnElement[bool]", moment: datetime, rules: Rules, full: Any, *, notices: bool) -> "sa.Select[*tuple[Any, ...]]":
    """Each member once in each group, with the way that a message would go. `which`: of which groups.

    `full`: whether they have had as many as the cap allows.
    """
    safe = moment + rules.window_margin
    window = sa.or_(
        sa.and_(Allowance.typed_left > 0, Allowance.typed_until > safe),
        sa.and_(Allowance.tapped_left > 0, Allowance.tapped_until > safe),
    )
    consent = access.agreed(Membership.person_id, Group.course_id)
    never = sa.or_(
        Identity.id.is_(None),
        Identity.unfollowed_at.is_not(None),
        Identity.unreachable_code.is_not(None),
        Person.paused_at.is_not(None),
        Person.erased_at.is_not(None),
        sa.and_(Membership.role == Role.PARTICIPANT.value, ~consent),
    )
    way = sa.case((never, _NEVER), (sa.and_(full, sa.or_(window, sa.literal(notices))), _CAPPED), (window, _NOW), else_=_CLOSED)
    return (
        sa.select(Membership.group_id, Membership.person_id, sa.func.max(way).label("way"))
        .join(Group, Group.id == Membership.group_id)
        .join(Course, Course.id == Group.course_id)
        .join(Person, Person.id == Membership.person_id)
        .outerjoin(Identity, sa.and_(Identity.person_id == Person.id, Identity.account_id == Course.account_id))
        .outerjoin(Allowance, Allowance.identity_id == Identity.id)
        .where(which, Membership.ended_at.is_(None))
        .group_by(Membership.group_id, Membership.person_id)
    )
