"""Hides how a row becomes a line of JSON and a row again: the same line on both databases, each column by its kind."""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from app.backup.files import Listed
from app.db import Tx
from app.models import Moment

#: Rows that are read or written at once.
BATCH = 1_000
#: Where Alembic notes the revision.
REVISIONS = "alembic_version"

_TYPES: dict[str, Callable[[], sa.types.TypeEngine[Any]]] = {
    "int": sa.BigInteger,
    "text": sa.String,
    "bytes": sa.LargeBinary,
    "moment": Moment,
    "date": sa.Date,
    "bool": sa.Boolean,
    "float": sa.Double,
    "json": lambda: sa.JSON(none_as_null=True),
}
_ENCODE: dict[str, Callable[[Any], Any]] = {
    "bytes": lambda value: base64.b64encode(value).decode(),
    "moment": datetime.isoformat,
    "date": date.isoformat,
}
_DECODE: dict[str, Callable[[Any], Any]] = {
    "bytes": lambda value: base64.b64decode(value, validate=True),
    "moment": datetime.fromisoformat,
    "date": date.fromisoformat,
}


def kind_of(column: "sa.Column[Any]") -> str:
    """The word for a column's type in the file. Raises `LookupError` for a type that has none yet."""
    kinds: tuple[tuple[str, type[Any]], ...] = (
        ("moment", Moment),
        ("moment", sa.DateTime),
        ("date", sa.Date),
        ("bool", sa.Boolean),
        ("int", sa.Integer),
        ("float", sa.Float),
        ("bytes", sa.LargeBinary),
        ("json", sa.JSON),
        ("text", sa.String),
    )
    for kind, known in kinds:
        if isinstance(column.type, known):
            return kind
    raise LookupError(f"{column.table.name}.{column.name}: a backup knows no {column.type!r}; add it to app/backup/rows.py")


def tables_of(tx: Tx) -> list[sa.Table]:
    """Every table of the database as it stands, whichever revision that is, those that others refer to first."""
    found = sa.MetaData()
    found.reflect(tx)
    ours = [table for table in found.sorted_tables if table.name != REVISIONS]
    return [_plain(table.name, columns_of(table)) for table in ours]


def _plain(name: str, columns: Sequence[tuple[str, str]]) -> sa.Table:
    return sa.Table(name, sa.MetaData(), *(sa.Column(column, _TYPES[kind]()) for column, kind in columns))


def columns_of(table: sa.Table) -> list[tuple[str, str]]:
    """A table's columns with their kinds."""
    return [(column.name, kind_of(column)) for column in table.columns]


def dump(tx: Tx, table: sa.Table) -> Iterator[list[Any]]:
    """Every row of a table as JSON takes it, a batch in memory at a time."""
    encode = [(place, _ENCODE[kind]) for place, (_, kind) in enumerate(columns_of(table)) if kind in _ENCODE]
    for row in tx.execute(sa.select(*table.columns), execution_options={"yield_per": BATCH}):
        values = list(row)
        for place, turn in encode:
            if values[place] is not None:
                values[place] = turn(values[place])
        yield values


def load(tx: Tx, name: str, listed: Listed, lines: Iterable[Sequence[Any]]) -> None:
    """Insert the rows of a table as the file describes it: the revision that it comes from may have had other columns than today's."""
    table = _plain(name, listed.columns)
    decode = [(column, _DECODE.get(kind)) for column, kind in listed.columns]
    batch: list[dict[str, Any]] = []
    for line in lines:
        batch.append(
            {column: value if turn is None or value is None else turn(value) for (column, turn), value in zip(decode, line, strict=True)}
        )
        if len(batch) == BATCH:
            tx.execute(sa.insert(table), batch)
            batch.clear()
    if batch:
        tx.execute(sa.insert(table), batch)
