"""Where the conversation about questionnaires stands: the small memory of the bot."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Mode(StrEnum):
    """What is open: a question, an old one once more, the review, a pause, a choice of hours, whether they are sure, which is first."""

    ASK = "ask"
    AGAIN = "again"
    REVIEW = "review"
    PAUSED = "paused"
    HOURS = "hours"
    REFUSE = "refuse"
    WHICH = "which"


_MODES = frozenset(Mode)


@dataclass(frozen=True)
class Place:
    """The wave, the sheet and the item that were asked last; `asked`: when, in seconds by the clock of whoever brought the words."""

    wave: int = 0
    sheet: int = 0
    item: int = 0
    asked: int = 0
    mode: Mode = Mode.ASK

    def memory(self) -> dict[str, Any]:
        """As it is remembered."""
        return {"v": 1, "wave": self.wave, "sheet": self.sheet, "item": self.item, "asked": self.asked, "mode": self.mode.value}


def read_place(memory: Mapping[str, Any] | None) -> Place | None:
    """The place that was remembered; None where there is none, or none that can be read."""
    match memory:
        case {"v": 1, "wave": int(wave), "sheet": int(sheet), "item": int(item), "asked": int(asked), "mode": str(mode)} if mode in _MODES:
            return Place(wave, sheet, item, asked, Mode(mode))
    return None
