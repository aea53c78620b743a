"""Hides how a request of the API is read: JSON that says each thing once, in bounds, with no field that nothing takes (bad-inputs.md H)."""

import json
import re
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from pydantic import ValidationError

from app.integrations.reading import Page
from app.integrations.refusals import Refusal
from app.web import forms
from app.web.api.routing import Body, Route

#: Bytes of a body: an announcement of 1,500 bytes takes six for each character at worst, and fifty groups one thousand.
MOST_BYTES = 32 * 1024
#: Items on a page, where nothing else is asked for, and at most.
USUAL, MOST = 50, 100
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_LIMIT = re.compile(r"[1-9][0-9]{0,2}")
#: NUL, controls, lone surrogates and what is no character: no chat shows them, and not every database keeps them.
_UNSAYABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
_DEEPEST = 8


def page(route: Route, request: Request) -> Page:
    """Which part of a list is meant. Raises `Refusal` (422) for a parameter that the route does not take, or takes once."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if not route.pages or name not in ("after", "limit"):
            raise Refusal(422, "query" if route.pages else "no_query")
        if name in given:
            raise Refusal(422, "query_twice", name=name)
        given[name] = value
    limit, after = given.get("limit", str(USUAL)), given.get("after", "")
    if not _LIMIT.fullmatch(limit) or int(limit) > MOST:
        raise Refusal(422, "limit", most=MOST)
    if after and not re.fullmatch(route.cursor, after, re.ASCII):
        raise Refusal(422, "after")
    return Page(int(limit), after)


def idempotency_key(request: Request) -> str:
    """The key of a POST. Raises `Refusal` (400) where there is none, or none that we take."""
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        raise Refusal(400, "key_missing")
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise Refusal(400, "key_shape")
    return keys[0]


async def read(route: Route, request: Request) -> Mapping[str, Any]:
    """The body of a POST as JSON. Raises `Refusal`: 400, 408, 413, 415."""
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "encoding")
    try:
        body = await forms.body(request, MOST_BYTES)
    except forms.TooSlow:
        raise Refusal(408, "slow") from None
    if body is None:
        raise Refusal(413, "large", most=MOST_BYTES)
    if route.takes is None and not body:
        return {}
    if kind.strip() != "application/json" or charset not in ("", "utf-8"):
        raise Refusal(415, "kind")
    return _parsed(body)


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):  # not UTF-8, not JSON, a number of thousands of digits, brackets without end
        raise Refusal(400, "json") from None
    if not isinstance(found, dict):
        raise Refusal(400, "object")
    _refuse_unsayable(found, _DEEPEST)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name that stands twice")
    return found


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(digits)
    return number


def _refuse_unsayable(value: Any, left: int) -> None:
    if left == 0:
        raise Refusal(400, "json")
    if isinstance(value, str) and _UNSAYABLE.search(value):
        raise Refusal(422, "unsayable")
    if isinstance(value, dict):
        for name, each in value.items():
            _refuse_unsayable(name, left)
            _refuse_unsayable(each, left - 1)
    if isinstance(value, list):
        for each in value:
            _refuse_unsayable(each, left - 1)


def fitted(takes: type[Body] | None, found: Mapping[str, Any]) -> Body | None:
    """The body as the route takes it. Raises `Refusal` (422), which names the field but repeats nothing of what was sent."""
    if takes is None:
        if found:
            raise Refusal(422, "no_fields")
        return None
    try:
        return takes.model_validate(found)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        raise Refusal(422, "fields", names=", ".join(takes.model_fields))
    raise Refusal(422, "field_missing" if first["type"] == "missing" else "field", name=name, wants=f"wants.{name}")
