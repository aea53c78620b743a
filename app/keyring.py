"""Hides where data keys rest: makes, opens and destroys the key of a person, a course or an account."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app import ids
from app.db import Tx
from app.db.prepared import Among, Prepared, slot
from app.models import DataKey as Row
from app.sealing import DataKey, Place, Unreadable, Vault

__all__ = ["Keyring", "Place", "Unreadable", "unsealed"]


_KEY = Prepared(lambda _: [sa.select(Row.wrapped, Row.master_version).where(Row.id == slot("key"))])
_KEYS = Among(lambda some: sa.select(Row.id, Row.wrapped, Row.master_version).where(Row.id.in_(some), Row.wrapped.is_not(None)))


def unsealed(key: DataKey | None, place: Place, sealed: bytes | None) -> str | None:
    """The text under a key; None where there is none, or it was erased, or its key is missing."""
    if key is None or sealed is None:
        return None
    try:
        return key.unseal(place, sealed)
    except Unreadable:
        return None


@dataclass(frozen=True)
class Keyring:
    """The data keys in the database, opened with the vault's master keys."""

    vault: Vault

    def create(self, tx: Tx) -> DataKey:
        """A new data key, stored wrapped."""
        key, wrapped = self.vault.new_data_key(ids.new_id())
        tx.execute(sa.insert(Row).values(id=key.id, wrapped=wrapped, master_version=self.vault.newest))
        return key

    def open(self, tx: Tx, key_id: int) -> DataKey:
        """The data key with this id. Raises `Unreadable` where it was destroyed."""
        row = _KEY.first(tx, key=key_id)
        if row is None:
            raise Unreadable("data_keys")
        return self.vault.unwrap(key_id, row.master_version, row.wrapped)

    def open_all(self, tx: Tx, key_ids: Iterable[int]) -> dict[int, DataKey]:
        """The data keys with these ids, in one statement; what was destroyed, or has no master key at hand, is missing."""
        rows = _KEYS.all(tx, sorted(set(key_ids)))
        found = {}
        for row in rows:
            with contextlib.suppress(Unreadable):
                found[row.id] = self.vault.unwrap(row.id, row.master_version, row.wrapped)
        return found

    def rewrap(self, tx: Tx) -> int:
        """Wrap every data key that rests under an older master key under the newest one; returns how many. Raises `Unreadable`."""
        newest = self.vault.newest
        rows = tx.execute(
            sa.select(Row.id, Row.wrapped, Row.master_version).where(Row.master_version != newest, Row.wrapped.is_not(None))
        ).all()
        for row in rows:
            secret = self.vault.unwrap(row.id, row.master_version, row.wrapped).secret
            tx.execute(sa.update(Row).where(Row.id == row.id).values(wrapped=self.vault.wrap(row.id, secret), master_version=newest))
        return len(rows)

    def unseal(self, tx: Tx, key_id: int, place: Place, sealed: bytes | None) -> str | None:
        """The text under a key, or None where there is none or it was erased."""
        if sealed is None:
            return None
        try:
            key = self.open(tx, key_id)
        except Unreadable:
            return None
        return unsealed(key, place, sealed)

    def destroy(self, tx: Tx, key_id: int, now: datetime) -> None:
        """Erase everything under a key, here and, with the erasure list, in every backup."""
        tx.execute(sa.update(Row).where(Row.id == key_id).values(wrapped=None, destroyed_at=now))
