"""Hides what the page of a course's calendar shows and does: a week of dates with where each stands, and a change with its preview."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import access
from app.console import moments, versions
from app.console.actors import Actor
from app.console.rules import RUNS, SEES_GROUPS, SEES_WAVES
from app.courses import calendar, running
from app.courses import file as course_file
from app.courses.calendar import Consequence, Effect, Gathering, Key
from app.courses.running import CallOff, Change, Move
from app.db import Tx
from app.errors import Conflict, Invalid
from app.keyring import Keyring
from app.models import Course, Group, Wave
from app.models import Gathering as GatheringRow
from app.models import Occasion as OccasionRow

_DAY = timedelta(days=1)
#: Groups that are named; of more only their number is said.
NAMED = 3
#: As `running.set_link` takes it.
LONGEST_LINK = 500


@dataclass(frozen=True)
class CourseLine:
    """A course whose calendar somebody may see."""

    id: int
    title: str
    zone: str
    started: bool
    ended: bool


def courses(tx: Tx, actor: Actor, only: int | None = None) -> list[CourseLine]:
    """The courses that somebody has a group in, newest first; `only` one of them."""
    query = (
        sa.select(Course.id, Course.title, Course.zone, Course.file.is_not(None).label("started"), Course.ended_at)
        .where(Course.id.in_(access.courses_of(actor.person_id, SEES_GROUPS)))
        .order_by(Course.id.desc())
    )
    rows = tx.execute(query if only is None else query.where(Course.id == only)).all()
    return [CourseLine(row.id, row.title, row.zone, row.started, row.ended_at is not None) for row in rows]


@dataclass(frozen=True)
class Entry:
    """One thing in the calendar, of all groups that have it alike. `what`: a text key's end with `number` and `code` for its gaps.

    `groups` is empty where it concerns all. `own_hour`: it goes at each one's own hour of that day. `state`: a gathering is held or
    off, an occasion planned, fired, cancelled or missed, a round of questionnaires planned, open, closed or missed.
    """

    at: datetime
    ends_at: datetime | None
    what: str
    number: int
    code: str
    title: str
    groups: tuple[str, ...]
    state: str
    own_hour: bool = False
    link: str = ""
    key: str = ""

    @property
    def gathering(self) -> bool:
        """Whether people come together, or else something goes out."""
        return self.ends_at is not None


@dataclass(frozen=True)
class Week:
    """Seven days from a Monday on, each with its entries. `number`: the week of the course, 0 before it."""

    days: tuple[tuple[date, tuple[Entry, ...]], ...]
    number: int
    earlier: date | None
    later: date | None


def spoken(code: str) -> tuple[str, int, str]:
    """What the code of an occasion or a round is called: a text key's end, the number and the code that its words name."""
    parts = code.split(".")
    match parts:
        case ["homework", number]:
            return "homework", int(number), ""
        case ["homework", number, _]:
            return "homework_reminder", int(number), ""
        case ["wave", name]:
            return "wave_opens", 0, name
        case ["wave", name, _]:
            return "wave_closes", 0, name
        case [("class" | "meeting" | "retreat") as kind, number, *rest]:
            return f"{'missed' if rest == ['missed'] else 'reminder'}_{kind}", int(number), ""
        case _:
            return "closing", 0, ""


def week(tx: Tx, actor: Actor, course: CourseLine, wanted: date | None, language: str, now: datetime) -> Week:
    """The week that holds this day; without one, the week in which we are, or the nearest in which something is."""
    zone = ZoneInfo(course.zone)
    seen = _seen(actor, course.id)
    entries = _together([*_gatherings(tx, seen, course, language), *_occasions(tx, seen), *_waves(tx, actor, course)])
    held = {entry.at.astimezone(zone).date() for entry in entries}
    today = now.astimezone(zone).date()
    first, last = _monday(min(held, default=today)), _monday(max(held, default=today))
    monday = min(max(_monday(wanted or today), first), last)
    days = tuple(monday + _DAY * place for place in range(7))
    starts_on = tx.execute(sa.select(Course.starts_on).where(Course.id == course.id)).scalar_one()
    number = 0 if starts_on is None else (monday - _monday(starts_on)).days // 7 + 1
    return Week(
        tuple((day, tuple(each for each in entries if each.at.astimezone(zone).date() == day)) for day in days),
        max(number, 0),
        monday - 7 * _DAY if monday > first else None,
        monday + 7 * _DAY if monday < last else None,
    )


def of_group(tx: Tx, actor: Actor, course: CourseLine, group_id: int, language: str) -> list[Entry]:
    """Everything in the calendar that concerns one group, in its order: its own dates and those of all of the course."""
    seen = sa.select(Group.id).where(Group.course_id == course.id, sa.or_(Group.large, Group.id == group_id))
    return _together([*_gatherings(tx, seen, course, language), *_occasions(tx, seen), *_waves(tx, actor, course)])


def _monday(day: date) -> date:
    return day - _DAY * day.weekday() if day.toordinal() > day.weekday() else day


