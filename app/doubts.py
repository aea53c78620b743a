"""Hides what a person may decide of deliveries that nothing decides by itself: held after a restore, or unknown because an answer was lost.

A chunk a call, so that nobody waits behind a million rows; each decision is audited in the transaction that carries it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import audit, flags
from app.channels import Verdict
from app.db import Tx
from app.models import Attempt, Broadcast, Course, Delivery, Flag, Group, Identity, Schedule, stands
from app.states import IN_DOUBT, WRITTEN_OFF, State
from bots.turns import OccasionKind

#: Deliveries that one call decides.
CHUNK = 2_000


@dataclass(frozen=True)
class Chosen:
    """Which deliveries are meant: those with these ids, of this announcement, of this course; everything where nothing is said."""

    ids: tuple[int, ...] = ()
    schedule_id: int | None = None
    course_id: int | None = None


@dataclass(frozen=True)
class Line:
    """Deliveries of one broadcast that stand alike."""

    broadcast_id: int
    number: int | None  # the announcement's, where it is one
    kind: str
    course: str | None
    group: str | None
    state: str
    reason: str
    count: int
    stale: int  # how many of them are past their use
    since: datetime


@dataclass(frozen=True)
class One:
    """One delivery in doubt; never a name."""

    id: int
    person_id: int
    broadcast_id: int
    state: str
    reason: str
    code: str | None
    since: datetime


def lines(tx: Tx, chosen: Chosen, states: Sequence[State], now: datetime) -> list[Line]:
    """What is in doubt, by broadcast, oldest first."""
    stale = sa.func.sum(sa.case((Delivery.stale_at <= now, 1), else_=0))
    query = (
        sa.select(
            Broadcast.id,
            Schedule.number,
            Broadcast.kind,
            Course.code,
            Group.name,
            Delivery.state,
            Delivery.reason,
            sa.func.count(),
            stale,
            sa.type_coerce(sa.func.min(Delivery.changed_at), Delivery.changed_at.type),
        )
        .select_from(Delivery)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .outerjoin(Schedule, Schedule.id == Broadcast.schedule_id)
        .outerjoin(Course, Course.id == Broadcast.course_id)
        .outerjoin(Group, Group.id == Broadcast.group_id)
        .where(*_meant(chosen, states))
        .group_by(Broadcast.id, Schedule.number, Broadcast.kind, Course.code, Group.name, Delivery.state, Delivery.reason)
        .order_by(Broadcast.id, Delivery.state)
    )
    return [Line(*row) for row in tx.execute(query)]


def each(tx: Tx, chosen: Chosen, states: Sequence[State], most: int) -> list[One]:
    """What is in doubt, one by one, at most so many."""
    columns = (Delivery.id, Delivery.person_id, Delivery.broadcast_id, Delivery.state, Delivery.reason, Delivery.code, Delivery.changed_at)
    return [One(*row) for row in tx.execute(sa.select(*columns).where(*_meant(chosen, states)).order_by(Delivery.id).limit(most))]


def release(tx: Tx, chosen: Chosen, now: datetime) -> int:
    """Let held deliveries go: the claim rechecks each, and what is past its use expires. Returns how many; 0 when none is left."""
    released = _some(tx, _meant(chosen, (State.HELD,)))
    _make_due(tx, released, now)
    return _noted(tx, "deliveries.release", chosen, len(released), now)


def send_again(tx: Tx, chosen: Chosen, now: datetime, *, actor: str = "operator") -> int:
    """Send deliveries once more whose first answer was lost: a person takes it upon themself that they may arrive twice.

    Not what is past its use or was taken back. Returns how many; 0 when none is left.
    """
    taken_back = sa.select(Broadcast.id).where(Broadcast.state == "cancelled")
    of_use = sa.or_(Delivery.stale_at.is_(None), Delivery.stale_at > now)
    again = _some(tx, (*_meant(chosen, (State.UNKNOWN,)), of_use, Delivery.broadcast_id.not_in(taken_back)))
    lost = sa.or_(Attempt.outcome.is_(None), Attempt.outcome.in_([Verdict.UNKNOWN.value, Verdict.BUSY.value]))
    # Decided: an attempt in doubt no longer keeps a notice from being sent under the same id (app/outbox/claims.py).
    tx.execute(sa.update(Attempt).where(Attempt.delivery_id.in_(again), lost).values(outcome=WRITTEN_OFF))
    _make_due(tx, again, now)
    return _noted(tx, "deliveries.send_again", chosen, len(again), now, actor=actor)


def revivable(schedule_id: int) -> "sa.ColumnElement[bool]":
    """Deliveries of an announcement that ended without arriving and may be tried once more: past their use, given up, or closed then.

    Not what WeChat refused for its words, nor what was taken back, nor who has left.
    """
    live = sa.select(Broadcast.id).where(
        Broadcast.schedule_id == schedule_id, Broadcast.kind == OccasionKind.ANNOUNCEMENT.value, Broadcast.state != "cancelled"
    )
    open_now = sa.select(Identity.id).where(
        Identity.person_id == Delivery.person_id,
        Identity.account_id == Delivery.account_id,
        Identity.unfollowed_at.is_(None),
        Identity.unreachable_code.is_(None),
    )
    ended = sa.or_(
        Delivery.state == State.EXPIRED,
        sa.and_(Delivery.state == State.FAILED, Delivery.reason == "gave_up"),
        Delivery.state == State.UNREACHABLE,
    )
    return sa.and_(Delivery.broadcast_id.in_(live), ended, open_now.exists())


def revive(tx: Tx, schedule_id: int, now: datetime, *, useful: timedelta, actor: str) -> int:
    """Try these once more, for as long as is `useful`; the claim rechecks each. Returns how many, of a chunk."""
    again = _some(tx, (revivable(schedule_id),))
    _make_due(tx, again, now)
    tx.execute(sa.update(Delivery).where(Delivery.id.in_(again)).values(stale_at=now + useful))
    return _noted(tx, "deliveries.revive", Chosen(schedule_id=schedule_id), len(again), now, actor=actor)


def write_off(tx: Tx, chosen: Chosen, states: Sequence[State], now: datetime) -> int:
    """Give deliveries up: what is held is cancelled, what is unknown stays so and is closed. Returns how many; 0 when none is left."""
    closed = 0
    if State.HELD in states:
        held = _some(tx, _meant(chosen, (State.HELD,)))
        tx.execute(sa.update(Delivery).where(Delivery.id.in_(held)).values(state=State.CANCELLED, reason="not_released", changed_at=now))
        closed += len(held)
    if State.UNKNOWN in states:
        unknown = _some(tx, _meant(chosen, (State.UNKNOWN,)))
        tx.execute(sa.update(Delivery).where(Delivery.id.in_(unknown)).values(reason=WRITTEN_OFF, changed_at=now))
        closed += len(unknown)
    return _noted(tx, "deliveries.write_off", chosen, closed, now)


def resume_alerts(tx: Tx, now: datetime) -> int:
    """Call again for open flags whose calls stopped with a restore; returns for how many. None is called a day after it was raised."""
    stopped = (Flag.acknowledged_at.is_(None), Flag.next_alert_at.is_(None), Flag.raised_at > now - flags.CALLED_FOR)
    count = tx.execute(sa.update(Flag).where(*stopped).values(next_alert_at=now)).rowcount
    audit.record(tx, now, "operator", "flags.resume", "flags", count=count)
    return count


def _meant(chosen: Chosen, states: Sequence[State]) -> tuple[Any, ...]:
    found: list[Any] = [Delivery.state.in_(states), stands(IN_DOUBT), Delivery.reason != WRITTEN_OFF]
    if chosen.ids:
        found.append(Delivery.id.in_(chosen.ids))
    if chosen.schedule_id is not None:
        found.append(Delivery.broadcast_id.in_(sa.select(Broadcast.id).where(Broadcast.schedule_id == chosen.schedule_id)))
    if chosen.course_id is not None:
        found.append(Delivery.broadcast_id.in_(sa.select(Broadcast.id).where(Broadcast.course_id == chosen.course_id)))
    return tuple(found)


def _some(tx: Tx, meant: tuple[Any, ...]) -> list[int]:
    """A chunk of what is meant, held until the transaction ends."""
    query = sa.select(Delivery.id).where(*meant).order_by(Delivery.id).limit(CHUNK).with_for_update(skip_locked=True)
    return list(tx.execute(query).scalars())


def _make_due(tx: Tx, delivery_ids: list[int], now: datetime) -> None:
    mine = sa.select(Delivery.broadcast_id).where(Delivery.id.in_(delivery_ids))
    tx.execute(sa.update(Broadcast).where(Broadcast.id.in_(mine), Broadcast.state == "done").values(state="going"))
    tx.execute(
        sa.update(Delivery)
        .where(Delivery.id.in_(delivery_ids))
        .values(state=State.READY, reason="", code=None, due_at=now, changed_at=now, lease_owner=None, lease_until=None)
    )


def _noted(tx: Tx, action: str, chosen: Chosen, count: int, now: datetime, *, actor: str = "operator") -> int:
    if count:
        subject = "all" if chosen.schedule_id is None else f"schedule:{chosen.schedule_id}"
        audit.record(tx, now, actor, action, subject, count=count, ids=list(chosen.ids), course=chosen.course_id)
    return count
