"""Hides how a moment that somebody chose in a form is read: local time of a zone, as `datetime-local` gives it."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from app.errors import Invalid


def typed(text: str, zone: str) -> datetime | None:
    """The moment, None where nothing was chosen. Raises `Invalid` ("moment") for what the calendar or the clock does not have."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text[:16]).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("moment", "The calendar or the clock has no such moment.") from None


def day(text: str) -> date | None:
    """The day that an address names; None where it names none."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def today(now: datetime, zone: str) -> date:
    """The day that the zone's calendar shows now."""
    return now.astimezone(ZoneInfo(zone)).date()
