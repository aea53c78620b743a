"""Hides how a page of the console is written: its template, the menu of whoever looks, and headers by which only our own files are used."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Response

from app.console import rules
from app.web import paper
from app.web.console.routing import HOME, Route, Shown, Visit
from bots.texts import Texts, say_time

#: Scripts and calls are htmx's, of our own; pictures in the style sheet lie in it.
_SOURCES = "script-src 'self'; connect-src 'self'; img-src 'self' data:; "


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

        times = {"when": when, "local": local, "clock": clock}
        fixed: dict[str, Any] = {"t": visit.say, "csrf": csrf, "visit": visit, "menu": menu, "home": HOME, **times}
        return Response(template.render(**fixed, **shown.gaps), shown.status, self.headers, "text/html")

    def go(self, address: str) -> Response:
        """On to this address, after a form was taken: to load it again repeats nothing."""
        return Response(status_code=303, headers={**self.headers, "Location": address})
