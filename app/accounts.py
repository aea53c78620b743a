"""Hides how an account's secrets rest: adds accounts, gives their credentials, rotates their keys."""

import asyncio
import secrets
import string
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from app import audit, clock, ids
from app.channels import Credentials
from app.db import Database, Tx
from app.errors import Conflict, NotFound, database_away
from app.keyring import Keyring, Place, Unreadable
from app.models import AccessToken, Account, Pace

log = structlog.get_logger()

#: The address of the platform's API.
WECHAT = "https://api.weixin.qq.com"
#: After a change of EncodingAESKey pushes under the former one are taken for this long.
ROTATION = timedelta(hours=24)
_LETTERS = string.ascii_letters + string.digits


def new_token() -> str:
    """A webhook token as WeChat's console takes it: 32 letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(32))


def new_aes_key() -> str:
    """An EncodingAESKey: 43 characters whose last one has the two low bits that base64 wants to be zero."""
    return "".join(secrets.choice(_LETTERS) for _ in range(42)) + secrets.choice("AEIMQUYcgkosw048")


def add(
    tx: Tx,
    keyring: Keyring,
    now: datetime,
    *,
    name: str,
    appid: str,
    original_id: str,
    secret: str,
    api_base: str = WECHAT,
    mode: str = "safe",
    token: str | None = None,
    aes_key: str | None = None,
) -> int:
    """Store a new account and return its id. Raises `Conflict` where the name or the appid is taken."""
    if tx.execute(sa.select(Account.id).where(sa.or_(Account.name == name, Account.appid == appid))).first():
        raise Conflict("account_exists", f"There is an account {name!r} or one with this appid already; `tongban account show` lists it.")
    key, account_id = keyring.create(tx), ids.new_id()

    def seal(column: str, plain: str) -> bytes:
        return key.seal(Place("accounts", column, account_id), plain)

    tx.execute(
        sa.insert(Account).values(
            id=account_id,
            data_key_id=key.id,
            name=name,
            appid=appid,
            original_id=original_id,
            api_base=api_base.rstrip("/"),
            mode=mode,
            token_sealed=seal("token_sealed", token or new_token()),
            secret_sealed=seal("secret_sealed", secret),
            aes_key_sealed=seal("aes_key_sealed", aes_key or new_aes_key()),
            created_at=now,
        )
    )
    tx.execute(sa.insert(AccessToken).values(account_id=account_id, forced_count=0))
    audit.record(tx, now, "operator", "account.add", f"account:{account_id}")
    return account_id


def set_notice(tx: Tx, account_id: int, notice_id: str, fields: dict[str, str]) -> None:
    """Name the approved template for notices; `fields` maps kind, sender and time to the template's own fields."""
    tx.execute(sa.update(Account).where(Account.id == account_id).values(notice_id=notice_id, notice_fields=fields))


def change(
    tx: Tx,
    keyring: Keyring,
    account_id: int,
    now: datetime,
    *,
    secret: str | None = None,
    mode: str | None = None,
    api_base: str | None = None,
    token: str | None = None,
) -> None:
    """Take a new AppSecret, mode, API address or webhook token; None keeps what there is.

    A new secret makes the stored access token worthless. Of webhook tokens only the newest counts.
    """
    values: dict[str, Any] = {name: value for name, value in {"mode": mode, "api_base": api_base}.items() if value is not None}
    fresh = {name: value for name, value in {"secret_sealed": secret, "token_sealed": token}.items() if value is not None}
    if fresh:
        key = keyring.open(tx, tx.execute(sa.select(Account.data_key_id).where(Account.id == account_id)).scalar_one())
        values |= {name: key.seal(Place("accounts", name, account_id), value) for name, value in fresh.items()}
    if secret is not None:
        tx.execute(sa.update(AccessToken).where(AccessToken.account_id == account_id).values(token_sealed=None, expires_at=None))
        tx.execute(sa.delete(Pace).where(Pace.account_id == account_id))  # parked because of the old secret
    if values:
        tx.execute(sa.update(Account).where(Account.id == account_id).values(**values))
    audit.record(tx, now, "operator", "account.change", f"account:{account_id}", what=sorted(values))


