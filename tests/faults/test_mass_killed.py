"""Workers die at every point of a mass send, a web process while its receipt is applied: nobody lost, nobody twice, nothing in doubt."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from app.models import Mass
from app.states import State
from tests.faults.arena import Arena, Line
from tests.faults.checker import Bounds, check
from tests.faults.processes import Nursery

#: Two batches of a tag.
MEMBERS = 60
#: Where a worker dies, and at which time; the last ones leave a call whose answer nobody has seen.
POINTS = (("CM1", 1), ("CM1", 2), ("CM2", 1), ("CM2", 2), ("CM3", 1), ("CM7", 1), ("CM8", 1), ("CM4", 1), ("CM5", 1), ("CM6", 1))
#: Longer than WeChat refuses an equal id.
LATER = 75.0


def test_a_worker_that_dies_at_any_point_of_a_mass_send_loses_nobody_and_repeats_nobody(
    database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with Arena(database_url, tmp_path, nursery, seed) as arena:
        line = arena.account("dawn")
        arena.ask("PATCH", f"/sandbox/accounts/{line.appid}", {"mass_after": 0.2})
        arena.fault(api="message/mass/*", delay_ms=10, times=None)
        arena.fault(api="tags/*", delay_ms=10, times=None)
        web = arena.start("web", points={"CP12": 1})
        for point, nth in POINTS:
            arena.announce(arena.group(line, members=MEMBERS, typed=False, large=True), by_mass=True)
            arena.crash(point, nth)
        arena.crashed(web)
        web = arena.start("web")
        _ask_without_a_receipt(arena, line)
        last = arena.start("worker")
        arena.until(lambda: _drained(arena), living=(last, web))
        assert (last.stop(), web.stop()) == (0, 0)
        report = check(arena, Bounds(unknown=0))
        assert arena.kills == len(POINTS) + 2
        assert report.states.keys() <= {State.SENT, State.CONFIRMED}
        assert report.states.total() == report.accepted == MEMBERS * (len(POINTS) + 1)
        print(f"{arena.kills} crashes: {report}")


def _ask_without_a_receipt(arena: Arena, line: Line) -> None:
    """No receipt comes of one mass send, so that WeChat is asked what became of it: the worker dies with the answer unread."""
    arena.fault(api="push", cut="before", times=None, name="no receipt")
    arena.announce(arena.group(line, members=MEMBERS, typed=False, large=True), by_mass=True)
    arena.pass_on_both_sides(LATER)
    sender = arena.start("worker")
    states = sa.select(Mass.state)
    arena.until(lambda: _all_taken(arena.read(lambda tx: tx.execute(states).scalars().all())), living=(sender,))
    assert sender.stop() == 0
    arena.pass_on_both_sides(LATER)
    arena.crash("CM9", 1)
    arena.calm("no receipt")


def _all_taken(states: Sequence[str]) -> bool:
    return "accepted" in states and not {"planned", "sending"} & set(states)


def _drained(arena: Arena) -> bool:
    """Whether all is at rest; the clock is moved where only it is waited for."""
    if arena.at_rest():
        return True
    arena.pass_on_both_sides(5)
    arena.later(0.3)
    return arena.at_rest()
