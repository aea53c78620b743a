"""Hides what is counted to see whether the service runs: one reading of the database, fast whatever lies there from former years.

Each query is held by a partial index, a primary key or a small table; nothing counts all rows. Figures are ours: no name, openid or text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import audit, heartbeat, ids
from app.channels import Rules
from app.db import Tx
from app.flags import CLOSED_WITHIN
from app.models import AccessToken, Account, Broadcast, Course, Delivery, Flag, InboxItem, Pace, Quarantined, Schedule, stands
from app.outbox.pace import CIRCUIT, platform_day
from app.states import DUE, IN_DOUBT, LEASED, OPEN, WRITTEN_OFF, State

#: Pushes are counted over this many seconds.
PUSHES_SECONDS = 300
#: A planned announcement that has not gone this long after its moment is overdue: a worker looks twice a second.
OVERDUE = timedelta(seconds=60)
#: The states that are shown; `ready` holds what is tried again too.
SHOWN = (State.READY, State.CLAIMED, State.SENDING, State.WAITING, State.NOTIFIED, State.UNKNOWN, State.HELD)


@dataclass(frozen=True)
class Api:
    """One API of an account: calls left today, seconds until it is called again (0: it is), the platform's word for why."""

    left: int
    parked_seconds: float = 0.0
    parked_code: str | None = None

    @property
    def circuit_open(self) -> bool:
        """Whether calls fail one after the other, so that only single ones probe the road."""
        return self.parked_code == CIRCUIT


@dataclass(frozen=True)
class AccountGauges:
    """What concerns one account; ages and delays in seconds."""

    account: str
    deliveries: Mapping[str, int]
    oldest_ready: float
    expanding: int
    schedules_due: int
    schedules_overdue: int
    quarantined: int
    flags: int
    oldest_flag: float
    token_left: float | None  # None: none was ever fetched
    forced_today: int
    apis: Mapping[str, Api] = field(default_factory=dict)
    pushes: int = 0
    unclosed: int = 0  # flags that somebody took over too long ago
    oldest_unclosed: float = 0.0


@dataclass(frozen=True)
class Gauges:
    """One reading."""

    accounts: tuple[AccountGauges, ...]
    workers: int
    alarms_untold: int


def read(tx: Tx, rules: Rules, now: datetime, machine: float) -> Gauges:
    """Everything that is stored. `machine`: seconds of the machine's clock, which leases and ids follow."""
    deliveries, oldest = _deliveries(tx)
    expanding = _per_account(tx, Broadcast, Broadcast.state == "expanding")
    due, overdue = _schedules(tx, now), _schedules(tx, now - OVERDUE)
    quarantined = _per_account(tx, Quarantined, Quarantined.settled_at.is_(None))
    untaken, unclosed = _untaken(tx), _unclosed(tx, now)
    apis = _apis(tx, rules, now)
    pushes = _pushes(tx, machine)
    tokens = sa.select(Account.id, Account.name, AccessToken.expires_at, AccessToken.forced_day, AccessToken.forced_count)
    accounts = tuple(
        AccountGauges(
            account=row.name,
            deliveries={state.value: deliveries.get((row.id, state), 0) for state in SHOWN},
            oldest_ready=_age(oldest.get(row.id), now),
            expanding=expanding.get(row.id, 0),
            schedules_due=due.get(row.id, 0),
            schedules_overdue=overdue.get(row.id, 0),
            quarantined=quarantined.get(row.id, 0),
            flags=untaken.get(row.id, (0, None))[0],
            oldest_flag=_age(untaken.get(row.id, (0, None))[1], now),
            token_left=None if row.expires_at is None else (row.expires_at - now).total_seconds(),
            forced_today=row.forced_count if row.forced_day == now.date() else 0,
            apis=apis.get(row.id, _untouched(rules)),
            pushes=pushes.get(row.id, 0),
            unclosed=unclosed.get(row.id, (0, None))[0],
            oldest_unclosed=_age(unclosed.get(row.id, (0, None))[1], now),
        )
        for row in tx.execute(tokens.outerjoin(AccessToken, AccessToken.account_id == Account.id).order_by(Account.name))
    )
    return Gauges(accounts, heartbeat.alive(tx, machine), len(audit.untold(tx, now)))


