"""Hides access tokens: the classic one that replaces its predecessor, the stable one that stays, and who may call with them."""

import re
import secrets
from typing import Any

from app.sandbox.api import Asked, Endpoint
from app.sandbox.errors import Refused
from app.sandbox.journal import Event
from app.sandbox.timeline import day
from app.sandbox.world import Account, Applier, World

_LIFE = 7200.0
#: How long a replaced token still works, and how early the stable one is renewed (wechat-platform.md 378, 379).
_OVERLAP = 300.0
_FORCED_A_DAY, _FORCED_APART = 20, 30.0  # wechat-platform.md 380
_SHAPE = re.compile(r"[A-Za-z0-9_-]{64,512}")
_LENGTH = 512  # "reserve ≥512 characters": a client that reserves less shall notice here (wechat-platform.md 381)


def by_token(asked: Asked) -> Account:
    """The account whose token the call carries. Raises `Refused` 41001, 40014, 40001, 42001 (wechat-platform.md 385)."""
    token = asked.query.get("access_token", "")
    if not token:
        raise Refused(41001)
    if not _SHAPE.fullmatch(token):
        raise Refused(40014)
    appid = asked.world.tokens.get(token)
    if appid is None:
        raise Refused(40001)
    account = asked.world.accounts[appid]
    if account.tokens[token]["until"] <= asked.world.clock.now():
        raise Refused(40001 if account.tokens[token]["replaced"] else 42001)
    if account.tokens[token].get("rejected"):
        raise Refused(40001)
    return account


def _by_secret(world: World, appid: object, secret: object) -> Account:
    """Raises `Refused` 41002, 40013, 41004, 40125 (wechat-platform.md 383)."""
    if not appid:
        raise Refused(41002)
    account = world.account(str(appid))
    if not secret:
        raise Refused(41004)
    if not secrets.compare_digest(str(secret).encode(), account.secret.encode()):
        raise Refused(40125)
    return account


def by_secret_in_query(asked: Asked) -> Account:
    """The account whose secret stands in the address. Raises `Refused`."""
    _needs_grant_type(asked.query.get("grant_type"))
    return _by_secret(asked.world, asked.query.get("appid"), asked.query.get("secret"))


def by_secret_in_body(asked: Asked) -> Account:
    """The account whose secret stands in the body. Raises `Refused`."""
    body = asked.json()
    _needs_grant_type(body.get("grant_type"))
    return _by_secret(asked.world, body.get("appid"), body.get("secret"))


def by_appsecret(asked: Asked) -> Account:
    """clear_quota/v2 takes the secret instead of a token (wechat-platform.md 387)."""
    body = asked.json()
    return _by_secret(asked.world, body.get("appid"), body.get("appsecret"))


def _needs_grant_type(grant_type: object) -> None:
    if grant_type != "client_credential":
        raise Refused(40002)


def _classic(asked: Asked, account: Account) -> dict[str, Any]:
    """Each call invalidates the former token, which lives five minutes more (wechat-platform.md 378)."""
    return {"access_token": _issue(asked.world, account, "classic", _OVERLAP), "expires_in": int(_LIFE)}


def _stable(asked: Asked, account: Account) -> dict[str, Any]:
    """The same value while it is valid, a new one from five minutes before the end with both valid (wechat-platform.md 379)."""
    now = asked.world.clock.now()
    current = _current(account, "stable", now)
    if asked.json().get("force_refresh") is True and _may_force(account, now):
        token = _issue(asked.world, account, "stable", 0.0, forced=True)
    elif current is None or account.tokens[current]["until"] - now <= _OVERLAP:
        token = _issue(asked.world, account, "stable", _OVERLAP)
    else:
        token = current
    return {"access_token": token, "expires_in": int(account.tokens[token]["until"] - now)}


def _current(account: Account, kind: str, now: float) -> str | None:
    for token, facts in reversed(account.tokens.items()):
        if facts["kind"] == kind and not facts["replaced"] and facts["until"] > now:
            return token
    return None


def _may_force(account: Account, now: float) -> bool:
    """20 a day, then 45009; two within 30 s: the second refreshes nothing (wechat-platform.md 380)."""
    if account.forced.get("day") == day(now) and account.forced["times"] >= _FORCED_A_DAY:
        raise Refused(45009)
    return now - account.forced.get("at", 0.0) >= _FORCED_APART


def rotate(world: World, account: Account) -> None:
    """Another holder of the secret forces a refresh: the former token is dead at once, the plain call returns the new one (380).

    A fault, and not held to the limits of a forced call: those are for the account's own server.
    """
    _issue(world, account, "stable", 0.0, rotated=True)


def reject(world: World, account: Account) -> None:
    """The token in use is refused although the plain call keeps returning it: only a forced call helps (380, 385)."""
    world.commit("token_rejected", appid=account.appid)


def _issue(world: World, account: Account, kind: str, overlap: float, *, forced: bool = False, rotated: bool = False) -> str:
    token = secrets.token_urlsafe(_LENGTH)[:_LENGTH]
    mark = {"rotated": True} if rotated else {}
    world.commit("token_issued", appid=account.appid, kind=kind, token=token, overlap=overlap, forced=forced, **mark)
    return token


def _token_issued(world: World, event: Event) -> None:
    account, now = world.accounts[event["appid"]], event["t"]
    for facts in account.tokens.values():
        if facts["kind"] == event["kind"] and not facts["replaced"]:
            facts["replaced"], facts["until"] = True, min(facts["until"], now + event["overlap"])
    account.tokens[event["token"]] = {"kind": event["kind"], "until": now + _LIFE, "replaced": False}
    world.tokens[event["token"]] = account.appid
    _forget_old(world, account)
    account.rotations += event.get("rotated", False)
    if event["forced"]:
        today = account.forced.get("day") == day(now)
        account.forced = {"day": day(now), "times": account.forced["times"] + 1 if today else 1, "at": now}


def _token_rejected(world: World, event: Event) -> None:
    account = world.accounts[event["appid"]]
    current = _current(account, "stable", event["t"])
    if current is not None:
        account.tokens[current]["rejected"] = True


def _forget_old(world: World, account: Account) -> None:
    for token in list(account.tokens)[:-50]:
        del account.tokens[token], world.tokens[token]


EVENTS: dict[str, Applier] = {"token_issued": _token_issued, "token_rejected": _token_rejected}
ENDPOINTS = {
    "token": Endpoint("GET", _classic, by_secret_in_query),
    "stable_token": Endpoint("POST", _stable, by_secret_in_body),
}
