"""The console's pages: a route is a line with its rule, a page is one function and one template. No queries.

To add a page: a function `(Tx, Visit) -> Answer` and its `Route`s in a module here, listed in `_PAGES`; a template under
`templates/console`; its words in both files of `app/console`; and for its menu entry a key `nav.<name>` among them.
"""

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from app.assembly import Assembly
from app.console.rules import Rule
from app.web.console import announcing, joining, mine, questionnaires, scanning, seating, signing, things
from app.web.console.gate import Gate
from app.web.console.routing import HOME, Route, nothing

__all__ = ["ROUTES", "mount", "refuse_without_rule"]

_PAGES = (signing, scanning, joining, seating, announcing, questionnaires, mine)
#: Every route of the console.
ROUTES: tuple[Route, ...] = tuple(route for page in _PAGES for route in page.ROUTES)


def mount(app: FastAPI, assembly: Assembly) -> None:
    """Put the console under `/console`. Raises `LookupError` where a route there has no rule."""
    app.mount(f"{HOME}/static", things.files())
    gate = Gate(assembly, ROUTES)
    router = APIRouter()
    for route in (*ROUTES, *nothing()):
        router.add_api_route(route.path, gate.endpoint(route), methods=[route.method], response_model=None)
    app.include_router(router)
    refuse_without_rule(app.routes)


def refuse_without_rule(routes: list[BaseRoute]) -> None:
    """Raise `LookupError` where a route under `/console` does not say who may come there: the application does not start."""
    for route in routes:
        path = getattr(route, "path", "")
        if not (path == HOME or path.startswith(f"{HOME}/")) or path == f"{HOME}/static":
            continue
        if not isinstance(route, APIRoute) or not isinstance(getattr(route.endpoint, "rule", None), Rule):
            raise LookupError(f"The route {path} says nothing of who may come there; give it a rule (app/console/rules.py).")  # noqa: TRY004 - what is missing is the rule, not a type
