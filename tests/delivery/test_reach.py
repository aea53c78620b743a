"""The pure rules of reach: what an action allows, what a message uses up, which way is taken, when it is quiet."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import reach
from app.channels import Rules
from app.reach import Action, Traffic
from app.states import Route

RULES = Rules()
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
DEEDS = st.lists(st.tuples(st.sampled_from(["typed", "tapped", "spent", "wait", "closed"]), st.integers(0, 4_000)), max_size=30)
#: Without a change of the clocks; that has its own case.
ZONES = st.sampled_from(["Asia/Shanghai", "Asia/Kolkata", "UTC"])
HOURS = st.times().map(lambda at: f"{at:%H:%M}")


class Platform:
    """The platform's own counting, written a second time: the larger allowance that still holds, each message counted in both."""

    def __init__(self) -> None:
        self.typed, self.tapped = (0, NOW), (0, NOW)

    def left(self, now: datetime) -> int:
        return max((count for count, until in (self.typed, self.tapped) if until > now), default=0)

    def spend(self) -> None:
        self.typed = (max(0, self.typed[0] - 1), self.typed[1])
        self.tapped = (max(0, self.tapped[0] - 1), self.tapped[1])


@given(DEEDS)
def test_the_ledger_never_allows_what_the_platform_refuses(deeds: list[tuple[str, int]]) -> None:
    traffic, platform, now = Traffic(), Platform(), NOW
    for deed, seconds in deeds:
        now += timedelta(seconds=seconds * 60 if deed == "wait" else seconds % 5)
        if deed == "typed":
            traffic, platform.typed = reach.after(RULES, traffic, Action.TYPED, now), (5, now + timedelta(hours=48))
        elif deed == "tapped":
            traffic, platform.tapped = reach.after(RULES, traffic, Action.TAPPED, now), (3, now + timedelta(minutes=1))
        elif deed == "closed":
            traffic = reach.closed(traffic)
        elif deed == "spent" and reach.left(RULES, traffic, now)[0]:
            assert platform.left(now) > 0
            traffic = reach.spent(traffic)
            platform.spend()
        count, until = reach.left(RULES, traffic, now)
        assert 0 <= count <= platform.left(now)
        assert (until is None) == (count == 0)
        assert until is None or until > now + RULES.window_margin


@given(DEEDS, st.booleans(), st.booleans())
def test_the_way_fits_what_is_left(deeds: list[tuple[str, int]], notices: bool, following: bool) -> None:
    traffic = Traffic(following=following)
    for deed, _ in deeds:
        if deed in ("typed", "tapped"):
            traffic = reach.after(RULES, traffic, Action(deed), NOW) if following else traffic
        elif deed == "spent":
            traffic = reach.spent(traffic)
    way = reach.route(RULES, traffic, NOW, notices=notices)
    if not following:
        assert (way.route, way.reason) == (None, "unfollowed")
    elif reach.left(RULES, traffic, NOW)[0]:
        assert way.route is Route.SERVICE
        assert way.until is not None
    elif notices:
        assert way.route is Route.NOTICE
    else:
        assert (way.route, way.reason) == (None, "window_closed")


@pytest.mark.parametrize(("before_the_end", "route"), [(172_800, Route.SERVICE), (11, Route.SERVICE), (10, None), (0, None)])
def test_a_window_is_left_alone_ten_seconds_before_its_end(before_the_end: int, route: Route | None) -> None:
    traffic = reach.after(RULES, Traffic(), Action.TYPED, NOW)
    now = NOW + timedelta(hours=48) - timedelta(seconds=before_the_end)
    assert reach.route(RULES, traffic, now, notices=False).route is route


def test_a_tap_earns_three_messages_for_a_minute_and_adds_nothing_to_typed_words() -> None:
    tapped = reach.after(RULES, Traffic(), Action.TAPPED, NOW)
    assert reach.left(RULES, tapped, NOW) == (3, NOW + timedelta(minutes=1))
    assert reach.left(RULES, tapped, NOW + timedelta(seconds=55)) == (0, None)
    both = reach.after(RULES, tapped, Action.TYPED, NOW)
    assert reach.left(RULES, both, NOW)[0] == 5
    for _ in range(5):
        both = reach.spent(both)
    assert reach.left(RULES, both, NOW) == (0, None)


