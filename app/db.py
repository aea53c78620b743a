"""Hides the two databases behind three verbs: `read`, `write`, `write_now`. The only place that commits.

SQLite (WAL, `synchronous=FULL`): one writer thread per process; jobs that wait share a transaction, each in its own savepoint, so that one
sync pays for many (docs/decisions/004). PostgreSQL: a transaction per job on a pool of threads. A job is a plain function of a
`Tx`; it may be run again after a failed commit or a clash, so it must do nothing but database work.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, QueuePool

from app import clock
from app.errors import Unavailable

T = TypeVar("T")

#: A transaction in which the caller already is.
Tx = sa.Connection
Work = Callable[[Tx], T]

#: Jobs that share a transaction, and for how long it may stay open for them: other processes want the lock too.
_TOGETHER = 32
_TOGETHER_SECONDS = 0.010
#: How long we wait for a lock, a connection or a pool place before we say that the database is away.
PATIENCE_SECONDS = 3.0
_THREADS = 8
_TRIES = 3


@dataclass(frozen=True)
class _Job:
    work: Work[Any]
    result: "Future[Any]" = field(default_factory=Future)


class Database:
    """One database. `start()` before use, `stop()` at the end; or use it as a context manager."""

    def __init__(self, url: str, patience: float = PATIENCE_SECONDS) -> None:
        """`patience`: seconds that a transaction waits for a lock, a connection or a place in the pool."""
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self._readers = _sqlite_engine(url, "BEGIN", patience) if self.is_sqlite else _postgres_engine(url, patience)
        self._writers = _sqlite_engine(url, "BEGIN IMMEDIATE", patience) if self.is_sqlite else self._readers
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="db")
        self._writer: threading.Thread | None = None

    def __enter__(self) -> "Database":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the writer thread where there is one."""
        if self.is_sqlite and self._writer is None:
            self._writer = threading.Thread(target=self._write_forever, name="db-writer", daemon=True)
            self._writer.start()

    def stop(self) -> None:
        """Finish what is queued, then close every connection."""
        if self._writer is not None:
            self._jobs.put(None)
            self._writer.join(timeout=15)
            self._writer = None
        self._pool.shutdown(wait=True)
        self._readers.dispose()
        self._writers.dispose()

    async def read(self, work: Work[T]) -> T:
        """Run `work` in a transaction of its own that writes nothing. Raises `Unavailable`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.read_now, work)

    async def write(self, work: Work[T]) -> T:
        """Run `work` and commit it durably before returning. Raises what `work` raises, or `Unavailable`."""
        if self.is_sqlite:
            return await asyncio.wrap_future(self._enqueue(work))
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._write_alone, work)

    async def ping(self) -> None:
        """Ask the database for nothing. Raises `Unavailable` where it does not answer."""
        await self.read(lambda tx: tx.execute(sa.select(1)).scalar_one())

    def read_now(self, work: Work[T]) -> T:
        """As `read`, from a thread of the caller's."""
        with _Away(), self._readers.connect() as tx, tx.begin():
            return work(tx)

    def write_now(self, work: Work[T]) -> T:
        """As `write`, from a thread of the caller's (commands, tests)."""
        if self._writer is not None:
            return self._enqueue(work).result()
        return self._write_alone(work)

    def _enqueue(self, work: Work[T]) -> "Future[T]":
        job = _Job(work)
        self._jobs.put(job)
        return job.result

    def _write_alone(self, work: Work[T]) -> T:
        for left in reversed(range(_TRIES)):
            try:
                with _Away(), self._writers.begin() as tx:
                    return work(tx)
            except (IntegrityError, Clash):
                # Two processes made the same row, or waited for each other: the second try sees what the first left.
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")

    def _write_forever(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.result.cancelled():  # whoever asked has gone; nothing was promised
                self._write_together(job)

    def _write_together(self, first: _Job) -> None:
        """Run `first` and what waits behind it in one transaction; answer each job only after the commit."""
        done: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            with _Away(), self._writers.begin() as tx:
                for job in self._take_along(first):
                    if job.result.cancelled():  # whoever asked has gone; nothing was promised
                        continue
                    done.append((job, None, _BROKEN))
                    done[-1] = (job, *_in_savepoint(tx, job.work))
        except Exception as error:  # noqa: BLE001 - whatever broke the shared transaction, each job is tried by itself
            self._write_each_alone([job for job, _, _ in done] or [first], error)
            return
        for job, value, failure in done:
            _answer(job, value, failure)

    def _take_along(self, first: _Job) -> "_TakeAlong":
        return _TakeAlong(first, self._jobs)

    def _waiting(self) -> list[_Job]:
        """Every job that waits at this moment; the word to stop stays where it is."""
        found: list[_Job] = []
        for _ in range(self._jobs.qsize()):
            job = self._jobs.get()
            if job is None:
                self._jobs.put(None)
            else:
                found.append(job)
        return found

    def _write_each_alone(self, jobs: Sequence[_Job], error: Exception) -> None:
        if isinstance(error, Unavailable):  # the lock was not to be had: who waits behind would wait as long again
            for job in [*jobs, *self._waiting()]:
                _answer(job, None, error)
            return
        for job in jobs:
            try:
                value, failure = self._write_alone(job.work), None
            except Exception as own:  # noqa: BLE001 - handed to whoever waits for this job
                value, failure = None, own
            _answer(job, value, failure)


def alone(url: str, work: Work[T]) -> T:
    """Run `work` in one transaction on a connection of its own, for a restore, which makes tables as well as rows.

    SQLite: nobody else may have the file open until it is over, and foreign keys sleep (a migration rebuilds tables). Raises `Unavailable`.
    """
    engine = sa.create_engine(url, poolclass=NullPool)
    if url.startswith("sqlite"):
        _keep_for_us(engine)
    try:
        with _Away(), engine.begin() as tx:
            return work(tx)
    finally:
        engine.dispose()


def _keep_for_us(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("busy_timeout=1000", "locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=OFF"):
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def _begin(tx: Tx) -> None:
        tx.exec_driver_sql("BEGIN IMMEDIATE")


def upsert(tx: Tx, table: type[Any]) -> "sqlite.Insert | postgresql.Insert":
    """An INSERT that knows ON CONFLICT, in the dialect of this transaction."""
    return sqlite.insert(table) if tx.dialect.name == "sqlite" else postgresql.insert(table)


class _TakeAlong:
    """The first job and those that wait behind it, as long as the shared transaction may stay open."""

    def __init__(self, first: _Job, jobs: "queue.SimpleQueue[_Job | None]") -> None:
        self._next: _Job | None = first
        self._jobs = jobs
        self._left = _TOGETHER
        self._until = clock.steady() + _TOGETHER_SECONDS

    def __iter__(self) -> "_TakeAlong":
        return self

    def __next__(self) -> _Job:
        job, self._next = self._next, None
        if job is None and self._left > 0 and clock.steady() < self._until:
            job = self._poll()
        if job is None:
            raise StopIteration
        self._left -= 1
        return job

    def _poll(self) -> _Job | None:
        try:
            job = self._jobs.get_nowait()
        except queue.Empty:
            return None
        if job is None:
            self._jobs.put(None)  # the word to stop is for the loop outside
        return job


class Clash(Exception):
    """A deadlock or serialisation failure: the transaction was rolled back and may be run again."""


_BROKEN = RuntimeError("the transaction broke while this job ran")


class _Away:
    """Turns what drivers raise for a missing, locked or full database into `Unavailable` or `Clash`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if getattr(getattr(error, "orig", None), "sqlstate", None) in {"40001", "40P01"}:
            raise Clash from None
        if _is_away(error):
            raise Unavailable("database", "The database does not answer just now; please try again in a minute.") from error


def _is_away(error: BaseException | None) -> bool:
    """Whether an error means that the database is missing, locked or full, and not that a statement is wrong."""
    if isinstance(error, OperationalError | InterfaceError):
        word: str | None = getattr(error.orig, "sqlite_errorname", None)
        return word is None or word.startswith(_SQLITE_AWAY)
    return isinstance(error, PoolTimeout)


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


def _in_savepoint(tx: Tx, work: Work[T]) -> tuple[T | None, BaseException | None]:
    tx.exec_driver_sql("SAVEPOINT job")
    try:
        value = work(tx)
    except DBAPIError as error:
        if _is_away(error):
            raise  # full, I/O error: SQLite has given up the whole transaction
        return _undone(tx, error)
    except Exception as error:  # noqa: BLE001 - handed to whoever waits for this job
        return _undone(tx, error)
    tx.exec_driver_sql("RELEASE job")
    return value, None


def _undone(tx: Tx, error: Exception) -> tuple[None, Exception]:
    tx.exec_driver_sql("ROLLBACK TO job")
    tx.exec_driver_sql("RELEASE job")
    return None, error


def _answer(job: _Job, value: Any, failure: BaseException | None) -> None:
    if not job.result.set_running_or_notify_cancel():
        return
    if failure is None:
        job.result.set_result(value)
    else:
        job.result.set_exception(failure)


def _sqlite_engine(url: str, begin: str, patience: float) -> sa.Engine:
    path = url.removeprefix("sqlite:///").removeprefix("sqlite+pysqlite:///")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, poolclass=QueuePool, pool_size=_THREADS, max_overflow=0, pool_timeout=patience)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours: the driver's own would be deferred and fail at once under load
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={round(patience * 1000)}"):
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def _begin(tx: Tx) -> None:
        tx.exec_driver_sql(begin)

    return engine


def _postgres_engine(url: str, patience: float) -> sa.Engine:
    return sa.create_engine(
        url,
        pool_size=_THREADS,
        max_overflow=0,
        pool_timeout=patience,
        pool_pre_ping=True,
        connect_args={
            "application_name": "tongban",  # by which a restore sees that somebody still works here
            "connect_timeout": max(1, round(patience)),
            # A server that vanished without a word (a proxy, a cable) is noticed within our patience, not within hours.
            "tcp_user_timeout": round(patience * 1000),
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "options": f"-c lock_timeout={round(patience * 1000)} -c idle_in_transaction_session_timeout=30000 -c timezone=UTC",
        },
    )
