"""Hides the state of WeChat's side: accounts, people, chats and the ledger, changed by journalled events only.

`World.commit` writes an event and applies it; a restart applies the same events again. So everything that an event needs
(time, chance, numbers) stands in it, and the appliers (`EVENTS` here and in the modules of each idea) ask nobody.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.sandbox.errors import Refused
from app.sandbox.journal import Event, Journal
from app.sandbox.timeline import VirtualClock

OPENID = re.compile(r"[A-Za-z0-9_-]{6,64}")

#: Messages and seconds that an action allows (wechat-platform.md 190-199).
TYPED = (5, 48 * 3600.0)
TOUCHED = (3, 60.0)


class Shown(NamedTuple):
    """What stands in a bubble: `card` holds title, fields and url of a notice or an article."""

    kind: str
    text: str
    card: dict[str, Any] | None = None


@dataclass(slots=True)
class Entry:
    """One line of a chat. `side` is person, account or system; `n` counts from 1 within the chat."""

    n: int
    at: float
    side: str
    kind: str
    text: str
    card: dict[str, Any] | None = None
    mass: bool = False


@dataclass(slots=True)
class Grant:
    """Messages that may be sent until a moment."""

    left: int = 0
    until: float = 0.0


@dataclass(slots=True)
class Person:
    """A virtual person in the chat with one account."""

    openid: str
    appid: str
    name: str
    hue: int
    following: bool = False
    followed_at: float = 0.0
    came_by: str = ""  # the scene of the QR code, empty where there was none
    came_by_number: bool = False
    remark: str = ""
    tags: list[int] = field(default_factory=list)  # in the order in which they were applied
    entries: list[Entry] = field(default_factory=list)
    unread: int = 0
    typed: Grant = field(default_factory=Grant)
    touched: Grant = field(default_factory=Grant)
    wrote_at: float = -1e9
    typing_until: float = 0.0
    blacklisted: bool = False
    refuses: bool = False  # switched off receiving: 48002
    blocks_notices: bool = False  # TEMPLATESENDJOBFINISH says failed:user block
    mass: dict[str, int] = field(default_factory=dict)  # mass messages by month


@dataclass(slots=True)
class Account:
    """An Official Account as WeChat's console knows it. `switches` turn on what WeChat does only sometimes."""

    appid: str
    secret: str
    token: str
    aes_key: str
    original_id: str
    webhook_url: str
    name: str = ""
    mode: str = "safe"
    profile: str = "service"
    switches: dict[str, Any] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    used_on: int = 0
    clears: dict[str, int] = field(default_factory=dict)
    minute: dict[str, tuple[int, int]] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    forced: dict[str, float] = field(default_factory=dict)
    rotations: int = 0  # tokens that another holder of the secret has killed
    templates: dict[str, Any] = field(default_factory=dict)
    notice_ids: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)
    notice_last: dict[tuple[str, str], float] = field(default_factory=dict)
    notice_times: dict[str, list[float]] = field(default_factory=dict)
    mass_jobs: dict[str, Any] = field(default_factory=dict)
    mass_ids: dict[str, Any] = field(default_factory=dict)
    mass_all: list[float] = field(default_factory=list)
    speed: int = 0
    tags: dict[int, str] = field(default_factory=lambda: {2: "星标组"})
    next_tag: int = 100
    tickets: dict[str, Any] = field(default_factory=dict)
    permanent: int = 0
    short_keys: dict[str, Any] = field(default_factory=dict)
    menu: dict[str, Any] | None = None
    media: dict[str, Any] = field(default_factory=dict)

    @property
    def is_test(self) -> bool:
        """Whether this is a 测试号."""
        return self.profile == "test"


#: What `PUT /sandbox/accounts` and `PATCH` may set.
SETTINGS = ("secret", "token", "aes_key", "original_id", "webhook_url", "name", "mode", "profile")

Applier = Callable[["World", Event], None]


class World:
    """Everything the sandbox knows."""

    def __init__(self, journal: Journal, clock: VirtualClock, appliers: Mapping[str, Applier]) -> None:
        self.clock = clock
        self.accounts: dict[str, Account] = {}
        self.people: dict[str, Person] = {}
        self.ledger: list[dict[str, Any]] = []
        self.calls: dict[str, Counter[tuple[str, int]]] = {}
        self.tokens: dict[str, str] = {}  # access token to appid
        self.jobs: dict[str, Event] = {}
        self.due: list[tuple[float, str]] = []
        self.wake: Callable[[], None] = lambda: None
        self._last = 0
        self._journal = journal
        self._appliers = appliers
        for event in journal.replay():
            appliers[event["k"]](self, event)

    def commit(self, kind: str, /, **fields: Any) -> Event:
        """Write an event down and let it happen."""
        event: Event = {"k": kind, "t": round(self.clock.now(), 3), **fields}
        self._appliers[kind](self, event)
        self._journal.append(event)
        return event

    def number(self) -> int:
        """A 64-bit id that grows with time, over restarts too: MsgId, msgid and the like."""
        self._last = max(self._last + 1, int(self.clock.now() * 1_000_000_000))
        return self._last

    def account(self, appid: str) -> Account:
        """Raises `Refused` 40013."""
        if appid not in self.accounts:
            raise Refused(40013)
        return self.accounts[appid]

    def close(self) -> None:
        self._journal.close()


