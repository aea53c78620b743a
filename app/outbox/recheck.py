"""Hides whether a due message may still go to its person, and how: everything is looked at once more in the claim."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from app import access, broadcasts, reach
from app.channels import Rules, Verdict
from app.db import Tx
from app.db.prepared import Prepared
from app.models import Account, Allowance, Attempt, Broadcast, Course, Delivery, Identity, Membership, Person, PollAnswer
from app.models import DataKey as DataKeyRow
from app.outbox.batches import in_dialect
from app.outbox.pace import Gates
from app.reach import Traffic
from app.states import Route, State
from bots.turns import OccasionKind, Role

#: What was left over from earlier days takes half of a day's cap until then, so that what comes up today still finds room.
EVENING = time(18)


class Decision(NamedTuple):
    """What the recheck says: go by `route`, or the state that the delivery takes instead."""

    route: Route | None
    state: State
    reason: str
    due_at: datetime | None = None
    day: date | None = None  # it goes, and is one of those that we start with its person on this local day


def standing() -> "tuple[sa.ScalarSelect[int | None], sa.Exists]":
    """For a statement over deliveries and broadcasts: 1 for a participant of the group, 2 for its staff, None else; and the consent."""
    member = (
        sa.select(sa.func.max(sa.case((Membership.role == Role.PARTICIPANT.value, 1), else_=2)))
        .where(Membership.group_id == Broadcast.group_id, Membership.person_id == Delivery.person_id, Membership.ended_at.is_(None))
        .scalar_subquery()
    )
    return member, access.agreed(Delivery.person_id, Broadcast.course_id)


def everything(tx: Tx, delivery_ids: Iterable[int]) -> list[Any]:
    """All that the recheck looks at, in one statement."""
    return _EVERYTHING.all(tx, ids=delivery_ids)


def _build(dialect: str) -> list[Any]:
    """The deliveries are found by their ids and in no other way: `+ 0` is no column that an index knows.

    Where PostgreSQL takes its tables for empty (it counted them while thousands of rows were being written), it would else look up every
    person's delivery in every broadcast, and claim nothing for a minute.
    """
    member, consent = standing()
    statement = (
        sa.select(
            Delivery.id,
            Delivery.person_id,
            Delivery.broadcast_id,
            Delivery.stale_at,
            Delivery.attempts,
            Delivery.priority,
            Delivery.notified_at,
            Delivery.reason.label("last_reason"),
            Broadcast.state.label("broadcast_state"),
            Broadcast.bot,
            Broadcast.kind,
            Broadcast.urgent,
            Broadcast.group_id,
            Broadcast.created_at,
            Person.paused_at,
            Person.language,
            Person.zone,
            Person.data_key_id,
            Person.name_sealed,
            DataKeyRow.wrapped,
            DataKeyRow.master_version,
            Identity.id.label("identity_id"),
            Identity.unfollowed_at,
            Identity.unreachable_code,
            Identity.openid_sealed,
            Allowance.identity_id.label("ledger_id"),
            Allowance.typed_until,
            Allowance.typed_left,
            Allowance.tapped_until,
            Allowance.tapped_left,
            Allowance.started_on,
            Allowance.started,
            Course.zone.label("course_zone"),
            Course.quiet_from,
            Course.quiet_until,
            Course.cap,
            Course.silences,
            Account.notice_id,
            member.label("member"),
            consent.label("consents"),
            in_doubt_since().label("in_doubt_since"),
            _answered().label("answered"),
        )
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id + 0)
        .join(Account, Account.id == Delivery.account_id + 0)
        .join(Person, Person.id == Delivery.person_id + 0)
        .join(DataKeyRow, DataKeyRow.id == Person.data_key_id)
        .outerjoin(Identity, sa.and_(Identity.person_id == Delivery.person_id, Identity.account_id == Delivery.account_id))
        .outerjoin(Allowance, Allowance.identity_id == Identity.id)
        .outerjoin(Course, Course.id == Broadcast.course_id)
        .where(in_dialect("deliveries.id $ids", dialect))
    )
    return [statement]


_EVERYTHING = Prepared(_build)


def in_doubt_since() -> "sa.ScalarSelect[datetime]":
    """When the first notice left whose fate nobody knows: its client id is good for a few minutes only."""
    doubtful = sa.or_(Attempt.outcome.is_(None), Attempt.outcome == Verdict.UNKNOWN.value, Attempt.outcome == Verdict.BUSY.value)
    return (
        sa.select(sa.func.min(Attempt.started_at))
        .where(Attempt.delivery_id == Delivery.id, Attempt.route == Route.NOTICE.value, doubtful)
        .scalar_subquery()
    )


def _answered() -> "sa.ColumnElement[bool]":
    """Whether somebody who is asked once more has answered meanwhile."""
    theirs = (PollAnswer.schedule_id == Broadcast.schedule_id, PollAnswer.person_id == Delivery.person_id)
    return sa.case((Broadcast.kind == OccasionKind.FOLLOW_UP.value, sa.select(PollAnswer.id).where(*theirs).exists()), else_=sa.false())


def decide(row: Any, traffic: Traffic, rules: Rules, gates: Gates, now: datetime) -> Decision:
    """Whether this message may still go to this person, and how. A way that is shut makes it due when the way opens."""
    refusal = no_longer(row, now) or _rest(row, now)
    if refusal is not None:
        return refusal
    way = reach.route(rules, traffic, now, notices=gates.notices)
    if way.route is None:
        state = State.UNREACHABLE if way.reason == "unfollowed" else State.WAITING
        return Decision(None, state, row.last_reason if row.last_reason in {"allowance_used", "too_often"} else way.reason)
    done = _needs_no_notice(row, rules, now) if way.route is Route.NOTICE else None
    if done is not None:
        return done
    day = counted_on(row, way.route, now, row.course_zone or row.zone)
    held = None if day is None else _over_the_cap(row, reach.started(traffic, day), now)
    if held is None and way.route in gates.shut and way.route not in gates.probes:
        held = Decision(None, State.READY, "parked", gates.shut[way.route])
    return held or Decision(way.route, State.CLAIMED, "", day=day)


def starts(row: Any) -> bool:
    """Whether it is we who start this: no alert, no answer, nothing that the person's own message let out. Those go at any hour."""
    return not row.urgent and row.priority > broadcasts.ANSWER and row.last_reason != "released"


