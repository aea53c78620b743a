"""Hides the platform's pushes: three modes and some thirty kinds of message and event in, one checked `Push` out.

Raises `RefusedPush` for what is not from the platform or not for this account, `BadPush` for what cannot be understood,
and nothing else. wechatpy gives the message and event classes; its XML parser and its crypto are not used (bad-inputs.md 6).
"""

import base64
import hashlib
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.parsers.expat import ExpatError

from wechatpy.events import EVENT_TYPES
from wechatpy.exceptions import WeChatException
from wechatpy.messages import MESSAGE_TYPES, UnknownMessage

from app.channels import BadPush, Credentials, MassCounts, Push, PushKind, RefusedPush
from app.channels.wechat.envelope import check_query, open_envelope
from app.channels.wechat.xml import Fields, clean_text, is_blank, parse, text_of

#: CreateTime counts as the moment of writing while it is this close to ours (bad-inputs.md C6).
MOST_CLOCK_ERROR = timedelta(hours=1)

_OPENID = re.compile("[A-Za-z0-9_-]{6,64}")
_MSGID = re.compile("[!-~]{1,32}")
_CHOICE = re.compile("[!-~]{1,64}")
_MOST_SCENE = 64  # characters of a scene (platform reference, section 8)
_COUNT = re.compile("[0-9]{1,12}")
_SECONDS, _TIME = re.compile("[0-9]{10}"), re.compile("[0-9]{10}(?:[0-9]{3})?")
_ECHO = re.compile("[0-9A-Za-z]{1,128}")
_SCENE_PREFIX = "qrscene_"
_RECEIPTS = frozenset({"templatesendjobfinish", "masssendjobfinish"})
_SENT_KINDS = {
    "image": "image",
    "voice": "voice",
    "video": "video",
    "shortvideo": "video",
    "location": "location",
    "link": "link",
    "file": "file",
}
#: What tells a repeat of a message that is not text from another one under the same MsgId.
_CONTENT_FIELDS = ("MediaId", "Title", "Url", "Location_X", "Location_Y")
#: What wechatpy lets through on malformed input, measured (bad-inputs.md 6), besides its own.
_FOREIGN = (
    IndexError,
    struct.error,
    ValueError,  # and with it UnicodeDecodeError
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    ExpatError,
    WeChatException,
)


@dataclass(frozen=True)
class _Meaning:
    """What a message or event means, before the envelope's facts are added."""

    kind: PushKind
    value: str = ""
    choice: str | None = None
    msgid: str | None = None
    controls: bool = False
    counts: MassCounts | None = None


def answer_handshake(credentials: Credentials, query: Sequence[tuple[str, str]], now: datetime) -> str:
    """The echo that proves to the platform that this address is ours. Raises `RefusedPush`."""
    echo = check_query(credentials, query, now).get("echostr", "")
    if not _ECHO.fullmatch(echo):
        raise RefusedPush("echo")
    return echo


def open_push(credentials: Credentials, query: Sequence[tuple[str, str]], body: bytes, now: datetime) -> Push:
    """The push in a POST to the account's address. Raises `RefusedPush` or `BadPush`, and nothing else."""
    fields = check_query(credentials, query, now)
    plain, key = _plain(credentials, fields, body, now)
    try:
        return _read(credentials, plain, now, key)
    except BadPush as bad:
        raise BadPush(bad.reason, plain) from None


def reread(credentials: Credentials, plain: bytes, received_at: datetime) -> Push:
    """The push in a plain copy that was opened and checked when it came. Raises `BadPush`."""
    return _read(credentials, plain, received_at)


def _plain(credentials: Credentials, query: Mapping[str, str], body: bytes, now: datetime) -> tuple[bytes, str | None]:
    if _encrypted(credentials.mode, query):
        return _decrypted(credentials, query, body, now)
    if credentials.mode == "compatible" and "Encrypt" in _outer(body):
        raise RefusedPush("mode")
    return body, None


