"""Hides how the open practice prompt is remembered: a frozen `Draft`, to and from small JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from bots import memory as memories
from bots.prompt.reading import Reading
from bots.recurrence import Rule, read_code

_VERSION = 1
#: A draft that rested longer is not taken up by chance words: the bot asks first.
_RESTS_AFTER = timedelta(hours=2)
#: A preview that is older is shown anew before it is confirmed (its forecast is no longer true).
_PREVIEW_HOLDS = timedelta(minutes=10)


@dataclass(frozen=True)
class Draft:
    """A practice prompt in the making. Seconds since 1970 UTC; 0 and empty mean: not yet."""

    id: int = 0  # 0: nothing is open
    step: str = ""  # course, text, groups, when, preview, again
    text: str = ""
    groups: str = ""  # ids, with spaces
    rule: str = ""  # as `Rule.code`
    until: str = ""  # ISO; empty: the usual end
    offered: str = ""  # readings to choose from: `code` or `code until day`, with bars
    preview: int = 0  # id of the preview that may be confirmed
    shown: int = 0  # second at which it was shown
    touched: int = 0  # second of the last turn
    course: int = 0
    day: str = ""  # the day for which the choice of a course holds
    done: int = 0  # the last preview that was confirmed
    changes: int = 0  # id of the prompt that is changed, and the version that was seen
    version: int = 0

    def group_ids(self) -> tuple[int, ...]:
        """The groups."""
        return tuple(map(int, self.groups.split()))

    def when(self) -> Rule | None:
        """The rule."""
        return read_code(self.rule)

    def last_day(self) -> date | None:
        """The last day that was named."""
        return _day(self.until)

    def readings(self) -> tuple[Reading, ...]:
        """What was offered to choose from."""
        pairs = (each.partition(" until ") for each in self.offered.split("|"))
        rules = ((read_code(code), _day(until)) for code, _, until in pairs)
        return tuple(Reading(rule, until) for rule, until in rules if rule is not None)

    def rests(self, now: datetime) -> bool:
        """Whether it has been left alone for so long that its author may have forgotten it."""
        return _seconds(now) - self.touched > _RESTS_AFTER.total_seconds()

    def preview_is_old(self, now: datetime) -> bool:
        """Whether the preview must be shown anew."""
        return _seconds(now) - self.shown > _PREVIEW_HOLDS.total_seconds()


def offered(readings: tuple[Reading, ...]) -> str:
    """Readings as a draft remembers them."""
    return "|".join(each.rule.code() + (f" until {each.until.isoformat()}" if each.until else "") for each in readings)


def read_draft(memory: Mapping[str, Any] | None) -> Draft:
    """The remembered draft; an empty one where there is none or it cannot be read."""
    draft = memories.read(Draft(), _VERSION, memory)
    readable = all(each.isdecimal() for each in draft.groups.split()) and (not draft.rule or draft.when() is not None)
    return draft if readable else Draft()


def written(draft: Draft) -> Mapping[str, Any]:
    """The draft as memory: what is not yet known is left out."""
    return memories.written(Draft(), _VERSION, draft)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _seconds(now: datetime) -> int:
    return int(now.timestamp())
