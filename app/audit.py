"""Hides the audit table: who did what to what, in the transaction it describes; and the operators' alarms."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.db import Tx, upsert
from app.models import Alarm, Audit


def record(tx: Tx, now: datetime, actor: str, action: str, subject: str, **details: Any) -> None:
    """Write one audit row. Only ids and words of our own go in: never a name, an openid or what somebody wrote."""
    tx.execute(sa.insert(Audit).values(at=now, actor=actor, action=action, subject=subject, details=details))


def alarm(tx: Tx, now: datetime, kind: str, subject: str) -> None:
    """Tell the operators; an equal alarm is counted instead of repeated."""
    insert = upsert(tx, Alarm).values(kind=kind, subject=subject, count=1, first_at=now, last_at=now)
    tx.execute(insert.on_conflict_do_update(index_elements=["kind", "subject"], set_={"count": Alarm.count + 1, "last_at": now}))
