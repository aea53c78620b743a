"""What must be true of restored rows before anybody works on them: nothing goes out by itself, who was erased stays erased.

Between the backup and the restore the service went on: what was on its way then may have arrived since, and nobody can know. So every
message that had not ended is held for a person, and every moment that has passed is missed rather than fired late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import audit, broadcasts, encouragement, integrations, people, polls, schedules
from app.courses import occasions
from app.db import Tx
from app.keyring import Keyring
from app.models import AccessToken, Alert, Broadcast, ConsoleSession, Delivery, Erasure, Flag, Mass, Pass, Person, Scan
from app.outbox import tags
from app.prompts import firing as prompts
from app.questionnaires import waves
from app.questions import standing
from app.states import STOPPABLE, Route, State

#: What had not left at the moment of the backup: each of these may have left since.
_NOT_GONE = tuple(state for state in STOPPABLE if state is not State.HELD)


@dataclass(frozen=True)
class Aftermath:
    """What was done to restored rows."""

    held: int  # deliveries that wait for a person
    unknown: int  # deliveries that were going out at the moment of the backup
    missed: int  # planned announcements whose moment has passed
    prompts: int  # practice prompts that came due since
    waves: int  # rounds of questionnaires that should have opened
    occasions: int  # dated occasions of courses whose moment has passed
    words: int  # moments at which a plan should have given warm words
    flags: int  # open flags whose on-call people are not called again by themselves
    questions: int  # questions to leaders that are not called for again by themselves
    erased: int  # persons who were erased after the backup, and again now


def hold_everything(tx: Tx, keyring: Keyring, erasures: Sequence[dict[str, Any]], taken_at: datetime, now: datetime) -> Aftermath:
    """Make restored rows safe to work on, in the transaction that brought them."""
    erased = erase_again(tx, keyring, erasures)
    _finish_audiences(tx, keyring, now)
    unknown, held = _hold_deliveries(tx, now)
    _let_masses_rest(tx, now)
    flags = _hold_calls(tx, now)
    tx.execute(sa.update(AccessToken).values(token_sealed=None, expires_at=None, lease_owner=None, lease_until=None))
    _sign_everybody_out(tx, now)
    missed = schedules.miss_passed(tx, keyring, now)
    polls.rest(tx, now)
    done = Aftermath(
        held=held,
        unknown=unknown,
        missed=missed,
        prompts=prompts.rest(tx, keyring, now),
        waves=waves.rest(tx, now),
        occasions=occasions.rest(tx, now),
        words=encouragement.rest(tx, now),
        flags=flags,
        questions=standing.rest(tx),
        erased=erased,
    )
    audit.record(tx, now, "operator", "restore", f"backup:{taken_at.isoformat()}", **vars(done))
    return done


def erase_again(tx: Tx, keyring: Keyring, erasures: Sequence[dict[str, Any]]) -> int:
    """Erase each person of a list who is readable here, as of the moment when they were erased; returns how many.

    Who is not here at all stays on the list: an older copy may still hold them.
    """
    erased = 0
    for each in {line["data_key_id"]: line for line in erasures}.values():
        person = tx.execute(
            sa.select(Person.erased_at).where(Person.id == each["person_id"], Person.data_key_id == each["data_key_id"])
        ).one_or_none()
        if person is not None and person.erased_at is None:
            people.erase(tx, keyring, each["person_id"], each["at"], actor="system")
            erased += 1
        elif tx.execute(sa.select(Erasure.id).where(Erasure.data_key_id == each["data_key_id"]).limit(1)).first() is None:
            tx.execute(sa.insert(Erasure).values(**each))
    return erased


def _finish_audiences(tx: Tx, keyring: Keyring, now: datetime) -> None:
    """Write the rest of audiences that were being expanded or invited: left to a worker, they would go out."""
    for broadcast_id in tx.execute(sa.select(Broadcast.id).where(Broadcast.state == "expanding")).scalars().all():
        while not broadcasts.expand(tx, broadcast_id, now):
            pass
    waves.finish_inviting(tx, keyring, now)
    encouragement.finish(tx, keyring, now)


def _sign_everybody_out(tx: Tx, now: datetime) -> None:
    """Sessions that had ended since are open again in the copy, links and tokens work again: none of them does from now on."""
    tx.execute(sa.update(ConsoleSession).where(ConsoleSession.ended_at.is_(None)).values(ended_at=now, why_ended="restored"))
    tx.execute(sa.update(Pass).where(Pass.used_at.is_(None)).values(used_at=now))
    tx.execute(sa.delete(Scan))
    integrations.forget_tokens(tx)


def _hold_deliveries(tx: Tx, now: datetime) -> tuple[int, int]:
    free = {"lease_owner": None, "lease_until": None, "changed_at": now}
    reason = sa.case((Delivery.route == Route.REPLY.value, "reply_unconfirmed"), else_="answer_lost")
    unknown = tx.execute(
        sa.update(Delivery).where(Delivery.state == State.SENDING).values(state=State.UNKNOWN, reason=reason, **free)
    ).rowcount
    held = tx.execute(sa.update(Delivery).where(Delivery.state.in_(_NOT_GONE)).values(state=State.HELD, reason="restored", **free)).rowcount
    return unknown, held


def _let_masses_rest(tx: Tx, now: datetime) -> None:
    """No mass send goes by itself: what it had in hand is held. One that WeChat had taken is only asked what became of it."""
    resting = {"state": "void", "code": "restored", "text_sealed": None, "to_tell": None, "ended_at": now}
    tx.execute(sa.update(Mass).where(Mass.state.in_(["planned", "sending"])).values(**resting))
    tx.execute(sa.update(Mass).values(lease_owner=None, lease_until=None))
    tags.forget(tx)


def _hold_calls(tx: Tx, now: datetime) -> int:
    """Stop the calls for open flags: who was in danger then may long be looked after. The operators are told, and say when to call."""
    tx.execute(sa.update(Alert).where(Alert.state.in_(["ready", "sending"])).values(state="cancelled", error="restored", lease_until=None))
    waiting = (Flag.acknowledged_at.is_(None), Flag.next_alert_at.is_not(None))
    flags = tx.execute(sa.update(Flag).where(*waiting).values(next_alert_at=None)).rowcount
    if flags:
        audit.alarm(tx, now, "flags_restored", f"open:{flags}")
    return flags
