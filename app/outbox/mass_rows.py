"""Hides how a mass send and its deliveries are found and moved together; what moves them is decided in `mass` and `mass_answers`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import clock
from app.db import Tx
from app.db.prepared import NOW, Anything, Earliest, slot
from app.models import Attempt, Broadcast, Course, Delivery, Identity, Mass, Person, Schedule
from app.models.columns import one_of
from app.outbox import batches, tags
from app.outbox.claims import Lease
from app.states import Route, State
from bots.texts import LANGUAGES

#: In these a mass send goes on by itself.
OPEN = ("planned", "sending", "accepted")
#: Of a delivery in these a mass send has used up one of the person's four, or may have.
_USES = (State.SENDING, State.SENT, State.CONFIRMED, State.UNKNOWN)
#: The platform's months turn in Beijing.
_PLATFORM_ZONE = ZoneInfo("Asia/Shanghai")
_ROWS = 500


@dataclass(frozen=True)
class Job:
    """A mass send in our hand, under a lease. `to_tell`: what its author has still to hear of it."""

    id: int
    account_id: int
    broadcast_id: int
    language: str
    state: str
    tries: int
    client_id: str | None
    msgid: str | None
    to_tell: str | None
    accepted_at: datetime | None


def month_of(moment: datetime) -> str:
    """The month by which the platform counts mass sends."""
    return f"{moment.astimezone(_PLATFORM_ZONE):%Y-%m}"


def used(account_id: Any, month: str) -> "sa.Select[int, int]":
    """A statement: by person (`person_id`) how many mass sends of an account they have had in a month (`used`)."""
    counts = (Mass.account_id == account_id, Mass.month == month)
    sends = sa.select(Mass.broadcast_id).where(*counts).distinct().subquery()  # of two languages a person had one
    return (
        sa.select(Delivery.person_id, sa.func.count().label("used"))
        .join(sends, sends.c.broadcast_id == Delivery.broadcast_id)
        .where(Delivery.route == Route.MASS.value, Delivery.state.in_(_USES))
        .group_by(Delivery.person_id)
    )


def planned_in(tx: Tx, group_id: int, month: str, now: datetime) -> int:
    """How many mass sends are planned for a group in a month and have not begun."""
    planned = sa.select(Schedule.fire_at).where(Schedule.group_id == group_id, Schedule.state == "planned", Schedule.by_mass)
    return sum(month_of(max(at, now)) == month for at in tx.execute(planned).scalars())


def any_due(tx: Tx, account_id: int, now: datetime) -> bool:
    """Whether a mass send of this account has a next step; a look that writes nothing."""
    return _ANY_DUE.there(tx, account=account_id, now=now, machine=clock.machine_seconds())


def next_due(tx: Tx, after: datetime) -> datetime | None:
    """The first moment after `after` at which a mass send goes on."""
    return _NEXT.moment(tx, now=after)


def take(tx: Tx, account_id: int, lease: Lease, now: datetime) -> Job | None:
    """The mass send that has waited longest, for us alone; None where none is due."""
    query = (
        _due(account_id, now, clock.machine_seconds()).order_by(Mass.next_at, Mass.id).limit(1).with_for_update(skip_locked=True, of=Mass)
    )
    row = tx.execute(query).one_or_none()
    if row is None:
        return None
    tx.execute(sa.update(Mass).where(Mass.id == row.id).values(lease_owner=lease.owner, lease_until=lease.until))
    shown = (row.broadcast_id, row.language, row.state, row.tries, row.client_id, row.msgid, row.to_tell, row.accepted_at)
    return Job(row.id, account_id, *shown)


def _due(account_id: int, now: datetime, machine: float) -> "sa.Select[Any]":
    free = sa.or_(Mass.lease_until.is_(None), Mass.lease_until < machine)
    moment = sa.and_(one_of(Mass.state, OPEN), Mass.next_at <= now)
    return (
        sa.select(*Mass.__table__.columns)
        .join(Broadcast, Broadcast.id == Mass.broadcast_id)
        .where(Mass.account_id == account_id, sa.or_(moment, Mass.to_tell.is_not(None)), free, Broadcast.state != "expanding")
    )


_ANY_DUE = Anything(lambda: _due(slot("account"), NOW, slot("machine")))
_NEXT = Earliest(lambda: sa.select(sa.func.min(Mass.next_at)).where(one_of(Mass.state, OPEN), Mass.next_at > NOW))


def ours(tx: Tx, job: Job, lease: Lease, state: str) -> bool:
    """Whether a mass send is still in our hand and stands as we think; then for another lease."""
    mine = (Mass.id == job.id, Mass.lease_owner == lease.owner, Mass.state == state)
    return bool(tx.execute(sa.update(Mass).where(*mine).values(lease_until=lease.until)).rowcount)


def row_of(tx: Tx, mass_id: int) -> Any:
    """A mass send as it stands until the commit."""
    return tx.execute(sa.select(*Mass.__table__.columns).where(Mass.id == mass_id).with_for_update()).one()


def broadcast_of(tx: Tx, job: Job) -> Any:
    """The broadcast that it is, with its course's hours."""
    query = sa.select(
        *Broadcast.__table__.columns, Course.zone.label("zone"), Course.quiet_from, Course.quiet_until, Course.silences
    ).outerjoin(Course, Course.id == Broadcast.course_id)
    return tx.execute(query.where(Broadcast.id == job.broadcast_id)).one()


