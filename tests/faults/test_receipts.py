"""Receipts that come early, late, twice or never, to a web process that dies while it applies them: each that was taken counts once."""

from collections import Counter
from pathlib import Path

import sqlalchemy as sa

from app.db import Tx
from app.models import Delivery, Receipt
from app.states import State
from tests.faults.arena import Arena
from tests.faults.checker import Bounds, check
from tests.faults.processes import Nursery

MEMBERS, HITS = 20, 3
#: What becomes of the receipts of one account: how often each comes, after how many seconds, and how late its own call is answered.
WAYS = {"early": (1, 0.0, 400), "late": (1, 1.0, 0), "twice": (2, 0.1, 0), "never": (0, 0.1, 0)}


def test_receipts_of_every_kind_count_once_whoever_dies(database_url: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    with Arena(database_url, tmp_path, nursery, seed) as arena:
        for name, (copies, after, answer_ms) in WAYS.items():
            line = arena.account(name, notices=True)
            arena.ask("PATCH", f"/sandbox/accounts/{line.appid}", {"receipt_copies": copies, "receipt_after": after})
            arena.fault(api="message/template/send", appid=line.appid, after_ms=answer_ms, times=None)
            arena.announce(arena.group(line, members=MEMBERS, typed=False))
        web = arena.start("web", points={"CP12": arena.chance.randint(1, 5)})
        worker = arena.start("worker")
        for _ in range(HITS - 1):
            arena.crashed(web)
            web = arena.start("web", points={"CP12": arena.chance.randint(1, 5)})
        arena.crashed(web)
        web = arena.start("web")
        arena.drain(worker, web)
        arena.until(lambda: not _on_the_way(arena), living=(worker, web))
        assert (worker.stop(), web.stop()) == (0, 0)
        report = check(arena, Bounds(unknown=0))
        assert report.states == {State.NOTIFIED: MEMBERS * len(WAYS)}
        receipts, acknowledged = arena.read(_receipts), _acknowledged(arena)
        assert max(receipts.values()) == 1
        assert len(acknowledged) >= HITS
        assert acknowledged <= receipts.keys(), "a receipt was acknowledged and is not there"
        assert arena.read(_unapplied) == 0
        print(f"{receipts.total()} receipts applied, {len(acknowledged)} acknowledged, {arena.kills} crashes: {report}")


def _on_the_way(arena: Arena) -> int:
    return sum(each["outcome"] == "pending" for each in arena.ask("GET", "/sandbox/pushes"))


def _acknowledged(arena: Arena) -> set[str]:
    """The numbers of the receipts that got a 200; each person here got one notice."""
    answered = {each["openid"] for each in arena.ask("GET", "/sandbox/pushes") if each["outcome"] == "ignored"}
    return {str(row["msgid"]) for row in arena.ledger() if row["openid"] in answered}


def _receipts(tx: Tx) -> "Counter[str]":
    return Counter(tx.execute(sa.select(Receipt.msgid)).scalars())


def _unapplied(tx: Tx) -> int:
    """Receipts that wait for ever, and deliveries that say less than their receipt did."""
    waiting = sa.select(sa.func.count()).select_from(Receipt).where(Receipt.applied_at.is_(None))
    told = sa.select(sa.func.count()).select_from(Delivery).where(Delivery.reason == "receipt")
    all_of_them = sa.select(sa.func.count()).select_from(Receipt)
    numbers = [int(tx.execute(query).scalar_one()) for query in (waiting, all_of_them, told)]
    return numbers[0] + numbers[1] - numbers[2]
