"""Hides Alembic: brings a database to the newest revision, and says where it stands."""

import io
import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

#: Alembic keeps what it is doing in module variables: two threads would mix up their databases.
_one_at_a_time = threading.Lock()


def upgrade(url: str) -> None:
    """Bring the database to `head()`, all or nothing; several processes may do it at once. A missing SQLite file is made."""
    path = _sqlite_path(url)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time:
        command.upgrade(config(url), "head")


def head() -> str:
    """The newest revision that this program knows."""
    revision = ScriptDirectory.from_config(config("")).get_current_head()
    if revision is None:
        raise LookupError("There is no revision under migrations/versions.")
    return revision


def current(url: str) -> str | None:
    """The revision of the database; None where nothing was ever migrated there (a missing SQLite file stays missing)."""
    path = _sqlite_path(url)
    if path is not None and not path.exists():
        return None
    engine = create_engine(address(url), poolclass=NullPool)
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def config(url: str) -> Config:
    """Alembic's configuration for one database; prints nothing."""
    made = Config(stdout=io.StringIO(), attributes={"url": url})
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return made


def address(url: str) -> str:
    """The URL with our driver: psycopg 3 for PostgreSQL."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _sqlite_path(url: str) -> Path | None:
    made = make_url(address(url))
    if made.get_backend_name() != "sqlite" or made.database in (None, "", ":memory:"):
        return None
    return Path(str(made.database))
