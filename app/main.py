"""The ASGI application: webhook, read page, health; with or without a worker in the same process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.routing import Mount

from app.assembly import Assembly, refuse_moved_clock, warn_of_open_doors
from app.web import health, read
from app.web.hooks import Hooks
from app.worker import Worker


def create_app(assembly: Assembly, *, worker: bool) -> FastAPI:
    """The application of one process; `worker` also runs the clockwork in it."""
    hooks = Hooks(assembly)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        assembly.database.start()
        await refuse_moved_clock(assembly)
        await warn_of_open_doors(assembly)
        clockwork = Worker(assembly) if worker else None
        if clockwork is not None:
            clockwork.start()
        yield
        if clockwork is not None:
            await clockwork.stop()
        await hooks.finish()
        assembly.database.stop()

    # A redirect would name the Host that the caller claims.
    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.router.routes.append(Mount("/hooks/wechat", app=hooks))
    app.include_router(health.routes(assembly))
    app.include_router(read.routes(assembly))
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "web" / "static"))
    return app
