"""Hides when a course gives words by the clock: a plan of days and an hour, each moment fired once, late ones missed, words rotated."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from app import access, audit, ids, schedules
from app.db import Tx, upsert
from app.db.prepared import NOW, Anything, Earliest
from app.encouragement import giving, library
from app.encouragement.giving import Occasion
from app.errors import Invalid
from app.groups import Refused
from app.keyring import Keyring
from app.models import Course, Group, Membership, Person, WarmFiring, WarmGiven, WarmPlan, WarmWord
from app.situation import Tools
from bots.encouragement.words import ANY
from bots.recurrence import Frame, Rule, coming

#: People who are given a word in one transaction: some 40 ms, for which everybody else waits on SQLite.
CHUNK = 500
_HOUR = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True)
class PlanLine:
    """The plan of a course as people see it. `days`: ISO weekdays; `past`: moment, outcome, why, newest first."""

    days: str
    hour: str
    zone: str
    state: str
    past: tuple[tuple[datetime, str, str], ...]


def set_plan(tx: Tx, course_id: int, days: str, hour: str, now: datetime, *, zone: str | None = None, actor: str = "operator") -> None:
    """Give words on these ISO weekdays ("14": Monday and Thursday) at this hour (HH:MM) of the zone, the course's without one.

    The course has one plan: a former one is changed, and goes on. Raises `Invalid`.
    """
    course = tx.execute(sa.select(Course.zone, Course.starts_on, Course.ended_at).where(Course.id == course_id)).one()
    zone = zone or course.zone
    _check(days, hour, zone, course.ended_at)
    group_id = tx.execute(sa.select(Group.id).where(Group.course_id == course_id, Group.large)).scalar_one()
    days = "".join(sorted(set(days)))
    next_at = next(_moments(days, hour, zone, _from(course.starts_on, zone, now)))
    values = {"days": days, "hour": hour, "zone": zone, "state": "going", "next_at": next_at}
    made = upsert(tx, WarmPlan).values(id=ids.new_id(), course_id=course_id, group_id=group_id, created_at=now, **values)
    tx.execute(made.on_conflict_do_update(index_elements=["course_id"], set_=values))
    audit.record(tx, now, actor, "encouragement.plan", f"course:{course_id}", days=days, hour=hour)


def _check(days: str, hour: str, zone: str, ended_at: datetime | None) -> None:
    if not days or set(days) - set("1234567"):
        raise Invalid("days", "A plan has at least one day of the week; name them with --days mon,thu.")
    if _HOUR.fullmatch(hour) is None:
        raise Invalid("hour", f"The hour {hour!r} is none of the clock; write it as 12:30.")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise Invalid("zone", f"There is no time zone {zone!r}; write it as Asia/Shanghai.") from None
    if ended_at is not None:
        raise Invalid("ended", "This course has ended; nothing more is given in it.")


def keep_plan(tx: Tx, course_id: int, now: datetime, *, going: bool, actor_id: int | None = None) -> None:
    """Let the plan go on from now, or pause it. `actor_id` None: the operator. Raises `Refused` ("role", "gone").

    A moment that was won before runs to its end.
    """
    if actor_id is not None and not access.may_keep_words(tx, actor_id, course_id):
        raise Refused("role", "Only administrators of the course decide about its warm words.")
    query = sa.select(*WarmPlan.__table__.columns, Course.starts_on).join(Course, Course.id == WarmPlan.course_id)
    row = tx.execute(query.where(WarmPlan.course_id == course_id).with_for_update(of=WarmPlan)).one_or_none()
    if row is None:
        raise Refused("gone", "The course has no plan of warm words; make one with `tongban encouragement plan`.")
    if (row.state == "going") != going:
        next_at = next(_moments(row.days, row.hour, row.zone, _from(row.starts_on, row.zone, now))) if going else row.next_at
        tx.execute(sa.update(WarmPlan).where(WarmPlan.id == row.id).values(state="going" if going else "paused", next_at=next_at))
        actor = audit.actor(actor_id)
        audit.record(tx, now, actor, f"encouragement.{'resume' if going else 'hold'}", f"course:{course_id}")


def plan_of(tx: Tx, course_id: int, most: int = 10) -> PlanLine | None:
    """The plan of a course with what became of its last moments."""
    row = tx.execute(sa.select(*WarmPlan.__table__.columns).where(WarmPlan.course_id == course_id)).one_or_none()
    if row is None:
        return None
    columns = (WarmFiring.fire_at, WarmFiring.outcome, WarmFiring.why)
    past = tx.execute(sa.select(*columns).where(WarmFiring.plan_id == row.id).order_by(WarmFiring.fire_at.desc()).limit(most))
    return PlanLine(row.days, row.hour, row.zone, row.state, tuple((each.fire_at, each.outcome, each.why) for each in past))


def upcoming(tx: Tx, course_id: int, now: datetime, count: int = 6) -> tuple[datetime, ...]:
    """The next moments of a plan that goes on."""
    query = sa.select(WarmPlan.days, WarmPlan.hour, WarmPlan.zone, Course.starts_on).join(Course, Course.id == WarmPlan.course_id)
    running = (WarmPlan.course_id == course_id, WarmPlan.state == "going", Course.ended_at.is_(None))
    row = tx.execute(query.where(*running)).one_or_none()
    if row is None:
        return ()
    moments = _moments(row.days, row.hour, row.zone, _from(row.starts_on, row.zone, now))
    return tuple(next(moments) for _ in range(count))


def _from(starts_on: date | None, zone: str, now: datetime) -> datetime:
    """Nothing is given before the first day of the course."""
    if starts_on is None:
        return now
    return max(now, datetime.combine(starts_on, time(), ZoneInfo(zone)) - timedelta(microseconds=1))


def _moments(days: str, hour: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Every moment behind this one, in order."""
    rule = Rule(time.fromisoformat(hour), weekdays=tuple(int(day) - 1 for day in days))
    frame = Frame(zone, None, date.max)
    moment = coming(rule, frame, after)
    while moment is not None:
        yield moment
        moment = coming(rule, frame, moment)


