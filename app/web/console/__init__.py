"""The console's pages: a route is a line with its rule, a page is one function and one template. No queries.

To add a page: a function `(Tx, Visit) -> Answer` and its `Route`s in a module here, listed in `_PAGES`; a template under
`templates/console`; its words in both files of `app/console`; and for its menu entry a key `nav.<name>` among them.
"""

from fastapi import APIRouter, FastAPI

from app.assembly import Assembly
from app.console.rules import Rule
from app.web import ruled
from app.web.console import (
    administering,
    announcing,
    approving,
    enlisting,
    flagged,
    handing,
    integrating,
    joining,
    mentoring,
    mine,
    placing,
    questionnaires,
    scanning,
    scheduling,
    seating,
    sheets,
    signing,
    staffing,
    studying,
    things,
    today,
    warming,
)
from app.web.console.gate import Gate
from app.web.console.routing import HOME, Route, nothing

__all__ = ["ROUTES", "mount", "refuse_without_rule"]

_PAGES = (
    signing,
    scanning,
    joining,
    today,
    seating,
    handing,
    mentoring,
    announcing,
    approving,
    scheduling,
    warming,
    questionnaires,
    studying,
    flagged,
    sheets,
    administering,
    enlisting,
    placing,
    staffing,
    integrating,
    mine,
)
_FILES = f"{HOME}/static"
#: Every route of the console.
ROUTES: tuple[Route, ...] = tuple(route for page in _PAGES for route in page.ROUTES)


def mount(app: FastAPI, assembly: Assembly) -> None:
    """Put the console under `/console`; the last thing that an application is given. Raises `LookupError` as below."""
    app.mount(_FILES, things.files())
    gate = Gate(assembly, ROUTES)
    router = APIRouter()
    for route in (*ROUTES, *nothing()):
        router.add_api_route(route.path, gate.endpoint(route), methods=[route.method], response_model=None)
    app.include_router(router)
    refuse_without_rule(app)


def refuse_without_rule(app: FastAPI) -> None:
    """Raise `LookupError` where a route under `/console` does not say who may come there: the application does not start."""
    sentence = "says nothing of who may come there; give it a rule (app/console/rules.py)."
    ruled.refuse_without_rule(app, HOME, Rule, len(ROUTES), sentence, but=_FILES)
