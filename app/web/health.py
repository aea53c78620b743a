"""Whether this process lives, and whether it can work."""

import asyncio

from fastapi import APIRouter, Response

from app.assembly import Assembly
from app.db import PATIENCE_SECONDS
from app.errors import Unavailable


def routes(assembly: Assembly) -> APIRouter:
    """`/health/live` and `/health/ready`."""
    router = APIRouter(prefix="/health")

    @router.get("/live")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @router.get("/ready")
    async def ready(response: Response) -> dict[str, str]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await assembly.database.ping()
        except (TimeoutError, Unavailable):
            response.status_code = 503
            return {"status": "database away"}
        return {"status": "ready"}

    return router
