"""The API client over real sockets, through aiohttp: what was never sent, what is in doubt, and no secret anywhere."""

import asyncio
import json
import logging
import re
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from app.channels import Accepted, SendError, Verdict
from app.channels.wechat import transport
from app.channels.wechat.client import WeChat, open_http
from app.channels.wechat.transport import Call
from tests.channels.calls import FRESH, NOTICE, STALE, WORDS, Do, Keeper, fetches, notifies, sends
from tests.channels.platform import OPENID, SECRET, account

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def request_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return head + await reader.readexactly(int(length.group(1)) if length else 0)


def says(content: bytes, head: bytes = b"") -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_of(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(content), head, content))
            await writer.drain()

    return handle


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    writer.transport.abort()


async def stops_in_the_middle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"errcode":0')
    await writer.drain()


async def talks_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    writer.write(b"\x00\x01 what\r\n\r\n")
    await writer.drain()


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    await reader.read()


async def never_ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(200):
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()


def over_a_socket(handler: Handler, do: Do = sends) -> Any:
    """What `do` gives against a server on this machine that behaves as `handler` does."""

    async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def inside() -> Any:
        server = await asyncio.start_server(polite, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            async with open_http(4) as http:
                return await do(WeChat(account(api_base=f"http://127.0.0.1:{port}"), Keeper(), http))
        finally:
            server.close()
            await server.wait_closed()

    return asyncio.run(inside())


def fails_over_a_socket(handler: Handler) -> SendError:
    with pytest.raises(SendError) as caught:
        over_a_socket(handler)
    return caught.value


def test_a_send_over_a_real_socket_is_accepted() -> None:
    assert over_a_socket(says(b'{"errcode":0,"errmsg":"ok"}')) == Accepted()


@pytest.mark.parametrize("handler", [hangs_up, resets, stops_in_the_middle, talks_nonsense, never_ends])
def test_l2_an_answer_lost_after_the_request_went_out_leaves_it_in_doubt(handler: Handler) -> None:
    assert fails_over_a_socket(handler).verdict is Verdict.UNKNOWN


def test_l2_a_server_that_says_nothing_leaves_it_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TOTAL_SECONDS", 0.3)
    error = fails_over_a_socket(says_nothing)
    assert error.verdict is Verdict.UNKNOWN


def test_l2_a_refused_connection_and_an_unknown_host_were_never_sent() -> None:
    async def attempt(base: str) -> None:
        async with open_http(1) as http:
            await WeChat(account(api_base=base), Keeper(), http).send(OPENID, WORDS)

    for base in ("http://127.0.0.1:9", "ftp://127.0.0.1:9", "http://127.0.0.1:99999"):
        with pytest.raises(SendError) as caught:
            asyncio.run(attempt(base))
        assert caught.value.verdict is Verdict.NOT_SENT


def test_l2_a_server_that_speaks_no_tls_was_never_sent_anything() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async def inside() -> None:
        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        base = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            async with open_http(1) as http:
                await WeChat(account(api_base=base), Keeper(), http).send(OPENID, WORDS)
        finally:
            server.close()
            await server.wait_closed()

    with pytest.raises(SendError) as caught:
        asyncio.run(inside())
    assert caught.value.verdict is Verdict.NOT_SENT


def test_a_full_pool_was_never_sent_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(transport, "TOTAL_SECONDS", 1.0)

    async def both(wechat: WeChat) -> list[object]:
        # Four connections are allowed; the fifth call waits for one and gives up first.
        return await asyncio.gather(*(wechat.send(OPENID, WORDS) for _ in range(5)), return_exceptions=True)

    outcomes = over_a_socket(says_nothing, both)
    verdicts = [outcome.verdict for outcome in outcomes if isinstance(outcome, SendError)]
    assert sorted(verdicts) == sorted([Verdict.NOT_SENT, *[Verdict.UNKNOWN] * 4])


def test_a_closed_client_was_never_sent_anything() -> None:
    async def inside() -> None:
        http = open_http(1)
        await http.aclose()
        await WeChat(account(), Keeper(), http).send(OPENID, WORDS)

    with pytest.raises(SendError) as caught:
        asyncio.run(inside())
    assert (caught.value.verdict, caught.value.code) == (Verdict.NOT_SENT, "closed")


def test_no_cookie_is_kept_and_no_compression_offered() -> None:
    heads: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await request_of(reader))
            writer.write(b'HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 13\r\n\r\n{"errcode":0}')
            await writer.drain()

    async def twice(wechat: WeChat) -> None:
        await wechat.send(OPENID, WORDS)
        await wechat.send(OPENID, WORDS)

    over_a_socket(handle, twice)
    assert len(heads) == 2
    assert not any(b"cookie:" in head.lower() for head in heads)
    assert all(b"accept-encoding: identity" in head.lower() for head in heads)


