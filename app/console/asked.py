"""Hides what the pages of questionnaires show: how far a wave is, by state and by day, never an answer or a score.

Who runs or studies a course sees all of it, by participant number and never by name; leaders see how many of their own groups are where.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import access, audit
from app.console.actors import Actor
from app.console.rules import SEES_WAVES
from app.db import Tx
from app.errors import Conflict
from app.models import Assignment, AssignmentChange, Broadcast, Course, Membership, Participant, Wave
from app.questionnaires import overview, standing, waves
from app.questionnaires.overview import WaveLine
from app.questionnaires.shelf import Shelf
from app.states import ANSWERABLE, Asked
from bots.turns import OccasionKind, Role

#: Nobody is reminded by hand more often than once in this time: evening and next morning would be a nuisance.
REMINDED_EVERY = timedelta(hours=20)
#: Participants on one page, and days of a chart.
PAGE, _MOST_DAYS = 200, 60
_WHOLE = (Role.ADMINISTRATOR, Role.RESEARCHER)


@dataclass(frozen=True)
class WaveRow:
    """A wave in a list. `counts` are of the people whom this reader may count."""

    id: int
    course: str
    title: str
    state: str
    opens_at: datetime
    closes_at: datetime
    zone: str
    counts: Mapping[Asked, int]

    @property
    def total(self) -> int:
        """To how many it was put."""
        return sum(self.counts.values())


def lines(tx: Tx, actor: Actor, language: str) -> list[WaveRow]:
    """The waves of their courses, the newest first."""
    rows = tx.execute(
        sa.select(*Wave.__table__.columns, Course.title, Course.zone)
        .join(Course, Course.id == Wave.course_id)
        .where(Wave.course_id.in_(access.courses_of(actor.person_id, SEES_WAVES)))
        .order_by(Wave.opens_at.desc(), Wave.id)
    ).all()
    counted = _counted(tx, actor, [row.id for row in rows])
    return [_row(row, counted[row.id], language) for row in rows]


def _row(row: Any, counts: Mapping[Asked, int], language: str) -> WaveRow:
    title = row.plan["title"].get(language) or next(iter(row.plan["title"].values()))
    return WaveRow(row.id, row.title, title, row.state, row.opens_at, row.closes_at, row.zone, counts)


def _visible(actor: Actor) -> "sa.ColumnElement[bool]":
    """The assignments that this reader may count: of a course that they run or study, or of people in their own small groups."""
    whole = Assignment.wave_id.in_(sa.select(Wave.id).where(Wave.course_id.in_(access.courses_of(actor.person_id, _WHOLE))))
    own = access.groups_of(actor.person_id, SEES_WAVES - frozenset(_WHOLE))
    theirs = sa.select(Membership.person_id).where(
        Membership.group_id.in_(own), Membership.role == Role.PARTICIPANT.value, Membership.ended_at.is_(None)
    )
    return sa.or_(whole, Assignment.person_id.in_(theirs))


def _counted(tx: Tx, actor: Actor, wave_ids: list[int]) -> dict[int, dict[Asked, int]]:
    return standing.count(tx, wave_ids, _visible(actor))


@dataclass(frozen=True)
class NumberLine:
    """How far one participant is, by their number."""

    number: str
    state: Asked


@dataclass(frozen=True)
class WavePage:
    """A wave. `whole`: the reader sees the course; else their own groups. `days`: how many finished on each day."""

    row: WaveRow
    line: WaveLine
    whole: bool
    days: tuple[tuple[date, int], ...]
    numbers: tuple[NumberLine, ...]
    more: bool
    unfinished: int
    may_remind: bool


def page(tx: Tx, shelf: Shelf, actor: Actor, wave_id: int, number: int, language: str, now: datetime) -> WavePage:
    """A wave of theirs, with page `number`, from 0, of its participants."""
    found = tx.execute(_wave(wave_id)).one()
    row = _row(found, _counted(tx, actor, [wave_id])[wave_id], language)
    held = {seat.role for seat in actor.seats if seat.course == found.course_id}
    whole = bool(held & set(_WHOLE))
    numbers = tx.execute(_numbers(wave_id).limit(PAGE + 1).offset(number * PAGE)).all() if whole else []
    unfinished = sum(row.counts[state] for state in ANSWERABLE)
    return WavePage(
        row=row,
        line=overview.every(tx, shelf, found.course_code, found.code)[0],
        whole=whole,
        days=_days(tx, actor, found, now),
        numbers=tuple(NumberLine(each.number, Asked(each.state)) for each in numbers[:PAGE]),
        more=len(numbers) > PAGE,
        unfinished=unfinished,
        may_remind=Role.ADMINISTRATOR in held and found.state == "open" and unfinished > 0,
    )


def _wave(wave_id: int) -> "sa.Select[*tuple[Any, ...]]":
    columns = (*Wave.__table__.columns, Course.title, Course.zone, Course.code.label("course_code"))
    return sa.select(*columns).join(Course, Course.id == Wave.course_id).where(Wave.id == wave_id)


def _numbers(wave_id: int) -> "sa.Select[*tuple[Any, ...]]":
    """In the order of numbers, which are random: no order tells who came when."""
    return (
        sa.select(Participant.number, Assignment.state)
        .join(Wave, Wave.id == Assignment.wave_id)
        .join(Participant, sa.and_(Participant.person_id == Assignment.person_id, Participant.course_id == Wave.course_id))
        .where(Assignment.wave_id == wave_id)
        .order_by(Participant.number)
    )


def _days(tx: Tx, actor: Actor, wave: Any, now: datetime) -> tuple[tuple[date, int], ...]:
    """How many finished on each day of the course's zone, from the opening to the end or today, none left out."""
    moments = tx.execute(
        sa.select(AssignmentChange.at)
        .join(Assignment, Assignment.id == AssignmentChange.assignment_id)
        .where(Assignment.wave_id == wave.id, AssignmentChange.state == Asked.COMPLETE.value, _visible(actor))
    ).scalars()
    zone = ZoneInfo(wave.zone)
    counted = Counter(moment.astimezone(zone).date() for moment in moments)
    first, last = wave.opens_at.astimezone(zone).date(), min(now, wave.closes_at).astimezone(zone).date()
    last = max([last, *counted])
    length = min((last - first).days + 1, _MOST_DAYS)
    days = [last - timedelta(days=back) for back in reversed(range(length))] if wave.opens_at <= now else []
    return tuple((day, counted[day]) for day in days)


