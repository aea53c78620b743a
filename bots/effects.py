"""What a bot may ask for: a closed set. This set is the security boundary; `app/effects.py` turns it into rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True)
class Choice:
    """One answer to tap or type.

    `id` is ASCII, at most 40 bytes, begins with the bot's name and a dot, and names the draft or question that it
    belongs to, so that a late tap is recognised. `label` is what the person sees and what their bubble will say.
    `accepts` are further typed spellings (compared after `bots.choices.normal`). `mark` stands before the label instead of its place:
    the number of an answer, or nothing where it is no answer but a way out.
    """

    id: str
    label: str
    accepts: tuple[str, ...] = ()
    mark: str | None = None


@dataclass(frozen=True)
class Message:
    """Words, and what may be answered to them. Words with gaps were filled by `Texts`, so they are inert."""

    text: str
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class Say:
    """Answer this person, in the passive reply. Several in one answer are joined by an empty line."""

    message: Message


@dataclass(frozen=True)
class SetLanguage:
    """From now on speak "zh" or "en" with this person."""

    language: str


@dataclass(frozen=True)
class NamePerson:
    """Store the name that the person wants to be called by in the course."""

    name: str


@dataclass(frozen=True)
class Screen:
    """Record how somebody answered the invitation: included, or excluded and why (a word of the flow chart).

    `source` is how the invitation came to them: "qr", "code" (typed) or "roster" (meant for them by name).
    """

    course: int
    included: bool
    why: str = ""
    source: str = field(kw_only=True)


@dataclass(frozen=True)
class Consent:
    """Record the consent to a course, with the version of the text and the ticks that were made."""

    course: int
    version: str
    ticks: tuple[str, ...]


@dataclass(frozen=True)
class Join:
    """Use an invitation: become a member with the role it gives.

    Refused with "full", "closed", "used", "expired", "joined", "elsewhere" (a participant of another small group of this course) or
    "consent" (a participant without recorded consent).
    """

    code: str


@dataclass(frozen=True)
class CountGuess:
    """Somebody typed a code that leads nowhere; after five in an hour no code is looked up for them."""


@dataclass(frozen=True)
class Pause:
    """Start nothing more with this person until they resume; queued messages are cancelled."""


@dataclass(frozen=True)
class Resume:
    """End a pause."""


@dataclass(frozen=True)
class Withdraw:
    """Leave every course. `erase_answers`: also delete what they answered (else the answers stay, unnamed)."""

    erase_answers: bool


@dataclass(frozen=True)
class RaiseFlag:
    """Tell the on-call people at once that this person may be in danger; `rule` names the phrase rule that matched."""

    rule: str


@dataclass(frozen=True)
class AcknowledgeFlag:
    """An on-call person took over the flag with this short number.

    Refused with "foreign" (not on call for it) or "taken" (somebody else was first).
    """

    flag: int


@dataclass(frozen=True)
class Announce:
    """Send words to a group, at once (`at` None) or later. `draft` makes a double confirmation harmless.

    Refused with "role" (no longer leader there), "past", "long" or "empty".
    """

    group: int
    text: str
    at: datetime | None
    draft: int


@dataclass(frozen=True)
class CancelAnnouncement:
    """Take back an announcement that has not gone out; what was sent stays sent. Refused with "role" or "gone"."""

    id: int


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


@dataclass(frozen=True)
class Thank:
    """The person thanks for a warm word, by its id. Counted once. Refused with "foreign" (they were not given it)."""

    word: int


@dataclass(frozen=True)
class ProposeWords:
    """Put words of one's own into the library of a course, for its administrators to approve.

    Refused with "role", "long", "empty", "alike" (the course has such words) and "unfit" (they promise health, or urge).
    """

    course: int
    text: str


@dataclass(frozen=True)
class SettleWords:
    """Approve a warm word, by its id, or let it rest. Refused with "role"."""

    word: int
    approved: bool


@dataclass(frozen=True)
class KeepWarmPlan:
    """Let the plan of a course's warm words go on, or pause it. Refused with "role" and "gone" (the course has none)."""

    course: int
    going: bool


@dataclass(frozen=True)
class CheckIn:
    """Note that the person practised on a day of theirs; a second time for the same practice and day corrects it.

    `minutes` None: they stay as they are. Refused with "role" (takes no part in this course), "day" (neither today nor one of the two
    days before) and "practice" (the course has none of this code).
    """

    course: int
    day: date
    practice: str
    minutes: int | None = None


@dataclass(frozen=True)
class AddLine:
    """Put a line to a check-in; it replaces an earlier one. Refused with "foreign" (there is no such check-in) and "long"."""

    course: int
    day: date
    practice: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class ShareCheckIn:
    """Let the leader of the small group see minutes and line of a check-in, and with `aloud` send them to the whole group, once.

    Refused with "foreign" and "group" (they sit in no small group).
    """

    course: int
    day: date
    practice: str
    aloud: bool


@dataclass(frozen=True)
class ChooseHour:
    """From now on practices come at this hour (`HH:MM`, a half hour) of the person's day; None: they were asked, and keep the course's.

    Refused with "hour" (no half hour) and "quiet" (within the quiet hours of a course).
    """

    hour: str | None


@dataclass(frozen=True)
class WriteToSilent:
    """Send words to those participants of a group of whom nothing was noted for so many days, and to nobody else.

    Refused with "role", "empty", "long" and "nobody" (all have practised meanwhile).
    """

    group: int
    days: int
    text: str = field(repr=False)


Effect = (
    Say
    | SetLanguage
    | NamePerson
    | Screen
    | Consent
    | Join
    | CountGuess
    | Pause
    | Resume
    | Withdraw
    | RaiseFlag
    | AcknowledgeFlag
    | Announce
    | CancelAnnouncement
    | Record
    | BeginAssignment
    | HandIn
    | Decline
    | RemindLater
    | Thank
    | ProposeWords
    | SettleWords
    | KeepWarmPlan
    | CheckIn
    | AddLine
    | ShareCheckIn
    | ChooseHour
    | WriteToSilent
)


@dataclass(frozen=True)
class Answer:
    """Effects in the order in which they are applied, and the bot's new memory (None lets go of the floor).

    Memory is small JSON with a version under "v". Effects are applied all or none. With `open` False the memory is kept
    although nothing is left to answer: the floor goes back to whoever had it, or to nobody. Who `rests` keeps the floor in no hurry:
    what waited for the person may come along.
    """

    effects: tuple[Effect, ...]
    memory: Mapping[str, Any] | None = None
    open: bool = True
    rests: bool = False
