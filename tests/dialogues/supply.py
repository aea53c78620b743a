"""Supplies the facts that bots ask for, from the rows of the world made of memory."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from app.courses import calendar, file
from bots.approval.waiting import LookAt, WaitingForMe
from bots.attendance.register import MyAttendance, RegisterOf
from bots.encouragement.shelf import GivenWord, WarmWords
from bots.facts import (
    Announcements,
    AnnouncementSummary,
    AskedBy,
    Calendar,
    CourseResources,
    EqualAnnouncement,
    Fact,
    Invitation,
    InvitationFound,
    InvitationState,
    LastAsked,
    MassForecast,
    NewCode,
    Planned,
    Progress,
    ProgressOf,
    Reach,
    ReachForecast,
    SignIn,
    SignInFound,
    Unreached,
)
from bots.homework.book import MyPractice, WhoPractised
from bots.prompt.plans import Calendars, Prompts
from bots.question.views import Listeners, MyQuestions, OpenQuestions, QuestionShown
from bots.questionnaire.sheets import AnswerPage
from bots.staffing.views import Covers, MyAbsences
from bots.texts import load_texts
from bots.turns import Role
from tests.dialogues import approving, attending, encouraging, polls, practising, prompts, questions
from tests.dialogues.rows import MASSES_A_MONTH, Announcement, Code, Delivery, Group, Someone, State, month, quiet_until

#: What the application says of deliveries: states and reasons.
WORDS = load_texts(Path(__file__).parents[2] / "app")
_GUESSES = 5
_REACHED = ("sent", "confirmed")
_HOUR, _TEN_MINUTES = timedelta(hours=1), timedelta(minutes=10)


def load(state: State, person: str, request: Fact[Any]) -> object:  # noqa: C901, PLR0911, PLR0912 - one branch per fact

    match request:
        case Invitation(code=code):
            return _look_up(state, person, code)
        case Reach(group=group, at=at):
            return _forecast(state, person, group, at)
        case Announcements(limit=limit):
            return _list(state, person, limit)
        case ProgressOf(id=id_):
            return _progress(state, person, id_)
        case WaitingForMe() | LookAt():
            return approving.load(state, person, request, lambda author, group, at: _forecast(state, author, group, at))
        case EqualAnnouncement(group=group, text=text):
            return _said_before(state, group, text)
        case AskedBy(id=id_):
            return polls.asked_by(state, person, id_)
        case LastAsked():
            return polls.last_asked(state, person)
        case AnswerPage(assignment=id_):
            mine = any(each.id == id_ and each.person == person for each in state.assigned)
            return "https://tongban.example/q/token" if mine else ""
        case NewCode():
            return state.new_id()
        case Calendar():
            return _planned(state, person)
        case Calendars():
            return prompts.calendars(state, person)
        case Prompts():
            return prompts.views(state, person)
        case Listeners() | QuestionShown() | MyQuestions() | OpenQuestions() | Covers() | MyAbsences():
            return questions.load(state, person, request)
        case SignIn():
            return SignInFound("over")  # no transcript has a browser that waits (tests/console/test_scanning.py has)
        case CourseResources():
            own = state.people[person].memberships
            return own[0][0].course.help if own else ""
        case GivenWord() | WarmWords():
            return encouraging.load(state, person, request)
        case MyAttendance() | RegisterOf():
            return attending.load(state, person, request)
        case MyPractice() | WhoPractised():
            return practising.load(state, person, request)
        case _:
            raise AssertionError(f"nobody can load {request!r}")


def _look_up(state: State, person: str, typed: str) -> InvitationFound:
    someone = state.people[person]
    if sum(each > state.now - _HOUR for each in someone.guesses) >= _GUESSES:
        return InvitationFound(InvitationState.GUESSING)
    found = state.code(typed)
    if found is None:
        return InvitationFound(InvitationState.UNKNOWN)
    standing = state_of(state, someone, found)
    if standing in (InvitationState.USED, InvitationState.EXPIRED):
        return InvitationFound(standing)
    course, leaders = found.group.course, state.members(found.group, Role.LEADER)
    return InvitationFound(
        standing,
        found.code,
        course.id,
        course.title,
        found.group.id,
        found.group.name,
        state.people[leaders[0]].name if leaders else None,
        found.role,
        found.name,
        course.consent_version,
        course.consent_text,
    )


def state_of(state: State, someone: Someone, found: Code) -> InvitationState:
    if any(group is found.group and role is found.role for group, role in someone.memberships):
        return InvitationState.JOINED
    if found.used:
        return InvitationState.USED
    if found.until is not None and found.until <= state.now:
        return InvitationState.EXPIRED
    if found.role is Role.PARTICIPANT and not found.group.large and _sits_elsewhere(someone, found):
        return InvitationState.ELSEWHERE
    if found.group.closed:
        return InvitationState.CLOSED
    there, most = len(state.members(found.group, Role.PARTICIPANT)), found.group.capacity
    full = found.role is Role.PARTICIPANT and most is not None and there >= most
    return InvitationState.FULL if full else InvitationState.OPEN


def _sits_elsewhere(someone: Someone, found: Code) -> bool:
    others = [(group, role) for group, role in someone.memberships if group.course is found.group.course and group is not found.group]
    return any(role is Role.PARTICIPANT and not group.large for group, role in others)


def _planned(state: State, person: str) -> tuple[Planned, ...]:
    """What is still to come in each course of this person, after the courses that have no calendar."""
    courses = list({group.course.id: group.course for group, _ in state.people[person].memberships}.values())
    found = [Planned(each.id) for each in courses if each.first_day is None]
    for each in courses:
        if each.first_day is None:
            continue
        plan = file.read(each.file)
        coming = [one for one in calendar.gatherings(plan, each.first_day, "Asia/Shanghai") if one.ends_at > state.now]
        lines = [Planned(each.id, one.kind, one.number, calendar.title(plan, one.kind, one.number), one.starts_at) for one in coming]
        found += sorted(lines, key=lambda line: line.at or state.now)
    return tuple(found)


def _forecast(state: State, person: str, group_id: int, at: datetime | None) -> ReachForecast:
    quiet = quiet_until(at or state.now)
    moment = quiet or at or state.now
    ways = [state.way(state.people[each], moment) for each in state.audience(state.group_of(group_id), person)]
    counts = {way: ways.count(way) for way in ("now", "later", "never")}
    mass = _mass(state, person, state.group_of(group_id), moment)
    eyes = approving.eyes(state, state.group_of(group_id), person, len(ways))
    return ReachForecast(len(ways), counts["now"], 0, counts["later"], counts["never"], at, quiet_until=quiet, mass=mass, eyes=eyes)


def _mass(state: State, person: str, group: Group, moment: datetime) -> MassForecast | None:
    if not group.large:
        return None
    people = [state.people[each] for each in state.audience(group, person)]
    had = [state.had_masses(each, moment) for each in people if state.way(each, moment) != "never"]
    usable = [each for each in had if each < MASSES_A_MONTH]
    planned = [each for each in state.announcements if each.by_mass and each.state == "planned" and month(each.at) == month(moment)]
    left = max(0, MASSES_A_MONTH - max(usable, default=0) - len(planned))
    return MassForecast(len(usable), len(had) - len(usable), left, MASSES_A_MONTH)


def _list(state: State, person: str, limit: int) -> tuple[AnnouncementSummary, ...]:
    own = [each for each in state.announcements if state.may_announce(person, each.group)]
    own.sort(key=lambda each: (each.state not in ("planned", "waiting", "returned"), -each.at.timestamp()))
    return tuple(_summary(state, each) for each in own[:limit])


def _summary(state: State, each: Announcement) -> AnnouncementSummary:
    states = [one.state for one in state.deliveries if one.announcement == each.id]
    excerpt = " ".join(each.text.split())[:24]
    return AnnouncementSummary(
        each.id, each.number, each.group.name, excerpt, each.at, _standing(state, each), len(states), sum(one in _REACHED for one in states)
    )


def _standing(state: State, each: Announcement) -> str:
    under_way = any(one.announcement == each.id and one.state == "ready" for one in state.deliveries)
    return "going out" if each.state == "done" and under_way else each.state


def _progress(state: State, person: str, id_: int) -> Progress:
    each = next((one for one in state.announcements if one.id == id_), None)
    if each is None or not state.may_announce(person, each.group):
        return Progress(id_, 0, "", "", -1, ())
    own = [one for one in state.deliveries if one.announcement == id_]
    language = state.people[person].language
    shown = ("ready", "sent", "confirmed", "waiting", "cancelled", "unreachable")
    counts = [(name, [one.state for one in own].count(name)) for name in shown]
    states = tuple((str(WORDS.fill(f"state.{name}", language)), count) for name, count in counts if count)
    late = tuple(_unreached(state, one, language) for one in sorted(own, key=lambda one: one.state) if one.state not in _REACHED)
    taken = str([one.state for one in own].count("confirmed"))
    notes = (str(WORDS.fill("reason.mass_partial", language, sent=taken, total=taken)),) if taken != "0" else ()
    excerpt, poll = " ".join(each.text.split())[:24], polls.result(state, each)
    return Progress(id_, each.number, each.group.name, excerpt, len(own), states, late, poll, notes)


def _unreached(state: State, one: Delivery, language: str) -> Unreached:
    keys = (f"state.{one.state}", *([f"reason.{one.reason}"] if one.reason else []))
    return Unreached(state.people[one.person].name or "?", " · ".join(WORDS.fill(key, language) for key in keys))


def _said_before(state: State, group: int, text: str) -> bool:
    def equal(each: Announcement) -> bool:
        fresh = each.made > state.now - _TEN_MINUTES and each.state != "cancelled"
        return fresh and each.group.id == group and each.text.split() == text.split()

    return any(equal(each) for each in state.announcements)
