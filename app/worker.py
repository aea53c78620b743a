"""The clockwork of a worker: a tick fires what is due, a loop sends what is due. Rows decide; APScheduler only ticks.

When a demo's clock jumps forward, the due moments in between are played one after the other, each with its sends, so that a week passes
as it would have passed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from app import approvals, audit, broadcasts, clock, encouragement, flags, heartbeat, polls, retention, schedules
from app.alerts import Alerter
from app.assembly import Assembly, Channels
from app.channels import Channel
from app.courses import occasions
from app.db import Tx
from app.errors import Unavailable
from app.logs import place_of
from app.outbox import claims, mass_rows
from app.prompts import firing as prompts
from app.questionnaires import waves
from app.questions import calling
from app.situation import Tools

log = structlog.get_logger()


class ByTheClock(Protocol):
    """A module with steps of its own that the clock brings: any process may take the next one, once."""

    def any_due(self, tx: Tx, now: datetime) -> bool:
        """Whether `go_on` would do something; nobody who writes waits for the answer."""

    def go_on(self, tx: Tx, tools: Tools, now: datetime) -> bool:
        """Take the next step that is due, in the caller's transaction; False where none is."""

    def next_moment(self, tx: Tx) -> datetime | None:
        """When something is due by itself."""


_BY_THE_CLOCK: tuple[ByTheClock, ...] = (waves, occasions, encouragement, prompts, polls, calling, approvals)

#: A step of the clock that is larger than this is a jump and is played in order.
_JUMP = timedelta(minutes=2)
_TICK_SECONDS = 0.5
_REAP_SECONDS = 5
#: What one tick spends on each part and on large audiences, and how long others get the database between two chunks.
_EXPANDING_SECONDS, _BREATH_SECONDS = 2.0, 0.002
#: A clock that is set back further than this keeps APScheduler waiting for moments that were to come soon.
_SET_BACK_SECONDS = 1.0
#: What a stop takes at most: calls end by themselves within ten seconds, and what came of them is written down.
_STOP_SECONDS = 12.0
_MOST_MOMENTS = 5_000


