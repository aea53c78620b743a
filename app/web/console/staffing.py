"""The list of staff: inviting, a new link, closing and opening somebody's way into the console."""

from app.console import staff, versions
from app.console.rules import RUNS, Of, Rule
from app.db import Tx
from app.errors import Invalid
from app.ids import id_of
from app.web.console.routing import HOME, THING, Answer, Drawn, Go, Route, Shown, Visit
from app.web.console.scanning import picture

_PAGE = f"{HOME}/staff"


def every(tx: Tx, visit: Visit) -> Answer:
    """The list."""
    return _shown(tx, visit)


def _shown(tx: Tx, visit: Visit, problem: str = "", status: int = 200) -> Shown:
    listed = staff.listed(tx, visit.tools.keyring, visit.who)
    marks = versions.staff(tx, [each.person_id for each in listed])
    gaps = {"listed": listed, "versions": marks, "places": staff.places(tx, visit.who), "roles": staff.INVITED}
    written = {name: visit.field(name) for name in ("group", "role", "name")}
    return Shown("staff", {**gaps, "written": written, "problem": problem}, status)


def _version(tx: Tx, visit: Visit) -> str:
    return versions.staff(tx, [visit.thing])[visit.thing]


def invite(tx: Tx, visit: Visit) -> Answer:
    """Invite somebody; code and link are shown once."""
    group, role, name = id_of(visit.field("group")), visit.field("role"), visit.field("name")
    try:
        made = staff.invite(tx, visit.tools.keyring, visit.who, group, role, name, visit.at, visit.now)
    except Invalid as refused:
        return _shown(tx, visit, refused.code, 422)
    return _link(visit, made.name, made.token, made.code)


def new_link(tx: Tx, visit: Visit) -> Answer:
    """A new link for somebody who is there already."""
    name, token = staff.new_link(tx, visit.tools.keyring, visit.who, visit.thing, visit.at, visit.now)
    return _link(visit, name, token)


def _link(visit: Visit, name: str, token: str, code: str = "") -> Shown:
    address = f"{visit.public_url}{HOME}/join/{token}"
    return Shown("staff_link", {"name": name, "address": address, "code": code, "qr": picture(address)})


def disable(tx: Tx, visit: Visit) -> Answer:
    """Close their way in; their role in the chat stays."""
    staff.set_disabled(tx, visit.who, visit.thing, visit.at, visit.now, disabled=True)
    return Go(_PAGE)


def enable(tx: Tx, visit: Visit) -> Answer:
    """Open it again."""
    staff.set_disabled(tx, visit.who, visit.thing, visit.at, visit.now, disabled=False)
    return Go(_PAGE)


_ITS = Rule(RUNS, Of.STAFF)
_DRAWN = Drawn(_version, _shown)
ROUTES = (
    Route("GET", _PAGE, Rule(RUNS), every),
    Route("POST", f"{_PAGE}/invite", Rule(RUNS), invite, takes=("group", "role"), typed=("name",)),
    Route("POST", f"{_PAGE}/{THING}/link", _ITS, new_link, drawn=_DRAWN),
    Route("POST", f"{_PAGE}/{THING}/disable", _ITS, disable, drawn=_DRAWN),
    Route("POST", f"{_PAGE}/{THING}/enable", _ITS, enable, drawn=_DRAWN),
)
