"""Hides what is thrown away and when: replies after minutes, pushes after a month, details of what has ended after half a year.

One process does it for all (a row in `chores` under a lease), a chunk a transaction, so that nobody waits behind it. Nothing that is
open is touched, nor flags and their contacts, consents, participants, or which message reached whom.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Any

import sqlalchemy as sa
import structlog

from app import clock
from app.db import Database, Tx, upsert
from app.integrations import keys
from app.models import (
    Alarm,
    Attempt,
    Audit,
    Broadcast,
    CheckIn,
    Chore,
    ConsoleSession,
    Course,
    Delivery,
    Guess,
    IdempotencyKey,
    InboxItem,
    Pass,
    PollAnswer,
    Quarantined,
    Receipt,
    Scan,
    SigninTry,
)
from app.questions import standing
from app.settings import Settings
from bots.turns import OccasionKind

log = structlog.get_logger()

#: Rows that one transaction looks at.
CHUNK = 500
#: Between two chunks the others have the database to themselves for this long.
_PAUSE_SECONDS = 0.02
#: A process that has not gone on for this long is dead, and another one takes over.
_LEASE_SECONDS = 120.0
#: Replies are served for a minute; a push that came while the database was away may still need its own a little later.
_REPLIES = timedelta(minutes=15)
#: Wrong codes count for an hour, failed sign-ins for a quarter of one.
_GUESSES = timedelta(days=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Keep:
    """How long things are kept."""

    pushes: timedelta
    quarantine: timedelta
    details: timedelta
    audit: timedelta


@dataclass(frozen=True)
class Chunk:
    """What a transaction did: rows that are gone, and from where the next one goes on; None where nothing is left."""

    gone: int
    after: tuple[int, ...] | None


#: One kind of thing: a chunk of it, from `after` on.
Step = Callable[[Tx, Keep, datetime, tuple[int, ...]], Chunk]


def keep(settings: Settings) -> Keep:
    """How long things are kept, according to the settings."""
    return Keep(
        timedelta(days=settings.keep_pushes_days),
        timedelta(days=settings.keep_quarantine_days),
        timedelta(days=settings.keep_details_days),
        timedelta(days=settings.keep_audit_days),
    )


async def run_due(database: Database, kept: Keep) -> dict[str, int]:
    """Do what is due, if no other process is at it; returns how many rows of each kind are gone."""
    gone: dict[str, int] = {}
    for name, (every, steps) in CHORES.items():
        if await database.read(partial(_is_due, name=name, now=clock.now())) and await database.write(partial(_begin, name=name)):
            for kind, step in steps.items():
                count = await _throw_away(database, kept, name, step, remembers=name == REPLIES)
                gone |= {kind: count} if count else {}
            await database.write(partial(_finish, name=name, due_at=clock.now() + every))
    if gone:
        log.info("thrown_away", **gone)
    return gone


def count(tx: Tx, kept: Keep, now: datetime) -> dict[str, int]:
    """How many rows of each kind would go now."""
    found = {}
    for kind, query in _counts(kept, now).items():
        found[kind] = tx.execute(query).scalar_one()
    return found


def make_due(tx: Tx) -> None:
    """Let everything be due now."""
    tx.execute(sa.update(Chore).where(Chore.name.in_(CHORES)).values(due_at=clock.now()))


async def _throw_away(database: Database, kept: Keep, chore: str, step: Step, *, remembers: bool) -> int:
    total = 0
    after: tuple[int, ...] | None = await database.read(partial(_through, name=chore)) if remembers else ()
    while after is not None:
        chunk = await database.write(partial(_one_chunk, kept=kept, chore=chore, step=step, after=after, remembers=remembers))
        total += chunk.gone
        after = chunk.after
        await asyncio.sleep(_PAUSE_SECONDS)
    return total


def _one_chunk(tx: Tx, kept: Keep, chore: str, step: Step, after: tuple[int, ...], *, remembers: bool) -> Chunk:
    chunk = step(tx, kept, clock.now(), after)
    renewed: dict[str, Any] = {"lease_until": clock.machine_seconds() + _LEASE_SECONDS}
    if remembers and chunk.after is not None:
        renewed["through"] = chunk.after[0]
    tx.execute(sa.update(Chore).where(Chore.name == chore).values(**renewed))
    return chunk


def _is_due(tx: Tx, name: str, now: datetime) -> bool:
    row = tx.execute(sa.select(Chore.due_at, Chore.lease_until).where(Chore.name == name)).one_or_none()
    return row is None or (row.due_at <= now and (row.lease_until is None or row.lease_until < clock.machine_seconds()))


def _begin(tx: Tx, name: str) -> bool:
    """Take a chore in hand; False where another process was faster."""
    machine, now = clock.machine_seconds(), clock.now()
    tx.execute(upsert(tx, Chore).values(name=name, due_at=now).on_conflict_do_nothing())
    free = sa.or_(Chore.lease_until.is_(None), Chore.lease_until < machine)
    taken = sa.update(Chore).where(Chore.name == name, Chore.due_at <= now, free).values(lease_until=machine + _LEASE_SECONDS)
    return tx.execute(taken.returning(Chore.name)).first() is not None


def _finish(tx: Tx, name: str, due_at: datetime) -> None:
    tx.execute(sa.update(Chore).where(Chore.name == name).values(due_at=due_at, lease_until=None))


def _through(tx: Tx, name: str) -> tuple[int, ...]:
    through: int | None = tx.execute(sa.select(Chore.through).where(Chore.name == name)).scalar_one()
    return () if through is None else (through,)


def _replies(tx: Tx, _kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    """Forget the replies of a stretch of the inbox, once and for all: ids grow with time, so the next run begins where this one ended."""
    rows = _stretch(tx, InboxItem.id, InboxItem.received_at, after)
    old = list(takewhile(lambda row: row.at < now - _REPLIES, rows))
    if not old:
        return Chunk(0, None)
    within = sa.and_(InboxItem.id.in_([row.id for row in old]), InboxItem.reply_sealed.is_not(None))
    gone = tx.execute(sa.update(InboxItem).where(within).values(reply_sealed=None)).rowcount
    return Chunk(gone, (old[-1].id,))


def _pushes(tx: Tx, kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    return _walk(tx, InboxItem, InboxItem.received_at, now - kept.pushes, after)


def _receipts(tx: Tx, kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    return _walk(tx, Receipt, Receipt.received_at, now - kept.pushes, after)


def _guesses(tx: Tx, _kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    return _walk(tx, Guess, Guess.at, now - _GUESSES, after)


def _by_machine(now: datetime) -> datetime:
    """Signing in knows no demo's clock (app/console/sessions.py): its rows grow old by the machine's."""
    return now - clock.offset()


def _tries(tx: Tx, _kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    return _walk(tx, SigninTry, SigninTry.at, _by_machine(now) - _GUESSES, after)


def _scans(tx: Tx, _kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    return _walk(tx, Scan, Scan.created_at, _by_machine(now) - _GUESSES, after)


def _sessions(tx: Tx, kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    return _walk(tx, ConsoleSession, ConsoleSession.began_at, _by_machine(now) - kept.pushes, after)


def _keys(tx: Tx, _kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    return _walk(tx, IdempotencyKey, IdempotencyKey.created_at, now - keys.KEPT, after)


def _passes(tx: Tx, kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    return _walk(tx, Pass, Pass.created_at, _by_machine(now) - kept.pushes, after)


def _quarantined(tx: Tx, kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    before = now - kept.quarantine
    return _walk(tx, Quarantined, Quarantined.received_at, before, after, only=Quarantined.settled_at < before)


def _audits(tx: Tx, kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    return _walk(tx, Audit, Audit.at, now - kept.audit, after)


def _alarms(tx: Tx, kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    return _walk(tx, Alarm, Alarm.first_at, now - kept.details, after, only=Alarm.last_at < now - kept.details)


def _poll_answers(tx: Tx, kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    """Who chose what half a year ago; a poll is over after weeks at most."""
    return _walk(tx, PollAnswer, PollAnswer.first_at, now - kept.details, after, only=PollAnswer.at < now - kept.details)


#: Broadcasts whose words were of use to one person for a day or three.
_PASSING = (OccasionKind.CONTINUATION.value, OccasionKind.REPORT.value)


def _answers(tx: Tx, kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    """Rests of long replies and reports to authors, with their deliveries, when every one has ended."""
    return _walk(tx, Broadcast, Broadcast.created_at, now - kept.details, after, only=_passed())


def _passed() -> "sa.ColumnElement[bool]":
    return sa.and_(Broadcast.kind.in_(_PASSING), Broadcast.state.in_(["done", "cancelled"]), ~_has_open())


def _has_open() -> "sa.Exists":
    """A cancelled broadcast may still have something on its way."""
    return sa.select(Delivery.id).where(Delivery.broadcast_id == Broadcast.id, Delivery.state == "sending").exists()


def _attempts(tx: Tx, kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    """The single tries of courses that ended long ago; what became of each delivery stays. `after`: course, broadcast, person."""
    course_id, broadcast_id, person_id = after or (0, 0, 0)
    if not course_id:
        found = tx.execute(_ended(now - kept.details).limit(1)).scalar_one_or_none()
        return Chunk(0, None if found is None else (found, 0, 0))
    mine = sa.select(Delivery.id, Delivery.person_id).where(Delivery.broadcast_id == broadcast_id, Delivery.person_id > person_id)
    rows = tx.execute(mine.order_by(Delivery.person_id).limit(CHUNK)).all() if broadcast_id else []
    if rows:
        gone = tx.execute(sa.delete(Attempt).where(Attempt.delivery_id.in_([row.id for row in rows]))).rowcount
        return Chunk(gone, (course_id, broadcast_id, rows[-1].person_id))
    next_one = sa.select(sa.func.min(Broadcast.id)).where(
        Broadcast.course_id == course_id, Broadcast.id > broadcast_id, Broadcast.state.in_(["done", "cancelled"])
    )
    following = tx.execute(next_one).scalar_one_or_none()
    if following is not None:
        return Chunk(0, (course_id, following, 0))
    tx.execute(upsert(tx, Chore).values(name=_mark(course_id), due_at=now).on_conflict_do_nothing())
    return Chunk(0, (0, 0, 0))


def _questions(tx: Tx, kept: Keep, now: datetime, _after: tuple[int, ...]) -> Chunk:
    """What was asked and answered in courses that ended long ago; that it was asked, and when it was answered, stays."""
    gone = standing.forget_of_courses(tx, now - kept.details, CHUNK)
    return Chunk(gone, () if gone else None)


def _ended(before: datetime) -> "sa.Select[int]":
    """Courses that ended before then and whose attempts have not been thrown away yet."""
    done = sa.select(Chore.name).where(Chore.name == sa.literal(_mark("")).concat(sa.cast(Course.id, sa.String))).exists()
    return sa.select(Course.id).where(Course.ended_at < before, ~done).order_by(Course.id)


def _lines(tx: Tx, kept: Keep, now: datetime, after: tuple[int, ...]) -> Chunk:
    """What people wrote for themselves when they practised, in courses that ended long ago; day, practice and minutes stay."""
    old = tx.execute(_old_lines(now - kept.details, *after).limit(CHUNK)).scalars().all()
    gone = tx.execute(sa.update(CheckIn).where(CheckIn.id.in_(old)).values(line_sealed=None)).rowcount if old else 0
    return Chunk(gone, (old[-1],) if len(old) == CHUNK else None)


def _old_lines(before: datetime, after: int = 0) -> "sa.Select[int]":
    query = sa.select(CheckIn.id).join(Course, Course.id == CheckIn.course_id)
    return query.where(Course.ended_at < before, CheckIn.line_sealed.is_not(None), CheckIn.id > after).order_by(CheckIn.id)


def _mark(course_id: int | str) -> str:
    return f"attempts of course {course_id}"


def _walk(tx: Tx, table: Any, at: Any, before: datetime, after: tuple[int, ...], *, only: "sa.ColumnElement[bool] | None" = None) -> Chunk:
    """Delete the old rows of one stretch. Ids grow with time: where a stretch holds none the walk is over, and no index is needed."""
    rows = _stretch(tx, table.id, at, after)
    old = [row.id for row in rows if row.at < before]
    meant = (table.id.in_(old),) if only is None else (table.id.in_(old), only)
    gone = tx.execute(sa.delete(table).where(*meant)).rowcount if old else 0
    return Chunk(gone, (rows[-1].id,) if old and len(rows) == CHUNK else None)


def _stretch(tx: Tx, key: Any, at: Any, after: tuple[int, ...]) -> Any:
    query = sa.select(key.label("id"), at.label("at")).order_by(key).limit(CHUNK)
    return tx.execute(query.where(key > after[0]) if after else query).all()


REPLIES = "replies"
# Decided: flags, contacts and closing notes have no rule. A study answers for what was done when somebody may have been in danger as long
# as it answers for anything, there are few, and a number that was given once must not be given again. Erasing a person empties theirs.
#: What is done how often, in this order.
CHORES: Mapping[str, tuple[timedelta, Mapping[str, Step]]] = {
    REPLIES: (timedelta(minutes=10), {"replies": _replies}),
    "retention": (
        _DAY,
        {
            "pushes": _pushes,
            "receipts": _receipts,
            "guesses": _guesses,
            "tries": _tries,
            "scans": _scans,
            "sessions": _sessions,
            "links": _passes,
            "api_answers": _keys,
            "quarantine": _quarantined,
            "answers": _answers,
            "poll_answers": _poll_answers,
            "questions": _questions,
            "attempts": _attempts,
            "practice_lines": _lines,
            "alarms": _alarms,
            "audit": _audits,
        },
    ),
}


def _counts(kept: Keep, now: datetime) -> dict[str, Any]:
    def of(table: Any, *meant: Any) -> Any:
        return sa.select(sa.func.count()).select_from(table).where(*meant)

    tries = (
        of(Attempt)
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Broadcast.course_id.in_(_ended(now - kept.details)), Broadcast.state.in_(["done", "cancelled"]))
    )
    settled = Quarantined.settled_at < now - kept.quarantine
    return {
        "replies": of(InboxItem, InboxItem.reply_sealed.is_not(None), InboxItem.received_at < now - _REPLIES),
        "pushes": of(InboxItem, InboxItem.received_at < now - kept.pushes),
        "receipts": of(Receipt, Receipt.received_at < now - kept.pushes),
        "guesses": of(Guess, Guess.at < now - _GUESSES),
        "tries": of(SigninTry, SigninTry.at < _by_machine(now) - _GUESSES),
        "scans": of(Scan, Scan.created_at < _by_machine(now) - _GUESSES),
        "sessions": of(ConsoleSession, ConsoleSession.began_at < _by_machine(now) - kept.pushes),
        "api_answers": of(IdempotencyKey, IdempotencyKey.created_at < now - keys.KEPT),
        "links": of(Pass, Pass.created_at < _by_machine(now) - kept.pushes),
        "quarantine": of(Quarantined, Quarantined.received_at < now - kept.quarantine, settled),
        "answers": of(Broadcast, Broadcast.created_at < now - kept.details, _passed()),
        "poll_answers": of(PollAnswer, PollAnswer.at < now - kept.details),
        "questions": standing.count_of_courses(now - kept.details),
        "attempts": tries,
        "practice_lines": sa.select(sa.func.count()).select_from(_old_lines(now - kept.details).order_by(None).subquery()),
        "alarms": of(Alarm, Alarm.last_at < now - kept.details),
        "audit": of(Audit, Audit.at < now - kept.audit),
    }
