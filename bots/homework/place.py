"""Where a conversation about practice stands: the small memory of the bot."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any

_VERSION = 1
#: Words that come later than this are no answer to what was asked then, unless the person says so.
_FRESH = timedelta(minutes=15)
#: What a leader was shown is shown anew after this, before it is sent.
_PREVIEW_HOLDS = timedelta(minutes=30)
#: What may be open: which course or practice, minutes, the line, whether old words are that line, sharing, the hour; a leader's words.
STEPS = ("course", "practice", "minutes", "line", "sure", "share", "hour", "letter")


@dataclass(frozen=True)
class Place:
    """What is open (empty: nothing), and about which check-in or group. `at`: second of the last turn; `day`: ISO."""

    step: str = ""
    course: int = 0
    day: str = ""
    place: int = -1  # of the practice in the course file
    text: str = ""
    group: int = 0
    days: int = 0
    offered: str = ""  # hours to choose from, where the typed one could mean several
    back: int = 0
    minutes: int = 0  # said before the course or the practice was known
    at: int = 0

    def fresh(self, now: datetime) -> bool:
        """Whether what is typed now answers what was asked."""
        return _seconds(now) - self.at <= _FRESH.total_seconds()

    def preview_holds(self, now: datetime) -> bool:
        """Whether a leader still remembers what the preview said."""
        return _seconds(now) - self.at <= _PREVIEW_HOLDS.total_seconds()

    def noted_day(self) -> date:
        """The day of the check-in that is spoken of."""
        return date.fromisoformat(self.day)

    def memory(self, now: datetime) -> dict[str, Any]:
        """As it is remembered from now on: what differs from nothing."""
        kept = {name: value for name, value in asdict(self).items() if value != getattr(_NOTHING, name)}
        return {**kept, "v": _VERSION, "at": _seconds(now)}


_NOTHING = Place()


def read_place(memory: Mapping[str, Any] | None) -> Place:
    """The place that was remembered; nothing where it cannot be read."""
    if not memory or memory.get("v") != _VERSION or memory.get("step") not in STEPS:
        return _NOTHING
    kept = {each.name: memory[each.name] for each in fields(Place) if each.name in memory}
    if any(not isinstance(value, type(getattr(_NOTHING, name))) for name, value in kept.items()):
        return _NOTHING
    try:
        if kept.get("day"):
            date.fromisoformat(kept["day"])
    except ValueError:
        return _NOTHING
    return Place(**kept)


def _seconds(now: datetime) -> int:
    return int(now.timestamp())
