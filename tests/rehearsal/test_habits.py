"""What imagined people do with what they are shown: the next step, and never one that takes back what they did."""

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from app.rehearsal import habits
from app.rehearsal.habits import HABITS, Deed

EAGER, NIGHT = HABITS[0], HABITS[-1]


def tap(shown: str, number: int = 1) -> str:
    return f'<a href="weixin://bizmsgmenu?msgmenucontent={shown}&amp;msgmenuid={number}">{shown}</a>'


def step(shown: str, before: str = "") -> Deed | None:
    return habits.following(EAGER, shown, before, 0, random.Random(1))


@pytest.mark.parametrize("aside", ["收回", "先不写", "给回", "改时间", "停下"])
def test_nobody_takes_back_what_they_did(aside: str) -> None:
    assert step(f"已经交给组长了。\n{tap(aside)}") is None


def test_an_offered_step_is_taken_and_not_twice() -> None:
    shown = f"#3 想请人回答。\n{tap('我来回答', 7)}"
    assert step(shown) == Deed(href="weixin://bizmsgmenu?msgmenucontent=我来回答&msgmenuid=7")
    assert step(shown, shown) is None


@pytest.mark.parametrize(
    "asked", ["想问什么，写下来发给我就行，最多约 300 个汉字。", "大概练了几分钟？", "想给自己留一句话吗？直接写就好。"]
)
def test_what_is_to_be_written_is_written(asked: str) -> None:
    done = step(f"{asked}\n{tap('不用')}")
    assert done is not None
    assert done.text


def test_answers_are_low_whoever_types_them() -> None:
    offered = "\n".join(f'<a href="weixin://bizmsgmenu?msgmenuid={n}">{n}. 有时</a>' for n in range(1, 6))
    done = step(f"3/21 · 过去一周\n{offered}")
    assert done == Deed(text="1 1 1 1 1")


def test_who_answers_at_night_does_so_at_night() -> None:
    noon = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
    at = habits.when(NIGHT, noon, "Asia/Shanghai", random.Random(1)).astimezone(ZoneInfo("Asia/Shanghai"))
    assert at.hour in (23, 0, 1)
