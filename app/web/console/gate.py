"""Hides what happens around every page of the console: who it is, whether the form is ours, whether they may, how it is answered."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from fastapi import Request, Response

from app import clock
from app.assembly import Assembly
from app.console import rules, sessions, versions
from app.console.actors import Actor
from app.console.rules import Of
from app.console.sessions import Found
from app.db import PATIENCE_SECONDS, Tx
from app.errors import AppError, Forbidden, NotFound, Unavailable
from app.ids import id_of
from app.logs import place_of
from app.web import forms
from app.web.console.cookies import Cookies
from app.web.console.paper import Paper
from app.web.console.routing import HOME, VERSION, Answer, Attached, Go, Route, Shown, Then, Visit
from bots.texts import LANGUAGES, Texts, load_texts

log = structlog.get_logger()

_WORDS = Path(rules.__file__).parent
_MOST_FIELDS = 40
_FORM, _FILES = "application/x-www-form-urlencoded", "multipart/form-data"
#: The signature of a form's token.
_SIGNATURE = 32


class _SignInFirst(Exception):
    """Nobody is signed in."""


@dataclass(frozen=True)
class _Asked:
    """A request before anybody knows whose it is."""

    request: Request
    session: str = field(repr=False)
    browser: str = field(repr=False)
    fields: dict[str, str] = field(repr=False)
    upload: forms.Upload | None = field(default=None, repr=False)
    #: Whose it turned out to be: the page of a refusal is theirs too.
    known: list[Visit] = field(default_factory=list, repr=False)


@cache
def _words() -> Texts:
    """The console's own words, read once in a process. Raises `TextError`."""
    return load_texts(_WORDS)


