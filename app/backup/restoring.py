"""Puts a backup back into a database of either kind, in one transaction: it is all there and held, or nothing has changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DataError, IntegrityError

import migrations
from app.backup import aftermath, files, rows, writing
from app.backup.aftermath import Aftermath
from app.backup.files import Archive, Contents
from app.db import Tx, alone
from app.errors import AppError, Conflict, Invalid, Unavailable
from app.keyring import Keyring
from app.models import Table
from migrations import running

#: What living processes write of themselves: those of the backup are not these.
_OF_PROCESSES = frozenset({"heartbeats"})


@dataclass(frozen=True)
class Restored:
    """What was put back, and what was done so that nothing of it goes out by itself."""

    contents: Contents
    after: Aftermath


def check(path: Path, keyring: Keyring) -> Contents:
    """Read a file through without touching a database. Raises `Invalid` where it could not be restored."""
    with files.opened(path, keyring.vault) as archive:
        _refuse_what_is_no_backup(archive.contents)
        archive.read_through()
        return archive.contents


def restore(url: str, keyring: Keyring, path: Path, now: datetime, *, replace: bool, erasures: Path | None) -> Restored:
    """Put a backup into the database at `url`. `erasures`: a list, or a later backup, of who was erased since.

    Raises `Conflict` (rows are there and `replace` is not said; somebody works on it), `Invalid` (the file) or `Unavailable`.
    """
    listed = [] if erasures is None else writing.erasures_in(erasures, keyring.vault)
    with files.opened(path, keyring.vault) as archive:
        _refuse_what_is_no_backup(archive.contents)
        place = migrations.sqlite_path(url)
        if place is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
        try:
            return alone(url, lambda tx: _restore(tx, keyring, archive, listed, now, replace=replace))
        except Unavailable as away:
            raise _in_use() if _is_locked(away) else away from None
        except (IntegrityError, DataError):
            raise _loose_ends() from None


def _restore(tx: Tx, keyring: Keyring, archive: Archive, listed: Sequence[dict[str, Any]], now: datetime, *, replace: bool) -> Restored:
    contents = archive.contents
    _refuse_while_in_use(tx)
    before = _clear(tx, replace=replace)
    running.upgrade_within(tx, contents.revision)
    for name, table in contents.tables.items():
        if name in _OF_PROCESSES:
            continue
        rows.load(tx, name, table, archive.rows(name))
    _count_on(tx, contents)
    running.upgrade_within(tx)
    _refuse_loose_ends(tx)
    return Restored(contents, aftermath.hold_everything(tx, keyring, [*before, *listed], contents.created_at, now))


def _refuse_what_is_no_backup(contents: Contents) -> None:
    if contents.kind != "backup":
        raise Invalid("kind", "This is a list of erasures, not a backup; `tongban erasures apply` takes it.")
    if contents.revision not in migrations.known():
        raise Invalid(
            "revision", f"This backup stands at revision {contents.revision}, which this program does not know; install a newer Tongban."
        )


def _refuse_while_in_use(tx: Tx) -> None:
    """SQLite's file is ours alone by now; on PostgreSQL whoever calls itself Tongban is looked for."""
    if tx.dialect.name != "postgresql":
        return
    others = tx.execute(
        sa.text(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'tongban%'"
        )
    ).scalar_one()
    if others:
        raise _in_use()


def _in_use() -> AppError:
    return Conflict("in_use", "A process of Tongban still works on this database; stop web and workers, then restore.")


def _is_locked(away: Unavailable) -> bool:
    cause = getattr(away.__cause__, "orig", None)
    return getattr(cause, "sqlite_errorname", None) in {"SQLITE_BUSY", "SQLITE_LOCKED"}


def _clear(tx: Tx, *, replace: bool) -> list[dict[str, Any]]:
    """Drop every table of ours, so that the file's own revision can be made; returns whose erasure the database knew of."""
    there = set(sa.inspect(tx).get_table_names())
    stands = migrations.standing(tx)
    if stands is not None and stands not in migrations.known():
        raise Invalid("revision", f"The database stands at {stands}, which this program does not know; install a newer Tongban.")
    tables = [table for table in Table.metadata.sorted_tables if table.name in there]
    if not replace and any(tx.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() for table in tables):
        raise Conflict("rows", "This database holds rows; restore into an empty one, or say --replace to give all of them up.")
    erased = writing.erasures_of(tx) if writing.ERASURES in there else []
    for table in reversed(tables):
        tx.execute(sa.schema.DropTable(table))
    if rows.REVISIONS in there:
        tx.exec_driver_sql(f"DROP TABLE {rows.REVISIONS}")
    return erased


def _count_on(tx: Tx, contents: Contents) -> None:
    """Let PostgreSQL's counters go on behind the highest id; SQLite's do so by themselves."""
    if tx.dialect.name != "postgresql":
        return
    for name, listed in contents.tables.items():
        if listed.rows and ("id", "int") in listed.columns:
            table = sa.table(name, sa.column("id"))
            sequence = sa.func.pg_get_serial_sequence(name, "id")
            highest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
            tx.execute(sa.select(sa.func.setval(sa.cast(sequence, sa.dialects.postgresql.REGCLASS), highest)).where(sequence.is_not(None)))


def _refuse_loose_ends(tx: Tx) -> None:
    """SQLite's foreign keys slept while rows came in; PostgreSQL's did not."""
    if tx.dialect.name == "sqlite" and tx.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise _loose_ends()


def _loose_ends() -> Invalid:
    return Invalid("damaged", "Rows of this backup do not fit together; nothing was changed, take another copy of it.")