def counted_on(row: Any, route: Route, at: datetime, zone: str) -> date | None:
    """The local day on which this message counts where it goes at `at`; None where we do not start it.

    A notice in doubt was counted when it first left, and may have come: its repeat is no other message.
    """
    again = route is Route.NOTICE and row.in_doubt_since is not None
    return _local_day(at, zone) if starts(row) and not again else None


def _rest(row: Any, now: datetime) -> Decision | None:
    """Held back until the course starts something again, or None where it does now."""
    if row.course_zone is None or not starts(row):
        return None
    silent = reach.silent_until(now, reach.silences(row.silences)) if row.silences else None
    if silent is not None:
        return _held(row, "silence", silent)
    quiet = _quiet_until(now, row.course_zone, row.quiet_from, row.quiet_until)
    return None if quiet is None else _held(row, "quiet_hours", quiet)


def _over_the_cap(row: Any, started: int, now: datetime) -> Decision | None:
    """After so many that were started with the person today: until when this one is held back."""
    if row.cap is None:
        return None
    until = None
    if started >= row.cap:
        until = _next_day(now, row.course_zone, row.quiet_from, row.quiet_until)
    elif row.last_reason == "cap" and started >= (row.cap + 1) // 2:
        until = reach.later_today(now, row.course_zone, EVENING)
    return None if until is None else _held(row, "cap", until)


def _held(row: Any, reason: str, until: datetime) -> Decision:
    """It is due again then, or when it is of no use any more, so that it is said to have expired at that moment and not later."""
    return Decision(None, State.READY, reason, until if row.stale_at is None else min(until, row.stale_at))


#: A claim asks the same of every message of a course.
_quiet_until = lru_cache(maxsize=256)(reach.quiet_until)
_local_day = lru_cache(maxsize=256)(reach.local_day)
_next_day = lru_cache(maxsize=256)(reach.next_day)


def traffic_of(row: Any) -> Traffic:
    """What the ledger says of the row's person."""
    return Traffic(
        following=row.unfollowed_at is None,
        typed_until=row.typed_until,
        typed_left=row.typed_left or 0,
        tapped_until=row.tapped_until,
        tapped_left=row.tapped_left or 0,
        started_on=row.started_on,
        started=row.started or 0,
    )


def _needs_no_notice(row: Any, rules: Rules, now: datetime) -> Decision | None:
    """Nobody is notified of the same words twice, nor again once the platform has forgotten the id of a notice in doubt."""
    if row.notified_at is not None:
        return Decision(None, State.NOTIFIED, "notice")
    if row.in_doubt_since is not None and now - row.in_doubt_since >= rules.notice_repeat:
        return Decision(None, State.UNKNOWN, "answer_lost")
    return None


def no_longer(row: Any, now: datetime) -> Decision | None:
    """Why this message must not go to this person any more, whatever the way; None where it may."""
    unfollowed = row.identity_id is None or row.unfollowed_at is not None or row.openid_sealed is None
    checks = (
        (row.broadcast_state == "cancelled", State.CANCELLED, "cancelled_by_author"),
        (row.answered, State.CANCELLED, "answered"),
        (row.wrapped is None, State.CANCELLED, "erased"),
        (row.stale_at is not None and row.stale_at <= now, State.EXPIRED, "stale"),
        (row.paused_at is not None and not row.urgent, State.CANCELLED, "paused"),
        (row.group_id is not None and row.member is None, State.CANCELLED, "not_member"),
        (row.group_id is not None and row.member == 1 and not row.consents, State.CANCELLED, "no_consent"),
        (unfollowed, State.UNREACHABLE, "unfollowed"),
        (row.unreachable_code is not None, State.UNREACHABLE, "blocked"),
    )
    return next((Decision(None, state, reason) for applies, state, reason in checks if applies), None)


def group_by_decision(decisions: Mapping[int, Decision]) -> dict[Decision, list[int]]:
    """The deliveries that get the same answer, together."""
    found: dict[Decision, list[int]] = {}
    for delivery, decision in decisions.items():
        found.setdefault(decision, []).append(delivery)
    return found
