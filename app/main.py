"""The ASGI application: webhook, read and questionnaire page, console, API, health, metrics; with or without a worker in the process."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from app.assembly import Assembly, refuse_moved_clock, warn_of_open_doors
from app.errors import Unavailable
from app.web import answering, api, console, health, metrics, read
from app.web.hooks import HOOKS, Hooks
from app.worker import Worker

log = structlog.get_logger()

#: A stop takes 15 s at most: uvicorn waits for the answers that are under way, then these.
_STOP_SECONDS, _CLOSE_SECONDS = 6.0, 3.0


class Tongban(FastAPI):
    """The application. Pushes go past the framework's layers, which would cost them as much as their own decryption."""

    hooks: Hooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(HOOKS):
            await self.hooks(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(assembly: Assembly, *, worker: bool) -> Tongban:
    """The application of one process; `worker` also runs the clockwork in it."""
    hooks = Hooks(assembly)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        assembly.database.start()
        await refuse_moved_clock(assembly)
        with suppress(Unavailable):  # away: pushes of accounts that we do not know yet are told to come back
            await warn_of_open_doors(assembly)
        clockwork = Worker(assembly) if worker else None
        await hooks.start()
        if clockwork is not None:
            clockwork.start()
        yield
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await hooks.stop()
                if clockwork is not None:
                    await clockwork.stop()
                await hooks.finish()
        except TimeoutError:
            log.warning("stopped_in_the_middle")  # leases, `unknown` and the spool are made for that
        await _close(assembly)

    # A redirect would name the Host that the caller claims.
    app = Tongban(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.hooks = hooks
    app.include_router(health.routes(assembly))
    app.include_router(metrics.routes(assembly, hooks.tally))
    app.include_router(read.routes(assembly))
    app.include_router(answering.routes(assembly))
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "web" / "static"))
    api.mount(app, assembly)
    console.mount(app, assembly)
    return app


async def _close(assembly: Assembly) -> None:
    """A database that hangs must not keep us from ending: what it has not acknowledged was promised to nobody."""
    loop, closed = asyncio.get_running_loop(), asyncio.Event()

    def close() -> None:
        assembly.database.stop()
        with suppress(RuntimeError):  # the loop did not wait for us
            loop.call_soon_threadsafe(closed.set)

    threading.Thread(target=close, name="closing", daemon=True).start()
    try:
        await asyncio.wait_for(closed.wait(), _CLOSE_SECONDS)
    except TimeoutError:
        log.warning("database_not_closed")
