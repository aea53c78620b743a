"""Pure: a course file and a start date in; gatherings and dated occasions out. Nothing here knows rows or asks the time.

What hangs on a gathering is worked out from where the gatherings stand, whenever it is asked: moving one there and back changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from app.courses import anchors
from app.courses.anchors import Anchor
from app.courses.file import CourseFile
from app.errors import Invalid
from bots.recurrence import moment_on

#: A gathering by its kind and number.
Key = tuple[str, int]
_WEEK = timedelta(days=7)
#: A course that waits for the end of its holidays for longer than this has a slip in them.
_LONGEST_GAP_WEEKS = 60


@dataclass(frozen=True)
class Gathering:
    """Where people of a course come together, and when. `held` False: it was cancelled, and nothing hangs on it any more."""

    kind: str
    number: int
    starts_at: datetime
    minutes: int
    held: bool = True

    @property
    def key(self) -> Key:
        """By which it is found."""
        return self.kind, self.number

    @property
    def ends_at(self) -> datetime:
        """When it is over."""
        return self.starts_at + timedelta(minutes=self.minutes)


@dataclass(frozen=True)
class Evening:
    """When a group has its classes; without a weekday on that of the course's first day."""

    at: time
    weekday: int | None = None


@dataclass(frozen=True)
class Gap:
    """Days on which no class is, both included."""

    first: date
    last: date

    def holds(self, day: date) -> bool:
        """Whether the day is one of them."""
        return self.first <= day <= self.last


@dataclass(frozen=True)
class Dated:
    """A moment at which a bot speaks to a group. `code` names it within the group and stays the same when it moves.

    `until`: what goes at each person's own hour may go until then; `at` is then the beginning of that day. `to`: everybody, the
    participants, or who was (`present`) or was not (`absent`) at the gathering.
    """

    code: str
    kind: str  # reminder, homework, homework_reminder, closing
    key: Key
    at: datetime
    to: str = "everybody"
    until: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """When a round of questionnaires is open."""

    code: str
    opens_at: datetime
    closes_at: datetime


def gatherings(file: CourseFile, start: date, zone: str, evening: Evening | None = None, gaps: Sequence[Gap] = ()) -> list[Gathering]:
    """Every class, weekly meeting and the retreat of one group; what falls into a gap comes a week later, and all that follows.

    Raises `Invalid` where the gaps leave no day.
    """
    evening = evening or Evening(file.class_time)
    day = start if evening.weekday is None else start + timedelta(days=(evening.weekday - start.weekday()) % 7)
    found: list[Gathering] = []
    for number in range(1, len(file.weeks) + 1):
        day = _free(day, gaps)
        found.append(Gathering("class", number, moment_on(day, evening.at, zone), file.class_minutes))
        day += _WEEK
    return [*found, *hung(file, {each.key: each for each in found}, zone)]


def _free(day: date, gaps: Sequence[Gap]) -> date:
    for _ in range(_LONGEST_GAP_WEEKS):
        if not any(gap.holds(day) for gap in gaps):
            return day
        day += _WEEK
    raise Invalid("gap", "The days without classes leave no day for the course; correct --skip.")


def hung(file: CourseFile, classes: Mapping[Key, Gathering], zone: str) -> list[Gathering]:
    """The meetings and the retreat that hang on these classes."""
    found = []
    if file.meeting is not None:
        when = anchors.read(file.meeting.when)
        found += [Gathering("meeting", n, when.moment(each.starts_at, zone), file.meeting.minutes) for (_, n), each in classes.items()]
    if file.retreat is not None:
        when = anchors.read(file.retreat.when)
        found.append(Gathering("retreat", 1, when.moment(classes["class", when.number].starts_at, zone), file.retreat.minutes))
    return found


def occasions(file: CourseFile, known: Iterable[Gathering], zone: str) -> list[Dated]:
    """Every occasion that hangs on these gatherings of one group, in the order of their moments."""
    by_key = {each.key: each for each in known}
    found = [*_reminders(file, by_key, zone), *_homework(file, by_key, zone), *_closing(file, by_key, zone)]
    return sorted(found, key=lambda each: (each.at, each.code))


def _reminders(file: CourseFile, by_key: Mapping[Key, Gathering], zone: str) -> list[Dated]:
    found = []
    for reminder in file.reminders:
        for each in by_key.values():
            if each.kind != reminder.of or not each.held:
                continue
            details = {"words": reminder.words, **_about(file, each), "begins_at": None if reminder.anchor.after else each.starts_at}
            moment = reminder.anchor.moment(each.starts_at, zone)
            found.append(Dated(f"{each.kind}.{each.number}.{reminder.code}", "reminder", each.key, moment, reminder.to, None, details))
    return found


def _about(file: CourseFile, each: Gathering) -> dict[str, Any]:
    """What a reminder's words may name."""
    week = each.number
    if each.kind == "retreat" and file.retreat is not None:
        week = anchors.read(file.retreat.when).number
    return {"title": title(file, each.kind, each.number), "number": str(each.number), "minutes": str(each.minutes), "week": str(week)}


def title(file: CourseFile, kind: str, number: int) -> Mapping[str, str]:
    """What a gathering is called, by language."""
    if kind == "class":
        return file.weeks[number - 1].title
    part = file.meeting if kind == "meeting" else file.retreat
    return part.title if part is not None else {}


