"""A broadcast to thousands while workers are killed and frozen and the platform loses answers: nobody lost, nobody twice, doubts listed."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from app.channels import Rules
from app.states import State
from tests.faults.arena import STEADY, STEADY_SECONDS, Arena
from tests.faults.checker import Bounds, check
from tests.faults.processes import Nursery, Process

SEND, NOTIFY = "message/custom/send", "message/template/send"


@dataclass(frozen=True)
class Size:
    """How much: members who wrote (they get service messages), members who did not (they get notices), and what befalls the workers."""

    writers: int
    silent: int
    kills: int
    freezes: int
    delay_ms: int


SHORT = Size(writers=1_500, silent=500, kills=12, freezes=1, delay_ms=15)
LONG = Size(writers=8_000, silent=2_000, kills=42, freezes=8, delay_ms=20)


def test_two_workers_killed_over_and_over_lose_nobody_and_repeat_nobody(
    database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    _torment(SHORT, database_url, tmp_path, nursery, seed)


@pytest.mark.long
def test_ten_thousand_members_and_forty_kills(database_url: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    _torment(LONG, database_url, tmp_path, nursery, seed)


def _torment(size: Size, database_url: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    with Arena(database_url, tmp_path, nursery, seed) as arena:
        line = arena.account("dawn", notices=True)
        writers = arena.group(line, members=size.writers)
        silent = arena.group(line, members=size.silent, typed=False)
        _spoil(arena, size)
        web = arena.start("web")  # takes the receipts of the notices
        arena.announce(writers)
        arena.announce(silent)
        workers = [arena.start("worker", environment=STEADY), arena.start("worker", environment=STEADY)]
        frozen = _kill_and_freeze(arena, size, workers)
        arena.drain(*workers, web)
        assert [process.stop() for process in (*workers, web)] == [0, 0, 0]
        swallowed = arena.ask("GET", "/sandbox/faults/applied")
        report = check(arena, Bounds(unknown=arena.in_doubt + frozen + swallowed.get("lost send", 0)))
        assert arena.kills == size.kills
        assert report.states.keys() <= {State.SENT, State.NOTIFIED, State.UNKNOWN}
        assert report.states[State.NOTIFIED] == size.silent
        assert report.accepted >= size.writers + size.silent - report.states[State.UNKNOWN]
        print(f"{arena.kills} kills with {arena.in_doubt} in doubt, {frozen} frozen, {swallowed} swallowed: {report}")


def _spoil(arena: Arena, size: Size) -> None:
    """The platform is slow, loses an answer now and then after it took the message, and tells some receipts late."""
    arena.fault(api="message/*", delay_ms=size.delay_ms, jitter_ms=size.delay_ms, times=None)
    draw = arena.chance.randrange
    for api, name in ((SEND, "lost send"), (NOTIFY, "lost notice")):
        for cut in ("after", "half"):
            arena.fault(api=api, cut=cut, chance=0.002, seed=draw(10**6), times=None, name=name)
        arena.fault(api=api, status=502, body="<html>", chance=0.002, seed=draw(10**6), times=None, name=name)
    arena.fault(api="push", delay_ms=100, chance=0.2, seed=draw(10**6), times=None)


def _kill_and_freeze(arena: Arena, size: Size, workers: list[Process]) -> int:
    """Kill a worker, or freeze it for longer than its lease, at random points of the progress; how many it froze under way."""
    total = size.writers + size.silent
    moments = sorted(arena.chance.sample(range(total // 40, total - total // 10), size.kills + size.freezes))
    freezes = set(arena.chance.sample(moments, size.freezes))
    frozen = 0
    for moment in moments:
        arena.until(lambda moment=moment: arena.settled() >= moment, living=tuple(workers))  # type: ignore[misc]
        place = arena.chance.randrange(2)
        if moment in freezes:
            frozen += _freeze(arena, workers[place], workers[1 - place])
        else:
            arena.kill(workers[place])
            workers[place] = arena.start("worker", environment=STEADY)
    return frozen


def _freeze(arena: Arena, worker: Process, other: Process) -> int:
    """Let a worker sleep until the other takes it for dead, then wake up in the middle of what it did; how many that may leave in doubt.

    It may sleep with a lock in its hand (on SQLite the one write lock): what the other has under way cannot be written down in time either,
    and what it was about to begin itself is begun when it wakes up, too late to be sent.
    """
    worker.freeze()
    arena.until(lambda: arena.answered(worker))
    left, locked = arena.under_way(worker), arena.holds_on(worker)
    arena.later(STEADY_SECONDS + 0.5)
    other.must_live()
    worker.thaw()
    return 2 * Rules().service_in_flight if locked else left
