"""The wire between platform and service, in a test's hand: pushes written byte by byte, answers read as the platform reads them.

Signatures and AES here are made with hashlib, cryptography and wechatpy, so that our code never checks itself.
"""

import asyncio
import base64
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import httpx
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from wechatpy.crypto import WeChatCrypto

from app import accounts, clock
from app.assembly import assemble
from app.cli.listening import configure
from app.main import create_app
from app.models import Alarm, Quarantined, Table
from tests.channels import platform
from tests.channels.platform import document, sha1
from tests.stage import Server, Stage

Query = list[tuple[str, str]]

#: No two messages of a test share one.
_MSGIDS = itertools.count(23456789012345678)

#: Every header of every refusal but the date.
REFUSAL_HEADERS = {"content-type": "text/plain; charset=utf-8", "content-length": "0"}


class Wire:
    """Pushes to one account of a stage. Every answer is checked not to be a 5xx."""

    def __init__(self, stage: Stage, account_id: int | None = None) -> None:
        self.stage = stage
        self.known = stage.read(lambda tx: accounts.credentials(tx, stage.keyring, account_id or stage.account_id))
        self.path = f"/hooks/wechat/{self.known.account}"
        self._nonces = itertools.count(1)

    # -- what the platform writes

    def stamp(self, shift: int = 0) -> str:
        """The timestamp of a request, now or so many seconds away."""
        return str(int(clock.now().timestamp()) + shift)

    def query(self, *, stamp: str | None = None, nonce: str | None = None, token: str | None = None, **more: str) -> Query:
        """Signed parameters; with other words than the platform's where a test wants them."""
        stamp = self.stamp() if stamp is None else stamp
        nonce = f"nonce-{next(self._nonces)}" if nonce is None else nonce
        return [("signature", sha1(token or self.known.token, stamp, nonce)), ("timestamp", stamp), ("nonce", nonce), *more.items()]

    def posted(self, encrypted: str, outside: str = "", **asked: Any) -> tuple[Query, bytes]:
        """Query and body around any `Encrypt`, with the signature that fits it."""
        query = self.query(**asked)
        signature = sha1(self.known.token, query[1][1], query[2][1], encrypted)
        return [*query, ("encrypt_type", "aes"), ("msg_signature", signature)], document(
            {"ToUserName": self.known.original_id, "Encrypt": encrypted}, outside
        )

    def sealed(self, plain: bytes, *, key: str | None = None, appid: str | None = None, **asked: Any) -> tuple[Query, bytes]:
        """Query and body of an encrypted push."""
        return self.posted(aes(padded(layout(plain, appid or self.known.appid)), key or self.known.aes_key), **asked)

    def message(self, openid: str, inside: str = "", **fields: str) -> bytes:
        """The inner XML of a push; a field given as `-` is left out."""
        whole = {"ToUserName": self.known.original_id, "FromUserName": openid, "CreateTime": self.stamp(), **fields}
        return platform.message(inside, **whole)

    def text(self, openid: str, content: str, **fields: str) -> bytes:
        """The inner XML of a text message with a MsgId of its own."""
        whole = content.replace("]]>", "]]]]><![CDATA[>")
        return self.message(openid, **{"MsgType": "text", "Content": whole, "MsgId": str(next(_MSGIDS)), **fields})

    def event(self, openid: str, name: str, **fields: str) -> bytes:
        """The inner XML of an event."""
        return self.message(openid, MsgType="event", Event=name, **fields)

    # -- to and fro

    async def post(self, query: Query, body: bytes, *, path: str | None = None, at: httpx.AsyncClient | None = None) -> httpx.Response:
        """Post exactly this."""
        answer = await (at or self.stage.web).post(path or self.path, params=urlencode(query), content=body)
        assert answer.status_code < 500, answer.status_code
        return answer

    async def push(self, plain: bytes, *, at: httpx.AsyncClient | None = None) -> httpx.Response:
        """Encrypt and post this."""
        return await self.post(*self.sealed(plain), at=at)

    async def says(self, openid: str, content: str, **fields: str) -> str:
        """Somebody writes this; returns what they are shown in answer ("" for nothing)."""
        return self.words(await self.push(self.text(openid, content, **fields)))

    def plain(self, answer: httpx.Response) -> bytes | None:
        """The reply's plain XML, None for a bare `success`; fails for anything that the platform would not take."""
        assert answer.status_code == 200
        if answer.content == b"success":
            return None
        assert answer.headers["content-type"] == "application/xml; charset=utf-8"
        outer = fields_of(answer.content)
        if "Encrypt" not in outer:
            return answer.content
        assert set(outer) == {"Encrypt", "MsgSignature", "TimeStamp", "Nonce"}
        crypto = WeChatCrypto(self.known.token, self.known.aes_key, self.known.appid)
        opened: str = crypto.decrypt_message(answer.content.decode(), outer["MsgSignature"], outer["TimeStamp"], outer["Nonce"])
        return opened.encode()

    def words(self, answer: httpx.Response) -> str:
        """What the person is shown: the text of a well-formed text reply, or "" for nothing."""
        plain = self.plain(answer)
        if plain is None:
            return ""
        fields = fields_of(plain)
        assert set(fields) == {"ToUserName", "FromUserName", "CreateTime", "MsgType", "Content"}
        assert fields["MsgType"] == "text"
        assert 0 < len(fields["Content"].encode()) <= 2048
        return fields["Content"]

    # -- what is stored

    def rows(self) -> dict[str, list[Any]]:
        """Every row of every table."""
        tables = Table.metadata.sorted_tables
        return self.stage.read(lambda tx: {table.name: sorted(map(repr, tx.execute(sa.select(table)))) for table in tables})

    def count(self, table: type[Table], *where: Any) -> int:
        """How many rows fit."""
        query = sa.select(sa.func.count()).select_from(table).where(*where)
        return self.stage.read(lambda tx: tx.execute(query).scalar_one())

    def alarms(self) -> dict[tuple[str, str], int]:
        """The operators' alarms and how often each came."""
        columns = sa.select(Alarm.kind, Alarm.subject, Alarm.count)
        return {(kind, subject): count for kind, subject, count in self.stage.read(lambda tx: tx.execute(columns).all())}

    def quarantined(self) -> list[str]:
        """Why pushes were put into quarantine, oldest first."""
        return list(self.stage.read(lambda tx: tx.execute(sa.select(Quarantined.reason).order_by(Quarantined.id)).scalars().all()))

    @contextlib.asynccontextmanager
    async def nothing_is_written(self) -> AsyncIterator[None]:
        """Fails where the database looks other afterwards."""
        await self.stage.hooks.finish()  # what the last answer left to be noted down
        before = self.rows()
        yield
        await self.stage.hooks.finish()
        after = self.rows()
        assert {name for name in after if after[name] != before[name]} == set()

    async def is_refused(self, query: Query, body: bytes, path: str | None = None) -> bool:
        """Whether this gets the one and only refusal: 403, nothing in it, the same headers as ever."""
        answer = await self.post(query, body, path=path)
        headers = {name: value for name, value in answer.headers.items() if name != "date"}
        return (answer.status_code, answer.content, headers) == (403, b"", REFUSAL_HEADERS)

    async def is_quarantined(self, plain: bytes, why: str = "") -> bool:
        """Whether this push gets a bare `success` and lies in quarantine afterwards, for this reason if one is named."""
        before = self.quarantined()
        answer = await self.push(plain)
        reasons = self.quarantined()[len(before) :]
        return (answer.status_code, answer.content) == (200, b"success") and len(reasons) == 1 and why in reasons[0]


