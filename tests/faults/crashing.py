"""Crash points: places at which a process of the program kills itself with SIGKILL. bad-inputs.md, part 3, names them.

They cost nothing in production, which knows nothing of them: a child arms one before it runs the program. What a transaction does is read
from its statements (tests/faults/watching.py), what goes to the platform from the HTTP that leaves; names of functions are not needed, so
the program may be rewritten beneath them. A point that is never reached any more fails the test that waits for its crash.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp.http_writer import StreamWriter
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tests.faults import watching
from tests.faults.watching import Statement, Transaction


class Trap:
    """Kills this process at the n-th touch, after it has left a note."""

    def __init__(self, name: str, nth: int, hits: Path) -> None:
        self._name, self._left, self._hits = name, nth, hits
        self._lock = threading.Lock()

    def is_last(self) -> bool:
        """Whether the next touch kills."""
        return self._left == 1

    def touch(self) -> None:
        """Here is the place."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._hits.write_text(self._name, encoding="ascii")
                os.kill(os.getpid(), signal.SIGKILL)


Test = Callable[[Statement], bool]


# -- what transactions do


def _makes_broadcast(each: Statement) -> bool:
    return each.inserts("broadcasts")


def _expands(each: Statement) -> bool:
    return each.inserts("deliveries") and "select" in each.text


def _launches(each: Statement) -> bool:
    return each.updates("broadcasts") and each.sets("going")


def _claims(each: Statement) -> bool:
    return each.updates("deliveries") and each.sets("claimed")


def _begins(each: Statement) -> bool:
    return each.inserts("attempts")


def _settles(each: Statement) -> bool:
    return each.updates("attempts")


def _reaps(each: Statement) -> bool:
    return each.updates("deliveries", "lease_until <")


def _stores_token(each: Statement) -> bool:
    return each.updates("access_tokens", "token_sealed=")


def _closes(each: Statement) -> bool:
    return each.updates("broadcasts") and each.sets("done") and each.rows != 0


def _begins_mass(each: Statement) -> bool:
    return each.updates("masses") and each.sets("sending")


def _accepts_mass(each: Statement) -> bool:
    return each.updates("masses") and each.sets("accepted")


def _fires(each: Statement) -> bool:
    return each.inserts("firings")


def _takes(each: Statement) -> bool:
    return each.inserts("inbox")


# -- where to wait for them


def _at(test: Test) -> Callable[[Trap], None]:
    """Right after such a statement: its transaction is never committed."""

    def arm(trap: Trap) -> None:
        def look(_transaction: Transaction, statement: Statement) -> None:
            if test(statement):
                trap.touch()

        watching.watch()
        watching.after_statement.append(look)

    return arm


def _at_within(test: Test, earlier: Test) -> Callable[[Trap], None]:
    """Right after such a statement, in a transaction that did something else before."""

    def arm(trap: Trap) -> None:
        def look(transaction: Transaction, statement: Statement) -> None:
            if test(statement) and transaction.did(earlier):
                trap.touch()

        watching.watch()
        watching.after_statement.append(look)

    return arm


def _before(test: Test, *, changed: bool = False) -> Callable[[Trap], None]:
    """Everything of a transaction that did such a thing is written, and not committed. `changed`: it found something to do."""

    def arm(trap: Trap) -> None:
        def look(transaction: Transaction) -> None:
            if transaction.did(test) and (transaction.changes or not changed):
                trap.touch()

        watching.watch()
        watching.before_commit.append(look)

    return arm


def _after(test: Test) -> Callable[[Trap], None]:
    """A transaction that did such a thing is committed, and nobody has heard of it."""

    def arm(trap: Trap) -> None:
        watching.watch()
        watching.after_commit.append(lambda transaction: trap.touch() if transaction.did(test) else None)

    return arm


def _before_bytes(path: str) -> Callable[[Trap], None]:
    """A call to the platform is about to be written."""

    def arm(trap: Trap) -> None:
        write_headers = StreamWriter.write_headers

        async def wrapped(writer: StreamWriter, status_line: str, headers: Any) -> None:
            if path in status_line:
                trap.touch()
            await write_headers(writer, status_line, headers)

        StreamWriter.write_headers = wrapped  # type: ignore[method-assign, assignment]

    return arm


def _after_bytes(path: str) -> Callable[[Trap], None]:
    """The last byte of a call is with the kernel, and the answer is not here: the platform takes longer than these two milliseconds."""

    def arm(trap: Trap) -> None:
        write_headers, write_eof = StreamWriter.write_headers, StreamWriter.write_eof
        ours: set[int] = set()

        async def headers_wrapped(writer: StreamWriter, status_line: str, headers: Any) -> None:
            if path in status_line:
                ours.add(id(writer))
            await write_headers(writer, status_line, headers)

        async def eof_wrapped(writer: StreamWriter, chunk: bytes = b"") -> None:
            await write_eof(writer, chunk)
            if id(writer) in ours:
                ours.discard(id(writer))
                asyncio.get_running_loop().call_later(0.002, trap.touch)

        StreamWriter.write_headers = headers_wrapped  # type: ignore[method-assign, assignment]
        StreamWriter.write_eof = eof_wrapped  # type: ignore[method-assign, assignment]

    return arm


