"""Typed answers to choices: a table of spellings, never int(); the one form in which words are compared; ids in few letters."""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from bots.effects import Choice

_NUMERALS = ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十")
_CIRCLED = ("①", "②", "③", "④", "⑤", "⑥", "⑦", "⑧", "⑨", "⑩")
_TRAILING = " .。!！,，、;；:：?？~～)）”\"'’」"
_LEADING = " (（“\"'‘「"
_PREFIXES = ("我选", "选择", "选", "第", "option ", "no.", "number ")
_SUFFIXES = ("个", "项", "号")
_UNSEEN = dict.fromkeys(map(ord, "\ufe0e\ufe0f\u20e3\u200b\u200d"))
#: Every bot looks at the same words within one turn; a few turns run side by side.
_REMEMBERED = 8


@lru_cache(maxsize=_REMEMBERED)
def normal(text: str) -> str:
    """Words as they are compared: NFKC, lower case, no variation selectors or keycaps, single spaces, no ending marks."""
    plain = unicodedata.normalize("NFKC", text.translate(_UNSEEN))
    return " ".join(plain.casefold().split()).strip(_LEADING + _TRAILING)


def ordinal(text: str) -> int | None:
    """The place that a typed number means, counted from 1 to 10, or None. `2`, `２`, `二`, `②`, `选2`, `第二个` are 2."""
    return number(text) or None


def number(text: str) -> int | None:
    """The number from 0 to 10 that was typed, in the spellings of `ordinal`, or None. A raised `²` is a slip, and no number."""
    if text.strip() in _CIRCLED:
        return _CIRCLED.index(text.strip()) + 1
    if any(each in _RAISED for each in text):
        return None
    word = normal(text)
    for prefix in _PREFIXES:
        word = word.removeprefix(prefix)
    for suffix in _SUFFIXES:
        word = word.removesuffix(suffix)
    return _PLACES.get(word.strip())


_RAISED = frozenset("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉")
_PLACES = {"零": 0, "〇": 0} | {str(place): place for place in range(11)} | {word: place for place, word in enumerate(_NUMERALS, start=1)}


def pick(text: str, choices: Sequence[Choice]) -> Choice | None:
    """The choice that the typed words mean: its number, its label, or one of its further spellings."""
    place = ordinal(text)
    if place is not None and place <= len(choices):
        return choices[place - 1]
    word = normal(text)
    for choice in choices:
        if word and word in {normal(choice.label), *map(normal, choice.accepts)}:
            return choice
    return None


_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


def short(id_: int) -> str:
    """An id in few letters, for choices (at most 13)."""
    rest, digit = divmod(id_, 36)
    return (short(rest) if rest else "") + _LETTERS[digit]


def number_of(letters: str) -> int:
    """The id that `short` wrote, or 0."""
    found = 0
    for letter in letters:
        if letter not in _LETTERS:
            return 0
        found = found * 36 + _LETTERS.index(letter)
    return found
