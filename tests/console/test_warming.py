"""Encouragement in the console: who decides about warm words, when they go, what is left of a month's mass sends."""

import re
from collections.abc import Iterator

import pytest

from app import groups, schedules
from bots.turns import Role
from tests.console.test_pages import alerts
from tests.console.visiting import HOME, Staff, audited, browsing, staff
from tests.delivery.scene import NOW, Desk, at
from tests.delivery.warming import Warm

PROPOSED = {"zh": "茶凉了也没关系，先抱抱今天的自己。", "en": "", "theme": "arriving"}


@pytest.fixture
def warm(database_url: str) -> Iterator[Warm]:
    with Desk(database_url) as desk, at(NOW):
        made = Warm(desk)
        made.begin()
        yield made


def admin(warm: Warm) -> Staff:
    return staff(warm.desk, "管理员", Role.ADMINISTRATOR, group=large(warm))


def large(warm: Warm) -> int:
    return warm.desk.read(lambda tx: groups.by_code(tx, "msc-all"))


def page(warm: Warm) -> str:
    return f"{HOME}/encouragement/{warm.desk.course_id}"


def word(text: str, words: str) -> tuple[str, str]:
    """The id of the word with this text, and its part of the page."""
    part = next(each for each in text.split('<li id="word-')[1:] if words in each)
    return part.split('"')[0], part


def test_what_a_leader_proposes_an_administrator_approves_and_pauses(warm: Warm) -> None:
    leader, keeper = staff(warm.desk, "李老师", Role.LEADER), admin(warm)
    with browsing(warm.desk, leader) as browser:
        assert "自带的示范" not in browser.get(page(warm)).text, "the library is the administrators'"
        assert browser.post(page(warm) + "/words", PROPOSED).status_code == 303
        text = browser.get(page(warm)).text
        id_, part = word(text, PROPOSED["zh"])
        assert "等着看" in part
        assert "/approve" not in text
        assert browser.post(f"{HOME}/words/{id_}/approve").status_code == 404
        assert browser.post(page(warm) + "/plan", {"day1": "1", "hour": "09:00"}).status_code == 404
        assert browser.post(page(warm) + "/rest").status_code == 404
    with browsing(warm.desk, keeper) as browser:
        text = browser.get(page(warm)).text
        assert "等着看的：1" in text
        assert word(text, "李老师")[0] == id_
        assert text.index(PROPOSED["zh"]) < text.index("<details><summary>认识自我关怀"), "what waits comes first"
        for deed, stands in (("approve", "在用"), ("pause", "停用了")):
            assert browser.post(f"{HOME}/words/{id_}/{deed}").status_code == 303
            assert stands in word(browser.get(page(warm)).text, PROPOSED["zh"])[1]
    assert (f"person:{keeper.known.id}", f"word:{id_}") in audited(warm.desk, "encouragement.approved")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"zh": " "}, "还没有写字"),
        ({"zh": "暖" * 300}, "太长"),
        ({"zh": "x" * 5_000}, "太长"),
        ({"theme": "<b>"}, "没有这个主题"),
    ],
)
def test_words_that_cannot_be_given_are_refused_and_stay_in_the_form(sqlite_url: str, changed: dict[str, str], words: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
        here = f"{HOME}/encouragement/{desk.course_id}"
        browser.get(here)
        answer = browser.post(here + "/words", {**PROPOSED, **changed})
        assert answer.status_code == 422
        assert words in alerts(answer.text)[0]
        assert {**PROPOSED, **changed}["zh"] in answer.text
        assert "<b>" not in answer.text


def test_the_plan_is_set_rests_and_goes_on(warm: Warm) -> None:
    with browsing(warm.desk, keeper := admin(warm)) as browser:
        assert "周一、周四 12:30" in re.sub(r"\s+", " ", browser.get(page(warm)).text)
        assert browser.post(page(warm) + "/plan", {"hour": "12:30"}).status_code == 422
        assert browser.post(page(warm) + "/plan", {"day2": "1", "hour": "25:00"}).status_code == 422
        assert browser.post(page(warm) + "/plan", {"day2": "1", "day7": "1", "hour": "08:15"}).status_code == 303
        text = browser.get(page(warm)).text
        assert "周二、周日 08:15" in re.sub(r"\s+", " ", text)
        assert "11月24日 周二 08:15" in text
        for button, stands in (("接着发", "停着"), ("先停一停", "在发")):
            assert browser.post(page(warm) + "/rest").status_code == 303
            text = browser.get(page(warm)).text
            assert button in text
            assert stands in text
    assert (f"person:{keeper.known.id}", f"course:{warm.desk.course_id}") in audited(warm.desk, "encouragement.hold")


def test_what_a_month_leaves_for_mass_sends_is_told_to_administrators_alone(warm: Warm) -> None:
    desk = warm.desk
    warm.person()
    everybody = large(warm)
    with browsing(desk, admin(warm)) as browser:
        assert "还能收 4 次群发" in browser.get(page(warm)).text
        desk.write(
            lambda tx: schedules.plan_announcement(
                tx, desk.keyring, author_id=None, group_id=everybody, text="静修", at=NOW.replace(day=25), draft=None, now=NOW, by_mass=True
            )
        )
        text = browser.get(page(warm)).text
        assert "还能收 3 次群发" in text
        assert "还没发的：1 次" in text
    with browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
        assert "群发" not in browser.get(page(warm)).text
