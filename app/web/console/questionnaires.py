"""Questionnaires: the waves, how far each is by state and by day, whom nobody has reminded yet."""

from dataclasses import dataclass

from app.console import asked, versions
from app.console.rules import RUNS, SEES_WAVES, Of, Rule
from app.db import Tx
from app.errors import Conflict
from app.web.console.numbers import page_of
from app.web.console.routing import HOME, THING, Answer, Drawn, Go, Route, Shown, Visit

_PAGE = f"{HOME}/waves"
#: The chart's height, the width of a day, and what is left between two, in its own units.
_HIGH, _WIDE, _GAP = 120, 16, 3


def every(tx: Tx, visit: Visit) -> Answer:
    """The waves of one's courses."""
    return Shown("waves", {"lines": asked.lines(tx, visit.who, visit.language)})


def one(tx: Tx, visit: Visit) -> Answer:
    """A wave."""
    return _shown(tx, visit)


@dataclass(frozen=True)
class Bar:
    """One day of the chart, placed."""

    x: int
    y: float
    width: int
    height: float
    number: int
    day: str


def _shown(tx: Tx, visit: Visit, problem: str = "", status: int = 200) -> Shown:
    number = page_of(visit)
    page = asked.page(tx, visit.tools.shelf, visit.who, visit.thing, number, visit.language, visit.now)
    most = max((count for _, count in page.days), default=0)
    bars = [
        Bar(place * _WIDE, _HIGH - _HIGH * count / (most or 1), _WIDE - _GAP, _HIGH * count / (most or 1), count, f"{day:%m-%d}")
        for place, (day, count) in enumerate(page.days)
    ]
    chart = {"bars": bars, "most": most, "high": _HIGH, "wide": max(len(bars), 14) * _WIDE}
    return Shown("wave", {"page": page, "chart": chart, "number": number, "problem": problem, "version": _version(tx, visit)}, status)


def _version(tx: Tx, visit: Visit) -> str:
    return versions.waves(tx, [visit.thing])[visit.thing]


def remind(tx: Tx, visit: Visit) -> Answer:
    """Remind everybody who has not finished, beside the wave's own rule."""
    try:
        asked.remind(tx, visit.who, visit.thing, visit.now)
    except Conflict as refused:
        return _shown(tx, visit, refused.code, 409)
    return Go(f"{_PAGE}/{visit.thing}")


ROUTES = (
    Route("GET", _PAGE, Rule(SEES_WAVES), every, menu="waves"),
    Route("GET", f"{_PAGE}/{THING}", Rule(SEES_WAVES, Of.WAVE), one),
    Route("POST", f"{_PAGE}/{THING}/remind", Rule(RUNS, Of.WAVE), remind, drawn=Drawn(_version, _shown)),
)
