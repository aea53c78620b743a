"""Second eyes in the console: an announcement is seen as its readers will see it, approved in just that version, or given back."""

import re

import pytest

from app import groups
from app.console import versions
from bots.turns import Role
from tests.console.visiting import HOME, Browser, Staff, audited, browsing, staff
from tests.delivery.scene import NOW, Desk, at
from tests.delivery.test_approvals import MINUTE, Hall, rewritten

PAGE = f"{HOME}/approvals"


def _staffed(desk: Desk) -> tuple[Hall, Staff]:
    """A hall with a further mentor, who has a login."""
    return Hall(desk), staff(desk, "周导师", Role.MENTOR)


def _alert(browser: Browser) -> str:
    found = re.search(r'role="alert">([^<]*)', browser.answer.text)
    return found.group(1) if found else ""


def test_a_mentor_sees_the_bubble_who_gets_it_and_when_and_lets_it_go(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        hall, mentor = _staffed(desk)
        made = hall.plan("今晚<b>八点</b>见")
        with browsing(desk, mentor) as browser:
            assert "今晚&lt;b&gt;八点" in browser.get(PAGE).text
            assert "多少人以上" not in browser.answer.text, "that is for who runs the course"
            page = browser.get(f"{PAGE}/{made}").text
            for words in ("【晨光组 · 李老师】\n今晚＜b＞八点＜/b＞见", "一共 4 人", "有人同意就马上发", "前没人同意就不发了"):
                assert words in page, words
            assert browser.post(f"{PAGE}/{made}/approve").status_code == 303
            assert "周导师看过，同意了" in browser.get(f"{PAGE}/{made}").text
            assert "现在没有公告在等你看" in browser.get(PAGE).text
        assert desk.fire(NOW + MINUTE) == made
        assert audited(desk, "announce.approve") == [(f"person:{mentor.known.id}", f"schedule:{made}")]


def test_an_author_sees_that_it_waits_reads_why_it_came_back_and_writes_it_anew(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        hall, mentor = _staffed(desk)
        author = staff(desk, "赵老师", Role.LEADER)
        fields = {"text": "七点见", "group": str(desk.group), "draft": "7"}
        with browsing(desk, author) as browser, browsing(desk, mentor) as looking:
            assert "超过 2 人，要先有第二个人" in browser.post(f"{HOME}/announcements/preview", fields).text
            where = browser.post(f"{HOME}/announcements", fields).headers["location"]
            made = int(where.rpartition("/")[2])
            assert "在等第二个人看，同意了马上发" in browser.get(where).text
            assert "等第二个人看" in browser.get(f"{HOME}/announcements").text
            assert browser.get(f"{PAGE}/{made}").status_code == 404, "an author has no such page"
            looking.get(f"{PAGE}/{made}")
            assert looking.post(f"{PAGE}/{made}/return", {"note": "  "}).status_code == 409
            assert "请用一句话说说为什么" in _alert(looking)
            assert looking.post(f"{PAGE}/{made}/return", {"note": "早上还是晚上？"}).status_code == 303
            page = browser.get(where).text
            for words in ("打回来了", "周导师", "早上还是晚上？", f"new?from={made}"):
                assert words in page, words
            assert "七点见</textarea>" in browser.get(f"{HOME}/announcements/new?from={made}").text
            for nothing in ("0", "x", "9" * 30, str(made + 1)):
                assert "七点见" not in browser.get(f"{HOME}/announcements/new?from={nothing}").text
        assert hall.state(made) == "returned"


def test_an_administrator_never_approves_their_own_by_any_session(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        hall = Hall(desk)
        me = staff(desk, "陈管理", Role.ADMINISTRATOR)
        made = hall.plan(author_id=me.known.id)
        mark = versions.mark(hall.look(made).version, "own")
        for _ in range(2):  # two browsers
            with browsing(desk, me) as browser:
                assert "自己的公告要由别人来看" in browser.get(f"{PAGE}/{made}").text
                assert f"{PAGE}/{made}/approve" not in browser.answer.text
                assert browser.post(f"{PAGE}/{made}/approve", {"version": mark}).status_code == 409
                assert browser.post(f"{PAGE}/{made}/return", {"version": mark, "note": "x"}).status_code == 409
        assert hall.state(made) == "waiting"


def test_what_changed_since_the_look_is_not_approved_and_is_shown_as_it_stands(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        hall, mentor = _staffed(desk)
        made = hall.plan("七点见")
        with browsing(desk, mentor) as browser:
            browser.get(f"{PAGE}/{made}")
            rewritten(desk, made, "八点见")
            assert browser.post(f"{PAGE}/{made}/approve").status_code == 409
            assert "这里有人改过了" in _alert(browser)
            assert "八点见" in browser.answer.text
            assert hall.state(made) == "waiting"
            assert browser.post(f"{PAGE}/{made}/approve").status_code == 303


def test_whoever_is_second_is_told_who_was_first_and_loses_no_word(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        hall, mentor = _staffed(desk)
        made = hall.plan()
        with browsing(desk, mentor) as browser:
            browser.get(f"{PAGE}/{made}")
            assert hall.approve(made, hall.admin) == ""
            assert browser.post(f"{PAGE}/{made}/return", {"note": "先等等<i>"}).status_code == 409
            assert "王管理看过，同意了" in browser.answer.text
            assert "先等等&lt;i&gt;" in browser.answer.text
        assert hall.state(made) == "planned"


@pytest.mark.parametrize(("typed", "kept"), [("12", 12), ("0", 0), ("-1", 2), ("1e3", 2), ("９", 2), ("99999999", 2), ("", 2)])
def test_who_runs_a_course_says_above_how_many(sqlite_url: str, typed: str, kept: int) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        Hall(desk)
        me = staff(desk, "陈管理", Role.ADMINISTRATOR)
        with browsing(desk, me) as browser:
            path = f"{HOME}/courses/{desk.course_id}/second-eyes"
            assert "现在是 2 人" in browser.get(PAGE).text
            status = browser.post(path, {"above": typed}).status_code
            assert status == (422 if kept == 2 else 303)
            if status == 422:
                assert "请写一个人数" in _alert(browser)
            assert ("现在是从不" if kept == 0 else f"现在是 {kept} 人") in browser.get(PAGE).text
        actor = f"person:{me.known.id}"
        assert audited(desk, "course.second_eyes")[1:] == ([] if kept == 2 else [(actor, f"course:{desk.course_id}")])


def test_a_mentor_of_another_group_finds_nothing(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        hall = Hall(desk)
        dusk = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组"))
        made = hall.plan()
        with browsing(desk, staff(desk, "别组的导师", Role.MENTOR, group=dusk)) as browser:
            assert "现在没有公告在等你看" in browser.get(PAGE).text
            assert browser.get(f"{PAGE}/{made}").status_code == 404
            assert browser.post(f"{PAGE}/{made}/approve", {"version": "x"}).status_code == 404
