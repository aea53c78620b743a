"""Hides how a statement that every push needs runs at the driver's own speed: compiled once a dialect, bound and read by its types.

SQLAlchemy's own execution costs ten times what SQLite itself needs for a row (benchmarks/). The statements stay SQLAlchemy Core on
typed columns; only the road to the driver is shorter (docs/decisions/017). Errors come out as everywhere else.
"""

import re
from collections import namedtuple
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa

from app.db.foreseen import Foreseen, More
from app.db.jobs import Tx
from app.models.columns import Moment

_Process = Callable[[Any], Any] | None


def slot(name: str, like: Any = None) -> Any:
    """A place in the text of a prepared statement that each asking fills; of the type of a column where none stands beside it."""
    return sa.bindparam(name, type_=None if like is None else like.type)


#: The moment of asking.
NOW: Any = sa.bindparam("now", type_=Moment())
#: Of a longer list the preparing would cost more than it saves.
_LONGEST = 1024


class Compiled(NamedTuple):
    """One statement as a driver takes it: its text, what goes in (the caller's name and its conversion), what comes out otherwise.

    `columns`: the place and the conversion of each column that the driver does not give as it is.
    """

    text: str
    binds: tuple[tuple[str, _Process], ...]
    columns: tuple[tuple[int, Callable[[Any], Any]], ...]
    row: Any

    def bound(self, values: dict[str, Any]) -> list[Any]:
        """What goes in, in its order."""
        return [values.get(key) if process is None else process(values.get(key)) for key, process in self.binds]

    def read(self, row: Sequence[Any]) -> Any:
        """A driver's row as everybody else reads it, with its columns as names."""
        values = list(row)
        for place, process in self.columns:
            if (value := values[place]) is not None:
                values[place] = process(value)
        return self.row._make(values)


class Prepared:
    """One step of work, written down once. `build(dialect)` gives its statements in order; they share their parameters' names.

    `ahead` is how its only statement is asked ahead of a transaction, where that is another: nobody waits for a lock there.
    """

    def __init__(self, build: Callable[[str], Sequence[Any]], ahead: Callable[[str], Any] | None = None) -> None:
        self._build = build
        self._by_dialect: dict[str, tuple[Compiled, ...]] = {}
        self._ahead = None if ahead is None else Prepared(lambda dialect: [ahead(dialect)])

    def first(self, tx: Tx, /, **values: Any) -> Any:
        """The first row of the last statement, with its columns as names, or None where there is none."""
        if isinstance(tx, Foreseen):
            return tx.first(self, values)
        last, cursor = self._asked(tx, values)
        row = cursor.fetchone()
        _leave(tx, cursor)
        return None if row is None else last.read(row)

    def all(self, tx: Tx, /, **values: Any) -> list[Any]:
        """Every row of the last statement, with its columns as names."""
        last, cursor = self._asked(tx, values)
        rows = cursor.fetchall()
        _leave(tx, cursor)
        return [last.read(row) for row in rows]

    def run(self, tx: Tx, /, **values: Any) -> None:
        """Run every statement; what they return is left alone."""
        if isinstance(tx, Foreseen):
            tx.run(self, values)
            return
        for each in self.compiled(tx.dialect):
            _leave(tx, _execute(tx, each, values))

    def each(self, tx: Tx, rows: Sequence[dict[str, Any]], /) -> None:
        """Run its only statement for each of these values; what it returns is left alone."""
        if isinstance(tx, Foreseen):
            for values in rows:
                tx.run(self, values)
        elif rows:
            (only,) = self.compiled(tx.dialect)
            _leave(tx, _tell(tx, "executemany", only.text, [only.bound(values) for values in rows]))

    def count(self, tx: Tx, /, **values: Any) -> int:
        """Run every statement; how many rows the last one changed."""
        _, cursor = self._asked(tx, values)
        changed: int = cursor.rowcount
        _leave(tx, cursor)
        return changed

    def _asked(self, tx: Tx, values: dict[str, Any]) -> tuple[Compiled, Any]:
        """Everything run, and the cursor of the last statement."""
        if isinstance(tx, Foreseen):
            raise More
        *first, last = self.compiled(tx.dialect)
        for each in first:
            _leave(tx, _execute(tx, each, values))
        return last, _execute(tx, last, values)

    def compiled(self, dialect: sa.Dialect) -> tuple[Compiled, ...]:
        """The statements for this dialect."""
        found = self._by_dialect.get(dialect.name)
        if found is None:
            found = tuple(_compile(statement, dialect) for statement in self._build(dialect.name))
            self._by_dialect[dialect.name] = found
        return found

    def ahead(self, dialect: sa.Dialect) -> Compiled:
        """Its only statement as it is asked ahead."""
        (only,) = self.compiled(dialect) if self._ahead is None else self._ahead.compiled(dialect)
        return only


