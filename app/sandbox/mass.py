"""Hides mass sending (群发): who is left after the filters, the dedupe id, the administrator's consent, states (wechat-platform.md 6)."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from app.sandbox.agenda import plan
from app.sandbox.api import OK, Asked, Endpoint
from app.sandbox.custom import text_of
from app.sandbox.errors import Refused
from app.sandbox.journal import Event
from app.sandbox.media import shown_media
from app.sandbox.timeline import day, month
from app.sandbox.tokens import by_token
from app.sandbox.world import Account, Applier, Person, Shown, World, arrive, person_of

A_MONTH = 4  # each person receives so many in a calendar month (wechat-platform.md 318)
_MOST_OPENIDS = 10_000  # wechat-platform.md 316
_SAME_ID, _TOO_FAST = 86_400.0, 60.0  # wechat-platform.md 324, 325
_MOST_ID = 32  # 64 is documented, 36 was refused (wechat-platform.md 324)
_SILENCE = 1800.0  # the administrator has 30 minutes (wechat-platform.md 322)
_SPEEDS = ("80w/min", "60w/min", "45w/min", "30w/min", "10w/min")  # wechat-platform.md 331


@dataclass(frozen=True)
class Draft:
    """A mass message that was accepted: to whom (None is everybody), and what they see."""

    openids: list[str]
    shown: Shown
    to_all: bool


def _to_list(asked: Asked, account: Account) -> dict[str, Any]:
    body = asked.json()
    openids = body.get("touser")
    if not isinstance(openids, list) or len(set(map(str, openids))) < 2:
        raise Refused(40130)  # one openid only is an error (wechat-platform.md 317)
    if len(openids) > _MOST_OPENIDS:
        raise Refused(40032)
    people = [person_of(account, openid) for openid in dict.fromkeys(openids)]
    return _accept(asked, account, body, Draft([person.openid for person in people], _shown(asked, account, body), to_all=False))


def _by_filter(asked: Asked, account: Account) -> dict[str, Any]:
    """By tag or to all; the obsolete group_id is not taken for a tag (wechat-platform.md 316)."""
    body = asked.json()
    wanted = body.get("filter")
    if not isinstance(wanted, dict):
        raise Refused(40035, "filter")
    to_all = wanted.get("is_to_all") is True
    tag = None if to_all else _tag(account, wanted)
    openids = [person.openid for person in account.people.values() if person.following and (to_all or tag in person.tags)]
    if not openids:
        raise Refused(40130)
    return _accept(asked, account, body, Draft(openids, _shown(asked, account, body), to_all))


def _tag(account: Account, wanted: dict[str, Any]) -> int:
    tag = str(wanted.get("tag_id", ""))
    if not tag.isascii() or not tag.isdigit() or int(tag) not in account.tags:
        raise Refused(45159)
    return int(tag)


def _shown(asked: Asked, account: Account, body: dict[str, Any]) -> Shown:
    kind = body.get("msgtype")
    payload = body.get(str(kind))
    if kind == "text" and isinstance(payload, dict):
        return Shown("text", text_of(payload))
    kinds = {"image": "picture", "images": "picture", "voice": "voice", "mpvideo": "video", "mpnews": "news"}
    if not isinstance(kind, str) or kind not in kinds or not isinstance(payload, dict):
        raise Refused(40008)
    media_id = (payload.get("media_ids") or [None])[0] if kind == "images" else payload.get("media_id")
    return shown_media(account, kinds[kind], media_id, asked.world.clock.now())


def _accept(asked: Asked, account: Account, body: dict[str, Any], draft: Draft) -> dict[str, Any]:
    now = asked.world.clock.now()
    client = _client_id(account, body, draft, now)
    _refuse_to_all(account, draft, now)
    msg_id = str(asked.world.number())
    waits = draft.to_all and bool(account.switches.get("mass_protection"))
    asked.world.commit(
        "mass_accepted",
        appid=account.appid,
        id=msg_id,
        api=asked.api,
        client=client,
        openids=draft.openids,
        shown=list(draft.shown),
        to_all=draft.to_all,
        waits=waits,
        data=body.get(str(body.get("msgtype"))),
    )
    if waits:
        plan(asked.world, "mass_silence", account.appid, _SILENCE, mass=msg_id)
    else:
        plan(asked.world, "mass", account.appid, float(account.switches.get("mass_after", 1.0)), mass=msg_id)
    return {**OK, "errmsg": "send job submission success", "msg_id": int(msg_id), "msg_data_id": int(msg_id) % 2**31}


def _client_id(account: Account, body: dict[str, Any], draft: Draft, now: float) -> str:
    """The id under which this counts once in 24 h; without one a digest of audience and content (wechat-platform.md 324, 325)."""
    client = body.get("clientmsgid")
    if client is None:
        audience = "all" if draft.to_all else body.get("filter") or draft.openids
        client = hashlib.sha256(json.dumps([audience, list(draft.shown)]).encode()).hexdigest()[:_MOST_ID]
    if not isinstance(client, str) or not 1 <= len(client.encode()) <= _MOST_ID:
        raise Refused(45067)
    earlier = account.mass_ids.get(client)
    if earlier is not None and now - earlier["at"] < _SAME_ID:
        raise Refused(45066 if now - earlier["at"] < _TOO_FAST else 45065, "", msg_id=int(earlier["id"]))
    return client


def _refuse_to_all(account: Account, draft: Draft, now: float) -> None:
    """To all: once a day and four times a month (wechat-platform.md 319)."""
    this_month = [at for at in account.mass_all if month(at) == month(now)]
    if draft.to_all and (len(this_month) >= A_MONTH or any(day(at) == day(now) for at in this_month)):
        raise Refused(45028)


def send_now(world: World, account: Account, msg_id: str) -> dict[str, Any]:
    """Deliver a job and return the counts of MASSSENDJOBFINISH: FilterCount is who was left (wechat-platform.md 334)."""
    job, this_month = account.mass_jobs[msg_id], month(world.clock.now())
    verdict = account.switches.get("mass_review")
    if verdict and job["shown"][0] == "text":  # words are reviewed, and the verdict comes with the event (wechat-platform.md 323)
        return fail(world, account, msg_id, str(verdict))
    people = [account.people[openid] for openid in job["openids"]]
    reached = [person for person in people if _may_receive(person, this_month)]
    for person in reached:
        arrive(world, person, job["api"], Shown(*job["shown"]), mass=True, msgid=msg_id, client=job["client"], data=job["data"])
    finish(world, account, msg_id, "SEND_SUCCESS", [person.openid for person in reached], this_month)
    counts = {"TotalCount": len(people), "FilterCount": len(reached), "SentCount": len(reached), "ErrorCount": 0}
    return {"Status": "send success", **counts}


def _may_receive(person: Person, this_month: str) -> bool:
    usable = person.following and not person.refuses and not person.blacklisted
    return usable and person.mass.get(this_month, 0) < A_MONTH


def finish(world: World, account: Account, msg_id: str, state: str, reached: list[str], this_month: str) -> None:
    """Note the end of a job; `reached` uses up one of each person's four."""
    world.commit("mass_finished", appid=account.appid, id=msg_id, state=state, openids=reached, month=this_month)


