"""Measures the way in while much goes out: 50 pushes a second during a broadcast to ten thousand, and while the platform's API hangs."""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import clock, schedules
from app.assembly import assemble
from app.db import Tx
from app.groups import Refused
from app.models import Broadcast, Delivery
from app.states import SETTLED
from benchmarks import imitation
from benchmarks.founding import counted, found, settings
from benchmarks.grounds import Grounds
from benchmarks.processes import Yard, ask, free_ports
from benchmarks.report import Figure, Goal
from benchmarks.town import WORDS

AUDIENCE, RATE = 10_000, 50.0
_CONNECTIONS = 64
_SWIFT = Goal(200, at_least=False, of_ratio=False)
#: Seconds until the first message of a broadcast must have gone out.
_PATIENCE = 30.0


class Contest:
    """Web processes, one worker and the imitation, each in a process of its own, on one kind of database."""

    def __init__(self, yard: Yard, ground: Grounds, seconds: float, rounds: int, say: Callable[[str], None]) -> None:
        self._ground, self._seconds, self._rounds, self._say = ground, seconds, rounds, say
        self._api, *ports = free_ports(1 + ground.processes)
        yard.start("imitation", "benchmarks.imitation", str(self._api), port=self._api)
        self._url = ground.new("together")
        self._town = found(self._url, AUDIENCE, f"http://127.0.0.1:{self._api}")
        ground.settle(self._url)
        environment = self._town.environment(self._url)
        self._web = [yard.start("web", "app", "web", env=environment | {"TONGBAN_PORT": str(port)}, port=port) for port in ports]
        self._assembly = assemble(settings(self._town, self._url))
        yard.start("worker", "app", "worker", env=environment)
        self._seed = 0
        self._acknowledged = 0

    def run(self) -> list[Figure]:
        """Quiet, during a broadcast, with an API that hangs."""
        with self._assembly.database:
            self._pushes(1.0)
            quiet = [self._pushes(self._seconds)["p99"] for _ in range(self._rounds)]
            going = [*self._during(hangs=False)]
            hanging = [*self._during(hangs=True)]
        return [*self._figures(quiet, going, hanging)]

    def _during(self, *, hangs: bool) -> Iterator[float]:
        """The p99 of each round while a broadcast is going out; what has not gone by then is taken back."""
        imitation.begin(self._api, hangs=hangs)
        broadcast = self._broadcast()
        self._wait(lambda: imitation.noted(self._api)["calls"] > 0, "no message of the broadcast went out")
        for number in range(self._rounds):
            open_before, calls_before = self._open(broadcast), imitation.noted(self._api)["calls"]
            if number and not open_before:
                return
            result = self._pushes(self._seconds)
            calls = imitation.noted(self._api)["calls"] - calls_before
            self._say(f"{self._ground.database}, API {'hangs' if hangs else 'answers'}: {open_before:,} to go, {calls:,} sent meanwhile")
            yield result["p99"]
        now = clock.now()
        self._assembly.database.write_now(lambda tx: _take_back(tx, broadcast, now))
        self._wait(lambda: not self._open(broadcast), "what was taken back did not settle")

    def _wait(self, done: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not done():
            if time.monotonic() > deadline:
                raise RuntimeError(otherwise)
            time.sleep(0.02)

    def _broadcast(self) -> int:
        """Announce to everybody at once; returns the schedule's id."""
        group, keyring, now = self._town.large_group, self._assembly.tools.keyring, clock.now()
        return self._assembly.database.write_now(
            lambda tx: schedules.plan_announcement(tx, keyring, author_id=None, group_id=group, text=WORDS, at=None, draft=None, now=now)
        )

    def _open(self, schedule: int) -> int:
        query = (
            sa.select(sa.func.count())
            .select_from(Delivery)
            .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
            .where(Broadcast.schedule_id == schedule, Delivery.state.not_in(SETTLED))
        )
        return self._assembly.database.read_now(lambda tx: tx.execute(query).scalar_one())

    def _pushes(self, seconds: float) -> dict[str, Any]:
        self._seed += 1
        order = {
            "town": self._town.plain(),
            "ports": [each.port for each in self._web],
            "seed": self._seed,
            "connections": _CONNECTIONS,
            "seconds": seconds,
            "rate": RATE,
        }
        result: dict[str, Any] = ask("benchmarks.generator", order)
        self._acknowledged += result["acknowledged"]
        self._say(
            f"{self._ground.database}, {RATE:.0f}/s: p50 {result['p50']:.1f}  p99 {result['p99']:.1f}  longest {result['max']:.1f} ms"
            f"  refused {result['refused']}"
        )
        return result

    def _figures(self, quiet: list[float], going: list[float], hanging: list[float]) -> Iterator[Figure]:
        name = self._ground.database
        during = f"inbound, {name}, {RATE:.0f}/s"
        yield Figure(f"{during}, during a broadcast to {AUDIENCE:,}: p99 (beside: nothing going out)", "ms", going, quiet, [_SWIFT])
        yield Figure(f"{during}, the API hanging: p99 (beside: nothing going out)", "ms", hanging, quiet, [_SWIFT])
        exactly = (Goal(1.0, at_least=True), Goal(1.0, at_least=False))
        yield Figure(
            f"{during}: stored beside acknowledged", "pushes", [next(counted(self._url, ["inbox"]))], [self._acknowledged], exactly
        )


def _take_back(tx: Tx, schedule: int, now: datetime) -> None:
    with contextlib.suppress(Refused):  # everything has gone out already
        schedules.cancel(tx, schedule, None, now)
