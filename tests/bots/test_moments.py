"""Typed times: a table of spellings in both languages, clock changes, and what no words may ever do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bots.staff.moments import FARTHEST, Moment, Refusal, read_moment

SHANGHAI = "Asia/Shanghai"
#: Monday, 23 November 2026, 14:00 in Shanghai.
NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)

SPELLINGS = {
    # this day
    "今晚8点": "2026-11-23 20:00",
    "今晚八点": "2026-11-23 20:00",
    "今晚8点半": "2026-11-23 20:30",
    "今晚 8：15": "2026-11-23 20:15",
    "今晚20:00": "2026-11-23 20:00",
    "今天下午3点半": "2026-11-23 15:30",
    "今天下午三点一刻": "2026-11-23 15:15",
    "今天傍晚6点": "2026-11-23 18:00",
    "今天 16:05": "2026-11-23 16:05",
    "今天二十点三十分": "2026-11-23 20:30",
    "晚上8点": "2026-11-23 20:00",
    "下午3点发": "2026-11-23 15:00",
    "20:00": "2026-11-23 20:00",
    "２０：００": "2026-11-23 20:00",
    "20点": "2026-11-23 20:00",
    "20点整": "2026-11-23 20:00",
    "9:30": "2026-11-24 09:30",  # has passed today
    "今晚12点": "2026-11-24 00:00",
    "今晚十二点": "2026-11-24 00:00",
    "凌晨1点": "2026-11-24 01:00",
    "午夜": "2026-11-24 00:00",
    # days after
    "明早九点": "2026-11-24 09:00",
    "明天早上9点": "2026-11-24 09:00",
    "明天20:00": "2026-11-24 20:00",
    "明天中午12点": "2026-11-24 12:00",
    "明天中午1点": "2026-11-24 13:00",
    "明天0点": "2026-11-24 00:00",
    "明晚七点三刻": "2026-11-24 19:45",
    "明晚的8点吧": "2026-11-24 20:00",
    "明天晚上 8 点 05 分": "2026-11-24 20:05",
    "后天晚上七点": "2026-11-25 19:00",
    "大后天上午十点": "2026-11-26 10:00",
    # weekdays
    "周三晚上8点": "2026-11-25 20:00",
    "星期三 20:00": "2026-11-25 20:00",
    "礼拜天上午10点": "2026-11-29 10:00",
    "本周五 20:00": "2026-11-27 20:00",
    "这周日晚上7点": "2026-11-29 19:00",
    "下周一9:30": "2026-11-30 09:30",
    "下个星期一早上9点": "2026-11-30 09:00",
    "下下周五晚上7点": "2026-12-11 19:00",
    "周一 18:00": "2026-11-23 18:00",
    "周一 9:00": "2026-11-30 09:00",  # has passed today
    "周3 20:00": "2026-11-25 20:00",
    # dates
    "11月25日 20:00": "2026-11-25 20:00",
    "11月25日20点": "2026-11-25 20:00",
    "11月25日 周三 20:00": "2026-11-25 20:00",
    "11月25日（周三）20:00": "2026-11-25 20:00",
    "十一月二十五号二十点": "2026-11-25 20:00",
    "25号晚上8点": "2026-11-25 20:00",
    "22号晚上8点": "2026-12-22 20:00",
    "31号 20:00": "2026-12-31 20:00",
    "1月5日 20:00": "2027-01-05 20:00",
    "2026年11月25日 20:00": "2026-11-25 20:00",
    "2026-11-25 20:00": "2026-11-25 20:00",
    "2026-11-25T20:00:00": "2026-11-25 20:00",
    "2026/11/25 20:00": "2026-11-25 20:00",
    "2026.11.25 20:00": "2026-11-25 20:00",
    "11/25 20:00": "2026-11-25 20:00",
    "25/11 20:00": "2026-11-25 20:00",
    "11-25 20:00": "2026-11-25 20:00",
    "11.25 20:00": "2026-11-25 20:00",
    # from now
    "半小时后": "2026-11-23 14:30",
    "半个小时以后": "2026-11-23 14:30",
    "一个小时后": "2026-11-23 15:00",
    "两小时后": "2026-11-23 16:00",
    "一个半小时后": "2026-11-23 15:30",
    "1.5小时后": "2026-11-23 15:30",
    "90分钟后": "2026-11-23 15:30",
    "过20分钟后": "2026-11-23 14:20",
    "三天后": "2026-11-26 14:00",
    "3天后晚上8点": "2026-11-26 20:00",
    "一周后": "2026-11-30 14:00",
    # English
    "tonight at 8": "2026-11-23 20:00",
    "tonight at 7:45pm": "2026-11-23 19:45",
    "Tonight 20:00": "2026-11-23 20:00",
    "today 4pm": "2026-11-23 16:00",
    "this afternoon at 3": "2026-11-23 15:00",
    "tomorrow 8pm": "2026-11-24 20:00",
    "tomorrow 8 p.m.": "2026-11-24 20:00",
    "tomorrow at 8:30 am": "2026-11-24 08:30",
    "tomorrow morning at 9": "2026-11-24 09:00",
    "tomorrow night at 1am": "2026-11-25 01:00",
    "8 tomorrow evening": "2026-11-24 20:00",
    "half past 8 tomorrow evening": "2026-11-24 20:30",
    "quarter to 9 tonight": "2026-11-23 20:45",
    "tomorrow 8.30pm": "2026-11-24 20:30",
    "noon tomorrow": "2026-11-24 12:00",
    "midnight": "2026-11-24 00:00",
    "12am": "2026-11-24 00:00",
    "12pm tomorrow": "2026-11-24 12:00",
    "the day after tomorrow at 20:00": "2026-11-25 20:00",
    "Wednesday 8pm": "2026-11-25 20:00",
    "on Wed at 20:00": "2026-11-25 20:00",
    "this Friday 19:00": "2026-11-27 19:00",
    "next Monday 9:30am": "2026-11-30 09:30",
    "Nov 25 20:00": "2026-11-25 20:00",
    "November 25th, 8pm": "2026-11-25 20:00",
    "25 Nov 8pm": "2026-11-25 20:00",
    "Wed 25 Nov 20:00": "2026-11-25 20:00",
    "25 November 2026 20:00": "2026-11-25 20:00",
    "the 25th at 8pm": "2026-11-25 20:00",
    "in 2 hours": "2026-11-23 16:00",
    "in half an hour": "2026-11-23 14:30",
    "in an hour and a half": "2026-11-23 15:30",
    "in 90 min": "2026-11-23 15:30",
    "two hours from now": "2026-11-23 16:00",
    "in 3 days": "2026-11-26 14:00",
    "in 3 days at 8pm": "2026-11-26 20:00",
    "in a week": "2026-11-30 14:00",
}

REFUSALS = {
    "24:00": "no_such_hour",
    "明天24点": "no_such_hour",
    "25:00": "no_such_hour",
    "8:60": "no_such_hour",
    "早上15点": "no_such_hour",
    "2月30日 20:00": "no_such_day",
    "30 Feb 8pm": "no_such_day",
    "2027-02-29 20:00": "no_such_day",
    "13月1日 20:00": "no_such_day",
    "0号 20:00": "no_such_day",
    "11月25日 周四 20:00": "no_such_day",
    "今天8:00": "past",
    "今天下午1点": "past",
    "昨天20:00": "past",
    "yesterday 8pm": "past",
    "2026-11-22 20:00": "past",
    "2020-01-01 08:00": "past",
    "11月22日 20:00": "past",
    "0001-01-01 08:00": "past",
    "0分钟后": "past",
    "2028-01-01 20:00": "far",
    "9999-12-31 23:59": "far",
    "in 60 weeks": "far",
    "9999天后": "far",
    "明天": "no_hour",
    "明天晚上": "no_hour",
    "下周三": "no_hour",
    "tomorrow": "no_hour",
    "25 Nov": "no_hour",
    "三": "unreadable",
    "8": "unreadable",
    "老师好": "unreadable",
    "明天记得带毯子": "unreadable",
    "明天20:00见": "unreadable",
    "明天后天20:00": "unreadable",
    "明天20:00 21:00": "unreadable",
    "明天早上晚上8点": "unreadable",
    "tonight 9am": "no_such_hour",
    "２hours": "unreadable",
    "٢٠:٠٠": "unreadable",
    "99999天后": "unreadable",
    "": "unreadable",
    "，": "unreadable",
    "8" * 500: "unreadable",
    "明" * 500: "unreadable",
}

SEVERAL = {
    "8点": ["2026-11-23 20:00", "2026-11-24 08:00"],
    "3点半": ["2026-11-23 15:30", "2026-11-24 03:30"],
    "明天8点": ["2026-11-24 08:00", "2026-11-24 20:00"],
    "tomorrow at 8": ["2026-11-24 08:00", "2026-11-24 20:00"],
    "8 o'clock tomorrow": ["2026-11-24 08:00", "2026-11-24 20:00"],
    "下周一9点": ["2026-11-30 09:00", "2026-11-30 21:00"],
    "1/2 20:00": ["2027-01-02 20:00", "2027-02-01 20:00"],
}


def _shown(moment: datetime, zone: str = SHANGHAI) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def test_the_table_is_wide_enough() -> None:
    assert len(SPELLINGS) >= 80


@pytest.mark.parametrize(("words", "meant"), SPELLINGS.items(), ids=SPELLINGS)
def test_a_spelling_means_this_moment(words: str, meant: str) -> None:
    read = read_moment(words, NOW, SHANGHAI)
    assert isinstance(read, Moment), read
    assert _shown(read.at) == meant
    assert read.at.tzinfo is UTC


@pytest.mark.parametrize(("words", "key"), REFUSALS.items())
def test_a_time_that_cannot_be_is_refused_with_its_reason(words: str, key: str) -> None:
    assert read_moment(words, NOW, SHANGHAI) == Refusal(key)


@pytest.mark.parametrize(("words", "meant"), SEVERAL.items(), ids=SEVERAL)
def test_a_time_of_two_meanings_offers_both(words: str, meant: list[str]) -> None:
    read = read_moment(words, NOW, SHANGHAI)
    assert isinstance(read, Refusal)
    assert read.key == "several"
    assert [_shown(each) for each in read.candidates] == meant


def test_where_only_one_meaning_is_still_to_come_it_is_meant() -> None:
    assert read_moment("今天8点", NOW, SHANGHAI) == Moment(datetime(2026, 11, 23, 12, 0, tzinfo=UTC))


def test_the_same_words_mean_another_moment_in_another_zone() -> None:
    read = read_moment("20:00", NOW, "Europe/Berlin")
    assert isinstance(read, Moment)
    assert _shown(read.at, "Europe/Berlin") == "2026-11-23 20:00"
    assert read.at == datetime(2026, 11, 23, 19, 0, tzinfo=UTC)


def test_a_clock_time_that_spring_leaves_out_moves_forward() -> None:
    read = read_moment("2027-03-28 02:30", NOW, "Europe/Berlin")
    assert isinstance(read, Moment)
    assert _shown(read.at, "Europe/Berlin") == "2027-03-28 03:30"


def test_a_clock_time_that_autumn_has_twice_means_the_first() -> None:
    read = read_moment("2026-10-25 02:30", datetime(2026, 10, 24, 12, 0, tzinfo=UTC), "Europe/Berlin")
    assert read == Moment(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))


def test_between_the_two_equal_clock_times_the_second_is_meant() -> None:
    read = read_moment("02:30", datetime(2026, 10, 25, 0, 45, tzinfo=UTC), "Europe/Berlin")
    assert read == Moment(datetime(2026, 10, 25, 1, 30, tzinfo=UTC))


def test_two_hours_are_two_hours_also_across_a_clock_change() -> None:
    read = read_moment("in 2 hours", datetime(2026, 10, 25, 0, 0, tzinfo=UTC), "Europe/Berlin")
    assert read == Moment(datetime(2026, 10, 25, 2, 0, tzinfo=UTC))


def test_three_days_keep_the_clock_time_across_a_clock_change() -> None:
    read = read_moment("in 3 days", datetime(2026, 10, 23, 10, 0, tzinfo=UTC), "Europe/Berlin")
    assert isinstance(read, Moment)
    assert _shown(read.at, "Europe/Berlin") == "2026-10-26 12:00"


def test_the_29th_of_february_exists_in_leap_years_only() -> None:
    assert read_moment("2月29日 20:00", datetime(2028, 1, 10, tzinfo=UTC), SHANGHAI) == Moment(datetime(2028, 2, 29, 12, 0, tzinfo=UTC))
    assert read_moment("2月29日 20:00", datetime(2027, 1, 10, tzinfo=UTC), SHANGHAI) == Refusal("no_such_day")


def test_an_unknown_zone_is_a_defect_of_the_caller() -> None:
    with pytest.raises(LookupError):
        read_moment("20:00", NOW, "Mars/Olympus")


_PIECES = st.sampled_from(
    [
        "今",
        "明",
        "后天",
        "大后天",
        "昨天",
        "今晚",
        "明早",
        "周",
        "下周",
        "本周",
        "三",
        "日",
        "天",
        "十一月",
        "11月",
        "25日",
        "25号",
        "31号",
        "2月",
        "30日",
        "29日",
        "年",
        "2026",
        "2027",
        "9999",
        "0001",
        "-",
        "/",
        ".",
        ":",
        "：",
        "点",
        "时",
        "半",
        "一刻",
        "分",
        "整",
        "凌晨",
        "早上",
        "上午",
        "中午",
        "下午",
        "傍晚",
        "晚上",
        "半夜",
        "午夜",
        "后",
        "以后",
        "小时",
        "分钟",
        "个",
        "周后",
        "0",
        "1",
        "8",
        "9",
        "12",
        "13",
        "20",
        "23",
        "24",
        "30",
        "59",
        "60",
        "99",
        "两",
        "十",
        "二十",
        "零",
        "in",
        "at",
        "on",
        "the",
        "tonight",
        "tomorrow",
        "today",
        "yesterday",
        "next",
        "this",
        "Monday",
        "Wed",
        "Nov",
        "February",
        "25th",
        "noon",
        "midnight",
        "am",
        "pm",
        "a.m.",
        "half",
        "past",
        "quarter",
        "to",
        "an",
        "hour",
        "hours",
        "days",
        "weeks",
        "from",
        "now",
        "later",
        "T",
        ",",
        "(",
        ")",
    ]
)
_WORDS = st.one_of(st.text(max_size=40), st.lists(_PIECES, max_size=8).map("".join), st.lists(_PIECES, max_size=8).map(" ".join))
_NOWS = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
_ZONES = st.sampled_from([SHANGHAI, "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC"])


@settings(max_examples=400, deadline=None)
@given(_WORDS, _NOWS, _ZONES)
@example("9999-12-31 23:59", NOW, "America/New_York")
@example("0001-01-01 00:00", NOW, SHANGHAI)
@example("２²:③0", NOW, SHANGHAI)
def test_no_words_raise_and_none_mean_a_moment_that_has_passed(words: str, now: datetime, zone: str) -> None:
    read = read_moment(words, now, zone)
    moments = [read.at] if isinstance(read, Moment) else list(read.candidates)
    assert all(now < moment <= now + FARTHEST for moment in moments)
    assert moments == sorted(set(moments))
    if isinstance(read, Refusal):
        assert (read.key == "several") == (len(moments) > 1)


@settings(max_examples=300, deadline=None)
@given(_NOWS, _ZONES, st.timedeltas(timedelta(minutes=2), timedelta(days=300)))
def test_a_moment_written_out_in_full_is_read_back(now: datetime, zone: str, ahead: timedelta) -> None:
    local = (now + ahead).astimezone(ZoneInfo(zone)).replace(second=0, microsecond=0)
    read = read_moment(f"{local:%Y-%m-%d %H:%M}", now, zone)
    assert isinstance(read, Moment)
    assert f"{read.at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" == f"{local:%Y-%m-%d %H:%M}"
