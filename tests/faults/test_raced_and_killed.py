"""Every push comes several times at once to two web processes that are killed again and again: each has its effect once, and one answer."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.fleet import Fleet
from tests.faults.front import Front, meanwhile, until
from tests.faults.processes import Nursery


@dataclass(frozen=True)
class Size:
    pushes: int
    kills: int


def test_a_push_that_comes_often_at_once_to_processes_that_are_killed_has_one_effect_and_one_reply(
    database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with Front(database_url, tmp_path, nursery, seed) as front:
        asyncio.run(_raced(front, Size(400, 4)))


@pytest.mark.long
def test_five_thousand_pushes_and_twenty_kills_leave_one_effect_each(
    database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with Front(database_url, tmp_path, nursery, seed) as front:
        asyncio.run(_raced(front, Size(5_000, 20)))


async def _raced(front: Front, size: Size) -> None:
    front.start_all()
    people = front.lives(size.pushes)
    async with front.fleet() as fleet, meanwhile(lambda: _kill_now_and_then(front, fleet, size)):
        await fleet.play(people, at_once=16, times=(1, 4))
    await front.drained(fleet.posted)
    acknowledged = sum(each.acknowledged for each in fleet.posted)
    print(f"{front.url.partition(':')[0]}: {len(fleet.posted)} pushes in {_deliveries(fleet)} deliveries, {size.kills} kills,")
    print(f"{acknowledged} acknowledged, {_deliveries(fleet, 0)} deliveries without an answer")
    assert len(fleet.posted) == size.pushes
    assert front.broken(fleet.posted) == []
    assert [each for each in fleet.posted if len(each.replies) > 1] == []
    assert acknowledged >= 0.98 * size.pushes, "so few were answered that the run says little"


def _deliveries(fleet: Fleet, status: int | None = None) -> int:
    return sum(status is None or answer.status == status for each in fleet.posted for answer in each.answers)


async def _kill_now_and_then(front: Front, fleet: Fleet, size: Size) -> None:
    """A process dies after so many pushes, at a moment of chance, and the next one takes its socket."""
    for moment in sorted(front.chance.sample(range(size.pushes // 50, size.pushes - size.pushes // 20), size.kills)):
        await until(lambda: len(fleet.posted) >= moment, every=0.005)  # noqa: B023 - asked for within this round
        await asyncio.sleep(front.chance.random() * 0.05)
        place = front.chance.randrange(len(front.webs))
        front.kill(place)
        front.start(place)
