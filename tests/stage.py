"""The whole application on a stage: service and sandbox as two real servers on loopback, the clock in the test's hand.

    async with Stage(database_url, tmp_path) as stage:
        stage.course("正念自我关怀")
        stage.group("晨光组", code="MORNING234")
        await stage.follows("小雨", "MORNING234")
        answer = await stage.taps("小雨", "同意")

Pushes are signed and encrypted by the sandbox and come in over HTTP; what the service starts goes out over HTTP. Only the
worker's ticks are ours, so that nothing happens between two lines of a test: `await stage.settle()`.
"""

import base64
import contextlib
import os
import re
from asyncio import Event, create_task, gather, sleep, wait_for
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import socket
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import sqlalchemy as sa
import time_machine
import uvicorn
from pydantic import SecretStr

from app import accounts, clock, courses, flags, groups, people, sandbox
from app.assembly import Assembly, assemble
from app.db import Tx
from app.main import create_app
from app.models import Group
from app.settings import Settings
from app.web.hooks import Hooks
from app.worker import Worker
from bots.turns import Role

T = TypeVar("T")

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)  # 18:00 in Shanghai, a Monday
KEY = base64.b64encode(b"k" * 32).decode()
APPID, ORIGINAL = "wx0123456789abcdef", "gh_0123456789ab"


@dataclass(frozen=True)
class Answer:
    """What somebody was shown in answer to what they did."""

    texts: tuple[str, ...]
    fault: bool = False

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


