"""Hides how the allowance ledger stays true while workers and pushes write it at once: whose rows are held, and in which order.

Whoever changes allowances holds their rows first. A push holds its person, then their allowance, then that person's deliveries; so
nobody who holds a delivery that a push may want (ready, claimed) may wait for an allowance: a claim passes over the rows that are taken.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

import sqlalchemy as sa

from app.channels import Rules
from app.db import Tx
from app.models import Allowance, Delivery, Identity
from app.reach import Traffic


def seize(tx: Tx, account_id: int, delivery_ids: list[int]) -> set[int]:
    """Hold the ledger of these deliveries' people where nobody else does just now; returns the identities that are held."""
    mine = (
        sa.select(Identity.id)
        .join(Delivery, Delivery.person_id == Identity.person_id)
        .where(Delivery.id.in_(delivery_ids), Identity.account_id == account_id)
    )
    rows = sa.select(Allowance.identity_id).where(Allowance.identity_id.in_(mine)).with_for_update(skip_locked=True)
    return set(tx.execute(rows).scalars())


def hold(tx: Tx, identity_ids: Iterable[int]) -> None:
    """Hold the ledger of these identities, waiting for each in one order that is the same for everybody."""
    wanted = sorted(set(identity_ids))
    if wanted:
        rows = sa.select(Allowance.identity_id).where(Allowance.identity_id.in_(wanted))
        tx.execute(rows.order_by(Allowance.identity_id).with_for_update()).all()


def reserve(tx: Tx, traffic: Mapping[int, Traffic]) -> None:
    """Write the held ledger down before the socket is touched: a crash may waste an allowance, never overdraw it."""
    rows = [{"the_identity": identity, "typed": each.typed_left, "tapped": each.tapped_left} for identity, each in traffic.items()]
    if rows:
        tx.execute(
            sa.update(Allowance)
            .where(Allowance.identity_id == sa.bindparam("the_identity"))
            .values(typed_left=sa.bindparam("typed"), tapped_left=sa.bindparam("tapped")),
            rows,
        )


def give_back(tx: Tx, identity_ids: Iterable[int], rules: Rules, now: datetime) -> None:
    """One message for each of these never left this machine, so the allowance of the window that is open was not used."""
    for identity_id in identity_ids:
        for until, left, most in (
            (Allowance.typed_until, Allowance.typed_left, rules.typed_messages),
            (Allowance.tapped_until, Allowance.tapped_left, rules.tapped_messages),
        ):
            tx.execute(sa.update(Allowance).where(Allowance.identity_id == identity_id, until > now, left < most).values({left: left + 1}))
