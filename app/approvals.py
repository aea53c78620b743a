"""Hides the second pair of eyes: which announcements wait for it, who is asked, what was seen, and whether it still holds at the moment.

An approval is of one version: words, speaker, group, moment, what is asked. Whatever of these changes afterwards, or whoever loses the
role that their eyes counted by, the announcement waits again (docs/decisions/033).
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import access, announced, audit, broadcasts, forecast, reach
from app.db import Tx
from app.db.prepared import NOW, Anything, Earliest
from app.groups import Refused
from app.keyring import Keyring, Place
from app.models import Approval, Broadcast, Course, Group, Membership, Poll, Schedule
from app.people import names
from app.situation import Tools
from bots.approval.waiting import MOST_NOTE, Look, Waiting
from bots.clipping import clip
from bots.texts import inert
from bots.turns import OccasionKind

#: What shall go at once waits this long for somebody who looks; what has a moment of its own, until that is too late for any announcement.
PATIENCE, LATE = timedelta(days=1), timedelta(hours=1)
#: How far apart a moment and the writing may lie where "at once" was meant.
_AT_ONCE = timedelta(minutes=1)
_BOT = "approval"
_EXCERPT_BYTES = 72
#: Letters of a mark: it stands in a choice, beside an id.
_MARK = 10


# Whether it must wait -------------------------------------------------------------------------------------------------------------


def needed(tx: Tx, group_id: int, author_id: int | None) -> bool:
    """Whether what this author (None: the operator) says to this group now goes to more people than may get it unseen."""
    above = tx.execute(sa.select(Course.second_eyes).join(Group, Group.course_id == Course.id).where(Group.id == group_id)).scalar_one()
    if not above:
        return False
    people = sa.select(Membership.person_id).distinct().where(Membership.group_id == group_id, Membership.ended_at.is_(None))
    if author_id is not None:
        people = people.where(Membership.person_id != author_id)
    found = people.limit(above + 1).subquery()
    return bool(tx.execute(sa.select(sa.func.count()).select_from(found)).scalar_one() > above)


def many(tx: Tx, course_id: int, people: int) -> bool:
    """Whether words to so many people of a course are for a second person to see first."""
    above = tx.execute(sa.select(Course.second_eyes).where(Course.id == course_id)).scalar_one()
    return 0 < above < people


def version(tx: Tx, keyring: Keyring, row: Any, *, at_once: bool) -> str:
    """The mark of everything that is seen of an announcement, as it stands in its row of `schedules`."""
    seen = json.loads(broadcasts.freeze(announced.bubble(tx, keyring, row)))
    said = [seen, row.group_id, row.author_id, bool(row.by_mass), None if at_once else row.fire_at.isoformat()]
    return keyring.vault.sign("approval", json.dumps(said, ensure_ascii=False, sort_keys=True), _MARK)


def wait(tx: Tx, keyring: Keyring, schedule_id: int, why: str, now: datetime, *, tell_author: bool = False) -> None:
    """Let an announcement wait for a second pair of eyes, and call whoever has one. `why`: many, grew, changed or approver."""
    row = _row(tx, schedule_id)
    known = tx.execute(sa.select(Approval.at_once).where(Approval.schedule_id == schedule_id)).scalar_one_or_none()
    at_once = row.fire_at - row.created_at < _AT_ONCE if known is None else known
    closes = tx.execute(sa.select(Poll.closes_at).where(Poll.schedule_id == schedule_id)).scalar_one_or_none()
    until = now + PATIENCE if at_once else row.fire_at + LATE
    asked = {
        "version": version(tx, keyring, row, at_once=at_once),
        "at_once": at_once,
        "state": "asked",
        "why": why,
        "asked_at": now,
        "until": until if closes is None else min(until, closes),
        "decided_by": None,
        "decided_at": None,
        "note_sealed": None,
    }
    tx.execute(sa.delete(Approval).where(Approval.schedule_id == schedule_id))
    tx.execute(sa.insert(Approval).values(schedule_id=schedule_id, **asked))
    tx.execute(sa.update(Schedule).where(Schedule.id == schedule_id).values(state="waiting"))
    audit.record(tx, now, audit.actor(row.author_id), "announce.wait", f"schedule:{schedule_id}", why=why)
    _call(tx, keyring, row, why, at_once=at_once, now=now)
    if tell_author and row.author_id is not None:
        announced.tell(tx, keyring, row, _BOT, f"waits_{why}", [row.author_id], now)


def hold(tx: Tx, keyring: Keyring, row: Any, now: datetime) -> bool:
    """Whether an announcement whose moment has come must wait instead; then it does, and its author and the others are told."""
    why = _missing(tx, keyring, row)
    if why:
        wait(tx, keyring, row.id, why, now, tell_author=True)
    return bool(why)


def _missing(tx: Tx, keyring: Keyring, row: Any) -> str:
    """Why what was approved, or needed no approval, may not go by it; empty where it may."""
    if not needed(tx, row.group_id, row.author_id):
        return ""
    given = tx.execute(sa.select(*Approval.__table__.columns).where(Approval.schedule_id == row.id)).one_or_none()
    if given is None or given.state != "approved":
        return "grew"
    if given.version != version(tx, keyring, row, at_once=given.at_once):
        return "changed"
    seen_by = given.decided_by
    counts = seen_by is not None and seen_by != row.author_id and access.may_approve(tx, seen_by, row.group_id)
    return "" if counts else "approver"


def _call(tx: Tx, keyring: Keyring, row: Any, why: str, *, at_once: bool, now: datetime) -> None:
    people = access.approvers(tx, row.group_id, row.author_id)
    if not people:
        audit.alarm(tx, now, "nobody_to_approve", f"course:{row.course_id}")
        return
    details = announced.details(tx, keyring, row)
    said = {
        "announcement": row.id,
        "number": row.number,
        "why": why,
        "group_name": details["group_name"],
        "author_name": details["author_name"],
        "author_role": details["author_role"],
        "excerpt": _excerpt(details["text"]),
        "at": None if at_once else row.fire_at,
    }
    draft = broadcasts.in_course(
        *(tx, row.course_id, _BOT, OccasionKind.APPROVAL, said),
        schedule_id=row.id,
        stale_at=now + PATIENCE if at_once else row.fire_at + LATE,
        # Staff are called whatever else they got that day; at night only where the course has no quiet hours.
        priority=broadcasts.ANNOUNCEMENT if _is_quiet(tx, row.course_id, now) else broadcasts.ANSWER,
    )
    broadcasts.send_to(tx, keyring, draft, people, now)


def _is_quiet(tx: Tx, course_id: int, now: datetime) -> bool:
    course = tx.execute(sa.select(Course.zone, Course.quiet_from, Course.quiet_until).where(Course.id == course_id)).one()
    return reach.quiet_until(now, course.zone, course.quiet_from, course.quiet_until) is not None


def take_back_calls(tx: Tx, schedule_id: int, now: datetime) -> None:
    """Nobody needs to look any more: calls that have not left are taken back."""
    calls = sa.select(Broadcast.id).where(Broadcast.schedule_id == schedule_id, Broadcast.kind == OccasionKind.APPROVAL.value)
    for broadcast_id in tx.execute(calls.where(Broadcast.state != "cancelled")).scalars().all():
        broadcasts.cancel(tx, broadcast_id, "taken", now)


# What somebody with such eyes sees and says ---------------------------------------------------------------------------------------


def _mine(person_id: int) -> "sa.Select[Any]":
    """What waits for this person's eyes, and is not of their own making."""
    theirs = sa.or_(Schedule.author_id.is_(None), Schedule.author_id != person_id)
    return (
        sa.select(*Schedule.__table__.columns, Approval.at_once, Approval.until, Course.data_key_id)
        .join(Approval, Approval.schedule_id == Schedule.id)
        .join(Course, Course.id == Schedule.course_id)
        .where(Schedule.state == "waiting", theirs, Schedule.group_id.in_(access.approved_groups(person_id)))
    )


