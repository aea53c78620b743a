"""Hides what becomes of somebody's practice when they leave or are erased, and what they may have of it for themselves."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import broadcasts
from app.db import Tx
from app.keyring import Keyring, Place
from app.models import Broadcast, CheckIn, Course, PracticeHour
from bots.turns import OccasionKind


def withdraw(tx: Tx, person_id: int, now: datetime, *, erase: bool) -> None:
    """The person leaves: their lines go, and what they shared is taken back where it has not left.

    Day, practice and minutes stay under their number, for the study; with `erase` nothing stays.
    """
    mine = CheckIn.person_id == person_id
    for broadcast_id in tx.execute(_told(person_id)).scalars().all():
        broadcasts.cancel(tx, broadcast_id, "withdrew", now)
    tx.execute(sa.update(Broadcast).where(Broadcast.id.in_(_told(person_id))).values(details_sealed=b""))
    if erase:
        tx.execute(sa.delete(CheckIn).where(mine))
    else:
        tx.execute(sa.update(CheckIn).where(mine).values(line_sealed=None, shared_at=None))
    tx.execute(sa.delete(PracticeHour).where(PracticeHour.person_id == person_id))


def _told(person_id: int) -> "sa.Select[int]":
    """The messages by which somebody shared with their group."""
    return sa.select(Broadcast.id).where(Broadcast.author_id == person_id, Broadcast.kind == OccasionKind.SHARED.value)


def export(tx: Tx, keyring: Keyring, person_id: int, key_id: int) -> dict[str, Any]:
    """Everything that is stored of somebody's practice, readable, for themself."""
    columns = (CheckIn.id, CheckIn.day, CheckIn.practice, CheckIn.minutes, CheckIn.shared_at, CheckIn.told_at, CheckIn.line_sealed)
    query = sa.select(Course.code.label("course"), *columns).join(Course, Course.id == CheckIn.course_id)
    found = []
    for row in tx.execute(query.where(CheckIn.person_id == person_id).order_by(CheckIn.day, CheckIn.id)).all():
        line = keyring.unseal(tx, key_id, Place("check_ins", "line_sealed", row.id), row.line_sealed)
        kept = {name: getattr(row, name) for name in ("course", "day", "practice", "minutes", "shared_at", "told_at")}
        found.append({**kept, "line": line})
    hour = tx.execute(sa.select(PracticeHour.hour).where(PracticeHour.person_id == person_id)).scalar_one_or_none()
    return {"hour": hour, "check_ins": found}