def _deliveries(tx: Tx) -> tuple[dict[tuple[int, State], int], dict[int, datetime]]:
    """How many deliveries of each account are in each state that is shown, and since when the oldest is due."""
    counts: dict[tuple[int, State], int] = {}
    due = sa.select(Delivery.account_id, sa.func.count().label("number"), _first(Delivery.due_at)).where(stands(DUE))
    rows = tx.execute(due.group_by(Delivery.account_id)).all()
    oldest = {row.account_id: row.first for row in rows}
    counts |= {(row.account_id, State.READY): row.number for row in rows}
    for states, condition in ((LEASED, sa.true()), (OPEN, sa.true()), (IN_DOUBT, Delivery.reason != WRITTEN_OFF)):
        query = sa.select(Delivery.account_id, Delivery.state, sa.func.count().label("number")).where(stands(states), condition)
        for each in tx.execute(query.group_by(Delivery.account_id, Delivery.state)):
            counts[each.account_id, State(each.state)] = each.number
    return counts, oldest


def _pushes(tx: Tx, machine: float) -> dict[int, int]:
    """How many pushes each account brought of late; ids grow with time, so that the newest rows are read and no others."""
    account = InboxItem.account_id + 0  # else SQLite walks through the index by account, to have them in order
    query = sa.select(account, sa.func.count()).where(InboxItem.id >= ids.first_at(machine - PUSHES_SECONDS))
    return _pairs(tx.execute(query.group_by(account)))


def _schedules(tx: Tx, until: datetime) -> dict[int, int]:
    """How many planned announcements of each account should have gone before a moment."""
    query = sa.select(Course.account_id, sa.func.count()).join(Schedule, Schedule.course_id == Course.id)
    return _pairs(tx.execute(query.where(Schedule.state == "planned", Schedule.fire_at <= until).group_by(Course.account_id)))


def _untaken(tx: Tx) -> dict[int, tuple[int, datetime]]:
    """How many cries for help of each account nobody has taken over, and since when the oldest waits."""
    query = sa.select(Flag.account_id, sa.func.count().label("number"), _first(Flag.raised_at)).where(Flag.acknowledged_at.is_(None))
    return {row.account_id: (row.number, row.first) for row in tx.execute(query.group_by(Flag.account_id))}


def _unclosed(tx: Tx, now: datetime) -> dict[int, tuple[int, datetime]]:
    """How many flags of each account were taken over three days ago and more and are not closed, and when the first of them was taken."""
    query = sa.select(Flag.account_id, sa.func.count().label("number"), _first(Flag.acknowledged_at))
    query = query.where(Flag.acknowledged_at <= now - CLOSED_WITHIN, Flag.closed_at.is_(None))
    return {row.account_id: (row.number, row.first) for row in tx.execute(query.group_by(Flag.account_id))}


def _apis(tx: Tx, rules: Rules, now: datetime) -> dict[int, dict[str, Api]]:
    """What each account may still do today by each API."""
    found: dict[int, dict[str, Api]] = {}
    most = {name: api.left for name, api in _untouched(rules).items()}
    for row in tx.execute(sa.select(Pace.account_id, Pace.api, Pace.day, Pace.calls, Pace.parked_until, Pace.parked_code)):
        if row.api in most:
            used = row.calls if row.day == platform_day(now) else 0
            parked = max(0.0, _age(now, row.parked_until) if row.parked_until else 0.0)
            api = Api(max(0, most[row.api] - used), parked, row.parked_code if parked else None)
            found.setdefault(row.account_id, _untouched(rules))[row.api] = api
    return found


def _untouched(rules: Rules) -> dict[str, Api]:
    return {"service": Api(rules.service_a_day), "notice": Api(rules.notices_a_day), "mass": Api(rules.masses_a_day)}


def _per_account(tx: Tx, table: Any, condition: sa.ColumnElement[bool]) -> dict[int, int]:
    return _pairs(tx.execute(sa.select(table.account_id, sa.func.count()).where(condition).group_by(table.account_id)))


def _pairs(rows: Iterable[Any]) -> dict[int, int]:
    return dict(map(tuple, rows))


def _first(moment: Any) -> sa.Label[datetime]:
    return sa.type_coerce(sa.func.min(moment), moment.type).label("first")


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
