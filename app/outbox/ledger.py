"""Hides how the allowance ledger stays true while workers and pushes write it at once: whose rows are held, and in which order.

Whoever changes allowances holds their rows first. A push holds its person, then their allowance, then that person's deliveries; so
nobody who holds a delivery that a push may want (ready, claimed) may wait for an allowance: a claim passes over the rows that are taken.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.channels import Rules
from app.db import Tx
from app.models import Allowance
from app.outbox import batches

#: Step by step, and no step is merged with the next: where PostgreSQL takes its tables for empty (it counted them while thousands of rows
#: were being written), it would else look up every person's delivery for each identity, and claim nothing for a minute.
_SEIZE = batches.statement(
    """
    WITH due AS MATERIALIZED (SELECT person_id FROM deliveries WHERE id $ids),
        theirs AS MATERIALIZED (
            SELECT i.id FROM due JOIN identities AS i ON i.person_id = due.person_id AND i.account_id = :account_id)
    SELECT a.identity_id FROM allowances AS a
    WHERE a.identity_id IN (SELECT id FROM theirs)
    $free""",
    Allowance.identity_id,
)


def seize(tx: Tx, account_id: int, delivery_ids: list[int]) -> set[int] | None:
    """Hold the ledger of these deliveries' people where nobody else does just now; returns the identities that are held.

    None: all of them, because SQLite has one writer, and that is us.
    """
    if tx.dialect.name == "sqlite":
        return None
    return {row.identity_id for row in _SEIZE.all(tx, ids=delivery_ids, account_id=account_id)}


def hold(tx: Tx, identity_ids: Iterable[int]) -> None:
    """Hold the ledger of these identities, waiting for each in one order that is the same for everybody."""
    wanted = sorted(set(identity_ids))
    if wanted:
        rows = sa.select(Allowance.identity_id).where(Allowance.identity_id.in_(wanted))
        tx.execute(rows.order_by(Allowance.identity_id).with_for_update()).all()


class Reserved(NamedTuple):
    """What one message takes of its person's ledger before it leaves."""

    identity_id: int
    window: bool  # one of the messages that the person's own actions allow
    day: date | None  # one of those that we start on this local day; None: it counts for no day


def reserve(tx: Tx, each: Iterable[Reserved]) -> None:
    """Write down what goes to each identity before the socket is touched: a crash may waste an allowance, never overdraw it.

    Their rows must be held. Whoever gets the same is written in one statement.
    """
    used, started, days = Counter[int](), Counter[int](), dict[int, date]()
    for identity_id, window, day in each:
        used[identity_id] += window
        if day is not None:
            started[identity_id] += 1
            days[identity_id] = max(day, days.get(identity_id, day))
    same: dict[tuple[int, int, date | None], list[int]] = {}
    for identity_id, times in used.items():
        same.setdefault((times, started[identity_id], days.get(identity_id)), []).append(identity_id)
    for (times, counted, day), identities in same.items():
        if times or counted:
            batches.reserve(tx, identities, times, counted, day)


def give_back(tx: Tx, each: Iterable[Reserved], rules: Rules, now: datetime) -> None:
    """These messages never came to anybody, so neither the window that is open nor the day has one less.

    A day that has passed meanwhile gets nothing back: what counts is the next one.
    """
    for identity_id, window, day in each:
        values: dict[str, Any] = {}
        if window:
            values["typed_left"] = _one_more(Allowance.typed_until, Allowance.typed_left, rules.typed_messages, now)
            values["tapped_left"] = _one_more(Allowance.tapped_until, Allowance.tapped_left, rules.tapped_messages, now)
        if day is not None:
            counted = sa.and_(Allowance.started_on == day, Allowance.started > 0)
            values["started"] = sa.case((counted, Allowance.started - 1), else_=Allowance.started)
        if values:
            tx.execute(sa.update(Allowance).where(Allowance.identity_id == identity_id).values(values))


def _one_more(until: Any, left: Any, most: int, now: datetime) -> Any:
    return sa.case((sa.and_(until > now, left < most), left + 1), else_=left)
