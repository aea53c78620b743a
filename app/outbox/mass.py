"""Hides when a mass send may go, to whom, and under which id. Rows only: `crier` makes the calls.

From its first call to its end nothing that went under a client id changes, neither words nor audience. So a call whose answer was lost is
made again under the same id, which WeChat counts as one for a day, until WeChat says what became of it: none stays in doubt.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import audit, reach
from app.channels import Rules
from app.db import Tx
from app.keyring import Keyring, Place
from app.models import Attempt, Delivery, Identity, Mass, Pace, Tag
from app.outbox import batches, mass_rows, pace, recheck, tags
from app.outbox.claims import Lease
from app.outbox.mass_rows import Job
from app.outbox.tags import Kept
from app.states import Route, State
from bots.texts import LANGUAGES

#: Refusals after which no mass send of the account goes for a while: it may not send to many, or has none left (platform reference, 6).
NOT_POSSIBLE = frozenset({"48001", "48003", "48004", "48008", "40130", "45028", tags.FULL})
_ROWS = 500


@dataclass(frozen=True)
class Ready:
    """What shall go: the words, the tag that is held for it, and the identities that shall have that tag, and nobody else."""

    tag: Kept
    wanted: frozenset[int]
    text: str = field(repr=False)


@dataclass(frozen=True)
class Call:
    """What is about to be written to the socket."""

    tag: int
    client_id: str
    text: str = field(repr=False)


def prepare(tx: Tx, job: Job, text: str | None, lease: Lease, rules: Rules, now: datetime) -> Ready | None:
    """Who a planned mass send would go to now, and the tag for it; None where it waits, has nobody left, or is not possible.

    `text`: its words; None where they could not be written, or are such as go to one person only.
    """
    broadcast = mass_rows.broadcast_of(tx, job)
    if not mass_rows.ours(tx, job, lease, "planned") or not _somebody_left(tx, job, broadcast, rules, now):
        return None
    if text is None:
        mass_rows.give_way(tx, job, "words", now)
        return None
    if _is_held_up(tx, job, broadcast, now):
        return None
    tag = None if broadcast.group_id is None else tags.hold(tx, broadcast.group_id, job.language, job.id, lease, now)
    if tag is None:
        mass_rows.wait(tx, job, now + timedelta(seconds=3), "tag_in_use")
        return None
    return Ready(tag, frozenset(_identities(mass_rows.gathered(tx, job))), text)


def begin(
    tx: Tx, keyring: Keyring, job: Job, ready: Ready, refused: Collection[int], lease: Lease, rules: Rules, now: datetime
) -> Call | None:
    """Mark a mass send and its deliveries as being written to the socket, where the tag is on exactly those who shall get it.

    None where somebody was taken back meanwhile, where nobody is left, or where it must wait. `refused`: who cannot have the tag.
    """
    broadcast = mass_rows.broadcast_of(tx, job)
    if not mass_rows.ours(tx, job, lease, "planned") or not tags.still_ours(tx, ready.tag, lease):
        return None
    untaggable = [delivery for delivery, identity in mass_rows.gathered(tx, job).items() if identity in refused]
    mass_rows.pass_on(tx, untaggable, "untaggable", now)
    if not _somebody_left(tx, job, broadcast, rules, now) or _is_held_up(tx, job, broadcast, now) or not _in_pace(tx, job, rules, now):
        return None
    going = mass_rows.gathered(tx, job, hold=True)
    number = tx.execute(sa.select(Tag.number).where(Tag.id == ready.tag.id)).scalar_one()
    if number is None or _identities(going) != tags.having(tx, ready.tag.id):
        mass_rows.wait(tx, job, now, "tag_not_in_step")
        return None
    content = _content_hash(ready.text, number, _identities(going))
    row = mass_rows.row_of(tx, job.id)
    generation = row.generation + (row.content_hash not in (None, content))  # another audience or content never goes under a former id
    client_id = f"b{tags.short(job.broadcast_id)}.{LANGUAGES.index(job.language)}.{generation}"  # at most 32 bytes (45067)
    sealed = keyring.open(tx, broadcast.data_key_id).seal(Place("masses", "text_sealed", job.id), ready.text)
    values = {"state": "sending", "generation": generation, "client_id": client_id, "content_hash": content, "text_sealed": sealed}
    began = {"month": mass_rows.month_of(now), "first_at": now, "in_doubt": False, "audience": len(going)}
    _calls(tx, job, rules, now, **values, **began)
    _mark(tx, going, client_id, now)
    return Call(number, client_id, ready.text)


def repeat(tx: Tx, keyring: Keyring, job: Job, lease: Lease, rules: Rules, now: datetime) -> Call | None:
    """The same call once more: nobody knows what became of the last one. None where it must wait, or where WeChat has forgotten the id."""
    broadcast, row = mass_rows.broadcast_of(tx, job), mass_rows.row_of(tx, job.id)
    if not mass_rows.ours(tx, job, lease, "sending"):
        return None
    tx.execute(sa.update(Mass).where(Mass.id == job.id).values(in_doubt=True))
    text = keyring.unseal(tx, broadcast.data_key_id, Place("masses", "text_sealed", job.id), row.text_sealed)
    tag = tx.execute(sa.select(Tag.id, Tag.number).where(Tag.mass_id == job.id)).one_or_none()
    if text is None or tag is None or tag.number is None or not _is_the_same(tx, row, text, tag.number):
        _give_up(tx, job, row, "changed", now)
        return None
    latest = row.first_at + rules.mass_repeat
    if now >= latest:
        _give_up(tx, job, row, "answer_lost", now)
        return None
    held, why = _held_until(broadcast, now)
    if held is not None and held < latest:  # it may not have arrived, and would arrive at night
        mass_rows.wait(tx, job, held, why)
        return None
    if not _in_pace(tx, job, rules, now):
        return None
    _calls(tx, job, rules, now)
    return Call(tag.number, row.client_id, text)


def _identities(going: Mapping[int, int | None]) -> set[int]:
    return {identity for identity in going.values() if identity is not None}


def _somebody_left(tx: Tx, job: Job, broadcast: Any, rules: Rules, now: datetime) -> bool:
    """Look at everybody once more: whoever must not get it gets the state that says why, whoever had their four gets it another way."""
    if broadcast.state != "cancelled":
        waiting = sorted(mass_rows.gathered(tx, job))
        month = mass_rows.month_of(now)
        counts = mass_rows.used(job.account_id, month).subquery()
        full = set(tx.execute(sa.select(counts.c.person_id).where(counts.c.used >= rules.masses_a_month)).scalars())
        for start in range(0, len(waiting), _ROWS):
            rows = recheck.everything(tx, waiting[start : start + _ROWS])
            refusals = {row.id: refusal for row in rows if (refusal := recheck.no_longer(row, now)) is not None}
            for decision, some in recheck.group_by_decision(refusals).items():
                batches.pass_over(tx, some, decision.state.value, decision.reason, None, now)
            over = [row.id for row in rows if row.id not in refusals and row.person_id in full]
            mass_rows.pass_on(tx, over, "mass_used_up", now)
        if mass_rows.gathered(tx, job):
            return True
    mass_rows.end(tx, job, "void", "nobody", now)
    return False


def _held_until(broadcast: Any, now: datetime) -> tuple[datetime | None, str]:
    """Until when the course's silence or its quiet hours hold it, and which of them."""
    if broadcast.urgent or broadcast.quiet_from is None:
        return None, ""
    silent = reach.silent_until(now, reach.silences(broadcast.silences))
    if silent is not None:
        return silent, "silence"
    return reach.quiet_until(now, broadcast.zone, broadcast.quiet_from, broadcast.quiet_until), "quiet_hours"


