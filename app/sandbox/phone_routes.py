"""Hides the endpoints behind the phones: who there is, what stands in their chats, and what they do."""

import hashlib
import re
import secrets
import string
from collections.abc import Callable
from html import unescape
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field

from app.sandbox import actions
from app.sandbox.actions import Done, Impossible, Phone
from app.sandbox.control import account_or_404
from app.sandbox.pushes import Pusher
from app.sandbox.timeline import iso
from app.sandbox.world import OPENID, Account, Entry, Person, World, left, open_until

_LETTERS = string.ascii_letters + string.digits + "-_"
_ANCHOR = re.compile(r"""<a\b[^>]*?\bhref\s*=\s*(["'])(?P<href>.*?)\1[^>]*>(?P<label>.*?)</a\s*>""", re.IGNORECASE | re.DOTALL)


class PersonGiven(BaseModel):
    """`following` and `wrote`: they followed and wrote before this account was connected, so nobody is told."""

    name: str = Field(min_length=1, max_length=64)
    openid: str | None = Field(None, pattern=f"^{OPENID.pattern}$")
    following: bool = False
    wrote: bool = False


class OnePerson(PersonGiven):
    appid: str


class People(BaseModel):
    appid: str
    people: list[PersonGiven] = Field(max_length=10_000)


class PersonChanges(BaseModel):
    name: str | None = Field(None, min_length=1, max_length=64)
    refuses: bool | None = None
    blocks_notices: bool | None = None


class Deed(BaseModel):
    """`wait` false: answer before the account did."""

    wait: bool = True


class Say(Deed):
    text: str


class Tap(Deed):
    """Content and id as the phone decoded them, or the whole link as it stands in the text."""

    content: str = ""
    id: str = ""
    href: str | None = None


class Press(Deed):
    key: str


class Scan(Deed):
    scene: str | int | None = None
    ticket: str | None = None


class Follow(Deed):
    scene: str | int | None = None


class Send(Deed):
    kind: str


class Writers(BaseModel):
    appid: str
    openids: list[str]


def phone_routes(world: World, pusher: Pusher) -> APIRouter:
    """The phones' endpoints, as one router."""
    router = APIRouter(prefix="/sandbox/people")
    _add_people(router, world)
    _add_chat(router, world)
    _add_deeds(router, world, pusher)
    return router


def _add_people(router: APIRouter, world: World) -> None:
    @router.get("")
    async def people(appid: str) -> list[dict[str, Any]]:
        return [_listed(person) for person in account_or_404(world, appid).people.values()]

    @router.post("")
    async def create(given: OnePerson) -> dict[str, Any]:
        return _listed(_make(world, account_or_404(world, given.appid), given))

    @router.post("/batch")
    async def create_many(given: People) -> list[dict[str, Any]]:
        account = account_or_404(world, given.appid)
        return [_listed(_make(world, account, each)) for each in given.people]

    @router.post("/wrote")
    async def wrote(given: Writers) -> dict[str, Any]:
        """These wrote something just now, without a push: five messages for 48 h each (wechat-platform.md 194)."""
        people = account_or_404(world, given.appid).people
        for openid in given.openids:
            _person(world, openid)
            world.commit("acted", o=people[openid].openid, grant="typed")
        return {"wrote": len(given.openids)}

    @router.patch("/{openid}")
    async def change(openid: str, given: PersonChanges) -> dict[str, Any]:
        person = _person(world, openid)
        world.commit("person_changed", o=openid, set=given.model_dump(exclude_none=True))
        return _listed(person)


def _make(world: World, account: Account, given: PersonGiven) -> Person:
    openid = given.openid or _new_openid(account)
    if openid in world.people:
        raise HTTPException(409, "There is a person with this openid already.")
    hue = int.from_bytes(hashlib.sha256(openid.encode()).digest()[:2], "big") % 360
    world.commit("person_made", appid=account.appid, o=openid, name=given.name, hue=hue)
    if given.following:
        world.commit("followed", o=openid)
    if given.wrote:
        world.commit("acted", o=openid, grant="typed")
    return world.people[openid]


def _new_openid(account: Account) -> str:
    """28 characters; those of one account begin alike."""
    start = hashlib.sha256(account.original_id.encode()).hexdigest()[:5]
    return f"o{start}{''.join(secrets.choice(_LETTERS) for _ in range(22))}"


