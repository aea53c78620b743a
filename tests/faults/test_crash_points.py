"""Every crash point of a broadcast, three times each, over short broadcasts: nobody is lost, nobody gets it twice, each doubt is listed.

CP12 is in test_receipts.py, CP15 and CP16 in test_killed_in_answer.py, CP17 and CP18 in the spool's tests, CP19 and CP20 in
test_killed_elsewhere.py.
"""

from pathlib import Path

import sqlalchemy as sa

from app.models import AccessToken
from app.states import State
from tests.faults.arena import Arena, Line
from tests.faults.checker import Bounds, check
from tests.faults.processes import Nursery

HITS = 3
MEMBERS, CHUNK = 24, 10
#: Small chunks, so that there is a middle of an expansion; a token's refresher is taken for dead as soon as a worker is.
TUNED = {"app.broadcasts:CHUNK": CHUNK, "app.tokens:_LEASE_SECONDS": 1.0}
#: Where a worker dies while it plans, expands, claims, sends and settles, and up to which hit a short broadcast surely comes.
WORKING = {
    "CP1": 1,
    "CP2": 1,
    "CP3": 3,
    "CP4": 1,
    "CP5": 1,
    "CP6": MEMBERS,
    "CP6-committed": 3,
    "CP7": MEMBERS,
    "CP8": 1,
    "CP9": 1,
    "CP13": 1,
    "CP14": 1,
}
#: What a notice may die of and never be in doubt: its id makes a repeat safe. Once each.
NOTIFYING = ("CP6-committed", "CP7", "CP8")
#: The four moments of a refresh, which are one point: once each.
REFRESHING = ("CP11-before-call", "CP11-after-call", "CP11-before-storing", "CP11-after-storing")


def test_a_worker_that_dies_at_any_point_loses_nobody_and_repeats_nobody(
    database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with Arena(database_url, tmp_path, nursery, seed) as arena:
        line = arena.account("dawn", notices=True)
        arena.fault(api="message/*", delay_ms=10, times=None)
        for torment in (_while_working, _while_refreshing, _while_reaping, _while_notifying):
            torment(arena, line)
        last = arena.start("worker", tuned=TUNED)
        arena.drain(last)
        assert last.stop() == 0
        report = check(arena, Bounds(unknown=arena.in_doubt))
        assert arena.kills == HITS * (len(WORKING) + 2) + len(REFRESHING) + len(NOTIFYING)
        assert report.states[State.NOTIFIED] == MEMBERS * len(NOTIFYING)
        assert report.states.total() == MEMBERS * len(arena.planned)
        print(f"{arena.kills} crashes, {arena.in_doubt} in doubt: {report}")


def _while_working(arena: Arena, line: Line) -> None:
    for point, most in WORKING.items():
        for _ in range(HITS):
            arena.announce(arena.group(line, members=MEMBERS))
            arena.crash(point, arena.chance.randint(1, most), tuned=TUNED)


def _while_refreshing(arena: Arena, line: Line) -> None:
    for point in REFRESHING:
        arena.announce(arena.group(line, members=MEMBERS))
        arena.write(lambda tx: tx.execute(sa.update(AccessToken).values(token_sealed=None, expires_at=None)))
        arena.crash(point, 1, tuned=TUNED)


def _while_reaping(arena: Arena, line: Line) -> None:
    for _ in range(HITS):
        arena.announce(arena.group(line, members=MEMBERS))
        arena.crash("CP6-committed", 1, tuned=TUNED)
        arena.crash("CP10", 1, tuned=TUNED)


def _while_notifying(arena: Arena, line: Line) -> None:
    for point in NOTIFYING:
        arena.announce(arena.group(line, members=MEMBERS, typed=False))
        arena.crash(point, 1, tuned=TUNED)
