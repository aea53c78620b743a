"""Hides the stage of a rehearsal: service and sandbox in this process, joined without a network, over a throwaway database.

Pushes are signed and encrypted, and calls go through the real client: only the sockets between them are missing. The demo plays its past
on the same stage, over its own database and its own imitation of WeChat, and keeps what was played.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import httpx

from app import accounts, clock, sandbox
from app.assembly import Assembly, Channels, assemble
from app.rehearsal import diary
from app.rehearsal.copying import Copy, put
from app.sandbox import actions
from app.sandbox.actions import Done, Phone
from app.sandbox.api import Api
from app.sandbox.faults import Faults
from app.sandbox.notices import add_template
from app.sandbox.pushes import Push, Pusher
from app.sandbox.world import Person, World
from app.settings import Settings
from app.web.hooks import HOOKS, Hooks
from app.worker import Worker
from migrations import running

_NAME, _ADDRESS = "rehearsal", "http://127.0.0.1:9"
_PATIENCE = 60.0


class Theatre:
    """An empty stage with a copied course; the clock is in the hand of whoever plays."""

    def __init__(self, settings: Settings, copy: Copy, folder: Path, *, account: str = _NAME) -> None:
        """`folder`: an empty one, which is whoever's it was again at the end, and may go then.

        `account`: the demo's own, in the database of its settings; then `folder` is the demo's too, and nothing is copied or thrown away.
        """
        self._given = settings
        self.copy = copy
        self._folder = folder
        self._account = account
        self._lasting = account != _NAME

    async def __aenter__(self) -> Self:
        self._held_before = clock.hold(clock.now())
        self.sandbox = sandbox.create(
            self._folder / "sandbox",
            push_timeout=_PATIENCE,
            seconds=lambda: clock.now().timestamp(),
            road=self._road,
            lasting=self._lasting,
        )
        self.assembly: Assembly = assemble(self._settings(), throwaway=True)
        self.assembly.database.start()
        if self._lasting:
            self._know_account()
        else:
            self._copy_course()
        self.hooks = Hooks(self.assembly)
        self._lifespan = self.sandbox.router.lifespan_context(self.sandbox)
        await self._lifespan.__aenter__()
        self.http = httpx.AsyncClient(transport=_Across(self.sandbox.api))
        self.worker = Worker(self.assembly, Channels(self.assembly, lambda _: self.http))
        await self.hooks.start()
        return self

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self.worker.stop()
        await self.hooks.stop()
        await self.hooks.finish()
        await self.http.aclose()
        await self._lifespan.__aexit__(None, None, None)
        self.assembly.database.stop()
        clock.hold(self._held_before)

    def _settings(self) -> Settings:
        """What is played on: an empty database, and a stage from which nothing reaches anybody outside."""
        changes: dict[str, Any] = {"clock_file": None, "smtp_url": None, "alarm_webhook": None}
        if not self._lasting:
            address = f"sqlite:///{self._folder / 'rehearsal.db'}"
            running.upgrade(address)
            changes |= {"database_url": address, "spool": self._folder / "spool", "public_url": _ADDRESS}
        return self._given.model_copy(update=changes)

    def _copy_course(self) -> None:
        self.account_id = self._add_account()
        self.assembly.database.write_now(lambda tx: put(tx, self.assembly.tools.keyring, self.copy, self.account_id))
        self.assembly.database.write_now(diary.keep)

    def _know_account(self) -> None:
        keyring, read = self.assembly.tools.keyring, self.assembly.database.read_now
        self.account_id = read(lambda tx: accounts.by_name(tx, self._account))
        self.appid = read(lambda tx: accounts.credentials(tx, keyring, self.account_id)).appid

    def _add_account(self) -> int:
        """An account of the stage's own, with an approved notice where the real one has one."""
        keyring = self.assembly.tools.keyring
        secret = accounts.new_token()[:32]
        appid, original = f"wx{secret[:16].lower()}", f"gh_{secret[:12].lower()}"
        made = self.assembly.database.write_now(
            lambda tx: accounts.add(
                tx, keyring, clock.now(), name=_NAME, appid=appid, original_id=original, secret=secret, api_base=_ADDRESS
            )
        )
        known = self.assembly.database.read_now(lambda tx: accounts.credentials(tx, keyring, made))
        self.sandbox.world.commit(
            "account_put",
            appid=appid,
            secret=secret,
            token=known.token,
            aes_key=known.aes_key,
            original_id=original,
            webhook_url=f"{_ADDRESS}{HOOKS}{_NAME}",
            name="同伴",
            mode="safe",
            profile="service",
        )
        self.appid = appid
        return made

    def give_notice(self, fields: dict[str, str]) -> None:
        """Approve a template for notices, as the real account has one. `fields`: the template's by ours."""
        world = self.sandbox.world
        notice = add_template(world, world.accounts[self.appid], "消息提醒", dict.fromkeys(fields.values(), "内容"), {})
        self.assembly.database.write_now(lambda tx: accounts.set_notice(tx, self.account_id, notice, fields))

    def _road(self, world: World, faults: Faults, patience: float) -> Pusher:
        return _Joined(world, faults, patience, lambda: self.hooks, f"{HOOKS}{self._account}")

    # -- the clock

    def at(self, moment: datetime) -> None:
        """It is this time now; the clock only moves forward."""
        clock.hold(max(moment, clock.now()))

    # -- the people

    def arrive(self, openid: str, name: str) -> Person:
        """Somebody who follows the account."""
        world = self.sandbox.world
        world.commit("person_made", appid=self.appid, o=openid, name=name, hue=0)
        world.commit("followed", o=openid)
        return world.people[openid]

    async def says(self, person: Person, text: str) -> list[str]:
        """Somebody types; returns what they are shown in answer."""
        return await self._does(person, lambda phone: actions.say(phone, text))

    async def taps(self, person: Person, href: str) -> list[str]:
        """Somebody taps a choice."""
        return await self._does(person, lambda phone: actions.tap(phone, *actions.parse_link(href)))

    async def unfollows(self, person: Person) -> None:
        """Somebody leaves the account."""
        await self._does(person, actions.unfollow)

    async def _does(self, person: Person, deed: Any) -> list[str]:
        before = len(person.entries)
        done: Done = deed(Phone(self.sandbox.world, self.sandbox.pusher, person))
        if done.push is not None:
            await done.push
        return [entry.text for entry in person.entries[before:] if entry.side == "account"]


