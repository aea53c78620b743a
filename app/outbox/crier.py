"""Calls the platform for what goes to many at once: keeps tags in step with their groups, makes mass sends, asks what became of them.

Whatever a process dies at, another one goes on from the rows: tags are compared with WeChat's own list first, a call whose answer is
missing is made again under its own id.
"""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from app import broadcasts
from app.broadcasts import Composer
from app.channels import Channel, MassState, Rules, SendError, Verdict
from app.db import Tx
from app.keyring import Keyring
from app.logs import place_of
from app.outbox import mass, mass_answers, mass_rows, tagging, tags
from app.outbox.claims import Lease
from app.outbox.mass import Call, Ready
from app.outbox.mass_rows import Job
from app.outbox.tags import Kept

log = structlog.get_logger()

Writing = Callable[[Callable[[Tx], Any]], Awaitable[Any]]

#: Steps of one account in one go.
_MOST_STEPS = 50
#: How often an audience may change under our hands before somebody else has a turn.
_MOST_ROUNDS = 3


class Crier:
    """What one process does of it. `write` commits one transaction, `insist` for as long as our lease lasts."""

    def __init__(self, write: Writing, insist: Writing, keyring: Keyring, composer: Composer, lease: Callable[[], Lease]) -> None:
        self._write = write
        self._insist = insist
        self._keyring = keyring
        self._composer = composer
        self._lease = lease

    async def go_on(self, account_id: int, channel: Channel, now: datetime, stopping: Callable[[], bool]) -> int:
        """Take each step that is due for an account; returns how many. Mass sends go before the tags that nobody waits for."""
        for steps in range(_MOST_STEPS):
            if stopping() or not (await self._step(account_id, channel, now)):
                return steps
        return _MOST_STEPS

    async def _step(self, account_id: int, channel: Channel, now: datetime) -> bool:
        lease = self._lease()
        job: Job | None = await self._write(lambda tx: mass_rows.take(tx, account_id, lease, now))
        if job is not None:
            await self._go_on_with(job, channel, now)
            return True
        tag: Kept | None = await self._write(lambda tx: tags.take(tx, account_id, lease, now))
        if tag is not None:
            await self._keep(tag, channel, now)
        return tag is not None

    async def _go_on_with(self, job: Job, channel: Channel, now: datetime) -> None:
        if job.to_tell is not None:
            await self._write(lambda tx: mass_answers.tell_author(tx, self._keyring, job, now))
        elif job.state == "planned":
            await self._send(job, channel, now)
        elif job.state == "sending":
            call = await self._write(lambda tx: mass.repeat(tx, self._keyring, job, self._lease(), channel.rules, now))
            await self._call(job, call, channel, now)
        else:
            await self._look(job, channel, now)

    # -- mass sends

    async def _send(self, job: Job, channel: Channel, now: datetime) -> None:
        """Bring the tag in step with the audience, look at both once more, and call."""
        for _ in range(_MOST_ROUNDS):
            ready: Ready | None = await self._write(lambda tx: self._prepare(tx, job, channel.rules, now))
            if ready is None:
                return
            try:
                refused = await tagging.bring_in_step(self._write, self._keyring, channel, ready.tag, ready.wanted, now)
            except SendError as error:
                await self._insist(partial(self._not_in_step, job=job, error=error, now=now))
                return
            call: Call | None = await self._write(partial(self._begin, job=job, ready=ready, refused=refused, rules=channel.rules, now=now))
            if call is not None:
                await self._call(job, call, channel, now)
                return

    def _not_in_step(self, tx: Tx, *, job: Job, error: SendError, now: datetime) -> None:
        mass_answers.not_in_step(tx, job, error, self._lease(), now)

    def _begin(self, tx: Tx, *, job: Job, ready: Ready, refused: Collection[int], rules: Rules, now: datetime) -> Call | None:
        return mass.begin(tx, self._keyring, job, ready, refused, self._lease(), rules, now)

    def _prepare(self, tx: Tx, job: Job, rules: Rules, now: datetime) -> Ready | None:
        return mass.prepare(tx, job, self._words(tx, job), self._lease(), rules, now)

    def _words(self, tx: Tx, job: Job) -> str | None:
        """What everybody reads; None where it cannot be written, or has something to tap, which is made for one person."""
        row = mass_rows.broadcast_of(tx, job)
        details = broadcasts.details_of(tx, self._keyring, [job.broadcast_id])
        try:
            message = self._composer.compose(row.bot, row.kind, job.language, row.zone, details[job.broadcast_id])
        except Exception as bug:  # noqa: BLE001 - as with every message: one that cannot be written holds up no other
            log.error("message_not_written", kind=type(bug).__name__, where=place_of(bug), bot=row.bot)  # noqa: TRY400 - may hold words
            return None
        return None if message.choices else str(message.text)

    async def _call(self, job: Job, call: Call | None, channel: Channel, now: datetime) -> None:
        if call is None:
            return
        msgid: str | None = None
        failure: SendError | None = None
        try:
            msgid = (await channel.send_to_tag(call.tag, call.text, call.client_id)).msgid
        except SendError as error:
            failure = error
        except Exception as bug:  # noqa: BLE001 - a bug is survived here as with every delivery; the same id is tried again
            log.error("mass_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - may hold words
            failure = SendError(Verdict.UNKNOWN, "bug")
        await self._insist(lambda tx: mass_answers.settle(tx, job, call, msgid, failure, self._lease(), channel.rules, now))

    async def _look(self, job: Job, channel: Channel, now: datetime) -> None:
        """Ask what became of one that WeChat has taken."""
        state: MassState | None = None
        code: str | None = None
        try:
            state = await channel.mass_state(job.msgid) if job.msgid is not None else MassState.SENT
        except SendError as error:
            code = error.code
        await self._insist(lambda tx: mass_answers.looked(tx, job, state, code, now))

    # -- tags

    async def _keep(self, tag: Kept, channel: Channel, now: datetime) -> None:
        """Bring one tag in step with its group, or take it away where its course is over."""
        try:
            if tag.over:
                await self._take_away(tag, channel)
                return
            wanted = await self._write(lambda tx: tags.members(tx, tag))
            if wanted or tag.number is not None:  # there may be a hundred tags: none is made for nobody
                await tagging.bring_in_step(self._write, self._keyring, channel, tag, wanted, now)
        except SendError as error:
            failure = error
            await self._write(lambda tx: tags.failed(tx, tag, failure, now))
        else:
            await self._write(lambda tx: tags.rest(tx, tag, now))

    async def _take_away(self, tag: Kept, channel: Channel) -> None:
        if tag.number is not None:
            try:
                await channel.delete_tag(tag.number)
            except SendError as error:
                if error.code != tags.GONE:
                    raise
        await self._write(lambda tx: tags.remove(tx, tag))
