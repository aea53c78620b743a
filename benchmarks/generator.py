"""The other side of the wire, in a process of its own: writes ready-made pushes to raw sockets and takes the time of each answer.

`python -m benchmarks.generator < order.json > result.json`. Closed loop: each connection has one push under way, always. Open loop: pushes
arrive by the clock whatever the server does, at random moments of a fixed seed, and wait for a free connection if they must; their time
runs from the arrival, so that a server that stalls is not spared (no coordinated omission).
"""

import asyncio
import gc
import json
import random
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import uvloop

from benchmarks.pushes import decrypted, requests, scripted
from benchmarks.town import Town

#: Every so many replies one is decrypted after the run.
_SAMPLE = 50
#: Seconds after which a run counts as stuck.
_PATIENCE = 30.0


@dataclass(frozen=True)
class Order:
    """What to do. `rate` 0: closed loop."""

    town: Town
    ports: list[int]
    seed: int
    connections: int
    seconds: float
    rate: float = 0.0
    most: int = 0  # pushes that are made ready for a closed loop
    people: int = 0  # who says the script; without one everybody chats
    script: tuple[str, ...] = ()


@dataclass
class Notes:
    """What happened."""

    times: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    refused: int = 0
    silent: int = 0
    sample: list[tuple[str, bytes]] = field(default_factory=list)
    last: float = 0.0


class Line(asyncio.Protocol):
    """One connection that is kept; at most one push is under way on it."""

    def __init__(self, notes: Notes, idle: Any) -> None:
        self._notes, self._idle = notes, idle
        self._answer = b""
        self._began, self._openid = 0.0, ""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, openid: str, request: bytes, began: float) -> None:
        """Write one push; `began`: since when it waits."""
        self._openid, self._began = openid, began
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        answer = self._answer = self._answer + data if self._answer else data
        end = answer.find(b"\r\n\r\n")
        if end < 0:
            return
        place = answer.lower().find(b"content-length:", 0, end + 2)
        size = int(answer[place + 15 : answer.find(b"\r", place)])
        if len(answer) < end + 4 + size:
            return
        self._answer = b""
        self._note(answer, end + 4)
        self._idle(self)

    def _note(self, answer: bytes, body: int) -> None:
        notes = self._notes
        notes.last = time.perf_counter()
        if not answer.startswith(b"HTTP/1.1 200"):
            notes.refused += 1
            return
        notes.times.append(notes.last - self._began)
        if not answer.startswith(b"<xml><Encrypt>", body):
            notes.silent += 1
        elif len(notes.times) % _SAMPLE == 1:
            notes.sample.append((self._openid, answer[body:]))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


class Run:
    """One order being carried out."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._count = round(order.rate * order.seconds) if order.rate else order.most
        scripted_ = scripted(order.town, order.seed, order.people, order.script)
        self._pushes = deque(scripted_ if order.script else requests(order.town, order.seed, self._count))
        self._notes = Notes()
        self._lines: list[Line] = []
        self._free: deque[Line] = deque()
        self._waiting: deque[float] = deque()
        self._under_way = 0
        self._until = 0.0
        self._done = asyncio.Event()

    async def carry_out(self) -> dict[str, Any]:
        """Run it and count."""
        loop = asyncio.get_running_loop()
        idle = self._next_arrived if self._order.rate else self._next_at_once
        for number in range(self._order.connections):
            port = self._order.ports[number % len(self._order.ports)]
            _, line = await loop.create_connection(lambda: Line(self._notes, idle), "127.0.0.1", port)
            self._lines.append(line)
        self._free.extend(self._lines)
        gc.collect()
        gc.freeze()
        began = time.perf_counter()
        self._until = began + self._order.seconds
        if self._order.rate:
            await self._arrive(began)
        else:
            self._under_way = len(self._lines)
            for line in self._lines:
                self._next_at_once(line)
        await asyncio.wait_for(self._done.wait(), self._order.seconds + _PATIENCE)
        for line in self._lines:
            line.close()
        return self._result(self._notes.last - began)

    def _next_at_once(self, line: Line) -> None:
        now = time.perf_counter()
        if now < self._until and self._pushes:
            line.ask(*self._pushes.popleft(), now)
            return
        self._under_way -= 1
        if self._under_way <= 0:
            self._done.set()

    async def _arrive(self, began: float) -> None:
        chance, at = random.Random(self._order.seed), began
        for _ in range(self._count):
            at += chance.expovariate(self._order.rate)
            pause = at - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            now = time.perf_counter()
            self._notes.lags.append(now - at)
            self._under_way += 1
            if self._free:
                self._free.popleft().ask(*self._pushes.popleft(), now)
            else:
                self._waiting.append(now)

    def _next_arrived(self, line: Line) -> None:
        self._under_way -= 1
        if self._waiting:
            line.ask(*self._pushes.popleft(), self._waiting.popleft())
        else:
            self._free.append(line)
        if not self._under_way and not self._pushes:
            self._done.set()

    def _result(self, elapsed: float) -> dict[str, Any]:
        for openid, body in self._notes.sample:
            plain = decrypted(self._order.town, body)
            if f"<ToUserName><![CDATA[{openid}]]>" not in plain or "<Content><![CDATA[" not in plain:
                raise ValueError("a reply that is not for whoever wrote")
        times = sorted(self._notes.times)
        found = {f"p{part}": 1000 * _quantile(times, part / 100) for part in (50, 95, 99)}
        lag = 1000 * _quantile(sorted(self._notes.lags), 0.99) if self._notes.lags else 0.0
        counts = {"acknowledged": len(times), "refused": self._notes.refused, "silent": self._notes.silent}
        return {"elapsed": elapsed, **counts, **found, "max": 1000 * times[-1], "lag_p99": lag, "opened": len(self._notes.sample)}


def _quantile(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def main() -> None:
    """Carry out the order on stdin."""
    order = json.load(sys.stdin)
    order["town"] = Town(**order["town"])

    async def run() -> dict[str, Any]:
        return await Run(Order(**order)).carry_out()

    print(json.dumps(uvloop.run(run())))


if __name__ == "__main__":
    main()
