"""Hides what WeChat does later by itself: planned in the journal, done when its virtual moment comes, also after a restart."""

import asyncio
import heapq
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from app.sandbox.journal import Event
from app.sandbox.world import Applier, World


def plan(world: World, what: str, appid: str, after: float, **fields: Any) -> None:
    """Let `what` happen `after` so many seconds."""
    world.commit("planned", id=secrets.token_hex(8), what=what, appid=appid, due=world.clock.now() + after, **fields)
    world.wake()


def _planned(world: World, event: Event) -> None:
    world.jobs[event["id"]] = event
    heapq.heappush(world.due, (event["due"], event["id"]))


def _done(world: World, event: Event) -> None:
    world.jobs.pop(event["id"], None)


EVENTS: dict[str, Applier] = {"planned": _planned, "done": _done}


class Agenda:
    """Runs what is due; sleeps while nothing is."""

    def __init__(self, world: World, acts: dict[str, Callable[[Event], Awaitable[object]]]) -> None:
        self._world = world
        self._acts = acts
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: asyncio.Task[None] | None = None
        world.wake = self.wake

    def wake(self) -> None:
        """Look again: something was planned, or the clock was moved."""
        self._woken.set()
        if self._world.due and (self._runner is None or self._runner.done()):
            with suppress(RuntimeError):  # no loop yet: the start of the application wakes again
                self._runner = self._spawn(self._run())

    def next_moment(self) -> datetime | None:
        """When something is due by itself."""
        return datetime.fromtimestamp(self._world.due[0][0], UTC) if self._world.due else None

    async def catch_up(self) -> None:
        """Do all that is due by now, and wait until it is done: for whoever holds the clock."""
        while self._world.due and self._world.due[0][0] <= self._world.clock.now():
            event = self._world.jobs.get(heapq.heappop(self._world.due)[1])
            if event is not None:
                await self._act(event)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self) -> None:
        while self._world.due:
            self._woken.clear()
            wait = self._world.due[0][0] - self._world.clock.now()
            if wait <= 0:
                self._start(heapq.heappop(self._world.due)[1])
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), wait)

    def _start(self, id_: str) -> None:
        event = self._world.jobs.get(id_)
        if event is not None:
            self._spawn(self._act(event))

    async def _act(self, event: Event) -> None:
        await self._acts[event["what"]](event)
        self._world.commit("done", id=event["id"])

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        try:
            task = asyncio.get_running_loop().create_task(work)
        except RuntimeError:
            work.close()
            raise
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
