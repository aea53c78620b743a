"""The page Integrations: an administrator connects a system to a course, its token is shown once, and is taken away again."""

import re

import sqlalchemy as sa

from app import courses, groups
from app.integrations.rules import Scope
from app.models import Integration, IntegrationCourse
from bots.turns import Role
from tests.api.calling import System, integration
from tests.console.visiting import HOME, Browser, Staff, audited, browsing, staff
from tests.delivery.scene import NOW, Desk, at

PAGE = f"{HOME}/integrations"


def admin(desk: Desk) -> Staff:
    return staff(desk, "王管理", Role.ADMINISTRATOR, group=desk.read(lambda tx: groups.by_code(tx, "msc-all")))


def add(browser: Browser, desk: Desk, **fields: str) -> str:
    browser.get(PAGE)
    return browser.post(PAGE, {"name": "报名系统", "course": str(desk.course_id), Scope.COURSES_READ: "1", **fields}).text


def test_a_token_is_shown_once_works_and_is_taken_away(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        who = admin(desk)
        with browsing(desk, who) as browser:
            shown = add(browser, desk)
            token = re.findall(r"tongban_[A-Za-z0-9_-]{59}", shown)[0]
            assert "只显示这一次" in shown
            page = browser.get(PAGE).text
            assert token not in page
            assert "报名系统" in page
            assert "王管理 新建" in page
            assert "还没有用过" in page
            with System(desk.assembly, token) as system:
                assert system.get("/courses").json()["items"][0]["id"] == str(desk.course_id)
                assert system.get(f"/courses/{desk.course_id}/groups").status_code == 403
                page = browser.get(PAGE).text
                assert "上次使用" in page
                made = desk.read(lambda tx: tx.execute(sa.select(Integration.id)).scalar_one())
                assert browser.post(f"{PAGE}/{made}/revoke").status_code == 303
                assert system.get("/courses").status_code == 401
            page = browser.get(PAGE).text
            assert "已停用" in page
            assert f"{PAGE}/{made}/revoke" not in page
            assert "报名系统" in page, "who was connected stays to be seen"
            assert "停用了对接的系统" in browser.get(f"{HOME}/audit?kind=integration").text
        word = f"person:{who.known.id}"
        assert audited(desk, "integration.add") == audited(desk, "integration.revoke") == [(word, f"integration:{made}")]


def test_what_does_not_fit_is_said_and_nothing_is_made(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        foreign = desk.write(lambda tx: courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="other", title="另一门课"))
        with browsing(desk, admin(desk)) as browser:
            for fields, words in (
                ({"name": " "}, "请写一个名称"),
                ({"name": "x" * 61}, "请写一个名称"),
                ({"name": "a\u202eb"}, "请写一个名称"),
                ({"courses:read": ""}, "请至少勾选一项"),
            ):
                text = add(browser, desk, **fields)
                assert words in text
                assert "tongban_" not in text
            for course in (str(foreign), "4", "x", ""):
                add(browser, desk, course=course)
                assert browser.answer.status_code == 404
            assert browser.post(PAGE, {"name": "x", "everything:write": "1"}).status_code == 422
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Integration)).scalar_one()) == 0


def test_an_administrator_sees_and_revokes_those_of_their_own_courses(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        foreign = desk.write(lambda tx: courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="other", title="另一门课"))
        far, _ = integration(desk, courses=(foreign,), name="远处的系统")
        both, token = integration(desk, courses=(foreign, desk.course_id), name="两边的系统")
        with browsing(desk, admin(desk)) as browser:
            page = browser.get(PAGE).text
            assert "远处的系统" not in page
            assert "两边的系统" in page
            assert "在终端新建" in page
            assert browser.post(f"{PAGE}/{far}/revoke").status_code == 404
            browser.get(PAGE)
            assert browser.post(f"{PAGE}/{both}/revoke").status_code == 303
        with System(desk.assembly, token) as system:
            assert system.get("/courses").status_code == 401
        links = desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(IntegrationCourse)).scalar_one())
        assert links == 3, "what a system could see stays to be seen"


def test_the_audit_names_a_system_by_its_name(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        _, token = integration(desk, name="报名系统")
        with System(desk.assembly, token) as system:
            body = {"text": "今晚见", "groups": [str(desk.group)], "at": "now"}
            assert system.post(f"/courses/{desk.course_id}/announcements", body).status_code == 201
        with browsing(desk, admin(desk)) as browser:
            assert re.search(r"定了一条公告.*?报名系统", browser.get(f"{HOME}/audit").text, re.DOTALL)
