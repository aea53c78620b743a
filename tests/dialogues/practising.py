"""Hides practice in the world made of memory: check-ins, hours, what goes out at each one's hour, what leaders see and write."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, assert_never

from app.courses import calendar, file
from app.courses.calendar import Dated
from app.homework.sending import about
from bots.effects import AddLine, CheckIn, ChooseHour, ShareCheckIn, WriteToSilent
from bots.encouragement.words import Trigger
from bots.homework import days, hours
from bots.homework.book import Book, Done, GroupPractice, Mine, MyPractice, Practice, PracticeDay, Quieter, Seen, WhoPractised
from bots.homework.hours import Quiet
from bots.turns import OccasionKind, Role
from tests.dialogues import encouraging
from tests.dialogues.encouraging import Letter
from tests.dialogues.rows import Course, Group, Noted, Refused, State
from tests.dialogues.script import ZONE

_KINDS = ("homework", "homework_reminder")
_QUIETS = (Quiet(ZONE.key, "22:00", "08:00"),)
_USEFUL = {"homework": timedelta(days=5), "homework_reminder": timedelta(days=1)}

Effect = CheckIn | AddLine | ShareCheckIn | ChooseHour | WriteToSilent


def _seats(state: State, person: str) -> list[Group]:
    return [group for group, role in state.people[person].memberships if role is Role.PARTICIPANT]


def _small(state: State, person: str, course: Course) -> Group | None:
    return next((each for each in _seats(state, person) if each.course is course and not each.large), None)


def _classes(course: Course) -> list[calendar.Gathering]:
    return calendar.gatherings(file.read(course.file), course.first_day or date.min, ZONE.key) if course.first_day else []


def _begun(state: State, course: Course) -> list[calendar.Gathering]:
    return [each for each in _classes(course) if each.kind == "class" and each.starts_at <= state.now]


# What bots ask to see --------------------------------------------------------------------------------------------------------------


def load(state: State, person: str, request: MyPractice | WhoPractised) -> Book | GroupPractice:
    """What somebody may see."""
    if isinstance(request, WhoPractised):
        return _week(state, person, state.group_of(request.group))
    courses = list({each.course.id: each.course for each in _seats(state, person)}.values())
    running = [each for each in courses if each.first_day]
    default = file.read(running[0].file).homework.at if running else "20:00"
    known = state.hours.get(person)
    return Book(tuple(_mine(state, person, each) for each in courses), known or "", known is not None, default, _QUIETS)


def _mine(state: State, person: str, course: Course) -> Mine:
    if course.first_day is None:
        return Mine(course.id, course.title)
    plan = file.read(course.file)
    here = days.today(state.now, state.people[person].zone)
    week = max((each.number for each in _begun(state, course)), default=0)
    own = [each for each in state.noted if each.person == person and each.course is course]
    group = _small(state, person, course)
    leaders = [] if group is None else [name for name in state.members(group, Role.LEADER) if name != person]
    return Mine(
        course.id,
        course.title,
        week,
        tuple(Practice(place, each.code, each.name, each.minutes) for place, each in enumerate(plan.practices)),
        tuple(plan.weeks[week - 1].practices) if week else (),
        plan.weeks[week - 1].homework if week else {},
        tuple(
            Done(each.day, each.practice, each.minutes, bool(each.line), each.shared, each.told)
            for each in own
            if days.may_note(each.day, here)
        ),
        frozenset(each.day for each in own),
        "" if group is None else group.name,
        tuple(state.people[name].name or "" for name in leaders),
        0 if group is None else len(state.audience(group, person)),
    )


def _week(state: State, person: str, group: Group) -> GroupPractice:
    if group.large or not state.may_announce(person, group):
        return GroupPractice()
    people = state.members(group, Role.PARTICIPANT)
    begun = _begun(state, group.course)
    here = days.today(state.now, ZONE.key)
    since = max(each.starts_at for each in begun).astimezone(ZONE).date() if begun else here - timedelta(days=here.weekday())
    noted = [each for each in state.noted if each.person in people and each.course is group.course and each.day >= since]
    found = []
    for day in sorted({each.day for each in noted}):
        there = dict.fromkeys(each.person for each in noted if each.day == day)
        found.append(PracticeDay(day, tuple(_seen(state, name, [e for e in noted if (e.day, e.person) == (day, name)]) for name in there)))
    silent = tuple(Quieter(state.people[name].name or "", count) for name, count in _quiet(state, group, days.SILENCES[0]))
    return GroupPractice(True, group.name, since, len(people), len({each.person for each in noted}), tuple(found), silent)


def _seen(state: State, name: str, theirs: list[Noted]) -> Seen:
    shared = [each for each in theirs if each.shared]
    minutes = sum(each.minutes or 0 for each in shared) or None
    return Seen(state.people[name].name or "", minutes, " / ".join(each.line for each in shared if each.line))


def _quiet(state: State, group: Group, least: int) -> list[tuple[str, int]]:
    begun = _begun(state, group.course)
    if not begun:
        return []
    began = max(min(each.starts_at for each in begun), state.started)
    found = []
    for name in state.members(group, Role.PARTICIPANT):
        zone = state.people[name].zone
        noted = [each.day for each in state.noted if each.person == name and each.course is group.course]
        found.append((name, days.silent(noted, days.today(began, zone), days.today(state.now, zone))))
    return [(name, count) for name, count in found if count >= least and not state.people[name].paused]


# What people do --------------------------------------------------------------------------------------------------------------------


def apply(state: State, person: str, effect: Effect) -> list[Letter]:
    """What somebody does with their practice, or for those of whom nothing was heard; returns what is to be sent."""
    match effect:
        case ChooseHour(hour=None):
            state.hours.setdefault(person, "")
        case ChooseHour(hour=hour):
            assert hour is not None
            if not hours.allowed(hour, state.people[person].zone, days.today(state.now, state.people[person].zone), _QUIETS):
                raise Refused("quiet")
            state.hours[person] = hour
        case CheckIn():
            return _note(state, person, effect)
        case AddLine():
            _mine_noted(state, person, effect).line = effect.text
        case ShareCheckIn():
            return _share(state, person, effect)
        case WriteToSilent():
            return _write(state, person, effect)
        case _:
            assert_never(effect)
    return []


def _note(state: State, person: str, effect: CheckIn) -> list[Letter]:
    course, someone = state.course(effect.course), state.people[person]
    if not any(each.course is course for each in _seats(state, person)):
        raise Refused("role")
    here = days.today(state.now, someone.zone)
    if not days.may_note(effect.day, here):
        raise Refused("day")
    for each in state.deliveries:
        reminds = each.occasion.kind is OccasionKind.HOMEWORK and each.occasion.details["what"] == "reminder"
        if reminds and each.person == person and each.state in ("ready", "waiting"):
            each.settle("cancelled", "practised")
    own = [each for each in state.noted if each.person == person and each.course is course]
    same = next((each for each in own if (each.day, each.practice) == (effect.day, effect.practice)), None)
    if same is None:
        state.noted.append(Noted(person, course, effect.day, effect.practice, effect.minutes))
    elif effect.minutes is not None:
        same.minutes = effect.minutes
    former = {each.day for each in own}
    trigger = Trigger.FIRST if not former else Trigger.RETURN if days.returns(former, here) else None
    return encouraging.given(state, person, course, trigger) if trigger else []


def _mine_noted(state: State, person: str, of: AddLine | ShareCheckIn) -> Noted:
    key = (person, of.course, of.day, of.practice)
    found = next((each for each in state.noted if (each.person, each.course.id, each.day, each.practice) == key), None)
    if found is None:
        raise Refused("foreign")
    return found


def _share(state: State, person: str, effect: ShareCheckIn) -> list[Letter]:
    found, group = _mine_noted(state, person, effect), _small(state, person, state.course(effect.course))
    if group is None:
        raise Refused("group")
    found.shared = True
    if not effect.aloud or found.told:
        return []
    found.told = True
    name = file.read(found.course.file).practice(found.practice).name
    details: dict[str, Any] = {"author_name": state.people[person].name, "group_name": group.name, "practice": name}
    details |= {"minutes": found.minutes, "text": found.line}
    stale = state.now + timedelta(days=3)
    return [Letter(each, OccasionKind.SHARED, details, stale, "homework") for each in state.audience(group, person)]


def _write(state: State, person: str, effect: WriteToSilent) -> list[Letter]:
    group = state.group_of(effect.group)
    if group.large or not state.may_announce(person, group):
        raise Refused("role")
    silent = [name for name, _ in _quiet(state, group, effect.days)]
    if not silent:
        raise Refused("nobody")
    own = {role.value for one, role in state.people[person].memberships if one is group or role is Role.ADMINISTRATOR}
    details = {"text": effect.text, "group_name": group.name, "author_name": state.people[person].name or "", "author_role": min(own)}
    stale = state.now + timedelta(days=3)
    return [Letter(name, OccasionKind.ANNOUNCEMENT, details, stale, "announcement") for name in silent]


# By the clock ----------------------------------------------------------------------------------------------------------------------


def _pending(state: State) -> Iterator[tuple[datetime, str, Course, Dated]]:
    """Who still gets what, and when."""
    for course in state.courses:
        if course.first_day is None:
            continue
        plan = file.read(course.file)
        for each in calendar.occasions(plan, _classes(course), ZONE.key):
            if each.kind not in _KINDS or each.until is None or each.until <= state.now:
                continue
            large = next(group for group in state.groups if group.large and group.course is course)
            for name in state.members(large, Role.PARTICIPANT):
                if state.people[name].paused or name in state.practice_sent.get((course.id, each.code), set()):
                    continue
                if each.kind == "homework_reminder" and _practised_since(state, name, course, each):
                    continue
                hour = state.hours.get(name) or plan.homework.at
                yield days.hour_comes(each.at, each.until, hour, state.people[name].zone), name, course, each


def _practised_since(state: State, name: str, course: Course, each: Dated) -> bool:
    began = next(one.starts_at for one in _classes(course) if one.key == each.key)
    since = began.astimezone(ZONE).date()
    return any(noted.person == name and noted.course is course and noted.day >= since for noted in state.noted)


def next_due(state: State) -> datetime | None:
    """When something is due by itself."""
    return min((max(moment, state.now) for moment, *_ in _pending(state)), default=None)


def go_on(state: State) -> list[Letter]:
    """Write to everybody whose hour has come."""
    letters = []
    for moment, name, course, each in list(_pending(state)):
        if moment > state.now:
            continue
        asks = each.kind == "homework" and not any(
            key != (course.id, each.code) and "reminder" not in key[1] for key in state.practice_sent
        )
        state.practice_sent.setdefault((course.id, each.code), set()).add(name)
        plan = file.read(course.file)
        details = {**about(course.id, plan, each.details["week"]), "what": "week" if each.kind == "homework" else "reminder"}
        details |= {"asks": asks, "default": plan.homework.at, "day": days.today(each.at, ZONE.key).isoformat()}
        details["quiets"] = [[quiet.zone, quiet.since, quiet.until] for quiet in _QUIETS]
        if asks:
            state.hours.setdefault(name, "")
        stale = (each.until or state.now) + _USEFUL[each.kind]
        letters.append(Letter(name, OccasionKind.HOMEWORK, details, stale, "homework"))
    return letters
