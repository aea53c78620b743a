"""Hides how a process of the program starts in milliseconds: it is imported once, here, and forked for each order.

    python -m tests.faults.zygote FD        # FD: one end of a socket pair; orders come in as JSON, one message each

A child is the program itself: `app.cli` with its words, its environment and its standard error, in an interpreter that has run nothing
of it yet. This process has one thread and opens no database, so that nothing half-done is copied.
"""

import gc
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

#: Bytes of an order or an answer.
MOST = 256 * 1024
#: Exit code of a child that could not be prepared: its crash point or its tuning does not fit the program any more.
UNPREPARED = 70

#: What the program imports only when it runs.
_LATE = (
    "app.cli",
    "app.cli.serving",
    "app.cli.working",
    "app.sandbox",
    "app.cli.serving",
    "app.main",
    "app.worker",
    "app.sandbox",
    "app.sandbox.phones",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "migrations.versions",
    "tests.faults.crashing",
)


def main(descriptor: int) -> int | None:
    """Serve orders until the other side closes; in a forked child, run the program and return its exit code."""
    for name in _LATE:
        importlib.import_module(name)
    importlib.import_module("bots").find()
    gc.collect()
    gc.freeze()
    desk = socket.socket(fileno=descriptor)
    children: set[int] = set()
    while True:
        message, handed, _, _ = socket.recv_fds(desk, MOST, 4)
        if not message:
            break
        order = json.loads(message)
        if order["what"] == "start":
            pid = os.fork()
            if not pid:
                desk.close()
                return _become(order, handed)
            children.add(pid)
            answer: Any = pid
        else:
            answer = _ended(order["pid"], children)
        for each in handed:
            os.close(each)
        desk.send(json.dumps(answer).encode())
    _end(children)
    return None


def _ended(pid: int, children: set[int]) -> int | None:
    """The exit code of a child (minus the signal where one ended it), None while it lives. It is reaped once and asked for once."""
    done, status = os.waitpid(pid, os.WNOHANG)
    if not done:
        return None
    children.discard(pid)
    return os.waitstatus_to_exitcode(status)


def _end(children: set[int]) -> None:
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _become(order: dict[str, Any], handed: list[int]) -> int:
    """What a fresh `python -m app …` would be, with crash points armed."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDWR)
    for kept, new in ((0, nothing), (1, nothing), (2, log)):
        os.dup2(new, kept)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    try:
        _prepare(order, [socket.socket(fileno=each) for each in handed])
    except Exception:  # noqa: BLE001 - told to the test, by exit code and standard error
        traceback.print_exc()
        return UNPREPARED
    return _run(order)


def _prepare(order: dict[str, Any], sockets: list[socket.socket]) -> None:
    for place, value in order["tuned"].items():
        _tune(place, value)
    if sockets:
        _tune("app.cli.serving:listen", lambda _host, _port, _option: sockets[0])
    if order["program"] == "sandbox":
        order["listener"] = sockets[0]
    crashing = importlib.import_module("tests.faults.crashing")
    for name, nth in order["points"].items():
        crashing.arm(name, nth, Path(order["hits"]))


def _tune(place: str, value: Any) -> None:
    """Set `module:name` to a value of the same kind. Raises `AttributeError` where the program has no such name any more."""
    module, _, name = place.partition(":")
    found = importlib.import_module(module)
    getattr(found, name)
    setattr(found, name, value)


def _run(order: dict[str, Any]) -> int:
    if order["program"] == "sandbox":
        return _serve_sandbox(Path(order["folder"]), float(order["words"][0]), order["listener"])
    try:
        importlib.import_module("app.cli").main(order["words"])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _serve_sandbox(folder: Path, push_seconds: float, listener: socket.socket) -> int:
    """As `tongban sandbox`, with the patience of its pushes as the test says."""
    uvicorn, sandbox = importlib.import_module("uvicorn"), importlib.import_module("app.sandbox")
    made = sandbox.create(folder / "sandbox", push_timeout=push_seconds)
    uvicorn.Server(uvicorn.Config(made, log_level="warning", access_log=False, ws="none")).run(sockets=[listener])
    return 0


def _leave(code: int | None) -> NoReturn:
    sys.stderr.flush()
    sys.exit(code or 0)


if __name__ == "__main__":
    _leave(main(int(sys.argv[1])))
