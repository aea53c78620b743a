"""Measures how one announcement becomes deliveries: the program's own path beside one bare `INSERT … SELECT` in an identical database."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import sqlalchemy as sa

from app import broadcasts, clock, ids, schedules
from app.assembly import Assembly, assemble
from app.models import Broadcast, Delivery
from benchmarks import history
from benchmarks.founding import found, settings
from benchmarks.grounds import Grounds
from benchmarks.report import Figure, Goal
from benchmarks.town import WORDS, Town

#: An audience of this size and above must stay within twice the bare statement.
_LARGE = 10_000
#: Below this a measurement is over in a moment: each round takes so many.
_QUICK, _OFTEN = 100_000, 3
_TWICE = Goal(2.0, at_least=False)
#: "The cost per row does not grow with the audience", with room for noise.
_NOT_MORE = Goal(1.15, at_least=False)

_BARE = """
INSERT INTO deliveries (account_id, broadcast_id, person_id, part, priority, state, reason, due_at, stale_at, changed_at, attempts)
SELECT b.account_id, b.id, m.person_id, 0, b.priority, 'ready', '', b.created_at, b.stale_at, b.created_at, 0
FROM broadcasts b JOIN memberships m ON m.group_id = b.group_id AND m.ended_at IS NULL WHERE b.id = {broadcast}"""


@dataclass
class Case:
    """One size of audience."""

    size: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "limit": []})

    def per_row(self, side: str) -> list[float]:
        """Microseconds."""
        return [1e6 * each / self.size for each in self.seconds[side]]


class Contest:
    """The program and the bare statement, each on its own database."""

    def __init__(self, ground: Grounds, sizes: list[int], rounds: int, say: Callable[[str], None]) -> None:
        self._ground, self._rounds, self._say = ground, rounds, say
        seeded = ground.new("audiences")
        self._town: Town = found(seeded, 25)
        say(f"{ground.database}: settling audiences of {', '.join(f'{size:,}' for size in sizes)}")
        self._groups = history.settle(seeded, self._town, sizes)
        ground.settle(seeded)
        self._urls = {side: ground.copy(seeded, f"expansion_{side}") for side in ("ours", "limit")}
        ground.drop(seeded)
        self._cases = [Case(size) for size in sizes]

    def run(self) -> list[Figure]:
        """Every round, then the figures."""
        ours, limit = (assemble(settings(self._town, self._urls[side])) for side in ("ours", "limit"))
        with ours.database, limit.database:
            paths = {"ours": partial(self._ours, ours), "limit": partial(self._bare, limit)}
            for path in paths.values():  # the first statement of its kind is prepared, not measured
                path(min(self._groups))
            for number in range(self._rounds):
                for case in self._cases:
                    for again in range(_OFTEN if case.size < _QUICK else 1):
                        for side in ("ours", "limit") if (number + again) % 2 == 0 else ("limit", "ours"):
                            case.seconds[side].append(paths[side](case.size))
                    shown = ", ".join(f"{side} {case.per_row(side)[-1]:.1f}" for side in paths)
                    self._say(f"{self._ground.database} audience of {case.size:,}: {shown} µs per row")
        return [*self._figures()]

    def _ours(self, assembly: Assembly, size: int) -> float:
        """Plan an announcement; then time what a worker does when it falls due, until the whole audience may be claimed."""
        database, keyring, now = assembly.database, assembly.tools.keyring, clock.now()
        group = self._groups[size]
        planned = database.write_now(
            lambda tx: schedules.plan_announcement(tx, keyring, author_id=None, group_id=group, text=WORDS, at=None, draft=None, now=now)
        )
        began = time.perf_counter()
        database.write_now(lambda tx: schedules.fire_next(tx, keyring, now))
        while database.write_now(lambda tx: broadcasts.expand_next(tx, now)):
            pass
        took = time.perf_counter() - began
        broadcast = database.read_now(lambda tx: tx.execute(sa.select(Broadcast.id).where(Broadcast.schedule_id == planned)).scalar_one())
        self._check(assembly, broadcast, size)
        return took

    def _bare(self, assembly: Assembly, size: int) -> float:
        """One statement, one commit; the broadcast's own row stands there already."""
        database, now, broadcast = assembly.database, clock.now(), ids.new_id()
        row = {
            "id": broadcast,
            "account_id": self._town.account_id,
            "course_id": self._town.course_id,
            "group_id": self._groups[size],
            "data_key_id": history.KEY_ID,
            "bot": "announcement",
            "kind": "announcement",
            "details_sealed": b"",
            "priority": broadcasts.ANNOUNCEMENT,
            "urgent": False,
            "state": "going",
            "created_at": now,
            "stale_at": now + schedules.USEFUL,
        }
        database.write_now(lambda tx: tx.execute(sa.insert(Broadcast).values(**row)))
        began = time.perf_counter()
        database.write_now(lambda tx: tx.exec_driver_sql(_BARE.format(broadcast=broadcast)))
        took = time.perf_counter() - began
        self._check(assembly, broadcast, size)
        return took

    def _check(self, assembly: Assembly, broadcast: int, size: int) -> None:
        ready = Delivery.broadcast_id == broadcast, Delivery.state == "ready"
        count = sa.select(sa.func.count()).select_from(Delivery).where(*ready)
        made = assembly.database.read_now(lambda tx: tx.execute(count).scalar_one())
        if made != size:
            raise RuntimeError(f"{made} deliveries are ready, not {size}")

    def _figures(self) -> Iterator[Figure]:
        name = self._ground.database
        for case in self._cases:
            goals = [_TWICE] if case.size >= _LARGE else []
            yield Figure(f"expansion, {name}, {case.size:,} people", "µs/row", case.per_row("ours"), case.per_row("limit"), goals)
        large = [case for case in self._cases if case.size >= _LARGE]
        for less, more in zip([case for case in self._cases if case.size < large[-1].size], large[-1:], strict=False):
            words = f"expansion, {name}: a row at {more.size:,} beside a row at {less.size:,}"
            yield Figure(words, "µs/row", more.per_row("ours"), less.per_row("ours"), [_NOT_MORE])
