"""The schedule: a course's dates week by week, a change with what follows from it before it is made, and practice prompts."""

from app.console import calendars, moments, prompts, versions
from app.console.calendars import CourseLine, Foreseen, Wanted
from app.console.rules import ANNOUNCES, RUNS, SEES_GROUPS, Of, Rule
from app.db import Tx
from app.errors import Conflict, Invalid
from app.groups import Refused
from app.web.console.routing import HOME, THING, VERSION, Answer, Drawn, Go, Route, Shown, Visit

_PAGE = f"{HOME}/schedule"
_FIELDS = ("what", "gathering", "group", "to", "later", "tell")
_CHOSEN = ("what", "gathering", "group", "later", "tell")
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
    lines = prompts.of_course(tx, visit.tools.keyring, visit.who, course_id)
    week = calendars.week(tx, visit.who, course, moments.day(visit.query.get("week", "")), visit.language, visit.now)
    choices, groups = calendars.choices(tx, visit.who, course_id, visit.now) if _runs(course) else ([], [])
    gaps = {
        "course": course,
        "week": week,
        "choices": choices,
        "groups": groups,
        "prompts": lines,
        "versions": versions.prompts(tx, [each.view.id for each in lines]),
        "version": versions.links(tx, course_id),
        "link": {name: visit.field(name) for name in ("link", "all")},
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


def _foreseen(tx: Tx, visit: Visit, found: Foreseen) -> Shown:
    course = calendars.courses(tx, visit.who, visit.thing)[0]
    return Shown("change", {"course": course, "found": found, "named": calendars.NAMED})


def _change_version(tx: Tx, visit: Visit) -> str:
    """Of all that the change would do; where it cannot be made at all, `change` says why."""
    try:
        return calendars.preview(tx, visit.who, visit.thing, _wanted(visit), visit.now).version
    except (Invalid, Conflict):
        return visit.field(VERSION)


def _changed(tx: Tx, visit: Visit) -> Shown:
    return _foreseen(tx, visit, calendars.preview(tx, visit.who, visit.thing, _wanted(visit), visit.now))


def change(tx: Tx, visit: Visit) -> Answer:
    """Do what was shown."""
    wanted = _wanted(visit)
    try:
        calendars.make(tx, visit.tools.keyring, visit.who, visit.thing, wanted, visit.now)
    except Invalid as refused:
        return _shown(tx, visit, visit.thing, wanted, refused.code, refused.status)
    week = f"&week={wanted.to[:10]}" if moments.day(wanted.to) else ""
    return Go(f"{_PAGE}/{visit.thing}?done=changed{week}")


def _link_version(tx: Tx, visit: Visit) -> str:
    return versions.links(tx, visit.thing)


def _with_link(tx: Tx, visit: Visit) -> Shown:
    return _shown(tx, visit, visit.thing, Wanted("link", visit.field("gathering"), visit.field("group"), "", ""))


def link(tx: Tx, visit: Visit) -> Answer:
    """Say where a gathering is held."""
    wanted = Wanted("link", visit.field("gathering"), visit.field("group"), "", "")
    try:
        calendars.set_link(tx, visit.who, visit.thing, wanted, visit.field("link"), every=visit.field("all") == "1", now=visit.now)
    except Invalid as refused:
        return _shown(tx, visit, visit.thing, wanted, refused.code, refused.status)
    return Go(f"{_PAGE}/{visit.thing}?done=linked")


def _prompt_version(tx: Tx, visit: Visit) -> str:
    return versions.prompts(tx, [visit.thing])[visit.thing]


def _of_prompt(tx: Tx, visit: Visit) -> Shown:
    return _shown(tx, visit, prompts.course_of(tx, visit.thing), _NOTHING)


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
_LINK, _PROMPT = Drawn(_link_version, _with_link), Drawn(_prompt_version, _of_prompt)
ROUTES = (
    Route("GET", _PAGE, Rule(SEES_GROUPS), every, menu="schedule"),
    Route("GET", f"{_PAGE}/{THING}", Rule(SEES_GROUPS, Of.COURSE), one),
    Route("POST", f"{_PAGE}/{THING}/preview", _ITS, look, takes=(*_CHOSEN, "edit"), typed=("to",)),
    Route("POST", f"{_PAGE}/{THING}/change", _ITS, change, takes=_FIELDS, drawn=Drawn(_change_version, _changed)),
    Route("POST", f"{_PAGE}/{THING}/link", _ITS, link, takes=("gathering", "group", "all"), typed=("link",), drawn=_LINK),
    Route("POST", f"{HOME}/prompts/{THING}/pause", Rule(ANNOUNCES, Of.PROMPT), pause, drawn=_PROMPT),
    Route("POST", f"{HOME}/prompts/{THING}/resume", Rule(ANNOUNCES, Of.PROMPT), resume, drawn=_PROMPT),
)
