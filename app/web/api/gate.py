"""Hides what happens around every route of the API: whose token it is, whether it may, what a repeat gets, how an answer is written."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import structlog
from fastapi import Request, Response
from pydantic import TypeAdapter

from app import clock
from app.assembly import Assembly
from app.console.sessions import moment
from app.db import PATIENCE_SECONDS, Tx
from app.errors import AppError, NotFound, Unavailable
from app.ids import id_of
from app.integrations import calls, keys, rules, token_index
from app.integrations.keys import Kept
from app.integrations.refusals import Refusal
from app.integrations.rules import Caller, Of
from app.integrations.shapes import Problem
from app.logs import place_of
from app.web.api import bodies
from app.web.api.routing import Call, Route
from bots.texts import Texts, load_texts

log = structlog.get_logger()

_SCHEME = "bearer "
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'"}
#: Seconds after which a repeat makes sense while the database is away.
_AWAY = 2


@cache
def words() -> Texts:
    """The API's own sentences, read once in a process. Raises `TextError`."""
    return load_texts(Path(rules.__file__).parent)


@cache
def _shape(gives: Any) -> TypeAdapter[Any]:
    return TypeAdapter(gives)


def written(gives: Any, answer: Any) -> bytes:
    """An answer as its bytes go out, and are kept."""
    return _shape(gives).dump_json(answer)


class Gate:
    """Everything that one process needs to answer for the API. Cookies are looked at nowhere in it."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._words = words()

    def endpoint(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        """What answers a route; it carries the route's rule."""

        async def endpoint(request: Request) -> Response:
            return await self._answered(request, partial(self._carried_out, route))

        endpoint.rule = route.rule  # type: ignore[attr-defined]  # by which the application sees that there is one
        return endpoint

    def nothing(self) -> Callable[[Request], Awaitable[Response]]:
        """What answers every other path and method under the API: for whoever has a token, there is nothing here."""

        async def endpoint(request: Request) -> Response:
            return await self._answered(request, self._nothing)

        endpoint.rule = rules.Rule(None)  # type: ignore[attr-defined]  # as above
        return endpoint

    async def _answered(self, request: Request, act: Callable[[Request], Awaitable[Response]]) -> Response:
        language = _language(request)
        try:
            return await act(request)
        except (TimeoutError, Unavailable):
            return self._problem(Refusal(503, "away", after=_AWAY), language)
        except AppError as refused:
            return self._problem(refused, language)
        except Exception as bug:  # noqa: BLE001 - as in the console: the server's own way would print words
            log.error("call_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold words
            return self._problem(Refusal(500, "trouble"), language)

    # -- whose it is

    async def _enter(self, request: Request) -> tuple[Caller, bytes]:
        """The caller and the index of its token. Raises `Refusal` (401, 429)."""
        given = request.headers.getlist("authorization")
        if not given:
            raise Refusal(401, "no_token")
        token = given[0][len(_SCHEME) :].strip() if len(given) == 1 and given[0].lower().startswith(_SCHEME) else ""
        index = token_index(self._assembly.tools.keyring.vault, token)
        if index is None:
            raise Refusal(401, "token")
        at = moment()
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._assembly.database.write_short(lambda tx: calls.enter(tx, index, at)), index

    async def _nothing(self, request: Request) -> Response:
        await self._enter(request)
        raise NotFound("missing", "There is nothing here.")

    # -- what happens

    async def _carried_out(self, route: Route, request: Request) -> Response:
        caller, index = await self._enter(request)
        if route.rule.scope not in caller.scopes:
            raise Refusal(403, "scope", scope=str(route.rule.scope))
        thing, page = id_of(str(request.path_params.get("thing", ""))), bodies.page(route, request)
        tools, body, asked = self._assembly.tools, None, None
        if route.method == "POST":
            key = bodies.idempotency_key(request)
            found = await bodies.read(route, request)
            body = bodies.fitted(route.takes, found)
            said = json.dumps([route.method, request.url.path, found], sort_keys=True)
            asked = keys.request(tools.keyring.vault, caller.id, key, said, moment())
        now = clock.now()  # a body may take its time

        def work(tx: Tx) -> Kept:
            if not calls.still(tx, caller, index):
                raise Refusal(401, "token")
            course = 0 if route.rule.of is Of.NOTHING else rules.course_of(tx, caller, route.rule, thing)
            if course is None:
                raise NotFound("missing", "There is nothing here.")
            call = Call(tools, caller, thing, course, page, body, now)
            if asked is None:
                return Kept(route.status, written(route.gives, route.work(tx, call)))
            claimed = keys.claim(tx, tools.keyring, asked, course)
            if isinstance(claimed, Kept):
                return claimed
            answer = Kept(route.status, written(route.gives, route.work(tx, call)))
            keys.keep(tx, tools.keyring, claimed, answer)
            return answer

        database = self._assembly.database
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await (database.read(work) if asked is None else database.write(work))
        return _response(answer.status, answer.body, "application/json")

    # -- what goes out

    def _problem(self, refused: AppError, language: str) -> Response:
        """One sentence with its remedy. What is foreign and what is missing give the same answer."""
        gaps: dict[str, Any] = dict(refused.gaps) if isinstance(refused, Refusal) else {}
        if "wants" in gaps:
            gaps["wants"] = self._words.fill(str(gaps["wants"]), language)
        known = f"refused.{refused.code}" in self._words.keys()  # noqa: SIM118 - `Texts` is no dict
        code = refused.code if known else "other"
        problem = Problem(
            title=self._words.fill(f"title.{refused.status}", language),
            status=refused.status,
            code=code,
            detail=self._words.fill(f"refused.{code}", language, **gaps),
        )
        headers = {"Content-Language": language}
        if refused.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="tongban"' + ("" if code == "no_token" else ', error="invalid_token"')
        if isinstance(refused, Refusal) and refused.after is not None:
            headers["Retry-After"] = str(refused.after)
        return _response(refused.status, written(Problem, problem), "application/problem+json", headers)


def _response(status: int, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, {**_HEADERS, **(headers or {})}, kind)


def _language(request: Request) -> str:
    return "zh" if request.headers.get("accept-language", "").strip().lower().startswith("zh") else "en"
