"""Starts one hand-tuned server: `python -m benchmarks.minimal sqlite|postgresql PORT URL < town.json`."""

import json
import sys
import time
from collections.abc import MutableMapping
from typing import Any

from app.cli.listening import configure, listen, serve
from benchmarks.minimal import postgres, sqlite
from benchmarks.minimal.envelope import Refused, Wire
from benchmarks.minimal.turn import Turn
from benchmarks.town import Town

_PATH = "/hooks/wechat/demo"
_XML = (b"content-type", b"application/xml; charset=utf-8")


class Application:
    """A bare ASGI application with one address."""

    def __init__(self, wire: Wire, desk: sqlite.Desk | postgres.Desk) -> None:
        self._wire, self._desk = wire, desk

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        status, body = 403, b""
        if scope["method"] == "POST" and scope["path"] == _PATH:
            status, body = await self._answer(scope["query_string"], await _body(receive))
        headers = [_XML, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, query: bytes, body: bytes) -> tuple[int, bytes]:
        try:
            word = self._wire.open(query, body)
        except (Refused, ValueError):
            return 403, b""
        reply = await self._desk.take(word)
        return 200, b"success" if reply is None else self._wire.wrap(reply, int(time.time()))

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        await self._desk.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._desk.stop()
        await send({"type": "lifespan.shutdown.complete"})


async def _body(receive: Any) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


def main(database: str, port: str, url: str) -> None:
    """Serve until a signal says stop."""
    town = Town(**json.load(sys.stdin))
    wire = Wire(town)
    turn = Turn(town, wire)
    desk = sqlite.Desk(url, turn, town.account_id) if database == "sqlite" else postgres.Desk(url, turn, town.account_id)
    serve(configure(Application(wire, desk), "WARNING"), listen("127.0.0.1", int(port), "PORT"))


if __name__ == "__main__":
    main(*sys.argv[1:])
