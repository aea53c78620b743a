"""Hides how short work gets through PostgreSQL without a thread: it looks, thinks and writes on its event loop, in two round trips.

psycopg's own ways of waiting cost more than what is waited for: a thread that takes turns with the loop for the interpreter, or an
asyncio connection with a chain of generators. Here libpq's pipeline is driven as it is, and the loop says when there is an answer. What
waits meanwhile goes together: one look, one writing, one commit (docs/decisions/017). Work that needs more than its looks, or somebody's
row that another holds just now, is not for a line: it raises `More` and is run in a transaction of its own.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

import psycopg
import sqlalchemy as sa
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import DiagnosticField, ExecStatus, Format

from app.db.engines import Away
from app.db.foreseen import Foreseen, More
from app.db.jobs import Tx, Work
from app.db.prepared import Compiled, Prepared
from app.errors import Unavailable, database_away

T = TypeVar("T")
Look = tuple[Prepared, dict[str, Any]]
_Step = tuple[Compiled, dict[str, Any]]

#: While one waits for its commit the other looks; more would only make smaller transactions of the same work.
_MOST_LINES = 2
#: Pieces of work that go together: none of them is answered before all are thought through.
_TOGETHER = 16


def _word(text: str) -> _Step:
    return Compiled(text, (), (), tuple), {}


_BEGIN, _COMMIT = map(_word, ("BEGIN", "COMMIT"))


class _Refused(Exception):
    """The server refused a step; the transaction is broken."""


@dataclass(eq=False)
class _Piece:
    """One piece of work; none other of the same `owner` is done at the same time. `line`: where it is being done."""

    looks: Sequence[Look]
    work: Work[Any]
    owner: str
    result: "asyncio.Future[Any]"
    line: "_Line | None" = None

    def fail(self, error: BaseException) -> None:
        if not self.result.done():
            self.result.set_exception(error)


class Lines:
    """The lines of one event loop. `connect` opens a connection of psycopg's and may take its time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dialect: sa.Dialect, connect: Callable[[], Any]) -> None:
        self.loop = loop
        self._dialect = dialect
        self._connect = connect
        self._waiting: deque[_Piece] = deque()
        self._owners: set[str] = set()
        self._free: list[_Line] = []
        self._open: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def write(self, looks: Sequence[Look], work: Work[T], owner: str) -> T:
        """Run `work` on what the looks found and commit what it notes. Raises `More`, `Unavailable`, and what `work` raises."""
        result: asyncio.Future[T] = self.loop.create_future()
        piece = _Piece(looks, work, owner, result)
        self._waiting.append(piece)
        self._start()
        try:
            found = await result
        except asyncio.CancelledError:
            if piece.line is not None:  # it hangs: so does whatever else is on this line
                piece.line.close()
            raise
        if found is More:
            raise More
        return found

    def _start(self) -> None:
        """Have what waits done, by a line that is free, or by another one."""
        if self._free and self._waiting:
            self._free.pop().wake()
        elif len(self._tasks) < _MOST_LINES and self._waiting:
            task = self.loop.create_task(self._serve())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self) -> None:
        """One line, from its opening to its end."""
        try:
            line = await self._opened()
        except Unavailable as away:
            while self._waiting:
                self._waiting.popleft().fail(away)
            return
        try:
            while line.open:
                pieces = self._next()
                if pieces:
                    await self._together(line, pieces)
                else:
                    self._free.append(line)
                    await line.woken()
        finally:
            line.close()
            self._open.discard(line)
            if line in self._free:
                self._free.remove(line)
        self.loop.call_soon(self._start)  # what waits goes to another one

    async def _opened(self) -> "_Line":
        driver = await self.loop.run_in_executor(None, self._connected)
        line = _Line(driver, self.loop)
        self._open.add(line)
        return line

    def _connected(self) -> Any:
        with Away():
            return self._connect()

    def _next(self) -> list[_Piece]:
        pieces: list[_Piece] = []
        left: list[_Piece] = []
        while self._waiting and len(pieces) < _TOGETHER:
            piece = self._waiting.popleft()
            if piece.owner in self._owners:
                left.append(piece)
            elif not piece.result.done():  # whoever asked may have gone; nothing was promised
                self._owners.add(piece.owner)
                pieces.append(piece)
        self._waiting.extendleft(reversed(left))
        return pieces

    async def _together(self, line: "_Line", pieces: list[_Piece]) -> None:
        for piece in pieces:
            piece.line = line
        try:
            done = await self._written(line, pieces)
        except _Refused:  # and with the connection the transaction goes; each shows by itself what was wrong
            line.close()
            done = [(piece, More) for piece in pieces]
        except psycopg.Error:
            line.close()
            done = []
            for piece in pieces:
                piece.fail(database_away())
        except BaseException:  # we are being ended, or have a bug: nobody must wait for ever
            for piece in pieces:
                piece.fail(database_away())
            raise
        finally:
            self._owners.difference_update(piece.owner for piece in pieces)
            for piece in pieces:
                piece.line = None
        for piece, value in done:
            if not piece.result.done():
                piece.result.set_result(value)

    async def _written(self, line: "_Line", pieces: list[_Piece]) -> list[tuple[_Piece, Any]]:
        asked = [(prepared, (prepared.ahead(self._dialect), values)) for piece in pieces for prepared, values in piece.looks]
        found = iter(await line.ask([_BEGIN, *(step for _, step in asked)]))
        next(found)
        rows = iter([(prepared, line.row(compiled, result)) for (prepared, (compiled, _)), result in zip(asked, found, strict=True)])
        done: list[tuple[_Piece, Any]] = []
        steps: list[_Step] = []
        for piece in pieces:
            foreseen = Foreseen(self._dialect, dict(next(rows) for _ in piece.looks))
            try:
                done.append((piece, piece.work(cast("Tx", foreseen))))
            except More:
                done.append((piece, More))
            except Exception as error:  # noqa: BLE001 - handed to whoever waits for this piece
                piece.fail(error)
            else:
                steps += [(only, values) for prepared, values in foreseen.noted for only in prepared.compiled(self._dialect)]
        await line.ask([*steps, _COMMIT])
        return done

    def stop(self) -> None:
        """Close every line, from whatever thread."""
        if self.loop.is_running():
            self.loop.call_soon_threadsafe(self._close)
        else:
            self._close()

    def _close(self) -> None:
        for line in list(self._open):
            line.close()


