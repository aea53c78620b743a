"""Takes a database away for real and gives it back: SQLite's file is locked by somebody else, PostgreSQL lets nobody in any more.

outage = Outage(database_url)       # before the stage: what is connected already stays
async with Stage(database_url, tmp_path) as stage:
    with outage: ...
"""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import psycopg
import sqlalchemy as sa
from psycopg import sql

from app import clock, intake
from tests.stage import Stage


class Outage:
    """As long as the block lasts, nobody reaches the database (SQLite: nobody writes to it).

    Pushes wait for it for `patience` seconds meanwhile instead of three: tests/app/test_away.py waits those out.
    """

    def __init__(self, database_url: str, patience: float = 0.5) -> None:
        self._url = sa.make_url(database_url)
        self._patience, self._usual = patience, intake.PATIENCE_SECONDS
        self._file: sqlite3.Connection | None = None
        self._before = [] if self._is_sqlite else [pid for (pid,) in self._ask("SELECT pid FROM pg_stat_activity WHERE datname = {name}")]

    def __enter__(self) -> None:
        self.begin()

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.end()

    def begin(self) -> None:
        """From now on it is away."""
        intake.PATIENCE_SECONDS = self._patience
        if self._is_sqlite:
            self._file = sqlite3.connect(self._url.database or "", isolation_level=None, timeout=60, check_same_thread=False)
            self._file.execute("BEGIN IMMEDIATE")
            return
        self._ask("ALTER DATABASE {id} WITH ALLOW_CONNECTIONS false")
        self._ask("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = {name} AND NOT pid = ANY({before})")

    def end(self) -> None:
        """From now on it is back."""
        intake.PATIENCE_SECONDS = self._usual
        if self._file is not None:
            self._file.execute("ROLLBACK")
            self._file.close()
            self._file = None
        elif not self._is_sqlite:
            self._ask("ALTER DATABASE {id} WITH ALLOW_CONNECTIONS true")

    @property
    def _is_sqlite(self) -> bool:
        return self._url.drivername.startswith("sqlite")

    def _ask(self, query: str) -> list[tuple[int, ...]]:
        name = self._url.database or ""
        gaps = {"id": sql.Identifier(name), "name": sql.Literal(name), "before": sql.Literal(getattr(self, "_before", []))}
        address = self._url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as server:
            found = server.execute(sql.SQL(query).format(**gaps))
            return list(found) if found.description else []


async def until(true: Callable[[], bool], seconds: float = 90.0) -> None:
    """Wait for something that is bound to happen."""
    deadline = clock.steady() + seconds
    while not true():
        assert clock.steady() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


def files(stage: Stage) -> list[Path]:
    """What waits in the spool, in the order of its names."""
    return sorted(stage.settings.spool.glob("??/*.push"), key=lambda each: each.name)


async def drained(stage: Stage) -> None:
    """Wait until nothing is left in the spool and the database counts as there, then until everything that follows has been sent."""
    await until(lambda: not files(stage) and not stage.hooks._intake.away)
    await stage.hooks.finish()
    await stage.settle()
