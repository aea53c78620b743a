"""Hides how a page of the console is written: its template, the menu of whoever looks, and headers by which only our own files are used."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from os import SEEK_END
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Response
from fastapi.responses import StreamingResponse

from app.console import rules
from app.web import paper
from app.web.console.routing import HOME, Attached, Route, Shown, Visit
from bots.texts import Texts, say_day, say_time

#: Scripts and calls are htmx's, of our own; pictures in the style sheet lie in it.
_SOURCES = "script-src 'self'; connect-src 'self'; img-src 'self' data:; "
#: Bytes of a file that are in memory at a time.
_PIECE = 64 * 1024


class Paper:
    """Every page of the console."""

    def __init__(self, words: Texts, menu: Sequence[Route]) -> None:
        self._environment = paper.environment()
        self._words = words
        self._menu = menu
        # With no referrer at all a browser would say that our own forms come from nowhere.
        self.headers = paper.guarded(forms=True, more=_SOURCES, referrer="same-origin")

    def page(self, visit: Visit, shown: Shown, *, csrf: str) -> Response:
        """A page with its gaps filled."""
        template = self._environment.get_template(f"console/{shown.template}.html")
        zone = visit.actor.zone if visit.actor else "Asia/Shanghai"
        menu = [(route.menu, route.path) for route in self._menu if visit.actor and rules.may(visit.actor, route.rule)]

        def when(moment: datetime, where: str = zone) -> str:
            return say_time(moment, visit.language, where)

        def local(moment: datetime, where: str = zone) -> datetime:
            return moment.astimezone(ZoneInfo(where))

        def clock(moment: datetime, where: str = zone) -> str:
            return f"{local(moment, where):%H:%M}"

        def on_day(day: date) -> str:
            return say_day(day, visit.language)

        times = {"when": when, "on_day": on_day, "local": local, "clock": clock}
        fixed: dict[str, Any] = {"t": visit.say, "csrf": csrf, "visit": visit, "menu": menu, "home": HOME, **times}
        return Response(template.render(**fixed, **shown.gaps), shown.status, self.headers, "text/html")

    def file(self, attached: Attached) -> Response:
        """A file that the browser keeps and never shows, sent piece by piece."""
        size = attached.content.seek(0, SEEK_END)
        attached.content.seek(0)

        def pieces() -> Iterator[bytes]:
            with attached.content as content:
                while piece := content.read(_PIECE):
                    yield piece

        named = f"attachment; filename*=UTF-8''{quote(attached.name, safe='')}"
        headers = {**self.headers, "Content-Disposition": named, "Content-Length": str(size)}
        return StreamingResponse(pieces(), headers=headers, media_type=attached.kind)

    def go(self, address: str) -> Response:
        """On to this address, after a form was taken: to load it again repeats nothing."""
        return Response(status_code=303, headers={**self.headers, "Location": address})
