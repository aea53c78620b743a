"""Hides how one account is sent for: a sliding window of calls, and short transactions that settle some of them and begin others.

A slow answer holds up nobody else: whatever has come back is written down while the others are under way, and as many begin. Never are more
messages of one account and process `sending` than its channel allows in flight: a kill leaves no more than these unknown.
"""

import asyncio
import itertools
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog

from app import broadcasts, clock
from app.channels import Channel, SendError, Verdict
from app.db import Look, Tx
from app.errors import Unavailable
from app.keyring import Keyring
from app.logs import place_of
from app.outbox import claims, pace, results
from app.outbox.claims import Claim, Lease, Post, Start
from app.outbox.parcels import Packer, Parcel
from app.outbox.results import Outcome
from app.outbox.slots import Slots
from app.states import Route

log = structlog.get_logger()

T = TypeVar("T")
Writing = Callable[[Callable[[Tx], Any]], Awaitable[Any]]

#: What one claim takes at least and at most: about what goes out in a second.
_FEWEST, _MOST = 16, 128
#: Seconds of work that a claim should be worth: more is taken where it went faster, less where the platform is slow.
_QUICK, _SLOW = 1.0, 4.0
#: Seconds between two looks at what other processes were told, and between two counts of our calls.
_LOOK_SECONDS = 0.25
#: Answers that come within this time are written down together: a transaction costs as much as several calls, and they run on one core.
#: A platform that takes its time over a call leaves the core free, and then it is waiting that costs.
_TOGETHER_SECONDS, _TOGETHER_IF_SLOW, _SLOW_CALL = 0.003, 0.001, 0.015


@dataclass(frozen=True)
class Tools:
    """What every round of a process works with.

    `write` commits one transaction; `insist` does so for as long as our lease lasts, because it holds what the platform said;
    `insist_ahead` is for the few steps of a turn, which come all the time and are asked before its work begins; each account's in its turn.
    """

    write: Writing
    insist: Writing
    insist_ahead: Callable[[Sequence[Look], str], Writing]
    keyring: Keyring
    packer: Packer
    slots: Slots
    lease: Callable[[], Lease]
    stopping: asyncio.Event


