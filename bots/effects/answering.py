"""Questionnaires: answers, handing in, declining, being reminded."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Given:
    """An answer to one item of a questionnaire: its value, and the spelling that was accepted for it.

    `value` None: left out. `text` holds words of their own, where the item asks for some.
    """

    item: int
    value: int | None
    raw: str = field(default="", repr=False)
    text: str = field(default="", repr=False)


@dataclass(frozen=True)
class Record:
    """Store answers of one sheet; an earlier answer to the same item is kept as a version. `road`: tapped, typed, many, web.

    Refused with "closed" (the window is over), "done" (handed in) or "foreign" (no open sheet of this person).
    """

    sheet: int
    given: tuple[Given, ...]
    road: str


@dataclass(frozen=True)
class BeginAssignment:
    """The person looks at the first question. Refused with "foreign"."""

    assignment: int


@dataclass(frozen=True)
class HandIn:
    """A sheet is finished. Refused as `Record` is, and with "open" where an item is neither answered nor left out."""

    sheet: int


@dataclass(frozen=True)
class Decline:
    """The person does not want to answer this wave; nothing reminds them any more. Refused with "foreign"."""

    assignment: int


@dataclass(frozen=True)
class RemindLater:
    """The person wants to be reminded at this moment. Refused with "foreign" and "closed" (the window will be over)."""

    assignment: int
    at: datetime
