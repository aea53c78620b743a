"""A web process dies while it keeps a push in the spool (CP17), or while it brings one back (CP18): nothing is lost, nothing done twice."""

import asyncio
from itertools import product
from pathlib import Path

import pytest

from app import clock
from tests.faults.fleet import Fleet
from tests.faults.front import Front, meanwhile, until
from tests.faults.outages import Outage, database
from tests.faults.processes import Nursery

KEEPING = ("CP17-before-sync", "CP17-before-rename", "CP17-before-folder-sync")
BRINGING_BACK = "CP18"
#: A database that is away is not waited for as long as in earnest.
QUICK = {"app.intake:PATIENCE_SECONDS": 0.5}

KINDS = pytest.mark.parametrize("kind", ["sqlite", "postgres"])


@KINDS
def test_a_push_whose_keeper_is_killed_is_kept_or_comes_again_and_takes_effect_once(
    kind: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with database(kind, tmp_path) as outage, Front(outage.url, tmp_path, nursery, seed, webs=1) as front:
        asyncio.run(_killed(outage, front, (3,)))


@pytest.mark.long
@KINDS
def test_a_push_whose_keeper_is_killed_five_times_at_each_point_takes_effect_once(
    kind: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with database(kind, tmp_path) as outage, Front(outage.url, tmp_path, nursery, seed, webs=1) as front:
        asyncio.run(_killed(outage, front, (1, 2, 4, 6, 9)))


async def _killed(outage: Outage, front: Front, hits: tuple[int, ...]) -> None:
    """`hits`: at which pushes each point kills."""
    front.start(0)
    async with front.fleet(rate=20, apart=0.5) as fleet, meanwhile(lambda: fleet.play(front.lives(2_000), at_once=60)):
        await until(lambda: len(fleet.posted) >= 20)
        front.kill(0)
        for point, nth in product(KEEPING, hits):
            await _answering(front, fleet, {point: nth})
            async with outage.away():
                await _crashed(front, point)
        await _answering(front, fleet, {})
        async with outage.away():
            kept = sum(each.bare for each in fleet.posted)
            await until(lambda: sum(each.bare for each in fleet.posted) >= kept + sum(hits) + 5)
            front.kill(0)
        for nth in hits:
            front.start(0, points={BRINGING_BACK: nth})
            await _crashed(front, BRINGING_BACK)
        front.start(0)
        await fleet.end_gently(10)
    await front.drained(fleet.posted)
    given_up = sum(not each.acknowledged for each in fleet.posted)
    print(f"{len(fleet.posted)} pushes, {sum(each.bare for each in fleet.posted)} kept in the spool, {given_up} that the platform gave up")
    assert front.broken(fleet.posted) == []


async def _answering(front: Front, fleet: Fleet, points: dict[str, int]) -> None:
    """Start a process and wait until it has read the account: one that knows nobody keeps nothing. Its point may come before."""
    since = clock.steady()
    web = front.start(0, points=points, tuned=QUICK)
    await until(lambda: web.poll() is not None or any(each.acknowledged and each.began > since for each in fleet.posted[-30:]))


async def _crashed(front: Front, point: str) -> None:
    """Wait until the process has killed itself, and at this point."""
    web = front.webs[0]
    assert web is not None
    await until(lambda: web.poll() is not None)
    assert web.crashed_at() == point, web.said()
