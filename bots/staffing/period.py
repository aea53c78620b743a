"""Hides how people write from when until when: `明天到周五`, `11月25日到28日`, `until Friday`. Whole days, unless an hour is named."""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from bots.staff.moments import Moment, read_moment

#: Longer than this nobody is away by a word in the chat.
LONGEST = timedelta(days=60)
_UNTIL = re.compile(
    r"\s*(?:从|自|from\b)?\s*(.*?)\s*(?:到|至|~|～|—+|\buntil\b|\btill\b|\bto\b)\s*(.+?)\s*(?:为止|结束)?\s*[。.!！]?\s*", re.IGNORECASE
)
_DAY = timedelta(days=1)


def read_period(text: str, now: datetime, zone: str) -> tuple[datetime, datetime] | str:
    """When it begins and ends, in UTC; or why it cannot be: "unreadable", "past" (ends before it begins), "long".

    A last day counts to its end. One day alone is that day; without a beginning it begins now.
    """
    found = _UNTIL.fullmatch(text)
    if not text.strip():
        return "unreadable"
    first, last = found.groups() if found else (text.strip(), text.strip())
    ends = _end(last, now, zone)
    if ends is None:
        return "unreadable"
    starts = now if not first else _start(first, now, zone)
    if starts is None:
        return "unreadable"
    if ends <= starts:
        return "past"
    return (starts, ends) if ends - starts <= LONGEST else "long"


def _start(text: str, now: datetime, zone: str) -> datetime | None:
    read = read_moment(text, now, zone)
    if isinstance(read, Moment):
        return read.at
    morning = read_moment(f"{text} 0:00", now, zone)
    if isinstance(morning, Moment):
        return morning.at
    return now if morning.key == "past" and _end(text, now, zone) is not None else None


def _end(text: str, now: datetime, zone: str) -> datetime | None:
    read = read_moment(text, now, zone)
    if isinstance(read, Moment):
        return read.at
    night = read_moment(f"{text} 23:59", now, zone)
    if not isinstance(night, Moment):
        return None
    following = night.at.astimezone(ZoneInfo(zone)).date() + _DAY
    return datetime.combine(following, time(), ZoneInfo(zone)).astimezone(now.tzinfo)
