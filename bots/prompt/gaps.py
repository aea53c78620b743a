"""Hides the gaps in the words of a practice prompt: {name}, the reader's own name, and {week}, the week of the course.

Other braces are words like all others; a gap that nobody knows is named, so that its author can mend it.
"""

import re
from dataclasses import dataclass

from bots.clipping import named, size
from bots.texts import Words, inert

#: A name holds 40 characters at most, and none weighs more than four bytes (three where it is made inert).
LONGEST_NAME_BYTES = 160
_LONGEST_WEEK_BYTES = 2
_GAP = re.compile(r"[{｛]\s*([A-Za-z_]{1,20}|[\u4e00-\u9fff]{1,8})\s*[}｝]")
_MEANT = {
    **dict.fromkeys(("name", "名字", "姓名", "称呼", "昵称"), "name"),
    **dict.fromkeys(("week", "周", "周次", "周数", "第几周"), "week"),
}
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_SPEAKS_TO = re.compile(rf"^\s*{_GAP.pattern}\s*[,，、:：!！~～]\s*", re.IGNORECASE)
_SPOKEN_TO = re.compile(rf"[,，]\s*{_GAP.pattern}(?=\s*(?:[.。!！?？~～]|$))", re.IGNORECASE)


@dataclass(frozen=True)
class Gaps:
    """The gaps of some words: whether they name the reader or the week, and what stands in braces and is no gap of ours."""

    name: bool
    week: bool
    unknown: tuple[str, ...]


def find(text: str) -> Gaps:
    """The gaps in the words."""
    found = [match.group(1) for match in _GAP.finditer(text)]
    meant = {_meaning(each) for each in found}
    return Gaps("name" in meant, "week" in meant, tuple(dict.fromkeys(each for each in found if not _meaning(each))))


def fill(text: str, name: str | None, week: int, nameless: tuple[str, str]) -> Words:
    """The words as one reader has them, inert. Without a name they are spoken to as `nameless` (in Chinese words, in others)."""
    if not (name and name.strip()):
        text = _without_name(text, nameless)

    def value(match: re.Match[str]) -> str:
        return {"name": named(name or "", LONGEST_NAME_BYTES), "week": str(week)}.get(_meaning(match.group(1)), match.group(0))

    return inert(_GAP.sub(value, text))


def longest(text: str) -> int:
    """Bytes of the words as they are sent to whoever has the longest name."""
    weights = {"name": LONGEST_NAME_BYTES, "week": _LONGEST_WEEK_BYTES}
    bare = _GAP.sub(lambda match: "" if _meaning(match.group(1)) else match.group(0), text)
    return size(inert(bare)) + sum(weights.get(_meaning(match.group(1)), 0) for match in _GAP.finditer(text))


def _meaning(word: str) -> str:
    return _MEANT.get(word.casefold(), "")


def _without_name(text: str, nameless: tuple[str, str]) -> str:
    """`{name}，晚上好` becomes `晚上好`, `Good night, {name}!` becomes `Good night!`; anywhere else a friendly word takes the place."""
    begins = _SPEAKS_TO.match(text)
    if begins is not None and _meaning(begins.group(1)) == "name" and text[begins.end() :].strip():
        rest = text[begins.end() :]
        text = rest[:1].upper() + rest[1:]
    text = _SPOKEN_TO.sub(lambda match: "" if _meaning(match.group(1)) == "name" else match.group(0), text)
    word = nameless[0 if _CHINESE.search(_GAP.sub("", text)) else 1]
    return _GAP.sub(lambda match: word if _meaning(match.group(1)) == "name" else match.group(0), text)
