"""How an operator writes a moment: as people say it in the chat, or by day and hour, however far away."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from app import clock
from app.errors import Invalid
from bots.staff.moments import Moment, read_moment

#: Why words are no usable moment, by the key of the refusal.
REASONS = {
    "unreadable": 'write it like "tomorrow 20:00", "周三 20:00" or "2026-03-02 20:00"',
    "past": "it is over; choose a later one",
    "far": "it is more than a year ahead",
    "no_such_day": "the calendar has no such day",
    "no_such_hour": "the clock has no such hour",
    "no_hour": "say the hour too",
}


def coming(option: str, typed: str, zone: str) -> datetime:
    """A moment of the coming year in the course's zone. Raises `Invalid`, which names the option."""
    found = read_moment(typed, clock.now(), zone)
    if isinstance(found, Moment):
        return found.at
    if found.key == "several":
        candidates = " or ".join(shown(each, zone) for each in found.candidates)
        raise Invalid("moment", f"{option} {typed!r} may mean {candidates}; write the one you mean.")
    raise Invalid("moment", f"{option} {typed!r} does not work: {REASONS[found.key]}.")


def any_time(option: str, typed: str, zone: str) -> datetime:
    """As `coming`; written as 2026-03-02 20:00 it may be past, or years ahead."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d", typed.strip()) is None:
        return coming(option, typed, zone)
    try:
        return datetime.fromisoformat(typed.strip()).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError):  # the second one at the edges of the calendar
        raise Invalid("moment", f"{option} {typed!r} does not work: the calendar or the clock has no such moment.") from None


def shown(moment: datetime, zone: str) -> str:
    """The moment there: 2026-03-02 20:00."""
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
