"""Second eyes: announcements to many as their readers will see them, for somebody who did not write them to approve or to give back."""

from app.console import eyes, versions
from app.console.rules import APPROVES, RUNS, Of, Rule
from app.db import Tx
from app.errors import Invalid
from app.groups import Refused
from app.web.console.routing import HOME, THING, Answer, Drawn, Go, Route, Shown, Visit
from bots.approval.waiting import MOST_NOTE, Look

_PAGE = f"{HOME}/approvals"


def every(tx: Tx, visit: Visit) -> Answer:
    """What waits for one's look; and for whoever runs a course, above how many people announcements wait."""
    return _every(tx, visit)


def _every(tx: Tx, visit: Visit, problem: str = "", status: int = 200) -> Shown:
    gaps = {"waiting": eyes.waiting(tx, visit.tools, visit.who), "settings": eyes.settings(tx, visit.who)}
    return Shown("approvals", {**gaps, "problem": problem, "above": visit.field("above"), "of": visit.thing}, status)


def one(tx: Tx, visit: Visit) -> Answer:
    """An announcement as its readers will see it, whom it finds now, and when it goes."""
    return _shown(tx, visit)


def _shown(tx: Tx, visit: Visit, problem: str = "", status: int = 200) -> Shown:
    look = _look(tx, visit)
    seen = {"bubble": look.bubble, "choices": look.choices, "forecast": look.forecast, "again": False}
    gaps = {"look": look, "seen": seen, "written": {"by_mass": look.by_mass}, "note": visit.field("note"), "most": MOST_NOTE // 3}
    return Shown("approval", {**gaps, "problem": problem, "version": _mark(look)}, status)


def _look(tx: Tx, visit: Visit) -> Look:
    return eyes.look(tx, visit.tools, visit.who, visit.thing, visit.language, visit.who.zone, visit.now)


def _mark(look: Look) -> str:
    """Of what was seen, and of whether it still waits."""
    return versions.mark(look.version, look.state)


def _version(tx: Tx, visit: Visit) -> str:
    return _mark(_look(tx, visit))


def approve(tx: Tx, visit: Visit) -> Answer:
    """Let it go out: its mark says that it is what was seen."""
    try:
        eyes.approve(tx, visit.tools, visit.who, visit.thing, _look(tx, visit).version, visit.now)
    except Refused as refused:
        return _shown(tx, visit, refused.code, refused.status)
    return Go(f"{_PAGE}/{visit.thing}")


def give_back(tx: Tx, visit: Visit) -> Answer:
    """Give it back to its author, with a sentence."""
    try:
        eyes.give_back(tx, visit.tools, visit.who, visit.thing, _look(tx, visit).version, visit.field("note"), visit.now)
    except Refused as refused:
        return _shown(tx, visit, refused.code, refused.status)
    return Go(f"{_PAGE}/{visit.thing}")


def set_above(tx: Tx, visit: Visit) -> Answer:
    """Above how many people announcements of a course wait."""
    try:
        eyes.set_above(tx, visit.who, visit.thing, visit.field("above"), visit.now)
    except Invalid as refused:
        return _every(tx, visit, refused.code, refused.status)
    return Go(_PAGE)


def _above_version(tx: Tx, visit: Visit) -> str:
    return versions.second_eyes(tx, [visit.thing])[visit.thing]


_ITS = Rule(APPROVES, Of.APPROVAL)
_DRAWN = Drawn(_version, _shown)
ROUTES = (
    Route("GET", _PAGE, Rule(APPROVES), every, menu="approvals"),
    Route("GET", f"{_PAGE}/{THING}", _ITS, one),
    Route("POST", f"{_PAGE}/{THING}/approve", _ITS, approve, drawn=_DRAWN),
    Route("POST", f"{_PAGE}/{THING}/return", _ITS, give_back, typed=("note",), drawn=_DRAWN),
    Route(
        "POST",
        f"{HOME}/courses/{THING}/second-eyes",
        Rule(RUNS, Of.COURSE),
        set_above,
        typed=("above",),
        drawn=Drawn(_above_version, _every),
    ),
)
