"""Hides when questionnaires are put to whom: waves that open and close by themselves, invitations, reminders, late joiners.

What is said goes through the outbox like all else. Order and moments are rows: any process may take the next step, once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import audit, broadcasts, ids
from app.broadcasts import Draft
from app.db import Tx
from app.db.prepared import NOW, Anything, Earliest, slot
from app.errors import Conflict, Invalid, NotFound
from app.keyring import Keyring
from app.models import (
    Assignment,
    AssignmentChange,
    Broadcast,
    Course,
    Delivery,
    Participant,
    Person,
    Wave,
    stands,
)
from app.questionnaires import assigning, standing, wording
from app.questionnaires.shelf import Shelf
from app.situation import Tools
from app.states import ANSWERABLE, REACHED, UNOPENED, Asked
from bots.texts import LANGUAGES
from bots.turns import OccasionKind

LATE = ("keep", "refuse")
#: People who are invited or reminded in one transaction: some 40 ms, for which everybody else waits on SQLite.
CHUNK = 200
_MOST_REMINDERS, _LONGEST_TITLE, _MOST_DAYS = 10, 40, 3660
#: A reminder that somebody asked for after the window, where late answers are kept, is of use for so long.
_LATE_REMINDER = timedelta(days=1)
#: Nothing that a person did is stored later than this after it came, but for what had to wait on the disk.
_BELATED = timedelta(minutes=10)


@dataclass(frozen=True)
class Rule:
    """Who has not finished is reminded so many days after the opening, at this hour of the course's zone."""

    days: tuple[int, ...] = ()
    hour: time = time(19, 0)

    def moments(self, opens_at: datetime, zone: str) -> list[datetime]:
        """Every moment, in order."""
        local = opens_at.astimezone(ZoneInfo(zone))
        shown = (datetime.combine(local.date() + timedelta(days=day), self.hour, local.tzinfo) for day in sorted(set(self.days)))
        return [moment.astimezone(UTC) for moment in shown]


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
    _check(plan, shelf, now)
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


def _check(plan: Plan, shelf: Shelf, now: datetime) -> None:
    known = shelf.newest()
    _check_window(plan.opens_at, plan.closes_at, now)
    if plan.closes_at <= now:
        raise Invalid("window", "This window is over already; choose a later end.")
    fits = all(0 < len(title.strip()) <= _LONGEST_TITLE for title in plan.title.values())
    if not plan.title or set(plan.title) - set(LANGUAGES) or not fits:
        raise Invalid("title", f"A wave has a title of at most {_LONGEST_TITLE} characters, in {' or '.join(LANGUAGES)}; correct --title.")
    if not plan.instruments or len(set(plan.instruments)) != len(plan.instruments):
        raise Invalid("instruments", "A wave asks at least one instrument, and none twice; correct --instruments.")
    if strange := sorted(set(plan.instruments) - known.keys()):
        raise Invalid("instruments", f"There is no instrument {strange[0]!r}; there are {', '.join(known)}.")
    for code, frame in plan.frames.items():
        if code not in plan.instruments or frame not in known[code].time_frames:
            there = ", ".join(known[code].time_frames) if code in known else ""
            raise Invalid("frame", f"{code!r} does not ask about {frame!r}; choose one of: {there or 'none'}.")
    if len(plan.rule.days) > _MOST_REMINDERS or any(not 0 <= day <= _MOST_DAYS for day in plan.rule.days):
        raise Invalid(
            "reminders", f"At most {_MOST_REMINDERS} reminders, some days after the opening, up to {_MOST_DAYS}; correct --remind-after."
        )
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
        "form": instrument.kind == "form",
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


def move(
    tx: Tx,
    keyring: Keyring,
    wave_id: int,
    *,
    opens_at: datetime | None,
    closes_at: datetime | None,
    now: datetime,
    actor: str = "operator",
) -> None:
    """Move the window of a wave: its opening while it has not opened, its end while it has not closed. Raises `Invalid`.

    One that was missed in a backup opens at its new moment.
    """
    row = tx.execute(sa.select(*Wave.__table__.columns).where(Wave.id == wave_id).with_for_update()).one()
    if (opens_at is not None and row.state not in UNOPENED) or row.state == "closed":
        raise Invalid("window", f"The wave is {row.state}; what has happened cannot be moved.")
    opens, closes = opens_at or row.opens_at, closes_at or row.closes_at
    _check_window(opens, closes, now)
    state = row.state if opens_at is None else "planned"
    tx.execute(sa.update(Wave).where(Wave.id == wave_id).values(opens_at=opens, closes_at=closes, state=state))
    moved = tx.execute(_with_course().where(Wave.id == wave_id)).one()
    if closes != row.closes_at:
        _plan_reminders_again(tx, moved, now)
        _tell_new_end(tx, keyring, moved, row.closes_at)
    audit.record(tx, now, actor, "wave.move", f"wave:{wave_id}")