# By the clock -------------------------------------------------------------------------------------------------------------------------


def any_due(tx: Tx, now: datetime) -> bool:
    """Whether `go_on` would do something."""
    return _ANY_DUE.there(tx, now=now)


def go_on(tx: Tx, tools: Tools, now: datetime) -> bool:
    """Take the next step that is due: give a word to some more of its audience, or fire a plan whose moment has come."""
    return _write(tx, tools.keyring, now) or _fire(tx, tools.keyring, now)


def next_moment(tx: Tx) -> datetime | None:
    """When something is due by itself."""
    return _NEXT.moment(tx)


def finish(tx: Tx, keyring: Keyring, now: datetime) -> None:
    """Write the rest of every audience: left to a worker, those who are missing in a copy of the rows would get their word later."""
    while _write(tx, keyring, now):
        pass


def rest(tx: Tx, now: datetime) -> int:
    """What was due while a copy of the rows rested in a backup is missed: it may have been given then. Returns how many moments."""
    missed = 0
    for row in tx.execute(_due(now).with_for_update(of=WarmPlan)).all():
        moment = row.next_at
        moments = _moments(row.days, row.hour, row.zone, moment)
        while moment <= now:
            _take(tx, row, moment, now, outcome="missed", why="restored")
            missed, moment = missed + 1, next(moments)
        tx.execute(sa.update(WarmPlan).where(WarmPlan.id == row.id).values(next_at=moment))
    return missed


_GOING = (WarmPlan.state == sa.literal_column("'going'"), Course.ended_at.is_(None))
_UNFINISHED = WarmFiring.outcome == sa.literal_column("'going'")


