"""The phones page: the chats of the people you pick, side by side, as their phones would show them.

Hides the page's files and the rules a browser must keep to with them. The page itself speaks to the `/sandbox/…` endpoints only.
"""

import json
import tomllib
from pathlib import Path

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, Response

LANGUAGES = ("zh", "en")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_FOLDER = Path(__file__).parent
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def mount(app: FastAPI) -> None:
    """Add `GET /phones` and the files it needs to the sandbox."""
    files = {path.name: path for path in _FOLDER.iterdir() if path.suffix in _TYPES}

    async def page() -> Response:
        return FileResponse(_FOLDER / "index.html", headers=_HEADERS)

    async def chat_words(language: str) -> Response:
        if language not in LANGUAGES:
            raise HTTPException(404)
        return Response(json.dumps(words(language), ensure_ascii=False), media_type="application/json", headers=_HEADERS)

    async def file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return FileResponse(files[name], media_type=_TYPES[files[name].suffix], headers=_HEADERS)

    app.get("/phones", include_in_schema=False)(page)
    app.get("/phones/words/{language}", include_in_schema=False)(chat_words)
    app.get("/phones/{name}", include_in_schema=False)(file)


def words(language: str) -> dict[str, str]:
    """What the page says in `zh` or `en`, by key; gaps are written {so}."""
    table = tomllib.loads((_FOLDER / f"words.{language}.toml").read_text(encoding="utf-8"))
    return {key: str(sentence) for key, sentence in table.items()}
