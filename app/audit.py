"""Hides the audit table: who did what to what, in the transaction it describes; and the operators' alarms."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.db import Tx, upsert
from app.db.prepared import Prepared, slot
from app.models import Alarm, Audit

_WRITTEN = ("at", "actor", "action", "subject", "details")
_RECORD = Prepared(lambda _: [sa.insert(Audit).values({name: slot(name) for name in _WRITTEN})])


def record(tx: Tx, now: datetime, actor: str, action: str, subject: str, **details: Any) -> None:
    """Write one audit row. Only ids and words of our own go in: never a name, an openid or what somebody wrote.

    But for one: why somebody took the answers of a course away, for which they are asked to write no name.
    """
    _RECORD.run(tx, at=now, actor=actor, action=action, subject=subject, details=details)


def actor(person_id: int | None) -> str:
    """As whom an audit row names somebody; None: the operator."""
    return "operator" if person_id is None else f"person:{person_id}"


def alarm(tx: Tx, now: datetime, kind: str, subject: str) -> None:
    """Tell the operators; an equal alarm is counted instead of repeated."""
    insert = upsert(tx, Alarm).values(kind=kind, subject=subject, count=1, first_at=now, last_at=now)
    tx.execute(insert.on_conflict_do_update(index_elements=["kind", "subject"], set_={"count": Alarm.count + 1, "last_at": now}))


#: An alarm that goes on is told again after this long.
TOLD_AGAIN = timedelta(hours=1)


def untold(tx: Tx, now: datetime) -> Sequence[Any]:
    """Alarms (id, kind, subject, count, last_at) that the operators have not been told of since they last went off."""
    fresh = sa.and_(Alarm.last_at > Alarm.told_at, Alarm.told_at < now - TOLD_AGAIN)
    columns = (Alarm.id, Alarm.kind, Alarm.subject, Alarm.count, Alarm.last_at)
    return tx.execute(sa.select(*columns).where(sa.or_(Alarm.told_at.is_(None), fresh)).order_by(Alarm.id).limit(50)).all()


def told(tx: Tx, alarm_ids: list[int], now: datetime) -> None:
    """The operators have been told of these."""
    tx.execute(sa.update(Alarm).where(Alarm.id.in_(alarm_ids)).values(told_at=now))


def alarms(tx: Tx, since: datetime) -> Sequence[Any]:
    """Every alarm (kind, subject, count, first_at, last_at) that went off since then, newest first."""
    columns = (Alarm.kind, Alarm.subject, Alarm.count, Alarm.first_at, Alarm.last_at)
    return tx.execute(sa.select(*columns).where(Alarm.last_at >= since).order_by(Alarm.last_at.desc())).all()