def remind(tx: Tx, actor: Actor, wave_id: int, now: datetime) -> int:
    """Let everybody who has not finished be reminded at the next tick, beside the wave's own rule; returns how many.

    Raises `Conflict` with "not_open", or "reminded" where it was done lately.
    """
    wave = tx.execute(_wave(wave_id).with_for_update(of=Wave)).one()
    if wave.state != "open":
        raise Conflict("not_open", "Only an open wave is reminded of.")
    lately = sa.select(Broadcast.id).where(
        Broadcast.wave_id == wave_id, Broadcast.kind == OccasionKind.REMINDER.value, Broadcast.created_at > now - REMINDED_EVERY
    )
    asked = sa.select(Assignment.id).where(Assignment.wave_id == wave_id, Assignment.remind_at <= now)
    if tx.execute(lately.limit(1)).first() is not None or tx.execute(asked.limit(1)).first() is not None:
        raise Conflict("reminded", "They were reminded within the last day.")
    ruled = sa.or_(Assignment.remind_at.is_(None), Assignment.remind_at.in_(waves.rule_of(wave.plan).moments(wave.opens_at, wave.zone)))
    mine = sa.and_(Assignment.wave_id == wave_id, Assignment.state.in_(ANSWERABLE), ruled)  # who named a moment of their own keeps it
    count = tx.execute(sa.update(Assignment).where(mine).values(remind_at=now)).rowcount
    audit.record(tx, now, actor.word, "wave.remind", f"wave:{wave_id}", count=count)
    return count
