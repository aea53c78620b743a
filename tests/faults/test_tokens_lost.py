"""The access token dies every two seconds under a broadcast of several processes: each death costs one refresh, and no message."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.db import Tx
from app.models import Alarm, Delivery
from app.states import State
from tests.faults.arena import PATIENT, Arena
from tests.faults.checker import Bounds, check
from tests.faults.processes import Nursery

SECONDS = 2.0  # from one death of the token to the next


@dataclass(frozen=True)
class Size:
    """How many sends by how many processes; the platform answers after `answer_ms`, which sets how long it takes."""

    members: int
    processes: int
    answer_ms: int


SHORT = Size(members=600, processes=2, answer_ms=160)
LONG = Size(members=5_000, processes=4, answer_ms=160)


def test_a_token_that_dies_every_two_seconds_costs_one_refresh_each_time(
    database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    _rotated(SHORT, database_url, tmp_path, nursery, seed)


@pytest.mark.long
def test_four_processes_and_five_thousand_sends_survive_a_token_that_dies_every_two_seconds(
    database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    _rotated(LONG, database_url, tmp_path, nursery, seed)


def _rotated(size: Size, database_url: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    with Arena(database_url, tmp_path, nursery, seed) as arena:
        line = arena.account("dawn")
        circle = arena.group(line, members=size.members)
        # Its answer is late, not its look at the token: what is refused is refused at once, as by the platform's own front.
        arena.fault(api="message/custom/send", after_ms=size.answer_ms, times=None)
        workers = [arena.start("worker", environment=PATIENT) for _ in range(size.processes)]
        arena.announce(circle)
        arena.until(lambda: arena.settled() > 0, living=tuple(workers))
        arena.ask("PATCH", f"/sandbox/accounts/{line.appid}", {"rotate_every": SECONDS})
        arena.drain(*workers)
        arena.ask("PATCH", f"/sandbox/accounts/{line.appid}", {"rotate_every": None})
        rotations = next(each["rotations"] for each in arena.ask("GET", "/sandbox/accounts"))
        assert [worker.stop() for worker in workers] == [0] * size.processes
        calls = arena.calls(line)
        report = check(arena, Bounds(unknown=0))
        refreshes = sum(calls["stable_token"].values())
        assert report.states == {State.SENT: size.members}
        assert arena.read(_most_attempts) == 1, "a message was begun twice because of a token"
        assert "account_broken" not in arena.read(_alarms)
        assert rotations >= 2, "the token never died"
        refused = arena.calls()["message/custom/send"]["40001"]  # by a token that is nobody's any more
        assert refused >= rotations - 1, "nobody noticed that the token had died"
        assert refreshes <= rotations + 1
        print(f"{rotations} deaths, {refused} refusals, {refreshes} refreshes, {calls['message/custom/send']}")


def _most_attempts(tx: Tx) -> int:
    return int(tx.execute(sa.select(sa.func.max(Delivery.attempts))).scalar_one())


def _alarms(tx: Tx) -> set[str]:
    return set(tx.execute(sa.select(Alarm.kind)).scalars())
