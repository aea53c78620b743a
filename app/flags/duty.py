"""Hides who is on call for a course: in which order, and by which ways outside WeChat."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import audit, ids
from app.db import Tx
from app.keyring import Keyring, Place
from app.models import Course, OnCall


def on_call(tx: Tx, course_id: int | None) -> Sequence[Any]:
    """The on-call people of a course in their order."""
    return tx.execute(sa.select(*OnCall.__table__.columns).where(OnCall.course_id == course_id).order_by(OnCall.position)).all()


def add_on_call(
    tx: Tx, keyring: Keyring, course_id: int, *, person_id: int | None, email: str | None, webhook: str | None, now: datetime
) -> int:
    """Put somebody at the end of a course's on-call list; returns the row's id."""
    key_id = tx.execute(sa.select(Course.data_key_id).where(Course.id == course_id)).scalar_one()
    key, row_id = keyring.open(tx, key_id), ids.new_id()
    position = max((each.position for each in on_call(tx, course_id)), default=0) + 1

    def seal(column: str, plain: str | None) -> bytes | None:
        return None if plain is None else key.seal(Place("oncall", column, row_id), plain)

    tx.execute(
        sa.insert(OnCall).values(
            id=row_id,
            course_id=course_id,
            position=position,
            person_id=person_id,
            email_sealed=seal("email_sealed", email),
            webhook_sealed=seal("webhook_sealed", webhook),
        )
    )
    audit.record(tx, now, "operator", "oncall.add", f"course:{course_id}")
    return row_id


def change_webhook(tx: Tx, keyring: Keyring, oncall_id: int, webhook: str) -> None:
    """Send somebody's alerts to another webhook from now on."""
    key_id = tx.execute(
        sa.select(Course.data_key_id).join(OnCall, OnCall.course_id == Course.id).where(OnCall.id == oncall_id)
    ).scalar_one()
    sealed = keyring.open(tx, key_id).seal(Place("oncall", "webhook_sealed", oncall_id), webhook)
    tx.execute(sa.update(OnCall).where(OnCall.id == oncall_id).values(webhook_sealed=sealed))


@dataclass(frozen=True)
class OutsideRoutes:
    """By what one on-call person of a running course is reached outside WeChat."""

    course: str
    position: int
    email: bool
    webhook: bool


def outside_routes(tx: Tx) -> list[OutsideRoutes]:
    """Everybody on call for a course that is not over, by course and position."""
    email, webhook = OnCall.email_sealed.is_not(None), OnCall.webhook_sealed.is_not(None)
    query = sa.select(Course.code, OnCall.position, email, webhook).join(OnCall, OnCall.course_id == Course.id)
    rows = tx.execute(query.where(Course.ended_at.is_(None)).order_by(Course.code, OnCall.position))
    return [OutsideRoutes(code, position, bool(mail), bool(hook)) for code, position, mail, hook in rows]
