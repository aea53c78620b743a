"""The harness itself: a process lives, dies, freezes and is reaped as it says; a crash point that is not there fails loudly."""

import signal
from pathlib import Path

import pytest

from tests.faults.arena import Arena
from tests.faults.checker import Bounds, check
from tests.faults.processes import Ended, Nursery


def test_a_broadcast_in_calm_weather_breaks_no_rule(database_url: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    with Arena(database_url, tmp_path, nursery, seed) as arena:
        circle = arena.group(arena.account("dawn"), members=60)
        arena.announce(circle)
        worker = arena.start("worker")
        arena.drain(worker)
        assert worker.stop() == 0
        print(check(arena, Bounds(unknown=0)))


def test_a_killed_process_is_reaped_and_a_dead_one_is_not_killed_again(sqlite_url: str, tmp_path: Path, nursery: Nursery) -> None:
    with Arena(sqlite_url, tmp_path, nursery) as arena:
        worker = arena.start("worker")
        worker.freeze()
        worker.thaw()
        worker.kill()
        assert worker.wait() == -signal.SIGKILL
        with pytest.raises(Ended, match="ended by itself"):
            worker.kill()


def test_a_point_that_the_program_has_lost_fails_loudly(sqlite_url: str, tmp_path: Path, nursery: Nursery) -> None:
    with Arena(sqlite_url, tmp_path, nursery) as arena:
        with pytest.raises(AssertionError, match="ended elsewhere"):
            arena.crash("CP0", 1)
        with pytest.raises(AssertionError, match="ended elsewhere"):
            arena.crashed(arena.start("worker", tuned={"app.worker:_NOT_THERE": 1}))
