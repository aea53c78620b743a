"""Hides what is seen of practice: one's own, and a group's by who leads it; minutes and lines of others only where they were shared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from app import access
from app.courses import file as course_file
from app.db import Tx
from app.db.prepared import NOW, Among, Earliest, Prepared, slot
from app.homework import hours
from app.keyring import Keyring, Place, unsealed
from app.models import CheckIn, Course, Gathering, Group, Membership, Participant, Person, PracticeHour
from app.people import names
from app.sealing import DataKey
from app.situation import Situation
from bots.homework import days
from bots.homework.book import Book, Done, GroupPractice, Mine, Practice, PracticeDay, Quieter, Seen
from bots.turns import Membership as Seat
from bots.turns import Role

#: The course's hour where a person's courses have no calendar yet.
_DEFAULT = "20:00"
_WEEK = timedelta(days=7)

# Asked for nearly every message of a course, and therefore prepared.
_HOUR = Prepared(lambda _: [sa.select(PracticeHour.hour).where(PracticeHour.person_id == slot("person"))])
_COURSE = Prepared(lambda _: [sa.select(Course.title, course_file.COPY).where(Course.id == slot("course"))])
_OWN = Prepared(
    lambda _: [
        sa.select(
            CheckIn.day,
            CheckIn.practice,
            CheckIn.minutes,
            CheckIn.line_sealed.is_not(None).label("with_line"),
            CheckIn.shared_at.is_not(None).label("shared"),
            CheckIn.told_at.is_not(None).label("told"),
        )
        .where(CheckIn.person_id == slot("person"), CheckIn.course_id == slot("course"))
        .order_by(CheckIn.noted_at, CheckIn.id)
    ]
)
_SEATED = Prepared(
    lambda _: [
        sa.select(Membership.person_id, Membership.role)
        .where(Membership.group_id == slot("group"), Membership.ended_at.is_(None))
        .order_by(Membership.id)
    ]
)
_LAST_CLASS = Among(
    lambda groups: (
        sa.select(Gathering.number, Gathering.starts_at)
        .where(Gathering.group_id.in_(groups), Gathering.kind == "class", Gathering.held, Gathering.starts_at <= NOW)
        .order_by(Gathering.starts_at.desc())
        .limit(1)
    )
)


# One's own -------------------------------------------------------------------------------------------------------------------------


def book(tx: Tx, keyring: Keyring, situation: Situation) -> Book:
    """The practices and check-ins of the person of this turn."""
    person_id = situation.known.id
    seats = [each for each in situation.person.memberships if each.role is Role.PARTICIPANT]
    chosen = _HOUR.first(tx, person=person_id)
    courses = [_mine(tx, keyring, situation, course, seats) for course in dict.fromkeys(each.course for each in seats)]
    files = [file for _, file in courses if file is not None]
    return Book(
        courses=tuple(mine for mine, _ in courses),
        hour=(chosen and chosen.hour) or "",
        asked=chosen is not None,
        default=files[0].homework.at if files else _DEFAULT,
        quiets=hours.quiets(tx, person_id),
    )


def _mine(
    tx: Tx, keyring: Keyring, situation: Situation, course_id: int, seats: Sequence[Seat]
) -> tuple[Mine, course_file.CourseFile | None]:
    row = _COURSE.first(tx, course=course_id)
    if row.file is None:
        return Mine(course_id, row.title), None
    file = course_file.frozen(row.file)
    here = days.today(situation.now, situation.known.zone)
    own = [each.group for each in seats if each.course == course_id]
    week, _ = week_of(tx, own, situation.now)
    noted = _OWN.all(tx, person=situation.known.id, course=course_id)
    done = [
        Done(each.day, each.practice, each.minutes, bool(each.with_line), bool(each.shared), bool(each.told))
        for each in noted
        if days.may_note(each.day, here)
    ]
    group = next((each for each in seats if each.course == course_id and not each.large), None)
    leaders, companions = ((), 0) if group is None else _around(tx, keyring, group.group, situation.known.id)
    seen = Mine(
        course=course_id,
        title=row.title,
        week=week,
        practices=_practices(file),
        weekly=tuple(file.weeks[week - 1].practices) if week else (),
        homework=file.weeks[week - 1].homework if week else {},
        done=tuple(done),
        days=frozenset(each.day for each in noted),
        group="" if group is None else group.group_name,
        leaders=leaders,
        companions=companions,
    )
    return seen, file


def _practices(file: course_file.CourseFile) -> tuple[Practice, ...]:
    return tuple(Practice(place, each.code, each.name, each.minutes) for place, each in enumerate(file.practices))


def _around(tx: Tx, keyring: Keyring, group_id: int, person_id: int) -> tuple[tuple[str, ...], int]:
    """Names of those who lead the small group, and how many others sit in it."""
    rows = _SEATED.all(tx, group=group_id)
    leaders = [row.person_id for row in rows if row.role == Role.LEADER.value and row.person_id != person_id]
    called = names(tx, keyring, leaders)
    return tuple(called[each] for each in leaders if each in called), len({row.person_id for row in rows} - {person_id})


def week_of(tx: Tx, group_ids: Iterable[int], now: datetime) -> tuple[int, datetime | None]:
    """The number of the last class of these groups that was held, and when it began; 0 where none was."""
    rows = _LAST_CLASS.all(tx, list(group_ids), now=now)
    return (rows[0].number, rows[0].starts_at) if rows else (0, None)


# A group ---------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quiet:
    """Somebody of a group, and for how many days nothing was noted of them: since their last day, or the one on which they could begin."""

    person_id: int
    days: int
    since: date


def seen_by(tx: Tx, keyring: Keyring, group_id: int, person_id: int, now: datetime) -> GroupPractice:
    """The week of a small group as this person may see it; nothing for who may not."""
    return week(tx, keyring, group_id, now) if access.may_see_practice(tx, person_id, group_id) else GroupPractice()


def week(tx: Tx, keyring: Keyring, group_id: int, now: datetime) -> GroupPractice:
    """Who practised in a small group since its last class, day by day, and of whom nothing was noted for some days."""
    group = _group(tx, group_id)
    people = _people(tx, group)
    since = _since(tx, group, now)
    rows = _NOTED.all(tx, [each.person_id for each in people], course=group.course_id, since=since)
    keys = _keys(tx, keyring, rows)
    called = names(tx, keyring, [each.person_id for each in people])
    by_day: dict[date, dict[int, list[Any]]] = {}
    for row in rows:
        by_day.setdefault(row.day, {}).setdefault(row.person_id, []).append(row)
    listed = tuple(
        PracticeDay(day, tuple(_seen(keys, called.get(who, ""), theirs) for who, theirs in there.items()))
        for day, there in sorted(by_day.items())
    )
    silent = tuple(Quieter(called.get(each.person_id, ""), each.days) for each in quiet(tx, group_id, now, days.SILENCES[0]))
    practised = len({row.person_id for row in rows})
    return GroupPractice(True, group.name, since, len(people), practised, listed, silent)


def _group(tx: Tx, group_id: int) -> Any:
    return _GROUP.first(tx, group=group_id)


def _people(tx: Tx, group: Any) -> Sequence[Any]:
    """The participants of a group with their zones, in the order in which they joined."""
    return _PEOPLE.all(tx, group=group.id, course=group.course_id)


def _since(tx: Tx, group: Any, now: datetime) -> date:
    """The day of the last class; before the first one, or in a course without a calendar, the Monday of this week."""
    _, began = week_of(tx, [group.id, group.large_id], now)
    here = days.today(now, group.zone)
    return here - timedelta(days=here.weekday()) if began is None else began.astimezone(ZoneInfo(group.zone)).date()


def _noted(people: Sequence[Any]) -> "sa.Select[*tuple[Any, ...]]":
    columns = (CheckIn.id, CheckIn.person_id, CheckIn.day, CheckIn.minutes, CheckIn.line_sealed, CheckIn.shared_at)
    query = sa.select(*columns, Person.data_key_id).join(Person, Person.id == CheckIn.person_id)
    theirs = sa.and_(CheckIn.course_id == slot("course"), CheckIn.person_id.in_(people), CheckIn.day >= slot("since"))
    return query.where(theirs).order_by(CheckIn.day, CheckIn.noted_at, CheckIn.id)


def _group_in_course() -> "sa.Select[Any]":
    """A group with its course, and the large group of that."""
    other = aliased(Group)
    large = sa.select(other.id).where(other.course_id == Group.course_id, other.large).scalar_subquery()
    columns = (Group.id, Group.name, Group.course_id, Course.zone, Course.starts_on, large.label("large_id"))
    return sa.select(*columns).join(Course, Course.id == Group.course_id).where(Group.id == slot("group"))


def _participants() -> "sa.Select[*tuple[Any, ...]]":
    seat = sa.and_(Participant.person_id == Membership.person_id, Participant.course_id == slot("course"))
    return (
        sa.select(Membership.person_id, Membership.started_at, Person.zone, Person.paused_at, Participant.joined_at)
        .join(Person, Person.id == Membership.person_id)
        .outerjoin(Participant, seat)
        .where(Membership.group_id == slot("group"), Membership.role == Role.PARTICIPANT.value, Membership.ended_at.is_(None))
        .order_by(Membership.id)
    )


_GROUP = Prepared(lambda _: [_group_in_course()])
_PEOPLE = Prepared(lambda _: [_participants()])
_NOTED = Among(_noted)
_FIRST_CLASS = Earliest(
    lambda: sa.select(sa.func.min(Gathering.starts_at)).where(
        Gathering.group_id.in_([slot("group"), slot("large")]), Gathering.kind == "class", Gathering.held
    )
)
_LAST_DAYS = Among(
    lambda people: (
        sa.select(CheckIn.person_id, sa.func.max(CheckIn.day).label("day"))
        .where(CheckIn.course_id == slot("course"), CheckIn.person_id.in_(people))
        .group_by(CheckIn.person_id)
    )
)


def _keys(tx: Tx, keyring: Keyring, rows: Sequence[Any]) -> dict[int, DataKey]:
    """The keys under which the lines that were shared rest."""
    return keyring.open_all(tx, {row.data_key_id for row in rows if row.shared_at is not None and row.line_sealed is not None})


def _seen(keys: Mapping[int, DataKey], name: str, theirs: Sequence[Any]) -> Seen:
    """One person's day: what they kept for themselves is not even read."""
    shared = [row for row in theirs if row.shared_at is not None]
    minutes = sum(row.minutes or 0 for row in shared) or None
    lines = [unsealed(keys.get(row.data_key_id), Place("check_ins", "line_sealed", row.id), row.line_sealed) for row in shared]
    return Seen(name, minutes, " / ".join(line for line in lines if line))


