"""Hides how an absence in the making is remembered: a frozen `Place`, to and from small JSON. Moments are minutes since 1970 UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bots import memory as memories

_VERSION = 1


@dataclass(frozen=True)
class Place:
    """What is known so far; 0 and empty mean: not yet."""

    id: int = 0
    step: str = ""  # group, period, cover, sure
    group: int = 0
    cover: int = 0
    starts: int = 0
    ends: int = 0

    def period(self) -> tuple[datetime, datetime]:
        """From when until when."""
        return datetime.fromtimestamp(self.starts * 60, UTC), datetime.fromtimestamp(self.ends * 60, UTC)


def read_place(memory: Mapping[str, Any] | None) -> Place:
    """The remembered place; an empty one where there is none or it cannot be read."""
    return memories.read(Place(), _VERSION, memory)


def written(place: Place) -> Mapping[str, Any]:
    """The place as memory: what is not yet known is left out."""
    return memories.written(Place(), _VERSION, place)
