"""Hides how the open announcement is remembered: a frozen `Draft`, to and from small JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bots import memory as memories
from bots.effects import Poll

_VERSION = 1
#: A draft that rested longer is not taken up by chance words: the bot asks first.
_RESTS_AFTER = timedelta(hours=2)
#: A preview that is older is shown anew before it is confirmed (its forecast is no longer true).
_PREVIEW_HOLDS = timedelta(minutes=10)

#: What a draft asks its readers for: a tap that says "got it", or one of several options.
GOT, POLL = "got", "poll"

#: The minute that stands for "at once".
NOW = 0


@dataclass(frozen=True)
class Draft:
    """An announcement in the making. Moments are whole seconds or minutes since 1970 UTC; 0 and empty mean: not yet."""

    id: int = 0  # 0: nothing is open
    step: str = ""  # course, text, group, when, preview, again
    text: str = ""
    group: int = 0
    minute: int = -1  # -1: not chosen, NOW: at once
    offered: str = ""  # minutes to choose from, where the typed time could mean several
    mass: bool = False  # as a mass send: chosen, never assumed
    massable: bool = False  # the preview offers it
    preview: int = 0  # id of the preview that may be confirmed
    shown: int = 0  # second at which it was shown
    touched: int = 0  # second of the last turn
    course: int = 0  # chosen where the person leads in several
    day: str = ""  # the day for which that choice holds
    done: int = 0  # the last preview that was confirmed
    asks: str = ""  # GOT, POLL, or nothing
    options: str = ""  # of a poll, one a line
    until: int = 0  # minute at which it closes; 0: by itself
    follow: int = 0  # the announcement whose silent readers would be asked once more
    words: str = ""  # in these words; empty: in its own
    nudge: int = 0  # id of the follow-up that may be confirmed

    def at(self) -> datetime | None:
        """When it shall go out; None for at once."""
        return None if self.minute in (NOW, -1) else datetime.fromtimestamp(self.minute * 60, UTC)

    def poll(self) -> Poll | None:
        """What it asks its readers."""
        until = datetime.fromtimestamp(self.until * 60, UTC) if self.until else None
        return Poll(tuple(self.options.split("\n")) if self.asks == POLL else (), until) if self.asks else None

    def rests(self, now: datetime) -> bool:
        """Whether it has been left alone for so long that its author may have forgotten it."""
        return _seconds(now) - self.touched > _RESTS_AFTER.total_seconds()

    def preview_is_old(self, now: datetime) -> bool:
        """Whether the preview must be shown anew."""
        return _seconds(now) - self.shown > _PREVIEW_HOLDS.total_seconds()


def read_draft(memory: Mapping[str, Any] | None) -> Draft:
    """The remembered draft; an empty one where there is none or it cannot be read."""
    return memories.read(Draft(), _VERSION, memory)


def written(draft: Draft) -> Mapping[str, Any]:
    """The draft as memory: what is not yet known is left out."""
    return memories.written(Draft(), _VERSION, draft)


def _seconds(now: datetime) -> int:
    return int(now.timestamp())
