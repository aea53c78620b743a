"""Hides whose turn it is to write into SQLite: one transaction of this process at a time, whichever thread or loop holds it."""

import threading
from typing import Any

import sqlalchemy as sa

from app.db.engines import Away
from app.db.jobs import Tx, control
from app.db.turnstile import Turnstile
from app.errors import database_away

#: Jobs that share a transaction, and for how long it may stay open for them: other processes want the lock too.
TOGETHER = 32
TOGETHER_SECONDS = 0.010


class Pen:
    """What this process writes with. Whoever begins has it until they commit or drop.

    It keeps one connection, for which SQLAlchemy's own transaction is open all the time; SQLite's begins and ends past it, which saves
    as much as a commit costs (docs/decisions/017).
    """

    def __init__(self, engine: sa.Engine, lock: threading.Lock, turnstile: Turnstile, patience: float) -> None:
        self._engine = engine
        self._turnstile = turnstile
        self._lock = lock
        self._patience = patience
        self._kept: Tx | None = None

    def begin(self) -> Tx:
        """Begin, when it is our turn. Raises `Unavailable` where that takes longer than our patience."""
        held = self._lock.acquire(timeout=self._patience) if self._patience else self._lock.acquire(blocking=False)
        if not held:
            raise database_away()
        try:
            if not self._turnstile.enter(self._patience):
                raise database_away()
            try:
                with Away():
                    tx = self._connection()
                    control(tx, "BEGIN IMMEDIATE")
            finally:
                self._turnstile.leave()
        except BaseException:
            self._lock.release()
            raise
        return tx

    def _connection(self) -> Tx:
        if self._kept is None:
            tx = self._engine.connect()
            try:
                tx.begin()
            except BaseException:
                tx.close()  # else it is the collector that gives it back, some day, and the pool runs dry
                raise
            self._kept = tx
        return self._kept

    def commit(self, tx: Tx) -> None:
        """Make it durable. Raises `Unavailable`, and what else keeps a commit from happening."""
        try:
            with Away():
                control(tx, "COMMIT")
        except BaseException:
            self.drop(tx)  # SQLite keeps the transaction of a commit that failed
            raise
        self._lock.release()

    def drop(self, tx: Tx) -> None:
        """Undo a transaction and let go of it."""
        try:
            driver: Any = tx.connection.dbapi_connection  # raises where the connection was closed below us
            driver.rollback()
            if tx.in_nested_transaction():
                self.close()
        except BaseException:
            self.close()
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let go of the connection."""
        tx, self._kept = self._kept, None
        if tx is not None:
            tx.close()
