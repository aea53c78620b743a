"""The study: numbers, completion, the flow chart, and the file with a written reason. Nothing here holds a name."""

import asyncio
import tempfile
from pathlib import Path

from app.assembly import Assembly
from app.console import study
from app.console.rules import STUDIES, Of, Rule
from app.db import Tx
from app.errors import Invalid
from app.study.export import export
from app.web.console.flow import chart
from app.web.console.numbers import page_of
from app.web.console.routing import HOME, THING, Answer, Attached, Go, Route, Shown, Then, Visit

_PAGE = f"{HOME}/study"


def every(tx: Tx, visit: Visit) -> Answer:
    """The courses that one studies; who has a single one sees that."""
    found = study.courses(tx, visit.who)
    return Go(f"{_PAGE}/{found[0][0]}") if len(found) == 1 else Shown("studies", {"courses": found})


def one(tx: Tx, visit: Visit) -> Answer:
    """A course in numbers."""
    return _shown(tx, visit)


def _shown(tx: Tx, visit: Visit, problem: str = "", status: int = 200) -> Shown:
    number = page_of(visit)
    page = study.page(tx, visit.tools.shelf, visit.thing, number, visit.language)
    gaps = {"page": page, "chart": chart(page), "number": number, "problem": problem, "reason": visit.field("reason")}
    return Shown("study", {**gaps, "shortest": study.SHORTEST_REASON, "longest": study.LONGEST_REASON}, status)


def take_away(tx: Tx, visit: Visit) -> Answer:
    """The export as a file; who took it when and why is on record, and committed, before its first byte is written."""
    try:
        reason = study.reason(visit.field("reason"))
    except Invalid:
        return _shown(tx, visit, "reason", 422)
    who, course_id = visit.who.person_id, visit.thing
    name = f"{study.code_of(tx, course_id)}-{visit.now:%Y%m%d}.zip"

    async def write(assembly: Assembly) -> Shown | Attached:
        def work() -> Attached:
            with tempfile.TemporaryDirectory(prefix="tongban-") as folder:  # for its owner only, and gone before the first byte leaves
                path = Path(folder) / "study.zip"
                export(assembly.database, visit.tools.shelf, course_id, path, visit.now, asker=who, reason=reason)
                return Attached(name, path.open("rb"), "application/zip")

        try:
            return await asyncio.to_thread(work)
        except Invalid:
            return await assembly.database.read(lambda tx: _shown(tx, visit, "not_written", 422))

    return Then(write)


ROUTES = (
    Route("GET", _PAGE, Rule(STUDIES), every, menu="study"),
    Route("GET", f"{_PAGE}/{THING}", Rule(STUDIES, Of.COURSE), one),
    Route("POST", f"{_PAGE}/{THING}/export", Rule(STUDIES, Of.COURSE), take_away, typed=("reason",)),
)
