"""Pure: days of people in their own zones. Which day it is, how long in a row, how long silent, when somebody's hour comes."""

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

#: A practice may be noted for today and for so many days before.
MAKE_UP = 2
#: After so many days of silence a check-in is a return.
RETURN_AFTER = 7
#: The steps of silence in which leaders see their people.
SILENCES = (3, 5, 7)
_DAY = timedelta(days=1)


def today(now: datetime, zone: str) -> date:
    """The day that it is there."""
    return now.astimezone(ZoneInfo(zone)).date()


def may_note(day: date, here: date) -> bool:
    """Whether a practice of this day may still be noted where it is the day `here`."""
    return timedelta() <= here - day <= MAKE_UP * _DAY


def streak(days: Collection[date], here: date) -> int:
    """How many days in a row were practised, up to today or, where today is still open, up to yesterday; 0 where none was."""
    done = set(days)
    day = here if here in done else here - _DAY
    count = 0
    while day in done:
        count, day = count + 1, day - _DAY
    return count


def silent(days: Iterable[date], since: date, here: date) -> int:
    """For how many days nothing was noted: since the last practice, or since somebody could first practise."""
    return max(0, (here - max([since, *days])).days)


def returns(before: Collection[date], here: date) -> bool:
    """Whether a check-in on this day ends a long silence. `before`: the days that were noted until now."""
    return bool(before) and (here - max(before)).days >= RETURN_AFTER


def hour_comes(begin: datetime, until: datetime, hour: str, zone: str) -> datetime:
    """When the clocks in `zone` show `hour` (HH:MM) within a day of the course, in UTC; its beginning where they leave it out.

    An hour that clocks skip comes when they go on, of one that they show twice the first counts.
    """
    at, there = time.fromisoformat(hour), ZoneInfo(zone)
    day = begin.astimezone(there).date() - _DAY
    while day <= until.astimezone(there).date():
        moment = datetime.combine(day, at, there).astimezone(UTC)
        if begin <= moment < until:
            return moment
        day += _DAY
    return begin.astimezone(UTC)


def beginning_of_day_before(until: datetime, zone: str) -> datetime:
    """The first moment, in UTC, of the day that ends at `until` there."""
    day = (until - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date()
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)
