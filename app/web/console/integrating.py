"""Integrations: systems that the courses are connected to, a new token, taking one away; and the description of the API."""

import io
import json

from app.console import integrated
from app.console.rules import RUNS, Of, Rule
from app.db import Tx
from app.errors import Invalid
from app.ids import id_of
from app.integrations.rules import Scope
from app.web.api import schema
from app.web.console.routing import HOME, THING, Answer, Attached, Go, Route, Shown, Visit

_PAGE = f"{HOME}/integrations"
_API = f"{HOME}/api"


def every(tx: Tx, visit: Visit) -> Answer:
    """The list, and the form for a new one."""
    return _shown(tx, visit)


def _shown(tx: Tx, visit: Visit, problem: str = "", status: int = 200) -> Shown:
    listed, courses = integrated.listed(tx, visit.tools.keyring, visit.who), integrated.courses(tx, visit.who)
    gaps = {"listed": listed, "courses": courses, "scopes": tuple(Scope), "written": visit.fields, "problem": problem}
    return Shown("integrations", gaps, status)


def add(tx: Tx, visit: Visit) -> Answer:
    """Make one; its token is shown this once."""
    scopes = [scope for scope in Scope if visit.field(scope)]
    name, course = visit.field("name"), id_of(visit.field("course"))
    try:
        _, token = integrated.add(tx, visit.tools.keyring, visit.who, name, course, scopes, visit.at, visit.now)
    except Invalid as refused:
        return _shown(tx, visit, refused.code, 422)
    return Shown("integration_token", {"name": " ".join(name.split()), "token": token, "address": f"{visit.public_url}/api/v1/courses"})


def revoke(tx: Tx, visit: Visit) -> Answer:
    """Take its token away, for good."""
    integrated.revoke(tx, visit.who, visit.thing, visit.at, visit.now)
    return Go(_PAGE)


def described(_tx: Tx, visit: Visit) -> Answer:
    """What the API can do, from its own description."""
    about = schema.document()["info"]["description"]
    gaps = {"about": about, "operations": schema.operations(), "shapes": schema.shapes(), "address": visit.public_url}
    return Shown("api", gaps)


def taken(_tx: Tx, visit: Visit) -> Answer:
    """The description itself, for programs."""
    document = {**schema.document(), "servers": [{"url": visit.public_url}]}
    content = json.dumps(document, ensure_ascii=False, indent=1).encode()
    return Attached("openapi.json", io.BytesIO(content), "application/json")


ROUTES = (
    Route("GET", _PAGE, Rule(RUNS), every),
    Route("POST", _PAGE, Rule(RUNS), add, takes=("course", *Scope), typed=("name",)),
    Route("POST", f"{_PAGE}/{THING}/revoke", Rule(RUNS, Of.INTEGRATION), revoke),
    Route("GET", _API, Rule(RUNS), described),
    Route("POST", f"{_API}/openapi", Rule(RUNS), taken),
)
