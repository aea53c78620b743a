"""Measures the way out: a real worker beside a bare loop of the same HTTP client, towards the same imitation of the platform."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa

from app import broadcasts, clock
from app.assembly import assemble
from app.broadcasts import Draft
from app.channels import Rules
from app.db import Tx
from app.models import Account, Allowance, Course, Delivery, Identity
from benchmarks import imitation
from benchmarks.founding import found, settings
from benchmarks.grounds import Grounds
from benchmarks.imitation import CUSTOM, TEMPLATE
from benchmarks.processes import Running, Yard, ask, free_ports
from benchmarks.report import Figure, Goal
from benchmarks.town import WORDS, Town
from bots.turns import OccasionKind

#: Messages of one round.
PEOPLE = 2_000
_PATIENCE = 120.0
_SHARE = Goal(0.8, at_least=True)


@dataclass
class Case:
    """One way to the platform at one latency."""

    path: str
    latency: float
    count: int
    rates: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "limit": []})
    cpu: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "limit": []})
    whole: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "limit": []})  # with the platform's and the database's own

    @property
    def name(self) -> str:
        """In words."""
        return f"{'service messages' if self.path == CUSTOM else 'notices'}, {1000 * self.latency:.0f} ms at the API"

    @property
    def in_flight(self) -> int:
        """Calls at the same time."""
        return Rules().service_in_flight if self.path == CUSTOM else Rules().notices_in_flight


class Contest:
    """One worker on one kind of database."""

    def __init__(self, yard: Yard, ground: Grounds, rounds: int, say: Callable[[str], None]) -> None:
        self._ground, self._rounds, self._say = ground, rounds, say
        self._port = free_ports(1)[0]
        self._address = f"http://127.0.0.1:{self._port}"
        self._imitation = yard.start("imitation", "benchmarks.imitation", str(self._port), port=self._port)
        url = ground.new("outbound")
        self._town: Town = found(url, PEOPLE, self._address)
        self._assembly = assemble(settings(self._town, url))
        ground.settle(url)
        self._worker: Running = yard.start("worker", "app", "worker", env=self._town.environment(url))
        self._cases = [Case(path, latency, PEOPLE // (2 if latency else 1)) for path in (CUSTOM, TEMPLATE) for latency in (0.0, 0.02)]

    def run(self) -> list[Figure]:
        """Every round, then the figures."""
        with self._assembly.database:
            self._send(Case(CUSTOM, 0.0, 200))
            for number in range(self._rounds):
                for case in self._cases:
                    for side in ("ours", "limit") if number % 2 == 0 else ("limit", "ours"):
                        self._round(case, side)
        return [*self._figures()]

    def _round(self, case: Case, side: str) -> None:
        beside = self._imitation.seconds() + self._ground.seconds()
        if side == "ours":
            cpu = self._send(case)
        else:
            imitation.begin(self._port, case.latency)
            order = {"address": self._address, "path": case.path, "in_flight": case.in_flight, "count": case.count}
            cpu = ask("benchmarks.bare", order)["cpu"]
        noted = imitation.noted(self._port)
        if (noted["calls"], noted["people"]) != (case.count, case.count):
            raise RuntimeError(f"{side}: {noted} instead of {case.count}\n{self._worker.tail()}")
        case.rates[side].append((case.count - 1) / (noted["last"] - noted["first"]))
        case.cpu[side].append(1000 * cpu / case.count)
        beside = self._imitation.seconds() + self._ground.seconds() - beside
        case.whole[side].append(1000 * (cpu + beside) / case.count)
        self._say(f"{self._ground.database} {case.name}: {side:5} {case.rates[side][-1]:6.0f}/s  CPU {case.cpu[side][-1]:.2f} ms")

    def _send(self, case: Case) -> float:
        """Give the worker one broadcast and wait until every message has gone and is written down; returns its CPU seconds."""
        imitation.begin(self._port, case.latency)
        before = self._worker.seconds()
        broadcast = self._assembly.database.write_now(lambda tx: self._plan(tx, case))
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if self._assembly.database.read_now(lambda tx: _gone(tx, broadcast)) == case.count:
                return self._worker.seconds() - before
            time.sleep(0.1)
        raise RuntimeError(f"The worker did not finish:\n{self._worker.tail()}")

    def _plan(self, tx: Tx, case: Case) -> int:
        now, account = clock.now(), self._town.account_id
        service = case.path == CUSTOM
        window = {"typed_until": now + timedelta(hours=24), "typed_left": 5} if service else {"typed_left": 0, "tapped_left": 0}
        tx.execute(sa.update(Allowance).values(**window, started=0))  # every broadcast is the first of its day
        fields = {"kind": "thing1", "sender": "thing2", "time": "time3"}
        tx.execute(sa.update(Account).where(Account.id == account).values(notice_id="T" * 43, notice_fields=fields))
        people = tx.execute(sa.select(Identity.person_id).order_by(Identity.id).limit(case.count)).scalars().all()
        return broadcasts.send_to(tx, self._assembly.tools.keyring, draft(tx, self._town), people, now)

    def _figures(self) -> Iterator[Figure]:
        for case in self._cases:
            name = f"outbound, {self._ground.database}, {case.name}, {case.in_flight} in flight"
            yield Figure(name, "messages/s", case.rates["ours"], case.rates["limit"], [_SHARE])
            yield Figure(f"{name}: CPU per message", "ms", case.cpu["ours"], case.cpu["limit"])
            yield Figure(f"{name}: CPU per message of all processes", "ms", case.whole["ours"], case.whole["limit"])


def draft(tx: Tx, town: Town) -> Draft:
    """An announcement to the large group."""
    key_id = tx.execute(sa.select(Course.data_key_id).where(Course.id == town.course_id)).scalar_one()
    return Draft(
        account_id=town.account_id,
        key_id=key_id,
        bot="announcement",
        kind=OccasionKind.ANNOUNCEMENT,
        details={"text": WORDS, "group_name": "大群", "author_name": "", "author_role": "operator", "course_title": "正念自我关怀"},
        course_id=town.course_id,
        group_id=town.large_group,
    )


def _gone(tx: Tx, broadcast: int) -> int:
    """How many of a broadcast's deliveries the platform has accepted, as far as our rows say."""
    gone = Delivery.broadcast_id == broadcast, Delivery.state.in_(["sent", "notified", "confirmed"])
    return tx.execute(sa.select(sa.func.count()).select_from(Delivery).where(*gone)).scalar_one()
