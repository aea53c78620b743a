"""Hides WeChat's envelope on the sandbox's side: signatures, AES and XML, written a second time on purpose.

The service has its own; two independent ones that understand each other are a check on both.
"""

import base64
import hashlib
import os
import re
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from xml.etree.ElementTree import Element, ParseError  # only the types: parsing is defusedxml's

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

_BLOCK = 32
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Malformed(Exception):
    """An answer that WeChat cannot use; the reason names the rule."""


def signature(*parts: str) -> str:
    """Lower-case SHA-1 of the parts, sorted as bytes and joined (wechat-platform.md 49, 78)."""
    return hashlib.sha1(b"".join(sorted(part.encode() for part in parts)), usedforsecurity=False).hexdigest()


def encrypt(aes_key: str, appid: str, xml: bytes) -> str:
    """AES-256-CBC over random, length, XML and appid, padded to 32 (wechat-platform.md 73-77)."""
    clear = os.urandom(16) + struct.pack(">I", len(xml)) + xml + appid.encode()
    pad = _BLOCK - len(clear) % _BLOCK
    cipher = _cipher(aes_key).encryptor()
    return base64.b64encode(cipher.update(clear + bytes([pad]) * pad) + cipher.finalize()).decode()


def decrypt(aes_key: str, appid: str, encrypted: str) -> bytes:
    """The XML inside. Raises `Malformed` (checks of wechat-platform.md 79)."""
    try:
        sealed = base64.b64decode(encrypted, validate=True)
    except ValueError:
        raise Malformed("Encrypt is not base64") from None
    if not sealed or len(sealed) % _BLOCK:
        raise Malformed("ciphertext is not a multiple of 32 bytes")
    cipher = _cipher(aes_key).decryptor()
    return _unpack(cipher.update(sealed) + cipher.finalize(), appid)


def _unpack(clear: bytes, appid: str) -> bytes:
    pad = clear[-1]
    if not 1 <= pad <= _BLOCK or clear[-pad:] != bytes([pad]) * pad or len(clear) - pad < 20:
        raise Malformed("padding")
    length = struct.unpack(">I", clear[16:20])[0]
    xml, owner = clear[20 : 20 + length], clear[20 + length : -pad]
    if len(xml) != length or owner != appid.encode():
        raise Malformed("length or appid")
    return xml


@lru_cache(maxsize=64)
def _cipher(aes_key: str) -> Cipher[modes.CBC]:
    """What an account's key opens and closes; each message takes a context of its own from it."""
    key = base64.b64decode(aes_key + "=")
    return Cipher(algorithms.AES(key), modes.CBC(key[:16]))


def write_xml(fields: Mapping[str, Any], *, root: str = "xml") -> str:
    """Elements in the given order: text as CDATA, numbers bare, mappings nested, lists repeated."""
    return f"<{root}>{''.join(_element(name, value) for name, value in fields.items())}</{root}>"


def _element(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return write_xml(value, root=name)
    if isinstance(value, list):
        return "".join(_element(name, each) for each in value)
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    return f"<{name}><![CDATA[{printable(str(value)).replace(']]>', ']]]]><![CDATA[>')}]]></{name}>"


def printable(text: str) -> str:
    """The text without what XML 1.0 cannot carry; a phone does not send it either."""
    return _NOT_XML.sub("", text)


def read_xml(body: bytes) -> dict[str, Any]:
    """The fields of an answer. Raises `Malformed`; a field given twice is refused, `item` is a list."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise Malformed("not well-formed XML") from None
    if root.tag != "xml":
        raise Malformed("the root is not <xml>")
    return _fields(root)


def _fields(element: Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in element:
        value = _fields(child) if len(child) else child.text or ""
        if child.tag == "item":
            found.setdefault("item", []).append(value)
        elif child.tag in found:
            raise Malformed(f"{child.tag} twice")
        else:
            found[child.tag] = value
    return found
