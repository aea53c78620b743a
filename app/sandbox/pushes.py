"""Hides the road of a push: signatures, modes, three deliveries, what the answer must be, and what the person then sees."""

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp

from app import clock
from app.sandbox import replies
from app.sandbox.envelope import Malformed, encrypt, signature, write_xml
from app.sandbox.faults import PUSH, Faults
from app.sandbox.world import Account, Person, World, note

#: wechat-platform.md 86, 87: cut after 5 s, three deliveries altogether, about 5 s apart.
TIMEOUT, DELIVERIES = 5.0, 3
_IN_FLIGHT = 256
_MOST_BODY = 1 << 20
_FAULT = "该公众号提供的服务出现故障，请稍后再试"  # one of the two wordings that were seen (wechat-platform.md 90)


@dataclass(frozen=True)
class Push:
    """One thing to tell the account. `fields` keep their MsgId and CreateTime over all deliveries (wechat-platform.md 88).

    `answerable`: an answer is shown, and its absence is a fault notice (wechat-platform.md 2.2).
    `articles`: how many a news reply may hold.
    """

    account: Account
    openid: str
    fields: dict[str, Any]
    answerable: bool = True
    articles: int = 8


@dataclass
class Delivered:
    """What became of a push.

    `tries` has a word per delivery (200, 403, timeout, refused, lost); `outcome` is shown, silent, fault or ignored.
    """

    n: int
    at: float
    appid: str
    openid: str
    what: str
    tries: list[str] = field(default_factory=list)
    outcome: str = "pending"
    reason: str = ""


class Pusher:
    """Delivers pushes: per person one after the other, different people at the same time."""

    def __init__(self, world: World, faults: Faults, timeout: float) -> None:
        self._world = world
        self._faults = faults
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._gate = asyncio.Semaphore(_IN_FLIGHT)
        self._turns: dict[str, asyncio.Lock] = {}
        self._made = 0
        self._tasks: set[asyncio.Task[Delivered]] = set()
        self.recent: deque[Delivered] = deque(maxlen=10_000)

    def start(self, push: Push) -> asyncio.Task[Delivered]:
        """Begin to deliver; pushes of one person leave in the order of these calls."""
        task = asyncio.get_running_loop().create_task(self.in_turn(push))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def in_turn(self, push: Push) -> Delivered:
        async with self._turns.setdefault(push.openid, asyncio.Lock()):
            return await self.deliver(push)

    async def deliver(self, push: Push) -> Delivered:
        """Up to three deliveries, then the consequence in the person's chat. Receipts come here directly: they keep no order."""
        self._made += 1
        what = str(push.fields.get("Event") or push.fields["MsgType"])
        log = Delivered(self._made, self._world.clock.now(), push.account.appid, push.openid, what)
        self.recent.append(log)
        async with self._gate:
            body = await self._attempts(push, log)
        self._conclude(push, body, log)
        return log

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def verify(self, account: Account) -> bool:
        """The GET that WeChat sends before it accepts an address: echostr must come back unchanged (wechat-platform.md 49, 50)."""
        echo = str(secrets.randbelow(10**19))
        query = {**self._signed(account), "echostr": echo}
        try:
            async with self._open().get(_address(account, query), timeout=self._limit(), allow_redirects=False) as response:
                return response.status == 200 and await response.content.read(_MOST_BODY) == echo.encode()
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _attempts(self, push: Push, log: Delivered) -> bytes | None:
        for last in (*[False] * (DELIVERIES - 1), True):
            began = clock.steady()
            body = await self._attempt(push, log)
            if body is not None or last:
                return body
            # A refused connection fails at once; the next delivery still keeps its distance.
            await asyncio.sleep(max(0.0, self._timeout - (clock.steady() - began)))
        return None

    async def _attempt(self, push: Push, log: Delivered) -> bytes | None:
        """The body of an answer, or None for a failed delivery: no connection, too late, anything but 200 (wechat-platform.md 91)."""
        fault = self._faults.take(PUSH, push.openid, push.account.appid)
        if fault is not None:
            await asyncio.sleep(fault.delay_ms / 1000)
            if fault.cut == "before":
                log.tries.append("lost")
                return None
        word, body = await self._post(push)
        if fault is not None and fault.cut == "after":
            word, body = "lost", None
        log.tries.append(word)
        return body

    async def _post(self, push: Push) -> tuple[str, bytes | None]:
        query, sealed = self._wrap(push)
        headers = {"content-type": "text/xml", "user-agent": "Mozilla/4.0"}
        try:
            async with self._open().post(
                _address(push.account, query), data=sealed, headers=headers, timeout=self._limit(), allow_redirects=False
            ) as response:
                body = await response.content.read(_MOST_BODY) if response.status == 200 else None
                return str(response.status), body
        except TimeoutError:
            return "timeout", None
        except (aiohttp.ClientError, OSError):
            return "refused", None

    def _wrap(self, push: Push) -> tuple[dict[str, str], bytes]:
        """Address parameters and body: fresh timestamp, nonce and signatures for each delivery (wechat-platform.md 62-64, 88)."""
        account = push.account
        query = {**self._signed(account), "openid": push.openid}
        xml = write_xml(push.fields)
        if account.mode == "plaintext":
            return query, xml.encode()
        sealed = encrypt(account.aes_key, account.appid, xml.encode())
        query["encrypt_type"] = "aes"
        query["msg_signature"] = signature(account.token, query["timestamp"], query["nonce"], sealed)
        outer = {"ToUserName": account.original_id, "Encrypt": sealed}
        if account.mode == "compatible":
            outer = {**push.fields, "Encrypt": sealed}
        return query, write_xml(outer).encode()

    def _signed(self, account: Account) -> dict[str, str]:
        timestamp, nonce = str(int(self._world.clock.now())), str(secrets.randbelow(2 * 10**9))
        return {"signature": signature(account.token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce}

    def _conclude(self, push: Push, body: bytes | None, log: Delivered) -> None:
        person = push.account.people.get(push.openid)
        if not push.answerable or person is None:
            log.outcome = "ignored" if body is not None else "fault"
            return
        try:
            if body is None:
                raise Malformed("no answer")
            reply = replies.read(push.account, push.openid, body, push.articles, self._world.clock.now())
        except Malformed as malformed:
            log.outcome, log.reason = "fault", str(malformed)
            self._show_fault(person)
            return
        log.outcome = "silent" if reply is None else "shown"
        if reply is not None and person.following:
            replies.show(self._world, person, reply, push.fields)

    def _show_fault(self, person: Person) -> None:
        """The notice that WeChat puts into the chat (wechat-platform.md 90)."""
        note(self._world, person, "fault", _FAULT)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _limit(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=self._timeout)


def _address(account: Account, query: dict[str, str]) -> str:
    joint = "&" if "?" in account.webhook_url else "?"
    return f"{account.webhook_url}{joint}{urlencode(query)}"
