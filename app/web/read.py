"""The read page: what a notice points to. Opening it is the proof that the words arrived."""

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape

from app import clock, reading
from app.assembly import Assembly
from app.db import PATIENCE_SECONDS
from app.errors import Unavailable
from app.reading import Page
from bots.texts import LANGUAGES

#: Nothing of others' is loaded, nothing runs, nobody may frame it.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def routes(assembly: Assembly) -> APIRouter:
    """The routes of the read page."""
    router = APIRouter()
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape())

    @router.get("/read/{token}")
    async def read(token: str) -> Response:
        delivery_id = assembly.reading.delivery(token)
        if delivery_id is None:
            return _sentence(templates, assembly, "expired", 404)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                page = await assembly.database.write(lambda tx: reading.open_page(tx, assembly.tools, delivery_id, clock.now()))
        except (TimeoutError, Unavailable):
            return _sentence(templates, assembly, "away", 503)
        if page is None:
            return _sentence(templates, assembly, "expired", 404)
        return _html(templates, page, str(assembly.tools.words.fill("page.back", page.language)), 200)

    return router


def _sentence(templates: Environment, assembly: Assembly, key: str, status: int) -> Response:
    """A page that says one thing in both languages: whoever opens a link that leads nowhere is not known to us."""
    words = assembly.tools.words
    both = "\n\n".join(words.fill(f"page.{key}", language) for language in LANGUAGES)
    return _html(templates, Page("zh", words.fill("sender.system", "zh"), "", both), "", status)


def _html(templates: Environment, page: Page, back: str, status: int) -> Response:
    gaps: dict[str, Any] = {"page": page, "back": back}
    return Response(templates.get_template("read.html").render(**gaps), status, _HEADERS, "text/html")
