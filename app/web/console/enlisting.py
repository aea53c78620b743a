"""The roster: a file is checked and shown, and a button imports what was shown; then everybody's code."""

import io

from app.console import enlisting
from app.console.enlisting import Changed, Checked, Sheet
from app.console.rules import RUNS, Of, Rule
from app.console.wrong_lines import said
from app.db import Tx
from app.errors import Conflict
from app.roster import codes_file
from app.web.console.routing import HOME, THING, Answer, Attached, Route, Shown, Visit

_PAGE = f"{HOME}/roster/{THING}"
#: Lines, errors and codes that are shown; the file of codes has them all.
_LINES, _ERRORS, _CODES = 200, 50, 500
_FIELDS = ("rows", "signature", "mark")
#: What is around the file in its form; 5,000 rows packed.
_AROUND, _PACKED = 16 * 1024, 1_500_000


def look(tx: Tx, visit: Visit) -> Answer:
    """The form."""
    return _shown(tx, visit)


def _shown(tx: Tx, visit: Visit, problem: str = "", status: int = 200, checked: Checked | None = None) -> Shown:
    gaps = {"title": enlisting.course_title(tx, visit.thing), "course": visit.thing, "problem": problem, "checked": checked}
    return Shown("roster", {**gaps, "lines": _LINES, "errors": _ERRORS, "said": said, "most": enlisting.MOST_BYTES // 1_000_000}, status)


def check(tx: Tx, visit: Visit) -> Answer:
    """Read a file and show what it would change."""
    file = visit.upload
    if file is None or not file.content:
        return _shown(tx, visit, "no_file", 422)
    if len(file.content) > enlisting.MOST_BYTES:
        return _shown(tx, visit, "large", 413)
    checked = enlisting.check(tx, visit.tools.keyring, visit.who, visit.thing, file)
    return _shown(tx, visit, status=422 if checked.sheet is None else 200, checked=checked)


def _sheet(visit: Visit) -> Sheet:
    return Sheet(*(visit.field(name) for name in _FIELDS))


def import_it(tx: Tx, visit: Visit) -> Answer:
    """Import what was shown."""
    sheet = _sheet(visit)
    try:
        issued = enlisting.import_it(tx, visit.tools.keyring, visit.who, visit.thing, sheet, visit.now)
    except Changed as changed:
        return _shown(tx, visit, "changed", 409, changed.checked)
    gaps = {"title": enlisting.course_title(tx, visit.thing), "course": visit.thing, "issued": issued, "sheet": sheet, "codes": _CODES}
    return Shown("roster_done", gaps)


def codes(tx: Tx, visit: Visit) -> Answer:
    """The codes as a file."""
    try:
        issued = enlisting.codes(tx, visit.tools.keyring, visit.who, visit.thing, _sheet(visit), visit.now)
    except Conflict:
        return _shown(tx, visit, "no_codes", 409)
    return Attached(f"codes-{visit.now:%Y%m%d}.csv", io.BytesIO(codes_file(issued).encode()), "text/csv; charset=utf-8")


_ITS = Rule(RUNS, Of.COURSE)
ROUTES = (
    Route("GET", _PAGE, _ITS, look),
    Route("POST", _PAGE, _ITS, check, uploads=True, most_bytes=enlisting.MOST_BYTES + _AROUND),
    Route("POST", f"{_PAGE}/import", _ITS, import_it, takes=_FIELDS, most_bytes=_PACKED),
    Route("POST", f"{_PAGE}/codes", _ITS, codes, takes=_FIELDS, most_bytes=_PACKED),
)
