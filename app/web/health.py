"""Whether this process lives, and whether it can work."""

import asyncio

from fastapi import APIRouter, Response

import migrations
from app.assembly import Assembly
from app.db import PATIENCE_SECONDS
from app.errors import Unavailable


def routes(assembly: Assembly) -> APIRouter:
    """`/health/live` and `/health/ready`."""
    router = APIRouter(prefix="/health")
    newest = migrations.head()

    @router.get("/live")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @router.get("/ready")
    async def ready(response: Response) -> dict[str, str]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                found = await assembly.database.write(migrations.standing)  # writes nothing, but waits for SQLite's lock as a push does
        except (TimeoutError, Unavailable):
            found, word = None, "away"
        else:
            # Further than we know: the next release has migrated and replaces us one by one; till then we go on.
            word = "ready" if found is not None and found >= newest else "outdated"
        if word != "ready":
            response.status_code = 503
        return {"status": word}

    return router
