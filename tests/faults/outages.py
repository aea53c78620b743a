"""How a database goes away and comes back, on both kinds: a server is stopped or crashes, a file is locked by somebody else.

SQLite has no server to restart; what its processes meet with instead is another process that keeps the write lock.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

from migrations import running
from tests import postgres


class Outage(Protocol):
    """A database that a test can take away. `url` is migrated."""

    url: str

    def away(self, *, crash: bool = False) -> contextlib.AbstractAsyncContextManager[None]:
        """It is away inside the block, and there again after it."""
        ...


class ServerOutage:
    """PostgreSQL, in good order or as by a power cut."""

    def __init__(self, server: postgres.Server) -> None:
        self._server = server
        self.url = server.url("postgres")
        running.upgrade(self.url)

    @contextlib.asynccontextmanager
    async def away(self, *, crash: bool = False) -> AsyncIterator[None]:
        """Stop it, or crash it; start it again and wait until it says that it is ready."""
        await asyncio.to_thread(self._server.crash if crash else self._server.stop)
        try:
            yield
        finally:
            await asyncio.to_thread(self._server.start)


class LockOutage:
    """SQLite: somebody else has the write lock."""

    def __init__(self, url: str) -> None:
        self.url = url

    @contextlib.asynccontextmanager
    async def away(self, *, crash: bool = False) -> AsyncIterator[None]:
        """Take the lock for the whole block; a crash lets go of it without a word."""
        other = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None, timeout=30, check_same_thread=False)
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
        try:
            other.execute("CREATE TABLE left_behind (id INTEGER)")
            yield
        finally:
            if not crash:
                other.execute("ROLLBACK")
            other.close()


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[Outage]:
    """A migrated database of a test's own that can go away: "sqlite" or "postgres", durable as in production."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'tongban.db'}"
        running.upgrade(url)
        yield LockOutage(url)
        return
    with postgres.throwaway(durable=True) as server:
        yield ServerOutage(server)
