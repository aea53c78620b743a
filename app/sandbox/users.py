"""Hides followers, remarks, tags and the blacklist (wechat-platform.md 7)."""

from collections.abc import Iterable
from typing import Any

from app.sandbox.api import OK, Asked, Endpoint
from app.sandbox.errors import Refused
from app.sandbox.journal import Event
from app.sandbox.tokens import by_token
from app.sandbox.world import Account, Applier, Person, World, person_of

#: wechat-platform.md 342-352.
MOST_TAGS, TAGS_EACH, TAGGED_AT_ONCE = 100, 20, 50
_NAME_BYTES = 30
_SYSTEM_TAGS = (0, 1, 2)
_PAGE = 10_000
_ASKED_AT_ONCE, _BLACKLISTED_AT_ONCE = 100, 20
_MOST_REMARK = 30


def _info(asked: Asked, account: Account) -> dict[str, Any]:
    if not asked.query.get("openid"):
        raise Refused(41009)
    return _seen(person_of(account, asked.query["openid"]))


def _seen(person: Person) -> dict[str, Any]:
    """Without name, picture, sex or region; of somebody who does not follow only that (wechat-platform.md 348)."""
    if not person.following:
        return {"subscribe": 0, "openid": person.openid}
    return {
        "subscribe": 1,
        "openid": person.openid,
        "nickname": "",
        "sex": 0,
        "language": "",
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": "",
        "subscribe_time": int(person.followed_at),
        "remark": person.remark,
        "groupid": person.tags[0] if person.tags else 0,
        "tagid_list": list(person.tags),
        "subscribe_scene": "ADD_SCENE_QR_CODE" if person.came_by else "ADD_SCENE_SEARCH",
        "qr_scene": int(person.came_by) if person.came_by_number else 0,
        "qr_scene_str": "" if person.came_by_number else person.came_by,
    }


def _infos(asked: Asked, account: Account) -> dict[str, Any]:
    wanted = asked.json().get("user_list")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= _ASKED_AT_ONCE:
        raise Refused(40032)
    people = [person_of(account, each.get("openid") if isinstance(each, dict) else None) for each in wanted]
    return {"user_info_list": [_seen(person) for person in people]}


def _page(account: Account, people: Iterable[Person], after: object) -> dict[str, Any]:
    """One page of openids. The last page still names a next_openid; the page after it has no `data` (wechat-platform.md 347)."""
    openids = [person.openid for person in people]
    start = 0
    if after:
        if after not in openids:
            raise Refused(40003)
        start = openids.index(str(after)) + 1
    page = openids[start : start + int(account.switches.get("page", _PAGE))]
    answer: dict[str, Any] = {"total": len(openids), "count": len(page), "next_openid": page[-1] if page else ""}
    return {**answer, "data": {"openid": page}} if page else answer


def _followers(asked: Asked, account: Account) -> dict[str, Any]:
    followers = (person for person in account.people.values() if person.following)
    return _page(account, sorted(followers, key=lambda person: person.followed_at), asked.query.get("next_openid"))


def _remark(asked: Asked, account: Account) -> dict[str, Any]:
    body = asked.json()
    person = person_of(account, body.get("openid"))
    remark = body.get("remark")
    if not isinstance(remark, str) or len(remark) >= _MOST_REMARK:
        raise Refused(40035, "remark")
    asked.world.commit("person_changed", o=person.openid, set={"remark": remark})
    return OK