class _Line:
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
        self._wake = self._loop.create_future()
        await self._wake

    def wake(self) -> None:
        """There is something to do."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def ask(self, steps: Sequence[_Step]) -> list[Any]:
        """The result of each step. Raises `_Refused`, and psycopg's error where the connection is gone."""
        if not self.open:
            raise psycopg.OperationalError("the connection is gone")
        fresh = [place for place, step in enumerate(steps) if self._send(*step)]
        self._results = []
        self._answer = self._loop.create_future()
        self._pg.pipeline_sync()
        self._flush()
        await self._answer
        results = self._results
        for place in fresh:  # a statement that is new here has told us first that it was understood
            if results[place].status == ExecStatus.COMMAND_OK:
                del results[place]
        for result in results:
            if result.status in _REFUSED:
                raise _Refused(result.error_field(DiagnosticField.SQLSTATE))
        return results

    def _send(self, compiled: Compiled, values: dict[str, Any]) -> bool:
        """Send one step; whether it was new here and is answered twice."""
        name = self._names.get(compiled.text)
        fresh = name is None
        if name is None:
            name = self._names[compiled.text] = b"step_%d" % len(self._names)
            self._pg.send_prepare(name, compiled.text.encode())
        bound = compiled.bound(values)
        formats = [Format.BINARY if type(value) is bytes else Format.TEXT for value in bound]
        self._pg.send_query_prepared(name, [_TEXT.get(type(value), self._text)(value) for value in bound], formats)
        return fresh

    def _text(self, value: Any) -> Any:
        return self._loader.get_dumper(value, PyFormat.TEXT).dump(value)

    def row(self, compiled: Compiled, result: Any) -> Any:
        """The first row of a result as everybody else reads it, or None."""
        if not result.ntuples:
            return None
        self._loader.set_pgresult(result)
        return compiled.read(self._loader.load_row(0, tuple))

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
            while self._answer is not None and not self._pg.is_busy():
                result = self._pg.get_result()
                if result is None:  # between two steps
                    continue
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


def _same(value: Any) -> Any:
    return value


#: How the usual values go over the wire; psycopg knows the others.
_TEXT: dict[type, Callable[[Any], Any]] = {
    type(None): _same,
    bytes: _same,
    str: lambda value: value.encode(),
    int: lambda value: b"%d" % value,
    bool: lambda value: b"t" if value else b"f",
    datetime: lambda value: value.isoformat().encode(),
}
