"""Hides signatures and AES: what the platform signed and encrypted comes in, plain bytes come out, or one kind of refusal.

Layout and limits: platform reference 1.1 and 1.3; the strictness: bad-inputs.md A5-A8 and B9-B13.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from app.channels import Credentials, RefusedPush

#: How far a push's timestamp may be from our clock, in seconds: room for the platform's retries and a drifting clock.
MOST_DRIFT = 300
_BLOCK = 32  # the platform pads to the key's length, not to the cipher's block
_RANDOM = 16
#: Keys whose cipher is kept ready; a rotation has two of an account.
_ACCOUNTS = 64
_LENGTH = 4
_SIGNATURE = re.compile("[0-9a-f]{40}")
_TIMESTAMP = re.compile("[0-9]{10}")
_NONCE = re.compile("[A-Za-z0-9_-]{1,64}")
_KEY = re.compile("[A-Za-z0-9+/]{43}")


def sign(*parts: str) -> str:
    """The platform's signature: SHA-1 over the parts, sorted as bytes and joined without a separator."""
    joined = b"".join(sorted(part.encode() for part in parts))
    return hashlib.sha1(joined, usedforsecurity=False).hexdigest()


def check_query(credentials: Credentials, query: Sequence[tuple[str, str]], now: datetime) -> Mapping[str, str]:
    """The parameters of a request that the platform signed within the last 300 s. Raises `RefusedPush`."""
    fields = dict(query)
    if len(fields) != len(query):
        raise RefusedPush("repeated")
    timestamp, nonce = fields.get("timestamp", ""), fields.get("nonce", "")
    if not _TIMESTAMP.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) > MOST_DRIFT:
        raise RefusedPush("timestamp")
    if not _NONCE.fullmatch(nonce):
        raise RefusedPush("nonce")
    _check(fields.get("signature", ""), credentials.token, timestamp, nonce)
    return fields


def open_envelope(credentials: Credentials, query: Mapping[str, str], encrypted: str, now: datetime) -> tuple[bytes, str]:
    """The plain bytes of a checked request's `Encrypt`, and the AES key that opened it. Raises `RefusedPush`."""
    if not encrypted.isascii():
        raise RefusedPush("envelope")
    _check(query.get("msg_signature", ""), credentials.token, query["timestamp"], query["nonce"], encrypted)
    ciphertext = _strict_base64(encrypted)
    for key in _keys(credentials, now):
        content = _unpack(_decrypt(ciphertext, key))
        if content is not None:
            plain, appid = content
            if not hmac.compare_digest(appid, credentials.appid.encode()):
                raise RefusedPush("appid")
            return plain, key
    raise RefusedPush("envelope")


def encrypt(plain: bytes, aes_key: str, appid: str) -> str:
    """The ciphertext of `plain` for `appid` in base64, different each time. Raises `ValueError` for a malformed key."""
    clear = os.urandom(_RANDOM) + len(plain).to_bytes(_LENGTH, "big") + plain + appid.encode()
    padding = _BLOCK - len(clear) % _BLOCK
    encryptor = _cipher(aes_key).encryptor()
    return base64.b64encode(encryptor.update(clear + bytes([padding]) * padding) + encryptor.finalize()).decode()


def key_bytes(aes_key: str) -> bytes:
    """The 32 bytes of an EncodingAESKey. Raises `ValueError` where it is not 43 characters of base64."""
    if not _KEY.fullmatch(aes_key):
        raise ValueError("An EncodingAESKey has exactly 43 letters, digits, + or /; copy it from the WeChat console.")
    return base64.b64decode(aes_key + "=")


def _check(signature: str, *parts: str) -> None:
    expected = sign(*parts)
    if not _SIGNATURE.fullmatch(signature) or not hmac.compare_digest(signature, expected):
        raise RefusedPush("signature")


def _keys(credentials: Credentials, now: datetime) -> list[str]:
    until = credentials.previous_aes_key_until
    previous = credentials.previous_aes_key if until is not None and now < until else None
    return [credentials.aes_key, previous] if previous else [credentials.aes_key]


def _strict_base64(encrypted: str) -> bytes:
    try:
        ciphertext = base64.b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedPush("envelope") from None
    if not ciphertext or len(ciphertext) % _BLOCK or base64.b64encode(ciphertext).decode() != encrypted:
        raise RefusedPush("envelope")
    return ciphertext


@lru_cache(maxsize=_ACCOUNTS)
def _cipher(aes_key: str) -> Cipher[modes.CBC]:
    key = key_bytes(aes_key)
    return Cipher(algorithms.AES(key), modes.CBC(key[:16]))


def _decrypt(ciphertext: bytes, key: str) -> bytes:
    try:
        decryptor = _cipher(key).decryptor()
    except ValueError:
        raise RefusedPush("key") from None
    return decryptor.update(ciphertext) + decryptor.finalize()


def _unpack(clear: bytes) -> tuple[bytes, bytes] | None:
    padding = clear[-1]
    if not 1 <= padding <= _BLOCK or clear[-padding:] != bytes([padding]) * padding:
        return None
    content = clear[_RANDOM:-padding]
    end = _LENGTH + int.from_bytes(content[:_LENGTH], "big")
    if len(content) < _LENGTH or end == _LENGTH or end > len(content):
        return None
    return content[_LENGTH:end], content[end:]
