"""What an administrator begins with: courses, accounts with their quota and errors, alarms; and the audit."""

from app import clock
from app.console import steering
from app.console.rules import RUNS, Rule
from app.db import Tx
from app.web.console.numbers import page_of
from app.web.console.routing import HOME, Answer, Route, Shown, Visit


def look(tx: Tx, visit: Visit) -> Answer:
    """Courses, accounts, alarms."""
    return Shown("admin", {"page": steering.overview(tx, visit.tools.rules, visit.who, visit.now, clock.machine_seconds())})


def audit(tx: Tx, visit: Visit) -> Answer:
    """What was done, the newest first, of one kind or of all."""
    asked, number = visit.query.get("kind", ""), page_of(visit)
    kind = asked if asked in steering.KINDS else ""
    lines, more = steering.audited(tx, visit.tools.keyring, visit.who, kind, number)
    return Shown("audit", {"lines": lines, "more": more, "number": number, "kind": kind, "kinds": steering.KINDS})


ROUTES = (
    Route("GET", f"{HOME}/admin", Rule(RUNS), look, menu="admin"),
    Route("GET", f"{HOME}/audit", Rule(RUNS), audit),
)
