"""The forms of the console as a browser without script reads them: to where, with which fields, and in which of them somebody writes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser

import sqlalchemy as sa

from app.console import logins, sessions
from app.console.rules import Of
from app.db import Tx
from app.models import CheckIn, Delivery, Participant
from app.prompts import planning
from app.questions import answering
from app.web.console import ROUTES
from app.web.console.routing import THING, Route
from bots.effects import PausePrompt
from bots.turns import Role
from tests.console.lived import Lived, pages
from tests.console.visiting import Browser

#: Into these somebody writes; the others hold what was chosen or is hidden.
_WRITTEN = frozenset(("text", "url", "number", "time", "date", "datetime-local", "email", "tel", "search", "password"))


@dataclass
class Form:
    """One form as it was drawn on a page. `typed`: the fields in which one writes, hidden ones not among them."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    typed: list[str] = field(default_factory=list)

    @property
    def route(self) -> Route:
        """What answers it."""
        found = [route for route in ROUTES if route.method == "POST" and _pattern(route).fullmatch(self.action)]
        assert len(found) == 1, f"{self.action} leads to {len(found)} routes"
        return found[0]


def _pattern(route: Route) -> re.Pattern[str]:
    return re.compile(re.escape(route.path).replace(re.escape(THING), "[0-9]+").replace(re.escape("{token}"), "[A-Za-z0-9_-]+"))


class Page(HTMLParser):
    """What of a page can be sent, and what can be read on it."""

    def __init__(self, text: str, address: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.words: list[str] = []
        self._address, self._form, self._area, self._select = address, None, "", ""
        self.feed(text)
        self.close()

    _form: Form | None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and given.get("method") == "post":
            self._form = Form(given.get("action", self._address))
            self.forms.append(self._form)
        if tag == "input":
            self.words.append(given.get("value", ""))
        if self._form is None or ("name" not in given and tag != "option"):
            return
        if tag == "textarea":
            self._area = given["name"]
            self._form.fields[self._area] = ""
            self._form.typed += [] if "hidden" in given else [self._area]
        elif tag == "select":
            self._select = given["name"]
        elif tag == "option":
            if self._select not in self._form.fields or "selected" in given:
                self._form.fields[self._select] = given["value"]
        elif tag == "input":
            self._input(self._form, given)
        elif tag == "button":
            self._form.fields.setdefault(given["name"], given.get("value", ""))

    def _input(self, form: Form, given: dict[str, str]) -> None:
        kind = given.get("type", "text")
        if kind == "file" or (kind in ("checkbox", "radio") and "checked" not in given):
            return
        form.fields[given["name"]] = given.get("value", "")
        form.typed += [given["name"]] if kind in _WRITTEN else []

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._form is not None and self._area:
            self._form.fields[self._area] += data.removeprefix("\n") if not self._form.fields[self._area] else data


#: Who between them sees every form.
LOOKING = (Role.ADMINISTRATOR, Role.LEADER, Role.MENTOR)


def prepare(world: Lived) -> None:
    """Let every form stand on some page: a question is taken, a prompt rests, a login is closed, some do not know whether they got it."""
    desk, now = world.desk, world.now
    leader, helper = world.staff[Role.LEADER].known.id, world.staff[Role.ASSISTANT].known.id

    def make(tx: Tx) -> None:
        answering.claim(tx, leader, world.things[Of.QUESTION][-1], now)
        planning.steer(tx, world.staff[Role.ADMINISTRATOR].known.id, PausePrompt(world.things[Of.PROMPT][-1]), now)
        tx.execute(sa.update(Delivery).where(Delivery.state == "failed").values(state="unknown", reason="answer_lost"))
        tx.execute(sa.delete(CheckIn))  # so that there is somebody silent to write to
        tx.execute(sa.update(Participant).values(joined_at=now - timedelta(days=10)))
        logins.set_disabled(tx, helper, sessions.moment(), now, disabled=True, actor="operator")

    desk.write(make)


def drawn(world: Lived, browser: Browser) -> Iterator[Form]:
    """Every form of every page that somebody sees, and of those pages that a form shows."""
    for _, path in pages(world):
        page = Page(browser.get(path).text, path)
        for form in page.forms:
            yield form
            if form.action.endswith("/preview"):
                yield from Page(browser.post(form.action, _previewed(form)).text, form.action).forms


def _previewed(form: Form) -> dict[str, str]:
    hidden = {name: value for name, value in form.fields.items() if name != "csrf"}
    return hidden | ({"what": "off"} if "gathering" in hidden else {"text": "明天见"})