def fail(world: World, account: Account, msg_id: str, status: str) -> dict[str, Any]:
    """End a job unsent: err(40001) the administrator refused, err(40002) kept silent (wechat-platform.md 334)."""
    total = len(account.mass_jobs[msg_id]["openids"])
    finish(world, account, msg_id, "SEND_FAIL", [], month(world.clock.now()))
    return {"Status": status, "TotalCount": total, "FilterCount": 0, "SentCount": 0, "ErrorCount": 0}


def _mass_accepted(world: World, event: Event) -> None:
    account = world.accounts[event["appid"]]
    job = {name: event[name] for name in ("api", "client", "openids", "shown", "data", "waits")}
    account.mass_jobs[event["id"]] = {**job, "state": "SENDING"}
    account.mass_ids[event["client"]] = {"at": event["t"], "id": event["id"]}
    if event["to_all"]:
        account.mass_all.append(event["t"])


def _mass_finished(world: World, event: Event) -> None:
    account = world.accounts[event["appid"]]
    account.mass_jobs[event["id"]].update(state=event["state"], waits=False)
    for openid in event["openids"]:
        counts = account.people[openid].mass
        counts[event["month"]] = counts.get(event["month"], 0) + 1


def _preview(asked: Asked, account: Account) -> dict[str, Any]:
    """To one person at once; counts for nobody's four (wechat-platform.md 328)."""
    body = asked.json()
    person = person_of(account, body.get("touser") or body.get("towxname"))
    if not person.following:
        raise Refused(43004)
    msg_id = asked.world.number()
    arrive(asked.world, person, asked.api, _shown(asked, account, body), mass=True, msgid=str(msg_id))
    return {**OK, "errmsg": "preview success", "msg_id": msg_id}


def _job(account: Account, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    msg_id = str(body.get("msg_id", ""))
    if msg_id not in account.mass_jobs:
        raise Refused(40059)
    return msg_id, account.mass_jobs[msg_id]


def _get(asked: Asked, account: Account) -> dict[str, Any]:
    msg_id, job = _job(account, asked.json())
    return {"msg_id": int(msg_id), "msg_status": job["state"]}


def _delete(asked: Asked, account: Account) -> dict[str, Any]:
    """Only articles and videos can be taken back (wechat-platform.md 329)."""
    msg_id, job = _job(account, asked.json())
    if job["shown"][0] not in {"news", "video"}:
        raise Refused(48008)
    finish(asked.world, account, msg_id, "DELETE", [], month(asked.world.clock.now()))
    return OK


def _get_speed(_asked: Asked, account: Account) -> dict[str, Any]:
    return {"speed": account.speed, "realspeed": _SPEEDS[account.speed]}


def _set_speed(asked: Asked, account: Account) -> dict[str, Any]:
    speed = asked.json().get("speed")
    if speed is None:
        raise Refused(45084)
    if isinstance(speed, bool) or not isinstance(speed, int) or not 0 <= speed < len(_SPEEDS):
        raise Refused(45083)
    asked.world.commit("account_patched", appid=account.appid, settings={"speed": speed}, switches={})
    return OK


EVENTS: dict[str, Applier] = {"mass_accepted": _mass_accepted, "mass_finished": _mass_finished}
ENDPOINTS = {
    "message/mass/send": Endpoint("POST", _to_list, by_token),
    "message/mass/sendall": Endpoint("POST", _by_filter, by_token),
    "message/mass/preview": Endpoint("POST", _preview, by_token),
    "message/mass/get": Endpoint("POST", _get, by_token),
    "message/mass/delete": Endpoint("POST", _delete, by_token),
    "message/mass/speed/get": Endpoint("POST", _get_speed, by_token),
    "message/mass/speed/set": Endpoint("POST", _set_speed, by_token),
}
