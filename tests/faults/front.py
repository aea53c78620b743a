"""The program as the platform sees it: web processes behind sockets that outlive them, one account, one group that people can join.

with Front(database_url, tmp_path, webs=2) as front:
    front.start_all()
    async with front.fleet(Random(7)) as fleet: ...
    front.kill(0)
    assert front.broken(fleet.posted) == []
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from app import accounts, clock, courses, groups
from app.channels import Credentials
from app.db import Database, Tx
from app.keyring import Keyring
from app.models import InboxItem
from app.settings import Settings
from tests.faults import checker, lives
from tests.faults.fleet import APART, Fleet, Life, Posted
from tests.faults.processes import PATIENCE, Nursery, Process, address_of, listening
from tests.stage import APPID, KEY, ORIGINAL

T = TypeVar("T")

CODE = "MRNGFLT234"


class Front:
    """Some web processes on one database; a context manager that leaves none of them behind. `seed` drives every choice of the run."""

    def __init__(
        self, database_url: str, folder: Path, nursery: Nursery, seed: int, *, webs: int = 2, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.url = database_url
        self.nursery = nursery
        self.seed = seed
        self.chance = Random(seed)
        self.spool = folder / "spool"
        self.environment = {
            "TONGBAN_DATABASE_URL": database_url,
            "TONGBAN_MASTER_KEY": KEY,
            "TONGBAN_INDEX_KEY": KEY,
            "TONGBAN_LOG_LEVEL": "WARNING",
            "TONGBAN_SPOOL": str(self.spool),
            **(environment or {}),
        }
        self.database = Database(database_url)
        settings = Settings(_env_file=None, database_url=database_url, master_key=KEY, index_key=KEY)  # type: ignore[call-arg, arg-type]  # text is read as from the environment
        self.keyring = Keyring(settings.vault())
        self.listeners = [listening() for _ in range(webs)]
        self.webs: list[Process | None] = [None] * webs
        self.account_id = 0

    def __enter__(self) -> Self:
        self.database.start()
        self.account_id = self.write(self._furnish)
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> None:
        if error is not None:
            said = "\n".join(f"--- {web.name}\n{web.said(1_000)}" for web in self.webs if web is not None)
            error.add_note(f"TONGBAN_FAULT_SEED={self.seed}\n{said}")
        self.nursery.end_all()
        self.database.stop()
        for listener in self.listeners:
            listener.close()

    def _furnish(self, tx: Tx) -> int:
        now = clock.now()
        account_id = accounts.add(
            tx,
            self.keyring,
            now,
            name="demo",
            appid=APPID,
            original_id=ORIGINAL,
            secret="0123456789abcdef0123456789abcdef",
            api_base="http://127.0.0.1:9",
            mode="safe",
        )
        course_id = courses.create(tx, self.keyring, now, account_id=account_id, code="msc", title="正念自我关怀")
        group_id = groups.create(tx, course_id, code="dawn", name="晨光组", capacity=None)
        groups.invite(tx, self.keyring, group_id, now, code=CODE)
        return account_id

    # -- rows

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a committed transaction."""
        return self.database.write_now(work)

    def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction that only reads."""
        return self.database.read_now(work)

    def credentials(self) -> Credentials:
        """What the platform knows of the account."""
        return self.read(lambda tx: accounts.credentials(tx, self.keyring, self.account_id))

    def broken(self, posted: Sequence[Posted]) -> list[str]:
        """What is not as it must be after these pushes (tests/faults/lives.py), the database's own files included."""
        return self.read(lambda tx: lives.broken(tx, self.keyring.vault, self.account_id, posted) + checker.sound(tx))

    async def drained(self, posted: Sequence[Posted]) -> None:
        """Wait until every acknowledged push is in the inbox: nothing is left in a spool. What never comes is told by `broken`.

        Fails where a web process has ended by itself.
        """
        self.must_live()
        owed = {each.key for each in posted if each.acknowledged}
        with contextlib.suppress(TimeoutError):
            await until(lambda: owed <= self.read(lambda tx: set(tx.execute(sa.select(InboxItem.dedupe_key)).scalars())), every=0.1)

    # -- processes

    def start(self, place: int, *, points: Mapping[str, int] | None = None, tuned: Mapping[str, Any] | None = None) -> Process:
        """Start the web process of this place; posts to it wait in its socket meanwhile."""
        web = self.nursery.start(
            "web", environment=self.environment, points=points, tuned=tuned, listener=self.listeners[place], folder=self.folder
        )
        self.webs[place] = web
        return web

    def start_all(self) -> None:
        """Start every web process."""
        for place in range(len(self.webs)):
            self.start(place)

    def kill(self, place: int) -> None:
        """SIGKILL; nobody listens on that socket until the next start."""
        web = self.webs[place]
        assert web is not None
        web.kill()
        self.webs[place] = None

    def must_live(self) -> None:
        """Fail with the last words of a web process that ended by itself."""
        for web in self.webs:
            if web is not None:
                web.must_live()

    def pids(self) -> list[int]:
        """The web processes that live."""
        return [web.pid for web in self.webs if web is not None]

    def all_serve(self) -> bool:
        """Whether every web process has come as far as to wait for connections: its log says so."""
        return all(web is not None and "runs on" in web.said() for web in self.webs)

    def fleet(self, *, rate: float | None = None, apart: float = APART) -> Fleet:
        """The platform, posting to every web process."""
        addresses = [address_of(listener) for listener in self.listeners]
        return Fleet(self.credentials(), addresses, Random(self.chance.random()), rate=rate, apart=apart)

    def lives(self, pushes: int) -> Sequence[Life]:
        """People who together do so much."""
        return lives.lives(self.chance, CODE, pushes=pushes)


@contextlib.asynccontextmanager
async def meanwhile(work: Callable[[], Any]) -> AsyncIterator["asyncio.Task[Any]"]:
    """Something that goes on beside the block and must have ended well when it ends."""
    task: asyncio.Task[Any] = asyncio.ensure_future(work())
    try:
        yield task
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], object], seconds: float = PATIENCE, *, every: float = 0.01) -> None:
    """Wait for something that comes by itself. Raises `TimeoutError`."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - processes and databases offer no event
            await asyncio.sleep(every)