def _seen(actor: Actor, course_id: int) -> "sa.Select[Any]":
    """The groups whose dates somebody sees: theirs, and the large group, to which all of the course come."""
    mine = access.groups_of(actor.person_id, SEES_GROUPS)
    return sa.select(Group.id).where(Group.course_id == course_id, sa.or_(Group.large, Group.id.in_(mine)))


def _gatherings(tx: Tx, seen: "sa.Select[Any]", course: CourseLine, language: str) -> list[Entry]:
    frozen: str | None = tx.execute(sa.select(course_file.COPY).where(Course.id == course.id)).scalar_one()
    if frozen is None:
        return []
    file = course_file.frozen(frozen)
    query = (
        sa.select(*GatheringRow.__table__.columns, Group.name, Group.large)
        .join(Group, Group.id == GatheringRow.group_id)
        .where(GatheringRow.group_id.in_(seen))
    )
    found = []
    for row in tx.execute(query):
        titles = calendar.title(file, row.kind, row.number)
        found.append(
            Entry(
                row.starts_at,
                row.starts_at + timedelta(minutes=row.minutes),
                row.kind,
                row.number,
                "",
                titles.get(language) or titles.get("zh", ""),
                () if row.large else (row.name,),
                "held" if row.held else "off",
                link=row.link if row.link and course_file.is_link(row.link) else "",  # it is to be pressed: checked on the way out too
                key=f"{row.kind}.{row.number}",
            )
        )
    return found


def _occasions(tx: Tx, seen: "sa.Select[Any]") -> list[Entry]:
    query = (
        sa.select(*OccasionRow.__table__.columns, Group.name, Group.large)
        .join(Group, Group.id == OccasionRow.group_id)
        .where(OccasionRow.group_id.in_(seen))
    )
    found = []
    for row in tx.execute(query):
        at = row.until - _DAY / 2 if row.until else row.fired_at or row.fire_at
        found.append(Entry(at, None, *spoken(row.code), "", () if row.large else (row.name,), row.state, own_hour=row.until is not None))
    return found


def _waves(tx: Tx, actor: Actor, course: CourseLine) -> list[Entry]:
    mine = access.courses_of(actor.person_id, SEES_WAVES)
    rows = tx.execute(sa.select(*Wave.__table__.columns).where(Wave.course_id == course.id, Wave.course_id.in_(mine)))
    found = []
    for row in rows:
        found += [
            Entry(moment, None, what, 0, row.code, "", (), row.state)
            for moment, what in ((row.opens_at, "wave_opens"), (row.closes_at, "wave_closes"))
        ]
    return found


def _together(entries: Iterable[Entry]) -> list[Entry]:
    """The same at the same moment of several groups is one entry."""
    found: dict[Entry, list[str]] = {}
    for each in entries:
        found.setdefault(replace(each, groups=()), []).extend(each.groups)
    joined = [replace(each, groups=tuple(sorted(groups))) for each, groups in found.items()]
    return sorted(joined, key=lambda each: (each.at, not each.gathering, each.what, each.number, each.groups))


# A change, with its preview ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """A gathering that may be changed, of the first group that has it, and the groups that have it."""

    key: str
    what: str
    number: int
    at: datetime
    held: bool
    groups: tuple[int, ...]


def choices(tx: Tx, actor: Actor, course_id: int, now: datetime) -> tuple[list[Choice], list[tuple[int, str]]]:
    """What is to come and may be changed by this administrator, and the groups that have dates of their own."""
    mine = access.groups_of(actor.person_id, RUNS)
    query = (
        sa.select(*GatheringRow.__table__.columns, Group.name, Group.large)
        .join(Group, Group.id == GatheringRow.group_id)
        .where(GatheringRow.course_id == course_id, GatheringRow.group_id.in_(mine), GatheringRow.starts_at > now)
        .order_by(GatheringRow.starts_at, GatheringRow.kind, GatheringRow.number)
    )
    found: dict[str, list[Any]] = {}
    groups: dict[int, str] = {}
    for row in tx.execute(query):
        found.setdefault(f"{row.kind}.{row.number}", []).append(row)
        if not row.large:
            groups[row.group_id] = row.name
    listed = [
        Choice(key, rows[0].kind, rows[0].number, rows[0].starts_at, any(row.held for row in rows), tuple(row.group_id for row in rows))
        for key, rows in found.items()
    ]
    return listed, sorted(groups.items(), key=lambda each: each[1])


@dataclass(frozen=True)
class Wanted:
    """What stands in the form of a change: `what` is move, off or back; `group` an id, "" for all that come to it."""

    what: str
    gathering: str
    group: str
    to: str
    later: str
    tell: str = "1"

    @property
    def key(self) -> Key:
        """The gathering that is meant. Raises `Invalid`."""
        kind, _, number = self.gathering.partition(".")
        if kind not in ("class", "meeting", "retreat") or not (number.isascii() and number.isdigit()) or len(number) > 3:
            raise Invalid("gathering", "Choose what shall be changed.")
        return kind, int(number)


@dataclass(frozen=True)
class Line:
    """Something that a change does, to all groups for which it is alike. `former` and `new`: moments, None where there is none."""

    what: str
    number: int
    code: str
    groups: tuple[str, ...]
    effect: str
    former: datetime | None
    new: datetime | None


