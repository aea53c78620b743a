"""Hides the two drivers: engines that begin as we want, and what their errors mean."""

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from app.errors import database_away

#: A server that just became the copy of another takes no rows (PostgreSQL's appendix A).
_READ_ONLY = "25006"
#: Connections of one engine.
THREADS = 8
_SQLITE_AWAY = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_CANTOPEN",
    "SQLITE_READONLY",
    "SQLITE_NOTADB",
    "SQLITE_CORRUPT",
)


class Clash(Exception):
    """A deadlock or serialisation failure: the transaction was rolled back and may be run again."""


class Away:
    """Turns what drivers raise for a missing, locked or full database into `Unavailable` or `Clash`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if getattr(getattr(error, "orig", None), "sqlstate", None) in {"40001", "40P01"}:
            raise Clash from None
        if is_away(error):
            raise database_away() from error


def is_away(error: BaseException | None) -> bool:
    """Whether an error means that the database is missing, locked or full, and not that a statement is wrong."""
    if getattr(error, "connection_invalidated", False):  # ended by the server, whatever its reason (a process that was stopped for long)
        return True
    if getattr(getattr(error, "orig", None), "sqlstate", None) == _READ_ONLY:
        return True
    if isinstance(error, OperationalError | InterfaceError):
        word: str | None = getattr(error.orig, "sqlite_errorname", None)
        return word is None or word.startswith(_SQLITE_AWAY)
    return isinstance(error, PoolTimeout)


def open_sqlite(url: str, begin: str, patience: float, *, lasting: bool = True) -> sa.Engine:
    """An engine whose transactions start with `begin`, where it is not empty. What need not be `lasting` is never synced to the disk."""
    synchronous = "FULL" if lasting else "OFF"
    path = url.removeprefix("sqlite:///").removeprefix("sqlite+pysqlite:///")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, poolclass=QueuePool, pool_size=THREADS, max_overflow=0, pool_timeout=patience)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours: the driver's own would be deferred and fail at once under load
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON", f"busy_timeout={round(patience * 1000)}"):
            connection.execute(f"PRAGMA {pragma}").close()

    if begin:

        @sa.event.listens_for(engine, "begin")
        def _begin(tx: sa.Connection) -> None:
            tx.exec_driver_sql(begin)

    return engine


def open_postgres(url: str, patience: float, *, short: bool = False) -> sa.Engine:
    """An engine that says within `patience` seconds that the server is away.

    For `short` jobs a connection that died costs one failure instead of a question each time, and the few statements are planned once:
    by their indexes, for a plan that was made while the tables were small would else read them whole when they are large.
    They wait for somebody's row for a quarter of that, so that who comes behind gets a thread before their own patience ends.
    """
    locks = patience / 4 if short else patience
    options = f"-c lock_timeout={round(locks * 1000)} -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
    return sa.create_engine(
        url,
        pool_size=THREADS,
        max_overflow=0,
        pool_timeout=patience,
        pool_pre_ping=not short,
        connect_args={
            # By which a restore sees that somebody still works here, and whoever looks for a lock which process holds it.
            "application_name": f"tongban {os.getpid()}",
            "connect_timeout": max(1, round(patience)),
            # A server that vanished without a word (a proxy, a cable) is noticed within our patience, not within hours.
            "tcp_user_timeout": round(patience * 1000),
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "options": f"{options} -c plan_cache_mode=force_generic_plan -c enable_seqscan=off" if short else options,
        },
    )


def keep_for_us(engine: sa.Engine) -> None:
    """Let nobody else open the file while a connection of this engine is open; foreign keys sleep."""

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("busy_timeout=1000", "locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=OFF"):
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def _begin(tx: sa.Connection) -> None:
        tx.exec_driver_sql("BEGIN IMMEDIATE")
