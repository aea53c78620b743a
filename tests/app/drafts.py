"""Hides how a push is written for the fuzz: sound, forged, or around anything; and what may follow each.

Whoever writes a request knows whether it is still validly signed; `Want` says what may follow.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from app.channels import Credentials
from tests.app import utterances
from tests.app.wire import aes, layout, padded
from tests.channels.platform import document, sha1

WRITERS = [f"oFuzz_{number:03d}" for number in range(150)]
#: Whoever is only named in forged pushes is known to nobody afterwards.
FORGERS = [f"oForged_{number:03d}" for number in range(20)]

#: Seconds by which a rightly signed request is too old or too new.
_TOO_FAR = (-302, -3600, -(10**8), 400, 10**6, 10**9)

Query = list[tuple[str, str]]

NOBODY = frozenset({400, 403, 404, 405, 408, 411, 413, 414, 431})


@dataclass(frozen=True)
class Want:
    """What may follow a request. `rows`: what is stored where the answer is a 200 ("" for nothing, "either" for one of both)."""

    statuses: frozenset[int]
    rows: str = ""
    hangs_up: bool = False  # no answer is one too: the request was no HTTP, or was never finished


TAKEN = Want(frozenset({200}), "inbox")
KEPT = Want(frozenset({200}), "quarantine")
EITHER = Want(frozenset({200}), "either")
REPEATED = Want(frozenset({200}))
JUNK = Want(frozenset({200, 403}), "either")  # a spoilt envelope is refused; what it opens to nevertheless, or is no envelope, is kept
FORGED = Want(frozenset({403}))
ECHOED = Want(frozenset({200}))
ELSEWHERE = Want(frozenset({403, 404, 405}))
PAGE = Want(frozenset({200, 400, 403, 404, 405, 414}))
LARGE = Want(frozenset({413}))
BROKEN = Want(NOBODY, hangs_up=True)
#: Sound where it can be read, and nobody has to read it.
SOUND_OR_BROKEN = Want(NOBODY | {200}, "either", hangs_up=True)


@dataclass(frozen=True)
class Request:
    """One request before it is written: method, target, headers and body, and what it leads to."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    want: Want

    def written(self, version: str = "HTTP/1.1") -> bytes:
        head = "".join(f"{name}: {value}\r\n" for name, value in (*self.headers, ("Content-Length", str(len(self.body)))))
        return f"{self.method} {self.target} {version}\r\n{head}\r\n".encode("latin-1", "replace") + self.body


def joined(query: Query) -> str:
    """The parameters as they stand in an address; their values are percent-encoded already."""
    return "&".join("=".join(pair) for pair in query)


