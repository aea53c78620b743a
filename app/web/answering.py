"""The page on which a questionnaire is answered. No script: each answer is a form, and is stored before the next page is made."""

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from app import clock
from app.assembly import Assembly
from app.db import PATIENCE_SECONDS
from app.errors import Unavailable
from app.questionnaires import pages
from app.questionnaires.pages import Go
from app.questionnaires.screens import Link, Page
from app.web import forms
from app.web.paper import Paper
from bots.texts import LANGUAGES

#: Our longest form has 200 characters of words in it, at nine bytes each.
_MOST_BYTES, _MOST_FIELDS = 8 * 1024, 12


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
            body = await forms.body(request, _MOST_BYTES)
        except forms.TooSlow:
            return self._sentence("away", 408)
        if body is None:
            return self._sentence("too_large", 413)
        fields = forms.fields(body, _MOST_FIELDS)
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
