"""A phone's browser without script: opens an answer page of the real application, reads what is on it, taps, types, goes back."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Self

import httpx
import sqlalchemy as sa
import time_machine

from app.assembly import Assembly
from app.db import Tx
from app.main import create_app
from app.models import Assignment, AssignmentChange, Flag, GivenAnswer, Sheet
from app.people import Known
from app.questionnaires import sheets
from app.questionnaires.shelf import Shelf
from bots.effects import Given, Record
from bots.questionnaire.instrument import every, load
from bots.questionnaire.sheets import Assignment as AssignmentView
from tests.delivery.answering import wave
from tests.delivery.scene import NOW, Desk

FORM = """
code = "form"
version = 1
kind = "form"
minutes = 1
source = "ours"
key = "ours"
rights = "ours"
title = { zh = "几个问题", en = "A few questions" }
intro = { zh = "说说你自己。", en = "About yourself." }
wording = { status = "own", source = "ours" }

[[items]]
kind = "date"
name = "born"
topic = "birth"
zh = "生日？"
en = "When were you born?"

[[items]]
kind = "number"
name = "age"
topic = "age"
lowest = 18
highest = 99
zh = "年龄？"
en = "How old?"

[[items]]
kind = "text"
name = "city"
topic = "city"
zh = "城市？"
en = "Which city?"
"""


class Reading(HTMLParser):
    """What is on a page: words, hidden fields, buttons by what a screen reader says, links by their words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}
        self.buttons: dict[str, tuple[str, str]] = {}
        self.chosen: list[str] = []
        self.links: dict[str, str] = {}
        self.by_class: dict[str, list[str]] = {}
        self.by_tag: dict[str, list[str]] = {}
        self.box: dict[str, str | None] | None = None
        self.progress: dict[str, str | None] = {}
        self._open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input":
            if given.get("type") == "hidden":
                self.hidden[str(given["name"])] = str(given["value"])
            else:
                self.box = given
        elif tag not in ("meta", "link"):
            self._open.append((tag, given, []))

    def handle_data(self, data: str) -> None:
        for _, _, words in self._open:
            words.append(data)

    def handle_endtag(self, tag: str) -> None:
        _, given, parts = self._open.pop()
        words = " ".join("".join(parts).split())
        self.by_tag.setdefault(tag, []).append(words)
        for name in (given.get("class") or "").split():
            self.by_class.setdefault(name, []).append(words)
        if tag == "button":
            spoken = given.get("aria-label") or words
            self.buttons[spoken] = (given.get("name") or "", given.get("value") or "")
            if given.get("aria-current"):
                self.chosen.append(spoken)
        elif tag == "a":
            self.links[words] = str(given["href"])
        elif tag == "progress":
            self.progress = given


class Device:
    """One browser on one link. Within `with`."""

    def __init__(self, assembly: Assembly, token: str) -> None:
        self.address = f"/q/{token}"
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(create_app(assembly, worker=False))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://phone", follow_redirects=True)
        self.answer: httpx.Response
        self.page = Reading("")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def open(self, question: str = "", *, address: str | None = None) -> Self:
        """Open the link, or what stands behind a question mark of it."""
        return self.ask("GET", address or (f"{self.address}?{question}" if question else self.address))

    def ask(self, method: str, address: str, **more: Any) -> Self:
        """Ask for anything; redirects are followed."""
        self.answer = self._runner.run(self._client.request(method, address, **more))
        self.page = Reading(self.answer.text)
        return self

    def send(self, fields: dict[str, str]) -> Self:
        """Send a form with these fields and no others."""
        return self.ask("POST", self.address, data=fields)

    def tap(self, spoken: str) -> Self:
        """Tap a button, or follow the link with these words."""
        if spoken in self.page.links:
            return self.ask("GET", str(self.answer.url.join(self.page.links[spoken])))
        name, value = self.page.buttons[spoken]
        typed = {"text": str(self.page.box.get("value") or "")} if self.page.box else {}
        return self.send({**self.page.hidden, **typed, **({name: value} if name else {})})

    def type(self, text: str) -> Self:
        """Fill in the field and tap the button beside it."""
        return self.send({**self.page.hidden, "text": text})

    @property
    def asked(self) -> str:
        """The question on the page; empty where there is none."""
        return next(iter(self.page.by_tag.get("legend", ())), "")

    @property
    def heading(self) -> str:
        return self.page.by_tag["h1"][0]

    @property
    def place(self) -> str:
        return self.page.by_class["place"][0]

    @property
    def told(self) -> list[str]:
        """Notes, and what is wrong with what was sent."""
        return [*self.page.by_class.get("note", ()), *self.page.by_class.get("wrong", ())]


