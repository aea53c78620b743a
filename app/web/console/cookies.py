"""Hides the console's cookies: one for whoever is signed in, one for a browser that is not yet, one for the language.

`__Host-`, Secure, HttpOnly, SameSite=Lax, and gone with the browser. Lax, because a link from the chat is another site's. On loopback
without TLS, for the demo alone, names and Secure are dropped: there is nobody on the way.
"""

from fastapi import Request, Response

from app import ids
from app.settings import is_loopback
from app.web.console.routing import Go

_YEAR = 365 * 86_400


class Cookies:
    """Reads and writes them for an address by which the console is reached."""

    def __init__(self, public_url: str) -> None:
        self._secure = not (public_url.startswith("http://") and is_loopback(public_url))
        prefix = "__Host-" if self._secure else ""
        self._session, self._browser, self._language = f"{prefix}tongban", f"{prefix}tongban-door", f"{prefix}tongban-language"

    def session(self, request: Request) -> str:
        """The token of a session; empty where there is none."""
        return request.cookies.get(self._session, "")

    def browser(self, request: Request) -> str:
        """The token of a browser that is not signed in; empty where there is none."""
        return request.cookies.get(self._browser, "")

    def language(self, request: Request) -> str:
        """The language that was chosen in this browser."""
        return request.cookies.get(self._language, "")

    def new_browser(self) -> str:
        """A token for a browser that we have not seen."""
        return ids.new_secret()

    def set_browser(self, answer: Response, token: str) -> None:
        """Know this browser again."""
        self._set(answer, self._browser, token)

    def forget_session(self, answer: Response) -> None:
        """The session is over."""
        self._drop(answer, self._session)

    def follow(self, answer: Response, go: Go) -> None:
        """What an answer says of cookies. Who signs in gets a new one, and the door's is forgotten (bad-inputs.md G3)."""
        if go.session:
            self._set(answer, self._session, go.session)
            self._drop(answer, self._browser)
        elif go.session is not None:
            self._drop(answer, self._session)
        if go.browser:
            self._set(answer, self._browser, go.browser)
        if go.language is not None:
            answer.set_cookie(self._language, go.language, _YEAR, secure=self._secure, httponly=True, samesite="lax", path="/")

    def _set(self, answer: Response, name: str, value: str) -> None:
        answer.set_cookie(name, value, secure=self._secure, httponly=True, samesite="lax", path="/")

    def _drop(self, answer: Response, name: str) -> None:
        answer.delete_cookie(name, secure=self._secure, httponly=True, samesite="lax", path="/")
