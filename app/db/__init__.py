"""Hides the two databases behind few verbs: `read`, `write`, `write_short`, `write_now`. The only package that commits.

SQLite (WAL, `synchronous=FULL`): one writer at a time per process; jobs that wait share a transaction, each in its own savepoint, so
that one sync pays for many (docs/decisions/004). PostgreSQL: a transaction per job on a pool of threads. A job is a plain function of a
`Tx`; it may be run again after a failed commit or a clash, so it must do nothing but database work.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from app import clock
from app.db.engines import THREADS, Away, Clash, keep_for_us, open_postgres, open_sqlite
from app.db.jobs import BROKEN, Answer, Job, Tx, Work, answer, in_savepoint, savepoint
from app.db.lines import Lines, Look
from app.db.shared import TOGETHER, TOGETHER_SECONDS, Pen
from app.db.short import ShortJobs
from app.db.turnstile import Turnstile
from app.errors import Unavailable, database_away

__all__ = ["PATIENCE_SECONDS", "Database", "Look", "Tx", "Work", "alone", "savepoint", "upsert", "upserting"]

T = TypeVar("T")

#: How long we wait for a lock, a connection or a pool place before we say that the database is away.
PATIENCE_SECONDS = 3.0
_TRIES = 3
#: Threads of PostgreSQL's short jobs: more of them take more turns for the interpreter than they save waiting (docs/decisions/017).
SHORT_THREADS = 4


class Database:
    """One database. `start()` before use, `stop()` at the end; or use it as a context manager."""

    def __init__(self, url: str, patience: float = PATIENCE_SECONDS, *, throwaway: bool = False) -> None:
        """`patience`: seconds that a transaction waits for a lock, a connection or a place in the pool.

        `throwaway`: a SQLite file that is gone with this process, which alone has it: nothing is synced, and every job runs where it is
        asked for, on one connection. Whoever awaits one waits for no other thread.
        """
        self.url = url
        self._throwaway = throwaway
        self.is_sqlite = url.startswith("sqlite")
        self._readers = open_sqlite(url, "BEGIN", patience) if self.is_sqlite else open_postgres(url, patience)
        # The pen begins.
        self._writers = open_sqlite(url, "", patience, lasting=not throwaway) if self.is_sqlite else self._readers
        self._impatient = open_sqlite(url, "", 0) if self.is_sqlite else open_postgres(url, patience, short=True)
        self._kept = threading.local()
        self._all_kept: list[Tx] = []
        self._lock = threading.Lock()
        self._turnstile = Turnstile(None if throwaway else Path(f"{url.removeprefix('sqlite:///')}-turn"))
        self._pen = Pen(self._writers, self._lock, self._turnstile, patience)
        self._short: ShortJobs | None = None
        self._lines: Lines | None = None
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="db")
        self._short_pool = ThreadPoolExecutor(SHORT_THREADS, thread_name_prefix="db-short")
        self._writer: threading.Thread | None = None

    def __enter__(self) -> "Database":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the writer thread where there is one."""
        if self.is_sqlite and self._writer is None and not self._throwaway:
            self._writer = threading.Thread(target=self._write_forever, name="db-writer", daemon=True)
            self._writer.start()

    def stop(self) -> None:
        """Finish what is queued, then close every connection."""
        if self._writer is not None:
            self._jobs.put(None)
            self._writer.join(timeout=15)
            self._writer = None
        self._stop_short()
        self._stop_lines()
        self._pen.close()
        self._pool.shutdown(wait=True)
        self._short_pool.shutdown(wait=True)
        while self._all_kept:
            self._all_kept.pop().close()
        self._turnstile.close()
        for engine in {self._readers, self._writers, self._impatient}:
            engine.dispose()

    async def read(self, work: Work[T]) -> T:
        """Run `work` in a transaction of its own that writes nothing. Raises `Unavailable`."""
        if self._throwaway:
            return self.read_now(work)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.read_now, work)

    async def write(self, work: Work[T]) -> T:
        """Run `work` and commit it durably before returning. Raises what `work` raises, or `Unavailable`."""
        if self._throwaway:
            return self._write_alone(work)
        loop = asyncio.get_running_loop()
        if not self.is_sqlite:
            return await loop.run_in_executor(self._pool, self._write_alone, work)
        result: asyncio.Future[T] = loop.create_future()
        self._jobs.put(Job(work, result, loop))
        return await result

    async def write_short(self, work: Work[T]) -> T:
        """As `write`, for work of a few quick statements that comes often: SQLite runs it on the caller's loop, of which there is one.

        PostgreSQL saves the question whether a connection still lives: after a restart of the server the first try is `Unavailable`.
        """
        if self._throwaway:
            return self._write_alone(work)
        loop = asyncio.get_running_loop()
        if not self.is_sqlite:
            return await loop.run_in_executor(self._short_pool, self._write_alone, work, self._hold)
        if self._short is None or self._short.loop is not loop:
            self._stop_short()
            self._short = ShortJobs(loop, Pen(self._impatient, self._lock, self._turnstile, 0), self._jobs.put)
        return await self._short.write(work)

    @property
    def looks_ahead(self) -> bool:
        """Whether `write_in_turn` makes use of looks; who has to make them may save the trouble."""
        return not self.is_sqlite

    async def write_in_turn(self, looks: Sequence[Look], work: Work[T], owner: str, *, whole: bool = False) -> T:
        """As `write_short`, for work that begins with these looks and often needs no other: PostgreSQL then needs no thread for it.

        `whole`: they are all that it does, unless they find something unusual.

        Each look is a prepared statement and its values. The work may be run twice: first on what the looks found. One that writes must
        bear to be taken twice too, and the work must take it itself. Work of one `owner` is done in the order in which it came.
        """
        if self.is_sqlite or not looks:
            return await self.write_short(work)
        loop = asyncio.get_running_loop()
        if self._lines is None or self._lines.loop is not loop:
            self._stop_lines()
            self._lines = Lines(loop, self._impatient.dialect, self._connection)
        return await self._lines.write(looks, work, owner, self.write_short, whole=whole)

    def _connection(self) -> Any:
        """A connection of the driver's for whoever asks, and theirs to close."""
        tx = self._impatient.connect()
        driver = tx.connection.driver_connection
        tx.detach()
        return driver

    def _stop_lines(self) -> None:
        if self._lines is not None:
            self._lines.stop()
            self._lines = None

    def _stop_short(self) -> None:
        if self._short is not None:
            self._short.stop()
            self._short = None

    async def ping(self) -> None:
        """Ask the database for nothing. Raises `Unavailable` where it does not answer."""
        await self.read(lambda tx: tx.execute(sa.select(1)).scalar_one())

    def read_now(self, work: Work[T]) -> T:
        """As `read`, from a thread of the caller's."""
        if self._throwaway:
            return self._write_alone(work)
        with Away(), self._readers.connect() as tx, tx.begin():
            return work(tx)

    def write_now(self, work: Work[T]) -> T:
        """As `write`, from a thread of the caller's (commands, tests)."""
        if self._writer is None:
            return self._write_alone(work)
        result: Future[T] = Future()
        self._jobs.put(Job(work, result))
        return result.result()

    def _hold(self) -> contextlib.AbstractContextManager[Tx]:
        """A transaction on this thread's own connection, which it keeps: the pool's way in and out costs as much as a round trip."""
        tx: Tx | None = getattr(self._kept, "tx", None)
        if tx is None:
            tx = self._kept.tx = self._impatient.connect()
            self._all_kept.append(tx)
        return _within(tx)

    def _write_alone(self, work: Work[T], begin: Callable[[], contextlib.AbstractContextManager[Tx]] | None = None) -> T:
        for left in reversed(range(_TRIES)):
            try:
                return self._write_once(work, begin or self._writers.begin)
            except IntegrityError:
                # Two processes made the same row: the second try sees what the first left.
                if not left:
                    raise
            except Clash:  # they waited for each other: nothing is wrong with the work, and a little later it may succeed
                if not left:
                    raise database_away() from None
        raise AssertionError("the last try returns or raises")

    def _write_once(self, work: Work[T], begin: Callable[[], contextlib.AbstractContextManager[Tx]]) -> T:
        if not self.is_sqlite:
            with Away(), begin() as tx:
                return work(tx)
        tx = self._pen.begin()
        try:
            with Away():
                value = work(tx)
        except BaseException:
            self._pen.drop(tx)
            raise
        self._pen.commit(tx)
        return value

    def _write_forever(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.result.cancelled():  # whoever asked has gone; nothing was promised
                self._write_together(job)

    def _write_together(self, first: Job) -> None:
        """Run `first` and what waits behind it in one transaction; answer each job only after the commit."""
        done: list[Answer] = []

        def work(tx: Tx) -> None:
            for job in _TakeAlong(first, self._jobs):
                if job.result.cancelled():  # whoever asked has gone; nothing was promised
                    continue
                done.append((job, None, BROKEN))
                done[-1] = (job, *in_savepoint(tx, job.work))

        try:
            self._write_once(work, self._writers.begin)
        except Exception as error:  # noqa: BLE001 - whatever broke the shared transaction, each job is tried by itself
            self._write_each_alone([job for job, _, _ in done] or [first], error)
            return
        answer(done)

    def _waiting(self) -> list[Job]:
        """Every job that waits at this moment; the word to stop stays where it is."""
        found: list[Job] = []
        for _ in range(self._jobs.qsize()):
            job = self._jobs.get()
            if job is None:
                self._jobs.put(None)
            else:
                found.append(job)
        return found

    def _write_each_alone(self, jobs: Sequence[Job], error: Exception) -> None:
        if isinstance(error, Unavailable):  # the lock was not to be had: who waits behind would wait as long again
            answer([(job, None, error) for job in [*jobs, *self._waiting()]])
            return
        for job in jobs:
            try:
                answer([(job, self._write_alone(job.work), None)])
            except Exception as own:  # noqa: BLE001 - handed to whoever waits for this job
                answer([(job, None, own)])


@contextlib.contextmanager
def _within(tx: Tx) -> Iterator[Tx]:
    with tx.begin():
        yield tx


def alone(url: str, work: Work[T]) -> T:
    """Run `work` in one transaction on a connection of its own, for a restore, which makes tables as well as rows.

    SQLite: nobody else may have the file open until it is over, and foreign keys sleep (a migration rebuilds tables). Raises `Unavailable`.
    """
    engine = sa.create_engine(url, poolclass=NullPool)
    if url.startswith("sqlite"):
        keep_for_us(engine)
    try:
        with Away(), engine.begin() as tx:
            return work(tx)
    finally:
        engine.dispose()


def upsert(tx: Tx, table: type[Any]) -> "sqlite.Insert | postgresql.Insert":
    """An INSERT that knows ON CONFLICT, in the dialect of this transaction."""
    return upserting(tx.dialect.name, table)


def upserting(dialect: str, table: type[Any]) -> "sqlite.Insert | postgresql.Insert":
    """The same for a prepared statement, by the dialect's name."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


class _TakeAlong:
    """The first job and those that wait behind it, as long as the shared transaction may stay open."""

    def __init__(self, first: Job, jobs: "queue.SimpleQueue[Job | None]") -> None:
        self._next: Job | None = first
        self._jobs = jobs
        self._left = TOGETHER
        self._until = clock.steady() + TOGETHER_SECONDS

    def __iter__(self) -> "_TakeAlong":
        return self

    def __next__(self) -> Job:
        job, self._next = self._next, None
        if job is None and self._left > 0 and clock.steady() < self._until:
            job = self._poll()
        if job is None:
            raise StopIteration
        self._left -= 1
        return job

    def _poll(self) -> Job | None:
        try:
            job = self._jobs.get_nowait()
        except queue.Empty:
            return None
        if job is None:
            self._jobs.put(None)  # the word to stop is for the loop outside
        return job
