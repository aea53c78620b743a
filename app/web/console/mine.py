"""One's own: where one is signed in, one's password, one's WeChat."""

import asyncio

from app import accounts, audit
from app.assembly import Assembly
from app.console import logins, passwords, sessions, tries
from app.console.rules import OWN_SESSION, SIGNED_IN
from app.db import Tx
from app.web.console.routing import HOME, THING, Answer, Go, Route, Shown, Then, Visit

_PAGE = f"{HOME}/sessions"


def look(tx: Tx, visit: Visit) -> Answer:
    """The page."""
    return _shown(tx, visit)


def _shown(tx: Tx, visit: Visit, problem: str = "", status: int = 200) -> Shown:
    who = visit.who
    gaps = {
        "living": sessions.living(tx, who.login_id, visit.at),
        "means": logins.means(tx, visit.tools.keyring, who.login_id),
        "accounts": sorted(accounts.addresses(tx)),
        "problem": problem,
    }
    return Shown("sessions", gaps, status)


def end(tx: Tx, visit: Visit) -> Answer:
    """Sign one browser out."""
    sessions.end(tx, visit.thing, "revoked", visit.at)
    audit.record(tx, visit.now, visit.who.word, "console.revoke", f"session:{visit.thing}")
    return Go(_PAGE)


def end_others(tx: Tx, visit: Visit) -> Answer:
    """Sign every other browser out."""
    sessions.end_all(tx, visit.who.login_id, "revoked", visit.at, but=visit.who.session_id)
    audit.record(tx, visit.now, visit.who.word, "console.revoke", f"login:{visit.who.login_id}")
    return Go(_PAGE)


def change_password(tx: Tx, visit: Visit) -> Answer:
    """A new password, for whoever knows the old one. Wrong ones count as they do at the door."""
    who, keyring = visit.who, visit.tools.keyring
    mine, password = logins.means(tx, keyring, who.login_id), visit.field("password")
    counted = tries.who(keyring.vault, mine.name, visit.address)
    shut = tries.closed(tx, counted, visit.at)
    problem = passwords.weakness(password, mine.name) or ("" if password == visit.field("again") else "again")
    if shut.name or shut.address:
        problem = "closed"
    if problem:
        return _shown(tx, visit, problem, 422)
    tries.note(tx, counted, "password", visit.at)

    async def change(assembly: Assembly) -> Shown | Go:
        right = await asyncio.to_thread(passwords.fits, mine.password, visit.field("old"))
        if not right:
            return await assembly.database.write(lambda tx: _wrong(tx, visit, counted))
        new = await asyncio.to_thread(passwords.hashed, password)

        def write(tx: Tx) -> None:
            tries.forgive(tx, counted)
            logins.change_password(tx, who.login_id, new, visit.at, visit.now, but=who.session_id, actor=who.word)

        await assembly.database.write(write)
        return Go(_PAGE)

    return Then(change)


def _wrong(tx: Tx, visit: Visit, counted: tries.Who) -> Shown:
    tries.tell(tx, counted, visit.at, visit.now)
    return _shown(tx, visit, "old", 422)


ROUTES = (
    Route("GET", _PAGE, SIGNED_IN, look, menu="sessions"),
    Route("POST", f"{_PAGE}/others", SIGNED_IN, end_others),
    Route("POST", f"{_PAGE}/password", SIGNED_IN, change_password, typed=("old", "password", "again")),
    Route("POST", f"{_PAGE}/{THING}/end", OWN_SESSION, end),
)
