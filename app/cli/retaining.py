"""`tongban retention`: throws away what is past its time, now instead of tonight, or says what would go."""

import asyncio
from typing import Annotated

import typer

from app import clock
from app import retention as keeping
from app.cli import desk
from app.db import Database
from app.settings import Settings


def retention(*, dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False) -> None:
    """Throw away what is past its time; a worker does the same once a day by itself.

    Example: tongban retention --dry-run
    """
    settings = desk.read_settings()
    with desk.migrated(settings) as database:
        if dry_run:
            found = database.read_now(lambda tx: keeping.count(tx, keeping.keep(settings), clock.now()))
        else:
            found = asyncio.run(_now(database, settings))
    lines = [(kind, count) for kind, count in found.items() if count]
    if not lines:
        typer.echo("Nothing is past its time.")
        return
    desk.table(("kind", "would go" if dry_run else "gone"), lines)


async def _now(database: Database, settings: Settings) -> dict[str, int]:
    await database.write(keeping.make_due)
    return await keeping.run_due(database, keeping.keep(settings))