def remove(tx: Tx, wave_id: int, now: datetime, *, actor: str = "operator") -> None:
    """Take back a wave that has not opened. Raises `Invalid`: what people were asked stays."""
    row = tx.execute(sa.select(Wave.state, Wave.code).where(Wave.id == wave_id).with_for_update()).one()
    if row.state not in UNOPENED:
        raise Invalid("window", f"The wave is {row.state}; what people were asked stays. Its end can be moved: `tongban wave move`.")
    tx.execute(sa.delete(Wave).where(Wave.id == wave_id))
    audit.record(tx, now, actor, "wave.remove", f"wave:{wave_id}", code=row.code)


def finish_inviting(tx: Tx, keyring: Keyring, now: datetime) -> None:
    """Write every invitation of the waves that are open; those that a copy of the rows lacks would go out by themselves later."""
    while _invite(tx, keyring, now):
        pass


def rest(tx: Tx, now: datetime) -> int:
    """What was due while a copy of the rows rested in a backup is not done now: it may have been done then. Returns how many waves.

    Waves that should have opened are missed; reminders go on with the next moment of their rule.
    """
    missed = sa.update(Wave).where(Wave.state == "planned", Wave.opens_at <= now).values(state="missed")
    waves = tx.execute(missed.returning(Wave.id)).scalars().all()
    for wave_id in waves:
        audit.record(tx, now, "system", "wave.missed", f"wave:{wave_id}")
    late = sa.and_(Assignment.remind_at <= now, Assignment.wave_id == Wave.id)
    for wave in tx.execute(_with_course().where(sa.select(Assignment.id).where(late).exists())).all():
        mine = sa.and_(Assignment.wave_id == wave.id, Assignment.remind_at <= now)
        tx.execute(sa.update(Assignment).where(mine).values(remind_at=_next_reminder(rule_of(wave.plan), wave, now)))
    return len(waves)


def _check_window(opens_at: datetime, closes_at: datetime, now: datetime) -> None:
    if closes_at <= opens_at:
        raise Invalid("window", "A wave closes after it opens; correct one of the moments.")
    if closes_at - now > timedelta(_MOST_DAYS) or now - opens_at > timedelta(_MOST_DAYS):
        raise Invalid("window", f"A moment lies more than {_MOST_DAYS} days away; correct its year.")


def _plan_reminders_again(tx: Tx, wave: Any, now: datetime) -> None:
    """A later end makes room for reminders that fell behind the former one; what somebody asked for themself stays."""
    upcoming = _next_reminder(rule_of(wave.plan), wave, now)
    unplanned = sa.and_(Assignment.wave_id == wave.id, Assignment.remind_at.is_(None), Assignment.state.in_(ANSWERABLE))
    tx.execute(sa.update(Assignment).where(unplanned).values(remind_at=upcoming))


def _tell_new_end(tx: Tx, keyring: Keyring, wave: Any, former: datetime) -> None:
    """What has not left yet names the new end, and is of use until then."""
    mine = sa.and_(Broadcast.wave_id == wave.id, Broadcast.stale_at == former, Broadcast.state == "going")
    found = tx.execute(sa.select(Broadcast.id).where(mine)).scalars().all()
    for broadcast_id, details in broadcasts.details_of(tx, keyring, found).items():
        broadcasts.change(tx, keyring, broadcast_id, {**details, "closes_at": wave.closes_at}, wave.closes_at)


def counts(tx: Tx, wave_id: int) -> dict[str, int]:
    """How many people stand in each state; all of them add up to whom the wave was put to."""
    return {state.value: number for state, number in standing.count(tx, [wave_id])[wave_id].items() if number}


# By the clock -------------------------------------------------------------------------------------------------------------------------


def go_on(tx: Tx, tools: Tools, now: datetime) -> bool:
    """Take the next step that is due: open a wave, invite some of its people, remind some, close it. False where none is due."""
    return _open(tx, now) or _invite(tx, tools.keyring, now) or _remind(tx, tools, now) or _note_reached(tx) or _close(tx, now)


