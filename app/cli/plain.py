"""Hides what a terminal would obey in words of people."""

import unicodedata

#: Letters that turn the direction of writing: what stands behind them would be read wrongly.
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INDENT = 10


def plain(text: str) -> str:
    """Words of people, with nothing in them that a terminal would obey; further lines stand below the first."""
    return f"\n{' ' * _INDENT}".join(map(_harmless, text.replace("\r\n", "\n").split("\n")))


def _harmless(line: str) -> str:
    return "".join("\ufffd" if each in _TURNING or unicodedata.category(each) == "Cc" else each for each in line)
