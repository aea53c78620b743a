"""Hides how secrets rest: AES-256-GCM under a data key per person, course or account, wrapped by a master key that is not in the database.

Associated data names table, column and row, so that a ciphertext moved elsewhere does not open. Destroying a data key erases
everything under it, in backups as well. Equal values are found by a keyed hash, never by comparing plain text.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class Unreadable(Exception):
    """A sealed value does not open: wrong key, moved row, changed bytes, or an erased person."""


@dataclass(frozen=True)
class Place:
    """Where a sealed value stands."""

    table: str
    column: str
    row: int

    def associated(self) -> bytes:
        return f"{self.table}.{self.column}.{self.row}".encode()


@dataclass(frozen=True)
class DataKey:
    """An unwrapped data key. `repr` shows the id only."""

    id: int
    secret: bytes = field(repr=False)

    @cached_property
    def _cipher(self) -> AESGCM:
        """Made once: one exchange opens and seals three or four values under a person's key."""
        return AESGCM(self.secret)

    def seal(self, place: Place, plain: str | bytes) -> bytes:
        """Nonce and ciphertext of `plain`, bound to `place`."""
        nonce = os.urandom(_NONCE)
        content = plain.encode() if isinstance(plain, str) else plain
        return nonce + self._cipher.encrypt(nonce, content, place.associated())

    def unseal_bytes(self, place: Place, sealed: bytes) -> bytes:
        """The plain bytes. Raises `Unreadable`."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], place.associated())
        except (InvalidTag, ValueError):
            raise Unreadable(f"{place.table}.{place.column}") from None

    def unseal(self, place: Place, sealed: bytes) -> str:
        """The plain text. Raises `Unreadable`."""
        return self.unseal_bytes(place, sealed).decode()


def key_version(key: bytes) -> int:
    """The version word of a key: four bytes of its hash, so that a rotation needs no counting."""
    return int.from_bytes(hashlib.sha256(b"version\0" + key).digest()[:4], "big")


@dataclass(frozen=True)
class Vault:
    """The master keys (the first wraps new data keys) and the index key: 32 bytes each."""

    masters: Sequence[bytes] = field(repr=False)
    index_key: bytes = field(repr=False)

    @cached_property
    def newest(self) -> int:
        """The version under which new data keys are wrapped."""
        return key_version(self.masters[0])

    @cached_property
    def _by_version(self) -> dict[int, DataKey]:
        return {key_version(key): DataKey(0, key) for key in reversed(self.masters)}

    @cached_property
    def _index_version(self) -> bytes:
        return bytes([key_version(self.index_key) & 0xFF])

    @cached_property
    def _begun(self) -> tuple[Any, Any]:
        """Both hashes of an HMAC (RFC 2104) after the index key: a push needs seven marks, and going on from here costs a third."""
        block = self.index_key.ljust(hashlib.sha256().block_size, b"\0")
        inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
        return inner, outer

    def _keyed(self, value: bytes) -> bytes:
        inner, outer = self._begun[0].copy(), self._begun[1].copy()
        inner.update(value)
        outer.update(inner.digest())
        return bytes(outer.digest())

    def new_data_key(self, key_id: int) -> tuple[DataKey, bytes]:
        """A fresh data key and its wrapped form for the row."""
        secret = os.urandom(32)
        return DataKey(key_id, secret), self.wrap(key_id, secret)

    def wrap(self, key_id: int, secret: bytes) -> bytes:
        """A data key's secret as it rests in its row, under the newest master key."""
        return DataKey(0, self.masters[0]).seal(Place("data_keys", "wrapped", key_id), secret)

    def unwrap(self, key_id: int, version: int, wrapped: bytes | None) -> DataKey:
        """The data key of a row. Raises `Unreadable` where it was destroyed or its master key is not at hand."""
        master = self._by_version.get(version)
        if wrapped is None or master is None:
            raise Unreadable("data_keys.wrapped")
        return DataKey(key_id, master.unseal_bytes(Place("data_keys", "wrapped", key_id), wrapped))

    def index(self, purpose: str, value: str) -> bytes:
        """The blind index of a value: one byte of the key's version, then a keyed hash, meaningless without the key."""
        return self._index_version + self._keyed(f"{purpose}\0{value}".encode())

    def sign(self, purpose: str, value: str, length: int) -> str:
        """A short signature for links and choices, URL-safe, `length` characters of six bits each."""
        return base64.urlsafe_b64encode(self._keyed(f"sign\0{purpose}\0{value}".encode())).decode()[:length]

    def signed(self, purpose: str, value: str, signature: str, length: int) -> bool:
        """Whether `signature` is ours; compared in constant time."""
        return hmac.compare_digest(self.sign(purpose, value, length).encode(), signature.encode())
