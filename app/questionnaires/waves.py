"""Hides when questionnaires are put to whom: waves that open and close by themselves, invitations, reminders, late joiners.

What is said goes through the outbox like all else. Order and moments are rows: any process may take the next step, once.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import audit, broadcasts, ids
from app.broadcasts import Draft
from app.db import Tx
from app.errors import Conflict, Invalid, NotFound
from app.models import Assignment, AssignmentChange, ConsentGiven, Course, Delivery, Participant, Sheet, Wave
from app.questionnaires import standing, wording
from app.questionnaires.shelf import Shelf
from app.situation import Tools
from app.states import ANSWERABLE, REACHED, Asked
from bots.texts import LANGUAGES
from bots.turns import OccasionKind

LATE = ("keep", "refuse")
#: People who are invited or reminded in one transaction.
CHUNK = 500
_MOST_REMINDERS = 10


@dataclass(frozen=True)
class Rule:
    """Who has not finished is reminded so many days after the opening, at this hour of the course's zone."""

    days: tuple[int, ...] = ()
    hour: time = time(19, 0)

    def moments(self, opens_at: datetime, zone: str) -> list[datetime]:
        """Every moment, in order."""
        local = opens_at.astimezone(ZoneInfo(zone))
        return [datetime.combine(local.date() + timedelta(days=day), self.hour, local.tzinfo) for day in sorted(self.days)]


@dataclass(frozen=True)
class Plan:
    """A wave before it is a row. `instruments`: codes, in their order; `frames`: what time one of them asks about."""

    code: str
    title: Mapping[str, str]
    opens_at: datetime
    closes_at: datetime
    instruments: Sequence[str]
    frames: Mapping[str, str]
    rule: Rule = Rule()
    late: str = "refuse"
    skips: bool = False
    shuffled: bool = False


def add(tx: Tx, shelf: Shelf, course_id: int, plan: Plan, now: datetime, *, actor: str = "operator") -> int:
    """Plan a wave; returns its id. The newest version of each instrument, in the newest wording that was brought, is asked.

    Raises `Invalid` where the plan does not fit, `Conflict` where the course has a wave of this code.
    """
    _check(plan, shelf)
    if tx.execute(sa.select(Wave.id).where(Wave.course_id == course_id, Wave.code == plan.code)).first() is not None:
        raise Conflict("wave", f"The course has a wave {plan.code!r} already; choose another word.")
    wave_id = ids.new_id()
    tx.execute(
        sa.insert(Wave).values(
            id=wave_id,
            course_id=course_id,
            code=plan.code,
            opens_at=plan.opens_at,
            closes_at=plan.closes_at,
            late=plan.late,
            skips=plan.skips,
            shuffled=plan.shuffled,
            plan={
                "title": dict(plan.title),
                "instruments": [_frozen(tx, shelf, code, plan.frames.get(code)) for code in plan.instruments],
                "reminders": {"days": sorted(plan.rule.days), "hour": f"{plan.rule.hour:%H:%M}"},
            },
            state="planned",
            created_at=now,
        )
    )
    audit.record(tx, now, actor, "wave.add", f"wave:{wave_id}", code=plan.code)
    return wave_id


def _check(plan: Plan, shelf: Shelf) -> None:
    known = shelf.newest()
    if plan.closes_at <= plan.opens_at:
        raise Invalid("window", "A wave closes after it opens; correct one of the moments.")
    if not plan.instruments or len(set(plan.instruments)) != len(plan.instruments):
        raise Invalid("instruments", "A wave asks at least one instrument, and none twice; correct --instruments.")
    if strange := sorted(set(plan.instruments) - known.keys()):
        raise Invalid("instruments", f"There is no instrument {strange[0]!r}; there are {', '.join(known)}.")
    for code, frame in plan.frames.items():
        if code not in plan.instruments or frame not in known[code].time_frames:
            there = ", ".join(known[code].time_frames) if code in known else ""
            raise Invalid("frame", f"{code!r} does not ask about {frame!r}; choose one of: {there or 'none'}.")
    if len(plan.rule.days) > _MOST_REMINDERS or any(day < 0 for day in plan.rule.days):
        raise Invalid("reminders", f"At most {_MOST_REMINDERS} reminders, each some days after the opening; correct --remind-after.")
    if plan.late not in LATE:
        raise Invalid("late", f"What comes late is one of {', '.join(LATE)}, not {plan.late!r}.")


