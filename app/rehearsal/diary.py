"""Hides a diary of the stage: a delivery's row says why it stands where it stands now; this says each reason that it ever had, and when.

The throwaway database writes it by itself, so that the program under rehearsal knows nothing of it.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.db import Tx
from app.models import Delivery

_NOTES = sa.table(
    "rehearsal_diary",
    sa.column("delivery_id", sa.BigInteger),
    sa.column("person_id", sa.BigInteger),
    sa.column("reason", sa.String),
    sa.column("at", Delivery.__table__.c.changed_at.type),
)
_KEEP = (
    "CREATE TABLE rehearsal_diary (delivery_id INTEGER NOT NULL, person_id INTEGER NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL)",
    # For the ladder nothing left and too late are one; here it is told apart by the hours since they wrote.
    """
    CREATE TRIGGER rehearsal_notes AFTER UPDATE OF state, reason ON deliveries
    WHEN new.reason <> '' AND (new.reason <> old.reason OR new.state <> old.state)
    BEGIN
        INSERT INTO rehearsal_diary SELECT new.id, new.person_id, CASE WHEN new.reason = 'window_closed' AND EXISTS (
            SELECT 1 FROM allowances AS a JOIN identities AS i ON i.id = a.identity_id
            WHERE i.person_id = new.person_id AND a.typed_until > new.changed_at
        ) THEN 'allowance_used' ELSE new.reason END, new.changed_at;
    END""",
)


@dataclass(frozen=True)
class Note:
    """A delivery came to stand somewhere, for this reason."""

    delivery_id: int
    person_id: int
    reason: str
    at: datetime


def keep(tx: Tx) -> None:
    """Begin to keep it, in an empty SQLite database."""
    for words in _KEEP:
        tx.exec_driver_sql(words)


def read(tx: Tx) -> list[Note]:
    """All of it, in its order."""
    return [Note(*row) for row in tx.execute(sa.select(*_NOTES.c))]
