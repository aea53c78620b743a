"""Plants words that nobody else says in every text of the database, table by table, whatever tables there are."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa

from app import ids
from app.courses import file
from app.db import Tx
from app.models import Course, Table
from tests.delivery.scene import NOW

CANARY = "canary"
#: Texts that are left as they are, and why.
LEFT: Mapping[str, str] = {
    "courses.code": "the study's own word, told in the notes",
    "courses.zone": "a zone, by which moments are told",
    "waves.code": "the study's own word, in many columns",
    "waves.plan": "titles and instruments, which are exported",
    "sheets.instrument": "by which a sheet is found",
    "sheets.answers": "the values, which are numbers",
    "participants.number": "the number that stands for a person",
}


def plant(tx: Tx) -> int:
    """Overwrite each text, and fill each empty column of bytes, in each row of each table; a table without a row gets one. How many."""
    planted = 0
    for table in Table.metadata.sorted_tables:
        rows = tx.execute(sa.select(*table.columns)).mappings().all()
        if not rows:
            tx.execute(sa.insert(table).values(_row(tx, table)))
            planted += 1
        for row in rows:
            words = {column.name: _word(column) for column in table.columns if _takes(column, row[column.name])}
            if words:
                mine = sa.and_(*(column == row[column.name] for column in table.primary_key))
                planted += tx.execute(sa.update(table).where(mine).values(words)).rowcount
    return planted


def every_text(tx: Tx) -> dict[str, str]:
    """All that is in the database, by table and column."""
    found: dict[str, str] = {}
    for table in Table.metadata.sorted_tables:
        for row in tx.execute(sa.select(*table.columns)).mappings():
            for column, value in row.items():
                found[f"{table.name}.{column}"] = found.get(f"{table.name}.{column}", "") + f" {value}"
    return found


def every_id(tx: Tx) -> set[int]:
    """All the ids of rows that are issued, and not counted from 1."""
    keys = [(table, column) for table in Table.metadata.sorted_tables for column in table.primary_key if column.type.python_type is int]
    return {value for table, column in keys for value in tx.execute(sa.select(column)).scalars() if value > 1_000_000}


def is_text(column: "sa.Column[Any]") -> bool:
    """Whether words could stand there."""
    return isinstance(column.type, sa.String | sa.LargeBinary | sa.JSON)


def _takes(column: "sa.Column[Any]", value: Any) -> bool:
    """Sealed words stay: they were planted in the clear, and sealed by the program."""
    free = is_text(column) and not column.primary_key and f"{column.table.name}.{column.name}" not in LEFT
    return free and not (isinstance(column.type, sa.LargeBinary) and value is not None)


def _row(tx: Tx, table: sa.Table) -> dict[str, Any]:
    return {column.name: _value(tx, column) for column in table.columns}


def _value(tx: Tx, column: "sa.Column[Any]") -> Any:
    for key in column.foreign_keys:
        return tx.execute(sa.select(key.column).limit(1)).scalar_one()
    if is_text(column):
        return _word(column)
    kind = column.type.python_type
    return {int: ids.new_id(), bool: False, float: 1.0, date: date(2026, 1, 1)}.get(kind, NOW)


def _word(column: "sa.Column[Any]") -> Any:
    word = f"{CANARY}-{column.table.name}-{column.name}-{ids.new_code()}"
    if isinstance(column.type, sa.LargeBinary):
        return word.encode()
    if column is Course.__table__.c.file:  # the rule of attendance is read from it
        return file.read("two-week-pilot").model_dump(mode="json") | {"title": {"zh": word, "en": word}}
    return {"word": word} if isinstance(column.type, sa.JSON) else word
