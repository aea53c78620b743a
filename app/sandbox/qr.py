"""Hides QR codes with scenes and short keys (wechat-platform.md 359-362)."""

import base64
import io
import secrets
import string
from dataclasses import dataclass
from typing import Any

import segno

from app.sandbox.api import OK, Asked, Endpoint
from app.sandbox.errors import Refused
from app.sandbox.journal import Event
from app.sandbox.tokens import by_token
from app.sandbox.world import Account, Applier, World

_LONGEST, _USUAL = 2_592_000, 60  # wechat-platform.md 360
_MOST_PERMANENT = 100_000
_KINDS = {"QR_SCENE": (False, True), "QR_STR_SCENE": (False, False), "QR_LIMIT_SCENE": (True, True), "QR_LIMIT_STR_SCENE": (True, False)}
_BASE62 = string.digits + string.ascii_letters
_MOST_LONG_TEXT = 4096


@dataclass(frozen=True)
class Ticket:
    """A code that can be scanned. `until` is None for a permanent one."""

    ticket: str
    scene: str
    is_number: bool
    until: float | None
    url: str

    def valid(self, now: float) -> bool:
        return self.until is None or self.until > now


def _create(asked: Asked, account: Account) -> dict[str, Any]:
    body = asked.json()
    kind = _KINDS.get(str(body.get("action_name")))
    if kind is None:
        raise Refused(40035, "action_name")
    permanent, is_number = kind
    if permanent and account.permanent >= _MOST_PERMANENT:
        raise Refused(45029)
    scene = _scene(body, permanent, is_number)
    seconds = None if permanent else _seconds(body.get("expire_seconds", _USUAL))
    # Padded base64 with + and /, as real tickets have it: who does not encode it in an address fails here too.
    ticket = "gQ" + base64.b64encode(b"\xfb\xff" + secrets.token_bytes(62)).decode()
    url = f"http://weixin.qq.com/q/{secrets.token_urlsafe(16)}"
    asked.world.commit("ticket_made", appid=account.appid, ticket=ticket, scene=scene, number=is_number, seconds=seconds, url=url)
    return {"ticket": ticket, "url": url} if seconds is None else {"ticket": ticket, "expire_seconds": seconds, "url": url}


def _scene(body: dict[str, Any], permanent: bool, is_number: bool) -> str:
    """scene_id: 32 bits and not 0, permanent 1-100,000; scene_str: 1-64 characters (wechat-platform.md 360)."""
    info = body.get("action_info")
    scene = info.get("scene") if isinstance(info, dict) else None
    value = scene.get("scene_id" if is_number else "scene_str") if isinstance(scene, dict) else None
    most = 100_000 if permanent else 2**32 - 1
    if is_number and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most):
        raise Refused(40035, "scene_id")
    if not is_number and (not isinstance(value, str) or not 1 <= len(value) <= 64):
        raise Refused(40035, "scene_str")
    return str(value)


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LONGEST:
        raise Refused(40035, "expire_seconds")
    return value


def find(account: Account, now: float, *, ticket: str | None = None, scene: str | None = None) -> Ticket | None:
    """The code that somebody scans: a given ticket, or the newest valid one of a scene. None where there is none or it is over."""
    if ticket is not None:
        found = account.tickets.get(ticket)
        return found if found is not None and found.valid(now) else None
    return next((each for each in reversed(account.tickets.values()) if each.scene == scene and each.valid(now)), None)


def picture(world: World, ticket: str) -> bytes | None:
    """The code as PNG, or None for an unknown or expired ticket."""
    for account in world.accounts.values():
        found = find(account, world.clock.now(), ticket=ticket)
        if found is not None:
            image = io.BytesIO()
            segno.make(found.url, error="m").save(image, kind="png", scale=8, border=4)
            return image.getvalue()
    return None


def _shorten(asked: Asked, account: Account) -> dict[str, Any]:
    body = asked.json()
    text, seconds = body.get("long_data"), body.get("expire_seconds", _LONGEST)
    if not isinstance(text, str) or not 1 <= len(text.encode()) <= _MOST_LONG_TEXT:
        raise Refused(40035, "long_data")
    key = "".join(secrets.choice(_BASE62) for _ in range(15))
    asked.world.commit("shortened", appid=account.appid, key=key, text=text, seconds=_seconds(seconds))
    return {**OK, "short_key": key}


def _fetch(asked: Asked, account: Account) -> dict[str, Any]:
    facts = account.short_keys.get(str(asked.json().get("short_key")))
    now = asked.world.clock.now()
    if facts is None or facts["at"] + facts["seconds"] <= now:
        raise Refused(40035, "short_key")
    rest = int(facts["at"] + facts["seconds"] - now)
    return {**OK, "long_data": facts["text"], "create_time": int(facts["at"]), "expire_seconds": rest}


def _ticket_made(world: World, event: Event) -> None:
    account = world.accounts[event["appid"]]
    until = None if event["seconds"] is None else event["t"] + event["seconds"]
    account.tickets[event["ticket"]] = Ticket(event["ticket"], event["scene"], event["number"], until, event["url"])
    account.permanent += until is None


def _shortened(world: World, event: Event) -> None:
    world.accounts[event["appid"]].short_keys[event["key"]] = {"text": event["text"], "seconds": event["seconds"], "at": event["t"]}


EVENTS: dict[str, Applier] = {"ticket_made": _ticket_made, "shortened": _shortened}
ENDPOINTS = {
    "qrcode/create": Endpoint("POST", _create, by_token),
    "shorten/gen": Endpoint("POST", _shorten, by_token),
    "shorten/fetch": Endpoint("POST", _fetch, by_token),
}
