"""The week of a mentor: how the groups of their leaders stand."""

from app.console import mentoring
from app.console.rules import Rule
from app.db import Tx
from app.web.console.numbers import page_of
from app.web.console.routing import HOME, Answer, Route, Shown, Visit
from bots.turns import Role


def look(tx: Tx, visit: Visit) -> Answer:
    """The roll-up."""
    number = page_of(visit)
    week = mentoring.week(tx, visit.tools.keyring, visit.tools.rules, visit.who, number, visit.language, visit.now)
    more = week.total > (number + 1) * mentoring.MOST
    return Shown("week", {"week": week, "number": number, "more": more, "most": mentoring.MOST})


ROUTES = (Route("GET", f"{HOME}/week", Rule(frozenset({Role.MENTOR})), look, menu="week"),)
