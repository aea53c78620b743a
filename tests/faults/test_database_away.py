"""The database is away for long: people are answered `success`, somebody in danger is answered at once, and all is caught up in order."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import clock, spool
from tests.faults.fleet import Fleet, Posted
from tests.faults.front import Front, meanwhile, until
from tests.faults.lives import cry
from tests.faults.outages import Outage, database
from tests.faults.processes import Nursery

#: Pushes a second, and how many while all is caught up: then the run must not hang on how busy the machine is.
RATE, GENTLE = 20.0, 5.0
#: So many cry for help meanwhile, at least.
IN_DANGER = 10
#: The help line that stands in every answer to somebody in danger.
LINE = "12356"
#: Seconds in which a push that was posted before the outage may still be answered by the database.
UNDER_WAY = 0.5

KINDS = pytest.mark.parametrize("kind", ["sqlite", "postgres"])


@dataclass(frozen=True)
class Seen:
    """What waited in the spool right before the database came back."""

    waiting: int
    began: float
    ended: float


@KINDS
def test_a_database_that_is_away_leaves_nobody_waiting_and_nothing_behind(kind: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    with database(kind, tmp_path) as outage, Front(outage.url, tmp_path, nursery, seed) as front:
        asyncio.run(_away(outage, front, 6))


@pytest.mark.long
@KINDS
def test_a_minute_without_a_database_leaves_nobody_waiting_and_nothing_behind(
    kind: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with database(kind, tmp_path) as outage, Front(outage.url, tmp_path, nursery, seed) as front:
        asyncio.run(_away(outage, front, 60))


async def _away(outage: Outage, front: Front, seconds: float) -> None:
    front.start_all()
    async with front.fleet(rate=RATE) as fleet, meanwhile(lambda: fleet.play(front.lives(10_000), at_once=150)):
        seen = await _gone_for(outage, front, fleet, seconds)
        fleet.stopped = True
    await front.drained(fleet.posted)
    meant = [each for each in fleet.posted if seen.began + UNDER_WAY < each.began and each.answers[0].ended < seen.ended]
    in_danger = [each for each in meant if each.deed.kind == "crisis"]
    print(f"{outage.url.partition(':')[0]}: {len(fleet.posted)} pushes, {len(meant)} of them while the database was away,")
    print(f"{seen.waiting} in the spool when it came back, {len(in_danger)} people in danger answered")
    assert len(meant) > RATE * seconds / 4, "so few were answered meanwhile that the run says little"
    assert len(in_danger) >= IN_DANGER
    assert [each for each in fleet.posted if not each.acknowledged] == []
    assert [each for each in meant if each.answers[0].status != 200] == []
    assert [each for each in in_danger if LINE.encode() not in each.answers[0].plain] == []
    assert [each for each in meant if each.answers[0].plain and not may_be_answered(each)] == []
    assert seen.waiting >= len(meant)
    assert front.broken(fleet.posted) == []
    assert spool.waiting(front.spool).count == 0


async def _gone_for(outage: Outage, front: Front, fleet: Fleet, seconds: float) -> Seen:
    """Some people join and write; then the database is away; then all goes on until the spool is empty again."""
    await until(lambda: len(fleet.posted) >= 40)
    async with outage.away():
        began = clock.steady()
        await asyncio.sleep(seconds / 2)
        await asyncio.gather(*(fleet.post(cry(number)) for number in range(IN_DANGER)))
        await asyncio.sleep(seconds / 2)
        seen = Seen(spool.waiting(front.spool).count, began, clock.steady())
    fleet.pace(GENTLE)
    more = len(fleet.posted) + 10
    await until(lambda: spool.waiting(front.spool).count == 0 and len(fleet.posted) >= more, every=0.05)
    return seen


def may_be_answered(posted: Posted) -> bool:
    """Whether the safety bot has words for this without knowing the person: they are in danger, or want no more messages."""
    return posted.deed.kind in ("crisis", "stop")
