"""What a token opens: every route, tried with every scope on one's own things, foreign ones and none; and what is no token."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import APIRouter, FastAPI

from app import courses, groups, integrations, schedules
from app.console import sessions
from app.db import Tx
from app.integrations.rules import Of, Rule, Scope
from app.main import create_app
from app.models import Audit, Integration
from app.web import api
from app.web.api import ROUTES
from app.web.api.routing import HOME, THING, Route
from bots.turns import Role
from tests.api.calling import System, calling, integration
from tests.console.visiting import browsing, signed_in, staff
from tests.delivery.scene import NOW, Desk, at

# By construction --------------------------------------------------------------------------------------------------------------------------


def test_an_application_with_a_route_without_a_rule_does_not_start(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk:
        app = create_app(desk.assembly, worker=False)
        api.refuse_without_rule(app)
        router = APIRouter()
        router.add_api_route("/api/v2/everybody", lambda: "open", methods=["GET"])
        app.include_router(router)
        with pytest.raises(LookupError, match="says nothing of which tokens may come there"):
            api.refuse_without_rule(app)
        with pytest.raises(LookupError, match="only 0 are found"):
            api.refuse_without_rule(FastAPI())


def test_a_route_is_not_even_written_down_without_a_scope() -> None:
    def work(_tx: Tx, _call: object) -> None:
        return None

    for rule in (None, Rule(None)):
        with pytest.raises(TypeError, match="has no rule with a scope"):
            Route("GET", f"{HOME}/x", rule, work, str, "x")  # type: ignore[arg-type]
    for path, of in ((f"{HOME}/x", Of.GROUP), (f"{HOME}/x/{THING}", Of.NOTHING)):
        with pytest.raises(ValueError, match=r"needs \{thing\} in the path"):
            Route("GET", path, Rule(Scope.GROUPS_READ, of), work, str, "x")
    with pytest.raises(ValueError, match="a GET reads"):
        Route("DELETE", f"{HOME}/x", Rule(Scope.GROUPS_READ), work, str, "x")


def test_every_scope_opens_something_and_what_changes_things_needs_a_scope_that_says_so() -> None:
    assert {route.rule.scope for route in ROUTES} == set(Scope)
    for route in ROUTES:
        assert str(route.rule.scope).endswith(":write" if route.method == "POST" else ":read"), route.path


# The matrix -------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A course with a group, an announcement of its staff's and one of an integration's; a number, and a group that it may move to."""

    course: int
    group: int
    announcement: int
    planned: int
    number: str

    def of(self, kind: Of) -> int:
        return {Of.COURSE: self.course, Of.GROUP: self.group, Of.ANNOUNCEMENT: self.announcement, Of.OWN_ANNOUNCEMENT: self.planned}[kind]


def _place(desk: Desk, course: int, code: str, maker: int) -> Place:
    def make(tx: Tx) -> Place:
        former, group = (groups.create(tx, course, code=f"{code}{each}", name=f"{code}{each}") for each in range(2))
        person = desk_person.id
        groups.enter(tx, former, person, Role.PARTICIPANT, NOW)
        number = groups.number_participant(tx, course, person, NOW)
        planned = [
            schedules.plan_announcement(
                tx, desk.keyring, author_id=None, group_id=group, text=code, at=None, draft=None, now=NOW, integration_id=by
            )
            for by in (None, maker)
        ]
        return Place(course, group, planned[0], planned[1], number)

    desk_person = desk.person(f"{code}的人", role=None)
    return desk.write(make)


def _tried(system: System, route: Route, thing: int, body: Any = None) -> httpx.Response:
    path = route.path.removeprefix(HOME).replace(THING, str(thing))
    return system.get(path) if route.method == "GET" else system.post(path, body)


def _body(route: Route, place: Place) -> Any:
    """What the route would take, with things of this place."""
    if route.takes is None:
        return {}
    given = {"participant": place.number, "text": "今晚见", "groups": [str(place.group)], "at": "now"}
    return {name: given[name] for name, field in route.takes.model_fields.items() if field.is_required()}


def _scopes(desk: Desk, made: int, scopes: set[str]) -> None:
    desk.write(lambda tx: tx.execute(sa.update(Integration).where(Integration.id == made).values(scopes=" ".join(sorted(scopes)))))


