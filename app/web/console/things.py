"""Hides where the console's style sheets and script lie: in two installed packages and beside ours. Nothing else of theirs is served."""

from os import PathLike, stat_result
from pathlib import Path

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

#: What a page asks for, and the file that it is.
_FILES = {"tabler.css": "css/tabler.min.css", "htmx.js": "htmx/htmx.min.js", "console.css": "console.css"}
_OWN = Path(__file__).parents[1] / "static"


def files() -> ASGIApp:
    """The three files, packed for the way; a browser keeps them for a day."""
    return GZipMiddleware(_Chosen(directory=_OWN, packages=[("sqladmin", "statics"), ("js_lib_htmx", "static")]), minimum_size=1_000)


class _Chosen(StaticFiles):
    """Only the files of the list, under names of ours."""

    def lookup_path(self, path: str) -> tuple[str, stat_result | None]:
        known = _FILES.get(path)
        return super().lookup_path(known) if known is not None else ("", None)

    def file_response(self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Cache-Control"] = "public, max-age=86400"
        return answer
