"""Hides how a course becomes one file for its research team: who may have it, the audit row before the first byte, and what is in it."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app import access, audit, packed
from app.db import Database, Tx
from app.errors import Forbidden, Invalid
from app.packed import Archive
from app.questionnaires.shelf import Shelf
from app.study import codebook, reading, tables
from app.study.columns import header
from app.study.reading import Study

NOTES = "notes.md"


@dataclass(frozen=True)
class Exported:
    """What an export held. `demonstration`: codes of the scales that were asked in words which measure nothing."""

    people: int
    waves: int
    prorated: int
    demonstration: tuple[str, ...]


def export(
    database: Database,
    shelf: Shelf,
    course_id: int,
    path: Path,
    now: datetime,
    *,
    asker: int | None = None,
    reason: str | None = None,
    over: bool = False,
) -> Exported:
    """Write everything that the research team of a course may have to a zip, as it stands at this moment, under numbers only.

    `asker`: for whom, if not for the operator; they must be a researcher or an administrator of the course, else `Forbidden`. `reason`:
    what they wrote that it is for; it stands in the audit. `over`: the file may take the place of another. Raises `Conflict` or `Invalid`
    where it cannot be written; then nothing of it is left.
    """
    packed.check_place(path, over=over)
    if not database.write_now(lambda tx: _admit(tx, course_id, asker, reason, now)):
        sentence = "Only a researcher or an administrator of this course may have its data; `tongban person find` shows who is what."
        raise Forbidden("role", sentence)
    return database.read_now(lambda tx: _write(tx, shelf, course_id, path, now, over=over))


def _admit(tx: Tx, course_id: int, asker: int | None, reason: str | None, now: datetime) -> bool:
    """Whether the asker may have it; either way it is on record, and committed, before a byte is written."""
    may = asker is None or access.may_export(tx, asker, course_id)
    actor = audit.actor(asker)
    details = {} if reason is None else {"reason": reason}
    audit.record(tx, now, actor, "export" if may else "export.refused", f"course:{course_id}", **details)
    return may


def _write(tx: Tx, shelf: Shelf, course_id: int, path: Path, now: datetime, *, over: bool) -> Exported:
    reading.stand_still(tx)
    course = reading.study(tx, shelf, course_id)
    _check_columns(course)
    with packed.written(path, now.astimezone(course.zone), over=over) as out:
        prorated = _fill(tx, course, out, now)
    codes = tuple(each.instrument.code for each in tables.demonstrations(course))
    return Exported(len(course.people), len(course.waves), prorated.total(), codes)


def _check_columns(course: Study) -> None:
    twice = [column for column, times in Counter(tables.item_columns(course)).items() if times > 1]
    if twice:
        sentence = f"The codes of two waves and their instruments both make the column {twice[0]!r}; rename an instrument or a wave."
        raise Invalid("columns", sentence)


def _fill(tx: Tx, course: Study, out: Archive, now: datetime) -> Counter[tuple[str, str, str]]:
    """The files, always in this order; each walks through the answers anew, so that few are in memory at a time."""
    texts, prorated = codebook.load(), Counter[tuple[str, str, str]]()
    rows = {
        "participants.csv": tables.participants(course),
        "waves.csv": tables.waves(course),
        "assignments.csv": tables.assignments(course, reading.changes(tx, course)),
        "long.csv": tables.long(course, reading.filled(tx, course, moments=True)),
        "wide.csv": tables.wide(reading.filled(tx, course)),
        "scores.csv": tables.scores(reading.filled(tx, course), prorated),
        "flow.csv": tables.flow(tx, course),
        "codebook.csv": codebook.rows(texts, course),
    }
    for name, each in rows.items():
        out.table(name, header(name, tables.item_columns(course)), each)
    out.text(NOTES, codebook.notes(texts, course, prorated, now))
    return prorated
