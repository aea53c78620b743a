"""Hides temporary media: a picture goes up, an id comes back, and after three days it is gone (wechat-platform.md 154)."""

import secrets
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

from app.sandbox.api import Answer, Asked, Blob, Endpoint
from app.sandbox.errors import Refused
from app.sandbox.journal import Event
from app.sandbox.tokens import by_token
from app.sandbox.world import Account, Applier, Shown, World

_LIFE = 3 * 86_400.0
_WORDS = {"picture": "[图片]", "voice": "[语音]", "video": "[视频]", "news": "[图文]"}
_MOST = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "thumb": 64 << 10}


def shown_media(account: Account, kind: str, media_id: object, now: float) -> Shown:
    """A bubble with this medium. Raises `Refused` 40007 for an unknown or expired one (wechat-platform.md 224)."""
    if not isinstance(media_id, str) or media_id not in account.media or account.media[media_id]["until"] <= now:
        raise Refused(40007)
    return Shown(kind, _WORDS.get(kind, ""))


def endpoints(folder: Path) -> dict[str, Endpoint]:
    """Upload and download; the bytes lie in `folder`."""

    def upload(asked: Asked, account: Account) -> Answer:
        kind = asked.query.get("type", "")
        if kind not in _MOST:
            raise Refused(40004)
        name, content_type, content = _part(asked)
        if len(content) > _MOST[kind]:
            raise Refused(45001)
        media_id = secrets.token_urlsafe(48)
        folder.mkdir(exist_ok=True)
        (folder / media_id).write_bytes(content)
        made = asked.world.commit("uploaded", appid=account.appid, id=media_id, kind=kind, name=name, type=content_type)
        return {"type": kind, "media_id": media_id, "created_at": int(made["t"])}

    def download(asked: Asked, account: Account) -> Answer:
        facts = account.media.get(asked.query.get("media_id", ""))
        if facts is None or facts["until"] <= asked.world.clock.now():
            raise Refused(40007)
        return Blob(facts["type"], (folder / asked.query["media_id"]).read_bytes())

    return {"media/upload": Endpoint("POST", upload, by_token), "media/get": Endpoint("GET", download, by_token)}


def _part(asked: Asked) -> tuple[str, str, bytes]:
    """File name, type and bytes of the form field `media`. Raises `Refused` 41005."""
    head = f"Content-Type: {asked.content_type}\r\n\r\n".encode("latin-1")
    form: Message[Any, Any] = BytesParser(policy=HTTP).parsebytes(head + asked.raw)
    for part in form.walk():
        if part.get_param("name", header="content-disposition") == "media" and part.get_filename():
            content = part.get_payload(decode=True)
            if isinstance(content, bytes) and content:
                return str(part.get_filename()), part.get_content_type(), content
    raise Refused(41005)


def _uploaded(world: World, event: Event) -> None:
    facts = {"kind": event["kind"], "type": event["type"], "until": event["t"] + _LIFE}
    world.accounts[event["appid"]].media[event["id"]] = facts


EVENTS: dict[str, Applier] = {"uploaded": _uploaded}
