"""The least that can pass for WeChat's API, in a process of its own: answers token and send calls after a set time, and takes notes.

`python -m benchmarks.imitation PORT`. `GET /bench/begin?latency=SECONDS&hangs=0|1` forgets the notes; `GET /bench/notes` shows them as
JSON: calls that were accepted, how many people they reached, and the moments of the first and the last one.
"""

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import parse_qs
from urllib.request import urlopen

import uvloop

CUSTOM, TEMPLATE = "/cgi-bin/message/custom/send", "/cgi-bin/message/template/send"
_SENDS = (CUSTOM.encode(), TEMPLATE.encode())
_TOKEN = b'{"access_token":"imitated","expires_in":7200}'


class Notes:
    """What came in since `/bench/begin`."""

    def __init__(self) -> None:
        self.latency, self.hangs, self.msgid = 0.0, False, 0
        self.begin({})

    def begin(self, query: dict[str, list[str]]) -> None:
        """Start anew."""
        self.latency = float(query.get("latency", ["0"])[0])
        self.hangs = query.get("hangs", ["0"])[0] == "1"
        self.calls, self.first, self.last = 0, 0.0, 0.0
        self.people: set[bytes] = set()

    def take(self, body: bytes) -> bytes:
        """One send: count it and answer as the platform does."""
        now = time.perf_counter()
        self.calls += 1
        self.first, self.last = self.first or now, now
        start = body.find(b'"', body.find(b'"touser"') + 8) + 1
        self.people.add(body[start : body.find(b'"', start)])
        self.msgid += 1
        return b'{"errcode":0,"errmsg":"ok","msgid":%d}' % (3_500_000_000_000_000_000 + self.msgid)

    def shown(self) -> bytes:
        """As JSON."""
        shown = {"calls": self.calls, "people": len(self.people), "first": self.first, "last": self.last}
        return json.dumps(shown).encode()


class Door(asyncio.Protocol):
    """One connection."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._heard = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        end = self._heard.find(b"\r\n\r\n")
        if end < 0:
            return
        head, body = self._heard[:end], self._heard[end + 4 :]
        place = head.lower().find(b"content-length:")
        if place >= 0 and len(body) < int(head[place + 15 :].split(b"\r", 1)[0]):
            return
        self._heard = b""
        self._answer(head.split(b" ", 2)[1], body)

    def _answer(self, target: bytes, body: bytes) -> None:
        path, _, query = target.partition(b"?")
        notes, later = self._notes, 0.0
        if path in _SENDS:
            content, later = notes.take(body), notes.latency
            if notes.hangs:
                return
        elif path == b"/bench/notes":
            content = notes.shown()
        elif path == b"/bench/begin":
            notes.begin(parse_qs(query.decode()))
            content = b"{}"
        else:
            content = _TOKEN
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; encoding=utf-8\r\nContent-Length: %d\r\n\r\n%b" % (
            len(content),
            content,
        )
        if later:
            asyncio.get_running_loop().call_later(later, self._write, answer)
        else:
            self._transport.write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def begin(port: int, latency: float = 0.0, *, hangs: bool = False) -> None:
    """Tell the imitation to start anew."""
    with urlopen(f"http://127.0.0.1:{port}/bench/begin?latency={latency}&hangs={int(hangs)}", timeout=10) as answer:
        answer.read()


def noted(port: int) -> dict[str, Any]:
    """What it noted."""
    with urlopen(f"http://127.0.0.1:{port}/bench/notes", timeout=10) as answer:
        shown: dict[str, Any] = json.load(answer)
    return shown


async def _serve(port: int) -> None:
    notes = Notes()
    server = await asyncio.get_running_loop().create_server(lambda: Door(notes), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
