"""The webhook `/hooks/wechat/{account}`: a plain ASGI endpoint with the answer policy of bad-inputs.md, part 1.

Whatever is wrong with a request gets the same empty 403; whatever is wrong with us never becomes a 5xx, unless neither the database nor
the spool can take a push: then the platform is told to try again.
"""

import asyncio
import secrets
from collections.abc import Callable, Generator, MutableMapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import structlog

from app import audit, clock, intake
from app.assembly import Assembly
from app.channels import BadPush, Credentials, Push, RefusedPush
from app.channels.wechat.pushes import answer_handshake, open_push
from app.channels.wechat.replies import split_text, text_reply, wrap
from app.db import Tx
from app.errors import Unavailable
from app.inbox import Incoming
from app.intake import Intake
from app.logs import place_of
from app.outbox import riding
from app.web.tally import Tally

log = structlog.get_logger()

T = TypeVar("T")
Query = Sequence[tuple[str, str]]
Account = tuple[int, Credentials]

#: Where the account's name begins in a path.
HOOKS = "/hooks/wechat/"
#: Most bytes of a push (platform reference; bad-inputs.md A11), and seconds that its body may take (A12).
MOST_BYTES = 64 * 1024
_BODY_SECONDS = 10.0
#: What a refusal means for operators: these can only come from somebody who holds our token.
_ALARMING = {"appid"}
#: So many refusals within a minute of one process are an alarm, once a minute (bad-inputs.md A17).
_MANY_REFUSALS, _MANY_SECONDS = 100, 60.0
_SUCCESS = b"success"

#: Stands in for an account that does not exist, so that its refusal costs the same.
_NOBODY = Credentials("", "wx0", "gh_0", "", "safe", secrets.token_hex(16), "", "A" * 43)


