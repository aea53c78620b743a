"""Alembic's entry: which database, which tables, and how the two databases are migrated in one transaction each."""

import logging
import os
import sqlite3
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.pool import NullPool

from app.models import Moment, Table
from migrations import address

#: Seconds that a second process waits until the first has migrated.
PATIENCE = 60
#: Any fixed number: the key of the advisory lock that lets one process at a time migrate a PostgreSQL database.
LOCK = 7_202_604_119

logging.getLogger("alembic").setLevel(logging.WARNING)


def url() -> str:
    """The database: -x url=…, or what `migrations.config` was given, or TONGBAN_DATABASE_URL."""
    found = (
        context.get_x_argument(as_dictionary=True).get("url")
        or context.config.attributes.get("url")
        or os.environ.get("TONGBAN_DATABASE_URL")
    )
    if not found:
        raise SystemExit("Which database? Set TONGBAN_DATABASE_URL, or add -x url=sqlite:///var/tongban.db")
    return address(str(found))


def engine_for(where: str) -> Engine:
    """An engine whose transactions hold table changes too; Python's own SQLite transactions would begin too late for that."""
    if not where.startswith("sqlite"):
        return create_engine(where, poolclass=NullPool)
    engine = create_engine(where, poolclass=NullPool, connect_args={"timeout": PATIENCE})
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _leave_transactions_to_us(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def render_item(kind: str, item: Any, _autogen: AutogenContext) -> str | Literal[False]:
    """Keep the program's own types out of revisions: a revision must still run when the program has moved on."""
    if kind == "type" and isinstance(item, Moment):
        return "sa.DateTime(timezone=True)"
    return False


def migrate(connection: Connection) -> None:
    """Run what was asked for in one transaction, one process at a time."""
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        compare_server_default=True,
        render_item=render_item,
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite cannot alter a column; batch mode rebuilds the table
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("Revisions are run against a database, not printed as SQL: leave out --sql.")
given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with engine_for(url()).connect() as opened:
        migrate(opened)
