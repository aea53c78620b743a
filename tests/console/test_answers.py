"""What an announcement asks: written in the console, its answers with who is silent, asked once more, closed; and mass sends."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app import groups
from app.models import Schedule
from bots.turns import Role
from tests.console.test_pages import alerts, planned, written
from tests.console.visiting import HOME, audited, browsing, staff
from tests.delivery.polling import answer, asked, followed
from tests.delivery.scene import NOW, Desk, at

POLL = {"ask": "poll", "options": "北京\n 杭州 \n\n"}


def options(text: str) -> dict[str, int]:
    """The options with how many chose each."""
    found = re.findall(r'<summary><span dir="auto">([^<]*)</span> <strong>(\d+)</strong>', text)
    return {option: int(count) for option, count in found}


def test_a_poll_is_written_seen_and_sent(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        desk.person("小雨")
        with browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
            browser.get(f"{HOME}/announcements/new")
            page = browser.post(f"{HOME}/announcements/preview", written(desk, **POLL)).text
            assert re.findall(r'class="choice">([^<]*)<', page) == ["北京", "杭州"]
            back = browser.post(f"{HOME}/announcements/preview", written(desk, **POLL, edit="1")).text
            assert 'value="poll" checked' in back
            sent = browser.post(f"{HOME}/announcements", written(desk, **POLL))
            assert sent.status_code == 303
            desk.fire()
            page = browser.get(sent.headers["location"]).text
            assert options(page) == {"北京": 0, "杭州": 0}
            got = browser.post(f"{HOME}/announcements", written(desk, ask="got", draft="4712"))
            desk.fire()
            assert options(browser.get(got.headers["location"]).text) == {"收到": 0}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ask": "poll", "options": ""}, "选项要 2 到 8 个"),
        ({"ask": "poll", "options": "北京\n北京"}, "选项要 2 到 8 个"),
        ({"ask": "poll", "options": "\n".join("一二三四五六七八九")}, "选项要 2 到 8 个"),
        ({"ask": "poll", "options": "x" * 40 + "\n北京"}, "选项要 2 到 8 个"),
        ({**POLL, "text": "好" * 499}, "放不下"),
        ({"mass": "1"}, "群发只能发给课程的大群"),
    ],
)
def test_what_cannot_be_asked_or_sent_so_is_refused_in_words(sqlite_url: str, fields: dict[str, str], words: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
        browser.get(f"{HOME}/announcements/new")
        for path in ("/preview", ""):
            answered = browser.post(f"{HOME}/announcements{path}", written(desk, **fields))
            assert answered.status_code == 422
            assert words in alerts(answered.text)[0]
        assert planned(desk) == 0


def test_answers_are_counted_and_the_silent_are_named_asked_once_more_and_let_be(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        rain, silent = desk.person("小雨"), desk.person("阿宁")
        leader = staff(desk, "李老师", Role.LEADER)
        poll = asked(desk, ("北京", "杭州"), author=leader.known)
        answer(desk, rain, poll, 2)
        here = f"{HOME}/announcements/{poll}"
        with browsing(desk, leader) as browser:
            page = browser.get(here).text
            assert options(page) == {"北京": 0, "杭州": 1}
            assert "还没回应：1 人" in page
            assert "阿宁" in page.split("还没回应")[1]
            assert "小雨" not in page.split("还没回应")[1]
            assert browser.post(f"{here}/follow-up", {"text": "再" * 600}).status_code == 409
            assert browser.post(f"{here}/follow-up", {"text": "还差你一位"}).status_code == 303
            assert set(followed(desk, poll)) == {silent.id}
            assert browser.post(f"{here}/follow-up").status_code == 409
            assert "十分钟内" in alerts(browser.answer.text)[0]
            assert browser.post(f"{here}/close").status_code == 303
            page = browser.get(here).text
            assert "已经截止" in page
            assert "/follow-up" not in page
            assert browser.post(f"{here}/close").status_code == 409
            assert (f"person:{leader.known.id}", f"schedule:{poll}") in audited(desk, "poll.close")


def test_an_announcement_that_asks_nothing_shows_no_answers(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        made = desk.announced("今晚见", author=leader.known)
        with browsing(desk, leader) as browser:
            assert 'id="answers"' not in browser.get(f"{HOME}/announcements/{made}").text
            assert browser.post(f"{HOME}/announcements/{made}/close").status_code == 409


def test_an_administrator_sees_the_price_of_a_mass_send_and_sends_it(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        far = desk.person("很久没写", typed=NOW - timedelta(days=30))
        desk.write(lambda tx: groups.enter(tx, large, far.id, Role.PARTICIPANT, NOW))
        fields = written(desk, group=str(large))
        with browsing(desk, staff(desk, "管理员", Role.ADMINISTRATOR, group=large)) as browser:
            assert 'name="mass"' in browser.get(f"{HOME}/announcements/new").text
            assert "也可以改用群发：1 人都能收到" in browser.post(f"{HOME}/announcements/preview", fields).text
            page = browser.post(f"{HOME}/announcements/preview", {**fields, "mass": "1"}).text
            assert "群发给 1 人" in page
            assert "发完这次，这个月还剩 3 次" in page
            assert browser.post(f"{HOME}/announcements", {**fields, "mass": "1"}).status_code == 303
        assert desk.read(lambda tx: tx.execute(sa.select(Schedule.by_mass)).scalar_one()) is True
        with browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
            assert 'name="mass"' not in browser.get(f"{HOME}/announcements/new").text
            assert browser.post(f"{HOME}/announcements", {**fields, "mass": "1", "draft": "99"}).status_code == 404
