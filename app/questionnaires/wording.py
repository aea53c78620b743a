"""Hides the wordings that studies brought, as rows: stored once and never changed; the newest of an instrument is what is asked next."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from app import audit, ids
from app.db import Tx
from app.errors import Invalid
from app.models import Wording
from bots.questionnaire.instrument import Instrument
from bots.texts import LANGUAGES

if TYPE_CHECKING:  # it reads spreadsheets, and no server waits for what reads spreadsheets
    from app.questionnaires.brought import Brought


@dataclass(frozen=True)
class Frozen:
    """A wording that is stored. `new`: by this import; `used`: the next wave asks in these words."""

    id: int
    instrument: str
    version: int
    languages: tuple[str, ...]
    source: str
    permission: str
    translation: str
    checksum: str
    imported_at: datetime
    used: bool
    new: bool = False


def freeze(tx: Tx, brought: "Brought", now: datetime, *, actor: str = "operator") -> Frozen:
    """Store a wording for good; the same once more changes nothing. Raises `Invalid` where the file has a problem."""
    instrument = brought.instrument
    if brought.errors or instrument is None:
        raise Invalid("wording", f"Nothing was imported: {len(brought.errors)} problems; mend them and try again.")
    there = _find(tx, Wording.instrument == instrument.code, Wording.version == instrument.version, Wording.checksum == brought.checksum)
    if there:
        return there[0]
    wording_id = ids.new_id()
    tx.execute(
        sa.insert(Wording).values(
            id=wording_id,
            instrument=instrument.code,
            version=instrument.version,
            words=dict(brought.words),
            source=brought.source,
            permission=brought.permission,
            translation=brought.translation,
            checksum=brought.checksum,
            imported_at=now,
        )
    )
    audit.record(tx, now, actor, "wording.import", f"wording:{wording_id}", instrument=instrument.code, checksum=brought.checksum)
    return replace(_find(tx, Wording.id == wording_id)[0], new=True)


def every(tx: Tx) -> list[Frozen]:
    """Every wording that was brought: by instrument, the one that the next wave uses first."""
    return _find(tx)


def newest(tx: Tx, instrument: Instrument) -> int | None:
    """The wording in which this instrument is asked from now on; None: in the words of its file."""
    return tx.execute(_newest(instrument.code, instrument.version)).scalar_one_or_none()


#: A wording beside the one that a query is about.
_ONE = aliased(Wording)


def _newest(code: Any, version: Any) -> "sa.Select[int]":
    mine = sa.select(_ONE.id).where(_ONE.instrument == code, _ONE.version == version)
    return mine.order_by(_ONE.imported_at.desc(), _ONE.id.desc()).limit(1)


def _find(tx: Tx, *conditions: Any) -> list[Frozen]:
    used = Wording.id == _newest(Wording.instrument, Wording.version).scalar_subquery()
    query = sa.select(*Wording.__table__.columns, used.label("used")).where(*conditions)
    rows = tx.execute(query.order_by(Wording.instrument, Wording.version.desc(), Wording.imported_at.desc(), Wording.id.desc()))
    return [
        Frozen(
            row.id,
            row.instrument,
            row.version,
            tuple(language for language in LANGUAGES if language in row.words),
            row.source,
            row.permission,
            row.translation,
            row.checksum,
            row.imported_at,
            bool(row.used),
        )
        for row in rows
    ]
