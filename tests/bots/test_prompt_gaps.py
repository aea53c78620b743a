"""The gaps in a prompt's words: each reader's own name, the week of the course, and people without a name."""

import pytest

from bots.clipping import size
from bots.prompt import gaps
from bots.texts import Words

NAMELESS = ("朋友", "friend")


@pytest.mark.parametrize(
    ("text", "named", "nameless"),
    [
        ("{name}，第 {week} 周了。", "小雨，第 3 周了。", "第 3 周了。"),
        ("亲爱的{name}，晚上好。", "亲爱的小雨，晚上好。", "亲爱的朋友，晚上好。"),
        ("晚安，{name}！", "晚安，小雨！", "晚安！"),
        ("晚安，{name}", "晚安，小雨", "晚安"),
        ("{称呼}：记得练习", "小雨：记得练习", "记得练习"),
        ("｛名字｝，第{周}周", "小雨，第3周", "第3周"),
        ("{ Name }, time to sit.", "小雨, time to sit.", "Time to sit."),
        ("Good night, {name}!", "Good night, 小雨!", "Good night!"),
        ("Dear {name}, rest well.", "Dear 小雨, rest well.", "Dear friend, rest well."),
        ("这是{name}的练习，{name}。", "这是小雨的练习，小雨。", "这是朋友的练习。"),
        ("{name}", "小雨", "friend"),
        ("{week}", "3", "3"),
        ("没有空", "没有空", "没有空"),
    ],
)
def test_each_reader_is_spoken_to_by_name_and_nobody_by_a_gap(text: str, named: str, nameless: str) -> None:
    assert gaps.fill(text, "小雨", 3, NAMELESS) == named
    for nobody in (None, "", "  "):
        assert gaps.fill(text, nobody, 3, NAMELESS) == nameless


@pytest.mark.parametrize(
    "text",
    ["{{7*7}}", "${7*7}", "%s%n", "{0.__class__}", "{{first.DATA}}", "{}", "{ }", "{name", "name}", "{very_long_word_that_is_no_gap}"],
)
def test_d7_other_braces_are_words(text: str) -> None:
    assert gaps.fill(text, "小雨", 3, NAMELESS) == text
    assert gaps.find(text) == gaps.Gaps(name=False, week=False, unknown=())


def test_a_gap_that_nobody_knows_is_named() -> None:
    assert gaps.find("{nmae}，{week}，{心情}，{nmae}") == gaps.Gaps(name=False, week=True, unknown=("nmae", "心情"))


def test_neither_words_nor_a_name_can_carry_a_link() -> None:
    filled = gaps.fill("<a href='weixin://x'>{name}</a>", "<b>weixin://bizmsgmenu?</b>", 3, NAMELESS)
    assert isinstance(filled, Words)
    assert not set("<>") & set(filled)
    assert "weixin://" not in filled
    assert "weixin://" not in gaps.fill("wei{name}xin:/{name}/x", "", 3, NAMELESS)


@pytest.mark.parametrize("name", ["名" * 40, "𠀀" * 40, "n" * 40, "<" * 40])
def test_the_longest_name_is_counted_with_forty_characters(name: str) -> None:
    for text in ("{name}，{week}", "晚安，{name}！{name}，<>", "字" * 300 + "{name}"):
        assert size(gaps.fill(text, name, 52, NAMELESS)) <= gaps.longest(text)


def test_a_gap_weighs_what_a_name_weighs_and_not_what_it_is_written_with() -> None:
    assert gaps.longest("晚安") == 6
    assert gaps.longest("{name}") == gaps.longest("{ 称呼 }") == gaps.LONGEST_NAME_BYTES
