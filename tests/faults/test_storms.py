"""The platform storms at one account: the others keep their rate, and the stormed one goes on soon after it is over."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app import clock
from app.states import State
from tests.faults.arena import PATIENT, Arena, Circle
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
    """Accounts with members each, and the storms that strike one of them each; `answer_ms` sets the rate, so that two cores are idle."""

    accounts: int
    members: int
    storms: tuple[str, ...]
    answer_ms: int
    workers: int


SHORT = Size(accounts=3, members=48, storms=("system busy",), answer_ms=100, workers=1)
LONG = Size(accounts=10, members=96, storms=tuple(STORMS), answer_ms=500, workers=2)


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
    _stormed(SHORT, database_url, tmp_path, nursery, seed)


@pytest.mark.long
@pytest.mark.alone
def test_nine_accounts_keep_their_rate_in_a_storm_at_the_tenth_which_recovers(
    database_url: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    assert _stormed(LONG, database_url, tmp_path, nursery, seed).kept >= 0.95


def _stormed(size: Size, database_url: str, tmp_path: Path, nursery: Nursery, seed: int) -> Rates:
    """Calm and storm take turns; each storm strikes another account, whose return is watched while the next round goes on."""
    with Arena(database_url, tmp_path, nursery, seed) as arena:
        circles = [arena.group(arena.account(f"line{number}"), members=size.members) for number in range(size.accounts)]
        spared = circles[len(size.storms) :]
        arena.fault(api=SEND, after_ms=size.answer_ms, times=None)
        workers = tuple(arena.start("worker", environment=PATIENT) for _ in range(size.workers))
        rates, over = Rates(), {}
        for place, storm in enumerate(size.storms):  # whoever was struck is left alone afterwards: five messages are soon used up
            struck = circles[place]
            rates.calm.append(_round(arena, circles[place:], spared, workers))
            arena.fault(api=SEND, appid=struck.line.appid, times=None, name=storm, **STORMS[storm])
            rates.storm.append(_round(arena, circles[place:], spared, workers))
            arena.calm(storm)
            over[storm] = (struck.line.appid, clock.now())
        rates.calm.append(_round(arena, spared, spared, workers))
        arena.drain(*workers)
        assert [worker.stop() for worker in workers] == [0] * size.workers
        calls = arena.ask("GET", "/sandbox/faults/applied")
        report = check(arena, Bounds(unknown=calls.get("system busy", 0) + calls.get("server error", 0)))
        recovered = {storm: _seconds_until_it_sent(arena, *where) for storm, where in over.items()}
        print(f"kept {rates.kept:.3f}: {rates}; calls {calls}; recovered after {recovered}: {report}")
        assert all(calls[storm] < size.members for storm in size.storms), "it kept calling into the storm"
        assert report.states.keys() <= {State.SENT, State.UNKNOWN}
        assert max(recovered.values()) <= RECOVERY
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


def _seconds_until_it_sent(arena: Arena, appid: str, over: datetime) -> float:
    """From the end of a storm until the platform took something of the struck account again."""
    taken = [datetime.fromisoformat(row["at"]) for row in arena.ledger() if row["appid"] == appid]
    return (min(moment for moment in taken if moment >= over) - over).total_seconds()
