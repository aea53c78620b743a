"""A browser without script before the real application: cookies, forms with their hidden fields, and people who are staff."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import httpx
import pyotp
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from app import groups, people
from app.assembly import Assembly
from app.console import logins, sessions
from app.console.logins import Chosen
from app.db import Tx, prepared
from app.main import create_app
from app.models import Audit, ConsoleSession, Login
from app.people import Known
from bots.turns import Role
from tests.delivery.scene import NOW, Desk

ADDRESS = "http://127.0.0.1:8000"
PASSWORD = "eine lange Zeile 2026"
#: The same kind of hash as in production, for next to nothing.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HASHED = QUICK.hash(PASSWORD)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
HOME = "/console"
_FORMS = re.compile(r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', re.DOTALL)
_MARK = re.compile(r'name="version" value="([^"]*)"')


class Browser:
    """One browser. `csrf` is what its last page gave it, `marks` the version that each form had when it was drawn last."""

    def __init__(self, assembly: Assembly, client: str = "203.0.113.7") -> None:
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(create_app(assembly, worker=False), client=(client, 4711))
        self.http = httpx.AsyncClient(transport=transport, base_url=ADDRESS)
        self.csrf = ""
        self.marks: dict[str, str] = {}
        self.answer: httpx.Response

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self.http.aclose())
        self._runner.close()

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Open a page; redirects are not followed."""
        return self._taken(self.http.get(path, headers=_named(headers)))

    def post(self, path: str, fields: Mapping[str, str] | None = None, *, csrf: str | None = None, **headers: str) -> httpx.Response:
        """Send a form with the token of the last page, from the console's own origin."""
        token = self.csrf if csrf is None else csrf
        sent = {"origin": ADDRESS, **_named(headers)}
        hidden = {**({"csrf": token} if token else {}), **({"version": self.marks[path]} if path in self.marks else {})}
        return self._taken(self.http.post(path, data={**hidden, **(fields or {})}, headers=sent))

    def upload(self, path: str, name: str, content: bytes, fields: Mapping[str, str] | None = None) -> httpx.Response:
        """Send a form with a file."""
        files = {"file": (name, content, "application/octet-stream")}
        return self._taken(self.http.post(path, data={"csrf": self.csrf, **(fields or {})}, files=files, headers={"origin": ADDRESS}))

    def send(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Whatever somebody sends."""
        return self._taken(self.http.request(method, path, **given))

    def _taken(self, asked: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            answer: httpx.Response = await asked
            return answer

        self.answer = self._runner.run(ask())
        found = re.search(r'name="csrf" value="([^"]+)"', self.answer.text)
        self.csrf = found.group(1) if found else self.csrf
        for action, form in _FORMS.findall(self.answer.text):
            if mark := _MARK.search(form):
                self.marks[action] = mark.group(1)
        return self.answer

    @property
    def cookie(self) -> str:
        """The token of the session; empty where there is none."""
        return self.http.cookies.get("tongban") or ""

    def sign_in(self, name: str, password: str = PASSWORD, code: str = "", following: str = "") -> httpx.Response:
        """At the door."""
        self.get(f"{HOME}/signin")
        return self.post(f"{HOME}/signin", {"name": name, "password": password, "code": code, "next": following})


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass
class Staff:
    """Somebody who may sign in with `name`, the password of all and the second factor of all."""

    known: Known
    login_id: int
    name: str
    used: list[str] = field(default_factory=list)


def staff(desk: Desk, name: str, role: Role, *, group: int | None = None, code: bool = True) -> Staff:
    """Somebody of this role in a group, with a login."""
    person = desk.person(name, role=None)

    def make(tx: Tx) -> int:
        groups.enter(tx, group or desk.group, person.id, role, NOW)
        login_id = logins.of_person(tx, person.id, NOW)
        assert login_id is not None
        chosen = Chosen(name, HASHED, SECRET if code else None)
        logins._set(tx, desk.keyring, person.id, login_id, chosen)
        return login_id

    return Staff(person, desk.write(make), name)


def one_time_code(at: datetime | None = None) -> str:
    """What the authenticator of everybody shows now."""
    return pyotp.TOTP(SECRET).at(at or sessions.moment())


def signed_in(desk: Desk, browser: Browser, who: Staff, how: str = "password") -> Browser:
    """The browser, with a session of this person's."""
    token = desk.write(lambda tx: sessions.begin(tx, desk.keyring.vault, who.login_id, how, "computer", sessions.moment()))
    browser.http.cookies.set("tongban", token, domain="127.0.0.1")
    browser.get(f"{HOME}/sessions")
    return browser


@contextmanager
def browsing(desk: Desk, who: Staff | None = None, client: str = "203.0.113.7") -> Iterator[Browser]:
    """A browser, signed in as somebody or not."""
    with Browser(desk.assembly, client) as browser:
        yield browser if who is None else signed_in(desk, browser, who)


def alive(desk: Desk, login_id: int) -> int:
    """How many sessions somebody has that were not ended."""
    query = sa.select(sa.func.count()).where(ConsoleSession.login_id == login_id, ConsoleSession.ended_at.is_(None))
    return desk.read(lambda tx: tx.execute(query).scalar_one())


def audited(desk: Desk, action: str) -> list[tuple[str, str]]:
    """Actor and subject of the audit rows of this action."""
    query = sa.select(Audit.actor, Audit.subject).where(Audit.action == action).order_by(Audit.id)
    return [(row.actor, row.subject) for row in desk.read(lambda tx: tx.execute(query).all())]


def has_login(desk: Desk, person_id: int) -> bool:
    """Whether somebody has a login."""
    return desk.read(lambda tx: tx.execute(sa.select(Login.id).where(Login.person_id == person_id)).first()) is not None


def named(desk: Desk, person_id: int) -> str:
    """The course name of somebody."""
    return desk.read(lambda tx: people.names(tx, desk.keyring, [person_id])).get(person_id, "")


@contextmanager
def queries(desk: Desk) -> Iterator[list[str]]:
    """The queries that pages ask meanwhile, prepared ones too; whoever counts clears the list."""
    said: list[str] = []
    readers, execute = desk.database._readers, prepared._execute

    def note(text: str) -> None:
        if text.startswith(("SELECT", "WITH")):
            said.append(text)

    def heard(*given: Any) -> None:
        note(given[2])

    def prepared_too(tx: Tx, compiled: prepared.Compiled, values: dict[str, Any]) -> Any:
        if tx.engine is readers:
            note(compiled.text)
        return execute(tx, compiled, values)

    sa.event.listen(readers, "before_cursor_execute", heard)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared, "_execute", prepared_too)
        yield said
    sa.event.remove(readers, "before_cursor_execute", heard)