def _frozen(tx: Tx, shelf: Shelf, code: str, frame: str | None) -> dict[str, Any]:
    instrument = shelf.newest()[code]
    frame = frame or next(iter(instrument.time_frames), None)
    return {
        "code": code,
        "version": instrument.version,
        "checksum": instrument.checksum,
        "minutes": instrument.minutes,
        "items": len(instrument.items),
        "frame": frame,
        "wording": wording.newest(tx, instrument),
    }


def find(tx: Tx, course: str, code: str) -> Any:
    """The wave of a course by their codes, as a row. Raises `NotFound`."""
    query = sa.select(*Wave.__table__.columns).join(Course, Course.id == Wave.course_id).where(Course.code == course, Wave.code == code)
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound("wave", f"The course {course!r} has no wave {code!r}; `tongban wave list` shows what there is.")
    return row


def move(tx: Tx, wave_id: int, *, opens_at: datetime | None, closes_at: datetime | None, now: datetime) -> None:
    """Move the window of a wave: its opening while it has not opened, its end while it has not closed. Raises `Invalid`."""
    row = tx.execute(sa.select(*Wave.__table__.columns).where(Wave.id == wave_id).with_for_update()).one()
    if (opens_at is not None and row.state != "planned") or row.state == "closed":
        raise Invalid("window", f"The wave is {row.state}; what has happened cannot be moved.")
    opens, closes = opens_at or row.opens_at, closes_at or row.closes_at
    if closes <= opens:
        raise Invalid("window", "A wave closes after it opens; correct one of the moments.")
    tx.execute(sa.update(Wave).where(Wave.id == wave_id).values(opens_at=opens, closes_at=closes))
    audit.record(tx, now, "operator", "wave.move", f"wave:{wave_id}")


def counts(tx: Tx, wave_id: int) -> dict[str, int]:
    """How many people stand in each state; all of them add up to whom the wave was put to."""
    rows = tx.execute(sa.select(Assignment.state, sa.func.count()).where(Assignment.wave_id == wave_id).group_by(Assignment.state))
    return {row[0]: row[1] for row in rows}


# By the clock -------------------------------------------------------------------------------------------------------------------------


def go_on(tx: Tx, tools: Tools, now: datetime) -> bool:
    """Take the next step that is due: open a wave, invite some of its people, remind some, close it. False where none is due."""
    return _open(tx, now) or _invite(tx, tools, now) or _remind(tx, tools, now) or _close(tx, now) or _note_reached(tx)


def next_moment(tx: Tx) -> datetime | None:
    """When something is due by itself."""
    moments = (
        tx.execute(sa.select(sa.func.min(Wave.opens_at)).where(Wave.state == "planned")).scalar_one_or_none(),
        tx.execute(sa.select(sa.func.min(Wave.closes_at)).where(Wave.state == "open")).scalar_one_or_none(),
        tx.execute(sa.select(sa.func.min(Assignment.remind_at)).where(Assignment.remind_at.is_not(None))).scalar_one_or_none(),
    )
    return min((moment for moment in moments if moment is not None), default=None)


def _due(tx: Tx, *conditions: Any) -> Any:
    """One wave for which this holds, that no other process is at."""
    query = sa.select(*Wave.__table__.columns, Course.account_id, Course.data_key_id, Course.title, Course.zone)
    query = query.join(Course, Course.id == Wave.course_id).where(*conditions).order_by(Wave.id).limit(1)
    return tx.execute(query.with_for_update(skip_locked=True, of=Wave)).one_or_none()


