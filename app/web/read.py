"""The read page: what a notice points to. Opening it is the proof that the words arrived."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape

from app import clock, reading
from app.assembly import Assembly
from app.reading import Page

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
        page = None
        if delivery_id is not None:
            page = await assembly.database.write(lambda tx: reading.open_page(tx, assembly.tools, delivery_id, clock.now()))
        return _html(templates, assembly, page)

    return router


def _html(templates: Environment, assembly: Assembly, page: Page | None) -> Response:
    words = assembly.tools.words
    if page is None:
        page = Page(
            "zh", words.fill("sender.system", "zh"), "", f"{words.fill('page.expired', 'zh')}\n\n{words.fill('page.expired', 'en')}"
        )
        status, back = 404, ""
    else:
        status, back = 200, words.fill("page.back", page.language)
    gaps: dict[str, Any] = {"page": page, "back": back}
    return Response(templates.get_template("read.html").render(**gaps), status, _HEADERS, "text/html")
