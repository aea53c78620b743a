"""Hides what WeChat takes as a passive reply: `success`, nothing, or well-formed XML to the right person (wechat-platform.md 3)."""

from typing import Any

from app.sandbox.custom import MOST_BYTES, article_card
from app.sandbox.envelope import Malformed, decrypt, read_xml, signature
from app.sandbox.errors import Refused
from app.sandbox.media import shown_media
from app.sandbox.world import Account, Person, Shown, World, arrive

_MEDIA = {"image": ("Image", "picture"), "voice": ("Voice", "voice"), "video": ("Video", "video")}


def read(account: Account, openid: str, body: bytes, articles: int, now: float) -> list[Shown] | None:
    """What to show, or None where nothing shall be shown. Raises `Malformed`: the person gets the fault notice."""
    if body in (b"", b"success"):  # accepted, nothing shown; an XML with empty content is not the same (wechat-platform.md 89)
        return None
    fields = _opened(account, read_xml(body))
    if fields.get("ToUserName") != openid or fields.get("FromUserName") != account.original_id:
        raise Malformed("ToUserName or FromUserName")
    if not str(fields.get("CreateTime", "")).isdigit():
        raise Malformed("CreateTime")
    return _shown(account, fields, articles, now)


def _opened(account: Account, fields: dict[str, Any]) -> dict[str, Any]:
    """Safe mode takes the envelope only, plaintext mode none, compatible mode both (wechat-platform.md 62-64)."""
    if "Encrypt" not in fields:
        if account.mode == "safe":
            raise Malformed("not encrypted")
        return fields
    if account.mode == "plaintext":
        raise Malformed("encrypted in plaintext mode")
    parts = [fields.get(name) for name in ("TimeStamp", "Nonce", "Encrypt")]
    if not all(isinstance(part, str) and part for part in parts):
        raise Malformed("envelope incomplete")
    if fields.get("MsgSignature") != signature(account.token, *(str(part) for part in parts)):
        raise Malformed("MsgSignature")
    return read_xml(decrypt(account.aes_key, account.appid, str(fields["Encrypt"])))


def _shown(account: Account, fields: dict[str, Any], articles: int, now: float) -> list[Shown] | None:
    kind = fields.get("MsgType")
    if kind == "text":
        return [_text(fields.get("Content"))]
    if kind in _MEDIA:
        return [_media(account, fields, str(kind), now)]
    if kind == "news":
        return _news(fields, articles)
    if kind == "music" and isinstance(fields.get("Music"), dict):
        return [Shown("music", str(fields["Music"].get("Title", "")))]
    if kind == "transfer_customer_service":  # handed over to human agents
        return None
    raise Malformed("MsgType")


def _text(content: object) -> Shown:
    """Not empty, at most 2048 bytes; longer text fails with the fault notice (wechat-platform.md 146)."""
    if not isinstance(content, str) or not content.strip():
        raise Malformed("Content is empty")
    if len(content.encode()) > MOST_BYTES:
        raise Malformed("Content is over 2048 bytes")
    return Shown("text", content)


def _media(account: Account, fields: dict[str, Any], kind: str, now: float) -> Shown:
    holder, bubble = _MEDIA[kind]
    inner = fields.get(holder)
    try:
        return shown_media(account, bubble, inner.get("MediaId") if isinstance(inner, dict) else None, now)
    except Refused:
        raise Malformed("MediaId") from None


def _news(fields: dict[str, Any], most: int) -> list[Shown]:
    """One article in answer to a message, eight to an event; surplus is dropped silently (wechat-platform.md 151)."""
    holder = fields.get("Articles")
    items = holder.get("item", []) if isinstance(holder, dict) else []
    if not items or fields.get("ArticleCount") != str(len(items)) or not all(isinstance(item, dict) for item in items):
        raise Malformed("Articles")
    cards = [article_card(item) for item in items[:most]]
    return [Shown("news", card["title"], card) for card in cards]


def show(world: World, person: Person, reply: list[Shown], cause: dict[str, Any]) -> None:
    """Put a reply into the chat and the ledger; it uses no allowance (wechat-platform.md 154)."""
    for shown in reply:
        arrive(world, person, "passive", shown, data={"to": cause.get("Event") or cause["MsgType"], "create_time": cause["CreateTime"]})