@given(MOMENTS, ZONES, HOURS, HOURS)
def test_quiet_hours_end_at_the_next_allowed_minute(now: datetime, zone: str, begin: str, end: str) -> None:
    until = reach.quiet_until(now, zone, begin, end)
    local = now.astimezone(ZoneInfo(zone))
    at = f"{local:%H:%M}"
    inside = begin <= at < end if begin <= end else at >= begin or at < end
    if begin == end or not inside:
        assert until is None
        return
    assert until is not None
    assert now < until <= now + timedelta(days=1)
    assert f"{until.astimezone(ZoneInfo(zone)):%H:%M}" == end


def test_an_end_that_the_clocks_jump_over_comes_after_the_jump() -> None:
    now = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)  # 23:00 in Berlin; that night 02:00 becomes 03:00
    until = reach.quiet_until(now, "Europe/Berlin", "22:00", "02:30")
    assert until == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert until.astimezone(ZoneInfo("Europe/Berlin")).hour == 3


def test_quiet_hours_that_the_clocks_bring_twice_end_in_the_second_one() -> None:
    now = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)  # 02:15 in Berlin for the second time: at 03:00 it became 02:00
    assert reach.quiet_until(now, "Europe/Berlin", "22:00", "02:30") == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


#: Zones whose clocks change at night, at midnight, by half an hour, and never.
CHANGING = st.sampled_from(
    ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "America/Santiago", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe"]
)


@given(MOMENTS, CHANGING, HOURS, HOURS)
def test_the_next_day_begins_at_its_first_allowed_minute(now: datetime, zone: str, begin: str, end: str) -> None:
    until = reach.next_day(now, zone, begin, end)
    today = reach.local_day(now, zone)
    assert now < until <= now + timedelta(hours=49)
    assert (reach.local_day(until, zone) - today).days in {1, 2}, "two, where it is quiet all day long"
    before = until - timedelta(seconds=1)
    assert reach.local_day(before, zone) == today or reach.quiet_until(before, zone, begin, end) is not None, "and not a second later"


@given(MOMENTS, CHANGING, HOURS, HOURS)
def test_quiet_hours_always_end_later_than_now(now: datetime, zone: str, begin: str, end: str) -> None:
    until = reach.quiet_until(now, zone, begin, end)
    assert until is None or now < until <= now + timedelta(hours=26)


DAYS = st.integers(0, 9).map(lambda days: datetime(2026, 11, 20, tzinfo=UTC).date() + timedelta(days=days))


@given(st.lists(DAYS, max_size=12))
def test_what_was_started_is_counted_by_its_day_and_never_less_than_it_was(days: list[Any]) -> None:
    traffic = Traffic()
    for place, day in enumerate(days):
        traffic = reach.counted(traffic, day)
        assert reach.started(traffic, day) >= sum(1 for each in days[: place + 1] if each == day) or max(days[: place + 1]) > day
        assert reach.started(traffic, day + timedelta(days=30)) == 0
    if days == sorted(days):
        assert all(reach.started(traffic, day) == days.count(day) for day in days[-1:])


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=6)


@given(SPANS, st.integers(0, 90))
def test_a_silence_ends_at_the_first_moment_that_lies_in_none(spans: list[tuple[int, int]], minute: int) -> None:
    silences = [(NOW + timedelta(minutes=begin), NOW + timedelta(minutes=begin + length)) for begin, length in spans]
    silent = {each for begin, length in spans for each in range(begin, begin + length)}
    first = next(each for each in range(minute, 200) if each not in silent)
    until = reach.silent_until(NOW + timedelta(minutes=minute), silences)
    assert until == (None if first == minute else NOW + timedelta(minutes=first))


@pytest.mark.parametrize(
    ("local", "until"),
    [
        ("2026-11-23T21:59:59", None),
        ("2026-11-23T22:00:00", "2026-11-24T08:00:00"),
        ("2026-11-23T23:59:59", "2026-11-24T08:00:00"),
        ("2026-11-24T00:00:00", "2026-11-24T08:00:00"),
        ("2026-11-24T07:59:59", "2026-11-24T08:00:00"),
        ("2026-11-24T08:00:00", None),
    ],
)
def test_the_night_is_over_at_eight(local: str, until: str | None) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    now = datetime.fromisoformat(local).replace(tzinfo=zone).astimezone(UTC)
    expected = None if until is None else datetime.fromisoformat(until).replace(tzinfo=zone)
    assert reach.quiet_until(now, "Asia/Shanghai", "22:00", "08:00") == expected