class Prompt(uvicorn.Server):
    """uvicorn looks ten times a second whether it shall stop, and stops a tenth later; this one is told. Signals are pytest's."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = Event()

    def tell(self) -> None:
        """Stop now."""
        self.should_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        tick = 0
        while not await self.on_tick(tick):
            tick += 1
            with contextlib.suppress(TimeoutError):
                await wait_for(self._told.wait(), 0.1)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await sleep(0)  # for whoever has just been hung up on
        await self._wait_tasks_to_complete()
        await self.lifespan.shutdown()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """One ASGI application on a free port of loopback."""

    def __init__(self, app: Any, config: uvicorn.Config | None = None) -> None:
        given = config or uvicorn.Config(app, log_level="error", access_log=False, server_header=False, ws="none")
        given.host, given.port = "127.0.0.1", 0
        self._server = Prompt(given)
        self._task: Any = None
        self.address = ""

    async def start(self) -> None:
        self._task = create_task(self._server.serve())
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await sleep(0.005)
        self.address = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.tell()
        await wait_for(self._task, 60)


class Stage:
    """One account with its people, on one database."""

    def __init__(
        self,
        database_url: str,
        folder: Path,
        *,
        at: datetime | None = START,
        notices: bool = False,
        mode: str = "safe",
        worker: bool = False,
    ) -> None:
        self._folder = folder
        self._travel = None if at is None else time_machine.travel(at, tick=True)
        self._mode, self._notices, self._with_worker = mode, notices, worker
        clock_file = folder / "sandbox" / "clock"
        self.settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            database_url=database_url,
            master_key=SecretStr(KEY),
            index_key=SecretStr(KEY),
            clock_file=clock_file,
            spool=folder / "spool",
        )
        self.course_id = 0
        self.openids: dict[str, str] = {}
        self._seen: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        if self._travel is not None:
            self._travel.start()
        self.sandbox = sandbox.create(self._folder / "sandbox", push_timeout=5.0)
        self._sandbox_server = Server(self.sandbox)
        await self._sandbox_server.start()
        self.assembly: Assembly = assemble(self.settings)
        self.assembly.database.start()
        self.account_id = self.write(self._add_account)
        service = create_app(self.assembly, worker=self._with_worker)
        self.hooks: Hooks = service.hooks
        self._service_server = Server(service)
        await self._service_server.start()
        self.worker = Worker(self.assembly)
        self.phones = httpx.AsyncClient(base_url=self._sandbox_server.address, timeout=60, verify=False)  # plain HTTP: no certificates
        self.web = httpx.AsyncClient(base_url=self._service_server.address, timeout=60, verify=False)
        await self._connect()
        return self

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        with contextlib.suppress(Exception):
            await self.phones.aclose()
            await self.web.aclose()
        await self.worker.stop()
        await gather(self._service_server.stop(), self._sandbox_server.stop())
        os.environ.pop(clock.CLOCK_FILE, None)
        if self._travel is not None:
            self._travel.stop()

    # -- rows

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a committed transaction."""
        return self.assembly.database.write_now(work)

    def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction that only reads."""
        return self.assembly.database.read_now(work)

    @property
    def keyring(self) -> Any:
        return self.assembly.tools.keyring

    def _add_account(self, tx: Tx) -> int:
        return accounts.add(
            tx,
            self.keyring,
            clock.now(),
            name="demo",
            appid=APPID,
            original_id=ORIGINAL,
            secret="0123456789abcdef0123456789abcdef",
            api_base=self._sandbox_server.address,
            mode=self._mode,
        )

    async def _connect(self) -> None:
        known = self.read(lambda tx: accounts.credentials(tx, self.keyring, self.account_id))
        given = {
            "webhook_url": f"{self._service_server.address}/hooks/wechat/demo",
            "token": known.token,
            "aes_key": known.aes_key,
            "appid": known.appid,
            "secret": known.secret,
            "original_id": known.original_id,
            "name": "同伴",
            "mode": self._mode,
        }
        await self.ask("PUT", "/sandbox/accounts", given)
        if self._notices:
            fields = {"thing1": "类型", "thing2": "来自", "time3": "时间"}
            template = await self.ask("POST", f"/sandbox/accounts/{APPID}/templates", {"title": "消息提醒", "fields": fields})
            notice_id = template["template_id"]
            self.write(
                lambda tx: accounts.set_notice(tx, self.account_id, notice_id, {"kind": "thing1", "sender": "thing2", "time": "time3"})
            )
        await self.assembly.accounts.refresh(force=True)

    # -- the course

    def course(self, title: str, *, code: str = "msc") -> int:
        """A course; groups made later belong to it."""
        self.course_id = self.write(
            lambda tx: courses.create(tx, self.keyring, clock.now(), account_id=self.account_id, code=code, title=title)
        )
        return self.course_id

    def group(self, name: str, *, capacity: int | None = None, code: str | None = None) -> int:
        """A small group with its QR code."""

        def make(tx: Tx) -> int:
            group_id = groups.create(tx, self.course_id, code=name, name=name, capacity=capacity)
            groups.invite(tx, self.keyring, group_id, clock.now(), code=code)
            return group_id

        return self.write(make)

    async def member(self, name: str, group: int, role: Role = Role.PARTICIPANT) -> int:
        """Somebody who follows, has consented and sits in a group; they wrote nothing yet. Returns the person's id."""
        openid = await self.openid(name, following=True)

        def make(tx: Tx) -> int:
            known = people.meet(tx, self.keyring, self.account_id, openid, clock.now())
            people.rename(tx, known, name)
            people.consent(tx, known.id, self.course_of(tx, group), courses.SHIPPED_CONSENT, ("online", "on_time"), clock.now())
            groups.enter(tx, group, known.id, role, clock.now())
            if role is Role.PARTICIPANT:
                groups.number_participant(tx, self.course_of(tx, group), known.id, clock.now())
            return known.id

        return self.write(make)

    def course_of(self, tx: Tx, group: int) -> int:
        """The course that a group belongs to."""
        return int(tx.execute(sa.select(Group.course_id).where(Group.id == group)).scalar_one())

    def on_call(self, person_id: int | None, *, email: str | None = None, webhook: str | None = None) -> None:
        """The next on-call person of the course."""
        self.write(
            lambda tx: flags.add_on_call(
                tx, self.keyring, self.course_id, person_id=person_id, email=email, webhook=webhook, now=clock.now()
            )
        )

    # -- what people do

    async def openid(self, name: str, *, following: bool = False) -> str:
        """The openid of somebody, made on first mention."""
        if name not in self.openids:
            made = await self.ask("POST", "/sandbox/people", {"appid": APPID, "name": name, "following": following})
            self.openids[name] = made["openid"]
        return self.openids[name]

    async def does(self, name: str, deed: str, **details: Any) -> Answer:
        """Somebody does something on their phone (say, tap, press, scan, follow, unfollow, send); returns what they were shown."""
        openid = await self.openid(name)
        before = await self._last(openid)
        await self.ask("POST", f"/sandbox/people/{openid}/{deed}", details)
        shown = [entry for entry in await self.chat(name, after=before) if entry["side"] != "person"]
        self._seen[name] = await self._last(openid)
        fault = any(entry["kind"] == "fault" for entry in shown)
        return Answer(tuple(entry["text"] for entry in shown if entry["side"] == "account"), fault)

    async def says(self, name: str, text: str) -> Answer:
        """Somebody types."""
        return await self.does(name, "say", text=text)

    async def taps(self, name: str, label: str, *, earlier: int = 0) -> Answer:
        """Somebody taps the choice with this label in the latest message that has it (`earlier` 1: in the one before)."""
        return await self.does(name, "tap", href=await self.offered(name, label, earlier=earlier))

    async def offered(self, name: str, label: str, *, earlier: int = 0) -> str:
        """The address behind the choice with this label in the latest message that has it. Raises `LookupError`."""
        hrefs = [href for entry in reversed(await self.chat(name)) for href, shown in _links(entry["text"]) if _label(shown) == label]
        if len(hrefs) <= earlier:
            raise LookupError(f"{name} was shown no choice {label!r}")
        return hrefs[earlier]

    async def chat(self, name: str, *, after: int = 0) -> list[dict[str, Any]]:
        """Everything in somebody's chat."""
        openid = await self.openid(name)
        entries: list[dict[str, Any]] = (await self.ask("GET", f"/sandbox/people/{openid}/chat?after={after}"))["entries"]
        return entries

    async def reached(self, name: str) -> list[dict[str, Any]]:
        """What arrived at somebody since they last did something (or since the last call)."""
        entries = [entry for entry in await self.chat(name, after=self._seen.get(name, 0)) if entry["side"] == "account"]
        self._seen[name] = await self._last(await self.openid(name))
        return entries

    async def _last(self, openid: str) -> int:
        entries = (await self.ask("GET", f"/sandbox/people/{openid}/chat?after=0"))["entries"]
        return int(entries[-1]["n"]) if entries else 0

    # -- time

    async def advance(self, delta: timedelta) -> None:
        """Let time pass; what falls due on the way happens in its order."""
        await self.ask("POST", "/sandbox/clock", {"advance": delta.total_seconds()})
        await self.settle()

    async def advance_to(self, moment: datetime) -> None:
        """Let time pass until this moment."""
        await self.advance(moment - clock.now())

    async def settle(self) -> None:
        """Fire and send everything that is due, and what becomes due within the next three seconds by itself."""
        for _ in range(3):
            await self.worker.tick()
            await self.worker.send_due(clock.now() + timedelta(seconds=3))

    async def ledger(self) -> list[dict[str, Any]]:
        """What the sandbox accepted, as it wrote it down."""
        rows: list[dict[str, Any]] = await self.ask("GET", "/sandbox/ledger?limit=100000")
        return rows

    async def faults(self, **fault: Any) -> None:
        """Let the platform misbehave: see `POST /sandbox/faults`."""
        await self.ask("POST", "/sandbox/faults", fault)

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One question to the sandbox's controls. Raises `RuntimeError` where it refuses."""
        answer = await self.phones.request(method, path, json=body)
        if answer.status_code >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()


def _label(shown: str) -> str:
    """What is shown without the number before it; a way out has none."""
    return re.sub(r"^\d+\. ", "", shown)


def _links(text: str) -> list[tuple[str, str]]:
    """The tappable things of a message: (address, what is shown)."""
    return [(found.group(1), found.group(2)) for found in re.finditer(r'<a href="(weixin://bizmsgmenu[^"]*)">(.*?)</a>', text)]
