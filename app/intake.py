"""Takes what the webhook lets in: into the database, or, while that is away, into the spool; nobody waits longer than the platform does.

A database that is gone for a moment is waited for. Found away, it is not waited for again until it answers: pushes go to the disk at
once. Whoever has a push lying there and writes again when the database is back has the older one brought in first, in whatever process,
and lines up behind it where that does not work; everybody else is served.
"""

import asyncio
import errno
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog

from app import audit, clock, ids, inbox
from app.assembly import Assembly
from app.channels import Push
from app.db import Look, Tx
from app.errors import Unavailable, database_away
from app.inbox import Incoming, Taken
from app.logs import place_of
from app.situation import Tools
from app.spool import BadLetter, FirstWords, Folder, Letter, Replay, Seal, SpoolFull, first_words

log = structlog.get_logger()

T = TypeVar("T")

#: The platform hangs up after five seconds (section 1.4): the database gets three, the disk what that leaves and a bit more.
PATIENCE_SECONDS = 3.0
_DISK_SECONDS = 1.2
#: A database that refuses at once is asked again after so long, then after twice as long, and so on.
_PAUSE_SECONDS, _LONGEST_PAUSE = 0.05, 0.4
#: How often we look whether the database is back, and whether something waits.
_LOOK_SECONDS = 0.5
#: After a push that waited in vain the database is asked for nothing: if it says nothing for so long, it is away for everybody.
_DOUBT_SECONDS = 0.5
#: So many pushes in a row that waited in vain need no asking: a disk that is full, say, still answers questions.
_ENOUGH = 3
#: So many older pushes of theirs somebody who writes waits for; who has more lying there lines up.
_BROUGHT = 4
_STOP_SECONDS = 3.0
#: Writers of spool files: the disk syncs what waits together.
_HANDS = 4


class _GivenUp(Exception):
    """Nobody waits for this any more: what was written is undone, the spool has it."""


@dataclass
class _Attempt:
    """One push on its way into the database; `given_up` once it lies in the spool instead."""

    given_up: bool = False


@dataclass
class _News:
    """What the operators shall hear as soon as it can be written down."""

    away: bool = False
    refused: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.away or self.refused)


