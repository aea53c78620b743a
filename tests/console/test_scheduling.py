"""The schedule: what each role sees of a course's dates, a change with its preview, links, practice prompts."""

import re
from collections.abc import Iterator
from datetime import time, timedelta

import pytest

from app import groups
from app.console import versions
from app.courses import running
from app.courses.running import CallOff
from app.prompts import planning
from bots.effects import PlanPrompt
from bots.recurrence import Rule
from bots.turns import Role
from tests.console.test_pages import alerts
from tests.console.visiting import HOME, Staff, audited, browsing, queries, staff
from tests.delivery.scene import NOW, Desk, at
from tests.delivery.test_occasions import Running

#: The third class, which is on Monday 21 December at the file's hour, moved by a day.
MOVE = {"what": "move", "gathering": "class.3", "to": "2026-12-22T20:00", "later": "1", "tell": "1"}


@pytest.fixture
def course(database_url: str) -> Iterator[Running]:
    with Desk(database_url) as desk, at(NOW):
        yield Running(desk)


def _admin(course: Running) -> Staff:
    return staff(course.desk, "管理员", Role.ADMINISTRATOR, group=course.large)


def page(course: Running) -> str:
    return f"{HOME}/schedule/{course.desk.course_id}"


def version(text: str) -> str:
    found = re.search(r'name="version" value="([^"]+)"', text)
    assert found is not None
    return found.group(1)


