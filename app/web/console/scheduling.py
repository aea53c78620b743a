"""The schedule: a course's dates week by week, a change with what follows from it before it is made, and practice prompts."""

from app.console import calendars, moments, prompts
from app.console.calendars import CourseLine, Foreseen, Wanted
from app.console.rules import ANNOUNCES, RUNS, SEES_GROUPS, Of, Rule
from app.db import Tx
from app.errors import Conflict, Invalid
from app.groups import Refused
from app.web.console.routing import HOME, THING, Answer, Go, Route, Shown, Visit

_PAGE = f"{HOME}/schedule"
_FIELDS = ("what", "gathering", "group", "to", "later", "tell")
_NOTHING = Wanted("", "", "", "", "")


def every(tx: Tx, visit: Visit) -> Answer:
    """The courses whose dates one sees; who has a single one sees that."""
    lines = calendars.courses(tx, visit.who)
    if len(lines) == 1:
        return Go(f"{_PAGE}/{lines[0].id}")
    return Shown("schedules", {"lines": lines})


def one(tx: Tx, visit: Visit) -> Answer:
    """A week of a course."""
    return _shown(tx, visit, visit.thing, Wanted("move", visit.query.get("of", ""), "", "", ""))


def _shown(tx: Tx, visit: Visit, course_id: int, wanted: Wanted, problem: str = "", status: int = 200) -> Shown:
    course = calendars.courses(tx, visit.who, course_id)[0]
    week = calendars.week(tx, visit.who, course, moments.day(visit.query.get("week", "")), visit.language, visit.now)
    choices, groups = calendars.choices(tx, visit.who, course_id, visit.now) if _runs(course) else ([], [])
    gaps = {
        "course": course,
        "week": week,
        "choices": choices,
        "groups": groups,
        "prompts": prompts.of_course(tx, visit.tools.keyring, visit.who, course_id),
        "announces": bool(visit.who.roles & ANNOUNCES),
        "today": moments.today(visit.now, course.zone),
        "named": calendars.NAMED,
        "longest": calendars.LONGEST_LINK,
        "wanted": wanted,
        "problem": problem,
    }
    return Shown("schedule", gaps, status)


def _runs(course: CourseLine) -> bool:
    return course.started and not course.ended


def _wanted(visit: Visit) -> Wanted:
    return Wanted(*(visit.field(name) for name in _FIELDS))


def look(tx: Tx, visit: Visit) -> Answer:
    """What a change would do; nothing is done."""
    wanted = _wanted(visit)
    if "edit" in visit.fields:
        return _shown(tx, visit, visit.thing, wanted)
    try:
        found = calendars.preview(tx, visit.who, visit.thing, wanted, visit.now)
    except (Invalid, Conflict) as refused:
        return _shown(tx, visit, visit.thing, wanted, refused.code, refused.status)
    return _foreseen(tx, visit, found)


def _foreseen(tx: Tx, visit: Visit, found: Foreseen, *, stale: bool = False) -> Shown:
    course = calendars.courses(tx, visit.who, visit.thing)[0]
    return Shown("change", {"course": course, "found": found, "named": calendars.NAMED, "stale": stale}, 409 if stale else 200)


def change(tx: Tx, visit: Visit) -> Answer:
    """Do what was shown; where things have changed since, it is shown anew."""
    wanted = _wanted(visit)
    try:
        stale = calendars.make(tx, visit.tools.keyring, visit.who, visit.thing, wanted, visit.field("version"), visit.now)
    except Invalid as refused:
        return _shown(tx, visit, visit.thing, wanted, refused.code, refused.status)
    if stale is not None:
        return _foreseen(tx, visit, stale, stale=True)
    return Go(f"{_PAGE}/{visit.thing}?week={wanted.to[:10]}" if moments.day(wanted.to) else f"{_PAGE}/{visit.thing}")


def link(tx: Tx, visit: Visit) -> Answer:
    """Say where a gathering is held."""
    wanted = Wanted("link", visit.field("gathering"), visit.field("group"), "", "")
    try:
        calendars.set_link(tx, visit.who, visit.thing, wanted, visit.field("link"), every=visit.field("all") == "1", now=visit.now)
    except Invalid as refused:
        return _shown(tx, visit, visit.thing, wanted, refused.code, refused.status)
    return Go(f"{_PAGE}/{visit.thing}")


def pause(tx: Tx, visit: Visit) -> Answer:
    """Let a practice prompt rest."""
    return _keep(tx, visit, going=False)


def resume(tx: Tx, visit: Visit) -> Answer:
    """Let it go on."""
    return _keep(tx, visit, going=True)


def _keep(tx: Tx, visit: Visit, *, going: bool) -> Answer:
    course_id = prompts.course_of(tx, visit.thing)
    try:
        prompts.keep(tx, visit.who, visit.thing, visit.now, going=going)
    except Refused as refused:
        return _shown(tx, visit, course_id, _NOTHING, f"prompt_{refused.code}", refused.status)
    return Go(f"{_PAGE}/{course_id}#prompts")


_ITS = Rule(RUNS, Of.COURSE)
ROUTES = (
    Route("GET", _PAGE, Rule(SEES_GROUPS), every, menu="schedule"),
    Route("GET", f"{_PAGE}/{THING}", Rule(SEES_GROUPS, Of.COURSE), one),
    Route("POST", f"{_PAGE}/{THING}/preview", _ITS, look, takes=(*_FIELDS, "edit")),
    Route("POST", f"{_PAGE}/{THING}/change", _ITS, change, takes=(*_FIELDS, "version")),
    Route("POST", f"{_PAGE}/{THING}/link", _ITS, link, takes=("gathering", "group", "link", "all")),
    Route("POST", f"{HOME}/prompts/{THING}/pause", Rule(ANNOUNCES, Of.PROMPT), pause),
    Route("POST", f"{HOME}/prompts/{THING}/resume", Rule(ANNOUNCES, Of.PROMPT), resume),
)
