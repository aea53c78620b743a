"""Hides which words are commands of the staff, in both languages."""

import re
from dataclasses import dataclass

from bots.choices import normal


@dataclass(frozen=True)
class Command:
    """What was asked for: "announce", "list", "who", "cancel", "course", "follow", "close". `number` of an announcement, 0 for none.

    `text`: after `公告：`, or after the number of whom to follow up.

    `loose`: only a space stood before the text, so that it may also be an announcement that begins with this word.
    """

    name: str
    number: int = 0
    text: str = ""
    loose: bool = False


_WORDS = {
    **dict.fromkeys(("公告", "发公告", "写公告", "群公告", "发通知", "announce", "announcement", "new announcement"), "announce"),
    **dict.fromkeys(("列表", "公告列表", "我的公告", "list", "announcements", "my announcements"), "list"),
    **dict.fromkeys(("谁收到了", "谁收到", "谁没收到", "送达情况", "到达情况", "who got it", "who has got it", "progress"), "who"),
    **dict.fromkeys(("催一下", "催催", "催回应", "follow up", "follow-up"), "follow"),
    **dict.fromkeys(("换课程", "切换课程", "switch course", "change course"), "course"),
}
_LEAVING = frozenset(("取消", "返回", "退出", "算了", "不发了", "放弃", "cancel", "back", "never mind", "nevermind"))
_GOING_ON = frozenset(("继续", "接着写", "continue", "go on"))
_NUMBER = r"(?:公告)?\s*(?:第|#|no\.?)?\s*([0-9]{1,9})\s*号?"
_WHO = re.compile(rf"(?:谁收到了?|谁没收到|送达情况|到达情况|who got(?: it)?|who has got|progress)(?: of)?\s*{_NUMBER}")
_CANCEL = re.compile(rf"(?:取消|撤回|撤销|cancel)\s*{_NUMBER}")
_FOLLOW = re.compile(rf"(?:催一下|催催|催|follow[- ]?up)(?: on)?\s*{_NUMBER}")
_CLOSE = re.compile(rf"(?:截止|结束投票|结束回应|close(?: poll)?|end poll)\s*{_NUMBER}")
_FOLLOW_INLINE = re.compile(rf"\s*(?:催一下|催催|催|follow[- ]?up)(?: on)?\s*{_NUMBER}\s*[:：]\s*(\S.*)", re.IGNORECASE | re.DOTALL)
#: What follows the command when somebody asks how it is done, rather than writes it.
_NO_TEXT = frozenset(
    (
        "怎么发",
        "怎么写",
        "怎么用",
        "怎么弄",
        "如何发",
        "是什么",
        "帮助",
        "something",
        "to my group",
        "to the group",
        "to everyone",
        "how to",
    )
)
_SPACED = re.compile(r"\s*(?:[发写]?公告|announce)\s+(\S.*)", re.IGNORECASE | re.DOTALL)
_INLINE = re.compile(r"\s*(?:发?公告|announce(?:ment)?)\s*[:：]\s*(\S.*)", re.IGNORECASE | re.DOTALL)


def read_command(text: str) -> Command | None:
    """The command that the words are from beginning to end, or None."""
    word = normal(text)
    if word in _WORDS:
        return Command(_WORDS[word])
    for name, pattern in (("who", _WHO), ("cancel", _CANCEL), ("follow", _FOLLOW), ("close", _CLOSE)):
        if numbered := pattern.fullmatch(word):
            return Command(name, number=int(numbered.group(1)))
    if followed := _FOLLOW_INLINE.fullmatch(text):
        return Command("follow", number=int(followed.group(1)), text=followed.group(2).rstrip())
    inline = _INLINE.fullmatch(text)
    return Command("announce", text=inline.group(1).rstrip()) if inline else _read_spaced(text)


def _read_spaced(text: str) -> Command | None:
    """`公告 明晚见`: the command with words behind a space, where they are clearly words for the group."""
    spaced = _SPACED.fullmatch(text)
    if spaced is None:
        return None
    rest = spaced.group(1).rstrip()
    if normal(rest) in _NO_TEXT:
        return Command("announce")
    return Command("announce", text=rest, loose=True) if _is_clear(rest) else read_command(rest)


def _is_clear(rest: str) -> bool:
    """Two Chinese characters or two words at least, and nothing that is a command itself."""
    characters = sum(each.isalpha() and not each.isascii() for each in rest)
    spoken = sum(any(letter.isalpha() for letter in each) for each in rest.split())
    return max(characters, spoken) > 1 and not leaves(rest) and not goes_on(rest) and read_command(rest) is None


def leaves(text: str) -> bool:
    """Whether the words leave what is being done."""
    return normal(text) in _LEAVING


def goes_on(text: str) -> bool:
    """Whether the words ask for the open question again."""
    return normal(text) in _GOING_ON
