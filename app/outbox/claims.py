"""Takes due deliveries under a lease, rechecks each one, decides its way and reserves its allowance: one transaction for many."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from app import reach
from app.channels import Rules
from app.db import Look, Tx
from app.db.prepared import NOW, Anything, Earliest, Prepared, slot
from app.models import Attempt, Broadcast, Course, Delivery, Identity, Person, stands
from app.outbox import batches, ledger, pace, recheck, turns
from app.outbox.ledger import Reserved
from app.outbox.pace import Gates
from app.outbox.recheck import Decision
from app.reach import Traffic
from app.states import DUE, LEASED, OPEN, Route, State

#: A reply whose last byte was not noted after this many seconds may not have been handed over.
REPLY_SECONDS = 20.0
#: Deliveries that one claim takes where nobody says otherwise.
HANDY = 128
#: Where everything is parked, so many are looked at for one that can probe.
_PROBES = 8
#: As the index of leases has it: SQLite recognises no other words.
_LEASED = stands(LEASED)


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
    name_sealed: bytes | None = field(default=None, repr=False)  # opened only where the words ask for the reader's name
    probe: bool = False  # its way is parked: it alone tries whether that is over
    day: date | None = None  # it counts as one that we start with its person on this local day

    @property
    def reserved(self) -> Reserved:
        """What it takes of its person's ledger."""
        return Reserved(self.identity_id, self.route is Route.SERVICE, self.day)


@dataclass(frozen=True)
class Lease:
    """Who works on a row, and until when (seconds of the machine's clock) others leave it alone."""

    owner: str
    until: float


@dataclass(frozen=True)
class Claim:
    """What one claim found: the posts that go, in their order, and how many others got a state instead."""

    posts: list[Post]
    passed_over: int = 0
    broadcasts: frozenset[int] = frozenset()  # whose turn it was


def claim(
    tx: Tx, account_id: int, lease: Lease, rules: Rules, now: datetime, most: int = HANDY, served: Mapping[int, int] | None = None
) -> Claim:
    """Up to `most` due deliveries of an account that may go now, claimed; all others get the state that fits them.

    Whoever's ledger somebody else holds at this moment (their own push, another worker) stays due for the next claim. While everything
    is parked nothing is touched, but for the one message that probes.
    """
    gates = pace.look(tx, account_id, now)
    if gates.shut and not gates.closed:
        gates = pace.hold(tx, account_id, now)
    if gates.closed:
        return Claim([])
    due = turns.due(tx, account_id, now, _PROBES if gates.only_probes else most, served or {})
    if not due:
        return Claim([])
    held = ledger.seize(tx, account_id, due)
    place = {delivery: number for number, delivery in enumerate(due)}
    rows = recheck.everything(tx, due)  # after the ledger is held: what it says now stays true until the commit
    rows.sort(key=lambda row: place[row.id])
    free = [row for row in rows if row.ledger_id is None or held is None or row.ledger_id in held]
    decisions = _decide(free, rules, gates, now)
    going = _with_probes(tx, account_id, [row for row in free if decisions[row.id].route is not None], decisions, gates, now)
    passed = {row.id: decisions[row.id] for row in free if decisions[row.id].route is None}
    for decision, some in recheck.group_by_decision(passed).items():
        batches.pass_over(tx, some, decision.state.value, decision.reason, decision.due_at, now)
    for route in pace.APIS:
        some = [post.id for post in going if post.route is route]
        if some:
            batches.claim(tx, some, route, lease.owner, lease.until, now)
    ledger.reserve(tx, [post.reserved for post in going])
    return Claim(going, len(passed), frozenset(row.broadcast_id for row in free))


def _decide(rows: "list[Any]", rules: Rules, gates: Gates, now: datetime) -> dict[int, Decision]:
    """What of these goes and how, each in the light of what the ones before it used of the same person's allowance and day."""
    several = {identity for identity, times in Counter(row.identity_id for row in rows).items() if times > 1}
    spent: dict[int, Traffic] = {}
    decisions: dict[int, Decision] = {}
    knocked: set[Route] = set()
    for row in rows:
        known = spent.get(row.identity_id) or recheck.traffic_of(row)
        decision = decisions[row.id] = recheck.decide(row, known, rules, gates, now)
        if decision.route is None or decision.route in knocked:
            continue
        if decision.route in gates.probes:
            knocked.add(decision.route)  # what would go after it by this way stays where it is, and uses nothing
        if row.identity_id in several:
            known = reach.spent(known) if decision.route is Route.SERVICE else known
            spent[row.identity_id] = known if decision.day is None else reach.counted(known, decision.day)
    return decisions


def _with_probes(tx: Tx, account_id: int, rows: "list[Any]", decisions: Mapping[int, Decision], gates: Gates, now: datetime) -> list[Post]:
    """The posts of these rows: of a way that is shut the first one alone, and only where no other process probes it."""
    posts: list[Post] = []
    knocked: set[Route] = set()
    for row in rows:
        route, day = decisions[row.id].route, decisions[row.id].day
        if route is None or route in knocked:
            continue
        probe = route in gates.probes
        if probe:
            knocked.add(route)
            if not pace.take_probe(tx, account_id, route, gates.probes[route], now):
                continue
        posts.append(_post(row, route, day, probe=probe))
    return posts


