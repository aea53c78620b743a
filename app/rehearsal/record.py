"""Hides what came of a rehearsal: each message to each person with its state, each occasion with everybody, and whether WeChat agrees."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import broadcasts
from app.db import Tx
from app.models import Attempt, Broadcast, Delivery, Membership, Occasion
from app.rehearsal import diary
from app.sandbox.world import World
from app.situation import Tools
from app.states import REACHED, Route

#: The sandbox's names of the ways out that are calls.
_APIS = {
    "message/custom/send": Route.SERVICE.value,
    "message/template/send": Route.NOTICE.value,
    "message/mass/sendall": Route.MASS.value,
}
#: The outcome of a try that WeChat took (app/outbox/batches.py).
_ACCEPTED = "accepted"
#: A call is written down by both sides within this; of a mass send WeChat tells later.
_NEAR = timedelta(minutes=5)
#: Why somebody's window kept a message back, and why the course did.
CLOSED, USED_UP, OFTEN = "window_closed", "allowance_used", "too_often"
HOLDS = ("quiet_hours", "silence", "cap")


@dataclass(frozen=True)
class Message:
    """One message to one person. `at`: when it was written; `left_at`: when it left last, None where it never did.

    `held`: why it was kept back on its way, in the order of first times, each once.
    """

    person: str
    group: int
    habit: str
    bot: str
    kind: str
    at: datetime
    left_at: datetime | None
    state: str
    reason: str
    route: str
    why: str  # state and reason in words, zh
    held: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fired:
    """A planned occasion, and how many people stand in each state. All of them add up to whom it concerned."""

    code: str
    group: int
    at: datetime
    state: str
    why: str
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Week:
    """How far the allowances of a week reached. Messages that found no open window, or a used up one, count once a week each."""

    number: int  # from the rehearsal's beginning
    begins: date
    calls: Mapping[str, int]  # by way, as WeChat accepted them
    closed: int
    used_up: int
    people: int  # for how many that was


@dataclass(frozen=True)
class Record:
    """Everything that happened. `disagreements`: what WeChat's ledger and ours say differently, which must be nothing."""

    messages: tuple[Message, ...]
    occasions: tuple[Fired, ...]
    weeks: tuple[Week, ...]
    habits: Mapping[str, int]
    calls: Mapping[str, int]
    busiest: tuple[datetime, int] | None
    most_a_day: int  # messages to one person on one day, whoever began
    most_started: int  # of those that we started: what the cap counts
    held: Mapping[str, int]  # messages that quiet hours, a silence or the cap kept back
    refused: Mapping[str, int]  # by WeChat's code
    disagreements: tuple[str, ...]

    @property
    def reached(self) -> int:
        """Messages that WeChat accepted."""
        return sum(each.state in REACHED for each in self.messages)


@dataclass(frozen=True)
class _Call:
    """A call that WeChat accepted, to one of the people it went to. `started`: we began, and the cap counts it."""

    person_id: int
    route: str
    at: datetime
    started: bool


def read(tx: Tx, tools: Tools, everybody: Mapping[str, Any], world: World, since: datetime, zone: str) -> Record:
    """What the rows of the stage and the sandbox's ledger hold, from `since` on."""
    by_id = {each.person_id: each for each in everybody.values()}
    notes = diary.read(tx)
    messages = _messages(tx, tools, by_id, notes)
    calls = _calls(tx, notes)
    minutes = Counter(each.at.replace(second=0, microsecond=0) for each in calls)
    mine = [line for line in world.ledger if line["api"] in _APIS]
    ids = {each.phone.openid: each.person_id for each in by_id.values()}
    return Record(
        messages=tuple(messages),
        occasions=tuple(_occasions(tx, since)),
        weeks=tuple(_weeks(calls, notes, since, zone)),
        habits=Counter(each.habit.name for each in by_id.values()),
        calls=Counter(_APIS[line["api"]] for line in mine),
        busiest=max(minutes.items(), key=lambda item: item[1], default=None),
        most_a_day=_most_a_day(calls, zone),
        most_started=_most_a_day([each for each in calls if each.started], zone),
        held={reason: len({note.delivery_id for note in notes if note.reason == reason}) for reason in HOLDS},
        refused=Counter(_refusals(tx)),
        disagreements=(*_disagreements(calls, mine, ids), *_strangers(tx)),
    )


def _messages(tx: Tx, tools: Tools, by_id: Mapping[int, Any], notes: list[diary.Note]) -> list[Message]:
    held: dict[int, dict[str, None]] = defaultdict(dict)
    for note in notes:
        if note.reason in (*HOLDS, CLOSED, USED_UP, OFTEN):
            held[note.delivery_id][note.reason] = None
    last = sa.select(sa.func.max(Attempt.started_at)).where(Attempt.delivery_id == Delivery.id).scalar_subquery()
    delivery = (Delivery.id, Delivery.person_id, Delivery.state, Delivery.reason, Delivery.code, Delivery.route)
    query = sa.select(*delivery, Broadcast.bot, Broadcast.kind, Broadcast.created_at, last.label("left_at")).join(
        Broadcast, Broadcast.id == Delivery.broadcast_id
    )
    found = []
    for row in tx.execute(query.order_by(Delivery.person_id, Broadcast.created_at)):
        who = by_id[row.person_id]
        found.append(
            Message(
                person=who.name,
                group=who.group_id,
                habit=who.habit.name,
                bot=row.bot,
                kind=row.kind,
                at=row.created_at,
                left_at=row.left_at,
                state=row.state,
                reason=row.reason,
                route=row.route or "",
                why=_in_words(tools, row),
                held=tuple(held[row.id]),
            )
        )
    return found


