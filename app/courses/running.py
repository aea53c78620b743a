"""Hides a running course: starts it from a file, moves and cancels what is dated, and says beforehand what a change would do.

Gatherings are the truth; occasions follow from them (`app/courses/calendar.py`). What was sent stays as it was and is never sent again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from app import audit, broadcasts, courses, encouragement, ids
from app.courses import calendar, rounds
from app.courses import file as course_file
from app.courses.calendar import Consequence, Dated, Effect, Evening, Gap, Gathering, Key
from app.courses.file import CourseFile
from app.db import Tx
from app.errors import Conflict, Invalid, NotFound
from app.keyring import Keyring
from app.models import Course, Group
from app.models import Gathering as GatheringRow
from app.models import Occasion as OccasionRow
from app.situation import Tools
from bots.turns import OccasionKind

#: What somebody who joins late gets of what went before: nothing, one digest, or a digest with every week's practices.
LATE_JOINERS = ("skip", "digest", "all")


@dataclass(frozen=True)
class Plan:
    """How a course shall begin. `evenings`: by group id, where groups have evenings of their own; then every small group has classes."""

    file: CourseFile
    first_day: date
    evenings: Mapping[int, Evening] = field(default_factory=dict)
    gaps: Sequence[Gap] = ()
    late_joiners: str = "digest"


@dataclass(frozen=True)
class Move:
    """Another moment for one gathering; with `later` what follows it moves as far. `group_id` None: of every group that has it."""

    key: Key
    to: datetime
    later: bool = False
    group_id: int | None = None


@dataclass(frozen=True)
class CallOff:
    """One gathering is not held; with `held` it is held after all."""

    key: Key
    held: bool = False
    group_id: int | None = None


Change = Move | CallOff


def start(tx: Tx, tools: Tools, course_id: int, plan: Plan, now: datetime, *, actor: str = "operator") -> list[Consequence]:
    """Give a course its calendar; returns what is planned. Raises `Invalid` and `Conflict`."""
    course = _hold(tx, course_id)
    if course.file is not None:
        raise Conflict("started", "The course has its calendar already; `tongban course move` changes it.")
    if plan.late_joiners not in LATE_JOINERS:
        raise Invalid("late_joiners", f"Late joiners get one of {', '.join(LATE_JOINERS)}, not {plan.late_joiners!r}.")
    groups = _groups(tx, course_id)
    made = _first(plan, groups, course.zone)
    if all(each.ends_at <= now for _, each in made if each.kind == "class"):
        raise Invalid("start", "Every class of this calendar is over already; correct the start date.")
    tx.execute(sa.insert(GatheringRow), [_new_row(plan.file, course_id, group_id, each) for group_id, each in made])
    details = {**course.details, "weeks": len(plan.file.weeks)}
    frozen = {"file": plan.file.model_dump(mode="json"), "late_joiners": plan.late_joiners, "starts_on": plan.first_day, "details": details}
    tx.execute(sa.update(Course).where(Course.id == course_id).values(**frozen))
    if plan.file.second_eyes is not None:
        courses.set_second_eyes(tx, course_id, plan.file.second_eyes, now, actor=actor)
    encouragement.adopt(tx, tools.keyring, course_id, now, themes=[week.theme for week in plan.file.weeks], actor=actor)
    if plan.file.encouragement is not None:
        warm = plan.file.encouragement
        encouragement.set_plan(tx, course_id, warm.iso_days, warm.at, now, actor=actor)
    audit.record(tx, now, actor, "course.start", f"course:{course_id}", file=plan.file.code, version=plan.file.version)
    return [*_follow(tx, course_id, now), *rounds.add(tx, tools.shelf, _read(tx, course_id), _known(tx, course_id), now, actor)]


def _link(file: CourseFile, each: Gathering) -> str | None:
    """Where a gathering is held, as far as the course file says so."""
    if each.kind == "class":
        return file.weeks[each.number - 1].link
    return file.meeting.link if each.kind == "meeting" and file.meeting is not None else None


def _new_row(file: CourseFile, course_id: int, group_id: int, each: Gathering) -> dict[str, Any]:
    return {
        "id": ids.new_id(),
        "course_id": course_id,
        "group_id": group_id,
        "kind": each.kind,
        "number": each.number,
        "starts_at": each.starts_at,
        "minutes": each.minutes,
        "held": each.held,
        "link": _link(file, each),
    }


def _first(plan: Plan, groups: "_Groups", zone: str) -> list[tuple[int, Gathering]]:
    """Who comes to what: classes of the large group, or of each small one; meetings of small groups; one retreat for all."""
    made: list[tuple[int, Gathering]] = []
    everybody = calendar.gatherings(plan.file, plan.first_day, zone, None, plan.gaps)
    if not plan.evenings:
        made += [(groups.large, each) for each in everybody if each.kind == "class"]
    made += [(groups.large, each) for each in everybody if each.kind == "retreat"]
    for group_id in groups.small:
        own = calendar.gatherings(plan.file, plan.first_day, zone, plan.evenings.get(group_id), plan.gaps)
        kinds = {"meeting", "class"} if plan.evenings else {"meeting"}
        made += [(group_id, each) for each in own if each.kind in kinds]
    return made


def adopt(tx: Tx, group_id: int, now: datetime) -> None:
    """A small group that is made while the course runs gets the meetings to come, and classes where groups have their own."""
    course_id = tx.execute(sa.select(Group.course_id).where(Group.id == group_id)).scalar_one()
    course = _hold(tx, course_id)
    if course.file is None:
        return
    known, groups = _known(tx, course_id), _groups(tx, course_id)
    file = course_file.of(course.file)
    classes = next((own for own in known.values() if any(each.kind == "class" for each in own)), [])
    hung = [each for each in calendar.hung(file, {e.key: e for e in classes if e.kind == "class"}, course.zone) if each.kind == "meeting"]
    own_classes = [] if groups.large in known and any(e.kind == "class" for e in known[groups.large]) else classes
    wanted = [each for each in (*own_classes, *hung) if each.starts_at > now and each.kind != "retreat"]
    if wanted and group_id not in known:
        tx.execute(sa.insert(GatheringRow), [_new_row(file, course_id, group_id, each) for each in wanted])
        _follow(tx, course_id, now)


def preview(tx: Tx, course_id: int, change: Change, now: datetime) -> list[Consequence]:
    """What a change would do, before it is made. Raises `Invalid` where it cannot be made."""
    course = _read(tx, course_id)
    known = _changed(course, _known(tx, course_id), change)
    return [*_differences(tx, course, known, now), *rounds.differences(tx, course, _known(tx, course_id), known, now)]


def touched(tx: Tx, course_id: int, change: Change) -> list[tuple[int, Gathering, Gathering]]:
    """The gatherings that a change would touch: of which group, as they stand and as they would. Raises as `preview`."""
    before = _known(tx, course_id)
    after = _changed(_read(tx, course_id), before, change)
    former = {(group_id, each.key): each for group_id, own in before.items() for each in own}
    return [(group_id, former[group_id, e.key], e) for group_id, own in after.items() for e in own if e != former[group_id, e.key]]


def change(
    tx: Tx, keyring: Keyring, course_id: int, change: Change, now: datetime, *, tell: bool = True, actor: str = "operator"
) -> list[Consequence]:
    """Make a change, and `tell` those who would come; returns what it did, which is what `preview` would have said at this moment."""
    course = _hold(tx, course_id)
    before = _known(tx, course_id)
    after = _changed(course, before, change)
    for group_id, own in after.items():
        former = {each.key: each for each in before[group_id]}
        for each in own:
            if each != former[each.key]:
                mine = (GatheringRow.group_id == group_id, GatheringRow.kind == each.kind, GatheringRow.number == each.number)
                tx.execute(sa.update(GatheringRow).where(*mine).values(starts_at=each.starts_at, held=each.held))
    kind, number = change.key
    audit.record(tx, now, actor, f"course.{type(change).__name__.lower()}", f"course:{course_id}", kind=kind, number=number)
    moved = rounds.differences(tx, course, before, after, now)
    for consequence in moved:
        rounds.move(tx, keyring, course, after, consequence, now, actor)
    if tell:
        _tell(tx, keyring, course_id, change, before, after, now)
    return [*_follow(tx, course_id, now), *moved]


def _tell(
    tx: Tx,
    keyring: Keyring,
    course_id: int,
    made: Change,
    before: Mapping[int, list[Gathering]],
    after: Mapping[int, list[Gathering]],
    now: datetime,
) -> None:
    """Say to every group that comes to it what has changed, where that is still to come."""
    kind, number = made.key
    file = course_file.of(_read(tx, course_id).file)
    title = calendar.title(file, kind, number)
    what = ("moved_later" if made.later else "moved") if isinstance(made, Move) else "back" if made.held else "off"
    for group_id, own in after.items():
        here = next((each for each in own if each.key == made.key), None)
        former = next((each for each in before[group_id] if each.key == made.key), None)
        if here is None or former is None or here == former or max(here.starts_at, former.starts_at) <= now:
            continue
        details = {"what": what, "kind": kind, "number": number, "title": title, "at": here.starts_at, "former": former.starts_at}
        until = max(here.starts_at, former.starts_at)
        draft = broadcasts.in_course(tx, course_id, "course", OccasionKind.CALENDAR, details, group_id=group_id, stale_at=until)
        broadcasts.send_to_group(tx, keyring, draft, now)


def set_link(tx: Tx, course_id: int, key: Key, link: str, now: datetime, *, group_id: int | None = None, actor: str = "operator") -> int:
    """Say where a gathering is held; returns of how many groups. Number 0: of all of its kind."""
    try:
        course_file.check_link(link)
    except ValueError as wrong:
        raise Invalid("link", f"{str(wrong).capitalize()}.") from None
    mine = [GatheringRow.course_id == course_id, GatheringRow.kind == key[0]]
    mine += [GatheringRow.number == key[1]] if key[1] else []
    mine += [GatheringRow.group_id == group_id] if group_id is not None else []
    found = tx.execute(sa.update(GatheringRow).where(*mine).values(link=link)).rowcount
    if not found:
        raise NotFound("gathering", f"There is no {key[0]} {key[1] or ''}".rstrip() + "; `tongban course calendar` shows what there is.")
    audit.record(tx, now, actor, "course.link", f"course:{course_id}", kind=key[0], number=key[1])
    return found


# What follows from the gatherings -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Groups:
    large: int
    small: tuple[int, ...]


def _groups(tx: Tx, course_id: int) -> _Groups:
    rows = tx.execute(
        sa.select(Group.id, Group.large).where(Group.course_id == course_id, Group.closed_at.is_(None)).order_by(Group.id)
    ).all()
    return _Groups(next(row.id for row in rows if row.large), tuple(row.id for row in rows if not row.large))


def _read(tx: Tx, course_id: int, *, hold: bool = False) -> Any:
    query = sa.select(Course.id, Course.zone, Course.file, Course.details, Course.ended_at).where(Course.id == course_id)
    return tx.execute(query.with_for_update(key_share=True) if hold else query).one()


def _hold(tx: Tx, course_id: int) -> Any:
    """The course, its calendar alone with us until the commit. Raises `Conflict` where it has ended."""
    course = _read(tx, course_id, hold=True)
    if course.ended_at is not None:
        raise Conflict("ended", "The course has ended; nothing of it can be changed.")
    return course


def _known(tx: Tx, course_id: int) -> dict[int, list[Gathering]]:
    """The gatherings of a course by group."""
    rows = tx.execute(
        sa.select(*GatheringRow.__table__.columns).where(GatheringRow.course_id == course_id).order_by(GatheringRow.starts_at)
    )
    found: dict[int, list[Gathering]] = {}
    for row in rows:
        found.setdefault(row.group_id, []).append(Gathering(row.kind, row.number, row.starts_at, row.minutes, row.held))
    return found


def _changed(course: Any, known: Mapping[int, list[Gathering]], wanted: Change) -> dict[int, list[Gathering]]:
    if course.file is None:
        raise Invalid("started", "The course has no calendar yet; `tongban course start` gives it one.")
    if course.ended_at is not None:
        raise Conflict("ended", "The course has ended; nothing of it can be changed.")
    having = [group for group, own in known.items() if any(each.key == wanted.key for each in own) and wanted.group_id in (None, group)]
    if not having:
        kind, number = wanted.key
        raise Invalid("gathering", f"There is no {kind} {number} here; `tongban course calendar` shows what there is.")
    touched = _everybodys(known) if isinstance(wanted, Move) and wanted.later and wanted.group_id is None else None
    return {group: _with(own, wanted, course.zone, group in having, touched) for group, own in known.items()}


def _everybodys(known: Mapping[int, Iterable[Gathering]]) -> Callable[[Key], datetime]:
    """When a gathering of all groups first is: where later ones move too, those of other groups do as well."""
    return lambda key: min(each.starts_at for own in known.values() for each in own if each.key == key)


def _with(own: list[Gathering], wanted: Change, zone: str, has: bool, first: Callable[[Key], datetime] | None) -> list[Gathering]:
    if isinstance(wanted, CallOff):
        return [replace(each, held=wanted.held) if has and each.key == wanted.key else each for each in own]
    if has:
        return calendar.moved(own, wanted.key, wanted.to, zone, later=wanted.later)
    return own if first is None else calendar.shifted(own, first(wanted.key), wanted.to, zone)


def _follow(tx: Tx, course_id: int, now: datetime) -> list[Consequence]:
    """Let the occasions follow the gatherings; returns what changed."""
    course = _read(tx, course_id)
    known = _known(tx, course_id)
    differences = _differences(tx, course, known, now)
    file = course_file.of(course.file)
    ids_of = {(row.group_id, row.kind, row.number): row.id for row in tx.execute(_gathering_ids(course_id))}
    groups = {name: group_id for group_id, name in _group_codes(tx, course_id).items()}
    wanted = _wanted(file, known, course.zone)
    there = {(row.group_id, row.code) for row in tx.execute(_occasion_codes(course_id))}
    new = []
    for each in differences:
        group_id = groups[each.group]
        mine = sa.and_(OccasionRow.group_id == group_id, OccasionRow.code == each.code)
        dated = wanted.get((group_id, each.code))
        if dated is None:
            tx.execute(sa.update(OccasionRow).where(mine, OccasionRow.state == "planned").values(state="cancelled", why="called_off"))
            continue
        values = _values(dated, ids_of[group_id, *dated.key], now)
        if each.effect is Effect.ADDED and each.former is None and (group_id, each.code) not in there:
            new.append({"id": ids.new_id(), "course_id": course_id, "group_id": group_id, "code": dated.code, **values})
        elif each.effect is not Effect.STAYS:
            tx.execute(sa.update(OccasionRow).where(mine, _UNSENT).values(**values))
    if new:
        tx.execute(sa.insert(OccasionRow), new)
    classes = [[each for each in own if each.kind == "class"] for own in known.values()]
    over = calendar.over_at(file, classes, course.zone)
    silent = [[a.isoformat(), b.isoformat()] for a, b in calendar.silences([each for own in known.values() for each in own], file)]
    tx.execute(sa.update(Course).where(Course.id == course_id).values(over_at=over, silences=silent))
    return differences


_UNSENT = sa.and_(OccasionRow.state != "fired", OccasionRow.broadcast_id.is_(None))


def _gathering_ids(course_id: int) -> "sa.Select[*tuple[Any, ...]]":
    return sa.select(GatheringRow.id, GatheringRow.group_id, GatheringRow.kind, GatheringRow.number).where(
        GatheringRow.course_id == course_id
    )


def _occasion_codes(course_id: int) -> "sa.Select[*tuple[Any, ...]]":
    return sa.select(OccasionRow.group_id, OccasionRow.code).where(OccasionRow.course_id == course_id)


def _group_codes(tx: Tx, course_id: int) -> dict[int, str]:
    return {row.id: row.code for row in tx.execute(sa.select(Group.id, Group.code).where(Group.course_id == course_id))}


def _wanted(file: CourseFile, known: Mapping[int, list[Gathering]], zone: str) -> dict[tuple[int, str], Dated]:
    return {(group, each.code): each for group, own in known.items() for each in calendar.occasions(file, own, zone)}


def _values(dated: Dated, gathering_id: int, now: datetime) -> dict[str, Any]:
    late = (dated.until or dated.at) <= now
    return {
        "gathering_id": gathering_id,
        "kind": dated.kind,
        "to": dated.to,
        "fire_at": dated.at,
        "until": dated.until,
        "details": plain(dated.details),
        "state": "missed" if late else "planned",
        "why": "moved_past" if late else "",
    }


def plain(details: Mapping[str, Any]) -> dict[str, Any]:
    """Details as JSON: moments as text."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in details.items()}


