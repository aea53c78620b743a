"""Hides how a name and a password become a session: a look, the slow check outside any transaction, and what came of it.

Whoever tries learns nothing: a name that nobody has, a wrong password and a wrong second factor are told in the same words, as slowly.
"""

from dataclasses import dataclass, field
from datetime import datetime

from app import audit
from app.console import logins, passwords, sessions, tries
from app.console.logins import Stored
from app.console.tries import Who
from app.db import Tx
from app.keyring import Keyring


@dataclass(frozen=True)
class Typed:
    """What stood in the form, and where it came from."""

    name: str = field(repr=False)
    password: str = field(repr=False)
    code: str = field(repr=False)
    address: str = field(repr=False)
    device: str


@dataclass(frozen=True)
class Try:
    """A try that may go on. `step`: of the second factor, where it is right."""

    who: Who = field(repr=False)
    stored: Stored
    step: int | None


@dataclass(frozen=True)
class Came:
    """What became of a try: a session's token, or why not: "wrong" or "factor" (all is right, but their role needs a second factor)."""

    token: str | None = field(default=None, repr=False)
    why: str = ""


def begin(tx: Tx, keyring: Keyring, typed: Typed, at: datetime) -> Try | None:
    """Count a try and look its name up; None where name or address is closed for a while.

    A closed name is open to a right second factor: who guesses passwords keeps its owner out of nothing.
    """
    who = tries.who(keyring.vault, typed.name, typed.address)
    shut = tries.closed(tx, who, at)
    if shut.address:
        return None
    stored = logins.by_name(tx, keyring, typed.name)
    step = logins.step_of(stored.secret, typed.code, at)
    if not shut.name:
        tries.note(tx, who, "password", at)
        return Try(who, stored, step)
    if shut.code or not typed.code:
        return None
    tries.note(tx, who, "code", at)
    return Try(who, stored, step) if step is not None else None


def check(mine: Try, typed: Typed) -> bool:
    """Whether the password is right. Slow, and no matter of the database's."""
    return passwords.fits(mine.stored.password_hash, typed.password)


def finish(tx: Tx, keyring: Keyring, mine: Try, typed: Typed, at: datetime, now: datetime, *, right: bool) -> Came:
    """Sign in who is right in everything; else tell the operators where something was closed by it."""
    stored = mine.stored
    if right and stored.login_id is not None and stored.guarded and stored.secret is None:
        return Came(why="factor")
    if not (right and stored.login_id is not None and _factor(tx, mine)):
        tries.tell(tx, mine.who, at, now)
        return Came(why="wrong")
    tries.forgive(tx, mine.who)
    audit.record(tx, now, f"login:{stored.login_id}", "console.signin", f"login:{stored.login_id}", how="password")
    return Came(sessions.begin(tx, keyring.vault, stored.login_id, "password", typed.device, at))


def _factor(tx: Tx, mine: Try) -> bool:
    """Whether the second factor, where there is one, is right and has not been used; it is used now."""
    if mine.stored.secret is None:
        return True
    return mine.step is not None and mine.stored.login_id is not None and logins.use_step(tx, mine.stored.login_id, mine.step)
