"""Hides how alerts that leave by mail or webhook are claimed, opened, and written down as done, failed or to be tried again."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import audit
from app.db import Tx
from app.keyring import Keyring, Place, Unreadable
from app.models import Alert, Course, Flag, OnCall
from app.people import names

_TRIES = 5
_LEASE_SECONDS = 60.0


@dataclass(frozen=True)
class OutsideAlert:
    """One alert that leaves by mail or webhook."""

    id: int
    route: str
    address: str = field(repr=False)
    details: dict[str, Any] = field(repr=False)
    flag: int = 0


def claim_alerts(tx: Tx, keyring: Keyring, now: datetime, machine: float, most: int = 10) -> list[OutsideAlert]:
    """Alerts by mail and webhook that are due, leased to the caller. One whose address does not open has failed and holds up no other."""
    rows = tx.execute(
        sa.select(
            Alert.id,
            Alert.route,
            Alert.step,
            Alert.flag_id,
            OnCall.id.label("oncall_id"),
            OnCall.email_sealed,
            OnCall.webhook_sealed,
            OnCall.course_id,
        )
        .join(OnCall, OnCall.id == Alert.oncall_id)
        .where(
            Alert.route != "chat",
            Alert.due_at <= now,
            sa.or_(Alert.state == "ready", sa.and_(Alert.state == "sending", Alert.lease_until < machine)),
        )
        .order_by(Alert.id)
        .limit(most)
        .with_for_update(skip_locked=True, of=Alert)
    ).all()
    tx.execute(
        sa.update(Alert)
        .where(Alert.id.in_([row.id for row in rows]))
        .values(state="sending", lease_until=machine + _LEASE_SECONDS, tries=Alert.tries + 1)
    )
    opened = [_opened(tx, keyring, row, now) for row in rows]
    return [alert for alert in opened if alert is not None]


def alert_done(tx: Tx, alert_id: int, error: str | None, now: datetime) -> None:
    """Write down how an outside alert went; a failed one is tried again a minute later, five times, and alarms the operators.

    What failed after somebody had taken over is not tried again.
    """
    if error is None:
        tx.execute(sa.update(Alert).where(Alert.id == alert_id).values(state="sent", error=None))
        return
    alert = tx.execute(sa.select(Alert.tries, Alert.flag_id).where(Alert.id == alert_id)).one()
    # Held, so that whoever takes over at this moment cancels it afterwards.
    taken = sa.select(Flag.acknowledged_at).where(Flag.id == alert.flag_id).with_for_update(read=True)
    taken_at = tx.execute(taken).scalar_one_or_none()
    state = "cancelled" if taken_at is not None else "failed" if alert.tries >= _TRIES else "ready"
    tx.execute(sa.update(Alert).where(Alert.id == alert_id).values(state=state, error=error[:100], due_at=now + timedelta(minutes=1)))
    audit.alarm(tx, now, "alert_failed", f"alert:{error[:40]}")


def _opened(tx: Tx, keyring: Keyring, row: Any, now: datetime) -> OutsideAlert | None:
    try:
        return _outside(tx, keyring, row)
    except Unreadable:
        error = f"{row.route}: unreadable"
        tx.execute(sa.update(Alert).where(Alert.id == row.id).values(state="failed", error=error, lease_until=None))
        audit.alarm(tx, now, "alert_failed", f"alert:{error}")
        return None


def _outside(tx: Tx, keyring: Keyring, row: Any) -> OutsideAlert:
    key_id = tx.execute(sa.select(Course.data_key_id).where(Course.id == row.course_id)).scalar_one()
    column = "email_sealed" if row.route == "email" else "webhook_sealed"
    sealed = row.email_sealed if row.route == "email" else row.webhook_sealed
    address = keyring.open(tx, key_id).unseal(Place("oncall", column, row.oncall_id), sealed)
    flag = tx.execute(sa.select(*Flag.__table__.columns).where(Flag.id == row.flag_id)).one()
    course = tx.execute(sa.select(Course.title).where(Course.id == flag.course_id)).scalar_one_or_none() or ""
    person = names(tx, keyring, [flag.person_id]).get(flag.person_id)
    details = {"flag": str(flag.number), "course": course, "person": person, "rule": flag.rule, "when": flag.raised_at, "step": row.step}
    return OutsideAlert(row.id, row.route, address, details, flag.id)
