"""Hides WeChat: an ASGI application that imitates its API, its pushes and its phones, and refuses what WeChat refuses.

It is an independent second implementation on purpose: nothing here imports the service, but for the clock. Line numbers in comments are
those of the platform reference, wechat-platform.md. Where the platform's rule is in doubt, the stricter reading is taken.
"""

import importlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from app import clock
from app.sandbox import agenda, custom, mass, media, menu, notices, qr, quotas, tokens, upkeep, users, world
from app.sandbox.agenda import Agenda
from app.sandbox.api import Api, Endpoint, Receive, Scope, Send
from app.sandbox.control import control_routes
from app.sandbox.faults import Faults
from app.sandbox.jobs import jobs
from app.sandbox.journal import Journal
from app.sandbox.phone_routes import phone_routes
from app.sandbox.pushes import TIMEOUT, Pusher
from app.sandbox.timeline import VirtualClock
from app.sandbox.world import Applier, World

__all__ = ["Sandbox", "create"]

_API = "/cgi-bin/"
_PICTURE = "/cgi-bin/showqrcode"


class Sandbox(FastAPI):
    """The application. API calls go past the framework: they are many, and a cut connection needs the server's own transport."""

    api: Api
    world: World
    faults: Faults
    pusher: Pusher
    agenda: Agenda

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_API) and scope["path"] != _PICTURE:
            await self.api(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create(
    folder: Path,
    *,
    push_timeout: float = TIMEOUT,
    seconds: Callable[[], float] = clock.machine_seconds,
    road: Callable[[World, Faults, float], Pusher] = Pusher,
    lasting: bool = True,
) -> Sandbox:
    """The sandbox with its state in `folder`: `journal.jsonl`, `media/`, and `clock` with the seconds it runs ahead.

    `push_timeout` is how long an answer to a push may take, in seconds; `seconds` is the machine's time. Both vary in tests only.
    `road` makes what brings pushes to the service; a rehearsal has both in one process, and nothing of it is `lasting`: no journal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = World(Journal(folder / "journal.jsonl" if lasting else None), VirtualClock(folder / "clock", seconds), _appliers())
    faults = Faults()
    pusher = road(state, faults, push_timeout)
    later = Agenda(state, jobs(state, pusher))
    app = Sandbox(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan(state, pusher, later))
    app.api = Api(state, faults, _endpoints(folder))
    app.world, app.faults, app.pusher, app.agenda = state, faults, pusher, later
    app.include_router(control_routes(state, faults, pusher))
    app.include_router(phone_routes(state, pusher))
    _mount_phones(app)
    return app


def _appliers() -> dict[str, Applier]:
    found: dict[str, Applier] = {}
    for module in (world, quotas, tokens, media, agenda, notices, mass, users, qr, menu):
        found |= module.EVENTS
    return found


def _endpoints(folder: Path) -> Mapping[str, Endpoint]:
    tables = (tokens, custom, notices, mass, users, qr, menu, upkeep)
    return {path: endpoint for module in tables for path, endpoint in module.ENDPOINTS.items()} | media.endpoints(folder / "media")


def _lifespan(state: World, pusher: Pusher, later: Agenda) -> Any:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        later.wake()
        yield
        await later.stop()
        await pusher.close()
        state.close()

    return lifespan


def _mount_phones(app: FastAPI) -> None:
    """The phones page, where it is installed; the API and the control endpoints stand without it."""
    try:
        phones = importlib.import_module("app.sandbox.phones")
    except ModuleNotFoundError as missing:
        if missing.name != "app.sandbox.phones":
            raise
        return
    phones.mount(app)