def _is_held_up(tx: Tx, job: Job, broadcast: Any, now: datetime) -> bool:
    """Quiet hours and silences hold it; where the account cannot send to many just now, it waits or gives way."""
    held, why = _held_until(broadcast, now)
    if held is not None:
        waiting = sa.update(Delivery).where(Delivery.id.in_(list(mass_rows.gathered(tx, job))))
        tx.execute(waiting.values(reason=why, changed_at=now))
        mass_rows.wait(tx, job, held, why)
        return True
    mine = (Pace.account_id == job.account_id, Pace.api == Route.MASS.value, Pace.parked_until > now)
    parked = tx.execute(sa.select(Pace.parked_until, Pace.parked_code).where(*mine)).one_or_none()
    if parked is None:
        return False
    if parked.parked_code in NOT_POSSIBLE:
        mass_rows.give_way(tx, job, str(parked.parked_code), now)
    else:
        mass_rows.wait(tx, job, parked.parked_until, parked.parked_code)
    return True


def _in_pace(tx: Tx, job: Job, rules: Rules, now: datetime) -> bool:
    """Whether one more call fits into the platform's minute; each mass send is called at most once in a minute."""
    tx.execute(sa.select(Pace.api).where(Pace.account_id == job.account_id, Pace.api == Route.MASS.value).with_for_update()).all()
    minute = now.replace(second=0, microsecond=0)
    calls = sa.select(sa.func.count()).select_from(Mass).where(Mass.account_id == job.account_id, Mass.called_at >= minute)
    if tx.execute(calls).scalar_one() < rules.masses_a_minute:
        return True
    mass_rows.wait(tx, job, minute + timedelta(minutes=1, seconds=1), "parked")
    return False


