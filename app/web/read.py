"""The read page: what a notice points to. Opening it is the proof that the words arrived."""

import asyncio

from fastapi import APIRouter, Response

from app import clock, reading
from app.assembly import Assembly
from app.db import PATIENCE_SECONDS
from app.errors import Unavailable
from app.reading import Page
from app.web.paper import Paper
from bots.texts import LANGUAGES


def routes(assembly: Assembly) -> APIRouter:
    """The routes of the read page."""
    router = APIRouter()
    paper = Paper("read.html")

    @router.get("/read/{token}")
    async def read(token: str) -> Response:
        delivery_id = assembly.reading.delivery(token)
        if delivery_id is None:
            return _sentence(paper, assembly, "expired", 404)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                page = await assembly.database.write(lambda tx: reading.open_page(tx, assembly.tools, delivery_id, clock.now()))
        except (TimeoutError, Unavailable):
            return _sentence(paper, assembly, "away", 503)
        if page is None:
            return _sentence(paper, assembly, "expired", 404)
        return paper.page(200, page=page, back=str(assembly.tools.words.fill("page.back", page.language)))

    return router


def _sentence(paper: Paper, assembly: Assembly, key: str, status: int) -> Response:
    """A page that says one thing in both languages: whoever opens a link that leads nowhere is not known to us."""
    words = assembly.tools.words
    both = "\n\n".join(words.fill(f"page.{key}", language) for language in LANGUAGES)
    return paper.page(status, page=Page("zh", words.fill("sender.system", "zh"), "", both), back="")
