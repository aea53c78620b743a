"""Hides at which hours practices may be sent: half hours outside the quiet hours of a course, typed in many ways."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from bots.staff.spellings import Clock, Part, read

#: A raised or lowered digit is a slip, and no number.
RAISED = re.compile("[\u00b2\u00b3\u00b9\u2070-\u2089]")
_OFFERED = ("07:00", "08:00", "12:30", "18:00", "20:00", "21:00")
#: The four that are offered where nothing is quiet at those hours; others take the place of those that are.
_FIRST = ("07:00", "12:30", "20:00", "21:00")
_MOST = 4
_BEFORE_NOON = frozenset({Part.SMALL_HOURS, Part.MORNING, Part.AM})
_BEHIND_MIDNIGHT = frozenset({Part.EVENING, Part.NIGHT, Part.AFTER_MIDNIGHT})
_AFTER_NOON = frozenset({Part.AFTERNOON, Part.DUSK, Part.EVENING, Part.NIGHT, Part.PM})


@dataclass(frozen=True)
class Quiet:
    """When a course starts nothing, by the clocks of its zone (`HH:MM`); equal times: never."""

    zone: str
    since: str
    until: str


@dataclass(frozen=True)
class Typed:
    """What typed words say: the hours that they may mean, and whether they were brought to the half hour."""

    hours: tuple[str, ...]
    rounded: bool = False


def allowed(hour: str, zone: str, day: date, quiets: Iterable[Quiet]) -> bool:
    """Whether this hour of somebody's day is quiet in none of the courses."""
    moment = datetime.combine(day, time.fromisoformat(hour), ZoneInfo(zone))
    return not any(_is_quiet(moment, quiet) for quiet in quiets)


def _is_quiet(moment: datetime, quiet: Quiet) -> bool:
    shown = f"{moment.astimezone(ZoneInfo(quiet.zone)):%H:%M}"
    if quiet.since <= quiet.until:
        return quiet.since <= shown < quiet.until
    return shown >= quiet.since or shown < quiet.until


def offered(zone: str, day: date, quiets: Sequence[Quiet]) -> tuple[str, ...]:
    """The hours that are offered to tap."""
    fitting = [hour for hour in _OFFERED if allowed(hour, zone, day, quiets)]
    chosen = [hour for hour in fitting if hour in _FIRST]
    others = [hour for hour in fitting if hour not in _FIRST]
    return tuple(sorted([*chosen, *others[: _MOST - len(chosen)]]))


def is_hour(hour: str) -> bool:
    """Whether this is a half hour of the day, `HH:MM`."""
    head, _, tail = hour.partition(":")
    return len(hour) == 5 and head.isascii() and head.isdigit() and int(head) < 24 and tail in ("00", "30")


def shown(hour: str) -> str:
    """As people write it: `7:30`."""
    return hour.removeprefix("0")


def typed(text: str) -> Typed | None:
    """What `8点半`, `7:30`, `晚上9点`, `9pm` mean; None where it is no hour of the day."""
    bare = text.strip().removeprefix("每天").removeprefix("改到").removeprefix("改成").strip()
    found = read(f"{bare}点" if bare.isdigit() else bare)
    if found is None or RAISED.search(text) or found.clock is None or found.day is not None or found.offset is not None:
        return None
    part = found.half.part if found.half else None
    hours = _hours(found.clock, part)
    if not hours or found.clock.minute > 59:
        return None
    halves = [_to_half(hour, found.clock.minute) for hour in hours]
    return Typed(tuple(sorted(set(halves))), rounded=found.clock.minute not in (0, 30))


def _hours(clock: Clock, part: Part | None) -> list[int]:  # noqa: PLR0911 - one return per part of the day
    hour = clock.hour
    if hour > 23:
        return []
    if part is None:
        return [hour] if clock.exact or hour == 0 or hour >= 12 else [hour, hour + 12]
    if part in _BEHIND_MIDNIGHT and hour in (12, 0, 1, 2, 3, 4):
        return [hour % 12]
    if part in _BEFORE_NOON:
        return [hour % 12] if hour <= 12 and part is not Part.MORNING else [hour] if hour <= 12 else []
    if part is Part.NOON:
        return [hour if hour >= 11 else hour + 12] if hour >= 11 or hour <= 2 else []
    if part in _AFTER_NOON:
        return [hour if hour >= 12 else hour + 12]
    return []


def _to_half(hour: int, minute: int) -> str:
    halves = (hour * 2 + (minute + 15) // 30) % 48
    return f"{halves // 2:02d}:{halves % 2 * 30:02d}"
