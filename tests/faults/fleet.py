"""The platform's side of many phones: signs, encrypts and posts pushes by its own rule of repeats, and keeps every answer.

    async with Fleet(credentials, addresses, Random(7)) as fleet:
        await fleet.play(lives, at_once=40, times=(1, 4))
        fleet.posted    # every push with every answer to it

People act at the same time, each of them one deed after the other. `times` posts each push so often at once, the copies spread over the
web processes. Nothing here uses the program's own crypto.
"""

import asyncio
import base64
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

import aiohttp
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from app import clock
from app.channels import Credentials
from app.channels.wechat.pushes import open_push
from tests.app.wire import aes, fields_of, layout, padded
from tests.channels.platform import document, sha1
from tests.faults.processes import PATIENCE

#: wechat-platform.md 1.4: cut after five seconds, three deliveries altogether.
TIMEOUT, DELIVERIES = 5.0, 3
#: The platform keeps about five seconds between deliveries; here a second, so that a run of minutes sees as many repeats as an hour.
APART = 1.0
#: So many whole replies in a row are "as before".
_IN_A_ROW = 25
_FIRST_MSGID = 23_456_789_000_000_000


@dataclass(frozen=True)
class Deed:
    """What one person does. `kind` says what must come of it (tests/faults/lives.py); `fields` are those of the push."""

    openid: str
    kind: str
    fields: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Life:
    """One person and what they do, in this order."""

    openid: str
    deeds: tuple[Deed, ...]


@dataclass(frozen=True)
class Answer:
    """What one delivery met with. `status` 0: refused, cut or too late. `plain`: the reply's XML; empty for `success`."""

    server: str
    status: int
    plain: bytes = field(repr=False)
    began: float
    ended: float


@dataclass
class Posted:
    """One push and what became of its deliveries."""

    deed: Deed
    key: str  # the inbox knows it by this
    began: float
    answers: list[Answer] = field(default_factory=list)

    @property
    def acknowledged(self) -> bool:
        """Whether the platform was told that it need not post this again."""
        return any(answer.status == 200 for answer in self.answers)

    @property
    def replies(self) -> set[bytes]:
        """Every different reply; equal ones are one."""
        return {answer.plain for answer in self.answers if answer.status == 200}

    @property
    def bare(self) -> bool:
        """Whether somebody who is owed words was answered with none."""
        return self.deed.kind != "leave" and self.acknowledged and not any(answer.plain for answer in self.answers)


@dataclass(frozen=True)
class _Sealed:
    """A push that is encrypted once: a repeat differs in its signed parameters only."""

    encrypted: str
    body: bytes = field(repr=False)


