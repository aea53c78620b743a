"""Measures the way in: our web processes beside the hand-tuned server, round by round, with and without old rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import history
from benchmarks.founding import counted, found
from benchmarks.grounds import SQLITE, Grounds
from benchmarks.processes import Running, Yard, ask, free_ports
from benchmarks.report import Figure, Goal
from benchmarks.town import Town

CONNECTIONS, RATE = 16, 200.0
#: So many people write that nobody is stopped for writing too fast.
PEOPLE = 4_000
#: Pushes a second for which the first closed loop is made ready, and how many times the fastest so far for the others.
_MOST_RATE, _ROOM = 4_000, 2.0
_WARM_SECONDS = 1.0
#: "No worse than the hand-tuned server's own slowdown", with room for the noise of two medians of a few rounds each.
_NO_WORSE = 1.05

OURS, LIMIT = "ours", "limit"


@dataclass
class Contender:
    """Ours or the limit, on its own database with so many old rows."""

    side: str
    old: int
    url: str
    servers: list[Running]
    stored_before: int
    acknowledged: int = 0
    rounds: list[dict[str, Any]] = field(default_factory=list)
    fastest: float = _MOST_RATE / _ROOM

    def values(self, kind: str, name: str) -> list[float]:
        """One figure of each round of a kind."""
        return [float(each[name]) for each in self.rounds if each["kind"] == kind]


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    seconds: float
    rounds: int
    old: Sequence[int] = (0,)
    open_seconds: float = 0.0  # 0: as long as the closed loop


class Contest:
    """The contenders on one kind of database."""

    def __init__(self, yard: Yard, ground: Grounds, plan: Plan, say: Callable[[str], None]) -> None:
        self._yard, self._ground, self._plan, self._say = yard, ground, plan, say
        self._seed = 0
        seeded = ground.new("seeded")
        self.town: Town = found(seeded, PEOPLE)
        self.contenders = [each for old in plan.old for each in self._prepared(seeded, old)]

    def _prepared(self, seeded: str, old: int) -> Iterator[Contender]:
        filled = seeded
        if old:
            self._say(f"{self._ground.database}: writing {old:,} old pushes and what belongs to them")
            filled = self._ground.copy(seeded, f"old_{old}")
            history.write(filled, self.town, old)
        self._ground.settle(filled)
        for side in (OURS, LIMIT):
            url = self._ground.copy(filled, f"{side}_{old}")
            servers = [self._start(side, url, port) for port in free_ports(self._ground.processes)]
            yield Contender(side, old, url, servers, next(counted(url, ["inbox"])))
        if old:
            self._ground.drop(filled)

    def _start(self, side: str, url: str, port: int) -> Running:
        if side == OURS:
            return self._yard.start("web", "app", "web", env=self.town.environment(url) | {"TONGBAN_PORT": str(port)}, port=port)
        return self._yard.start("minimal", "benchmarks.minimal", self._ground.database, str(port), url, given=self.town.plain(), port=port)

    def run(self) -> list[Figure]:
        """Every round, then the figures."""
        for contender in self.contenders:
            self._round(contender, "warm", _WARM_SECONDS)
        for number in range(self._plan.rounds):
            for contender in self._in_turn(number):
                self._round(contender, "closed", self._plan.seconds)
            for contender in self._in_turn(number):
                if not contender.old:
                    self._round(contender, "open", self._plan.open_seconds or self._plan.seconds)
        return [*self._figures()]

    def _in_turn(self, number: int) -> list[Contender]:
        """A B A B …, the other way round every second time."""
        return self.contenders if number % 2 == 0 else self.contenders[::-1]

    def _round(self, contender: Contender, kind: str, seconds: float) -> None:
        self._seed += 1
        order = {
            "town": self.town.plain(),
            "ports": [server.port for server in contender.servers],
            "seed": self._seed,
            "connections": CONNECTIONS if kind != "open" else 64,
            "seconds": seconds,
            "rate": RATE if kind == "open" else 0.0,
            "most": round(_ROOM * contender.fastest * seconds),
        }
        before, database_before = _seconds(contender.servers), self._ground.seconds()
        result = ask("benchmarks.generator", order)
        contender.acknowledged += result["acknowledged"]
        count = max(1, result["acknowledged"])
        made = {
            **result,
            "kind": kind,
            "rate": result["acknowledged"] / result["elapsed"],
            "cpu": 1000 * (_seconds(contender.servers) - before) / count,
            "database_cpu": 1000 * (self._ground.seconds() - database_before) / count,
        }
        contender.rounds.append(made)
        if kind == "warm":
            contender.fastest = max(50.0, made["rate"])
        elif kind == "closed":
            contender.fastest = max(contender.fastest, made["rate"])
        self._say(
            f"{self._ground.database} {contender.old:>10,} old  {contender.side:5} {kind:6} {made['rate']:7.0f}/s  p50 {made['p50']:6.2f}"
            f"  p95 {made['p95']:6.2f}  p99 {made['p99']:6.2f} ms  CPU {made['cpu']:5.2f} ms  database's {made['database_cpu']:5.2f} ms"
            f"  refused {made['refused']}  silent {made['silent']}  late {made['lag_p99']:.1f}"
        )

    def _figures(self) -> Iterator[Figure]:
        name = self._ground.database
        fresh = self._pair(0)
        share = Goal(0.8 if name == SQLITE else 0.7, at_least=True)
        yield self._figure(fresh, f"inbound, {name}, closed loop, {CONNECTIONS} connections", "pushes/s", "closed", "rate", share)
        cpu = [Goal(2.0, at_least=False)] if name == SQLITE else []
        yield self._figure(fresh, f"inbound, {name}: CPU per push of the server", "ms", "closed", "cpu", *cpu)
        if name != SQLITE:
            yield self._figure(fresh, f"inbound, {name}: CPU per push of PostgreSQL", "ms", "closed", "database_cpu")
        for kind, words in (("closed", "closed loop"), ("open", f"{RATE:.0f}/s")):
            for part in ("p50", "p95", "p99"):
                goals = (Goal(3.0, at_least=False), Goal(50, at_least=False, of_ratio=False)) if (kind, part) == ("open", "p99") else ()
                yield self._figure(fresh, f"inbound, {name}, {words}: {part}", "ms", kind, part, *(goals if name == SQLITE else ()))
        for old in self._plan.old:
            if old:
                yield self._slowdown(old)
        for old in self._plan.old:
            yield from self._counts(old)

    def _counts(self, old: int) -> Iterator[Figure]:
        """What must be exact: every acknowledged push is a row, and every one got an encrypted reply."""
        pair, name = self._pair(old), f"inbound, {self._ground.database}, {old:,} old pushes"
        exactly = (Goal(1.0, at_least=True), Goal(1.0, at_least=False))
        for contender in pair:
            stored = next(counted(contender.url, ["inbox"])) - contender.stored_before
            yield Figure(f"{name}, {contender.side}: stored beside acknowledged", "pushes", [stored], [contender.acknowledged], exactly)
        ours, limit = (sum(each["refused"] + each["silent"] for each in contender.rounds) for contender in pair)
        yield Figure(f"{name}: refused, or answered without words", "pushes", [ours], [limit], [Goal(0, at_least=False, of_ratio=False)])

    def _pair(self, old: int) -> tuple[Contender, Contender]:
        ours, limit = (next(each for each in self.contenders if each.side == side and each.old == old) for side in (OURS, LIMIT))
        return ours, limit

    def _figure(self, pair: tuple[Contender, Contender], words: str, unit: str, kind: str, name: str, *goals: Goal) -> Figure:
        ours, limit = pair
        return Figure(words, unit, ours.values(kind, name), limit.values(kind, name), goals)

    def _slowdown(self, old: int) -> Figure:
        fresh, full = self._pair(0), self._pair(old)
        ours, limit = (
            [before / after for before, after in zip(less.values("closed", "rate"), more.values("closed", "rate"), strict=True)]
            for less, more in zip(fresh, full, strict=True)
        )
        words = f"inbound, {self._ground.database}: slowdown by {old:,} old pushes"
        return Figure(words, "times", ours, limit, [Goal(_NO_WORSE, at_least=False)])


def _seconds(servers: Sequence[Running]) -> float:
    return sum(server.seconds() for server in servers)
