"""Hides which service message (客服消息) WeChat takes, and what the person then sees (wechat-platform.md 4)."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from app.sandbox.api import OK, Asked, Endpoint
from app.sandbox.errors import Refused
from app.sandbox.media import shown_media
from app.sandbox.tokens import by_token
from app.sandbox.world import Account, Person, Shown, arrive, left, open_until, person_of

#: wechat-platform.md 182: over 2048 bytes is 45002.
MOST_BYTES = 2048
#: msgmenu: Tencent publishes no figures; those of WeCom are the strictest known (wechat-platform.md 172).
_MENU_ITEMS, _MENU_ID, _MENU_TEXT, _MENU_HEAD = 10, 64, 128, 1024
#: What a payload shows on the phone: (account, payload, now). Raises `Refused`.
Teller = Callable[[Account, dict[str, Any], float], Shown]
_TYPING_SHOWN, _TYPING_AFTER = 15.0, 30.0  # wechat-platform.md 209


def text_of(payload: dict[str, Any]) -> str:
    """The content of a text payload. Raises `Refused` 44004 empty, 45002 over 2048 bytes (wechat-platform.md 182, 225)."""
    content = payload.get("content")
    if not isinstance(content, str) or not content.strip():
        raise Refused(44004)
    if len(content.encode()) > MOST_BYTES:
        raise Refused(45002)
    return content


def _text(_account: Account, payload: dict[str, Any], _now: float) -> Shown:
    return Shown("text", text_of(payload))


def _media(kind: str) -> Teller:
    def shown(account: Account, payload: dict[str, Any], now: float) -> Shown:
        return shown_media(account, kind, payload.get("media_id"), now)

    return shown


def _music(_account: Account, payload: dict[str, Any], _now: float) -> Shown:
    if not is_url(payload.get("musicurl")):
        raise Refused(40035, "musicurl")
    return Shown("music", str(payload.get("title") or ""))


def _news(_account: Account, payload: dict[str, Any], _now: float) -> Shown:
    """Exactly one article with an external link; more are 45008 (wechat-platform.md 185)."""
    articles = payload.get("articles")
    if not isinstance(articles, list) or len(articles) != 1:
        raise Refused(45008)
    article = articles[0]
    if not isinstance(article, dict) or not article.get("title") or not is_url(article.get("url")):
        raise Refused(40035, "articles")
    return Shown("news", str(article["title"]), article_card(article))


def article_card(article: dict[str, Any]) -> dict[str, Any]:
    """An article as a card; keys in either spelling (API or passive reply)."""
    lower = {key.lower(): str(value or "") for key, value in article.items()}
    return {"title": lower.get("title", ""), "fields": [["", lower.get("description", "")]], "url": lower.get("url", "")}


def _article(_account: Account, payload: dict[str, Any], _now: float) -> Shown:
    if not payload.get("article_id"):
        raise Refused(40035, "article_id")
    return Shown("news", str(payload["article_id"]))


def _msgmenu(account: Account, payload: dict[str, Any], _now: float) -> Shown:
    """Rendered to the links that a tap follows (wechat-platform.md 164); test accounts get 40200 (187)."""
    if account.is_test:
        raise Refused(40200)
    items = payload.get("list")
    if not isinstance(items, list) or not 1 <= len(items) <= _MENU_ITEMS:
        raise Refused(45098)
    head, tail = str(payload.get("head_content") or ""), str(payload.get("tail_content") or "")
    if max(len(head.encode()), len(tail.encode())) > _MENU_HEAD:
        raise Refused(45002)
    return Shown("text", "\n".join(part for part in (head, *map(_menu_item, items), tail) if part))


def _menu_item(item: object) -> str:
    if not isinstance(item, dict) or not item.get("id") or not item.get("content"):
        raise Refused(40035, "msgmenu.list")
    name, content = str(item["id"]), str(item["content"])
    if len(name.encode()) > _MENU_ID or len(content.encode()) > _MENU_TEXT:
        raise Refused(45099)
    return f'<a href="weixin://bizmsgmenu?msgmenucontent={quote(content)}&msgmenuid={quote(name)}">{content}</a>'


def _card(kind: str, needed: str) -> Teller:
    def shown(_account: Account, payload: dict[str, Any], _now: float) -> Shown:
        if not payload.get(needed):
            raise Refused(40035, needed)
        return Shown(kind, str(payload.get("title") or payload[needed]))

    return shown


#: wechat-platform.md 180-188. mpnews with a media_id is gone for accounts with drafts (186).
MESSAGES: dict[str, Teller] = {
    "text": _text,
    "image": _media("picture"),
    "voice": _media("voice"),
    "video": _media("video"),
    "music": _music,
    "news": _news,
    "mpnewsarticle": _article,
    "msgmenu": _msgmenu,
    "miniprogrampage": _card("card", "pagepath"),
    "wxcard": _card("card", "card_id"),
}


def is_url(value: object) -> bool:
    return isinstance(value, str) and urlsplit(value).scheme in {"http", "https"} and bool(urlsplit(value).hostname)


def _send(asked: Asked, account: Account) -> dict[str, Any]:
    """No message id comes back and no receipt follows (wechat-platform.md 180)."""
    body = asked.json()
    person = person_of(account, body.get("touser"))
    kind = body.get("msgtype")
    if not isinstance(kind, str) or kind not in MESSAGES:
        raise Refused(40008)
    payload = body.get(kind)
    if not isinstance(payload, dict):
        raise Refused(47001)
    now = asked.world.clock.now()
    shown = MESSAGES[kind](account, payload, now)
    _must_be_open(person, now)
    if left(person, now) <= 0:
        raise Refused(45047)
    arrive(asked.world, person, asked.api, shown, data=payload)
    return OK


def _must_be_open(person: Person, now: float) -> None:
    """43019 blacklisted, 48002 switched off, 45015 unfollowed or no window (wechat-platform.md 228, 234, 352)."""
    if person.blacklisted:
        raise Refused(43019)
    if not person.following:
        raise Refused(45015)
    if person.refuses:
        raise Refused(48002)
    if open_until(person) <= now:
        raise Refused(45015)


def _typing(asked: Asked, account: Account) -> dict[str, Any]:
    """Shows for 15 s; needs an open window and something written within 30 s (wechat-platform.md 209)."""
    body, now = asked.json(), asked.world.clock.now()
    person = person_of(account, body.get("touser"))
    if body.get("command") not in {"Typing", "CancelTyping"}:
        raise Refused(45072)
    _must_be_open(person, now)
    if now - person.wrote_at > _TYPING_AFTER:
        raise Refused(45080)
    if body["command"] == "CancelTyping":
        asked.world.commit("typing", o=person.openid, until=0.0)
        return OK
    if person.typing_until > now:
        raise Refused(45081)
    asked.world.commit("typing", o=person.openid, until=now + _TYPING_SHOWN)
    return OK


ENDPOINTS = {
    "message/custom/send": Endpoint("POST", _send, by_token),
    "message/custom/typing": Endpoint("POST", _typing, by_token),
}
