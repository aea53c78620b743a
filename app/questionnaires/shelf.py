"""Hides where instruments and waves are kept in a process: what is frozen is read once, and then taken from memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import sqlalchemy as sa

from app.db import Tx
from app.models import Course, Wave, Wording
from bots.questionnaire.instrument import Instrument, Item, every


class FileGone(LookupError):
    """The file of an instrument that was put to people is not in its folder any more."""


@dataclass(frozen=True)
class WaveKept:
    """What never changes of a wave. `title`: by language."""

    code: str
    course_id: int
    course_title: str
    title: dict[str, str]
    skips: bool
    keeps_late: bool


class Shelf:
    """The instruments of a process, in each version, with the wording that a study brought; and the waves that were seen."""

    def __init__(self, instruments: Sequence[Instrument] | None = None) -> None:
        """`instruments`: every version of each; without it those of the folder, read when one is asked for."""
        self._given = instruments
        self._worded: dict[tuple[str, int, int], Instrument] = {}
        self._waves: dict[int, WaveKept] = {}

    @cached_property
    def _files(self) -> dict[tuple[str, int], Instrument]:
        return {(each.code, each.version): each for each in (_of_the_folder() if self._given is None else self._given)}

    def newest(self) -> dict[str, Instrument]:
        """The newest version of every instrument, by its code, in the words of its file."""
        return {code: self._files[code, version] for code, version in sorted(self._files)}

    def instrument(self, tx: Tx, code: str, version: int, wording_id: int | None) -> Instrument:
        """An instrument as it is asked. Raises `FileGone`."""
        found = self._files.get((code, version))
        if found is None:
            raise FileGone(f"bots/questionnaire/instruments/{code}.{version}.toml is gone; put it back, people are answering it")
        if wording_id is None:
            return found
        worded = self._worded.get((code, version, wording_id))
        if worded is None:
            row = tx.execute(sa.select(*Wording.__table__.columns).where(Wording.id == wording_id)).one()
            worded = self._worded[code, version, wording_id] = dressed(found, row.words, row.source)
        return worded

    def wave(self, tx: Tx, wave_id: int) -> WaveKept:
        """What never changes of a wave."""
        kept = self._waves.get(wave_id)
        if kept is None:
            row = tx.execute(
                sa.select(Wave.code, Wave.course_id, Course.title, Wave.plan, Wave.skips, Wave.late)
                .join(Course, Course.id == Wave.course_id)
                .where(Wave.id == wave_id)
            ).one()
            kept = WaveKept(row.code, row.course_id, row.title, row.plan["title"], row.skips, row.late == "keep")
            self._waves[wave_id] = kept
        return kept


@cache
def _of_the_folder() -> tuple[Instrument, ...]:
    """Every version of each, read once a process: nobody changes what was released."""
    return tuple(every())


def dressed(instrument: Instrument, words: dict[str, Any], source: str) -> Instrument:
    """The instrument in a study's own words: language to title, opening, items, and the labels of each item.

    A language that the study did not bring keeps the words of the file.
    """

    def item(each: Item) -> Item:
        spoken = {language: brought["items"][each.number - 1] for language, brought in words.items()}
        labels = {language: tuple(brought["labels"][each.number - 1]) for language, brought in words.items()}
        return replace(each, words={**each.words, **spoken}, anchors={**each.anchors, **labels} if each.anchors else each.anchors)

    return replace(
        instrument,
        items=tuple(map(item, instrument.items)),
        title={**instrument.title, **{language: brought["title"] for language, brought in words.items() if brought.get("title")}},
        intro={**instrument.intro, **{language: brought["opening"] for language, brought in words.items() if brought.get("opening")}},
        wording="imported",
        wording_source=source,
    )