class Fleet:
    """Posts to the web processes at these addresses. `rate`: pushes a second in all, where they shall not come as fast as they can."""

    def __init__(
        self, credentials: Credentials, addresses: Sequence[str], random: Random, *, rate: float | None = None, apart: float = APART
    ) -> None:
        self._known = credentials
        self._addresses = list(addresses)
        self._random = random
        self.pace(rate)
        self._gate, self._last = asyncio.Lock(), 0.0
        self._apart = apart
        self._turn = itertools.count()
        self._msgids = itertools.count(_FIRST_MSGID)
        self.posted: list[Posted] = []
        self.stopped = False

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        self._http = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self._http.close()

    async def play(self, lives: Iterable[Life], *, at_once: int, times: tuple[int, int] = (1, 1)) -> None:
        """Let so many people at once live; ends when all have, or when `stopped` is set and what is on its way has arrived."""
        waiting = iter(lives)

        async def one_after_the_other() -> None:
            for life in waiting:
                for deed in life.deeds:
                    await self._slot()
                    if self.stopped:
                        return
                    if deed.kind == "leave":
                        await asyncio.sleep(1)  # an event has no number: within one second nobody could tell it from the words before it
                    await self.post(deed, times=self._random.randint(*times))

        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))

    def pace(self, rate: float | None) -> None:
        """From now on so many pushes a second in all, or as fast as they can."""
        self._pause = 0.0 if rate is None else 1 / rate

    async def post(self, deed: Deed, *, times: int = 1) -> Posted:
        """Post one push `times` times at once; each copy that meets with no answer is posted again by the platform's rule."""
        sealed, key = self._seal(deed)
        posted = Posted(deed, key, clock.steady())
        self.posted.append(posted)
        await asyncio.gather(*(self._by_rule(posted, sealed) for _ in range(times)))
        return posted

    async def as_before(self, since: float) -> float:
        """Wait for a row of whole replies; how many seconds after `since` its first push was posted. Raises `TimeoutError`."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answered = [each for each in self.posted if each.began >= since and each.answers][-_IN_A_ROW:]
                if len(answered) == _IN_A_ROW and not any(each.bare or not each.acknowledged for each in answered):
                    return answered[0].began - since
                await asyncio.sleep(0.05)

    async def end_gently(self, rate: float) -> None:
        """Go on at this rate until all is as before; then nobody begins anything more. Raises `TimeoutError`."""
        self.pace(rate)
        await self.as_before(clock.steady())
        self.stopped = True

    async def _slot(self) -> None:
        """Wait for this push's place in the rate; who is late does not hurry afterwards."""
        async with self._gate:
            if self._pause and not self.stopped:
                await asyncio.sleep(max(0.0, self._last + self._pause - clock.steady()))
                self._last = clock.steady()

    async def _by_rule(self, posted: Posted, sealed: _Sealed) -> None:
        for left in reversed(range(DELIVERIES)):
            answer = await self._deliver(sealed)
            posted.answers.append(answer)
            if answer.status == 200 or not left:
                return
            await asyncio.sleep(max(0.0, self._apart - (answer.ended - answer.began)))

    async def _deliver(self, sealed: _Sealed) -> Answer:
        server = self._addresses[next(self._turn) % len(self._addresses)]
        began = clock.steady()
        try:
            async with self._http.post(
                f"{server}/hooks/wechat/{self._known.account}?{self._query(sealed)}", data=sealed.body, headers={"content-type": "text/xml"}
            ) as response:
                body = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Answer(server, 0, b"", began, clock.steady())
        return Answer(server, status, self._opened(body) if status == 200 else b"", began, clock.steady())

    def _seal(self, deed: Deed) -> tuple[_Sealed, str]:
        fields = {
            "ToUserName": self._known.original_id,
            "FromUserName": deed.openid,
            "CreateTime": str(int(clock.machine_seconds())),
            **({} if deed.fields["MsgType"] == "event" else {"MsgId": str(next(self._msgids))}),
            **deed.fields,
        }
        encrypted = aes(padded(layout(document(fields), self._known.appid)), self._known.aes_key)
        sealed = _Sealed(encrypted, document({"ToUserName": self._known.original_id, "Encrypt": encrypted}))
        return sealed, open_push(self._known, self._signed(sealed), sealed.body, clock.now()).dedupe_key

    def _query(self, sealed: _Sealed) -> str:
        return urlencode(self._signed(sealed))

    def _signed(self, sealed: _Sealed) -> list[tuple[str, str]]:
        stamp, nonce = str(int(clock.machine_seconds())), str(self._random.randrange(2_000_000_000))
        return [
            ("signature", sha1(self._known.token, stamp, nonce)),
            ("timestamp", stamp),
            ("nonce", nonce),
            ("encrypt_type", "aes"),
            ("msg_signature", sha1(self._known.token, stamp, nonce, sealed.encrypted)),
        ]

    def _opened(self, body: bytes) -> bytes:
        """The reply's plain XML. Fails where the platform would show a fault: a wrong signature, another account's reply, no XML."""
        if body == b"success":
            return b""
        outer = fields_of(body)
        assert outer["MsgSignature"] == sha1(self._known.token, outer["TimeStamp"], outer["Nonce"], outer["Encrypt"])
        secret = base64.b64decode(self._known.aes_key + "=")
        decryptor = Cipher(algorithms.AES(secret), modes.CBC(secret[:16])).decryptor()
        clear = decryptor.update(base64.b64decode(outer["Encrypt"])) + decryptor.finalize()
        clear = clear[: -clear[-1]]
        length = int.from_bytes(clear[16:20], "big")
        assert clear[20 + length :].decode() == self._known.appid
        return clear[20 : 20 + length]
