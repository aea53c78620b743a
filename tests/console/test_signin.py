"""The door: bad-inputs.md, part G. Who tries learns nothing, who is right comes in, and what ended has ended everywhere."""

import time
from datetime import timedelta
from statistics import median

import pytest
import sqlalchemy as sa

from app import clock, groups
from app.console import logins, passwords, sessions, signin, tries
from app.console.signin import Typed
from app.db import Tx
from app.models import Alarm, ConsoleSession, Login, SigninTry
from app.web.console.gate import is_ours
from bots.turns import Role
from tests.console.visiting import (
    ADDRESS,
    HASHED,
    HOME,
    PASSWORD,
    Browser,
    Staff,
    alive,
    audited,
    browsing,
    one_time_code,
    signed_in,
    staff,
)
from tests.delivery.scene import NOW, Desk, at, together

WRONG = "ein ganz anderer Satz"


def alarms(desk: Desk) -> dict[str, int]:
    rows = desk.read(lambda tx: tx.execute(sa.select(Alarm.subject, Alarm.count).where(Alarm.kind == "signin_guessing")).all())
    return {row.subject: int(row[1]) for row in rows}


def tried(desk: Desk) -> int:
    return desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(SigninTry)).scalar_one())


def test_a_leader_comes_in_with_password_and_code_and_goes_out_again(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        leader = staff(desk, "李老师", Role.LEADER)
        assert browser.sign_in(" 李老师 ", code=one_time_code()).headers["location"] == HOME
        assert browser.get(f"{HOME}/groups/{desk.group}").status_code == 200
        assert browser.post(f"{HOME}/signout").headers["location"] == f"{HOME}/signin"
        assert browser.get(f"{HOME}/groups/{desk.group}").headers["location"].startswith(f"{HOME}/signin")
        assert alive(desk, leader.login_id) == 0
        assert audited(desk, "console.signin") == [(f"login:{leader.login_id}", f"login:{leader.login_id}")]


def test_g1_a_thousand_wrong_passwords_close_a_name_and_its_owner_still_comes_in(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        staff(desk, "李老师", Role.LEADER)
        hashed = sum(desk.write(lambda tx, some=some: _hundred(tx, desk, some)) for some in range(10))  # type: ignore[misc]
        assert hashed == tries.PER_NAME, "the others were not even hashed"
        assert alarms(desk) == {"name": 1}
        with browsing(desk) as browser:
            assert browser.sign_in("李老师").status_code == 429, "the password alone does not open a closed name"
            assert browser.sign_in("李老师", WRONG, one_time_code()).status_code == 403
            assert browser.sign_in("李老师", PASSWORD, one_time_code(sessions.moment() + timedelta(seconds=30))).status_code == 303


def _hundred(tx: Tx, desk: Desk, some: int) -> int:
    """A hundred wrong passwords for one name from a hundred addresses; how many were let as far as the hash."""
    hashed = 0
    for number in range(100):
        typed = Typed("李老师", WRONG, "", f"198.51.{some}.{number}", "computer")
        mine = signin.begin(tx, desk.keyring, typed, sessions.moment())
        if mine is not None:
            hashed += 1
            signin.finish(tx, desk.keyring, mine, typed, sessions.moment(), NOW, right=False)
    return hashed


def test_g1_many_tries_from_one_address_close_the_address_whatever_the_names(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        staff(desk, "李老师", Role.LEADER)
        opened = [_begun(desk, f"somebody{number}", "2001:db8::" + f"{number:x}") for number in range(tries.PER_ADDRESS + 5)]
        assert opened.count(True) == tries.PER_ADDRESS, "a household's addresses of IPv6 are one"
        assert alarms(desk) == {"address": 1}
        assert not _begun(desk, "李老师", "2001:db8::ffff")
        assert _begun(desk, "李老师", "2001:db8:0:1::1")


def _begun(desk: Desk, name: str, address: str) -> bool:
    typed = Typed(name, WRONG, "", address, "phone")
    mine = desk.write(lambda tx: signin.begin(tx, desk.keyring, typed, sessions.moment()))
    if mine is not None:
        desk.write(lambda tx: signin.finish(tx, desk.keyring, mine, typed, sessions.moment(), NOW, right=False))
    return mine is not None


def test_g1_one_password_on_many_names_is_an_alarm(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        for number in range(tries.OF_ALL + 1):
            assert _begun(desk, f"somebody{number}", f"198.51.100.{number % 250}")
        assert alarms(desk) == {"many": 2}


def test_g1_tries_at_the_same_moment_are_counted_before_they_are_checked(postgres_url: str) -> None:
    with Desk(postgres_url) as desk, at(NOW):
        for _ in range(tries.PER_NAME):
            assert _begun(desk, "李老师", "203.0.113.1")
        typed = Typed("李老师", PASSWORD, "", "203.0.113.2", "phone")
        assert together(desk, [lambda tx: signin.begin(tx, desk.keyring, typed, sessions.moment())] * 5) == [None] * 5


def test_g1_what_was_mistyped_is_forgiven_when_its_owner_comes_in_and_after_a_while(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        staff(desk, "李老师", Role.LEADER)
        for _ in range(tries.PER_NAME - 1):
            _begun(desk, "李老师", "203.0.113.1")
        assert browser.sign_in("李老师", code=one_time_code()).status_code == 303
        assert tried(desk) == 0
        for _ in range(tries.PER_NAME):
            _begun(desk, "李老师", "203.0.113.1")
        assert not _begun(desk, "李老师", "203.0.113.9")
        with at(NOW + 2 * tries.WITHIN):
            assert _begun(desk, "李老师", "203.0.113.9")


def test_g2_an_unknown_name_is_answered_like_a_known_one(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        staff(desk, "李老师", Role.LEADER)
        answers, seconds = {}, {}
        for name in ("李老师", "nobody"):
            with browsing(desk, client="203.0.113.1") as browser:
                began = time.perf_counter()
                answer = browser.sign_in(name, WRONG, "123456")
                seconds[name] = time.perf_counter() - began
                answers[name] = (answer.status_code, answer.text.replace(browser.csrf, ""), sorted(answer.headers))
        assert answers["李老师"] == answers["nobody"]
        assert answers["nobody"][0] == 403


def test_g2_a_name_that_nobody_has_costs_a_hash_as_well(dear_hashes: None) -> None:
    def measured(stored: str | None) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            assert not passwords.fits(stored, WRONG)
            times.append(time.perf_counter() - began)
        return median(times)

    assert not passwords._HASHER.check_needs_rehash(passwords.NOBODYS), "the hash of nobody's is made with today's figures"
    known, unknown = measured(passwords.hashed(PASSWORD)), measured(None)
    assert 0.3 < unknown / known < 3


def test_g3_a_session_that_was_there_before_is_not_the_one_that_is_signed_in(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        leader = staff(desk, "李老师", Role.LEADER)
        browser.http.cookies.set("tongban", "chosen-by-somebody-else", domain="127.0.0.1")
        browser.sign_in("李老师", code=one_time_code())
        assert len(browser.cookie) > 40
        with browsing(desk) as other:
            other.http.cookies.set("tongban", "chosen-by-somebody-else", domain="127.0.0.1")
            assert other.get(f"{HOME}/groups").headers["location"].startswith(f"{HOME}/signin")
        stored = desk.read(lambda tx: tx.execute(sa.select(ConsoleSession.token_index)).scalars().all())
        assert all(browser.cookie.encode() not in each for each in stored), "the database holds no token"
        assert alive(desk, leader.login_id) == 1


def test_g4_cookies_are_for_us_alone_and_nothing_changes_by_looking(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        staff(desk, "李老师", Role.LEADER)
        object.__setattr__(desk.assembly.settings, "public_url", "https://group.example.org")
        with Browser(desk.assembly) as browser:
            browser.http.base_url = "https://group.example.org"
            browser.get(f"{HOME}/signin")
            fields = {"name": "李老师", "password": PASSWORD, "code": one_time_code()}
            answer = browser.post(f"{HOME}/signin", fields, origin="https://group.example.org")
            cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("__Host-tongban="))
            assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
            assert "Domain" not in cookie
            assert "Max-Age" not in cookie
            sent = browser.post(f"{HOME}/language", {"language": "en"}, origin=ADDRESS)
            assert sent.status_code == 403, "another site's form, with our cookie"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"csrf": ""}, "no token"),
        ({"csrf": "x" * 32}, "a made-up token"),
        ({"origin": "https://evil.example"}, "a foreign origin"),
        ({"origin": "null"}, "an origin that is hidden"),
        ({"origin": "http://127.0.0.1:8000.evil.example"}, "an origin that begins like ours"),
        ({"sec_fetch_site": "cross-site"}, "another site, as the browser says"),
        ({"sec_fetch_site": "same-site"}, "a neighbour, as the browser says"),
        ({"content_type": "application/json"}, "another kind of content"),
        ({"content_type": "text/plain"}, "a form that poses as text"),
    ],
)
def test_g5_a_form_that_is_not_ours_is_not_taken(sqlite_url: str, given: dict[str, str], why: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        with browsing(desk, leader) as browser:
            assert browser.post(f"{HOME}/sessions/others", **given).status_code == 403, why  # type: ignore[arg-type]
            browser.get(f"{HOME}/sessions")
            assert browser.post(f"{HOME}/sessions/others").status_code == 303


def test_g5_the_token_of_another_session_is_none_of_ours(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        leader, other = staff(desk, "李老师", Role.LEADER), staff(desk, "周老师", Role.LEADER)
        with browsing(desk, leader) as browser, browsing(desk, other) as foreign:
            assert browser.post(f"{HOME}/sessions/others", csrf=foreign.csrf).status_code == 403


def _roles_change(desk: Desk, who: Staff) -> None:
    desk.write(lambda tx: groups.end_membership(tx, desk.group, who.known.id, Role.LEADER, NOW, "left"))
    desk.write(lambda tx: groups.enter(tx, desk.group, who.known.id, Role.ASSISTANT, NOW))


def _disabled(desk: Desk, who: Staff) -> None:
    desk.write(lambda tx: logins.set_disabled(tx, who.known.id, NOW, NOW, disabled=True))


def _password_changed(desk: Desk, who: Staff) -> None:
    desk.write(lambda tx: logins.change_password(tx, who.login_id, HASHED, NOW, NOW, but=0, actor="operator"))


def _revoked(desk: Desk, who: Staff) -> None:
    desk.write(lambda tx: sessions.end_all(tx, who.login_id, "revoked", NOW))


@pytest.mark.parametrize("change", [_roles_change, _disabled, _password_changed, _revoked])
def test_g6_a_session_is_dead_at_once_on_all_processes(database_url: str, change: object) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        with browsing(desk, leader) as browser, browsing(desk) as elsewhere:
            token = browser.cookie
            change(desk, leader)  # type: ignore[operator]
            assert browser.get(f"{HOME}/groups").headers["location"].startswith(f"{HOME}/signin")
            elsewhere.http.cookies.set("tongban", token, domain="127.0.0.1")
            assert elsewhere.get(f"{HOME}/groups").headers["location"].startswith(f"{HOME}/signin")
            assert alive(desk, leader.login_id) == 0


def test_g6_a_role_that_comes_back_revives_no_session(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        with browsing(desk, leader) as browser:
            desk.write(lambda tx: groups.end_membership(tx, desk.group, leader.known.id, Role.LEADER, NOW, "left"))
            browser.get(f"{HOME}/groups")
            desk.write(lambda tx: groups.enter(tx, desk.group, leader.known.id, Role.LEADER, NOW))
            browser.http.cookies.set("tongban", browser.cookie or "gone", domain="127.0.0.1")
            assert browser.get(f"{HOME}/groups").headers["location"].startswith(f"{HOME}/signin")


def test_a_session_ends_when_it_rests_and_in_any_case_after_a_day_of_work(database_url: str) -> None:
    with Desk(database_url) as desk:
        with at(NOW):
            leader = staff(desk, "李老师", Role.LEADER)
        with Browser(desk.assembly) as browser:
            with at(NOW):
                signed_in(desk, browser, leader)
            token, moment = browser.cookie, NOW
            while moment + timedelta(hours=1) < NOW + sessions.LONGEST:
                moment += timedelta(hours=1)
                with at(moment):
                    assert browser.get(f"{HOME}/sessions").status_code == 200, moment
            with at(NOW + sessions.LONGEST + timedelta(minutes=1)):
                assert browser.get(f"{HOME}/sessions").status_code == 303
        with Browser(desk.assembly) as resting, at(NOW):
            signed_in(desk, resting, leader)
            assert resting.cookie != token
            with at(NOW + sessions.IDLE + timedelta(minutes=1)):
                assert resting.get(f"{HOME}/sessions").status_code == 303


def test_a_demo_that_moves_its_clock_signs_nobody_out(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        with browsing(desk, leader) as browser:
            monkeypatch.setattr(clock, "offset", lambda: timedelta(days=3))
            assert browser.get(f"{HOME}/sessions").status_code == 200


def test_g7_a_code_works_once_one_step_around_the_clock_and_not_by_guessing(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        staff(desk, "李老师", Role.LEADER)
        code = one_time_code()
        assert browser.sign_in("李老师", code=code).status_code == 303
        assert browser.sign_in("李老师", code=code).status_code == 403, "used"
        earlier, later = (one_time_code(NOW + timedelta(seconds=30 * steps)) for steps in (-1, 1))
        assert browser.sign_in("李老师", code=earlier).status_code == 403, "older than the one that was used"
        assert browser.sign_in("李老师", code=f" {later[:3]} {later[3:]} ").status_code == 303
        for steps in (-2, 3):
            assert browser.sign_in("李老师", code=one_time_code(NOW + timedelta(seconds=30 * steps))).status_code == 403
        for code in ("", "１２３４５６", "12345", "x" * 5_000, "-1", "٣٣٣٣٣٣"):
            assert browser.sign_in("李老师", code=code).status_code in (403, 429)
        guesses = [_guessed(desk, f"{number:06}") for number in range(tries.PER_NAME + tries.CODES + 1)]
        assert guesses[-1] is False, "a thousandth of a thousandth of a chance, twenty times"


def _guessed(desk: Desk, code: str) -> bool:
    """Whether a guess of the second factor was let as far as the password."""
    typed = Typed("李老师", WRONG, code, "203.0.113.50", "phone")
    return desk.write(lambda tx: signin.begin(tx, desk.keyring, typed, sessions.moment())) is not None


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("x" * 11, "short"),
        ("elf Zeichen", "short"),
        ("ab" * 65, "long"),
        ("a" * 200, "long"),
        ("eine Zeile\0mit Null", "controls"),
        ("eine Zeile\nmit Umbruch", "controls"),
        ("aaaaaaaaaaaa", "plain"),
        ("lilaoshililaoshi"[:14], "plain"),
        ("李老师的小组每周三晚上八点见", None),
        ("😀🎈🌲🐙🍀 und vier Wörter", None),
        ("x" * 5_000_000, "long"),
    ],
)
def test_g9_what_is_a_password(password: str, why: str | None) -> None:
    assert passwords.weakness(password, "lilaoshi") == why


def test_g9_a_password_is_neither_cut_nor_too_dear(database_url: str, dear_hashes: None) -> None:
    long = "wörter und 字 " * 12
    kept = passwords.hashed(long[:128])
    assert passwords.fits(kept, long[:128])
    assert not passwords.fits(kept, long[:127])
    assert passwords.fits(passwords.hashed("ｗｅｉｔｅ Zeichen 2026"), "weite Zeichen 2026"), "as any keyboard makes it"
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        staff(desk, "李老师", Role.LEADER)
        assert browser.sign_in("李老师", "x" * 20_000).status_code == 403
        assert browser.sign_in("李老师", "x" * 5_000_000).status_code == 413
        assert browser.sign_in("李老师", "\0" * 20).status_code == 403


def test_g10_there_is_no_first_user(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Login)).scalar_one()) == 0
        for name in ("admin", "administrator", "root", "tongban", ""):
            for password in (name, ""):
                assert browser.sign_in(name, password).status_code in (403, 429)


@pytest.mark.parametrize(
    "address",
    [
        *("//evil.example", "https://evil.example", "javascript:alert(1)", "/console/../evil", "/console//evil", "/\\evil"),
        *("/console/a?b=//c", "/consoles", "\t//evil", "/console/a\r\nSet-Cookie: x=1", "", "data:text/html,x", "/console/%2e%2e"),
    ],
)
def test_g11_one_is_sent_on_to_a_path_of_the_console_only(sqlite_url: str, address: str) -> None:
    assert not is_ours(address)
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk) as browser:
        staff(desk, "李老师", Role.LEADER)
        assert browser.sign_in("李老师", code=one_time_code(), following=address).headers["location"] == HOME


def test_g11_one_comes_back_to_where_one_wanted_to_go(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk) as browser:
        staff(desk, "李老师", Role.LEADER)
        door = browser.get(f"{HOME}/groups/{desk.group}").headers["location"]
        assert door == f"{HOME}/signin?next={HOME}/groups/{desk.group}"
        browser.get(door)
        fields = {"name": "李老师", "password": PASSWORD, "code": one_time_code(), "next": f"{HOME}/groups/{desk.group}"}
        assert f'value="{HOME}/groups/{desk.group}"' in browser.answer.text
        assert browser.post(f"{HOME}/signin", fields).headers["location"] == f"{HOME}/groups/{desk.group}"


def test_g12_no_page_is_framed_sniffed_or_kept(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        with browsing(desk, leader) as browser:
            for path in (f"{HOME}/signin", f"{HOME}/groups/{desk.group}", f"{HOME}/none", f"{HOME}/sessions", HOME):
                headers = browser.get(path).headers
                assert "frame-ancestors 'none'" in headers["content-security-policy"]
                assert "unsafe" not in headers["content-security-policy"]
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["cache-control"] == "no-store"
            for name in ("tabler.css", "htmx.js", "console.css"):
                assert browser.get(f"{HOME}/static/{name}").headers["x-content-type-options"] == "nosniff"


def test_only_three_files_of_others_and_ours_are_served(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, browsing(desk) as browser:
        for name in ("tabler.css", "htmx.js", "console.css"):
            assert browser.get(f"{HOME}/static/{name}").status_code == 200
        for name in ("js/jquery.min.js", "css/tabler.min.css", "htmx/htmx.js", "answer.css", "../static/answer.css", "", "x"):
            assert browser.get(f"{HOME}/static/{name}").status_code == 404, name


def test_who_is_no_staff_any_more_is_answered_as_a_stranger(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        leader = staff(desk, "李老师", Role.LEADER)
        desk.write(lambda tx: groups.end_membership(tx, desk.group, leader.known.id, Role.LEADER, NOW, "left"))
        assert browser.sign_in("李老师", code=one_time_code()).status_code == 403


def test_a_researcher_needs_no_code_and_a_leader_without_one_is_told_how_to_get_it(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk) as browser:
        staff(desk, "研究员", Role.RESEARCHER, code=False)
        leader = staff(desk, "李老师", Role.LEADER, code=False)
        assert browser.sign_in("研究员").status_code == 303
        assert browser.sign_in("李老师").status_code == 403
        assert "微信扫码" in browser.answer.text.split('role="alert"')[1][:200]
        assert alive(desk, leader.login_id) == 0


def test_two_processes_take_a_code_once(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        step = int(NOW.timestamp()) // 30
        used = together(desk, [lambda tx: logins.use_step(tx, leader.login_id, step)] * 3)
        assert sorted(used) == [False, False, True]


def test_sessions_are_listed_and_ended_one_by_one(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader, foreign = staff(desk, "李老师", Role.LEADER), staff(desk, "周老师", Role.LEADER)
        with browsing(desk, leader) as here, browsing(desk, leader) as there, browsing(desk, foreign):
            ids = desk.read(lambda tx: [each.id for each in sessions.living(tx, leader.login_id, NOW)])
            theirs = desk.read(lambda tx: [each.id for each in sessions.living(tx, foreign.login_id, NOW)])
            here.get(f"{HOME}/sessions")
            assert here.post(f"{HOME}/sessions/{theirs[0]}/end").status_code == 404
            assert alive(desk, foreign.login_id) == 1
            assert here.post(f"{HOME}/sessions/{ids[0]}/end").status_code == 303
            assert there.get(f"{HOME}/sessions").status_code == 303
            assert here.get(f"{HOME}/sessions").status_code == 200


def test_a_password_is_changed_by_whoever_knows_it_and_all_other_sessions_end(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        new = "ein neuer Satz für 2027"
        with browsing(desk, leader) as here, browsing(desk, leader) as there:
            here.get(f"{HOME}/sessions")
            path = f"{HOME}/sessions/password"
            assert here.post(path, {"old": WRONG, "password": new, "again": new}).status_code == 422
            assert here.post(path, {"old": PASSWORD, "password": "kurz", "again": "kurz"}).status_code == 422
            assert here.post(path, {"old": PASSWORD, "password": new, "again": "anders " + new}).status_code == 422
            assert there.get(f"{HOME}/sessions").status_code == 200
            assert here.post(path, {"old": PASSWORD, "password": new, "again": new}).status_code == 303
            assert there.get(f"{HOME}/sessions").status_code == 303
            assert here.get(f"{HOME}/sessions").status_code == 200
        with browsing(desk) as browser:
            assert browser.sign_in("李老师", PASSWORD, one_time_code()).status_code == 403
            assert browser.sign_in("李老师", new, one_time_code()).status_code == 303
