"""The calendar as arithmetic: what hangs on a class goes where it goes, back again too; zones, clock changes and leap days included."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.courses import calendar, file
from app.courses.calendar import Evening, Gap
from app.errors import Invalid
from bots.recurrence import moment_on

MSC, PILOT = file.read("msc-8-week"), file.read("two-week-pilot")
SHANGHAI = "Asia/Shanghai"
ZONES = st.sampled_from([SHANGHAI, "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
DAYS = st.dates(date(2026, 1, 1), date(2032, 12, 31))
EVENINGS = st.builds(
    Evening, st.times(time(6), time(22)).map(lambda at: at.replace(second=0, microsecond=0)), st.none() | st.integers(0, 6)
)
FILES = st.sampled_from([MSC, PILOT])


def local(moment: datetime, zone: str = SHANGHAI) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%m-%d %H:%M}"


def test_the_shipped_course_is_laid_out_as_its_file_says() -> None:
    known = calendar.gatherings(MSC, date(2027, 3, 1), SHANGHAI)
    at = {each.key: local(each.starts_at) for each in known}
    assert (at["class", 1], at["class", 8]) == ("03-01 19:30", "04-19 19:30")
    assert (at["meeting", 1], at["retreat", 1]) == ("03-04 20:00", "04-09 09:00"), "the retreat lies between the classes 6 and 7"
    occasions = {each.code: local(each.at) for each in calendar.occasions(MSC, known, SHANGHAI)}
    assert occasions["class.3.day-before"] == "03-14 20:00"
    assert occasions["class.3.hour-before"] == "03-15 18:30"
    assert occasions["class.3.missed"] == "03-16 12:00"
    assert occasions["homework.3"] == "03-16 00:00", "from midnight on, at each one's hour"
    assert occasions["closing"] == "04-21 10:00"
    assert "homework.8.reminder2" in occasions
    windows = {each.code: (local(each.opens_at), local(each.closes_at)) for each in calendar.windows(MSC, [known], SHANGHAI)}
    assert windows == {"baseline": ("02-22 09:00", "03-01 19:30"), "post": ("04-20 09:00", "04-27 09:00")}


@settings(deadline=None)
@given(FILES, DAYS, ZONES, EVENINGS)
def test_everything_is_in_order_and_no_code_stands_twice(course: file.CourseFile, start: date, zone: str, evening: Evening) -> None:
    known = calendar.gatherings(course, start, zone, evening)
    classes = [each for each in known if each.kind == "class"]
    assert [each.number for each in sorted(classes, key=lambda each: each.starts_at)] == list(range(1, len(course.weeks) + 1))
    assert all(each.starts_at.tzinfo is UTC for each in known)
    occasions = calendar.occasions(course, known, zone)
    assert len({each.code for each in occasions}) == len(occasions)
    assert [each.at for each in occasions] == sorted(each.at for each in occasions)
    starts = {each.key: each.starts_at for each in known}
    for each in occasions:
        if each.kind in ("homework", "homework_reminder"):
            number = each.key[1]
            following = starts.get(("class", number + 1))
            assert starts["class", number] < (each.until or each.at)
            assert following is None or each.at < following, "the practices of a week are not sent when the next class has been"
        if each.details.get("begins_at") is not None:
            assert each.at <= each.details["begins_at"]


@settings(deadline=None)
@given(FILES, DAYS, ZONES, st.integers(0, 7), st.integers(-6, 60), st.booleans())
def test_moving_is_reversible(course: file.CourseFile, start: date, zone: str, place: int, days: int, later: bool) -> None:
    known = calendar.gatherings(course, start, zone, Evening(time(19, 30)))
    key = ("class", place % len(course.weeks) + 1)
    former = next(each.starts_at for each in known if each.key == key)
    day = former.astimezone(ZoneInfo(zone)).date() + timedelta(days=days)
    to = moment_on(day, time(19, 30), zone)
    try:
        moved = calendar.moved(known, key, to, zone, later=later)
    except Invalid:  # it would have jumped over its neighbour
        return
    assert next(each.starts_at for each in moved if each.key == key) == to
    before = {each.code: each for each in calendar.occasions(course, known, zone)}
    untouched = [each for each in calendar.occasions(course, moved, zone) if each.key != key and not later and each.kind == "reminder"]
    assert all(before[each.code] == each for each in untouched), "what hangs on other gatherings stays"
    if later and days < 0:
        return  # what followed may have begun before `to`, and then stays where it is
    back = calendar.moved(moved, key, former, zone, later=later)
    assert sorted(back, key=lambda each: each.key) == sorted(known, key=lambda each: each.key)


@settings(deadline=None)
@given(FILES, DAYS, st.lists(st.tuples(st.integers(0, 80), st.integers(0, 10)), max_size=3))
def test_no_class_is_on_a_day_without_classes(course: file.CourseFile, start: date, drawn: list[tuple[int, int]]) -> None:
    gaps = [Gap(start + timedelta(days=begin), start + timedelta(days=begin + length)) for begin, length in drawn]
    known = calendar.gatherings(course, start, SHANGHAI, None, gaps)
    days = [each.starts_at.astimezone(ZoneInfo(SHANGHAI)).date() for each in known if each.kind == "class"]
    assert not any(gap.holds(day) for gap in gaps for day in days)
    assert all((later - earlier).days % 7 == 0 and later > earlier for earlier, later in pairwise(days))


@pytest.mark.parametrize(
    ("zone", "day", "clock", "shown"),
    [
        ("Europe/Berlin", date(2027, 3, 28), time(2, 30), "03-28 03:30"),  # does not exist: moves forward
        ("Europe/Berlin", date(2027, 10, 31), time(2, 30), "10-31 02:30"),  # exists twice: the first
        ("Asia/Shanghai", date(2028, 2, 29), time(19, 30), "02-29 19:30"),
    ],
)
def test_clock_changes_and_leap_days(zone: str, day: date, clock: time, shown: str) -> None:
    moment = moment_on(day, clock, zone)
    assert local(moment, zone) == shown
    assert moment == min(moment, moment.astimezone(ZoneInfo(zone)).replace(fold=0).astimezone(UTC))


def test_a_class_at_eight_is_at_eight_after_the_clocks_changed() -> None:
    known = calendar.gatherings(MSC, date(2027, 3, 8), "Europe/Berlin", Evening(time(20, 0)))
    assert {local(each.starts_at, "Europe/Berlin")[-5:] for each in known if each.kind == "class"} == {"20:00"}
    assert len({each.starts_at.time() for each in known if each.kind == "class"}) == 2


def test_a_class_that_is_called_off_takes_its_reminders_and_practices_along() -> None:
    from dataclasses import replace

    known = calendar.gatherings(MSC, date(2027, 3, 1), SHANGHAI)
    without = [replace(each, held=False) if each.key == ("class", 3) else each for each in known]
    codes = {each.code for each in calendar.occasions(MSC, without, SHANGHAI)}
    assert not {code for code in codes if code.startswith(("class.3.", "homework.3"))}
    assert "class.4.day-before" in codes


def test_gaps_that_leave_no_day_are_refused() -> None:
    with pytest.raises(Invalid, match="no day"):
        calendar.gatherings(PILOT, date(2027, 3, 1), SHANGHAI, None, [Gap(date(2027, 1, 1), date(2031, 1, 1))])


WRONG = [
    ('opens = "class 1 - 7 days 09:00"', 'opens = "class 11 - 7 days 09:00"', "classes 1 to 8"),
    ('opens = "class 1 - 7 days 09:00"', 'opens = "a week before"', "no moment of a course"),
    ('when = "- 1 hour"', 'when = "- 1 hour 10:00"', "leave one of them out"),
    ('practices = ["hand-on-heart", "pause"]', 'practices = ["hand-on-hart"]', "there is no practice 'hand-on-hart'"),
    ("class_minutes = 120", "class_minutes = 12000", "class_minutes"),
    ("class_minutes = 120", "clas_minutes = 120", "clas_minutes"),
    ('class_at = "19:30"', 'class_at = "24:00"', "no time of day"),
    ('code = "warm-breath"', 'code = "pause"', "stands here twice"),
    ('to = "absent"', 'to = "nobody"', "to"),
    ("{minutes} 分钟左右", "{minuten} 分钟左右", "a gap that nothing fills"),
    ('name = { zh = "安抚触摸", en = "Soothing touch" }', 'name = { zh = "安抚触摸" }', "en are missing"),
    ("[closing]", "[closing", "line"),
]


@pytest.mark.parametrize(("right", "wrong", "said"), WRONG)
def test_a_file_that_does_not_fit_names_itself_the_line_and_the_remedy(right: str, wrong: str, said: str, tmp_path: Path) -> None:
    text = (file.SHIPPED / "msc-8-week.toml").read_text(encoding="utf-8")
    assert right in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(Invalid) as refused:
        file.read(str(path))
    sentence = refused.value.sentence
    assert str(path) in sentence
    assert said in sentence
    expected = text[: text.index(right)].count("\n") + 1
    if "line" in sentence and wrong != "[closing":
        named = int(sentence.split("line ")[1].split(":")[0].split(",")[0].split(")")[0])
        assert abs(named - expected) <= 8, (named, expected, sentence)


def test_a_frozen_copy_is_read_as_the_file_was() -> None:
    for course in (MSC, PILOT):
        assert file.of(course.model_dump(mode="json")) == course