@dataclass(frozen=True)
class Practised:
    """One participant's days of practice. `since`: the first day on which they could note one in this group's course."""

    person_id: int
    name: str = field(repr=False)
    since: date
    days: Mapping[date, Seen] = field(repr=False)


def calendar(tx: Tx, keyring: Keyring, group_id: int, since: date) -> tuple[Practised, ...]:
    """The days from `since` on of everybody who takes part in a small group, in the order in which they joined."""
    group = _group(tx, group_id)
    people = _people(tx, group)
    ids = [each.person_id for each in people]
    rows = _NOTED.all(tx, ids, course=group.course_id, since=since)
    keys, called = _keys(tx, keyring, rows), names(tx, keyring, ids)
    noted: dict[int, dict[date, list[Any]]] = {each: {} for each in ids}
    for row in rows:
        noted[row.person_id].setdefault(row.day, []).append(row)
    return tuple(
        Practised(
            each.person_id,
            called.get(each.person_id, ""),
            days.today(each.joined_at or each.started_at, each.zone),
            {day: _seen(keys, called.get(each.person_id, ""), theirs) for day, theirs in noted[each.person_id].items()},
        )
        for each in people
    )


def quiet(tx: Tx, group_id: int, now: datetime, least: int) -> list[Quiet]:
    """Participants of whom nothing was noted for so many days: since their last practice, since they joined or since the first class.

    Who asked for silence is left alone.
    """
    group = _group(tx, group_id)
    began = _FIRST_CLASS.moment(tx, group=group_id, large=group.large_id)
    if began is None or began > now:
        return []
    people = [each for each in _people(tx, group) if each.paused_at is None]
    noted = {row.person_id: row.day for row in _LAST_DAYS.all(tx, [each.person_id for each in people], course=group.course_id)}
    found = []
    for each in people:
        here = days.today(now, each.zone)
        since = days.today(max(began, each.joined_at or each.started_at), each.zone)
        there = [noted[each.person_id]] if each.person_id in noted else []
        long = days.silent(there, since, here)
        found.append(Quiet(each.person_id, long, here - timedelta(days=long)))
    return [each for each in found if each.days >= least]
