"""Hides how a worker shows that it lives: a file for whoever started it, and a row for whoever looks at the database."""

from pathlib import Path

import sqlalchemy as sa

from app.db import Tx, upsert
from app.models import Heartbeat

#: How often a worker says that it lives, and after how many seconds of silence nobody counts it any more.
BEAT_SECONDS, SILENCE_SECONDS = 5.0, 30.0
_FORGOTTEN_SECONDS = 86_400.0


def touch(file: Path | None) -> None:
    """Renew the file's time, where there is one. It needs no database: a worker whose database is away lives."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def beat(tx: Tx, owner: str, machine: float) -> None:
    """Note that this worker lives, and forget those of yesterday."""
    row = upsert(tx, Heartbeat).values(owner=owner, started_at=machine, beat_at=machine)
    tx.execute(row.on_conflict_do_update(index_elements=["owner"], set_={"beat_at": machine}))
    tx.execute(sa.delete(Heartbeat).where(Heartbeat.beat_at < machine - _FORGOTTEN_SECONDS))


def alive(tx: Tx, machine: float) -> int:
    """How many workers live."""
    return tx.execute(sa.select(sa.func.count()).where(Heartbeat.beat_at >= machine - SILENCE_SECONDS)).scalar_one()
