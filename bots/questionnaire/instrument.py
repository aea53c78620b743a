"""Hides the files of instruments: reads one, checks everything in it, and gives it frozen. A file that was released never changes.

Wording of scales belongs to their authors: what ships is our own, marked as a demonstration (docs/decisions/018).
"""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from bots.texts import LANGUAGES

#: The folder with the files of instruments: `<code>.<version>.toml`.
FOLDER = Path(__file__).parent / "instruments"
#: The released files, a line each: the name, a tab, the SHA-256 of its bytes.
RELEASED = "released.tsv"
DEMONSTRATION = "demonstration"
#: Where the words before the first item name the time that they ask about.
FRAME = "{frame}"

_CODE = re.compile(r"[a-z][a-z0-9_]{0,29}")
_NAME = re.compile(r"([a-z][a-z0-9_]*)\.([1-9][0-9]*)\.toml")
_RULES = ("mean", "sum")
_MOST_POINTS = 11
#: Of so many answers one may be missing, of fewer none of the share below (instruments.md, section 3).
_MISSING_SHARE = 5
#: Bytes. An item is one message among buttons: longer ones are hard to read on a phone.
LONGEST_ITEM = 400


class InstrumentError(ValueError):
    """A file of an instrument does not fit; the sentence names the file, the place and the remedy."""


class Kind(StrEnum):
    """What an item takes: a point of a scale, one of its own choices, a whole number, a date, or words."""

    SCALE = "scale"
    CHOICE = "choice"
    NUMBER = "number"
    DATE = "date"
    TEXT = "text"


#: Items that are answered by one of their labels.
LABELLED = frozenset({Kind.SCALE, Kind.CHOICE})


