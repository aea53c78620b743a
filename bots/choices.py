"""Typed answers to choices: a table of spellings, never int(); and the one form in which words are compared."""

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
    if text.strip() in _CIRCLED:
        return _CIRCLED.index(text.strip()) + 1
    word = normal(text)
    for prefix in _PREFIXES:
        word = word.removeprefix(prefix)
    for suffix in _SUFFIXES:
        word = word.removesuffix(suffix)
    return _PLACES.get(word.strip())


_PLACES = {str(place): place for place in range(1, 11)} | {word: place for place, word in enumerate(_NUMERALS, start=1)}


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
