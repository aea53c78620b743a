"""Links that work once: how somebody comes into the console for the first time, and how a password is set anew (bad-inputs.md G8, G10)."""

import re
from collections.abc import Callable
from datetime import timedelta

import pyotp
import pytest
import sqlalchemy as sa

from app import groups, people
from app.console import actors, logins, sessions
from app.db import Tx
from app.errors import AppError, Conflict, Forbidden, NotFound
from app.models import Login, Pass, Person
from bots.turns import Role
from tests.console.visiting import HASHED, HOME, PASSWORD, SECRET, Browser, alive, audited, browsing, has_login, named, one_time_code, staff
from tests.delivery.scene import NOW, Desk, at, together


def invited(desk: Desk, role: Role, name: str = "沈导师") -> tuple[str, str]:
    """Code and link token of an invitation."""

    def work(tx: Tx) -> tuple[str, str]:
        code = groups.invite(tx, desk.keyring, desk.group, NOW, role=role, once=True, name=name)
        return code, logins.invite(tx, desk.keyring.vault, code, sessions.moment())

    return desk.write(work)


def filled(browser: Browser, **changed: str) -> dict[str, str]:
    """A form that fits the page that is open."""
    secret = re.search(r"<code>([A-Z2-7 ]+)</code>", browser.answer.text)
    code = pyotp.TOTP(secret.group(1).replace(" ", "")).now() if secret else ""
    return {"name": "shen", "password": PASSWORD, "again": PASSWORD, "code": code, **changed}


def test_a_mentor_comes_by_a_link_and_is_staff_without_wechat(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        _, token = invited(desk, Role.MENTOR)
        page = browser.get(f"{HOME}/join/{token}").text
        assert "欢迎，沈导师" in page
        assert browser.post(f"{HOME}/join/{token}", filled(browser)).headers["location"] == HOME
        assert browser.get(f"{HOME}/groups/{desk.group}").status_code == 200
        with at(NOW + timedelta(minutes=1)):
            assert browser.get(f"{HOME}/join/{token}").status_code == 404, "it works once"
            assert "请向管理员要一个新的" in browser.answer.text
            assert browser.post(f"{HOME}/join/{token}", filled(browser)).status_code == 404
        who = desk.read(lambda tx: tx.execute(sa.select(Login.person_id)).scalar_one())
        assert named(desk, who) == "沈导师"
        assert [seat.role for seat in desk.read(lambda tx: actors.seats(tx, who)) if not seat.large] == [Role.MENTOR]


def test_a_link_is_for_the_person_who_sent_the_code_in_the_chat_before(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        code, token = invited(desk, Role.LEADER, "李老师")
        known = desk.person("李老师", role=None)
        desk.write(lambda tx: groups.join(tx, desk.keyring, known.id, code, NOW))
        browser.get(f"{HOME}/join/{token}")
        assert browser.post(f"{HOME}/join/{token}", filled(browser)).status_code == 303
        assert has_login(desk, known.id)
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Person)).scalar_one()) == 1


def test_looking_at_a_link_uses_nothing_up_and_shows_the_same_secret(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk) as browser, browsing(desk) as wechat:
        _, token = invited(desk, Role.LEADER)
        secrets = {re.findall(r"<code>(.+?)</code>", each.get(f"{HOME}/join/{token}").text)[0] for each in (browser, wechat, browser)}
        assert len(secrets) == 1
        other = invited(desk, Role.LEADER)[1]
        assert re.findall(r"<code>(.+?)</code>", browser.get(f"{HOME}/join/{other}").text)[0] not in secrets


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": "x"}, "登录名要 2 到 40 个字"),
        ({"name": "a b"}, "登录名要 2 到 40 个字"),
        ({"name": "x" * 41}, "登录名要 2 到 40 个字"),
        ({"name": "a\0b"}, "登录名要 2 到 40 个字"),
        ({"password": "kurz"}, "太短"),
        ({"password": "x" * 129, "again": "x" * 129}, "太长"),
        ({"again": "etwas anderes hier"}, "不一样"),
        ({"code": "000000"}, "动态验证码不对"),
        ({"code": ""}, "动态验证码不对"),
    ],
)
def test_what_does_not_fit_is_said_and_the_link_still_works(sqlite_url: str, changed: dict[str, str], words: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk) as browser:
        _, token = invited(desk, Role.LEADER)
        browser.get(f"{HOME}/join/{token}")
        answer = browser.post(f"{HOME}/join/{token}", filled(browser, **changed))
        assert answer.status_code == 422
        assert words in answer.text.split('role="alert"')[1][:120]
        assert browser.post(f"{HOME}/join/{token}", filled(browser)).status_code == 303


