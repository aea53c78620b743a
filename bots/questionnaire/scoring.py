"""Scores of one answered instrument: pure, exact until the last step, honest about what is missing (instruments.md, section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from bots.questionnaire.instrument import Instrument, Rule

#: How far an example that was worked out by hand may be off.
CLOSE = 0.0005


@dataclass(frozen=True)
class Score:
    """One score. `value` is None where too much is missing; `missing` counts the answers of its items that are not there.

    `prorated`: the mean of those that are there stands for the missing ones. `band` is the name of the value, where there are names.
    """

    code: str
    value: float | None
    missing: int
    prorated: bool
    band: str | None


def score(instrument: Instrument, answers: Mapping[int, int], *, complete_only: bool = False) -> dict[str, Score]:
    """Every score of the instrument, by its code, from answers by the item's number; who skipped an item has none there.

    `complete_only`: nothing is prorated. Raises `ValueError` for an answer that no item takes.
    """
    for number, answer in answers.items():
        if answer not in instrument.points or not 1 <= number <= len(instrument.items):
            raise ValueError(f"{instrument.code} takes no such answer to item {number}")
    exact: dict[str, Fraction | None] = {}
    scores: dict[str, Score] = {}
    for rule in instrument.scores:
        missing = _missing(rule, answers, scores)
        parts = _parts(instrument, rule, answers, exact)
        count = len(rule.items or rule.of)
        enough = count - len(parts) <= (0 if complete_only else rule.most_missing)
        exact[rule.code] = value = _made(rule, parts, count) if enough else None
        prorated = value is not None and missing > 0
        scores[rule.code] = Score(rule.code, None if value is None else float(value), missing, prorated, _band(rule, value))
    return scores


def _missing(rule: Rule, answers: Mapping[int, int], scores: Mapping[str, Score]) -> int:
    return sum(item not in answers for item in rule.items) + sum(scores[code].missing for code in rule.of)


def _parts(instrument: Instrument, rule: Rule, answers: Mapping[int, int], exact: Mapping[str, Fraction | None]) -> list[Fraction]:
    """What the score is made of and is there, reversed where it has to be."""
    known = [(item, Fraction(answers[item])) for item in rule.items if item in answers]
    made = [(code, value) for code in rule.of if (value := exact[code]) is not None]
    ends = instrument.lowest + instrument.highest
    return [ends - value if name in rule.reversed else value for name, value in (*known, *made)]


def _made(rule: Rule, parts: list[Fraction], count: int) -> Fraction:
    mean = sum(parts, Fraction()) / len(parts)
    return rule.times * (mean if rule.how == "mean" else mean * count)


def _band(rule: Rule, value: Fraction | None) -> str | None:
    if value is None:
        return None
    return next((band.code for band in reversed(rule.bands) if value >= Fraction(band.start)), None)
