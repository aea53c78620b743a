"""What may be seen of absences: requests, and the frozen values that the application loads."""

from dataclasses import dataclass
from datetime import datetime

from bots.facts import Fact


@dataclass(frozen=True)
class Cover:
    """Somebody who may be called in a leader's stead."""

    person: int
    name: str | None


@dataclass(frozen=True)
class Covers(Fact[tuple[Cover, ...]]):
    """Who may cover in this group; nobody where the asking person does not lead it."""

    group: int


@dataclass(frozen=True)
class Absence:
    """When this person is away from a group, and who covers."""

    group_name: str
    cover: str | None
    starts: datetime
    ends: datetime


@dataclass(frozen=True)
class MyAbsences(Fact[tuple[Absence, ...]]):
    """When this person is away, now or later, the next first."""
