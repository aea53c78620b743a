"""Lets what waits go along with a person's own reply, or out through the window that they just opened. Never into an open dialogue."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from app import audit, broadcasts
from app.broadcasts import Composer
from app.channels import LinkMaker, render
from app.db import Tx
from app.db.prepared import NOW, Prepared, slot
from app.keyring import Keyring
from app.logs import place_of
from app.models import Attempt, Broadcast, Course, Delivery, Person, stands
from app.models.columns import one_of
from app.outbox import recheck
from app.outbox.claims import REPLY_SECONDS
from app.people import names
from app.states import OPEN, Route, State
from bots.texts import Texts

log = structlog.get_logger()

#: What one touch looks at: more than this is left for the next one.
_MOST = 10


@dataclass(frozen=True)
class Riding:
    """What goes along: the words in order, and how many are left behind."""

    texts: tuple[str, ...]
    left_behind: int


def waiting(tx: Tx, person_id: int, account_id: int, now: datetime) -> int:
    """How many messages wait for this person; what is past its use expires now, what is not theirs any more is cancelled."""
    _EXPIRE.run(tx, person=person_id, account=account_id, now=now)
    there = int(_COUNT.first(tx, person=person_id, account=account_id).waiting)
    return there - _take_back(tx, person_id, account_id, now) if there else 0


_MINE = (Delivery.person_id == slot("person"), Delivery.account_id == slot("account"), stands(OPEN))
_EXPIRE = Prepared(
    lambda _: [
        sa.update(Delivery).where(*_MINE, Delivery.stale_at <= NOW).values(state=State.EXPIRED.value, reason="stale", changed_at=NOW)
    ]
)
_COUNT = Prepared(lambda _: [sa.select(sa.func.count().label("waiting")).select_from(Delivery).where(*_MINE)])


def _take_back(tx: Tx, person_id: int, account_id: int, now: datetime) -> int:
    """Cancel what was taken back while it was on its way, and what waits from groups that the person has left.

    The claim's recheck, for what does not pass through a claim.
    """
    found = _DOUBTFUL.all(tx, person=person_id, account=account_id)
    rows = [row for row in found if row.state != "cancelled"]
    gone = {
        "cancelled_by_author": [row.id for row in found if row.state == "cancelled"],
        "not_member": [row.id for row in rows if row.member is None],
        "no_consent": [row.id for row in rows if row.member == 1 and not row.consents],
    }
    for reason, ids in gone.items():
        if ids:
            tx.execute(sa.update(Delivery).where(Delivery.id.in_(ids)).values(state=State.CANCELLED, reason=reason, changed_at=now))
    return sum(map(len, gone.values()))


def _doubtful() -> "sa.Select[*tuple[Any, ...]]":
    member, consents = recheck.standing()
    query = sa.select(Delivery.id, Broadcast.state, member.label("member"), consents.label("consents"))
    waiting_from = query.join(Broadcast, Broadcast.id == Delivery.broadcast_id).where(*_MINE)
    return waiting_from.where(sa.or_(Broadcast.group_id.is_not(None), Broadcast.state == "cancelled"))


_DOUBTFUL = Prepared(lambda _: [_doubtful()])


def board(
    tx: Tx,
    keyring: Keyring,
    composer: Composer,
    words: Texts,
    link: LinkMaker,
    *,
    person_id: int,
    account_id: int,
    language: str,
    inbox_id: int,
    room: int,
    now: datetime,
    machine: float,
) -> Riding:
    """Put the oldest waiting messages that fit into `room` bytes onto the reply to push `inbox_id`."""
    rows = _OPEN.all(tx, person=person_id, account=account_id)
    details = broadcasts.details_of(tx, keyring, sorted({row.broadcast_id for row in rows}))
    named = any(map(broadcasts.names_reader, details.values()))
    name = names(tx, keyring, [person_id]).get(person_id) if named else None
    taken: list[Any] = []
    texts: list[str] = []
    unwritable: list[Any] = []
    for row in rows:
        try:
            text = _condensed(composer, words, link, row, details[row.broadcast_id], language, name)
        except Exception as bug:  # noqa: BLE001 - one message that cannot be written must not silence the person's dialogue for ever
            log.error("message_not_written", kind=type(bug).__name__, where=place_of(bug), bot=row.bot)  # noqa: TRY400 - may hold words
            unwritable.append(row)
            continue
        size = len(text.encode()) + 2  # and the empty line before it
        if size > room:
            break
        room -= size
        taken.append(row)
        texts.append(text)
    _mark(tx, taken, inbox_id, now, machine)
    _fail(tx, unwritable, now)
    return Riding(tuple(texts), len(rows) - len(taken) - len(unwritable))


def release(tx: Tx, person_id: int, account_id: int, allowance: int, now: datetime) -> int:
    """Make the oldest waiting messages due, as many as the window just opened allows; returns how many."""
    if allowance <= 0:
        return 0
    return _RELEASE.count(tx, person=person_id, account=account_id, most=allowance, due_at=now + timedelta(seconds=2), now=now)


def _release() -> "sa.Update":
    oldest = sa.select(Delivery.id).where(*_MINE).order_by(Delivery.id).limit(slot("most"))
    released = {"state": State.READY.value, "reason": "released", "due_at": slot("due_at"), "changed_at": NOW}
    return sa.update(Delivery).where(Delivery.id.in_(oldest.scalar_subquery())).values(**released)


_RELEASE = Prepared(lambda _: [_release()])


def handed_over(tx: Tx, inbox_id: int, now: datetime) -> None:
    """The last byte of the reply was handed to the server: what rode along counts as sent (WeChat confirms no reply)."""
    _SENT.run(tx, inbox=inbox_id, now=now)


def _handed_over() -> "list[sa.Update]":
    mine = (Delivery.inbox_id == slot("inbox"), one_of(Delivery.state, (State.SENDING, State.UNKNOWN)))
    sent = {"state": State.SENT.value, "reason": "reply", "changed_at": NOW, "lease_owner": None, "lease_until": None}
    riders = sa.select(Delivery.id).where(Delivery.inbox_id == slot("inbox"))
    theirs = (Attempt.delivery_id.in_(riders), Attempt.route == Route.REPLY.value, Attempt.ended_at.is_(None))
    return [
        sa.update(Delivery).where(*mine, Delivery.route == Route.REPLY.value).values(**sent),
        sa.update(Attempt).where(*theirs).values(ended_at=NOW, outcome="handed_over"),
    ]


_SENT = Prepared(lambda _: _handed_over())


def _open() -> "sa.Select[*tuple[Any, ...]]":
    """The oldest of what waits for somebody."""
    return (
        sa.select(
            Delivery.id,
            Delivery.broadcast_id,
            Delivery.attempts,
            Broadcast.bot,
            Broadcast.kind,
            Broadcast.created_at,
            sa.func.coalesce(Course.zone, Person.zone).label("zone"),
        )
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .join(Person, Person.id == Delivery.person_id)
        .outerjoin(Course, Course.id == Broadcast.course_id)
        .where(*_MINE)
        .order_by(Delivery.id)
        .limit(_MOST)
    )


_OPEN = Prepared(lambda _: [_open()])


def _condensed(
    composer: Composer, words: Texts, link: LinkMaker, row: Any, details: dict[str, Any], language: str, reader: str | None
) -> str:
    """One waiting message with a line that says what, from whom and from when it is."""
    message = composer.compose(row.bot, row.kind, language, row.zone, details, reader)
    sender = words.fill("sender.system", language) if not details.get("author_name") else str(details["author_name"])
    kind = words.fill(f"kind.{row.kind}", language)
    header = words.fill("ride.header", language, row.zone, kind=kind, sender=sender, when=row.created_at)
    return f"{header}\n{render(message, link)}"


def _fail(tx: Tx, rows: list[Any], now: datetime) -> None:
    for row in rows:
        tx.execute(sa.update(Delivery).where(Delivery.id == row.id).values(state=State.FAILED, reason="uncomposable", changed_at=now))
        audit.alarm(tx, now, "message_not_written", f"bot:{row.bot}")


def _mark(tx: Tx, taken: list[Any], inbox_id: int, now: datetime, machine: float) -> None:
    aboard = {"inbox": inbox_id, "until": machine + REPLY_SECONDS, "now": now}
    _BOARD.each(tx, [{**aboard, "delivery": row.id} for row in taken])
    call = f"reply.{inbox_id}"
    _ATTEMPT.each(tx, [{"delivery": row.id, "number": row.attempts + 1, "call": call, "now": now} for row in taken])


def _boarding() -> "sa.Update":
    sending = {"state": State.SENDING.value, "route": Route.REPLY.value, "reason": "reply_unconfirmed", "changed_at": NOW}
    lease = {"inbox_id": slot("inbox"), "attempts": Delivery.attempts + 1, "lease_until": slot("until")}
    return sa.update(Delivery).where(Delivery.id == slot("delivery")).values(**sending, **lease)


def _attempt() -> "sa.Insert":
    which = {"delivery_id": slot("delivery"), "number": slot("number"), "call": slot("call")}
    return sa.insert(Attempt).values(**which, route=Route.REPLY.value, started_at=NOW)


_BOARD = Prepared(lambda _: [_boarding()])
_ATTEMPT = Prepared(lambda _: [_attempt()])
