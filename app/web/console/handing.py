"""Handing a small group over: what its leader or assistant still has to do becomes somebody else's."""

from app import staffing
from app.console import handing
from app.console.rules import RUNS, Of, Rule
from app.db import Tx
from app.errors import AppError, Invalid, NotFound
from app.ids import id_of
from app.web.console.routing import HOME, THING, Answer, Route, Shown, Visit

_PAGE = f"{HOME}/groups/{THING}/handover"
_OWN = Rule(RUNS, Of.GROUP)


def look(tx: Tx, visit: Visit) -> Answer:
    """Who does what in the group, and who may take over."""
    return _shown(tx, visit)


def _shown(tx: Tx, visit: Visit, problem: str = "", status: int = 200) -> Shown:
    page = handing.page(tx, visit.tools.keyring, visit.thing, visit.now)
    written = {name: visit.field(name) for name in ("former", "successor", "stays")}
    return Shown("handover", {"page": page, "written": written, "problem": problem}, status)


def hand_over(tx: Tx, visit: Visit) -> Answer:
    """Hand it over, and show what went."""
    former, successor = id_of(visit.field("former")), id_of(visit.field("successor"))
    stays = visit.field("stays") == "yes"
    before = handing.page(tx, visit.tools.keyring, visit.thing, visit.now)
    try:
        got = staffing.hand_over(tx, visit.tools.keyring, visit.thing, former, successor, visit.now, actor=visit.who.word, stays=stays)
    except AppError as refused:
        if not isinstance(refused, Invalid | NotFound):
            raise
        return _shown(tx, visit, refused.code, 422 if isinstance(refused, Invalid) else 409)
    who = {"former": _name(before, former), "successor": dict(before.successors).get(successor, "")}
    return Shown("handed", {"page": before, "got": got, "stays": stays, **who})


def _name(page: handing.HandoverPage, person_id: int) -> str:
    return next((each.name for each in page.holders if each.person_id == person_id), "")


ROUTES = (
    Route("GET", _PAGE, _OWN, look),
    Route("POST", _PAGE, _OWN, hand_over, takes=("former", "successor", "stays")),
)
