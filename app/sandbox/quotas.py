"""Hides the counters of calls per day and minute and their reset (wechat-platform.md 9.1, items 19 of section 13)."""

from collections import Counter
from typing import Any

from app.sandbox.errors import Refused
from app.sandbox.journal import Event
from app.sandbox.timeline import day, month
from app.sandbox.world import Account, Applier, World

#: Calls a day: real account, 测试号 (wechat-platform.md 393-413). Where no figure was published, there is no cap.
DAILY = {
    "token": (2_000, 200),
    "stable_token": (500_000, 500_000),
    "menu/create": (1_000, 100),
    "menu/get": (10_000, 1_000),
    "menu/delete": (1_000, 100),
    "media/upload": (100_000, 500),
    "media/get": (200_000, 1_000),
    "message/custom/send": (500_000, 50_000),
    "message/mass/send": (100, 0),
    "message/mass/sendall": (100, 0),
    "message/mass/preview": (100, 100),
    "qrcode/create": (100_000, 10_000),
    "user/get": (500, 100),
    "user/info": (5_000_000, 500_000),
    "user/info/updateremark": (10_000, 10_000),
    "message/template/send": (100_000, 100_000),
    "tags/get": (1_000, 1_000),
}
#: Calls a minute (wechat-platform.md 415). Both ways of mass sending share one counter.
PER_MINUTE = {"message/mass/send": 60, "message/mass/sendall": 60, "stable_token": 10_000}
_SHARED = {"message/mass/sendall": "message/mass/send"}
_CLEARS_A_MONTH = 10


def limit(account: Account, api: str) -> int | None:
    """Calls that this account may make to `api` in a day; None where no figure is published."""
    figures = DAILY.get(api)
    return None if figures is None else figures[account.is_test]


def _counter(api: str) -> str:
    return _SHARED.get(api, api)


def check(world: World, account: Account, api: str) -> None:
    """May this call be made? Raises `Refused` 45009 past the day's cap and 45011 past the minute's (wechat-platform.md 388)."""
    if account.is_test and api in {"message/mass/send", "message/mass/sendall"}:
        raise Refused(-1)  # a test account cannot send to all (wechat-platform.md 332)
    counter, now = _counter(api), world.clock.now()
    _turn_day(account, now)
    most = limit(account, api)
    if most is not None and account.used.get(counter, 0) >= most:
        raise Refused(45009)
    minute, calls = account.minute.get(counter, (0, 0))
    if minute == int(now // 60) and calls >= PER_MINUTE[counter]:
        raise Refused(45011)


def _turn_day(account: Account, now: float) -> None:
    if account.used_on != day(now):
        account.used_on = day(now)
        account.used.clear()


def _called(world: World, event: Event) -> None:
    """One answered call: the tally, and (`c`) the counters of the account that made it."""
    world.calls.setdefault(event["a"], Counter())[event["p"], event["e"]] += 1
    account = world.accounts.get(event["a"])
    if account is None or not event["c"]:
        return
    counter = _counter(event["p"])
    _turn_day(account, event["t"])
    account.used[counter] = account.used.get(counter, 0) + 1
    if counter in PER_MINUTE:
        minute, calls = account.minute.get(counter, (0, 0))
        now = int(event["t"] // 60)
        account.minute[counter] = (now, calls + 1 if minute == now else 1)


def usage(world: World, account: Account, path: object) -> dict[str, int]:
    """The answer of openapi/quota/get. Raises `Refused` 76021 for a path without a counter."""
    api = path.removeprefix("/cgi-bin/") if isinstance(path, str) else ""
    most = limit(account, api)
    if most is None:
        raise Refused(76021)
    _turn_day(account, world.clock.now())
    used = account.used.get(_counter(api), 0)
    return {"daily_limit": most, "used": used, "remain": most - used}


def clear(world: World, account: Account, apis: list[str] | None = None) -> dict[str, Any]:
    """Reset all counters (or some). Ten times a calendar month, then 48006 (wechat-platform.md 387)."""
    this_month = month(world.clock.now())
    if account.clears.get(this_month, 0) >= _CLEARS_A_MONTH:
        raise Refused(48006)
    world.commit("cleared", appid=account.appid, month=this_month, apis=apis)
    return {}


def _cleared(world: World, event: Event) -> None:
    account = world.accounts[event["appid"]]
    account.clears[event["month"]] = account.clears.get(event["month"], 0) + 1
    for api in event["apis"] or list(account.used):
        account.used.pop(_counter(api), None)


EVENTS: dict[str, Applier] = {"called": _called, "cleared": _cleared}