def _homework(file: CourseFile, by_key: Mapping[Key, Gathering], zone: str) -> list[Dated]:
    """The week's practices, and the reminders of them, from the class on until the day before the next one that is held."""
    found = []
    for number in range(1, len(file.weeks) + 1):
        here = by_key.get(("class", number))
        if here is None or not here.held:
            continue
        following = (by_key[key] for key in (("class", later) for later in range(number + 1, len(file.weeks) + 1)) if key in by_key)
        end = next((_day(each, zone) for each in following if each.held), None)
        reminded = [(f".reminder{n}", "homework_reminder", days) for n, days in enumerate(sorted(file.homework.reminded), start=1)]
        for suffix, kind, days in [("", "homework", file.homework.sent), *reminded]:
            day = _day(here, zone) + timedelta(days=days)
            if end is not None and day >= end and days:
                continue
            details = {"week": number}
            begin, over = moment_on(day, time.min, zone), moment_on(day + timedelta(days=1), time.min, zone)
            found.append(Dated(f"homework.{number}{suffix}", kind, here.key, begin, "participants", over, details))
    return found


def _day(each: Gathering, zone: str) -> date:
    return each.starts_at.astimezone(ZoneInfo(zone)).date()


def _closing(file: CourseFile, by_key: Mapping[Key, Gathering], zone: str) -> list[Dated]:
    when = anchors.read(file.closing.when)
    each = by_key.get(("class", when.number))
    if each is None:
        return []
    details = {"words": file.closing.words, **_about(file, each), "begins_at": None}
    return [Dated("closing", "closing", each.key, when.moment(each.starts_at, zone), "everybody", None, details)]


def over_at(file: CourseFile, groups: Sequence[Iterable[Gathering]], zone: str) -> datetime:
    """When the course is over for every group."""
    return _moment(anchors.read(file.closing.over), groups, zone)


def windows(file: CourseFile, groups: Sequence[Iterable[Gathering]], zone: str) -> list[Window]:
    """The rounds of questionnaires, which are the same for every group: before the first group's class, after the last one's."""
    return [
        Window(each.code, _moment(anchors.read(each.opens), groups, zone), _moment(anchors.read(each.closes), groups, zone))
        for each in file.waves
    ]


def _moment(anchor: Anchor, groups: Sequence[Iterable[Gathering]], zone: str) -> datetime:
    moments = [anchor.moment(e.starts_at, zone) for known in groups for e in known if e.key == ("class", anchor.number)]
    return max(moments) if anchor.after else min(moments)


def silences(known: Iterable[Gathering], file: CourseFile) -> list[tuple[datetime, datetime]]:
    """From when to when nothing is started by us: while people are in silence."""
    silent = file.retreat is not None and file.retreat.silent
    return sorted({(each.starts_at, each.ends_at) for each in known if silent and each.kind == "retreat" and each.held})


# Changes ------------------------------------------------------------------------------------------------------------------------------


def moved(known: Sequence[Gathering], key: Key, to: datetime, zone: str, *, later: bool) -> list[Gathering]:
    """The gatherings with one of them moved; with `later` also what comes after it, by as many days and as much of the clock.

    Raises `Invalid` where there is none, it was cancelled, or the order of classes would not be kept.
    """
    here = next((each for each in known if each.key == key), None)
    if here is None or not here.held:
        raise Invalid("gathering", f"There is no {key[0]} {key[1]} that could be moved; `tongban course calendar` shows what there is.")
    others = [each for each in known if each.key != key]
    changed = [*(shifted(others, here.starts_at, to, zone) if later else others), replace(here, starts_at=to)]
    _check_order(changed)
    return sorted(changed, key=lambda each: (each.starts_at, each.key))


def shifted(known: Sequence[Gathering], former: datetime, to: datetime, zone: str) -> list[Gathering]:
    """The gatherings with all that begin after `former` moved as far as from there to `to`."""
    shift = _Shift.between(former, to, zone)
    changed = [replace(each, starts_at=shift.apply(each.starts_at, zone)) if each.starts_at > former else each for each in known]
    _check_order(changed)
    return changed


@dataclass(frozen=True)
class _Shift:
    """By how many days and how much of the clock: whoever comes at eight comes at eight, also where the clocks change meanwhile."""

    days: int
    clock: timedelta

    @classmethod
    def between(cls, former: datetime, new: datetime, zone: str) -> "_Shift":
        here, there = (moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in (former, new))
        days = (there.date() - here.date()).days
        return cls(days, (there - here) - timedelta(days=days))

    def apply(self, moment: datetime, zone: str) -> datetime:
        shown = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) + timedelta(days=self.days) + self.clock
        return moment_on(shown.date(), shown.time(), zone)


def _check_order(known: Iterable[Gathering]) -> None:
    """Classes, and meetings among themselves, stay in the order of their numbers and one after the other."""
    for kind in ("class", "meeting"):
        row = sorted((each for each in known if each.kind == kind and each.held), key=lambda each: each.number)
        for former, following in pairwise(row):
            if following.starts_at < former.ends_at:
                raise Invalid(
                    "order",
                    f"Then {kind} {following.number} would begin before {kind} {former.number} is over; "
                    "move the later ones too (--and-later), or choose another moment.",
                )


class Effect(StrEnum):
    """What a change does to an occasion or a round of questionnaires."""

    ADDED = "added"
    MOVED = "moved"
    DROPPED = "dropped"
    STAYS = "stays"  # it was sent, or has begun: a change does not send it again
    TOO_LATE = "too_late"  # its new moment is over: it is not sent


@dataclass(frozen=True)
class Consequence:
    """One thing that a change does: to which group's what, from when to when (None: it is not planned)."""

    group: str
    code: str
    effect: Effect
    former: datetime | None
    new: datetime | None
