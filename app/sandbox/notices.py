"""Hides template messages: what WeChat refuses, strips and cuts, and the receipt that follows (wechat-platform.md 5)."""

import hashlib
import json
import secrets
from typing import Any

from app.sandbox.agenda import plan
from app.sandbox.api import OK, Asked, Endpoint
from app.sandbox.custom import is_url
from app.sandbox.errors import Refused
from app.sandbox.fields import shown
from app.sandbox.journal import Event
from app.sandbox.tokens import by_token
from app.sandbox.world import Account, Applier, Person, Shown, World, arrive, person_of

MOST_TEMPLATES = 25  # wechat-platform.md 252
_SAME_ID = 600.0  # client_msg_id counts for ten minutes (wechat-platform.md 250)
_SAME_TEXT = 60.0  # 40241, where the switch `duplicate_check` is on (wechat-platform.md 254)
_RECENT = 600.0  # the switch `notice_limit` counts notices to one person in this time; WeChat publishes no threshold (255)


def add_template(world: World, account: Account, title: str, fields: dict[str, str], options: dict[str, Any]) -> str:
    """Have a template approved. `options`: `id`, and `values` with the allowed words of const and enum fields."""
    name = str(options.get("id") or secrets.token_urlsafe(33)[:43])
    if name not in account.templates and len(account.templates) >= MOST_TEMPLATES:
        raise Refused(45026)
    world.commit("template_added", appid=account.appid, id=name, title=title, fields=fields, values=options.get("values") or {})
    return name


def _send(asked: Asked, account: Account) -> dict[str, Any]:
    body, world = asked.json(), asked.world
    person = person_of(account, body.get("touser"))
    template = account.templates.get(str(body.get("template_id") or ""))
    if template is None:
        raise Refused(40037)
    card = {"title": template["title"], "fields": _fields(template, body.get("data")), "url": _jump(body)}
    if person.blacklisted:
        raise Refused(43019)
    if not person.following:
        raise Refused(43004)  # wechat-platform.md 253
    client, sent = _client_id(body), _digest(template["id"], card)
    earlier = account.notice_ids.get((person.openid, client)) if client else None
    if earlier is not None and world.clock.now() - earlier[0] < _SAME_ID:
        return {**OK, "msgid": earlier[1]}
    _refuse_excess(account, person, sent, world.clock.now())
    return {**OK, "msgid": _deliver(asked, account, person, card, client, sent, body["data"])}


def _deliver(asked: Asked, account: Account, person: Person, card: dict[str, Any], client: str, digest: str, data: Any) -> int:
    world, msgid = asked.world, asked.world.number()
    outcome = "failed:user block" if person.blocks_notices else str(account.switches.get("notice_outcome", "success"))
    world.commit("noticed", appid=account.appid, o=person.openid, msgid=msgid, client=client, digest=digest)
    if outcome == "success":
        bubble = Shown("notice", card["title"], card)
        arrive(world, person, asked.api, bubble, msgid=str(msgid), client=client or None, data=data)
    after = float(account.switches.get("receipt_after", 0.3))
    plan(world, "receipt", account.appid, after, o=person.openid, msgid=msgid, status=outcome)
    return msgid


def _fields(template: dict[str, Any], data: object) -> list[list[str]]:
    """Label and value of each field. Raises `Refused` 47003 that names the key; first, remark and colour vanish (259, 266)."""
    if not isinstance(data, dict):
        raise Refused(47001)
    return [[label, _value(template, key, data.get(key))] for key, label in template["fields"].items()]


def _value(template: dict[str, Any], key: str, given: object) -> str:
    value = shown(key, given.get("value") if isinstance(given, dict) else None, template["values"])
    if value is None:
        raise Refused(47003, f"data.{key}.value invalid")
    return value


def _jump(body: dict[str, Any]) -> str:
    """Where a tap on the card leads; a mini-program wins over the address (wechat-platform.md 251)."""
    program = body.get("miniprogram")
    if isinstance(program, dict) and program.get("appid"):
        return f"miniprogram://{program['appid']}/{program.get('pagepath', '')}"
    if body.get("url") and not is_url(body["url"]):
        raise Refused(40035, "url")
    return str(body.get("url") or "")


def _client_id(body: dict[str, Any]) -> str:
    client = body.get("client_msg_id") or ""
    if not isinstance(client, str) or len(client) > 64:
        raise Refused(40035, "client_msg_id")
    return client


def _digest(template_id: str, card: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([template_id, card["fields"]]).encode()).hexdigest()[:16]


def _refuse_excess(account: Account, person: Person, digest: str, now: float) -> None:
    last = account.notice_last.get((person.openid, digest))
    if account.switches.get("duplicate_check") and last is not None and now - last < _SAME_TEXT:
        raise Refused(40241)
    most = account.switches.get("notice_limit")
    recent = [at for at in account.notice_times.get(person.openid, []) if now - at < _RECENT]
    if most is not None and len(recent) >= int(most):
        raise Refused(43117)


def _noticed(world: World, event: Event) -> None:
    account = world.accounts[event["appid"]]
    if event["client"]:
        account.notice_ids[event["o"], event["client"]] = (event["t"], event["msgid"])
    account.notice_last[event["o"], event["digest"]] = event["t"]
    recent = [at for at in account.notice_times.get(event["o"], []) if event["t"] - at < _RECENT]
    account.notice_times[event["o"]] = [*recent, event["t"]]


def _template_added(world: World, event: Event) -> None:
    template = {name: event[name] for name in ("id", "title", "fields", "values")}
    world.accounts[event["appid"]].templates[event["id"]] = template


def _template_deleted(world: World, event: Event) -> None:
    world.accounts[event["appid"]].templates.pop(event["id"], None)


def _list(_asked: Asked, account: Account) -> dict[str, Any]:
    return {"template_list": [_listed(template) for template in account.templates.values()]}


def _listed(template: dict[str, Any]) -> dict[str, Any]:
    lines = [f"{label}:{{{{{key}.DATA}}}}" for key, label in template["fields"].items()]
    return {
        "template_id": template["id"],
        "title": template["title"],
        "primary_industry": "教育",
        "deputy_industry": "培训",
        "content": "\n".join(lines),
        "example": "",
    }


def _delete(asked: Asked, account: Account) -> dict[str, Any]:
    name = asked.json().get("template_id")
    if name not in account.templates:
        raise Refused(40037)
    asked.world.commit("template_deleted", appid=account.appid, id=name)
    return OK


def _industry(_asked: Asked, _account: Account) -> dict[str, Any]:
    pair = {"first_class": "教育", "second_class": "培训"}
    return {"primary_industry": pair, "secondary_industry": pair}


EVENTS: dict[str, Applier] = {
    "noticed": _noticed,
    "template_added": _template_added,
    "template_deleted": _template_deleted,
}
ENDPOINTS = {
    "message/template/send": Endpoint("POST", _send, by_token),
    "template/get_all_private_template": Endpoint("GET", _list, by_token),
    "template/del_private_template": Endpoint("POST", _delete, by_token),
    "template/get_industry": Endpoint("GET", _industry, by_token),
}
