"""Scores equal an implementation of their own that shares nothing with the program but instruments.md, whatever is answered or missing."""

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

import pytest

from bots.questionnaire.instrument import Instrument, find
from bots.questionnaire.scoring import Score, score

Sheet = list[int | None]
Value = float | None


def _mean_of(sheet: Sheet, numbers: Sequence[int], turned: Iterable[int] = (), ends: int = 0, *, may_miss: int | None = None) -> Value:
    """The mean of these answers, as section 3 says: one in five may be missing, or one of fewer."""
    there = [ends - answer if number in turned else answer for number in numbers if (answer := sheet[number - 1]) is not None]
    most = max(1, math.floor(0.2 * len(numbers))) if may_miss is None else may_miss
    return sum(there) / len(there) if len(numbers) - len(there) <= most and there else None


def _times(value: Value, factor: int) -> Value:
    return None if value is None else value * factor


def _six(parts: Sequence[Value], turned: Sequence[bool]) -> Value:
    known = [part for part in parts if part is not None]
    return None if len(known) < 6 else sum(6 - part if turn else part for part, turn in zip(known, turned, strict=True)) / 6


def _scs(sheet: Sheet) -> Mapping[str, Value]:
    keys = {
        "self_kindness": (5, 12, 19, 23, 26),
        "self_judgment": (1, 8, 11, 16, 21),
        "common_humanity": (3, 7, 10, 15),
        "isolation": (4, 13, 18, 25),
        "mindfulness": (9, 14, 17, 22),
        "over_identification": (2, 6, 20, 24),
    }
    made = {name: _mean_of(sheet, numbers) for name, numbers in keys.items()}
    negative = (1, 2, 4, 6, 8, 11, 13, 16, 18, 20, 21, 24, 25)
    total = _six(list(made.values()), [False, True, False, True, False, True])
    return {**made, "total": total, "total_of_items": _mean_of(sheet, range(1, 27), negative, 6)}


def _cs24(sheet: Sheet) -> Mapping[str, Value]:
    keys = {
        "kindness": (6, 8, 16, 24),
        "indifference": (2, 12, 14, 18),
        "common_humanity": (11, 15, 17, 20),
        "separation": (3, 5, 10, 22),
        "mindfulness": (4, 9, 13, 21),
        "disengagement": (1, 7, 19, 23),
    }
    made = {name: _mean_of(sheet, numbers) for name, numbers in keys.items()}
    negative = (1, 2, 3, 5, 7, 10, 12, 14, 18, 19, 22, 23)
    total = _six(list(made.values()), [False, True, False, True, False, True])
    return {**made, "total": total, "total_of_items": _mean_of(sheet, range(1, 25), negative, 6)}


def _dass21(sheet: Sheet) -> Mapping[str, Value]:
    keys = {"depression": (3, 5, 10, 13, 16, 17, 21), "anxiety": (2, 4, 7, 9, 15, 19, 20), "stress": (1, 6, 8, 11, 12, 14, 18)}
    sums = {name: _times(_mean_of(sheet, numbers), 7) for name, numbers in keys.items()}
    return {**sums, **{f"{name}_doubled": _times(value, 2) for name, value in sums.items()}}


def _focs(sheet: Sheet) -> Mapping[str, Value]:
    mean = _mean_of(sheet, range(1, 16))
    return {"focs": mean, "focs_sum": _times(mean, 15)}


def _swls(sheet: Sheet) -> Mapping[str, Value]:
    mean = _mean_of(sheet, range(1, 6), may_miss=0)
    return {"swls": mean, "swls_sum": _times(mean, 5)}


def _shs(sheet: Sheet) -> Mapping[str, Value]:
    return {"shs": _mean_of(sheet, range(1, 5), (4,), 8)}


def _cams_r(sheet: Sheet) -> Mapping[str, Value]:
    turned, ends = (2, 6, 7), 5
    mean = _mean_of(sheet, range(1, 13), turned, ends)
    keys = {"attention": (1, 6, 12), "present_focus": (2, 7, 11), "awareness": (5, 8, 9), "acceptance": (3, 4, 10)}
    return {"total": mean, "total_sum": _times(mean, 12), **{name: _mean_of(sheet, each, turned, ends) for name, each in keys.items()}}


INDEPENDENT: Mapping[str, Callable[[Sheet], Mapping[str, Value]]] = {
    "scs": _scs,
    "cs24": _cs24,
    "dass21": _dass21,
    "focs": _focs,
    "swls": _swls,
    "shs": _shs,
    "cams_r": _cams_r,
}
#: Items and range, again from instruments.md.
SHAPES = {
    "scs": (26, 1, 5),
    "cs24": (24, 1, 5),
    "dass21": (21, 0, 3),
    "focs": (15, 0, 4),
    "swls": (5, 1, 7),
    "shs": (4, 1, 7),
    "cams_r": (12, 1, 4),
}
#: The lowest doubled value of each band of DASS-21 after the first.
DASS_BANDS = {"depression": (10, 14, 21, 28), "anxiety": (8, 10, 15, 20), "stress": (15, 19, 26, 34)}
DASS_NAMES = ("normal", "mild", "moderate", "severe", "extremely_severe")


