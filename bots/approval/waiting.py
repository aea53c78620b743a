"""What the approval bot may see: which announcements wait for this person's look, and one of them as its readers would see it."""

from dataclasses import dataclass, field
from datetime import datetime

from bots.facts import Fact, ReachForecast

#: Bytes of the sentence with which an announcement is given back.
MOST_NOTE = 600


@dataclass(frozen=True)
class Waiting:
    """An announcement that waits. `at` None: it goes as soon as somebody approves. Later than `until` it does not go at all."""

    id: int
    number: int
    group_name: str
    author_name: str
    excerpt: str = field(repr=False)
    at: datetime | None
    until: datetime


@dataclass(frozen=True)
class WaitingForMe(Fact[tuple[Waiting, ...]]):
    """What waits for this person's look, and is not their own, the oldest first."""


@dataclass(frozen=True)
class Look:
    """An announcement as its readers would see it. `version` is the mark of just this; `state`: waiting, or why there is nothing to say:
    own, approved, returned, gone, or unknown where it is none of this person's.

    `bubble` and `choices` are in the language of whoever looks. `why`: many, grew, changed or approver. `by`: who was first.
    """

    id: int
    number: int = 0
    group_name: str = ""
    author_name: str = ""
    bubble: str = field(default="", repr=False)
    choices: tuple[str, ...] = ()
    at: datetime | None = None
    by_mass: bool = False
    forecast: ReachForecast | None = None
    version: str = ""
    state: str = "unknown"
    why: str = ""
    until: datetime | None = None
    by: str = ""


@dataclass(frozen=True)
class LookAt(Fact[Look]):
    """Announcement `id` as its readers would see it."""

    id: int
