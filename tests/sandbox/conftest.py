"""A real sandbox and a tiny webhook, both served by uvicorn on loopback in one thread; each test gets an account of its own."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import uvicorn

from app.sandbox import Sandbox, create
from app.sandbox.envelope import decrypt, encrypt, read_xml, signature, write_xml

TOKEN = "sandboxtoken"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
#: Noon in China on the second of March, so that a test does not happen to run into midnight or the month's end.
NOON = 1_803_960_000.0
PUSH_TIMEOUT = 0.8


@dataclass
class Received:
    """One request at the webhook."""

    method: str
    query: dict[str, str]
    body: bytes

    def fields(self) -> dict[str, Any]:
        """The push inside, decrypted where it is encrypted."""
        outer = read_xml(self.body)
        return read_xml(decrypt(AES_KEY, self.appid, outer["Encrypt"])) if "Encrypt" in outer else outer

    appid: str = ""


Answer = Callable[[Received], Awaitable[tuple[int, bytes]]]


class Webhook:
    """The account's server: keeps what it got and answers as the test says; `success` by default."""

    def __init__(self) -> None:
        self.received: dict[str, list[Received]] = {}
        self.answers: dict[str, Answer] = {}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        appid = scope["path"].strip("/")
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        got = Received(scope["method"], query, body, appid)
        self.received.setdefault(appid, []).append(got)
        status, answer = await self.answers.get(appid, _success)(got)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", str(len(answer)).encode())]})
        await send({"type": "http.response.body", "body": answer})


async def _success(_got: Received) -> tuple[int, bytes]:
    return 200, b"success"


@dataclass
class Served:
    """Where things listen, and the objects behind them."""

    app: Sandbox
    hook: Webhook
    url: str = ""
    hook_url: str = ""
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def _serving(app: Any, lifespan: Any) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan=lifespan, ws="none"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers a flag only
        await asyncio.sleep(0.005)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.force_exit = lifespan == "off"  # forced, uvicorn says nothing to the application, which then closes nothing
    server.should_exit = True
    await task


def serve(folder: Path) -> Iterator[Served]:
    """A running sandbox with its state in `folder`."""
    began = time.monotonic()
    started = threading.Event()
    served: list[Served] = []

    async def run() -> None:
        app = create(folder, push_timeout=PUSH_TIMEOUT, seconds=lambda: NOON + time.monotonic() - began)
        both = Served(app, Webhook())
        async with AsyncExitStack() as stack:
            both.hook_url = await stack.enter_async_context(_serving(both.hook, "off"))
            both.url = await stack.enter_async_context(_serving(app, "on"))
            served.append(both)
            started.set()
            await both.stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(60)
    yield served[0]
    served[0].loop.call_soon_threadsafe(served[0].stop.set)
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("sandbox"))


_numbers = itertools.count(1)