def _due(now: datetime) -> "sa.Select[Any]":
    columns = (*WarmPlan.__table__.columns, Course.account_id, Course.data_key_id, Course.details, Course.starts_on)
    query = sa.select(*columns).join(Course, Course.id == WarmPlan.course_id)
    return query.where(*_GOING, WarmPlan.next_at <= now).order_by(WarmPlan.next_at, WarmPlan.id)


_ANY_DUE = Anything(lambda: _due(NOW).order_by(None), lambda: sa.select(WarmFiring.id).where(_UNFINISHED))
_NEXT = Earliest(lambda: sa.select(sa.func.min(WarmPlan.next_at)).join(Course, Course.id == WarmPlan.course_id).where(*_GOING))


def _take(tx: Tx, plan: Any, moment: datetime, now: datetime, **values: Any) -> bool:
    """Win a moment of a plan; False where another process has."""
    theme = library.theme_at(plan.details, plan.starts_on, plan.zone, moment)
    firing = {"plan_id": plan.id, "fire_at": moment, "fired_at": now, "theme": theme, "outcome": "nobody", "why": "", **values}
    insert = upsert(tx, WarmFiring).values(**firing).on_conflict_do_nothing()
    if tx.execute(insert.returning(WarmFiring.id)).first() is None:
        return False
    if firing["outcome"] == "missed":
        audit.record(tx, now, "system", "encouragement.missed", f"course:{plan.course_id}", why=firing["why"])
    return True


def _fire(tx: Tx, keyring: Keyring, now: datetime) -> bool:
    plan = tx.execute(_due(now).limit(1).with_for_update(skip_locked=True, of=WarmPlan)).one_or_none()
    if plan is None:
        return False
    # From the moment itself, not from now: each one that passed is told of. But nothing before a first day that was moved.
    upcoming_at = next(_moments(plan.days, plan.hour, plan.zone, _from(plan.starts_on, plan.zone, plan.next_at)))
    tx.execute(sa.update(WarmPlan).where(WarmPlan.id == plan.id).values(next_at=upcoming_at))
    if plan.starts_on is not None and plan.next_at.astimezone(ZoneInfo(plan.zone)).date() < plan.starts_on:
        return True
    if now - plan.next_at > schedules.LATE:
        _take(tx, plan, plan.next_at, now, outcome="missed", why="late")
    elif _take(tx, plan, plan.next_at, now):
        _choose(tx, keyring, plan, now)
    return True


def _choose(tx: Tx, keyring: Keyring, plan: Any, now: datetime) -> None:
    """The word of the week that the plan has not given and that fewest of the audience have; then one for any week; then none."""
    mine = sa.and_(WarmFiring.plan_id == plan.id, WarmFiring.fire_at == plan.next_at)
    people = _audience(plan.group_id, now).subquery()
    if not tx.execute(sa.select(sa.func.count()).select_from(people)).scalar_one():
        return
    theme = tx.execute(sa.select(WarmFiring.theme).where(mine)).scalar_one()
    word_id, why = _freshest(tx, plan, theme, now), ""
    if word_id is None and theme != ANY:
        word_id, why = _freshest(tx, plan, ANY, now), "theme_used_up"
    if word_id is None:
        why = "used_up"
    if why and not _told(tx, plan.id, theme, why):
        _tell(tx, keyring, plan, theme, why, now)
    outcome = "rested" if word_id is None else "going"
    tx.execute(sa.update(WarmFiring).where(mine).values(word_id=word_id, outcome=outcome, why=why))


