"""Who may come where: the whole table of routes, tried by every role on what is theirs, another group's and another course's."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time, timedelta

import pytest
import sqlalchemy as sa
from fastapi import APIRouter, FastAPI

from app import approvals, courses, groups, ids, integrations, schedules
from app.console import sessions
from app.console.rules import DOOR, SIGNED_IN, Of, Rule
from app.db import Tx
from app.encouragement import library
from app.integrations import Asked
from app.integrations.rules import Scope
from app.main import create_app
from app.models import Flag, Person, Question
from app.prompts import planning
from app.questionnaires import waves
from app.questionnaires.waves import Plan
from app.web import console
from app.web.console import ROUTES
from app.web.console.routing import THING, Route, Shown
from bots.effects import PlanPrompt
from bots.recurrence import Rule as Recurrence
from bots.turns import Role
from tests.console.visiting import ADDRESS, HOME, Browser, alive, browsing, signed_in, staff
from tests.delivery.scene import NOW, Desk, at

LEADERS = {Role.LEADER, Role.ASSISTANT}
CANARY = "金丝雀的名字"


# By construction --------------------------------------------------------------------------------------------------------------------------


def test_an_application_with_a_route_without_a_rule_does_not_start(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk:
        app = create_app(desk.assembly, worker=False)
        console.refuse_without_rule(app)
        router = APIRouter()
        router.add_api_route(f"{HOME}/everybody", lambda: "open", methods=["GET"])
        app.include_router(router)
        with pytest.raises(LookupError, match="says nothing of who may come there"):
            console.refuse_without_rule(app)
        hidden = FastAPI()
        with pytest.raises(LookupError, match="only 0 are found"):
            console.refuse_without_rule(hidden)


def test_a_route_is_not_even_written_down_without_a_rule() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        Route("GET", f"{HOME}/x", work=lambda _tx, _visit: Shown("problem"))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="has no rule"):
        Route("GET", f"{HOME}/x", None, lambda _tx, _visit: Shown("problem"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"needs \{thing\} in the path"):
        Route("GET", f"{HOME}/x", Rule(None, Of.GROUP), lambda _tx, _visit: Shown("problem"))
    with pytest.raises(ValueError, match=r"needs \{thing\} in the path"):
        Route("GET", f"{HOME}/x/{THING}", SIGNED_IN, lambda _tx, _visit: Shown("problem"))


def test_looking_changes_nothing() -> None:
    for route in ROUTES:
        assert route.method in ("GET", "POST")
        assert not (route.method == "GET" and route.takes), f"{route.path} takes a form by GET"


# The matrix -------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A group with a course, an announcement and a wave, and somebody in it with a session."""

    course: int
    group: int
    announcement: int
    wave: int
    session: int
    flag: int
    staff: int
    prompt: int
    word: int
    question: int
    integration: int
    approval: int

    def of(self, kind: Of) -> int:
        return {
            Of.COURSE: self.course,
            Of.GROUP: self.group,
            Of.ANNOUNCEMENT: self.announcement,
            Of.WAVE: self.wave,
            Of.SESSION: self.session,
            Of.FLAG: self.flag,
            Of.STAFF: self.staff,
            Of.PROMPT: self.prompt,
            Of.WORD: self.word,
            Of.QUESTION: self.question,
            Of.INTEGRATION: self.integration,
            Of.APPROVAL: self.approval,
        }[kind]


def _wave(tx: Tx, desk: Desk, course: int) -> int:
    plan = Plan("post", {"zh": "课后", "en": "After"}, NOW, NOW + timedelta(days=7), ("shs",), {})
    return waves.add(tx, desk.tools.shelf, course, plan, NOW)


def _flag(tx: Tx, desk: Desk, course: int) -> int:
    number = tx.execute(sa.select(sa.func.coalesce(sa.func.max(Flag.number), 0))).scalar_one() + 1
    person = tx.execute(sa.select(sa.func.min(Person.id))).scalar_one()
    kept = {"id": ids.new_id(), "number": number, "person_id": person, "course_id": course, "account_id": desk.account_id}
    tx.execute(sa.insert(Flag).values(**kept, rule="crisis", words_sealed=b"", raised_at=NOW, step=0))
    return int(kept["id"])


def _question(tx: Tx, desk: Desk, course: int, group: int) -> int:
    number = tx.execute(sa.select(sa.func.coalesce(sa.func.max(Question.number), 0))).scalar_one() + 1
    person = tx.execute(sa.select(sa.func.min(Person.id))).scalar_one()
    kept = {
        "id": ids.new_id(),
        "number": number,
        "person_id": person,
        "course_id": course,
        "group_id": group,
        "account_id": desk.account_id,
    }
    tx.execute(sa.insert(Question).values(**kept, state="open", asked_at=NOW, changed_at=NOW, step=0))
    return int(kept["id"])


