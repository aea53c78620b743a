"""Loads the facts that a bot asked to see, in the transaction of the push, as far as this person may see them."""

from typing import Any

import sqlalchemy as sa

from app import access, encouragement, forecast, groups, ids, schedules
from app.courses import occasions
from app.db import Tx
from app.errors import NotFound
from app.homework import looking
from app.models import Course
from app.schedules import Reader
from app.situation import Situation, Tools
from bots.encouragement.shelf import GivenWord, WarmShelf, WarmWords
from bots.facts import (
    Announcements,
    Calendar,
    CourseResources,
    EqualAnnouncement,
    Fact,
    Facts,
    Invitation,
    NewCode,
    Progress,
    ProgressOf,
    Reach,
    ReachForecast,
)
from bots.homework.book import MyPractice, WhoPractised
from bots.questionnaire.sheets import AnswerPage, OpenAssignments

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
            return _progress(tx, tools, schedule_id, reader)
        case EqualAnnouncement(group=group, text=text):
            return schedules.said_before(tx, tools.keyring, group, text, now)
        case NewCode():
            return ids.new_id()
        case OpenAssignments():
            return situation.assignments
        case AnswerPage(assignment=assignment):
            return _page(tools, situation, assignment)
        case Calendar():
            return occasions.planned(tx, person_id, now)
        case CourseResources():
            return _resources(tx, situation)
        case GivenWord(word=word):
            return encouragement.given_to(tx, person_id, word)
        case WarmWords(course=course):
            return _warm_words(tx, tools, situation, course)
        case MyPractice():
            return looking.book(tx, tools.keyring, situation)
        case WhoPractised(group=group):
            return looking.seen_by(tx, tools.keyring, group, person_id, now)
        case _:
            raise TypeError(f"nobody can load {type(request).__name__}")


def _reach(tx: Tx, tools: Tools, situation: Situation, group: int, at: Any) -> ReachForecast:
    if not access.may_announce(tx, situation.known.id, group):
        return ReachForecast(0, 0, 0, 0, 0, at)
    return forecast.forecast(tx, tools.rules, group, situation.known.id, at, situation.now)


def _progress(tx: Tx, tools: Tools, schedule_id: int, reader: Reader) -> Progress:
    try:
        return schedules.progress(tx, tools.keyring, tools.words, schedule_id, reader)
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
