"""Hides how jobs share one transaction of SQLite: each in a savepoint, each answered only after the commit that covers all."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from app.db.engines import is_away

T = TypeVar("T")
Tx = sa.Connection
Work = Callable[[Tx], T]

#: What a job is answered with that never came to an end.
BROKEN = RuntimeError("the transaction broke while this job ran")


@dataclass(frozen=True)
class Job:
    """Work that waits to be written. `result` belongs to `loop`, where there is one: a thread may only touch it by that loop's leave."""

    work: Work[Any]
    result: "Future[Any] | asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop | None = None


Answer = tuple[Job, Any, BaseException | None]


def in_savepoint(tx: Tx, work: Work[T]) -> tuple[T | None, BaseException | None]:
    """What came of the work, which is undone where it failed. Raises what ends the whole transaction: a full disk, an I/O error."""
    control(tx, "SAVEPOINT job")
    try:
        value = work(tx)
    except DBAPIError as error:
        if is_away(error):
            raise  # full, I/O error: SQLite has given up the whole transaction
        return _undone(tx, error)
    except Exception as error:  # noqa: BLE001 - handed to whoever waits for this job
        return _undone(tx, error)
    control(tx, "RELEASE job")
    return value, None


def _undone(tx: Tx, error: Exception) -> tuple[None, Exception]:
    control(tx, "ROLLBACK TO job")
    control(tx, "RELEASE job")
    return None, error


@contextlib.contextmanager
def savepoint(tx: Tx) -> Iterator[None]:
    """What is done in here is undone where it fails, and nothing else is. Where the database itself is away all is undone anyway."""
    if tx.dialect.name != "sqlite":
        with tx.begin_nested():
            yield
        return
    control(tx, "SAVEPOINT part")
    try:
        yield
    except BaseException as error:
        if not (isinstance(error, DBAPIError) and is_away(error)):
            control(tx, "ROLLBACK TO part")
            control(tx, "RELEASE part")
        raise
    control(tx, "RELEASE part")


def control(tx: Tx, words: str) -> None:
    """A word of transaction control, past SQLAlchemy, which needs ten times as long for it."""
    driver: Any = tx.connection.dbapi_connection
    try:
        driver.execute(words).close()
    except sqlite3.Error as error:
        raise DBAPIError.instance(words, None, error, sqlite3.Error, dialect=tx.dialect) from error


def answer(done: Sequence[Answer]) -> None:
    """Give each job its result: each loop is woken once for all of its own."""
    for loop in {job.loop for job, _, _ in done}:
        mine = [each for each in done if each[0].loop is loop]
        if loop is None:
            hand_out(mine)
            continue
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(hand_out, mine)


def hand_out(done: Sequence[Answer]) -> None:
    """Give each job its result, on the loop that it belongs to."""
    for job, value, failure in done:
        if job.result.cancelled() or job.result.done():
            continue
        if failure is None:
            job.result.set_result(value)
        else:
            job.result.set_exception(failure)
