"""Hides Alembic: brings a database to the newest revision."""

import io
import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from migrations import sqlite_path

#: Alembic keeps what it is doing in module variables: two threads would mix up their databases.
_one_at_a_time = threading.Lock()


def upgrade(url: str) -> None:
    """Bring the database to `head()`, all or nothing; several processes may do it at once. A missing SQLite file is made."""
    path = sqlite_path(url)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time:
        command.upgrade(config(url), "head")


def upgrade_within(connection: Connection, revision: str = "head") -> None:
    """Bring a database to a revision inside a transaction that the caller began and will commit."""
    made = config("")
    made.attributes["connection"] = connection
    with _one_at_a_time:
        command.upgrade(made, revision)


def config(url: str) -> Config:
    """Alembic's configuration for one database; prints nothing."""
    made = Config(stdout=io.StringIO(), attributes={"url": url})
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return made
