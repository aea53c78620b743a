"""How people say that they practised: what is heard, and what is left to others."""

import pytest

from bots.homework import words
from bots.homework.book import Practice
from bots.homework.words import Said

PRACTICES = (
    Practice(0, "pause", {"zh": "停一停", "en": "A pause"}, 5),
    Practice(1, "breath", {"zh": "数十次呼吸", "en": "Ten breaths"}, 10),
    Practice(2, "warm", {"zh": "带着暖意的呼吸", "en": "Breathing with warmth"}, 20),
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("打卡", Said()),
        ("打卡！", Said()),
        ("练了", Said()),
        ("我练了", Said()),
        ("今天打卡", Said()),
        ("我练了15分钟呼吸", Said(0, 15, "呼吸")),
        ("我练了呼吸15分钟", Said(0, 15, "呼吸")),
        ("昨天练了", Said(1)),
        ("补昨天", Said(1)),
        ("前天练了半小时", Said(2, 30)),
        ("昨天练了十分钟停一停", Said(1, 10, "停一停")),
        ("打卡：停一停", Said(practice="停一停")),
        ("打卡 停一停", Said(practice="停一停")),
        ("打卡：昨天练了5分钟", Said(1, 5)),
        ("练了一小时", Said(0, 60)),
        ("checked in", Said()),
        ("Check in", Said()),
        ("I practised 20 minutes", Said(0, 20)),
        ("I've practiced for half an hour", Said(0, 30)),
        ("practised yesterday", Said(1)),
        ("I practised ten breaths for 10 minutes two days ago", Said(2, 10, "ten breaths")),
    ],
)
def test_a_check_in_is_heard_in_many_words(text: str, said: Said) -> None:
    assert words.read_check_in(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "练了很久还是难受",
        "谁练了",
        "我今天没有练",
        "练了吗",
        "打卡了吗？",
        "怎么打卡",
        "我练了，可是更难受了",
        "你好",
        "I have not practised",
        "I practised but it hurts",
        "check in at the hotel tomorrow",
        "我不想活了",
        "打" * 200,
    ],
)
def test_what_tells_of_more_than_a_practice_is_left_to_others(text: str) -> None:
    found = words.read_check_in(text)
    assert found is None or found.practice, text


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("15", 15), ("十五", 15), ("二十分钟", 20), ("半小时", 30), ("1小时", 60), ("about 20 min", 20), ("15分钟左右", 15), ("６", 6)],
)
def test_minutes_are_read(text: str, minutes: int) -> None:
    assert words.read_minutes(text) == minutes


@pytest.mark.parametrize("text", ["0", "601", "很多", "", "²", "-5", "1e3", "十十", "练得很好"])
def test_what_is_no_number_of_minutes_is_none(text: str) -> None:
    assert words.read_minutes(text) is None


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("停一停", "pause"),
        ("停一停练习", "pause"),
        ("ten breaths", "breath"),
        ("十次呼吸", "breath"),
        ("呼吸", None),
        ("散步", None),
        ("", None),
    ],
)
def test_a_practice_is_recognised_where_only_one_can_be_meant(said: str, code: str | None) -> None:
    found = words.meant(said, PRACTICES)
    assert (found and found.code) == code