def person_of(account: Account, openid: object) -> Person:
    """Somebody of this account. Raises `Refused` 40003 for a foreign or impossible openid (wechat-platform.md 221)."""
    person = account.people.get(openid) if isinstance(openid, str) else None
    if person is None:
        raise Refused(40003)
    return person


def open_until(person: Person) -> float:
    """Until when service messages may be sent at all."""
    return max(person.typed.until, person.touched.until)


def left(person: Person, now: float) -> int:
    """How many service messages may be sent now: the larger allowance that still holds, they never add up (wechat-platform.md 205)."""
    return max((grant.left for grant in (person.typed, person.touched) if grant.until > now), default=0)


def _account_put(world: World, event: Event) -> None:
    settings = {name: event[name] for name in SETTINGS if name in event}
    account = world.accounts.get(event["appid"])
    if account is None:
        world.accounts[event["appid"]] = Account(appid=event["appid"], **settings)
        return
    for name, value in settings.items():
        setattr(account, name, value)


def _account_patched(world: World, event: Event) -> None:
    account = world.accounts[event["appid"]]
    for name, value in event["settings"].items():
        setattr(account, name, value)
    account.switches.update(event["switches"])


def _person_made(world: World, event: Event) -> None:
    person = Person(event["o"], event["appid"], event["name"], event["hue"])
    world.people[person.openid] = world.accounts[person.appid].people[person.openid] = person


def _person_changed(world: World, event: Event) -> None:
    for name, value in event["set"].items():
        setattr(world.people[event["o"]], name, value)


def _followed(world: World, event: Event) -> None:
    person = world.people[event["o"]]
    person.following, person.followed_at = True, event["t"]
    person.came_by, person.came_by_number = event.get("scene", ""), event.get("number", False)


def _unfollowed(world: World, event: Event) -> None:
    person = world.people[event["o"]]
    person.following, person.remark = False, ""
    person.tags.clear()
    person.typed, person.touched = Grant(), Grant()


def _acted(world: World, event: Event) -> None:
    """The person did something that may allow messages: `grant` is typed, touched or absent (wechat-platform.md 192-207)."""
    person = world.people[event["o"]]
    if event.get("grant") == "typed":
        person.typed, person.wrote_at = Grant(TYPED[0], event["t"] + TYPED[1]), event["t"]
    elif event.get("grant") == "touched":
        person.touched = Grant(TOUCHED[0], event["t"] + TOUCHED[1])
    if event.get("wrote"):
        person.wrote_at = event["t"]
    if "kind" in event:
        _append(person, event, event.get("side", "person"))


def _arrived(world: World, event: Event) -> None:
    """A message of the account reached the chat; custom messages use up allowance."""
    person = world.people[event["o"]]
    _append(person, event, "account")
    person.unread += 1
    person.typing_until = 0.0
    if event["api"] == "message/custom/send":
        for grant in (person.typed, person.touched):
            grant.left = max(0, grant.left - 1)
    world.ledger.append(
        {
            "n": len(world.ledger) + 1,
            "at": event["t"],
            "appid": person.appid,
            "api": event["api"],
            "openid": person.openid,
            "text": event["text"],
            "data": event.get("data"),
            "msgid": event.get("msgid"),
            "client_id": event.get("client"),
        }
    )


def _noted(world: World, event: Event) -> None:
    _append(world.people[event["o"]], event, "system")


def _append(person: Person, event: Event, side: str) -> None:
    entry = Entry(len(person.entries) + 1, event["t"], side, event["kind"], event["text"], event.get("card"), event.get("mass", False))
    person.entries.append(entry)


def _read(world: World, event: Event) -> None:
    world.people[event["o"]].unread = 0


def _typing(world: World, event: Event) -> None:
    world.people[event["o"]].typing_until = event["until"]


EVENTS: dict[str, Applier] = {
    "account_put": _account_put,
    "account_patched": _account_patched,
    "person_made": _person_made,
    "person_changed": _person_changed,
    "followed": _followed,
    "unfollowed": _unfollowed,
    "acted": _acted,
    "arrived": _arrived,
    "noted": _noted,
    "read": _read,
    "typing": _typing,
}


def arrive(world: World, person: Person, api: str, shown: Shown, **fields: Any) -> Entry:
    """Put a message of the account into somebody's chat and into the ledger."""
    world.commit("arrived", o=person.openid, api=api, **_compact(shown), **fields)
    return person.entries[-1]


def note(world: World, person: Person, kind: str, text: str) -> Entry:
    """Put a line of WeChat itself into somebody's chat."""
    world.commit("noted", o=person.openid, kind=kind, text=text)
    return person.entries[-1]


def act(world: World, person: Person, grant: str | None, shown: Shown | None, side: str = "person") -> Entry | None:
    """Let a person do something, with the allowance that it opens."""
    bubble = {} if shown is None else {**_compact(shown), "side": side}
    world.commit("acted", o=person.openid, grant=grant, **bubble)
    return person.entries[-1] if shown else None


def _compact(shown: Shown) -> dict[str, Any]:
    return {"kind": shown.kind, "text": shown.text, **({"card": shown.card} if shown.card else {})}
