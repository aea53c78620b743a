"""What a page is made of: a route with its rule, the visit that it gets, and the answers that it may give."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any

from app.assembly import Assembly
from app.console.actors import Actor
from app.console.rules import DOOR, Of, Rule
from app.db import Tx
from app.errors import NotFound
from app.situation import Tools
from app.web.forms import Upload
from bots.texts import Texts, Words

#: Where the console is.
HOME = "/console"
#: What stands in a path for the id of the thing that its rule speaks of.
THING = "{thing}"


@dataclass(frozen=True)
class Visit:
    """One request, after its rule was kept: `thing` is theirs, and `fields` holds no field but those that the route takes.

    `now` is the business time, `at` the machine's. `browser` is the cookie of a browser that is signed in as nobody yet.
    """

    tools: Tools
    words: Texts
    public_url: str
    actor: Actor | None
    thing: int
    token: str = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    language: str
    now: datetime
    at: datetime
    address: str = field(repr=False)
    device: str
    browser: str = field(repr=False)
    partial: bool  # htmx asks for a part of the page
    upload: Upload | None = None

    @property
    def who(self) -> Actor:
        """Who is signed in. Raises `NotFound` at a door."""
        if self.actor is None:
            raise NotFound("page", "There is nothing here.")
        return self.actor

    def say(self, key: str, **gaps: Any) -> Words:
        """Words of the console in the visitor's language."""
        return self.words.fill(key, self.language, self.actor.zone if self.actor else "Asia/Shanghai", **gaps)

    def field(self, name: str) -> str:
        """What stood in a field of the form; empty where it was not there."""
        return self.fields.get(name, "")


@dataclass(frozen=True)
class Shown:
    """A page, or with `part` the part of one that htmx puts in place."""

    template: str
    gaps: Mapping[str, Any] = field(default_factory=dict, repr=False)
    status: int = 200


@dataclass(frozen=True)
class Go:
    """On to an address of the console. `session`: a token that becomes the cookie, "" to forget it; `browser` likewise at a door."""

    address: str
    session: str | None = field(default=None, repr=False)
    browser: str | None = field(default=None, repr=False)
    language: str | None = None


@dataclass(frozen=True)
class Attached:
    """A file for the browser to keep; `content` is read from its beginning, and closed."""

    name: str
    content: IO[bytes] = field(repr=False)
    kind: str


@dataclass(frozen=True)
class Then:
    """Something slow that follows when the transaction is over: a call to WeChat, the hash of a password."""

    act: Callable[[Assembly], Awaitable["Shown | Go | Attached"]]


@dataclass(frozen=True)
class Drawn:
    """Of what a form was drawn: `version` is the mark of what it would change, as it stands now; `page` draws the form anew.

    A form that carries another mark changes nothing: it is answered with that page, a sentence, and what somebody had typed.
    """

    version: Callable[[Tx, Visit], str]
    page: Callable[[Tx, Visit], Shown]


#: The field in which a form carries its mark.
VERSION = "version"

Answer = Shown | Go | Attached | Then
Work = Callable[[Tx, Visit], Answer]


@dataclass(frozen=True)
class Route:
    """A path with a method, who may come there, and what happens, in one transaction: one that only reads for GET.

    `takes`: the fields of its form, any other one is refused. `typed`: further ones, in which somebody writes: what stands there is never
    lost. `drawn`: of a form that changes a stored thing, where the last one to write must not win (tests/console/test_versions.py).
    `menu`: the name of its entry in the menu. `uploads`: its form comes with a file. `most_bytes` of a form; an announcement of 1,500
    bytes takes nine for each character in one.
    """

    method: str
    path: str
    rule: Rule
    work: Work
    takes: Sequence[str] = ()
    typed: Sequence[str] = ()
    drawn: Drawn | None = None
    menu: str = ""
    uploads: bool = False
    most_bytes: int = 64 * 1024

    @property
    def fields(self) -> frozenset[str]:
        """What its form may hold."""
        return frozenset(self.takes) | frozenset(self.typed) | (frozenset({VERSION}) if self.drawn else frozenset())

    def __post_init__(self) -> None:
        if not isinstance(self.rule, Rule):
            raise TypeError(f"{self.path} has no rule: who may come there? See app/console/rules.py.")
        if (THING in self.path) is (self.rule.of is Of.NOTHING):
            raise ValueError(f"{self.path}: a rule that speaks of a thing needs {THING} in the path, and no other does.")


def _nothing(_tx: Tx, _visit: Visit) -> Answer:
    raise NotFound("page", "There is nothing here.")


def nothing() -> tuple[Route, ...]:
    """What answers for every path under the console that is none of its pages."""
    return tuple(Route(method, HOME + "/{rest:path}", DOOR, _nothing) for method in ("GET", "POST"))
