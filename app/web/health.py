"""Whether this process lives, and whether it can work."""

from fastapi import APIRouter, Response

from app.assembly import Assembly
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
            await assembly.database.ping()
        except Unavailable:
            response.status_code = 503
            return {"status": "database away"}
        return {"status": "ready"}

    return router
