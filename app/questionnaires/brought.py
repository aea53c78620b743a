"""Hides the file with a study's own wording of an instrument: the one to fill in, and what a filled one says, read strictly.

Validated wording belongs to its authors, so it comes with its source and their permission; ours does not stand in the file to fill in,
lest it be sent by accident.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app import spreadsheets
from app.spreadsheets import Line, RowError, Rows, Wrong, cleaned, shown
from bots.questionnaire.instrument import FRAME, LABELLED, LONGEST_ITEM, Instrument, Item
from bots.texts import LANGUAGES

#: Problems of a file that are told at once.
MOST_PROBLEMS = 20
#: Rows that are no item.
TITLE, OPENING = "title", "opening"
TRANSLATIONS = ("original", "forward", "back-translated", "validated")
#: Bytes of UTF-8. An item and its labels are one message, which holds 2,048 with what stands around them.
_LONGEST = {TITLE: 90, OPENING: 1000}
_LONGEST_LABEL, _LONGEST_MESSAGE, _LONGEST_NOTE = 150, 1400, 1000

_WHAT = "wording"
_HEADS = {
    "instrument": ("instrument", "量表"),
    "item": ("item", "题号"),
    "language": ("language", "语言"),
    # Help in the file to fill in; what stands there is not read.
    "topic": ("topic", "主题"),
    "answers": ("answers", "选项数"),
    "text": ("text", "文字"),
    "anchors": ("anchors", "选项"),
    "source": ("source", "来源"),
    "permission": ("permission", "许可"),
    "translation": ("translation", "翻译"),
}
_HEAD_OF = {word: head for head, words in _HEADS.items() for word in words}
_NEEDED = ("item", "language", "text", "anchors", "source", "permission", "translation")
_PARTS = {TITLE: (TITLE, "标题", "名称"), OPENING: (OPENING, "开头语", "指导语")}
_PART_OF = {word: part for part, words in _PARTS.items() for word in words}
_LANGUAGES = {"zh": ("zh", "zh-cn", "中文", "汉语", "chinese"), "en": ("en", "英文", "英语", "english")}
_LANGUAGE_OF = {word: language for language, words in _LANGUAGES.items() for word in words}
_STATUSES = {
    "original": ("original", "原文", "原版"),
    "forward": ("forward", "正译", "单向翻译"),
    "back-translated": ("back-translated", "back translated", "回译"),
    "validated": ("validated", "已验证", "经过验证"),
}
_STATUS_OF = {word: status for status, words in _STATUSES.items() for word in words}
_NOTES = ("source", "permission", "translation")


@dataclass(frozen=True)
class Brought:
    """A file as it was understood. With a single error nothing of it may be stored.

    `words`: language to title, opening, items and labels, as `shelf.dressed` reads them.
    """

    instrument: Instrument | None
    words: Mapping[str, Any] = field(default_factory=dict, repr=False)
    source: str = ""
    permission: str = ""
    translation: str = ""
    errors: tuple[RowError, ...] = ()
    encoding: str = ""
    ignored: tuple[str, ...] = ()

    @property
    def checksum(self) -> str:
        """SHA-256 over all of it, whatever order and file it came in."""
        kept = {"words": self.words, "source": self.source, "permission": self.permission, "translation": self.translation}
        return hashlib.sha256(json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# The file to fill in -----------------------------------------------------------------------------------------------------------------


def template(instrument: Instrument, languages: Sequence[str] = LANGUAGES) -> list[tuple[str, ...]]:
    """The rows of a file to fill in, the heading first: a row for the title, the opening and every item in each language."""
    name = 0 if tuple(languages) == ("en",) else 1
    rows = [tuple(words[name] for words in _HEADS.values())]
    for language in languages:
        for part in (TITLE, OPENING):
            help_ = f"{_PARTS[part][name]}{f' {FRAME}' if part == OPENING and instrument.time_frames else ''}"
            rows.append(_empty(instrument, _PARTS[part][0], language, help_, ""))
        rows += [_empty(instrument, str(item.number), language, item.topic, _count(item)) for item in instrument.items]
    return rows


def _empty(instrument: Instrument, item: str, language: str, topic: str, answers: str) -> tuple[str, ...]:
    return (f"{instrument.code}.{instrument.version}", item, language, topic, answers, "", "", "", "", "")


def _count(item: Item) -> str:
    return str(len(item.points)) if item.kind in LABELLED else ""


# Reading -----------------------------------------------------------------------------------------------------------------------------


def read(path: Path, instruments: Mapping[str, Instrument], code: str | None = None) -> Brought:
    """What a .csv or .xlsx file says, for the instrument that it names, or for `code`. Raises `Invalid` where there is no such file."""
    try:
        return _understand(spreadsheets.read(path, _HEAD_OF, _WHAT), instruments, code)
    except Wrong as wrong:
        return Brought(None, errors=(wrong.error,))


def _understand(file: Rows, instruments: Mapping[str, Instrument], code: str | None) -> Brought:
    head, *body = file.lines
    columns, ignored = spreadsheets.columns(head, _HEAD_OF)
    if missing := [each for each in _NEEDED if each not in columns]:
        names = ", ".join(f"{each} ({_HEADS[each][1]})" for each in missing)
        raise Wrong(head[0], f"No column is headed {names}; take the file that `tongban instrument wording template` writes.")
    cells = [_Cells(line, columns, len(head[1])) for line in body]
    instrument = _instrument(cells, head[0], instruments, code)
    rows = [_Row(each, instrument) for each in cells]
    filled = {row.language for row in rows if row.text or row.labels}
    # Rows of the file to fill in that nobody filled in are no wording.
    read_rows = [row for row in rows if row.language is None or row.language in filled]
    if not read_rows:
        raise Wrong(0, "No row has words yet; write them into the column text (文字).")
    errors = [error for row in read_rows for error in row.errors]
    words, notes = {}, {}
    for language in (each for each in LANGUAGES if each in filled):
        mine = [row for row in rows if row.language == language]
        errors += [*_gaps(mine, language, instrument), *_strange_notes(mine, language)]
        words[language] = _words(mine, instrument)
        notes[language] = {note: next((row.notes[note] for row in mine if row.notes[note]), "") for note in _NOTES}
    joined = {note: _joined({language: said[note] for language, said in notes.items()}) for note in _NOTES}
    found = tuple(sorted(errors, key=lambda each: each.line))
    return Brought(instrument, {} if found else words, **joined, errors=found, encoding=file.encoding, ignored=ignored)


class _Cells:
    """One line of the file, by the heads of its columns."""

    def __init__(self, line: Line, columns: Mapping[str, int], width: int) -> None:
        self.line, cells = line
        self.overfull = spreadsheets.overfull(line, width)
        self._cells = {head: cells[place] if place < len(cells) else None for head, place in columns.items()}

    def raw(self, head: str) -> Any:
        return self._cells.get(head)

    def word(self, head: str) -> str:
        """What is looked up in a list: full-width letters and capitals do not matter."""
        return unicodedata.normalize("NFKC", shown(self._cells.get(head))).casefold()


def _instrument(cells: Sequence[_Cells], head: int, instruments: Mapping[str, Instrument], code: str | None) -> Instrument:
    named = {each.word("instrument"): each.line for each in reversed(cells) if each.word("instrument")}
    if code is not None:
        named.setdefault(code, head)
    found = {word.partition(".")[0]: line for word, line in named.items()}
    if len(found) != 1:
        remedy = "keep the rows of one" if found else "add --instrument CODE, or a column instrument (量表) with its code"
        raise Wrong(head, f"The file names {' and '.join(sorted(found)) or 'no instrument'}; {remedy}.")
    ((short, line),) = found.items()
    instrument = instruments.get(short)
    if instrument is None:
        raise Wrong(line, f"There is no instrument {short[:40]!r}; there are {', '.join(sorted(instruments))}.")
    for word, at in named.items():
        if word not in {short, f"{short}.{instrument.version}"}:
            raise Wrong(at, f"The newest version of {short} is {instrument.version}, not {word[:40]!r}; take a new file to fill in.")
    return instrument


class _Row:
    """One row as it was understood: which item in which language, the words and the labels; and what is wrong with it."""

    def __init__(self, cells: _Cells, instrument: Instrument) -> None:
        self.line, self._cells, self._instrument = cells.line, cells, instrument
        self.errors: list[RowError] = []
        if cells.overfull is not None:
            self._wrong(cells.overfull)
        self.part = self._part()
        self.language = _LANGUAGE_OF.get(cells.word("language"))
        if self.language is None:
            self._wrong(f"There is no language {cells.word('language')[:40]!r} here; write zh or en.")
        self.text = "\n".join(" ".join(line.split()) for line in self._words("text").strip().splitlines())
        self.labels = self._labels()
        self.notes = {note: self._note(note) for note in _NOTES}
        if self.part is not None:
            self._check(self.part)

    def _wrong(self, sentence: str) -> None:
        self.errors.append(RowError(self.line, sentence))

    def _part(self) -> int | str | None:
        """Title, opening or the number of an item."""
        word = self._cells.word("item")
        if word in _PART_OF:
            return _PART_OF[word]
        most = len(self._instrument.items)
        if word.isascii() and word.isdigit() and len(word) < 5 and 1 <= int(word) <= most:
            return int(word)
        self._wrong(f"There is no item {word[:40]!r}; write a number from 1 to {most}, title or opening.")
        return None

    def _words(self, head: str) -> str:
        raw = self._cells.raw(head)
        if raw is None or isinstance(raw, str):
            return cleaned(raw)
        self._wrong(f"The cell {head} ({_HEADS[head][1]}) is a number or a date to Excel; format it as text and write it again.")
        return cleaned(raw)

    def _labels(self) -> tuple[str, ...]:
        cell = shown(self._words("anchors"))
        return tuple(label.strip() for label in cell.replace("｜", "|").split("|")) if cell else ()

    def _note(self, note: str) -> str | None:
        """What the cell says; None where that is told already."""
        text = shown(self._cells.raw(note))
        if len(text.encode()) > _LONGEST_NOTE:
            self._wrong(f"The {note} is longer than {_LONGEST_NOTE} bytes; shorten it.")
        if note != "translation" or not text:
            return text
        status = _STATUS_OF.get(self._cells.word(note))
        if status is None:
            self._wrong(f"There is no status of a translation {text[:40]!r}; write one of {', '.join(TRANSLATIONS)} ({_SAID}).")
        return status

    def _check(self, part: int | str) -> None:
        if isinstance(part, int):
            self._check_item(self._instrument.items[part - 1])
            return
        if self.labels:
            self._wrong(f"The {part} takes no labels; leave the cell anchors (选项) empty.")
        if len(self.text.encode()) > _LONGEST[part]:
            self._wrong(f"The {part} is longer than {_LONGEST[part]} bytes; shorten it.")
        if part == TITLE:
            self._check_one_line()
            self._check_frame(framed=False)
        elif self.text:
            self._check_frame(framed=bool(self._instrument.time_frames))

    def _check_item(self, item: Item) -> None:
        count = len(item.points) if item.kind in LABELLED else 0
        if not self.text:
            self._wrong(f"Item {item.number} has no words; write them into the column text (文字).")
        elif len(self.text.encode()) > LONGEST_ITEM:
            self._wrong(f"Item {item.number} is longer than {LONGEST_ITEM} bytes; shorten it.")
        self._check_one_line()
        self._check_frame(framed=False)
        if not count and self.labels:
            self._wrong(f"Item {item.number} takes no labels; leave the cell anchors (选项) empty.")
        elif len(self.labels) != count:
            self._wrong(f"Item {item.number} has {len(self.labels)} labels and takes {count}; write them with | between, the lowest first.")
        elif not all(self.labels) or len(set(self.labels)) != count:
            self._wrong(f"Item {item.number} has a label that is empty or stands there twice; write {count} different ones.")
        elif any(len(label.encode()) > _LONGEST_LABEL for label in self.labels):
            self._wrong(f"Item {item.number} has a label of more than {_LONGEST_LABEL} bytes; shorten it.")
        elif len("".join((self.text, *self.labels)).encode()) > _LONGEST_MESSAGE:
            self._wrong(f"Item {item.number} and its labels have more than {_LONGEST_MESSAGE} bytes: no message holds them; shorten them.")

    def _check_one_line(self) -> None:
        if "\n" in self.text:
            self._wrong("There is a line break in the words; write them in one line.")

    def _check_frame(self, *, framed: bool) -> None:
        if framed and FRAME not in self.text:
            frames = ", ".join(self._instrument.time_frames)
            self._wrong(f"The opening does not say {FRAME}; write it where the time stands that is asked about ({frames}).")
        elif not framed and FRAME in self.text:
            self._wrong(f"{FRAME} may stand in the opening of an instrument with time frames only; take it out.")


_SAID = " ".join(words[1] for words in _STATUSES.values())


def _gaps(rows: Sequence[_Row], language: str, instrument: Instrument) -> Iterable[RowError]:
    """What stands twice in a language, and what is missing."""
    first: dict[int | str, int] = {}
    for row in rows:
        if row.part is None:
            continue
        before = first.setdefault(row.part, row.line)
        if before != row.line:
            yield RowError(row.line, f"{_named(row.part)} stands in line {before} already in {language}; remove one.")
    missing = [item.number for item in instrument.items if item.number not in first]
    if missing:
        yield RowError(0, f"There is no row for {'item' if len(missing) == 1 else 'items'} {_ranges(missing)} in {language}; add it.")


def _named(part: int | str) -> str:
    return f"Item {part}" if isinstance(part, int) else f"The {part}"


def _ranges(numbers: Sequence[int]) -> str:
    """`3, 7-9`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _words(rows: Sequence[_Row], instrument: Instrument) -> dict[str, Any]:
    by_part = {row.part: row for row in rows}
    items = [by_part.get(item.number) for item in instrument.items]
    spoken = {part: by_part[part].text for part in (TITLE, OPENING) if part in by_part and by_part[part].text}
    return {**spoken, "items": [row.text if row else "" for row in items], "labels": [list(row.labels) if row else [] for row in items]}


def _strange_notes(rows: Sequence[_Row], language: str) -> Iterable[RowError]:
    """Source, permission and translation stand in one row of a language or in more, never in none, and say the same."""
    for note in _NOTES:
        said = next((row for row in rows if row.notes[note]), None)
        if said is None:
            if all(row.notes[note] is not None for row in rows):
                yield RowError(rows[0].line, f"There is no {note} ({_HEADS[note][1]}) in {language}; write it in this row.")
            continue
        for row in rows:
            if row.notes[note] and row.notes[note] != said.notes[note]:
                yield RowError(row.line, f"The {note} is not the one of line {said.line}, in {language} too; keep one.")


def _joined(by_language: Mapping[str, str | None]) -> str:
    if len(set(by_language.values())) == 1:
        return next(iter(by_language.values())) or ""
    return "; ".join(f"{language}: {said}" for language, said in by_language.items())
