"""Hides what every page of ours has in common: its template, and headers by which nothing of others' is loaded, runs or frames it."""

from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Response
from jinja2 import Environment, FileSystemLoader, select_autoescape

_TEMPLATES = Path(__file__).parent / "templates"


def guarded(*, forms: bool, more: str = "", referrer: str = "no-referrer") -> dict[str, str]:
    """The headers of every page: nothing of others' is loaded, runs or frames it; `more` of its own sources, `forms` to us alone."""
    sends = "'self'" if forms else "'none'"
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'self'; {more}frame-ancestors 'none'; base-uri 'none'; "
        f"form-action {sends}",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": referrer,
        "Cache-Control": "no-store",
    }


@cache
def environment(*, tight: bool = True) -> Environment:
    """Where templates are: everything that is filled in is escaped. One for the process, which compiles each template once.

    `tight`: a line that holds nothing but a statement leaves no empty line.
    """
    return Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=select_autoescape(), trim_blocks=tight, lstrip_blocks=tight)


class Paper:
    """Pages of one template; `forms`: they may send what somebody answers, to us alone."""

    def __init__(self, template: str, *, forms: bool = False) -> None:
        self._template = environment(tight=False).get_template(template)
        self._headers = guarded(forms=forms)

    def page(self, status: int, **gaps: Any) -> Response:
        """A page with these gaps filled."""
        return Response(self._template.render(**gaps), status, self._headers, "text/html")

    def go(self, address: str) -> Response:
        """On to this address, after a form was taken: to load it again repeats nothing."""
        return Response(status_code=303, headers={**self._headers, "Location": address})
