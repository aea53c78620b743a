"""Thousands of mutated requests against a real web process over raw sockets: nothing breaks, nothing leaks, nothing forged counts.

TONGBAN_FUZZ_SEED=N writes other cases, TONGBAN_FUZZ_ONLY=N sends only the case with this number.
"""

import asyncio
import base64
import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import SecretStr

from app import accounts, clock
from app.assembly import assemble
from app.channels import Credentials
from app.db import Tx
from app.db.engines import THREADS
from app.keyring import Keyring
from app.models import Identity, InboxItem, Quarantined
from app.settings import Settings
from tests.app.drafts import FORGERS, WRITERS, Want
from tests.app.mutations import Case, Writer
from tests.app.utterances import CANARY
from tests.app.webprocess import WebProcess
from tests.app.wire import fields_of
from tests.stage import APPID, KEY, ORIGINAL

SEED = int(os.environ.get("TONGBAN_FUZZ_SEED", "20261126"))
ONLY = os.environ.get("TONGBAN_FUZZ_ONLY")
CONNECTIONS = 8
#: Cases after which caches are warm, and how much memory the process may gain after them. The short run has not opened every connection
#: of the pool by then, if others keep the machine busy: 2 MB of pages each.
WARM, MOST_GROWTH, MOST_GROWTH_SHORT = 2_000, 1.10, 1.25
#: Descriptors that it may gain: the pool's connections, at up to three files each. A leak would show as hundreds.
MOST_MORE = 3 * THREADS
#: Seconds that an answer may take; the platform would wait for five.
PATIENCE = 20.0
TRACES = (b"Traceback", b'File "', b"sqlalchemy", b"sqlite3", b"psycopg", b"site-packages", CANARY.encode())


def test_three_thousand_mutated_requests_break_nothing_show_nothing_and_count_only_when_rightly_signed(
    sqlite_url: str, tmp_path: Path
) -> None:
    hunt_through(sqlite_url, tmp_path, 3_000)


@pytest.mark.long
def test_twenty_thousand_mutated_requests_break_nothing_show_nothing_and_count_only_when_rightly_signed(
    database_url: str, tmp_path: Path
) -> None:
    hunt_through(database_url, tmp_path, 20_000)


def hunt_through(database_url: str, tmp_path: Path, count: int) -> None:
    assembly = assemble(Settings(_env_file=None, database_url=database_url, master_key=SecretStr(KEY), index_key=SecretStr(KEY)))  # type: ignore[call-arg]
    keyring = assembly.tools.keyring
    with assembly.database:
        account = assembly.database.write_now(lambda tx: _account(tx, keyring))
        known = assembly.database.read_now(lambda tx: accounts.credentials(tx, keyring, account))
        with WebProcess(database_url, tmp_path) as web:
            hunt = Hunt(web, known, tmp_path)
            asyncio.run(hunt.run(range(count) if ONLY is None else [int(ONLY)]))
        inbox, quarantined = assembly.database.read_now(_stored)
        strangers = assembly.database.read_now(lambda tx: _known_among(tx, keyring, account, FORGERS))
    told = dict(hunt.told)
    print(f"seed {SEED}: {count} cases, {dict(hunt.statuses)}, {told}, {hunt.unsure} unsure; {hunt.figures}")
    print(f"{inbox} in the inbox, in quarantine {dict(quarantined)}")
    log = web.log()
    assert not [word for word in ("Traceback", 'File "', CANARY, *WRITERS, *FORGERS) if word in log], "the log tells too much"
    assert strangers == 0, "somebody of whom there are only forged pushes is known"
    assert not [reason for reason in quarantined if reason.startswith(("bot:", "push:"))], "a push met a bug"
    assert 0 <= inbox + quarantined.total() - sum(told.values()) <= hunt.unsure, "stored is what was acknowledged"
    assert inbox >= told.get("inbox", 0)
    assert quarantined.total() >= told.get("quarantine", 0)
    if ONLY is None:
        assert min(told.values()) > count / 50, "the fuzz reaches deep"
        growth = MOST_GROWTH if count > 2 * WARM else MOST_GROWTH_SHORT
        assert hunt.memory[-1] < hunt.memory[0] * growth, hunt.memory
        assert hunt.descriptors[-1] <= hunt.descriptors[0] + MOST_MORE, hunt.descriptors