def waiting(tx: Tx, keyring: Keyring, person_id: int, limit: int = 50) -> tuple[Waiting, ...]:
    """What waits for this person's eyes, the oldest first."""
    found, rows = [], tx.execute(_mine(person_id).order_by(Approval.asked_at, Schedule.id).limit(limit)).all()
    keys = keyring.open_all(tx, (row.data_key_id for row in rows))
    for row in (row for row in rows if row.data_key_id in keys):
        details = announced.opened(keys[row.data_key_id], row)
        found.append(
            Waiting(
                *(row.id, row.number, details["group_name"], details["author_name"], _excerpt(details["text"])),
                at=None if row.at_once else row.fire_at,
                until=row.until,
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class Standing:
    """Where the second look at an announcement stands: asked, approved, returned or late. `note`: with what it was returned."""

    state: str
    why: str
    until: datetime
    at_once: bool
    by: str = field(repr=False)
    decided_at: datetime | None
    note: str = field(repr=False)


def standing(tx: Tx, keyring: Keyring, schedule_id: int) -> Standing | None:
    """The same of one announcement; None where nobody was asked."""
    query = sa.select(*Approval.__table__.columns, Course.data_key_id)
    query = query.join(Schedule, Schedule.id == Approval.schedule_id).join(Course, Course.id == Schedule.course_id)
    row = tx.execute(query.where(Approval.schedule_id == schedule_id)).one_or_none()
    if row is None:
        return None
    by = "" if row.decided_by is None else names(tx, keyring, [row.decided_by]).get(row.decided_by, "")
    note = keyring.unseal(tx, row.data_key_id, Place("approvals", "note_sealed", schedule_id), row.note_sealed)
    return Standing(row.state, row.why, row.until, row.at_once, by, row.decided_at, note or "")


def look(tx: Tx, tools: Tools, person_id: int, schedule_id: int, language: str, zone: str, now: datetime) -> Look | None:
    """An announcement as its readers would see it, whom it would find at this moment, and the mark of just this; None: not theirs."""
    if not access.may_approve(tx, person_id, _group_of(tx, schedule_id)):
        return None
    row = _row(tx, schedule_id)
    given = standing(tx, tools.keyring, schedule_id)
    if given is None:
        return None
    details = announced.bubble(tx, tools.keyring, row)
    message = tools.composer.compose("announcement", OccasionKind.ANNOUNCEMENT.value, language, zone, details)
    at = None if given.at_once else row.fire_at
    return Look(
        id=row.id,
        number=row.number,
        group_name=details["group_name"],
        author_name=details["author_name"],
        bubble=message.text,
        choices=tuple(choice.label for choice in message.choices),
        at=at,
        by_mass=row.by_mass,
        forecast=forecast.forecast(tx, tools.rules, row.group_id, row.author_id, at, now),
        version=version(tx, tools.keyring, row, at_once=given.at_once),
        state=_stands(row, given, person_id),
        why=given.why,
        until=given.until,
        by=given.by,
    )


def _stands(row: Any, given: Standing, person_id: int) -> str:
    """What somebody may do with it: "waiting", or why nothing: own, returned, approved, gone."""
    if row.author_id == person_id:
        return "own"
    if row.state == "waiting":
        return "waiting"
    return given.state if row.state in ("planned", "fired", "returned") and given.state != "asked" else "gone"


def approve(tx: Tx, keyring: Keyring, person_id: int, schedule_id: int, seen: str, now: datetime) -> None:
    """Let an announcement go out as this person saw it; `seen` is the mark of that.

    Raises `Refused` with "role", "own", "decided" (somebody was first), "gone", "late", or "changed" (it is no longer what was seen).
    """
    row = _decided(tx, keyring, person_id, schedule_id, seen, now)
    _settle(tx, row, "approved", person_id, now, version=seen)
    fire_at = now if row.at_once else row.fire_at
    tx.execute(sa.update(Schedule).where(Schedule.id == schedule_id, Schedule.state == "waiting").values(state="planned", fire_at=fire_at))
    audit.record(tx, now, f"person:{person_id}", "announce.approve", f"schedule:{schedule_id}", version=seen)
    _tell_author(tx, keyring, row, person_id, "approved_now" if row.at_once else "approved", now)


def give_back(tx: Tx, keyring: Keyring, person_id: int, schedule_id: int, seen: str, note: str, now: datetime) -> None:
    """Give an announcement back to its author with a sentence. Raises as `approve`, and `Refused` with "empty" or "long" of that."""
    words = " ".join(note.split())
    if not words:
        raise Refused("empty", "Say in a sentence why it comes back.")
    if len(inert(words).encode()) > MOST_NOTE:
        raise Refused("long", f"The sentence holds at most {MOST_NOTE} bytes.")
    row = _decided(tx, keyring, person_id, schedule_id, seen, now)
    key_id = tx.execute(sa.select(Course.data_key_id).where(Course.id == row.course_id)).scalar_one()
    sealed = keyring.open(tx, key_id).seal(Place("approvals", "note_sealed", schedule_id), words)
    _settle(tx, row, "returned", person_id, now, version=seen, note_sealed=sealed)
    tx.execute(sa.update(Schedule).where(Schedule.id == schedule_id, Schedule.state == "waiting").values(state="returned"))
    audit.record(tx, now, f"person:{person_id}", "announce.return", f"schedule:{schedule_id}")
    _tell_author(tx, keyring, row, person_id, "returned", now, note=words)


def _decided(tx: Tx, keyring: Keyring, person_id: int, schedule_id: int, seen: str, now: datetime) -> Any:
    """The announcement, ours alone until the end of the transaction, where this person may say yes or no to what they saw of it."""
    columns = (*Schedule.__table__.columns, Approval.at_once, Approval.until)
    query = sa.select(*columns).join(Approval, Approval.schedule_id == Schedule.id).where(Schedule.id == schedule_id)
    row = tx.execute(query.with_for_update(of=Schedule)).one_or_none()
    if row is None or not access.may_approve(tx, person_id, row.group_id):
        raise Refused("role", "There is no such announcement for you to look at.")
    if row.author_id == person_id:
        raise Refused("own", "Nobody is the second pair of eyes for their own words.")
    if row.state in ("cancelled", "missed"):
        raise Refused("gone", "It was taken back, or its moment is over.")
    if row.state != "waiting":
        raise Refused("decided", "Somebody else was first.")
    if now >= row.until:
        raise Refused("late", "It is too late for this announcement.")
    if not seen or seen != version(tx, keyring, row, at_once=row.at_once):
        raise Refused("changed", "It is no longer what you saw; look at it again.")
    return row


def _settle(tx: Tx, row: Any, state: str, person_id: int, now: datetime, **more: Any) -> None:
    """Write it down once: of two who say something at the same time, one does."""
    mine = sa.and_(Approval.schedule_id == row.id, Approval.state == "asked")
    said = sa.update(Approval).where(mine).values(state=state, decided_by=person_id, decided_at=now, **more)
    if not tx.execute(said, execution_options={"preserve_rowcount": True}).rowcount:
        raise Refused("decided", "Somebody else was first.")
    take_back_calls(tx, row.id, now)


def _tell_author(tx: Tx, keyring: Keyring, row: Any, person_id: int, reason: str, now: datetime, **more: Any) -> None:
    if row.author_id is not None:
        by = names(tx, keyring, [person_id]).get(person_id, "")
        announced.tell(tx, keyring, row, _BOT, reason, [row.author_id], now, by=by, **more)


# By the clock ---------------------------------------------------------------------------------------------------------------------


def _overdue(now: Any) -> "sa.Select[Any]":
    query = sa.select(Schedule.id).join(Approval, Approval.schedule_id == Schedule.id)
    return query.where(Approval.state == "asked", Approval.until <= now, Schedule.state == "waiting")


_ANY_DUE = Anything(lambda: _overdue(NOW))
_NEXT = Earliest(
    lambda: (
        sa.select(sa.func.min(Approval.until))
        .join(Schedule, Schedule.id == Approval.schedule_id)
        .where(Approval.state == "asked", Schedule.state == "waiting")
    )
)


def any_due(tx: Tx, now: datetime) -> bool:
    """Whether something waited in vain."""
    return _ANY_DUE.there(tx, now=now)


def next_moment(tx: Tx) -> datetime | None:
    """When it will be too late for something that waits."""
    return _NEXT.moment(tx)


def go_on(tx: Tx, tools: Tools, now: datetime) -> bool:
    """Let one announcement at which nobody looked be missed, and tell its author; False where there is none."""
    found = tx.execute(_overdue(now).order_by(Approval.until, Schedule.id).limit(1).with_for_update(of=Schedule, skip_locked=True)).first()
    if found is None:
        return False
    row = _row(tx, found.id)
    tx.execute(sa.update(Schedule).where(Schedule.id == row.id).values(state="missed", why="unapproved"))
    tx.execute(sa.update(Approval).where(Approval.schedule_id == row.id).values(state="late"))
    take_back_calls(tx, row.id, now)
    audit.record(tx, now, "system", "announce.missed", f"schedule:{row.id}", why="unapproved")
    if row.author_id is not None:
        announced.tell(tx, tools.keyring, row, _BOT, "unapproved", [row.author_id], now)
    return True


def _row(tx: Tx, schedule_id: int) -> Any:
    return tx.execute(sa.select(*Schedule.__table__.columns).where(Schedule.id == schedule_id)).one()


def _group_of(tx: Tx, schedule_id: int) -> int:
    return tx.execute(sa.select(Schedule.group_id).where(Schedule.id == schedule_id)).scalar_one_or_none() or 0


def _excerpt(text: Any) -> str:
    return clip(" ".join(str(text).split()), _EXCERPT_BYTES)
