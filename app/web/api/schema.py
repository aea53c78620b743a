"""Hides how the API is described: FastAPI's own generated schema of exactly its routes, for signed-in administrators alone.

The document describes, and answers nobody: it comes from routes that are mounted nowhere (the application itself still shows no docs).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from inspect import getdoc
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi

from app.integrations import calls, keys
from app.integrations.rules import Of
from app.integrations.shapes import Problem
from app.web.api import ROUTES
from app.web.api.bodies import MOST, MOST_BYTES, USUAL
from app.web.api.routing import THING, Route

_ABOUT = " ".join(
    (
        "For programmes that have systems of their own.",
        f"Send the token in `Authorization: Bearer …`; a token may make {calls.CALLS_A_MINUTE} calls a minute.",
        "A POST needs a header `Idempotency-Key`,",
        f"and gives the same answer to the same request for {keys.KEPT // timedelta(hours=1)} hours.",
        f"A body is JSON in UTF-8 of at most {MOST_BYTES} bytes.",
        "Participants appear by number only. What is not yours looks like what does not exist.",
        "Refusals are problem details (RFC 9457) in the language of `Accept-Language` (zh or en).",
    )
)
_PROBLEM = "application/problem+json"
#: What any route may answer instead, and why.
_REFUSALS: Mapping[int, str] = {
    401: "No token, or one that is none any more.",
    403: "The token lacks the scope, which is named.",
    404: "There is no such thing, or it is not of this token's courses.",
    422: "A parameter or field does not fit; the sentence names it.",
    429: "Too many calls within a minute; Retry-After says when to go on.",
    503: "The database is away; Retry-After says when to try again.",
}
_OF_A_POST: Mapping[int, str] = {
    400: "The Idempotency-Key is missing, or the body is no JSON object.",
    409: "The thing has changed, or stands against it; the code says which.",
    408: "The body did not come to its end in time.",
    413: "The body is too large.",
    415: "The body is no JSON, or packed.",
}


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document of `/api/v1`. Its server is the one that shows it."""
    router = APIRouter()
    for route in ROUTES:
        router.add_api_route(
            _path(route),
            _undone,
            methods=[route.method],
            response_model=route.gives,
            status_code=route.status,
            summary=route.summary,
            description=getdoc(route.work),
            operation_id=route.work.__module__.rpartition(".")[2] + "_" + route.work.__name__,
            tags=[route.rule.scope.partition(":")[0]] if route.rule.scope else [],
            responses=_refusals(route),
            openapi_extra=_extra(route),
        )
    made: dict[str, Any] = get_openapi(title="Tongban", version="1", description=_ABOUT, routes=router.routes)
    scheme = {"type": "http", "scheme": "bearer", "description": "The token of an integration, shown once when it is made."}
    made["components"]["securitySchemes"] = {"token": scheme}
    for answer in _answers(made):  # FastAPI gives every answer the same media type
        if answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Problem"}:
            answer["content"] = {_PROBLEM: answer["content"]["application/json"]}
    return made


def _answers(made: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [answer for methods in made["paths"].values() for each in methods.values() for answer in each["responses"].values()]


def _undone() -> None:
    """Stands for a route in the description; nothing leads here."""


def _path(route: Route) -> str:
    """The path with its thing called by its kind."""
    return route.path.replace(THING, "{" + _kind(route) + "}")


def _kind(route: Route) -> str:
    return "announcement" if route.rule.of is Of.OWN_ANNOUNCEMENT else route.rule.of.value


def _refusals(route: Route) -> dict[int | str, dict[str, Any]]:
    listed = dict(_REFUSALS) | (dict(_OF_A_POST) if route.method == "POST" else {})
    return {status: {"model": Problem, "description": words} for status, words in sorted(listed.items())}


def _extra(route: Route) -> dict[str, Any]:
    extra: dict[str, Any] = {"security": [{"token": []}], "x-scope": str(route.rule.scope), "parameters": list(_parameters(route))}
    if route.takes is not None:
        content = {"application/json": {"schema": route.takes.model_json_schema()}}
        extra["requestBody"] = {"required": True, "content": content}
    return extra


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    def parameter(name: str, place: str, words: str, *, required: bool, **schema: Any) -> dict[str, Any]:
        return {"name": name, "in": place, "required": required, "description": words, "schema": schema}

    if THING in route.path:
        yield parameter(_kind(route), "path", "Its id.", required=True, type="string", pattern="^[1-9][0-9]{0,17}$")
    if route.pages:
        usual = {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}
        yield parameter("limit", "query", "Items on a page.", required=False, **usual)
        yield parameter("after", "query", "The field `next` of the former page.", required=False, type="string")
    if route.method == "POST":
        words = "A new random value for each thing that you want done; the same value repeats nothing."
        yield parameter("Idempotency-Key", "header", words, required=True, type="string", minLength=1, maxLength=200)
    language = {"type": "string", "examples": ["zh"]}
    yield parameter("Accept-Language", "header", "The language of refusals: zh or en.", required=False, **language)


@dataclass(frozen=True)
class Operation:
    """One line of the API as a page shows it, read from the document. `fields`: name, kind, words, whether it has to be there."""

    method: str
    path: str
    summary: str
    words: str
    scope: str
    parameters: tuple[tuple[str, str, str, bool], ...]
    fields: tuple[tuple[str, str, str, bool], ...]
    answers: tuple[tuple[str, str], ...]
    gives: str


@dataclass(frozen=True)
class Shape:
    """One shape of an answer: its fields with name, kind and words."""

    name: str
    words: str
    fields: tuple[tuple[str, str, str], ...]


def operations() -> list[Operation]:
    """Every operation of the document, in its order."""
    return [_operation(method, path, each) for path, methods in document()["paths"].items() for method, each in methods.items()]


def _operation(method: str, path: str, each: Mapping[str, Any]) -> Operation:
    body: Mapping[str, Any] = each.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    needed = body.get("required", ())
    good = next(status for status in each["responses"] if status.startswith("2"))
    return Operation(
        method=method.upper(),
        path=path,
        summary=each["summary"],
        words=each["description"],
        scope=each["x-scope"],
        parameters=tuple((one["name"], one["in"], one["description"], one["required"]) for one in each["parameters"]),
        fields=tuple((name, _said(one), one.get("description", ""), name in needed) for name, one in body.get("properties", {}).items()),
        answers=tuple((status, one["description"]) for status, one in each["responses"].items() if status != good),
        gives=_said(each["responses"][good]["content"]["application/json"]["schema"]),
    )


def shapes() -> list[Shape]:
    """Every shape of an answer in the document, by name."""
    found = document()["components"]["schemas"]
    return [
        Shape(
            name,
            each.get("description", ""),
            tuple((key, _said(one), one.get("description", "")) for key, one in each["properties"].items()),
        )
        for name, each in sorted(found.items())
    ]


def _said(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(_said(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"[{_said(schema.get('items', {}))}]"
    if schema.get("type") == "object" and "additionalProperties" in schema:
        return f"{{name: {_said(schema['additionalProperties'])}}}"
    return str(schema.get("format") or schema.get("type") or "any")
