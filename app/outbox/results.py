"""Writes down what the platform said of each attempt: one state with its reason, the ledger corrected, the account parked or alarmed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import audit, broadcasts
from app.channels import MassCounts, Rules, SendError, Verdict
from app.db import Look, Tx, upsert
from app.db.prepared import Prepared, slot
from app.models import Allowance, Attempt, Broadcast, Delivery, Identity, Receipt
from app.outbox import batches, ledger, mass_answers, pace
from app.outbox.claims import Post
from app.outbox.ledger import Reserved
from app.states import Route, State

#: After this many tries that never left this machine a delivery has failed.
MOST_TRIES = 8
#: Equal refusals of the content that stop the whole broadcast (bad-inputs.md, part 4).
MOST_REFUSALS = 3
#: States in which an opened read page is news: the words have arrived after all.
_READABLE = (State.NOTIFIED, State.UNKNOWN, State.WAITING, State.RETRY, State.EXPIRED, State.HELD)
#: Refusals of the whole account, and the reason that its messages then wait for.
_ACCOUNT_WIDE = {
    Verdict.TOKEN: "account_broken",
    Verdict.ACCOUNT_BROKEN: "account_broken",
    Verdict.WAIT_MINUTE: "parked",
    Verdict.WAIT_DAY: "parked",
}
#: Refusals after which nothing may be sent until the person writes again.
_EMPTYING = (Verdict.WINDOW_CLOSED, Verdict.ALLOWANCE_USED)
#: After these the person may have the message.
_MAY_HAVE_COME = (Verdict.UNKNOWN, Verdict.BUSY, Verdict.SAME_ID_TOO_SOON, Verdict.DUPLICATE)
#: The receipts that were faster than the answers to our own calls.
_EARLY = batches.statement(
    """
    SELECT CAST($list($pair(msgid, status)) AS text) AS receipts FROM receipts
    WHERE account_id = :account_id AND msgid $texts AND applied_at IS NULL""",
    sa.Column("receipts", sa.Text),
)
#: Our own words for calls that we ended ourselves; they say nothing of the road to the platform.
_OURS = frozenset({"closed", "taken_back", "no_database"})


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt: `error` None means accepted."""

    post: Post
    msgid: str | None = None
    error: SendError | None = None
    unwritable: bool = False  # the words could not be made; nothing was called
    aboard: int | None = None  # the delivery whose message it went in, where several went as one

    @property
    def usual(self) -> bool:
        """Whether the platform just took it."""
        return self.error is None and not self.unwritable

    @property
    def plain(self) -> bool:
        """Whether nothing follows from it for anybody else: it was taken, alone, and was no probe."""
        return self.usual and not self.post.probe and self.aboard is None

    @property
    def spare(self) -> bool:
        """Whether it went in another one's message, which counted once: what was reserved for it was not used."""
        return self.aboard not in (None, self.post.id)

    @property
    def gives_back(self) -> bool:
        """Whether the message that was reserved for it is still there."""
        if self.post.route is not Route.SERVICE:
            return False
        if self.error is None:
            return self.unwritable or self.spare
        # Where the whole account was refused nothing counted against this person.
        return self.spare or self.error.verdict is Verdict.NOT_SENT or self.error.verdict in _ACCOUNT_WIDE

    @property
    def never_came(self) -> bool:
        """Whether it certainly came to nobody as a message of its own: it counts for no day."""
        return self.unwritable or self.spare or (self.error is not None and self.error.verdict not in _MAY_HAVE_COME)

    @property
    def empties(self) -> bool:
        """Whether the platform said that nothing is left for this person."""
        return self.error is not None and self.error.verdict in _EMPTYING


@dataclass(frozen=True)
class _Next:
    """The delivery's next state."""

    state: State
    reason: str
    due_at: datetime | None = None


def settle(
    tx: Tx, account_id: int, outcomes: Sequence[Outcome], rules: Rules, now: datetime, well: Mapping[Route, int] | None = None
) -> None:
    """Write down the outcomes of these attempts. Only rows that are still `sending` change: a later word is never overwritten.

    `well`: how many calls by each route went well since the last doubt was written down; they weigh against the doubts.
    """
    unusual = [each for each in outcomes if not each.usual]
    concerned = [each for each in outcomes if not each.usual or each.spare]
    if concerned:
        ledger.hold(tx, [each.post.identity_id for each in concerned])
        _give_back(tx, concerned, rules, now)
    for outcome in unusual:
        _settle_one(tx, account_id, outcome, rules, now)
    accept(tx, account_id, [each for each in outcomes if each.usual], now)
    for route in pace.APIS:
        mine = [each for each in outcomes if each.post.route is route and not each.unwritable]
        _weigh(tx, account_id, route, mine, (well or {}).get(route, 0), now)


