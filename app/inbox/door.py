"""Hides a push at the door: what comes in, what goes back, and where a push is put that nobody could handle."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from app import audit, ids
from app.channels import LinkMaker, Push
from app.db import Tx
from app.keyring import Place
from app.models import Account, Quarantined
from app.situation import Tools


@dataclass(frozen=True)
class Late:
    """A push that waited in the spool: when it came, whether safety answered it then, and how the words of a stored reply are read."""

    received_at: datetime
    answered: bool
    words_of: Callable[[bytes], str]
    row_id: int  # under which it is kept if it cannot be handled, once, however often it is replayed


@dataclass(frozen=True)
class Incoming:
    """A push at the door, and what is needed to answer it on its channel."""

    account_id: int
    push: Push = field(repr=False)
    write_reply: Callable[[str], bytes]
    split: Callable[[str, int], list[str]]
    link_for: Callable[[int], LinkMaker]
    late: Late | None = None  # nobody waits for the answer any more: it goes out as a message of its own


@dataclass(frozen=True)
class Taken:
    """What to answer: the finished plain reply, or None for a bare `success`. `rides`: deliveries went along with it."""

    inbox_id: int
    reply: bytes | None = field(repr=False)
    rides: bool = False


def quarantine(
    tx: Tx, tools: Tools, account_id: int, reason: str, raw: bytes, now: datetime, person_id: int | None = None, row_id: int | None = None
) -> None:
    """Keep a push that could not be handled, sealed, and tell the operators. `person_id`: whose it is, as far as that is known.

    With `row_id` it is kept once, however often it comes from the spool.
    """
    if row_id is not None and tx.execute(sa.select(Quarantined.id).where(Quarantined.id == row_id)).first() is not None:
        return
    row_id = row_id or ids.new_id()
    key_id = tx.execute(sa.select(Account.data_key_id).where(Account.id == account_id)).scalar_one()
    sealed = tools.keyring.open(tx, key_id).seal(Place("quarantine", "raw_sealed", row_id), raw)
    tx.execute(
        sa.insert(Quarantined).values(
            id=row_id, account_id=account_id, person_id=person_id, reason=reason[:60], raw_sealed=sealed, received_at=now
        )
    )
    audit.alarm(tx, now, "quarantine", reason[:60])
