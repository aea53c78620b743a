"""Takes due deliveries under a lease, rechecks each one, decides its way and reserves its allowance: one transaction for many."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from app import reach
from app.broadcasts import ALERT
from app.channels import Rules, Verdict
from app.db import Tx
from app.models import Account, Allowance, Attempt, Broadcast, ConsentGiven, Course, Delivery, Identity, Membership, Pace, Person
from app.models import DataKey as DataKeyRow
from app.outbox import ledger
from app.reach import Traffic
from app.states import DUE, OPEN, Route, State
from bots.turns import Role

#: A reply whose last byte was not noted after this many seconds may not have been handed over.
REPLY_SECONDS = 20.0
#: Deliveries that one claim takes: few, so that an alert that comes up meanwhile has little before it.
HANDY = 32


@dataclass(frozen=True)
class Post:
    """One delivery on its way, with all that is needed to write and address it."""

    id: int
    broadcast_id: int
    person_id: int
    identity_id: int
    route: Route
    number: int  # of this attempt, from 1
    priority: int
    bot: str
    kind: str
    language: str
    zone: str
    created_at: datetime
    openid_sealed: bytes = field(repr=False)
    key_id: int = 0
    wrapped: bytes | None = field(default=None, repr=False)
    master_version: int = 0


class _Verdict(NamedTuple):
    """What the recheck says: go by `route`, or the state that the delivery takes instead."""

    route: Route | None
    state: State
    reason: str
    due_at: datetime | None = None


@dataclass(frozen=True)
class Lease:
    """Who works on a row, and until when (seconds of the machine's clock) others leave it alone."""

    owner: str
    until: float


def claim(tx: Tx, account_id: int, lease: Lease, rules: Rules, now: datetime, most: int = HANDY) -> list[Post]:
    """Up to `most` due deliveries of an account that may go now, claimed; all others get the state that fits them.

    Whoever's ledger somebody else holds at this moment (their own push, another worker) stays due for the next claim.
    """
    parked = parked_apis(tx, account_id, now)
    if {"service", "notice"} <= parked.keys():
        return []
    claimed = _take(tx, account_id, lease, now, most)
    if not claimed:
        return []
    held = ledger.seize(tx, account_id, claimed)
    rows = tx.execute(  # after the ledger is held: what it says now stays true until the commit
        _everything(account_id).where(Delivery.id.in_(claimed)).order_by(Delivery.priority, Delivery.due_at, Delivery.id)
    ).all()
    _free(tx, [row.id for row in rows if row.ledger_id not in held and row.ledger_id is not None], now)
    posts, spent = _decide(tx, [row for row in rows if row.ledger_id is None or row.ledger_id in held], rules, parked, now)
    ledger.reserve(tx, spent)
    _note_routes(tx, posts)
    return posts


def _decide(
    tx: Tx, rows: "list[sa.Row[Any]]", rules: Rules, parked: dict[str, datetime], now: datetime
) -> tuple[list[Post], dict[int, Traffic]]:
    """What of these goes, and the ledger of those who are thereby sent something; whatever does not go gets its state."""
    spent: dict[int, Traffic] = {}
    posts: list[Post] = []
    for row in rows:
        known = spent.get(row.identity_id) or _traffic(row)
        verdict = _recheck(row, known, rules, parked, now)
        if verdict.route is None:
            _set(tx, row.id, verdict, now)
            continue
        if verdict.route is Route.SERVICE:
            spent[row.identity_id] = reach.spent(known)
        posts.append(_post(row, verdict.route))
    return posts, spent


def _free(tx: Tx, delivery_ids: list[int], now: datetime) -> None:
    """Leave these to the next claim, as they were."""
    if delivery_ids:
        tx.execute(
            sa.update(Delivery)
            .where(Delivery.id.in_(delivery_ids))
            .values(state=State.READY, lease_owner=None, lease_until=None, changed_at=now)
        )


def _note_routes(tx: Tx, posts: list[Post]) -> None:
    """Write the chosen way down with the claim: whoever frees it after our death knows what was reserved."""
    for route in {post.route for post in posts}:
        chosen = [post.id for post in posts if post.route is route]
        tx.execute(sa.update(Delivery).where(Delivery.id.in_(chosen)).values(route=route.value))


def begin(tx: Tx, posts: list[Post], calls: dict[int, str], lease: Lease, now: datetime) -> list[Post]:
    """Mark these as being written to the socket; returns those that are still ours (the others were cancelled or taken over)."""
    ours = set(
        tx.execute(
            sa.update(Delivery)
            .where(Delivery.id.in_([post.id for post in posts]), Delivery.state == State.CLAIMED, Delivery.lease_owner == lease.owner)
            .values(state=State.SENDING, attempts=Delivery.attempts + 1, lease_until=lease.until, changed_at=now)
            .returning(Delivery.id)
        ).scalars()
    )
    going = [post for post in posts if post.id in ours]
    if going:
        tx.execute(
            sa.insert(Attempt),
            [
                {"delivery_id": post.id, "number": post.number, "call": calls[post.id], "route": post.route.value, "started_at": now}
                for post in going
            ],
        )
    return going


def reap(tx: Tx, now: datetime, machine: float, rules: Rules) -> int:
    """Settle what a dead process left: claims are freed; what was being sent is unknown, except notices, whose id makes a repeat safe."""
    freed = _free_dead_claims(tx, now, machine, rules)
    dead = sa.and_(Delivery.state == State.SENDING, Delivery.lease_until < machine)
    first = (
        sa.select(sa.func.min(Attempt.started_at))
        .where(Attempt.delivery_id == Delivery.id, Attempt.route == Route.NOTICE)
        .scalar_subquery()
    )
    last_route = (
        sa.select(Attempt.route).where(Attempt.delivery_id == Delivery.id).order_by(Attempt.number.desc()).limit(1).scalar_subquery()
    )
    again = tx.execute(
        sa.update(Delivery)
        .where(dead, last_route == Route.NOTICE.value, first > now - rules.notice_repeat)
        .values(state=State.RETRY, reason="answer_lost", due_at=now, lease_owner=None, lease_until=None, changed_at=now)
    ).rowcount
    reason = sa.case((Delivery.route == Route.REPLY.value, "reply_unconfirmed"), else_="answer_lost")
    unknown = tx.execute(
        sa.update(Delivery).where(dead).values(state=State.UNKNOWN, reason=reason, lease_owner=None, lease_until=None, changed_at=now)
    ).rowcount
    return freed + again + unknown


def _free_dead_claims(tx: Tx, now: datetime, machine: float, rules: Rules) -> int:
    """Make due again what a dead process had claimed and not begun, and give back what it had reserved."""
    dead = sa.and_(Delivery.state == State.CLAIMED, Delivery.lease_until < machine)
    mine = sa.and_(Identity.person_id == Delivery.person_id, Identity.account_id == Delivery.account_id)
    reserved = (
        sa.select(Delivery.id, Identity.id.label("identity_id")).join(Identity, mine).where(dead, Delivery.route == Route.SERVICE.value)
    )
    identities = {row.id: row.identity_id for row in tx.execute(reserved)}
    ledger.hold(tx, identities.values())
    freed = (
        tx.execute(
            sa.update(Delivery)
            .where(dead)
            .values(state=State.READY, lease_owner=None, lease_until=None, changed_at=now)
            .returning(Delivery.id)
        )
        .scalars()
        .all()
    )
    ledger.give_back(tx, [identities[each] for each in freed if each in identities], rules, now)
    return len(freed)


def _take(tx: Tx, account_id: int, lease: Lease, now: datetime, most: int) -> list[int]:
    """The claim itself: one statement for both databases (SQLite's single writer needs no row locks and ignores the clause)."""
    due = (
        sa.select(Delivery.id)
        .where(Delivery.account_id == account_id, Delivery.state.in_(DUE), Delivery.due_at <= now)
        .order_by(Delivery.priority, Delivery.due_at, Delivery.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return list(
        tx.execute(
            sa.update(Delivery)
            .where(Delivery.id.in_(due.scalar_subquery()))
            .values(state=State.CLAIMED, lease_owner=lease.owner, lease_until=lease.until, changed_at=now)
            .returning(Delivery.id)
        ).scalars()
    )


def _everything(account_id: int) -> "sa.Select[*tuple[Any, ...]]":
    """All that the recheck looks at, in one statement."""
    member, consent = standing()
    return (
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
            Course.zone.label("course_zone"),
            Course.quiet_from,
            Course.quiet_until,
            Account.notice_id,
            member.label("member"),
            consent.label("consents"),
            _in_doubt_since().label("in_doubt_since"),
        )
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .join(Account, Account.id == Delivery.account_id)
        .join(Person, Person.id == Delivery.person_id)
        .join(DataKeyRow, DataKeyRow.id == Person.data_key_id)
        .outerjoin(Identity, sa.and_(Identity.person_id == Delivery.person_id, Identity.account_id == account_id))
        .outerjoin(Allowance, Allowance.identity_id == Identity.id)
        .outerjoin(Course, Course.id == Broadcast.course_id)
    )


def standing() -> "tuple[sa.ScalarSelect[int | None], sa.Exists]":
    """For a statement over deliveries and broadcasts: 1 for a participant of the group, 2 for its staff, None else; and the consent."""
    member = (
        sa.select(sa.func.max(sa.case((Membership.role == Role.PARTICIPANT.value, 1), else_=2)))
        .where(Membership.group_id == Broadcast.group_id, Membership.person_id == Delivery.person_id, Membership.ended_at.is_(None))
        .scalar_subquery()
    )
    consent = (
        sa.select(ConsentGiven.id)
        .where(ConsentGiven.course_id == Broadcast.course_id, ConsentGiven.person_id == Delivery.person_id, ConsentGiven.ended_at.is_(None))
        .exists()
    )
    return member, consent


def _in_doubt_since() -> "sa.ScalarSelect[datetime]":
    """When the first notice left whose fate nobody knows: its client id is good for a few minutes only."""
    doubtful = sa.or_(Attempt.outcome.is_(None), Attempt.outcome.in_([Verdict.UNKNOWN.value, Verdict.BUSY.value]))
    return (
        sa.select(sa.func.min(Attempt.started_at))
        .where(Attempt.delivery_id == Delivery.id, Attempt.route == Route.NOTICE.value, doubtful)
        .scalar_subquery()
    )


def _recheck(row: Any, traffic: Traffic, rules: Rules, parked: dict[str, datetime], now: datetime) -> _Verdict:
    """Whether this message may still go to this person, and how."""
    refusal = _no_longer(row, now)
    if refusal is not None:
        return refusal
    answers = row.urgent or row.last_reason == "released"  # what the person's own message let out goes at any hour
    quiet = None if answers or row.quiet_from is None else reach.quiet_until(now, row.course_zone, row.quiet_from, row.quiet_until)
    if quiet is not None:
        return _Verdict(None, State.READY, "quiet_hours", quiet)
    way = reach.route(rules, traffic, now, notices=row.notice_id is not None)
    if way.route is None:
        state = State.UNREACHABLE if way.reason == "unfollowed" else State.WAITING
        return _Verdict(None, state, row.last_reason if row.last_reason in {"allowance_used", "too_often"} else way.reason)
    done = _needs_no_notice(row, rules, now) if way.route is Route.NOTICE else None
    if done is not None:
        return done
    if way.route.value in parked:
        return _Verdict(None, State.READY, "parked", parked[way.route.value])
    return _Verdict(way.route, State.CLAIMED, "")


def _needs_no_notice(row: Any, rules: Rules, now: datetime) -> _Verdict | None:
    """Nobody is notified of the same words twice, nor again once the platform has forgotten the id of a notice in doubt."""
    if row.notified_at is not None:
        return _Verdict(None, State.NOTIFIED, "notice")
    if row.in_doubt_since is not None and now - row.in_doubt_since >= rules.notice_repeat:
        return _Verdict(None, State.UNKNOWN, "answer_lost")
    return None


def _no_longer(row: Any, now: datetime) -> _Verdict | None:
    unfollowed = row.identity_id is None or row.unfollowed_at is not None or row.openid_sealed is None
    checks = (
        (row.broadcast_state == "cancelled", State.CANCELLED, "cancelled_by_author"),
        (row.wrapped is None, State.CANCELLED, "erased"),
        (row.stale_at is not None and row.stale_at <= now, State.EXPIRED, "stale"),
        (row.paused_at is not None and not row.urgent, State.CANCELLED, "paused"),
        (row.group_id is not None and row.member is None, State.CANCELLED, "not_member"),
        (row.group_id is not None and row.member == 1 and not row.consents, State.CANCELLED, "no_consent"),
        (unfollowed, State.UNREACHABLE, "unfollowed"),
        (row.unreachable_code is not None, State.UNREACHABLE, "blocked"),
    )
    return next((_Verdict(None, state, reason) for applies, state, reason in checks if applies), None)


def _traffic(row: Any) -> Traffic:
    return Traffic(row.unfollowed_at is None, row.typed_until, row.typed_left or 0, row.tapped_until, row.tapped_left or 0)


def _post(row: Any, route: Route) -> Post:
    return Post(
        id=row.id,
        broadcast_id=row.broadcast_id,
        person_id=row.person_id,
        identity_id=row.identity_id,
        route=route,
        number=row.attempts + 1,
        priority=row.priority,
        bot=row.bot,
        kind=row.kind,
        language=row.language,
        zone=row.course_zone or row.zone,
        created_at=row.created_at,
        openid_sealed=row.openid_sealed,
        key_id=row.data_key_id,
        wrapped=row.wrapped,
        master_version=row.master_version,
    )


def _set(tx: Tx, delivery_id: int, verdict: _Verdict, now: datetime) -> None:
    values: dict[str, Any] = {"state": verdict.state, "reason": verdict.reason, "changed_at": now, "lease_owner": None, "lease_until": None}
    if verdict.due_at is not None:
        values["due_at"] = verdict.due_at
    tx.execute(sa.update(Delivery).where(Delivery.id == delivery_id).values(**values))


def put_back(tx: Tx, posts: list[Post], lease: Lease, rules: Rules, now: datetime, *, until: datetime | None = None) -> int:
    """Nobody calls for these claimed posts now: they are due again, and what was reserved is given back; returns how many.

    `until`: the account was parked, and they are due when it opens again. Without it they keep their turn and their reason.
    """
    ledger.hold(tx, [post.identity_id for post in posts if post.route is Route.SERVICE])
    later: dict[str, Any] = {} if until is None else {"reason": "parked", "due_at": until}
    back = set(
        tx.execute(
            sa.update(Delivery)
            .where(Delivery.id.in_([post.id for post in posts]), Delivery.state == State.CLAIMED, Delivery.lease_owner == lease.owner)
            .values(state=State.READY, lease_owner=None, lease_until=None, changed_at=now, **later)
            .returning(Delivery.id)
        ).scalars()
    )
    ledger.give_back(tx, [post.identity_id for post in posts if post.id in back and post.route is Route.SERVICE], rules, now)
    return len(back)


def expire(tx: Tx, now: datetime) -> int:
    """End what waits past its use; returns how many. Whoever never writes again would else keep a broadcast open for ever."""
    return tx.execute(
        sa.update(Delivery)
        .where(Delivery.state.in_(OPEN), Delivery.stale_at <= now)
        .values(state=State.EXPIRED, reason="stale", changed_at=now)
    ).rowcount


def parked_apis(tx: Tx, account_id: int, now: datetime) -> dict[str, datetime]:
    """Which APIs of an account must not be called now, and until when."""
    rows = tx.execute(sa.select(Pace.api, Pace.parked_until).where(Pace.account_id == account_id, Pace.parked_until > now))
    return {row.api: row.parked_until for row in rows if row.parked_until is not None}


def any_due(tx: Tx, account_id: int, now: datetime) -> bool:
    """Whether an account has deliveries to claim: a look that writes nothing."""
    query = sa.select(Delivery.id).where(Delivery.account_id == account_id, Delivery.state.in_(DUE), Delivery.due_at <= now)
    return tx.execute(query.limit(1)).first() is not None


def urgent_due(tx: Tx, account_id: int, now: datetime) -> bool:
    """Whether an alert of an account waits to be claimed: nothing else goes before it."""
    query = sa.select(Delivery.id).where(Delivery.account_id == account_id, Delivery.state.in_(DUE), Delivery.due_at <= now)
    return tx.execute(query.where(Delivery.priority <= ALERT).limit(1)).first() is not None


def next_due(tx: Tx, after: datetime) -> datetime | None:
    """The first moment after `after` at which a delivery becomes due."""
    query = sa.select(sa.func.min(Delivery.due_at)).where(Delivery.state.in_(DUE), Delivery.due_at > after)
    return tx.execute(query).scalar_one_or_none()