def test_every_route_with_every_scope_on_own_and_foreign_things(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        foreign_course = desk.write(
            lambda tx: courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="other", title="另一门课")
        )
        made, token = integration(desk)
        neighbour, _ = integration(desk, name="别的系统")
        far, _ = integration(desk, courses=(foreign_course,), name="远处的系统")
        own = _place(desk, desk.course_id, "own", made)
        beside = _place(desk, desk.course_id, "beside", neighbour)
        foreign = _place(desk, foreign_course, "foreign", far)
        wrong = []
        with System(desk.assembly, token) as system:
            for route in ROUTES:
                mine = str(route.rule.scope)
                _scopes(desk, made, {str(scope) for scope in Scope} - {mine})
                for place in (own, foreign):
                    thing = place.of(route.rule.of) if THING in route.path else 0
                    answer = _tried(system, route, thing, _body(route, place))
                    if answer.status_code != 403 or mine not in answer.json()["detail"]:
                        wrong.append((route.path, mine, "without the scope", answer.text))
                _scopes(desk, made, {mine})
                if THING in route.path:
                    missing = _tried(system, route, 4, _body(route, own))
                    for place in (foreign, *((beside,) if route.rule.of is Of.OWN_ANNOUNCEMENT else ())):
                        answer = _tried(system, route, place.of(route.rule.of), _body(route, place))
                        if (answer.status_code, answer.content, answer.headers) != (404, missing.content, missing.headers):
                            wrong.append((route.path, mine, "foreign", answer.text))
                answer = _tried(system, route, own.of(route.rule.of) if THING in route.path else 0, _body(route, own))
                if answer.status_code != route.status:
                    wrong.append((route.path, mine, "own", answer.text))
            _scopes(desk, made, set(map(str, Scope)))
            desk.write(lambda tx: integrations.revoke(tx, made, sessions.moment(), NOW))
            for route in ROUTES:
                answer = _tried(system, route, own.of(route.rule.of) if THING in route.path else 0, _body(route, own))
                if answer.status_code != 401:
                    wrong.append((route.path, "all", "revoked", answer.text))
        assert wrong == []


def test_a_body_leads_to_no_foreign_thing(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        other = desk.write(lambda tx: courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="other", title="另一门课"))
        foreign = _place(desk, other, "foreign", integration(desk, courses=(other,))[0])
        own = _place(desk, desk.course_id, "own", integration(desk)[0])
        announce, move = f"/courses/{desk.course_id}/announcements", f"/groups/{own.group}/memberships"
        faces = []
        for group in (foreign.group, 4):
            body = {"text": "今晚见", "groups": [str(own.group), str(group)], "at": "now"}
            faces.append(system.post(announce, body).text)
        assert faces[0] == faces[1]
        assert '"group"' in faces[0]
        unknown = next(number for number in ("10000", "10001", "10002") if number not in (own.number, foreign.number))
        numbers = [system.post(move, {"participant": number}) for number in (foreign.number, unknown)]
        if foreign.number != own.number:
            assert {answer.status_code for answer in numbers} == {404}
            assert numbers[0].content == numbers[1].content
        announced = sa.select(sa.func.count()).where(Audit.action == "announce", Audit.actor.startswith("integration:"))
        assert desk.read(lambda tx: tx.execute(announced).scalar_one()) == 2, "none beside those of the two places"


# What is no token -------------------------------------------------------------------------------------------------------------------------


