"""Hides how one message becomes many deliveries: makes a broadcast, expands its audience in sets, composes its words, takes it back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import ids
from app.db import Tx, upsert, upserting
from app.db.prepared import NOW, Among, Prepared, slot
from app.keyring import Keyring, Place
from app.models import Broadcast, Course, Delivery, Mass, Membership, Occasion, stands
from app.states import DUE, IN_DOUBT, LEASED, OPEN, SETTLED, STOPPABLE, Route, State
from bots import Bot, Message
from bots.texts import LANGUAGES, Words
from bots.turns import Occasion as Spoken
from bots.turns import OccasionKind

#: Rows per statement when an audience is expanded: a few milliseconds each, so that nobody waits behind it.
CHUNK = 2_500

#: The gap that says that the words ask for the reader's own name; without it they are the same for everybody of a language.
NAMES_READER = "names_reader"

#: Lower goes first. Alerts and answers before announcements before bulk.
ALERT, ANSWER, ANNOUNCEMENT, BULK = 0, 1, 5, 9


@dataclass(frozen=True)
class Draft:
    """A message before it has readers. `details` are the gaps of the bot's `compose`; they rest sealed under `key_id`.

    `by_mass`: as mass sends, one a language; whoever these do not reach gets it as ever.
    """

    account_id: int
    key_id: int
    bot: str
    kind: OccasionKind
    details: Mapping[str, Any] = field(repr=False)
    course_id: int | None = None
    group_id: int | None = None
    schedule_id: int | None = None
    wave_id: int | None = None
    prompt_id: int | None = None
    author_id: int | None = None
    priority: int = ANNOUNCEMENT
    urgent: bool = False
    stale_at: datetime | None = None
    by_mass: bool = False


def in_course(tx: Tx, course_id: int, bot: str, kind: OccasionKind, details: Mapping[str, Any], **more: Any) -> Draft:
    """A message of a course: by its account, under its key. `more`: whatever else a `Draft` may say."""
    course = _COURSE.first(tx, course=course_id)
    return Draft(course.account_id, course.data_key_id, bot, kind, details, course_id=course_id, **more)


def send_to(tx: Tx, keyring: Keyring, draft: Draft, person_ids: Iterable[int], now: datetime) -> int:
    """One message to these people, ready to go; returns the broadcast's id."""
    broadcast_id = _create(tx, keyring, draft, "going", now)
    row = _delivery(draft, broadcast_id, now)
    _DELIVER.each(tx, [{**row, "person_id": person} for person in person_ids])
    return broadcast_id


def send_to_group(tx: Tx, keyring: Keyring, draft: Draft, now: datetime) -> int:
    """One message to everybody who is in the draft's group at this moment, but its author; returns the broadcast's id.

    A group of more than `CHUNK` is finished by `expand_next`, a chunk a call.
    """
    broadcast_id = _create(tx, keyring, draft, "expanding", now)
    expand(tx, broadcast_id, now)
    return broadcast_id


def add_readers(tx: Tx, broadcast_id: int, people: "sa.Select[int]", now: datetime) -> int:
    """Write a message that goes on to some more people, ready to go, in one statement; who has it already does not get it again.

    Returns how many. A message that was taken back stays so.
    """
    row = _HELD.first(tx, broadcast=broadcast_id)
    if row.state == "cancelled":
        return 0
    _MOVE.run(tx, broadcast=broadcast_id, state="going")
    return _insert(tx, row, people, now)


def expand(tx: Tx, broadcast_id: int, now: datetime) -> bool:
    """Write the next chunk of an audience, ready to go; True when the audience is complete.

    Each chunk is a transaction of its own and begins behind the last person who has a row, so that whoever goes on after a crash writes
    nobody twice.
    """
    row = _HELD.first(tx, broadcast=broadcast_id)
    if row.state != "expanding":
        return True
    written = _insert_chunk(tx, row, row.expanded_through or 0, now)
    if written < CHUNK:
        _MOVE.run(tx, broadcast=broadcast_id, state="going")
        return True
    last = sa.select(sa.func.max(Delivery.person_id)).where(Delivery.broadcast_id == broadcast_id).scalar_subquery()
    tx.execute(sa.update(Broadcast).where(Broadcast.id == broadcast_id).values(expanded_through=last))
    return False


def expand_next(tx: Tx, now: datetime) -> bool:
    """Go on with the audience that is least far; False where none is unfinished."""
    found = _LEAST_FAR.first(tx)
    if found is None:
        return False
    expand(tx, found.id, now)
    return True


def cancel(tx: Tx, broadcast_id: int, reason: str, now: datetime) -> int:
    """Take back what has not left; returns how many. What is in flight runs to its end."""
    _MOVE.run(tx, broadcast=broadcast_id, state="cancelled")
    return _STOP.count(tx, broadcast=broadcast_id, why=reason, now=now)


