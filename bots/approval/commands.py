"""Hides which words look at an announcement of somebody else's, let it go or give it back, in both languages."""

import re
from dataclasses import dataclass

from bots.choices import normal


@dataclass(frozen=True)
class Command:
    """What was asked for: "list", "look", "approve" or "return". `number` of the announcement; `text`: the sentence of a return."""

    name: str
    number: int = 0
    text: str = ""


_LIST = frozenset(("待看", "待看公告", "等我看的公告", "要我看的公告", "waiting for me", "to review", "announcements to review"))
_NUMBER = r"(?:公告|announcement)?\s*(?:第|#|no\.?)?\s*([0-9]{1,9})\s*号?"
_NUMBERED = (
    ("look", re.compile(rf"(?:看公告|看看公告|review)\s*{_NUMBER}")),
    ("approve", re.compile(rf"(?:同意发|同意|可以发|ok to send|approve)\s*{_NUMBER}")),
    ("return", re.compile(rf"(?:打回|先别发|send back|return)\s*{_NUMBER}")),
)
_RETURN_INLINE = re.compile(rf"\s*(?:打回|先别发|send back|return)\s*{_NUMBER}\s*[:：,，]\s*(\S.*)", re.IGNORECASE | re.DOTALL)
_LEAVING = frozenset(("取消", "算了", "返回", "退出", "不打回", "cancel", "back", "never mind", "nevermind"))


def read_command(text: str) -> Command | None:
    """The command that the words are from beginning to end, or None."""
    word = normal(text)
    if word in _LIST:
        return Command("list")
    for name, pattern in _NUMBERED:
        if numbered := pattern.fullmatch(word):
            return Command(name, int(numbered.group(1)))
    inline = _RETURN_INLINE.fullmatch(text)
    return Command("return", int(inline.group(1)), inline.group(2).rstrip()) if inline else None


def leaves(text: str) -> bool:
    """Whether the words leave what is being done."""
    return normal(text) in _LEAVING
