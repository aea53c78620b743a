"""Hides from which answers and scores on somebody may be in danger: reads `thresholds.toml` and checks it against the instruments.

What is met raises a flag under the rule's name, in the same turn as the answer. The file's own head says what was decided.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from bots.questionnaire.instrument import LABELLED, Band, Instrument, Rule, every
from bots.questionnaire.scoring import score

#: The file that ships.
FILE = Path(__file__).parent / "thresholds.toml"
#: How the name of every rule begins that answers raise; what somebody wrote raises others.
FROM_ANSWERS = "answers_"

_NAME = re.compile(rf"{FROM_ANSWERS}[a-z0-9_]{{1,30}}")


class ThresholdError(ValueError):
    """The file of thresholds does not fit; the sentence names the place and the remedy."""


def from_answers(rule: str) -> bool:
    """Whether flags of this rule were raised by answers to a questionnaire, and not by words."""
    return rule.startswith(FROM_ANSWERS)


@dataclass(frozen=True)
class ByAnswers:
    """An entry that one answer meets: each of these items from the answer `start` on."""

    rule: str
    instrument: str
    start: int
    items: tuple[int, ...]

    def newly(self, before: Mapping[int, int | None], after: Mapping[int, int | None]) -> bool:
        """Whether an item has come to `start` that was not there before."""
        return any(self._met(item, after) and not self._met(item, before) for item in self.items)

    def _met(self, item: int, answers: Mapping[int, int | None]) -> bool:
        value = answers.get(item)
        return value is not None and value >= self.start


@dataclass(frozen=True)
class ByScore:
    """An entry that a score meets: from the band with this code on."""

    rule: str
    instrument: str
    score: str
    band: str


@dataclass(frozen=True)
class Thresholds:
    """Every entry, in the order of the file: what comes first counts first."""

    answers: tuple[ByAnswers, ...]
    scores: tuple[ByScore, ...]

    def names(self) -> frozenset[str]:
        """The name of every rule."""
        return frozenset((*(each.rule for each in self.answers), *(each.rule for each in self.scores)))

    def by_answers(self, instrument: Instrument, before: Mapping[int, int | None], after: Mapping[int, int | None]) -> str | None:
        """The rule that these answers meet and those `before` did not, item by item; None where there is none.

        Both are all answers to the sheet by the item's number, None where one was left out.
        """
        mine = (each for each in self.answers if each.instrument == instrument.code)
        return next((each.rule for each in mine if each.newly(before, after)), None)

    def by_scores(self, instrument: Instrument, answers: Mapping[int, int | None]) -> str | None:
        """The rule that the scores of a sheet meet which is handed in now; None where there is none.

        Raises `ValueError` for an answer that no item takes.
        """
        given = {item: value for item, value in answers.items() if value is not None}
        mine = (each for each in self.scores if each.instrument == instrument.code)
        return next((each.rule for each in mine if _meets(instrument, each, given)), None)


def _meets(instrument: Instrument, entry: ByScore, given: Mapping[int, int]) -> bool:
    rule = next(each for each in instrument.scores if each.code == entry.score)
    codes = [band.code for band in rule.bands]
    grave = codes[codes.index(entry.band) :]
    return any(score(instrument, answers)[rule.code].band in grave for answers in (given, {**_mildest(instrument, rule), **given}))


def _mildest(instrument: Instrument, rule: Rule) -> dict[int, int]:
    """The answers that give the lowest score."""
    return {item: instrument.highest if item in rule.reversed else instrument.lowest for item in rule.items}


@cache
def load_thresholds() -> Thresholds:
    """The thresholds that ship, checked against every version of every instrument. Raises `ThresholdError` and `InstrumentError`."""
    return read(FILE, every())


def read(path: Path, instruments: Sequence[Instrument]) -> Thresholds:
    """A file of thresholds, checked against these instruments in each version. Raises `ThresholdError`."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ThresholdError(f"{path.name} cannot be read; put it back.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ThresholdError(f"{path.name} is no TOML: {error}.") from None
    return _Reading(path.name, instruments).thresholds(tree)


