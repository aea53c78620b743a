"""Hides how a course file says when: `class 3`, `class 1 - 7 days 09:00`, `class - 1 hour`, `class 6 + 4 days 09:00`.

What is meant hangs on a gathering, so that it moves with it. Days count by the calendar of the course's zone; a time behind them is the
time of that day, without one it is the hour of the gathering. Hours and minutes count as they pass.
"""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from bots.recurrence import moment_on

#: Where people of a course come together; in the order in which lists show them.
KINDS = ("class", "meeting", "retreat")

_SHAPE = re.compile(
    r"(?:(?P<kind>class|meeting|retreat)(?: (?P<number>\d{1,2}))?)?"
    r"(?: ?(?P<sign>[+-]) ?(?P<count>\d{1,3}) (?P<unit>days?|hours?|minutes?))?"
    r"(?: ?(?P<clock>\d\d:\d\d))?"
)


@dataclass(frozen=True)
class Anchor:
    """A moment that hangs on a gathering. `number` 0: on each of its kind. `at` None: at the hour of the gathering."""

    kind: str
    number: int
    days: int
    passed: timedelta
    at: time | None

    @property
    def after(self) -> bool:
        """Whether it lies behind the beginning of what it hangs on."""
        return (self.days, self.passed) > (0, timedelta())

    def moment(self, starts_at: datetime, zone: str) -> datetime:
        """The moment, in UTC, where the gathering starts at `starts_at`."""
        if self.passed:
            return starts_at + self.passed
        local = starts_at.astimezone(ZoneInfo(zone))
        return moment_on(local.date() + timedelta(days=self.days), self.at or local.time(), zone)


def read(text: str, *, of: str = "") -> Anchor:
    """The anchor that the words say. `of`: on which kind of gathering it hangs where it names none. Raises `ValueError` with the remedy."""
    found = _SHAPE.fullmatch(" ".join(text.split()))
    kind = (found and found["kind"]) or of
    if not found or not kind:
        raise ValueError(f'{text!r} is no moment of a course; write it like "class 1 - 7 days 09:00" or "class - 1 hour"')
    count = int(found["count"] or 0) * (-1 if found["sign"] == "-" else 1)
    unit = (found["unit"] or "days").rstrip("s")
    if found["clock"] and unit != "day":
        raise ValueError(f"{text!r} counts {unit}s and names a time of day too; leave one of them out")
    passed = timedelta() if unit == "day" else timedelta(**{f"{unit}s": count})
    return Anchor(kind, int(found["number"] or 0), count if unit == "day" else 0, passed, clock(found["clock"]) if found["clock"] else None)


def clock(text: str) -> time:
    """A time of day, `HH:MM`. Raises `ValueError` with the remedy."""
    try:
        found = time.fromisoformat(text) if re.fullmatch(r"\d\d:\d\d", text) else None
    except ValueError:
        found = None
    if found is None:
        raise ValueError(f"{text!r} is no time of day; write it like 19:30")
    return found
