"""Hides the two databases of a measurement: empty ones, copies of seeded ones, and what the database server itself costs."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from benchmarks.processes import cpu_of_tree
from tests import postgres

SQLITE, POSTGRES = "sqlite", "postgresql"


class Grounds(Protocol):
    """Where databases of one kind are made. `processes`: how many web processes are measured on them."""

    database: str
    processes: int

    def new(self, name: str) -> str:
        """The address of an empty database."""

    def copy(self, url: str, name: str) -> str:
        """The address of a copy of a database that nobody uses just now."""

    def drop(self, url: str) -> None:
        """Remove one that nobody uses any more."""

    def settle(self, url: str) -> None:
        """Let statistics be fresh and write-behind be done, so that no round pays for what was seeded."""

    def seconds(self) -> float:
        """CPU seconds that the database server has used so far; 0 where there is none."""


class SQLiteGrounds:
    """Files in a folder."""

    database, processes = SQLITE, 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new(self, name: str) -> str:
        return f"sqlite:///{self._folder / name}.db"

    def copy(self, url: str, name: str) -> str:
        self.settle(url)
        made = self.new(name)
        shutil.copyfile(_path(url), _path(made))
        return made

    def drop(self, url: str) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(f"{_path(url)}{ending}").unlink(missing_ok=True)

    def settle(self, url: str) -> None:
        with contextlib.closing(sqlite3.connect(_path(url))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def seconds(self) -> float:
        return 0.0


class PostgresGrounds:
    """Databases of one durable throwaway server."""

    database, processes = POSTGRES, 2

    def __init__(self, server: postgres.Server) -> None:
        self._server = server

    def new(self, name: str) -> str:
        self._say(f"CREATE DATABASE {name}")
        return self._server.url(name)

    def copy(self, url: str, name: str) -> str:
        self._say(f"CREATE DATABASE {name} TEMPLATE {sa.make_url(url).database} STRATEGY FILE_COPY")
        return self._server.url(name)

    def drop(self, url: str) -> None:
        self._say(f"DROP DATABASE {sa.make_url(url).database}")

    def settle(self, url: str) -> None:
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
            connection.exec_driver_sql("CHECKPOINT")
        engine.dispose()

    def seconds(self) -> float:
        if self._server.process is None:
            return 0.0
        return cpu_of_tree(self._server.process.pid)

    def _say(self, statement: str) -> None:
        engine = sa.create_engine(self._server.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


@contextlib.contextmanager
def grounds(database: str, folder: Path) -> Iterator[Grounds]:
    """Where databases of this kind are made; nothing of them is left afterwards."""
    if database == SQLITE:
        yield SQLiteGrounds(folder)
        return
    with postgres.throwaway(durable=True) as server:
        yield PostgresGrounds(server)


def _path(url: str) -> str:
    return url.removeprefix("sqlite:///")