def _open(tx: Tx, now: datetime) -> bool:
    wave = _due(tx, Wave.state == "planned", Wave.opens_at <= now, Course.ended_at.is_(None))
    if wave is None:
        return False
    tx.execute(sa.update(Wave).where(Wave.id == wave.id).values(state="open"))
    audit.record(tx, now, "system", "wave.open", f"wave:{wave.id}")
    return True


def _invite(tx: Tx, tools: Tools, now: datetime) -> bool:
    """Put an open wave to people who take part and have not got it: everybody at its opening, later whoever joins."""
    wave = _due(tx, Wave.state == "open", Wave.closes_at > now, _uninvited(Wave.course_id, Wave.id).exists())
    if wave is None:
        return False
    people = tx.execute(_uninvited(wave.course_id, wave.id).order_by(Participant.person_id).limit(CHUNK)).scalars().all()
    draft = _draft(wave, OccasionKind.INVITATION)
    broadcast_id = broadcasts.send_to(tx, tools.keyring, draft, people, now)
    rule = Rule(tuple(wave.plan["reminders"]["days"]), time.fromisoformat(wave.plan["reminders"]["hour"]))
    _assign(tx, wave, people, broadcast_id, _next_reminder(rule, wave, now), now)
    return True


def _uninvited(course_id: Any, wave_id: Any) -> "sa.Select[Any]":
    mine = sa.select(Assignment.id).where(Assignment.wave_id == wave_id, Assignment.person_id == Participant.person_id).exists()
    agreed = (
        sa.select(ConsentGiven.id)
        .where(
            ConsentGiven.course_id == Participant.course_id,
            ConsentGiven.person_id == Participant.person_id,
            ConsentGiven.ended_at.is_(None),
        )
        .exists()
    )
    return sa.select(Participant.person_id).where(
        Participant.course_id == course_id, Participant.person_id.is_not(None), Participant.withdrawn_at.is_(None), agreed, ~mine
    )


def _assign(tx: Tx, wave: Any, people: Iterable[int], broadcast_id: int, remind_at: datetime | None, now: datetime) -> None:
    assignments, changes, sheets = [], [], []
    for person_id in people:
        assignment_id, seed = ids.new_id(), ids.new_id() & 0x7FFFFFFF
        assignments.append(
            {
                "id": assignment_id,
                "wave_id": wave.id,
                "person_id": person_id,
                "account_id": wave.account_id,
                "seed": seed,
                "state": Asked.INVITED.value,
                "changed_at": now,
                "broadcast_id": broadcast_id,
                "remind_at": remind_at,
                "reminders": 0,
            }
        )
        changes.append({"assignment_id": assignment_id, "state": Asked.INVITED.value, "cause": "wave_open", "at": now})
        order = ordered(wave.plan["instruments"], seed) if wave.shuffled else wave.plan["instruments"]
        sheets += [_sheet(assignment_id, place, each, now) for place, each in enumerate(order, start=1)]
    tx.execute(sa.insert(Assignment), assignments)
    tx.execute(sa.insert(AssignmentChange), changes)
    tx.execute(sa.insert(Sheet), sheets)


def ordered(instruments: Sequence[Mapping[str, Any]], seed: int) -> list[Mapping[str, Any]]:
    """The instruments in the order that this seed draws; forms come first in any case, as the plan has them."""
    forms = [each for each in instruments if each["code"] == "intake"]
    scales = [each for each in instruments if each["code"] != "intake"]
    return [*forms, *sorted(scales, key=lambda each: hashlib.sha256(f"{seed}.{each['code']}".encode()).digest())]


def _sheet(assignment_id: int, place: int, each: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "id": ids.new_id(),
        "assignment_id": assignment_id,
        "place": place,
        "instrument": each["code"],
        "version": each["version"],
        "checksum": each["checksum"],
        "wording_id": each["wording"],
        "frame": each["frame"],
        "answers": {},
        "changed_at": now,
    }