def take_back_from(tx: Tx, person_id: int, broadcast_ids: Sequence[int], reason: str, now: datetime) -> int:
    """Take back what of these messages has not left for one person; returns how many."""
    return _STOP_FROM.count(tx, broadcast_ids, person=person_id, why=reason, now=now)


def _stop() -> "sa.Update":
    """What has not left is taken back."""
    taken_back = {"state": State.CANCELLED.value, "reason": slot("why"), "changed_at": NOW, "lease_owner": None, "lease_until": None}
    return sa.update(Delivery).where(stands(STOPPABLE)).values(**taken_back)


_COURSE = Prepared(lambda _: [sa.select(Course.account_id, Course.data_key_id).where(Course.id == slot("course"))])
_HELD = Prepared(lambda _: [sa.select(*Broadcast.__table__.columns).where(Broadcast.id == slot("broadcast")).with_for_update()])
_MOVE = Prepared(lambda _: [sa.update(Broadcast).where(Broadcast.id == slot("broadcast")).values(state=slot("state"))])
_LEAST_FAR = Prepared(
    lambda _: [
        sa.select(Broadcast.id)
        .where(Broadcast.state == "expanding")
        .order_by(sa.func.coalesce(Broadcast.expanded_through, 0), Broadcast.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ]
)
_STOP = Prepared(lambda _: [_stop().where(Delivery.broadcast_id == slot("broadcast"))])
_STOP_FROM = Among(lambda broadcasts: _stop().where(Delivery.person_id == slot("person"), Delivery.broadcast_id.in_(broadcasts)))


def close_finished(tx: Tx) -> int:
    """Mark broadcasts as done whose every delivery has settled, and to which no occasion still adds readers; returns how many.

    Asked several times a second: each kind of what is open has an index that knows the broadcast, so that nobody reads a whole audience.
    """
    return _CLOSE.count(tx)


def _close() -> "sa.Update":
    mine = Delivery.broadcast_id == Broadcast.id
    due = sa.and_(Delivery.account_id == Broadcast.account_id, Delivery.priority == Broadcast.priority, mine)
    held = sa.and_(mine, Delivery.state == State.HELD.value, stands(IN_DOUBT))
    kinds = (sa.and_(due, stands(DUE)), sa.and_(mine, stands(OPEN)), sa.and_(mine, stands(LEASED)), held)
    open_left = sa.or_(*(sa.select(Delivery.id).where(kind).exists() for kind in kinds))
    going_on = sa.select(Occasion.broadcast_id).where(Occasion.state == "planned", Occasion.broadcast_id.is_not(None))
    finished = sa.and_(Broadcast.state == "going", Broadcast.id.not_in(going_on), ~open_left)
    return sa.update(Broadcast).where(finished).values(state="done")


_CLOSE = Prepared(lambda _: [_close()])


@dataclass(frozen=True)
class Composer:
    """Puts a broadcast into words, once per language; where its details name the reader, once per name."""

    bots: Mapping[str, Bot]

    def compose(self, bot: str, kind: str, language: str, zone: str, details: Mapping[str, Any], reader: str | None = None) -> Message:
        """The message as its bot says it. `reader`: their name, needed only where `names_reader` holds.

        Raises what the bot raises; callers treat that as a message that cannot be written.
        """
        return self.bots[bot].compose(Spoken(OccasionKind(kind), language, details, zone, reader))


def names_reader(details: Mapping[str, Any]) -> bool:
    """Whether the words of a broadcast ask for the reader's own name."""
    return bool(details.get(NAMES_READER))


_DETAILS = Among(lambda some: sa.select(Broadcast.id, Broadcast.data_key_id, Broadcast.details_sealed).where(Broadcast.id.in_(some)))


def details_of(tx: Tx, keyring: Keyring, broadcast_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The gaps' values of these broadcasts; one that does not open (its key was destroyed) is missing and holds up no other."""
    rows = _DETAILS.all(tx, broadcast_ids)
    texts = {row.id: keyring.unseal(tx, row.data_key_id, Place("broadcasts", "details_sealed", row.id), row.details_sealed) for row in rows}
    return {broadcast_id: thaw(text) for broadcast_id, text in texts.items() if text is not None}


def change(tx: Tx, keyring: Keyring, broadcast_id: int, details: Mapping[str, Any], stale_at: datetime) -> None:
    """Give what has not left yet of a broadcast other gaps and another end of its use; what has left stays as it was."""
    key_id = tx.execute(sa.select(Broadcast.data_key_id).where(Broadcast.id == broadcast_id)).scalar_one()
    sealed = keyring.open(tx, key_id).seal(Place("broadcasts", "details_sealed", broadcast_id), freeze(details))
    tx.execute(sa.update(Broadcast).where(Broadcast.id == broadcast_id).values(details_sealed=sealed, stale_at=stale_at))
    unsettled = sa.and_(Delivery.broadcast_id == broadcast_id, Delivery.state.not_in(SETTLED))
    tx.execute(sa.update(Delivery).where(unsettled).values(stale_at=stale_at))


def freeze(details: Mapping[str, Any]) -> str:
    """Gaps' values as text: moments keep their type, and words that are inert already stay so."""
    return json.dumps({name: _plain(value) for name, value in details.items()}, ensure_ascii=False)


def thaw(text: str) -> dict[str, Any]:
    """The opposite of `freeze`."""
    return {name: _rich(value) for name, value in json.loads(text).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"moment": value.isoformat()}
    return {"words": str(value)} if isinstance(value, Words) else value


def _rich(value: Any) -> Any:
    if isinstance(value, dict) and "moment" in value:
        return datetime.fromisoformat(value["moment"])
    return Words(value["words"]) if isinstance(value, dict) and "words" in value else value


_CREATE = Prepared(lambda _: [sa.insert(Broadcast).values({column.key: slot(column.key) for column in Broadcast.__table__.columns})])


def _create(tx: Tx, keyring: Keyring, draft: Draft, state: str, now: datetime) -> int:
    broadcast_id = ids.new_id()
    sealed = keyring.open(tx, draft.key_id).seal(Place("broadcasts", "details_sealed", broadcast_id), freeze(draft.details))
    values = {
        "id": broadcast_id,
        "account_id": draft.account_id,
        "course_id": draft.course_id,
        "group_id": draft.group_id,
        "schedule_id": draft.schedule_id,
        "wave_id": draft.wave_id,
        "prompt_id": draft.prompt_id,
        "author_id": draft.author_id,
        "data_key_id": draft.key_id,
        "bot": draft.bot,
        "kind": draft.kind.value,
        "details_sealed": sealed,
        "priority": draft.priority,
        "urgent": draft.urgent,
        "by_mass": draft.by_mass,
        "state": state,
        "created_at": now,
        "stale_at": draft.stale_at,
    }
    _CREATE.run(tx, **values)
    if draft.by_mass:
        masses = [(ids.new_id(), language) for language in LANGUAGES]
        common = {"account_id": draft.account_id, "broadcast_id": broadcast_id, "state": "planned", "next_at": now, "created_at": now}
        tx.execute(sa.insert(Mass), [{**common, "id": mass_id, "language": language} for mass_id, language in masses])
    return broadcast_id


_DELIVERY = (
    *("account_id", "broadcast_id", "part", "priority", "state", "reason", "route", "due_at"),
    *("stale_at", "changed_at", "attempts"),
)
_DELIVER = Prepared(
    lambda dialect: [upserting(dialect, Delivery).values({name: slot(name) for name in (*_DELIVERY, "person_id")}).on_conflict_do_nothing()]
)


def _delivery(draft: Any, broadcast_id: int, now: datetime) -> dict[str, Any]:
    """What is the same for all. Of a mass send they are in its hand, under no lease: it alone lets go of them."""
    return {
        "account_id": draft.account_id,
        "broadcast_id": broadcast_id,
        "part": 0,
        "priority": draft.priority,
        "state": (State.CLAIMED if draft.by_mass else State.READY).value,
        "reason": "",
        "route": Route.MASS.value if draft.by_mass else None,
        "due_at": now,
        "stale_at": draft.stale_at,
        "changed_at": now,
        "attempts": 0,
    }


def _audience(row: Any, after: int) -> "sa.Select[int]":
    query = (
        sa.select(Membership.person_id)
        .distinct()
        .where(Membership.group_id == row.group_id, Membership.ended_at.is_(None), Membership.person_id > after)
        .order_by(Membership.person_id)
    )
    return query if row.author_id is None else query.where(Membership.person_id != row.author_id)


def _insert_chunk(tx: Tx, row: Any, after: int, now: datetime) -> int:
    """Rows for the next `CHUNK` people behind `after`, in one statement; returns how many."""
    return _insert(tx, row, _audience(row, after).limit(CHUNK), now)


def _insert(tx: Tx, row: Any, audience: "sa.Select[int]", now: datetime) -> int:
    values = _delivery(row, row.id, now)
    people = audience.subquery()
    columns = [sa.literal(value, Delivery.__table__.c[name].type).label(name) for name, value in values.items()]
    rows = sa.select(people.c.person_id, *columns).where(sa.true())  # without a WHERE SQLite takes ON CONFLICT for a join
    insert = upsert(tx, Delivery).from_select(["person_id", *values], rows).on_conflict_do_nothing()
    return tx.execute(insert, execution_options={"preserve_rowcount": True}).rowcount
