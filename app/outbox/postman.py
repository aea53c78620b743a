"""Calls the platform for one process: a round of sending per account, many at once; one account's trouble never stops another's."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from app import clock
from app.broadcasts import Composer
from app.channels import Channel, LinkMaker, Rules
from app.db import PATIENCE_SECONDS, Database, Look, Tx
from app.errors import Unavailable
from app.keyring import Keyring
from app.outbox import claims, mass_rows, results, tags
from app.outbox.claims import Lease
from app.outbox.crier import Crier
from app.outbox.parcels import Packer
from app.outbox.rounds import Round, Tools
from app.outbox.slots import Slots
from bots.texts import Texts

T = TypeVar("T")


class Postman:
    """Sends for one process. `link_for(person)` makes what a person taps; `read_url(delivery)` the address of a notice's words."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        composer: Composer,
        words: Texts,
        owner: str,
        lease_seconds: float,
        *,
        link_for: Callable[[int], LinkMaker],
        read_url: Callable[[int], str],
    ) -> None:
        self._database = database
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._served: dict[int, Counter[int]] = {}
        self._in_doubt_until: dict[int, float] = {}
        self._give_up = float("inf")
        self._tools = Tools(
            write=database.write,
            insist=partial(self._insist, (), ""),
            insist_ahead=lambda looks, owner: partial(self._insist, looks, owner),
            keyring=keyring,
            packer=Packer(keyring, composer, words, link_for, read_url),
            slots=Slots(),
            lease=self._lease,
            stopping=asyncio.Event(),
        )
        self._crier = Crier(database.write, self._tools.insist, keyring, composer, self._lease)

    async def send_masses(self, account_id: int, channel: Channel, now: datetime) -> int:
        """Go on with the mass sends of one account and with its tags; returns how many steps were taken."""
        due = await self._database.read(lambda tx: mass_rows.any_due(tx, account_id, now) or tags.any_due(tx, account_id, now))
        return await self._crier.go_on(account_id, channel, now, self._tools.stopping.is_set) if due else 0

    async def send_due(self, account_id: int, channel: Channel, now: datetime, *, moving: bool = False) -> int:
        """Send what is due for one account at `now`; returns how many deliveries were dealt with.

        `moving`: and what becomes due meanwhile. Without it only alerts are noticed, which go first.

        Where the database had no word for a round until it gave up, what that began may still be `sending`: nothing else of the account
        is begun here before its lease is over, or a kill would leave more in doubt than may be in flight.
        """
        if clock.machine_seconds() < self._in_doubt_until.get(account_id, 0.0):
            return 0
        served = self._served.setdefault(account_id, Counter())
        if len(served) > 1_000:
            served.clear()
        sending = Round(self._tools, account_id, channel, now, served, moving=moving)
        try:
            return await sending.run()
        except Unavailable:
            self._in_doubt_until[account_id] = sending.held_until
            raise

    def stop(self, seconds: float) -> None:
        """Begin nothing more: rounds put back what they hold, let calls end, write down what came of them, for so long at most."""
        self._give_up = clock.steady() + seconds
        self._tools.stopping.set()

    async def reap(self, now: datetime) -> int:
        """Settle what dead processes left behind; returns how many rows changed."""
        return await self._database.write(
            lambda tx: (
                claims.reap(tx, now, clock.machine_seconds(), Rules()) + claims.expire(tx, now) + results.apply_missed_receipts(tx, now)
            )
        )

    async def _insist(self, looks: Sequence[Look], owner: str, work: Callable[[Tx], T]) -> T:
        """Commit what the platform said, as long as our lease lasts: a database that is away for a moment costs no certainty.

        Without an owner it is work that may take its time.
        """
        give_up = clock.steady() + self._lease_seconds - PATIENCE_SECONDS
        while True:
            try:
                return await (self._database.write_in_turn(looks, work, owner, whole=True) if owner else self._database.write(work))
            except Unavailable:
                if clock.steady() >= min(give_up, self._give_up):
                    raise
                await asyncio.sleep(0.5)

    def _lease(self) -> Lease:
        return Lease(self._owner, clock.machine_seconds() + self._lease_seconds)
