"""Loads the facts that a bot asked to see, in the transaction of the push, as far as this person may see them."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import access, approvals, attendance, encouragement, forecast, groups, ids, polls, schedules, staffing
from app.console import scans
from app.courses import occasions
from app.db import Tx
from app.errors import NotFound
from app.homework import looking
from app.models import Course
from app.prompts import lists, planning
from app.questions import views
from app.schedules import Reader
from app.situation import Situation, Tools
from bots.approval.waiting import Look, LookAt, WaitingForMe
from bots.attendance.register import MyAttendance, RegisterOf
from bots.encouragement.shelf import GivenWord, WarmShelf, WarmWords
from bots.facts import (
    Announcements,
    AskedBy,
    Calendar,
    CourseResources,
    EqualAnnouncement,
    Fact,
    Facts,
    Invitation,
    LastAsked,
    NewCode,
    Progress,
    ProgressOf,
    Reach,
    ReachForecast,
    SignIn,
)
from bots.homework.book import MyPractice, WhoPractised
from bots.prompt.plans import Calendars, Prompts
from bots.question.views import Listeners, MyQuestions, OpenQuestions, QuestionShown
from bots.questionnaire.sheets import AnswerPage, OpenAssignments
from bots.staffing.views import Covers, MyAbsences

_NOTHING_TO_SEE = Progress(id=0, number=0, group_name="", excerpt="", total=-1, by_state=())


def load(tx: Tx, tools: Tools, situation: Situation, known: Facts, requests: tuple[Fact[Any], ...]) -> Facts:
    """The facts known before and these. Raises `TypeError` for a kind of fact that nobody can load: a defect."""
    return Facts({**known.loaded, **{request: _load(tx, tools, situation, request) for request in requests}})


def _load(tx: Tx, tools: Tools, situation: Situation, request: Fact[Any]) -> Any:  # noqa: C901, PLR0911, PLR0912 - one line per kind of fact

    now, person_id = situation.now, situation.known.id
    reader = Reader(situation.person.language, person_id)
    match request:
        case Invitation(code=code):
            return groups.look_up(tx, tools.keyring, person_id, code, situation.person.language, now)
        case Reach(group=group, at=at):
            return _reach(tx, tools, situation, group, at)
        case Announcements(limit=limit):
            return schedules.announcements(tx, tools.keyring, reader, min(limit, 20))
        case ProgressOf(id=schedule_id):
            return _progress(tx, tools, schedule_id, reader, now)
        case WaitingForMe():
            return approvals.waiting(tx, tools.keyring, person_id)
        case LookAt(id=schedule_id):
            person = situation.person
            return approvals.look(tx, tools, person_id, schedule_id, person.language, person.zone, now) or Look(schedule_id)
        case EqualAnnouncement(group=group, text=text):
            return schedules.said_before(tx, tools.keyring, group, text, now)
        case AskedBy(id=schedule_id):
            return polls.asked_by(tx, tools.keyring, schedule_id, person_id, now)
        case LastAsked():
            own = {membership.group for membership in situation.person.memberships}
            return polls.last_asked(tx, tools.keyring, person_id, own, now)
        case NewCode():
            return ids.new_id()
        case OpenAssignments():
            return situation.assignments
        case AnswerPage(assignment=assignment):
            return _page(tools, situation, assignment)
        case Calendar():
            return occasions.planned(tx, person_id, now)
        case Calendars():
            return planning.calendars(tx, sorted({each.course for each in situation.person.announces_to()}))
        case Prompts(limit=limit):
            return lists.every(tx, tools.keyring, person_id, min(limit, 50))
        case SignIn(code=code):
            return scans.seen(tx, tools.keyring.vault, person_id, code)
        case CourseResources():
            return _resources(tx, situation)
        case MyAttendance():
            return attendance.mine(tx, person_id)
        case RegisterOf(group=group):
            return attendance.register(tx, tools.keyring, person_id, group)
        case GivenWord(word=word):
            return encouragement.given_to(tx, person_id, word)
        case WarmWords(course=course):
            return _warm_words(tx, tools, situation, course)
        case Listeners() | QuestionShown() | MyQuestions() | OpenQuestions():
            return _questions(tx, tools, situation, request)
        case Covers(group=group):
            return staffing.covers(tx, tools.keyring, person_id, group, now)
        case MyAbsences():
            return staffing.of_person(tx, tools.keyring, person_id, now)
        case MyPractice():
            return looking.book(tx, tools.keyring, situation)
        case WhoPractised(group=group):
            return looking.seen_by(tx, tools.keyring, group, person_id, now)
        case _:
            raise TypeError(f"nobody can load {type(request).__name__}")


def _questions(tx: Tx, tools: Tools, situation: Situation, request: Listeners | QuestionShown | MyQuestions | OpenQuestions) -> Any:
    person_id = situation.known.id
    match request:
        case Listeners(group=group):
            return views.listeners(tx, tools.keyring, person_id, group, situation.now)
        case QuestionShown(id=question):
            return views.shown(tx, tools.keyring, question, person_id)
        case MyQuestions():
            return views.mine(tx, tools.keyring, person_id)
        case OpenQuestions(number=number):
            return views.waiting(tx, tools.keyring, person_id, number)


def _reach(tx: Tx, tools: Tools, situation: Situation, group: int, at: Any) -> ReachForecast:
    if not access.may_announce(tx, situation.known.id, group):
        return ReachForecast(0, 0, 0, 0, 0, at)
    return forecast.forecast(tx, tools.rules, group, situation.known.id, at, situation.now)


def _progress(tx: Tx, tools: Tools, schedule_id: int, reader: Reader, now: datetime) -> Progress:
    try:
        return schedules.progress(tx, tools.keyring, tools.words, schedule_id, reader, now)
    except NotFound:
        return _NOTHING_TO_SEE


def _page(tools: Tools, situation: Situation, assignment: int) -> str:
    mine = any(each.id == assignment for each in situation.assignments)
    return tools.answer_url(assignment, situation.now) if mine else ""


def _warm_words(tx: Tx, tools: Tools, situation: Situation, course: int) -> WarmShelf:
    upcoming = encouragement.upcoming(tx, course, situation.now, 3)
    return encouragement.shelf_of(tx, tools.keyring, course, situation.known.id, situation.person.language, upcoming)


def _resources(tx: Tx, situation: Situation) -> str:
    courses = [membership.course for membership in situation.person.memberships]
    rows = tx.execute(sa.select(Course.details).where(Course.id.in_(courses)).order_by(Course.id)).scalars()
    texts = (details.get("resources", {}).get(situation.person.language, "") for details in rows)
    return next((text for text in texts if text), "")
