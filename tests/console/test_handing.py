"""Handing a small group over in the console: who may, what goes over, what is refused in words, and nothing twice."""

import sqlalchemy as sa

from app import groups, staffing
from app.models import Group, Schedule
from bots.turns import Role
from tests.console.visiting import HOME, audited, browsing, staff
from tests.delivery.prompting import plan
from tests.delivery.scene import NOW, Desk, at


def test_an_administrator_hands_a_group_over_and_sees_what_went(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        admin, leader = staff(desk, "王管理", Role.ADMINISTRATOR), desk.person("李老师", Role.LEADER)
        successor = desk.person("小王", Role.ASSISTANT)
        desk.plan("周五见", author=leader)
        plan(desk, author=leader)
        page = f"{HOME}/groups/{desk.group}/handover"
        with browsing(desk, admin) as browser:
            assert page in browser.get(f"{HOME}/groups/{desk.group}").text
            shown = browser.get(page).text
            assert "待发公告 1 条 · 练习提醒 1 条 · 接了没答的问题 0 个" in shown
            fields = {"former": str(leader.id), "successor": str(successor.id)}
            done = browser.post(page, fields)
            assert done.status_code == 200
            for words in ("李老师 → 小王", "待发公告：1 条", "练习提醒：1 条", "李老师不再带这个组"):
                assert words in done.text
            again = browser.post(page, fields)
            assert (again.status_code, "可能刚刚已经交接过了" in again.text) == (409, True)
        assert desk.read(lambda tx: groups.roles_of_staff(tx, desk.group, leader.id)) == ()
        assert desk.read(lambda tx: set(tx.execute(sa.select(Schedule.author_id)).scalars())) == {successor.id}
        assert audited(desk, "hand_over") == [(f"person:{admin.known.id}", f"group:{desk.group}")]


def test_who_keeps_the_role_gives_the_work(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        admin, leader = staff(desk, "王管理", Role.ADMINISTRATOR), desk.person("李老师", Role.LEADER)
        with browsing(desk, admin) as browser:
            fields = {"former": str(leader.id), "successor": str(admin.known.id), "stays": "yes"}
            browser.get(f"{HOME}/groups/{desk.group}/handover")
            assert "李老师保留原来的身份" in browser.post(f"{HOME}/groups/{desk.group}/handover", fields).text
        assert desk.read(lambda tx: groups.roles_of_staff(tx, desk.group, leader.id)) == (Role.LEADER,)


def test_nobody_hands_over_to_a_stranger_to_oneself_or_what_is_not_theirs(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        admin, leader = staff(desk, "王管理", Role.ADMINISTRATOR), desk.person("李老师", Role.LEADER)
        member = desk.person("小雨")
        large = desk.read(lambda tx: tx.execute(sa.select(Group.id).where(Group.large)).scalar_one())
        page = f"{HOME}/groups/{desk.group}/handover"
        with browsing(desk, admin) as browser:
            browser.get(page)
            for former, successor, status in (
                (leader.id, member.id, 422),
                (leader.id, leader.id, 422),
                (leader.id, 999, 422),
                (member.id, admin.known.id, 409),
                ("x", "", 409),
            ):
                answer = browser.post(page, {"former": str(former), "successor": str(successor)})
                assert (answer.status_code, "所以什么都没有改" in answer.text) == (status, True), (former, successor)
            assert browser.get(f"{HOME}/groups/{large}/handover").status_code == 404
            assert browser.post(f"{HOME}/groups/{large}/handover", {"former": "1", "successor": "2"}).status_code == 404
        assert audited(desk, "hand_over") == []


def test_a_group_without_staff_says_that_there_is_nothing_to_hand_over(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
        assert desk.read(lambda tx: list(tx.execute(staffing.successors(desk.course_id)).scalars())) != []
        assert "没有什么可以交接" in browser.get(f"{HOME}/groups/{desk.group}/handover").text
