"""Today: the page on which a leader or assistant arrives; questions are answered here, and the silent are written to."""

from app.console import today, versions
from app.console.rules import LEADS, Of, Rule
from app.db import Tx
from app.errors import Invalid
from app.groups import Refused
from app.ids import id_of
from app.web.console.routing import HOME, THING, VERSION, Answer, Drawn, Go, Route, Shown, Visit
from bots.effects import WriteToSilent
from bots.question.views import MOST_BYTES

_PAGE = f"{HOME}/today"


def every(tx: Tx, visit: Visit) -> Answer:
    """The first of the groups that one stands beside; the others are a tap away."""
    groups = today.groups(tx, visit.who)
    return Go(f"{_PAGE}/{groups[0][0]}") if groups else Shown("today", {"page": None})


def one(tx: Tx, visit: Visit) -> Answer:
    """The day of a group."""
    return _shown(tx, visit, visit.thing)


def _shown(tx: Tx, visit: Visit, group_id: int, problem: str = "", status: int = 200, *, at: str = "") -> Shown:
    """The page; `at` names the form that was refused, so that what was written there stays."""
    page = today.page(tx, visit.tools, visit.who, group_id, visit.language, visit.now)
    gaps = {
        "page": page,
        "versions": versions.questions(tx, [each.id for each, _ in page.questions]),
        "groups": today.groups(tx, visit.who),
        "problem": problem,
        "at": at,
        "written": visit.field("text"),
        "most": MOST_BYTES // 3,
    }
    return Shown("today", gaps, status)


def _version(tx: Tx, visit: Visit) -> str:
    return versions.questions(tx, [visit.thing])[visit.thing]


def _answer_version(tx: Tx, visit: Visit) -> str:
    """Whoever taps twice has changed it themself."""
    mine = today.answered(tx, visit.who, visit.field("draft"))
    return visit.field(VERSION) if mine else _version(tx, visit)


def _redrawn(tx: Tx, visit: Visit) -> Shown:
    return _shown(tx, visit, today.group_of(tx, visit.thing), at=f"question-{visit.thing}")


def claim(tx: Tx, visit: Visit) -> Answer:
    """Take a question; who was first has it."""
    group = today.group_of(tx, visit.thing)
    try:
        today.claim(tx, visit.who, visit.thing, visit.now)
    except Refused as refused:
        return _shown(tx, visit, group, refused.code, refused.status)
    return Go(f"{_PAGE}/{group}#question-{visit.thing}")


def release(tx: Tx, visit: Visit) -> Answer:
    """Give a question back."""
    group = today.group_of(tx, visit.thing)
    try:
        today.release(tx, visit.tools.keyring, visit.who, visit.thing, visit.now)
    except Refused as refused:
        return _shown(tx, visit, group, refused.code, refused.status)
    return Go(f"{_PAGE}/{group}#questions")


def answer(tx: Tx, visit: Visit) -> Answer:
    """Answer a question that one has taken."""
    group, text = today.group_of(tx, visit.thing), visit.field("text").replace("\r\n", "\n")
    try:
        today.answer(tx, visit.tools.keyring, visit.who, visit.thing, text, visit.field("draft"), visit.now)
    except (Refused, Invalid) as refused:
        return _shown(tx, visit, group, refused.code, refused.status, at=f"question-{visit.thing}")
    return Go(f"{_PAGE}/{group}?done=answered")


def write(tx: Tx, visit: Visit) -> Answer:
    """Write to those of whom nothing was heard for some days."""
    days, text = id_of(visit.field("days")), visit.field("text").replace("\r\n", "\n")
    try:
        today.write(tx, visit.tools, visit.who, WriteToSilent(visit.thing, days, text), visit.field("draft"), visit.now)
    except (Refused, Invalid) as refused:
        return _shown(tx, visit, visit.thing, f"letter_{refused.code}", refused.status, at=f"letter-{days}")
    return Go(f"{_PAGE}/{visit.thing}?done=letter#silent")


_QUESTION = Rule(LEADS, Of.QUESTION)
_DRAWN, _ANSWER = Drawn(_version, _redrawn), Drawn(_answer_version, _redrawn)
ROUTES = (
    Route("GET", _PAGE, Rule(LEADS), every, menu="today"),
    Route("GET", f"{_PAGE}/{THING}", Rule(LEADS, Of.GROUP), one),
    Route("POST", f"{_PAGE}/{THING}/letter", Rule(LEADS, Of.GROUP), write, takes=("days", "draft"), typed=("text",)),
    Route("POST", f"{HOME}/questions/{THING}/claim", _QUESTION, claim),
    Route("POST", f"{HOME}/questions/{THING}/release", _QUESTION, release, drawn=_DRAWN),
    Route("POST", f"{HOME}/questions/{THING}/answer", _QUESTION, answer, takes=("draft",), typed=("text",), drawn=_ANSWER),
)
