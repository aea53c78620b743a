"""Hides which words are the staff's commands for the library, in both languages."""

import re
from dataclasses import dataclass

from bots.choices import normal

_LOOK = frozenset(("鼓励", "鼓励的话", "暖心话", "warm words", "warm word", "encouragement"))
_WRITE = re.compile(r"\s*(?:鼓励(?:的话)?|暖心话|warm words?|encouragement)\s*[:：]\s*(\S.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A look at the library, or (with `text`) words that are proposed for it."""

    text: str = ""


def read_command(text: str) -> Command | None:
    """The command that the words are from beginning to end, or None."""
    if normal(text) in _LOOK:
        return Command()
    written = _WRITE.fullmatch(text)
    return Command(" ".join(written.group(1).split())) if written else None
