"""Coming to classes and practising between them: attendance, check-ins, what leaders write to the silent."""

from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True)
class Attend:
    """The person is at a gathering of a group of theirs; `how`: word, qr. `city`: of a retreat, by its Chinese name. Twice is once.

    Refused with "foreign" (not of their groups), "closed" (too early, or too late) and "city" (the retreat is not there).
    """

    gathering: int
    how: str
    city: str = ""


@dataclass(frozen=True)
class MarkAttendance:
    """Staff mark these participants of their group: `how` tick, made_up, or empty where they were not there.

    Refused with "role", "foreign" (somebody is not of the group, or the gathering is not) and "early" (it has not begun).
    """

    group: int
    gathering: int
    people: tuple[int, ...]
    how: str


@dataclass(frozen=True)
class ClaimMakeUp:
    """The person says that they made up a class; their leaders are asked. Refused with "foreign", "early", "there" and "asked"."""

    gathering: int


@dataclass(frozen=True)
class SettleMakeUp:
    """Staff of the group say whether a class was made up, by the id of the claim. Refused with "role" and "gone"."""

    claim: int
    accepted: bool


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
