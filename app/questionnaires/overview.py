"""Hides what an operator sees of waves: the window, what is asked in whose words, and how many people stand where."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.db import Tx
from app.models import Course, Wave, Wording
from app.questionnaires import waves
from app.questionnaires.shelf import FileGone, Shelf
from app.states import Asked


@dataclass(frozen=True)
class Asks:
    """An instrument of a wave. `whose`: demonstration, own (of its file), imported, or gone (its file is away)."""

    code: str
    version: int
    items: int
    frame: str | None
    whose: str
    checksum: str | None  # of the wording that was imported


@dataclass(frozen=True)
class WaveLine:
    """A wave with its course's code and zone; the counts of all states, none left out, add up to `total`."""

    course: str
    zone: str
    code: str
    title: Mapping[str, str]
    state: str
    opens_at: datetime
    closes_at: datetime
    late: str
    skips: bool
    shuffled: bool
    reminders: tuple[datetime, ...]
    asks: tuple[Asks, ...]
    counts: Mapping[Asked, int]

    @property
    def total(self) -> int:
        """To how many people it was put."""
        return sum(self.counts.values())

    @property
    def demonstrations(self) -> tuple[str, ...]:
        """The instruments that speak in our demonstration wording."""
        return tuple(each.code for each in self.asks if each.whose == "demonstration")


def every(tx: Tx, shelf: Shelf, course: str | None = None, code: str | None = None) -> list[WaveLine]:
    """Every wave, of one course or with one code where these are given: by course, in the order in which they open."""
    query = sa.select(*Wave.__table__.columns, Course.code.label("course"), Course.zone).join(Course, Course.id == Wave.course_id)
    if course is not None:
        query = query.where(Course.code == course)
    if code is not None:
        query = query.where(Wave.code == code)
    return [_line(tx, shelf, row) for row in tx.execute(query.order_by(Course.code, Wave.opens_at, Wave.id)).all()]


def _line(tx: Tx, shelf: Shelf, row: Any) -> WaveLine:
    counts = waves.counts(tx, row.id)
    return WaveLine(
        course=row.course,
        zone=row.zone,
        code=row.code,
        title=row.plan["title"],
        state=row.state,
        opens_at=row.opens_at,
        closes_at=row.closes_at,
        late=row.late,
        skips=row.skips,
        shuffled=row.shuffled,
        reminders=tuple(waves.rule_of(row.plan).moments(row.opens_at, row.zone)),
        asks=tuple(_asks(tx, shelf, each) for each in row.plan["instruments"]),
        counts={state: counts.get(state.value, 0) for state in Asked},
    )


def _asks(tx: Tx, shelf: Shelf, frozen: Mapping[str, Any]) -> Asks:
    try:
        whose = shelf.instrument(tx, frozen["code"], frozen["version"], frozen["wording"]).wording
    except FileGone:
        whose = "gone"
    checksum = tx.execute(sa.select(Wording.checksum).where(Wording.id == frozen["wording"])).scalar_one_or_none()
    return Asks(frozen["code"], frozen["version"], frozen["items"], frozen["frame"], whose, checksum)
