"""Hides the access token: one row per account, refreshed under a lease by one process while the others wait.

Forced only where the normal call returned the very token that was just refused: once, at least 30 s apart, at most ten a day
(the platform allows 20; platform reference, section 9).
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import clock, ids
from app.channels import Channel, SendError, Verdict
from app.db import Database, Tx
from app.db.prepared import Prepared, slot
from app.errors import Unavailable
from app.keyring import Keyring, Place
from app.models import AccessToken, Account

_LEASE_SECONDS = 25.0  # two calls of ten seconds each, and what lies between
_MARGIN = timedelta(minutes=2)  # both tokens are valid in the last five minutes: a change this early disturbs nobody
_FORCED_A_DAY = 10
_FORCED_APART = timedelta(seconds=30)
_WAIT_SECONDS = 0.05
_HOPELESS = timedelta(seconds=2)  # whoever else was refused the same token need not ask again


@dataclass(frozen=True)
class _Stored:
    token: str | None
    mine: bool  # this process holds the lease and shall fetch
    may_force: bool


class Keeper:
    """The access token of one account, as `TokenKeeper` of its channel."""

    def __init__(self, database: Database, keyring: Keyring, account_id: int, owner: str) -> None:
        self._database = database
        self._keyring = keyring
        self._account_id = account_id
        self._owner = f"{owner}.{ids.new_code()}"  # a process may have several keepers of one account
        self._turn = asyncio.Lock()
        self._token: str | None = None
        self._until = 0.0
        self._hopeless: tuple[str, datetime] | None = (
            None  # the platform gave it again after it had refused it, and nothing may be forced yet
        )
        self.channel: Channel | None = None

    async def current(self) -> str:
        """A token that was valid when last heard of. Raises `SendError`."""
        if self._token is not None and clock.steady() < self._until:
            return self._token
        async with self._turn:
            if self._token is not None and clock.steady() < self._until:
                return self._token  # whoever was before us has fetched it
            return await self._fresh(refused=None)

    async def refused(self, token: str) -> str:
        """A newer token than this one, which the platform refused. Raises `SendError`."""
        async with self._turn:
            if self._token is not None and self._token != token and clock.steady() < self._until:
                return self._token
            if self._hopeless is not None and self._hopeless[0] == token and abs(clock.now() - self._hopeless[1]) < _HOPELESS:
                raise _keeps_giving()
            return await self._fresh(refused=token)

    async def _fresh(self, refused: str | None) -> str:
        with suppress(Unavailable):
            return await self._looked_up(refused)
        # Whoever has no token has not sent anything: that stays certain while the database is away.
        raise SendError(Verdict.NOT_SENT, "no_database", "the database does not say which token is valid")

    async def _looked_up(self, refused: str | None) -> str:
        give_up = clock.steady() + _LEASE_SECONDS
        while clock.steady() < give_up:
            stored = await self._database.write(lambda tx: self._look(tx, refused))
            if stored.token is not None:
                return self._remember(stored.token, timedelta(seconds=30))
            if stored.mine:
                return await self._fetch(refused, may_force=stored.may_force)
            await asyncio.sleep(_WAIT_SECONDS)
        raise SendError(Verdict.NOT_SENT, "token_lease", "another process is refreshing the token")

    def _look(self, tx: Tx, refused: str | None) -> _Stored:
        now, machine = clock.now(), clock.machine_seconds()
        row = _HELD.first(tx, account=self._account_id)
        token = self._unseal(tx, row.token_sealed)
        if token is not None and token != refused and row.expires_at is not None and row.expires_at - _MARGIN > now:
            return _Stored(token, mine=False, may_force=False)
        if row.lease_owner not in (None, self._owner) and (row.lease_until or 0) > machine:
            return _Stored(None, mine=False, may_force=False)
        _TAKE.run(tx, account=self._account_id, owner=self._owner, until=machine + _LEASE_SECONDS)
        return _Stored(None, mine=True, may_force=_may_force(row.forced_at, row.forced_day, row.forced_count, now))

    async def _fetch(self, refused: str | None, *, may_force: bool) -> str:
        if self.channel is None:
            raise RuntimeError("a keeper without its channel")
        try:
            token, lives = await self.channel.fetch_token(force=False)
            if token == refused and may_force:
                await self._database.write(self._count_forced)  # before the call: one whose answer is lost counts too
                token, lives = await self.channel.fetch_token(force=True)
        except SendError:
            await self._database.write(self._let_go)
            raise
        if token == refused:
            await self._database.write(self._let_go)
            self._hopeless = (token, clock.now())
            raise _keeps_giving()
        await self._database.write(lambda tx: self._store(tx, token, lives))
        return self._remember(token, lives - _MARGIN)

    def _remember(self, token: str, lives: timedelta) -> str:
        self._token, self._until = token, clock.steady() + max(1.0, lives.total_seconds())
        return token

    def _count_forced(self, tx: Tx) -> None:
        now = clock.now()
        mine = AccessToken.account_id == self._account_id
        today = tx.execute(sa.select(AccessToken.forced_day).where(mine)).scalar_one()
        count = AccessToken.forced_count + 1 if today == now.date() else 1
        tx.execute(sa.update(AccessToken).where(mine).values(forced_at=now, forced_day=now.date(), forced_count=count))

    def _store(self, tx: Tx, token: str, lives: timedelta) -> None:
        now = clock.now()
        key = self._keyring.open(tx, self._key_id(tx))
        sealed = key.seal(Place("access_tokens", "token_sealed", self._account_id), token)
        _STORE.run(tx, account=self._account_id, token=sealed, expires_at=now + lives)

    def _let_go(self, tx: Tx) -> None:
        tx.execute(
            sa.update(AccessToken)
            .where(AccessToken.account_id == self._account_id, AccessToken.lease_owner == self._owner)
            .values(lease_owner=None, lease_until=None)
        )

    def _unseal(self, tx: Tx, sealed: bytes | None) -> str | None:
        return self._keyring.unseal(tx, self._key_id(tx), Place("access_tokens", "token_sealed", self._account_id), sealed)

    def _key_id(self, tx: Tx) -> int:
        key_id: int = _KEY.first(tx, account=self._account_id).data_key_id
        return key_id


_MINE = AccessToken.account_id == slot("account")
_HELD = Prepared(lambda _: [sa.select(*AccessToken.__table__.columns).where(_MINE).with_for_update()])
_TAKE = Prepared(lambda _: [sa.update(AccessToken).where(_MINE).values(lease_owner=slot("owner"), lease_until=slot("until"))])
_STORE = Prepared(
    lambda _: [
        sa.update(AccessToken)
        .where(_MINE)
        .values(token_sealed=slot("token"), expires_at=slot("expires_at"), lease_owner=None, lease_until=None)
    ]
)
_KEY = Prepared(lambda _: [sa.select(Account.data_key_id).where(Account.id == slot("account"))])


def _keeps_giving() -> SendError:
    return SendError(Verdict.TOKEN, "40001", "the platform keeps giving the token that it refuses")


def _may_force(forced_at: datetime | None, forced_day: object, forced_count: int, now: datetime) -> bool:
    if forced_at is not None and now - forced_at < _FORCED_APART:
        return False
    return forced_day != now.date() or forced_count < _FORCED_A_DAY