class Hunt:
    """One run of cases against one process, on a few connections at a time."""

    def __init__(self, web: WebProcess, known: Credentials, folder: Path) -> None:
        self._web, self._known, self._folder = web, known, folder
        self._writer = Writer(known, SEED)
        self.statuses: Counter[int] = Counter()
        self.told: Counter[str] = Counter()  # what must be stored, by where it must lie
        self.unsure = 0
        self.memory: list[int] = []
        self.descriptors: list[int] = []
        self.figures = ""

    async def run(self, numbers: Sequence[int]) -> None:
        """Send them all; the first answer that should not be ends it."""
        waiting = iter(numbers)
        warm = min(WARM, len(numbers) // 2)
        begun, before = clock.steady(), self._web.processor()
        for share in (warm, len(numbers) - warm):
            batch = [number for _, number in zip(range(share), waiting, strict=False)]
            todo = iter(batch)
            async with asyncio.TaskGroup() as group:
                for _ in range(CONNECTIONS):
                    group.create_task(self._work(todo))
            self.memory.append(self._web.memory())
            self.descriptors.append(await self._descriptors())
        assert self._web.lives()
        spent, seconds = self._web.processor() - before, clock.steady() - begun
        grown = " -> ".join(f"{size / 1e6:.0f} MB" for size in self.memory)
        self.figures = f"{seconds:.1f} s, {spent:.1f} s of the server's processor, {grown}, descriptors {self.descriptors}"

    async def _descriptors(self) -> int:
        """The fewest of a second: it takes a moment to notice who has hung up."""
        looks = []
        for _ in range(10):
            looks.append(self._web.descriptors())
            await asyncio.sleep(0.1)
        return min(looks)

    async def _work(self, todo: Iterator[int]) -> None:
        line = Line(self._web.port)
        try:
            for number in todo:  # shared: each case goes to whoever is free
                await self._try(line, self._writer.case(number, int(clock.now().timestamp())))
        finally:
            line.close()

    async def _try(self, line: "Line", case: Case) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                answers = await line.exchange(case)
        except TimeoutError:
            answers = [Said(0, {}, b"no answer in time")]
        wrong = self._judge(case, answers)
        if wrong:
            file = self._folder / f"case-{case.number}.bin"
            file.write_bytes(b"".join(case.parts))
            seen = [(said.status, said.body[:300]) for said in answers]
            raise AssertionError(
                f"TONGBAN_FUZZ_SEED={SEED} TONGBAN_FUZZ_ONLY={case.number} ({case.name}): {wrong}; answers {seen}; request in {file}: "
                f"{file.read_bytes()[:1500]!r}"
            )

    def _judge(self, case: Case, answers: "list[Said]") -> str:
        self.statuses.update(said.status for said in answers)
        if len(answers) > len(case.wants) and not case.wants[-1].hangs_up:
            return "an answer to nothing"
        if len(answers) < len(case.wants) and not case.wants[-1].hangs_up:
            return "no answer"
        for said, want in zip(answers, (*case.wants, *[case.wants[-1]] * len(answers)), strict=False):
            if wrong := self._wrong(said, want):
                return wrong
            if said.status == 200 and want.rows:
                self.told[want.rows] += 1
        # Bytes behind a request that are none may hang up on its answer: it may count, and nobody was told.
        self.unsure += sum(bool(want.rows) for want in case.wants if want.hangs_up) if 200 not in {said.status for said in answers} else 0
        return ""

    def _wrong(self, said: "Said", want: Want) -> str:
        if said.status not in want.statuses:
            return f"{said.status}, expected one of {sorted(want.statuses)}"
        if any(trace in said.body for trace in TRACES) or "server" in said.headers:
            return "the answer tells too much"
        if said.status == 403 and (said.body or said.headers.get("content-length") != "0"):
            return "a refusal says something"
        if want.rows == "quarantine" and said.body != b"success":
            return "what cannot be understood got an answer"
        if want.rows and said.status == 200 and said.body != b"success":
            return self._unreadable(said.body)
        return ""

    def _unreadable(self, body: bytes) -> str:
        """Whether the platform could not show this encrypted reply."""
        encrypted = re.search(rb"<Encrypt><!\[CDATA\[([A-Za-z0-9+/=]+)\]\]></Encrypt>", body)
        if encrypted is None:
            return "not an envelope"
        secret = base64.b64decode(self._known.aes_key + "=")
        decryptor = Cipher(algorithms.AES(secret), modes.CBC(secret[:16])).decryptor()
        clear = decryptor.update(base64.b64decode(encrypted.group(1))) + decryptor.finalize()
        plain = clear[20 : 20 + int.from_bytes(clear[16:20], "big")]
        fields = fields_of(plain)
        fits = fields["MsgType"] == "text" and 0 < len(fields["Content"].encode()) <= 2048
        return "" if fits else "a reply that WeChat would not show"


class Said:
    """One answer, read as strictly as HTTP says."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Line:
    """One connection at a time, used for many cases while it stays sound."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def exchange(self, case: Case) -> list[Said]:
        """Write the case, and read one answer for each of its requests, or until the service hangs up."""
        if not case.reusable:
            self.close()
        if self._reader is None or self._writer is None or self._reader.at_eof():
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        writing = asyncio.ensure_future(self._write(self._writer, case))
        answers: list[Said] = []
        try:
            while len(answers) < len(case.wants) or case.ends:
                said = await _answer(self._reader)
                if said is None:
                    break
                answers.append(said)
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
        if not case.reusable or not answers or answers[-1].headers.get("connection") == "close" or len(answers) < len(case.wants):
            self.close()
        return answers

    async def _write(self, writer: asyncio.StreamWriter, case: Case) -> None:
        with contextlib.suppress(ConnectionError):
            for part in case.parts:
                writer.write(part)
                await writer.drain()
            if case.ends:
                writer.write_eof()


async def _answer(reader: asyncio.StreamReader) -> Said | None:
    """One whole answer; None where the service has hung up. Half an answer has no status."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as cut:
        return Said(0, {}, b"half an answer: " + cut.partial) if cut.partial else None
    except ConnectionError:
        return None
    line, *fields = head[:-4].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
    status = int(re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", line)[1])  # type: ignore[index]  # anything else is a failure of the test
    if status == 100:
        return await _answer(reader)
    return Said(status, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


def _account(tx: Tx, keyring: Keyring) -> int:
    return accounts.add(
        *(tx, keyring, clock.now()), name="demo", appid=APPID, original_id=ORIGINAL, secret="s" * 32, api_base="http://127.0.0.1:9"
    )


def _stored(tx: Tx) -> tuple[int, Counter[str]]:
    """Rows of the inbox, and of the quarantine by reason."""
    inbox = tx.execute(sa.select(sa.func.count()).select_from(InboxItem)).scalar_one()
    return inbox, Counter(tx.execute(sa.select(Quarantined.reason)).scalars())


def _known_among(tx: Tx, keyring: Keyring, account: int, openids: list[str]) -> int:
    indexes = [keyring.vault.index(f"openid.{account}", openid) for openid in openids]
    return tx.execute(sa.select(sa.func.count()).select_from(Identity).where(Identity.openid_index.in_(indexes))).scalar_one()