def test_what_is_no_token_gets_one_sentence_and_says_how(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        good = system.token
        assert system.get("/courses").status_code == 200
        for given, code in (
            ("", "no_token"),
            ("Bearer", "token"),
            (f"Basic {good}", "token"),
            (f"Bearer {good}x", "token"),
            (f"Bearer {good[:-1]}", "token"),
            (f"Bearer {good.swapcase()}", "token"),
            (f"Bearer {good} {good}", "token"),
            ("Bearer " + "A" * 10_000, "token"),
            (f"Token {good}", "token"),
        ):
            answer = system.send("GET", "/courses", headers={"authorization": given})
            assert (answer.status_code, answer.json()["code"]) == (401, code), given[:20]
            assert answer.headers["www-authenticate"].startswith('Bearer realm="tongban"')
            assert answer.headers["content-type"] == "application/problem+json"
            assert good not in answer.text
        assert system.send("GET", "/courses", headers={"authorization": f"bEARER {good}"}).status_code == 200, "the scheme has no case"
        assert system.send("GET", f"/courses?access_token={good}", headers={"authorization": ""}).status_code == 401
        zh = system.send("GET", "/courses", headers={"authorization": "", "accept-language": "zh-CN,zh;q=0.9"})
        assert "令牌" in zh.json()["detail"]
        assert zh.headers["content-language"] == "zh"


def test_a_token_that_nobody_was_given_costs_no_query(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), calling(desk) as system:
        said: list[str] = []
        for engine in (desk.database._readers, desk.database._writers, desk.database._impatient):
            sa.event.listen(engine, "before_cursor_execute", lambda *given: said.append(given[2]))
        system.token = system.token[:-1] + ("A" if system.token[-1] != "A" else "B")
        assert system.get("/courses").status_code == 401
        assert said == []


def test_a_renewed_token_ends_the_former_one_at_once(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        made, token = integration(desk)
        with System(desk.assembly, token) as system:
            assert system.get("/courses").status_code == 200
            fresh = desk.write(lambda tx: integrations.renew(tx, desk.keyring.vault, made, NOW))
            assert system.get("/courses").status_code == 401
            system.token = fresh
            assert system.get("/courses").status_code == 200
        columns = Integration.__table__.columns
        stored = b"".join(str(each).encode() for row in desk.read(lambda tx: tx.execute(sa.select(*columns)).all()) for each in row)
        assert fresh.encode() not in stored
        assert fresh[8:51].encode() not in stored


def test_no_cookie_opens_the_api_and_no_token_the_console(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        admin = staff(desk, "王管理", Role.ADMINISTRATOR, group=large)
        with browsing(desk, admin) as browser:
            assert browser.get("/console/integrations").status_code == 200
            assert browser.get(f"{HOME}/courses").status_code == 401
        with browsing(desk) as browser:
            token = integration(desk)[1]
            for path in ("/console/integrations", "/console/api", "/console/admin"):
                assert browser.get(path, authorization=f"Bearer {token}").status_code == 303
            signed_in(desk, browser, admin)
            assert browser.get(f"{HOME}/courses", authorization=f"Bearer {token}").status_code == 200, "a cookie beside it does no harm"
            assert "set-cookie" not in browser.answer.headers
            assert "access-control-allow-origin" not in browser.answer.headers


def test_another_verb_or_spelling_opens_nothing(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), calling(desk) as system:
        for method in api.METHODS:
            if method not in ("GET", "POST"):
                assert system.send(method, "/courses").status_code == 404, method
        for path in ("/courses/", "//courses", "/COURSES", "/courses;x=1", "/courses/./", "", "/", "/nothing", "/docs", "/openapi.json"):
            assert system.get(path).status_code == 404, path
        assert system.send("GET", f"/courses/{desk.course_id}", headers={"x-http-method-override": "POST"}).status_code == 200
        for thing in ("0", "-1", "01", "1e3", str(2**63), "9" * 400, "١٢", "1,2", "%00", "null", "[1]", "+1", "１"):
            assert system.get(f"/courses/{thing}").status_code == 404, thing
        system.token = ""
        assert system.get("/nothing").status_code == 401, "what there is, is told to nobody without a token"


def test_the_application_still_shows_no_docs(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk) as browser:
        for path in ("/docs", "/redoc", "/openapi.json", "/api", "/api/docs", "/api/openapi.json"):
            assert browser.get(path).status_code == 404, path
        for path in (f"{HOME}/docs", f"{HOME}/openapi.json"):
            assert browser.get(path).status_code == 401, path


def test_a_token_may_call_so_often_and_is_told_when_to_go_on(database_url: str, strict_counting: None) -> None:
    from app.integrations.calls import CALLS_A_MINUTE

    with Desk(database_url) as desk, at(NOW):
        _, token = integration(desk)
        _, other = integration(desk, name="别的系统")
        desk.write(lambda tx: tx.execute(sa.update(Integration).values(minute=NOW, calls=CALLS_A_MINUTE - 2)))
        with System(desk.assembly, token) as system:
            with at(NOW.replace(second=20)):
                assert [system.get("/courses").status_code for _ in range(3)] == [200, 200, 429]
                refused = system.get("/nothing")
                assert refused.status_code == 429
                assert 1 <= int(refused.headers["retry-after"]) <= 40
                assert str(CALLS_A_MINUTE) in refused.json()["detail"]
                system.token = other
                assert system.get("/courses").status_code == 200, "each token has its own"
            with at(NOW.replace(minute=1)):
                system.token = token
                assert system.get("/courses").status_code == 200