def _within_answer(trap: Trap) -> None:
    """Half of a reply is on the wire."""
    send = RequestResponseCycle.send

    async def wrapped(cycle: Any, message: Any) -> None:
        body = message.get("body", b"")
        if message["type"] == "http.response.body" and body.startswith(b"<xml"):
            if trap.is_last():
                cycle.transport.write(body[: len(body) // 2])
                await asyncio.sleep(0.01)  # the loop hands it to the kernel
            trap.touch()
        await send(cycle, message)

    RequestResponseCycle.send = wrapped  # type: ignore[method-assign, assignment]


def _spooling(event: str, arguments: tuple[Any, ...], begun: bool) -> bool:
    """Whether the program's own file call is about a waiting push: one that is being written, or one that has its name."""
    path = Path(os.fsdecode(arguments[0])) if event in {"os.rename", "os.remove"} else Path()
    return ".push" in path.name and path.name.startswith(".") is begun


def _before_call(event: str, *, begun: bool) -> Callable[[Trap], None]:
    """The program is about to rename or remove a file of the spool."""

    def arm(trap: Trap) -> None:
        sys.addaudithook(lambda name, arguments: trap.touch() if name == event and _spooling(name, arguments, begun) else None)

    return arm


def _before_sync(*, folder: bool) -> Callable[[Trap], None]:
    """A file of the spool is written, or has its name, and the disk does not know it yet."""

    def arm(trap: Trap) -> None:
        fsync = os.fsync

        def wrapped(descriptor: Any) -> None:
            place = Path(f"/proc/self/fd/{descriptor}").readlink()
            if (place.is_dir() and place.parent.name == "spool") if folder else ".push" in place.name:
                trap.touch()
            fsync(descriptor)

        os.fsync = wrapped  # type: ignore[assignment]  # takes what the program gives it

    return arm


def _before_any_sync(trap: Trap) -> None:
    """A file, or the folder that holds its name, is written and not yet on the disk."""
    fsync = os.fsync

    def wrapped(descriptor: Any) -> None:
        trap.touch()
        fsync(descriptor)

    os.fsync = wrapped  # type: ignore[assignment]  # takes what the program gives it


#: Every point by its name; what its name means stands in tests/faults/README.md.
POINTS: dict[str, Callable[[Trap], None]] = {
    "CP1": _before(_makes_broadcast),
    "CP2": _after(_makes_broadcast),
    "CP3": _at(_expands),
    "CP4": _at(_launches),
    "CP5": _after(_claims),
    "CP6": _before_bytes("/message/"),
    "CP6-committed": _after(_begins),
    "CP7": _after_bytes("/message/"),
    "CP8": _before(_settles),
    "CP9": _after(_settles),
    "CP10": _before(_reaps, changed=True),
    "CP11-before-call": _before_bytes("/stable_token"),
    "CP11-after-call": _after_bytes("/stable_token"),
    "CP11-before-storing": _before(_stores_token),
    "CP11-after-storing": _after(_stores_token),
    "CP12": _at_within(lambda each: each.updates("deliveries"), lambda each: each.inserts("receipts")),
    "CP13": _at(_closes),
    "CP14": _at(_fires),
    "CP15": _after(_takes),
    "CP16": _within_answer,
    "CP17-before-sync": _before_sync(folder=False),
    "CP17-before-rename": _before_call("os.rename", begun=True),
    "CP17-before-folder-sync": _before_sync(folder=True),
    "CP18": _before_call("os.remove", begun=False),
    "CP19": _at(lambda each: each.text.startswith(("create table", "create index", "create unique index", "alter table"))),
    "CP20-reading": _at(lambda each: each.text.startswith("select ")),
    "CP20-syncing": _before_any_sync,
    "CM1": _before_bytes("/tags/members/"),
    "CM2": _after_bytes("/tags/members/"),
    "CM3": _before(_begins_mass),
    "CM4": _after(_begins_mass),
    "CM5": _before_bytes("/mass/sendall"),
    "CM6": _after_bytes("/mass/sendall"),
    "CM7": _before(_accepts_mass),
    "CM8": _after(_accepts_mass),
    "CM9": _after_bytes("/mass/get"),
}


def arm(name: str, nth: int, hits: Path) -> None:
    """Let this process kill itself at the n-th time that it comes to a point. Raises `KeyError` for a point that nobody knows."""
    POINTS[name](Trap(name, nth, hits))
