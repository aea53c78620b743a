"""Hides the road of an API call: parse, fault, identify, count, answer in HTTP 200 with errcode. Endpoints are tables elsewhere."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from app.sandbox import quotas
from app.sandbox.errors import Refused, refusal
from app.sandbox.faults import Fault, Faults
from app.sandbox.world import Account, World

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PREFIX = "/cgi-bin/"
_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u[0-9a-fA-F]{4}")
_MOST_BODY = 12 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as it came over the wire. `api` is the path after /cgi-bin/."""

    world: World
    api: str
    query: Mapping[str, str]
    raw: bytes
    content_type: str

    def json(self) -> dict[str, Any]:
        """The body. Raises `Refused`: 44002 empty, 47001 not a JSON object, 40033 or 47002 escapes (wechat-platform.md 267, 389)."""
        if not self.raw.strip():
            raise Refused(44002)
        if b"\\u" in self.raw and _ESCAPE.search(self.raw):
            raise Refused(47002 if self.api.startswith("message/template") else 40033)
        try:
            body = json.loads(self.raw.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise Refused(47001) from None
        if not isinstance(body, dict):
            raise Refused(47001)
        return body


def _no_constant(name: str) -> None:
    raise ValueError(name)


@dataclass(frozen=True, slots=True)
class Blob:
    """An answer that is not JSON."""

    content_type: str
    body: bytes


Answer = dict[str, Any] | Blob
OK = {"errcode": 0, "errmsg": "ok"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What answers one path. `account` finds out who calls; raises `Refused`."""

    method: str
    answer: Callable[[Asked, Account], Answer]
    account: Callable[[Asked], Account]


class Api:
    """The part of the ASGI application under /cgi-bin/."""

    def __init__(self, world: World, faults: Faults, endpoints: Mapping[str, Endpoint]) -> None:
        self._world = world
        self._faults = faults
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Asked(
            self._world,
            scope["path"].removeprefix(_PREFIX),
            dict(parse_qsl(scope["query_string"].decode("ascii", "replace"), keep_blank_values=True)),
            await _read(receive),
            dict(scope["headers"]).get(b"content-type", b"").decode("latin-1"),
        )
        whom = (_openid(asked), _appid(asked)) if self._faults.asks_whom else (None, None)
        fault = self._faults.take(asked.api, *whom)
        if fault is None:
            await _send(send, self._answer(scope["method"], asked))
        else:
            await self._spoil(fault, scope["method"], asked, receive, send)

    async def _spoil(self, fault: Fault, method: str, asked: Asked, receive: Receive, send: Send) -> None:
        await asyncio.sleep(fault.delay_ms / 1000)
        if fault.cut == "hang":
            return await _until_gone(receive)
        if fault.cut == "before":
            return await _cut(receive, send)
        if fault.errcode is not None:
            self._world.commit("called", a=_appid(asked), p=asked.api, e=fault.errcode, c=False)
            return await _send(send, refusal(Refused(fault.errcode), self._world.clock.now()))
        answer = Blob("text/html", b"") if fault.undone else self._answer(method, asked)
        await asyncio.sleep(fault.after_ms / 1000)
        if fault.cut == "after":
            return await _cut(receive, send)
        if fault.status is not None or fault.body is not None:
            answer = Blob("text/html", (fault.body or "").encode())
        if fault.cut == "half":
            return await _cut_half(receive, send, answer)
        return await _send(send, answer, fault.status or 200)

    def _answer(self, method: str, asked: Asked) -> Answer:
        account: Account | None = None
        counted, code = False, 0
        try:
            endpoint = self._endpoint(method, asked.api)
            account = endpoint.account(asked)
            quotas.check(self._world, account, asked.api)
            counted = True
            answer = endpoint.answer(asked, account)
        except Refused as refused:
            code = refused.code
            answer = refusal(refused, self._world.clock.now())
        self._world.commit("called", a=account.appid if account else "", p=asked.api, e=code, c=counted)
        return answer

    def _endpoint(self, method: str, api: str) -> Endpoint:
        """Raises `Refused` 40066 for an unknown path, 43001 and 43002 for the wrong method (wechat-platform.md 383)."""
        endpoint = self._endpoints.get(api)
        if endpoint is None:
            raise Refused(40066)
        if method != endpoint.method:
            raise Refused(43001 if endpoint.method == "GET" else 43002)
        return endpoint


def _openid(asked: Asked) -> str | None:
    """Whom the call is about, for faults that name a person."""
    try:
        touser = asked.json().get("touser")
    except Refused:
        return asked.query.get("openid")
    return touser if isinstance(touser, str) else None


def _appid(asked: Asked) -> str:
    """Which account calls, as far as the call tells: by its token, or by the appid of a token call."""
    known = asked.world.tokens.get(asked.query.get("access_token", ""))
    if known is not None:
        return known
    try:
        return str(asked.query.get("appid") or asked.json().get("appid") or "")
    except Refused:
        return ""


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body") and len(body) < _MOST_BODY:
        message = await receive()
        body += message.get("body", b"")
    return body


def _written(answer: Answer, status: int) -> tuple[dict[str, Any], bytes]:
    if isinstance(answer, Blob):
        kind, body = answer.content_type, answer.body
    else:
        kind, body = "application/json; encoding=utf-8", json.dumps(answer, ensure_ascii=False).encode()
    headers = [(b"content-type", kind.encode("latin-1")), (b"content-length", str(len(body)).encode())]
    return {"type": "http.response.start", "status": status, "headers": headers}, body


async def _send(send: Send, answer: Answer, status: int = 200) -> None:
    head, body = _written(answer, status)
    await send(head)
    await send({"type": "http.response.body", "body": body})


async def _cut(receive: Receive, send: Send) -> None:
    """End the connection without an answer: at once under uvicorn, elsewhere by an answer that stops too early."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"64")]
        return await send({"type": "http.response.start", "status": 200, "headers": headers})
    transport.abort()
    return await _until_gone(receive)


async def _cut_half(receive: Receive, send: Send, answer: Answer) -> None:
    """The head with the full length, half of the body, then nothing more."""
    head, body = _written(answer, 200)
    await send(head)
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.close()
        await _until_gone(receive)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
