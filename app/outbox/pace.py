"""Hides how fast an account may be called: the day's count, what parks an API, the circuit that opens, and the one message that probes.

Where it stands in `paces`, so that every process sees it (docs/decisions/013). Parked means: nobody calls. Where the cause may pass by
itself, one message at a time tries again after a pause; what the platform then says closes the matter or lengthens the pause.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import audit
from app.channels import Verdict
from app.db import Tx, upsert, upserting
from app.db.prepared import NOW, Earliest, Prepared, slot
from app.models import Account, Delivery, Pace, stands
from app.outbox.batches import statement
from app.states import DUE, Route

#: The platform's days and minutes turn in Beijing.
_PLATFORM_ZONE = ZoneInfo("Asia/Shanghai")
#: The APIs that an account is called at.
APIS = (Route.SERVICE, Route.NOTICE)
#: A broken account is tried again after this long; a refused token sooner, because anybody may have changed it.
BROKEN = timedelta(hours=1)
TOKEN = timedelta(seconds=60)
#: A parked quota is probed this often: it may have been raised or cleared by hand, and one refused call harms nobody.
PROBE = timedelta(seconds=30)
#: Whoever probes keeps the others away for longer than a call can take.
_PROBING = timedelta(seconds=15)
#: Calls in doubt, less those that went well since, at which the circuit opens; seconds until its first and its later probes.
MOST_TROUBLES = 5
_FIRST_PAUSE, _LONGEST_PAUSE = 2, 30
CIRCUIT, QUOTA = "circuit", "quota"
#: What says nothing of the message and much of the road to the platform.
TROUBLE = frozenset({Verdict.UNKNOWN, Verdict.BUSY, Verdict.NOT_SENT})

_LOOK = statement(
    """
    SELECT a.notice_id, p.api, p.parked_until, p.parked_code, p.probe_at
    FROM accounts AS a LEFT JOIN paces AS p ON p.account_id = a.id AND p.parked_until > :now
    WHERE a.id = :account_id""",
    Account.notice_id,
    Pace.api,
    Pace.parked_until,
    Pace.parked_code,
    Pace.probe_at,
)


@dataclass(frozen=True)
class Gates:
    """Which APIs of an account are shut and until when, and of these the ones at which one message may knock."""

    shut: Mapping[Route, datetime]
    probes: Mapping[Route, datetime]  # the moment that stands in the row: whoever moves it has won
    notices: bool

    @property
    def usable(self) -> tuple[Route, ...]:
        """The APIs that this account has."""
        return APIS if self.notices else (Route.SERVICE,)

    @property
    def closed(self) -> bool:
        """Whether nothing at all may be called, not even to probe."""
        return all(route in self.shut and route not in self.probes for route in self.usable)

    @property
    def only_probes(self) -> bool:
        """Whether nothing goes but what probes."""
        return all(route in self.shut for route in self.usable)


def look(tx: Tx, account_id: int, now: datetime) -> Gates:
    """The gates of an account as they stand at `now`."""
    rows = _LOOK.all(tx, account_id=account_id, now=now)
    parked = [row for row in rows if row.api is not None]
    shut = {Route(row.api): row.parked_until for row in parked}
    probes = {Route(row.api): row.probe_at for row in parked if row.probe_at is not None and row.probe_at <= now}
    return Gates(shut, probes, notices=bool(rows) and rows[0].notice_id is not None)


def hold(tx: Tx, account_id: int, now: datetime) -> Gates:
    """The gates as they stand until the commit.

    Whoever puts rows off because of them must hold them: a probe that succeeds at this moment would not see those rows, and they would
    wait for an hour although everything is open.
    """
    tx.execute(sa.select(Pace.api).where(Pace.account_id == account_id).order_by(Pace.api).with_for_update()).all()
    return look(tx, account_id, now)


def next_opening(tx: Tx, after: datetime) -> datetime | None:
    """The first moment after `after` at which something that is parked may be called again."""
    return _NEXT.moment(tx, now=after)


_NEXT = Earliest(
    lambda: sa.select(sa.func.min(Pace.parked_until)).where(Pace.parked_until > NOW),
    lambda: sa.select(sa.func.min(Pace.probe_at)).where(Pace.parked_until > NOW, Pace.probe_at > NOW),
)


def take_probe(tx: Tx, account_id: int, api: Route, seen: datetime, now: datetime) -> bool:
    """Be the one that probes: true for one process only, until its call is over or has timed out."""
    mine = (Pace.account_id == account_id, Pace.api == api.value, Pace.probe_at == seen)
    return bool(tx.execute(sa.update(Pace).where(*mine).values(probe_at=now + _PROBING)).rowcount)


def park(tx: Tx, account_id: int, api: str, until: datetime, code: str, now: datetime, *, probe_at: datetime | None = None) -> None:
    """Call this API of the account no more until then; a longer rest that was ordered before stays."""
    longer = Pace.parked_until > until
    insert = upsert(tx, Pace).values(
        account_id=account_id, api=api, parked_until=until, parked_code=code, probe_at=probe_at, day=platform_day(now), calls=0
    )
    later = {
        "parked_until": sa.case((longer, Pace.parked_until), else_=insert.excluded.parked_until),
        "parked_code": sa.case((longer, Pace.parked_code), else_=insert.excluded.parked_code),
        "probe_at": sa.case((longer, Pace.probe_at), else_=insert.excluded.probe_at),
    }
    tx.execute(insert.on_conflict_do_update(index_elements=["account_id", "api"], set_=later))


def refused(tx: Tx, account_id: int, api: Route, verdict: Verdict, code: str, now: datetime) -> None:
    """What a refusal means for the whole account; verdicts that concern the message alone mean nothing here."""
    match verdict:
        case Verdict.WAIT_MINUTE:
            park(tx, account_id, api.value, _next_minute(now), code, now, probe_at=now + PROBE)
        case Verdict.WAIT_DAY:
            park(tx, account_id, api.value, _next_day(now), code, now, probe_at=now + PROBE)
            audit.alarm(tx, now, "quota", f"account:{account_id}.{api.value}")
        case Verdict.TOKEN | Verdict.ACCOUNT_BROKEN:
            until = now + (TOKEN if verdict is Verdict.TOKEN else BROKEN)
            for each in APIS:
                park(tx, account_id, each.value, until, code, now)
            audit.alarm(tx, now, "account_broken", f"account:{account_id}.{code}")
        case _:
            pass


def trouble(tx: Tx, account_id: int, api: Route, balance: int, now: datetime, *, probe: bool = False) -> None:
    """Weigh calls: `balance` of them are in doubt, less those that went well. Too many open the circuit; a failed probe keeps it open."""
    mine = (Pace.account_id == account_id, Pace.api == api.value)
    if probe:
        _open_circuit(tx, account_id, now)
        return
    insert = upsert(tx, Pace).values(account_id=account_id, api=api.value, day=platform_day(now), calls=0, troubles=max(0, balance))
    weighed = sa.case((Pace.troubles + balance > 0, Pace.troubles + balance), else_=0)
    tx.execute(insert.on_conflict_do_update(index_elements=["account_id", "api"], set_={"troubles": weighed}))
    row = tx.execute(sa.select(Pace.troubles, Pace.parked_until).where(*mine)).one()
    if row.troubles >= MOST_TROUBLES and (row.parked_until is None or row.parked_until <= now):
        _open_circuit(tx, account_id, now)
        audit.alarm(tx, now, "circuit_open", f"account:{account_id}")


def _open_circuit(tx: Tx, account_id: int, now: datetime) -> None:
    """The road to the platform is bad, so every API of the account rests; pauses double up to half a minute."""
    pause = tx.execute(sa.select(sa.func.max(Pace.pause)).where(Pace.account_id == account_id)).scalar_one() or 0
    pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, int(pause) * 2))
    for api in APIS:
        park(tx, account_id, api.value, now + BROKEN, CIRCUIT, now, probe_at=now + timedelta(seconds=pause))
    tx.execute(sa.update(Pace).where(Pace.account_id == account_id).values(pause=pause, troubles=0))


def recovered(tx: Tx, account_id: int, api: Route, now: datetime) -> None:
    """A probe got a clear answer: what parked this API is over, and with it what it parked of the others; everything is due again."""
    mine = sa.and_(Pace.account_id == account_id, Pace.api == api.value)
    code = tx.execute(sa.select(Pace.parked_code).where(mine)).scalar_one_or_none()
    if code is None or code == QUOTA:
        return
    same = sa.and_(Pace.account_id == account_id, Pace.parked_code == code) if code == CIRCUIT else mine
    tx.execute(sa.update(Pace).where(same).values(parked_until=None, parked_code=None, probe_at=None, pause=0, troubles=0))
    held_back = (Delivery.account_id == account_id, stands(DUE), Delivery.reason == "parked", Delivery.due_at > now)
    tx.execute(sa.update(Delivery).where(*held_back).values(due_at=now))


def count_calls(tx: Tx, account_id: int, api: str, calls: int, most_a_day: int, now: datetime) -> None:
    """Count calls of the platform's day; at the day's quota the API is parked before the platform has to say so."""
    today = platform_day(now)
    reached = _COUNT.first(tx, account_id=account_id, api=api, day=today, calls=calls).calls
    if reached >= most_a_day:
        park(tx, account_id, api, _next_day(now), QUOTA, now)


def _counting(dialect: str) -> Any:
    """So many calls more on this day; how many that are."""
    given = {name: slot(name) for name in ("account_id", "api", "day", "calls")}
    insert = upserting(dialect, Pace).values(**given, pause=0, troubles=0)
    total = sa.case((Pace.day == insert.excluded.day, Pace.calls + insert.excluded.calls), else_=insert.excluded.calls)
    counted = {"calls": total, "day": insert.excluded.day}
    return insert.on_conflict_do_update(index_elements=["account_id", "api"], set_=counted).returning(Pace.calls)


_COUNT = Prepared(lambda dialect: [_counting(dialect)])


def platform_day(now: datetime) -> date:
    """The day by which the platform counts calls."""
    return now.astimezone(_PLATFORM_ZONE).date()


def _next_minute(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0) + timedelta(minutes=1, seconds=1)


def _next_day(now: datetime) -> datetime:
    local = now.astimezone(_PLATFORM_ZONE)
    return (local + timedelta(days=1)).replace(hour=0, minute=0, second=5, microsecond=0).astimezone(now.tzinfo)