def shown(text: str) -> str:
    """The words of a page, without their tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_a_leader_sees_the_dates_of_their_group_and_of_all_and_changes_none(course: Running) -> None:
    desk = course.desk
    desk.write(lambda tx: running.adopt(tx, groups.create(tx, desk.course_id, code="dusk", name="晚霞组"), NOW))
    with browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
        assert browser.get(f"{HOME}/schedule").headers["location"] == page(course)
        text = browser.get(page(course) + "?week=2026-12-09").text
        assert "第 1 课" in shown(text)
        assert "晨光组" in text
        assert "晚霞组" not in text
        assert "改期或停课" not in text
        assert browser.post(page(course) + "/preview", MOVE).status_code == 404
        assert browser.post(page(course) + "/change", {**MOVE, "version": "x"}).status_code == 404
        assert course.starts(("class", 3)).day == 21


def test_a_change_is_shown_before_it_is_made_and_then_made_as_shown(course: Running) -> None:
    with browsing(course.desk, admin := _admin(course)) as browser:
        browser.get(page(course))
        before = course.starts(("class", 3))
        seen = browser.post(page(course) + "/preview", MOVE).text
        assert course.starts(("class", 3)) == before, "to look changes nothing"
        words = shown(seen)
        assert "12月22日 周二 20:00" in words
        assert "第 4 课" in words, "the later ones too"
        assert "第 2 课" not in words
        assert browser.post(page(course) + "/change", {**MOVE, "version": version(seen)}).status_code == 303
        assert course.starts(("class", 3)) == before.replace(day=22, hour=12, minute=0)
        assert (f"person:{admin.known.id}", f"course:{course.desk.course_id}") in audited(course.desk, "course.move")
        assert browser.get(browser.answer.headers["location"]).status_code == 200
        assert browser.post(page(course) + "/change", {**MOVE, "version": version(seen)}).status_code == 422, "twice is once"
        assert len(audited(course.desk, "course.move")) == 1


def test_a_preview_that_is_out_of_date_is_refused_and_shown_anew(course: Running) -> None:
    desk = course.desk
    with browsing(desk, _admin(course)) as browser:
        browser.get(page(course))
        seen = browser.post(page(course) + "/preview", MOVE).text
        before = course.starts(("class", 3))
        desk.write(lambda tx: running.change(tx, desk.keyring, desk.course_id, CallOff(("class", 5)), NOW, tell=False))
        answer = browser.post(page(course) + "/change", {**MOVE, "version": version(seen)})
        assert answer.status_code == 409
        assert "这里有人改过了" in alerts(answer.text)[0]
        assert course.starts(("class", 3)) == before
        assert version(answer.text) != version(seen)
        assert browser.post(page(course) + "/change", {**MOVE, "version": version(answer.text)}).status_code == 303


def test_a_class_is_called_off_and_held_after_all(course: Running) -> None:
    with browsing(course.desk, _admin(course)) as browser:
        browser.get(page(course))
        for what, words in (("off", "停掉"), ("back", "恢复")):
            fields = {**MOVE, "what": what, "to": "", "tell": ""}
            seen = browser.post(page(course) + "/preview", fields).text
            assert words in shown(seen)
            assert browser.post(page(course) + "/change", {**fields, "version": version(seen)}).status_code == 303
            text = browser.get(page(course) + "?week=2026-12-21").text
            assert ("已停" in shown(text)) is (what == "off")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"gathering": "class.99"}, "请选一次"),
        ({"gathering": "party.1"}, "请选一次"),
        ({"gathering": "class.٣"}, "请选一次"),
        ({"group": "17"}, "请选一次"),
        ({"to": ""}, "请选一个日期"),
        ({"to": "2026-02-30T20:00"}, "请选一个日期"),
        ({"to": "0001-01-01T00:00"}, "请选一个日期"),
        ({"to": "9999-12-31T23:59"}, "请选一个日期"),
        ({"to": "2026-11-01T20:00"}, "已经过去"),
        ({"to": "2027-01-04T20:00", "later": ""}, "撞在一起"),
        ({"what": "back"}, "什么都不会变"),
    ],
)
def test_what_cannot_be_is_refused_in_words(sqlite_url: str, changed: dict[str, str], words: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        course = Running(desk)
        with browsing(desk, _admin(course)) as browser:
            browser.get(page(course))
            answer = browser.post(page(course) + "/preview", {**MOVE, **changed})
            assert answer.status_code == 422
            assert words in alerts(answer.text)[0]


def test_a_link_is_kept_and_stands_in_the_week(course: Running) -> None:
    with browsing(course.desk, admin := _admin(course)) as browser:
        browser.get(page(course))
        fields = {"gathering": "class.1", "link": "https://meeting.tencent.com/p/1", "all": ""}
        for link in ("javascript:alert(1)", "", "https://" + "x" * 600):
            assert browser.post(page(course) + "/link", {**fields, "link": link}).status_code == 422
        assert browser.post(page(course) + "/link", fields).status_code == 303
        assert browser.get(page(course) + "?week=2026-12-07").text.count('href="https://meeting.tencent.com/p/1"') == 1
        assert (f"person:{admin.known.id}", f"course:{course.desk.course_id}") in audited(course.desk, "course.link")


@pytest.mark.parametrize("week", ["", "0001-01-01", "9999-12-31", "2026-13-01", "x", "2026-12-09&of=%22%3E%3Cb%3E"])
def test_any_week_in_the_address_opens_one_of_the_course(sqlite_url: str, week: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        course = Running(desk)
        with browsing(desk, _admin(course)) as browser:
            answer = browser.get(page(course) + f"?week={week}")
            assert answer.status_code == 200
            assert '"><b>' not in answer.text


def test_a_prompt_rests_and_goes_on_for_those_who_may(course: Running) -> None:
    desk = course.desk
    other = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组"))

    def planned(*to: int) -> int:
        wanted = PlanPrompt(to, "今天练了吗？", Rule(time(20), weekdays=(0, 2)), NOW.date() + timedelta(days=20), 0)
        return desk.write(lambda tx: planning.plan(tx, desk.keyring, None, wanted, NOW))

    ours, both, theirs = planned(desk.group), planned(desk.group, other), planned(other)
    with browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
        text = browser.get(page(course)).text
        assert "每周一、周三 20:00" in shown(text)
        assert f"/prompts/{ours}/pause" in text
        assert f"/prompts/{both}/pause" not in text
        assert f"/prompts/{theirs}" not in text
        assert browser.post(f"{HOME}/prompts/{theirs}/pause").status_code == 404
        mark = desk.read(lambda tx: versions.prompts(tx, [both]))[both]
        assert browser.post(f"{HOME}/prompts/{both}/pause", {"version": mark}).status_code == 409
        assert "只有它的作者和管理员能改" in alerts(browser.answer.text)[0]
        assert browser.post(f"{HOME}/prompts/{ours}/pause").status_code == 303
        assert f"/prompts/{ours}/resume" in browser.get(page(course)).text
        assert browser.post(f"{HOME}/prompts/{ours}/pause").status_code == 409
        assert browser.post(f"{HOME}/prompts/{ours}/resume").status_code == 303


def test_a_week_costs_as_many_statements_in_a_large_course_as_in_a_small_one(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), queries(desk) as statements:
        course, asked = Running(desk), list[int]()
        admin = _admin(course)
        for many in (1, 9):
            for number in range(many):
                code = f"g{many}{number}"
                desk.write(lambda tx, code=code: running.adopt(tx, groups.create(tx, desk.course_id, code=code, name=code), NOW))  # type: ignore[misc]
            with browsing(desk, admin) as browser:
                statements.clear()
                assert browser.get(page(course)).status_code == 200
                asked.append(len(statements))
        assert asked[0] == asked[1] < 20
