"""Writes down what WeChat said of a mass send: of the call itself, when asked later, and by the receipt at its end."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import audit, broadcasts
from app.broadcasts import Draft
from app.channels import MassCounts, MassState, Rules, SendError, Verdict
from app.db import Tx
from app.keyring import Keyring
from app.models import Broadcast, Group, Mass, Receipt, Schedule
from app.outbox import mass_rows, pace, tags
from app.outbox.claims import Lease
from app.outbox.mass import NOT_POSSIBLE, Call
from app.outbox.mass_rows import Job
from app.states import Route, State
from bots.turns import OccasionKind

#: After this many tries that never left this machine, or did not bring the tag in step, the messages go another way.
MOST_TRIES = 8
#: What was taken is asked after this long, then less and less often, and taken for done after a day.
_FIRST_LOOK, _LONGEST_LOOK, _BELIEVED = timedelta(seconds=30), timedelta(minutes=10), timedelta(days=1)
_LONGEST_PAUSE = timedelta(minutes=5)
#: A call in doubt is made again after a minute, then after two, up to so many.
_SLOWEST = 10
_IN_DOUBT = (Verdict.UNKNOWN, Verdict.BUSY)
#: Of these a delivery may still learn what became of it.
_UNSURE = (State.SENDING, State.UNKNOWN)
_SUCCESS = "send success"
_REPORT_OF_USE = timedelta(days=3)


def settle(tx: Tx, job: Job, call: Call, msgid: str | None, error: SendError | None, lease: Lease, rules: Rules, now: datetime) -> None:
    """Write down the answer to one call. Good news counts whoever brings it; a refusal only while the mass send is in our hand."""
    row = mass_rows.row_of(tx, job.id)
    if row.state != "sending" or row.client_id != call.client_id:
        return
    if error is None or error.verdict is Verdict.DUPLICATE:  # 45065: it is there already, under the id in the body
        _accept(tx, job, row, msgid if error is None else error.msgid, now)
    elif not mass_rows.ours(tx, job, lease, "sending"):
        return
    elif error.verdict in _IN_DOUBT or row.in_doubt or error.verdict is Verdict.SAME_ID_TOO_SOON:
        _ask_again_later(tx, job, error, rules, now)
    else:
        _refused(tx, job, row, error, now)


def not_in_step(tx: Tx, job: Job, error: SendError, lease: Lease, now: datetime) -> None:
    """The tag could not be brought in step: try again, or go another way."""
    if not mass_rows.ours(tx, job, lease, "planned"):
        return
    tx.execute(sa.update(Mass).where(Mass.id == job.id).values(tries=Mass.tries + 1))
    _try_later(tx, job, error, now)


def _ask_again_later(tx: Tx, job: Job, error: SendError, rules: Rules, now: datetime) -> None:
    """It may have arrived, with this call or with one before: the same call once more, when WeChat takes it."""
    tries = 1 if error.verdict is Verdict.SAME_ID_TOO_SOON else mass_rows.row_of(tx, job.id).tries
    until = now + rules.mass_pause * min(max(1, tries), _SLOWEST)
    if error.verdict in (Verdict.WAIT_MINUTE, Verdict.WAIT_DAY, Verdict.TOKEN, Verdict.ACCOUNT_BROKEN):
        pace.refused(tx, job.account_id, Route.MASS, error.verdict, error.code, now)
    if error.verdict is Verdict.ACCOUNT_BROKEN:
        until = now + pace.BROKEN
    values: dict[str, Any] = {"in_doubt": True} if error.verdict in _IN_DOUBT else {}
    if values:
        tx.execute(sa.update(Mass).where(Mass.id == job.id).values(**values))
    mass_rows.wait(tx, job, until, error.code)


def _refused(tx: Tx, job: Job, row: Any, error: SendError, now: datetime) -> None:
    """Nothing went out, for certain: what was on its way is back in hand, or has failed."""
    mass_rows.end_attempts(tx, row.broadcast_id, row.client_id, now, outcome=error.verdict.value, code=error.code)
    if error.verdict is Verdict.BAD_MESSAGE and error.code not in NOT_POSSIBLE | {tags.GONE}:
        mass_rows.move(tx, row.broadcast_id, row.client_id, [State.SENDING], now, state=State.FAILED, reason="bad_message", code=error.code)
        mass_rows.end(tx, job, "failed", error.code, now, to_tell="mass_failed", month=None)
        audit.alarm(tx, now, "message_refused", error.code)
        return
    if error.code == tags.GONE:
        tags.lost_under(tx, job.id)
    mass_rows.move(tx, row.broadcast_id, row.client_id, [State.SENDING], now, state=State.CLAIMED, reason="")
    tx.execute(sa.update(Mass).where(Mass.id == job.id).values(state="planned", month=None, first_at=None, text_sealed=None))
    _try_later(tx, job, error, now)


def _try_later(tx: Tx, job: Job, error: SendError, now: datetime) -> None:
    """When a planned mass send is tried again after this failure; or it gives way."""
    tries = mass_rows.row_of(tx, job.id).tries
    if error.code in NOT_POSSIBLE or error.verdict is Verdict.QUOTA_USED:
        pace.park(tx, job.account_id, Route.MASS.value, now + pace.BROKEN, error.code, now)
        audit.alarm(tx, now, "mass_refused", f"account:{job.account_id}.{error.code}")
        mass_rows.give_way(tx, job, error.code, now)
    elif error.verdict in (Verdict.WAIT_MINUTE, Verdict.WAIT_DAY):
        pace.refused(tx, job.account_id, Route.MASS, error.verdict, error.code, now)
        mass_rows.wait(tx, job, now, error.code)  # until its gate opens, which stands in `paces`
    elif error.verdict in (Verdict.TOKEN, Verdict.ACCOUNT_BROKEN):
        pace.refused(tx, job.account_id, Route.MASS, error.verdict, error.code, now)
        mass_rows.wait(tx, job, now + (pace.TOKEN if error.verdict is Verdict.TOKEN else pace.BROKEN), error.code)
    elif tries >= MOST_TRIES:
        audit.alarm(tx, now, "mass_refused", f"account:{job.account_id}.{error.code}")
        mass_rows.give_way(tx, job, error.code, now)
    else:
        pause = min(_LONGEST_PAUSE, timedelta(seconds=5 * 2 ** max(0, tries - 1)))
        mass_rows.wait(tx, job, now if error.code == tags.GONE else now + pause, error.code)


def _accept(tx: Tx, job: Job, row: Any, msgid: str | None, now: datetime) -> None:
    """WeChat has it: what became of it comes with the receipt, or is asked for."""
    mass_rows.end_attempts(tx, row.broadcast_id, row.client_id, now, outcome="accepted", msgid=msgid)
    taken = {"state": "accepted", "msgid": msgid, "code": None, "in_doubt": False, "accepted_at": now, "text_sealed": None}
    tx.execute(sa.update(Mass).where(Mass.id == job.id).values(**taken, next_at=now + _FIRST_LOOK, lease_owner=None, lease_until=None))
    mass_rows.move(tx, row.broadcast_id, row.client_id, [State.SENDING], now, reason="mass")
    tags.let_go(tx, job.id, now)
    early = _receipt(tx, job.account_id, msgid)
    if early is not None:  # it was faster than the answer to our own call
        report(tx, job.account_id, early.msgid, early.status, _counts(early.counts), now)
        tx.execute(sa.update(Receipt).where(Receipt.id == early.id).values(applied_at=now))


def _receipt(tx: Tx, account_id: int, msgid: str | None) -> Any:
    mine = (Receipt.account_id == account_id, Receipt.msgid == msgid, Receipt.applied_at.is_(None))
    return tx.execute(sa.select(Receipt.id, Receipt.msgid, Receipt.status, Receipt.counts).where(*mine)).one_or_none()


def _counts(stored: dict[str, Any] | None) -> MassCounts | None:
    return None if stored is None else MassCounts(**stored)


def looked(tx: Tx, job: Job, state: MassState | None, code: str | None, now: datetime) -> None:
    """WeChat was asked how far a mass send is; None: it did not say. After a day it is taken for what WeChat once took it for."""
    row = mass_rows.row_of(tx, job.id)
    if row.state != "accepted":
        return
    since = now - row.accepted_at
    if state is MassState.SENT or since >= _BELIEVED:
        _sent(tx, row, None, now)
    elif state in (MassState.FAILED, MassState.TAKEN_BACK):
        _failed(tx, row, state.value, now)
    else:
        mass_rows.wait(tx, job, now + min(_LONGEST_LOOK, max(_FIRST_LOOK, since)), code)


def report(tx: Tx, account_id: int, msgid: str, status: str, counts: MassCounts | None, now: datetime) -> bool:
    """Apply the receipt at the end of a mass send; False where it is none of ours. A second one changes nothing."""
    mine = sa.select(*Mass.__table__.columns).where(Mass.account_id == account_id, Mass.msgid == msgid)
    row = tx.execute(mine.with_for_update()).first()
    if row is None:
        return False
    if row.state == "accepted" or (row.state == "done" and row.sent is None):
        if status.strip().lower() == _SUCCESS:
            _sent(tx, row, counts, now)
        elif row.state == "accepted":
            _failed(tx, row, status[:40], now)
    return True


def _sent(tx: Tx, row: Any, counts: MassCounts | None, now: datetime) -> None:
    """It went out. Only where the counts leave nobody over does each person certainly have it."""
    job = _job(row)
    if counts is None:
        mass_rows.move(tx, row.broadcast_id, row.client_id, _UNSURE, now, state=State.SENT, reason="mass")
        mass_rows.end(tx, job, "done", None, now)
        return
    everybody = counts.sent == counts.total == row.audience
    word = {"state": State.CONFIRMED, "reason": "mass_all"} if everybody else {"state": State.SENT, "reason": "mass_partial"}
    mass_rows.move(tx, row.broadcast_id, row.client_id, (*_UNSURE, State.SENT), now, **word)
    mass_rows.end(tx, job, "done", None, now, total=counts.total, kept=counts.kept, sent=counts.sent, errors=counts.errors)


def _failed(tx: Tx, row: Any, status: str, now: datetime) -> None:
    """WeChat took it and did not send it: its review or an administrator refused. What it refused goes no other way; the author decides."""
    mass_rows.move(tx, row.broadcast_id, row.client_id, _UNSURE, now, state=State.FAILED, reason="mass_failed", code=status)
    mass_rows.end(tx, _job(row), "failed", status, now, to_tell="mass_failed", month=None)
    audit.alarm(tx, now, "mass_failed", f"mass:{row.id}.{status}")


def tell_author(tx: Tx, keyring: Keyring, job: Job, now: datetime) -> None:
    """Report to whoever chose the mass send that it did not go as they meant it; once, in however many languages it was."""
    equal = sa.and_(Mass.broadcast_id == job.broadcast_id, Mass.to_tell == job.to_tell)
    told = tx.execute(sa.update(Mass).where(equal).values(to_tell=None, lease_owner=None, lease_until=None)).rowcount
    query = (
        sa.select(Broadcast.account_id, Broadcast.author_id, Broadcast.course_id, Broadcast.data_key_id, Broadcast.schedule_id)
        .add_columns(Schedule.number, Schedule.fire_at, Group.name)
        .join(Schedule, Schedule.id == Broadcast.schedule_id)
        .join(Group, Group.id == Schedule.group_id)
        .where(Broadcast.id == job.broadcast_id)
    )
    row = tx.execute(query).one_or_none()
    if not told or row is None or row.author_id is None:
        return  # nobody's announcement, or the operator's, who has the alarm
    details = {"reason": job.to_tell, "number": row.number, "group_name": row.name, "at": row.fire_at}
    report_to_author = Draft(
        account_id=row.account_id,
        key_id=row.data_key_id,
        bot="announcement",
        kind=OccasionKind.REPORT,
        details=details,
        course_id=row.course_id,
        schedule_id=row.schedule_id,
        stale_at=now + _REPORT_OF_USE,
    )
    broadcasts.send_to(tx, keyring, report_to_author, [row.author_id], now)


def _job(row: Any) -> Job:
    shown = (row.broadcast_id, row.language, row.state, row.tries, row.client_id, row.msgid, row.to_tell, row.accepted_at)
    return Job(row.id, row.account_id, *shown)
