"""Hides how the open dialogue about a question is remembered: a frozen `Place`, to and from small JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bots import memory as memories

_VERSION = 1
#: Words that come later than this are perhaps not meant for the question any more: nothing is sent without asking.
_RESTS_AFTER = timedelta(hours=2)


@dataclass(frozen=True)
class Place:
    """Where somebody is. Moments are whole seconds since 1970 UTC; 0 and empty mean: nothing."""

    step: str = ""  # group, text, sure (who asks); on (asks on), on_sure; answer, preview (who answers)
    id: int = 0  # of the draft, and of the question that will come of it
    group: int = 0
    question: int = 0
    number: int = 0  # of that question, for people
    text: str = ""
    touched: int = 0
    done: int = 0  # the last draft that was confirmed

    def rests(self, now: datetime) -> bool:
        """Whether it has been left alone for so long that it may be forgotten."""
        return int(now.timestamp()) - self.touched > _RESTS_AFTER.total_seconds()


def read_place(memory: Mapping[str, Any] | None) -> Place:
    """The remembered place; an empty one where there is none or it cannot be read."""
    return memories.read(Place(), _VERSION, memory)


def written(place: Place) -> Mapping[str, Any]:
    """The place as memory: what is empty is left out."""
    return memories.written(Place(), _VERSION, place)
