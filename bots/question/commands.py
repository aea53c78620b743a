"""Hides which words ask the leader, and which answer, in both languages."""

import re
from dataclasses import dataclass

from bots.choices import normal
from bots.onboarding.codes import typed_code
from bots.turns import Membership, Person, Role


@dataclass(frozen=True)
class Command:
    """What was asked for. Of who asks: "ask", "mine", "take_back", "helped", "on". Of who answers: "open", "answer", "release".

    `number` of a question, 0 for none; `text` what followed the command.
    """

    name: str
    number: int = 0
    text: str = ""


_NUMBER = r"(?:问题|提问|question)?\s*(?:第|#|no\.?)?\s*([0-9]{1,9})\s*(?:号|题)?"
_ASKING = {
    **dict.fromkeys(("提问", "我要提问", "我想提问", "我有问题", "我有个问题", "问组长", "问问组长", "我想问组长", "问助教"), "ask"),
    **dict.fromkeys(("ask my leader", "ask the leader", "ask leader", "ask a question", "i have a question"), "ask"),
    **dict.fromkeys(("我的提问", "我的问题", "我问过的", "my questions", "my question"), "mine"),
    **dict.fromkeys(("收回", "收回问题", "收回提问", "take back", "take it back", "take back my question"), "take_back"),
}
_ANSWERING = {
    **dict.fromkeys(
        ("待答问题", "待答", "待回答", "待回答的问题", "没回答的问题", "看问题", "open questions", "unanswered questions"), "open"
    ),
}
_ASKING_NUMBERED = {
    "take_back": re.compile(rf"(?:收回|take back)\s*{_NUMBER}"),
    "helped": re.compile(rf"(?:有帮助|有用|it helped|helped)\s*{_NUMBER}"),
    "on": re.compile(rf"(?:接着问|追问|ask on)\s*{_NUMBER}"),
}
_ANSWERING_NUMBERED = {
    "answer": re.compile(rf"(?:我来回答|回答|答|answer)\s*{_NUMBER}"),
    "release": re.compile(rf"(?:给回|退回|放回|交回|give back|hand back)\s*{_NUMBER}"),
}
_ASK_INLINE = re.compile(
    r"\s*(?:我[要想])?(?:提问|问问?组长|问助教|ask (?:my |the )?leader|ask a question)(?:\s*[:：,，]\s*|\s+)(\S.*)",
    re.IGNORECASE | re.DOTALL,
)
_ON_INLINE = re.compile(rf"\s*(?:接着问|追问|ask on)\s*{_NUMBER}\s*[:：,，]\s*(\S.*)", re.IGNORECASE | re.DOTALL)
_ANSWER_INLINE = re.compile(rf"\s*(?:我来回答|回答|answer)\s*{_NUMBER}\s*[:：,，]\s*(\S.*)", re.IGNORECASE | re.DOTALL)
#: What follows the command when somebody asks how it is done, rather than asks.
_NO_TEXT = frozenset(("怎么用", "怎么问", "怎么弄", "如何用", "是什么", "帮助", "help", "how", "how to", "something", "something else"))
_LEAVING = frozenset(
    ("算了", "不问了", "不发了", "先不答", "不答了", "取消", "返回", "退出", "放弃", "cancel", "back", "never mind", "nevermind")
)
_ANSWERERS = frozenset({Role.LEADER, Role.ASSISTANT})


def asks_in(person: Person) -> tuple[Membership, ...]:
    """The small groups in which this person takes part, and thus may ask."""
    return tuple(each for each in person.memberships if each.role is Role.PARTICIPANT and not each.large)


def answers_in(person: Person) -> tuple[Membership, ...]:
    """The small groups whose questions this person sees and may answer."""
    return tuple(each for each in person.memberships if each.role in _ANSWERERS and not each.large)


def leads_nowhere(person: Person) -> bool:
    """Whether this person neither asks nor answers anywhere."""
    return not asks_in(person) and not answers_in(person)


def read_command(text: str, person: Person) -> Command | None:
    """The command that the words are, of those that this person may give; None for everything else, also for what looks like a code."""
    if typed_code(text, stranger=False) is not None:
        return None
    return (_read_asking(text) if asks_in(person) else None) or (_read_answering(text) if answers_in(person) else None)


def _read_asking(text: str) -> Command | None:
    word = normal(text)
    if word in _ASKING:
        return Command(_ASKING[word])
    if inline := _ASK_INLINE.fullmatch(text):
        rest = inline.group(1).rstrip()
        return Command("ask", text="" if normal(rest) in _NO_TEXT else rest)
    if inline := _ON_INLINE.fullmatch(text):
        return Command("on", int(inline.group(1)), inline.group(2).rstrip())
    return _numbered(word, _ASKING_NUMBERED)


def _read_answering(text: str) -> Command | None:
    word = normal(text)
    if word in _ANSWERING:
        return Command(_ANSWERING[word])
    if inline := _ANSWER_INLINE.fullmatch(text):
        return Command("answer", int(inline.group(1)), inline.group(2).rstrip())
    return _numbered(word, _ANSWERING_NUMBERED)


def _numbered(word: str, patterns: dict[str, re.Pattern[str]]) -> Command | None:
    found = ((name, pattern.fullmatch(word)) for name, pattern in patterns.items())
    return next((Command(name, int(match.group(1))) for name, match in found if match is not None), None)


def leaves(text: str) -> bool:
    """Whether the words leave what is being written."""
    return normal(text) in _LEAVING