def _encrypted(mode: str, query: Mapping[str, str]) -> bool:
    """Whether this push is encrypted; refuses what the account's mode does not send (B8)."""
    encrypt_type, signed = query.get("encrypt_type", "raw"), "msg_signature" in query
    if encrypt_type == "aes" and signed and mode in {"compatible", "safe"}:
        return True
    if encrypt_type == "raw" and not signed and mode in {"plaintext", "compatible"}:
        return False
    raise RefusedPush("mode")


def _decrypted(credentials: Credentials, query: Mapping[str, str], body: bytes, now: datetime) -> tuple[bytes, str]:
    encrypted = _outer(body).get("Encrypt")
    if not isinstance(encrypted, str):
        raise RefusedPush("mode")
    return open_envelope(credentials, query, encrypted, now)


def _outer(body: bytes) -> Fields:
    try:
        return parse(body)[0]
    except BadPush as bad:
        raise BadPush(bad.reason, body) from None


def _read(credentials: Credentials, plain: bytes, now: datetime, key: str | None = None) -> Push:
    fields, dropped = parse(plain)
    if "Encrypt" in fields:
        raise BadPush("nested")
    if text_of(fields, "ToUserName") != credentials.original_id:
        raise BadPush("recipient")
    openid = text_of(fields, "FromUserName")
    if not _OPENID.fullmatch(openid):
        raise BadPush("sender")
    meaning = _meaning(fields)
    sent_at, odd = _moment(text_of(fields, "CreateTime"), now)
    note = "clock" if odd else "controls" if dropped or meaning.controls else None
    return Push(
        kind=meaning.kind,
        openid=openid,
        value=meaning.value,
        sent_at=sent_at,
        dedupe_key=_dedupe_key(fields, openid),
        content_hash=_content_hash(fields, meaning),
        raw=plain,
        choice=meaning.choice,
        msgid=meaning.msgid,
        counts=meaning.counts,
        note=note,
        aes_key_used=key,
    )


def _meaning(fields: Fields) -> _Meaning:
    kind = text_of(fields, "MsgType").strip().lower()
    if not kind:
        raise BadPush("no MsgType")
    if kind == "event":
        return _event(fields)
    msgid = text_of(fields, "MsgId")
    if not _MSGID.fullmatch(msgid):
        raise BadPush("no MsgId" if not msgid else "MsgId")
    if kind == "text":
        return _text(fields, msgid)
    return _Meaning(PushKind.SENT, _SENT_KINDS.get(kind, "other"), msgid=msgid)


def _text(fields: Fields, msgid: str) -> _Meaning:
    text_of(fields, "Content")  # before wechatpy sees elements in it
    text, controls = clean_text(_wechatpy(MESSAGE_TYPES, "text", fields, "content") or "")
    choice = text_of(fields, "bizmsgmenuid")  # wechatpy knows no such field
    if choice not in {"", "0"}:  # an id that cannot be ours is forged, and its words are not typed ones either
        return _Meaning(PushKind.TAPPED, text, choice if _CHOICE.fullmatch(choice) else "", msgid, controls)
    if is_blank(text):
        return _Meaning(PushKind.SENT, "empty", None, msgid, controls)
    return _Meaning(PushKind.WROTE, text, None, msgid, controls)


def _event(fields: Fields) -> _Meaning:
    name = text_of(fields, "Event").strip().lower()
    key = text_of(fields, "EventKey")
    if not name:
        raise BadPush("no Event")
    if name in _RECEIPTS:
        return _receipt(name, fields)
    meaning = _EVENTS.get(name)
    return meaning(fields, key) if meaning else _Meaning(PushKind.IGNORED, clean_text(name)[0][:64])


def _receipt(name: str, fields: Fields) -> _Meaning:
    msgid = text_of(fields, "MsgID")
    text_of(fields, "Status")
    if not _MSGID.fullmatch(msgid):
        raise BadPush("no MsgID" if not msgid else "MsgID")
    status, _ = clean_text(_wechatpy(EVENT_TYPES, name, fields, "status") or "")
    return _Meaning(PushKind.RECEIPT, status[:64], msgid=msgid, counts=_counts(fields))


