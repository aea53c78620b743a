"""Hides what a virtual person can do with their phone, and the push that each deed causes (wechat-platform.md 2)."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app.sandbox import menu, qr
from app.sandbox.envelope import printable
from app.sandbox.pushes import Delivered, Push, Pusher
from app.sandbox.world import Account, Entry, Person, Shown, World, act


class Impossible(Exception):
    """A phone cannot do this now; the sentence says why."""


@dataclass(frozen=True)
class Phone:
    """One person's phone: what it needs to act."""

    world: World
    pusher: Pusher
    person: Person

    @property
    def account(self) -> Account:
        return self.world.accounts[self.person.appid]


@dataclass(frozen=True)
class Done:
    """What a deed left in the chat, and its push on the way (None where WeChat sends none)."""

    entry: Entry | None
    push: asyncio.Task[Delivered] | None


def say(phone: Phone, text: str) -> Done:
    """Write a text: 5 messages for 48 h (wechat-platform.md 194)."""
    words = printable(text)
    if not words.strip():
        raise Impossible("There is nothing to send.")
    return _message(phone, "typed", Shown("text", words), {"MsgType": "text", "Content": words})


def tap(phone: Phone, content: str, choice: str) -> Done:
    """Tap an answer link: the text appears as one's own bubble; 3 messages for a minute (wechat-platform.md 165, 199).

    The link needs both text and id (166); a 测试号 does not get the id (167).
    """
    if not content or not choice:
        raise Impossible("WeChat ignores a link without msgmenucontent or msgmenuid.")
    fields = {"MsgType": "text", "Content": printable(content)}
    if not phone.account.is_test:
        fields["bizmsgmenuid"] = choice
    return _message(phone, "touched", Shown("text", printable(content)), fields)


def parse_link(href: str) -> tuple[str, str]:
    """Content and id of a weixin://bizmsgmenu address, decoded as the phone does: percent signs and + (wechat-platform.md 166)."""
    parts = urlsplit(href)
    if parts.scheme != "weixin" or parts.netloc != "bizmsgmenu":
        return "", ""
    query = parse_qs(parts.query, keep_blank_values=True)
    return query.get("msgmenucontent", [""])[0], query.get("msgmenuid", [""])[0]


#: What else a phone can send: the bubble and the fields (wechat-platform.md 105-112).
_THINGS: dict[str, tuple[Shown, dict[str, Any]]] = {
    "image": (Shown("picture", "[图片]"), {"PicUrl": "http://mmbiz.qpic.cn/sandbox/0", "MediaId": ""}),
    "voice": (Shown("voice", "[语音]"), {"MediaId": "", "Format": "amr"}),
    "video": (Shown("video", "[视频]"), {"MediaId": "", "ThumbMediaId": ""}),
    "shortvideo": (Shown("video", "[小视频]"), {"MediaId": "", "ThumbMediaId": ""}),
    "location": (Shown("location", "北京市"), {"Location_X": "39.904", "Location_Y": "116.407", "Scale": 16, "Label": "北京市"}),
    "link": (Shown("link", "[链接]"), {"Title": "链接", "Description": "", "Url": "https://example.org/"}),
    "file": (Shown("file", "[文件]"), {"Title": "file.pdf", "Description": "", "FileKey": "", "FileMd5": "", "FileTotalLen": 1}),
    "sticker": (Shown("picture", "[表情]"), {"Title": "", "Description": ""}),
}


def send(phone: Phone, kind: str) -> Done:
    """Send something that is not text."""
    sort = "image" if kind == "picture" else kind
    if sort not in _THINGS:
        raise Impossible(f"A phone sends {', '.join(_THINGS)}.")
    bubble, fields = _THINGS[sort]
    filled = {
        name: secrets.token_urlsafe(48) if name.endswith(("MediaId", "FileKey", "FileMd5")) else value for name, value in fields.items()
    }
    return _message(phone, "typed", bubble, {"MsgType": sort, **filled})