def accept(tx: Tx, account_id: int, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Write down what the platform took: two statements for all of them, and one that looks for receipts that were faster than we."""
    batches.take(tx, _accepting(outcomes, now))
    for step, values in _early(account_id, outcomes):
        for msgid, status in json.loads(step.first(tx, **values).receipts or "[]"):
            _apply(tx, account_id, msgid, status, now)


def steps(account_id: int, outcomes: Sequence[Outcome], now: datetime) -> list[Look]:
    """What `accept` asks, for whoever asks ahead."""
    return [*_accepting(outcomes, now), *_early(account_id, outcomes)]


def _accepting(outcomes: Sequence[Outcome], now: datetime) -> list[Look]:
    found: list[Look] = []
    for route, state in ((Route.SERVICE, State.SENT), (Route.NOTICE, State.NOTIFIED)):
        taken = [(each.post.id, each.post.number, each.msgid) for each in outcomes if each.post.route is route]
        if taken:
            found += batches.accepting(route, taken, state.value, now)
    return found


def _early(account_id: int, outcomes: Sequence[Outcome]) -> list[Look]:
    msgids = [each.msgid for each in outcomes if each.msgid is not None]
    return [(_EARLY, {"account_id": account_id, "ids": msgids})] if msgids else []


def _weigh(tx: Tx, account_id: int, route: Route, outcomes: Sequence[Outcome], well: int, now: datetime) -> None:
    """What these calls say of the road to the platform: a probe decides at once, others are weighed against each other."""
    for outcome in outcomes:
        if outcome.post.probe and outcome.error is not None and outcome.error.verdict in pace.TROUBLE:
            pace.trouble(tx, account_id, route, 1, now, probe=True)
        elif outcome.post.probe and (outcome.error is None or outcome.error.verdict not in _ACCOUNT_WIDE):
            pace.recovered(tx, account_id, route, now)
    others = [each for each in outcomes if not each.post.probe]
    bad = sum(1 for each in others if each.error is not None and each.error.verdict in pace.TROUBLE and each.error.code not in _OURS)
    if bad:
        pace.trouble(tx, account_id, route, bad - well - sum(1 for each in others if each.usual), now)


def _settle_one(tx: Tx, account_id: int, outcome: Outcome, rules: Rules, now: datetime) -> None:
    post, error = outcome.post, outcome.error
    following = _next(tx, outcome, rules, now)
    code = None if error is None else error.code
    values: dict[str, Any] = {
        "state": following.state,
        "reason": following.reason,
        "code": code,
        "route": post.route.value,
        "changed_at": now,
        "lease_owner": None,
        "lease_until": None,
    }
    if following.due_at is not None:
        values["due_at"] = following.due_at
    if following.state is State.NOTIFIED:
        values["notified_at"] = now
    tx.execute(sa.update(Delivery).where(Delivery.id == post.id, Delivery.state == State.SENDING).values(**values))
    tx.execute(
        sa.update(Attempt)
        .where(Attempt.delivery_id == post.id, Attempt.number == post.number)
        .values(ended_at=now, outcome=_word(outcome), code=code, msgid=outcome.msgid)
    )
    if error is not None:
        _consequences(tx, account_id, post, error, now)
    if outcome.unwritable:
        audit.alarm(tx, now, "message_not_written", f"bot:{post.bot}")


def _word(outcome: Outcome) -> str:
    return "unwritten" if outcome.error is None else outcome.error.verdict.value


def _next(tx: Tx, outcome: Outcome, rules: Rules, now: datetime) -> _Next:
    post, error = outcome.post, outcome.error
    if error is None:
        return _Next(State.FAILED, "uncomposable")
    match error.verdict:
        case Verdict.UNKNOWN | Verdict.BUSY:
            return _in_doubt(tx, post, error.verdict, rules, now)
        case Verdict.NOT_SENT:
            return _again_later(_never_sent(tx, post), now)
        case Verdict.DUPLICATE:
            there = post.route is Route.NOTICE and _was_ambiguous(tx, post)
            return _Next(State.NOTIFIED, "notice") if there else _Next(State.FAILED, "bad_message")
        case verdict if verdict in _ACCOUNT_WIDE:
            return _Next(State.READY, _ACCOUNT_WIDE[verdict])  # its turn comes again when the account's gate opens (app/outbox/pace.py)
        case _:
            return _refused(error.verdict, now)


def _never_sent(tx: Tx, post: Post) -> int:
    """How often this delivery, the present try included, did not leave this machine."""
    query = sa.select(sa.func.count()).where(Attempt.delivery_id == post.id, Attempt.outcome == Verdict.NOT_SENT.value)
    return int(tx.execute(query).scalar_one()) + 1


def _again_later(tried: int, now: datetime) -> _Next:
    pause = timedelta(seconds=min(300, 5 * 2 ** (tried - 1)))
    return _Next(State.FAILED, "gave_up") if tried >= MOST_TRIES else _Next(State.RETRY, "network", now + pause)


def _in_doubt(tx: Tx, post: Post, verdict: Verdict, rules: Rules, now: datetime) -> _Next:
    """A notice may be repeated under its id; a service message never is."""
    reason = "platform_busy" if verdict is Verdict.BUSY else "answer_lost"
    if post.route is Route.NOTICE and _may_repeat(tx, post, rules, now):
        return _Next(State.RETRY, reason, now + timedelta(seconds=15))
    return _Next(State.UNKNOWN, reason)


def _refused(verdict: Verdict, now: datetime) -> _Next:
    """The next state after a clear refusal."""
    table: dict[Verdict, _Next] = {
        Verdict.SAME_ID_TOO_SOON: _Next(State.RETRY, "platform_busy", now + timedelta(seconds=60)),
        Verdict.WINDOW_CLOSED: _Next(State.READY, "window_closed", now),
        Verdict.ALLOWANCE_USED: _Next(State.READY, "allowance_used", now),
        Verdict.RECIPIENT_CLOSED: _Next(State.UNREACHABLE, "blocked"),
        Verdict.TOO_OFTEN: _Next(State.WAITING, "too_often"),
    }
    return table.get(verdict, _Next(State.FAILED, "bad_message"))


def _consequences(tx: Tx, account_id: int, post: Post, error: SendError, now: datetime) -> None:
    """What a refusal means beyond this one delivery."""
    match error.verdict:
        case verdict if verdict in _EMPTYING:
            tx.execute(sa.update(Allowance).where(Allowance.identity_id == post.identity_id).values(typed_left=0, tapped_left=0))
        case Verdict.RECIPIENT_CLOSED:
            tx.execute(sa.update(Identity).where(Identity.id == post.identity_id).values(unreachable_code=error.code))
        case verdict if verdict in _ACCOUNT_WIDE:
            pace.refused(tx, account_id, post.route, verdict, error.code, now)
        case Verdict.BAD_MESSAGE:
            audit.alarm(tx, now, "message_refused", error.code)  # also where the code stands in no list of ours (bad-inputs.md L5)
            _stop_bad_broadcast(tx, post, error.code, now)
        case _:
            pass


def receipt(tx: Tx, account_id: int, msgid: str, status: str, now: datetime, counts: MassCounts | None = None) -> None:
    """Keep a receipt and apply it; it may come before our own call returned, or twice (bad-inputs.md C10).

    `counts`: of a mass send, which nothing else has.
    """
    kept = {"account_id": account_id, "msgid": msgid, "status": status, "counts": None if counts is None else vars(counts)}
    stored = upsert(tx, Receipt).values(received_at=now, **kept).on_conflict_do_nothing()
    if tx.execute(stored.returning(Receipt.id)).first() is not None:  # not by rowcount: of an INSERT psycopg keeps none
        _apply(tx, account_id, msgid, status, now)


def apply_missed_receipts(tx: Tx, now: datetime, most: int = 200) -> int:
    """Apply receipts that came at the very moment in which their own call was written down; returns how many."""
    missed = _MISSED.all(tx, most=most)
    for row in missed:
        _apply(tx, row.account_id, row.msgid, row.status, now)
    return len(missed)


_MISSED = Prepared(
    lambda _: [
        sa.select(Receipt.account_id, Receipt.msgid, Receipt.status)
        .join(Attempt, Attempt.msgid == Receipt.msgid)
        .where(Receipt.applied_at.is_(None))
        .distinct()  # a mass send's stands at every attempt
        .limit(slot("most"))
    ]
)


def _apply(tx: Tx, account_id: int, msgid: str, status: str, now: datetime) -> None:
    mine = sa.and_(Receipt.account_id == account_id, Receipt.msgid == msgid)
    stored = tx.execute(sa.select(Receipt.counts).where(mine)).scalar_one_or_none()
    if mass_answers.report(tx, account_id, msgid, status, None if stored is None else MassCounts(**stored), now):
        tx.execute(sa.update(Receipt).where(mine).values(applied_at=now))
        return
    deliveries = tx.execute(
        sa.select(Delivery.id, Delivery.person_id)
        .join(Attempt, Attempt.delivery_id == Delivery.id)
        # A mass send's attempts may have come into sight since we looked for it: its receipt is for the next look.
        .where(Attempt.msgid == msgid, Delivery.account_id == account_id, Attempt.route != Route.MASS.value)
    ).all()
    if not deliveries:
        return
    following = _after_receipt(status)
    live = [State.NOTIFIED, State.SENDING, State.UNKNOWN, State.RETRY]
    tx.execute(
        sa.update(Delivery)
        .where(
            Delivery.id.in_([row.id for row in deliveries]),
            Delivery.state.in_(live),
            # Words that meanwhile go another way are past their notice: its late receipt says nothing of them.
            sa.or_(Delivery.state == State.NOTIFIED, Delivery.route == Route.NOTICE.value),
        )
        .values(
            state=following.state,
            reason=following.reason,
            code=None if status == "success" else status[:40],
            changed_at=now,
            # A notice that failed pointed to nothing: at the next touch the words are not taken for announced.
            notified_at=sa.func.coalesce(Delivery.notified_at, now) if status == "success" else None,
        )
    )
    if following.state is State.UNREACHABLE:
        people = [row.person_id for row in deliveries]
        tx.execute(
            sa.update(Identity)
            .where(Identity.account_id == account_id, Identity.person_id.in_(people))
            .values(unreachable_code=status[:40])
        )
    tx.execute(sa.update(Receipt).where(mine).values(applied_at=now))


def _after_receipt(status: str) -> _Next:
    """A notice's receipt (platform reference 2.2): success keeps the pointer, a block closes the person, the rest waits."""
    if status == "success":
        return _Next(State.NOTIFIED, "receipt")
    if "block" in status:
        return _Next(State.UNREACHABLE, "blocked")
    return _Next(State.WAITING, "too_often" if "freq" in status else "platform_busy")


def opened(tx: Tx, delivery_id: int, now: datetime) -> bool:
    """The read page of a notified delivery was opened: the words have arrived. False where there was nothing to note."""
    return bool(
        tx.execute(
            sa.update(Delivery)
            .where(Delivery.id == delivery_id, Delivery.state.in_(_READABLE))
            .values(state=State.SENT, reason="opened", route=Route.NOTICE.value, changed_at=now)
        ).rowcount
    )


def _may_repeat(tx: Tx, post: Post, rules: Rules, now: datetime) -> bool:
    first = tx.execute(
        sa.select(sa.func.min(Attempt.started_at)).where(Attempt.delivery_id == post.id, Attempt.route == Route.NOTICE.value)
    ).scalar_one()
    return first is None or now - first < rules.notice_repeat


def _was_ambiguous(tx: Tx, post: Post) -> bool:
    query = sa.select(Attempt.id).where(
        Attempt.delivery_id == post.id,
        Attempt.number < post.number,
        sa.or_(Attempt.outcome.is_(None), Attempt.outcome.in_([Verdict.UNKNOWN.value, Verdict.BUSY.value])),
    )
    return tx.execute(query.limit(1)).first() is not None


def _stop_bad_broadcast(tx: Tx, post: Post, code: str, now: datetime) -> None:
    refusals = tx.execute(
        sa.select(sa.func.count())
        .select_from(Delivery)
        .where(Delivery.broadcast_id == post.broadcast_id, Delivery.state == State.FAILED, Delivery.code == code)
    ).scalar_one()
    state = tx.execute(sa.select(Broadcast.state).where(Broadcast.id == post.broadcast_id)).scalar_one()
    if refusals >= MOST_REFUSALS and state != "cancelled":
        broadcasts.cancel(tx, post.broadcast_id, "bad_message", now)
        audit.alarm(tx, now, "broadcast_refused", f"broadcast:{post.broadcast_id}.{code}")


def _give_back(tx: Tx, outcomes: Sequence[Outcome], rules: Rules, now: datetime) -> None:
    """What was reserved and not used is there again: once, also where a commit is tried again whose word of success was lost."""
    emptied = {each.post.identity_id for each in outcomes if each.empties}
    unused: dict[int, Reserved] = {}
    for each in outcomes:
        window = each.gives_back and each.post.identity_id not in emptied
        day = each.post.day if each.never_came else None
        if window or day is not None:
            unused[each.post.id] = Reserved(each.post.identity_id, window, day)
    if unused:
        ours = sa.select(Delivery.id).where(Delivery.id.in_(unused), Delivery.state == State.SENDING)
        ledger.give_back(tx, [unused[each] for each in tx.execute(ours).scalars()], rules, now)