def _tag_name(account: Account, body: dict[str, Any]) -> str:
    """A new name. Raises `Refused` 45158 over 30 bytes, 45157 taken (wechat-platform.md 342)."""
    tag = body.get("tag")
    name = tag.get("name") if isinstance(tag, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise Refused(40035, "tag.name")
    if len(name.encode()) > _NAME_BYTES:
        raise Refused(45158)
    if name in account.tags.values():
        raise Refused(45157)
    return name


def _known_tag(account: Account, tag: object) -> int:
    number = int(tag) if isinstance(tag, str) and tag.isascii() and tag.isdigit() else tag
    if isinstance(number, bool) or not isinstance(number, int) or number not in account.tags:
        raise Refused(45159)
    return number


def _own_tag(account: Account, body: dict[str, Any]) -> int:
    """A tag that may be changed. Raises `Refused` 45058 for the system's (wechat-platform.md 342)."""
    tag = body.get("tag")
    number = tag.get("id") if isinstance(tag, dict) else None
    if number in _SYSTEM_TAGS:
        raise Refused(45058)
    return _known_tag(account, number)


def _create_tag(asked: Asked, account: Account) -> dict[str, Any]:
    name = _tag_name(account, asked.json())
    if sum(number not in _SYSTEM_TAGS for number in account.tags) >= MOST_TAGS:
        raise Refused(45056)
    made = asked.world.commit("tag_set", appid=account.appid, id=account.next_tag, name=name)
    return {"tag": {"id": made["id"], "name": name}}


def _update_tag(asked: Asked, account: Account) -> dict[str, Any]:
    number = _own_tag(account, asked.json())
    asked.world.commit("tag_set", appid=account.appid, id=number, name=_tag_name(account, asked.json()))
    return OK


def _delete_tag(asked: Asked, account: Account) -> dict[str, Any]:
    asked.world.commit("tag_deleted", appid=account.appid, id=_own_tag(account, asked.json()))
    return OK


def _tags(_asked: Asked, account: Account) -> dict[str, Any]:
    counts = dict.fromkeys(account.tags, 0)
    for person in account.people.values():
        for number in person.tags:
            counts[number] += 1
    return {"tags": [{"id": number, "name": name, "count": counts[number]} for number, name in account.tags.items()]}


def _batch(asked: Asked, account: Account, most: int) -> list[Person]:
    """The people of a batch: too many are 40032, one who is foreign or left fails all of them (wechat-platform.md 343, 344)."""
    openids = asked.json().get("openid_list")
    if not isinstance(openids, list) or not 1 <= len(openids) <= most:
        raise Refused(40032)
    people = [person_of(account, openid) for openid in openids]
    if not all(person.following for person in people):
        raise Refused(49003)
    return people


def _tag_people(asked: Asked, account: Account) -> dict[str, Any]:
    number = _known_tag(account, asked.json().get("tagid"))
    people = _batch(asked, account, TAGGED_AT_ONCE)
    if any(len(person.tags) >= TAGS_EACH and number not in person.tags for person in people):
        raise Refused(45059)
    asked.world.commit("tagged", tag=number, openids=[person.openid for person in people])
    return OK


def _untag_people(asked: Asked, account: Account) -> dict[str, Any]:
    number = _known_tag(account, asked.json().get("tagid"))
    people = _batch(asked, account, TAGGED_AT_ONCE)
    asked.world.commit("untagged", tag=number, openids=[person.openid for person in people])
    return OK


def _tags_of(asked: Asked, account: Account) -> dict[str, Any]:
    return {"tagid_list": list(person_of(account, asked.json().get("openid")).tags)}


def _tagged_people(asked: Asked, account: Account) -> dict[str, Any]:
    body = asked.json()
    number = _known_tag(account, body.get("tagid"))
    page = _page(account, (person for person in account.people.values() if number in person.tags), body.get("next_openid"))
    page.pop("total")
    return page


def _blacklist(asked: Asked, account: Account) -> dict[str, Any]:
    return _page(account, (person for person in account.people.values() if person.blacklisted), asked.json().get("begin_openid"))


def _set_blacklisted(*, blacklisted: bool) -> Endpoint:
    def answer(asked: Asked, account: Account) -> dict[str, Any]:
        for person in _batch(asked, account, _BLACKLISTED_AT_ONCE):
            asked.world.commit("person_changed", o=person.openid, set={"blacklisted": blacklisted})
        return OK

    return Endpoint("POST", answer, by_token)


def _tag_set(world: World, event: Event) -> None:
    account = world.accounts[event["appid"]]
    account.tags[event["id"]] = event["name"]
    account.next_tag = max(account.next_tag, event["id"] + 1)


def _tag_deleted(world: World, event: Event) -> None:
    account = world.accounts[event["appid"]]
    del account.tags[event["id"]]
    for person in account.people.values():
        _drop(person, event["id"])


def _tagged(world: World, event: Event) -> None:
    for openid in event["openids"]:
        _drop(world.people[openid], event["tag"])
        world.people[openid].tags.append(event["tag"])


def _untagged(world: World, event: Event) -> None:
    for openid in event["openids"]:
        _drop(world.people[openid], event["tag"])


def _drop(person: Person, tag: int) -> None:
    person.tags[:] = [each for each in person.tags if each != tag]


EVENTS: dict[str, Applier] = {"tag_set": _tag_set, "tag_deleted": _tag_deleted, "tagged": _tagged, "untagged": _untagged}
ENDPOINTS = {
    "user/info": Endpoint("GET", _info, by_token),
    "user/info/batchget": Endpoint("POST", _infos, by_token),
    "user/info/updateremark": Endpoint("POST", _remark, by_token),
    "user/get": Endpoint("GET", _followers, by_token),
    "user/tag/get": Endpoint("POST", _tagged_people, by_token),
    "tags/create": Endpoint("POST", _create_tag, by_token),
    "tags/get": Endpoint("GET", _tags, by_token),
    "tags/update": Endpoint("POST", _update_tag, by_token),
    "tags/delete": Endpoint("POST", _delete_tag, by_token),
    "tags/getidlist": Endpoint("POST", _tags_of, by_token),
    "tags/members/batchtagging": Endpoint("POST", _tag_people, by_token),
    "tags/members/batchuntagging": Endpoint("POST", _untag_people, by_token),
    "tags/members/getblacklist": Endpoint("POST", _blacklist, by_token),
    "tags/members/batchblacklist": _set_blacklisted(blacklisted=True),
    "tags/members/batchunblacklist": _set_blacklisted(blacklisted=False),
}