class Desk:
    """One account in the sandbox, from both sides: its API calls, and the controls."""

    def __init__(self, served: Served, http: httpx.Client) -> None:
        self.served, self.http = served, http
        number = next(_numbers)
        self.appid, self.original_id, self.secret = f"wx{number:016x}", f"gh_{number:012x}", f"secret{number}"
        self.account = {
            "appid": self.appid,
            "secret": self.secret,
            "token": TOKEN,
            "aes_key": AES_KEY,
            "original_id": self.original_id,
            "webhook_url": f"{served.hook_url}/{self.appid}",
            "name": "同伴",
            "api_base": served.url,
        }
        self.put("/sandbox/accounts", self.account)
        self.access_token = ""

    # the controls
    def put(self, path: str, body: dict[str, Any]) -> Any:
        return self._controlled(self.http.put(path, json=body))

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._controlled(self.http.post(path, json=body or {}))

    def get(self, path: str, **query: Any) -> Any:
        return self._controlled(self.http.get(path, params=query))

    @staticmethod
    def _controlled(answer: httpx.Response) -> Any:
        assert answer.status_code == 200, answer.text
        return answer.json()

    def switch(self, **changes: Any) -> None:
        self._controlled(self.http.patch(f"/sandbox/accounts/{self.appid}", json=changes))

    def advance(self, seconds: float) -> None:
        self.post("/sandbox/clock", {"advance": seconds})

    def to_noon(self) -> None:
        """To noon in China, tomorrow."""
        now = self.served.app.world.clock.now()
        self.advance((NOON - now) % 86_400)

    def person(self, name: str = "小雨", **more: Any) -> str:
        return str(self.post("/sandbox/people", {"appid": self.appid, "name": name, **more})["openid"])

    def follower(self, *, wrote: bool = False) -> str:
        """Somebody who has followed for long, and wrote just now or not."""
        return self.person(following=True, wrote=wrote)

    def do(self, openid: str, what: str, **body: Any) -> Any:
        return self.post(f"/sandbox/people/{openid}/{what}", body)

    def chat(self, openid: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.get(f"/sandbox/people/{openid}/chat")["entries"]
        return entries

    def last(self, openid: str) -> dict[str, Any]:
        return self.chat(openid)[-1]

    def ledger(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.get("/sandbox/ledger", appid=self.appid, limit=100_000)
        return rows

    def template(self, **fields: str) -> str:
        body = {"title": "小组提醒", "fields": fields or {"thing1": "内容"}}
        return str(self.post(f"/sandbox/accounts/{self.appid}/templates", body)["template_id"])

    # the account's side
    def token(self) -> str:
        if not self.access_token:
            body = {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret}
            self.access_token = self.http.post("/cgi-bin/stable_token", json=body).json()["access_token"]
        return self.access_token

    def api(self, path: str, body: Any = None, **query: Any) -> Any:
        """Call with a token; GET without a body. The answer's JSON, always from an HTTP 200."""
        query = {"access_token": self.token(), **query}
        if body is None:
            answer = self.http.get(f"/cgi-bin/{path}", params=query)
        else:
            answer = self.http.post(f"/cgi-bin/{path}", params=query, content=raw(body))
        assert answer.status_code == 200
        return answer.json()

    def code(self, path: str, body: Any = None, **query: Any) -> int:
        return int(self.api(path, body, **query).get("errcode", 0))

    def text(self, openid: str, content: str = "你好") -> int:
        return self.code("message/custom/send", {"touser": openid, "msgtype": "text", "text": {"content": content}})

    def notice(self, openid: str, template: str, value: str = "作业提醒", **more: Any) -> Any:
        body = {"touser": openid, "template_id": template, "data": {"thing1": {"value": value}}, **more}
        return self.api("message/template/send", body)

    # the account's webhook
    def pushes(self) -> list[Received]:
        return self.served.hook.received.setdefault(self.appid, [])

    def push(self) -> dict[str, Any]:
        """The fields of the latest push."""
        return self.pushes()[-1].fields()

    def events(self, name: str) -> list[dict[str, Any]]:
        found = [push.fields() for push in self.pushes()]
        return [fields for fields in found if fields.get("Event") == name]

    def answer(self, answer: Answer) -> None:
        self.served.hook.answers[self.appid] = answer

    def answer_with(self, body: bytes, status: int = 200) -> None:
        async def same(_got: Received) -> tuple[int, bytes]:
            return status, body

        self.answer(same)

    def reply_to(self, openid: str, **fields: Any) -> bytes:
        """A plain passive reply."""
        head = {"ToUserName": openid, "FromUserName": self.original_id, "CreateTime": 1_700_000_000, "MsgType": "text"}
        return write_xml({**head, **fields}).encode()

    def sealed(self, xml: bytes) -> bytes:
        """The envelope of safe mode around a reply."""
        encrypted = encrypt(AES_KEY, self.appid, xml)
        signed = signature(TOKEN, "1700000000", "77", encrypted)
        return write_xml({"Encrypt": encrypted, "MsgSignature": signed, "TimeStamp": "1700000000", "Nonce": "77"}).encode()


def raw(body: Any) -> bytes:
    """JSON as WeChat wants it: raw UTF-8."""
    return body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()


@pytest.fixture(scope="session")
def http(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=60, verify=False) as client:
        yield client


@pytest.fixture
def desk(served: Served, http: httpx.Client) -> Iterator[Desk]:
    yield Desk(served, http)
    served.app.faults.clear()


def until(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait for something that comes by itself; its value."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)
    return value