def gathered(tx: Tx, job: Job, *, hold: bool = False) -> dict[int, int | None]:
    """The deliveries that it has in hand, each with the identity that it would go to. `hold`: nobody takes one back before the commit."""
    others = [each for each in LANGUAGES if each != job.language]
    language = Person.language.not_in(others) if job.language == LANGUAGES[0] else Person.language == job.language
    known = sa.and_(Identity.person_id == Delivery.person_id, Identity.account_id == Delivery.account_id)
    query = (
        sa.select(Delivery.id, Identity.id)
        .join(Person, Person.id == Delivery.person_id)
        .outerjoin(Identity, known)
        .where(Delivery.broadcast_id == job.broadcast_id, Delivery.state == State.CLAIMED, Delivery.route == Route.MASS.value, language)
    )
    return {row[0]: row[1] for row in tx.execute(query.with_for_update(of=Delivery) if hold else query)}


def went_under(broadcast_id: int, client_id: str) -> sa.ColumnElement[bool]:
    """Whether a delivery went in this mass send."""
    attempt = sa.select(Attempt.id).where(Attempt.delivery_id == Delivery.id, Attempt.call == client_id).exists()
    return sa.and_(Delivery.broadcast_id == broadcast_id, Delivery.route == Route.MASS.value, attempt)


def move(tx: Tx, broadcast_id: int, client_id: str, states: Sequence[State], now: datetime, **values: Any) -> int:
    """Give the deliveries that went under a client id, and stand in these states, other values; returns how many."""
    meant = sa.and_(went_under(broadcast_id, client_id), Delivery.state.in_(states))
    return tx.execute(sa.update(Delivery).where(meant).values(changed_at=now, **values)).rowcount


def end_attempts(tx: Tx, broadcast_id: int, client_id: str, now: datetime, **values: Any) -> None:
    """Write down what came of the attempts under a client id that are open."""
    those = sa.select(Delivery.id).where(Delivery.broadcast_id == broadcast_id, Delivery.route == Route.MASS.value)
    meant = (Attempt.delivery_id.in_(those), Attempt.call == client_id, Attempt.ended_at.is_(None))
    tx.execute(sa.update(Attempt).where(*meant).values(ended_at=now, **values))


def pass_on(tx: Tx, delivery_ids: Iterable[int], reason: str, now: datetime) -> None:
    """These go another way: whatever is open to each person."""
    ids = list(delivery_ids)
    for start in range(0, len(ids), _ROWS):
        batches.pass_over(tx, ids[start : start + _ROWS], State.READY.value, reason, now, now)


def wait(tx: Tx, job: Job, until: datetime, code: str | None) -> None:
    """Nothing to do before then; anybody may go on."""
    tx.execute(sa.update(Mass).where(Mass.id == job.id).values(next_at=until, code=code, lease_owner=None, lease_until=None))


def end(tx: Tx, job: Job, state: str, code: str | None, now: datetime, *, to_tell: str | None = None, **values: Any) -> None:
    """It is over: nothing readable of it is left but its broadcast, and its tag follows the group again."""
    ended = {"state": state, "code": code, "ended_at": now, "text_sealed": None, "in_doubt": False, "to_tell": to_tell}
    tx.execute(sa.update(Mass).where(Mass.id == job.id).values(**ended, lease_owner=None, lease_until=None, **values))
    tags.let_go(tx, job.id, now)


def give_way(tx: Tx, job: Job, code: str, now: datetime) -> None:
    """No mass send helps here: each message goes whatever way is open to its person, and the author is told."""
    pass_on(tx, gathered(tx, job), "mass_not_possible", now)
    end(tx, job, "void", code, now, to_tell="mass", month=None)
