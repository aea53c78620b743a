"""Hides at which moments something recurs: a rule in local time and the frame of a course in, moments in UTC out.

A rule has one moment a day at the most. A clock time that the zone leaves out moves forward, one that it has twice means the first: so the
moments of a rule stand in the order of their days, and none comes twice. Weeks of a course are counted from its first day: week 1 is that
day and the six that follow, whatever weekday it is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

#: No course is longer, and nothing is planned for longer.
MOST_WEEKS = 52
_WEEK, _DAY = timedelta(days=7), timedelta(days=1)
_CODE = re.compile(r"(?:(\d{4}-\d\d-\d\d)|(daily)|weekly ([0-6](?:,[0-6]){0,6})|week (\d{1,2}) ([0-6](?:,[0-6]){0,6})) (\d\d:\d\d)")


@dataclass(frozen=True)
class Rule:
    """At this local time: on one day, on some weekdays of one week of the course, on some weekdays of each week, or else every day.

    Weekdays count from 0, Monday, and stand in their order.
    """

    at: time
    day: date | None = None
    weekdays: tuple[int, ...] = ()
    week: int = 0

    @property
    def recurs(self) -> bool:
        """Whether it goes on until something ends it."""
        return self.day is None and not self.week

    def code(self) -> str:
        """The rule as a short text, for rows and drafts: `daily 08:00`, `weekly 0,2 20:00`, `week 3 1 20:00`, `2026-12-01 20:00`."""
        days = ",".join(map(str, self.weekdays))
        what = self.day.isoformat() if self.day else f"week {self.week} {days}" if self.week else f"weekly {days}" if days else "daily"
        return f"{what} {self.at:%H:%M}"


def read_code(code: str) -> Rule | None:
    """The opposite of `Rule.code`; None for anything else."""
    found = _CODE.fullmatch(code)
    if found is None:
        return None
    day, _, each_week, week, in_week, at = found.groups()
    weekdays = tuple(sorted({int(each) for each in (each_week or in_week or "").split(",") if each}))
    try:
        return Rule(time.fromisoformat(at), date.fromisoformat(day) if day else None, weekdays, int(week or 0))
    except ValueError:
        return None


@dataclass(frozen=True)
class Frame:
    """What a rule lies in: the zone, the first day of the course (None: not known yet), and the last day on which it counts."""

    zone: str
    starts_on: date | None
    until: date

    def local(self, moment: datetime) -> datetime:
        """The moment as the clocks there show it."""
        return moment.astimezone(ZoneInfo(self.zone))


def moment_on(day: date, at: time, zone: str) -> datetime:
    """The moment in UTC at which the clocks there show this time on this day, by the rule of this module."""
    return datetime.combine(day, at.replace(tzinfo=None, fold=0), ZoneInfo(zone)).astimezone(UTC)


def coming(rule: Rule, frame: Frame, after: datetime) -> datetime | None:
    """The first moment of the rule that is later than `after`; None where there is none."""
    since = max(date.min + _WEEK, frame.local(after).date() - 2 * _DAY)  # a day that the zone leaves out moves its time to the next
    moments = (moment_on(day, rule.at, frame.zone) for day in _days(rule, frame, since))
    return next((moment for moment in moments if moment > after), None)


def upcoming(rule: Rule, frame: Frame, after: datetime, most: int) -> tuple[datetime, ...]:
    """The next moments of the rule, `most` at the most, in their order."""
    found: list[datetime] = []
    moment = coming(rule, frame, after)
    while moment is not None and len(found) < most:
        found.append(moment)
        moment = coming(rule, frame, moment)
    return tuple(found)


def course_week(day: date, starts_on: date) -> int:
    """In which week of the course a day lies, from 1; 0 and less before its first day."""
    return (day - starts_on).days // 7 + 1


def days_of_week(week: int, starts_on: date) -> tuple[date, date]:
    """The first and the last day of a week of the course."""
    first = starts_on + (week - 1) * _WEEK
    return first, first + 6 * _DAY


def _days(rule: Rule, frame: Frame, since: date) -> Iterator[date]:
    """The days of the rule from `since` on, up to the frame's last day."""
    if rule.day is not None:
        yield from (day for day in (rule.day,) if since <= day <= frame.until)
        return
    first, last = since, frame.until
    if rule.week:
        if frame.starts_on is None:
            return
        begins, ends = days_of_week(rule.week, frame.starts_on)
        first, last = max(first, begins), min(last, ends)
    for number in range((last - first).days + 1):
        day = first + number * _DAY
        if not rule.weekdays or day.weekday() in rule.weekdays:
            yield day
