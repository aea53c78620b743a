"""Days and hours of practice as arithmetic: zones, clock changes, midnight, gaps."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.homework import days, hours
from bots.homework.hours import Quiet

ZONES = st.sampled_from(
    [
        "Asia/Shanghai",
        "Europe/Berlin",
        "America/St_Johns",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Australia/Lord_Howe",
        "UTC",
        "Pacific/Chatham",
    ]
)
DAYS = st.dates(date(2026, 1, 1), date(2028, 12, 31))
HALVES = st.builds(lambda half: f"{half // 2:02d}:{half % 2 * 30:02d}", st.integers(0, 47))
MONDAY = date(2026, 11, 23)


@given(day=DAYS, course=ZONES, person=ZONES, hour=HALVES)
@settings(max_examples=400, deadline=None)
def test_somebodys_hour_comes_once_within_the_day_of_the_course(day: date, course: str, person: str, hour: str) -> None:
    begin = datetime.combine(day, datetime.min.time(), ZoneInfo(course)).astimezone(UTC)
    until = datetime.combine(day + timedelta(days=1), datetime.min.time(), ZoneInfo(course)).astimezone(UTC)
    moment = days.hour_comes(begin, until, hour, person)
    if begin == until:
        return  # a day that the zone left out
    assert begin <= moment < until
    if moment != begin and course == person:
        shown = moment.astimezone(ZoneInfo(person))
        there = datetime.combine(shown.date(), datetime.strptime(hour, "%H:%M").time(), ZoneInfo(person))  # noqa: DTZ007 - a time of day
        assert there.astimezone(UTC) == moment


@given(day=DAYS, zone=ZONES)
def test_the_day_that_ends_somewhere_begins_a_day_before(day: date, zone: str) -> None:
    begin = datetime.combine(day, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    until = datetime.combine(day + timedelta(days=1), datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    if begin < until:
        assert days.beginning_of_day_before(until, zone) == begin


def test_an_hour_that_the_clocks_skip_comes_when_they_go_on_and_of_two_the_first() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for day, hour, expected in (
        (date(2026, 3, 29), "02:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        (date(2026, 10, 25), "02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ):
        begin, until = (datetime(each.year, each.month, each.day, tzinfo=berlin) for each in (day, day + timedelta(days=1)))
        assert days.hour_comes(begin, until, hour, "Europe/Berlin") == expected


@given(back=st.sets(st.integers(0, 40)))
def test_a_streak_is_as_long_as_the_days_without_a_gap(back: set[int]) -> None:
    noted = [MONDAY - timedelta(days=each) for each in back]
    count = days.streak(noted, MONDAY)
    first = 0 if 0 in back else 1
    assert set(range(first, first + count)) <= back
    assert first + count not in back


@given(back=st.sets(st.integers(0, 40), min_size=1), member=st.integers(0, 60))
def test_silence_counts_from_the_last_practice_or_from_when_somebody_came(back: set[int], member: int) -> None:
    noted = [MONDAY - timedelta(days=each) for each in back]
    assert days.silent(noted, MONDAY - timedelta(days=member), MONDAY) == min(member, *back)
    assert days.returns(noted, MONDAY) == (min(back) >= days.RETURN_AFTER)


def test_today_and_two_days_back_may_be_noted_and_nothing_else() -> None:
    allowed = [back for back in range(-2, 6) if days.may_note(MONDAY - timedelta(days=back), MONDAY)]
    assert allowed == [0, 1, 2]


def test_the_day_is_that_of_the_person_and_not_of_the_server() -> None:
    now = datetime(2026, 11, 23, 16, 30, tzinfo=UTC)
    assert days.today(now, "Asia/Shanghai") == date(2026, 11, 24)
    assert days.today(now, "America/New_York") == date(2026, 11, 23)


QUIET = Quiet("Asia/Shanghai", "22:00", "08:00")


@given(hour=HALVES, zone=ZONES, day=DAYS)
def test_what_is_offered_is_allowed(hour: str, zone: str, day: date) -> None:
    assert all(hours.allowed(each, zone, day, [QUIET]) for each in hours.offered(zone, day, [QUIET]))
    assert hours.is_hour(hour)


@pytest.mark.parametrize(
    ("zone", "quiets", "offered"),
    [
        ("Asia/Shanghai", [QUIET], ("08:00", "12:30", "20:00", "21:00")),
        ("Asia/Shanghai", [], ("07:00", "12:30", "20:00", "21:00")),
        ("Asia/Shanghai", [Quiet("Asia/Shanghai", "12:00", "14:00")], ("07:00", "08:00", "20:00", "21:00")),
        ("Europe/Berlin", [QUIET], ("07:00", "08:00", "12:30")),
    ],
)
def test_hours_to_tap_lie_outside_the_quiet_hours_of_every_course(zone: str, quiets: list[Quiet], offered: tuple[str, ...]) -> None:
    assert hours.offered(zone, MONDAY, quiets) == offered


@pytest.mark.parametrize(
    ("said", "meant", "rounded"),
    [
        ("8点半", ("08:30", "20:30"), False),
        ("7:30", ("07:30",), False),
        ("晚上8点半", ("20:30",), False),
        ("晚上12点", ("00:00",), False),
        ("半夜一点", ("01:00",), False),
        ("早上七点", ("07:00",), False),
        ("中午12点半", ("12:30",), False),
        ("下午1点", ("13:00",), False),
        ("9pm", ("21:00",), False),
        ("8:30 am", ("08:30",), False),
        ("改到20:00", ("20:00",), False),
        ("每天21:00", ("21:00",), False),
        ("7:40", ("07:30",), True),
        ("23:50", ("00:00",), True),
        ("8", ("08:00", "20:00"), False),
    ],
)
def test_hours_are_read_as_people_write_them(said: str, meant: tuple[str, ...], rounded: bool) -> None:
    found = hours.typed(said)
    assert found is not None
    assert (found.hours, found.rounded) == (meant, rounded)


@pytest.mark.parametrize("said", ["明天8点", "25:00", "8:75", "随便", "", "99", "²", "周三晚上", "三小时后"])
def test_what_is_no_hour_of_the_day_is_none(said: str) -> None:
    assert hours.typed(said) is None
