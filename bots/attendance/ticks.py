"""Hides how a typed tick is read: `3 5 没到`, `小雨、王芳 到了`, `都到了`, `all here except 2`, `4 补课了`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bots.choices import normal

_ABSENT = (
    "没有到",
    "没到",
    "未到",
    "没来",
    "没有来",
    "缺席",
    "缺课",
    "请假",
    "不在",
    "are not here",
    "is not here",
    "not here",
    "absent",
    "missing",
)
_HERE = ("都到了", "都来了", "到了", "来了", "到", "在", "were here", "was here", "are here", "is here", "here", "present")
_MADE_UP = ("补课了", "补上了", "补了课", "补课", "已补", "made up", "made it up")
_VERBS = {**dict.fromkeys(_ABSENT, "away"), **dict.fromkeys(_HERE, "here"), **dict.fromkeys(_MADE_UP, "made_up")}
_BY_LENGTH = sorted(_VERBS, key=len, reverse=True)
_PART = re.compile(rf"(.*?)\s*({'|'.join(map(re.escape, _BY_LENGTH))})(?=$|[\s,，;；.。])")
_ALL = frozenset(
    ("都到了", "全到了", "全部到了", "都来了", "全部都到了", "大家都到了", "全勤", "all here", "everyone is here", "everybody is here")
)
_REST = frozenset(
    ("其余都到了", "其他都到了", "其他人都到了", "其余的都到了", "别人都到了", "the rest are here", "the others are here", "rest here")
)
_EXCEPT = (
    re.compile(r"(?:都|全)(?:到|来)了\s*[,，]?\s*除了\s*(.+)"),
    re.compile(r"除了?\s*(.+?)\s*(?:[,，]\s*)?(?:以外|之外|外)?\s*[,，]?\s*(?:其他人?|其余)?都(?:到|来)了"),
    re.compile(r"(?:all|everyone|everybody)(?: is| are)? here,? (?:except|but)(?: for)? (.+)"),
)
_BETWEEN = re.compile(r"[\s,，、;；和与及&+]+|\band\b")
_NUMBER = re.compile(r"第?([0-9]{1,3})号?")


@dataclass(frozen=True)
class Tick:
    """Who is marked how: `here`, `away`, `made_up`, by their places in the list; `unknown`: words that mean nobody or several."""

    here: frozenset[int] = frozenset()
    away: frozenset[int] = frozenset()
    made_up: frozenset[int] = frozenset()
    everybody: str = ""  # all, rest
    unknown: tuple[str, ...] = ()


def read_tick(text: str, names: Sequence[str]) -> Tick | None:
    """The tick that was typed for the people of these names, numbered from 1; None where the words are something else."""
    word = normal(text)
    if word in _ALL or word in _REST:
        return Tick(everybody="all" if word in _ALL else "rest")
    for pattern in _EXCEPT:
        if found := pattern.fullmatch(word):
            away, unknown = _people(found.group(1), names)
            return Tick(away=away, everybody="rest", unknown=unknown)
    return _parts(word, names)


def _parts(word: str, names: Sequence[str]) -> Tick | None:
    marked: dict[str, frozenset[int]] = {"here": frozenset(), "away": frozenset(), "made_up": frozenset()}
    unknown: tuple[str, ...] = ()
    end = 0
    for found in _PART.finditer(word):
        people, strange = _people(found.group(1), names)
        verb = _VERBS[found.group(2)]
        unknown += strange if people or strange else ("",)
        marked[verb] |= people
        end = found.end()
    if not end or word[end:].strip(" .。,，;；"):
        return None
    return Tick(marked["here"], marked["away"], marked["made_up"], unknown=unknown)


def _people(words: str, names: Sequence[str]) -> tuple[frozenset[int], tuple[str, ...]]:
    """Places, and what means nobody or more than one."""
    known = [normal(each) for each in names]
    whole = words.strip(" ,，、;；")
    pieces = [whole] if known.count(whole) == 1 else [each for each in _BETWEEN.split(whole) if each]
    found, unknown = set[int](), []
    for piece in pieces:
        number = _NUMBER.fullmatch(piece)
        if known.count(piece) == 1:
            found.add(known.index(piece) + 1)
        elif number and 1 <= int(number.group(1)) <= len(known):
            found.add(int(number.group(1)))
        else:
            unknown.append(piece)
    return frozenset(found), tuple(unknown)
