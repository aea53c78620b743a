"""A mass send in the staff's chat: offered where there is one, never chosen by the bot, its price shown before it is used."""

from dataclasses import replace

import pytest

from bots.choices import short
from bots.effects import Announce
from bots.facts import MassForecast, Progress, ProgressOf, ReachForecast
from bots.turns import Role, Tapped
from tests.bots.staff_chat import BIG, Chat, group, says

LARGE = (group(9, "全体", role=Role.ADMINISTRATOR, large=True),)
FORECAST = ReachForecast(26, 3, 0, 21, 2, mass=MassForecast(reached=22, used_up=2, left=3, most=4))


def chat(language: str = "zh", forecast: ReachForecast = FORECAST) -> Chat:
    return Chat(memberships=LARGE, language=language, forecast=forecast)


def chosen(one: Chat) -> list[bool]:
    """Of each announcement that was confirmed: whether it goes as a mass send."""
    return [each.by_mass for each in one.effects if isinstance(each, Announce)]


def labels(one: Chat) -> list[str]:
    return [choice.label for choice in one.choices()]


def test_a_mass_send_is_offered_and_not_chosen() -> None:
    one = chat().to_preview()
    assert labels(one) == ["确认发送", "改用群发", "改文字", "改时间", "要回应", "取消"]
    assert "也可以改用群发：22 人都能收到" in one.text()
    assert "这个月还剩 3 次" in one.text()
    one.taps("确认发送")
    assert chosen(one) == [False]


def test_its_preview_shows_what_it_costs_and_its_confirmation_is_its_own() -> None:
    one = chat().to_preview()
    usual = one.id_of("确认发送")
    one.taps("改用群发")
    assert "26 人：群发给 22 人（微信只报送达人数，不说是谁），2 人这个月的群发次数已用完，改走平时的方式，2 人收不到。" in one.text()
    assert "用了这次，这个月还剩 2 次" in one.text()
    assert labels(one) == ["确认群发", "不用群发", "改文字", "改时间", "取消"]
    assert one.does(Tapped(usual, "确认发送")).startswith(says("stale.preview")), "the former preview promised something else"
    assert not one.effects
    one.taps("确认群发")
    assert chosen(one) == [True]
    assert says("done.mass_now", group="全体") in one.text()


def test_the_way_back_is_one_tap() -> None:
    one = chat().to_preview()
    one.types("群发")
    one.types("不用群发")
    one.taps("确认发送")
    assert chosen(one) == [False]


@pytest.mark.parametrize("mass", [None, MassForecast(0, 24, 0, 4)])
def test_where_it_would_reach_nobody_it_is_not_offered(mass: MassForecast | None) -> None:
    one = chat(forecast=replace(FORECAST, mass=mass)).to_preview()
    assert labels(one) == ["确认发送", "改文字", "改时间", "要回应", "取消"]
    assert "群发" not in one.text()


def test_what_was_chosen_is_dropped_where_it_is_not_to_be_had_any_more() -> None:
    one = chat().to_preview()
    one.taps("改用群发")
    one.forecast = replace(FORECAST, mass=None)
    one.types("明天 20:00")
    assert labels(one) == ["确认发送", "改文字", "改时间", "要回应", "取消"]
    one.taps("确认发送")
    assert chosen(one) == [False]


def test_another_text_keeps_the_way_and_another_group_has_its_own() -> None:
    one = chat().to_preview()
    one.taps("改用群发")
    one.taps("改文字")
    one.types("新的话")
    assert labels(one)[0] == "确认群发"


def test_the_last_ones_of_a_month_are_told() -> None:
    one = chat(forecast=replace(FORECAST, mass=MassForecast(24, 0, 0, 4))).to_preview()
    one.taps("改用群发")
    assert "排好的已经把这个月用满" in one.text()


def test_a_refusal_brings_the_usual_way_back() -> None:
    one = chat().to_preview()
    one.refuses = "mass"
    one.taps("改用群发")
    one.forecast = replace(FORECAST, mass=None)
    assert one.taps("确认群发").startswith(says("refused.mass"))
    assert labels(one) == ["确认发送", "改文字", "改时间", "要回应", "取消"]


def test_in_english_all_of_it_reads_the_same() -> None:
    one = chat("en")
    for words in ("announce", "See you tomorrow", "now"):
        one.types(words)
    one.taps("Use a mass send")
    assert "22 by a mass send (WeChat reports how many got it, not who)" in one.text()
    assert "after this one, 2 are left this month" in one.text()
    one.taps("Send as mass send")
    assert one.effects


def test_who_got_it_tells_the_number_that_wechat_reports() -> None:
    one = chat()
    note = "一次群发；微信报告 24 / 26，不说是谁"
    one.facts[ProgressOf(BIG)] = Progress(BIG, 3, "全体", "静修", 26, (("微信已接收", 26),), notes=(note,))
    one.does(Tapped("staff.who." + short(BIG), "谁收到了 3"))
    assert f"{note}。" in one.text()