def rotate_aes_key(tx: Tx, keyring: Keyring, account_id: int, aes_key: str, now: datetime) -> None:
    """Take a new EncodingAESKey; the former one is accepted for another day."""
    row = tx.execute(sa.select(Account.data_key_id, Account.aes_key_sealed).where(Account.id == account_id)).one()
    key = keyring.open(tx, row.data_key_id)
    former = key.unseal(Place("accounts", "aes_key_sealed", account_id), row.aes_key_sealed)
    tx.execute(
        sa.update(Account)
        .where(Account.id == account_id)
        .values(
            aes_key_sealed=key.seal(Place("accounts", "aes_key_sealed", account_id), aes_key),
            previous_aes_key_sealed=key.seal(Place("accounts", "previous_aes_key_sealed", account_id), former),
            previous_aes_key_until=now + ROTATION,
        )
    )
    audit.record(tx, now, "operator", "account.rotate_aes_key", f"account:{account_id}")


def by_name(tx: Tx, name: str) -> int:
    """The id of an account. Raises `NotFound` with the names there are."""
    found = tx.execute(sa.select(Account.id).where(Account.name == name)).scalar_one_or_none()
    if found is None:
        there = (
            ", ".join(tx.execute(sa.select(Account.name).order_by(Account.name)).scalars()) or "none yet; `tongban account add` makes one"
        )
        raise NotFound("account", f"There is no account {name!r}. Accounts: {there}.")
    return found


def credentials(tx: Tx, keyring: Keyring, account_id: int) -> Credentials:
    """What is needed to speak with an account."""
    row = tx.execute(sa.select(*Account.__table__.columns).where(Account.id == account_id)).one()
    key = keyring.open(tx, row.data_key_id)

    def unseal(column: str, sealed: bytes) -> str:
        return key.unseal(Place("accounts", column, account_id), sealed)

    former: Any = row.previous_aes_key_sealed
    return Credentials(
        account=row.name,
        appid=row.appid,
        original_id=row.original_id,
        api_base=row.api_base,
        mode=row.mode,
        token=unseal("token_sealed", row.token_sealed),
        secret=unseal("secret_sealed", row.secret_sealed),
        aes_key=unseal("aes_key_sealed", row.aes_key_sealed),
        previous_aes_key=None if former is None else unseal("previous_aes_key_sealed", former),
        previous_aes_key_until=row.previous_aes_key_until,
        notice_id=row.notice_id,
        notice_fields=row.notice_fields,
    )


def addresses(tx: Tx) -> dict[str, str]:
    """Where each account's API is, by the account's name."""
    return {row.name: row.api_base for row in tx.execute(sa.select(Account.name, Account.api_base))}


class Accounts:
    """The accounts as a running process sees them: read again every few seconds, so that a change needs no restart."""

    _FRESH_SECONDS = 5.0
    _PATIENCE_SECONDS = 2.0

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._known: dict[str, tuple[int, Credentials]] = {}
        self._read_at = -self._FRESH_SECONDS

    async def get(self, name: str) -> tuple[int, Credentials] | None:
        """Id and credentials of an account by its name, or None. Raises `Unavailable` only before the first success."""
        await self.refresh()
        return self._known.get(name)

    def known(self, name: str) -> tuple[int, Credentials] | None:
        """The account as it was read last, without asking the database."""
        return self._known.get(name)

    async def all(self) -> dict[int, Credentials]:
        """Every account by id."""
        await self.refresh()
        return dict(self._known.values())

    async def refresh(self, *, force: bool = False) -> None:
        """Read the accounts again where the last reading is older than a few seconds; meanwhile others get the former reading."""
        if not force and clock.steady() - self._read_at < self._FRESH_SECONDS:
            return
        if self._known:
            self._read_at = clock.steady()
        try:
            self._known = await self._reading()
        except Exception:  # the former reading serves while the database is away
            if not self._known:
                raise
        self._read_at = clock.steady()

    async def _reading(self) -> dict[str, tuple[int, Credentials]]:
        try:
            return await asyncio.wait_for(self._database.read(self._load), self._PATIENCE_SECONDS)
        except TimeoutError:
            raise database_away() from None

    def _load(self, tx: Tx) -> dict[str, tuple[int, Credentials]]:
        rows = tx.execute(sa.select(Account.id, Account.name)).all()
        known = {}
        for row in rows:
            try:
                known[row.name] = (row.id, credentials(tx, self._keyring, row.id))
            except Unreadable:  # one account that does not open must not stop the others
                log.error("account_unreadable", account=row.name)  # noqa: TRY400 - a traceback adds nothing
        return known
