"""Hides the read page's links: a signed address for one delivery of one person, good for two weeks, and the words behind it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import broadcasts
from app.db import Tx
from app.models import Broadcast, Delivery, Person
from app.outbox import results
from app.people import names
from app.sealing import Vault
from app.situation import Tools
from bots import Message

#: A link is good for this long after its broadcast was made.
GOOD_FOR = timedelta(days=14)
_SIGNATURE = 22  # 132 bits


@dataclass(frozen=True)
class ReadLinks:
    """Makes and checks the addresses of read pages."""

    public_url: str
    vault: Vault = field(repr=False)

    def url(self, delivery_id: int) -> str:
        """Where the reader of this delivery finds its words."""
        return f"{self.public_url}/read/{self.token(delivery_id)}"

    def token(self, delivery_id: int) -> str:
        """The last part of the address: whose it is, and that we made it."""
        return f"{delivery_id}.{self.vault.sign('read', str(delivery_id), _SIGNATURE)}"

    def delivery(self, token: str) -> int | None:
        """The delivery behind a token, or None where we did not make it."""
        number, _, signature = token.partition(".")
        if not (number.isascii() and number.isdigit() and len(number) < 20):
            return None
        return int(number) if self.vault.signed("read", number, signature, _SIGNATURE) else None


@dataclass(frozen=True)
class Page:
    """What a read page shows; `options` of an announcement that asks something, and `how` they are answered: in the chat."""

    language: str
    title: str
    meta: str
    text: str = field(repr=False)
    options: tuple[str, ...] = field(default=(), repr=False)
    how: str = ""


def open_page(tx: Tx, tools: Tools, delivery_id: int, now: datetime) -> Page | None:
    """The words of a delivery, which thereby counts as read; None where the link is too old or its reader was erased."""
    row = tx.execute(
        sa.select(
            Delivery.broadcast_id,
            Delivery.person_id,
            Broadcast.bot,
            Broadcast.kind,
            Broadcast.created_at,
            Broadcast.state,
            Person.language,
            Person.zone,
            Person.erased_at,
        )
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .join(Person, Person.id == Delivery.person_id)
        .where(Delivery.id == delivery_id)
    ).one_or_none()
    if row is None or row.erased_at is not None or row.state == "cancelled" or now - row.created_at > GOOD_FOR:
        return None
    details = broadcasts.details_of(tx, tools.keyring, [row.broadcast_id]).get(row.broadcast_id)
    if details is None:
        return None
    reader = names(tx, tools.keyring, [row.person_id]).get(row.person_id) if broadcasts.names_reader(details) else None
    message = tools.composer.compose(row.bot, row.kind, row.language, row.zone, details, reader)
    results.opened(tx, delivery_id, now)
    sender = str(details.get("author_name") or tools.words.fill("sender.system", row.language))
    kind = tools.words.fill(f"kind.{row.kind}", row.language)
    return Page(
        row.language,
        tools.words.fill("page.title", row.language, sender=sender),
        tools.words.fill("page.meta", row.language, row.zone, kind=kind, when=row.created_at),
        message.text,
        *_to_answer(tools, row, message),
    )


def _to_answer(tools: Tools, row: Any, message: Message) -> tuple[tuple[str, ...], str]:
    """A page knows nobody: what an announcement asks is answered in the chat, where it is heard as typed words."""
    if row.bot != "announcement" or not message.choices:
        return (), ""
    labels = tuple(each.label for each in message.choices)
    numbered = labels if len(labels) == 1 else tuple(f"{place}. {label}" for place, label in enumerate(labels, start=1))
    return numbered, tools.words.fill("page.answer_one" if len(labels) == 1 else "page.answer", row.language, example=labels[0])