def put(desk: Desk, instruments: tuple[str, ...] = ("shs",), code: str = "baseline", **plan: Any) -> int:
    """A wave that is open for a week, put to everybody who takes part; returns its id."""
    return wave(desk, instruments, code, **{"closes_at": NOW + timedelta(days=7), **plan})


def assignment(desk: Desk, person: Known, wave_id: int) -> int:
    """The id of somebody's assignment."""
    mine = sa.select(Assignment.id).where(Assignment.person_id == person.id, Assignment.wave_id == wave_id)
    return int(desk.read(lambda tx: tx.execute(mine).scalar_one()))


def device(desk: Desk, assignment_id: int, assembly: Assembly | None = None) -> Device:
    """A browser with a fresh link to an assignment, at `desk`'s own application or another's."""
    return Device(assembly or desk.assembly, desk.assembly.answering.token(assignment_id, NOW))


def open_ones(tx: Tx, desk: Desk, person: Known) -> tuple[AssignmentView, ...]:
    """What is put to somebody, as the chat sees it."""
    return sheets.find(tx, desk.tools.shelf, person.id, desk.account_id, "zh")


def stored(desk: Desk, assignment_id: int) -> list[tuple[int, int, int, int | None, str]]:
    """Every answer in every version: place of the sheet, item, version, value, road."""
    columns = (Sheet.place, GivenAnswer.item, GivenAnswer.version, GivenAnswer.value, GivenAnswer.road)
    query = sa.select(*columns).join(Sheet, Sheet.id == GivenAnswer.sheet_id).where(Sheet.assignment_id == assignment_id)
    return [tuple(row) for row in desk.read(lambda tx: tx.execute(query.order_by(*columns[:3])).all())]  # type: ignore[misc]  # as long as the columns


def counted(desk: Desk, assignment_id: int) -> dict[int, int | None]:
    """What counts on the only sheet, by item."""
    query = sa.select(Sheet.answers).where(Sheet.assignment_id == assignment_id)
    answers = desk.read(lambda tx: tx.execute(query).scalar_one())
    return {int(item): given[0] for item, given in answers.items()}


def states(desk: Desk, assignment_id: int) -> list[tuple[str, str]]:
    """Each state that an assignment came into, and by what."""
    mine = AssignmentChange.assignment_id == assignment_id
    query = sa.select(AssignmentChange.state, AssignmentChange.cause).where(mine).order_by(AssignmentChange.id)
    return [(row.state, row.cause) for row in desk.read(lambda tx: tx.execute(query).all())]


def chat(desk: Desk, person: Known, sheet: int, item: int, value: int, now: datetime = NOW) -> None:
    """An answer that is given in the chat."""
    given = Record(sheet, (Given(item, value, str(value)),), "tapped")
    desk.write(lambda tx: sheets.record(tx, person, open_ones(tx, desk, person), given, now))


def the_sheet(desk: Desk, assignment_id: int) -> int:
    return int(desk.read(lambda tx: tx.execute(sa.select(Sheet.id).where(Sheet.assignment_id == assignment_id)).scalar_one()))


def raised(desk: Desk) -> list[str]:
    return list(desk.read(lambda tx: tx.execute(sa.select(Flag.rule).order_by(Flag.id)).scalars().all()))


def with_form(desk: Desk, folder: Path) -> Desk:
    """The desk, on whose shelf there is a form with a date, a number and words."""
    path = folder / "form.1.toml"
    path.write_text(FORM, encoding="utf-8")
    desk.tools = replace(desk.tools, shelf=Shelf([*every(), load(path)]))
    desk.assembly = replace(desk.assembly, tools=desk.tools)
    return desk


def standing(moment: datetime) -> time_machine.travel:
    """Within it the clock stands at this moment."""
    return time_machine.travel(moment, tick=False)
