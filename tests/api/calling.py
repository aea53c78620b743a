"""Another system before the real application: a token, JSON, and nothing that a browser would bring along."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import httpx

from app import integrations
from app.assembly import Assembly
from app.console import sessions
from app.integrations import Asked
from app.integrations.rules import Scope
from app.main import create_app
from app.web.api.routing import HOME
from tests.delivery.scene import NOW, Desk

EVERYTHING = tuple(Scope)
_keys = itertools.count()


class System:
    """One other system with its token."""

    def __init__(self, assembly: Assembly, token: str) -> None:
        self._runner = asyncio.Runner()
        self.token = token
        transport = httpx.ASGITransport(create_app(assembly, worker=False))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self.http.aclose())
        self._runner.close()

    def send(self, method: str, path: str, *, headers: dict[str, str] | None = None, **given: Any) -> httpx.Response:
        """Whatever it sends; `path` behind `/api/v1`."""
        sent = {"authorization": f"Bearer {self.token}", **(headers or {})}

        async def ask() -> httpx.Response:
            return await self.http.request(method, HOME + path, headers={name: each for name, each in sent.items() if each}, **given)

        return self._runner.run(ask())

    def raw(self, method: str, path: str, headers: list[tuple[str, str]], body: Any = None) -> httpx.Response:
        """Just these headers, one of them twice if it stands there twice, and a body as JSON or in bytes."""
        sent = [(name.encode(), value.encode()) for name, value in headers]
        given: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}

        async def ask() -> httpx.Response:
            return await self.http.request(method, HOME + path, headers=sent, **given)

        return self._runner.run(ask())

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Look at something."""
        return self.send("GET", path, headers=_named(headers))

    def post(self, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> httpx.Response:
        """Do something, under a key of its own where none is given."""
        sent = {"idempotency-key": f"key-{next(_keys)}" if key is None else key, **_named(headers)}
        return self.send("POST", path, headers=sent, json={} if body is None else body)

    def pages(self, path: str, limit: int) -> Iterator[dict[str, Any]]:
        """Every item of a list, page after page."""
        after: str | None = ""
        while after is not None:
            answer = self.get(f"{path}?limit={limit}" + (f"&after={after}" if after else "")).json()
            assert len(answer["items"]) <= limit
            yield from answer["items"]
            after = answer["next"]


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def integration(desk: Desk, *scopes: str, courses: tuple[int, ...] = (), name: str = "报名系统") -> tuple[int, str]:
    """An integration with these scopes, or all, in these courses, or the desk's: its id and token."""
    asked = Asked(name, courses or (desk.course_id,), scopes or EVERYTHING)
    return desk.write(lambda tx: integrations.add(tx, desk.keyring.vault, asked, sessions.moment(), NOW))


@contextmanager
def calling(desk: Desk, *scopes: str, courses: tuple[int, ...] = ()) -> Iterator[System]:
    """A system with a new integration."""
    with System(desk.assembly, integration(desk, *scopes, courses=courses)[1]) as system:
        yield system