def _in_words(tools: Tools, row: Any) -> str:
    words = [tools.words.fill(f"state.{row.state}", "zh")]
    words += [tools.words.fill(f"reason.{row.reason}", "zh", sent="?", total="?")] if row.reason else []
    return " · ".join([*words, *([row.code] if row.code else [])])


def _calls(tx: Tx, notes: list[diary.Note]) -> list[_Call]:
    """Each call that WeChat accepted, once, whatever it carried."""
    released = {note.delivery_id for note in notes if note.reason == "released"}
    query = (
        sa.select(Attempt.call, Attempt.route, Attempt.started_at, Delivery.id, Delivery.person_id, Broadcast.urgent, Broadcast.priority)
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Attempt.outcome == _ACCEPTED, Attempt.route.in_(list(_APIS.values())))
    )
    found: dict[tuple[str, int, str], _Call] = {}
    for row in tx.execute(query.order_by(Attempt.started_at)):
        started = not row.urgent and row.priority > broadcasts.ANSWER and row.id not in released
        key = (row.call, row.person_id, row.route)
        earlier = found.get(key)
        at = row.started_at if earlier is None else earlier.at
        found[key] = _Call(row.person_id, row.route, at, started or (earlier is not None and earlier.started))
    return list(found.values())


def _refusals(tx: Tx) -> list[str]:
    """WeChat's code of each try that it refused."""
    refused = sa.select(Attempt.code).where(Attempt.code.is_not(None), Attempt.code != "0", Attempt.outcome != _ACCEPTED)
    return [str(code) for code in tx.execute(refused).scalars()]


def _most_a_day(calls: list[_Call], zone: str) -> int:
    days = Counter((each.person_id, each.at.astimezone(ZoneInfo(zone)).date()) for each in calls)
    return max(days.values(), default=0)


def _weeks(calls: list[_Call], notes: list[diary.Note], since: datetime, zone: str) -> list[Week]:
    first = since.astimezone(ZoneInfo(zone)).date()

    def week(at: datetime) -> int:
        return (at.astimezone(ZoneInfo(zone)).date() - first).days // 7

    ways: dict[int, Counter[str]] = defaultdict(Counter)
    for call in calls:
        ways[week(call.at)][call.route] += 1
    kept: dict[tuple[int, str], set[int]] = defaultdict(set)
    people: dict[int, set[int]] = defaultdict(set)
    for note in notes:
        if note.reason in (CLOSED, USED_UP):
            kept[week(note.at), note.reason].add(note.delivery_id)
            people[week(note.at)].add(note.person_id)
    return [
        Week(
            number + 1,
            first + timedelta(days=7 * number),
            ways[number],
            len(kept[number, CLOSED]),
            len(kept[number, USED_UP]),
            len(people[number]),
        )
        for number in range(max([*ways, *people], default=-1) + 1)
    ]


def _occasions(tx: Tx, since: datetime) -> list[Fired]:
    """What was still to come when the rehearsal began."""
    counted: dict[int, Counter[str]] = defaultdict(Counter)
    states = sa.select(Delivery.broadcast_id, Delivery.state, sa.func.count().label("number")).group_by(
        Delivery.broadcast_id, Delivery.state
    )
    for row in tx.execute(states):
        counted[row.broadcast_id][row.state] += row.number
    moment = sa.func.coalesce(Occasion.fired_at, Occasion.fire_at)
    rows = tx.execute(sa.select(*Occasion.__table__.columns).where(moment >= since).order_by(Occasion.fire_at, Occasion.code))
    return [
        Fired(row.code, row.group_id, row.fired_at or row.fire_at, row.state, row.why, counted.get(row.broadcast_id, {})) for row in rows
    ]


def _disagreements(calls: list[_Call], ledger: list[dict[str, Any]], ids: Mapping[str, int]) -> list[str]:
    """Calls that only one side has written down, person by person and way by way, in the order of their moments."""
    ours, theirs = defaultdict(list), defaultdict(list)
    for each in calls:
        ours[each.person_id, each.route].append(each.at)
    for line in ledger:
        theirs[ids.get(line["openid"], 0), _APIS[line["api"]]].append(datetime.fromtimestamp(line["at"], UTC))
    found = []
    for key in sorted({*ours, *theirs}):
        mine, others = sorted(ours[key]), sorted(theirs[key])
        if len(mine) != len(others):
            found.append(f"person {key[0]}, {key[1]}: {len(mine)} calls here, {len(others)} at WeChat")
        elif any(abs(a - b) > _NEAR for a, b in zip(mine, others, strict=True)):
            found.append(f"person {key[0]}, {key[1]}: the moments differ")
    return found


def _strangers(tx: Tx) -> list[str]:
    """What went to somebody who was not in its group at that moment."""
    inside = sa.select(Membership.id).where(
        Membership.group_id == Broadcast.group_id,
        Membership.person_id == Delivery.person_id,
        Membership.started_at <= Attempt.started_at,
        sa.or_(Membership.ended_at.is_(None), Membership.ended_at >= Attempt.started_at),
    )
    query = (
        sa.select(Delivery.person_id, Broadcast.bot, Broadcast.kind)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .join(Attempt, Attempt.delivery_id == Delivery.id)
        .where(Broadcast.group_id.is_not(None), Attempt.outcome == _ACCEPTED, ~inside.exists())
    )
    return [f"person {row.person_id}: {row.bot}.{row.kind} of a group that they were not in" for row in tx.execute(query)]