class Round:
    """Sends what is due for one account, from one call of `run` to its end. `served`: whose turn was when, kept from round to round."""

    def __init__(self, tools: Tools, account_id: int, channel: Channel, now: datetime, served: Counter[int], *, moving: bool) -> None:
        self._tools = tools
        self._account_id = account_id
        self._channel = channel
        self._rules = channel.rules
        self._served = served
        self._now, self._now_since, self._moving = now, clock.steady(), moving
        self._lines: dict[Route, deque[Parcel]] = {route: deque() for route in pace.APIS}
        self._under_way: Counter[Route] = Counter()  # rows that are `sending`
        self._calls = 0  # under way
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished: list[Outcome] = []
        self._waited = False  # long enough for others that come back with the first of these
        self._claiming: asyncio.Task[None] | None = None
        self._handy, self._claimed_at = claims.HANDY // 2, 0.0
        self._exhausted = False
        self._looked_at = self._stepped_back_at = 0.0
        self._counts: Counter[Route] = Counter()  # calls that are not in the day's count yet
        self._well: Counter[Route] = Counter()  # calls that went well since we last weighed them
        self._news = asyncio.Event()
        self._dealt = 0
        self.held_until = 0.0  # when the lease ends of what we began, in seconds of the machine's clock

    async def run(self) -> int:
        """Send until nothing is due; returns how many deliveries were dealt with."""
        self._tools.slots.enter(self._account_id, self._news)
        try:
            while await self._step():
                pass
        finally:
            self._tools.slots.leave(self._account_id)
            await self._end()
        return self._dealt

    async def _step(self) -> bool:
        """One thing at a time, so that each looks at what the last one left. False when all is done."""
        self._news.clear()
        stopping = self._tools.stopping.is_set()
        if self._claiming is not None and self._claiming.done():
            self._claiming = self._claiming.result()
        if not self._ripe():
            await self._news.wait()
        elif any(not each.plain for each in self._finished):
            await self._settle_unusual()
        elif stopping and self._held():
            await self._put_back(set(pace.APIS), None)
        else:
            if not stopping and not self._exhausted and self._claiming is None and self._held() <= self._handy:
                self._claiming = self._begin_to_claim()
            handful = [] if stopping else self._next_handful()
            last = not handful and not self._calls and self._claiming is None and not self._held()
            if handful or self._finished or (last and self._counts):
                await self._turn(handful, look=last or clock.steady() - self._looked_at >= _LOOK_SECONDS)
            elif last:
                return False
            else:
                await self._news.wait()
        return True

    def _ripe(self) -> bool:
        """Whether to go on with what has come back, rather than to wait a moment for what comes back with it."""
        return not self._finished or not self._calls or self._waited

    def _ripen(self) -> None:
        self._waited = True
        self._news.set()

    async def _end(self) -> None:
        """Whatever happened: nothing of this round goes on without it, and what the platform said is written down."""
        left = [*self._tasks, *([self._claiming] if self._claiming is not None else [])]
        await asyncio.gather(*left, return_exceptions=True)
        if self._finished:
            finished, now = self._finished, self._moment()
            await self._tools.insist(lambda tx: results.settle(tx, self._account_id, finished, self._rules, now))

    def _held(self) -> int:
        return sum(map(len, self._lines.values()))

    def _moment(self) -> datetime:
        """The moment of all that is done now. In a jump of a demo's clock time stands still, unless something more urgent comes up."""
        if self._moving and clock.steady() - self._now_since >= 1:
            self._move()
        return self._now

    def _move(self) -> None:
        steady = clock.steady()
        self._now, self._now_since = self._now + timedelta(seconds=steady - self._now_since), steady

    # -- claiming

    def _begin_to_claim(self) -> "asyncio.Task[None]":
        task = asyncio.create_task(self._claim())
        task.add_done_callback(lambda _: self._news.set())
        return task

    async def _claim(self) -> None:
        """Take what is due next, put words on it and line it up; calls go on meanwhile."""
        now, lease, most = self._moment(), self._tools.lease(), self._handy

        def work(tx: Tx) -> tuple[Claim, dict[int, dict[str, Any]]]:
            claim = claims.claim(tx, self._account_id, lease, self._rules, now, most, self._served)
            return claim, broadcasts.details_of(tx, self._tools.keyring, sorted({post.broadcast_id for post in claim.posts}))

        try:
            claim, details = await self._tools.write(work)
        except Unavailable:
            self._exhausted = True  # what is under way is still settled; the next round claims again
            return
        self._exhausted = not claim.posts and not claim.passed_over
        self._note_turns(claim)
        parcels, unwritable = self._tools.packer.pack(claim.posts, details, self._rules)
        if unwritable:
            await self._tools.insist(lambda tx: self._fail(tx, unwritable, lease, now))
        self._dealt += claim.passed_over + len(unwritable)
        self._line_up(parcels)

    def _note_turns(self, claim: Claim) -> None:
        """Whose turn it was; and the next claim is larger where this one came soon after the last, smaller where it took long."""
        turn = max(self._served.values(), default=0) + 1
        for broadcast_id in claim.broadcasts:
            self._served[broadcast_id] = turn
        passed, self._claimed_at = clock.steady() - self._claimed_at, clock.steady()
        if passed < _QUICK:
            self._handy = min(_MOST, self._handy * 2)
        elif passed > _SLOW:
            self._handy = max(_FEWEST, self._handy // 2)

    def _line_up(self, parcels: Sequence[Parcel]) -> None:
        for route, line in self._lines.items():
            line.extend(parcel for parcel in parcels if parcel.route is route)
            if any(one.priority > other.priority for one, other in itertools.pairwise(line)):
                self._lines[route] = deque(sorted(line, key=lambda parcel: parcel.priority))

    def _fail(self, tx: Tx, posts: list[Post], lease: Lease, now: datetime) -> None:
        going = claims.begin(tx, Start(self._account_id, posts, {post.id: "unwritten" for post in posts}, lease, now))
        results.settle(tx, self._account_id, [Outcome(post, unwritable=True) for post in going or ()], self._rules, now)

    # -- turns

    def _next_handful(self) -> list[Parcel]:
        """What may begin now: as the window of each way and our share of this process's calls allow.

        What has come back makes room: it is settled in the commit by which the others begin.
        """
        room = self._tools.slots.room(self._account_id)
        back = Counter(each.post.route for each in self._finished)
        found: list[Parcel] = []
        for route, most in ((Route.SERVICE, self._rules.service_in_flight), (Route.NOTICE, self._rules.notices_in_flight)):
            line, free = self._lines[route], most - self._under_way[route] + back[route]
            while line and len(line[0].posts) <= free and len(found) < room:
                found.append(line.popleft())
                free -= len(found[-1].posts)
        return found

    async def _turn(self, handful: list[Parcel], *, look: bool) -> None:
        """Settle what went well and begin this handful in one commit, then write it to the sockets."""
        finished, self._finished = self._finished, []
        counts = Counter(parcel.route for parcel in handful)
        self._tools.slots.take(self._account_id, len(handful))
        went = 0
        try:
            now = self._moment()
            start = self._start(handful, now)
            ahead = [] if look else [*results.steps(self._account_id, finished, now), *start.steps()]
            insist = self._tools.insist_ahead(ahead, f"turn {self._account_id}")
            going = await self._try_to_settle(finished, partial(self._settle_and_begin, finished, start, look), insist)
            self._settled(finished)
            if going is None:
                await self._step_back(handful)
                return
            self._counts = counts if look else self._counts + counts
            went = self._write_to_sockets(handful, going)
        finally:
            self._tools.slots.give_back(self._account_id, len(handful) - went)
        if look:
            self._looked_at = clock.steady()
            await self._heed()

    async def _try_to_settle(self, outcomes: list[Outcome], work: Callable[[Tx], T], insist: Writing) -> T:
        """Commit what came back; where that fails it is not forgotten."""
        try:
            made: T = await insist(work)
        except BaseException:
            self._finished = outcomes + self._finished
            raise
        return made

    def _start(self, handful: list[Parcel], now: datetime) -> Start:
        posts = [post for parcel in handful for post in parcel.posts]
        calls = {post.id: _call_id(parcel, post) for parcel in handful for post in parcel.posts}
        patient = clock.steady() - self._stepped_back_at < _LOOK_SECONDS
        before = 0 if patient else min((post.priority for post in posts), default=0)
        later = now + timedelta(seconds=clock.steady() - self._now_since)
        lease = self._tools.lease()
        if posts:
            self.held_until = lease.until
        return Start(self._account_id, posts, calls, lease, now, before, later)

    def _settle_and_begin(self, finished: list[Outcome], start: Start, look: bool, tx: Tx) -> set[int] | None:
        """The posts that are ours to send; None where something more urgent waits, and nothing of the handful has begun."""
        if finished:
            results.accept(tx, self._account_id, finished, start.now)
        if look:
            self._count(tx, start.now)
        going = claims.begin(tx, start)
        return None if going is None else {post.id for post in going}

    def _count(self, tx: Tx, now: datetime) -> None:
        for route, most in ((Route.SERVICE, self._rules.service_a_day), (Route.NOTICE, self._rules.notices_a_day)):
            if self._counts[route]:
                pace.count_calls(tx, self._account_id, route.value, self._counts[route], most, now)

    def _settled(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._under_way[outcome.post.route] -= 1
            self._well[outcome.post.route] += outcome.usual
        self._dealt += len(outcomes)

    async def _step_back(self, handful: list[Parcel]) -> None:
        """Something more urgent has come up: it is claimed, and goes first."""
        for parcel in reversed(handful):
            self._lines[parcel.route].appendleft(parcel)
        if self._claiming is not None:
            await self._claiming
        self._move()
        self._claiming, self._stepped_back_at = self._begin_to_claim(), clock.steady()
        await self._claiming

    # -- what did not go well

    async def _settle_unusual(self) -> None:
        """Write down refusals, doubts, probes and what went as one message in a transaction of their own.

        It holds ledgers, and who does may wait for no delivery.
        """
        unusual = [each for each in self._finished if not each.plain]
        self._finished = [each for each in self._finished if each.plain]
        troubled = any(each.error is not None for each in unusual)
        well, now = self._well if troubled else None, self._moment()

        def work(tx: Tx) -> pace.Gates:
            results.settle(tx, self._account_id, unusual, self._rules, now, well)
            return pace.look(tx, self._account_id, now)

        gates = await self._try_to_settle(unusual, work, self._tools.insist)
        if troubled:
            self._well = Counter()  # weighed
        self._settled(unusual)
        self._exhausted = False  # some of these may be due again, another way
        await self._shut(gates)

    async def _heed(self) -> None:
        """See what other processes were told."""
        if self._held():
            now = self._moment()
            try:
                gates = await self._tools.write(lambda tx: pace.look(tx, self._account_id, now))
            except Unavailable:
                return  # the next look comes in a moment
            await self._shut(gates)

    async def _shut(self, gates: pace.Gates) -> None:
        """What was to go where nobody may call now waits in its row, but for the message that probes."""
        if gates.shut and self._held():
            await self._put_back(set(gates.shut), "parked")

    async def _put_back(self, routes: set[Route], reason: str | None) -> None:
        back: list[Post] = []
        for route in routes:
            back += [post for parcel in self._lines[route] for post in parcel.posts if reason is None or not post.probe]
            self._lines[route] = deque(parcel for parcel in self._lines[route] if reason is not None and parcel.posts[0].probe)
        if back:
            now = self._moment()
            await self._tools.insist(lambda tx: claims.put_back(tx, back, self._tools.lease(), self._rules, now, reason=reason))

    # -- calls

    def _write_to_sockets(self, handful: list[Parcel], going: set[int]) -> int:
        """Begin the calls whose posts are all still ours; of the others what is ours was not sent. Returns how many calls began."""
        began = 0
        for parcel in handful:
            ours = [post for post in parcel.posts if post.id in going]
            self._under_way[parcel.route] += len(ours)
            if len(ours) == len(parcel.posts):
                task = asyncio.create_task(self._call(parcel))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                began += 1
            else:
                self._finished += [Outcome(post, error=SendError(Verdict.NOT_SENT, "taken_back")) for post in ours]
        self._calls += began
        return began

    async def _call(self, parcel: Parcel) -> None:
        began = clock.steady()
        try:
            accepted = await (
                self._channel.send(parcel.openid, parcel.text)
                if parcel.notice is None
                else self._channel.notify(parcel.openid, parcel.notice)
            )
        except SendError as error:
            outcome: tuple[str | None, SendError | None] = None, error
        except Exception as bug:  # noqa: BLE001 - the second of the two places where a bug is survived; never repeated
            log.error("delivery_failed", kind=type(bug).__name__, where=place_of(bug), route=parcel.route)  # noqa: TRY400 - may hold words
            outcome = None, SendError(Verdict.UNKNOWN, "bug")
        else:
            outcome = accepted.msgid, None
        self._came_back(parcel, *outcome, slow=clock.steady() - began > _SLOW_CALL)

    def _came_back(self, parcel: Parcel, msgid: str | None, error: SendError | None, *, slow: bool) -> None:
        first = not self._finished
        aboard = parcel.posts[0].id if len(parcel.posts) > 1 else None
        self._finished += [Outcome(post, msgid, error, aboard=aboard) for post in parcel.posts]
        self._calls -= 1
        self._tools.slots.give_back(self._account_id)
        if not self._calls:
            self._news.set()
        elif first:
            self._waited = False
            asyncio.get_running_loop().call_later(_TOGETHER_IF_SLOW if slow else _TOGETHER_SECONDS, self._ripen)


def _call_id(parcel: Parcel, post: Post) -> str:
    """The name of a call: deliveries that go as one message share it."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{parcel.posts[0].id}.{post.number}"))
