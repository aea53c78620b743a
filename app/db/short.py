"""Hides how short jobs get through SQLite without a change of thread: they run on their event loop; only a commit is waited for elsewhere.

A thread that runs Python beside the loop's takes turns with it for the interpreter, at every statement; that cost more than the
statements themselves (docs/decisions/017). Where somebody else is writing just now, the jobs go to the writer's thread, which can wait.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from app import clock
from app.db.engines import Away, is_away
from app.db.jobs import BROKEN, Answer, Job, Tx, Work, hand_out, in_savepoint
from app.db.shared import TOGETHER, TOGETHER_SECONDS, Pen
from app.errors import Unavailable, database_away

T = TypeVar("T")

#: How often the loop goes round before a transaction begins: who has just been heard comes along (twelve pushes a commit instead of eight).
_ROUNDS = 3


class _Failed(Exception):
    """A job raised: what others did in the same transaction is undone with it."""


class ShortJobs:
    """The short jobs of one event loop. `pen` never waits; `hand_over` gives a job to the writer's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pen: Pen, hand_over: Callable[[Job], None]) -> None:
        self.loop = loop
        self._pen = pen
        self._hand_over = hand_over
        self._waiting: deque[Job] = deque()
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="db-commit")
        self._called = self._committing = self._careful = False

    async def write(self, work: Work[T]) -> T:
        """Run `work` on this loop and return when it is durable. Raises what `work` raises, or `Unavailable`."""
        result: asyncio.Future[T] = self.loop.create_future()
        self._waiting.append(Job(work, result, self.loop))
        if not self._called and not self._committing:  # whoever else is about to come in this round comes along
            self._begin_soon()
        return await result

    def stop(self) -> None:
        """Let the thread and the connection go."""
        self._hand.shutdown(wait=True)
        self._pen.close()

    def _begin_soon(self, rounds: int = _ROUNDS) -> None:
        """Begin when the loop has been round so often: whoever has come in by then shares the commit, which costs as much as a push."""
        self._called = True
        self.loop.call_soon(*((self._begin_soon, rounds - 1) if rounds else (self._write_together,)))

    def _write_together(self) -> None:
        self._called = False
        done: list[Answer] = []
        try:
            tx = self._pen.begin()
        except Exception:  # noqa: BLE001 - somebody else writes; whatever else it may be, the writer's thread tells each job its own error
            while self._waiting:
                self._hand_over(self._waiting.popleft())
            return
        try:
            with Away():
                self._run(tx, done)
        except Exception as error:  # noqa: BLE001 - whatever broke the shared transaction, each job is tried again
            try:
                self._pen.drop(tx)
            finally:
                self._again(done) if isinstance(error, _Failed) else self._broken(done, error)
                if self._waiting:  # who has not had a turn yet waits for nobody else to come
                    self._begin_soon()
            return
        self._committing = True
        committed = self.loop.run_in_executor(self._hand, self._pen.commit, tx)
        committed.add_done_callback(partial(self._committed, done))

    def _run(self, tx: Tx, done: list[Answer]) -> None:
        until = clock.steady() + TOGETHER_SECONDS
        while self._waiting and len(done) < TOGETHER and clock.steady() < until:
            job = self._waiting.popleft()
            if job.result.cancelled():  # whoever asked has gone; nothing was promised
                continue
            done.append((job, None, BROKEN))
            done[-1] = (job, *in_savepoint(tx, job.work)) if self._careful else (job, self._in_good_faith(tx, job.work), None)
        self._careful = False

    def _in_good_faith(self, tx: Tx, work: Work[T]) -> T:
        """What came of the work, without a savepoint: hardly any fails, and where one does all are run once more, each in its own."""
        try:
            return work(tx)
        except Exception as error:
            if is_away(error):
                raise
            raise _Failed from error

    def _again(self, done: list[Answer]) -> None:
        self._careful = True
        self._waiting.extendleft(job for job, _, _ in reversed(done))

    def _committed(self, done: list[Answer], committed: "asyncio.Future[None]") -> None:
        self._committing = False
        error = database_away() if committed.cancelled() else committed.exception()  # cancelled: nobody knows what became of it
        if error is None:
            hand_out(done)
        else:
            self._broken(done, error)
        if self._waiting and not self._called:
            self._begin_soon()

    def _broken(self, done: list[Answer], error: BaseException) -> None:
        if isinstance(error, Unavailable):  # who waits behind would fare no better
            hand_out([(job, None, error) for job in (*(job for job, _, _ in done), *self._waiting)])
            self._waiting.clear()
            return
        for job, _, _ in done:
            self._hand_over(job)