@dataclass(frozen=True)
class Item:
    """One question. Words and labels by language; where there are labels, one for each answer from the lowest to the highest.

    A date is answered by the number YYYYMMDD. `only_if`: it is asked only where that item has one of these answers.
    """

    number: int
    name: str  # its column in an export
    topic: str
    words: Mapping[str, str] = field(repr=False)
    anchors: Mapping[str, tuple[str, ...]] = field(repr=False)
    kind: Kind = Kind.SCALE
    lowest: int = 1
    highest: int = 1
    only_if: tuple[int, frozenset[int]] | None = None

    @property
    def points(self) -> range:
        """Every value that it takes."""
        return range(self.lowest, self.highest + 1)

    @cached_property
    def labelled(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Every value that it takes as it is typed, and its label; by language, where there are labels."""
        return {language: tuple(zip(map(str, self.points), labels, strict=True)) for language, labels in self.anchors.items()}


@dataclass(frozen=True)
class Band:
    """A name for all values from `start` to the next band."""

    code: str
    start: float


@dataclass(frozen=True)
class Rule:
    """How one score is made: of items by their numbers, or `of` other scores by their codes, some of them `reversed` first.

    `most_missing`: so many of its items may be without an answer. `times` multiplies the result.
    """

    code: str
    how: str  # "mean" or "sum"
    items: tuple[int, ...]
    of: tuple[str, ...]
    reversed: frozenset[int | str]
    times: int
    most_missing: int
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class Instrument:
    """One version of one instrument. `demonstration`: its wording is ours and measures nothing that was validated."""

    code: str
    version: int
    kind: str
    minutes: int
    source: str
    key: str
    rights: str
    lowest: int
    highest: int
    time_frames: Mapping[str, Mapping[str, str]]  # the first is what it asks about where a study says nothing
    title: Mapping[str, str]
    intro: Mapping[str, str]
    wording: str
    wording_source: str
    items: tuple[Item, ...]
    scores: tuple[Rule, ...]
    example: Mapping[int, int]
    example_scores: Mapping[str, float]
    checksum: str

    @property
    def demonstration(self) -> bool:
        """Whether its words are our own."""
        return self.wording == DEMONSTRATION

    @cached_property
    def _branches(self) -> bool:
        return any(item.only_if is not None for item in self.items)

    def asked(self, answers: Mapping[int, int | None]) -> tuple[Item, ...]:
        """The items that are asked of somebody with these answers so far; what hangs on an item that is not asked is not asked either."""
        if not self._branches:
            return self.items
        asked: dict[int, Item] = {}
        for item in self.items:
            if item.only_if is None or (item.only_if[0] in asked and answers.get(item.only_if[0]) in item.only_if[1]):
                asked[item.number] = item
        return tuple(asked.values())

    def opening(self, language: str, frame: str | None = None) -> str:
        """What is said before the first item, about this time frame or the first."""
        if not self.time_frames:
            return self.intro[language]
        return self.intro[language].replace(FRAME, self.time_frames[frame or next(iter(self.time_frames))][language])

    @property
    def points(self) -> range:
        """Every answer that an item takes."""
        return range(self.lowest, self.highest + 1)


def find(folder: Path = FOLDER) -> dict[str, Instrument]:
    """The newest version of every instrument by its code. Raises `InstrumentError`."""
    newest: dict[str, Instrument] = {}
    for instrument in every(folder):
        known = newest.get(instrument.code)
        if known is None or known.version < instrument.version:
            newest[instrument.code] = instrument
    return newest


def every(folder: Path = FOLDER) -> list[Instrument]:
    """Every version of every instrument in a folder, in the order of names. Raises `InstrumentError`."""
    released = _released(folder)
    found = [load(path) for path in sorted(folder.glob("*.toml"))]
    checksums = {f"{each.code}.{each.version}.toml": each.checksum for each in found}
    for name, checksum in released.items():
        if checksums.get(name) != checksum:
            raise InstrumentError(f"{name} was released and is no longer what it was; put it back and give the new one the next version.")
    return found


def load(path: Path) -> Instrument:
    """One file, checked. Raises `InstrumentError`."""
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise InstrumentError(f"{path.name}: the name is not <code>.<version>.toml, such as scs.1.toml; rename it.")
    try:
        content = path.read_bytes()
        tree = tomllib.loads(content.decode("utf-8"))
    except OSError:
        raise InstrumentError(f"{path.name} cannot be read; look whether it is there.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InstrumentError(f"{path.name} is no TOML: {error}.") from None
    reading = _Reading(path.name, tree)
    instrument = reading.instrument(hashlib.sha256(content).hexdigest())
    if (instrument.code, str(instrument.version)) != name.groups():
        reading.refuse("code and version", f"do not fit the name of the file; call it {instrument.code}.{instrument.version}.toml")
    return instrument


def _released(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / RELEASED).read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return {}
    return {name: checksum for name, _, checksum in (line.partition("\t") for line in lines if line)}


class _Reading:
    """One file on its way to an instrument: every question to it names its place when the answer does not fit."""

    def __init__(self, name: str, tree: Mapping[str, Any]) -> None:
        self._name, self._tree = name, tree

    def refuse(self, place: str, why: str) -> NoReturn:
        raise InstrumentError(f"{self._name}: {place} {why}.")

    def instrument(self, checksum: str) -> Instrument:
        tree, kind = self._tree, self._tree.get("kind")
        if kind not in ("scale", "form"):
            self.refuse("kind", 'is neither "scale" nor "form"; correct it')
        self._knows(tree, "the file", _KEYS)
        lowest, highest = self._range(tree) if kind == "scale" else (0, 0)
        items = self._items(lowest, highest) if kind == "scale" else self._form_items()
        scores = self._scores(len(items)) if kind == "scale" else ()
        wording = self._part(tree, "wording")
        self._knows(wording, "wording", ("status", "source"))
        example = self._part(tree, "example") if kind == "scale" else {}
        self._knows(example, "example", ("answers", "scores"))
        frames = self._time_frames()
        return Instrument(
            code=self._coded(tree, "code", "the file"),
            version=self._number(tree, "version", 1),
            kind=kind,
            minutes=self._number(tree, "minutes", 1),
            **{name: self._text(tree, name) for name in ("source", "key", "rights")},
            lowest=lowest,
            highest=highest,
            time_frames=frames,
            title=self._languages(tree, "title"),
            intro=self._intro(bool(frames)),
            wording=self._text(wording, "status"),
            wording_source=self._text(wording, "source"),
            items=items,
            scores=scores,
            example=self._answers(example, len(items), lowest, highest) if example else {},
            example_scores=self._example_scores(example, scores) if example else {},
            checksum=checksum,
        )

    def _time_frames(self) -> Mapping[str, Mapping[str, str]]:
        frames = self._part(self._tree, "time_frames") if "time_frames" in self._tree else {}
        return {name: self._languages(frames, name) for name in frames}

    def _intro(self, framed: bool) -> Mapping[str, str]:
        intro = self._languages(self._tree, "intro")
        for language, words in intro.items():
            if (FRAME in words) is not framed:
                self.refuse(f"intro.{language}", f"and [time_frames] belong together: where there are frames it says {FRAME}; correct it")
        return intro

    # -- items

    def _range(self, tree: Mapping[str, Any]) -> tuple[int, int]:
        lowest, highest = self._number(tree, "lowest", 0), self._number(tree, "highest", 1)
        if not lowest < highest < lowest + _MOST_POINTS:
            self.refuse("lowest and highest", f"leave no answers or more than {_MOST_POINTS}; correct them")
        return lowest, highest

    def _items(self, lowest: int, highest: int) -> tuple[Item, ...]:
        points = highest - lowest + 1
        anchors = self._labels(self._tree, "anchors", points) if "anchors" in self._tree else None
        found = []
        for number, tree, place in self._numbered(("topic", "anchors", *LANGUAGES)):
            own = self._labels(tree, "anchors", points, place) if "anchors" in tree else anchors
            if own is None:
                self.refuse(place, "has no labels for its answers; add [anchors] to the file or the item")
            topic, words = self._text(tree, "topic", place), self._words(tree, place)
            found.append(Item(number, str(number), topic, words, own, Kind.SCALE, lowest, highest))
        return tuple(found)

    def _numbered(self, keys: Iterable[str]) -> Iterator[tuple[int, Mapping[str, Any], str]]:
        """Each item with its number and its place in a sentence; it has no keys but these."""
        for number, tree in enumerate(self._list(self._tree, "items"), start=1):
            place = f"item {number}"
            if not isinstance(tree, Mapping):
                self.refuse(place, "is no table; begin it with [[items]]")
            self._knows(tree, place, keys)
            yield number, tree, place

    def _words(self, tree: Mapping[str, Any], place: str) -> Mapping[str, str]:
        words = {language: self._text(tree, language, place) for language in LANGUAGES}
        for language, text in words.items():
            if len(text.encode()) > LONGEST_ITEM:
                self.refuse(f"{place}, {language}", f"is longer than {LONGEST_ITEM} bytes; shorten it")
        return words

    def _form_items(self) -> tuple[Item, ...]:
        found: list[Item] = []
        for number, tree, place in self._numbered(_FORM_KEYS):
            item = self._form_item(number, tree, place, found)
            if item.name in {each.name for each in found}:
                self.refuse(f"{place}, name", "stands there twice; rename one")
            found.append(item)
        return tuple(found)

    def _form_item(self, number: int, tree: Mapping[str, Any], place: str, before: Sequence[Item]) -> Item:
        kind = tree.get("kind")
        if kind not in _FORM_KINDS:
            self.refuse(f"{place}, kind", f"is none of {', '.join(_FORM_KINDS)}; correct it")
        anchors, lowest, highest = self._form_range(tree, Kind(kind), place)
        topic, words, name = self._text(tree, "topic", place), self._words(tree, place), self._coded(tree, "name", place)
        return Item(number, name, topic, words, anchors, Kind(kind), lowest, highest, self._only_if(tree, place, before))

    def _form_range(self, tree: Mapping[str, Any], kind: Kind, place: str) -> tuple[Mapping[str, tuple[str, ...]], int, int]:
        if kind is Kind.CHOICE:
            count = len(self._part(tree, "choices", place).get(LANGUAGES[0], ()))
            if not 1 < count <= _MOST_POINTS - 1:
                self.refuse(f"{place}, choices", f"are fewer than 2 or more than {_MOST_POINTS - 1}; correct them")
            return self._labels(tree, "choices", count, place), 1, count
        if kind is Kind.NUMBER:
            lowest, highest = self._number(tree, "lowest", 0), self._number(tree, "highest", 1)
            if lowest >= highest:
                self.refuse(f"{place}, lowest and highest", "leave no answers; correct them")
            return {}, lowest, highest
        return {}, *((_EARLIEST, _LATEST) if kind is Kind.DATE else (1, 1))

    def _only_if(self, tree: Mapping[str, Any], place: str, before: Sequence[Item]) -> tuple[int, frozenset[int]] | None:
        if "only_if" not in tree:
            return None
        part = self._part(tree, "only_if", place)
        self._knows(part, f"{place}, only_if", ("name", "answers"))
        meant = next((item for item in before if item.name == part.get("name")), None)
        answers = part.get("answers")
        if meant is None or not isinstance(answers, list) or not answers or not set(answers) <= set(meant.points):
            self.refuse(f"{place}, only_if", 'is not { name = "an earlier item", answers = [1] } with answers that it takes; correct it')
        return meant.number, frozenset(answers)

    def _labels(self, tree: Mapping[str, Any], name: str, points: int, place: str = "the file") -> Mapping[str, tuple[str, ...]]:
        part = self._part(tree, name, place)
        self._knows(part, f"{place}, {name}", LANGUAGES)
        labels = {language: tuple(map(str, part.get(language, ()))) for language in LANGUAGES}
        for language, found in labels.items():
            if len(found) != points or len(set(found)) != points or not all(found):
                self.refuse(f"{place}, {name}.{language}", f"are not {points} different labels, one for each answer; correct them")
        return labels

    # -- scores

    def _scores(self, items: int) -> tuple[Rule, ...]:
        rules: list[Rule] = []
        for number, each in enumerate(self._list(self._tree, "scores"), start=1):
            rules.append(self._rule(each, f"score {number}", items, {rule.code: rule for rule in rules}))
        return tuple(rules)

    def _rule(self, tree: Any, place: str, items: int, known: Mapping[str, Rule]) -> Rule:
        if not isinstance(tree, Mapping):
            self.refuse(place, "is no table; begin it with [[scores]]")
        self._knows(tree, place, ("code", "rule", "items", "of", "reversed", "times", "missing", "bands"))
        code = self._coded(tree, "code", place)
        place = f"score {code}"
        if code in known:
            self.refuse(place, "stands there twice; rename one")
        numbers, of = tuple(tree.get("items", ())), tuple(tree.get("of", ()))
        if bool(numbers) == bool(of):
            self.refuse(place, "is made of items or of other scores, not of both or neither; correct it")
        if len({*numbers, *of}) != len(numbers) + len(of) or not {*numbers} <= {*range(1, items + 1)} or not {*of} <= known.keys():
            self.refuse(place, "names something twice, or an item or an earlier score that there is not; correct it")
        turned = frozenset(tree.get("reversed", ()))
        if not turned <= {*numbers, *of}:
            self.refuse(place, "reverses what it is not made of; correct it")
        if tree.get("rule") not in _RULES:
            self.refuse(place, 'has a rule other than "mean" and "sum"; correct it')
        if "missing" in tree and tree["missing"] != "none":
            self.refuse(place, 'has for missing something else than "none"; correct it or leave it out')
        most_missing = 0 if of or "missing" in tree else max(1, len(numbers) // _MISSING_SHARE)
        times = self._number(tree, "times", 1) if "times" in tree else 1
        return Rule(code, tree["rule"], numbers, of, turned, times, most_missing, self._bands(tree, place))

    def _bands(self, tree: Mapping[str, Any], place: str) -> tuple[Band, ...]:
        bands: list[Band] = []
        for each in tree.get("bands", ()):
            if not isinstance(each, Mapping) or not isinstance(each.get("from"), int | float):
                self.refuse(f"{place}, bands", 'are not of the form { code = "…", from = 1 }; correct them')
            band = Band(self._coded(each, "code", place), float(each["from"]))
            if bands and band.start <= bands[-1].start:
                self.refuse(f"{place}, band {band.code}", "does not begin above the one before; put them in order")
            bands.append(band)
        return tuple(bands)

    # -- the example

    def _answers(self, example: Mapping[str, Any], items: int, lowest: int, highest: int) -> Mapping[int, int]:
        answers = example.get("answers", ())
        if len(answers) != items or not all(type(each) is int and lowest <= each <= highest for each in answers):
            self.refuse("example.answers", f"are not {items} answers from {lowest} to {highest}; correct them")
        return dict(enumerate(answers, start=1))

    def _example_scores(self, example: Mapping[str, Any], scores: Sequence[Rule]) -> Mapping[str, float]:
        found = self._part(example, "scores", "example")
        if found.keys() != {rule.code for rule in scores}:
            self.refuse("example.scores", "are not one value for each score; complete them")
        return {code: float(value) for code, value in found.items()}

    # -- values

    def _knows(self, tree: Mapping[str, Any], place: str, names: Iterable[str]) -> None:
        if strange := sorted(tree.keys() - set(names)):
            self.refuse(place, f"has {', '.join(strange)}, which nobody reads; take it out or correct its name")

    def _text(self, tree: Mapping[str, Any], name: str, place: str = "the file") -> str:
        value = tree.get(name)
        if not isinstance(value, str) or not value.strip():
            self.refuse(place, f"has no {name}; write it in quotes")
        return value.strip()

    def _number(self, tree: Mapping[str, Any], name: str, least: int) -> int:
        value = tree.get(name)
        if type(value) is not int or value < least:
            self.refuse(name, f"is not a whole number from {least} on; correct it")
        return value

    def _coded(self, tree: Mapping[str, Any], name: str, place: str) -> str:
        value = self._text(tree, name, place)
        if not _CODE.fullmatch(value):
            self.refuse(f"{place}, {name}", "is not made of up to 30 small letters, digits and underscores; rename it")
        return value

    def _part(self, tree: Mapping[str, Any], name: str, place: str = "the file") -> Mapping[str, Any]:
        value = tree.get(name)
        if not isinstance(value, Mapping):
            self.refuse(place, f"has no [{name}]; add it")
        return value

    def _list(self, tree: Mapping[str, Any], name: str) -> Sequence[Any]:
        value = tree.get(name)
        if not isinstance(value, list) or not value:
            self.refuse("the file", f"has no [[{name}]]; add them")
        return value

    def _languages(self, tree: Mapping[str, Any], name: str) -> Mapping[str, str]:
        part = self._part(tree, name)
        self._knows(part, name, LANGUAGES)
        return {language: self._text(part, language, name) for language in LANGUAGES}


_FORM_KEYS = ("kind", "name", "topic", "choices", "lowest", "highest", "only_if", *LANGUAGES)
_FORM_KINDS = (Kind.CHOICE.value, Kind.NUMBER.value, Kind.DATE.value, Kind.TEXT.value)
#: Dates that an item takes, as YYYYMMDD.
_EARLIEST, _LATEST = 1900_01_01, 2099_12_31
_KEYS = ("code", "version", "kind", "minutes", "source", "key", "rights", "lowest", "highest", "time_frames", "title", "intro", "wording",
         "anchors", "items", "scores", "example")  # fmt: skip
