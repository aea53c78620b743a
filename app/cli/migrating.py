"""`tongban migrate`: brings the database to the newest revision."""

import sqlalchemy as sa
import typer

from app.cli import desk
from app.errors import Unavailable
from migrations import running


def migrate() -> None:
    """Bring the database to the newest revision; a missing SQLite file is made.

    Example: tongban migrate
    """
    url = desk.read_settings().database_url
    before = desk.revision(url)
    upgrade(url)
    after = desk.revision(url)
    typer.echo(f"The database stands at {after}." if before == after else f"Migrated from {before or 'nothing'} to {after}.")


def upgrade(url: str) -> None:
    """Bring the database to the newest revision. Raises `Unavailable` where it does not answer or cannot be written."""
    try:
        running.upgrade(url)
    except (sa.exc.OperationalError, sa.exc.ArgumentError) as away:
        raise Unavailable("database", desk.away(url, away)) from None
    except OSError as refused:
        raise Unavailable("database", f"Cannot make the database's folder ({refused.strerror}); check TONGBAN_DATABASE_URL.") from None
