"""A web process dies between the commit and the answer (CP15), or in the middle of the answer (CP16): the repeat gets the same words."""

import asyncio
from pathlib import Path

from tests.faults.front import Front, meanwhile, until
from tests.faults.processes import Nursery

#: Each point three times. So many pushes apart that nobody in flight meets with three crashes: the platform would give up.
CRASHES = (("CP15", 4), ("CP16", 5), ("CP15", 6), ("CP16", 7), ("CP15", 8), ("CP16", 6))


def test_who_is_killed_while_answering_answers_the_same_to_the_repeat_and_does_nothing_twice(
    database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with Front(database_url, tmp_path, nursery, seed, webs=1) as front:
        asyncio.run(_killed(front))


async def _killed(front: Front) -> None:
    front.start(0, points=dict(CRASHES[:1]))
    async with front.fleet(apart=0.2) as fleet, meanwhile(lambda: _crashes(front)):
        await fleet.play(front.lives(len(CRASHES) * 10), at_once=2)
    cut = [each for each in fleet.posted if each.answers[0].status == 0]
    assert len(cut) >= len(CRASHES)
    assert all(each.acknowledged for each in fleet.posted)
    assert all(each.answers[-1].plain for each in cut if each.deed.kind != "leave")
    assert front.broken(fleet.posted) == []


async def _crashes(front: Front) -> None:
    """After each crash at a point the next process, which will crash a little later at the next; the last one lives."""
    for (point, _), following in zip(CRASHES, (*CRASHES[1:], None), strict=True):
        web = front.webs[0]
        assert web is not None
        await until(lambda: web.poll() is not None, every=0.005)  # noqa: B023 - asked for within this round
        assert web.crashed_at() == point, web.said()
        front.start(0, points=dict([following]) if following else None)
