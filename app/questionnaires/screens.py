"""Hides how a sheet looks as a page: which words stand where, in the reader's language. Nothing is stored or looked up here.

Whether a wording is a demonstration is for administrators: who answers reads the same page in either case.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bots.questionnaire.instrument import LABELLED, Item, Kind
from bots.questionnaire.sheets import Assignment, Sheet
from bots.texts import Texts

#: What a reader can call: three digits or more, but no year.
_CALLED = re.compile(r"(?<![\d.:])\d{3,}(?:-\d{3,})*(?![\d.:年])")


@dataclass(frozen=True)
class Link:
    """Words to tap, and the question of the address behind them; of a telephone number `call` instead."""

    words: str
    query: str = ""
    call: str = ""


@dataclass(frozen=True)
class Progress:
    """How far somebody is: in figures for the bar, in words to read, in words to hear."""

    words: str
    spoken: str
    answered: int
    total: int


@dataclass(frozen=True)
class Option:
    """One answer to tap. `spoken` is what a screen reader says; `number` is empty where the answers are no scale."""

    value: int
    number: str
    label: str
    spoken: str
    chosen: bool


@dataclass(frozen=True)
class Question:
    """One item. With `box` ("number", "date" or "text") it is typed, else one of the options is tapped.

    `again`: how often it had been answered when the page was made. `value` is what stands in the box.
    """

    sheet: int
    item: int
    again: int
    words: str
    opening: str
    first: bool
    hint: str = ""
    options: tuple[Option, ...] = field(default=(), repr=False)
    box: str = ""
    value: str = field(default="", repr=False)
    wrong: str = ""
    skips: bool = False


@dataclass(frozen=True)
class Row:
    """One answered item of a review."""

    place: int
    words: str
    answer: str = field(repr=False)
    query: str


@dataclass(frozen=True)
class Review:
    """Everything that was answered of a sheet, before it is handed in."""

    sheet: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Page:
    """What is shown. `status` 422: what was sent does not fit, and nothing of it was stored."""

    language: str
    title: str
    heading: str
    words: tuple[tuple[Link, ...], ...] = field(default=(), repr=False)  # paragraphs, each of pieces; a piece may lead somewhere
    notes: tuple[str, ...] = ()
    progress: Progress | None = None
    question: Question | None = None
    review: Review | None = None
    on: Link | None = None  # the one way on, where there is no form
    links: tuple[Link, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Screens:
    """The pages of one reader."""

    words: Texts
    language: str
    zone: str

    def say(self, key: str, **gaps: Any) -> str:
        """The words under a key of the table `answer`."""
        return self.words.fill(f"answer.{key}", self.language, self.zone, **gaps)

    def question(self, assignment: Assignment, sheet: Sheet, item: Item, own: Mapping[int, str], now: datetime) -> Page:
        """One item, open or to be corrected. `own`: the words that were given to the sheet's items so far."""
        asked, answered = sheet.asked(), item.number in sheet.answers
        place, stands = asked.index(item) + 1, self.answer(sheet, item, own) if answered else ""
        question = Question(
            sheet.id,
            item.number,
            sheet.versions.get(item.number, 0),
            words=item.words[self.language],
            opening=sheet.instrument.opening(self.language, sheet.frame),
            first=place == 1,
            hint=self._hint(item, stands) if answered else self._asked_for(item),
            options=self._options(sheet, item) if item.kind in LABELLED else (),
            box="" if item.kind in LABELLED else item.kind.value,
            value=stands if answered and sheet.answers[item.number] is not None else "",
            skips=assignment.skips,
        )
        title = sheet.instrument.title[self.language]
        return Page(
            self.language,
            title=self.say("title", title=title, place=place, items=len(asked)),
            heading=title,
            notes=self._late(assignment, now),
            progress=self._progress(assignment, sheet, place),
            question=question,
            links=self._around(sheet, place, onwards=answered),
            labels={key: self.say(key) for key in ("next", "skip", "opening")},
        )

    def wrong(self, page: Page, item: int, typed: str, sentence: str) -> Page:
        """The same page again, with what was typed for this item and what is wrong with it."""
        question = page.question
        if question is None or question.item != item:
            return replace(page, notes=(*page.notes, sentence), status=422)
        return replace(page, question=replace(question, value=typed or question.value, wrong=sentence), status=422)

    def review(self, assignment: Assignment, sheet: Sheet, own: Mapping[int, str], now: datetime) -> Page:
        """Everything that was answered, and the button that hands it in."""
        asked, title = sheet.asked(), sheet.instrument.title[self.language]
        rows = tuple(
            Row(place, item.words[self.language], self.answer(sheet, item, own), to_item(sheet, item))
            for place, item in enumerate(asked, start=1)
        )
        return Page(
            self.language,
            title=self.say("review.title", title=title),
            heading=self.say("review.title", title=title),
            words=_paragraphs(self.say("review.words")),
            notes=self._late(assignment, now),
            progress=self._progress(assignment, sheet, len(asked)),
            review=Review(sheet.id, rows),
            links=self._always(),
            labels={key: self.say(f"review.{key}") for key in ("hand_in", "list", "change")},
        )

    def handed_in(self, assignment: Assignment, sheet: Sheet) -> Page:
        """Thanks after one sheet, and what is left."""
        left = [each for each in assignment.sheets if not each.handed_in]
        titles = self._list([each.instrument.title[self.language] for each in left])
        minutes = sum(each.instrument.minutes for each in left)
        title = sheet.instrument.title[self.language]
        on = Link(self.say("thanks.on", title=left[0].instrument.title[self.language]) if left else self.say("continue"))
        words = self.say("thanks.words", title=title, count=len(left), titles=titles, minutes=minutes)
        progress = Progress(self.say("answered", **_counts(assignment)), self.say("answered", **_counts(assignment)), *assignment.counts())
        heading = self.say("thanks.title")
        return Page(self.language, heading, heading, _paragraphs(words), progress=progress, on=on, links=self._always())

    def done(self, others: Sequence[Assignment]) -> Page:
        """Thanks after the last sheet. `others`: what else is put to this person."""
        heading, words = self.say("done.title"), self.say("done.words")
        if others:
            words += "\n\n" + self.say("done.others", titles=self._list([each.title for each in others]))
        return Page(self.language, heading, heading, _paragraphs(words))

    def closed(self) -> Page:
        """The window is over."""
        heading = self.say("closed.title")
        return Page(self.language, heading, heading, _paragraphs(self.say("closed.words")))

    def rest(self, assignment: Assignment, now: datetime) -> Page:
        """A pause: what is stored, how to get back to the chat, how to go on."""
        heading, words = self.say("rest.title"), self.say("rest.words", **_counts(assignment))
        if now < assignment.closes_at:
            words += "\n\n" + self.say("rest.until", when=assignment.closes_at)
        return Page(self.language, heading, heading, _paragraphs(words), on=Link(self.say("rest.on")), links=self._always()[1:])

    def help(self, lines: str, on: Link | None, *, called: bool) -> Page:
        """Whom to talk to; `called`: the on-call people have been told."""
        heading = self.say("help.title")
        words = self.say("help.called" if called else "help.words", lines=lines)
        links = self._always()[:1] if on is not None else ()
        return Page(self.language, heading, heading, _paragraphs(words, numbers=True), on=on, links=links)

    def kept(self, page: Page, sheet: Sheet, item: Item, own: Mapping[int, str]) -> Page:
        """The same page, saying that an item had an answer already, which stands."""
        place = sheet.asked().index(item) + 1
        note = self.say("kept", place=place, answer=self.answer(sheet, item, own))
        return replace(page, notes=(*page.notes, note))

    def answer(self, sheet: Sheet, item: Item, own: Mapping[int, str]) -> str:
        """What stands for an item, as a reader reads it."""
        value = sheet.answers.get(item.number)
        if value is None:
            return self.say("skipped")
        if item.kind in LABELLED:
            return item.anchors[self.language][value - item.lowest]
        if item.kind is Kind.DATE:
            return f"{value // 10000:04}-{value // 100 % 100:02}-{value % 100:02}"
        return own.get(item.number, "") if item.kind is Kind.TEXT else str(value)

    def _options(self, sheet: Sheet, item: Item) -> tuple[Option, ...]:
        given = sheet.answers.get(item.number)
        return tuple(self._option(item, value, label, chosen=value == given) for value, label in self._labels(item))

    def _labels(self, item: Item) -> Sequence[tuple[int, str]]:
        return list(zip(item.points, item.anchors[self.language], strict=True))

    def _option(self, item: Item, value: int, label: str, *, chosen: bool) -> Option:
        scale = item.kind is Kind.SCALE
        spoken = self.say("option", value=value, label=label) if scale else label
        return Option(value, str(value) if scale else "", label, self.say("chosen", label=spoken) if chosen else spoken, chosen)

    def _hint(self, item: Item, stands: str) -> str:
        return self.say("again.tap" if item.kind in LABELLED else "again.type", answer=stands)

    def _asked_for(self, item: Item) -> str:
        if item.kind is Kind.NUMBER:
            return self.say("asked.number", lowest=item.lowest, highest=item.highest)
        return ""

    def _progress(self, assignment: Assignment, sheet: Sheet, place: int) -> Progress:
        before = assignment.sheets[: assignment.sheets.index(sheet)]
        overall = sum(each.size() for each in before) + place
        answered, total = assignment.counts()
        words = self.say(
            "progress",
            title=sheet.instrument.title[self.language],
            place=place,
            items=len(sheet.asked()),
            overall=overall,
            total=total,
        )
        return Progress(words, self.say("answered", answered=answered, total=total), answered, total)

    def _around(self, sheet: Sheet, place: int, *, onwards: bool) -> tuple[Link, ...]:
        """The former item, the way on without a change, and what is always there."""
        back = (Link(self.say("back"), to_item(sheet, sheet.asked()[place - 2])),) if place > 1 else ()
        return (*back, *((Link(self.say("on")),) if onwards else ()), *self._always())

    def _always(self) -> tuple[Link, ...]:
        return Link(self.say("chat"), "rest=1"), Link(self.say("help.link"), "help=lines")

    def _late(self, assignment: Assignment, now: datetime) -> tuple[str, ...]:
        return () if now < assignment.closes_at else (self.say("late"),)

    def _list(self, titles: Sequence[str]) -> str:
        return self.say("between").join(self.say("quoted", title=title) for title in titles)


def to_item(sheet: Sheet, item: Item) -> str:
    """The question of the address under which an item is shown again."""
    return f"sheet={sheet.id}&item={item.number}"


def _counts(assignment: Assignment) -> dict[str, int]:
    answered, total = assignment.counts()
    return {"answered": answered, "total": total}


def _paragraphs(words: str, *, numbers: bool = False) -> tuple[tuple[Link, ...], ...]:
    """Words as paragraphs; `numbers`: telephone numbers in them can be called."""
    return tuple(tuple(_pieces(each)) if numbers else (Link(each),) for each in words.split("\n\n") if each.strip())


def _pieces(paragraph: str) -> list[Link]:
    pieces, end = [], 0
    for found in _CALLED.finditer(paragraph):
        pieces += [Link(paragraph[end : found.start()]), Link(found[0], call=found[0].replace("-", ""))]
        end = found.end()
    return [*pieces, Link(paragraph[end:])]
