"""Hides how people write a time, in Chinese and in English: `read_moment("明晚8点半", now, zone)`.

The words must be a time from beginning to end; what is left over makes them unreadable, so that a sentence is never taken for a time.
A clock time that the zone leaves out (spring) moves forward; one that it has twice (autumn) means the first that is still to come.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bots.staff import spellings
from bots.staff.spellings import Clock, Day, Half, Offset, Part

#: Further ahead than this a typed time is taken for a slip.
FARTHEST = timedelta(days=366)
#: A day without a year that has passed means next year's only if that is nearer than this; else it was a slip.
_NEXT_YEAR_WITHIN = timedelta(days=183)


@dataclass(frozen=True)
class Moment:
    """A time that was understood; `at` is UTC and later than the `now` it was read with."""

    at: datetime


@dataclass(frozen=True)
class Refusal:
    """Why words are no usable time.

    `key`: "unreadable", "past", "far" (more than a year ahead), "no_such_day", "no_such_hour", "no_hour" (a day alone), or
    "several": then `candidates` are the future times that it may mean, in UTC and in order.
    """

    key: str
    candidates: tuple[datetime, ...] = ()


class _CannotBe(Exception):
    """The words name a day that the calendar has not, or two things that exclude each other."""


def read_moment(text: str, now: datetime, zone: str) -> Moment | Refusal:
    """The moment that `text` means for somebody in `zone` (IANA name) at `now` (aware). Raises for no text whatever."""
    found = spellings.read(text)
    if found is None:
        return Refusal("unreadable")
    here = now.astimezone(ZoneInfo(zone))
    if found.offset is not None and found.clock is None:
        return _after(found.offset, found.half, here)
    try:
        days = _days(found.day, found.offset, here)
        return _at_clock(days, found.clock, found.half, here, _repeats(found.day, found.offset))
    except _CannotBe as reason:
        return Refusal(str(reason))


def _after(offset: Offset, half: Half | None, here: datetime) -> Moment | Refusal:
    if half is not None:
        return Refusal("no_hour")
    if offset.length <= timedelta():
        return Refusal("past")
    if offset.length > FARTHEST:
        return Refusal("far")
    if offset.whole_days:
        return _judge([_local(here.date() + offset.length, here.time(), here)], here)
    return _judge([(here.astimezone(UTC) + offset.length).replace(second=0, microsecond=0)], here)


def _at_clock(days: list[date], clock: Clock | None, half: Half | None, here: datetime, repeats: int) -> Moment | Refusal:
    if max(days) < here.date():
        return Refusal("past")
    if min(days) > here.date() + FARTHEST:
        return Refusal("far")
    if clock is None:
        return Refusal("no_hour")
    if clock.hour > 23 or clock.minute > 59:
        return Refusal("no_such_hour")
    readings = _readings(clock, half)
    if not readings:
        return Refusal("no_such_hour")
    moments = [_local(day + timedelta(days=more), at, here) for day in days for more, at in readings]
    return _judge([_next(moment, here, repeats) for moment in moments], here)


def _repeats(day: Day | None, offset: Offset | None) -> int:
    """After how many days these words mean the same again: `20:00` daily, `Friday 20:00` weekly; 0 for a day that comes once."""
    if offset is not None:
        return 0
    if day is None:
        return 1
    return 7 if day.weekday is not None and day.weeks is None and day.day is None else 0


def _judge(moments: list[datetime], here: datetime) -> Moment | Refusal:
    coming = sorted({moment for moment in moments if moment > here})
    near = [moment for moment in coming if moment - here <= FARTHEST]
    if not coming:
        return Refusal("past")
    if not near:
        return Refusal("far")
    return Moment(near[0]) if len(near) == 1 else Refusal("several", tuple(near))


def _local(day: date, at: time, here: datetime) -> datetime:
    """The moment in UTC at which the clocks there show this time: a missing one moves forward, of a doubled one the first to come."""
    shown = datetime.combine(day, at.replace(second=0, microsecond=0, tzinfo=None), here.tzinfo)
    first, second = shown.astimezone(UTC), shown.replace(fold=1).astimezone(UTC)
    return second if first <= here < second else first


def _next(moment: datetime, here: datetime, repeats: int) -> datetime:
    if moment > here or not repeats:
        return moment
    shown = moment.astimezone(here.tzinfo)
    return _local(shown.date() + timedelta(days=repeats), shown.time(), here)


def _readings(clock: Clock, half: Half | None) -> list[tuple[int, time]]:
    """Every (days later, time) that this clock time can mean in this part of the day; empty where none fits."""
    hour, minute = clock.hour, clock.minute
    if half is None:
        hours = [(0, hour)] if clock.exact or hour in (0, 12) or hour > 12 else [(0, hour), (0, hour + 12)]
    else:
        hours = list(_IN_PART[half.part].get(hour, ()))
    return [(later, time(hour, minute)) for later, hour in hours]


def _part(same: range, afternoon: range = range(0), following: tuple[int, ...] = ()) -> dict[int, tuple[tuple[int, int], ...]]:
    """Clock hours of one part of the day: as said, twelve hours later, or on the following day (12 at night is its 0:00)."""
    hours: dict[int, tuple[tuple[int, int], ...]] = {hour: ((0, hour),) for hour in same}
    hours |= {hour: ((0, hour + 12),) for hour in afternoon}
    return hours | {hour: ((1, hour % 12),) for hour in following}


_IN_PART = {
    Part.SMALL_HOURS: _part(range(6)) | {12: ((0, 0),)},
    Part.MORNING: _part(range(4, 13)),
    Part.AM: _part(range(12)) | {12: ((0, 0),)},
    Part.NOON: _part(range(11, 15), range(1, 3)),
    Part.AFTERNOON: _part(range(12, 20), range(1, 8)),
    Part.PM: _part(range(12, 24), range(1, 12)),
    Part.DUSK: _part(range(16, 21), range(4, 9)),
    Part.EVENING: _part(range(17, 24), range(5, 12), (12, 0, 1, 2, 3, 4)),
    Part.NIGHT: _part(range(18, 24), range(6, 12), (12, 0, 1, 2, 3, 4, 5)),
    Part.AFTER_MIDNIGHT: _part(range(0), following=(12, 0, 1, 2, 3, 4, 5)),
}


def _days(day: Day | None, offset: Offset | None, here: datetime) -> list[date]:
    today = here.date()
    if offset is not None:
        if day is not None or not offset.whole_days:
            raise _CannotBe("unreadable")
        return [today + min(offset.length, 2 * FARTHEST)]
    if day is None:
        return [today]
    if day.later is not None:
        return [today + timedelta(days=day.later)]
    if day.weekday is not None and day.day is None:
        return [_weekday(day.weekday, day.weeks, today)]
    found = [each for each in _calendar(day, today) if day.weekday in (None, each.weekday())]
    if not found:
        raise _CannotBe("no_such_day")
    return found


def _weekday(weekday: int, weeks: int | None, today: date) -> date:
    if weeks is None:
        return today + timedelta(days=(weekday - today.weekday()) % 7)
    return today + timedelta(days=weekday - today.weekday(), weeks=weeks)


def _calendar(day: Day, today: date) -> list[date]:
    if day.month is None:
        return [_day_of_month(day.day, today)]
    options = [_dated(replace(day, month=month, day=number), today) for month, number in day.month_days()]
    found = sorted({each for each in options if isinstance(each, date)})
    if found:
        return found
    raise _CannotBe("past" if "past" in options else "no_such_day")


def _dated(day: Day, today: date) -> date | str:
    if day.year is not None:
        return _date(day.year, day.month, day.day) or "no_such_day"
    this_year = _date(today.year, day.month, day.day)
    if this_year is not None and this_year >= today:
        return this_year
    next_year = _date(today.year + 1, day.month, day.day)
    if next_year is not None and next_year - today <= _NEXT_YEAR_WITHIN:
        return next_year
    return "no_such_day" if this_year is None else "past"


def _date(year: int, month: int | None, day: int | None) -> date | None:
    try:
        return date(year, month or 0, day or 0)
    except ValueError:
        return None


def _day_of_month(number: int | None, today: date) -> date:
    """The next such day: in this month, or in one of the two after it (no two months in a row lack a day)."""
    for months in range(3):
        year, month = divmod(today.year * 12 + today.month - 1 + months, 12)
        found = _date(year, month + 1, number)
        if found is not None and found >= today:
            return found
    raise _CannotBe("no_such_day")