@dataclass(frozen=True)
class Foreseen:
    """What a change would do. `version` says of all of it whether it is still so."""

    wanted: Wanted
    dates: tuple[Line, ...]
    lines: tuple[Line, ...]
    version: str = field(repr=False)

    @property
    def kept(self) -> tuple[Line, ...]:
        """What has gone out already, or would come too late."""
        return tuple(each for each in self.lines if each.effect in (Effect.STAYS, Effect.TOO_LATE))

    @property
    def follows(self) -> tuple[Line, ...]:
        """What is added, moved or dropped."""
        return tuple(each for each in self.lines if each not in self.kept)


def preview(tx: Tx, actor: Actor, course_id: int, wanted: Wanted, now: datetime) -> Foreseen:
    """What would happen. Raises `Invalid` ("gathering", "order", "moment", "past", "same"), `Conflict` ("ended")."""
    change = _change(tx, actor, course_id, wanted, now)
    touched = running.touched(tx, course_id, change)
    if not touched:
        raise Invalid("same", "Nothing would change.")
    made = running.preview(tx, course_id, change, now)
    return Foreseen(
        wanted, tuple(_dates(tx, touched)), tuple(_lines(tx, course_id, made)), versions.mark(change, list(touched), list(made))
    )


def make(tx: Tx, keyring: Keyring, actor: Actor, course_id: int, wanted: Wanted, now: datetime) -> None:
    """Make a change; whoever has the course to themselves knows that it does what was previewed. Raises as `preview`, and `Conflict`."""
    change = _change(tx, actor, course_id, wanted, now)
    if not running.touched(tx, course_id, change):
        raise Invalid("same", "Nothing would change.")
    foreseen = running.preview(tx, course_id, change, now)
    if running.change(tx, keyring, course_id, change, now, tell=wanted.tell == "1", actor=actor.word) != foreseen:
        raise Conflict("stale", "Something went out at this very moment; look again.")


def set_link(tx: Tx, actor: Actor, course_id: int, wanted: Wanted, link: str, *, every: bool, now: datetime) -> None:
    """Say where a gathering is held; `every`: all of its kind. Raises `Invalid` ("link", "gathering"), `NotFound`."""
    kind, number = wanted.key
    group = _group(tx, actor, course_id, wanted)
    running.set_link(tx, course_id, (kind, 0 if every else number), link.strip(), now, group_id=group, actor=actor.word)


def _change(tx: Tx, actor: Actor, course_id: int, wanted: Wanted, now: datetime) -> Change:
    group = _group(tx, actor, course_id, wanted)
    if wanted.what in ("off", "back"):
        return CallOff(wanted.key, held=wanted.what == "back", group_id=group)
    zone = tx.execute(sa.select(Course.zone).where(Course.id == course_id)).scalar_one()
    to = moments.typed(wanted.to, zone)
    if to is None:
        raise Invalid("moment", "Choose a day and a time.")
    if to <= now:
        raise Invalid("past", "This moment is over; choose a later one.")
    if to - now > timedelta(days=730):
        raise Invalid("moment", "This is more than two years ahead.")
    return Move(wanted.key, to, later=wanted.later == "1", group_id=group)


def _group(tx: Tx, actor: Actor, course_id: int, wanted: Wanted) -> int | None:
    if not wanted.group:
        return None
    mine = sa.select(Group.id).where(Group.course_id == course_id, Group.id.in_(access.groups_of(actor.person_id, RUNS)))
    found = next((each for each in tx.execute(mine).scalars() if str(each) == wanted.group), None)
    if found is None:
        raise Invalid("gathering", "There is no such group here.")
    return found


def _dates(tx: Tx, touched: Iterable[tuple[int, Gathering, Gathering]]) -> list[Line]:
    names = _names(tx, {group for group, _, _ in touched})
    found: dict[Line, list[str]] = {}
    for group, former, new in touched:
        effect = "moved" if new.held == former.held else "back" if new.held else "off"
        line = Line(former.kind, former.number, "", (), effect, former.starts_at, new.starts_at)
        found.setdefault(line, []).extend(names[group])
    return _joined(found)


def _lines(tx: Tx, course_id: int, made: Iterable[Consequence]) -> list[Line]:
    rows = tx.execute(sa.select(Group.code, Group.name, Group.large).where(Group.course_id == course_id))
    names: dict[str, tuple[str, ...]] = {row.code: () if row.large else (row.name,) for row in rows}
    found: dict[Line, list[str]] = {}
    for each in made:
        line = Line(*spoken(each.code), (), each.effect.value, each.former, each.new)
        found.setdefault(line, []).extend(names.get(each.group, ()))
    return _joined(found)


def _joined(found: dict[Line, list[str]]) -> list[Line]:
    return [replace(line, groups=tuple(sorted(groups))) for line, groups in found.items()]


def _names(tx: Tx, groups: Iterable[int]) -> dict[int, tuple[str, ...]]:
    rows = tx.execute(sa.select(Group.id, Group.name, Group.large).where(Group.id.in_(list(groups))))
    return {row.id: () if row.large else (row.name,) for row in rows}