def _calls(tx: Tx, job: Job, rules: Rules, now: datetime, **values: Any) -> None:
    """One more call: nobody makes the next one before WeChat takes the same id again."""
    more = {"called_at": now, "next_at": now + rules.mass_pause, "tries": Mass.tries + 1}
    tx.execute(sa.update(Mass).where(Mass.id == job.id).values(**more, **values))
    pace.count_calls(tx, job.account_id, Route.MASS.value, 1, rules.masses_a_day, now)


def _mark(tx: Tx, going: Mapping[int, int | None], client_id: str, now: datetime) -> None:
    ids = sorted(going)
    for start in range(0, len(ids), _ROWS):
        some = ids[start : start + _ROWS]
        moved = sa.update(Delivery).where(Delivery.id.in_(some), Delivery.state == State.CLAIMED)
        begun = moved.values(state=State.SENDING, reason="", attempts=Delivery.attempts + 1, changed_at=now)
        rows = tx.execute(begun.returning(Delivery.id, Delivery.attempts)).all()
        attempt = {"call": client_id, "route": Route.MASS.value, "started_at": now}
        tx.execute(sa.insert(Attempt), [{"delivery_id": row.id, "number": row.attempts, **attempt} for row in rows])


def _content_hash(text: str, tag: int, identities: Collection[int]) -> bytes:
    return hashlib.sha256(json.dumps([text, tag, sorted(identities)]).encode()).digest()


def _is_the_same(tx: Tx, row: Any, text: str, tag: int) -> bool:
    """Whether words, tag and audience are what went under this id the first time."""
    mine = sa.and_(Identity.person_id == Delivery.person_id, Identity.account_id == Delivery.account_id)
    audience = sa.select(Identity.id).join(Delivery, mine).where(mass_rows.went_under(row.broadcast_id, row.client_id))
    return bool(row.content_hash == _content_hash(text, tag, set(tx.execute(audience).scalars())))


def _give_up(tx: Tx, job: Job, row: Any, code: str, now: datetime) -> None:
    """WeChat may have forgotten the id: a repeat could arrive twice. A person decides (`tongban deliveries`)."""
    mass_rows.move(tx, row.broadcast_id, row.client_id, [State.SENDING], now, state=State.UNKNOWN, reason="answer_lost")
    mass_rows.end(tx, job, "void", code, now, to_tell="mass_lost")
    audit.alarm(tx, now, "mass_lost", f"mass:{job.id}.{code}")
