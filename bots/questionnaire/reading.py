"""Hides what typed words mean for an item: a table of accepted spellings, never int(); several answers in one message; a correction."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from bots.choices import normal, number
from bots.effects import Given
from bots.questionnaire.instrument import LABELLED, Item, Kind

#: What may stand between several answers: `3 4 2`, `3，4，2`, a line each.
_BETWEEN = re.compile(r"[\s,，、;；/]+")
#: A longer word is no slip of an answer; whoever writes a sentence means something else.
_LONGEST_SLIP = 3
#: A number and its label, as a bubble says it: `3. 有时`.
_NUMBERED = re.compile(r"(\S{1,3}?)\s*[.．、:：)）]\s*(\S.*)", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,3}")
_DATE = re.compile(r"([0-9]{4})\s*[-/.年]\s*([0-9]{1,2})\s*[-/.月]\s*([0-9]{1,2})\s*日?|([0-9]{4})([0-9]{2})([0-9]{2})")
_YEARS = ("周岁", "岁", "years old", "years")
#: `改 7`, `7=3`, `第7题选3`: the item, and its new answer where it stands there.
_CHANGE = re.compile(r"(?:改|修改|改第|change|edit)\s*(?:第|item|question)?\s*([0-9]{1,2})\s*(?:题)?(?:\s*[=:：为成到选]\s*|\s+)?(.*)")
_EQUALS = re.compile(r"(?:第)?\s*([0-9]{1,2})\s*题?\s*[=＝]\s*(.+)")
#: Characters of an answer in words of their own, here as on the page.
LONGEST_TEXT = 200


def given(item: Item, text: str) -> Given | None:
    """The answer to an item that these words are, or None where they are none that it takes."""
    if item.kind is Kind.TEXT:
        words = " ".join(text.split())
        return Given(item.number, 1, text=words) if words and len(words) <= LONGEST_TEXT else None
    value = _value(item, text)
    return None if value is None else Given(item.number, value, raw=" ".join(text.split()))


def _value(item: Item, text: str) -> int | None:
    if item.kind in LABELLED:
        return _labelled(item, text)
    return _dated(item, text) if item.kind is Kind.DATE else _counted(item, text)


def _labelled(item: Item, text: str) -> int | None:
    typed = number(text)
    if typed is not None:
        return typed if typed in item.points else None
    plain = normal(text).removeprefix("我选").removeprefix("选").strip()
    for labels in item.anchors.values():
        for value, label in zip(item.points, labels, strict=True):
            if plain and plain == normal(label):
                return value
    numbered = _NUMBERED.fullmatch(text.strip())
    if numbered is None:
        return None
    first, second = number(numbered[1]), _labelled(item, numbered[2])
    return first if first is not None and first == second else None


def _counted(item: Item, text: str) -> int | None:
    plain = normal(text)
    for unit in _YEARS:
        plain = plain.removesuffix(unit).strip()
    typed = int(plain) if _NUMBER.fullmatch(plain) and plain.isascii() else None
    return typed if typed is not None and typed in item.points else None


def _dated(item: Item, text: str) -> int | None:
    found = _DATE.fullmatch(normal(text))
    if found is None:
        return None
    year, month, day = (int(part) for part in found.groups() if part is not None)
    try:
        date(year, month, day)
    except ValueError:
        return None
    value = year * 10_000 + month * 100 + day
    return value if value in item.points else None


@dataclass(frozen=True)
class Several:
    """Several answers in one message: those that fit, the items for which nothing fitted, and how many words were too many."""

    given: tuple[Given, ...]
    failed: tuple[int, ...]
    left_over: int


def several(items: Sequence[Item], text: str) -> Several | None:
    """What a message with several words answers of these items, in their order; None where it is not meant as answers.

    At least half of the words must be answers: else somebody wrote a sentence. Only labelled items and numbers are answered so.
    """
    parts = [part for part in _BETWEEN.split(text.strip()) if part]
    taken = [item for item in items if item.kind is not Kind.TEXT][: len(parts)]
    if len(parts) < 2 or not taken or items[0] is not taken[0]:
        return None
    read = {item.number: given(item, part) for item, part in zip(taken, parts, strict=False)}
    if any(read[item.number] is None and len(part) > _LONGEST_SLIP for item, part in zip(taken, parts, strict=False)):
        return None
    found = tuple(each for each in read.values() if each is not None)
    alone = read[taken[0].number] is None and len(found) == 1  # "me 3" is no answer with one that failed before it
    if len(found) * 2 < len(read) or alone:
        return None
    return Several(found, tuple(number for number, each in read.items() if each is None), len(parts) - len(taken))


@dataclass(frozen=True)
class Change:
    """Somebody wants to change an item; `words` are its new answer where they said it."""

    item: int
    words: str = ""


def change(text: str) -> Change | None:
    """The correction that these words ask for, or None."""
    plain = normal(text)
    found = _CHANGE.fullmatch(plain) or _EQUALS.fullmatch(plain)
    return None if found is None else Change(int(found[1]), found[2].strip())


def label(item: Item, value: int, language: str) -> str:
    """An answer as people read it; words of their own are not kept where this could see them."""
    if item.kind in LABELLED:
        return item.anchors[language][value - item.lowest]
    if item.kind is Kind.DATE:
        return f"{value // 10_000}-{value // 100 % 100:02}-{value % 100:02}"
    return "✓" if item.kind is Kind.TEXT else str(value)


def all_given(answers: Mapping[int, int | None], more: Sequence[Given]) -> dict[int, int | None]:
    """The answers with these on top."""
    return {**answers, **{each.item: each.value for each in more}}