class _Across(httpx.AsyncBaseTransport):
    """Hands calls to the imitation in this process."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        scope = {"type": "http", "method": request.method, "path": url.path, "query_string": url.query, "headers": request.headers.raw}
        answer = _Answer(request.content)
        await self._api(scope, answer.receive, answer.take)
        return httpx.Response(answer.status, stream=httpx.ByteStream(bytes(answer.body)), request=request)


class _Joined(Pusher):
    """Hands pushes to the service in this process."""

    def __init__(self, world: World, faults: Faults, patience: float, hooks: Callable[[], Hooks], path: str) -> None:
        super().__init__(world, faults, patience)
        self._hooks, self._path = hooks, path

    async def _post(self, push: Push) -> tuple[str, bytes | None]:
        query, sealed = self._wrap(push)
        scope = {"type": "http", "method": "POST", "path": self._path, "query_string": urlencode(query).encode("ascii"), "headers": []}
        answer = _Answer(sealed)
        await self._hooks()(scope, answer.receive, answer.take)
        return str(answer.status), bytes(answer.body) if answer.status == 200 else None


class _Answer:
    """One request to an ASGI application, and its answer."""

    def __init__(self, body: bytes) -> None:
        self._given: bytes | None = body
        self.status, self.body = 0, bytearray()

    async def receive(self) -> dict[str, Any]:
        if self._given is None:
            await asyncio.Event().wait()  # nobody hangs up
        given, self._given = self._given, None
        return {"type": "http.request", "body": given, "more_body": False}

    async def take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message.get("body", b"")
