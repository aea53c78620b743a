"""The limit is only a limit while it does the same work: what the hand-tuned server writes for a word is what the program writes."""

import asyncio
from collections import Counter
from functools import partial
from typing import Any

import httpx
import sqlalchemy as sa

from app.assembly import assemble
from app.db import Tx
from app.keyring import Keyring, Place
from app.main import create_app
from app.models import Allowance, Conversation, Identity, InboxItem, Person
from app.models.columns import Table
from benchmarks.founding import found, settings
from benchmarks.minimal import postgres, sqlite
from benchmarks.minimal.__main__ import Application
from benchmarks.minimal.envelope import Wire
from benchmarks.minimal.turn import Turn
from benchmarks.pushes import decrypted, requests
from benchmarks.town import Town

ROUNDS = 3


def _post(request: bytes) -> tuple[str, bytes]:
    """Address and body of a request that is ready for a socket."""
    head, _, body = request.partition(b"\r\n\r\n")
    return head.split(b" ", 2)[1].decode(), body


def _minimal(url: str, town: Town) -> tuple[Application, sqlite.Desk | postgres.Desk]:
    wire = Wire(town)
    turn = Turn(town, wire)
    desk = sqlite.Desk(url, turn, town.account_id) if url.startswith("sqlite") else postgres.Desk(url, turn, town.account_id)
    return Application(wire, desk), desk


async def _answers(application: Any, town: Town, pushes: list[tuple[str, bytes]]) -> list[str]:
    """What is shown to those who write, in turn."""
    shown = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://127.0.0.1") as client:
        for _, request in pushes:
            address, body = _post(request)
            answer = await client.post(address, content=body)
            assert answer.status_code == 200
            shown.append(decrypted(town, answer.content))
    return shown


def _sizes(tx: Tx) -> Counter[str]:
    """How many rows each table has."""
    return Counter(
        {table.name: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in Table.metadata.tables.values()}
    )


def _traces(tx: Tx, keyring: Keyring, person: int) -> dict[str, Any]:
    """What a person's words left behind: plain values as they are, sealed ones opened, and which columns are empty."""
    key = keyring.open(tx, tx.execute(sa.select(Person.data_key_id).where(Person.id == person)).scalar_one())
    inbox = tx.execute(sa.select(*InboxItem.__table__.columns).where(InboxItem.person_id == person).order_by(InboxItem.id)).all()
    talk = tx.execute(sa.select(*Conversation.__table__.columns).where(Conversation.person_id == person)).one()
    ledger = (sa.select(Allowance).join(Identity, Identity.id == Allowance.identity_id)).where(Identity.person_id == person)
    allowance = tx.execute(ledger.with_only_columns(*Allowance.__table__.columns)).one()
    replies = [key.unseal(Place("inbox", "reply_sealed", row.id), row.reply_sealed) for row in inbox]
    floor = None if talk.floor_sealed is None else key.unseal(Place("conversations", "floor_sealed", talk.id), talk.floor_sealed)
    return {
        "inbox": [(row.kind, row.bot, len(row.dedupe_key), len(row.content_hash)) for row in inbox],
        "inbox empty": [[name for name, value in row._asdict().items() if value is None] for row in inbox],
        "replies": [reply[:5] for reply in replies],
        "floor": floor,
        "recent": {name: type(value).__name__ for name, value in talk.recent.items()},
        "counts": (talk.recent["count"], talk.recent["echoes"], len(talk.recent["ours"])),
        "busy": talk.busy,
        "allowance": (allowance.typed_left, allowance.tapped_left, allowance.typed_until is None, allowance.tapped_until),
    }


def test_the_hand_tuned_server_leaves_the_same_rows_as_the_program(database_url: str) -> None:
    town = found(database_url, 2)
    pushes = list(requests(town, 1, 2 * ROUNDS))
    ours, theirs = ([push for push in pushes if push[0] == openid] for openid in town.openids)
    assembly = assemble(settings(town, database_url))
    keyring = assembly.tools.keyring
    grown: list[Counter[str]] = []

    async def talk() -> tuple[list[str], list[str]]:
        grown.append(assembly.database.read_now(_sizes))
        shown = await _answers(create_app(assembly, worker=False), town, ours)
        grown.append(assembly.database.read_now(_sizes))
        minimal, desk = _minimal(database_url, town)
        await desk.start()
        beside = await _answers(minimal, town, theirs)
        await desk.stop()
        grown.append(assembly.database.read_now(_sizes))
        return shown, beside

    with assembly.database as database:
        shown, beside = asyncio.run(talk())
        rows = database.read_now(lambda tx: tx.execute(sa.select(Identity.openid_index, Identity.person_id)).all())
        people = {bytes(row.openid_index): row.person_id for row in rows}
        left = [
            database.read_now(partial(_traces, keyring=keyring, person=people[keyring.vault.index(f"openid.{town.account_id}", openid)]))
            for openid in town.openids
        ]
    assert len(shown) == len(beside) == ROUNDS
    assert left[0] == left[1]
    assert grown[1] - grown[0] == grown[2] - grown[1] == Counter(inbox=ROUNDS)
