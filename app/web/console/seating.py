"""Groups: who sits where, how each is reached, what is odd about it; who practised and who came; and moving somebody."""

from app.console import grids, members, versions
from app.console.rules import ANNOUNCES, RUNS, SEES_GROUPS, Of, Rule
from app.db import Tx
from app.errors import AppError, Conflict
from app.ids import id_of
from app.web.console import heat
from app.web.console.numbers import page_of
from app.web.console.routing import HOME, THING, Answer, Drawn, Go, Route, Shown, Visit

_PAGE = f"{HOME}/groups"


def every(tx: Tx, visit: Visit) -> Answer:
    """The groups that one looks after; who has a single one sees that."""
    lines = members.lines(tx, visit.who)
    small = [line for line in lines if not line.large]
    if len(lines) == 1:
        return Go(f"{_PAGE}/{lines[0].id}")
    return Shown("groups", {"lines": lines, "small": small})


def one(tx: Tx, visit: Visit) -> Answer:
    """A group."""
    return _shown(tx, visit)


def _shown(tx: Tx, visit: Visit, problem: str = "", status: int = 200) -> Shown:
    number = page_of(visit)
    page = members.page(tx, visit.tools.keyring, visit.tools.rules, visit.who, visit.thing, number, visit.now)
    moves = bool(visit.who.roles & RUNS) and not page.line.large
    destinations = members.destinations(tx, visit.thing) if moves else []
    chosen = {name: id_of(visit.field(name)) for name in ("person", "to")}
    gaps = {"page": page, "destinations": destinations, "hands_over": moves, "number": number, "problem": problem, "chosen": chosen}
    return Shown("group", {**gaps, "version": _version(tx, visit) if moves else ""}, status)


def _version(tx: Tx, visit: Visit) -> str:
    return versions.seats(tx, visit.thing)


def look(tx: Tx, visit: Visit) -> Answer:
    """Who practised on which day, and who was at which class."""
    page = grids.page(tx, visit.tools.keyring, visit.who, visit.thing, visit.language, visit.now)
    return Shown("grids", {"page": page, "chart": heat.chart(page.practice)})


def move(tx: Tx, visit: Visit) -> Answer:
    """Move a participant of this group to another one."""
    try:
        members.move(tx, visit.who.word, visit.thing, id_of(visit.field("person")), id_of(visit.field("to")), visit.now)
    except AppError as refused:
        if not isinstance(refused, Conflict):
            raise
        return _shown(tx, visit, refused.code, 409)
    return Go(f"{_PAGE}/{visit.thing}?done=moved")


ROUTES = (
    Route("GET", _PAGE, Rule(SEES_GROUPS), every, menu="groups"),
    Route("GET", f"{_PAGE}/{THING}", Rule(SEES_GROUPS, Of.GROUP), one),
    Route("GET", f"{_PAGE}/{THING}/grids", Rule(ANNOUNCES, Of.GROUP), look),
    Route("POST", f"{_PAGE}/{THING}/move", Rule(RUNS, Of.GROUP), move, takes=("person", "to"), drawn=Drawn(_version, _shown)),
)