class Worker:
    """One worker. `start()` begins to tick, `stop()` finishes what is in flight."""

    def __init__(self, assembly: Assembly, channels: Channels | None = None) -> None:
        self._assembly = assembly
        self._channels = channels or Channels(assembly)
        self._postman = assembly.postman()
        self._alerter = Alerter(assembly.database, assembly.tools.keyring, assembly.tools.words, assembly.settings)
        self._played = clock.now()
        self._offset = clock.offset()
        self._ticker = AsyncIOScheduler(timezone="UTC")
        self._senders: dict[int, asyncio.Task[None]] = {}
        self._criers: dict[int, asyncio.Task[None]] = {}
        self._moving = asyncio.Lock()
        self._jumping = False
        self._clock_watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to tick."""
        often = {"trigger": "interval", "max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        self._ticker.add_job(self._guarded(self.tick), seconds=_TICK_SECONDS, id="tick", **often)
        self._ticker.add_job(self._guarded(self.reap), seconds=_REAP_SECONDS, id="reap", **often)
        self._ticker.add_job(self._guarded(self._alert), seconds=2, id="alerts", **often)
        self._ticker.add_job(self._guarded(self._tell), seconds=10, id="alarms", **often)
        self._ticker.add_job(self._guarded(self._send_now), seconds=_TICK_SECONDS, id="send", **often)
        self._ticker.add_job(self._guarded(self._retain), seconds=60, id="retention", **often)
        at_once = datetime.fromtimestamp(clock.machine_seconds(), UTC)
        self._ticker.add_job(self._guarded(self._beat), seconds=heartbeat.BEAT_SECONDS, id="beat", next_run_time=at_once, **often)
        self._ticker.start()
        self._clock_watch = asyncio.create_task(self._watch_clock())

    async def stop(self) -> None:
        """Begin nothing more, let what is in flight end, write down what came of it, close the connections: within `_STOP_SECONDS`.

        What cannot be written down by then, because the database is away, the reaper of another process settles.
        """
        if self._ticker.running:
            self._ticker.shutdown(wait=False)
        if self._clock_watch is not None:
            self._clock_watch.cancel()
        self._postman.stop(_STOP_SECONDS - 2)
        try:
            async with asyncio.timeout(_STOP_SECONDS), self._moving:
                await self._quiet()
        except TimeoutError:
            log.warning("stopped_hard")
        tasks = [*self._senders.values(), *self._criers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._channels.close()

    async def _watch_clock(self) -> None:
        """When the machine's clock is set back, tick on at once: rows decide what is due, not the ticker."""
        ahead = clock.machine_seconds() - clock.steady()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            before, ahead = ahead, clock.machine_seconds() - clock.steady()
            if ahead < before - _SET_BACK_SECONDS:
                for job in self._ticker.get_jobs():
                    job.modify(next_run_time=datetime.fromtimestamp(clock.machine_seconds(), UTC))

    async def tick(self) -> None:
        """Fire what is due now; after a jump of the clock, every moment in between in its order."""
        async with self._moving:
            offset, target = clock.offset(), clock.now()
            # Only a demo's clock jumps. A worker that slept, or had no database, is late, and late is for `fire_next` to judge.
            self._jumping = offset - self._offset > _JUMP
            if self._jumping:
                await self._play_through(target)
            self._jumping = False
            await self.fire_due(target)
            self._played, self._offset = target, offset

    async def fire_due(self, now: datetime) -> None:
        """Fire schedules, call the next on-call people, take what steps the clock brings, write audiences, close what is finished."""
        write, tools = self._assembly.database.write, self._assembly.tools
        while await self._fire_next(now):
            pass
        await write(lambda tx: flags.call_due(tx, tools, now))
        for part in _BY_THE_CLOCK:
            await self._go_on(part, now)
        await self._expand(now)
        await write(broadcasts.close_finished)

    async def _go_on(self, part: ByTheClock, now: datetime) -> None:
        """Take the steps of one part that are due, no longer than audiences may take; one that fails holds up its own part at most."""
        database, tools = self._assembly.database, self._assembly.tools

        async def step() -> bool:
            due = await database.read(lambda tx: part.any_due(tx, now))
            return due and await database.write(lambda tx: part.go_on(tx, tools, now))

        try:
            await self._for_a_while(step)
        except Unavailable:
            raise
        except Exception as bug:  # noqa: BLE001 - people have to be called and audiences written, whatever is wrong with one part
            kind, where = type(bug).__name__, place_of(bug)
            log.error("step_failed", kind=kind, where=where)  # noqa: TRY400 - a traceback may hold what somebody wrote
            await database.write(lambda tx: audit.alarm(tx, now, "step_failed", f"{kind}.{where}"))

    async def _expand(self, now: datetime) -> None:
        """Go on with large audiences."""
        await self._for_a_while(lambda: self._assembly.database.write(lambda tx: broadcasts.expand_next(tx, now)))

    async def _for_a_while(self, step: Callable[[], Awaitable[bool]]) -> None:
        """Repeat a step while it finds something to do; outside a jump only for a moment, because the next tick has people to call."""
        began = clock.steady()
        while await step():
            if not self._jumping and clock.steady() - began > _EXPANDING_SECONDS:
                return
            await asyncio.sleep(_BREATH_SECONDS)

    async def send_due(self, now: datetime) -> int:
        """Send everything that is due at `now`, account by account at the same time; returns how many deliveries were dealt with."""
        channels = await self._channels.all()
        masses = await asyncio.gather(*(self._postman.send_masses(account_id, channel, now) for account_id, channel in channels.items()))
        counts = await asyncio.gather(*(self._send_account(account_id, channel, now) for account_id, channel in channels.items()))
        return sum(counts) + sum(masses)

    async def reap(self) -> None:
        """Settle what dead processes left behind."""
        await self._postman.reap(clock.now())

    async def _send_account(self, account_id: int, channel: Channel, now: datetime, *, moving: bool = False) -> int:
        total = 0
        while await self._assembly.database.read(lambda tx: claims.any_due(tx, account_id, now)):
            dealt = await self._postman.send_due(account_id, channel, now, moving=moving)
            total += dealt
            if not dealt:
                break  # parked: its rows stay as they are
        return total

    async def _send_now(self) -> None:
        """Let each account that is idle look for what is due: one that waits for the platform keeps nobody else waiting."""
        if self._jumping:
            return  # a jump is being played, and sends by itself
        for account_id, channel in (await self._channels.all()).items():
            busy = self._senders.get(account_id)
            if busy is None or busy.done():
                work = self._guarded(partial(self._send_account, account_id, channel, clock.now(), moving=True))
                self._senders[account_id] = asyncio.create_task(work())
            crying = self._criers.get(account_id)  # beside it: what goes to many takes many calls, and no single message waits for them
            if crying is None or crying.done():
                to_many = self._guarded(partial(self._postman.send_masses, account_id, channel, clock.now()))
                self._criers[account_id] = asyncio.create_task(to_many())

    async def _quiet(self) -> None:
        """Wait until no account sends."""
        await asyncio.gather(*self._senders.values(), *self._criers.values(), return_exceptions=True)

    async def _play_through(self, target: datetime) -> None:
        await self._quiet()
        for _ in range(_MOST_MOMENTS):
            played = self._played
            moment = await self._assembly.database.read(partial(next_moment, after=played))
            if moment is None or moment >= target:
                return
            await self.fire_due(moment)
            await self.send_due(moment)
            self._played = max(moment, played + timedelta(milliseconds=1))

    async def _fire_next(self, now: datetime) -> bool:
        keyring, database = self._assembly.tools.keyring, self._assembly.database
        if await database.read(lambda tx: schedules.oldest_due(tx, now)) is None:
            return False
        try:
            return await database.write(lambda tx: schedules.fire_next(tx, keyring, now)) is not None
        except schedules.CannotFire as bug:  # it must not hold up the others
            cause = bug.__cause__ or bug
            log.error("schedule_failed", kind=type(cause).__name__, where=place_of(cause))  # noqa: TRY400 - a traceback may hold what somebody wrote
            failing = bug.schedule_id
            await database.write(lambda tx: schedules.give_up(tx, keyring, failing, now))
            return True

    async def _alert(self) -> None:
        await self._alerter.send_due()

    async def _tell(self) -> None:
        await self._alerter.tell_operators()

    async def _beat(self) -> None:
        """Show that we live: the file first, for it needs no database."""
        heartbeat.touch(self._assembly.settings.heartbeat_file)
        await self._assembly.database.write(lambda tx: heartbeat.beat(tx, self._assembly.owner, clock.machine_seconds()))

    async def _retain(self) -> None:
        await retention.run_due(self._assembly.database, retention.keep(self._assembly.settings))

    def _guarded(self, work: Callable[[], Awaitable[object]]) -> Callable[[], Coroutine[None, None, None]]:
        async def run() -> None:
            try:
                await work()
            except Unavailable:
                log.warning("database_away")
            except Exception as bug:  # noqa: BLE001 - a tick that fails is followed by the next one
                log.error("tick_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - as above

        return run


def next_moment(tx: Tx, after: datetime) -> datetime | None:
    """The next moment at which something is due by itself."""
    return _first(next_fire(tx), next_send(tx, after))


def next_fire(tx: Tx) -> datetime | None:
    """The next moment at which `fire_due` has something to do."""
    return _first(schedules.next_due(tx), flags.next_call(tx), *(part.next_moment(tx) for part in _BY_THE_CLOCK))


def next_send(tx: Tx, after: datetime) -> datetime | None:
    """The first moment after `after` at which `send_due` has something to do."""
    return _first(claims.next_due(tx, after), mass_rows.next_due(tx, after))


def _first(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
