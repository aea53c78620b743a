"""Hides what a spooled push looks like on the disk: sealed with AES-256-GCM under a key that is derived from the master key.

The key is never in the database, so that the spool works without one. A file is bound to its name: renamed to look like another
person's push it does not open.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.channels import MassCounts, Push, PushKind
from app.sealing import DataKey, Place, Unreadable, Vault, key_version
from app.spool.folder import LAST, name_of

_HEAD = b"tongban spool 1\n"
_VERSION_BYTES = 4


@dataclass(frozen=True)
class Letter:
    """A push that waits: of which account, when it came, and whether the safety bot's answer was given.

    `row_id`: under which it comes into quarantine if it cannot be handled, once.
    """

    account_id: int
    received_at: datetime
    push: Push = field(repr=False)
    row_id: int
    answered: bool = False


@dataclass(frozen=True)
class BadLetter:
    """A push that nobody understood: it waits for quarantine, where it is kept under `row_id`, once."""

    account_id: int
    received_at: datetime
    reason: str
    raw: bytes = field(repr=False)
    row_id: int


class Seal:
    """Names, seals and opens letters with the keys of one vault."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._keys = {key_version(master): DataKey(0, _derived(master)) for master in vault.masters}

    def person(self, account_id: int, openid: str) -> str:
        """The mark by which pushes of one person are found to belong together."""
        return self._vault.index("spool.person", f"{account_id}.{openid}").hex()[2:18]

    def name(self, letter: Letter | BadLetter) -> str:
        """The file's name; a repeated push gets the same one."""
        if isinstance(letter, BadLetter):
            mark = self._mark(f"bad.{letter.account_id}.{hashlib.sha256(letter.raw).hexdigest()}")
            return name_of(LAST, "", self.person(letter.account_id, ""), mark)
        push = letter.push
        mark = self._mark(f"{letter.account_id}.{push.dedupe_key}.{push.content_hash.hex()}")
        return name_of(int(push.sent_at.timestamp()), push.msgid or "", self.person(letter.account_id, push.openid), mark)

    def close(self, name: str, letter: Letter | BadLetter) -> bytes:
        """The letter as its file holds it."""
        version = self._vault.newest
        content = json.dumps(_written(letter), ensure_ascii=False).encode()
        return _HEAD + version.to_bytes(_VERSION_BYTES, "big") + self._keys[version].seal(Place("spool", name, 0), content)

    def open(self, name: str, content: bytes) -> Letter | BadLetter:
        """The letter in a file. Raises `Unreadable` for what we did not write, or whose master key is not at hand."""
        head, rest = content[: len(_HEAD)], content[len(_HEAD) :]
        key = self._keys.get(int.from_bytes(rest[:_VERSION_BYTES], "big"))
        if head != _HEAD or key is None:
            raise Unreadable("spool")
        try:
            return _read(json.loads(key.unseal_bytes(Place("spool", name, 0), rest[_VERSION_BYTES:])))
        except (ValueError, KeyError, TypeError):
            raise Unreadable("spool") from None

    def _mark(self, what: str) -> str:
        return self._vault.index("spool.push", what).hex()[2:26]


def _derived(master: bytes) -> bytes:
    return hmac.digest(master, b"tongban spool key 1", hashlib.sha256)


def _written(letter: Letter | BadLetter) -> dict[str, Any]:
    same = {"account": letter.account_id, "received": letter.received_at.isoformat(), "row": letter.row_id}
    if isinstance(letter, BadLetter):
        return {**same, "bad": letter.reason, "raw": _text(letter.raw)}
    push = letter.push
    return {
        **same,
        "answered": letter.answered,
        "kind": push.kind.value,
        "openid": push.openid,
        "value": push.value,
        "sent": push.sent_at.isoformat(),
        "key": push.dedupe_key,
        "hash": _text(push.content_hash),
        "raw": _text(push.raw),
        "choice": push.choice,
        "msgid": push.msgid,
        "note": push.note,
        "counts": None if push.counts is None else vars(push.counts),
    }


def _read(written: dict[str, Any]) -> Letter | BadLetter:
    account_id, row_id = int(written["account"]), int(written["row"])
    received_at, raw = datetime.fromisoformat(written["received"]), _bytes(written["raw"])
    if "bad" in written:
        return BadLetter(account_id, received_at, str(written["bad"]), raw, row_id)
    counts = written.get("counts")  # a file of a former version has none
    push = Push(
        kind=PushKind(written["kind"]),
        openid=written["openid"],
        value=written["value"],
        sent_at=datetime.fromisoformat(written["sent"]),
        dedupe_key=written["key"],
        content_hash=_bytes(written["hash"]),
        raw=raw,
        choice=written["choice"],
        msgid=written["msgid"],
        note=written["note"],
        counts=None if counts is None else MassCounts(**counts),
    )
    return Letter(account_id, received_at, push, row_id, bool(written["answered"]))


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
