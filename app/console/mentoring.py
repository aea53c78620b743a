"""Hides the weekly roll-up of a mentor: how their leaders' groups stand, in numbers. Nobody's words, and no participant's name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import access, forecast
from app.channels import Rules
from app.console.actors import Actor
from app.db import Tx
from app.keyring import Keyring
from app.models import Assignment, Attendance, Course, Gathering, Group, Membership, Question, Wave
from app.people import names
from app.states import UNOPENED, Asked
from bots.turns import Role

#: A mentor goes along with this many leaders; that many groups stand on one page.
MOST = 3
WEEK = timedelta(days=7)
#: The newest waves that are shown, and the states of a question that somebody still waits in.
_WAVES, _WAITING = 3, ("open", "claimed")
_ROLES = frozenset({Role.MENTOR})


@dataclass(frozen=True)
class Came:
    """A class or meeting of the last week, and how many of the group were there."""

    kind: str
    number: int
    starts_at: datetime
    present: int


@dataclass(frozen=True)
class WeekOfGroup:
    """One group's week. `waves`: title, complete, assigned."""

    id: int
    name: str
    course: str
    zone: str
    leaders: tuple[str, ...] = field(repr=False)
    participants: int
    joined: int
    left: int
    reach: Mapping[str, int]
    waiting: int
    asked: int
    waves: tuple[tuple[str, int, int], ...]
    came: tuple[Came, ...]


@dataclass(frozen=True)
class Week:
    """The groups of one page, and how many groups there are in all."""

    groups: tuple[WeekOfGroup, ...]
    total: int
    since: datetime

    @property
    def many(self) -> bool:
        """Whether they go along with more leaders than is good."""
        return self.total > MOST


def week(tx: Tx, keyring: Keyring, rules: Rules, actor: Actor, number: int, language: str, now: datetime) -> Week:
    """Page `number`, from 0, of the groups that this person mentors; what happened is counted over the last seven days."""
    mine = access.groups_of(actor.person_id, _ROLES)
    rows = tx.execute(
        sa.select(Group.id, Group.name, Group.course_id, Course.title, Course.zone)
        .join(Course, Course.id == Group.course_id)
        .where(Group.id.in_(mine))
        .order_by(Course.id.desc(), Group.code)
    ).all()
    shown, since = rows[number * MOST : (number + 1) * MOST], now - WEEK
    return Week(tuple(_group(tx, keyring, rules, row, language, since, now) for row in shown), len(rows), since)


def _group(tx: Tx, keyring: Keyring, rules: Rules, row: Any, language: str, since: datetime, now: datetime) -> WeekOfGroup:
    seats = tx.execute(sa.select(Membership.person_id, Membership.role).where(Membership.group_id == row.id, Membership.ended_at.is_(None)))
    held = [(seat.person_id, seat.role) for seat in seats]
    leaders = [person for person, role in held if role == Role.LEADER.value]
    people = {person for person, role in held if role == Role.PARTICIPANT.value}
    known = names(tx, keyring, leaders)
    ways = forecast.ways(tx, rules, row.id, now)
    reach = {word: sum(1 for person in people if ways.get(person, "never") == word) for word in ("now", "notice", "later", "never")}
    return WeekOfGroup(
        id=row.id,
        name=row.name,
        course=row.title,
        zone=row.zone,
        leaders=tuple(known.get(each, "?") for each in leaders),
        participants=len(people),
        joined=_changed(tx, row.id, Membership.started_at, since),
        left=_changed(tx, row.id, Membership.ended_at, since),
        reach=reach,
        waiting=_questions(tx, row.id, Question.state.in_(_WAITING)),
        asked=_questions(tx, row.id, Question.asked_at > since),
        waves=_waves(tx, row, language),
        came=_came(tx, row, since, now),
    )


def _changed(tx: Tx, group_id: int, moment: Any, since: datetime) -> int:
    query = sa.select(sa.func.count()).select_from(Membership)
    return tx.execute(query.where(Membership.group_id == group_id, Membership.role == Role.PARTICIPANT.value, moment > since)).scalar_one()


def _questions(tx: Tx, group_id: int, which: "sa.ColumnElement[bool]") -> int:
    return tx.execute(sa.select(sa.func.count()).select_from(Question).where(Question.group_id == group_id, which)).scalar_one()


def _participants(group_id: int) -> "sa.Select[int]":
    """Who takes part in a group now."""
    mine = (Membership.group_id == group_id, Membership.role == Role.PARTICIPANT.value, Membership.ended_at.is_(None))
    return sa.select(Membership.person_id).where(*mine)


def _waves(tx: Tx, row: Any, language: str) -> tuple[tuple[str, int, int], ...]:
    """The newest waves of the course that have opened, as far as this group has got."""
    opened = sa.select(Wave.id, Wave.plan).where(Wave.course_id == row.course_id, Wave.state.not_in(UNOPENED))
    waves = tx.execute(opened.order_by(Wave.opens_at.desc()).limit(_WAVES)).all()
    counted = tx.execute(
        sa.select(Assignment.wave_id, sa.func.count().label("all"))
        .add_columns(sa.func.sum(sa.case((Assignment.state == Asked.COMPLETE.value, 1), else_=0)).label("complete"))
        .where(Assignment.wave_id.in_([wave.id for wave in waves]), Assignment.person_id.in_(_participants(row.id)))
        .group_by(Assignment.wave_id)
    )
    done = {each.wave_id: (each.complete, each.all) for each in counted}
    titles = [(wave.id, wave.plan["title"].get(language) or next(iter(wave.plan["title"].values()))) for wave in waves]
    return tuple((title, *done.get(wave_id, (0, 0))) for wave_id, title in titles)


def _came(tx: Tx, row: Any, since: datetime, now: datetime) -> tuple[Came, ...]:
    """Classes and meetings of the week, for which somebody of the course was marked as present."""
    whose = sa.select(Group.id).where(Group.course_id == row.course_id, Group.large)
    marked = sa.select(Attendance.id).where(Attendance.gathering_id == Gathering.id).exists()
    present = (
        sa.select(sa.func.count())
        .where(Attendance.gathering_id == Gathering.id, Attendance.person_id.in_(_participants(row.id)))
        .scalar_subquery()
    )
    rows = tx.execute(
        sa.select(Gathering.kind, Gathering.number, Gathering.starts_at, present.label("present"))
        .where(Gathering.starts_at.between(since, now), Gathering.held, marked)
        .where(sa.or_(Gathering.group_id == row.id, Gathering.group_id.in_(whose)))
        .order_by(Gathering.starts_at)
    )
    return tuple(Came(*each) for each in rows)