class Among:
    """One statement that asks for any of a list, as `x IN (…)`. `build(list)` makes it.

    It is prepared for lists of 1, 2, 4, 8, … and a list is filled up with its last; nobody may mind that one stands in it several times.
    """

    def __init__(self, build: Callable[[list[Any]], Any]) -> None:
        self._build = build
        self._by_length: dict[int, Prepared] = {}

    def all(self, tx: Tx, some: Sequence[Any], /, **values: Any) -> list[Any]:
        """Every row of the statement, with its columns as names; none where the list is empty."""
        if not some:
            return []
        if len(some) > _LONGEST:
            return list(tx.execute(self._build(list(some)), values))
        prepared, full = self._filled(some)
        return prepared.all(tx, **full, **values)

    def count(self, tx: Tx, some: Sequence[Any], /, **values: Any) -> int:
        """How many rows the statement changed; none where the list is empty."""
        if not some:
            return 0
        if len(some) > _LONGEST:
            return tx.execute(self._build(list(some)), values).rowcount
        prepared, full = self._filled(some)
        return prepared.count(tx, **full, **values)

    def _filled(self, some: Sequence[Any]) -> tuple[Prepared, dict[str, Any]]:
        """The statement for a list of this length, and the list in its places."""
        length = 1 << (len(some) - 1).bit_length()
        names = [f"any_{place}" for place in range(length)]
        prepared = self._by_length.get(length)
        if prepared is None:
            made = self._build([sa.bindparam(name) for name in names])
            prepared = self._by_length[length] = Prepared(lambda _: [made])
        return prepared, dict(zip(names, [*some, *(some[-1],) * (length - len(some))], strict=True))


class Anything:
    """Whether any of several queries finds a row, asked in one statement; the queries are built at the first look."""

    def __init__(self, *queries: Callable[[], Any]) -> None:
        self._prepared = Prepared(lambda _: [sa.select(sa.or_(*(query().exists() for query in queries)).label("there"))])

    def there(self, tx: Tx, /, **values: Any) -> bool:
        """Whether one is there now."""
        return bool(self._prepared.first(tx, **values).there)


class Earliest:
    """The earliest of the moments that several queries find, each at most one, asked in one statement."""

    def __init__(self, *queries: Callable[[], Any]) -> None:
        self._prepared = Prepared(
            lambda _: [sa.select(*(query().scalar_subquery().label(f"moment_{place}") for place, query in enumerate(queries)))]
        )

    def moment(self, tx: Tx, /, **values: Any) -> datetime | None:
        """The earliest; None where none is there."""
        return min((each for each in self._prepared.first(tx, **values) if each is not None), default=None)


def in_one(*steps: Any) -> Prepared:
    """These steps in order, which touch different rows; on PostgreSQL in one statement, and so in one round trip.

    A step that is not the same on both databases is a function of the dialect.
    """

    def build(dialect: str) -> list[Any]:
        *first, last = (step(dialect) if callable(step) else step for step in steps)
        return [*first, last] if dialect == "sqlite" else [last.add_cte(*(step.cte(f"step_{place}") for place, step in enumerate(first)))]

    return Prepared(build)


