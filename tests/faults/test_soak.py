"""Everything at once for minutes: people write, announcements go out, processes die, the platform errs, the database goes away.

At the end nothing is lost or doubled, and the two processes that lived all the time are no larger than they were.
"""

import asyncio
import socket
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median

import psutil
import pytest
import sqlalchemy as sa

from app import accounts, clock, groups
from app.channels import Rules
from app.models import InboxItem
from tests.faults import checker, lives
from tests.faults.arena import Arena, Circle, Line
from tests.faults.fleet import Fleet
from tests.faults.front import CODE, meanwhile, until
from tests.faults.outages import Outage, database
from tests.faults.processes import PATIENCE, Nursery, Process, address_of, listening

RATE = 20.0
#: Seconds of torment on each database: ten minutes in all. The first minute warms up, the second and the last are compared.
SECONDS = 300.0
MINUTE = 60.0
MOST_GROWTH = 1.10
#: Descriptors come and go with connections; more than these few would be a leak.
FEW = 6
#: A worker that has no database for four seconds, on a busy machine, is not taken for dead.
PATIENT = {"TONGBAN_LEASE_SECONDS": "15"}


@dataclass
class Torment:
    """What is done to the program, and what was seen of the processes that live through it."""

    arena: Arena
    outage: Outage
    circles: tuple[Circle, ...]
    listener: socket.socket
    outages: int = 0
    began: float = field(default_factory=clock.steady)
    memory: dict[str, list[tuple[float, int, int]]] = field(default_factory=lambda: defaultdict(list))

    def start_all(self) -> None:
        """Two of each kind; the first of each lives."""
        self.stay = (self.arena.start("web", environment=PATIENT), self._start_worker())
        self.web, self.worker = self._start_web(), self._start_worker()

    def stop_all(self) -> list[int]:
        """End everything in good order; the exit codes."""
        return [process.stop(PATIENCE) for process in (*self.stay, self.web, self.worker)]

    async def go_on(self) -> None:
        """One trouble after the other, with announcements in between."""
        step = 0
        while clock.steady() - self.began < SECONDS:
            for circle in self.circles:
                self.arena.announce(circle)
            await asyncio.sleep(self.arena.chance.uniform(2, 4))
            await self._trouble(step)
            self._look()
            if step % 4 == 3:
                self.arena.touch(self.circles[0])
            step += 1

    async def _trouble(self, step: int) -> None:
        if step % 10 == 9:
            self.outages += 1
            async with self.outage.away(crash=bool(self.outages % 2)):
                await asyncio.sleep(self.arena.chance.uniform(1, 4))
            return
        match self.arena.chance.choice(("web", "worker", "none")):
            case "web":
                self.arena.kill(self.web)
                self.web = self._start_web()
            case "worker":
                self.arena.kill(self.worker)
                self.worker = self._start_worker()

    def _start_web(self) -> Process:
        return self.arena.start("web", listener=self.listener, environment=PATIENT)

    def _start_worker(self) -> Process:
        return self.arena.start("worker", environment=PATIENT)

    def _look(self) -> None:
        for process in self.stay:
            process.must_live()
            seen = psutil.Process(process.pid)
            self.memory[process.name].append((clock.steady() - self.began, seen.memory_info().rss, seen.num_fds()))

    def grown(self) -> dict[str, tuple[float, int]]:
        """How the last minute stands to the second (memory, as a ratio) and to all before it but the first (most descriptors)."""
        found = {}
        for name, seen in self.memory.items():
            second = [memory for at, memory, _ in seen if MINUTE <= at < 2 * MINUTE]
            last = [memory for at, memory, _ in seen if at >= SECONDS - MINUTE]
            before = max(opened for at, _, opened in seen if MINUTE <= at < SECONDS - MINUTE)
            found[name] = (median(last) / median(second), max(opened for at, _, opened in seen if at >= SECONDS - MINUTE) - before)
        return found


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_minutes_of_everything_at_once_break_nothing_and_leave_no_process_larger(
    kind: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with database(kind, tmp_path) as outage, Arena(outage.url, tmp_path, nursery, seed) as arena, listening() as listener:
        dawn, dusk = arena.account("dawn", notices=True), arena.account("dusk")
        reached, notified, joined = arena.group(dawn, members=50), arena.group(dawn, members=20, typed=False), arena.group(dusk, members=1)
        arena.write(lambda tx: groups.invite(tx, arena.keyring, joined.id, clock.now(), code=CODE))
        arena.fault(api="message/custom/send", delay_ms=2, jitter_ms=20, times=None)
        arena.fault(api="message/custom/send", cut="after", chance=0.01, seed=seed, times=None, name="doubt")
        arena.fault(api="message/custom/send", errcode=-1, chance=0.01, seed=seed + 1, times=None, name="doubt")
        arena.fault(api="message/template/send", cut="after", chance=0.03, seed=seed + 2, times=None)
        torment = Torment(arena, outage, (reached, notified), listener)
        torment.start_all()
        asyncio.run(_soak(torment, dusk))


async def _soak(torment: Torment, dusk: Line) -> None:
    arena = torment.arena
    known = arena.read(lambda tx: accounts.credentials(tx, arena.keyring, dusk.id))
    people = lives.lives(arena.chance, CODE, pushes=round(SECONDS * RATE * 2))
    addresses = [arena.web_url, address_of(torment.listener)]
    async with Fleet(known, addresses, Random(arena.seed), rate=RATE) as fleet, meanwhile(lambda: fleet.play(people, at_once=60)):
        await torment.go_on()
        fleet.stopped = True
    arena.calm()
    await asyncio.to_thread(arena.drain, *torment.stay)
    acknowledged = {each.key for each in fleet.posted if each.acknowledged}
    inbox = sa.select(InboxItem.dedupe_key).where(InboxItem.account_id == dusk.id)
    await until(lambda: acknowledged <= arena.read(lambda tx: set(tx.execute(inbox).scalars())), every=0.2)
    codes = torment.stop_all()
    swallowed = arena.ask("GET", "/sandbox/faults/applied").get("doubt", 0)
    # Whoever sends when the database goes cannot write down what came of it.
    cut_off = torment.outages * 2 * len(arena.lines) * Rules().service_in_flight
    bounds = checker.Bounds(unknown=arena.in_doubt + swallowed + cut_off, overdrawn=True)
    report = checker.check(arena, bounds, [(dusk.id, key) for key in acknowledged])
    print(f"{torment.outage.url.partition(':')[0]}: {len(acknowledged)} of {len(fleet.posted)} pushes acknowledged,")
    print(f"{len(arena.planned)} announcements,")
    print(f"{arena.kills} kills, {torment.outages} times without a database, {swallowed} answers swallowed:")
    print(report)
    print(f"memory of the last minute by that of the second, descriptors more: {torment.grown()}")
    assert arena.read(lambda tx: lives.broken(tx, arena.keyring.vault, dusk.id, fleet.posted)) == []
    assert codes == [0, 0, 0, 0]
    assert {name: grown for name, grown in torment.grown().items() if grown[0] > MOST_GROWTH or grown[1] > FEW} == {}
