"""A worker that is told to stop in the middle of a broadcast: it ends in good order, in time, and leaves nothing in doubt."""

from pathlib import Path

import pytest

from app.states import State
from tests.faults.arena import PATIENT, Arena
from tests.faults.checker import Bounds, check
from tests.faults.processes import Nursery

MEMBERS = 400
#: Seconds until whoever stops us kills us (compose.yaml).
MOST_SECONDS = 15.0


def test_a_stop_in_the_middle_of_a_broadcast_is_clean_and_in_time(database_url: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    with Arena(database_url, tmp_path, nursery, seed) as arena:
        circle = arena.group(arena.account("dawn"), members=MEMBERS)
        arena.fault(api="message/custom/send", delay_ms=30, jitter_ms=60, times=None)
        arena.announce(circle)
        for _ in range(3):
            moment, worker = arena.settled() + arena.chance.randint(5, 50), arena.start("worker", environment=PATIENT)
            arena.until(lambda moment=moment: arena.settled() >= moment, living=(worker,))  # type: ignore[misc]
            assert worker.stop(MOST_SECONDS) == 0
            states = arena.states()
            assert states.keys() <= {State.SENT, State.READY}, "it left something under way"
            assert states[State.READY], "the broadcast was over before the stop"
        last = arena.start("worker", environment=PATIENT)
        arena.drain(last)
        assert last.stop(MOST_SECONDS) == 0
        assert check(arena, Bounds(unknown=0)).states == {State.SENT: MEMBERS}


@pytest.mark.long
def test_a_platform_that_never_answers_does_not_keep_a_worker_from_stopping(
    database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with Arena(database_url, tmp_path, nursery, seed) as arena:
        circle = arena.group(arena.account("dawn"), members=40)
        arena.fault(api="message/custom/send", cut="hang", times=None, name="hangs")
        arena.announce(circle)
        worker = arena.start("worker", environment=PATIENT)
        arena.until(lambda: arena.ask("GET", "/sandbox/faults/applied").get("hangs", 0) >= 8, living=(worker,))
        assert worker.stop(MOST_SECONDS) == 0
        under_way = arena.ask("GET", "/sandbox/faults/applied")["hangs"]
        arena.calm()
        last = arena.start("worker", environment=PATIENT)
        arena.drain(last)
        assert last.stop() == 0
        report = check(arena, Bounds(unknown=under_way))
        assert report.states[State.SENT] >= 40 - under_way