def _place(desk: Desk, course: int, group: int, wave: int, word: int) -> Place:
    somebody = staff(desk, f"某人{group}", Role.LEADER, group=group)
    announcement = desk.write(
        lambda tx: schedules.plan_announcement(
            tx, desk.keyring, author_id=None, group_id=group, text=f"{CANARY} 明天见", at=NOW + timedelta(hours=2), draft=None, now=NOW
        )
    )
    desk.write(lambda tx: sessions.begin(tx, desk.keyring.vault, somebody.login_id, "password", "phone", NOW))
    session = desk.read(lambda tx: sessions.living(tx, somebody.login_id, NOW)[0].id)
    flag = desk.write(lambda tx: _flag(tx, desk, course))
    prompt = desk.write(lambda tx: planning.plan(tx, desk.keyring, None, daily(group), NOW))
    question = desk.write(lambda tx: _question(tx, desk, course, group))
    asked = Asked(f"系统{group}", [course], tuple(Scope))
    integration, _ = desk.write(lambda tx: integrations.add(tx, desk.keyring.vault, asked, sessions.moment(), NOW))
    desk.write(lambda tx: approvals.wait(tx, desk.keyring, announcement, "many", NOW))
    known = somebody.known.id
    return Place(course, group, announcement, wave, session, flag, known, prompt, word, question, integration, announcement)


def daily(group: int) -> PlanPrompt:
    """A practice prompt for a group, every evening."""
    return PlanPrompt((group,), f"{CANARY} 今天练了吗？", Recurrence(time(20)), NOW.date() + timedelta(days=7), 0)


@dataclass(frozen=True)
class World:
    own: Place
    neighbour: Place
    foreign: Place
    large: int


def _world(desk: Desk) -> World:
    def make(tx: Tx) -> tuple[int, int, int, int]:
        other = groups.create(tx, desk.course_id, code="dusk", name="晚霞组")
        course = courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="other", title="另一门课")
        foreign = groups.create(tx, course, code="far", name="远山组")
        return other, course, foreign, groups.by_code(tx, "msc-all")

    other, course, foreign, large = desk.write(make)
    ours, theirs = desk.write(lambda tx: _wave(tx, desk, desk.course_id)), desk.write(lambda tx: _wave(tx, desk, course))
    words = {"zh": f"{CANARY}，慢慢来，你已经在路上了"}
    word = desk.write(lambda tx: library.propose(tx, desk.keyring, desk.course_id, words, NOW, author="某人"))
    theirs_too = desk.write(lambda tx: library.propose(tx, desk.keyring, course, words, NOW, author="某人"))
    desk.person(CANARY)
    return World(
        _place(desk, desk.course_id, desk.group, ours, word),
        _place(desk, desk.course_id, other, ours, word),
        _place(desk, course, foreign, theirs, theirs_too),
        large,
    )


def _may(rule: Rule, role: Role, where: str) -> bool:
    """What this file believes of the rules, told without them: course-wide roles reach the neighbour, nobody another course."""
    if rule.door:
        return True
    if rule.roles is not None and role not in rule.roles:
        return False
    if rule.of is Of.NOTHING:
        return True
    if rule.of is Of.SESSION or where == "foreign":
        return False
    if where == "neighbour":
        return rule.of in (Of.WAVE, Of.COURSE, Of.FLAG, Of.STAFF, Of.WORD, Of.INTEGRATION) or role in (Role.ADMINISTRATOR, Role.RESEARCHER)
    return True


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.PARTICIPANT])
def test_every_route_for_every_role_on_own_and_foreign_things(database_url: str, role: Role) -> None:
    with Desk(database_url) as desk, at(NOW):
        world = _world(desk)
        seat = world.large if role in (Role.ADMINISTRATOR, Role.RESEARCHER) else desk.group
        who = staff(desk, "自己", role, group=seat)
        things = {"own": world.own, "neighbour": world.neighbour, "foreign": world.foreign}
        unexpected = []
        with Browser(desk.assembly) as browser:
            for route in ROUTES:
                for where, place in things.items() if THING in route.path else [("own", world.own)]:
                    if not (browser.cookie and alive(desk, who.login_id)):
                        signed_in(desk, browser, who)
                    status = _tried(browser, route, place)
                    expected = _may(route.rule, role, where)
                    if (status < 400) is not expected and not (expected and status in (403, 404, 409, 422, 429)):
                        unexpected.append((route.method, route.path, where, status))
                    if not expected and status != 404:
                        unexpected.append((route.method, route.path, where, status))
        assert unexpected == []


