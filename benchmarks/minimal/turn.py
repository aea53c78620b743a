"""Hides what is sealed and counted for one word: blind indexes, the person's key, the conversation's counters, the reply's seal."""

import base64
import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.ids import new_id
from app.sealing import key_version
from benchmarks.minimal.envelope import Wire, Word
from benchmarks.town import Town

#: The words of the fallback bot, as a member gets them.
_REPLIES = (
    "谢谢你写给我。我是自动应答，没有人在这头实时看，怕接不好你的话；想问什么、想有人听，都可以找你的组长。我会做的事和能打的电话，写「帮助」就能看到。",
    "你写的我收到了。不过我只是自动应答，给不了你真正的回应，这里也没有人实时在看；有话想说、有事想问，都可以找你的组长。写「帮助」，能看到我会做的事，也有可以打的电话。",
    "谢谢你告诉我。我是个自动的小助手，很多话还接不住，也没有人实时看着这里；想说说话、问问事情，可以找你的组长。别的需要，写「帮助」就好。",
)
_WINDOW = timedelta(hours=48)
_FLOOD_SECONDS, _FLOOD = 10, 30
_ECHO_SECONDS, _ECHOES = 60, 5


@dataclass(frozen=True, slots=True)
class Standing:
    """What one statement told of the person who writes."""

    person: int
    identity: int
    key_id: int
    wrapped: bytes
    master_version: int
    conversation: int | None
    floor_sealed: bytes | None
    recent: str | None
    member: bool | int
    waits: bool | int


@dataclass(frozen=True, slots=True)
class Rows:
    """What is written for one word."""

    inbox: int
    conversation: int
    floor_sealed: bytes | None
    recent: str
    typed_until: datetime
    reply: bytes | None
    reply_sealed: bytes | None


class Turn:
    """One account's turns."""

    def __init__(self, town: Town, wire: Wire) -> None:
        master, self._index_key = base64.b64decode(town.master_key), base64.b64decode(town.index_key)
        self._master, self._version = AESGCM(master), key_version(master)
        self._index_version = bytes([key_version(self._index_key) & 0xFF])
        self._purpose = f"openid.{town.account_id}\0".encode()
        self._wire = wire

    def openid_index(self, word: Word) -> bytes:
        """By which the person is found."""
        return self._index(self._purpose + word.openid.encode())

    def dedupe_key(self, word: Word) -> str:
        """By which a repeat is found."""
        digest = _hash(b"m", word.openid.encode(), word.create_time.encode(), word.msgid.encode())
        return f"{word.create_time}:{base64.urlsafe_b64encode(digest).decode()[:22]}"

    def content_hash(self, word: Word) -> bytes:
        """By which another content under the same key is found."""
        return self._index(b"content\0" + _hash(b"wrote", word.content.encode(), b"", word.msgid.encode(), b"").hex().encode())

    def rows(self, word: Word, standing: Standing, now: datetime) -> Rows:
        """Open what is sealed, count, answer, and seal again."""
        if standing.master_version != self._version or not standing.member or standing.waits:
            raise LookupError("this server knows members whom nothing waits for")
        secret = self._master.decrypt(standing.wrapped[:12], standing.wrapped[12:], b"data_keys.wrapped.%d" % standing.key_id)
        key, inbox = AESGCM(secret), new_id()
        conversation = standing.conversation or new_id()
        place = b"conversations.floor_sealed.%d" % conversation
        floor = None
        if standing.floor_sealed is not None:
            memories = json.loads(key.decrypt(standing.floor_sealed[:12], standing.floor_sealed[12:], place))
            if any(waits for _, _, waits in memories):
                raise LookupError("this server knows nobody in a dialogue")
            floor = _seal(key, json.dumps(memories, ensure_ascii=False).encode(), place)
        text = _REPLIES[(inbox & 0xFFFF) % 3]
        recent = json.loads(standing.recent) if standing.recent else {}
        silent = self._flood(recent, now) | self._echo(recent, word, text, now)
        reply = None if silent else self._wire.reply(word, text, int(now.timestamp()))
        sealed = None if reply is None else _seal(key, reply, b"inbox.reply_sealed.%d" % inbox)
        return Rows(inbox, conversation, floor, json.dumps(recent), now + _WINDOW, reply, sealed)

    def _flood(self, recent: dict[str, Any], now: datetime) -> bool:
        since = recent.get("since")
        if since is None or (now - datetime.fromisoformat(since)).total_seconds() > _FLOOD_SECONDS:
            recent["since"], recent["count"] = now.isoformat(), 1
        else:
            recent["count"] += 1
        return bool(recent["count"] > _FLOOD)

    def _echo(self, recent: dict[str, Any], word: Word, text: str, now: datetime) -> bool:
        ours, own = recent.get("ours", []), self._mark(word.content)
        exchange = "ours" if own in ours else self._mark(f"Wrote(text={word.content!r})\0fallback")
        since = recent.get("echo_since")
        same = recent.get("echo") == exchange and since and (now - datetime.fromisoformat(since)).total_seconds() <= _ECHO_SECONDS
        recent["echo"], recent["echoes"] = exchange, recent.get("echoes", 0) + 1 if same else 1
        recent["ours"] = [*ours, self._mark(text)][-3:]
        if not same:
            recent["echo_since"] = now.isoformat()
        return bool(recent["echoes"] > _ECHOES)

    def _mark(self, words: str) -> str:
        return self._index(b"echo\0" + " ".join(words.split()).encode()).hex()[:16]

    def _index(self, value: bytes) -> bytes:
        return self._index_version + hmac.digest(self._index_key, value, "sha256")


def _seal(key: AESGCM, plain: bytes, place: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + key.encrypt(nonce, plain, place)


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
