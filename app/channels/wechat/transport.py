"""Hides HTTP: one call to the platform in, an `Answer` or a classed failure out, and nothing secret in either.

Which failures never left this machine and which are in doubt: bad-inputs.md part 4 and L1-L2. httpx-aiohttp reports a server
that closed without an answer as a connect time-out; the cause underneath tells them apart.
"""

import asyncio
import functools
import http.cookiejar
import json
import logging
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from app.channels import SendError, Verdict
from app.channels.wechat.errors import scrub, verdict

#: Seconds: to connect (or to wait for a free connection), and for a whole call.
CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 10.0
#: Bytes of an answer that are read; an answer to a send has a hundred.
MOST_BYTES = 64 * 1024
#: Seconds that an idle connection is kept: short, because a connection that the platform closed meanwhile costs an `unknown`.
_KEEP_SECONDS = 5.0
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "tongban"}
_JSON = (("Content-Type", "application/json; charset=utf-8"),)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol, httpx.InvalidURL)
_NEVER_SENT_CAUSES = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)
_FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, OSError, ValueError)


@dataclass(frozen=True)
class Call:
    """One request: `body` is sent as raw UTF-8 JSON in a POST, None makes a GET."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    most_bytes: int = MOST_BYTES
    token_call: bool = False
    #: Fields of which one proves success where the platform omits errcode; a send has none.
    proof: Sequence[str] = ()


Answer = Mapping[str, Any]


def open_http(in_flight: int) -> httpx.AsyncClient:
    """A client for `in_flight` calls at a time over aiohttp's pool, which the caller closes. Keeps no cookies, follows nowhere.

    The libraries' own loggers write addresses with tokens at INFO: they are set to WARNING.
    """
    for name in ("httpx", "httpcore", "aiohttp"):
        logging.getLogger(name).setLevel(logging.WARNING)
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight, keepalive_expiry=_KEEP_SECONDS)
    connections = AiohttpTransport(verify=_verification(), limits=limits, trust_env=False)
    connections.client = functools.partial(_session, connections, in_flight)
    return httpx.AsyncClient(
        transport=connections,
        timeout=httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
        headers=_HEADERS,
        cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
    )


@functools.cache
def _verification() -> ssl.SSLContext:
    """Whose certificates are believed: read once, because each account has connections of its own."""
    return httpx.create_ssl_context(trust_env=False)


def _session(connections: AiohttpTransport, in_flight: int) -> aiohttp.ClientSession:
    """Connections without aiohttp's own cookie jar."""
    pool = aiohttp.TCPConnector(limit=in_flight, keepalive_timeout=_KEEP_SECONDS, ssl=connections.ssl_context)
    return aiohttp.ClientSession(connector=pool, cookie_jar=aiohttp.DummyCookieJar())


async def exchange(client: httpx.AsyncClient, base: str, call: Call) -> Answer:
    """The platform's answer to one call. Raises `SendError` and nothing else."""
    outcome = await _outcome(client, base, call)
    # Raised here and not where it was caught: no httpx exception, which knows the address, may hang on its context.
    if isinstance(outcome, SendError):
        raise outcome
    return outcome


async def _outcome(client: httpx.AsyncClient, base: str, call: Call) -> Answer | SendError:
    if client.is_closed:
        return SendError(Verdict.NOT_SENT, "closed")
    content = _encode(call.body)
    if isinstance(content, SendError):
        return content
    try:
        async with asyncio.timeout(TOTAL_SECONDS):
            status, received = await _fetch(client, base + call.path, call, content)
    except TimeoutError:
        return SendError(Verdict.UNKNOWN, "timeout")
    except _FAILURES as failure:
        return _failure(failure)
    return _judge(status, received, call)


def _encode(body: Mapping[str, Any] | None) -> bytes | SendError | None:
    """JSON in raw UTF-8: the platform takes no escapes by number (47002)."""
    try:
        return None if body is None else json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return SendError(Verdict.BAD_MESSAGE, "not_text")