class Draft:
    """One case in the making: the account, the chance, and a moment."""

    def __init__(self, known: Credentials, chance: random.Random, seed: int, number: int, stamp: int) -> None:
        self.known, self.path = known, f"/hooks/wechat/{known.account}"
        self.chance, self.seed, self.number, self.stamp = chance, seed, number, stamp
        self._made = 0

    # -- sound pushes

    def inner(self, openid: str | None = None, **fields: str) -> bytes:
        """The inner XML of a sound push of any kind; no two are repeats of each other."""
        self._made += 1
        msgid = f"{self.seed % 10_000}{self.number:09d}{self._made:02d}"
        kind = utterances.push(self.chance, msgid)
        whole = {
            "ToUserName": self.known.original_id,
            "FromUserName": openid or self.chance.choice(WRITERS),
            "CreateTime": str(self.stamp),
            **kind,
            **fields,
        }
        return document({name: value.replace("]]>", "]]]]><![CDATA[>") for name, value in whole.items()})

    def words(self) -> str:
        """Something that somebody writes."""
        return utterances.words(self.chance)

    def query(self, shift: int = 0, **more: str) -> Query:
        """Signed parameters of a request that was written so many seconds after now."""
        stamp, nonce = str(self.stamp + shift), f"n{self.number}x{self._made}"
        return [("signature", sha1(self.known.token, stamp, nonce)), ("timestamp", stamp), ("nonce", nonce), *more.items()]

    def around(self, encrypted: str, want: Want, shift: int = 0) -> Request:
        """A signed request around this `Encrypt`."""
        query = self.query(shift)
        signature = sha1(self.known.token, query[1][1], query[2][1], encrypted)
        query += [("encrypt_type", "aes"), ("msg_signature", signature)]
        body = document({"ToUserName": self.known.original_id, "Encrypt": encrypted})
        return self.posted(query, body, want)

    def sealed(self, plain: bytes, want: Want, shift: int = 0) -> Request:
        """A signed request around this inner XML."""
        return self.around(aes(padded(layout(plain, self.known.appid)), self.known.aes_key), want, shift)

    def posted(self, query: Query, body: bytes, want: Want) -> Request:
        headers = (("Host", "service.example"), ("Content-Type", "text/xml"))
        return Request("POST", f"{self.path}?{joined(query)}", headers, body, want)

    def sound(self) -> Request:
        """A push that is taken."""
        return self.sealed(self.inner(), TAKEN)

    def forged(self) -> Request:
        """A push that nobody signed, or not for this, or not for now."""
        if self.chance.random() < 0.1:
            return self.sealed(self.inner(self.chance.choice(FORGERS)), FORGED, self.chance.choice(_TOO_FAR))
        made = self.sealed(self.inner(self.chance.choice(FORGERS)), FORGED)
        return self.posted(self.chance.choice(FORGERIES)(self, pairs_of(made)), made.body, FORGED)

    # -- noise

    def garbage(self, most: int) -> bytes:
        return self.chance.randbytes(self.chance.randint(1, most))

    def spoilt(self, text: bytes) -> bytes:
        """The bytes with one to four small wounds."""
        spoilt = bytearray(text)
        for _ in range(self.chance.randint(1, 4)):
            place = self.chance.randrange(len(spoilt)) if spoilt else 0
            match self.chance.randrange(5):
                case 0:
                    spoilt[place : place + 1] = bytes([self.chance.randrange(256)])
                case 1:
                    del spoilt[place : place + self.chance.randint(1, 30)]
                case 2:
                    spoilt[place:place] = self.chance.choice(utterances.MORSELS)
                case 3:
                    end = place + self.chance.randint(1, 60)
                    spoilt[place:place] = spoilt[place:end]
                case _:
                    other = self.chance.randrange(len(spoilt)) if spoilt else 0
                    spoilt[place:place] = spoilt[other : other + 20]
        return bytes(spoilt)


def pairs_of(request: Request) -> Query:
    query = request.target.partition("?")[2]
    return [(name, value) for name, _, value in (each.partition("=") for each in query.split("&"))]


_Forgery = Callable[[Draft, Query], Query]


def with_values(query: Query, **values: str) -> Query:
    return [(name, values.get(name, value)) for name, value in query]


def _named(query: Query, name: str) -> str:
    return dict(query)[name]


FORGERIES: list[_Forgery] = [
    lambda draft, query: with_values(query, signature=f"{draft.chance.getrandbits(160):040x}"),
    lambda draft, query: with_values(query, msg_signature=f"{draft.chance.getrandbits(160):040x}"),
    lambda draft, query: with_values(query, signature=_named(query, "msg_signature")),
    lambda draft, query: with_values(query, **{draft.chance.choice(("signature", "msg_signature")): "A" * 40}),
    lambda draft, query: [pair for pair in query if pair[0] != draft.chance.choice(("signature", "timestamp", "nonce"))][:-1],
    lambda draft, query: [*query, draft.chance.choice(query)],
    lambda draft, query: with_values(query, timestamp=str(draft.stamp + draft.chance.choice((-301, 400, 10**6, -(10**9), 10**11)))),
    lambda draft, query: with_values(query, timestamp=_named(query, "timestamp") + "1"),
    lambda draft, query: with_values(query, nonce=_named(query, "nonce") + draft.chance.choice(("x", "%00", "%80", "%20", "%0a"))),
    lambda draft, query: [("signature", sha1("guess", str(draft.stamp), "n")), ("timestamp", str(draft.stamp)), ("nonce", "n"), *query[3:]],
    lambda draft, query: with_values(query, encrypt_type=draft.chance.choice(("raw", "AES", "", "aes2", "%61es%00"))),
    lambda draft, query: [pair for pair in query if pair[0] != "msg_signature"],
    lambda draft, query: [],
    lambda draft, query: [(name, value[: len(value) // 2]) for name, value in query],
    lambda draft, query: [(name.upper(), value) for name, value in query],
]