def any_due(tx: Tx, now: datetime) -> bool:
    """Whether `go_on` would do something: asked twice a second, and nobody who writes waits for the answer."""
    return _ANY_DUE.there(tx, now=now, believed=now - _BELATED)


def next_moment(tx: Tx) -> datetime | None:
    """When something is due by itself."""
    return _NEXT.moment(tx)


_MAY_OPEN = sa.and_(Wave.state == "planned", Course.ended_at.is_(None))

_Conditions = tuple["sa.ColumnElement[bool]", ...]


def _opening(now: datetime) -> _Conditions:
    return _MAY_OPEN, Wave.opens_at <= now


def _inviting(now: datetime) -> _Conditions:
    return Wave.state == "open", Wave.closes_at > now, assigning.uninvited(Wave.course_id, Wave.id).exists()


def _reminding(now: datetime) -> _Conditions:
    return (sa.select(Assignment.id).where(Assignment.wave_id == Wave.id, Assignment.remind_at <= now).exists(),)


def _closing(now: datetime, believed: datetime) -> _Conditions:
    """`believed`: since when a wave that closed is still asked for what came in time."""
    left = sa.select(Assignment.id).where(Assignment.wave_id == Wave.id, standing.OPEN).exists()
    # An answer that came in time may be stored after its wave was closed, and its assignment is open again.
    belated = sa.and_(Wave.state == "closed", Wave.late == "refuse", Wave.closes_at > believed, left)
    return Wave.closes_at <= now, sa.or_(Wave.state == "open", belated)


def _with_course() -> "sa.Select[Any]":
    columns = (*Wave.__table__.columns, Course.account_id, Course.data_key_id, Course.title, Course.zone)
    return sa.select(*columns).join(Course, Course.id == Wave.course_id)


def _due(tx: Tx, *conditions: Any) -> Any:
    """One wave for which this holds, that no other process is at."""
    query = _with_course().where(*conditions).order_by(Wave.id).limit(1)
    return tx.execute(query.with_for_update(skip_locked=True, of=Wave)).one_or_none()


def _open(tx: Tx, now: datetime) -> bool:
    wave = _due(tx, *_opening(now))
    if wave is None:
        return False
    tx.execute(sa.update(Wave).where(Wave.id == wave.id).values(state="open"))
    audit.record(tx, now, "system", "wave.open", f"wave:{wave.id}")
    return True


def _invite(tx: Tx, keyring: Keyring, now: datetime) -> bool:
    """Put an open wave to people who take part and have not got it: everybody at its opening, later whoever joins."""
    wave = _due(tx, *_inviting(now))
    if wave is None:
        return False
    query = assigning.uninvited(wave.course_id, wave.id).order_by(Participant.person_id).limit(CHUNK)
    # Held, so that somebody who withdraws at this moment is either not invited, or finds the invitation and takes it back.
    people = tx.execute(query.with_for_update(read=True, of=Participant)).scalars().all()
    if people:  # none are left where another process was there between our look and our lock
        broadcast_id = broadcasts.send_to(tx, keyring, _draft(wave, OccasionKind.INVITATION, wave.closes_at), people, now)
        assigning.assign(tx, wave, people, broadcast_id, _next_reminder(rule_of(wave.plan), wave, now), now)
    return True


def _draft(wave: Any, kind: OccasionKind, stale_at: datetime, *, over: bool = False) -> Draft:
    plan = wave.plan
    details = {
        "wave": wave.id,
        "course": wave.title,
        "titles": plan["title"],
        "minutes": sum(each["minutes"] for each in plan["instruments"]),
        "items": sum(each["items"] for each in plan["instruments"]),
        "count": len(plan["instruments"]),
        "closes_at": wave.closes_at,
        "over": over,
    }
    return Draft(
        account_id=wave.account_id,
        key_id=wave.data_key_id,
        bot="questionnaire",
        kind=kind,
        details=details,
        course_id=wave.course_id,
        wave_id=wave.id,
        stale_at=stale_at,
    )


def rule_of(plan: Mapping[str, Any]) -> Rule:
    """The rule of reminders in a wave's frozen plan."""
    return Rule(tuple(plan["reminders"]["days"]), time.fromisoformat(plan["reminders"]["hour"]))


def _next_reminder(rule: Rule, wave: Any, now: datetime) -> datetime | None:
    moments = rule.moments(wave.opens_at, wave.zone)
    return next((moment for moment in moments if now < moment < wave.closes_at), None)


