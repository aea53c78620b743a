"""Hides how people say that they practised: `打卡`, `我练了15分钟呼吸`, `I practised 20 minutes`; and which practice they mean."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bots.choices import normal
from bots.homework import hours
from bots.homework.book import Practice

_MOST_MINUTES = 600
_DAYS = {
    **dict.fromkeys(("今天", "今日", "today", "今早", "今晚", "刚刚", "刚才", "just now", "this morning", "tonight"), 0),
    **dict.fromkeys(("昨天", "昨日", "昨晚", "补昨天", "yesterday", "last night"), 1),
    **dict.fromkeys(("前天", "前日", "补前天", "two days ago", "2 days ago", "the day before yesterday", "day before yesterday"), 2),
}
_NUMERALS = {"零": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_SPOKEN = {"five": 5, "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "forty five": 45, "sixty": 60}
_WHOLE = {
    "半小时": 30,
    "半个小时": 30,
    "半个钟": 30,
    "一刻钟": 15,
    "三刻钟": 45,
    "half an hour": 30,
    "a quarter of an hour": 15,
    "an hour": 60,
}

_DAY = "|".join(sorted(map(re.escape, _DAYS), key=len, reverse=True))
_SPAN = "|".join(sorted(map(re.escape, _WHOLE), key=len, reverse=True))
_DIGITS = "[0-9]{1,3}"
_CHARACTERS = "[一二两三四五六七八九十]{1,3}"
_UNIT = "分钟|分|minutes?|mins?|小时|个小时|hours?"
_MINUTES = rf"(?:(?P<span>{_SPAN})|(?P<count>{_DIGITS}|{_CHARACTERS}|[a-z]+(?: five)?) ?(?P<unit>{_UNIT}))"
_LATE = rf"(?:(?P<late>{_SPAN})|(?P<late_count>{_DIGITS}|{_CHARACTERS}) ?分钟?)"
_DID = "打卡|打了卡|打个卡|练习打卡|练习了|练完了|练了|练过了|做了练习|做完练习了?|练习完了"
_CHINESE = re.compile(
    rf"(?:我|俺|我们)?(?P<day>{_DAY})?的?(?:我)?(?:也|都|已经)?(?:{_DID})了?"
    rf"(?:{_MINUTES})?的?(?P<rest>[^，。！？：,.!?:\n]{{0,14}}?){_LATE}?了?"
)
_DONE = "check(?:ed)?[ -]?in|practi[sc]ed|did my practi[cs]e|finished practi[sc]ing|done practi[sc]ing"
_FOR = rf"(?: for (?P<late>{_SPAN})|(?: for)? (?P<late_count>{_DIGITS}) (?:minutes?|mins?))"
_ENGLISH = re.compile(
    rf"(?:i(?:'ve| have)? )?(?:just )?(?:{_DONE})(?: (?:for )?{_MINUTES})?"
    rf"(?: (?:of )?(?P<rest>(?!{_DAY})[a-z' -]{{2,40}}?))?{_FOR}?(?: (?P<day>{_DAY}))?"
)
#: What is told after `练了` and is no practice: words for a person, not for a list.
_TELLING = re.compile(r"[很还但却不没难累烦哭痛吗么呢谁几多怎哪]|have|feel|but|not|who|why")
_PLAIN_MINUTES = re.compile(
    rf"(?:大概|大约|约|差不多|about |around )?(?:{_MINUTES}|(?P<bare>[0-9]{{1,3}}|[一二两三四五六七八九十]{{1,3}}))(?:左右|吧|了)?"
)

HOMEWORK = frozenset(
    ("作业", "练习", "本周练习", "这周的练习", "这周练什么", "练什么", "homework", "practice", "practices", "this week's practice")
)
HOUR = frozenset(
    (
        "改时间",
        "换时间",
        "改练习时间",
        "练习时间",
        "改提醒时间",
        "提醒时间",
        "change my hour",
        "change hour",
        "change the hour",
        "my hour",
        "practice time",
    )
)
WHO = frozenset(
    ("谁练了", "谁打卡了", "谁打卡", "谁没练", "谁没打卡", "练习情况", "打卡情况", "who practised", "who practiced", "who checked in")
)
SKIP = frozenset(
    (
        *(
            "不写了",
            "不写",
            "不用",
            "不用了",
            "跳过",
            "没有",
            "没了",
            "算了",
            "不了",
            "先不写",
            "好",
            "好的",
            "谢谢",
            "嗯",
            "ok",
            "okay",
            "skip",
            "no",
        ),
        *("no thanks", "nothing", "thanks", "thank you", "not now", "cancel", "取消", "返回", "back"),
    )
)


@dataclass(frozen=True)
class Said:
    """A check-in in words: how many days back, minutes (None: not said), and what may be the name of a practice."""

    back: int = 0
    minutes: int | None = None
    practice: str = ""


def read_check_in(text: str) -> Said | None:
    """What the words say, if they say from beginning to end that somebody practised; else None."""
    word = normal(text)
    if len(word) > 80:
        return None
    if word in _DAYS and _DAYS[word] and word.startswith("补"):
        return Said(_DAYS[word])
    if word.startswith("打卡:"):
        inner = word.removeprefix("打卡:").strip()
        return read_check_in(inner) or Said(practice=inner)
    found = _CHINESE.fullmatch(word) or _ENGLISH.fullmatch(word)
    if found is None:
        return None
    rest = (found["rest"] or "").strip()
    if rest and _TELLING.search(rest):
        return None
    minutes = _minutes(found["span"], found["count"], found["unit"])
    if minutes is None:
        minutes = _minutes(found["late"], found["late_count"], "分钟")
    return Said(_DAYS[found["day"]] if found["day"] else 0, minutes, rest)


def read_minutes(text: str) -> int | None:
    """The minutes that are typed in answer to the question for them, from 1 to 600."""
    found = _PLAIN_MINUTES.fullmatch(normal(text))
    if found is None or hours.RAISED.search(text):
        return None
    return _minutes(found["span"], found["count"] or found["bare"], found["unit"] or "分钟")


def _minutes(span: str | None, count: str | None, unit: str | None) -> int | None:
    if span:
        return _WHOLE[span]
    number = _number(count) if count else None
    if number is None:
        return None
    total = number * 60 if unit and unit.startswith(("小时", "个小时", "hour")) else number
    return total if 1 <= total <= _MOST_MINUTES else None


def _number(text: str) -> int | None:
    if text.isascii() and text.isdigit():
        return int(text)
    if text in _SPOKEN:
        return _SPOKEN[text]
    if any(each not in (*_NUMERALS, "十") for each in text):
        return None
    if "十" not in text:
        return _NUMERALS[text] if len(text) == 1 else None
    tens, _, ones = text.partition("十")
    if len(tens) > 1 or len(ones) > 1 or "十" in ones:
        return None
    return (_NUMERALS[tens] if tens else 1) * 10 + (_NUMERALS[ones] if ones else 0)


def meant(said: str, practices: Sequence[Practice]) -> Practice | None:
    """The one practice that these words name, in whole or in part; None where none or several fit."""
    word = normal(said).removesuffix("练习")
    if not word:
        return None
    named = [(each, {normal(name) for name in each.name.values()}) for each in practices]
    whole = [each for each, names in named if word in names or normal(said) in names]
    parts = [each for each, names in named if any(word in name or name in word for name in names)]
    for found in (whole, parts):
        if len(found) == 1:
            return found[0]
    return None