SECRETS = (STALE, FRESH, SECRET, OPENID, WORDS, NOTICE.url, "/cgi-bin/", "access_token=", "127.0.0.1:")


def spoken(error: BaseException | None) -> str:
    """Everything that an exception shows, and all that hangs on it."""
    seen = ""
    while error is not None:
        seen += "".join(traceback.format_exception_only(error)) + repr(error) + str(vars(error))
        seen += repr(getattr(error, "_request", ""))
        error = error.__cause__ or error.__context__
    return seen


ECHO = json.dumps({"errcode": 45015, "errmsg": f"token {STALE} to {OPENID} said {WORDS} at https://x/?access_token={STALE}"}).encode()
LEAKY: dict[str, Handler] = {
    "an accepted send": says(b'{"errcode":0}'),
    "an errmsg that echoes": says(ECHO),
    "a refused token": says(b'{"errcode":40001,"errmsg":"' + STALE.encode() + b'"}'),
    "a lost answer": hangs_up,
    "nonsense": talks_nonsense,
    "a cut answer": stops_in_the_middle,
    "a redirect": says(b"", b"Location: /x\r\n"),
}


@pytest.mark.parametrize("do", [sends, notifies, fetches, WeChat.followers], ids=["send", "notify", "token", "followers"])
@pytest.mark.parametrize("handler", LEAKY.values(), ids=LEAKY)
def test_no_secret_shows_in_logs_or_exceptions(handler: Handler, do: Do, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error: SendError | None = None
    try:
        over_a_socket(handler, do)
    except SendError as raised:
        error = raised
    logged = " ".join(record.getMessage() for record in caplog.records if record.name != "asyncio")
    for secret in SECRETS:
        if secret == WORDS and do is not sends:
            continue  # only words that we sent are known
        assert secret not in logged
        assert secret not in spoken(error)


def test_no_secret_shows_when_nothing_listens(caplog: pytest.LogCaptureFixture) -> None:
    async def attempt() -> None:
        async with open_http(1) as http:
            await WeChat(account(api_base="http://127.0.0.1:9"), Keeper(), http).send(OPENID, WORDS)

    caplog.set_level(logging.DEBUG)
    with pytest.raises(SendError) as caught:
        asyncio.run(attempt())
    assert not any(secret in spoken(caught.value) + caplog.text for secret in SECRETS)


def test_no_secret_shows_in_the_repr_of_anything() -> None:
    wechat = WeChat(account(), Keeper(), httpx.AsyncClient())
    call = Call("/x", {"access_token": STALE}, {"touser": OPENID, "text": WORDS})
    shown = repr(wechat) + repr(account()) + repr(call)
    assert not any(secret in shown for secret in (STALE, SECRET, OPENID, WORDS, account().aes_key, account().token))


def test_the_libraries_loggers_are_quiet() -> None:
    async def inside() -> list[int]:
        async with open_http(1):
            return [logging.getLogger(name).getEffectiveLevel() for name in ("httpx", "httpcore", "aiohttp.client")]

    assert asyncio.run(inside()) == [logging.WARNING] * 3
