"""Hides the way back: what waits in the spool goes through the inbox, oldest first, and each file leaves after its commit.

Nobody's pushes overtake each other: of one person only one is under way. What cannot be read is put aside, what breaks us goes to
quarantine, and somebody whose row is locked just now keeps nobody else waiting.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from app import audit, clock, inbox
from app.channels import LinkMaker
from app.channels.wechat.replies import split_text
from app.channels.wechat.xml import parse, text_of
from app.db import Database, Tx
from app.errors import Unavailable, database_away
from app.inbox import Incoming, Late
from app.keyring import Unreadable
from app.logs import place_of
from app.situation import Tools
from app.spool.folder import Folder, person_in, written_for
from app.spool.letter import BadLetter, Letter, Seal

log = structlog.get_logger()

T = TypeVar("T")

#: Pushes of different people that are replayed at the same time; those who write now want their turn too.
_TOGETHER = 16
#: So many pushes at one look: who replays on and on, while others keep spooling, would never learn that the database is back.
_AT_A_LOOK = 256
#: One push may take this long before it is left for the next round.
_SECONDS = 5.0


class Replay:
    """Replays one spool folder into one database."""

    def __init__(
        self, database: Database, tools: Tools, folder: Folder, seal: Seal, hands: Executor, link_for: Callable[[int], LinkMaker]
    ) -> None:
        self._database = database
        self._tools = tools
        self._folder = folder
        self._seal = seal
        self._hands = hands
        self._link_for = link_for

    async def run(self, first: Callable[[], None]) -> int | None:
        """Replay the oldest of what waits, as far as the database takes it; returns how many, or None where another process is at it.

        There may be more then. `first` is called as soon as one was taken.
        """
        with self._folder.alone() as ours:
            return await self._run(first) if ours else None

    async def bring(self, names: Sequence[str]) -> bool:
        """Replay these files of one person, whoever else is at it; whether they are done with. What is taken twice is known by its key."""
        for name in names:
            if not await self._replay(name):
                return False
        return True

    async def _run(self, first: Callable[[], None]) -> int:
        await self._tidy()
        replayed = 0
        stuck: set[str] = set()
        for batch in _batches(await self._file(self._folder.names)):
            if replayed >= _AT_A_LOOK:
                break
            tried = [name for name in batch if person_in(name) not in stuck]
            outcomes = await self._replay_all(tried)
            failed = {person_in(name) for name, taken in zip(tried, outcomes, strict=True) if not taken}
            if any(outcomes) and not replayed:
                first()
            replayed += sum(outcomes)
            if failed and not any(outcomes):
                await self._database_answers()
            stuck |= failed
        return replayed

    async def _database_answers(self) -> None:
        """Raises `Unavailable` where it is not one person's row that is locked, but the database that is away."""
        await self._write(lambda tx: tx.exec_driver_sql("SELECT 1"))

    async def _replay_all(self, names: Sequence[str]) -> Sequence[bool]:
        """Whether each of these files, of different people, is done with."""
        if await self._replay_at_once(names):
            return [True] * len(names)
        return await asyncio.gather(*map(self._replay, names))

    async def _replay_at_once(self, names: Sequence[str]) -> bool:
        """Whether one transaction took them all; where it did not, each shows by itself what is wrong with it."""
        try:
            contents = await self._file(partial(self._read, names))
            letters = [self._seal.open(name, content) for name, content in zip(names, contents, strict=True)]
            pushes = [self._incoming(letter) for letter in letters if isinstance(letter, Letter)]
            if len(pushes) < len(letters):
                return False
            await self._write(lambda tx: [inbox.take(tx, self._tools, each) for each in pushes])
            await self._file(partial(self._remove, names))
        except Exception:  # noqa: BLE001 - nothing is lost: whatever it is, it comes again, and is told then
            return False
        return True

    def _read(self, names: Sequence[str]) -> list[bytes]:
        return [self._folder.read(name) for name in names]

    def _remove(self, names: Sequence[str]) -> None:
        for name in names:
            self._folder.remove(name)

    async def _replay(self, name: str) -> bool:
        """Whether this file is done with; False where it must wait for the next round."""
        try:
            try:
                await self._deliver(self._seal.open(name, await self._file(partial(self._folder.read, name))))
            except FileNotFoundError:
                return True  # the folder was tidied by hand
            await self._file(partial(self._folder.remove, name))
        except Unavailable:
            return False
        except (OSError, Unreadable) as wrong:
            return await self._put_aside(name, type(wrong).__name__)
        except Exception as bug:  # noqa: BLE001 - not even quarantine takes it (an account that is gone): kept aside, others go on
            log.error("spooled_push_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold words
            return await self._put_aside(name, type(bug).__name__)
        return True

    async def _deliver(self, letter: Letter | BadLetter) -> None:
        if isinstance(letter, Letter):
            incoming = self._incoming(letter)
            try:
                await self._write(lambda tx: inbox.take(tx, self._tools, incoming))
            except Unavailable:
                raise
            except Exception as bug:  # noqa: BLE001 - as at the webhook: kept, alarmed, out of the way
                log.error("push_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold words
                letter = BadLetter(letter.account_id, letter.received_at, f"push: {type(bug).__name__}", letter.push.raw, letter.row_id)
            else:
                return
        await self._write(lambda tx: _quarantine(tx, self._tools, letter))

    def _incoming(self, letter: Letter) -> Incoming:
        late = Late(letter.received_at, answered=letter.answered, words_of=_words_of, row_id=letter.row_id)
        return Incoming(letter.account_id, letter.push, write_reply=str.encode, split=split_text, link_for=self._link_for, late=late)

    async def _tidy(self) -> None:
        """Save what a dead writer left whole, and move aside what is not ours."""
        for part in await self._file(self._folder.abandoned):
            with suppress(OSError):  # what its disk keeps for itself holds nobody up
                await self._tidy_one(part)
        for stranger in await self._file(self._folder.strangers):
            await self._put_aside(stranger, "stranger")

    async def _tidy_one(self, part: Path) -> None:
        try:
            self._seal.open(written_for(part), await self._file(part.read_bytes))
        except Unreadable:  # not whole: its writer promised nothing
            await self._file(partial(part.unlink, missing_ok=True))
        else:
            await self._file(partial(self._folder.adopt, part))

    async def _put_aside(self, file: str | Path, why: str) -> bool:
        """Whether a file that cannot be read is out of the way, and the operators know."""
        try:
            await self._write(lambda tx: audit.alarm(tx, clock.now(), "spool_unreadable", why[:60]))
            await self._file(partial(self._folder.put_aside, file))
        except (Unavailable, OSError):
            return False
        log.error("spool_unreadable", why=why)
        return True

    async def _write(self, work: Callable[[Tx], T]) -> T:
        try:
            return await asyncio.wait_for(self._database.write(work), _SECONDS)
        except TimeoutError:
            raise database_away() from None

    def _file(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._hands, work)


def _batches(names: Sequence[str]) -> Sequence[list[str]]:
    """Runs of the order in which nobody occurs twice."""
    batches: list[list[str]] = []
    persons: set[str] = set()
    for name in names:
        person = person_in(name)
        if not batches or person in persons or len(batches[-1]) == _TOGETHER:
            batches.append([])
            persons.clear()
        batches[-1].append(name)
        persons.add(person)
    return batches


def _quarantine(tx: Tx, tools: Tools, letter: BadLetter) -> None:
    inbox.quarantine(tx, tools, letter.account_id, letter.reason, letter.raw, letter.received_at, row_id=letter.row_id)


def _words_of(reply: bytes) -> str:
    return text_of(parse(reply)[0], "Content")
