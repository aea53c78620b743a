"""The database goes away again and again while people write: nothing is lost or doubled, and soon after it is back all is as before."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import clock
from tests.faults.fleet import Fleet
from tests.faults.front import Front, meanwhile
from tests.faults.outages import Outage, database
from tests.faults.processes import PATIENCE, Nursery

KINDS = pytest.mark.parametrize("kind", ["sqlite", "postgres"])


@dataclass(frozen=True)
class Size:
    times: int
    seconds: tuple[float, float]  # how long it is away: from, to
    rate: float  # pushes a second
    soon: float  # seconds after which all must be as before


@KINDS
def test_a_database_that_is_restarted_costs_no_push(kind: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    with database(kind, tmp_path) as outage, Front(outage.url, tmp_path, nursery, seed) as front:
        asyncio.run(_restarted(outage, front, Size(3, (0.2, 3.5), rate=25, soon=PATIENCE)))


@pytest.mark.long
@pytest.mark.alone
@KINDS
def test_a_database_that_is_restarted_twenty_times_costs_no_push_and_is_as_before_within_five_seconds(
    kind: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with database(kind, tmp_path) as outage, Front(outage.url, tmp_path, nursery, seed) as front:
        asyncio.run(_restarted(outage, front, Size(20, (0.2, 4.5), rate=50, soon=5)))


async def _restarted(outage: Outage, front: Front, size: Size) -> None:
    front.start_all()
    async with front.fleet(rate=size.rate) as fleet, meanwhile(lambda: fleet.play(front.lives(20_000), at_once=150)):
        took = [await _once(fleet, outage, front, size, number) for number in range(size.times)]
        fleet.stopped = True
    await front.drained(fleet.posted)
    late = [each for each in fleet.posted if each.answers[0].status != 200]
    spooled = sum(each.bare for each in fleet.posted)
    print(f"{outage.url.partition(':')[0]}: {len(fleet.posted)} pushes, {size.times} times away, {spooled} answered with a bare success,")
    print(f"{len(late)} not answered by the first delivery; as before after {sorted(round(each, 2) for each in took)} s")
    assert front.broken(fleet.posted) == []
    assert [each for each in fleet.posted if not each.acknowledged] == []
    assert len(late) <= len(fleet.posted) // 50, "so many waited longer than the platform does"
    assert max(took) <= size.soon


async def _once(fleet: Fleet, outage: Outage, front: Front, size: Size, number: int) -> float:
    """One time away; how long after it was back the row of whole replies began."""
    await fleet.as_before(clock.steady())
    async with outage.away(crash=number % 2 == 0):
        await asyncio.sleep(front.chance.uniform(*size.seconds))
    return await fleet.as_before(clock.steady())
