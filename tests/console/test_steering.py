"""What an administrator steers: the list of staff, the accounts, the alarms and the audit, of their own courses and of no other."""

import re

import sqlalchemy as sa

from app import audit, courses, groups
from app.db import Tx
from app.models import AccessToken
from bots.turns import Role
from tests.console.visiting import HOME, alive, audited, browsing, queries, staff
from tests.delivery.scene import NOW, Desk, at


def _elsewhere(desk: Desk) -> int:
    def make(tx: Tx) -> int:
        course = courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="other", title="另一门课")
        return groups.create(tx, course, code="far", name="远山组")

    return desk.write(make)


def _large(desk: Desk) -> int:
    return desk.read(lambda tx: groups.by_code(tx, "msc-all"))


def test_somebody_is_invited_and_comes_in_by_the_link(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        who = staff(desk, "王管理", Role.ADMINISTRATOR)
        with browsing(desk, who) as browser:
            browser.get(f"{HOME}/staff")
            shown = browser.post(f"{HOME}/staff/invite", {"group": str(desk.group), "role": "leader", "name": " 新组长 "}).text
            assert "给 新组长 的链接" in shown
            link = re.findall(rf"{HOME}/join/[A-Za-z0-9_-]+", shown)[0]
        with browsing(desk) as browser:
            assert "欢迎，新组长" in browser.get(link).text
        assert audited(desk, "invite")[-1] == (f"person:{who.known.id}", f"group:{desk.group}")


def test_nobody_is_invited_into_a_foreign_group_or_a_wrong_place(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        far, large = _elsewhere(desk), _large(desk)
        with browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
            page = browser.get(f"{HOME}/staff").text
            assert "远山组" not in page
            before = audited(desk, "invite")
            wrong = (
                (far, "leader", "某人", 404),
                (0, "leader", "某人", 404),
                (desk.group, "participant", "某人", 422),
                (desk.group, "root", "某人", 422),
                (desk.group, "administrator", "某人", 422),
                (large, "leader", "某人", 422),
                (desk.group, "leader", "  ", 422),
                (desk.group, "leader", "某" * 61, 422),
                (desk.group, "leader", "某\u202e人", 422),
            )
            for group, role, name, status in wrong:
                answer = browser.post(f"{HOME}/staff/invite", {"group": str(group), "role": role, "name": name})
                assert answer.status_code == status, (group, role, name)
            assert audited(desk, "invite") == before


def test_a_closed_login_is_out_at_once_and_comes_back_when_opened(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        admin = staff(desk, "王管理", Role.ADMINISTRATOR)
        with browsing(desk, leader) as theirs, browsing(desk, admin) as browser:
            assert theirs.get(f"{HOME}/groups/{desk.group}").status_code == 200
            browser.get(f"{HOME}/staff")
            assert browser.post(f"{HOME}/staff/{leader.known.id}/disable").status_code == 303
            assert theirs.get(f"{HOME}/groups/{desk.group}").status_code == 303
            assert alive(desk, leader.login_id) == 0
            assert "已停用" in browser.get(f"{HOME}/staff").text
            assert browser.post(f"{HOME}/staff/{leader.known.id}/enable").status_code == 303
            assert "已停用" not in browser.get(f"{HOME}/staff").text
            assert "给 李老师 的链接" in browser.post(f"{HOME}/staff/{leader.known.id}/link").text
        assert audited(desk, "console.disable") == [(f"person:{admin.known.id}", f"login:{leader.login_id}")]


def test_who_is_staff_in_another_course_too_or_is_oneself_is_left_alone(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        far = _elsewhere(desk)
        both = staff(desk, "两边的", Role.LEADER)
        desk.write(lambda tx: groups.enter(tx, far, both.known.id, Role.ADMINISTRATOR, NOW))
        foreign = staff(desk, "远山组长", Role.LEADER, group=far)
        participant = desk.person("小雨")
        me = staff(desk, "王管理", Role.ADMINISTRATOR)
        with browsing(desk, me) as browser:
            page = browser.get(f"{HOME}/staff").text
            assert "这位也在别的课程里" in page
            assert "远山组长" not in page
            assert "小雨" not in page
            for person in (both.known.id, foreign.known.id, participant.id, me.known.id):
                for deed in ("link", "disable", "enable"):
                    assert browser.post(f"{HOME}/staff/{person}/{deed}").status_code == 404
        assert audited(desk, "console.link") + audited(desk, "console.disable") == []


def test_accounts_show_quota_token_and_errors_and_alarms_of_others_are_not_seen(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        far = _elsewhere(desk)
        group = desk.read(lambda tx: tx.execute(sa.text("select course_id from groups where id = :id"), {"id": far}).scalar_one())

        def make(tx: Tx) -> None:
            tx.execute(sa.delete(AccessToken))
            audit.alarm(tx, NOW, "nobody_on_call", f"course:{desk.course_id}")
            audit.alarm(tx, NOW, "flag_untaken", f"course:{group}")
            audit.alarm(tx, NOW, "circuit_open", f"account:{desk.account_id}")
            audit.alarm(tx, NOW, "quota", "account:1.service")

        desk.write(make)
        with browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
            page = browser.get(f"{HOME}/admin").text
            assert "今天用了 0 /" in page
            assert "还没有取过" in page
            assert "nobody_on_call" in page
            assert "circuit_open" in page
            assert "flag_untaken" not in page
            assert "<code>quota</code>" not in page


def test_the_audit_shows_ones_own_courses_newest_first_and_by_kind(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        far = _elsewhere(desk)

        def make(tx: Tx) -> None:
            for number in range(60):
                audit.record(tx, NOW, "operator", "wave.add", f"course:{desk.course_id}", number=number)
            audit.record(tx, NOW, "operator", "export", f"course:{desk.course_id}", reason="<b>预分析</b>")
            audit.record(tx, NOW, "operator", "odd.thing", f"course:{desk.course_id}")
            audit.record(tx, NOW, "operator", "canary.foreign", f"group:{far}")

        desk.write(make)
        with browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
            page = browser.get(f"{HOME}/audit").text
            assert "canary.foreign" not in page
            assert "&lt;b&gt;预分析&lt;/b&gt;" in page
            assert page.index("导出了数据") < page.index("定了一轮问卷")
            assert "<code>odd.thing</code>" in page, "what has no words stands there as it is"
            assert page.count('<tr><th scope="row">') == 50
            found = browser.get(f"{HOME}/audit?kind=export").text
            assert found.count('<tr><th scope="row">') == 1
            assert browser.get(f"{HOME}/audit?kind=' or 1=1").text.count('<tr><th scope="row">') == 50
            assert "没有记录" in browser.get(f"{HOME}/audit?kind=wave&page=400").text
            assert "kind=wave&amp;page=1" in browser.get(f"{HOME}/audit?kind=wave").text


def test_the_audit_names_staff_who_acted_and_no_participant(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader, participant = staff(desk, "李组长", Role.LEADER), desk.person("金丝雀的名字")

        def act(tx: Tx) -> None:
            for person in (leader.known.id, participant.id):
                audit.record(tx, NOW, f"person:{person}", "course.texts", f"course:{desk.course_id}")

        desk.write(act)
        with browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
            page = browser.get(f"{HOME}/audit?kind=course").text
        assert "李组长" in page
        assert f"person:{participant.id}" in page
        assert "金丝雀的名字" not in page


def test_the_pages_ask_the_database_as_often_for_twenty_as_for_two(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), queries(desk) as statements:
        admin = staff(desk, "王管理", Role.ADMINISTRATOR)
        asked: dict[str, list[int]] = {}
        for many in (2, 18):
            for _ in range(many):
                desk.person(f"助教{desk.count}", Role.ASSISTANT)
                desk.person(f"组员{desk.count}")
            with browsing(desk, admin) as browser:
                for path in ("staff", "audit", "admin", f"study/{desk.course_id}", "flags"):
                    statements.clear()
                    assert browser.get(f"{HOME}/{path}").status_code == 200
                    asked.setdefault(path, []).append(len(statements))
        for path, (few, more) in asked.items():
            assert few == more < 30, path