class _Reading:
    """The file on its way to thresholds: every question to it names its place when the answer does not fit."""

    def __init__(self, name: str, instruments: Sequence[Instrument]) -> None:
        self._name = name
        self._versions: dict[str, list[Instrument]] = {}
        for instrument in instruments:
            self._versions.setdefault(instrument.code, []).append(instrument)

    def refuse(self, place: str, why: str) -> NoReturn:
        raise ThresholdError(f"{self._name}: {place} {why}.")

    def thresholds(self, tree: Mapping[str, Any]) -> Thresholds:
        self._knows(tree, "the file", ("answers", "scores"))
        answers = tuple(self._by_answers(each, f"[[answers]] {number}") for number, each in self._entries(tree, "answers"))
        scores = tuple(self._by_score(each, f"[[scores]] {number}") for number, each in self._entries(tree, "scores"))
        if not answers and not scores:
            self.refuse("the file", "has neither [[answers]] nor [[scores]], so that nobody in danger would be seen; put them back")
        return Thresholds(answers, scores)

    def _entries(self, tree: Mapping[str, Any], name: str) -> Iterable[tuple[int, Any]]:
        found = tree.get(name, [])
        if not isinstance(found, list):
            self.refuse(name, f"is no list; begin each entry with [[{name}]]")
        return enumerate(found, start=1)

    # -- answers

    def _by_answers(self, tree: Any, place: str) -> ByAnswers:
        versions = self._begin(tree, place, ("rule", "instrument", "from", "items"))
        start, items = tree.get("from"), tree.get("items")
        if type(start) is not int:
            self.refuse(f"{place}, from", "is no whole number; correct it")
        if not isinstance(items, list) or not items:
            self.refuse(f"{place}, items", 'are not of the form [{ number = 10, topic = "…" }]; correct them')
        numbers = tuple(self._item(each, place, start, versions) for each in items)
        if len(set(numbers)) != len(numbers):
            self.refuse(f"{place}, items", "name an item twice; take one out")
        return ByAnswers(tree["rule"], tree["instrument"], start, numbers)

    def _item(self, tree: Any, place: str, start: int, versions: Sequence[Instrument]) -> int:
        """The number of an item that every version has, with this topic and answers on both sides of `start`."""
        number = tree.get("number") if isinstance(tree, Mapping) else None
        if type(number) is not int:
            self.refuse(f"{place}, items", 'are not of the form [{ number = 10, topic = "…" }]; correct them')
        place = f"{place}, item {number}"
        self._knows(tree, place, ("number", "topic"))
        for instrument in versions:
            name = f"{instrument.code}.{instrument.version}"
            item = next((each for each in instrument.items if each.number == number), None)
            if item is None:
                self.refuse(place, f"does not exist: {name} has items 1 to {len(instrument.items)}; correct the number")
            if tree.get("topic") != item.topic:
                self.refuse(place, f"has another topic: in {name} it is {item.topic!r}; look which item is meant")
            if item.kind not in LABELLED or not item.lowest < start <= item.highest:
                self.refuse(place, f"has answers {item.lowest} to {item.highest} in {name}; choose a `from` that parts them")
        return number

    # -- scores

    def _by_score(self, tree: Any, place: str) -> ByScore:
        versions = self._begin(tree, place, ("rule", "instrument", "score", "band"))
        for instrument in versions:
            name = f"{instrument.code}.{instrument.version}"
            rule = next((each for each in instrument.scores if each.code == tree.get("score")), None)
            if rule is None:
                known = ", ".join(each.code for each in instrument.scores) or "none"
                self.refuse(f"{place}, score", f"{tree.get('score')!r} is none of {name} (there: {known}); correct it")
            self._band(tree.get("band"), rule.bands, f"{place}, band", f"{name}, {rule.code}")
        return ByScore(tree["rule"], tree["instrument"], tree["score"], tree["band"])

    def _band(self, code: Any, bands: Sequence[Band], place: str, name: str) -> None:
        known = [band.code for band in bands]
        if code not in known:
            self.refuse(place, f"{code!r} is none of {name} (there: {', '.join(known) or 'none'}); correct it")
        if code == known[0]:
            self.refuse(place, f"{code!r} is the lowest of {name}, so that everybody would be flagged; name a higher one")

    # -- values

    def _begin(self, tree: Any, place: str, keys: Iterable[str]) -> Sequence[Instrument]:
        """Check what every entry has; returns the versions of its instrument."""
        if not isinstance(tree, Mapping):
            self.refuse(place, "is no table; begin it with two brackets")
        self._knows(tree, place, keys)
        rule, code = tree.get("rule"), tree.get("instrument")
        if not isinstance(rule, str) or not _NAME.fullmatch(rule):
            self.refuse(f"{place}, rule", f"is not {FROM_ANSWERS} and up to 30 small letters, digits and underscores; rename it")
        if not isinstance(code, str) or code not in self._versions:
            self.refuse(f"{place}, instrument", f"{code!r} does not exist; there are {', '.join(sorted(self._versions))}")
        return self._versions[code]

    def _knows(self, tree: Mapping[str, Any], place: str, names: Iterable[str]) -> None:
        if strange := sorted(tree.keys() - set(names)):
            self.refuse(place, f"has {', '.join(strange)}, which nobody reads; take it out or correct its name")
