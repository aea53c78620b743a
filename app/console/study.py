"""Hides what the page of a study shows: its numbers, how far each is, the flow of participants. No name, no answer, no score."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app import access
from app.console.actors import Actor
from app.console.rules import STUDIES
from app.db import Tx
from app.errors import Invalid
from app.models import Assignment, Course, Participant, Wave
from app.questionnaires import standing
from app.questionnaires.shelf import Shelf
from app.states import UNOPENED, Asked
from app.study import reading, tables

#: Numbers on one page.
PAGE = 100
#: What a written reason has at least and at most, in characters.
SHORTEST_REASON, LONGEST_REASON = 4, 500
#: A count; one that is too small to be told is a word such as "<5", or empty.
Told = int | str


@dataclass(frozen=True)
class NumberRow:
    """One participant, by number: whether they withdrew, and how many of the waves that were put to them are complete."""

    number: str
    withdrawn: bool
    complete: int
    waves: int


@dataclass(frozen=True)
class WaveDone:
    """A wave that has opened, with how many stand in each state."""

    id: int
    title: str
    counts: Mapping[Asked, int]

    @property
    def assigned(self) -> int:
        """To how many it was put."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class StudyPage:
    """A course as its researchers see it. `gone`: an instrument's file is missing, so there is no chart and no export."""

    id: int
    title: str
    code: str
    zone: str
    screened: Mapping[str, Told]
    course: Mapping[str, Told]
    waves: tuple[WaveDone, ...]
    planned: int
    numbers: tuple[NumberRow, ...]
    more: bool
    gone: bool


def courses(tx: Tx, actor: Actor) -> list[tuple[int, str]]:
    """The courses that somebody studies, the newest first: id and title."""
    mine = sa.select(Course.id, Course.title).where(Course.id.in_(access.courses_of(actor.person_id, STUDIES)))
    return [(row.id, row.title) for row in tx.execute(mine.order_by(Course.id.desc()))]


def page(tx: Tx, shelf: Shelf, course_id: int, number: int, language: str) -> StudyPage:
    """A course, with page `number`, from 0, of its numbers."""
    course = tx.execute(sa.select(Course.title, Course.code, Course.zone).where(Course.id == course_id)).one()
    counted: dict[str, dict[str, Any]] = {"screening": {}, "course": {}}
    gone = False
    try:
        for row in tables.flow(tx, reading.study(tx, shelf, course_id)):
            counted.setdefault(str(row["part"]), {})[str(row["step"])] = row["count"]
    except Invalid:
        gone = True
    waves = tx.execute(
        sa.select(Wave.id, Wave.plan, Wave.state).where(Wave.course_id == course_id).order_by(Wave.opens_at, Wave.code)
    ).all()
    numbers = tx.execute(_numbers(course_id).limit(PAGE + 1).offset(number * PAGE)).all()
    return StudyPage(
        id=course_id,
        title=course.title,
        code=course.code,
        zone=course.zone,
        screened=counted["screening"],
        course=counted["course"],
        waves=_waves(tx, [row for row in waves if row.state not in UNOPENED], language),
        planned=sum(row.state in UNOPENED for row in waves),
        numbers=tuple(NumberRow(row.number, row.withdrawn_at is not None, row.complete, row.waves) for row in numbers[:PAGE]),
        more=len(numbers) > PAGE,
        gone=gone,
    )


def _waves(tx: Tx, rows: list[Any], language: str) -> tuple[WaveDone, ...]:
    counts = standing.count(tx, [row.id for row in rows])
    return tuple(
        WaveDone(row.id, row.plan["title"].get(language) or next(iter(row.plan["title"].values())), counts[row.id]) for row in rows
    )


def _numbers(course_id: int) -> "sa.Select[*tuple[Any, ...]]":
    """In the order of numbers, which are random: no order tells who came when."""
    mine = (
        sa.select(Assignment.person_id, sa.func.count().label("waves"))
        .add_columns(sa.func.sum(sa.case((Assignment.state == Asked.COMPLETE.value, 1), else_=0)).label("complete"))
        .join(Wave, Wave.id == Assignment.wave_id)
        .where(Wave.course_id == course_id)
        .group_by(Assignment.person_id)
        .subquery()
    )
    waves, complete = sa.func.coalesce(mine.c.waves, 0).label("waves"), sa.func.coalesce(mine.c.complete, 0).label("complete")
    return (
        sa.select(Participant.number, Participant.withdrawn_at, waves, complete)
        .outerjoin(mine, mine.c.person_id == Participant.person_id)
        .where(Participant.course_id == course_id)
        .order_by(Participant.number)
    )


def reason(written: str) -> str:
    """A written reason as one line. Raises `Invalid` where it says nothing, or too much."""
    words = " ".join(written.split())
    if not SHORTEST_REASON <= len(words) <= LONGEST_REASON:
        raise Invalid("reason", f"Write in {SHORTEST_REASON} to {LONGEST_REASON} characters what the data is for.")
    return words


def code_of(tx: Tx, course_id: int) -> str:
    """The code of a course, after which its file is named."""
    return tx.execute(sa.select(Course.code).where(Course.id == course_id)).scalar_one()