def _person(world: World, openid: str) -> Person:
    if openid not in world.people:
        raise HTTPException(404, "There is no such person in the sandbox.")
    return world.people[openid]


def _listed(person: Person) -> dict[str, Any]:
    last = person.entries[-1] if person.entries else None
    return {
        "openid": person.openid,
        "name": person.name,
        "hue": person.hue,
        "following": person.following,
        "unread": person.unread,
        "last_at": iso(last.at) if last else None,
        "last_text": _ANCHOR.sub(lambda found: found["label"], last.text)[:80] if last else "",
    }


def _add_chat(router: APIRouter, world: World) -> None:
    @router.get("/{openid}/chat")
    async def chat(openid: str, after: Annotated[int, Query(ge=0)] = 0) -> dict[str, Any]:
        """The lines after number `after`; `allowance` is what the account may still send (WeChat tells nobody)."""
        person, now = _person(world, openid), world.clock.now()
        until = open_until(person)
        return {
            "entries": [_line(entry) for entry in person.entries[after:]],
            "typing": person.typing_until > now,
            "following": person.following,
            "now": iso(now),
            "allowance": {"left": left(person, now), "until": iso(until) if until > now else None},
        }

    @router.post("/{openid}/read")
    async def read(openid: str) -> dict[str, Any]:
        if _person(world, openid).unread:
            world.commit("read", o=openid)
        return {"unread": 0}


def _line(entry: Entry) -> dict[str, Any]:
    """`text` is raw, with its anchors; `links` lists those, with what a tap on an answer link would send."""
    return {
        "n": entry.n,
        "at": iso(entry.at),
        "side": entry.side,
        "kind": entry.kind,
        "text": entry.text,
        "links": [_link(found) for found in _ANCHOR.finditer(entry.text)] if entry.side == "account" else [],
        "card": entry.card,
        "mass": entry.mass,
    }


def _link(found: re.Match[str]) -> dict[str, Any]:
    href = found["href"]
    content, choice = actions.parse_link(href)
    return {"label": unescape(found["label"]), "href": href, "content": content, "id": choice}


def _add_deeds(router: APIRouter, world: World, pusher: Pusher) -> None:
    async def do(openid: str, given: Deed, deed: Callable[[Phone], Done]) -> dict[str, Any]:
        try:
            done = deed(Phone(world, pusher, _person(world, openid)))
        except Impossible as impossible:
            raise HTTPException(409, str(impossible)) from None
        return await _told(done, wait=given.wait)

    @router.post("/{openid}/say")
    async def say(openid: str, given: Say) -> dict[str, Any]:
        return await do(openid, given, lambda phone: actions.say(phone, given.text))

    @router.post("/{openid}/tap")
    async def tap(openid: str, given: Tap) -> dict[str, Any]:
        content, choice = (given.content, given.id) if given.href is None else actions.parse_link(given.href)
        return await do(openid, given, lambda phone: actions.tap(phone, content, choice))

    @router.post("/{openid}/press")
    async def press(openid: str, given: Press) -> dict[str, Any]:
        return await do(openid, given, lambda phone: actions.press(phone, given.key))

    @router.post("/{openid}/scan")
    async def scan(openid: str, given: Scan) -> dict[str, Any]:
        return await do(openid, given, lambda phone: actions.scan(phone, given.ticket, _scene(given.scene)))

    @router.post("/{openid}/follow")
    async def follow(openid: str, given: Follow) -> dict[str, Any]:
        return await do(openid, given, lambda phone: actions.follow(phone, _scene(given.scene)))

    @router.post("/{openid}/unfollow")
    async def unfollow(openid: str, given: Deed) -> dict[str, Any]:
        return await do(openid, given, actions.unfollow)

    @router.post("/{openid}/send")
    async def send(openid: str, given: Send) -> dict[str, Any]:
        return await do(openid, given, lambda phone: actions.send(phone, given.kind))


def _scene(scene: str | int | None) -> str | None:
    return None if scene is None else str(scene)


async def _told(done: Done, *, wait: bool) -> dict[str, Any]:
    """`n` of the line that the deed left, and, after waiting, what became of the push (see `pushes.Delivered`)."""
    answer: dict[str, Any] = {"n": done.entry.n if done.entry else None}
    if done.push is not None and wait:
        delivered = await done.push
        answer |= {"outcome": delivered.outcome, "tries": delivered.tries, "reason": delivered.reason}
    return answer
