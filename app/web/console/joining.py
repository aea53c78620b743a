"""The page behind a link that works once: a name, a password, and the second factor of those who see names."""

import asyncio
from typing import Any

from app.assembly import Assembly
from app.console import logins, passwords, sessions
from app.console.logins import Admission, Chosen
from app.console.rules import DOOR
from app.db import Tx
from app.errors import AppError, NotFound
from app.web.console.routing import HOME, Answer, Go, Route, Shown, Then, Visit
from app.web.console.scanning import picture


def look(tx: Tx, visit: Visit) -> Answer:
    """The form. To look at it uses nothing up: WeChat looks at links before people do."""
    return _shown(visit, _found(tx, visit))


def _found(tx: Tx, visit: Visit) -> Admission:
    found = logins.admission(tx, visit.tools.keyring, visit.token, visit.at)
    if found is None:
        raise NotFound("link", "This link has been used, or is too old.")
    return found


def _shown(visit: Visit, found: Admission, problem: str = "", status: int = 200) -> Shown:
    secret = logins.new_secret(visit.tools.keyring.vault, visit.token)
    name, address = visit.field("name"), logins.provisioning(secret, found.name)
    gaps: dict[str, Any] = {
        "found": found,
        "secret": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        "qr": picture(address),
        "address": address,
        "problem": problem,
        "name": name,
        "shortest": passwords.SHORTEST,
        "longest": passwords.LONGEST,
    }
    return Shown("join", gaps, status)


def join(tx: Tx, visit: Visit) -> Answer:
    """A form that was filled in: the link is used, and its person is signed in."""
    keyring, found = visit.tools.keyring, _found(tx, visit)
    name, password, code = visit.field("name"), visit.field("password"), visit.field("code")
    secret = logins.new_secret(keyring.vault, visit.token) if found.guarded or code.strip() else None
    step = logins.step_of(secret, code, visit.at)
    problem = _problem(name, password, visit.field("again"))
    if not problem and secret is not None and step is None:
        problem = "code"
    if problem:
        return _shown(visit, found, problem, 422)

    async def admit(assembly: Assembly) -> Shown | Go:
        chosen = Chosen(name, await asyncio.to_thread(passwords.hashed, password), secret, step or 0)

        def write(tx: Tx) -> str:
            login_id = logins.admit(tx, keyring, visit.token, chosen, visit.at, visit.now)
            return sessions.begin(tx, keyring.vault, login_id, "link", visit.device, visit.at)

        try:
            return Go(HOME, session=await assembly.database.write(write))
        except AppError as refused:
            if refused.code != "name":
                raise
            return _shown(visit, found, "name_taken", 422)

    return Then(admit)


def _problem(name: str, password: str, again: str) -> str:
    if not logins.is_name(name):
        return "name"
    weakness = passwords.weakness(password, name)
    if weakness is not None:
        return weakness
    return "" if password == again else "again"


ROUTES = (
    Route("GET", f"{HOME}/join/{{token}}", DOOR, look),
    Route("POST", f"{HOME}/join/{{token}}", DOOR, join, typed=("name", "password", "again", "code")),
)
