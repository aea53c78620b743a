"""What the encouragement bot may see: whether a word was given and thanked for, and an administrator's look at the library."""

from dataclasses import dataclass
from datetime import datetime

from bots.facts import Fact


@dataclass(frozen=True)
class Given:
    """A warm word that this person was given. `word` 0: none that is meant."""

    word: int = 0
    thanked: bool = False


@dataclass(frozen=True)
class GivenWord(Fact[Given]):
    """The word with this id, if this person was given it; `word` 0: the newest that they were given."""

    word: int = 0


@dataclass(frozen=True)
class Proposal:
    """Words that wait for an administrator: in the language in which they were written, and by whom."""

    id: int
    number: int
    text: str
    author: str


@dataclass(frozen=True)
class WarmShelf:
    """The library of a course and its plan, as its administrators see it. `seen` False: not for this person."""

    seen: bool = False
    title: str = ""
    zone: str = "Asia/Shanghai"
    approved: int = 0
    paused: int = 0
    proposals: tuple[Proposal, ...] = ()
    plan: str = ""  # going, paused; empty where there is none
    upcoming: tuple[datetime, ...] = ()
    given: int = 0  # words to persons, in all
    thanked: int = 0


@dataclass(frozen=True)
class WarmWords(Fact[WarmShelf]):
    """The library of this course."""

    course: int