async def _fetch(client: httpx.AsyncClient, address: str, call: Call, content: bytes | None) -> tuple[int, bytes | None]:
    """Status and body; None for a body that is too large or encoded.

    Straight through the client's transport: what the client itself would do to each call (merge headers, build addresses, look for
    cookies, redirects and log-ins that are switched off) takes as long as the call.
    """
    url = _address(address, tuple(call.query.items()))
    headers = [("Host", url.netloc.decode("ascii")), *_HEADERS.items(), *(() if content is None else _JSON)]
    limits = {"connect": CONNECT_SECONDS, "pool": CONNECT_SECONDS, "read": TOTAL_SECONDS, "write": TOTAL_SECONDS}
    request = httpx.Request("GET" if content is None else "POST", url, headers=headers, content=content, extensions={"timeout": limits})
    response = await client._transport.handle_async_request(request)  # noqa: SLF001 - see above
    try:
        return response.status_code, await _body(response, call.most_bytes)
    finally:
        await response.aclose()


async def _body(response: httpx.Response, most_bytes: int) -> bytes | None:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return None
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most_bytes:
            return None
    return bytes(body)


@functools.lru_cache(maxsize=64)
def _address(address: str, query: tuple[tuple[str, str], ...]) -> httpx.URL:
    """Where a call goes: the same for every message of an account as long as its token lives."""
    return httpx.URL(address, params=dict(query))


def _failure(failure: Exception) -> SendError:
    word = re.sub(r"(?<!^)(?=[A-Z])", "_", type(failure).__name__).lower()
    cause = failure.__cause__
    never = isinstance(cause, _NEVER_SENT_CAUSES) if isinstance(cause, aiohttp.ClientError) else isinstance(failure, _NEVER_SENT)
    return SendError(Verdict.NOT_SENT if never else Verdict.UNKNOWN, word if never or cause is None else "lost_answer")


def _judge(status: int, content: bytes | None, call: Call) -> Answer | SendError:
    if status == 429:
        return SendError(Verdict.WAIT_MINUTE, "http_429")  # RFC 6585: refused for their number, not processed
    if status != 200:
        return SendError(Verdict.UNKNOWN, f"http_{status}")
    answer = _read(content)
    if answer is None:
        return SendError(Verdict.UNKNOWN, "unreadable")
    code = errcode(answer)
    if code == 0 or (code is None and "errcode" not in answer and any(name in answer for name in call.proof)):
        return answer
    if code is None:
        return SendError(Verdict.UNKNOWN, "no_errcode")
    detail = scrub(str(answer.get("errmsg", "")), *_words(call.query), *_words(call.body))
    return SendError(verdict(code, token_call=call.token_call), str(code), detail, number(answer, "msg_id", "msgid"))


def errcode(answer: Answer) -> int | None:
    """The errcode as a number, also where it came as text; None where it is missing or something else."""
    code = answer.get("errcode")
    if isinstance(code, int) and not isinstance(code, bool):
        return code if abs(code) < 10**9 else None
    return int(code) if isinstance(code, str) and re.fullmatch("-?[0-9]{1,9}", code) else None


def number(answer: Answer, *names: str) -> str | None:
    """A message id as text: they have 64 bits, and come as numbers or as text (bad-inputs.md L4)."""
    for name in names:
        value = answer.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and re.fullmatch("[!-~]{1,64}", value):
            return value
    return None


def _words(value: object) -> Iterator[str]:
    """Everything that we sent and that may come back in an errmsg; short ASCII words are the protocol's own."""
    if isinstance(value, str) and (len(value) >= 6 or not value.isascii()):
        yield value
    elif isinstance(value, Mapping):
        yield from (word for each in value.values() for word in _words(each))
    elif isinstance(value, list):
        yield from (word for each in value for word in _words(each))


def _read(content: bytes | None) -> Answer | None:
    if content is None:
        return None
    try:
        answer = json.loads(content.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # and with ValueError bad UTF-8, bad JSON, numbers of 5,000 digits
        return None
    return answer if isinstance(answer, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(_: str) -> None:
    raise ValueError("NaN or Infinity")
