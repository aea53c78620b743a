"""Hides which words are commands about practice prompts, in both languages."""

import re
from dataclasses import dataclass

from bots.choices import normal


@dataclass(frozen=True)
class Command:
    """What was asked for: "start", "list", "show", "pause", "resume", "edit" or "cancel".

    `number` of a prompt, 0 for none; `text` behind `练习提醒：`; `spaced`: only a space stood before it, so that it may also be a time.
    """

    name: str
    number: int = 0
    text: str = ""
    spaced: bool = False


_START = (
    *("练习提醒", "定时练习", "发练习提醒", "写练习提醒", "新练习提醒", "新建练习提醒", "练习提醒怎么用", "定时练习提醒"),
    *("practice prompt", "new practice prompt", "new prompt", "schedule a practice prompt"),
)
_LIST = ("提醒列表", "练习提醒列表", "我的提醒", "我的练习提醒", "my prompts", "prompts", "practice prompts", "prompt list", "list prompts")
_VERBS = {
    "pause": ("暂停", "pause"),
    "resume": ("恢复|继续", "resume"),
    "edit": ("改|修改|编辑", "edit|change"),
    "cancel": ("取消|删除|删掉|撤销", "cancel|delete"),
    "show": ("看|查看|显示|", "show|"),
}
_THING = (
    r"(?:(?:{zh})(?:练习)?提醒\s*(?:第|#|no\.?)?\s*([0-9]{{1,9}})\s*号?|(?:{en})\s*(?:practice )?prompt\s*(?:#|no\.?)?\s*([0-9]{{1,9}}))"
)
_NUMBERED = {name: re.compile(_THING.format(zh=zh, en=en)) for name, (zh, en) in _VERBS.items()}
_BARE = re.compile(
    r"(?:改|修改|编辑|取消|删除|删掉|撤销)(?:练习)?提醒|(?:edit|change|cancel|delete|pause|resume) (?:a |my )?(?:practice )?prompts?"
)
_INLINE = re.compile(r"\s*(?:练习提醒|定时练习|practice prompt)(\s*[:：]\s*|\s+)(\S.*)", re.IGNORECASE | re.DOTALL)
_COURSE = ("换课程", "切换课程", "switch course", "change course")
_LEAVING = frozenset(("取消", "返回", "退出", "算了", "不发了", "放弃", "不改了", "cancel", "back", "never mind", "nevermind"))
_GOING_ON = frozenset(("继续", "接着写", "continue", "go on"))
_OTHER_GROUPS = frozenset(("换组", "改组", "改小组", "换小组", "change group", "change groups", "groups"))
_WORDS = {**dict.fromkeys(_START, "start"), **dict.fromkeys(_LIST, "list")}


def read_command(text: str) -> Command | None:
    """The command that the words are from beginning to end, or None."""
    word = normal(text)
    if word in _WORDS:
        return Command(_WORDS[word])
    for name, pattern in _NUMBERED.items():
        if found := pattern.fullmatch(word):
            return Command(name, number=int(found.group(1) or found.group(2)))
    if _BARE.fullmatch(word):
        return Command("list")
    inline = _INLINE.fullmatch(text)
    return Command("start", text=inline.group(2).rstrip(), spaced=not inline.group(1).strip()) if inline else None


def changes_course(text: str) -> bool:
    """Whether the words ask for another course; where several bots know them, only the one that is being talked to takes them."""
    return normal(text) in _COURSE


def leaves(text: str) -> bool:
    """Whether the words leave what is being done."""
    return normal(text) in _LEAVING


def goes_on(text: str) -> bool:
    """Whether the words ask for the open question again."""
    return normal(text) in _GOING_ON


def other_groups(text: str) -> bool:
    """Whether the words ask for other groups."""
    return normal(text) in _OTHER_GROUPS
