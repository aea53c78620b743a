"""Hides in how many ways a request can be wrong, and how often the fuzz tries each. One seed and one number make one case."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from app.channels import Credentials
from tests.app import utterances
from tests.app.drafts import (
    BROKEN,
    ECHOED,
    EITHER,
    ELSEWHERE,
    FORGED,
    FORGERS,
    JUNK,
    KEPT,
    LARGE,
    PAGE,
    REPEATED,
    SOUND_OR_BROKEN,
    TAKEN,
    Draft,
    Request,
    Want,
    joined,
    pairs_of,
    with_values,
)
from tests.app.wire import aes, layout, padded
from tests.channels.platform import element

Made = tuple[Sequence[bytes], Sequence[Want], bool]


@dataclass(frozen=True)
class Case:
    """Bytes to write, piece by piece, and what must come back: one `Want` per request in them. `ends`: we hang up after the last byte."""

    number: int
    name: str
    parts: tuple[bytes, ...]
    wants: tuple[Want, ...]
    ends: bool = False

    @property
    def reusable(self) -> bool:
        """Whether the connection may serve further cases."""
        return not self.ends and not any(want.hangs_up or want is LARGE for want in self.wants)


class Writer:
    """Writes cases against one account."""

    def __init__(self, known: Credentials, seed: int) -> None:
        self.known, self.seed = known, seed

    def case(self, number: int, stamp: int) -> Case:
        """The case with this number at this second of the clock."""
        chance = random.Random(f"{self.seed}/{number}")
        kinds = list(_KINDS)
        make = chance.choices(kinds, [_KINDS[kind] for kind in kinds])[0]
        parts, wants, ends = make(Draft(self.known, chance, self.seed, number, stamp))
        return Case(number, make.__name__.strip("_"), tuple(parts), tuple(wants), ends)


def _one(request: Request) -> Made:
    return [request.written()], [request.want], False


# -- kinds of cases


def _sound(draft: Draft) -> Made:
    return _one(draft.sound())


def _sound_in_other_words(draft: Draft) -> Made:
    """The same meaning, written otherwise: order, encodings, further parameters and headers, chunks, small pieces."""
    made = draft.sound()
    pairs = pairs_of(made)
    match draft.chance.randrange(7):
        case 0:
            draft.chance.shuffle(pairs)
        case 1:
            pairs = [(name, "".join(f"%{ord(sign):02x}" for sign in value) if "%" not in value else value) for name, value in pairs]
        case 2:
            pairs += [(f"more{number}", draft.words()[:20].encode().hex()) for number in range(draft.chance.randint(1, 30))]
        case 3:
            made = Request(made.method, made.target, (*made.headers, *_headers(draft)), made.body, made.want)
        case 4:
            return [_chunked(draft, made)], [TAKEN], False
        case 5:
            whole, cut = made.written(), draft.chance.randint(1, 400)
            return [whole[start : start + cut] for start in range(0, len(whole), cut)], [TAKEN], False
        case _:
            return [made.written("HTTP/1.0")], [TAKEN], False
    target = f"{made.target.partition('?')[0]}?{joined(pairs)}{draft.chance.choice(('', '&', '#x'))}"
    return _one(Request(made.method, target, made.headers, made.body, made.want))


def _headers(draft: Draft) -> list[tuple[str, str]]:
    return draft.chance.choice(
        [
            [("Content-Encoding", "gzip")],
            [(f"X-{number}", "y" * 50) for number in range(100)],
            [("Cookie", "a=" + "b" * 4000)],
            [("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Host", "evil.example"), ("X-HTTP-Method-Override", "DELETE")],
            [("Content-Type", "application/json"), ("Accept", "*/*;q=x"), ("Range", "bytes=0-1")],
            [("Host", "evil.example"), ("Referer", "javascript:1"), ("User-Agent", "")],
            [("X-High", "".join(chr(draft.chance.randrange(0x80, 0xFF)) for _ in range(20)))],
            [("If-None-Match", "*"), ("Expect", "nothing"), ("Via", "1.0 x")],
        ]
    )


def _chunked(draft: Draft, made: Request) -> bytes:
    pieces, start = [], 0
    while start < len(made.body):
        piece = made.body[start : start + draft.chance.randint(1, 700)]
        start += len(piece)
        note = draft.chance.choice((b"", b";a=b", b" "[:0]))
        pieces.append(b"%X%s\r\n%s\r\n" % (len(piece), note, piece))
    head = "".join(f"{name}: {value}\r\n" for name, value in made.headers)
    return f"POST {made.target} HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode() + b"".join(pieces) + b"0\r\n\r\n"


def _sound_with_a_crooked_head(draft: Draft) -> Made:
    """A sound push under headers that may or may not be HTTP."""
    made = draft.sound()
    line, _, rest = made.written().partition(b"\r\n")
    head = draft.chance.choice(
        [
            b"X-A: b\r\n c",
            b"X-A: b\x00c",
            b"X-A: " + b"b" * draft.chance.randint(1, 300_000),
            b"\r\n".join(b"X-%d: y" % number for number in range(draft.chance.randint(1, 3000))),
            b"X" * draft.chance.randint(1, 9000) + b": y",
            b"X-A:\t \t",
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: YQ==\r\nSec-WebSocket-Version: 13",
            b"Expect: 100-continue",
            b"X-\xff\xfe: y",
            draft.garbage(40),
        ]
    )
    return [line + b"\r\n" + head + b"\r\n" + rest], [SOUND_OR_BROKEN], False


def _forged(draft: Draft) -> Made:
    return _one(draft.forged())


def _forged_for_another_door(draft: Draft) -> Made:
    """A rightly signed push at an address that is not its own."""
    made = draft.sealed(draft.inner(draft.chance.choice(FORGERS)), ELSEWHERE)
    names = ("nobody", "demo2", "%00", "..", "demo%2f..", "demo/x", "", "DEMO", "demo%20", "a" * 9000, quote("随机"), "demo;a")
    name = draft.chance.choice(names)
    target = f"/hooks/wechat/{name}?{made.target.partition('?')[2]}"
    return _one(Request(made.method, target, made.headers, made.body, made.want))


def _wrong_method(draft: Draft) -> Made:
    made = draft.sealed(draft.inner(draft.chance.choice(FORGERS)), ELSEWHERE)
    method = draft.chance.choice(("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "LOCK", "MKCOL"))
    return _one(Request(method, made.target, made.headers, made.body, made.want))


def _handshake(draft: Draft) -> Made:
    echo = draft.chance.choice(("1", "a" * 128, "Z9"))
    query, want = draft.query(echostr=echo), ECHOED
    if draft.chance.random() < 0.5:
        want = FORGED
        echoes = [draft.query(echostr=echo) for echo in ("", "%3Cscript%3E", "a" * 129)]
        query = draft.chance.choice([draft.query(), *echoes, with_values(query, signature="0" * 40), query + query[:1]])
    return _one(Request("GET", f"{draft.path}?{joined(query)}", (("Host", "a"),), b"", want))


def _another_page(draft: Draft) -> Made:
    places = ("/read/", "/static/", "/health/", "/hooks/", "/", "/docs", "/openapi.json", "/.env", "//", "/%2e%2e/", "/read/1.")
    tail = draft.chance.choice(("", "live", quote(draft.words()[:40]), "..%2f..%2fetc%2fpasswd", "%00", "9" * 400, "a" * 2000, "?a=b&a=c"))
    method = draft.chance.choice(("GET", "GET", "POST", "OPTIONS"))
    return _one(Request(method, draft.chance.choice(places) + tail, (("Host", "evil.example"),), b"", PAGE))


def _spoilt_inside(draft: Draft) -> Made:
    """Sound around, wounds in the inner XML: read after all, or kept for a human."""
    return _one(draft.sealed(draft.spoilt(draft.inner()), EITHER))


def _hostile_inside(draft: Draft) -> Made:
    """What an XML reader fears, rightly signed and encrypted."""
    inside = draft.chance.choice(
        [
            '<!DOCTYPE xml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><xml><Content>&b;&b;</Content></xml>',
            '<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml/>',
            "<xml>" + "<a>" * draft.chance.randint(8, 5000) + "</xml>",
            "<xml>" + "".join(f"<a{number}/>" for number in range(draft.chance.randint(201, 3000))) + "</xml>",
            f'<xml a="{"x" * draft.chance.randint(1, 30_000)}"/>',
            "<?xml version='1.0' encoding='gbk'?><xml/>",
            "<xml><Encrypt>AAAA</Encrypt></xml>",
            "<xml/><xml/>",
            "null",
            '{"ToUserName": "gh"}',
            f"<xml>{element('ToUserName', 'gh_somebody_else')}{element('FromUserName', draft.chance.choice(FORGERS))}</xml>",
            f"<xml><ToUserName>{draft.known.original_id}</ToUserName><FromUserName><b>{utterances.CANARY}</b></FromUserName></xml>",
            " ",
            "<xml>" + utterances.CANARY + "</xml>",
        ]
    )
    return _one(draft.sealed(inside.encode(), KEPT))


def _wrong_fields(draft: Draft) -> Made:
    """Well-formed, with a field that no push has."""
    plain = draft.inner()
    name = draft.chance.choice(("ToUserName", "FromUserName", "MsgType"))
    twice = plain.replace(b"</xml>", element(name, "x").encode() + b"</xml>")
    nested = plain.replace(b"<xml>", b"<xml><Deep>" + b"<a>" * 7 + b"</a>" * 7 + b"</Deep>")
    gone = draft.inner(draft.chance.choice(("", "o", "o x", "x" * 65, "o'; --", "😀" * 8)) or " ")
    return _one(draft.sealed(draft.chance.choice((twice, nested, gone, plain.decode().encode("utf-16"), plain + b"x")), KEPT))


def _odd_fields(draft: Draft) -> Made:
    """Well-formed, with values that may or may not be understood."""
    names = ("MsgId", "CreateTime", "Content", "MsgType", "Event", "EventKey", "bizmsgmenuid", "Status", "MsgID", "Recognition")
    values = ("", "0", "-1", "9" * 40, "1e5", "NaN", "\u202e", "<b>", "a" * 5000, "7" * 10, "٣", utterances.CANARY, "]]>", "a\nb")
    fields = {draft.chance.choice(names): draft.chance.choice(values) for _ in range(draft.chance.randint(1, 4))}
    return _one(draft.sealed(draft.inner(f"oOdd_{draft.number:07d}", **fields), EITHER))  # a writer of its own: no accidental repeats


def _spoilt_envelope(draft: Draft) -> Made:
    """A rightly signed `Encrypt` that holds something else than it should."""
    plain, key, appid = draft.inner(), draft.known.aes_key, draft.known.appid
    whole = padded(layout(plain, appid))
    good = aes(whole, key)
    place = draft.chance.randrange(len(good))
    another = draft.chance.choice(("", "wx0", appid + "x", appid[:-1], appid.upper()))
    length = draft.chance.choice((0, 0xFFFFFFFF, len(plain) + 10**4, len(plain) // 2, len(plain) + 1, len(plain) - 1))
    encrypted, want = draft.chance.choice(
        [
            (good + "====", FORGED),
            (good[:-1], FORGED),
            (aes(padded(layout(plain, appid, length)), key), FORGED),
            (aes(padded(layout(plain, another)), key), FORGED),
            (aes(padded(layout(b"", appid)), key), FORGED),
            (aes(whole[:-1] + bytes([draft.chance.choice((0, 33, 255))]), key), FORGED),
            (aes(whole, "Z" * 42 + "A"), FORGED),
            (good[:place] + draft.chance.choice("+/-_ 密=") + good[place + 1 :], JUNK),
            (good[: place // 4 * 4], JUNK),
            ("A" * draft.chance.choice((0, 1, 22, 43, 44, 4000, 43 * 1000)), JUNK),
            (aes(padded(draft.garbage(600)), key), JUNK),
        ]
    )
    return _one(draft.around(encrypted, want))


def _spoilt_outside(draft: Draft) -> Made:
    """A right `signature` over a body that is no envelope any more."""
    made = draft.sound()
    body = draft.chance.choice(
        [
            draft.spoilt(made.body),
            b"",
            draft.garbage(3000),
            made.body.replace(b"Encrypt", b"encrypt"),
            made.body.replace(b"</xml>", b"<Encrypt>x</Encrypt></xml>"),
            b"<!DOCTYPE xml []>" + made.body,
            made.body.decode().encode("utf-16"),
            b"\xef\xbb\xbf" + made.body,
            made.body[: draft.chance.randrange(len(made.body))],
            b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\n1\r\n--x--',
            gzip_like(draft),
        ]
    )
    return _one(Request(made.method, made.target, made.headers, body, JUNK))


def gzip_like(draft: Draft) -> bytes:
    """Looks compressed; nobody unpacks it."""
    return b"\x1f\x8b\x08\x00" + draft.garbage(500)


def _too_large(draft: Draft) -> Made:
    made = draft.sound() if draft.chance.random() < 0.5 else draft.forged()
    body = made.body + b" " * (65_537 - len(made.body) + draft.chance.choice((0, 1, 30_000)))
    return _one(Request(made.method, made.target, made.headers, body, LARGE))


def _repeated(draft: Draft) -> Made:
    """The same push twice on one connection, the second signed anew."""
    plain = draft.inner()
    first, second = draft.sealed(plain, TAKEN), draft.sealed(plain, REPEATED)
    return [first.written(), second.written()], [first.want, second.want], False


def _pipelined(draft: Draft) -> Made:
    """Several requests at once, good and bad; the answers come in their order."""
    requests = [draft.sound() if draft.chance.random() < 0.5 else draft.forged() for _ in range(draft.chance.randint(2, 5))]
    return [b"".join(each.written() for each in requests)], [each.want for each in requests], False


def _half(draft: Draft) -> Made:
    """Somebody hangs up before the request is whole: nothing of it may count."""
    whole = draft.sound().written()
    return [whole[: draft.chance.randrange(1, len(whole) - 1)]], [BROKEN], True


def _no_http(draft: Draft) -> Made:
    """Bytes that are no request."""
    made = draft.forged().written()
    line, _, rest = made.partition(b"\r\n")
    return (
        [
            draft.chance.choice(
                [
                    draft.garbage(2000),
                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + draft.garbage(200),
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                    b"\r\n" * draft.chance.randint(1, 2000),
                    b"GET\r\n\r\n",
                    line.replace(b"HTTP/1.1", draft.chance.choice((b"HTTP/9.9", b"HTTQ/1.1", b"", b"HTTP/1.1 x"))) + b"\r\n" + rest,
                    line.lower() + b"\r\n" + rest,
                    line + b"\r\n" + b"X" * draft.chance.randint(1, 90_000),
                    draft.spoilt(line[:60]) + line[60:] + b"\r\n" + rest,
                    b"SSTP_DUPLEX_POST /x HTTP/1.1\r\n\r\n",
                ]
            )
        ],
        [BROKEN],
        True,
    )


def _smuggled(draft: Draft) -> Made:
    """Headers by which two readers disagree where a request ends; what hides behind must not be read."""
    made = draft.forged()
    line = f"POST {made.target} HTTP/1.1\r\nHost: a\r\n".encode()
    bad = draft.chance.choice(
        [
            b"Content-Length: 3\r\nContent-Length: 5\r\n",
            b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked, identity\r\n",
            b"Content-Length : 3\r\n",
            b"X-A: b\r\n c\r\nContent-Length: 3\r\n",
            b"Content-Length: +3\r\n",
            b"Content-Length: -3\r\n",
            b"Content-Length: 3x\r\n",
            b"Content-Length: 99999999999999999999999\r\n",
            b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
            b"X-A: b\x00c\r\n",
            b"X-A b\r\n",
            b": b\r\n",
            b"X-A: b\rX-B: c\r\n",
            b"Transfer-Encoding: xchunked\r\n",
        ]
    )
    return [line + bad + b"\r\n" + b"abc" + draft.sealed(draft.inner(draft.chance.choice(FORGERS)), FORGED).written()], [BROKEN], True


def _wrong_length(draft: Draft) -> Made:
    """A Content-Length that lies: what is missing never comes, and what is left over is no request."""
    made = draft.forged()
    shift = draft.chance.choice((-200, -1, 1, 100, 60_000))
    whole = made.written().replace(b"Content-Length: %d" % len(made.body), b"Content-Length: %d" % max(0, len(made.body) + shift))
    return [whole], [BROKEN], True


#: How often each kind comes, relative to the others.
_KINDS: dict[Callable[[Draft], Made], int] = {
    _sound: 6,
    _sound_in_other_words: 8,
    _sound_with_a_crooked_head: 4,
    _forged: 16,
    _forged_for_another_door: 6,
    _wrong_method: 3,
    _handshake: 4,
    _another_page: 6,
    _spoilt_inside: 7,
    _hostile_inside: 5,
    _wrong_fields: 4,
    _odd_fields: 4,
    _spoilt_envelope: 7,
    _spoilt_outside: 5,
    _too_large: 1,
    _repeated: 2,
    _pipelined: 3,
    _half: 5,
    _no_http: 6,
    _smuggled: 5,
    _wrong_length: 3,
}
