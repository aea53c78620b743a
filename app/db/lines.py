"""Hides how short work gets through PostgreSQL without a thread: it looks, thinks and writes on its event loop, in two round trips or one.

What waits goes together: one look, one writing, one commit, on one of two lines (`app/db/pipeline.py`). Work that needs more than its
looks, or a row that another holds just now, is run in a transaction of its own instead (docs/decisions/017).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import psycopg
import sqlalchemy as sa

from app import clock
from app.db.engines import Away
from app.db.foreseen import Foreseen, More
from app.db.jobs import Tx, Work
from app.db.pipeline import BEGIN, COMMIT, Pipeline, Refused, Step, hurry
from app.db.prepared import Compiled, Prepared
from app.errors import Unavailable, database_away

T = TypeVar("T")
Look = tuple[Prepared, dict[str, Any]]

#: While one waits for its commit the other looks; more would only make smaller transactions of the same work.
_MOST_LINES = 2
#: Jobs that go together: none of them is answered before all are thought through.
_TOGETHER = 16
#: A second line that the server refuses is asked for again after so long; until then the first does all.
_PAUSE_SECONDS = 1.0


@dataclass(eq=False)
class _Job:
    """Work that waits for a line. Its result is what the work returns, or `More` itself. `whole`: its looks are all that it does."""

    looks: Sequence[Look]
    work: Work[Any]
    whole: bool
    result: "asyncio.Future[Any]"

    def answer(self, value: Any) -> None:
        if not self.result.done():
            self.result.set_result(value)

    def fail(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)


class Lines:
    """The lines of one event loop. `connect` opens a connection of psycopg's and may take its time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dialect: sa.Dialect, connect: Callable[[], Any]) -> None:
        self.loop = loop
        self._dialect = dialect
        self._connect = connect
        self._turns: dict[str, deque[asyncio.Future[None]]] = {}
        self._waiting: deque[_Job] = deque()
        self._free: list[Pipeline] = []
        self._open: set[Pipeline] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrived: set[Any] = set()
        self._refused_at = -_PAUSE_SECONDS
        self._stopped = False

    async def write(
        self, looks: Sequence[Look], work: Work[T], owner: str, instead: Callable[[Work[T]], Awaitable[T]], *, whole: bool = False
    ) -> T:
        """Run `work` on what the looks found and commit what it notes, or have it done `instead` where that is not enough.

        `whole`: it notes nothing, so that the commit goes out with the looks. Work of one `owner` is done in the order in which it came,
        whichever way. Raises `Unavailable`, and what `work` raises.
        """
        await self._enter(owner)
        try:
            job = _Job(looks, work, whole, self.loop.create_future())
            self._waiting.append(job)
            self._start()
            made: Any = await job.result
            return await instead(work) if made is More else made
        finally:
            self._leave(owner)

    async def _enter(self, owner: str) -> None:
        line = self._turns.get(owner)
        if line is None:
            self._turns[owner] = deque()
            return
        turn: asyncio.Future[None] = self.loop.create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had just become our turn
                self._leave(owner)
            raise

    def _leave(self, owner: str) -> None:
        line = self._turns[owner]
        while line:
            turn = line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._turns[owner]

    def _start(self) -> None:
        """Have what waits done, by a line that is free, or by another one."""
        if not self._waiting or self._stopped:
            return
        refused = bool(self._open) and clock.steady() - self._refused_at < _PAUSE_SECONDS
        if self._free:
            self._free.pop().wake()
        elif len(self._tasks) < _MOST_LINES and not refused:
            task = self.loop.create_task(self._serve())
            self._tasks.add(task)

    async def _serve(self) -> None:
        """One line, from its opening to its end."""
        line: Pipeline | None = None
        try:
            line = await self._opened()
            while line.open:
                jobs = self._next()
                if jobs:
                    await self._together(line, jobs)
                else:
                    self._free.append(line)
                    await line.woken()
        except Exception as error:  # noqa: BLE001 - whatever kept it from opening: whoever waits hears of it, unless another line serves them
            self._given_up(error)
        finally:
            if line is not None:
                line.close()
                self._open.discard(line)
                self._free = [free for free in self._free if free is not line]
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            self.loop.call_soon(self._start)  # what waits goes to another one

    def _given_up(self, error: Exception) -> None:
        self._refused_at = clock.steady()
        if len(self._tasks) > 1:  # the other line serves them, or will say the same
            return
        told = error if isinstance(error, Unavailable) else database_away()
        while self._waiting:
            self._waiting.popleft().fail(told)

    async def _opened(self) -> Pipeline:
        driver = await self.loop.run_in_executor(None, self._connected)
        self._arrived.discard(driver)
        line = Pipeline(driver, self.loop)
        self._open.add(line)
        return line

    def _connected(self) -> Any:
        with Away():
            driver = self._connect()
        self._arrived.add(driver)
        if self._stopped:
            self._close_arrived()
            raise database_away()
        hurry(driver)
        return driver

    def _close_arrived(self) -> None:
        """Connections that came when nobody waited for them any more."""
        while self._arrived:
            self._arrived.pop().close()

    def _next(self) -> list[_Job]:
        jobs: list[_Job] = []
        while self._waiting and len(jobs) < _TOGETHER:
            job = self._waiting.popleft()
            if not job.result.done():  # whoever asked may have gone; nothing was promised
                jobs.append(job)
        return jobs

    async def _together(self, line: Pipeline, jobs: list[_Job]) -> None:
        try:
            done = await self._written(line, jobs)
        except Refused:  # and with the connection the transaction goes; each shows by itself what was wrong
            line.close()
            done = [(job, More) for job in jobs]
        except psycopg.Error:
            line.close()
            done = []
        except BaseException:
            for job in jobs:  # we are being ended, or have a bug: nobody must wait for ever
                job.fail(database_away())
            raise
        for job, value in done:
            job.answer(value)
        for job in jobs:
            job.fail(database_away())  # whoever has no answer yet: the line is gone, and nobody knows what became of it

    async def _written(self, line: Pipeline, jobs: list[_Job]) -> list[tuple[_Job, Any]]:
        """What each job made, once it is durable; the others have failed already."""
        asked = [(job, steps) for job in jobs if (steps := self._steps(job.looks, Prepared.ahead)) is not None]
        whole = all(job.whole for job, _ in asked)
        results = iter(await line.ask([BEGIN, *(step for _, steps in asked for step in steps), *((COMMIT,) if whole else ())]))
        next(results)
        aboard = {job for job, _ in asked}
        done: list[tuple[_Job, Any]] = [(job, More) for job in jobs if job not in aboard]
        notes: list[Step] = []
        for job, steps in asked:
            found = [line.row(step.statement, next(results)) for step in steps]
            value, noted = self._think(job, found)
            done.append((job, value))
            notes += noted
        if not whole:
            await line.ask([*notes, COMMIT])
        return done

    def _think(self, job: _Job, found: Sequence[Any]) -> tuple[Any, Sequence[Step]]:
        """What the work makes of what was found, and what it wants written; `More` where that is not for a line."""
        foreseen = Foreseen(self._dialect, [(*look, row) for look, row in zip(job.looks, found, strict=True)])
        try:
            value = job.work(cast("Tx", foreseen))
        except More:
            return More, ()
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for this job
            job.fail(error)
            return None, ()
        steps = None if job.whole and foreseen.noted else self._steps(foreseen.noted, _only)
        return (More, ()) if steps is None else (value, steps)

    def _steps(self, wanted: Sequence[Look], compiled: Callable[[Prepared, sa.Dialect], Compiled]) -> list[Step] | None:
        """As they go over the wire; None where a value does not: the transaction will say what is wrong with it."""
        try:
            return [Step.of(compiled(prepared, self._dialect), values) for prepared, values in wanted]
        except Exception:  # noqa: BLE001 - whatever a conversion of a column raises
            return None

    def stop(self) -> None:
        """Close every line, from whatever thread."""
        self._stopped = True
        if self.loop.is_running():
            self.loop.call_soon_threadsafe(self._close)
        else:
            self._close()

    def _close(self) -> None:
        self._close_arrived()
        for line in list(self._open):
            line.close()
        while self._waiting:
            self._waiting.popleft().fail(database_away())


def _only(prepared: Prepared, dialect: sa.Dialect) -> Compiled:
    (only,) = prepared.compiled(dialect)
    return only
