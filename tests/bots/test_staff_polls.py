"""A leader asks for answers, sees them, asks once more and closes, in the chat."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bots.clipping import room
from bots.effects import Announce, ClosePoll, FollowUp, Poll
from bots.facts import Announcements, AnnouncementSummary, PollResult, Progress, ProgressOf, ReachForecast
from bots.staff.commands import Command, read_command
from bots.turns import Tapped
from tests.bots.staff_chat import BIG, NOW, Chat, says

UNTIL = NOW + timedelta(days=2)
RESULT = PollResult(("北京", "郑州"), (("小雨", "阿木"), ()), ("王芳", "大刘"), 2, UNTIL, open=True)
DONE = AnnouncementSummary(BIG + 3, 3, "晨光组", "去哪？", NOW, "done", 4, 4)


def chat(result: PollResult | None = RESULT, **more: Any) -> Chat:
    progress = Progress(BIG + 3, 3, "晨光组", "去哪？", 4, (("微信已接收", 4),), (), result)
    return Chat(facts={Announcements(50): (DONE,), ProgressOf(BIG + 3): progress}, **more)


def test_a_poll_goes_along_with_the_announcement() -> None:
    here = Chat().to_preview()
    here.taps("要回应")
    here.types("北京\n郑州")
    assert "大家可以选：北京、郑州" in here.text()
    here.types("截止 周三 20:00")
    assert "11月25日 周三 20:00 截止" in here.text()
    here.taps("确认发送")
    (announce,) = here.effects
    assert isinstance(announce, Announce)
    assert announce.poll == Poll(("北京", "郑州"), NOW.replace(day=25, hour=12))
    assert Chat().to_preview().types("确认") == says("done.now", group="晨光组"), "and nothing is asked of anybody unless it is wished"


def test_got_it_is_one_tap_and_can_be_taken_out_again() -> None:
    here = Chat().to_preview()
    here.taps("要回应")
    here.taps("点「收到」就行")
    assert "大家可以点：收到" in here.text()
    here.taps("改回应")
    here.taps("不用回应")
    assert "大家可以" not in here.text()
    here.types("收到")
    here.types("确认")
    assert [each.poll for each in here.effects if isinstance(each, Announce)] == [Poll()]


@pytest.mark.parametrize(
    ("typed", "key"),
    [("北京", "few"), ("一 二 三 四 五 六 七 八 九", "many"), ("北京 " + "长" * 13, "long"), ("北京 ！", "few")],
)
def test_options_that_cannot_be_offered_are_named_and_asked_again(typed: str, key: str) -> None:
    here = Chat().to_preview()
    here.taps("要回应")
    assert here.types(typed).startswith(says(f"poll.{key}"))
    assert here.labels() == ["点「收到」就行", "不用回应", "取消"]


def test_a_text_too_long_for_its_options_is_told_before_anything_goes() -> None:
    here = Chat().to_preview("长" * 400)
    here.taps("要回应")
    assert "文字最多只能有" in here.types("北京 郑州 青岛 成都 西安 广州 哈尔滨 杭州")
    assert "大家可以点" in here.taps("点「收到」就行")
    here.taps("改回应")
    here.types("北京 郑州")
    here.taps("改文字")
    assert "太长了" in here.types("长" * 500)


@pytest.mark.parametrize(("refusal", "key"), [("until", "poll.until"), ("options", "poll.options")])
def test_a_refused_poll_comes_back_to_its_preview(refusal: str, key: str) -> None:
    here = Chat(refuses=refusal).to_preview()
    here.types("投票 北京 郑州")
    assert here.types("确认").startswith(says(key))
    assert "确认发送" in here.labels()


@pytest.mark.parametrize(("language", "when", "poll"), [("zh", "现在", "投票 "), ("en", "now", "poll ")])
def test_a_preview_with_the_most_of_everything_fits(language: str, when: str, poll: str) -> None:
    here = Chat(language=language, forecast=ReachForecast(999, 500, 200, 199, 100, quiet_until=NOW))
    for words in ("announce", "长" * 130, when, poll + " ".join(f"城市城市{place}" for place in range(8))):
        here.types(words)
    assert "城市城市7" in here.text()
    assert all(room(message) >= 0 for message in here.last)


def test_who_answered_is_counted_and_named_and_who_is_silent_comes_first() -> None:
    here = chat(replace(RESULT, followed_at=NOW, followed=3, followed_reached=1))
    assert here.types("谁收到了 3").splitlines()[2:] == [
        "问了 4 人，2 人回答了（11月25日 周三 19:00 截止）。",
        "北京 2，郑州 0",
        "上次催：11月23日 周一 19:00，发给 3 人，1 人收到。",
        "还没回答 2 人：王芳、大刘",
        "北京 2 人：小雨、阿木",
    ]
    assert here.labels() == ["刷新", "催一下 3", "截止 3"]
    assert chat(replace(RESULT, askable=0)).types("谁收到了 3")
    closed = chat(replace(RESULT, open=False))
    closed.types("谁收到了 3")
    assert closed.labels() == ["刷新"]


def test_many_names_are_cut_to_what_fits() -> None:
    names = tuple(f"姓名很长的同学{place}" for place in range(200)) + ("",) * 50
    for language in ("zh", "en"):
        here = chat(replace(RESULT, silent=names, answered=(names, names)), language=language)
        assert "250" in here.types("who got it 3")
        shown = here.types("follow up 3").count("姓名很长的同学")
        assert f"{250 - shown}" in here.text(), "whoever is not named is counted"


def test_asking_once_more_shows_who_and_sends_only_what_was_shown() -> None:
    here = chat()
    here.types("催一下 3")
    assert "还没回答：王芳、大刘" in here.text()
    first = here.id_of("原话再发一次")
    here.types("明天就截止啦")
    assert "这样说：「明天就截止啦」" in here.text()
    assert not here.effects
    here.does(Tapped(first, "原话再发一次"))
    assert here.text() == says("follow.stale")
    assert not here.effects
    here.types("催一下 3：明天就截止啦")
    here.types("确认")
    assert here.effects == (FollowUp(BIG + 3, "明天就截止啦"),)
    assert not here.open
    here.types("催一下")
    here.taps("原话再发一次")
    assert here.effects == (FollowUp(BIG + 3, ""),)


@pytest.mark.parametrize(
    ("result", "key"),
    [
        (None, "follow.asks_nothing"),
        (replace(RESULT, open=False), "follow.closed"),
        (replace(RESULT, silent=(), askable=0), "follow.nobody"),
    ],
)
def test_where_nobody_can_be_asked_it_says_why(result: PollResult | None, key: str) -> None:
    here = chat(result)
    assert here.types("催一下 3") == says(key)
    assert not here.open


def test_where_all_who_are_silent_still_wait_for_the_announcement_nobody_is_asked() -> None:
    assert chat(replace(RESULT, askable=0)).types("催一下 3") == says("follow.still_to_come", count=2)


def test_words_of_a_follow_up_that_are_too_long_are_refused_with_the_limit() -> None:
    assert "太长了" in chat().types("催一下 3：" + "长" * 500)


def test_a_follow_up_leaves_the_announcement_that_is_being_written() -> None:
    here = chat()
    here.types("公告")
    here.types("催一下 3")
    here.taps("原话再发一次")
    assert here.effects == (FollowUp(BIG + 3, ""),)
    assert here.text().endswith(says("draft_kept"))
    here.types("明晚见")
    assert "什么时候发" in here.text()


def test_cancel_leaves_a_follow_up_and_nothing_goes() -> None:
    for words in ("取消", "算了"):
        here = chat()
        here.types("催一下 3")
        assert here.types(words) == says("follow.left")
        assert here.effects == ()
        assert not here.open


def test_closing_says_what_was_answered() -> None:
    here = chat()
    assert here.types("截止 3").splitlines()[0] == says("close.done", number=3, group="晨光组")
    assert here.effects == (ClosePoll(BIG + 3),)
    assert "北京 2，郑州 0" in here.text()
    assert chat(replace(RESULT, open=False)).types("截止 3") == says("follow.closed")
    assert chat(None).types("截止 3") == says("follow.asks_nothing")
    assert chat().types("截止 4") == says("unknown_number")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("催一下 12", Command("follow", 12)),
        ("催 12", Command("follow", 12)),
        ("催一下", Command("follow")),
        ("follow up 12", Command("follow", 12)),
        ("Follow-up #12", Command("follow", 12)),
        ("催一下 12：明天截止", Command("follow", 12, "明天截止")),
        ("follow up 12: closes tomorrow", Command("follow", 12, "closes tomorrow")),
        ("截止 12", Command("close", 12)),
        ("结束投票 12", Command("close", 12)),
        ("close 12", Command("close", 12)),
        ("截止", None),
        ("催一下大家", None),
        ("close", None),
        ("截止 周三 20:00", None),
    ],
)
def test_the_commands_and_what_is_none(text: str, command: Command | None) -> None:
    assert read_command(text) == command
