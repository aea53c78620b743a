"""Announcements: written, seen as they will look, promised, sent; how far each went, taken back, tried once more."""

from app.console import announcements, drafts, versions
from app.console.announcements import Written
from app.console.rules import ANNOUNCES, Of, Rule
from app.db import Tx
from app.errors import AppError, Invalid
from app.groups import Refused
from app.web.console.routing import HOME, THING, Answer, Drawn, Go, Route, Shown, Visit

_PAGE = f"{HOME}/announcements"
_FIELDS = ("text", "group", "when", "draft", "ask", "options", "mass")
_CHOSEN = ("group", "draft", "ask", "mass")
_TYPED = ("text", "when", "options")


def every(tx: Tx, visit: Visit) -> Answer:
    """What was announced, and what is planned."""
    return Shown("announcements", {"listed": announcements.listed(tx, visit.tools, visit.who, visit.language)})


def write(tx: Tx, visit: Visit) -> Answer:
    """The form: empty, or with the words of an announcement that came back."""
    draft = drafts.new()
    former = announcements.once_more(tx, visit.tools, visit.who, visit.query.get("from", ""), draft)
    return _form(tx, visit, former or Written("", visit.query.get("group", ""), "", draft))


def _form(tx: Tx, visit: Visit, written: Written, problem: str = "", status: int = 200) -> Shown:
    audiences = announcements.audiences(tx, visit.who)
    return Shown("announce", {"audiences": audiences, "written": written, "problem": problem, "most": written.most}, status)


def _written(visit: Visit) -> Written:
    return Written(*(visit.field(name).replace("\r\n", "\n") for name in _FIELDS))


def preview(tx: Tx, visit: Visit) -> Answer:
    """The promise: on a page of its own, or beside the form while it is being written."""
    written = _written(visit)
    if "edit" in visit.fields:
        return _form(tx, visit, written)
    try:
        seen = announcements.preview(tx, visit.tools, visit.who, written, visit.language, visit.now)
    except Invalid as refused:
        if visit.partial:
            return Shown("_size", {"written": written, "most": written.most, "problem": refused.code, "seen": None})
        return _form(tx, visit, written, refused.code, 422)
    if visit.partial:
        return Shown("_size", {"written": written, "most": written.most, "problem": "", "seen": seen})
    return Shown("preview", {"written": written, "seen": seen, "most": written.most})


def send(tx: Tx, visit: Visit) -> Answer:
    """Announce."""
    written = _written(visit)
    try:
        made = announcements.send(tx, visit.tools, visit.who, written, visit.now)
    except Invalid as refused:
        return _form(tx, visit, written, refused.code, 422)
    return Go(f"{_PAGE}/{made}")


def one(tx: Tx, visit: Visit) -> Answer:
    """How far an announcement went; asked again every few seconds while it goes."""
    return _shown(tx, visit)


def _shown(tx: Tx, visit: Visit, problem: str = "", status: int = 200) -> Shown:
    found = announcements.standing(tx, visit.tools, visit.who, visit.thing, visit.language, visit.now)
    gaps = {"found": found, "problem": problem, "text": visit.field("text"), "version": _version(tx, visit)}
    return Shown("_progress" if visit.partial else "announcement", gaps, status)


def _version(tx: Tx, visit: Visit) -> str:
    return versions.announcements(tx, [visit.thing])[visit.thing]


def cancel(tx: Tx, visit: Visit) -> Answer:
    """Take back what has not left."""
    try:
        announcements.cancel(tx, visit.who, visit.thing, visit.now)
    except Refused as refused:
        return _shown(tx, visit, f"cancel_{refused.code}", 409)
    return Go(f"{_PAGE}/{visit.thing}")


def again(tx: Tx, visit: Visit) -> Answer:
    """Try once more whom it has not reached, or whom nobody knows of."""
    try:
        announcements.resend(tx, visit.who, visit.thing, visit.now, doubtful=visit.field("which") == "doubtful")
    except AppError as refused:
        return _shown(tx, visit, refused.code, refused.status)
    return Go(f"{_PAGE}/{visit.thing}")


def follow_up(tx: Tx, visit: Visit) -> Answer:
    """Ask those once more who have not answered."""
    try:
        announcements.follow_up(tx, visit.tools, visit.who, visit.thing, visit.field("text").replace("\r\n", "\n"), visit.now)
    except Refused as refused:
        return _shown(tx, visit, f"follow_{refused.code}", refused.status)
    return Go(f"{_PAGE}/{visit.thing}#answers")


def close(tx: Tx, visit: Visit) -> Answer:
    """Take no more answers."""
    try:
        announcements.close(tx, visit.who, visit.thing, visit.now)
    except Refused as refused:
        return _shown(tx, visit, f"follow_{refused.code}", refused.status)
    return Go(f"{_PAGE}/{visit.thing}#answers")


_ITS = Rule(ANNOUNCES, Of.ANNOUNCEMENT)
_DRAWN = Drawn(_version, _shown)
ROUTES = (
    Route("GET", _PAGE, Rule(ANNOUNCES), every, menu="announcements"),
    Route("POST", _PAGE, Rule(ANNOUNCES), send, takes=_CHOSEN, typed=_TYPED),
    Route("GET", f"{_PAGE}/new", Rule(ANNOUNCES), write),
    Route("POST", f"{_PAGE}/preview", Rule(ANNOUNCES), preview, takes=(*_CHOSEN, "edit"), typed=_TYPED),
    Route("GET", f"{_PAGE}/{THING}", _ITS, one),
    Route("POST", f"{_PAGE}/{THING}/cancel", _ITS, cancel, drawn=_DRAWN),
    Route("POST", f"{_PAGE}/{THING}/again", _ITS, again, takes=("which",), drawn=_DRAWN),
    Route("POST", f"{_PAGE}/{THING}/follow-up", _ITS, follow_up, typed=("text",), drawn=_DRAWN),
    Route("POST", f"{_PAGE}/{THING}/close", _ITS, close, drawn=_DRAWN),
)
