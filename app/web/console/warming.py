"""Encouragement: a course's warm words, which of them may be given, when they go, and what a month leaves for mass sends."""

from app.console import versions, warm
from app.console.rules import ANNOUNCES, RUNS, Of, Rule
from app.db import Tx
from app.errors import Conflict, Invalid
from app.groups import Refused
from app.web.console.routing import HOME, THING, Answer, Drawn, Go, Route, Shown, Visit

_PAGE = f"{HOME}/encouragement"
_DAYS = tuple(f"day{number}" for number in range(1, 8))


def every(tx: Tx, visit: Visit) -> Answer:
    """The courses whose words one sees; who has a single one sees that."""
    lines = warm.courses(tx, visit.who)
    if len(lines) == 1:
        return Go(f"{_PAGE}/{lines[0].id}")
    return Shown("encouragements", {"lines": lines})


def one(tx: Tx, visit: Visit) -> Answer:
    """The words of a course."""
    return _shown(tx, visit, visit.thing)


def _shown(tx: Tx, visit: Visit, course_id: int, problem: str = "", status: int = 200) -> Shown:
    page = warm.page(tx, visit.tools, visit.who, course_id, visit.now)
    marks = {"versions": versions.words(tx, [each.id for each in page.words]), "version": versions.warm_plan(tx, course_id)}
    days = {name[-1] for name in _DAYS if visit.field(name) == "1"} if visit.field("hour") else None  # None: nobody wrote a plan
    gaps = {"page": page, "problem": problem, "written": visit.fields, "days": days, "known": visit.words.keys(), **marks}
    return Shown("encouragement", gaps, status)


def _plan_version(tx: Tx, visit: Visit) -> str:
    return versions.warm_plan(tx, visit.thing)


def _word_version(tx: Tx, visit: Visit) -> str:
    return versions.words(tx, [visit.thing])[visit.thing]


def _of_word(tx: Tx, visit: Visit) -> Shown:
    return _shown(tx, visit, warm.course_of(tx, visit.thing))


def _of_course(tx: Tx, visit: Visit) -> Shown:
    return _shown(tx, visit, visit.thing)


def propose(tx: Tx, visit: Visit) -> Answer:
    """Put words of one's own into the library."""
    texts = {language: visit.field(language) for language in ("zh", "en")}
    try:
        warm.propose(tx, visit.tools, visit.who, visit.thing, texts, visit.field("theme"), visit.now)
    except (Refused, Invalid) as refused:
        return _shown(tx, visit, visit.thing, refused.code, 422)
    return Go(f"{_PAGE}/{visit.thing}#words")


def approve(tx: Tx, visit: Visit) -> Answer:
    """From now on the word may be given."""
    return _decided(tx, visit, approved=True)


def pause(tx: Tx, visit: Visit) -> Answer:
    """From now on the word is given to nobody."""
    return _decided(tx, visit, approved=False)


def _decided(tx: Tx, visit: Visit, *, approved: bool) -> Answer:
    warm.decide(tx, visit.who, visit.thing, visit.now, approved=approved)
    return Go(f"{_PAGE}/{warm.course_of(tx, visit.thing)}#words")


def plan(tx: Tx, visit: Visit) -> Answer:
    """On which days, at which hour."""
    days = "".join(name[-1] for name in _DAYS if visit.field(name) == "1")
    try:
        warm.set_plan(tx, visit.who, visit.thing, days, visit.field("hour"), visit.now)
    except Invalid as refused:
        return _shown(tx, visit, visit.thing, refused.code, 422)
    return Go(f"{_PAGE}/{visit.thing}#plan")


def rest(tx: Tx, visit: Visit) -> Answer:
    """Pause the plan, or let it go on."""
    try:
        warm.keep_plan(tx, visit.who, visit.thing, visit.now)
    except (Refused, Conflict) as refused:
        return _shown(tx, visit, visit.thing, refused.code, 409)
    return Go(f"{_PAGE}/{visit.thing}#plan")


_PLAN, _WORD = Drawn(_plan_version, _of_course), Drawn(_word_version, _of_word)
ROUTES = (
    Route("GET", _PAGE, Rule(ANNOUNCES), every, menu="encouragement"),
    Route("GET", f"{_PAGE}/{THING}", Rule(ANNOUNCES, Of.COURSE), one),
    Route("POST", f"{_PAGE}/{THING}/words", Rule(ANNOUNCES, Of.COURSE), propose, takes=("theme",), typed=("zh", "en")),
    Route("POST", f"{_PAGE}/{THING}/plan", Rule(RUNS, Of.COURSE), plan, takes=_DAYS, typed=("hour",), drawn=_PLAN),
    Route("POST", f"{_PAGE}/{THING}/rest", Rule(RUNS, Of.COURSE), rest, drawn=_PLAN),
    Route("POST", f"{HOME}/words/{THING}/approve", Rule(RUNS, Of.WORD), approve, drawn=_WORD),
    Route("POST", f"{HOME}/words/{THING}/pause", Rule(RUNS, Of.WORD), pause, drawn=_WORD),
)
