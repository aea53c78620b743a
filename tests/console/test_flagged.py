"""Flags in the console: their clock, taking over, contacts and the closing note; no words, and no name before somebody asks for it."""

from datetime import timedelta

import sqlalchemy as sa

from app import flags
from app.console import versions
from app.db import Tx
from app.models import Flag
from bots.turns import Role
from tests.console.visiting import HOME, audited, browsing, staff
from tests.delivery.scene import NOW, Desk, at
from tests.delivery.test_flags_followed import LAST, NOTE, cry, take

NAME, WORDS = "金丝雀的名字", "我不想活了"
HOUR = timedelta(hours=1)


def _flag(desk: Desk) -> int:
    desk.person(NAME)
    number = cry(desk, WORDS)
    return desk.read(lambda tx: tx.execute(sa.select(Flag.id).where(Flag.number == number)).scalar_one())


def _call(desk: Desk, person_id: int) -> None:
    desk.write(lambda tx: flags.add_on_call(tx, desk.keyring, desk.course_id, person_id=person_id, email=None, webhook=None, now=NOW))


def test_an_administrator_follows_a_flag_from_the_list_to_its_end(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW + HOUR):
        flag = _flag(desk)
        who = staff(desk, "王管理", Role.ADMINISTRATOR)
        with browsing(desk, who) as browser:
            listed = browser.get(f"{HOME}/flags").text
            assert "没有人接手" in listed
            assert "已经等了 60 分钟" in listed
            page = browser.get(f"{HOME}/flags/{flag}").text
            assert NAME not in listed + page
            mark = desk.read(lambda tx: versions.flags(tx, [flag]))[flag]
            assert browser.post(f"{HOME}/flags/{flag}/close", {"closing": LAST, "version": mark}).status_code == 409
            assert "请先接手" in browser.answer.text
            assert browser.post(f"{HOME}/flags/{flag}/take").status_code == 303
            browser.get(f"{HOME}/flags/{flag}")
            assert browser.post(f"{HOME}/flags/{flag}/contact", {"contact": NOTE}).status_code == 303
            assert NOTE not in browser.get(f"{HOME}/flags/{flag}").text
            seen = browser.post(f"{HOME}/flags/{flag}/reveal").text
            assert NAME in seen
            assert NOTE in seen
            assert WORDS not in seen
            assert browser.post(f"{HOME}/flags/{flag}/close", {"closing": "  "}).status_code == 422
            assert browser.post(f"{HOME}/flags/{flag}/close", {"closing": LAST}).status_code == 303
            assert browser.post(f"{HOME}/flags/{flag}/contact", {"contact": NOTE}).status_code == 409
            assert NOTE in browser.answer.text, "what was typed is not lost, though nothing can be written any more"
            assert "现在没有没结束的求助" in browser.get(f"{HOME}/flags").text
        me = f"person:{who.known.id}"
        for deed in ("take", "contact", "reveal", "close"):
            assert audited(desk, f"flag.{deed}") == [(me, f"flag:{flag}")], deed


def test_who_is_on_call_follows_the_flags_of_that_course_and_others_find_none(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW + HOUR):
        flag = _flag(desk)
        called, other = staff(desk, "李组长", Role.LEADER), staff(desk, "赵组长", Role.LEADER)
        _call(desk, called.known.id)
        with browsing(desk, called) as browser:
            assert f"{HOME}/flags" in browser.get(f"{HOME}/groups/{desk.group}").text
            assert browser.post(f"{HOME}/flags/{flag}/take").status_code == 303
        with browsing(desk, other) as browser:
            assert f"{HOME}/flags" not in browser.get(f"{HOME}/groups/{desk.group}").text
            assert browser.get(f"{HOME}/flags").status_code == 404
            assert browser.get(f"{HOME}/flags/{flag}").status_code == 404
            assert browser.post(f"{HOME}/flags/{flag}/reveal").status_code == 404
        assert audited(desk, "flag.reveal") == []


def test_a_researcher_on_call_takes_over_in_the_chat_and_sees_no_flag_here(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW + HOUR):
        flag = _flag(desk)
        who = staff(desk, "研究员", Role.RESEARCHER, code=False)
        _call(desk, who.known.id)
        with browsing(desk, who) as browser:
            assert browser.get(f"{HOME}/flags").status_code == 404
            assert browser.get(f"{HOME}/flags/{flag}").status_code == 404


def test_who_comes_second_is_told_that_somebody_has_it(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW + 2 * HOUR):
        flag = _flag(desk)
        number = desk.read(lambda tx: _number(tx, flag))
        take(desk, number)
        with browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
            assert browser.post(f"{HOME}/flags/{flag}/take").status_code == 409
            assert "已经有别的值班的人接手了" in browser.answer.text
            assert "运维人员" in browser.answer.text


def _number(tx: Tx, flag: int) -> int:
    return tx.execute(sa.select(Flag.number).where(Flag.id == flag)).scalar_one()


def test_a_flag_that_was_taken_long_ago_is_said_to_be_forgotten(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk:
        with at(NOW):
            flag = _flag(desk)
            take(desk, desk.read(lambda tx: _number(tx, flag)))
        with at(NOW + timedelta(days=4)), browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
            assert "接手已超过三天" in browser.get(f"{HOME}/flags").text