class Intake:
    """The way in of one process. `start()` before use, `stop()` at the end."""

    def __init__(self, assembly: Assembly) -> None:
        self._database, self._tools = assembly.database, assembly.tools
        self._folder = Folder(assembly.settings.spool, assembly.settings.spool_most)
        self._seal = Seal(assembly.tools.keyring.vault)
        self._hands = ThreadPoolExecutor(_HANDS, thread_name_prefix="spool")
        self._replay = Replay(self._database, self._tools, self._folder, self._seal, self._hands, assembly.links().for_person)
        self._news = _News()
        self._away_since: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self._in_vain = 0
        self._hesitating: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._stopping = False
        self._keeper: asyncio.Task[None] | None = None

    @property
    def away(self) -> bool:
        """Whether the database was found away and has not answered since."""
        return self._away_since is not None

    async def start(self) -> None:
        """Make the folder and begin to look after it. Without a folder pushes are refused while the database is away, and that is told."""
        try:
            await self._file(self._folder.make)
            await self._file(self._folder.bring_back)
        except OSError as refused:
            self._refused(_word_for(refused))
        self._keeper = asyncio.create_task(self._look_after())

    async def stop(self) -> None:
        """End in good order; what is left waits on the disk for the next start."""
        self._stopping = True
        self._wake.set()
        if self._keeper is not None:
            with suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(self._keeper, _STOP_SECONDS)
        if self._asking is not None:
            self._asking.cancel()
        self._hands.shutdown(wait=False, cancel_futures=True)

    async def take(self, incoming: Incoming, until: float) -> Taken | None:
        """Handle a push, or keep it for later; None where neither is possible, so that the platform tries again.

        `until`: when, by the steady clock, our patience with the database ends.
        """
        person = self._seal.person(incoming.account_id, incoming.push.openid)
        while self._hesitating[person] and not self.away and clock.steady() < until:  # noqa: ASYNC110 - rare, and over in a moment
            await asyncio.sleep(_PAUSE_SECONDS)  # an earlier push of theirs is just being tried again
        if self._asking is not None:
            await asyncio.wait({self._asking})
        if self.away or not await self._caught_up(person, until):
            return await self._keep_push(incoming, until)
        attempt = _Attempt()
        try:
            looks = inbox.looks(self._tools, incoming) if self._database.looks_ahead else ()
            taken = await self._write(partial(self._take, incoming=incoming, attempt=attempt), until, person, looks)
        except Unavailable:
            attempt.given_up = True
            self._doubt()
            with self._hesitates(person):
                return await self._keep_push(incoming, until)
        except Exception as bug:  # noqa: BLE001 - a push that breaks us would come back twice: kept, alarmed, answered
            log.error("push_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold what somebody wrote
            kept = await self._keep_bad(incoming.account_id, f"push: {type(bug).__name__}", incoming.push.raw, until)
            return Taken(0, None) if kept else None
        self._in_vain = 0
        return taken

    async def quarantine(self, account_id: int, reason: str, raw: bytes, until: float) -> bool:
        """Keep what nobody understood for the operators; False where that is not possible now."""
        return await self._keep_bad(account_id, reason, raw, until)

    def _take(self, tx: Tx, incoming: Incoming, attempt: _Attempt) -> Taken:
        taken = inbox.take(tx, self._tools, incoming)
        if attempt.given_up:  # it hung too long: its reply would reach nobody
            raise _GivenUp
        return taken

    async def _caught_up(self, person: str, until: float) -> bool:
        """Whether nothing of theirs lies in the spool any more: what does is brought in now, so that they are answered at once."""
        if not self._folder.holds(person):
            return True
        names = self._folder.names_of(person)
        if len(names) > _BROUGHT:
            return False
        with self._hesitates(person), suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until - clock.steady()) / 2):  # what is left is for the push itself
                return await self._replay.bring(names)
        return False

    async def _write(self, work: Callable[[Tx], T], until: float, person: str, looks: Sequence[Look] = ()) -> T:
        """Write, and write again while the database refuses. Raises what `work` raises, or `Unavailable` when our patience ends."""
        try:
            async with asyncio.timeout(max(0.0, until - clock.steady())):
                try:
                    return await self._database.write_in_turn(looks, work, person)
                except Unavailable:
                    return await self._write_again(work, person)
        except TimeoutError:
            raise database_away() from None

    async def _write_again(self, work: Callable[[Tx], T], person: str) -> T:
        pause = _PAUSE_SECONDS
        with self._hesitates(person):
            while not self.away:
                await asyncio.sleep(pause)
                with suppress(Unavailable):
                    return await self._database.write_short(work)
                pause = min(2 * pause, _LONGEST_PAUSE)
        raise database_away()

    @contextmanager
    def _hesitates(self, person: str) -> Iterator[None]:
        """What this person writes now waits until we know what becomes of what they wrote before."""
        self._hesitating[person] += 1
        try:
            yield
        finally:
            self._hesitating -= Counter([person])  # a count of zero goes

    async def _keep_push(self, incoming: Incoming, until: float) -> Taken | None:
        """Write a push to the disk; what safety says to it is answered now, and not once more when it is replayed."""
        words = self._first_words(incoming.push)
        letter = Letter(incoming.account_id, clock.now(), incoming.push, ids.new_id(), answered=words is not None)
        if not await self._spool(letter, until, always=words is not None and words.grave):
            return None
        return Taken(0, None if words is None else incoming.write_reply(words.text))

    def _first_words(self, push: Push) -> FirstWords | None:
        try:
            return first_words(self._tools.bots, push, clock.now())
        except Exception as bug:  # noqa: BLE001 - a bot that raises must not cost us the push
            log.error("bot_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold what somebody wrote
            return None

    async def _keep_bad(self, account_id: int, reason: str, raw: bytes, until: float) -> bool:
        letter = BadLetter(account_id, clock.now(), reason, raw, ids.new_id())
        if not self.away:
            try:
                await self._write(partial(_quarantine, tools=self._tools, letter=letter), until, "")
            except Unavailable:
                self._doubt()
            except Exception as bug:  # noqa: BLE001 - an account that is just being removed: the replay puts it aside
                log.error("not_quarantined", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - as above
            else:
                return True
        return await self._spool(letter, until)

    async def _spool(self, letter: Letter | BadLetter, until: float, *, always: bool = False) -> bool:
        name = self._seal.name(letter)
        try:
            work = self._file(partial(self._folder.put, name, self._seal.close(name, letter), always=always))
            await asyncio.wait_for(work, max(until - clock.steady(), 0.0) + _DISK_SECONDS)
        except (SpoolFull, OSError, TimeoutError) as refused:
            self._refused(_word_for(refused))
            return False
        if not self.away:
            self._wake.set()  # a line that moves
        return True

    def _refused(self, why: str) -> None:
        if not self._news.refused[why]:
            log.error("spool_refused", why=why)
        self._news.refused[why] += 1

    def _doubt(self) -> None:
        """Find out whether the database is away, or somebody else just holds one person's row."""
        self._in_vain += 1
        if self._in_vain >= _ENOUGH:
            self._gone()
        if self._asking is None and not self.away:
            self._asking = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        try:
            await self._write_nothing(_DOUBT_SECONDS)
        except Unavailable:
            self._gone()
        except Exception as bug:  # noqa: BLE001 - whatever it is: pushes go on as if we had not asked
            log.error("spool_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold words
        finally:
            self._asking = None

    def _gone(self) -> None:
        if self._away_since is None:
            self._away_since, self._news.away = clock.steady(), True
            log.warning("database_away")

    def _back(self) -> None:
        if self._away_since is not None:
            log.warning("database_back", seconds=round(clock.steady() - self._away_since, 1))
        self._away_since, self._in_vain = None, 0

    # -- the way back

    async def _look_after(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                await self._look()
            except Unavailable:
                self._gone()
            except Exception as bug:  # noqa: BLE001 - the next look may go better
                log.error("spool_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold words
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _LOOK_SECONDS)

    async def _look(self) -> None:
        if self._asking is not None:
            await asyncio.wait({self._asking})
        if self.away:
            await self._write_nothing(PATIENCE_SECONDS)
        if await self._file(self._folder.names):
            await self._drain()
        if self.away:
            self._back()
        if self._news:
            news, self._news = self._news, _News()
            try:
                await self._write_soon(partial(_tell, news=news, now=clock.now()), PATIENCE_SECONDS)
            except Unavailable:
                self._news = _News(away=news.away or self._news.away, refused=news.refused + self._news.refused)
                raise

    async def _drain(self) -> None:
        """Replay what waits. The first push that is taken says that the database is back. Raises `Unavailable` where none is."""
        replayed = await self._replay.run(self._back)
        if replayed:
            log.info("spool_replayed", count=replayed)
            self._wake.set()  # there may be more
        if replayed == 0 and self.away:
            raise database_away()

    async def _write_nothing(self, seconds: float) -> None:
        await self._write_soon(lambda tx: tx.exec_driver_sql("SELECT 1"), seconds)

    async def _write_soon(self, work: Callable[[Tx], object], seconds: float) -> None:
        try:
            await asyncio.wait_for(self._database.write(work), seconds)
        except TimeoutError:
            raise database_away() from None

    def _file(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._hands, work)


def _quarantine(tx: Tx, *, tools: Tools, letter: BadLetter) -> None:
    inbox.quarantine(tx, tools, letter.account_id, letter.reason, letter.raw, letter.received_at, row_id=letter.row_id)


def _tell(tx: Tx, news: _News, now: datetime) -> None:
    if news.away:
        audit.alarm(tx, now, "database_away", "spooled")
    for why in news.refused:
        audit.alarm(tx, now, "spool_refused", why)


def _word_for(refused: Exception) -> str:
    if isinstance(refused, SpoolFull):
        return "full"
    number = refused.errno if isinstance(refused, OSError) else None
    return "slow" if number is None else errno.errorcode.get(number, "disk")
