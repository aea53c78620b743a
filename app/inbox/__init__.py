"""Takes a push: once, in order per person, all or nothing. Dedupe, lock, ask the bots, apply, write the reply down, then answer.

`door` holds what comes in and goes out, `rows` what is read and written for every push, `exchange` the turn itself.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import audit, clock, ids, people
from app.channels import Push, PushKind
from app.db import Look, Tx, upsert
from app.inbox import rows
from app.inbox.door import Incoming, Late, Taken, quarantine
from app.inbox.exchange import Exchange, send_later
from app.inbox.rows import Earlier, Note, Sender
from app.keyring import Place, Unreadable
from app.models import InboxItem
from app.outbox import results
from app.questionnaires import sheets
from app.reach import Action
from app.sealing import Vault
from app.situation import Situation, Tools
from bots.turns import Event, Followed, Pressed, Scanned, Sent, Tapped, Wrote

__all__ = ["REPLY_SERVED", "Incoming", "Late", "Taken", "looks", "quarantine", "sign_choice", "take"]

#: A repeated push gets the very same reply for this long; the platform's own repeats come within 15 s.
REPLY_SERVED = timedelta(seconds=60)
_SIGNATURE = 8


def looks(tools: Tools, incoming: Incoming) -> Sequence[Look]:
    """What `take` begins with for this push: most pushes need to know nothing else."""
    push = incoming.push
    return () if _nobodys(push) else rows.looks(tools.keyring.vault, incoming.account_id, push.openid, push.dedupe_key)


def take(tx: Tx, tools: Tools, incoming: Incoming) -> Taken:
    """Handle a push in the caller's transaction. A repeat gets the stored reply and changes nothing."""
    push, now = incoming.push, incoming.late.received_at if incoming.late else clock.now()
    note = Note(ids.new_id(), incoming.account_id, push.dedupe_key, _mark(tools, push), push.kind, push.sent_at, now)
    if _nobodys(push):
        return _from_nobody(tx, tools, incoming, note)
    sender = _sender(tx, tools, incoming, now)
    if sender.earlier is not None:
        return _repeat(tx, tools, incoming, sender.earlier, sender, note)
    _look_twice(tx, push, now)
    return _from_person(tx, tools, incoming, note, sender)


def sign_choice(vault: Vault, person_id: int, choice: str) -> str:
    """A choice's id as it goes over the wire, bound to the person who may tap it."""
    return f"{choice}~{vault.sign('choice', f'{person_id}.{choice}', _SIGNATURE)}"


def _nobodys(push: Push) -> bool:
    return push.kind in (PushKind.RECEIPT, PushKind.IGNORED) or not push.openid


def _mark(tools: Tools, push: Push) -> bytes:
    """By which the same content is recognised: keyed, so that nobody can guess short words from a stolen database."""
    return tools.keyring.vault.index("content", push.content_hash.hex())


def _look_twice(tx: Tx, push: Push, now: datetime) -> None:
    if push.note is not None:
        audit.alarm(tx, now, "odd_push", push.note)


def _from_nobody(tx: Tx, tools: Tools, incoming: Incoming, note: Note) -> Taken:
    """A receipt, or something that is only noted down."""
    push = incoming.push
    once = upsert(tx, InboxItem).values(**note.values()).on_conflict_do_nothing(index_elements=["account_id", "dedupe_key"])
    if tx.execute(once.returning(InboxItem.id)).first() is None:  # not by rowcount: of an INSERT psycopg keeps none
        earlier = rows.earlier(tx, incoming.account_id, push.dedupe_key)
        return Taken(note.id, None) if earlier is None else _repeat(tx, tools, incoming, earlier, None, note)
    _look_twice(tx, push, note.received_at)
    if push.kind is PushKind.RECEIPT and push.msgid is not None:
        results.receipt(tx, incoming.account_id, push.msgid, push.value, note.received_at, push.counts)
    return Taken(note.id, None)


def _sender(tx: Tx, tools: Tools, incoming: Incoming, now: datetime) -> Sender:
    """The sender, alone with us until the end of the transaction; made on first sight."""
    account_id, push = incoming.account_id, incoming.push
    sender = rows.find(tx, tools.keyring, account_id, push.openid, push.dedupe_key)
    if sender is None:
        people.meet(tx, tools.keyring, account_id, push.openid, now)
        sender = rows.find(tx, tools.keyring, account_id, push.openid, push.dedupe_key)
    if sender is None:
        raise LookupError("a person who was just made is not there")
    return sender


