"""Hides the signals that tell a process to end."""

import asyncio
import signal


def stop_signal() -> asyncio.Event:
    """Set when somebody presses Ctrl-C or the machine says stop."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped
