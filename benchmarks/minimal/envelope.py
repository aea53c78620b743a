"""Hides the wire: checks signatures, decrypts, reads the flat XML of a typed word, encrypts the reply; refuses whatever else comes."""

import base64
import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from time import time

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from benchmarks.town import Town

_TIMESTAMP = re.compile("[0-9]{10}")
_NONCE = re.compile("[A-Za-z0-9_-]{1,64}")
_SIGNATURE = re.compile("[0-9a-f]{40}")
_OPENID = re.compile("[A-Za-z0-9_-]{6,64}")
_MSGID = re.compile("[!-~]{1,32}")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
_OUTER = re.compile(
    rb"<xml>(?:<ToUserName><!\[CDATA\[[^\]<&]*\]\]></ToUserName>)?<Encrypt><!\[CDATA\[([A-Za-z0-9+/]+=*)\]\]></Encrypt></xml>"
)
#: One field: characters in CDATA, or a plain word without markup. A document that is not made of these alone is refused.
_FIELD = re.compile(r"<([A-Za-z]{1,32})>(?:<!\[CDATA\[((?:[^\]]|\](?!\]>))*)\]\]>|([^<&]*))</\1>")


class Refused(Exception):
    """Not from the platform, or nothing that this server knows."""


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody typed."""

    openid: str
    content: str
    msgid: str
    create_time: str


class Wire:
    """One account's wire."""

    def __init__(self, town: Town) -> None:
        key = base64.b64decode(town.aes_key + "=")
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16]))
        self._token = town.token.encode()
        self._appid = town.appid.encode()
        self._original = town.original_id

    def open(self, query: bytes, body: bytes) -> Word:
        """The word in a signed and encrypted request. Raises `Refused`."""
        pairs = [pair.split("=", 1) for pair in query.decode("ascii").split("&")]
        fields = dict(pairs)  # a pair without "=" is refused by dict itself
        timestamp, nonce = fields.get("timestamp", ""), fields.get("nonce", "")
        if len(fields) != len(pairs) or fields.get("encrypt_type") != "aes":
            raise Refused
        if not _TIMESTAMP.fullmatch(timestamp) or abs(time() - int(timestamp)) > 300 or not _NONCE.fullmatch(nonce):
            raise Refused
        outer = _OUTER.fullmatch(body)
        if outer is None or len(body) > 65_536:
            raise Refused
        encrypted = outer.group(1)
        said = (self._token, timestamp.encode(), nonce.encode())
        if not _right(fields.get("signature", ""), said) or not _right(fields.get("msg_signature", ""), (*said, encrypted)):
            raise Refused
        return self._read(self._decrypt(encrypted))

    def _decrypt(self, encrypted: bytes) -> str:
        ciphertext = base64.b64decode(encrypted, validate=True)
        if len(ciphertext) % 32 or base64.b64encode(ciphertext) != encrypted:
            raise Refused
        decryptor = self._cipher.decryptor()
        clear = decryptor.update(ciphertext) + decryptor.finalize()
        padding = clear[-1]
        if not 1 <= padding <= 32 or clear[-padding:] != bytes([padding]) * padding:
            raise Refused
        end = 20 + int.from_bytes(clear[16:20], "big")
        if end > len(clear) - padding or not hmac.compare_digest(clear[end:-padding], self._appid):
            raise Refused
        return clear[20:end].decode()

    def _read(self, plain: str) -> Word:
        if not (plain.startswith("<xml>") and plain.endswith("</xml>")):
            raise Refused
        fields: dict[str, str] = {}
        place, end = 5, len(plain) - 6
        while place < end:
            found = _FIELD.match(plain, place, end)
            if found is None or found[1] in fields:
                raise Refused
            fields[found[1]] = found[2] if found[2] is not None else found[3]
            place = found.end()
        content = fields.get("Content", "")
        if fields.get("MsgType") != "text" or fields.get("ToUserName") != self._original:
            raise Refused
        if not content.strip() or _CONTROLS.search(content):
            raise Refused
        openid, msgid, moment = fields.get("FromUserName", ""), fields.get("MsgId", ""), fields.get("CreateTime", "")
        if not _OPENID.fullmatch(openid) or not _MSGID.fullmatch(msgid):
            raise Refused
        if not _TIMESTAMP.fullmatch(moment) or abs(time() - int(moment)) > 3600:
            raise Refused
        return Word(openid, content, msgid, moment)

    def reply(self, word: Word, text: str, now: int) -> bytes:
        """The finished plain reply."""
        return (
            f"<xml><ToUserName><![CDATA[{word.openid}]]></ToUserName><FromUserName><![CDATA[{self._original}]]></FromUserName>"
            f"<CreateTime>{now}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{text}]]></Content></xml>"
        ).encode()

    def wrap(self, plain: bytes, now: int) -> bytes:
        """The reply as it goes over the wire."""
        clear = os.urandom(16) + len(plain).to_bytes(4, "big") + plain + self._appid
        padding = 32 - len(clear) % 32
        encryptor = self._cipher.encryptor()
        encrypted = base64.b64encode(encryptor.update(clear + bytes([padding]) * padding) + encryptor.finalize())
        timestamp, nonce = b"%d" % now, os.urandom(8).hex().encode()
        signature = hashlib.sha1(b"".join(sorted((self._token, timestamp, nonce, encrypted))), usedforsecurity=False).hexdigest().encode()
        return (
            b"<xml><Encrypt><![CDATA[%b]]></Encrypt><MsgSignature><![CDATA[%b]]></MsgSignature><TimeStamp>%b</TimeStamp>"
            b"<Nonce><![CDATA[%b]]></Nonce></xml>" % (encrypted, signature, timestamp, nonce)
        )


def _right(signature: str, parts: tuple[bytes, ...]) -> bool:
    expected = hashlib.sha1(b"".join(sorted(parts)), usedforsecurity=False).hexdigest()
    return _SIGNATURE.fullmatch(signature) is not None and hmac.compare_digest(signature, expected)
