"""Practice prompts in the world made of memory: what is planned, what goes out when, and to whom."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bots.effects import CancelPrompt, ChangePrompt, PausePrompt, PlanPrompt, ResumePrompt
from bots.prompt import gaps
from bots.prompt.plans import Calendar, PromptView
from bots.recurrence import coming, course_week
from bots.turns import OccasionKind, Role
from tests.dialogues.rows import Course, Group, Prompt, Refused, State

_DAY = timedelta(days=1)
_SPEAKS_AS = (Role.LEADER, Role.ASSISTANT, Role.ADMINISTRATOR)
Wanted = PlanPrompt | ChangePrompt | PausePrompt | ResumePrompt | CancelPrompt


@dataclass(frozen=True)
class Mail:
    """A message that goes to one person."""

    person: str
    kind: OccasionKind
    details: Mapping[str, Any]
    stale_at: datetime
    prompt: int | None = None


def calendars(state: State, person: str) -> tuple[Calendar, ...]:
    """Of the courses in which this person may address a group."""
    own = {group.course.id: group.course for group in state.groups if state.may_announce(person, group)}
    return tuple(_calendar(course) for _, course in sorted(own.items()))


def views(state: State, person: str) -> tuple[PromptView, ...]:
    """The prompts that this person may see."""
    order = {"running": 0, "paused": 1}
    seen = [each for each in state.prompts if any(state.may_announce(person, group) for group in each.groups)]
    seen.sort(key=lambda each: (order.get(each.state, 2), each.next_at.timestamp() if each.next_at else 0.0, -each.id))
    return tuple(_view(state, person, each) for each in seen)


def _view(state: State, person: str, each: Prompt) -> PromptView:
    mine = [group for group in each.groups if state.may_announce(person, group)]
    course = each.groups[0].course
    return PromptView(
        each.id,
        each.number,
        each.version,
        course.id,
        tuple((group.id, group.name) for group in mine),
        len(each.groups) - len(mine),
        each.text,
        each.rule,
        each.until,
        course.zone,
        each.next_at,
        each.state,
        each.why,
        len(mine) == len(each.groups) or each.author == person,
    )


def apply(state: State, person: str, effect: Wanted) -> None:
    """Do what was asked for. Raises `Refused`."""
    if isinstance(effect, PlanPrompt):
        _plan(state, person, effect)
        return
    each = next((one for one in state.prompts if one.id == effect.id), None)
    if each is None or not next((view.changeable for view in views(state, person) if view.id == effect.id), False):
        raise Refused("role")
    match effect:
        case ChangePrompt():
            _change(state, person, each, effect)
        case PausePrompt():
            _require(each.state == "running")
            each.state, each.next_at = "paused", None
        case ResumePrompt():
            _require(each.state == "paused")
            each.state, each.next_at = "running", _first(state, each.groups, effect=each)
        case CancelPrompt():
            stoppable = [one for one in state.deliveries if one.prompt == each.id and one.state in ("ready", "waiting")]
            _require(each.state in ("running", "paused") or (each.state == "done" and bool(stoppable)))
            each.state, each.next_at = "cancelled", None
            for one in stoppable:
                one.settle("cancelled", "cancelled_by_author")


def withdraw(state: State, person: str) -> None:
    """Nothing goes out any more in the name of who left."""
    for each in state.prompts:
        if each.author == person and each.state in ("running", "paused"):
            each.state, each.why, each.next_at = "stopped", "author_left", None


def go_on(state: State) -> Iterator[Mail]:
    """What goes out now."""
    for each in state.prompts:
        while each.next_at is not None and each.next_at <= state.now:
            yield from _fire(state, each, each.next_at)


def _fire(state: State, each: Prompt, at: datetime) -> Iterator[Mail]:
    allowed = [group for group in each.groups if state.may_announce(each.author, group)]
    lost = [group.name for group in each.groups if group not in allowed]
    upcoming = coming(each.rule, _calendar(each.groups[0].course).frame(each.until), at)
    for group in allowed:
        details = _details(state, each, group, at)
        stale_at = min(at + _DAY, upcoming or at + _DAY)
        for reader in state.audience(group, each.author):
            yield Mail(reader, OccasionKind.PROMPT, details, stale_at, each.id)
    if allowed:
        each.next_at, each.state, each.groups = upcoming, "running" if upcoming else "done", allowed
    else:
        each.next_at, each.state, each.why = None, "stopped", "role"
    if lost:
        report = {"reason": "role", "number": each.number, "groups": lost, "count": 0, "next_at": each.next_at}
        yield Mail(each.author, OccasionKind.REPORT, report, at + 3 * _DAY)


def _details(state: State, each: Prompt, group: Group, at: datetime) -> dict[str, Any]:
    author = state.people[each.author]
    roles = {role for one, role in author.memberships if one is group or role is Role.ADMINISTRATOR}
    starts_on, day = group.course.starts_on, at.astimezone(ZoneInfo(group.course.zone)).date()
    return {
        "text": each.text,
        "week": 0 if starts_on is None else max(1, course_week(day, starts_on)),
        "group_name": group.name,
        "author_name": author.name or "",
        "author_role": next(role.value for role in _SPEAKS_AS if role in roles),
        "names_reader": gaps.find(each.text).name,
    }


def _plan(state: State, person: str, effect: PlanPrompt) -> None:
    groups = _groups(state, person, effect)
    if any(each.author == person and each.draft == effect.draft for each in state.prompts):
        return
    number = 1 + sum(each.groups[0].course is groups[0].course for each in state.prompts)
    first = _first(state, groups, effect=effect)
    made = Prompt(state.new_id(), number, person, groups, effect.text, effect.rule, effect.until, effect.draft, first)
    state.prompts.append(made)


def _change(state: State, person: str, each: Prompt, effect: ChangePrompt) -> None:
    groups = _groups(state, person, effect.plan)
    if each.version != effect.version:
        raise Refused("changed")
    each.next_at = _first(state, groups, effect=effect.plan)
    each.groups, each.author, each.text, each.rule = groups, person, effect.plan.text, effect.plan.rule
    each.until, each.version, each.state, each.why = effect.plan.until, each.version + 1, "running", ""


def _groups(state: State, person: str, effect: PlanPrompt) -> list[Group]:
    groups = [state.group_of(each) for each in effect.groups]
    if not all(state.may_announce(person, group) for group in groups):
        raise Refused("role")
    return groups


def _first(state: State, groups: list[Group], *, effect: PlanPrompt | Prompt) -> datetime:
    found = coming(effect.rule, _calendar(groups[0].course).frame(effect.until), state.now)
    if found is None:
        raise Refused("past")
    return found


def _require(holds: bool) -> None:
    if not holds:
        raise Refused("gone")


def _calendar(course: Course) -> Calendar:
    return Calendar(course.id, course.zone, course.starts_on)
