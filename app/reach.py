"""Pure: the rules of a channel and a person's recent traffic in; the route, what is left and until when, out. And when we start nothing.

The ladder: ride on a reply, service message, notice, wait. The ledger is pessimistic: where the platform's counting is not documented we
assume the smaller allowance, and the platform's own word (45015, 45047) corrects us.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from app.channels import Rules
from app.states import Route


@dataclass(frozen=True)
class Traffic:
    """What one person's actions allow us now: how many messages, and until when, by typed words and by taps; and what we started."""

    following: bool = True
    typed_until: datetime | None = None
    typed_left: int = 0
    tapped_until: datetime | None = None
    tapped_left: int = 0
    started_on: date | None = None  # the last day on which we started something
    started: int = 0  # messages that we started that day


class Action(StrEnum):
    """What a person did, as far as it allows us messages (platform reference, section 4.1)."""

    TYPED = "typed"
    TAPPED = "tapped"  # a menu message, a menu entry, a scan, a follow


@dataclass(frozen=True)
class Way:
    """How a message goes, or why it does not. `route` None: it waits or never goes, see `reason`."""

    route: Route | None
    reason: str = ""
    until: datetime | None = None  # the window that it uses closes then


def after(rules: Rules, traffic: Traffic, action: Action, now: datetime) -> Traffic:
    """The ledger after an action. Allowances do not add up: an action lifts the counter to its own maximum (section 4.1)."""
    if action is Action.TYPED:
        return replace(traffic, following=True, typed_until=now + rules.typed_window, typed_left=rules.typed_messages)
    return replace(traffic, following=True, tapped_until=now + rules.tapped_window, tapped_left=rules.tapped_messages)


def left(rules: Rules, traffic: Traffic, now: datetime) -> tuple[int, datetime | None]:
    """How many service messages may go now, and until when."""
    best: tuple[int, datetime | None] = (0, None)
    for until, count in ((traffic.typed_until, traffic.typed_left), (traffic.tapped_until, traffic.tapped_left)):
        if until is not None and now + rules.window_margin < until and count > 0 and count >= best[0]:
            best = (count, until)
    return best


def spent(traffic: Traffic) -> Traffic:
    """The ledger after one service message: both counters go down, because nobody says which one the platform uses."""
    return replace(traffic, typed_left=max(0, traffic.typed_left - 1), tapped_left=max(0, traffic.tapped_left - 1))


def closed(traffic: Traffic) -> Traffic:
    """The ledger after the platform said that the window is closed or the allowance used up (45015, 45047)."""
    return replace(traffic, typed_left=0, tapped_left=0)


def started(traffic: Traffic, day: date) -> int:
    """How many messages we have started on this local day. Where two zones disagree about the day, the later one counts."""
    return traffic.started if traffic.started_on is not None and traffic.started_on >= day else 0


def counted(traffic: Traffic, day: date) -> Traffic:
    """The ledger after one message that we started on this local day."""
    return replace(traffic, started_on=max(day, traffic.started_on or day), started=started(traffic, day) + 1)


def route(rules: Rules, traffic: Traffic, now: datetime, *, notices: bool) -> Way:
    """The best way for a message that we start now. `notices`: the account has an approved template."""
    if not traffic.following:
        return Way(None, "unfollowed")
    count, until = left(rules, traffic, now)
    if count:
        return Way(Route.SERVICE, until=until)
    if notices:
        return Way(Route.NOTICE)
    return Way(None, "window_closed")


def quiet_until(now: datetime, zone: str, quiet_from: str, quiet_to: str) -> datetime | None:
    """The end of the quiet hours that `now` lies in, or None. Times are local, `HH:MM`; equal times mean no quiet hours."""
    begin, end = time.fromisoformat(quiet_from), time.fromisoformat(quiet_to)
    local = now.astimezone(ZoneInfo(zone))
    clock_time = local.time().replace(tzinfo=None)
    over_midnight = begin > end
    inside = (clock_time >= begin or clock_time < end) if over_midnight else begin <= clock_time < end
    if begin == end or not inside:
        return None
    day = local.date() + timedelta(days=1 if over_midnight and clock_time >= begin else 0)
    until = datetime.combine(day, end, local.tzinfo)
    if until.astimezone(now.tzinfo) <= now:  # the clocks went back: this is the second time that it is so late
        until = until.replace(fold=1)
    return until.astimezone(now.tzinfo)


def silences(stored: Iterable[Iterable[str]] | None) -> list[tuple[datetime, datetime]]:
    """The silences of a course, from when until when, as its row holds them."""
    return [(datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in stored or ()]


def silent_until(now: datetime, silences: Iterable[tuple[datetime, datetime]]) -> datetime | None:
    """The end of the silence that `now` lies in, or None; silences that touch are one. Their last moment is silent no more."""
    until = now
    for begin, end in sorted(silences):
        if begin <= until < end:
            until = end
    return None if until == now else until


def local_day(now: datetime, zone: str) -> date:
    """The day that it is in a zone."""
    return now.astimezone(ZoneInfo(zone)).date()


def next_day(now: datetime, zone: str, quiet_from: str, quiet_to: str) -> datetime:
    """The first allowed minute of the next local day: its midnight, or the end of the quiet hours that this lies in."""
    tomorrow = local_day(now, zone) + timedelta(days=1)
    midnight = datetime.combine(tomorrow, time(), ZoneInfo(zone)).astimezone(now.tzinfo)
    return quiet_until(midnight, zone, quiet_from, quiet_to) or midnight


def later_today(now: datetime, zone: str, at: time) -> datetime | None:
    """The moment at which it is `at` in a zone today, or None where that has passed."""
    local = now.astimezone(ZoneInfo(zone))
    moment = datetime.combine(local.date(), at, local.tzinfo).astimezone(now.tzinfo)
    return moment if moment > now else None
