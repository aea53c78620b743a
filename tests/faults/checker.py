"""The one invariant checker: what must hold after any run, whatever was killed, cut, stormed or moved.

    report = checker.check(arena, Bounds(unknown=arena.kills * 8 + swallowed))

It compares the rows with the sandbox's ledger, which is the platform's truth. Everything that is wrong is told at once.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa

from app import broadcasts
from app.db import Tx
from app.models import Allowance, Attempt, Broadcast, Course, Delivery, Firing, Identity, InboxItem, Mass, Schedule
from app.reach import local_day
from app.states import SETTLED, State
from tests.faults.arena import Arena

#: What stands in the words of an announcement of the arena's.
_MARK = re.compile(r"〔\d+〕")
#: States that say "the platform took it", and those that leave it open.
_TAKEN = frozenset({State.SENT, State.CONFIRMED, State.NOTIFIED})
#: States that only a living process may leave a row in, or that the next tick ends.
_UNDER_WAY = frozenset({State.READY, State.CLAIMED, State.SENDING, State.RETRY})
#: What an attempt may have come to when the answer to it was lost.
_IN_DOUBT = frozenset({"unknown", "busy"})
#: Why a delivery may be unknown.
_DOUBTS = frozenset({"answer_lost", "platform_busy", "reply_unconfirmed"})
#: Refusals that the ledger of allowances exists to prevent.
_OVERDRAWN = {"45015": "window closed", "45047": "allowance used up"}
_MOST_TYPED = 5
_MOST_MASSES = 4
_SHOWN = 20


@dataclass(frozen=True)
class Bounds:
    """What this run may leave. `unknown`: service messages in doubt; notices never are, but for what `unknown_notices` allows.

    `overdrawn`: the run closes windows behind the program's back. `open`: states in which rows may rest at the end.
    """

    unknown: int
    unknown_notices: int = 0
    overdrawn: bool = False
    open: frozenset[str] = frozenset()


@dataclass
class Report:
    """What was found: the counts to print, and every line that is wrong."""

    states: "Counter[str]" = field(default_factory=Counter)
    accepted: int = 0
    reasons: "Counter[str]" = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{dict(self.states)}, accepted {self.accepted}, unknown because of {dict(self.reasons)}"


@dataclass(frozen=True)
class _Row:
    """One delivery as it stands."""

    id: int
    broadcast: int
    person: int
    part: int
    state: str
    reason: str
    route: str | None


def check(arena: Arena, bounds: Bounds, acknowledged: Iterable[tuple[int, str]] = ()) -> Report:
    """Compare both sides; fails with all that is wrong. `acknowledged`: account and dedupe key of each push that got a 200."""
    report = Report()
    rows = arena.read(_rows)
    accepted = _accepted(arena, rows)
    report.states, report.accepted = Counter(row.state for row in rows), sum(accepted.values())
    report.reasons = Counter(row.reason for row in rows if row.state == State.UNKNOWN)
    for judge in (_complete, _no_double):
        report.wrong += arena.read(lambda tx, judge=judge: judge(tx, arena, rows))  # type: ignore[misc]
    report.wrong += _honest(rows, accepted)
    report.wrong += arena.read(lambda tx: _masses(tx, arena, rows, accepted))
    report.wrong += _certain(rows, bounds)
    report.wrong += _at_rest(rows, bounds)
    report.wrong += arena.read(lambda tx: _closed(tx, rows))
    report.wrong += arena.read(lambda tx: _within_allowance(tx, arena, rows))
    report.wrong += arena.read(lambda tx: _within_cap(tx, arena))
    report.wrong += [] if bounds.overdrawn else _never_refused(arena)
    report.wrong += arena.read(lambda tx: _in_the_inbox(tx, list(acknowledged)))
    report.wrong += arena.read(sound)
    lines = [*report.wrong[:_SHOWN], *([f"… and {len(report.wrong) - _SHOWN} more"] if len(report.wrong) > _SHOWN else [])]
    assert not report.wrong, "\n".join([*lines, str(report), f"TONGBAN_FAULT_SEED={arena.seed}"])
    return report


def _rows(tx: Tx) -> list[_Row]:
    columns = (Delivery.id, Delivery.broadcast_id, Delivery.person_id, Delivery.part, Delivery.state, Delivery.reason, Delivery.route)
    return [_Row(*row) for row in tx.execute(sa.select(*columns).order_by(Delivery.id))]


def _accepted(arena: Arena, rows: list[_Row]) -> "Counter[int]":
    """How often the platform took each delivery: by the mark in its words and whom it went to, a notice by its client id."""
    marks = arena.read(lambda tx: _marks(tx, arena, sorted({row.broadcast for row in rows})))
    people = arena.read(_people)
    by_place = {(row.broadcast, row.person): row.id for row in rows}
    found: Counter[int] = Counter()
    for entry in arena.ledger():
        if entry["client_id"] and entry["api"] == "message/template/send":
            found[int(entry["client_id"].removeprefix("d"))] += 1
            continue
        line = next(each for each in arena.lines if each.appid == entry["appid"])
        person = people.get(arena.keyring.vault.index(f"openid.{line.id}", entry["openid"]))
        for mark in _MARK.findall(entry["text"]):
            found[by_place.get((marks.get(mark, 0), person or 0), 0)] += 1
    return found


def _marks(tx: Tx, arena: Arena, broadcast_ids: list[int]) -> dict[str, int]:
    details = broadcasts.details_of(tx, arena.keyring, broadcast_ids)
    return {mark: made for made, values in details.items() for mark in _MARK.findall(str(values.get("text", "")))}


def _people(tx: Tx) -> dict[bytes, int]:
    return {row.openid_index: row.person_id for row in tx.execute(sa.select(Identity.openid_index, Identity.person_id))}


def _complete(tx: Tx, arena: Arena, rows: list[_Row]) -> list[str]:
    """Each planned announcement became exactly one broadcast to exactly its people, or is told to be missed."""
    wrong = []
    audience: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        audience[row.broadcast].add(row.person)
    made = defaultdict(list)
    for schedule_id, made_id in tx.execute(sa.select(Broadcast.schedule_id, Broadcast.id).where(Broadcast.kind == "announcement")):
        made[schedule_id].append(made_id)
    states = {row.id: row.state for row in tx.execute(sa.select(Schedule.id, Schedule.state))}
    firings = Counter(tx.execute(sa.select(Firing.schedule_id)).scalars())
    for schedule, circle in arena.planned.items():
        if states[schedule] in {"missed", "cancelled"} and not made[schedule]:
            continue
        if len(made[schedule]) != 1 or firings[schedule] != 1 or states[schedule] != "fired":
            wrong.append(f"schedule {schedule} is {states[schedule]} with {firings[schedule]} firings and {len(made[schedule])} broadcasts")
            continue
        lost, strange = set(circle.people) - audience[made[schedule][0]], audience[made[schedule][0]] - set(circle.people)
        if lost or strange:
            wrong.append(f"broadcast {made[schedule][0]}: {len(lost)} of {len(circle.people)} are missing, {len(strange)} do not belong")
    return wrong


def _no_double(_tx: Tx, _arena: Arena, rows: list[_Row]) -> list[str]:
    places = Counter((row.broadcast, row.person, row.part) for row in rows)
    return [f"broadcast {place[0]} has person {place[1]} {times} times" for place, times in places.items() if times > 1]


def _honest(rows: list[_Row], accepted: Mapping[int, int]) -> list[str]:
    """Nobody got it twice; what we say was taken was taken; what was taken is not said to be anything else than taken or unknown."""
    wrong = [f"the platform took something {accepted[0]} times that nobody planned"] if accepted.get(0) else []
    for row in rows:
        times = accepted.get(row.id, 0)
        if times > 1:
            wrong.append(f"delivery {row.id} ({row.state}) was accepted {times} times")
        if row.state in {State.SENT, State.CONFIRMED} and not times and row.reason != "mass_partial":  # of these WeChat names nobody
            wrong.append(f"delivery {row.id} is {row.state} ({row.reason}) and was never accepted")
        if times and row.state not in _TAKEN | {State.UNKNOWN, State.UNREACHABLE}:
            wrong.append(f"delivery {row.id} was accepted and is {row.state} ({row.reason})")
    return wrong


def _masses(tx: Tx, arena: Arena, rows: list[_Row], accepted: Mapping[int, int]) -> list[str]:
    """A mass send went out once, in the same words to everybody, to nobody whom it was not for, and is told as it came to pass."""
    wrong = []
    entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in arena.ledger():
        if entry["api"] == "message/mass/sendall":
            entries[entry["client_id"]].append(entry)
    masses = {row.client_id: row for row in tx.execute(sa.select(*Mass.__table__.columns))}
    for client_id, arrived in entries.items():
        row = masses.get(client_id)
        if len({(entry["msgid"], entry["text"]) for entry in arrived}) > 1:
            wrong.append(f"mass send {client_id} was taken more than once, or in other words")
        went = sum(each.route == "mass" and each.broadcast == getattr(row, "broadcast_id", 0) for each in rows if accepted.get(each.id))
        if row is None or went != len(arrived):
            wrong.append(f"mass send {client_id} arrived {len(arrived)} times, {went} of its deliveries did")
        elif row.sent is not None and row.sent != len(arrived):
            wrong.append(f"mass send {client_id} reached {len(arrived)} and says {row.sent}")
    for client_id, row in masses.items():
        if row.state in {"planned", "sending", "accepted"} or (row.state == "done" and client_id not in entries):
            wrong.append(f"mass send {client_id} is left {row.state}")
    uses = Counter(each.person for each in rows if each.route == "mass" and accepted.get(each.id))  # no run is longer than a month
    return wrong + [f"person {person} had {times} mass sends" for person, times in uses.items() if times > _MOST_MASSES]


def _certain(rows: list[_Row], bounds: Bounds) -> list[str]:
    unknown = [row for row in rows if row.state == State.UNKNOWN]
    wrong = [f"delivery {row.id} is unknown because of {row.reason!r}" for row in unknown if row.reason not in _DOUBTS]
    notices = sum(row.route in ("notice", "mass") for row in unknown)  # both have an id that makes a repeat safe
    if notices > bounds.unknown_notices:
        wrong.append(f"{notices} notices are unknown, at most {bounds.unknown_notices} may be")
    if len(unknown) - notices > bounds.unknown:
        wrong.append(f"{len(unknown) - notices} service messages are unknown, at most {bounds.unknown} may be")
    return wrong


def _at_rest(rows: list[_Row], bounds: Bounds) -> list[str]:
    held = (State.READY, "cap")  # until the next day
    left = Counter(row.state for row in rows if row.state in _UNDER_WAY - bounds.open and (row.state, row.reason) != held)
    return [f"{count} deliveries are left in {state}" for state, count in left.items()]


def _closed(tx: Tx, rows: list[_Row]) -> list[str]:
    """A broadcast is done when each of its deliveries has settled, and not before."""
    open_left = {row.broadcast for row in rows if row.state not in SETTLED}
    return [
        f"broadcast {row.id} is {row.state} with deliveries {'left' if row.id in open_left else 'all settled'}"
        for row in tx.execute(sa.select(Broadcast.id, Broadcast.state))
        if (row.state == "done") is (row.id in open_left) and row.state != "cancelled"
    ]


def _within_allowance(tx: Tx, arena: Arena, rows: list[_Row]) -> list[str]:
    """No allowance below zero, and none that forgets a message that was taken."""
    taken = Counter(row.person for row in rows if row.state == State.SENT and row.route == "service")
    query = sa.select(Identity.person_id, Allowance.typed_left, Allowance.tapped_left).join(Identity, Identity.id == Allowance.identity_id)
    wrong = []
    calls: dict[int, set[str]] = defaultdict(set)
    served = sa.select(Delivery.person_id, Attempt.call).join(Attempt, Attempt.delivery_id == Delivery.id)
    for row in tx.execute(served.where(Attempt.outcome == "accepted", Attempt.route == "service")):
        calls[row.person_id].add(row.call)
    for person, typed, tapped in tx.execute(query):
        if typed < 0 or tapped < 0:
            wrong.append(f"person {person} has {typed} and {tapped} messages left")
        if taken[person] and person not in arena.touched and typed > _MOST_TYPED - len(calls[person]):
            wrong.append(f"person {person} has {typed} left after {len(calls[person])} accepted messages")
    return wrong


def _within_cap(tx: Tx, arena: Arena) -> list[str]:
    """Nobody got more on one day than the cap of the course allows, as far as can be known; and no ledger forgets what they got.

    What somebody's own words let out counts for no day, and no row says so any more: whoever wrote is left out of the first rule.
    """
    columns = (Delivery.id, Delivery.person_id, Attempt.call, Attempt.route, Attempt.started_at, Attempt.outcome, Course.zone, Course.cap)
    query = (
        sa.select(*columns, Allowance.started_on, Allowance.started)
        .join(Attempt, Attempt.delivery_id == Delivery.id)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .join(Course, Course.id == Broadcast.course_id)
        .join(Identity, sa.and_(Identity.person_id == Delivery.person_id, Identity.account_id == Delivery.account_id))
        .join(Allowance, Allowance.identity_id == Identity.id)
        .where(Attempt.route.in_(["service", "notice"]), ~Broadcast.urgent, Broadcast.priority > broadcasts.ANSWER)
        .order_by(Attempt.id)
    )
    rows = [row for row in tx.execute(query) if row.outcome in {"accepted", *_IN_DOUBT, None}]
    came: dict[tuple[int, date], set[str]] = defaultdict(set)
    ledgers = {row.person_id: (row.started_on, row.started) for row in rows}
    caps = {row.person_id: row.cap for row in rows if row.cap is not None}
    notices: set[int] = set()
    for row in rows:
        if row.route == "notice" and row.id in notices:
            continue  # under the same id: no other message
        notices.add(row.id)
        came[row.person_id, local_day(row.started_at, row.zone)].add(row.call)
    talked = arena.touched | set(tx.execute(sa.select(InboxItem.person_id)).scalars())
    wrong = []
    for (person, day), calls in came.items():
        started_on, started = ledgers[person]
        if person in caps and person not in talked and len(calls) > caps[person]:
            wrong.append(f"person {person} may have had {len(calls)} messages on {day}, the cap is {caps[person]}")
        if person not in talked and (started_on is None or started_on < day or (started_on == day and started < len(calls))):
            wrong.append(f"person {person} may have had {len(calls)} messages on {day}, and {started} on {started_on} are counted")
    return wrong


def _never_refused(arena: Arena) -> list[str]:
    wrong = []
    for line in arena.lines:
        for api, codes in arena.calls(line).items():
            wrong += [
                f"{line.name}: {api} answered {code} ({_OVERDRAWN[code]}) {codes[code]} times" for code in codes if code in _OVERDRAWN
            ]
    return wrong


def _in_the_inbox(tx: Tx, acknowledged: list[tuple[int, str]]) -> list[str]:
    """Every push that got a 200 is there, once."""
    if not acknowledged:
        return []
    there = Counter((row.account_id, row.dedupe_key) for row in tx.execute(sa.select(InboxItem.account_id, InboxItem.dedupe_key)))
    wrong = [
        f"push {key} of account {account} was acknowledged and is not there" for account, key in acknowledged if not there[account, key]
    ]
    return wrong + [f"push {key} of account {account} is there {times} times" for (account, key), times in there.items() if times > 1]


def sound(tx: Tx) -> list[str]:
    """The database itself is whole."""
    if tx.dialect.name == "sqlite":
        return _sound_sqlite(tx)
    unproven = sa.text(
        "SELECT conname::text FROM pg_constraint WHERE NOT convalidated "
        "UNION SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    )
    return [f"{name} is not valid" for name in tx.execute(unproven).scalars()]


def _sound_sqlite(tx: Tx) -> list[str]:
    said = [str(line) for line in tx.exec_driver_sql("PRAGMA integrity_check").scalars()]
    strays: list[Any] = list(tx.exec_driver_sql("PRAGMA foreign_key_check"))
    return [f"integrity: {line}" for line in said if line != "ok"] + [f"foreign key: {tuple(stray)}" for stray in strays]