def _compile(statement: Any, dialect: sa.Dialect) -> Compiled:
    compiled: Any = statement.compile(dialect=dialect)
    if unnamed := [column.name for column in getattr(compiled, "insert_prefetch", ())]:
        raise TypeError(f"A prepared insert names every column that has a default in Python: {', '.join(unnamed)}.")
    text, names = _numbered(str(compiled)) if dialect.name == "postgresql" else (str(compiled), list(compiled.positiontup))
    by_name = {name: bind for bind, name in compiled.bind_names.items()}
    binds = tuple((by_name[name].key, _going_in(by_name[name], dialect)) for name in names)
    returns = statement.exported_columns if getattr(statement, "is_dml", False) and statement.returning_column_descriptions else None
    selected = getattr(statement, "selected_columns", returns)
    found = [_coming_out(each.type, dialect) for each in selected or ()]
    columns = tuple((place, process) for place, process in enumerate(found) if process is not None)
    row = namedtuple("Row", [] if selected is None else selected.keys())  # type: ignore[misc]  # its names are the statement's
    return Compiled(text, binds, columns, row)


def _numbered(text: str) -> tuple[str, list[str]]:
    """The text with the server's own `$1` for each `%(name)s`, and the names in that order: psycopg need not translate each call."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return re.sub(r"%\((\w+)\)s", number, text).replace("%%", "%"), names


def _going_in(bind: Any, dialect: sa.Dialect) -> _Process:
    process: _Process = bind.type.dialect_impl(dialect).bind_processor(dialect)
    if isinstance(bind.type, Moment) and dialect.name == "sqlite":
        process = _written
    if bind.required or bind.callable is not None:
        return process
    constant = bind.value if process is None else process(bind.value)  # a literal of the statement itself
    return lambda _: constant


def _written(moment: datetime | None) -> str | None:
    """A moment as SQLAlchemy writes it into SQLite, which takes it five times as long."""
    if moment is not None and moment.tzinfo is None:
        raise ValueError("a moment without a zone")
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _coming_out(type_: Any, dialect: sa.Dialect) -> _Process:
    if isinstance(type_, sa.Float):  # which both drivers give as it is; SQLAlchemy would first see the column's number on the wire
        return None
    process: _Process = type_.dialect_impl(dialect).result_processor(dialect, None)
    return process


def _execute(tx: Tx, compiled: Compiled, values: dict[str, Any]) -> Any:
    return _tell(tx, "execute", compiled.text, compiled.bound(values))


def _tell(tx: Tx, verb: str, text: str, bound: Sequence[Any]) -> Any:
    """The driver's answer: of SQLite a cursor of its own, of PostgreSQL the one of the connection, or nothing."""
    driver: Any = tx.connection.dbapi_connection
    dbapi: Any = tx.dialect.dbapi
    try:
        return getattr(driver if tx.dialect.name == "sqlite" else _cursor(tx), verb)(text, bound)
    except dbapi.Error as error:
        gone = tx.dialect.is_disconnect(error, driver, None)
        if gone:
            tx.invalidate(error)
        raise sa.exc.DBAPIError.instance(
            text, None, error, dbapi.Error, hide_parameters=True, connection_invalidated=gone, dialect=tx.dialect
        ) from error


def _cursor(tx: Tx) -> Any:
    """One cursor a connection of PostgreSQL: making one costs as much as its statement."""
    known: dict[Any, Any] = tx.connection.info
    cursor = known.get(_CURSOR)
    if cursor is None:
        driver: Any = tx.connection.dbapi_connection
        cursor = known[_CURSOR] = psycopg.RawCursor(driver)
    return cursor


_CURSOR = "prepared cursor"


def _leave(tx: Tx, cursor: Any) -> None:
    """SQLite holds its locks while a cursor is open; PostgreSQL's has all its rows, and serves again."""
    if tx.dialect.name == "sqlite":
        cursor.close()