class Gate:
    """Everything that one process needs to answer for the console."""

    def __init__(self, assembly: Assembly, routes: Sequence[Route]) -> None:
        self._assembly = assembly
        self._words = _words()
        self._cookies = Cookies(assembly.settings.public_url)
        self._paper = Paper(self._words, [route for route in routes if route.menu])
        self._origin = "{0.scheme}://{0.netloc}".format(urlsplit(assembly.settings.public_url)).lower()

    def endpoint(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        """What answers a route; it carries the route's rule."""

        async def endpoint(request: Request) -> Response:
            return await self._answer(route, request)

        endpoint.rule = route.rule  # type: ignore[attr-defined]  # by which the application sees that there is one
        return endpoint

    async def _answer(self, route: Route, request: Request) -> Response:
        asked = _Asked(request, self._cookies.session(request), self._cookies.browser(request) or self._cookies.new_browser(), {})
        visit = self._visit(route, asked, None)
        try:
            asked = await self._read(route, asked)
            visit, answer = await self._within(route, asked)
            if isinstance(answer, Then):
                answer = await answer.act(self._assembly)
        except _SignInFirst:
            return self._to_the_door(request, visit)
        except (TimeoutError, Unavailable):
            return self._problem(visit, asked, 503, "away")
        except NotFound as missing:
            return self._problem(visit, asked, 404, "link" if missing.code == "link" else "missing")  # a door says which key it wants
        except AppError as refused:
            return self._problem(visit, asked, refused.status, refused.code)
        except Exception as bug:  # noqa: BLE001 - the third place where a bug is survived: the server's own way would print words
            log.error("page_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold names
            return self._problem(visit, asked, 500, "trouble")
        return self._written(visit, asked, answer)

    # -- what came in

    async def _read(self, route: Route, asked: _Asked) -> _Asked:
        """The request with its form. Raises `Forbidden` for a form that is not ours, `AppError` for one with fields that no form has."""
        if route.method != "POST":
            return asked
        request = asked.request
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if (
            kind != (_FILES if route.uploads else _FORM)
            or site not in ("same-origin", "none")
            or (origin is not None and origin.lower() != self._origin)
        ):
            raise Forbidden("form", "This form did not come from the console.")
        try:
            body = await forms.body(request, route.most_bytes)
        except forms.TooSlow:
            raise _refusal(408, "slow") from None
        if body is None:
            raise _refusal(413, "large")
        fields, upload = forms.fields(body, _MOST_FIELDS), None
        if route.uploads:
            fields, upload = forms.parts(body, request.headers["content-type"], _MOST_FIELDS)
        token = fields.pop("csrf", "") or request.headers.get("x-csrf", "")
        if not self._signed(asked, token):
            raise Forbidden("form", "This form did not come from the console.")
        if set(fields) - route.fields:
            raise _refusal(422, "fields")
        return _Asked(request, asked.session, asked.browser, fields, upload)

    def _csrf(self, asked: _Asked) -> str:
        return self._assembly.tools.keyring.vault.sign("csrf", asked.session or asked.browser, _SIGNATURE)

    def _signed(self, asked: _Asked, token: str) -> bool:
        known = asked.session or self._cookies.browser(asked.request)
        return bool(known) and secrets.compare_digest(self._csrf(asked).encode(), token.encode())

    # -- whose it is, and whether they may

    async def _within(self, route: Route, asked: _Asked) -> tuple[Visit, Answer]:
        database, keyring = self._assembly.database, self._assembly.tools.keyring
        at = sessions.moment()

        def work(tx: Tx) -> tuple[Found, Visit, Answer | AppError]:
            found = sessions.find(tx, keyring, asked.session, at) if asked.session else Found()
            visit = self._visit(route, asked, found.actor)
            asked.known.append(visit)
            if found.outdated is not None or (found.actor is None and not route.rule.door):
                return found, visit, _refusal(401, "session")
            _allow(tx, route, visit)
            return found, visit, _stale(tx, route, visit) or route.work(tx, visit)

        async with asyncio.timeout(PATIENCE_SECONDS):
            found, visit, answer = await (database.read(work) if route.method == "GET" else database.write(work))
            outdated, actor = found.outdated, found.actor
            if outdated is not None:
                await database.write(lambda tx: sessions.end(tx, outdated, "roles", at))
            elif actor is not None and found.seen:
                await database.write(lambda tx: sessions.touch(tx, actor.session_id, at))
        if isinstance(answer, AppError):
            raise _SignInFirst
        return visit, answer

    def _visit(self, route: Route, asked: _Asked, actor: Actor | None) -> Visit:
        request, given = asked.request, asked.request.path_params
        known = id_of(str(given.get("thing", "")))
        return Visit(
            tools=self._assembly.tools,
            words=self._words,
            public_url=self._assembly.settings.public_url,
            actor=actor,
            thing=known if route.rule.of is not Of.NOTHING else 0,
            token=str(given.get("token", "")),
            fields=asked.fields,
            query=dict(request.query_params),
            language=self._language(request, actor),
            now=clock.now(),
            at=sessions.moment(),
            address=request.client.host if request.client else "",
            device=sessions.device(request.headers.get("user-agent", "")),
            browser=asked.browser,
            partial=request.headers.get("hx-request") == "true",
            upload=asked.upload,
        )

    def _language(self, request: Request, actor: Actor | None) -> str:
        """What they chose in this browser, else their own, else the browser's."""
        chosen = self._cookies.language(request)
        if chosen in LANGUAGES:
            return chosen
        if actor is not None and actor.language in LANGUAGES:
            return actor.language
        return "en" if request.headers.get("accept-language", "").lower().startswith("en") else LANGUAGES[0]

    # -- what goes out

    def _to_the_door(self, request: Request, visit: Visit) -> Response:
        door = f"{HOME}/signin"
        path = request.url.path
        back = f"{door}?next={path}" if is_ours(path) and path != HOME else door
        address = back if request.method == "GET" else f"{door}?over=1"  # what they sent is lost: they are told so
        if visit.partial:  # htmx follows a redirect by itself, and would put a whole page into a part
            return Response(status_code=200, headers={**self._paper.headers, "HX-Redirect": address})
        answer = self._paper.go(address)
        self._cookies.forget_session(answer)
        return answer

    def _problem(self, visit: Visit, asked: _Asked, status: int, code: str) -> Response:
        """One sentence with its remedy. What is foreign and what is missing give the same page. Whoever is signed in keeps the menu."""
        visit = asked.known[-1] if asked.known else visit
        key = f"refused.{code}" if f"refused.{code}" in self._words.keys() else "refused.other"  # noqa: SIM118 - `Texts` is no dict
        return self._written(visit, asked, Shown("problem", {"sentence": visit.say(key, address=visit.public_url), "back": HOME}, status))

    def _written(self, visit: Visit, asked: _Asked, answer: Shown | Go | Attached) -> Response:
        if isinstance(answer, Attached):
            return self._paper.file(answer)
        if isinstance(answer, Shown):
            page = self._paper.page(visit, answer, csrf=self._csrf(asked))
            if visit.actor is None:
                self._cookies.set_browser(page, asked.browser)
            return page
        if visit.partial:
            gone: Response = Response(status_code=200, headers={**self._paper.headers, "HX-Redirect": answer.address})
        else:
            gone = self._paper.go(answer.address)
        self._cookies.follow(gone, answer)
        return gone


def _allow(tx: Tx, route: Route, visit: Visit) -> None:
    """Raise `NotFound` unless the rule lets this person come to this thing."""
    if route.rule.door:
        return
    if not rules.may(visit.who, route.rule) or not rules.theirs(tx, visit.who, route.rule, visit.thing):
        raise NotFound("page", "There is nothing here.")


def _stale(tx: Tx, route: Route, visit: Visit) -> Shown | None:
    """The page as it stands now, where a form was drawn of something else; with what was typed. None where the form may do its work."""
    if route.drawn is None:
        return None
    versions.hold(tx, route.rule.of, visit.thing)
    if secrets.compare_digest(route.drawn.version(tx, visit).encode(), visit.field(VERSION).encode()):
        return None
    now = route.drawn.page(tx, visit)
    typed = [words for words in (visit.field(name) for name in route.typed) if words.strip()]
    return replace(now, gaps={**now.gaps, "stale": True, "typed": typed}, status=409)


def is_ours(address: str) -> bool:
    """Whether this is a path of the console, and nothing that a browser could take for another place (bad-inputs.md G11)."""
    return re.fullmatch(r"/console(/[A-Za-z0-9_-]+)*", address) is not None


class _Refusal(AppError):
    """A refusal with a status of its own."""


def _refusal(status: int, code: str) -> AppError:
    refusal = _Refusal(code, "")
    refusal.status = status
    return refusal


__all__: list[Any] = ["Gate", "is_ours"]
