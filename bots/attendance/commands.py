"""Hides which words are about attendance, in both languages: signing in, one's own record, a roll, who came, a make-up."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bots.choices import normal

#: What somebody types, and what they mean by it.
_PLAIN = {
    **dict.fromkeys(
        ("签到", "我要签到", "我来签到", "上课签到", "课程签到", "签个到", "sign in", "sign-in", "signin", "sign me in"), "sign_in"
    ),
    **dict.fromkeys(
        ("我的出勤", "我的签到", "我的考勤", "我的出勤记录", "my attendance", "my sign-ins", "attendance of mine", "how often was i there"),
        "mine",
    ),
}
_STAFF = {
    **dict.fromkeys(("点名", "点个名", "开始点名", "attendance", "roll call", "take attendance", "call the roll"), "roll"),
    **dict.fromkeys(("出勤", "出勤表", "考勤", "考勤表", "谁来了", "谁没来", "who came", "who was there", "who attended"), "grid"),
}
#: What means the person's own record where they lead nothing.
_SHARED = frozenset(("出勤", "考勤", "attendance"))
_NUMERALS = {word: place for place, word in enumerate("零一二三四五六七八九十")}
_NUMBER = r"(?:[0-9]{1,2}|[一二三四五六七八九十]|十[一二])"
_GATHERINGS = (
    ("class", re.compile(rf"第?\s*({_NUMBER})\s*(?:次|节|堂)?\s*课|class\s*(?:no\.?\s*)?({_NUMBER})")),
    ("meeting", re.compile(rf"第?\s*({_NUMBER})\s*(?:周|次)?\s*(?:小组|组会|小组会|聚会)|meeting\s*({_NUMBER})")),
    ("retreat", re.compile(r"静修()|止语()|retreat()")),
)
_MAKE_UP = re.compile(
    r"(?:我?(?:要|想)?(?:补课|补上?了?课?)|i?\s*(?:have )?ma[dk]e\s*-?\s*up(?: of| for)?|make-up)"
    rf"\s*[:：]?\s*(?:第?\s*({_NUMBER})\s*(?:次|节|堂)?课?|(?:class\s*)?({_NUMBER}))?"
)
_MADE_UP_BARE = frozenset(("补课", "我要补课", "我想补课", "make up", "made up", "make-up", "make up class", "i made up a class"))


@dataclass(frozen=True)
class Command:
    """`name`: sign_in, mine, make_up, roll, grid. `kind` and `number` of a gathering where one was named; `group` by its id."""

    name: str
    kind: str = ""
    number: int = 0
    group: int = 0


def read_own(text: str) -> Command | None:
    """What somebody who takes part asks for, or None."""
    word = normal(text)
    if word in _PLAIN:
        return Command(_PLAIN[word])
    if word in _MADE_UP_BARE:
        return Command("make_up")
    written = _MAKE_UP.fullmatch(word)
    number = written and (written.group(1) or written.group(2))
    return Command("make_up", "class", number_in(number)) if number else None


def read_staff(text: str, groups: Sequence[tuple[int, str]]) -> Command | None:
    """What the staff of these groups (ids and names) asks for, or None: the command, then perhaps a group and a gathering."""
    word = normal(text)
    if word in _STAFF:
        return Command(_STAFF[word])
    begins = sorted((each for each in _STAFF if word.startswith(each)), key=len)
    if not begins:
        return None
    rest = word.removeprefix(begins[-1]).strip(" :：,，")
    kind, number, rest = _gathering(rest)
    named = [id_ for id_, name in groups if rest and normal(name) == rest]
    if rest and not named:
        return None
    return Command(_STAFF[begins[-1]], kind, number, named[0] if named else 0)


def is_shared(text: str) -> bool:
    """Whether the word means one's own record to who leads nothing."""
    return normal(text) in _SHARED


def number_in(word: str) -> int:
    """The number that digits or a Chinese numeral up to twelve say."""
    if word.isascii():
        return int(word)
    return sum(_NUMERALS[each] for each in word)


def _gathering(words: str) -> tuple[str, int, str]:
    """The gathering that the words name, and what is left of them."""
    for kind, pattern in _GATHERINGS:
        if found := pattern.search(words):
            number = next((each for each in found.groups() if each), "")
            rest = f"{words[: found.start()]} {words[found.end() :]}".strip(" :：,，")
            return kind, number_in(number) if number else 1, rest
    return "", 0, words
