"""Hides how a cry for help becomes rows: the flag, whom to alert next, who took over."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from app import access, audit, broadcasts, clock, encouragement, ids
from app.broadcasts import Draft
from app.db import Tx
from app.db.prepared import NOW, Anything, Earliest, slot
from app.flags.duty import on_call
from app.groups import Refused
from app.keyring import Keyring, Place
from app.logs import place_of
from app.models import Account, Alert, Course, Delivery, Flag, Group, Membership, OnCall, stands
from app.people import names
from app.situation import Situation, Tools
from app.states import UNDER_WAY, State
from bots.questionnaire.thresholds import FROM_ANSWERS, from_answers
from bots.turns import OccasionKind

log = structlog.get_logger()

#: The next on-call person is alerted after this long without a tap.
NEXT_AFTER = timedelta(minutes=15)
#: A flag that nobody takes is called for this long; then the operators' alarm stands alone.
CALLED_FOR = timedelta(hours=24)
#: An alert that could not even be written down is tried again after this long.
AGAIN_AFTER = timedelta(minutes=1)
#: A chat alert that comes to stand here has reached nobody. One that a notice points to counts as a call.
_MISSED = (State.WAITING, State.UNREACHABLE, State.FAILED, State.UNKNOWN, State.EXPIRED, State.CANCELLED, State.HELD)


def raise_flag(tx: Tx, tools: Tools, situation: Situation, rule: str) -> int:
    """Write a flag and alert the first on-call person by every route; what stands since the last minutes is not called for twice.

    Of a flag that answers raise no words are kept: they would be the answers. Warm words on their way are taken back.
    """
    encouragement.hold_back(tx, situation.known.id, situation.now)
    standing = _standing(tx, situation, rule)
    if standing is not None:
        audit.record(tx, situation.now, "system", "flag.again", f"flag:{standing}", rule=rule)
        return standing
    flag_id = ids.new_id()
    tx.execute(
        sa.insert(Flag).values(
            id=flag_id,
            number=_next_number(tx),
            person_id=situation.known.id,
            course_id=_course_of(tx, situation),
            account_id=situation.account_id,
            rule=rule,
            words_sealed=situation.known.key.seal(Place("flags", "words_sealed", flag_id), "" if from_answers(rule) else situation.said),
            raised_at=situation.now,
            step=0,
            next_alert_at=situation.now,
        )
    )
    audit.record(tx, situation.now, "system", "flag.raise", f"flag:{flag_id}", rule=rule)
    _call_survived(tx, tools, flag_id, clock.now())  # of words that waited in the spool the call is later than the cry
    return flag_id


def _standing(tx: Tx, situation: Situation, rule: str) -> int | None:
    """The flag of the last minutes that this cry belongs to.

    Words belong to a flag of words that nobody has taken over: whoever writes again after that is in need again. The answers of one
    sitting say the same again and again, so they belong to any flag that is not closed.
    """
    lately = sa.select(Flag.id).where(Flag.person_id == situation.known.id, Flag.raised_at > situation.now - NEXT_AFTER)
    if from_answers(rule):
        mine = lately.where(Flag.closed_at.is_(None))
    else:
        mine = lately.where(Flag.acknowledged_at.is_(None), ~Flag.rule.startswith(FROM_ANSWERS, autoescape=True))
    return tx.execute(mine.order_by(Flag.id.desc()).limit(1)).scalar_one_or_none()


def _next_number(tx: Tx) -> int:
    """A number for people to type. Whoever takes one holds the first account's row, so that two cries at once do not clash."""
    tx.execute(sa.select(Account.id).order_by(Account.id).limit(1).with_for_update(key_share=True))
    return tx.execute(sa.select(sa.func.coalesce(sa.func.max(Flag.number), 0))).scalar_one() + 1


