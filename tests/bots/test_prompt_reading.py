"""Typed rules: a table of spellings in both languages, what is asked and what is refused, and what no words may ever do."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.prompt.reading import Reading, Unclear, read_rule, read_until

SHANGHAI = "Asia/Shanghai"
#: Monday, 23 November 2026, 19:00 in Shanghai; the course began on this day.
NOW, START = datetime(2026, 11, 23, 11, 0, tzinfo=UTC), date(2026, 11, 23)

SPELLINGS = {
    "每天8:00": "daily 08:00",
    "每天 早上8点": "daily 08:00",
    "每日 20：00": "daily 20:00",
    "每晚8点半": "daily 20:30",
    "每早8点": "daily 08:00",
    "每天中午12点": "daily 12:00",
    "每天晚上12点": "daily 00:00",
    "every day 8:00": "daily 08:00",
    "8pm every day": "daily 20:00",
    "daily at 7:30pm": "daily 19:30",
    "every evening at 7:30": "daily 19:30",
    "every morning 8": "daily 08:00",
    "每周一三五 20:00": "weekly 0,2,4 20:00",
    "每周二、周四 晚上7点半": "weekly 1,3 19:30",
    "每星期二和四 20:00": "weekly 1,3 20:00",
    "每礼拜天 9:00": "weekly 6 09:00",
    "每个周六日 上午9点": "weekly 5,6 09:00",
    "逢周三 晚上8点": "weekly 2 20:00",
    "每周1、3、5晚8点": "weekly 0,2,4 20:00",
    "每周日晚上12点": "weekly 0 00:00",
    "每个周末 9:00": "weekly 5,6 09:00",
    "工作日 7:30": "weekly 0,1,2,3,4 07:30",
    "weekly Mon Wed 20:00": "weekly 0,2 20:00",
    "every Mon, Wed & Fri 8pm": "weekly 0,2,4 20:00",
    "20:00 every Friday": "weekly 4 20:00",
    "Mondays and Thursdays 20:00": "weekly 0,3 20:00",
    "every Tuesday and Thursday evening at 7:30": "weekly 1,3 19:30",
    "weekdays 7:30": "weekly 0,1,2,3,4 07:30",
    "第3周周二 20:00": "week 3 1 20:00",
    "第三周 星期二、四 晚上8点": "week 3 1,3 20:00",
    "课程第3周的周二晚上8点": "week 3 1 20:00",
    "第十二周周日 9:00": "week 12 6 09:00",
    "week 3 Tuesday 20:00": "week 3 1 20:00",
    "week 3, Tuesday at 8pm": "week 3 1 20:00",
    "Tuesday of week 3 20:00": "week 3 1 20:00",
    "明晚8点": "2026-11-24 20:00",
    "周三 20:00": "2026-11-25 20:00",
    "下周一 20:00": "2026-11-30 20:00",
    "12月8日 20:00": "2026-12-08 20:00",
    "tomorrow 8pm": "2026-11-24 20:00",
}
UNTIL = {
    "每周一 20:00 到12月20日": date(2026, 12, 20),
    "每天 20:00，一直到12月20日为止": date(2026, 12, 20),
    "每天 20:00 到第6周": date(2027, 1, 3),
    "daily 8:00 until 20 Dec": date(2026, 12, 20),
    "daily 8:00 until week 6": date(2027, 1, 3),
}
#: What can mean two things, and what.
SEVERAL = {
    "每天 8点": ["daily 08:00", "daily 20:00"],
    "每周三五点": ["weekly 2 05:00", "weekly 2 17:00"],
    "每周一二十点": ["weekly 0,1 10:00", "weekly 0,1 22:00", "weekly 0 20:00"],
    "明天 8点": ["2026-11-24 08:00", "2026-11-24 20:00"],
    "第3周周二 8点": ["week 3 1 08:00", "week 3 1 20:00"],
}
REFUSED = {
    "": "unreadable",
    "大家好": "unreadable",
    "每天": "no_hour",
    "每周一": "no_hour",
    "每周 20:00": "no_weekday",
    "weekly 20:00": "no_weekday",
    "第3周 20:00": "no_weekday",
    "第99周周二 20:00": "week",
    "第0周周二 20:00": "week",
    "每隔一天 20:00": "monthly",
    "every other day 8:00": "monthly",
    "每两周周一 20:00": "monthly",
    "每小时": "monthly",
    "每天 25:00": "no_such_hour",
    "每天 20:00 到昨天": "until",
    "昨天 20:00": "past",
    "2030-01-01 20:00": "far",
    "每天 20:00 大家加油": "unreadable",
}


@pytest.mark.parametrize(("typed", "code"), SPELLINGS.items())
def test_what_leaders_type_is_understood(typed: str, code: str) -> None:
    read = read_rule(typed, NOW, SHANGHAI, START)
    assert isinstance(read, Reading), read
    assert (read.rule.code(), read.until) == (code, None)


@pytest.mark.parametrize(("typed", "until"), UNTIL.items())
def test_a_last_day_may_be_named_with_the_rule(typed: str, until: date) -> None:
    read = read_rule(typed, NOW, SHANGHAI, START)
    assert isinstance(read, Reading), read
    assert read.until == until
    ending = "until" + typed.partition("until")[2] if "until" in typed else "到" + typed.rpartition("到")[2]
    assert read_until(ending, NOW, SHANGHAI, START) == until


@pytest.mark.parametrize(("typed", "codes"), SEVERAL.items())
def test_what_can_mean_two_things_is_handed_back_to_be_asked(typed: str, codes: list[str]) -> None:
    read = read_rule(typed, NOW, SHANGHAI, START)
    assert isinstance(read, Unclear), read
    assert (read.key, [each.rule.code() for each in read.candidates]) == ("several", codes)


@pytest.mark.parametrize(("typed", "key"), REFUSED.items())
def test_what_is_no_rule_is_refused_with_a_reason(typed: str, key: str) -> None:
    read = read_rule(typed, NOW, SHANGHAI, START)
    assert isinstance(read, Unclear), read
    assert read.key == key


@pytest.mark.parametrize(
    ("typed", "key"),
    [("2月30日 20:00", "no_such_day"), ("每天 24:00", "no_such_hour"), ("每周一 24:00", "no_such_hour"), ("今天 9:00", "past")],
)
def test_k1_a_past_moment_the_30th_of_february_and_24_oclock_are_refused(typed: str, key: str) -> None:
    read = read_rule(typed, NOW, SHANGHAI, START)
    assert isinstance(read, Unclear)
    assert read.key == key


def test_k3_month_ends_are_not_offered_and_so_never_guessed() -> None:
    for typed in ("每月31日 20:00", "每月最后一天 20:00", "monthly 31 20:00", "every month on the 31st"):
        read = read_rule(typed, NOW, SHANGHAI, START)
        assert isinstance(read, Unclear)
        assert read.key == "monthly", typed


def test_k2_a_clock_time_recurs_as_it_was_typed_also_where_the_clocks_change_today() -> None:
    spring = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # 02:30 does not exist in Berlin on this day
    read = read_rule("每天 2:30", spring, "Europe/Berlin", None)
    assert isinstance(read, Reading)
    assert read.rule.code() == "daily 02:30"


def test_without_a_first_day_there_are_no_weeks() -> None:
    read = read_rule("第3周周二 20:00", NOW, SHANGHAI, None)
    assert isinstance(read, Unclear)
    assert read.key == "no_start"


_PIECES = st.lists(
    st.sampled_from(
        [
            "每周",
            "每天",
            "周二",
            "第3周",
            "一三五",
            "晚上",
            "8点",
            "20:00",
            "到",
            "12月20日",
            "every",
            "day",
            "mon",
            "week 3",
            "until",
            " ",
            "24:00",
            "二十",
            "，",
            "半",
            "99",
        ]
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(max_size=60), _PIECES.map("".join), _PIECES.map(" ".join)))
def test_no_words_break_it_and_what_it_reads_is_a_rule(text: str) -> None:
    read = read_rule(text, NOW, SHANGHAI, START)
    readings = (read,) if isinstance(read, Reading) else read.candidates
    assert all(0 <= day <= 6 for each in readings for day in each.rule.weekdays)
    assert all(each.rule.at.second == 0 for each in readings)
    assert isinstance(read, Reading) or read.key != "several" or len(readings) > 1
