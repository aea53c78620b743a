"""Hides the questionnaires of the world made of memory: to whom they are put and when, what was answered, how they end."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, assert_never

from bots.effects import BeginAssignment, Decline, Given, HandIn, Record, RemindLater
from bots.questionnaire.instrument import Kind
from bots.questionnaire.sheets import Assignment, Sheet
from bots.turns import OccasionKind, Role
from tests.dialogues.rows import Assigned, Paper, Refused, State, Wave
from tests.dialogues.script import ZONE, Beginning, known_instruments

_ANSWERABLE = ("invited", "reached", "opened", "partial")
_HOUR_OF_REMINDERS = time(19)
#: A reminder that comes after the window is of use for so long.
_LATE_REMINDER = timedelta(days=1)

Effect = Record | BeginAssignment | HandIn | Decline | RemindLater


@dataclass(frozen=True)
class Letter:
    """A message of a wave to one person, which nobody needs any more at `stale_at`."""

    person: str
    kind: OccasionKind
    details: dict[str, Any]
    stale_at: datetime


def declare(state: State, beginning: Beginning) -> None:
    """The waves that a transcript declares."""
    for there in beginning.waves:
        course = next(each for each in state.courses if each.title == there.course)
        opens, closes = there.window(state.now)
        options = (there.reminders, there.skips, there.keeps_late)
        state.waves.append(Wave(state.new_id(), course, there.title, there.instruments, opens, closes, *options))


# What people see and do -----------------------------------------------------------------------------------------------------------


def open_of(state: State, person: str) -> tuple[Assignment, ...]:
    """What is put to somebody and not finished, the one that closes first before the others."""
    mine = [_view(each) for each in state.assigned if each.person == person and each.state in _ANSWERABLE]
    return tuple(sorted(mine, key=lambda each: (each.closes_at, each.id)))


def _view(each: Assigned) -> Assignment:
    wave, known = each.wave, known_instruments()
    frames = {code: next(iter(known[code].time_frames), None) for code in wave.instruments}
    sheets = tuple(Sheet(one.id, known[one.instrument], frames[one.instrument], dict(one.answers), one.handed_in) for one in each.papers)
    about = (wave.course.id, wave.course.title, "wave", wave.title, each.state, wave.closes_at, wave.keeps_late, wave.skips)
    return Assignment(each.id, wave.id, *about, sheets)


def apply(state: State, person: str, effect: Effect) -> None:
    """What somebody does with their questionnaires. Raises `Refused`."""
    match effect:
        case Record(sheet=sheet, given=given):
            _record(state, person, sheet, given)
        case BeginAssignment(assignment=id_):
            assigned = _one(state, person, id_)
            if assigned.state in ("invited", "reached"):
                assigned.state = "opened"
                _take_back(state, assigned)
        case HandIn(sheet=sheet):
            _hand_in(state, person, sheet)
        case Decline(assignment=id_):
            _end(state, _one(state, person, id_), "refused")
        case RemindLater(assignment=id_, at=at):
            assigned = _one(state, person, id_)
            if at <= state.now or not _view(assigned).takes(at):
                raise Refused("closed")
            assigned.remind_at = at
        case _:
            assert_never(effect)


def _record(state: State, person: str, sheet: int, given: Iterable[Given]) -> None:
    assigned, paper = _paper(state, person, sheet)
    items = {item.number: item for item in known_instruments()[paper.instrument].items}
    for each in given:
        fits = each.item in items and (each.value in items[each.item].points if each.value is not None else assigned.wave.skips)
        if not fits or (items[each.item].kind is Kind.TEXT and each.value is not None and not each.text.strip()):
            raise Refused("foreign")
    for each in given:
        paper.answers[each.item] = each.value
        paper.texts[each.item] = each.text
    assigned.state = "partial"


def _hand_in(state: State, person: str, sheet: int) -> None:
    assigned, paper = _paper(state, person, sheet)
    if any(item.number not in paper.answers for item in known_instruments()[paper.instrument].asked(paper.answers)):
        raise Refused("open")
    paper.handed_in = True
    assigned.state = "partial"
    if all(each.handed_in for each in assigned.papers):
        _end(state, assigned, "complete")


def _paper(state: State, person: str, sheet: int) -> tuple[Assigned, Paper]:
    for assigned in state.assigned:
        paper = next((each for each in assigned.papers if each.id == sheet), None)
        if paper is not None and assigned.person == person and assigned.state in _ANSWERABLE:
            if paper.handed_in:
                raise Refused("done")
            if not _view(assigned).takes(state.now):
                raise Refused("closed")
            return assigned, paper
    raise Refused("foreign")


def _one(state: State, person: str, id_: int) -> Assigned:
    found = next((each for each in state.assigned if each.id == id_ and each.person == person and each.state in _ANSWERABLE), None)
    if found is None:
        raise Refused("foreign")
    return found


def _end(state: State, assigned: Assigned, how: str) -> None:
    assigned.state, assigned.remind_at = how, None
    _take_back(state, assigned)


def _take_back(state: State, assigned: Assigned) -> None:
    for each in state.deliveries:
        mine = each.person == assigned.person and each.occasion.details.get("wave") == assigned.wave.id
        if mine and each.state in ("ready", "waiting"):
            each.settle("cancelled", "answered")


def withdraw(state: State, person: str, *, erase: bool) -> None:
    """Somebody leaves: nothing is asked any more, and with `erase` nothing stays of what they answered."""
    for assigned in state.assigned:
        if assigned.person == person:
            for paper in assigned.papers if erase else ():
                paper.answers.clear()
                paper.texts.clear()
            if assigned.state in _ANSWERABLE:
                assigned.state, assigned.remind_at = "withdrawn", None


def delivered(state: State, person: str, wave: int) -> None:
    """The invitation to a wave has reached somebody."""
    for each in state.assigned:
        if each.person == person and each.wave.id == wave and each.state == "invited":
            each.state = "reached"


# By the clock ---------------------------------------------------------------------------------------------------------------------


def next_due(state: State) -> datetime | None:
    """When something is due by itself."""
    moments = [wave.opens_at for wave in state.waves if wave.state == "planned"]
    moments += [wave.closes_at for wave in state.waves if wave.state == "open"]
    moments += [state.now for wave in state.waves if wave.state == "open" and wave.closes_at > state.now and _uninvited(state, wave)]
    moments += [each.remind_at for each in state.assigned if each.remind_at is not None]
    return min(moments, default=None)


def go_on(state: State) -> list[Letter]:
    """Open, invite, remind and close whatever is due now; returns what is to be sent."""
    letters: list[Letter] = []
    for wave in state.waves:
        if wave.state == "planned" and wave.opens_at <= state.now:
            wave.state = "open"
        if wave.state == "open" and wave.closes_at > state.now:
            letters += [_invite(state, wave, person) for person in _uninvited(state, wave)]
        due = [each for each in state.assigned if each.wave is wave and each.remind_at is not None and each.remind_at <= state.now]
        letters += [letter for each in due if (letter := _remind(state, each)) is not None]
        if wave.state == "open" and wave.closes_at <= state.now:
            _close(state, wave)
    return letters


def _uninvited(state: State, wave: Wave) -> list[str]:
    asked = {each.person for each in state.assigned if each.wave is wave}
    return [
        name
        for name, each in state.people.items()
        if name not in asked
        and not each.paused
        and wave.course.title in each.consents
        and any(group.course is wave.course and role is Role.PARTICIPANT for group, role in each.memberships)
    ]


def _invite(state: State, wave: Wave, person: str) -> Letter:
    papers = [Paper(state.new_id(), code) for code in wave.instruments]
    state.assigned.append(Assigned(state.new_id(), person, wave, papers, _next_reminder(wave, state.now)))
    return Letter(person, OccasionKind.INVITATION, _details(wave, over=False), wave.closes_at)


def _remind(state: State, each: Assigned) -> Letter | None:
    over = state.now >= each.wave.closes_at
    each.remind_at = None
    if each.state not in _ANSWERABLE or (over and not each.wave.keeps_late):
        return None
    each.remind_at = _next_reminder(each.wave, state.now)
    if state.people[each.person].paused:
        return None
    stale = state.now + _LATE_REMINDER if over else each.wave.closes_at
    return Letter(each.person, OccasionKind.REMINDER, _details(each.wave, over=over), stale)


def _close(state: State, wave: Wave) -> None:
    wave.state = "closed"
    for each in state.assigned:
        if each.wave is wave and each.state in _ANSWERABLE:
            if not wave.keeps_late:
                each.state, each.remind_at = "window closed", None
            elif each.remind_at in _ruled(wave):
                each.remind_at = None


def _next_reminder(wave: Wave, now: datetime) -> datetime | None:
    return next((moment for moment in _ruled(wave) if now < moment < wave.closes_at), None)


def _ruled(wave: Wave) -> list[datetime]:
    opened = wave.opens_at.astimezone(ZONE).date()
    return [datetime.combine(opened + timedelta(days=days), _HOUR_OF_REMINDERS, ZONE) for days in wave.reminders]


def _details(wave: Wave, *, over: bool) -> dict[str, Any]:
    asked = [known_instruments()[code] for code in wave.instruments]
    return {
        "wave": wave.id,
        "course": wave.course.title,
        "titles": {"zh": wave.title, "en": wave.title},
        "minutes": sum(each.minutes for each in asked),
        "items": sum(len(each.items) for each in asked),
        "count": len(asked),
        "closes_at": wave.closes_at,
        "over": over,
    }
