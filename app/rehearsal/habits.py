"""Hides what an imagined participant does with a message: taps, types, answers at night, says nothing, leaves. Chance comes from a seed."""

import random
import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from html import unescape
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Habit:
    """How somebody lives with the course.

    `share`: of all participants. `reacts`: how likely a message is answered. `within`: after how many minutes. `writes`: how likely they
    write by themselves on a day. `awake`: between which local hours. `types`: whether questions are typed, several at once, rather than
    tapped. `comes`: how likely they come to a class. `leaves`: in which week of the course, 0 for never.
    """

    name: str
    share: float
    reacts: float
    within: tuple[int, int]
    writes: float
    awake: tuple[int, int] = (7, 22)
    types: bool = False
    comes: float = 0.8
    leaves: int = 0


HABITS = (
    Habit("eager", 0.25, 0.9, (1, 40), 0.5, types=True, comes=0.95),
    Habit("average", 0.40, 0.4, (10, 600), 0.15, types=True),
    Habit("silent", 0.15, 0.0, (0, 0), 0.0, comes=0.0),
    Habit("leaves in week 3", 0.08, 0.5, (10, 600), 0.2, comes=0.5, leaves=3),
    Habit("answers at night", 0.12, 0.6, (5, 120), 0.3, awake=(23, 2)),
)
#: Leaders and assistants look in now and then.
STAFF = Habit("staff", 0.0, 0.25, (5, 300), 0.35, comes=0.0)

_LINK = re.compile(r'<a href="(?P<href>weixin://bizmsgmenu[^"]*)">(?P<shown>[^<]*)</a>')
_NUMBERED = re.compile(r"^\d+\. ")
_QUESTION = re.compile(r"(?P<number>\d+)/(?P<of>\d+) · ")
#: What is typed where a question has nothing to tap: a number, a day, words.
_TYPED = ("36", "1990-05-17", "上海")
#: What people write by themselves. Words that no bot of the day knows are answered kindly, here as there.
_BY_THEMSELVES = (*["打卡"] * 10, *["课表"] * 2, *["你好"] * 2, "问卷", "提问")
#: What people write who have a group in their care.
_IN_CARE = ("待答问题", "谁练了", "课表", "你好")
#: Who comes to a class signs in with a word.
SIGN_IN = "签到"
#: What a text asks for that is to be written, and what is written then.
_WRITTEN = (
    (
        re.compile("想问什么，写下来|想接着问什么"),
        ("练习的时候总是睡着，怎么办？", "这周的练习可以分成两次做吗？", "坐着腿麻的时候可以动一动吗？"),
    ),
    (re.compile("请写下给"), ("可以试试睁着眼睛坐，慢慢来就好。", "可以的，按自己的节奏来。")),
    (re.compile("几分钟"), ("15", "20", "30")),
    (re.compile("一句话"), ("坐了一会儿，心里静了一些。", "今天有点分心，也坐完了。")),
    (re.compile("几点"), ("晚上8点半", "7:30")),
)
#: Taps that take back what was done, or begin something else: nobody's next step.
_ASIDE = re.compile("收回|取消|算了|不用|先不|不想|不记|改|停|退出|给回|以后|帮助")
#: Words back to a message that asks nothing.
_THANKS = ("收到", "谢谢", "好的")


@dataclass(frozen=True)
class Link:
    """Something to tap: its address, and whether it is an answer with a number before it. `label`: its words, without that number."""

    href: str
    answer: bool
    aside: bool = False
    label: str = ""


def links(text: str) -> list[Link]:
    """What a message offers to tap, in its order."""
    found = _LINK.finditer(text)
    return [_link(each["href"], each["shown"]) for each in found]


def _link(href: str, shown: str) -> Link:
    label = _NUMBERED.sub("", shown)
    return Link(unescape(href), label != shown, _ASIDE.search(shown) is not None, unescape(label))


def place(text: str) -> tuple[str, str] | None:
    """Which question of how many a text puts; None where it puts none."""
    found = _QUESTION.search(text)
    return None if found is None else (found["number"], found["of"])


def habits(count: int, seed: int) -> list[Habit]:
    """A habit for each of so many people, by the shares, in an order that the seed draws."""
    found = [habit for habit in HABITS for _ in range(round(habit.share * count))]
    found = (found + [HABITS[1]] * count)[:count]
    random.Random(seed).shuffle(found)  # noqa: S311 - who lives how is no secret
    return found


def when(habit: Habit, now: datetime, zone: str, chance: random.Random) -> datetime:
    """When somebody who saw a message at `now` gets round to it: when they are awake."""
    moment = now + timedelta(minutes=chance.randint(*habit.within))
    local = moment.astimezone(ZoneInfo(zone))
    begin, end = habit.awake
    inside = begin <= local.hour < end if begin < end else local.hour >= begin or local.hour < end
    if inside:
        return moment
    day = local.date() + timedelta(days=1 if local.hour >= begin else 0)
    return datetime.combine(day, time(begin, chance.randint(0, 50)), local.tzinfo).astimezone(now.tzinfo)


@dataclass(frozen=True)
class Deed:
    """What somebody does next: tap this, or type this."""

    href: str = ""
    text: str = ""


def by_themselves(habit: Habit, chance: random.Random) -> Deed:
    """What somebody writes without being asked."""
    return Deed(text=chance.choice(_IN_CARE if habit is STAFF else _BY_THEMSELVES))


def first(text: str, chance: random.Random) -> Deed:
    """The first thing that somebody does with a message: the first thing to tap, else a word back."""
    offered = [each for each in links(text) if not each.aside]
    return Deed(href=offered[0].href) if offered else Deed(text=chance.choice(_THANKS))


def following(habit: Habit, shown: str, before: str, tries: int, chance: random.Random) -> Deed | None:
    """What somebody does with the answer to what they did; None: nothing more. `tries`: how often this question was answered in vain.

    Low answers only: a rehearsal calls nobody for help.
    """
    offered = links(shown)
    question = _QUESTION.search(shown)
    if question is None:
        return None if shown == before else _next_step(shown, [each for each in offered if not each.aside], chance)
    answers = [each for each in offered if each.answer]
    if not answers:
        return Deed(text=_TYPED[tries % len(_TYPED)])
    if habit.types and len(answers) > 3 and not tries:
        return Deed(text=" ".join(["1"] * min(5, int(question["of"]) - int(question["number"]) + 1)))
    return Deed(href=chance.choice(answers[: max(2, len(answers) // 2)]).href)


def _next_step(shown: str, offered: list[Link], chance: random.Random) -> Deed | None:
    """Outside a questionnaire: write what is asked for, else tap the first thing that leads on; None where nothing does."""
    for asked, words in _WRITTEN:
        if asked.search(shown) and not any(each.answer for each in offered):
            return Deed(text=chance.choice(words))
    answers = [each for each in offered if each.answer]
    return Deed(href=(answers or offered)[0].href) if offered else None
