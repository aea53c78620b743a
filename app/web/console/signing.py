"""The door: signing in with a name and a password, out, and the language of this browser."""

import asyncio

from app import accounts, audit
from app.assembly import Assembly
from app.console import rules, sessions, signin
from app.console.rules import DOOR, SIGNED_IN
from app.console.signin import Typed
from app.db import Tx
from app.web.console.gate import is_ours
from app.web.console.routing import HOME, Answer, Go, Route, Shown, Then, Visit
from bots.texts import LANGUAGES

_DOOR = f"{HOME}/signin"


def home(_tx: Tx, visit: Visit) -> Answer:
    """The first page of whoever comes."""
    roles = visit.who.roles
    if roles & rules.LEADS:
        return Go(f"{HOME}/today")
    if roles & rules.RUNS:
        return Go(f"{HOME}/groups")
    return Go(f"{HOME}/week" if roles & rules.SEES_GROUPS else f"{HOME}/study")


def door(tx: Tx, visit: Visit) -> Answer:
    """The page on which one signs in."""
    return _shown(tx, visit.query.get("next", ""), "over" if visit.query.get("over") else "")


def _shown(tx: Tx, following: str, problem: str = "", status: int = 200) -> Shown:
    gaps = {"accounts": sorted(accounts.addresses(tx)), "following": following if is_ours(following) else "", "problem": problem}
    return Shown("signin", gaps, status)


def sign_in(tx: Tx, visit: Visit) -> Answer:
    """A form with name, password and perhaps a second factor."""
    keyring, following = visit.tools.keyring, visit.field("next")
    typed = Typed(visit.field("name"), visit.field("password"), visit.field("code"), visit.address, visit.device)
    mine = signin.begin(tx, keyring, typed, visit.at)
    if mine is None:
        return _shown(tx, following, "closed", 429)

    async def check(assembly: Assembly) -> Shown | Go:
        right = await asyncio.to_thread(signin.check, mine, typed)
        came = await assembly.database.write(lambda tx: signin.finish(tx, keyring, mine, typed, visit.at, visit.now, right=right))
        if came.token is not None:
            return Go(following if is_ours(following) else HOME, session=came.token)
        return await assembly.database.read(lambda tx: _shown(tx, following, came.why, 403))

    return Then(check)


def sign_out(tx: Tx, visit: Visit) -> Answer:
    """The end of this session, on all processes."""
    sessions.end(tx, visit.who.session_id, "signed_out", visit.at)
    audit.record(tx, visit.now, visit.who.word, "console.signout", f"session:{visit.who.session_id}")
    return Go(_DOOR, session="")


def speak(_tx: Tx, visit: Visit) -> Answer:
    """Another language, in this browser."""
    language, following = visit.field("language"), visit.field("next")
    return Go(following if is_ours(following) else HOME, language=language if language in LANGUAGES else LANGUAGES[0])


ROUTES = (
    Route("GET", HOME, SIGNED_IN, home),
    Route("GET", _DOOR, DOOR, door),
    Route("POST", _DOOR, DOOR, sign_in, takes=("next",), typed=("name", "password", "code")),
    Route("POST", f"{HOME}/signout", SIGNED_IN, sign_out),
    Route("POST", f"{HOME}/language", DOOR, speak, takes=("language", "next")),
)
