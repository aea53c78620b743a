"""Hides the library of warm words: reads its files, tells whether two are alike, and which words a warm word does not use.

A file is one theme, a free word that courses use for their weeks. Words for the week after week are asked for by these themes;
`ANY` fits every week.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from bots.texts import LANGUAGES, TextError

#: Fits every week.
ANY = "any"
#: The themes of the shipped course of eight weeks, week by week.
EIGHT_WEEKS = (
    "arriving",
    "mindfulness",
    "loving-kindness",
    "inner-voice",
    "living-deeply",
    "difficult-emotions",
    "relationships",
    "embracing-life",
)
#: Two texts that share this part of their pairs of neighbouring words (of characters in Chinese) are alike. Measured: two shipped
#: ones share an eighth at the most, and a text with a word exchanged here and there still shares two thirds with the first.
ALIKE = 0.3
#: Bytes of UTF-8 that one text may hold: a warm word is short.
MOST_BYTES = 600

_FOLDER = Path(__file__).parent
_TOKEN = re.compile(r"[\u3400-\u9fff]|[a-z0-9]+(?:'[a-z]+)?")
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[a-z']+")


class Trigger(StrEnum):
    """After what a word is given to one person."""

    FIRST = "first"  # their first practice
    RETURN = "return"  # they come back after a silence
    WAVE = "wave"  # they handed in all questionnaires of a wave


@dataclass(frozen=True)
class WarmWord:
    """One text in every language, whose it is, and in which tone it speaks."""

    code: str
    theme: str
    texts: Mapping[str, str]
    author: str
    tone: str


@cache
def shipped() -> tuple[WarmWord, ...]:
    """Every word of the folder, theme by theme. Raises `TextError` with file and remedy."""
    found = [word for path in sorted((_FOLDER / "library").glob("*.toml")) for word in _read(path)]
    codes = [word.code for word in found]
    if twice := sorted({code for code in codes if codes.count(code) > 1}):
        raise TextError(f"library: the code {twice[0]!r} is used twice; give one of them another.")
    return tuple(found)


def _read(path: Path) -> list[WarmWord]:
    where = f"library/{path.name}"
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TextError(f"{where}: {error}") from None
    theme, author = tree.get("theme"), tree.get("author")
    if theme != path.stem or not author or not tree.get("words"):
        raise TextError(f"{where}: needs theme = {path.stem!r}, an author and at least one [[words]]; add what is missing.")
    return [_word(where, each, str(theme), str(author)) for each in tree["words"]]


def _word(where: str, each: Mapping[str, Any], theme: str, author: str) -> WarmWord:
    code = str(each.get("code", ""))
    for name in ("code", "tone", *LANGUAGES):
        if not isinstance(each.get(name), str) or not each[name].strip():
            raise TextError(f"{where}: {code or 'a word without a code'} has no {name}; add it.")
    texts = {language: str(each[language]).strip() for language in LANGUAGES}
    if any(len(text.encode()) > MOST_BYTES for text in texts.values()):
        raise TextError(f"{where}: {code} is longer than {MOST_BYTES} bytes; shorten it.")
    return WarmWord(code, theme, texts, author, str(each["tone"]))


def similarity(one: str, other: str) -> float:
    """How much two texts have in common, 0 to 1: of all pairs of neighbours in both, the part that stands in each."""
    first, second = _pairs(one), _pairs(other)
    return len(first & second) / len(first | second) if first | second else 0.0


def alike(text: str, others: Iterable[str]) -> str | None:
    """The one of these texts that is most like this text, where one is too much so."""
    likest = max(others, key=lambda other: similarity(text, other), default=None)
    return likest if likest is not None and similarity(text, likest) >= ALIKE else None


def _pairs(text: str) -> frozenset[tuple[str, ...]]:
    tokens = _TOKEN.findall(_plain(text))
    return frozenset(pairwise(tokens)) or frozenset((token,) for token in tokens)


def unfit(text: str) -> str | None:
    """A phrase in this text that promises health or urges people, or None."""
    plain = _plain(text)
    characters = "".join(_HAN.findall(plain))
    spoken = " ".join(["", *_LATIN.findall(plain), ""])
    for phrase in _phrases():
        if phrase in characters if _HAN.search(phrase) else f" {phrase} " in spoken:
            return phrase
    return None


@cache
def _phrases() -> tuple[str, ...]:
    tree = tomllib.loads((_FOLDER / "unfit.toml").read_text(encoding="utf-8"))
    return tuple(phrase for kind in tree.values() for phrases in kind.values() for phrase in phrases)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
