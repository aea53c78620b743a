"""A cap on messages per person and day, while two workers race for everybody's messages, are killed, and lose answers."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from app.models import Delivery
from app.states import State
from tests.faults.arena import STEADY, Arena
from tests.faults.checker import Bounds, check
from tests.faults.processes import Nursery

#: Announcements to each member, and how many of them the course starts with anybody on one day.
ANNOUNCEMENTS, CAP = 5, 2
WRITERS, SILENT, KILLS = 120, 60, 6


def test_two_workers_that_are_killed_start_no_more_than_the_cap_with_anybody(
    database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with Arena(database_url, tmp_path, nursery, seed) as arena:
        line = arena.account("dawn", notices=True)
        circles = [arena.group(line, members=WRITERS, cap=CAP), arena.group(line, members=SILENT, typed=False, cap=CAP)]
        arena.fault(api="message/*", delay_ms=10, jitter_ms=10, times=None)
        for api in ("message/custom/send", "message/template/send"):
            arena.fault(api=api, cut="after", chance=0.01, seed=arena.chance.randrange(10**6), times=None, name="lost")
        for circle in circles:
            for _ in range(ANNOUNCEMENTS):
                arena.announce(circle)
        workers = [arena.start("worker", environment=STEADY) for _ in range(2)]
        for moment in sorted(arena.chance.sample(range(20, WRITERS + SILENT), KILLS)):
            arena.until(lambda: arena.settled() >= moment, living=tuple(workers))  # noqa: B023 - asked for within this round
            place = arena.chance.randrange(2)
            arena.kill(workers[place])
            workers[place] = arena.start("worker", environment=STEADY)
        arena.drain(*workers)
        first = arena.settled()
        held = _held(arena)
        assert held == arena.states()[State.READY] > 0, "each has something that waits for tomorrow"
        print(check(arena, _bounds(arena)))
        arena.jump(timedelta(days=1))
        arena.until(lambda: arena.settled() > first, living=tuple(workers))
        arena.drain(*workers)
        assert [worker.stop() for worker in workers] == [0, 0]
        report = check(arena, _bounds(arena))
        assert sum(report.states.values()) == ANNOUNCEMENTS * (WRITERS + SILENT), "nothing is lost"
        assert _held(arena) < held, "and the next day goes on with it"
        print(report)


def _bounds(arena: Arena) -> Bounds:
    """Of a message that is lost, each delivery is in doubt that went in it: as many as may be started with one person."""
    lost = arena.ask("GET", "/sandbox/faults/applied").get("lost", 0)
    return Bounds(unknown=arena.in_doubt + CAP * lost, unknown_notices=KILLS * 8)


def _held(arena: Arena) -> int:
    query = sa.select(Delivery.state, Delivery.reason)
    return Counter(arena.read(lambda tx: [tuple(row) for row in tx.execute(query)]))["ready", "cap"]
