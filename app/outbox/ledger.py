"""Hides how the allowance ledger stays true while workers and pushes write it at once: whose rows are held, and in which order.

Whoever changes allowances holds their rows first. A push holds its person, then their allowance, then that person's deliveries; so
nobody who holds a delivery that a push may want (ready, claimed) may wait for an allowance: a claim passes over the rows that are taken.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

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


def reserve(tx: Tx, used: Mapping[int, int]) -> None:
    """Write down how many messages go to each identity before the socket is touched: a crash may waste an allowance, never overdraw it.

    Their rows must be held.
    """
    for times in set(used.values()):
        batches.reserve(tx, [identity for identity, count in used.items() if count == times], times)


def give_back(tx: Tx, identity_ids: Iterable[int], rules: Rules, now: datetime) -> None:
    """One message for each of these never left this machine, so the allowance of the window that is open was not used."""
    for identity_id in identity_ids:
        for until, left, most in (
            (Allowance.typed_until, Allowance.typed_left, rules.typed_messages),
            (Allowance.tapped_until, Allowance.tapped_left, rules.tapped_messages),
        ):
            tx.execute(sa.update(Allowance).where(Allowance.identity_id == identity_id, until > now, left < most).values({left: left + 1}))
