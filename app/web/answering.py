"""The page on which a questionnaire is answered. No script: each answer is a form, and is stored before the next page is made."""

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from app import clock
from app.assembly import Assembly
from app.db import PATIENCE_SECONDS
from app.errors import Unavailable
from app.questionnaires import pages
from app.questionnaires.pages import Go
from app.questionnaires.screens import Link, Page
from app.web.paper import Paper
from bots.texts import LANGUAGES

#: Our longest form has 200 characters of words in it, at nine bytes each.
_MOST_BYTES, _MOST_FIELDS = 8 * 1024, 12
#: A phone in the metro may take this long for a form.
_BODY_SECONDS = 20.0


def routes(assembly: Assembly) -> APIRouter:
    """The routes of the questionnaire page."""
    router = APIRouter()
    answering = _Answering(assembly)

    @router.get("/q/{token}")
    async def look(token: str, request: Request) -> Response:
        return await answering.look(token, dict(request.query_params))

    @router.post("/q/{token}")
    async def submit(token: str, request: Request) -> Response:
        return await answering.submit(token, request)

    return router


class _Answering:
    """What the two routes do."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._paper = Paper("answer.html", forms=True)

    async def look(self, token: str, wanted: Mapping[str, str]) -> Response:
        """The page under a link."""
        now, tools = clock.now(), self._assembly.tools
        assignment = self._assembly.answering.assignment(token, now)
        if assignment is None:
            return self._sentence("nothing", 404)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                page = await self._assembly.database.write(lambda tx: pages.look(tx, tools, assignment, now, wanted))
        except (TimeoutError, Unavailable):
            return self._sentence("away", 503)
        return self._html(token, page)

    async def submit(self, token: str, request: Request) -> Response:
        """A form that was sent from the page under a link."""
        now, tools = clock.now(), self._assembly.tools
        assignment = self._assembly.answering.assignment(token, now)
        if assignment is None:
            return self._sentence("nothing", 404)
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _body(request)
        except (TimeoutError, ClientDisconnect):
            return self._sentence("away", 408)
        if body is None:
            return self._sentence("too_large", 413)
        fields = _fields(body)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                taken = await self._assembly.database.write(lambda tx: pages.submit(tx, tools, assignment, fields, now))
        except (TimeoutError, Unavailable):
            return self._sentence("away", 503)
        if isinstance(taken, Go):  # relative: the Host that a caller claims is in no address of ours
            return self._paper.go(f"{token}?{taken.query}" if taken.query else token)
        return self._html(token, taken)

    def _html(self, token: str, page: Page | None) -> Response:
        if page is None:
            return self._sentence("nothing", 404)
        return self._paper.page(page.status, page=page, token=token)

    def _sentence(self, key: str, status: int) -> Response:
        """One thing in both languages: whoever opens a link that leads nowhere is not known to us."""
        words = self._assembly.tools.words
        both = tuple((Link(words.fill(f"answer.{key}", language)),) for language in LANGUAGES)
        title = words.fill("sender.system", LANGUAGES[0])
        return self._paper.page(status, page=Page(LANGUAGES[0], title, title, both), token="")


async def _body(request: Request) -> bytes | None:
    """What was sent, or None where it is more than any form of ours."""
    read = b""
    async for chunk in request.stream():
        read += chunk
        if len(read) > _MOST_BYTES:
            return None
    return read


def _fields(body: bytes) -> dict[str, str]:
    """The fields of a form; none where it is no form of ours: not UTF-8, too many, one of them twice."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else {}
