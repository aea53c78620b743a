"""Hides libpq's pipeline mode: several statements go out at once on one connection, and the event loop says when all are answered.

psycopg's own ways of waiting cost more than what is waited for: a thread that takes turns with the loop for the interpreter, or an
asyncio connection with a chain of generators (docs/decisions/017).
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus, Format
from psycopg.types.json import Json, Jsonb

from app.db.prepared import Compiled

#: A server that says nothing for so long is not waited for: whoever asked tries another connection while their patience lasts.
_SILENT_SECONDS = 1.0
#: Somebody's row is waited for no longer than this: others go along, who need not wait.
_LOCK_MILLISECONDS = 50


class Refused(Exception):
    """The server refused a step; the transaction is broken."""


class Step(NamedTuple):
    """A statement and its values as they go over the wire."""

    statement: Compiled
    values: Sequence[bytes | None]
    formats: Sequence[Format]

    @classmethod
    def of(cls, statement: Compiled, values: dict[str, Any]) -> "Step":
        """Raises what a conversion raises, and `KeyError` for a kind of value that no line takes."""
        bound = statement.bound(values)
        formats = [Format.BINARY if type(value) in _BYTES else Format.TEXT for value in bound]
        return cls(statement, [_WIRED[type(value)](value) for value in bound], formats)


def _word(text: str) -> Step:
    return Step(Compiled(text, (), (), tuple), (), ())


BEGIN, COMMIT = map(_word, ("BEGIN", "COMMIT"))


def hurry(driver: Any) -> None:
    """Let a connection wait for nobody's row for long. Waits for the server."""
    driver.execute(f"SET lock_timeout = {_LOCK_MILLISECONDS}")
    driver.commit()


class Pipeline:
    """One connection in pipeline mode. It is asked for one thing at a time."""

    def __init__(self, driver: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.open = True
        self._driver, self._pg, self._loop = driver, driver.pgconn, loop
        self._names: dict[str, bytes] = {}
        self._loader = Transformer(driver)
        self._answer: asyncio.Future[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._results: list[Any] = []
        self._socket = self._pg.socket
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        loop.add_reader(self._socket, self._readable)

    async def woken(self) -> None:
        """Wait until there is something to do, or the connection is gone."""
        if self.open:
            self._wake = self._loop.create_future()
            await self._wake

    def wake(self) -> None:
        """There is something to do."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def ask(self, steps: Sequence[Step]) -> list[Any]:
        """The result of each step. Raises `Refused`, and psycopg's error where the connection is gone or silent."""
        if not self.open:
            raise psycopg.OperationalError("the connection is gone")
        fresh = [place for place, step in enumerate(steps) if self._send(step)]
        self._results = []
        self._answer = self._loop.create_future()
        self._pg.pipeline_sync()
        self._flush()
        silent = self._loop.call_later(_SILENT_SECONDS, self.close)
        try:
            await self._answer
        finally:
            silent.cancel()
        results = self._results
        for place in fresh:  # a statement that is new here has told us first that it was understood
            if results[place].status == ExecStatus.COMMAND_OK:
                del results[place]
        for result in results:
            if result.status in _REFUSED:
                raise Refused(result.error_field(DiagnosticField.SQLSTATE))
        return results

    def _send(self, step: Step) -> bool:
        """Hand one step to libpq; whether it was new here and is answered twice."""
        text = step.statement.text
        name = self._names.get(text)
        fresh = name is None
        if name is None:
            name = self._names[text] = b"step_%d" % len(self._names)
            self._pg.send_prepare(name, text.encode())
        self._pg.send_query_prepared(name, step.values, step.formats)
        return fresh

    def row(self, statement: Compiled, result: Any) -> Any:
        """The first row of a result as everybody else reads it, or None."""
        if not result.ntuples:
            return None
        self._loader.set_pgresult(result)
        return statement.read(self._loader.load_row(0, tuple))

    def _flush(self) -> None:
        try:
            left = self._pg.flush()
        except psycopg.Error as error:
            self._broken(error)
            return
        if left:
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        self._loop.remove_writer(self._socket)
        self._flush()

    def _readable(self) -> None:
        try:
            self._pg.consume_input()
            between = False
            while self._answer is not None and not self._pg.is_busy():
                result = self._pg.get_result()
                if result is None:
                    if between:  # once between two steps; twice means that there is nothing
                        return
                    between = True
                    continue
                between = False
                if result.status == ExecStatus.PIPELINE_SYNC:
                    self._answered()
                else:
                    self._results.append(result)
        except psycopg.Error as error:
            self._broken(error)

    def _answered(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(None)

    def _broken(self, error: psycopg.Error) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
        self.close()

    def close(self) -> None:
        """Let go of the connection; what was not committed is undone."""
        if not self.open:
            return
        self.open = False
        with suppress(RuntimeError):  # the loop is closed already, and looks after nothing any more
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self.wake()
            if self._answer is not None:
                self._broken(psycopg.OperationalError("the connection was closed"))
        self._driver.close()


_REFUSED = frozenset({ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED})
_BYTES = frozenset({bytes, psycopg.Binary})


def _same(value: Any) -> Any:
    return value


def _text(value: str) -> bytes:
    if "\0" in value:  # libpq would end it there
        raise ValueError("a text with NUL")
    return value.encode()


def _binary(value: Any) -> Any:
    return value.obj


def _json(value: Any) -> bytes:
    return json.dumps(value.obj).encode()


#: How values go over the wire, as the columns' own conversions leave them.
_WIRED: dict[type[Any], Callable[[Any], Any]] = {
    type(None): _same,
    bytes: _same,
    psycopg.Binary: _binary,
    Json: _json,
    Jsonb: _json,
    str: _text,
    int: lambda value: b"%d" % value,
    float: lambda value: repr(value).encode(),
    bool: lambda value: b"t" if value else b"f",
    datetime: lambda value: value.isoformat().encode(),
}
