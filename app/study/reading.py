"""Hides the queries behind an export: a course as it stands at one moment, its people by their numbers, and what each of them answered.

Ids are used here to find rows by, and stay here: what leaves is made of numbers, codes and values only.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

import migrations
from app.db import Tx
from app.errors import Invalid
from app.models import Assignment, AssignmentChange, Course, GivenAnswer, Participant, Screening, Sheet, Wave, Wording
from app.questionnaires.shelf import FileGone, Shelf
from app.questionnaires.standing import count
from app.states import UNOPENED
from app.study.columns import ENDED, ERASED, NOT_ANSWERED, NOT_INVITED
from bots.questionnaire.instrument import DEMONSTRATION, Instrument
from bots.texts import LANGUAGES

#: People whose answers are in memory at the same time.
BATCH = 100


@dataclass(frozen=True)
class Questionnaire:
    """An instrument as a wave asks it. `wording`: by language whose words they are; the other four only where a study brought its own."""

    instrument: Instrument
    frame: str | None
    wording: Mapping[str, str]
    source: str
    permission: str = ""
    translation: str = ""
    checksum: str = ""

    @property
    def demonstration(self) -> bool:
        """Whether words of ours, which measure nothing, were asked in some language."""
        return DEMONSTRATION in self.wording.values()


@dataclass(frozen=True)
class AskedWave:
    """A wave that has opened."""

    id: int = field(repr=False)
    code: str
    title: Mapping[str, str]
    opens_at: datetime
    closes_at: datetime
    state: str
    late: str
    skips: bool
    shuffled: bool
    questionnaires: tuple[Questionnaire, ...]


@dataclass(frozen=True)
class Numbered:
    """A participant as the study knows them."""

    person_id: int | None = field(repr=False)
    number: str
    withdrawn_on: date | None
    erased: bool  # they withdrew and asked for their answers to be deleted


@dataclass(frozen=True)
class Study:
    """A course as it stands. People are in the order of their numbers, which were drawn at random."""

    id: int = field(repr=False)
    code: str
    zone: ZoneInfo
    revision: str
    planned: int  # waves that have not opened
    waves: tuple[AskedWave, ...]
    people: tuple[Numbered, ...]


@dataclass(frozen=True)
class Filled:
    """What one participant answered to one questionnaire of one wave; all that is not there is missing for the reason `absent`.

    `given`: the moment and the road of the newest answer to each item, where these were asked for.
    """

    person: Numbered
    wave: AskedWave
    questionnaire: Questionnaire
    absent: str
    values: Mapping[int, int | None] = field(default_factory=dict)
    times: Mapping[int, int] = field(default_factory=dict)
    given: Mapping[int, tuple[datetime, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A state that a participant's assignment came into."""

    person: Numbered
    wave: AskedWave
    step: int
    state: str
    cause: str
    at: datetime
    order: tuple[str, ...]
    seed: int


def stand_still(tx: Tx) -> None:
    """From here on this transaction sees the database as it is now. SQLite's does so from its first look."""
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def study(tx: Tx, shelf: Shelf, course_id: int) -> Study:
    """The course without its answers. Raises `Invalid` where the file of an instrument that was asked is gone."""
    course = tx.execute(sa.select(Course.code, Course.zone).where(Course.id == course_id)).one()
    rows = tx.execute(sa.select(*Wave.__table__.columns).where(Wave.course_id == course_id).order_by(Wave.opens_at, Wave.code)).all()
    zone = ZoneInfo(course.zone)
    return Study(
        id=course_id,
        code=course.code,
        zone=zone,
        revision=migrations.standing(tx) or "",
        planned=sum(row.state in UNOPENED for row in rows),
        waves=tuple(_wave(tx, shelf, row) for row in rows if row.state not in UNOPENED),
        people=_people(tx, course_id, zone),
    )