@dataclass(frozen=True)
class Start:
    """Posts that are about to be written to the socket, under a lease of their own. `calls`: the name of each post's call.

    None of them goes where something is due at `due_at` that goes before everything of the priority `before`.
    """

    account_id: int
    posts: Sequence[Post]
    calls: Mapping[int, str]
    lease: Lease
    now: datetime
    before: int = 0  # nothing goes before an alert
    due_at: datetime | None = None

    def steps(self) -> list[Look]:
        """What `begin` asks, for whoever asks ahead."""
        if not self.posts:
            return []
        rows = [(post.id, post.number, self.calls[post.id], post.route.value) for post in self.posts]
        lease, due_at = self.lease, self.due_at or self.now
        return batches.beginning(self.account_id, rows, lease.owner, lease.until, self.now, self.before, due_at)


def begin(tx: Tx, start: Start) -> list[Post] | None:
    """Mark these as being written to the socket; returns those that are ours to send (the others were cancelled or taken over).

    None where something more urgent waits: nothing has begun. Done twice, it finds what it did.
    """
    if not start.posts:
        return []
    ours = batches.begun(tx, start.steps())
    if not ours and start.before and turns.more_urgent(tx, start.account_id, start.before, start.due_at or start.now):
        return None
    return [post for post in start.posts if post.id in ours]


def reap(tx: Tx, now: datetime, machine: float, rules: Rules) -> int:
    """Settle what a dead process left: claims are freed; what was being sent is unknown, except notices, whose id makes a repeat safe."""
    if not _ANY_DEAD.there(tx, machine=machine):
        return 0
    freed = _free_dead_claims(tx, now, machine, rules)
    dead = sa.and_(_LEASED, Delivery.state == State.SENDING, Delivery.lease_until < machine)
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


_ANY_DEAD = Anything(lambda: sa.select(Delivery.id).where(_LEASED, Delivery.lease_until < slot("machine")))


def _free_dead_claims(tx: Tx, now: datetime, machine: float, rules: Rules) -> int:
    """Make due again what a dead process had claimed and not begun, and give back what it had reserved."""
    dead = sa.and_(_LEASED, Delivery.state == State.CLAIMED, Delivery.lease_until < machine)
    mine = sa.and_(Identity.person_id == Delivery.person_id, Identity.account_id == Delivery.account_id)
    columns = (Delivery.id, Delivery.route, Delivery.priority, Delivery.reason.label("last_reason"), Delivery.changed_at, Broadcast.urgent)
    query = (
        sa.select(
            *columns,
            Identity.id.label("identity_id"),
            sa.func.coalesce(Course.zone, Person.zone).label("zone"),
            recheck.in_doubt_since().label("in_doubt_since"),
        )
        .join(Identity, mine)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .join(Person, Person.id == Delivery.person_id)
        .outerjoin(Course, Course.id == Broadcast.course_id)
        .where(dead)
    )
    reserved = {
        row.id: Reserved(
            row.identity_id, row.route == Route.SERVICE.value, recheck.counted_on(row, Route(row.route), row.changed_at, row.zone)
        )
        for row in tx.execute(query)
    }
    ledger.hold(tx, [each.identity_id for each in reserved.values()])
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
    ledger.give_back(tx, [reserved[each] for each in freed if each in reserved], rules, now)
    return len(freed)


def _post(row: Any, route: Route, day: date | None, *, probe: bool) -> Post:
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
        name_sealed=row.name_sealed,
        probe=probe,
        day=None if day is None else max(day, row.started_on or day),
    )


def put_back(tx: Tx, posts: Sequence[Post], lease: Lease, rules: Rules, now: datetime, *, reason: str | None = None) -> int:
    """Nobody calls for these claimed posts now: they are due again, and what was reserved is given back; returns how many.

    They keep their turn. `reason`: why they did not go; without it the one from before stays.
    """
    ledger.hold(tx, [post.identity_id for post in posts])
    because: dict[str, Any] = {} if reason is None else {"reason": reason}
    back = set(
        tx.execute(
            sa.update(Delivery)
            .where(Delivery.id.in_([post.id for post in posts]), Delivery.state == State.CLAIMED, Delivery.lease_owner == lease.owner)
            .values(state=State.READY, lease_owner=None, lease_until=None, changed_at=now, **because)
            .returning(Delivery.id)
        ).scalars()
    )
    ledger.give_back(tx, [post.reserved for post in posts if post.id in back], rules, now)
    return len(back)


def expire(tx: Tx, now: datetime) -> int:
    """End what waits past its use; returns how many. Whoever never writes again would else keep a broadcast open for ever."""
    return _EXPIRE.count(tx, now=now)


_EXPIRE = Prepared(
    lambda _: [
        sa.update(Delivery).where(stands(OPEN), Delivery.stale_at <= NOW).values(state=State.EXPIRED.value, reason="stale", changed_at=NOW)
    ]
)


def any_due(tx: Tx, account_id: int, now: datetime) -> bool:
    """Whether an account has deliveries to claim: a look that writes nothing."""
    return turns.any_due(tx, account_id, now) and not pace.look(tx, account_id, now).closed


def next_due(tx: Tx, after: datetime) -> datetime | None:
    """The first moment after `after` at which a delivery becomes due."""
    return min((each for each in (_NEXT.moment(tx, now=after), pace.next_opening(tx, after)) if each is not None), default=None)


_NEXT = Earliest(lambda: sa.select(sa.func.min(Delivery.due_at)).where(stands(DUE), Delivery.due_at > NOW))
