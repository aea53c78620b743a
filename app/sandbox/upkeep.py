"""Hides the calls about the platform itself: its addresses, the self-test, the counters (wechat-platform.md 56, 387)."""

from typing import Any

from app.sandbox import quotas
from app.sandbox.api import OK, Asked, Endpoint
from app.sandbox.errors import Refused
from app.sandbox.tokens import by_appsecret, by_token
from app.sandbox.world import Account

_HERE = "127.0.0.1"


def _addresses(_asked: Asked, _account: Account) -> dict[str, Any]:
    return {"ip_list": [_HERE]}


def _check(asked: Asked, _account: Account) -> dict[str, Any]:
    action = asked.json().get("action")
    if action not in {"dns", "ping", "all"}:
        raise Refused(40035, "action")
    dns = [{"ip": _HERE, "real_operator": "DEFAULT"}]
    ping = [{"ip": _HERE, "from_operator": "DEFAULT", "package_loss": "0%", "time": "1.000ms"}]
    return {name: result for name, result in (("dns", dns), ("ping", ping)) if action in {name, "all"}}


def _clear(asked: Asked, account: Account) -> dict[str, Any]:
    if asked.json().get("appid") != account.appid:
        raise Refused(40013)
    return {**OK, **quotas.clear(asked.world, account)}


def _clear_by_secret(asked: Asked, account: Account) -> dict[str, Any]:
    return {**OK, **quotas.clear(asked.world, account)}


def _clear_one(asked: Asked, account: Account) -> dict[str, Any]:
    path = asked.json().get("cgi_path")
    quotas.usage(asked.world, account, path)
    return {**OK, **quotas.clear(asked.world, account, [str(path).removeprefix("/cgi-bin/")])}


def _usage(asked: Asked, account: Account) -> dict[str, Any]:
    return {**OK, "quota": quotas.usage(asked.world, account, asked.json().get("cgi_path"))}


ENDPOINTS = {
    "getcallbackip": Endpoint("GET", _addresses, by_token),
    "get_api_domain_ip": Endpoint("GET", _addresses, by_token),
    "callback/check": Endpoint("POST", _check, by_token),
    "clear_quota": Endpoint("POST", _clear, by_token),
    "clear_quota/v2": Endpoint("POST", _clear_by_secret, by_appsecret),
    "openapi/quota/get": Endpoint("POST", _usage, by_token),
    "openapi/quota/clear": Endpoint("POST", _clear_one, by_token),
}