def _remind(tx: Tx, tools: Tools, now: datetime) -> bool:
    """Remind those whose moment has come, who have not finished and may still answer; a paused person gets the next one at the earliest."""
    wave = _due(tx, *_reminding(now))
    if wave is None:
        return False
    columns = (Assignment.id, Assignment.person_id, Assignment.state, Assignment.remind_at, Person.paused_at)
    query = sa.select(*columns).join(Person, Person.id == Assignment.person_id)
    query = query.where(Assignment.wave_id == wave.id, Assignment.remind_at <= now).order_by(Assignment.id).limit(CHUNK)
    rows = tx.execute(query.with_for_update(of=Assignment)).all()
    closed, rule = now >= wave.closes_at, rule_of(wave.plan)
    open_ = [row for row in rows if row.state in ANSWERABLE and (wave.late == "keep" or not closed)]
    reminded = [row for row in open_ if row.paused_at is None]
    if reminded:
        draft = _draft(wave, OccasionKind.REMINDER, now + _LATE_REMINDER if closed else wave.closes_at, over=closed)
        broadcasts.send_to(tx, tools.keyring, draft, [row.person_id for row in reminded], now)
    planned = set(rule.moments(wave.opens_at, wave.zone))
    counted = [row.id for row in reminded if row.remind_at in planned]
    tx.execute(sa.update(Assignment).where(Assignment.id.in_(counted)).values(reminders=Assignment.reminders + 1))
    tx.execute(sa.update(Assignment).where(Assignment.id.in_([row.id for row in rows])).values(remind_at=None))
    upcoming = _next_reminder(rule, wave, now)
    tx.execute(sa.update(Assignment).where(Assignment.id.in_([row.id for row in open_])).values(remind_at=upcoming))
    return True


def _close(tx: Tx, now: datetime) -> bool:
    wave = _due(tx, *_closing(now, now - _BELATED))
    if wave is None:
        return False
    tx.execute(sa.update(Wave).where(Wave.id == wave.id).values(state="closed"))
    mine = sa.and_(Assignment.wave_id == wave.id, Assignment.state.in_(ANSWERABLE))
    if wave.late == "refuse":
        standing.all_become(tx, mine, Asked.WINDOW_CLOSED, "wave_closed", now)
    else:  # the rule ends with the window; what somebody asked for themself is kept
        ruled = Assignment.remind_at.in_(rule_of(wave.plan).moments(wave.opens_at, wave.zone))
        tx.execute(sa.update(Assignment).where(mine, ruled).values(remind_at=None))
    if wave.state == "open":
        audit.record(tx, now, "system", "wave.close", f"wave:{wave.id}")
    return True


def _newly_reached() -> "sa.Select[int, datetime]":
    theirs = sa.and_(Delivery.broadcast_id == Assignment.broadcast_id, Delivery.person_id == Assignment.person_id, Delivery.part == 0)
    return (
        sa.select(Assignment.id, Delivery.changed_at)
        .join(Delivery, theirs)
        .where(Assignment.state == Asked.INVITED, Assignment.wave_id.in_(sa.select(Wave.id).where(Wave.state == "open")))
        .where(stands(sorted(REACHED)))
    )


_ANY_DUE = Anything(
    lambda: _with_course().where(*_opening(NOW)),
    lambda: _with_course().where(*_inviting(NOW)),
    lambda: _with_course().where(*_reminding(NOW)),
    lambda: _with_course().where(*_closing(NOW, slot("believed", Wave.closes_at))),
    _newly_reached,
)
_NEXT = Earliest(
    lambda: sa.select(sa.func.min(Wave.opens_at)).join(Course, Course.id == Wave.course_id).where(_MAY_OPEN),
    lambda: sa.select(sa.func.min(Wave.closes_at)).where(Wave.state == "open"),
    lambda: sa.select(sa.func.min(Assignment.remind_at)).where(Assignment.remind_at.is_not(None)),
)


def _note_reached(tx: Tx) -> bool:
    """Who was invited and whose invitation WeChat has taken is reached, from the moment at which it was taken."""
    query = _newly_reached().order_by(Assignment.id).limit(CHUNK)
    rows = tx.execute(query.with_for_update(of=Assignment, skip_locked=True)).all()
    if rows:
        mine = sa.update(Assignment).where(Assignment.id == sa.bindparam("reached")).values(state=Asked.REACHED.value)
        tx.execute(mine, [{"reached": row.id, "changed_at": row.changed_at} for row in rows])
        reached = [{"assignment_id": row.id, "state": Asked.REACHED.value, "cause": "delivered", "at": row.changed_at} for row in rows]
        tx.execute(sa.insert(AssignmentChange), reached)
    return bool(rows)
