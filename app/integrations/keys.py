"""Hides how a request that is sent twice has one effect: its key is taken, and its answer kept, in the transaction that carries it out.

A crash before the commit leaves nothing of all three, one after it leaves all three: whoever asks again gets the same answer. What was
refused has done nothing, so it keeps no key.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from app import ids
from app.db import Tx, upsert
from app.integrations.refusals import Refusal
from app.keyring import Keyring, Place
from app.models import Course, IdempotencyKey
from app.sealing import Unreadable, Vault

#: For so long the same key gives the same answer; then the retention throws it away.
KEPT = timedelta(hours=24)
#: PostgreSQL waited for the twin as long as it may (its appendix A: lock_not_available).
_WAITED = "55P03"


@dataclass(frozen=True)
class Request:
    """A request with a key: both by keyed hashes, so that neither is stored. `at`: the machine's moment."""

    integration_id: int
    key_index: bytes = field(repr=False)
    index: bytes = field(repr=False)
    at: datetime


@dataclass(frozen=True)
class Kept:
    """The answer that was given."""

    status: int
    body: bytes = field(repr=False)


def request(vault: Vault, integration_id: int, key: str, words: str, at: datetime) -> Request:
    """A request of this integration with this key; `words`: method, path and body, by which another one is told from it."""
    digest = hashlib.sha256(words.encode()).hexdigest()
    return Request(integration_id, vault.index("idempotency", f"{integration_id}\0{key}"), vault.index("request", digest), at)


def claim(tx: Tx, keyring: Keyring, asked: Request, course_id: int) -> int | Kept:
    """Take the key, and get the id of its row; or get the answer that the same request got before.

    Of two at once the second waits here until the first has ended. Raises `Refusal`: 422 where the key belongs to another request, 409
    where the other one takes too long.
    """
    key_id = sa.select(Course.data_key_id).where(Course.id == course_id).scalar_subquery()
    fresh = {"request_index": asked.index, "data_key_id": key_id, "status": None, "answer_sealed": None, "created_at": asked.at}
    insert = upsert(tx, IdempotencyKey).values(id=ids.new_id(), integration_id=asked.integration_id, key_index=asked.key_index, **fresh)
    over = insert.on_conflict_do_update(
        index_elements=["integration_id", "key_index"], set_=fresh, where=IdempotencyKey.created_at <= asked.at - KEPT
    )
    try:
        taken = tx.execute(over.returning(IdempotencyKey.id)).scalar_one_or_none()
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _WAITED:
            raise Refusal(409, "twin", after=1) from None
        raise
    return _kept(tx, keyring, asked) if taken is None else int(taken)


def _kept(tx: Tx, keyring: Keyring, asked: Request) -> Kept:
    mine = (IdempotencyKey.integration_id == asked.integration_id, IdempotencyKey.key_index == asked.key_index)
    row = tx.execute(sa.select(*IdempotencyKey.__table__.columns).where(*mine)).one()
    if row.request_index != asked.index:
        raise Refusal(422, "key_other")
    try:
        body = keyring.open(tx, row.data_key_id).unseal_bytes(_place(row.id), row.answer_sealed)
    except Unreadable:
        raise Refusal(409, "key_gone") from None
    return Kept(row.status, body)


def keep(tx: Tx, keyring: Keyring, row_id: int, kept: Kept) -> None:
    """Keep the answer of a request whose key was taken in this transaction."""
    key_id = tx.execute(sa.select(IdempotencyKey.data_key_id).where(IdempotencyKey.id == row_id)).scalar_one()
    sealed = keyring.open(tx, key_id).seal(_place(row_id), kept.body)
    tx.execute(sa.update(IdempotencyKey).where(IdempotencyKey.id == row_id).values(status=kept.status, answer_sealed=sealed))


def _place(row_id: int) -> Place:
    return Place("idempotency_keys", "answer_sealed", row_id)
