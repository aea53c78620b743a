"""Moments that recur: in order, nothing twice, nothing missed, in every zone; weeks of a course; bad inputs K2 and K3."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.recurrence import Frame, Rule, coming, course_week, days_of_week, moment_on, read_code, upcoming

ZONES = (
    *("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "America/Havana"),
    *("Asia/Kathmandu", "UTC", "Pacific/Chatham"),
)
_TIMES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
_WEEKDAYS = st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days)))
_DATES = st.dates(date(2011, 12, 1), date(2032, 12, 31))
_RULES = st.one_of(
    st.builds(Rule, _TIMES),
    st.builds(Rule, _TIMES, weekdays=_WEEKDAYS),
    st.builds(Rule, _TIMES, weekdays=_WEEKDAYS, week=st.integers(1, 12)),
    st.builds(lambda at, day: Rule(at, day=day), _TIMES, _DATES),
)


def days_by_hand(rule: Rule, frame: Frame) -> list[date]:
    """Every day of the rule, one after the other, by looking at each."""
    first = date(2011, 11, 1)
    days = (first + timedelta(days=number) for number in range((frame.until - first).days + 1))
    if rule.day is not None:
        return [day for day in days if day == rule.day]
    found = [day for day in days if not rule.weekdays or day.weekday() in rule.weekdays]
    if rule.week:
        found = [day for day in found if frame.starts_on is not None and course_week(day, frame.starts_on) == rule.week]
    return found


@settings(max_examples=250, deadline=None)
@given(rule=_RULES, zone=st.sampled_from(ZONES), start=_DATES, length=st.integers(-3, 60), seconds=st.integers(0, 70 * 86_400))
def test_order_is_kept_nothing_comes_twice_and_nothing_is_missed(rule: Rule, zone: str, start: date, length: int, seconds: int) -> None:
    frame = Frame(zone, start, start + timedelta(days=length))
    after = datetime.combine(start, time(), UTC) - timedelta(days=3) + timedelta(seconds=seconds)
    found = upcoming(rule, frame, after, 200)
    assert list(found) == sorted(set(found))
    assert all(moment > after for moment in found)
    # A day that a zone leaves out falls on the next one, whose moment it shares.
    assert set(found) == {moment for day in days_by_hand(rule, frame) if (moment := moment_on(day, rule.at, zone)) > after}


@settings(max_examples=250, deadline=None)
@given(day=_DATES, at=_TIMES, zone=st.sampled_from(ZONES))
def test_the_clocks_there_show_the_time_or_it_was_left_out_and_moved_forward(day: date, at: time, zone: str) -> None:
    moment = moment_on(day, at, zone)
    shown = moment.astimezone(ZoneInfo(zone))
    asked = datetime.combine(day, at)
    moved = shown.replace(tzinfo=None) - asked
    assert moved >= timedelta(), "never backward"
    if moved:
        assert moved <= timedelta(days=1)
        folds = (datetime.combine(day, at, ZoneInfo(zone)).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        assert all(each.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != asked for each in folds), "the clocks never show it"
    else:
        before = (moment - timedelta(minutes=minutes) for minutes in (30, 60, 180))
        assert all(each.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != asked for each in before), "of two the first"


@given(rule=_RULES)
def test_a_rule_comes_back_from_its_code(rule: Rule) -> None:
    assert read_code(rule.code()) == rule


@pytest.mark.parametrize(
    "code", ["", "daily", "daily 24:00", "weekly 7 20:00", "2026-02-30 20:00", "week x 1 20:00", "monthly 1 20:00", "daily 8:00"]
)
def test_what_is_no_code_is_none(code: str) -> None:
    assert read_code(code) is None


def local(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M %z}"


def test_k2_a_time_that_the_clocks_leave_out_moves_forward() -> None:
    frame = Frame("Europe/Berlin", None, date(2026, 4, 30))
    found = upcoming(Rule(time(2, 30)), frame, datetime(2026, 3, 27, 12, tzinfo=UTC), 3)
    assert [local(each, "Europe/Berlin") for each in found] == [
        "2026-03-28 02:30 +0100",
        "2026-03-29 03:30 +0200",
        "2026-03-30 02:30 +0200",
    ]


def test_k2_a_time_that_the_clocks_show_twice_comes_once() -> None:
    frame = Frame("Europe/Berlin", None, date(2026, 11, 30))
    found = upcoming(Rule(time(2, 30)), frame, datetime(2026, 10, 24, 12, tzinfo=UTC), 2)
    assert [local(each, "Europe/Berlin") for each in found] == ["2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"]


def test_k2_a_day_that_a_zone_leaves_out_is_the_next_one_and_not_two() -> None:
    frame = Frame("Pacific/Apia", None, date(2012, 1, 2))
    found = upcoming(Rule(time(20, 0)), frame, datetime(2011, 12, 29, 0, tzinfo=UTC), 9)
    assert [local(each, "Pacific/Apia")[:16] for each in found] == [
        *("2011-12-28 20:00", "2011-12-29 20:00", "2011-12-31 20:00", "2012-01-01 20:00", "2012-01-02 20:00"),
    ]


def test_k3_leap_day_month_end_and_year_end_are_days_like_others() -> None:
    daily = upcoming(Rule(time(8, 0)), Frame("Asia/Shanghai", None, date(2028, 3, 1)), datetime(2028, 2, 27, 12, tzinfo=UTC), 9)
    assert [local(each, "Asia/Shanghai")[5:10] for each in daily] == ["02-28", "02-29", "03-01"]
    new_year = upcoming(Rule(time(8, 0)), Frame("Asia/Shanghai", None, date(2027, 1, 2)), datetime(2026, 12, 31, 0, 1, tzinfo=UTC), 9)
    assert [local(each, "Asia/Shanghai")[:10] for each in new_year] == ["2027-01-01", "2027-01-02"]


def test_k3_weeks_of_a_course_begin_on_its_first_day_whatever_weekday_it_is() -> None:
    wednesday = date(2026, 11, 25)
    assert days_of_week(1, wednesday) == (wednesday, date(2026, 12, 1))
    assert days_of_week(3, wednesday) == (date(2026, 12, 9), date(2026, 12, 15))
    assert [course_week(wednesday + timedelta(days=days), wednesday) for days in (-1, 0, 6, 7)] == [0, 1, 1, 2]
    frame = Frame("Asia/Shanghai", wednesday, date(2027, 2, 1))
    (tuesday,) = upcoming(Rule(time(20, 0), weekdays=(1,), week=3), frame, datetime(2026, 11, 1, tzinfo=UTC), 9)
    assert local(tuesday, "Asia/Shanghai")[:16] == "2026-12-15 20:00"


def test_k3_a_million_are_counted_without_end_only_as_far_as_they_are_asked_for() -> None:
    frame = Frame("Asia/Shanghai", None, date(4800, 1, 1))
    assert len(upcoming(Rule(time(8, 0)), frame, datetime(2026, 1, 1, tzinfo=UTC), 3)) == 3
    assert coming(Rule(time(8, 0), day=date(2026, 1, 1)), frame, datetime(2026, 1, 2, tzinfo=UTC)) is None


def test_without_a_first_day_no_week_of_a_course_comes() -> None:
    assert coming(Rule(time(8, 0), weekdays=(1,), week=3), Frame("UTC", None, date(2027, 1, 1)), datetime(2026, 1, 1, tzinfo=UTC)) is None
