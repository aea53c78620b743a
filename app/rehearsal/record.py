"""Hides what came of a rehearsal: each message to each person with its state, each occasion with everybody, and whether WeChat agrees."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app.db import Tx
from app.models import Attempt, Broadcast, Delivery, Occasion
from app.sandbox.world import World
from app.situation import Tools
from app.states import REACHED, Route

#: The sandbox's names of the ways out that are calls.
_APIS = {"message/custom/send": Route.SERVICE.value, "message/template/send": Route.NOTICE.value}
#: The outcome of a try that WeChat took (app/outbox/batches.py).
_ACCEPTED = "accepted"
#: A call is written down by both sides within this.
_NEAR = timedelta(minutes=5)


@dataclass(frozen=True)
class Message:
    """One message to one person. `at`: when it was written; `left_at`: when it left last, None where it never did."""

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
class Record:
    """Everything that happened. `disagreements`: what WeChat's ledger and ours say differently, which must be nothing."""

    messages: tuple[Message, ...]
    occasions: tuple[Fired, ...]
    habits: Mapping[str, int]
    calls: Mapping[str, int]
    busiest: tuple[datetime, int] | None
    most_a_day: int  # messages that we started, to one person on one day
    held_by_quiet: int
    refused: Mapping[str, int]  # by WeChat's code
    disagreements: tuple[str, ...] = field(default=())

    @property
    def reached(self) -> int:
        """Messages that WeChat accepted."""
        return sum(each.state in REACHED for each in self.messages)


def read(tx: Tx, tools: Tools, everybody: Mapping[str, Any], world: World, zone: str) -> Record:
    """What the rows of the stage and the sandbox's ledger hold."""
    by_id = {each.person_id: each for each in everybody.values()}
    messages = _messages(tx, tools, by_id)
    calls = _calls(tx)
    minutes = Counter(each.started_at.replace(second=0, microsecond=0) for each in calls)
    mine = [line for line in world.ledger if line["api"] in _APIS]
    return Record(
        messages=tuple(messages),
        occasions=tuple(_occasions(tx)),
        habits=Counter(each.habit.name for each in by_id.values()),
        calls=Counter(_APIS[line["api"]] for line in mine),
        busiest=max(minutes.items(), key=lambda item: item[1], default=None),
        most_a_day=_most_a_day(calls, zone),
        held_by_quiet=sum(each.left_at is not None and each.left_at - each.at > timedelta(minutes=30) for each in messages),
        refused=Counter(_refusals(tx)),
        disagreements=tuple(_disagreements(calls, mine, {each.phone.openid: each.person_id for each in by_id.values()})),
    )


def _messages(tx: Tx, tools: Tools, by_id: Mapping[int, Any]) -> list[Message]:
    last = sa.select(sa.func.max(Attempt.started_at)).where(Attempt.delivery_id == Delivery.id).scalar_subquery()
    columns = (Delivery.person_id, Delivery.state, Delivery.reason, Delivery.code, Delivery.route, Broadcast.bot, Broadcast.kind)
    query = sa.select(*columns, Broadcast.created_at, last.label("left_at")).join(Broadcast, Broadcast.id == Delivery.broadcast_id)
    found = []
    for row in tx.execute(query.order_by(Delivery.person_id, Broadcast.created_at)):
        who = by_id.get(row.person_id)
        if who is None:
            continue
        words = [tools.words.fill(f"state.{row.state}", "zh")]
        words += [tools.words.fill(f"reason.{row.reason}", "zh", sent="?", total="?")] if row.reason else []
        why = " · ".join([*words, *([row.code] if row.code else [])])
        found.append(
            Message(
                who.name,
                who.group_id,
                who.habit.name,
                row.bot,
                row.kind,
                row.created_at,
                row.left_at,
                row.state,
                row.reason,
                row.route or "",
                why,
            )
        )
    return found


def _calls(tx: Tx) -> list[Any]:
    """Each call that WeChat accepted, once, whatever it carried: person, route, moment."""
    query = (
        sa.select(Attempt.call, Delivery.person_id, Attempt.route, sa.func.min(Attempt.started_at).label("started_at"))
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .where(Attempt.outcome == _ACCEPTED, Attempt.route.in_(list(_APIS.values())))
        .group_by(Attempt.call, Delivery.person_id, Attempt.route)
    )
    return list(tx.execute(query))


def _refusals(tx: Tx) -> list[str]:
    """WeChat's code of each try that it refused."""
    refused = sa.select(Attempt.code).where(Attempt.code.is_not(None), Attempt.code != "0", Attempt.outcome != _ACCEPTED)
    return [str(code) for code in tx.execute(refused).scalars()]


def _most_a_day(calls: list[Any], zone: str) -> int:
    days = Counter((each.person_id, each.started_at.astimezone(ZoneInfo(zone)).date()) for each in calls)
    return max(days.values(), default=0)


def _occasions(tx: Tx) -> list[Fired]:
    counted: dict[int, Counter[str]] = defaultdict(Counter)
    states = sa.select(Delivery.broadcast_id, Delivery.state, sa.func.count().label("number")).group_by(
        Delivery.broadcast_id, Delivery.state
    )
    for row in tx.execute(states):
        counted[row.broadcast_id][row.state] += row.number
    rows = tx.execute(sa.select(*Occasion.__table__.columns).order_by(Occasion.fire_at, Occasion.code))
    return [
        Fired(row.code, row.group_id, row.fired_at or row.fire_at, row.state, row.why, counted.get(row.broadcast_id, {})) for row in rows
    ]


def _disagreements(calls: list[Any], ledger: list[dict[str, Any]], ids: Mapping[str, int]) -> list[str]:
    """Calls that only one side has written down, person by person and way by way, in the order of their moments."""
    ours, theirs = defaultdict(list), defaultdict(list)
    for each in calls:
        ours[each.person_id, each.route].append(each.started_at)
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