def test_a_name_that_somebody_has_is_not_given_twice_however_it_is_written(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        staff(desk, "shen", Role.LEADER)
        _, token = invited(desk, Role.LEADER)
        browser.get(f"{HOME}/join/{token}")
        answer = browser.post(f"{HOME}/join/{token}", filled(browser, name="ＳＨＥＮ"))
        assert answer.status_code == 422
        assert "已经有人用了" in answer.text
        assert browser.post(f"{HOME}/join/{token}", filled(browser, name="沈导师")).status_code == 303


def test_a_researcher_may_leave_the_second_factor_out_or_take_it(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk) as browser:
        for name, code in (("anna", False), ("berta", True)):
            _, token = invited(desk, Role.RESEARCHER, name)
            browser.get(f"{HOME}/join/{token}")
            fields = filled(browser, name=name)
            assert browser.post(f"{HOME}/join/{token}", fields if code else {**fields, "code": ""}).status_code == 303
            browser.http.cookies.clear()
        assert browser.sign_in("anna").status_code == 303
        browser.http.cookies.clear()
        assert browser.sign_in("berta").status_code == 403


def test_g8_a_link_for_somebody_who_is_there_works_once_for_half_an_hour_and_only_the_newest(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        leader = staff(desk, "李老师", Role.LEADER)
        first, second = (desk.write(lambda tx: logins.let_in(tx, desk.keyring.vault, leader.known.id, NOW, NOW)) for _ in range(2))
        assert browser.get(f"{HOME}/join/{first}").status_code == 404
        with at(NOW + logins.FOR_A_PERSON + timedelta(seconds=5)):
            assert browser.get(f"{HOME}/join/{second}").status_code == 404
        with browsing(desk, leader) as signed:
            assert browser.get(f"{HOME}/join/{second}").status_code == 200
            assert browser.post(f"{HOME}/join/{second}", filled(browser, name="李老师")).status_code == 303
            assert signed.get(f"{HOME}/sessions").status_code == 303, "what was signed in before is signed out"
        assert alive(desk, leader.login_id) == 1
        assert audited(desk, "console.link") == [("operator", f"person:{leader.known.id}")] * 2


def test_g8_a_host_that_somebody_claims_is_in_no_address(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk) as browser:
        _, token = invited(desk, Role.LEADER)
        answer = browser.get(f"{HOME}/join/{token}", host="evil.example", x_forwarded_host="evil.example")
        assert "evil" not in answer.text
        assert browser.get(HOME, host="evil.example").headers["location"] == f"{HOME}/signin"


def test_two_who_use_a_link_at_the_same_moment_are_one(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        _, token = invited(desk, Role.MENTOR)

        def use(name: str) -> Callable[[Tx], object]:
            def work(tx: Tx) -> object:
                try:
                    return logins.admit(tx, desk.keyring, token, logins.Chosen(name, HASHED, SECRET), NOW, NOW)
                except (AppError, sa.exc.IntegrityError) as refused:
                    return type(refused)

            return work

        done = together(desk, [use("eins"), use("zwei"), use("drei")])
        assert sum(isinstance(each, int) for each in done) == 1, done
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Login)).scalar_one()) == 1


def test_an_invitation_that_somebody_else_used_or_that_ended_lets_nobody_in(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        code, token = invited(desk, Role.LEADER)
        known = desk.person("李老师", role=None)
        desk.write(lambda tx: groups.join(tx, desk.keyring, known.id, code, NOW))
        desk.write(lambda tx: groups.end_membership(tx, desk.group, known.id, Role.LEADER, NOW, "left"))
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        desk.write(lambda tx: groups.end_membership(tx, large, known.id, Role.LEADER, NOW, "left"))
        assert desk.read(lambda tx: logins.admission(tx, desk.keyring, token, NOW)) is None
        with pytest.raises(NotFound):
            desk.write(lambda tx: logins.admit(tx, desk.keyring, token, logins.Chosen("li", HASHED, SECRET), NOW, NOW))
        with pytest.raises(Forbidden, match="staff invite"):
            desk.write(lambda tx: logins.let_in(tx, desk.keyring.vault, known.id, NOW, NOW))


def test_who_needs_a_second_factor_is_not_admitted_without_one(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        _, token = invited(desk, Role.LEADER)
        with pytest.raises(Forbidden):
            desk.write(lambda tx: logins.admit(tx, desk.keyring, token, logins.Chosen("li", HASHED, None), NOW, NOW))
        staff(desk, "anna", Role.RESEARCHER)
        with pytest.raises(Conflict):
            desk.write(lambda tx: logins.admit(tx, desk.keyring, token, logins.Chosen("Anna", HASHED, SECRET), NOW, NOW))
        assert desk.read(lambda tx: logins.admission(tx, desk.keyring, token, NOW)) is not None, "refused, so not used"


def test_whoever_is_erased_has_no_login_and_no_session(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        with browsing(desk, leader) as browser:
            desk.write(lambda tx: people.erase(tx, desk.keyring, leader.known.id, NOW, actor="operator"))
            assert browser.get(f"{HOME}/sessions").status_code == 303
        assert not has_login(desk, leader.known.id)


def test_a_closed_login_comes_in_by_no_way_until_it_is_opened(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        leader = staff(desk, "李老师", Role.LEADER)
        token = desk.write(lambda tx: logins.let_in(tx, desk.keyring.vault, leader.known.id, NOW, NOW))
        desk.write(lambda tx: logins.set_disabled(tx, leader.known.id, NOW, NOW, disabled=True))
        assert browser.sign_in("李老师", code=one_time_code()).status_code == 403
        assert browser.get(f"{HOME}/join/{token}").status_code == 404
        assert desk.write(lambda tx: logins.of_person(tx, leader.known.id, NOW)) is None
        desk.write(lambda tx: logins.set_disabled(tx, leader.known.id, NOW, NOW, disabled=False))
        assert browser.sign_in("李老师", code=one_time_code()).status_code == 303


def test_no_token_name_or_password_rests_readable(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        staff(desk, "李老师的登录名", Role.LEADER)
        _, token = invited(desk, Role.LEADER)
        rows = desk.read(lambda tx: [*tx.execute(sa.select(*Login.__table__.columns)), *tx.execute(sa.select(*Pass.__table__.columns))])
        stored = " ".join(repr(tuple(row)) for row in rows)
        for secret in ("李老师的登录名", PASSWORD, SECRET, token):
            assert secret not in stored
            assert repr(secret.encode())[2:-1] not in stored
