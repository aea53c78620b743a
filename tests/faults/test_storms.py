"""The platform storms at one account: the others keep their rate, and the stormed one goes on soon after it is over."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.states import State
from tests.faults.arena import Arena, Circle
from tests.faults.checker import Bounds, check
from tests.faults.processes import Nursery, Process

SEND = "message/custom/send"
#: What the platform answers in a storm, none of it with the thing done.
STORMS: dict[str, dict[str, Any]] = {
    "day quota": {"errcode": 45009},
    "minute quota": {"errcode": 45011},
    "system busy": {"errcode": -1},
    "server error": {"status": 502, "body": "<html>", "undone": True},
}
#: Seconds after a storm within which the account sends again.
RECOVERY = 60.0


@dataclass(frozen=True)
class Size:
    """Accounts with members each, and how often calm and storm take turns; `answer_ms` sets the rate, so that two cores are idle."""

    accounts: int
    members: int
    rounds: int
    answer_ms: int
    workers: int


SHORT = Size(accounts=3, members=48, rounds=1, answer_ms=100, workers=1)
LONG = Size(accounts=10, members=96, rounds=3, answer_ms=500, workers=2)


@dataclass
class Rates:
    """Messages a second of the accounts that no storm strikes, round by round."""

    calm: list[float] = field(default_factory=list)
    storm: list[float] = field(default_factory=list)

    @property
    def kept(self) -> float:
        return statistics.median(self.storm) / statistics.median(self.calm)


def test_a_storm_at_one_account_leaves_the_others_alone(database_url: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    """How much of their rate they keep is measured where nothing else runs, by the long form; here, that none of theirs waits."""
    _stormed("system busy", SHORT, database_url, tmp_path, nursery, seed)


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize("storm", STORMS)
def test_nine_accounts_keep_their_rate_in_a_storm_at_the_tenth_which_recovers(
    storm: str, database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    rates = _stormed(storm, LONG, database_url, tmp_path, nursery, seed)
    assert rates.kept >= 0.95, f"{rates}"


def _stormed(storm: str, size: Size, database_url: str, tmp_path: Path, nursery: Nursery, seed: int) -> Rates:
    with Arena(database_url, tmp_path, nursery, seed) as arena:
        lines = [arena.account(f"line{number}") for number in range(size.accounts)]
        circles = [arena.group(line, members=size.members) for line in lines]
        arena.fault(api=SEND, after_ms=size.answer_ms, times=None)
        workers = tuple(arena.start("worker") for _ in range(size.workers))
        rates = Rates()
        for _ in range(size.rounds):
            rates.calm.append(_round(arena, circles, circles[1:], workers))
            arena.drain(*workers)
            arena.fault(api=SEND, appid=lines[0].appid, times=None, name="storm", **STORMS[storm])
            rates.storm.append(_round(arena, circles, circles[1:], workers))
        struck = arena.ask("GET", "/sandbox/faults/applied")["storm"]
        recovered = _recovers(arena, circles[0], workers)
        arena.drain(*workers)
        assert [worker.stop() for worker in workers] == [0] * size.workers
        report = check(arena, Bounds(unknown=struck))
        assert struck < size.members * size.rounds, "it kept calling into the storm"
        assert report.states.keys() <= {State.SENT, State.UNKNOWN}
        print(f"{storm}: kept {rates.kept:.3f} of {rates.calm}, {struck} calls into the storm, recovered after {recovered:.1f} s: {report}")
        return rates


def _round(arena: Arena, circles: list[Circle], spared: list[Circle], workers: tuple[Process, ...]) -> float:
    """One announcement to each account; how fast it went out to those that are spared, each from its first to its last message."""
    before = len(arena.ledger())
    for circle in circles:
        arena.touch(circle)
        arena.announce(circle)
    whole = sum(len(circle.openids) for circle in spared)
    wanted = {circle.line.appid for circle in spared}
    arena.until(lambda: sum(row["appid"] in wanted for row in arena.ledger(before)) >= whole, living=workers)
    moments: dict[str, list[datetime]] = defaultdict(list)
    for row in arena.ledger(before):
        if row["appid"] in wanted:
            moments[row["appid"]].append(datetime.fromisoformat(row["at"]))
    return statistics.median(len(times) / (max(times) - min(times)).total_seconds() for times in moments.values())


def _recovers(arena: Arena, circle: Circle, workers: tuple[Process, ...]) -> float:
    """End the storm; seconds until the platform takes something of the stormed account again."""
    before = len(arena.ledger())
    arena.calm("storm")
    began = arena.seconds()
    arena.until(lambda: any(row["appid"] == circle.line.appid for row in arena.ledger(before)), RECOVERY, living=workers)
    return arena.seconds() - began