def _tried(browser: Browser, route: Route, place: Place) -> int:
    path = route.path.replace("{token}", "x" * 43)
    if THING in path:
        path = path.replace(THING, str(place.of(route.rule.of)))
    if route.method == "GET":
        return browser.get(path).status_code
    if route.uploads:
        return browser.upload(path, "list.csv", b"").status_code
    return browser.post(path).status_code


def test_nobody_comes_anywhere_without_signing_in(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        world = _world(desk)
        with browsing(desk) as browser:
            for route in (route for route in ROUTES if not route.rule.door):
                browser.get(f"{HOME}/signin")
                assert _tried(browser, route, world.own) == 303, route.path
                assert browser.answer.headers["location"].startswith(f"{HOME}/signin")
                assert browser.answer.headers["location"].endswith("?over=1") is (route.method == "POST"), "what was sent is not taken"


def test_h1_what_is_foreign_looks_like_what_never_was(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        world = _world(desk)
        with browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
            missing = _face(browser, f"{HOME}/groups/4")
            for place in (world.neighbour, world.foreign):
                for path in (
                    f"groups/{place.group}",
                    f"announcements/{place.announcement}",
                    f"groups/{world.large}",
                    "nothing",
                    "groups/x/y",
                ):
                    assert _face(browser, f"{HOME}/{path}") == missing, path
            assert missing[0] == 404
            assert CANARY not in missing[1]
            assert f'href="{HOME}/announcements"' in missing[1], "whoever is signed in keeps the menu"


def _face(browser: Browser, path: str) -> tuple[int, str, list[str]]:
    answer = browser.get(path)
    return answer.status_code, answer.text, sorted(answer.headers)


@pytest.mark.parametrize(
    "thing",
    [
        "0",
        "-1",
        "01",
        "1e3",
        str(2**63),
        str(2**63 - 1),
        "9" * 400,
        "١٢",
        "1;2",
        "1,2",
        "%00",
        "0x10",
        "null",
        "[1]",
        "1 OR 1=1",
        "+1",
        "１",
    ],
)
def test_h4_an_id_that_is_none_is_nothing(sqlite_url: str, thing: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
        for page in ("groups", "announcements", "waves"):
            assert browser.get(f"{HOME}/{page}/{thing}").status_code == 404


def test_h2_a_researcher_learns_no_name_by_asking_for_fields(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        world = _world(desk)
        with browsing(desk, staff(desk, "研究员", Role.RESEARCHER, group=world.large, code=False)) as browser:
            plain = browser.get(f"{HOME}/waves/{world.own.wave}").text
            for query in ("fields=openid", "sort=name", f"filter[nickname]={CANARY}", "expand=identity", "q=" + CANARY, "page=x"):
                assert browser.get(f"{HOME}/waves/{world.own.wave}?{query}").text == plain


def test_a_researcher_reaches_no_canary(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        world = _world(desk)
        while desk.write(lambda tx: waves.go_on(tx, desk.tools, NOW)):
            pass
        with browsing(desk, staff(desk, "研究员", Role.RESEARCHER, group=world.large, code=False)) as browser:
            seen = [browser.get(f"{HOME}/waves/{world.own.wave}").text]
            number = re.search(r'<th scope="row">(\d{5})</th>', seen[0])
            assert number is not None, "they see numbers"
            for route in ROUTES:
                for place in (world.own, world.neighbour, world.foreign):
                    browser.get(f"{HOME}/sessions")
                    _tried(browser, route, place)
                    seen.append(browser.answer.text)
            assert not any(CANARY in text or desk.openid(1) in text for text in seen)


def test_a_leader_sees_counts_of_their_own_group_and_no_number(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        world = _world(desk)
        for _ in range(3):
            desk.person("别组的", role=None)
        elsewhere = desk.person("邻组的", role=None)
        desk.write(lambda tx: groups.enter(tx, world.neighbour.group, elsewhere.id, Role.PARTICIPANT, NOW))
        desk.write(lambda tx: groups.number_participant(tx, desk.course_id, elsewhere.id, NOW))
        while desk.write(lambda tx: waves.go_on(tx, desk.tools, NOW)):
            pass
        counts: dict[str, str] = {}
        for role in (Role.LEADER, Role.ADMINISTRATOR):
            seat = world.large if role is Role.ADMINISTRATOR else desk.group
            with browsing(desk, staff(desk, f"看{role}", role, group=seat)) as browser:
                page = browser.get(f"{HOME}/waves/{world.own.wave}").text
                counts[role] = "".join(re.findall(r"0 / (\d+) 人答完", page))
                assert bool(re.search(r'<th scope="row">\d{5}</th>', page)) is (role is Role.ADMINISTRATOR)
                assert CANARY not in page
        assert counts == {Role.LEADER: "1", Role.ADMINISTRATOR: "2"}


def test_h3_a_field_that_no_form_has_is_refused_and_nothing_is_changed(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        world = _world(desk)
        with browsing(desk, staff(desk, "管理员", Role.ADMINISTRATOR, group=world.large)) as browser:
            person = desk.person("小雨")
            fields = {"person": str(person.id), "to": str(world.neighbour.group)}
            for extra in ("role", "programme_id", "participant_no", "consented_at", "is_admin", "person[id]", "csrf2"):
                assert browser.post(f"{HOME}/groups/{desk.group}/move", {**fields, extra: "1"}).status_code == 422, extra
            assert _sits(desk, person.id) == {desk.group}
            browser.get(f"{HOME}/groups/{desk.group}")
            assert browser.post(f"{HOME}/groups/{desk.group}/move", fields).status_code == 303
            assert _sits(desk, person.id) == {world.neighbour.group}


def _sits(desk: Desk, person_id: int) -> set[int]:
    from app import people

    known = desk.read(lambda tx: people.known_by_id(tx, desk.keyring, person_id, desk.account_id))
    assert known is not None
    return {each.group for each in desk.read(lambda tx: people.view(tx, known)).memberships if not each.large}


@pytest.mark.parametrize(
    "send",
    [
        lambda path: ("PUT", path, {}),
        lambda path: ("DELETE", path, {}),
        lambda path: ("PATCH", path, {}),
        lambda path: ("GET", path, {"headers": {"x-http-method-override": "POST"}}),
        lambda path: ("GET", path + "/", {}),
        lambda path: ("GET", path.upper(), {}),
        lambda path: ("GET", path + ";jsessionid=1", {}),
        lambda path: ("GET", path.replace("/console", "/console/."), {}),
        lambda path: ("GET", path.replace("/groups", "//groups"), {}),
        lambda path: ("POST", path, {"headers": {"origin": ADDRESS}}),
    ],
)
def test_h10_another_verb_or_spelling_opens_nothing(sqlite_url: str, send: Callable[[str], tuple[str, str, dict[str, object]]]) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        world = _world(desk)
        with browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
            method, path, given = send(f"{HOME}/groups/{world.neighbour.group}")
            answer = browser.send(method, path, **given)
            assert answer.status_code in (403, 404, 405)
            assert CANARY not in answer.text


def test_h6_a_page_far_behind_the_end_is_empty_and_cheap(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
        for page in ("-1", "1000000000", "9999", "1.5", "x", "²"):
            assert browser.get(f"{HOME}/groups/{desk.group}?page={page}").status_code == 200


def test_h9_a_broadcast_that_runs_is_stopped_and_counted(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        people = [desk.person(f"组员{number}") for number in range(4)]
        leader = staff(desk, "李老师", Role.LEADER)
        schedule = desk.announced("今晚见", author=leader.known)
        with browsing(desk, leader) as browser:
            page = browser.get(f"{HOME}/announcements/{schedule}").text
            assert f"还有 {len(people)} 条没发出" in page
            assert browser.post(f"{HOME}/announcements/{schedule}/cancel").status_code == 303
            page = browser.get(f"{HOME}/announcements/{schedule}").text
            assert '<th scope="row">已取消</th><td>4</td>' in page
            assert browser.post(f"{HOME}/announcements/{schedule}/cancel").status_code == 409


def test_a_mentor_sees_groups_and_addresses_nobody(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk, staff(desk, "沈导师", Role.MENTOR)) as browser:
        assert browser.get(f"{HOME}/groups/{desk.group}").status_code == 200
        assert browser.get(f"{HOME}/announcements").status_code == 404
        assert "/announcements" not in re.sub(r"announcements/new\?group", "", browser.get(f"{HOME}/sessions").text)


def test_the_doors_look_at_nobody() -> None:
    doors = {(route.method, route.path) for route in ROUTES if route.rule == DOOR}
    assert doors == {
        ("GET", f"{HOME}/signin"),
        ("POST", f"{HOME}/signin"),
        ("POST", f"{HOME}/language"),
        ("GET", f"{HOME}/signin/scan"),
        ("POST", f"{HOME}/signin/scan"),
        ("POST", f"{HOME}/signin/scan/go"),
        ("GET", f"{HOME}/join/{{token}}"),
        ("POST", f"{HOME}/join/{{token}}"),
    }
