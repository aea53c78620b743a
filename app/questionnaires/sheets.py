"""Hides what somebody's answers are as rows: found with every push of theirs, written with the answer that they give, corrected, handed in.

All of it happens while the person is held (app/inbox/rows.py), in the chat as on the web page: two devices are one after the other.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import JSONB

from app import audit, clock, ids
from app.db import Tx
from app.db.prepared import Prepared, in_one, slot
from app.groups import Refused
from app.keyring import Place
from app.logs import place_of
from app.models import Assignment, GivenAnswer, Sheet, Wave
from app.people import Known
from app.questionnaires import standing
from app.questionnaires.shelf import FileGone, Shelf
from app.states import Asked
from bots.effects import BeginAssignment, Decline, Given, HandIn, Record, RemindLater
from bots.questionnaire.instrument import Kind
from bots.questionnaire.reading import LONGEST_TEXT
from bots.questionnaire.sheets import Assignment as AssignmentView
from bots.questionnaire.sheets import Sheet as SheetView

_LONGEST_RAW = 40
log = structlog.get_logger()

#: In these an answer changes nothing but the sheet.
_STAYS = (Asked.PARTIAL, Asked.WINDOW_CLOSED)


def open_of(dialect: str, person_id: Any, account_id: Any) -> "sa.Select[Any]":
    """The open assignments of a person as one JSON text, for `read`; `person_id` and `account_id` are columns or values."""
    return _listed(dialect).where(Assignment.person_id == person_id, Assignment.account_id == account_id, standing.OPEN)


def _listed(dialect: str) -> "sa.Select[Any]":
    lite = dialect == "sqlite"
    # What was handed in is only counted any more: on the way to the last item that would be most of what a push reads.
    needed = sa.case((Sheet.asked.is_(None), Sheet.answers))
    columns = (
        *(Assignment.id, Assignment.state, Wave.id, Wave.closes_at),
        *(Sheet.id, Sheet.place, Sheet.instrument, Sheet.version, Sheet.wording_id, Sheet.frame),
        *(sa.func.json(needed) if lite else needed, Sheet.handed_in_at.is_not(None), Sheet.asked),
    )
    as_list: Any = (
        sa.func.json_group_array(sa.func.json_array(*columns), type_=sa.Text())
        if lite
        else sa.cast(sa.func.json_agg(sa.func.json_build_array(*columns)), sa.Text())
    )
    return (
        sa.select(as_list)
        .select_from(Assignment)
        .join(Wave, Wave.id == Assignment.wave_id)
        .join(Sheet, Sheet.assignment_id == Assignment.id)
    )


def read(tx: Tx, shelf: Shelf, found: str | None, language: str) -> tuple[AssignmentView, ...]:
    """What `open_of` found, as bots may see it: the one that closes first before the others.

    One that cannot be read because the file of an instrument is gone is left out, and the operators are told: words of danger are heard
    all the same.
    """
    rows: dict[int, list[Any]] = {}
    for row in json.loads(found or "[]"):
        rows.setdefault(row[0], []).append(row)
    views: list[AssignmentView] = []
    for some in rows.values():
        try:
            views.append(_view(tx, shelf, some, language))
        except FileGone as gone:
            audit.alarm(tx, clock.now(), "bot_failed", type(gone).__name__)
            log.error("bot_failed", kind=type(gone).__name__, where=place_of(gone))  # noqa: TRY400 - tracebacks stay out of our logs
    return tuple(sorted(views, key=lambda view: (view.closes_at, view.id)))


def find(tx: Tx, shelf: Shelf, person_id: int, account_id: int, language: str) -> tuple[AssignmentView, ...]:
    """The open assignments of a person. Whoever writes them afterwards must hold the person."""
    found = tx.execute(open_of(tx.dialect.name, person_id, account_id)).scalar_one_or_none()
    return read(tx, shelf, found, language)


def closed_since(tx: Tx, shelf: Shelf, known: Known, account_id: int, moment: datetime) -> tuple[AssignmentView, ...]:
    """What this person could still answer at `moment`, and what was closed before that answer could be stored: it waited on the disk."""
    mine = sa.and_(Assignment.person_id == known.id, Assignment.account_id == account_id)
    closed = sa.and_(Assignment.state == Asked.WINDOW_CLOSED, Wave.closes_at > moment)
    found = tx.execute(_listed(tx.dialect.name).where(mine, closed)).scalar_one_or_none()
    return read(tx, shelf, found, known.language)


def _view(tx: Tx, shelf: Shelf, rows: Sequence[Any], language: str) -> AssignmentView:
    id_, state, wave_id, closes_at = rows[0][:4]
    wave = shelf.wave(tx, wave_id)
    sheets = [_sheet(tx, shelf, *row[4:]) for row in sorted(rows, key=lambda row: row[5])]
    return AssignmentView(
        id=id_,
        wave_id=wave_id,
        course=wave.course_id,
        course_title=wave.course_title,
        wave=wave.code,
        title=wave.title.get(language) or next(iter(wave.title.values()), wave.code),
        state=state,
        closes_at=_moment(closes_at),
        keeps_late=wave.keeps_late,
        skips=wave.skips,
        sheets=tuple(sheets),
    )


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _sheet(tx: Tx, shelf: Shelf, id_: int, _place: int, code: str, version: int, wording: int | None, *rest: Any) -> SheetView:
    frame, stored, handed_in, total = rest
    answers: dict[int, int | None] = {}
    versions: dict[int, int] = {}
    for item, (value, times) in (stored or {}).items():
        number = int(item)
        answers[number], versions[number] = value, times
    return SheetView(id_, shelf.instrument(tx, code, version, wording), frame, answers, bool(handed_in), versions, total)


# Answers ------------------------------------------------------------------------------------------------------------------------------


def record(tx: Tx, known: Known, assignments: Sequence[AssignmentView], effect: Record, now: datetime) -> None:
    """Store answers of one sheet, each as the newest version of its item. Raises `Refused` before anything is written."""
    assignment, sheet = _mine(assignments, effect.sheet, now)
    for given in effect.given:
        _check(assignment, sheet, given)
    versions = dict(sheet.versions)
    *before, last = (_answer(known, sheet, given, versions, effect.road, now) for given in effect.given)
    for row in before:
        _INSERT.run(tx, **row)
    _RECORD.run(tx, **last, answers={str(given.item): [given.value, versions[given.item]] for given in effect.given})
    if assignment.state not in _STAYS:
        standing.move(tx, assignment.id, Asked.PARTIAL, "answered", now)


def _check(assignment: AssignmentView, sheet: SheetView, given: Given) -> None:
    item = sheet.instrument.items[given.item - 1] if 0 < given.item <= len(sheet.instrument.items) else None
    fits = item is not None and (given.value in item.points if given.value is not None else assignment.skips)
    if item is None or not fits or (item.kind is Kind.TEXT and given.value is not None and not given.text.strip()):
        raise Refused("foreign", "This question takes no such answer.")


def _answer(known: Known, sheet: SheetView, given: Given, versions: dict[int, int], road: str, now: datetime) -> dict[str, Any]:
    row_id = ids.new_id()
    versions[given.item] = versions.get(given.item, 0) + 1
    text = given.text.strip()[:LONGEST_TEXT]
    return {
        "id": row_id,
        "sheet_id": sheet.id,
        "item": given.item,
        "version": versions[given.item],
        "value": given.value,
        "missing": "skipped" if given.value is None else None,
        "raw": None if text else given.raw[:_LONGEST_RAW],
        "text_sealed": known.key.seal(Place("answers", "text_sealed", row_id), text) if text else None,
        "road": road,
        "at": now,
    }


def own_words(tx: Tx, known: Known, sheet: SheetView) -> dict[int, str]:
    """The words that a person gave to items that ask for some, each as it counts now, by item."""
    columns = (GivenAnswer.id, GivenAnswer.item, GivenAnswer.version, GivenAnswer.text_sealed)
    rows = tx.execute(sa.select(*columns).where(GivenAnswer.sheet_id == sheet.id, GivenAnswer.text_sealed.is_not(None)))
    return {
        row.item: known.key.unseal(Place("answers", "text_sealed", row.id), row.text_sealed)
        for row in rows
        if sheet.versions.get(row.item) == row.version
    }


def begin(tx: Tx, assignments: Sequence[AssignmentView], effect: BeginAssignment, now: datetime) -> None:
    """The person looks at the first question: an invitation that still waits for them is not needed any more."""
    assignment = _one(assignments, effect.assignment)
    if assignment.state in (Asked.INVITED, Asked.REACHED):
        standing.move(tx, assignment.id, Asked.OPENED, "opened", now)
        standing.take_back(tx, assignment.id, now)


def hand_in(tx: Tx, assignments: Sequence[AssignmentView], effect: HandIn, now: datetime) -> None:
    """Finish a sheet; with the last one the assignment is complete, and what was to remind of it is taken back."""
    assignment, sheet = _mine(assignments, effect.sheet, now)
    if sheet.open_item() is not None:
        raise Refused("open", "A question is still open.")
    _HAND_IN.run(tx, sheet=sheet.id, now=now, asked=sheet.size())
    if _is_last(assignment, sheet.id):
        standing.end(tx, assignment.id, Asked.COMPLETE, "handed_in", now)
    elif assignment.state not in _STAYS:
        standing.move(tx, assignment.id, Asked.PARTIAL, "answered", now)


def completes(assignments: Sequence[AssignmentView], sheet_id: int) -> bool:
    """Whether this sheet is the last of its assignment."""
    return any(each.sheet(sheet_id) is not None and _is_last(each, sheet_id) for each in assignments)


def course_completed(assignments: Sequence[AssignmentView], sheet_id: int) -> int | None:
    """The course of the assignment that this sheet completes when it is handed in; None where others are open."""
    return next((each.course for each in assignments if each.sheet(sheet_id) is not None and _is_last(each, sheet_id)), None)


def _is_last(assignment: AssignmentView, sheet_id: int) -> bool:
    return all(each.handed_in or each.id == sheet_id for each in assignment.sheets)


def decline(tx: Tx, assignments: Sequence[AssignmentView], effect: Decline, now: datetime) -> None:
    """The person does not want to answer; what was answered stays, as the consent says."""
    standing.end(tx, _one(assignments, effect.assignment).id, Asked.REFUSED, "declined", now)


def remind_later(tx: Tx, assignments: Sequence[AssignmentView], effect: RemindLater, now: datetime) -> None:
    """Remind the person at the moment that they chose."""
    assignment = _one(assignments, effect.assignment)
    if effect.at <= now or not assignment.takes(effect.at):
        raise Refused("closed", "The window is over by then.")
    tx.execute(sa.update(Assignment).where(Assignment.id == assignment.id).values(remind_at=effect.at))


def _mine(assignments: Sequence[AssignmentView], sheet_id: int, now: datetime) -> tuple[AssignmentView, SheetView]:
    for assignment in assignments:
        sheet = assignment.sheet(sheet_id)
        if sheet is not None:
            if sheet.handed_in:
                raise Refused("done", "This questionnaire was handed in.")
            if not assignment.takes(now):
                raise Refused("closed", "The window of this questionnaire is over.")
            return assignment, sheet
    raise Refused("foreign", "There is no such open questionnaire of yours.")


def _one(assignments: Sequence[AssignmentView], assignment_id: int) -> AssignmentView:
    found = next((each for each in assignments if each.id == assignment_id), None)
    if found is None:
        raise Refused("foreign", "There is no such open questionnaire of yours.")
    return found


_ANSWER_COLUMNS = ("id", "sheet_id", "item", "version", "value", "missing", "raw", "text_sealed", "road", "at")
_ANSWER = sa.insert(GivenAnswer).values({name: slot(name, GivenAnswer.__table__.c[name]) for name in _ANSWER_COLUMNS})
_HAND_IN = Prepared(
    lambda _: [
        sa.update(Sheet)
        .where(Sheet.id == slot("sheet", Sheet.id))
        .values(handed_in_at=slot("now", Sheet.handed_in_at), changed_at=slot("now", Sheet.changed_at), asked=slot("asked", Sheet.asked))
    ]
)


def _remembered(dialect: str) -> Any:
    """These answers beside, or in place of, those that their sheet holds."""
    if dialect == "sqlite":
        answers: Any = sa.func.json_patch(Sheet.answers, slot("answers", Sheet.answers))
    else:
        answers = sa.cast(sa.cast(Sheet.answers, JSONB).concat(sa.bindparam("answers", type_=JSONB)), sa.JSON)
    changed = {"answers": answers, "changed_at": slot("at", Sheet.changed_at)}
    return sa.update(Sheet).where(Sheet.id == slot("sheet_id", Sheet.id)).values(changed)


_INSERT = Prepared(lambda _: [_ANSWER])
_RECORD = in_one(_ANSWER, _remembered)
