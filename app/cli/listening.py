"""Hides uvicorn: a socket that listens, a server on it, and an end in good order. Imports nothing of the service."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn

from app.cli.stopping import stop_signal
from app.errors import Invalid
from app.web.connections import ImpatientProtocol

_START_SECONDS = 20


def listen(host: str, port: int, option: str) -> socket.socket:
    """A socket that listens. Raises `Invalid` where the port is taken or the address is not ours."""
    with contextlib.ExitStack() as until_bound:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            listener = until_bound.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
        except OSError as refused:
            remedy = f"stop what uses it, or choose another with {option}"
            why = os.strerror(refused.errno) if refused.errno is not None and refused.errno > 0 else "no such address"
            raise Invalid("port", f"Cannot listen on {host}:{port} ({why}); {remedy}.") from None
        until_bound.pop_all()
    return listener


class Server(uvicorn.Server):
    """uvicorn leaves the signals to us: a stop ends with code 0, and two servers stop in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(config: uvicorn.Config, listener: socket.socket) -> AsyncIterator[None]:
    """A server that answers inside the block, and has finished what it began when the block is left."""
    server = Server(config)
    running = asyncio.create_task(server.serve([listener]))
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not (server.started or running.done()):  # noqa: ASYNC110 - uvicorn offers no event
                await asyncio.sleep(0.02)
        yield
    finally:
        server.should_exit = True
        await running


def serve(config: uvicorn.Config, listener: socket.socket) -> None:
    """Serve until a signal says stop."""

    async def until_stopped() -> None:
        stopped = stop_signal()
        async with serving(config, listener):
            await stopped.wait()

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(until_stopped())


def configure(app: Any, log_level: str, trusted_proxies: str = "") -> uvicorn.Config:
    """How uvicorn serves an application of ours: without its name, and without waiting for slow headers."""
    return uvicorn.Config(
        app,
        log_config=None,
        log_level=log_level.lower(),
        access_log=False,
        server_header=False,
        http=ImpatientProtocol,
        ws="none",
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies or None,
        timeout_graceful_shutdown=10,
    )
