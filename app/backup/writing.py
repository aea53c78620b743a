"""Takes a consistent copy of a database while others write to it, and of its erasure list alone."""

from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import migrations
from app.backup import files, rows
from app.backup.files import Contents, Sink
from app.db import Database, Tx
from app.models import DataKey, Erasure
from app.sealing import Vault

ERASURES = "erasures"


def backup(database: Database, vault: Vault, path: Path, now: datetime) -> Contents:
    """Write everything, as it stood at one moment, to a file, whichever revision that is. Raises `Conflict`, `Invalid` or `Unavailable`."""

    def fill(tx: Tx, sink: Sink) -> None:
        for table in rows.tables_of(tx):
            sink.table(table.name, rows.columns_of(table), rows.dump(tx, table))

    def work(tx: Tx) -> Contents:
        _stand_still(tx)
        versions = tx.execute(sa.select(DataKey.master_version).where(DataKey.wrapped.is_not(None)).distinct()).scalars()
        about = _about("backup", vault, set(versions), now, migrations.standing(tx) or "")
        return files.write(path, vault, about, lambda sink: fill(tx, sink))

    return database.read_now(work)


def export_erasures(database: Database, vault: Vault, path: Path, now: datetime) -> int:
    """Add the erasures of the database to the list in a file; returns how many it holds then. It never gets shorter: a restored database
    may know of fewer than the file does.
    """
    known = {each["data_key_id"]: each for each in erasures_in(path, vault)} if path.exists() else {}
    listed = database.read_now(erasures_of)
    known |= {each["data_key_id"]: each for each in listed}
    table: Any = Erasure.__table__
    columns = rows.columns_of(table)
    lines = [[number, each["person_id"], each["data_key_id"], each["at"].isoformat()] for number, each in enumerate(known.values(), 1)]
    files.write(path, vault, _about(ERASURES, vault, set(), now), lambda sink: sink.table(ERASURES, columns, lines), over=True)
    return len(lines)


def erasures_of(tx: Tx) -> list[dict[str, Any]]:
    """Who was erased, according to a database: person_id, data_key_id, at."""
    query = sa.select(Erasure.person_id, Erasure.data_key_id, Erasure.at).order_by(Erasure.id)
    return [{"person_id": row.person_id, "data_key_id": row.data_key_id, "at": row.at} for row in tx.execute(query)]


def erasures_in(path: Path, vault: Vault) -> list[dict[str, Any]]:
    """Who was erased, according to an erasure list or to a backup. Raises `Invalid`."""
    with files.opened(path, vault) as archive:
        names = [column for column, _ in archive.contents.tables[ERASURES].columns]
        found = [dict(zip(names, line, strict=True)) for line in archive.rows(ERASURES)]
    return [{"person_id": e["person_id"], "data_key_id": e["data_key_id"], "at": datetime.fromisoformat(e["at"])} for e in found]


def _stand_still(tx: Tx) -> None:
    """From here on this transaction sees the database as it is now. SQLite's does so from its first look."""
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _about(kind: str, vault: Vault, master_keys: set[int], now: datetime, revision: str = "") -> Contents:
    index_key, masters = files.marks(vault, master_keys)
    return Contents(kind, revision or migrations.head(), now, index_key, masters, {})
