"""`tongban worker`: a worker alone. Imports nothing of the web."""

import asyncio

from app.assembly import Assembly
from app.cli import desk
from app.cli.stopping import stop_signal
from app.worker import Worker

try:
    from uvloop import new_event_loop
except ModuleNotFoundError:  # there is none for Windows
    from asyncio import new_event_loop  # type: ignore[assignment]  # the other kind of loop


def worker() -> None:
    """Start a worker only: it fires what is due and sends what waits, until it is told to stop.

    Example: tongban worker
    """
    assembly = desk.prepare()
    desk.announce("worker")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_work(assembly))


async def _work(assembly: Assembly) -> None:
    stopped = stop_signal()
    with assembly.database:
        clockwork = Worker(assembly)
        clockwork.start()
        await stopped.wait()
        await clockwork.stop()