def _differences(tx: Tx, course: Any, known: Mapping[int, list[Gathering]], now: datetime) -> list[Consequence]:
    """What has to change in the occasions so that they follow these gatherings."""
    codes = _group_codes(tx, course.id)
    wanted = _wanted(course_file.of(course.file), known, course.zone)
    rows = {
        (row.group_id, row.code): row
        for row in tx.execute(sa.select(*OccasionRow.__table__.columns).where(OccasionRow.course_id == course.id))
    }
    found = [_difference(codes[key[0]], key[1], rows.get(key), wanted.get(key), now) for key in {**rows, **wanted}]
    changed = [each for each in found if each is not None]
    return sorted(changed, key=lambda each: (each.new or each.former or now, each.group, each.code))


def _difference(group: str, code: str, row: Any, dated: Dated | None, now: datetime) -> Consequence | None:
    if dated is None:
        return Consequence(group, code, Effect.DROPPED, row.fire_at, None) if row.state == "planned" else None
    effect = _effect(row, dated, late=(dated.until or dated.at) <= now)
    return None if effect is None else Consequence(group, code, effect, None if row is None else row.fire_at, dated.at)


def _effect(row: Any, dated: Dated, *, late: bool) -> Effect | None:
    """What becomes of an occasion as it stands in its row; None: nothing."""
    if row is None:
        return Effect.TOO_LATE if late else Effect.ADDED
    # What goes at each one's hour is told by the day that it has: its next step moves on all day long.
    there = row.until == dated.until if dated.until else row.fire_at == dated.at
    same = there and row.details == plain(dated.details)
    if row.state == "fired" or row.broadcast_id is not None:
        return None if same else Effect.STAYS
    if row.state == "planned":
        return None if same else Effect.TOO_LATE if late else Effect.MOVED
    return None if late else Effect.ADDED
