"""Hides how a child looks over its own shoulder: every statement and commit of both drivers, however the program came to them.

The drivers themselves are watched, because the program goes around SQLAlchemy where speed matters.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from app.db.pipeline import Pipeline
from app.states import State

_STATES = frozenset(State) | {"expanding", "going", "done", "accepted"}
_BINDS = re.compile(r"\?|%s|%\((\w+)\)s|:(\w+)")


@dataclass(frozen=True)
class Statement:
    """One statement after its execution: the states that it gives, and the rows it touched where that is known.

    Its text stands on one line in small letters, without quotes and without spaces around =.
    """

    text: str
    states: frozenset[str]
    rows: int

    def inserts(self, table: str) -> bool:
        return re.search(rf"\binsert (or \w+ )?into {table}\b", self.text) is not None

    def updates(self, table: str, *words: str) -> bool:
        return re.search(rf"\bupdate {table}\b", self.text) is not None and all(word in self.text for word in words)

    def sets(self, state: str) -> bool:
        return state in self.states


@dataclass
class Transaction:
    """What a connection has written since its transaction began."""

    statements: list[Statement] = field(default_factory=list)
    began_at: int = 0  # SQLite's own counter of changes
    changes: int = 0  # rows, known when it commits

    def did(self, test: Callable[[Statement], bool]) -> bool:
        return any(map(test, self.statements))


Looks = Callable[[Transaction, Statement], None]
after_statement: list[Looks] = []
before_commit: list[Callable[[Transaction], None]] = []
after_commit: list[Callable[[Transaction], None]] = []

_open: dict[int, Transaction] = {}


def watch() -> None:
    """Begin to look; connections that are open already are not seen. Twice does no more than once."""
    if sqlite3.dbapi2.connect is not _connect_sqlite:
        sqlite3.dbapi2.connect = _connect_sqlite
        _watch_psycopg()
        _watch_lines()


def _executed(connection: Any, text: Any, parameters: Any, rows: int) -> None:
    words = _plain(text)
    if words.startswith(("begin", "rollback")) and not words.startswith("rollback to"):
        _open[id(connection)] = Transaction(began_at=getattr(connection, "total_changes", 0))
        return
    statement = Statement(words, _states(words, parameters), rows)
    transaction = _open.setdefault(id(connection), Transaction())
    transaction.statements.append(statement)
    for look in after_statement:
        look(transaction, statement)


def _plain(text: Any) -> str:
    return re.sub(r" ?= ?", "=", " ".join(str(text).lower().replace('"', "").split()))


def _commits(connection: Any, commit: Callable[[], None]) -> None:
    transaction = _open.pop(id(connection), Transaction())
    counted = getattr(connection, "total_changes", None)
    rows = sum(max(0, each.rows) for each in transaction.statements)
    transaction.changes = rows if counted is None else counted - transaction.began_at
    for look in before_commit:
        look(transaction)
    commit()
    for look in after_commit:
        look(transaction)


class _Cursor(sqlite3.Cursor):
    def execute(self, text: str, parameters: Any = (), /) -> "_Cursor":
        super().execute(text, parameters)
        _executed(self.connection, text, [parameters], self.rowcount)
        return self

    def executemany(self, text: str, many: Any, /) -> "_Cursor":
        kept = list(many)
        super().executemany(text, kept)
        _executed(self.connection, text, kept, self.rowcount)
        return self


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, text: str, parameters: Any = (), /) -> Any:  # the driver's own makes a cursor that nobody watches
        if text == "COMMIT":
            _commits(self, super().commit)
            return super().cursor()
        return self.cursor().execute(text, parameters)

    def executemany(self, text: str, many: Any, /) -> Any:
        return self.cursor().executemany(text, many)

    def commit(self) -> None:
        _commits(self, super().commit)

    def rollback(self) -> None:
        super().rollback()
        _open.pop(id(self), None)


_open_sqlite = sqlite3.dbapi2.connect


def _connect_sqlite(*words: Any, **options: Any) -> Any:
    return _open_sqlite(*words, **{"factory": _Connection, **options})


def _watch_psycopg() -> None:
    for kind in (psycopg.Cursor, psycopg.ServerCursor):
        _watch_cursors(kind)
    commit, rollback = psycopg.Connection.commit, psycopg.Connection.rollback

    def committed(connection: Any) -> None:
        _commits(connection, lambda: commit(connection))

    def rolled_back(connection: Any) -> None:
        rollback(connection)
        _open.pop(id(connection), None)

    psycopg.Connection.commit = committed  # type: ignore[method-assign, assignment]
    psycopg.Connection.rollback = rolled_back  # type: ignore[method-assign, assignment]


def _watch_lines() -> None:
    """What goes out in one go is one transaction; the program is not asked between its statements."""
    ask = Pipeline.ask

    async def asked(line: Any, steps: Sequence[Any]) -> list[Any]:
        texts = [step.statement.text for step in steps]
        transaction = Transaction([Statement(_plain(text), frozenset(), -1) for text in texts])
        commits = texts[-1:] == ["COMMIT"]
        for look in before_commit if commits else ():
            look(transaction)
        results = await ask(line, steps)
        for look in after_commit if commits else ():
            look(transaction)
        return results

    Pipeline.ask = asked  # type: ignore[method-assign, assignment]


def _watch_cursors(kind: Any) -> None:
    execute, executemany = kind.execute, kind.executemany

    def executed(cursor: Any, query: Any, params: Any = None, **options: Any) -> Any:
        result = execute(cursor, query, params, **options)
        _executed(cursor.connection, query, [params], cursor.rowcount)
        return result

    def executed_many(cursor: Any, query: Any, params_seq: Iterable[Any], **options: Any) -> None:
        kept = list(params_seq)
        executemany(cursor, query, kept, **options)
        _executed(cursor.connection, query, kept, cursor.rowcount)

    kind.execute, kind.executemany = executed, executed_many


def _states(text: str, many: Sequence[Any]) -> frozenset[str]:
    """The states among the values that the SET part gives, bound or written out; of an INSERT, among all."""
    begin = text.find(" set ")
    if begin < 0:
        return frozenset()
    clause, before = _clause(text, begin + 5), text[:begin]
    found = set(re.findall(r"'(\w+)'", clause))
    first, count = _count(before), _count(clause)
    for parameters in many[:50]:
        if isinstance(parameters, Mapping):
            found |= {str(parameters.get(name)) for name in _names(clause)}
        elif parameters:
            found |= {str(value) for value in list(parameters)[first : first + count]}
    return frozenset(found & _STATES)


def _clause(text: str, begin: int) -> str:
    """From `begin` to the first ` where `, ` from ` or ` returning ` outside of parentheses."""
    depth = 0
    for place in range(begin, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0 and text.startswith((" where ", " from ", " returning "), place):
            return text[begin:place]
    return text[begin:]


def _count(text: str) -> int:
    return len(_BINDS.findall(text))


def _names(text: str) -> list[str]:
    return [first or second for first, second in _BINDS.findall(text)]