def _freshest(tx: Tx, plan: Any, theme: str, now: datetime) -> int | None:
    """The word; it is held, so that somebody who lets it rest at this moment is either before us or takes back what we write."""
    given = sa.select(WarmFiring.id).where(WarmFiring.plan_id == plan.id, WarmFiring.word_id == WarmWord.id)
    unknown = _audience(plan.group_id, now, WarmWord.id).exists()
    audience = _audience(plan.group_id, now)
    known = sa.select(sa.func.count(WarmGiven.id)).where(WarmGiven.word_id == WarmWord.id, WarmGiven.person_id.in_(audience))
    query = sa.select(WarmWord.id).where(
        WarmWord.course_id == plan.course_id, WarmWord.theme == theme, WarmWord.state == "approved", ~given.exists(), unknown
    )
    for word_id in tx.execute(query.order_by(known.scalar_subquery(), WarmWord.number)).scalars().all():
        held = sa.select(WarmWord.id).where(WarmWord.id == word_id, WarmWord.state == "approved").with_for_update(read=True)
        if tx.execute(held).first() is not None:
            return int(word_id)
    return None


def _audience(group_id: int, now: datetime, word: Any = None, behind: int = 0) -> "sa.Select[int]":
    """Who is in the group now and may get a word; with `word` only those who do not know it."""
    query = (
        sa.select(Membership.person_id)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.group_id == group_id, Membership.ended_at.is_(None), Membership.person_id > behind)
        .where(giving.undisturbed(now - giving.FLAGGED))
    )
    if word is None:
        return query.distinct()
    known = sa.select(WarmGiven.id).where(WarmGiven.word_id == word, WarmGiven.person_id == Membership.person_id)
    return query.where(~known.correlate_except(WarmGiven).exists()).distinct()


def _told(tx: Tx, plan_id: int, theme: str, why: str) -> bool:
    """Whether administrators know already: once for each theme, and once while nothing at all is left."""
    last = sa.select(WarmFiring.why, WarmFiring.theme).where(WarmFiring.plan_id == plan_id, WarmFiring.outcome != "nobody")
    rows = tx.execute(last.order_by(WarmFiring.fire_at.desc())).all()
    if why == "used_up":
        return bool(rows) and rows[0].why == why
    return any((row.why, row.theme) == (why, theme) for row in rows)


def _tell(tx: Tx, keyring: Keyring, plan: Any, theme: str, why: str, now: datetime) -> None:
    if not library.tell_administrators(tx, keyring, plan.course_id, {"reason": why, "theme": theme}, now):
        audit.alarm(tx, now, "words_used_up", f"course:{plan.course_id}")


def _write(tx: Tx, keyring: Keyring, now: datetime) -> bool:
    """Give the word of a moment that was won to the next of its audience."""
    columns = (WarmFiring.id, WarmFiring.word_id, WarmFiring.through, WarmPlan.course_id, WarmPlan.group_id)
    query = sa.select(*columns, Course.account_id, Course.data_key_id).join(WarmPlan, WarmPlan.id == WarmFiring.plan_id)
    query = query.join(Course, Course.id == WarmPlan.course_id).where(_UNFINISHED).order_by(WarmFiring.id).limit(1)
    row = tx.execute(query.with_for_update(skip_locked=True, of=WarmFiring)).one_or_none()
    if row is None:
        return False
    held = sa.select(WarmWord.id).where(WarmWord.id == row.word_id, WarmWord.state == "approved").with_for_update(read=True)
    found: list[int] = []
    if tx.execute(held).first() is not None:  # else somebody let it rest meanwhile
        chunk = _audience(row.group_id, now, row.word_id, row.through or 0).order_by(Membership.person_id).limit(CHUNK)
        found = list(tx.execute(chunk).scalars())
    people = giving.note_all(tx, row.course_id, row.word_id, found, now)
    if people:
        occasion = Occasion(row.course_id, row.account_id, row.data_key_id, row.group_id)
        giving.send(tx, keyring, occasion, row.word_id, people, now)
    going = len(found) == CHUNK
    through = found[-1] if found else row.through
    tx.execute(sa.update(WarmFiring).where(WarmFiring.id == row.id).values(through=through, outcome="going" if going else "fired"))
    return True