class Hooks:
    """The endpoint of every account of one process. `start()` before use, `stop()` and `finish()` at the end."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self.tally = Tally()
        self._intake = Intake(assembly)
        self._link_for = assembly.links().for_person
        self._after: set[asyncio.Task[None]] = set()
        self._refusals, self._counted_since = 0, clock.steady()

    async def start(self) -> None:
        """Make ready to keep pushes while the database is away, and replay what waits."""
        await self._intake.start()

    async def stop(self) -> None:
        """Leave what waits for the next start."""
        await self._intake.stop()

    async def finish(self) -> None:
        """Wait for what is still being noted down."""
        await asyncio.gather(*self._after, return_exceptions=True)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        began = clock.steady()
        try:
            status, body, after = await self._answer(scope, receive)
        except Exception as bug:  # noqa: BLE001 - nothing was acknowledged, so the platform tries again; the server's own way would print words
            log.error("hook_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold what somebody wrote
            status, body, after = 503, b"", None
        gone = after is not None and await _gone(receive)
        await _respond(send, status, body)
        self.tally.note(status, body, clock.steady() - began)
        if after is not None and not gone:  # the last byte is handed over: what rode along may be counted
            self._afterwards(riding.handed_over, after)

    async def _answer(self, scope: MutableMapping[str, Any], receive: Any) -> tuple[int, bytes, int | None]:
        method = scope["method"]
        if method not in ("GET", "POST"):
            return 405, b"", None
        content: bytes | None = b""
        if method == "POST":
            try:
                content = await _body_in_time(receive)
            except (TimeoutError, ConnectionError):
                return 408, b"", None
        if content is None:
            return 413, b"", None
        name = scope["path"].removeprefix(HOOKS).strip("/")
        query = _query(scope["query_string"])
        until = clock.steady() + intake.PATIENCE_SECONDS
        try:
            account = await self._account(name)
        except Unavailable:
            return 503, b"", None
        return self._handshake(account, query) if method == "GET" else await self._push(account, query, content, until)

    async def _account(self, name: str) -> Account | None:
        """The account, while the database is away as it was read last. Raises `Unavailable` where none was ever read."""
        known = self._assembly.accounts.known(name) if self._intake.away else None
        return known or await self._assembly.accounts.get(name)

    async def _push(self, account: Account | None, query: Query, content: bytes, until: float) -> tuple[int, bytes, int | None]:
        account_id, credentials = account or (0, _NOBODY)
        try:
            push = open_push(credentials, query, content, clock.now())
        except RefusedPush as refusal:
            return self._refused(refusal)
        except BadPush as bad:
            kept = await self._intake.quarantine(account_id, bad.reason, bad.raw or content, until)
            return (200, _SUCCESS, None) if kept else (503, b"", None)
        return await self._take(account_id, credentials, push, until)

    async def _take(self, account_id: int, credentials: Credentials, push: Push, until: float) -> tuple[int, bytes, int | None]:
        incoming = Incoming(
            account_id,
            push,
            write_reply=lambda text: text_reply(push, credentials, text, clock.now()),
            split=split_text,
            link_for=self._link_for,
        )
        taken = await self._intake.take(incoming, until)
        if taken is None:
            return 503, b"", None
        if taken.reply is None:
            return 200, _SUCCESS, None
        return 200, wrap(credentials, push, taken.reply, clock.now(), secrets.token_hex(8)), taken.inbox_id if taken.rides else None

    def _handshake(self, account: Account | None, query: Query) -> tuple[int, bytes, int | None]:
        try:
            return 200, answer_handshake(account[1] if account else _NOBODY, query, clock.now()).encode(), None
        except RefusedPush as refusal:
            return self._refused(refusal)

    def _refused(self, refusal: RefusedPush) -> tuple[int, bytes, int | None]:
        """The same for every cause, and at once: what the operators must know is written afterwards."""
        if refusal.cause in _ALARMING:
            self._afterwards(_alarm, refusal.cause)
        if self._many_refusals():
            self._afterwards(_alarm, "many")
        return 403, b"", None

    def _many_refusals(self) -> bool:
        if clock.steady() - self._counted_since > _MANY_SECONDS:
            self._refusals, self._counted_since = 0, clock.steady()
        self._refusals += 1
        return self._refusals == _MANY_REFUSALS

    def _afterwards(self, note: Callable[[Tx, T, datetime], None], about: T) -> None:
        """Write something down without letting the caller wait."""
        task = asyncio.create_task(self._note(note, about))
        self._after.add(task)
        task.add_done_callback(self._after.discard)

    async def _note(self, note: Callable[[Tx, T, datetime], None], about: T) -> None:
        try:
            await self._assembly.database.write(lambda tx: note(tx, about, clock.now()))
        except Unavailable:
            log.warning("not_noted")  # what rode along becomes `unknown`, which is the truth


def _alarm(tx: Tx, cause: str, now: datetime) -> None:
    audit.alarm(tx, now, "refused_push", cause)


def _query(asked: bytes) -> Query:
    """The parameters in their order. The platform's own hold nothing that is escaped, and are taken apart without further ado."""
    text = asked.decode("latin-1")
    if "%" in text or "+" in text:
        return parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="replace")
    return [(name, value) for name, _, value in (part.partition("=") for part in text.split("&") if part)]


async def _body_in_time(receive: Any) -> bytes | None:
    """As `_body`. A push is there as a whole when we are called, nearly always; only what is not needs a timer. Raises `TimeoutError`."""
    reading = _body(receive).__await__()
    try:
        awaited = next(reading)
    except StopIteration as read:
        whole: bytes | None = read.value
        return whole
    async with asyncio.timeout(_BODY_SECONDS):
        return await _Rest(reading, awaited)


class _Rest:
    """What is left of a coroutine that has begun, and waits for something."""

    def __init__(self, begun: Generator[Any, Any, bytes | None], awaited: Any) -> None:
        self._begun, self._awaited = begun, awaited

    def __await__(self) -> Generator[Any, Any, bytes | None]:
        try:
            yield self._awaited
        except BaseException as error:  # noqa: BLE001 - it was meant for whoever waits
            self._begun.throw(error)
        return (yield from self._begun)


async def _body(receive: Any) -> bytes | None:
    """The body, or None where it is larger than any push: reading stops there."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def _gone(receive: Any) -> bool:
    """Whether the other side has hung up already: nothing was handed over then, whatever the server says."""
    word = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    if word.done():
        return bool(word.result()["type"] == "http.disconnect")
    word.cancel()
    return False


async def _respond(send: Any, status: int, body: bytes) -> None:
    kind = b"application/xml; charset=utf-8" if body.startswith(b"<") else b"text/plain; charset=utf-8"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if status in (408, 413):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
