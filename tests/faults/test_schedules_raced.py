"""Many schedules in one minute, workers that race and die, a clock that jumps two hours: one broadcast each, none silently missed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import clock
from app.db import Tx
from app.models import Audit, Firing, Schedule
from tests.faults.arena import STEADY, Arena, Circle
from tests.faults.checker import Bounds, check
from tests.faults.processes import PATIENCE, Nursery, Process

MEMBERS = 3
#: All are started within this of their moment (bad-inputs.md K8).
MOST = timedelta(seconds=60)
JUMP = timedelta(hours=2)


@dataclass(frozen=True)
class Size:
    """How many schedules in the minute, how many more that a jump of the clock passes over, and who works on them."""

    schedules: int
    jumped: int
    workers: int
    kills: int


SHORT = Size(schedules=60, jumped=12, workers=2, kills=4)
LONG = Size(schedules=500, jumped=80, workers=3, kills=20)


def test_schedules_of_one_minute_fire_once_each_whoever_dies(database_url: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    _raced(SHORT, database_url, tmp_path, nursery, seed)


@pytest.mark.long
def test_five_hundred_schedules_of_one_minute_fire_once_each_whoever_dies(
    database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    _raced(LONG, database_url, tmp_path, nursery, seed)


def _raced(size: Size, database_url: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    with Arena(database_url, tmp_path, nursery, seed) as arena:
        circles = [arena.group(arena.account(name), members=MEMBERS) for name in ("dawn", "dusk")]
        workers = [arena.start("worker", environment=STEADY) for _ in range(size.workers)]
        minute = _in_one_minute(arena, circles, size)
        _race(arena, workers, minute, size.kills)
        late = max(fired - due for due, fired in arena.read(_moments).values())
        assert late <= MOST, f"one was started {late} after its moment"
        _jump_over(arena, circles, workers, size)
        _jump_while_nobody_works(arena, circles[0], workers)
        assert [worker.stop() for worker in workers] == [0] * size.workers
        report = check(arena, Bounds(unknown=arena.in_doubt))
        print(f"{len(arena.planned)} schedules, {arena.kills} kills, the latest by {late}: {report}")


def _in_one_minute(arena: Arena, circles: list[Circle], size: Size) -> set[int]:
    """Schedules of the minute that has begun: some are due already, the last one soon."""
    now = clock.now()
    moments = [now + timedelta(seconds=arena.chance.uniform(-3, 7)) for _ in range(size.schedules)]
    return {arena.announce(circles[place % 2], at=moment) for place, moment in enumerate(moments)}


def _race(arena: Arena, workers: list[Process], schedules: set[int], kills: int) -> None:
    """Let them fire all of these while one after the other is killed, at random points of the progress."""
    for moment in sorted(arena.chance.sample(range(1, len(schedules)), kills)):
        arena.until(lambda moment=moment: len(arena.read(_moments)) >= moment, living=tuple(workers))  # type: ignore[misc]
        place = arena.chance.randrange(len(workers))
        arena.kill(workers[place])
        workers[place] = arena.start("worker", environment=STEADY)
    arena.until(lambda: schedules <= arena.read(_moments).keys(), living=tuple(workers))


def _jump_over(arena: Arena, circles: list[Circle], workers: list[Process], size: Size) -> None:
    """The clock jumps two hours ahead over moments that are played in their order, back, and ahead again: nothing fires twice."""
    now = clock.now()
    planned = {arena.announce(circles[place % 2], at=now + timedelta(minutes=arena.chance.uniform(5, 115))) for place in range(size.jumped)}
    for ahead in (JUMP, timedelta(), JUMP):
        arena.jump(ahead)
        arena.until(lambda: planned <= arena.read(_moments).keys() | arena.read(_missed).keys(), living=tuple(workers))
        arena.kill(workers[0])
        workers[0] = arena.start("worker", environment=STEADY)
    arena.drain(*workers)  # what has fired ahead goes out there: set back, the clock would keep it waiting for two hours
    arena.jump(timedelta())
    assert not arena.read(_missed), "a jump is played, and whoever lives through it misses nothing"
    arena.drain(*workers)


def _jump_while_nobody_works(arena: Arena, circle: Circle, workers: list[Process]) -> None:
    """Two hours pass while every worker is dead: what is an hour late is missed, and it stands in the audit."""
    for worker in workers:
        arena.kill(worker)
    now = clock.now()
    late, due = (arena.announce(circle, at=now + timedelta(minutes=minutes)) for minutes in (20, 100))
    arena.jump(JUMP)
    workers[:] = [arena.start("worker", environment=STEADY) for _ in workers]
    arena.until(lambda: due in arena.read(_moments) and late in arena.read(_missed), PATIENCE, living=tuple(workers))
    assert arena.read(_missed) == {late: "late"}
    assert arena.read(_told) == {f"schedule:{late}"}
    arena.drain(*workers)


def _moments(tx: Tx) -> dict[int, tuple[datetime, datetime]]:
    """When each was due, and when it was fired."""
    query = sa.select(Firing.schedule_id, Firing.fire_at, Firing.fired_at).where(Firing.outcome == "fired")
    return {row.schedule_id: (row.fire_at, row.fired_at) for row in tx.execute(query)}


def _missed(tx: Tx) -> dict[int, str | None]:
    return {row.id: row.why for row in tx.execute(sa.select(Schedule.id, Schedule.why).where(Schedule.state == "missed"))}


def _told(tx: Tx) -> set[str]:
    return set(tx.execute(sa.select(Audit.subject).where(Audit.action == "announce.missed")).scalars())
