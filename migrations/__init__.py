"""The database's revisions, and where a database stands among them. Imports no Alembic: `running` does, and migrates."""

from pathlib import Path

from sqlalchemy import Connection, create_engine, inspect, make_url, text
from sqlalchemy.pool import NullPool


def known() -> list[str]:
    """Every revision that this program knows, oldest first."""
    return sorted(path.name.partition("_")[0] for path in (Path(__file__).parent / "versions").glob("[0-9]*_*.py"))


def head() -> str:
    """The newest revision that this program knows; files are named after their revision, and revisions are numbered."""
    return known()[-1]


def current(url: str) -> str | None:
    """The revision of the database; None where nothing was ever migrated there (a missing SQLite file stays missing)."""
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return None
    engine = create_engine(address(url), poolclass=NullPool)
    with engine.connect() as connection:
        return standing(connection)


def standing(connection: Connection) -> str | None:
    """The revision of the database that a connection leads to; None where nothing was ever migrated there."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return found


def address(url: str) -> str:
    """The URL with our driver: psycopg 3 for PostgreSQL."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite database; None for others."""
    made = make_url(address(url))
    if made.get_backend_name() != "sqlite" or made.database in (None, "", ":memory:"):
        return None
    return Path(str(made.database))