def _wave(tx: Tx, shelf: Shelf, row: Any) -> AskedWave:
    return AskedWave(
        id=row.id,
        code=row.code,
        title=row.plan["title"],
        opens_at=row.opens_at,
        closes_at=row.closes_at,
        state=row.state,
        late=row.late,
        skips=row.skips,
        shuffled=row.shuffled,
        questionnaires=tuple(_questionnaire(tx, shelf, each) for each in row.plan["instruments"]),
    )


def _questionnaire(tx: Tx, shelf: Shelf, plan: Mapping[str, Any]) -> Questionnaire:
    try:
        instrument = shelf.instrument(tx, plan["code"], plan["version"], plan["wording"])
        shipped = shelf.instrument(tx, plan["code"], plan["version"], None)
    except FileGone as gone:
        raise Invalid("instrument", f"{gone.args[0]}.") from None
    words = dict.fromkeys(LANGUAGES, shipped.wording)
    if plan["wording"] is None:
        return Questionnaire(instrument, plan["frame"], words, instrument.wording_source)
    columns = (Wording.words, Wording.source, Wording.permission, Wording.translation, Wording.checksum)
    brought = tx.execute(sa.select(*columns).where(Wording.id == plan["wording"])).one()
    words |= dict.fromkeys(brought.words, instrument.wording)  # the other language keeps the words of the file
    return Questionnaire(instrument, plan["frame"], words, brought.source, brought.permission, brought.translation, brought.checksum)


def _people(tx: Tx, course_id: int, zone: ZoneInfo) -> tuple[Numbered, ...]:
    columns = (Participant.person_id, Participant.number, Participant.withdrawn_at, Participant.erase_answers)
    rows = tx.execute(sa.select(*columns).where(Participant.course_id == course_id))
    found = [
        Numbered(person_id, number, None if left is None else left.astimezone(zone).date(), left is not None and erased)
        for person_id, number, left, erased in rows
    ]
    return tuple(sorted(found, key=lambda each: each.number))


# Answers ------------------------------------------------------------------------------------------------------------------------------


def filled(tx: Tx, course: Study, *, moments: bool = False) -> Iterator[Filled]:
    """Every participant's every questionnaire of every wave, in the order of numbers, waves and plan, whether answered or not."""
    for people in _batches(course.people):
        mine = _theirs(course, people)
        sheets = _sheets(tx, mine)
        given = _given(tx, mine) if moments else {}
        for person in people:
            for wave in course.waves:
                for questionnaire in wave.questionnaires:
                    sheet = sheets.get((person.person_id, wave.id, questionnaire.instrument.code))
                    yield _filled(person, wave, questionnaire, sheet, given)


def _batches(people: Sequence[Numbered]) -> Iterator[Sequence[Numbered]]:
    for start in range(0, len(people), BATCH):
        yield people[start : start + BATCH]


def _theirs(course: Study, people: Sequence[Numbered]) -> "sa.ColumnElement[bool]":
    return sa.and_(
        Assignment.wave_id.in_([wave.id for wave in course.waves]),
        Assignment.person_id.in_([each.person_id for each in people if each.person_id is not None]),
    )


def _sheets(tx: Tx, mine: "sa.ColumnElement[bool]") -> dict[tuple[int | None, int, str], Any]:
    columns = (Assignment.person_id, Assignment.wave_id, Assignment.state, Sheet.id, Sheet.instrument, Sheet.answers, Sheet.handed_in_at)
    rows = tx.execute(sa.select(*columns).join(Sheet, Sheet.assignment_id == Assignment.id).where(mine))
    return {(row.person_id, row.wave_id, row.instrument): row for row in rows}


def _given(tx: Tx, mine: "sa.ColumnElement[bool]") -> dict[int, dict[int, tuple[datetime, str]]]:
    """By sheet and item, moment and road of the newest answer."""
    rows = tx.execute(
        sa.select(GivenAnswer.sheet_id, GivenAnswer.item, GivenAnswer.at, GivenAnswer.road)
        .join(Sheet, Sheet.id == GivenAnswer.sheet_id)
        .join(Assignment, Assignment.id == Sheet.assignment_id)
        .where(mine)
        .order_by(GivenAnswer.sheet_id, GivenAnswer.item, GivenAnswer.version)
    )
    found: dict[int, dict[int, tuple[datetime, str]]] = {}
    for sheet_id, item, at, road in rows:
        found.setdefault(sheet_id, {})[item] = (at, road)
    return found


