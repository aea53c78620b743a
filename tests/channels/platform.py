"""The platform's side of the wire for these tests: signs and encrypts with wechatpy, so that our code never checks itself."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from wechatpy.crypto import WeChatCrypto

from app.channels import Credentials

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
TOKEN = "tongbantesttoken"
SECRET = "0123456789abcdef0123456789abcdef"
APPID = "wxfeedfacecafebeef"
ORIGINAL = "gh_0123456789ab"
OPENID = "oXiaoYu_0000000000000000-001"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
OLD_KEY = "ZYXWVUTSRQPONMLKJIHGFEDCBA9876543210zyxwvut"
STRANGE_KEY = "0" * 42 + "A"


def account(
    mode: str = "safe",
    *,
    previous: str | None = None,
    until: datetime | None = None,
    api_base: str = "https://api.weixin.qq.com",
) -> Credentials:
    return Credentials(
        account="demo",
        appid=APPID,
        original_id=ORIGINAL,
        api_base=api_base,
        mode=mode,
        token=TOKEN,
        secret=SECRET,
        aes_key=KEY,
        previous_aes_key=previous,
        previous_aes_key_until=until,
        notice_id="template-1",
        notice_fields={"kind": "thing1", "sender": "thing2", "time": "time3"},
    )


def sha1(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def signed(nonce: str = "nonce-1", *, shift: timedelta = timedelta(), token: str = TOKEN, **more: str) -> list[tuple[str, str]]:
    stamp = str(int((NOW + shift).timestamp()))
    return [("signature", sha1(token, stamp, nonce)), ("timestamp", stamp), ("nonce", nonce), *more.items()]


def element(name: str, value: str) -> str:
    return f"<{name}><![CDATA[{value}]]></{name}>"


def document(fields: Mapping[str, str], inside: str = "") -> bytes:
    return f"<xml>{''.join(element(*each) for each in fields.items())}{inside}</xml>".encode()


def message(inside: str = "", **fields: str) -> bytes:
    """A push as the platform writes it; a field given as `-` is left out."""
    whole = {"ToUserName": ORIGINAL, "FromUserName": OPENID, "CreateTime": STAMP, "MsgType": "text", **fields}
    return document({name: value for name, value in whole.items() if value != "-"}, inside)


def text(content: str = "今天练习了", **fields: str) -> bytes:
    return message(Content=content, MsgId="23456789012345678", **fields)


def event(name: str, inside: str = "", **fields: str) -> bytes:
    return message(inside, MsgType="event", Event=name, **fields)


def sealed(
    plain: bytes, key: str = KEY, appid: str = APPID, *, nonce: str = "nonce-1", outside: str = ""
) -> tuple[list[tuple[str, str]], bytes]:
    """Query and body of an encrypted push, made by wechatpy."""
    envelope = WeChatCrypto(TOKEN, key, appid).encrypt_message(plain.decode(), nonce, STAMP)
    return posted(envelope.split("<Encrypt><![CDATA[")[1].split("]]>")[0], nonce=nonce, outside=outside)


def posted(encrypted: str, *, nonce: str = "nonce-1", outside: str = "") -> tuple[list[tuple[str, str]], bytes]:
    """Query and body around any `Encrypt`, with the signature that fits it."""
    query = signed(nonce, encrypt_type="aes", msg_signature=sha1(TOKEN, STAMP, nonce, encrypted))
    return query, document({"ToUserName": ORIGINAL, "Encrypt": encrypted}, outside)
