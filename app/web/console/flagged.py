"""Flags: who waits for somebody since when, taking one over, the log of contacts, the closing note."""

from collections.abc import Callable

from app.console import flagged, versions
from app.console.rules import RUNS, Of, Rule
from app.db import Tx
from app.errors import AppError, Conflict, Invalid
from app.flags import Revealed
from app.web.console.numbers import page_of
from app.web.console.routing import HOME, THING, Answer, Drawn, Go, Route, Shown, Visit

_PAGE = f"{HOME}/flags"


def every(tx: Tx, visit: Visit) -> Answer:
    """Open flags with their clock, and those that are closed."""
    number = page_of(visit)
    return Shown("flags", {"listed": flagged.listed(tx, visit.who, number, visit.now), "number": number})


def one(tx: Tx, visit: Visit) -> Answer:
    """A flag, without a name."""
    return _shown(tx, visit)


def reveal(tx: Tx, visit: Visit) -> Answer:
    """The same with the person's name and the notes; who looked is on record."""
    seen = flagged.reveal(tx, visit.tools.keyring, visit.who, visit.thing, visit.now)
    return _shown(tx, visit, seen=seen)


def _shown(tx: Tx, visit: Visit, problem: str = "", status: int = 200, seen: Revealed | None = None) -> Shown:
    page = flagged.page(tx, visit.tools.keyring, visit.who, visit.thing, visit.now)
    written = {name: visit.field(name) for name in ("contact", "closing")}
    return Shown("flag", {"page": page, "problem": problem, "seen": seen, "written": written, "version": _version(tx, visit)}, status)


def _version(tx: Tx, visit: Visit) -> str:
    return versions.flags(tx, [visit.thing])[visit.thing]


def take(tx: Tx, visit: Visit) -> Answer:
    """Take it over."""
    return _done(tx, visit, lambda: flagged.take(tx, visit.who, visit.thing, visit.now))


def note_contact(tx: Tx, visit: Visit) -> Answer:
    """Log a contact, or a try."""
    keyring, note = visit.tools.keyring, visit.field("contact")
    return _done(tx, visit, lambda: flagged.note_contact(tx, keyring, visit.who, visit.thing, note, visit.now))


def close(tx: Tx, visit: Visit) -> Answer:
    """End it with a note."""
    keyring, note = visit.tools.keyring, visit.field("closing")
    return _done(tx, visit, lambda: flagged.close(tx, keyring, visit.who, visit.thing, note, visit.now))


def _done(tx: Tx, visit: Visit, deed: Callable[[], None]) -> Answer:
    try:
        deed()
    except AppError as refused:
        if not isinstance(refused, Conflict | Invalid):
            raise
        return _shown(tx, visit, refused.code, refused.status)
    return Go(f"{_PAGE}/{visit.thing}")


_FOLLOWS = Rule(RUNS, on_call=True)
_ITS = Rule(RUNS, Of.FLAG, on_call=True)
_DRAWN = Drawn(_version, _shown)
ROUTES = (
    Route("GET", _PAGE, _FOLLOWS, every, menu="flags"),
    Route("GET", f"{_PAGE}/{THING}", _ITS, one),
    Route("POST", f"{_PAGE}/{THING}/reveal", _ITS, reveal),
    Route("POST", f"{_PAGE}/{THING}/take", _ITS, take),
    Route("POST", f"{_PAGE}/{THING}/contact", _ITS, note_contact, typed=("contact",), drawn=_DRAWN),
    Route("POST", f"{_PAGE}/{THING}/close", _ITS, close, typed=("closing",), drawn=_DRAWN),
)