def _filled(
    person: Numbered, wave: AskedWave, questionnaire: Questionnaire, sheet: Any, given: Mapping[int, dict[int, tuple[datetime, str]]]
) -> Filled:
    absent = _absent(person, sheet)
    if sheet is None or person.erased:
        return Filled(person, wave, questionnaire, absent)
    values = {int(item): answer[0] for item, answer in sheet.answers.items()}
    times = {int(item): int(answer[1]) for item, answer in sheet.answers.items()}
    return Filled(person, wave, questionnaire, absent, values, times, given.get(sheet.id, {}))


def _absent(person: Numbered, sheet: Any) -> str:
    """Why there is no answer to an item that was to be asked."""
    if sheet is None:
        return NOT_INVITED
    if person.erased or sheet.handed_in_at is not None:  # nothing is handed in with an item open: the answers were deleted later
        return ERASED
    return str(sheet.state) if sheet.state in ENDED else NOT_ANSWERED


# Assignments and counts ---------------------------------------------------------------------------------------------------------------


def changes(tx: Tx, course: Study) -> Iterator[Change]:
    """Every change of every assignment, in the order of numbers, waves and steps."""
    for people in _batches(course.people):
        mine = _theirs(course, people)
        orders = _orders(tx, mine)
        steps = _steps(tx, mine)
        for person in people:
            for wave in course.waves:
                for step, row in enumerate(steps.get((person.person_id, wave.id), ()), start=1):
                    yield Change(person, wave, step, row.state, row.cause, row.at, orders.get(row.assignment_id, ()), row.seed)


def _steps(tx: Tx, mine: "sa.ColumnElement[bool]") -> dict[tuple[int | None, int], list[Any]]:
    changed = (AssignmentChange.assignment_id, AssignmentChange.state, AssignmentChange.cause, AssignmentChange.at)
    rows = tx.execute(
        sa.select(Assignment.person_id, Assignment.wave_id, Assignment.seed, *changed)
        .join(AssignmentChange, AssignmentChange.assignment_id == Assignment.id)
        .where(mine)
        .order_by(AssignmentChange.id)
    )
    found: dict[tuple[int | None, int], list[Any]] = {}
    for row in rows:
        found.setdefault((row.person_id, row.wave_id), []).append(row)
    return found


def _orders(tx: Tx, mine: "sa.ColumnElement[bool]") -> dict[int, tuple[str, ...]]:
    """By assignment, the instruments in the order in which that person has them."""
    rows = tx.execute(
        sa.select(Sheet.assignment_id, Sheet.instrument)
        .join(Assignment, Assignment.id == Sheet.assignment_id)
        .where(mine)
        .order_by(Sheet.assignment_id, Sheet.place)
    )
    found: dict[int, tuple[str, ...]] = {}
    for assignment_id, instrument in rows:
        found[assignment_id] = (*found.get(assignment_id, ()), instrument)
    return found


def screened(tx: Tx, course: Study) -> Counter[str]:
    """How many answered the invitation to the course in which way; of somebody who answered more than once, the last answer."""
    rows = tx.execute(
        sa.select(Screening.id, Screening.person_id, Screening.included, Screening.why)
        .where(Screening.course_id == course.id)
        .order_by(Screening.id)
    )
    last = {("row", row.id) if row.person_id is None else ("person", row.person_id): row for row in rows}
    return Counter("included" if row.included else row.why.replace(" ", "_") for row in last.values())


def standing(tx: Tx, waves: Sequence[AskedWave]) -> dict[str, dict[str, int]]:
    """How many people stand in each state of each wave, by its code."""
    counts = count(tx, [wave.id for wave in waves])
    return {wave.code: {state.value: number for state, number in counts[wave.id].items()} for wave in waves}
