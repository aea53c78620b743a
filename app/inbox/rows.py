"""Hides what a push reads and writes: one look at everything that is known of its sender, one writing of what the exchange leaves.

Both run for every push, so they are prepared (`app/db/prepared.py`) and as few as the database allows: on PostgreSQL the lock, the look and
the writing are a round trip each; SQLite's writer is alone and needs no lock.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import people, polls
from app.channels import PushKind
from app.db import Look, Tx
from app.db.prepared import Prepared, in_one, slot
from app.keyring import Keyring, Place
from app.models import Allowance, Conversation, Course, Delivery, Group, Identity, InboxItem, Membership, Participant, Person
from app.models import DataKey as DataKeyRow
from app.people import Known
from app.questionnaires import sheets
from app.reach import Action, Traffic
from app.sealing import Vault
from app.states import OPEN
from bots.turns import Membership as MembershipView
from bots.turns import Person as PersonView
from bots.turns import Role


@dataclass(frozen=True)
class Earlier:
    """A push that came before under the same key."""

    id: int
    person_id: int | None
    content_hash: bytes = field(repr=False)
    received_at: datetime
    reply_sealed: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Sender:
    """Who sent a push, as one look finds them: `waiting` counts the messages that wait for them, stale ones included."""

    known: Known
    view: PersonView
    traffic: Traffic
    unreachable: bool
    conversation_id: int | None
    floor_sealed: bytes | None = field(repr=False)
    recent: dict[str, Any] = field(repr=False)
    waiting: int
    earlier: Earlier | None
    asked: str | None = field(default=None, repr=False)  # open questionnaires, for `sheets.read`
    polled: int = 0  # open polls in their groups: what nobody else wants may answer one


def looks(vault: Vault, account_id: int, openid: str, dedupe_key: str) -> Sequence[Look]:
    """What `find` looks at on PostgreSQL, for whoever looks ahead."""
    mine = {"account": account_id, "index": people.openid_index(vault, account_id, openid)}
    return ((_LOCK, mine), (_LOOK, {**mine, "key": dedupe_key}))


def find(tx: Tx, keyring: Keyring, account_id: int, openid: str, dedupe_key: str) -> Sender | None:
    """The sender and what the push under this key left before; None for somebody whom the account does not know (or no more).

    Nobody else handles this person until the transaction ends, and what is returned is what stood after the wait.
    """
    index = people.openid_index(keyring.vault, account_id, openid)
    if tx.dialect.name != "sqlite" and _LOCK.first(tx, account=account_id, index=index) is None:
        return None
    row = _LOOK.first(tx, account=account_id, index=index, key=dedupe_key)
    if row is None or row.wrapped is None:  # the key was destroyed: who returns after an erasure is a new person
        return None
    return _sender(tx, keyring.vault, row)


def earlier(tx: Tx, account_id: int, dedupe_key: str) -> Earlier | None:
    """What a push under this key left before, whoever sent it."""
    row = tx.execute(
        sa.select(InboxItem.id, InboxItem.person_id, InboxItem.content_hash, InboxItem.received_at, InboxItem.reply_sealed).where(
            InboxItem.account_id == account_id, InboxItem.dedupe_key == dedupe_key
        )
    ).one_or_none()
    return None if row is None else Earlier(*row)


@dataclass(frozen=True)
class Note:
    """What is written down of a push, whatever becomes of it."""

    id: int
    account_id: int
    dedupe_key: str
    content_hash: bytes = field(repr=False)
    kind: PushKind
    sent_at: datetime
    received_at: datetime

    def values(self) -> dict[str, Any]:
        """The columns of the inbox row."""
        return {
            "id": self.id,
            "account_id": self.account_id,
            "dedupe_key": self.dedupe_key,
            "content_hash": self.content_hash,
            "kind": self.kind.value,
            "sent_at": self.sent_at,
            "received_at": self.received_at,
        }


def keep(tx: Tx, note: Note, sender: Sender, action: Action, traffic: Traffic) -> None:
    """Write push and ledger down before anything that refers to them, or that others may hold, is touched."""
    _KEEP[action].run(tx, **_item_values(note, sender), **_ledger(sender, traffic))
    if sender.unreachable:  # whoever writes to us can be written to, whatever the platform said before
        tx.execute(sa.update(Identity).where(Identity.id == sender.known.identity_id).values(unreachable_code=None))


@dataclass(frozen=True)
class Left:
    """What an exchange leaves: the reply, and what the bots remember."""

    bot: str | None
    reply_sealed: bytes | None = field(repr=False)
    conversation_id: int
    floor_sealed: bytes | None = field(repr=False)
    busy: bool
    recent: dict[str, Any] = field(repr=False)


def finish(tx: Tx, note: Note, sender: Sender, left: Left, *, action: Action, traffic: Traffic, kept: bool) -> None:
    """Write down what the exchange leaves; `kept`: push and ledger stand already."""
    remembered = {
        "conversation": left.conversation_id,
        "floor": left.floor_sealed,
        "busy": left.busy,
        "recent": left.recent,
        "now": note.received_at,
        "person": sender.known.id,
        "for_account": note.account_id,
    }
    answer = {"i_reply_sealed": left.reply_sealed, "i_bot": left.bot}
    known = sender.conversation_id is not None
    if not kept and not sender.unreachable:
        _WHOLE[action, known].run(tx, **_item_values(note, sender), **answer, **remembered, **_ledger(sender, traffic))
        return
    if not kept:
        keep(tx, note, sender, action, traffic)
    _ANSWER[known].run(tx, i_id=note.id, **answer, **remembered)


def _item_values(note: Note, sender: Sender) -> dict[str, Any]:
    return {f"i_{name}": value for name, value in note.values().items()} | {"i_person_id": sender.known.id}


def _ledger(sender: Sender, traffic: Traffic) -> dict[str, Any]:
    return {
        "identity": sender.known.identity_id,
        "typed_until": traffic.typed_until,
        "typed_left": traffic.typed_left,
        "tapped_until": traffic.tapped_until,
        "tapped_left": traffic.tapped_left,
    }


def _sender(tx: Tx, vault: Vault, row: Any) -> Sender:
    key = vault.unwrap(row.key_id, row.master_version, row.wrapped)
    name = None if row.name_sealed is None else key.unseal(Place("persons", "name_sealed", row.person_id), row.name_sealed)
    following = row.unfollowed_at is None
    known = Known(row.person_id, row.identity_id, key, name, row.language, row.zone, row.paused_at is not None, following)
    return Sender(
        known=known,
        view=_view(tx, known, json.loads(row.memberships or "[]"), json.loads(row.numbers or "[]")),
        traffic=Traffic(True, row.typed_until, row.typed_left or 0, row.tapped_until, row.tapped_left or 0),
        unreachable=row.unreachable_code is not None,
        conversation_id=row.conversation_id,
        floor_sealed=row.floor_sealed,
        recent=row.recent or {},
        waiting=row.waiting,
        asked=row.asked,
        polled=row.polled,
        earlier=None
        if row.inbox_id is None
        else Earlier(row.inbox_id, row.inbox_person_id, row.content_hash, row.received_at, row.reply_sealed),
    )


def _view(tx: Tx, known: Known, memberships: Sequence[Any], numbers: Sequence[Any]) -> PersonView:
    found = [MembershipView(course, title, group, name, bool(large), Role(role)) for course, title, group, name, large, role in memberships]
    return people.as_bots_see(tx, known, sorted(found, key=lambda each: (each.large, each.group)), dict(numbers))


# The statements ---------------------------------------------------------------------------------------------------------------------

_ACCOUNT = slot("account", Identity.account_id)
_INDEX = slot("index", Identity.openid_index)
_KEY = slot("key", InboxItem.dedupe_key)
_MINE = sa.and_(Identity.account_id == _ACCOUNT, Identity.openid_index == _INDEX)


def _lock(_dialect: str, *, unless_held: bool = False) -> list[Any]:
    """Not the key: a broadcast that writes them a delivery meanwhile refers to their row, and shall not wait for their push."""
    mine = sa.select(Identity.person_id).where(_MINE).scalar_subquery()
    return [sa.select(Person.id).where(Person.id == mine).with_for_update(key_share=True, skip_locked=unless_held)]


def _lock_unless_held(dialect: str) -> Any:
    """Whoever is held by another is as if unknown: their push is tried again where it can wait."""
    (only,) = _lock(dialect, unless_held=True)
    return only


def _as_list(dialect: str, *columns: Any) -> Any:
    """The rows of a subquery as JSON text: a list of lists."""
    if dialect == "sqlite":
        return sa.func.json_group_array(sa.func.json_array(*columns), type_=sa.Text())
    return sa.cast(sa.func.json_agg(sa.func.json_build_array(*columns)), sa.Text())


def _look(dialect: str) -> list[Any]:
    memberships = (
        sa.select(_as_list(dialect, Group.course_id, Course.title, Group.id, Group.name, Group.large, Membership.role))
        .select_from(Membership)
        .join(Group, Group.id == Membership.group_id)
        .join(Course, Course.id == Group.course_id)
        .where(Membership.person_id == Person.id, Membership.ended_at.is_(None), Course.ended_at.is_(None))
    )
    numbers = sa.select(_as_list(dialect, Participant.course_id, Participant.number)).where(Participant.person_id == Person.id)
    waiting = (
        sa.select(sa.func.count())
        .select_from(Delivery)
        .where(
            Delivery.person_id == Person.id,
            Delivery.account_id == _ACCOUNT,
            Delivery.state.in_([sa.literal_column(f"'{state}'") for state in OPEN]),
        )
    )
    asked = sheets.open_of(dialect, Person.id, _ACCOUNT)
    counted = {"memberships": memberships, "numbers": numbers, "waiting": waiting, "asked": asked, "polled": polls.open_of(Person.id)}
    return [
        sa.select(
            *(Person.id.label("person_id"), Person.name_sealed, Person.language, Person.zone, Person.paused_at),
            *(DataKeyRow.id.label("key_id"), DataKeyRow.wrapped, DataKeyRow.master_version),
            *(Identity.id.label("identity_id"), Identity.unfollowed_at, Identity.unreachable_code),
            *(Allowance.typed_until, Allowance.typed_left, Allowance.tapped_until, Allowance.tapped_left),
            *(Conversation.id.label("conversation_id"), Conversation.floor_sealed, Conversation.recent),
            *(each.correlate(Person).scalar_subquery().label(name) for name, each in counted.items()),
            *(InboxItem.id.label("inbox_id"), InboxItem.person_id.label("inbox_person_id")),
            *(InboxItem.content_hash, InboxItem.received_at, InboxItem.reply_sealed),
        )
        .select_from(Identity)
        .join(Person, Person.id == Identity.person_id)
        .join(DataKeyRow, DataKeyRow.id == Person.data_key_id)
        .outerjoin(Allowance, Allowance.identity_id == Identity.id)
        .outerjoin(Conversation, sa.and_(Conversation.person_id == Person.id, Conversation.account_id == _ACCOUNT))
        .outerjoin(InboxItem, sa.and_(InboxItem.account_id == _ACCOUNT, InboxItem.dedupe_key == _KEY))
        .where(_MINE)
    ]


_NOTED = ("id", "account_id", "person_id", "dedupe_key", "content_hash", "kind", "sent_at", "received_at")
_ANSWERED = ("reply_sealed", "bot")
#: Only what an action lifts: a claim may be spending from the other counter just now.
_LIFTED = {Action.TYPED: ("typed_until", "typed_left"), Action.TAPPED: ("tapped_until", "tapped_left")}
_REMEMBERED = {"floor_sealed": "floor", "busy": "busy", "recent": "recent", "changed_at": "now"}
_BEGUN = {"id": "conversation", "person_id": "person", "account_id": "for_account"}


def _noted(*columns: str) -> Any:
    item = InboxItem.__table__.c
    return sa.insert(InboxItem).values({name: slot(f"i_{name}", item[name]) for name in columns})


def _answered() -> Any:
    item = InboxItem.__table__.c
    reply = {name: slot(f"i_{name}", item[name]) for name in _ANSWERED}
    return sa.update(InboxItem).where(item.id == slot("i_id", item.id)).values(reply)


def _lifted(action: Action) -> Any:
    ledger = Allowance.__table__.c
    mine = ledger.identity_id == slot("identity", ledger.identity_id)
    return sa.update(Allowance).where(mine).values({name: slot(name, ledger[name]) for name in _LIFTED[action]})


def _remembered(known: bool) -> Any:
    talk = Conversation.__table__.c
    values = {name: slot(given, talk[name]) for name, given in _REMEMBERED.items()}
    if known:
        return sa.update(Conversation).where(talk.id == slot("conversation", talk.id)).values(values)
    return sa.insert(Conversation).values(values | {name: slot(given, talk[name]) for name, given in _BEGUN.items()})


_LOCK, _LOOK = Prepared(_lock, ahead=_lock_unless_held), Prepared(_look)
_KEEP = {action: in_one(_noted(*_NOTED), _lifted(action)) for action in Action}
_ANSWER = {known: in_one(_answered(), _remembered(known)) for known in (False, True)}
_WHOLE = {
    (action, known): in_one(_noted(*_NOTED, *_ANSWERED), _lifted(action), _remembered(known))
    for action in Action
    for known in (False, True)
}
