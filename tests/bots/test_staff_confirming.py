"""From the preview to the announcement: late and repeated taps, forecasts, several courses, drafts that rest."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bots.effects import Announce
from bots.facts import (
    EqualAnnouncement,
    Reach,
    ReachForecast,
)
from bots.turns import Tapped
from tests.bots.staff_chat import APART, BIG, TWO, Chat, says


def test_a_second_tap_on_the_confirmation_sends_nothing() -> None:
    chat = Chat().to_preview()
    confirm = chat.id_of("确认发送")
    chat.does(Tapped(confirm, "确认发送"))
    assert chat.effects
    assert chat.does(Tapped(confirm, "确认发送")).startswith(says("stale.done"))
    assert chat.effects == ()


def test_the_confirmation_of_an_older_preview_sends_nothing_and_shows_the_present_one() -> None:
    chat = Chat().to_preview("旧的")
    old = chat.id_of("确认发送")
    chat.types("改文字")
    chat.types("新的")
    said = chat.does(Tapped(old, "确认发送"))
    assert said.startswith(says("stale.preview"))
    assert "「新的」" in said
    assert chat.effects == ()


@pytest.mark.parametrize(
    "choice",
    [
        "staff.ok.zzz",
        "staff.ok.",
        "staff.ok.0",
        "staff.again.1",
        "staff.at.1.0",
        "staff.group.1.2",
        "staff.",
        "staff.nonsense",
        "staff.ok.A_1",
    ],
)
def test_a_tap_without_a_draft_changes_nothing(choice: str) -> None:
    chat = Chat()
    chat.does(Tapped(choice, "确认发送"))
    assert (chat.effects, chat.open) == ((), False)


@pytest.mark.parametrize("choice", ["staff.ok.zzz", "staff.again.1", "staff.at.1.0", "staff.leave.1", "staff.text.1"])
def test_a_tap_of_another_draft_shows_where_this_one_stands(choice: str) -> None:
    chat = Chat().to_preview()
    chat.does(Tapped(choice, "?"))
    assert chat.effects == ()
    assert "「明天见」" in chat.text()


def test_a_late_tap_on_the_group_of_the_same_draft_corrects_it() -> None:
    chat = Chat(TWO)
    for words in ("公告", "带毯子"):
        chat.types(words)
    dawn = chat.id_of("晨光组")
    chat.types("晚霞组")
    chat.types("现在")
    assert "发给晨光组，现在发出" in chat.does(Tapped(dawn, "晨光组"))


def test_a_preview_of_eleven_minutes_is_shown_anew() -> None:
    chat = Chat().to_preview()
    chat.now += timedelta(minutes=10, seconds=1)
    before = chat.id_of("确认发送")
    assert chat.taps("确认发送").startswith(says("preview_old"))
    assert chat.effects == ()
    assert chat.id_of("确认发送") != before
    chat.taps("确认发送")
    assert chat.effects


def test_equal_words_need_one_more_yes() -> None:
    chat = Chat(facts={EqualAnnouncement(BIG + 1, "明天见"): True}).to_preview()
    assert chat.types("确认") == says("ask.again")
    assert [*chat.effects] == []
    chat.types("呃")
    assert [*chat.effects] == []
    assert chat.labels() == ["再发一次", "取消"]
    chat.taps("再发一次")
    assert chat.effects == (Announce(BIG + 1, "明天见", None, chat.codes),)


def test_the_second_yes_counts_only_after_it_was_asked_for() -> None:
    chat = Chat(facts={EqualAnnouncement(BIG + 1, "明天见"): True}).to_preview()
    skipping = chat.id_of("确认发送").replace(".ok.", ".again.")
    assert chat.does(Tapped(skipping, "再发一次")) == says("ask.again")
    assert chat.effects == ()


@pytest.mark.parametrize(
    ("refusal", "key"), [("role", "refused.role"), ("past", "moment.past"), ("long", "refused.text"), ("empty", "refused.text")]
)
def test_a_refusal_of_the_application_is_told_in_words(refusal: str, key: str) -> None:
    chat = Chat(refuses=refusal).to_preview()
    assert chat.types("确认").startswith(says(key))
    assert chat.effects == ()
    assert chat.open == (refusal != "role")


# The forecast -------------------------------------------------------------------------------------------------------------------


def _forecast_words(forecast: ReachForecast, when: str = "现在", language: str = "zh") -> str:
    chat = Chat(forecast=forecast)
    chat.to_preview(when=when)
    chat.language = language
    return chat.types("?")


def test_the_forecast_names_every_route_and_adds_up() -> None:
    words = "28 人：现在 19 人能收到，5 人会收到通知（点开看原文），2 人要等他们下次说话，2 人收不到。"
    assert words in _forecast_words(ReachForecast(28, 19, 5, 2, 2))
    words = "Recipients: 28 – 19 now, 5 by a notice that opens the text, 2 only when they next write, 2 not at all."
    assert words in _forecast_words(ReachForecast(28, 19, 5, 2, 2), language="en")


def test_the_forecast_leaves_out_what_is_nobody() -> None:
    assert "26 人：现在 26 人能收到。" in _forecast_words(ReachForecast(26, 26, 0, 0, 0))


def test_the_forecast_of_a_later_moment_says_that_it_is_one() -> None:
    assert "3 人：到时预计 2 人能收到，1 人要等他们下次说话。" in _forecast_words(ReachForecast(3, 2, 0, 1, 0), when="今晚")


def test_the_forecast_says_when_quiet_hours_hold_it() -> None:
    quiet = ReachForecast(3, 2, 0, 1, 0, quiet_until=datetime(2026, 11, 24, 0, 0, tzinfo=UTC))
    words = _forecast_words(quiet)
    assert "到时预计 2 人" in words
    assert says("forecast.quiet", until=datetime(2026, 11, 24, 0, 0, tzinfo=UTC)) in words


def test_the_forecast_says_when_a_silence_holds_it_and_into_which_morning_it_leads() -> None:
    end, morning = datetime(2026, 11, 23, 15, 0, tzinfo=UTC), datetime(2026, 11, 24, 0, 0, tzinfo=UTC)
    words = _forecast_words(ReachForecast(3, 2, 0, 1, 0, silent_until=end))
    assert "到时预计 2 人" in words
    assert says("forecast.silent", until=end) in words
    words = _forecast_words(ReachForecast(3, 2, 0, 1, 0, silent_until=end, quiet_until=morning))
    assert says("forecast.silent", until=morning) in words
    assert says("forecast.quiet", until=morning) not in words


def test_the_forecast_says_who_has_had_enough_that_day() -> None:
    assert "3 人：现在 1 人能收到，2 人当天收到的已经够多，顺延到第二天。" in _forecast_words(ReachForecast(3, 1, 0, 0, 0, capped=2))


def test_an_empty_group_is_said_to_be_empty() -> None:
    assert says("forecast.nobody") in _forecast_words(ReachForecast(0, 0, 0, 0, 0))


def test_the_forecast_is_asked_for_the_chosen_group_and_time() -> None:
    chat = Chat(TWO)
    for words in ("公告", "带毯子", "晚霞组", "今晚"):
        chat.types(words)
    assert Reach(BIG + 2, datetime(2026, 11, 23, 12, 0, tzinfo=UTC)) in chat.asked


# Several courses ----------------------------------------------------------------------------------------------------------------


def test_the_course_is_asked_once_and_remembered_for_the_day() -> None:
    chat = Chat(APART)
    chat.types("公告")
    assert chat.labels() == ["课程1", "课程2"]
    assert chat.types("都行").startswith(says("refused.choice"))
    chat.taps("课程2")
    assert chat.text() == says("ask.text_in_course", limit=1500, course="课程2")
    chat.types("带毯子")
    assert chat.text() == says("ask.when", group="晚霞组")
    chat.types("现在")
    chat.types("确认")
    assert chat.effects == (Announce(BIG + 2, "带毯子", None, chat.codes),)
    assert chat.types("公告") == says("ask.text_in_course", limit=1500, course="课程2")
    chat.types("取消")
    chat.now += timedelta(days=1)
    chat.types("公告")
    assert chat.labels() == ["课程1", "课程2"]


@pytest.mark.parametrize("typed", ["2", "课程2", "第二个"])
def test_the_course_can_be_typed(typed: str) -> None:
    chat = Chat(APART)
    chat.types("公告")
    assert chat.types(typed) == says("ask.text_in_course", limit=1500, course="课程2")


def test_the_course_can_be_switched() -> None:
    chat = Chat(APART)
    for words in ("公告", "1", "带毯子", "换课程"):
        chat.types(words)
    assert chat.labels() == ["课程1", "课程2"]
    assert chat.types("2") == says("ask.when", group="晚霞组")


def test_with_one_course_there_is_nothing_to_switch() -> None:
    assert Chat().types("换课程") == says("one_course")


# A draft that rests -------------------------------------------------------------------------------------------------------------


def test_words_after_two_hours_are_not_taken_for_the_announcement() -> None:
    chat = Chat()
    chat.types("公告")
    chat.now += timedelta(hours=3)
    assert chat.types("小雨，你还好吗？").startswith(says("rested"))
    chat.types("带毯子")
    assert chat.text() == says("ask.when", group="晨光组")


@pytest.mark.parametrize("words", ["继续", "continue"])
def test_going_on_shows_the_open_question(words: str) -> None:
    chat = Chat()
    chat.types("公告")
    chat.types("带毯子")
    chat.types("列表")
    assert says("draft_kept") in chat.text()
    assert chat.types(words) == says("ask.when", group="晨光组")


@pytest.mark.parametrize(
    "memory", [{"v": 2}, {}, {"v": 1, "id": "7"}, {"v": 1, "id": True}, {"v": 1, "step": 3}, {"v": 1, "text": None}, {"w": 1}]
)
def test_unreadable_memory_is_none(memory: Mapping[str, Any]) -> None:
    chat = Chat(memory=memory, open=True)
    assert chat.types("带毯子") == says("closed")
    assert chat.memory is None
