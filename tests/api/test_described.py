"""The description of the API: FastAPI's own, of just these routes, and true of what they answer; for signed-in administrators alone."""

import json
import re
from typing import Any

import pytest

from app import groups
from app.integrations.rules import Of, Scope
from app.web.api import ROUTES, schema
from app.web.api.routing import HOME, THING
from bots.turns import Role
from tests.api.calling import System, calling
from tests.architecture.source import ROOT
from tests.console.visiting import browsing, staff
from tests.delivery.scene import NOW, Desk, at


def operations() -> dict[tuple[str, str], Any]:
    found = schema.document()["paths"]
    return {(method.upper(), path): each for path, methods in found.items() for method, each in methods.items()}


def test_every_route_is_described_and_nothing_else() -> None:
    assert set(operations()) == {(route.method, schema._path(route)) for route in ROUTES}
    assert all(path.startswith(f"{HOME}/") for _, path in operations())
    assert len({each["operationId"] for each in operations().values()}) == len(ROUTES)
    for (method, path), each in operations().items():
        named = {(one["in"], one["name"]) for one in each["parameters"]}
        assert {name for place, name in named if place == "path"} == set(re.findall(r"\{(\w+)\}", path))
        assert (("header", "Idempotency-Key") in named) is (method == "POST")
        assert each["security"] == [{"token": []}]
        assert each["x-scope"] in set(Scope)
        assert each["summary"]
        assert each["description"].endswith(".")
        assert {"401", "403", "404", "422", "429", "503"} <= set(each["responses"])


def test_the_document_holds_together() -> None:
    document = schema.document()
    assert document["openapi"].startswith("3.")
    refs = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document)))
    assert refs == set(document["components"]["schemas"])
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    problems = [answer["content"] for each in operations().values() for status, answer in each["responses"].items() if status >= "400"]
    assert {next(iter(content)) for content in problems} == {"application/problem+json"}
    with pytest.raises(AssertionError, match="sub"):
        _fits({"type": "object", "properties": {"sub": {"type": "integer"}}, "required": ["sub"]}, {"sub": "x"}, "")


def _fits(wanted: Any, value: Any, where: str) -> None:
    """Whether an answer is what the document says of it, and no field more."""
    if "$ref" in wanted:
        wanted = schema.document()["components"]["schemas"][wanted["$ref"].rpartition("/")[2]]
    if "anyOf" in wanted:
        wanted = next(each for each in wanted["anyOf"] if (each.get("type") == "null") is (value is None))
    if "enum" in wanted:
        assert value in wanted["enum"], where
    kinds: dict[str, type] = {"string": str, "integer": int, "boolean": bool, "null": type(None), "array": list, "object": dict}
    assert type(value) is kinds[wanted["type"]], where
    if isinstance(value, list):
        for each in value:
            _fits(wanted["items"], each, f"{where}[]")
    if isinstance(value, dict):
        if "properties" in wanted:
            assert set(value) == set(wanted["properties"]) == set(wanted["required"]), where
        for name, each in value.items():
            _fits(wanted.get("properties", {}).get(name) or wanted["additionalProperties"], each, f"{where}.{name}")


def test_what_is_answered_is_what_is_described(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        other = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组"))
        desk.person("小雨")
        desk.person("李老师", Role.LEADER)
        announcement = desk.announced("别人的话")
        things = {Of.COURSE: desk.course_id, Of.GROUP: desk.group, Of.ANNOUNCEMENT: announcement}
        for route in (route for route in ROUTES if route.method == "GET"):
            path = route.path.removeprefix(HOME).replace(THING, str(things.get(route.rule.of, "")))
            _described(route.method, schema._path(route), system, path, None)
        (number,) = [each["participant"] for each in system.pages(f"/groups/{desk.group}/memberships", 9) if each["participant"]]
        _described("POST", f"{HOME}/groups/{{group}}/memberships", system, f"/groups/{other}/memberships", {"participant": number})
        body = {"text": "我们的话", "groups": [str(desk.group)], "at": "now"}
        path = f"/courses/{desk.course_id}/announcements"
        made = _described("POST", f"{HOME}/courses/{{course}}/announcements", system, path, body)["announcements"][0]["id"]
        _described("POST", f"{HOME}/announcements/{{announcement}}/cancel", system, f"/announcements/{made}/cancel", {})


def _described(method: str, described: str, system: System, path: str, body: Any) -> Any:
    answer = system.get(path) if method == "GET" else system.post(path, body)
    said = operations()[method, described]["responses"][str(answer.status_code)]
    _fits(said["content"]["application/json"]["schema"], answer.json(), described)
    return answer.json()


def test_only_administrators_see_it_and_may_take_it_away(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        with browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR, group=large)) as browser:
            page = browser.get("/console/api").text
            assert [path for _, path in operations() if path not in page] == []
            assert [str(scope) for scope in Scope if scope not in page] == []
            assert "<script" not in page.replace('<script src="/console/static/htmx.js"', "")
            taken = browser.post("/console/api/openapi")
            assert "attachment" in taken.headers["content-disposition"]
            assert taken.json() == {**json.loads(json.dumps(schema.document())), "servers": [{"url": "http://127.0.0.1:8000"}]}
        for name, role in (("李老师", Role.LEADER), ("沈导师", Role.MENTOR), ("陈研究", Role.RESEARCHER)):
            with browsing(desk, staff(desk, name, role, group=large if role is Role.RESEARCHER else None)) as browser:
                assert browser.get("/console/api").status_code == 404
                browser.get("/console/sessions")
                assert browser.post("/console/api/openapi").status_code == 404


def test_the_document_for_people_names_every_route_and_scope() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(GET|POST) (/[^`]+)`", text))
    assert listed == {(method, path.removeprefix(HOME)) for method, path in operations()}
    scopes = dict(re.findall(r"^\| `([a-z]+:[a-z]+)` \| (.*) \|$", text, re.MULTILINE))
    assert set(scopes) == set(Scope)
    for route in ROUTES:
        assert f"`{route.method} {schema._path(route).removeprefix(HOME)}`" in scopes[str(route.rule.scope)]
