"""Hides the signals that tell a process to end, and that it does end."""

import asyncio
import os
import signal
import threading

#: A thread may hang in a driver whose server does not answer. What was acknowledged is durable, so ending in the middle loses nothing.
_MOST_SECONDS = 14.0


def stop_signal() -> asyncio.Event:
    """Set when somebody presses Ctrl-C or the machine says stop. Whoever has not ended by himself a while later is ended."""
    stopped = asyncio.Event()

    def stop() -> None:
        stopped.set()
        last = threading.Timer(_MOST_SECONDS, os._exit, (1,))
        last.daemon = True
        last.start()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return stopped
