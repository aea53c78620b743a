"""Hides attendance in the world made of memory: who was at which gathering, make-ups, and what staff and participants see of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never

from app.courses import calendar, file
from bots.attendance.register import Mark, MyAttendance, MyCourse, Register, RegisterOf, Seat, Sitting, needed
from bots.effects import Attend, ClaimMakeUp, MarkAttendance, SettleMakeUp
from bots.scans import gathering_code
from bots.turns import ANNOUNCERS, Role
from tests.dialogues import script
from tests.dialogues.rows import Claim, Course, Group, Held, Marked, Refused, State

Effect = Attend | MarkAttendance | ClaimMakeUp | SettleMakeUp


@dataclass(frozen=True)
class Letter:
    """What the attendance bot is to tell one person, within a week."""

    person: str
    details: dict[str, Any]


def declare(state: State) -> None:
    """The gatherings of every course that has a calendar: classes and the retreat of the large group, meetings of each small one."""
    for course in state.courses:
        if course.first_day is None:
            continue
        plan = file.read(course.file)
        for one in calendar.gatherings(plan, course.first_day, "Asia/Shanghai"):
            cities = tuple(plan.retreat.cities) if one.kind == "retreat" and plan.retreat else ()
            title = calendar.title(plan, one.kind, one.number)
            for group in state.groups:
                if group.course is course and group.large is (one.kind != "meeting"):
                    sitting = Sitting(state.new_id(), one.kind, one.number, title, one.starts_at, one.minutes, cities)
                    state.held.append(Held(sitting, course, group))


def poster(state: State, code: str) -> str:
    """What a QR code holds of which a transcript says that somebody scans it."""
    meant = script.gathering_scanned(code)
    if meant is None:
        return code
    return next(gathering_code(each.sitting.id) for each in state.held if (each.sitting.kind, each.sitting.number) == meant)


def load(state: State, person: str, request: MyAttendance | RegisterOf) -> object:
    """What somebody may see."""
    if isinstance(request, RegisterOf):
        return _register(state, person, request.group)
    own = [group for group, role in state.people[person].memberships if role is Role.PARTICIPANT]
    courses = {group.course.id: group.course for group in own}
    return tuple(_mine(state, person, courses[id_], own) for id_ in sorted(courses) if courses[id_].first_day is not None)


def _mine(state: State, person: str, course: Course, own: Iterable[Group]) -> MyCourse:
    sittings = _sittings(state, [group for group in own if group.course is course])
    asked = frozenset(each.held.sitting.id for each in state.claims if each.person == person)
    return MyCourse(course.id, course.title, _needed(course, sittings), sittings, _marks(state, person), asked)


def _register(state: State, person: str, group_id: int) -> Register:
    group = state.group_of(group_id)
    if not _keeps(state, person, group) or group.course.first_day is None:
        return Register()
    large = next(each for each in state.groups if each.large and each.course is group.course)
    sittings = _sittings(state, [group, large])
    seats = tuple(_seat(state, name) for name in state.members(group, Role.PARTICIPANT))
    return Register(True, group.id, group.name, _needed(group.course, sittings), sittings, seats)


def _seat(state: State, person: str) -> Seat:
    claims = {each.held.sitting.id: each.id for each in state.claims if each.person == person}
    return Seat(_number(state, person), state.people[person].name or "?", _marks(state, person), claims)


def _number(state: State, person: str) -> int:
    """People have no ids here: their place will do."""
    return list(state.people).index(person) + 1


def _sittings(state: State, groups: Iterable[Group]) -> tuple[Sitting, ...]:
    ids = {group.id for group in groups}
    found = [each.sitting for each in state.held if each.group.id in ids]
    return tuple(sorted(found, key=lambda each: (each.at, each.id)))


def _needed(course: Course, sittings: Iterable[Sitting]) -> int:
    plan = file.read(course.file)
    rule = plan.attendance.needed if plan.attendance else None
    return needed(rule, len(plan.weeks), sum(each.kind == "class" for each in sittings))


def _marks(state: State, person: str) -> dict[int, Mark]:
    return {each.held.sitting.id: each.mark for each in state.marked if each.person == person}


def _keeps(state: State, person: str, group: Group) -> bool:
    own = state.people[person].memberships
    administers = any(role is Role.ADMINISTRATOR and one.course is group.course for one, role in own)
    return not group.large and (administers or any(one is group and role in ANNOUNCERS for one, role in own))


# What people do -------------------------------------------------------------------------------------------------------------------------


def apply(state: State, person: str, effect: Effect) -> list[Letter]:
    """What somebody does; returns what is to be sent. Raises `Refused`."""
    match effect:
        case Attend():
            _sign_in(state, person, effect)
        case MarkAttendance():
            _mark(state, person, effect)
        case ClaimMakeUp(gathering=gathering):
            return _claim(state, person, gathering)
        case SettleMakeUp():
            return _settle(state, person, effect)
        case _:
            assert_never(effect)
    return []


def withdraw(state: State, person: str, *, erase: bool) -> None:
    """Claims go; marks go where the answers do."""
    state.claims = [each for each in state.claims if each.person != person]
    if erase:
        state.marked = [each for each in state.marked if each.person != person]


def _own(state: State, person: str, gathering: int) -> Held:
    found = next((each for each in state.held if each.sitting.id == gathering), None)
    if found is None or (found.group, Role.PARTICIPANT) not in state.people[person].memberships:
        raise Refused("foreign")
    return found


def _sign_in(state: State, person: str, effect: Attend) -> None:
    held = _own(state, person, effect.gathering)
    if not held.sitting.is_on(state.now):
        raise Refused("closed")
    if effect.city not in ([each["zh"] for each in held.sitting.cities] or [""]):
        raise Refused("city")
    there = next((each for each in state.marked if each.person == person and each.held.sitting.id == effect.gathering), None)
    if there is None:
        state.marked.append(Marked(person, held, Mark(effect.how, effect.city)))
    elif effect.city:
        there.mark = Mark(there.mark.how, effect.city)


def _mark(state: State, person: str, effect: MarkAttendance) -> None:
    group = state.group_of(effect.group)
    if not _keeps(state, person, group):
        raise Refused("role")
    held = next((each for each in state.held if each.sitting.id == effect.gathering), None)
    if held is None or held.course is not group.course or not (held.group is group or held.group.large):
        raise Refused("foreign")
    names = {_number(state, name): name for name in state.members(group, Role.PARTICIPANT)}
    if not set(effect.people) <= names.keys():
        raise Refused("foreign")
    if held.sitting.opens_at > state.now:
        raise Refused("early")
    for id_ in effect.people:
        _let_be(state, names[id_], held, effect.how)


def _let_be(state: State, person: str, held: Held, how: str) -> None:
    there = next((each for each in state.marked if each.person == person and each.held is held), None)
    if how == "":
        state.marked = [each for each in state.marked if each is not there]
        return
    if there is None:
        state.marked.append(Marked(person, held, Mark(how)))
    elif (there.mark.how == "made_up") is (how == "tick"):
        there.mark = Mark(how, there.mark.city)
    state.claims = [each for each in state.claims if each.person != person or each.held is not held]


def _claim(state: State, person: str, gathering: int) -> list[Letter]:
    held = _own(state, person, gathering)
    if held.sitting.kind != "class":
        raise Refused("foreign")
    if state.now < held.sitting.at + timedelta(minutes=held.sitting.minutes):
        raise Refused("early")
    if held.sitting.id in _marks(state, person):
        raise Refused("there")
    if any(each.person == person and each.held is held for each in state.claims):
        raise Refused("asked")
    claim = Claim(state.new_id(), person, held)
    state.claims.append(claim)
    groups = _small(state, person, held.course)
    staff = [name for role in (Role.LEADER, Role.ASSISTANT) for group in groups for name in state.members(group, role)]
    large = next(each for each in state.groups if each.large and each.course is held.course)
    bosses = state.members(large, Role.ADMINISTRATOR)
    details = {"reason": "claim", "claim": claim.id, "author_name": state.people[person].name or "", **_what(held)}
    return [Letter(name, details) for name in dict.fromkeys(staff or bosses)]


def _settle(state: State, person: str, effect: SettleMakeUp) -> list[Letter]:
    claim = next((each for each in state.claims if each.id == effect.claim), None)
    if claim is None:
        raise Refused("gone")
    if not any(_keeps(state, person, group) for group in _small(state, claim.person, claim.held.course)):
        raise Refused("role")
    state.claims.remove(claim)
    if effect.accepted:
        _let_be(state, claim.person, claim.held, "made_up")
    return [Letter(claim.person, {"reason": "settled", "accepted": effect.accepted, **_what(claim.held)})]


def _what(held: Held) -> dict[str, Any]:
    return {"number": held.sitting.number, "title": dict(held.sitting.title)}


def _small(state: State, person: str, course: Course) -> list[Group]:
    own = state.people[person].memberships
    return [group for group, role in own if role is Role.PARTICIPANT and group.course is course and not group.large]