def press(phone: Phone, key: str) -> Done:
    """Use a menu entry: click and scan entries allow 3 messages for a minute, links nothing (wechat-platform.md 195, 207)."""
    _must_follow(phone)
    entry = menu.find(phone.account, key)
    if entry is None:
        raise Impossible("The account's menu has no such entry.")
    if entry["type"] == "click":
        return _event(phone, "touched", Shown("menu_event", entry["name"]), {"Event": "CLICK", "EventKey": key})
    if entry["type"] == "view":
        fields = {"Event": "VIEW", "EventKey": key, "MenuId": 400_000_000}
        return _event(phone, None, Shown("menu_event", entry["name"]), fields, answerable=False)
    if not entry["type"].startswith("scancode"):
        raise Impossible("The sandbox plays click, view and scan entries.")
    scan_info = {"ScanType": "qrcode", "ScanResult": "https://example.org/"}
    fields = {"Event": entry["type"], "EventKey": key, "ScanCodeInfo": scan_info}
    return _event(phone, "touched", Shown("menu_event", entry["name"]), fields)


def scan(phone: Phone, ticket: str | None, scene: str | None) -> Done:
    """Scan a code: a follower causes SCAN, anybody else follows by it (wechat-platform.md 122, 124); 3 messages for a minute (197)."""
    code = qr.find(phone.account, phone.world.clock.now(), ticket=ticket, scene=scene)
    if code is None:
        raise Impossible("There is no such QR code, or it has expired.")
    if not phone.person.following:
        return _follow(phone, code)
    fields = {"Event": "SCAN", "EventKey": code.scene, "Ticket": code.ticket}
    return _event(phone, "touched", Shown("scanned", "已扫描二维码"), fields)


def follow(phone: Phone, scene: str | None = None) -> Done:
    """Follow the account, by a code or by search; 3 messages for a minute (wechat-platform.md 196)."""
    if phone.person.following:
        raise Impossible("This person follows already.")
    if scene is not None:
        return scan(phone, None, scene)
    return _follow(phone, None)


def _follow(phone: Phone, code: qr.Ticket | None) -> Done:
    scene = {} if code is None else {"scene": code.scene, "number": code.is_number}
    phone.world.commit("followed", o=phone.person.openid, **scene)
    fields = {"Event": "subscribe", "EventKey": f"qrscene_{code.scene}" if code else ""}
    if code is not None:
        fields["Ticket"] = code.ticket
    return _event(phone, "touched", Shown("followed", "已关注"), fields)


def unfollow(phone: Phone) -> Done:
    """Leave: no answer is shown any more (wechat-platform.md 123)."""
    _must_follow(phone)
    phone.world.commit("unfollowed", o=phone.person.openid)
    return _event(phone, None, Shown("unfollowed", "已取消关注"), {"Event": "unsubscribe", "EventKey": ""}, answerable=False)


def receipt(world: World, account: Account, openid: str, fields: dict[str, Any]) -> Push:
    """An event that WeChat sends by itself; nobody sees an answer to it (wechat-platform.md 130, 131)."""
    return Push(account, openid, {**_head(world, account, openid), "MsgType": "event", **fields}, answerable=False)


def _message(phone: Phone, grant: str, shown: Shown, fields: dict[str, Any]) -> Done:
    _must_follow(phone)
    world, account, openid = phone.world, phone.account, phone.person.openid
    entry = act(world, phone.person, grant, shown)
    if phone.person.blacklisted:  # the account does not hear of it
        return Done(entry, None)
    whole = {**_head(world, account, openid), **fields, "MsgId": world.number()}
    return Done(entry, phone.pusher.start(Push(account, openid, whole, articles=1)))


def _event(phone: Phone, grant: str | None, shown: Shown, fields: dict[str, Any], *, answerable: bool = True) -> Done:
    world, account, openid = phone.world, phone.account, phone.person.openid
    entry = act(world, phone.person, grant, shown, side="system")
    whole = {**_head(world, account, openid), "MsgType": "event", **fields}
    return Done(entry, phone.pusher.start(Push(account, openid, whole, answerable=answerable)))


def _head(world: World, account: Account, openid: str) -> dict[str, Any]:
    return {"ToUserName": account.original_id, "FromUserName": openid, "CreateTime": int(world.clock.now())}


def _must_follow(phone: Phone) -> None:
    if not phone.person.following:
        raise Impossible("This person does not follow the account.")