@cache
def _instrument(code: str) -> Instrument:
    return find()[code]


def _made(code: str, sheet: Sheet) -> dict[str, Score]:
    answers = {number: answer for number, answer in enumerate(sheet, start=1) if answer is not None}
    return score(_instrument(code), answers)


def _equal(code: str, sheet: Sheet) -> None:
    made, expected = _made(code, sheet), INDEPENDENT[code](sheet)
    assert made.keys() == expected.keys()
    for name, value in expected.items():
        ours = made[name].value
        assert (ours is None) == (value is None), (code, name, sheet)
        assert value is None or ours == pytest.approx(value, abs=1e-12), (code, name, sheet)


def _sheet(code: str, draw: random.Random) -> Sheet:
    """Answers by chance, some missing: none, one here and there, a run to the end, or nearly all."""
    items, lowest, highest = SHAPES[code]
    share = draw.choice((0.0, 0.0, 0.05, 0.2, 0.9))
    sheet: Sheet = [None if draw.random() < share else draw.randint(lowest, highest) for _ in range(items)]
    if draw.random() < 0.1:
        stopped = draw.randrange(items)
        sheet[stopped:] = [None] * (items - stopped)
    return sheet


def _many(count: int, seed: int) -> None:
    draw = random.Random(seed)
    for number in range(count):
        code = list(SHAPES)[number % len(SHAPES)]
        _equal(code, _sheet(code, draw))


def test_scores_equal_an_independent_implementation_on_random_sheets() -> None:
    _many(5_000, seed=20261126)


@pytest.mark.long
def test_scores_equal_an_independent_implementation_on_a_hundred_thousand_sheets() -> None:
    _many(100_000, seed=107)


@pytest.mark.parametrize("code", SHAPES)
def test_extremes_and_every_single_missing_answer(code: str) -> None:
    items, lowest, highest = SHAPES[code]
    for answer in (lowest, highest):
        _equal(code, [answer] * items)
        for missing in range(items):
            _equal(code, [None if place == missing else answer for place in range(items)])
    _equal(code, [None] * items)
    assert all(each.value is None for each in _made(code, [None] * items).values())


@pytest.mark.parametrize("code", SHAPES)
def test_two_missing_answers_wherever_they_are(code: str) -> None:
    items, lowest, highest = SHAPES[code]
    draw = random.Random(code)
    sheet = [draw.randint(lowest, highest) for _ in range(items)]
    for one in range(items):
        for other in range(one):
            _equal(code, [None if place in (one, other) else answer for place, answer in enumerate(sheet)])


def test_what_is_prorated_is_told_and_can_be_refused() -> None:
    sheet: Sheet = [3] * 21
    sheet[2] = None  # of depression
    made = _made("dass21", sheet)
    assert (made["depression"].value, made["depression"].missing, made["depression"].prorated) == (21.0, 1, True)
    assert (made["stress"].missing, made["stress"].prorated) == (0, False)
    answers = {number: 3 for number in range(1, 22) if number != 3}
    strict = score(_instrument("dass21"), answers, complete_only=True)
    assert (strict["depression"].value, strict["depression"].prorated, strict["stress"].value) == (None, False, 21.0)
    total = _made("scs", [None, *[3] * 25])["total"]
    assert (total.missing, total.prorated) == (1, True), "a total of prorated parts says so"


@pytest.mark.parametrize("scale", DASS_BANDS)
def test_the_bands_of_dass_follow_from_the_doubled_table(scale: str) -> None:
    key = {"depression": (3, 5, 10, 13, 16, 17, 21), "anxiety": (2, 4, 7, 9, 15, 19, 20), "stress": (1, 6, 8, 11, 12, 14, 18)}[scale]
    for undoubled in range(22):
        sheet: Sheet = [0] * 21
        for place, number in enumerate(key):
            sheet[number - 1] = undoubled // 7 + (place < undoubled % 7)
        made = _made("dass21", sheet)
        expected = DASS_NAMES[sum(2 * undoubled >= start for start in DASS_BANDS[scale])]
        assert made[scale].value == undoubled
        assert made[scale].band == made[f"{scale}_doubled"].band == expected


def test_a_prorated_sum_has_the_same_band_undoubled_and_doubled() -> None:
    draw = random.Random(21)
    for _ in range(3_000):
        made = _made("dass21", [None if draw.random() < 0.06 else draw.randint(0, 3) for _ in range(21)])
        for scale in DASS_BANDS:
            assert made[scale].band == made[f"{scale}_doubled"].band, made[scale]


def test_an_answer_that_no_item_takes_is_refused() -> None:
    for answers in ({1: 0}, {1: 6}, {27: 3}, {0: 3}):
        with pytest.raises(ValueError, match="no such answer"):
            score(_instrument("scs"), answers)