def _counts(fields: Fields) -> MassCounts | None:
    """The counts of a mass send; None where one is missing or no number."""
    found = [text_of(fields, name) for name in ("TotalCount", "FilterCount", "SentCount", "ErrorCount")]
    return MassCounts(*map(int, found)) if all(map(_COUNT.fullmatch, found)) else None


def _followed(_fields: Fields, key: str) -> _Meaning:
    return _Meaning(PushKind.FOLLOWED, _scene(key.removeprefix(_SCENE_PREFIX)) if key.startswith(_SCENE_PREFIX) else "")


def _scanned(fields: Fields, _key: str) -> _Meaning:
    return _Meaning(PushKind.SCANNED, _scene(_wechatpy(EVENT_TYPES, "scan", fields, "scene_id") or ""))


def _pressed(fields: Fields, _key: str) -> _Meaning:
    key, controls = clean_text(_wechatpy(EVENT_TYPES, "click", fields, "key") or "")
    return _Meaning(PushKind.PRESSED, key[:128], controls=controls)  # 128 bytes: platform reference, section 8


def _left(_fields: Fields, _key: str) -> _Meaning:
    return _Meaning(PushKind.LEFT)


_EVENTS: Mapping[str, Callable[[Fields, str], _Meaning]] = {
    "subscribe": _followed,
    "unsubscribe": _left,
    "scan": _scanned,
    "click": _pressed,
}


def _scene(scene: str) -> str:
    code, _ = clean_text(scene)
    return code if len(code) <= _MOST_SCENE else ""


def _wechatpy(classes: Mapping[str, Any], name: str, fields: Fields, attribute: str) -> str | None:
    """One attribute of wechatpy's class for a message or event; the one place where its exceptions become ours."""
    try:
        value = getattr(classes.get(name, UnknownMessage)(dict(fields)), attribute)
    except _FOREIGN:
        raise BadPush("fields") from None
    return value if isinstance(value, str) else None


def _moment(create_time: str, now: datetime) -> tuple[datetime, bool]:
    if _SECONDS.fullmatch(create_time):
        moment = datetime.fromtimestamp(int(create_time), UTC)
        if abs(moment - now) <= MOST_CLOCK_ERROR:
            return moment, False
    return now, True


def _dedupe_key(fields: Fields, openid: str) -> str:
    """Ten digits of time, then a hash: the openid must not stand in the database in clear (C2 says what goes in)."""
    create_time = text_of(fields, "CreateTime")
    parts: tuple[str, ...] = ("m", openid, create_time, text_of(fields, "MsgId"))
    if text_of(fields, "MsgType").strip().lower() == "event":
        parts = ("e", openid, create_time, text_of(fields, "Event"), text_of(fields, "EventKey"), text_of(fields, "MsgID"))
    return f"{_ten_digits(create_time)}:{base64.urlsafe_b64encode(_hash(parts)).decode()[:22]}"


def _ten_digits(create_time: str) -> str:
    """Seconds as given, of milliseconds the seconds, else zeros: never our own time, which a retry would not repeat."""
    return create_time[:10] if _TIME.fullmatch(create_time) else "0" * 10


def _content_hash(fields: Fields, meaning: _Meaning) -> bytes:
    media = [text_of(fields, name) for name in _CONTENT_FIELDS] if meaning.kind is PushKind.SENT else []
    raw = text_of(fields, "Content") if meaning.kind is PushKind.SENT else ""
    return _hash((meaning.kind.value, meaning.value, meaning.choice or "", meaning.msgid or "", raw, *media))


def _hash(parts: Sequence[str]) -> bytes:
    """SHA-256 over the parts, each led by its length, so that no two lists of parts look alike."""
    encoded = [part.encode() for part in parts]
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in encoded)).digest()
