"""`tongban run | web | worker | sandbox | migrate | keys`: what keeps running, and what prepares it."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn

from app import logs
from app.assembly import Assembly, refuse_moved_clock
from app.cli import desk
from app.errors import Invalid
from app.main import create_app
from app.sandbox import create as create_sandbox
from app.settings import Settings
from app.web.patience import ImpatientProtocol
from app.worker import Worker

_START_SECONDS = 20


def run() -> None:
    """Start the service: webhook, pages and worker in one process.

    Example: tongban run
    """
    _serve(worker=True)


def web() -> None:
    """Start the webhook and the pages only; at least one worker runs beside it.

    Example: tongban web
    """
    _serve(worker=False)


def worker() -> None:
    """Start a worker only: it fires what is due and sends what waits, until it is told to stop.

    Example: tongban worker
    """
    settings, assembly = _prepare()
    _announce(settings, "worker")
    asyncio.run(_work(assembly))


def sandbox(
    *,
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 8001,
    data: Annotated[Path, typer.Option(help="Folder for its state.", file_okay=False)] = Path("var"),
) -> None:
    """Start the imitation of WeChat alone, with its phones page.

    Example: tongban sandbox --port 8001 --data var/
    """
    listener = listen("127.0.0.1", port, "--port")
    folder = data / "sandbox"
    typer.echo(f"The sandbox listens on http://127.0.0.1:{port}, its phones on http://127.0.0.1:{port}/phones; Ctrl-C stops it.")
    typer.echo(f"A service that shall follow its clock gets TONGBAN_CLOCK_FILE={folder.absolute() / 'clock'}")
    serve(configure(create_sandbox(folder), "WARNING"), listener)


def migrate() -> None:
    """Bring the database to the newest revision; a missing SQLite file is made.

    Example: tongban migrate
    """
    url = desk.read_settings().database_url
    before = desk.revision(url)
    desk.upgrade(url)
    after = desk.revision(url)
    typer.echo(f"The database stands at {after}." if before == after else f"Migrated from {before or 'nothing'} to {after}.")


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


def stop_signal() -> asyncio.Event:
    """Set when somebody presses Ctrl-C or the machine says stop."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


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


def _serve(*, worker: bool) -> None:
    settings, assembly = _prepare()
    listener = listen(settings.host, settings.port, "TONGBAN_PORT")
    _announce(settings, "service" if worker else "web")
    serve(configure(create_app(assembly, worker=worker), settings.log_level, settings.trusted_proxies), listener)


def _prepare() -> tuple[Settings, Assembly]:
    """Everything that would only fail later is tried now, while it is still a sentence."""
    settings = desk.read_settings()
    desk.require_newest(settings.database_url)
    assembly = desk.put_together(settings)
    asyncio.run(refuse_moved_clock(assembly))
    logs.set_up(settings.log_level)
    return settings, assembly


def _announce(settings: Settings, what: str) -> None:
    where = "" if what == "worker" else f" on http://{settings.host}:{settings.port}"
    typer.echo(f"Tongban's {what} runs{where}; Ctrl-C stops it.", err=True)


async def _work(assembly: Assembly) -> None:
    stopped = stop_signal()
    with assembly.database:
        clockwork = Worker(assembly)
        clockwork.start()
        await stopped.wait()
        await clockwork.stop()