class ProductionServer(Server):
    """One ASGI application on a free port, served as `tongban web` serves it."""

    def __init__(self, app: Any) -> None:
        super().__init__(app, configure(app, "error"))


class OtherProcess:
    """Another web process on the same database, served as in production."""

    def __init__(self, stage: Stage) -> None:
        self.assembly = assemble(stage.settings)
        self._server = ProductionServer(create_app(self.assembly, worker=False))

    async def __aenter__(self) -> "OtherProcess":
        await self._server.start()
        self.address = self._server.address
        self.port = int(self.address.rpartition(":")[2])
        self.web = httpx.AsyncClient(base_url=self.address, timeout=60, verify=False)  # plain HTTP
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.web.aclose()
        await self._server.stop()

    async def raw(self, *parts: bytes, pause: float = 0.0, limit: float = 8.0) -> bytes:
        """Write these bytes, then read until the service hangs up or `limit` seconds are over."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(limit):
                while piece := await reader.read(65536):
                    answer += piece
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return answer


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement that any database of this process executes."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def changed(query: Query, **values: str | None) -> Query:
    """The query with other values, still signed for what it was; None leaves a parameter out."""
    return [(name, values.get(name, value) or "") for name, value in query if values.get(name, value) is not None]


def aes(clear: bytes, key: str) -> str:
    """Ciphertext of exactly these bytes, padding and all."""
    secret = base64.b64decode(key + "=")
    encryptor = Cipher(algorithms.AES(secret), modes.CBC(secret[:16])).encryptor()
    return base64.b64encode(encryptor.update(clear) + encryptor.finalize()).decode()


def padded(content: bytes) -> bytes:
    """With the platform's padding to 32 bytes."""
    pad = 32 - len(content) % 32
    return content + bytes([pad]) * pad


def layout(plain: bytes, appid: str, length: int | None = None) -> bytes:
    """What is encrypted: random bytes, the length, the XML, the appid."""
    return b"r" * 16 + (len(plain) if length is None else length).to_bytes(4, "big") + plain + appid.encode()


def fields_of(xml: bytes) -> dict[str, str]:
    """The fields of flat, well-formed XML, each of which occurs once."""
    root = ET.fromstring(xml.decode())
    names = [child.tag for child in root]
    assert root.tag == "xml"
    assert len(set(names)) == len(names)
    assert not any(len(child) for child in root)
    return {child.tag: child.text or "" for child in root}


def at(moment: datetime) -> str:
    """A moment as CreateTime."""
    return str(int(moment.timestamp()))