def _repeat(tx: Tx, tools: Tools, incoming: Incoming, earlier: Earlier, sender: Sender | None, note: Note) -> Taken:
    now = note.received_at
    if earlier.content_hash != note.content_hash:
        once = incoming.late.row_id if incoming.late else None
        quarantine(tx, tools, incoming.account_id, "same key, other content", incoming.push.raw, now, earlier.person_id, once)
        return Taken(earlier.id, None)
    if incoming.late is not None:
        return _repeat_late(tx, tools, incoming, incoming.late, earlier, sender)
    if sender is None or earlier.reply_sealed is None or now - earlier.received_at > REPLY_SERVED:
        return Taken(earlier.id, None)
    try:
        reply = sender.known.key.unseal_bytes(Place("inbox", "reply_sealed", earlier.id), earlier.reply_sealed)
    except Unreadable:
        return Taken(earlier.id, None)
    return Taken(earlier.id, reply, rides=True)


def _repeat_late(tx: Tx, tools: Tools, incoming: Incoming, late: Late, earlier: Earlier, sender: Sender | None) -> Taken:
    """A push in the spool that the database took after all when nobody waited any more: its reply has reached nobody, and is sent once."""
    if sender is None or earlier.reply_sealed is None:
        return Taken(earlier.id, None)
    tx.execute(sa.update(InboxItem).where(InboxItem.id == earlier.id).values(reply_sealed=None))
    try:
        reply = sender.known.key.unseal_bytes(Place("inbox", "reply_sealed", earlier.id), earlier.reply_sealed)
    except Unreadable:
        return Taken(earlier.id, None)
    if not late.answered:
        send_later(tx, tools, incoming, sender.known, late.words_of(reply), late.received_at)
    return Taken(earlier.id, None)


def _from_person(tx: Tx, tools: Tools, incoming: Incoming, note: Note, sender: Sender) -> Taken:
    push, known = incoming.push, sender.known
    exchange = Exchange(tx, tools, incoming, note, sender, _action(push.kind, tapped_opens_window=tools.tapped_opens_window))
    if push.kind is PushKind.LEFT:
        exchange.keep()
        people.left(tx, known, note.received_at)
        return Taken(note.id, None)
    if push.kind is PushKind.FOLLOWED or not known.following:
        people.came(tx, known, push.openid, note.received_at)
    event = _event(tools.keyring.vault, known.id, push)
    said = push.value if push.kind in (PushKind.WROTE, PushKind.TAPPED) else ""
    asked = sheets.read(tx, tools.shelf, sender.asked, known.language) if sender.asked else ()
    if incoming.late is not None:
        asked = (*sheets.closed_since(tx, tools.shelf, known, incoming.account_id, note.received_at), *asked)
    return exchange.answer(event, Situation(incoming.account_id, known, sender.view, note.id, note.received_at, said, asked))


def _action(kind: PushKind, *, tapped_opens_window: bool) -> Action:
    """What this push allows us (platform reference, section 4.1)."""
    typed = kind in (PushKind.WROTE, PushKind.SENT) or (kind is PushKind.TAPPED and tapped_opens_window)
    return Action.TYPED if typed else Action.TAPPED


def _event(vault: Vault, person_id: int, push: Push) -> Event:
    match push.kind:
        case PushKind.TAPPED:
            return Tapped(_verified(vault, person_id, push.choice or ""), push.value)
        case PushKind.PRESSED:
            return Pressed(push.value)
        case PushKind.SCANNED:
            return Scanned(push.value)
        case PushKind.FOLLOWED:
            return Followed(push.value or None)
        case PushKind.WROTE:
            return Wrote(push.value)
        case _:
            return Sent(push.value)


def _verified(vault: Vault, person_id: int, wired: str) -> str:
    """The choice behind a tapped id; empty where it was not made for this person: its words must not pass for typed ones (F5, F8)."""
    choice, _, signature = wired.rpartition("~")
    return choice if choice and vault.signed("choice", f"{person_id}.{choice}", signature, _SIGNATURE) else ""
