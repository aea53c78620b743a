"""Hides the custom menu and its sizes (wechat-platform.md 364); conditional menus come with the course."""

from dataclasses import dataclass
from typing import Any

from app.sandbox.api import OK, Asked, Endpoint
from app.sandbox.custom import is_url
from app.sandbox.errors import Refused
from app.sandbox.journal import Event
from app.sandbox.tokens import by_token
from app.sandbox.world import Account, Applier, World

_KEYED = {"click", "scancode_push", "scancode_waitmsg", "pic_sysphoto", "pic_photo_or_album", "pic_weixin", "location_select"}
_NEEDS = {"media_id": "media_id", "article_id": "article_id", "article_view_limited": "article_id", "miniprogram": "pagepath"}
_MOST_KEY, _MOST_URL = 128, 1024


@dataclass(frozen=True)
class _Sizes:
    """Limits and codes of one level of the menu."""

    entries: int
    name: int
    count_code: int
    type_code: int
    name_code: int
    key_code: int
    url_code: int
    domain_code: int


_TOP = _Sizes(3, 16, 40016, 40017, 40018, 40019, 40020, 40055)
_SUB = _Sizes(5, 60, 40023, 40024, 40025, 40026, 40027, 40054)


def _create(asked: Asked, account: Account) -> dict[str, Any]:
    menu = {"button": _entries(asked.json().get("button"), _TOP)}
    asked.world.commit("menu_set", appid=account.appid, menu=menu)
    return OK


def _entries(entries: object, sizes: _Sizes) -> list[dict[str, Any]]:
    if not isinstance(entries, list) or not 1 <= len(entries) <= sizes.entries:
        raise Refused(sizes.count_code)
    return [_entry(entry, sizes) for entry in entries]


def _entry(entry: object, sizes: _Sizes) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise Refused(47001)
    name = entry.get("name")
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= sizes.name:
        raise Refused(sizes.name_code)
    if entry.get("sub_button"):
        if sizes is _SUB:
            raise Refused(40022)
        return {"name": name, "sub_button": _entries(entry["sub_button"], _SUB)}
    return {**_leaf(entry, sizes), "sub_button": []}


def _leaf(entry: dict[str, Any], sizes: _Sizes) -> dict[str, Any]:
    sort = str(entry.get("type"))
    if sort in _KEYED:
        key = entry.get("key")
        if not isinstance(key, str) or not 1 <= len(key.encode()) <= _MOST_KEY:
            raise Refused(sizes.key_code)
        return {"type": sort, "name": entry["name"], "key": key}
    if sort in _NEEDS and entry.get(_NEEDS[sort]):
        return {name: value for name, value in entry.items() if name != "sub_button"}
    if sort != "view":
        raise Refused(sizes.type_code)
    if not is_url(entry.get("url")):
        raise Refused(sizes.domain_code)
    if len(entry["url"].encode()) > _MOST_URL:
        raise Refused(sizes.url_code)
    return {"type": sort, "name": entry["name"], "url": entry["url"]}


def find(account: Account, key: str) -> dict[str, Any] | None:
    """The entry with this key or address."""
    for entry in (account.menu or {}).get("button", []):
        for leaf in entry["sub_button"] or [entry]:
            if key in (leaf.get("key"), leaf.get("url"), leaf.get("pagepath")):
                found: dict[str, Any] = leaf
                return found
    return None


def _get(_asked: Asked, account: Account) -> dict[str, Any]:
    if account.menu is None:
        raise Refused(46003)
    return {"menu": account.menu}


def _current(_asked: Asked, account: Account) -> dict[str, Any]:
    return {"is_menu_open": int(account.menu is not None), "selfmenu_info": account.menu or {"button": []}}


def _delete(asked: Asked, account: Account) -> dict[str, Any]:
    asked.world.commit("menu_set", appid=account.appid, menu=None)
    return OK


def _menu_set(world: World, event: Event) -> None:
    world.accounts[event["appid"]].menu = event["menu"]


EVENTS: dict[str, Applier] = {"menu_set": _menu_set}
ENDPOINTS = {
    "menu/create": Endpoint("POST", _create, by_token),
    "menu/get": Endpoint("GET", _get, by_token),
    "menu/delete": Endpoint("GET", _delete, by_token),
    "get_current_selfmenu_info": Endpoint("GET", _current, by_token),
}
