"""The API under `/api/v1`: a route is a line with its rule, a token of an integration opens it. No queries, no cookies, no session.

To add a route: a function `(Tx, Call) -> shape` and its `Route` in a module here, listed in `_PARTS`; the shape in
`app/integrations/shapes.py`; a line in docs/api.md.
"""

from fastapi import APIRouter, FastAPI

from app.assembly import Assembly
from app.integrations.rules import Rule
from app.web import ruled
from app.web.api import announcements, courses, groups
from app.web.api.gate import Gate
from app.web.api.routing import HOME, Route

__all__ = ["METHODS", "ROUTES", "mount", "refuse_without_rule"]

_PARTS = (courses, groups, announcements)
#: Every route of the API.
ROUTES: tuple[Route, ...] = tuple(route for part in _PARTS for route in part.ROUTES)
#: What somebody may try.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def mount(app: FastAPI, assembly: Assembly) -> None:
    """Put the API under `/api/v1`. Raises `LookupError` as below."""
    gate, router = Gate(assembly), APIRouter()
    for route in ROUTES:
        router.add_api_route(route.path, gate.endpoint(route), methods=[route.method], response_model=None, include_in_schema=False)
    for path in (HOME, HOME + "/{rest:path}"):
        router.add_api_route(path, gate.nothing(), methods=list(METHODS), response_model=None, include_in_schema=False)
    app.include_router(router)
    refuse_without_rule(app)


def refuse_without_rule(app: FastAPI) -> None:
    """Raise `LookupError` where a route under `/api` does not say which tokens may come there: the application does not start."""
    sentence = "says nothing of which tokens may come there; give it a rule (app/integrations/rules.py)."
    ruled.refuse_without_rule(app, "/api", Rule, len(ROUTES), sentence)
