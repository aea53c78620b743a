"""An answer leaves in one piece, and what has no body, or comes in parts, leaves all the same."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from app.cli.listening import configure, listen, serving
from app.web import connections

BODY = b"HTTP/1.1 200 OK\r\n\r\n"  # looks like a head, and is none


async def _answers(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    if scope["path"] == "/read":
        await receive()
    whole = scope["path"] != "/parts"
    length = [(b"content-length", b"%d" % len(BODY))] if whole else []
    await send({"type": "http.response.start", "status": 200, "headers": length})
    for part in (b"",) if scope["method"] == "HEAD" else (BODY,) if whole else (BODY, BODY):
        await send({"type": "http.response.body", "body": part, "more_body": not whole})
        await asyncio.sleep(0.01)
    if not whole:
        await send({"type": "http.response.body", "body": b""})


def _with_server(asks: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
    async def run() -> None:
        listener = listen("127.0.0.1", 0, "TONGBAN_PORT")
        async with serving(configure(_answers, "WARNING"), listener), asyncio.timeout(30):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            await asks(reader, writer)
            writer.close()

    asyncio.run(run())


def test_an_answer_is_written_once(monkeypatch: Any) -> None:
    written: list[bytes] = []
    write = connections._InOnePiece.write
    flush = connections._InOnePiece.flush

    def noted(piece: Any, data: bytes) -> None:
        before = piece._head
        write(piece, data)
        if not piece._head:
            written.append(before + data)

    def flushed(piece: Any) -> None:
        if piece._head:
            written.append(piece._head)
        flush(piece)

    async def asks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(BODY)) == BODY
            assert written.pop() == head + BODY

    monkeypatch.setattr(connections._InOnePiece, "write", noted)
    monkeypatch.setattr(connections._InOnePiece, "flush", flushed)
    _with_server(asks)
    assert written == []


def test_what_has_no_body_comes_in_parts_or_is_waited_for_leaves_too() -> None:
    async def asks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.write(b"GET /parts HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"chunked" in await reader.readuntil(b"\r\n\r\n")
        part = b"%x\r\n%s\r\n" % (len(BODY), BODY)
        assert await reader.readexactly(2 * len(part) + 5) == part + part + b"0\r\n\r\n"
        writer.write(b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ab")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(BODY)) == BODY

    _with_server(asks)