def _draft(wave: Any, kind: OccasionKind) -> Draft:
    plan = wave.plan
    details = {
        "wave": wave.id,
        "course": wave.title,
        "titles": {language: plan["title"].get(language, "") for language in LANGUAGES},
        "minutes": sum(each["minutes"] for each in plan["instruments"]),
        "items": sum(each["items"] for each in plan["instruments"]),
        "count": len(plan["instruments"]),
        "closes_at": wave.closes_at,
    }
    return Draft(
        account_id=wave.account_id,
        key_id=wave.data_key_id,
        bot="questionnaire",
        kind=kind,
        details=details,
        course_id=wave.course_id,
        stale_at=wave.closes_at,
    )


def _next_reminder(rule: Rule, wave: Any, now: datetime) -> datetime | None:
    moments = rule.moments(wave.opens_at, wave.zone)
    return next((moment for moment in moments if now < moment < wave.closes_at), None)


def _remind(tx: Tx, tools: Tools, now: datetime) -> bool:
    """Remind those whose moment has come and who have not finished."""
    due = sa.and_(Assignment.wave_id == Wave.id, Assignment.remind_at <= now)
    wave = _due(tx, sa.select(Assignment.id).where(due).exists())
    if wave is None:
        return False
    mine = sa.select(Assignment.id, Assignment.person_id, Assignment.state).where(
        Assignment.wave_id == wave.id, Assignment.remind_at <= now
    )
    rows = tx.execute(mine.order_by(Assignment.id).limit(CHUNK).with_for_update()).all()
    rule = Rule(tuple(wave.plan["reminders"]["days"]), time.fromisoformat(wave.plan["reminders"]["hour"]))
    open_ = [row for row in rows if row.state in ANSWERABLE] if now < wave.closes_at else []
    if open_:
        broadcasts.send_to(tx, tools.keyring, _draft(wave, OccasionKind.REMINDER), [row.person_id for row in open_], now)
    reminded = sa.case((Assignment.id.in_([row.id for row in open_]), Assignment.reminders + 1), else_=Assignment.reminders)
    tx.execute(
        sa.update(Assignment)
        .where(Assignment.id.in_([row.id for row in rows]))
        .values(remind_at=_next_reminder(rule, wave, now) if open_ else None, reminders=reminded)
    )
    return True


def _close(tx: Tx, now: datetime) -> bool:
    wave = _due(tx, Wave.state == "open", Wave.closes_at <= now)
    if wave is None:
        return False
    tx.execute(sa.update(Wave).where(Wave.id == wave.id).values(state="closed"))
    mine = sa.and_(Assignment.wave_id == wave.id, Assignment.state.in_(ANSWERABLE))
    tx.execute(sa.update(Assignment).where(mine).values(remind_at=None))
    if wave.late == "refuse":
        standing.all_become(tx, mine, Asked.WINDOW_CLOSED, "wave_closed", now)
    audit.record(tx, now, "system", "wave.close", f"wave:{wave.id}")
    return True


def _note_reached(tx: Tx) -> bool:
    """Who was invited and whose invitation WeChat has taken is reached, from the moment at which it was taken."""
    theirs = sa.and_(Delivery.broadcast_id == Assignment.broadcast_id, Delivery.person_id == Assignment.person_id)
    query = (
        sa.select(Assignment.id, Delivery.changed_at)
        .join(Delivery, theirs)
        .where(Assignment.state == Asked.INVITED, Assignment.wave_id.in_(sa.select(Wave.id).where(Wave.state == "open")))
        .where(Delivery.state.in_(REACHED))
        .order_by(Assignment.id)
        .limit(CHUNK)
    )
    rows = tx.execute(query.with_for_update(of=Assignment, skip_locked=True)).all()
    for row in rows:
        tx.execute(sa.update(Assignment).where(Assignment.id == row.id).values(state=Asked.REACHED.value, changed_at=row.changed_at))
    if rows:
        reached = [{"assignment_id": row.id, "state": Asked.REACHED.value, "cause": "delivered", "at": row.changed_at} for row in rows]
        tx.execute(sa.insert(AssignmentChange), reached)
    return bool(rows)