def _call_survived(tx: Tx, tools: Tools, flag_id: int, now: datetime) -> None:
    """Alert the next on-call person. What breaks there costs neither the flag, nor the person's answer, nor other flags' calls."""
    try:
        with tx.begin_nested():
            call_next(tx, tools.keyring, flag_id, now)
    except DBAPIError:
        raise  # a race, or the database is away: the whole transaction is tried again
    except Exception as bug:  # noqa: BLE001 - an alert that cannot be made is the operators' to know, and is tried again
        log.error("flag_not_called", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold what somebody wrote
        audit.alarm(tx, now, "flag_not_called", type(bug).__name__)
        tx.execute(sa.update(Flag).where(Flag.id == flag_id).values(next_alert_at=now + AGAIN_AFTER))


def acknowledge(tx: Tx, number: int, person_id: int, now: datetime, *, actor: str | None = None) -> None:
    """An on-call person takes over the flag with this number. `actor`: who says so, where it is somebody else.

    Raises `Refused`: "taken" (somebody else was first), "foreign" (not on call, or no such flag).
    """
    row = _held(tx, number)
    if row is None or not access.may_take_flag(tx, person_id, row.course_id):
        raise Refused("foreign", "Only the on-call people of this course can take this over.")
    _take(tx, row, person_id, now, actor or f"person:{person_id}")


def take_over(tx: Tx, number: int, now: datetime, *, person_id: int | None = None) -> None:
    """The operator takes over the flag with this number, for whoever is on call without being in WeChat.

    `person_id`: or somebody of whom the caller has seen that it is theirs to take. Raises `Refused`: "taken", "foreign" (no such flag).
    """
    row = _held(tx, number)
    if row is None:
        raise Refused("foreign", f"There is no flag {number}.")
    _take(tx, row, person_id, now, audit.actor(person_id))


def _held(tx: Tx, number: int) -> Any:
    columns = (Flag.id, Flag.course_id, Flag.acknowledged_at, Flag.acknowledged_by)
    return tx.execute(sa.select(*columns).where(Flag.number == number).with_for_update()).one_or_none()


def _take(tx: Tx, row: Any, person_id: int | None, now: datetime, actor: str) -> None:
    if row.acknowledged_at is not None and (person_id is None or row.acknowledged_by != person_id):
        raise Refused("taken", "Somebody else on call has taken this over already.")
    if row.acknowledged_at is None:
        tx.execute(sa.update(Flag).where(Flag.id == row.id).values(acknowledged_at=now, acknowledged_by=person_id, next_alert_at=None))
        tx.execute(sa.update(Alert).where(Alert.flag_id == row.id, Alert.state == "ready").values(state="cancelled"))
        audit.record(tx, now, actor, "flag.take", f"flag:{row.id}", by=person_id)


def call_due(tx: Tx, tools: Tools, now: datetime) -> int:
    """Alert the next on-call person of every flag that nobody has taken for 15 minutes, or whose chat alert reached nobody.

    Returns for how many flags somebody was called.
    """
    if not _ANY_DUE.there(tx, now=now, minute_ago=now - AGAIN_AFTER):
        return 0
    for row in tx.execute(_missed(now - AGAIN_AFTER).limit(50).with_for_update(skip_locked=True, of=Flag)).all():
        _note_missed(tx, row, now)
    flags = list(tx.execute(_due(now).limit(50).with_for_update(skip_locked=True)).scalars())
    for flag_id in flags:
        _call_survived(tx, tools, flag_id, now)
    return len(flags)


def next_call(tx: Tx) -> datetime | None:
    """The moment of the next alert that is due if nobody takes over: by the clock, or because the last one reached nobody."""
    return _NEXT.moment(tx)


def _due(now: Any) -> "sa.Select[int]":
    """Flags that nobody has taken, whose next call is due."""
    return sa.select(Flag.id).where(Flag.acknowledged_at.is_(None), Flag.next_alert_at <= now)


def _missed(minute_ago: Any = None) -> "sa.Select[*tuple[Any, ...]]":
    """Chat alerts of open flags that reached nobody; with `minute_ago` also those that were due by then and have not left."""
    missed = stands(_MISSED)
    late = sa.false() if minute_ago is None else sa.and_(stands(UNDER_WAY), Alert.due_at <= minute_ago)
    return (
        sa.select(Alert.id, Alert.flag_id, Flag.course_id, Delivery.state, Delivery.changed_at)
        .join(Flag, Flag.id == Alert.flag_id)
        .join(Delivery, Delivery.broadcast_id == Alert.broadcast_id)
        .where(Flag.acknowledged_at.is_(None), Flag.next_alert_at.is_not(None))
        .where(Alert.route == "chat", Alert.state == "sent", sa.or_(missed, late))
        .order_by(Alert.id)
    )


_ANY_DUE = Anything(lambda: _missed(slot("minute_ago")).order_by(None), lambda: _due(NOW))
_NEXT = Earliest(
    lambda: sa.select(sa.func.min(Flag.next_alert_at)).where(Flag.acknowledged_at.is_(None)),
    lambda: _missed().with_only_columns(sa.func.min(Delivery.changed_at)).order_by(None),
)


def _note_missed(tx: Tx, row: Any, now: datetime) -> None:
    """Tell the operators, and let the next on-call person be called at once, unless everybody was within the last 15 minutes."""
    tx.execute(sa.update(Alert).where(Alert.id == row.id).values(state="failed", error=f"chat: {row.state}"))
    audit.alarm(tx, now, "alert_not_delivered", f"course:{row.course_id}")
    lately = sa.select(Alert.oncall_id).where(Alert.flag_id == row.flag_id, Alert.due_at > now - NEXT_AFTER)
    called = set(tx.execute(lately).scalars())
    if any(each.id not in called for each in on_call(tx, row.course_id)):
        tx.execute(sa.update(Flag).where(Flag.id == row.flag_id, Flag.next_alert_at > now).values(next_alert_at=now))


def call_next(tx: Tx, keyring: Keyring, flag_id: int, now: datetime) -> None:
    """Alert the next on-call person in turn by chat, mail and webhook; after the last the first is called again."""
    flag = tx.execute(sa.select(*Flag.__table__.columns).where(Flag.id == flag_id)).one()
    people = on_call(tx, flag.course_id)
    later = now + NEXT_AFTER if now - flag.raised_at < CALLED_FOR else None
    tx.execute(sa.update(Flag).where(Flag.id == flag_id).values(step=flag.step + 1, next_alert_at=later))
    if flag.step > 0 or not people:
        audit.alarm(tx, now, "flag_untaken" if people else "nobody_on_call", f"course:{flag.course_id}")
    if not people:
        return
    called = people[flag.step % len(people)]
    _alert(tx, keyring, flag, called, flag.step + 1, now)


def _alert(tx: Tx, keyring: Keyring, flag: Any, called: Any, step: int, now: datetime) -> None:
    details = _details(tx, keyring, flag, step)
    routes = {"chat": called.person_id, "email": called.email_sealed, "webhook": called.webhook_sealed}
    for route in (name for name, there in routes.items() if there is not None):
        broadcast_id = _chat(tx, keyring, flag, called.person_id, details, now) if route == "chat" else None
        tx.execute(
            sa.insert(Alert).values(
                flag_id=flag.id,
                oncall_id=called.id,
                step=step,
                route=route,
                state="sent" if route == "chat" else "ready",
                due_at=now,
                tries=0,
                broadcast_id=broadcast_id,
            )
        )


def _chat(tx: Tx, keyring: Keyring, flag: Any, person_id: int, details: dict[str, Any], now: datetime) -> int:
    course = tx.execute(sa.select(Course.data_key_id).where(Course.id == flag.course_id)).scalar_one()
    draft = Draft(
        account_id=flag.account_id,
        key_id=course,
        bot="safety",
        kind=OccasionKind.ALERT,
        details=details,
        course_id=flag.course_id,
        priority=broadcasts.ALERT,
        urgent=True,
        stale_at=now + CALLED_FOR,
    )
    return broadcasts.send_to(tx, keyring, draft, [person_id], now)


def _details(tx: Tx, keyring: Keyring, flag: Any, step: int) -> dict[str, Any]:
    course = tx.execute(sa.select(Course.title).where(Course.id == flag.course_id)).scalar_one_or_none() or ""
    person = names(tx, keyring, [flag.person_id]).get(flag.person_id)  # None is put into words in the reader's language
    return {"flag": flag.number, "course": course, "person": person, "rule": flag.rule, "at": flag.raised_at, "step": step}


def _course_of(tx: Tx, situation: Situation) -> int | None:
    """The course of a flag: one that the person is in, else one of this account that has on-call people."""
    mine = (
        sa.select(Group.course_id)
        .join(Membership, Membership.group_id == Group.id)
        .join(Course, Course.id == Group.course_id)
        .where(Membership.person_id == situation.known.id, Membership.ended_at.is_(None), Course.account_id == situation.account_id)
        .order_by(Membership.started_at.desc(), Membership.id.desc())
        .limit(1)
    )
    found: int | None = tx.execute(mine).scalar_one_or_none()
    if found is not None:
        return found
    any_course = (
        sa.select(Course.id)
        .join(OnCall, OnCall.course_id == Course.id)
        .where(Course.account_id == situation.account_id, Course.ended_at.is_(None))
        .order_by(Course.id.desc())
        .limit(1)
    )
    return tx.execute(any_course).scalar_one_or_none()
