"""Hides signing in by WeChat: a browser shows a QR code of our own account, its person scans it, and confirms in the chat.

A number stands beside the code, and the chat asks for it: whoever was sent somebody else's code sees no number. Each code serves one
browser, once, for five minutes. The same way binds a login that came about without WeChat to the person who scans.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import audit, groups, ids, people
from app.console import actors, logins, sessions
from app.db import Tx
from app.errors import Conflict
from app.groups import Refused
from app.keyring import Keyring, Place
from app.models import Approval, Broadcast, Identity, Login, Membership, OnCall, Person, Scan, Schedule
from app.sealing import Vault
from bots.facts import SignInFound
from bots.turns import Role

LIFE = timedelta(minutes=5)
#: Wrong numbers that are shown in the chat beside the right one.
_OTHERS = 2


@dataclass(frozen=True)
class Begun:
    """A code for the platform to draw, and the token of the browser's cookie."""

    id: int
    code: str
    browser: str = field(repr=False)


def begin(tx: Tx, vault: Vault, account_id: int, login_id: int | None, at: datetime) -> Begun:
    """A new code. `login_id`: the login that shall be bound to whoever confirms; None: whoever confirms is signed in."""
    begun = Begun(ids.new_id(), ids.new_code(), ids.new_secret())
    tx.execute(
        sa.insert(Scan).values(
            id=begun.id,
            account_id=account_id,
            code_index=_code_index(vault, begun.code),
            browser_index=_browser_index(vault, begun.browser),
            login_id=login_id,
            number=ids.new_pairs(1)[0],
            state="open",
            created_at=at,
            expires_at=at + LIFE,
        )
    )
    return begun


def draw(tx: Tx, scan_id: int, picture: str) -> None:
    """The platform has made the QR code: it holds this address."""
    tx.execute(sa.update(Scan).where(Scan.id == scan_id).values(picture=picture))


@dataclass(frozen=True)
class Waiting:
    """What a browser shows while it waits. `state`: open, confirmed, refused, or over."""

    id: int
    state: str
    number: int
    picture: str | None
    login_id: int | None
    person_id: int | None


def waiting(tx: Tx, vault: Vault, browser: str, at: datetime) -> Waiting | None:
    """The code of this browser; None where it has none."""
    row = tx.execute(
        sa.select(Scan.id, Scan.state, Scan.number, Scan.picture, Scan.login_id, Scan.person_id, Scan.expires_at).where(
            Scan.browser_index == _browser_index(vault, browser)
        )
    ).one_or_none()
    if row is None:
        return None
    over = row.state == "used" or row.expires_at <= at
    return Waiting(row.id, "over" if over else row.state, row.number, row.picture, row.login_id, row.person_id)


# In the chat -----------------------------------------------------------------------------------------------------------------------------


def seen(tx: Tx, vault: Vault, person_id: int, code: str) -> SignInFound:
    """What somebody who scanned a code may know of it."""
    row = _open(tx, vault, code)
    if row is None:
        return SignInFound("over")
    if not _may_confirm(tx, person_id, row.login_id):
        return SignInFound("stranger")
    others = tuple(each for each in ids.new_pairs(_OTHERS + 1) if each != row.number)[:_OTHERS]
    return SignInFound("open", row.number, others, binds=row.login_id is not None)


def confirm(tx: Tx, vault: Vault, person_id: int, code: str, number: int, now: datetime) -> None:
    """Let the browser in. Raises `Refused` with "over" or "stranger"."""
    row = _open(tx, vault, code)
    if row is None or row.number != number:
        raise Refused("over", "This code is used, too old, or belongs to another number.")
    if not _may_confirm(tx, person_id, row.login_id):
        raise Refused("stranger", "Only staff may sign in.")
    mine = sa.update(Scan).where(Scan.id == row.id, Scan.state == "open").values(state="confirmed", person_id=person_id)
    if tx.execute(mine.returning(Scan.id)).first() is None:
        raise Refused("over", "Somebody was faster.")
    audit.record(tx, now, f"person:{person_id}", "console.confirm", f"scan:{row.id}")


def refuse(tx: Tx, vault: Vault, person_id: int, code: str, now: datetime) -> None:
    """Nobody is let in by this code any more; a wrong number was chosen, or the person says that it is not theirs."""
    row = _open(tx, vault, code)
    if row is not None:
        tx.execute(sa.update(Scan).where(Scan.id == row.id).values(state="refused"))
        audit.record(tx, now, f"person:{person_id}", "console.refuse", f"scan:{row.id}")


def _open(tx: Tx, vault: Vault, code: str) -> Any:
    query = sa.select(Scan.id, Scan.login_id, Scan.number).where(Scan.code_index == _code_index(vault, code), Scan.state == "open")
    return tx.execute(query.where(Scan.expires_at > sessions.moment())).one_or_none()


def _may_confirm(tx: Tx, person_id: int, binds: int | None) -> bool:
    """Staff sign in; to bind, somebody needs no place of their own yet."""
    return binds is not None or bool(actors.seats(tx, person_id))


# In the browser again --------------------------------------------------------------------------------------------------------------------


def finish(tx: Tx, keyring: Keyring, found: Waiting, device: str, at: datetime, now: datetime) -> str | None:
    """Sign in whoever confirmed, after binding where that was asked for; returns the session's token, None where they may not.

    Raises `Conflict` ("bound") where one of the two is bound to somebody else already.
    """
    taken = sa.update(Scan).where(Scan.id == found.id, Scan.state == "confirmed").values(state="used")
    if found.person_id is None or tx.execute(taken.returning(Scan.id)).first() is None:
        return None
    if found.login_id is not None:
        _bind(tx, keyring, found.login_id, found.person_id, at, now)
    login_id = logins.of_person(tx, found.person_id, at)
    if login_id is None:
        return None
    audit.record(tx, now, f"person:{found.person_id}", "console.signin", f"login:{login_id}", how="wechat")
    return sessions.begin(tx, keyring.vault, login_id, "wechat", device, at)


def _bind(tx: Tx, keyring: Keyring, login_id: int, person_id: int, at: datetime, now: datetime) -> None:
    """Whoever signs in with this login is the person who scanned: places, login and what they wrote go over, and one of the two is left."""
    row = tx.execute(
        sa.select(Login.person_id, Login.name_sealed, Login.totp_sealed, Person.data_key_id)
        .join(Person, Person.id == Login.person_id)
        .where(Login.id == login_id)
    ).one()
    former = row.person_id
    known = tx.execute(sa.select(Identity.id).where(Identity.person_id == former).limit(1)).first()
    taken = tx.execute(sa.select(Login.id).where(Login.person_id == person_id)).first()
    if former == person_id or known is not None or taken is not None:
        raise Conflict("bound", "This login, or this WeChat, is bound already.")
    old, new = keyring.open(tx, row.data_key_id), keyring.open(tx, _key_of(tx, person_id))
    sealed = {"name_sealed": row.name_sealed, "totp_sealed": row.totp_sealed}
    places = {column: Place("logins", column, login_id) for column in sealed}
    again = {column: value and new.seal(places[column], old.unseal(places[column], value)) for column, value in sealed.items()}
    tx.execute(sa.update(Login).where(Login.id == login_id).values(person_id=person_id, **again))
    sessions.end_all(tx, login_id, "bound", at)
    _hand_over(tx, keyring, former, person_id, now)
    audit.record(tx, now, f"person:{person_id}", "console.bind", f"login:{login_id}", former=former)
    people.erase(tx, keyring, former, now, actor=f"person:{person_id}")


def _hand_over(tx: Tx, keyring: Keyring, former: int, person_id: int, now: datetime) -> None:
    held = tx.execute(sa.select(Membership.group_id, Membership.role).where(Membership.person_id == former, Membership.ended_at.is_(None)))
    for each in held.all():
        groups.enter(tx, each.group_id, person_id, Role(each.role), now)
    for table, column in ((Schedule, "author_id"), (Approval, "decided_by"), (Broadcast, "author_id"), (OnCall, "person_id")):
        tx.execute(sa.update(table).where(getattr(table, column) == former).values({column: person_id}))
    named = people.names(tx, keyring, [former, person_id])
    if person_id not in named and former in named:
        sealed = keyring.open(tx, _key_of(tx, person_id)).seal(Place("persons", "name_sealed", person_id), named[former])
        tx.execute(sa.update(Person).where(Person.id == person_id).values(name_sealed=sealed))


def _key_of(tx: Tx, person_id: int) -> int:
    return tx.execute(sa.select(Person.data_key_id).where(Person.id == person_id)).scalar_one()


def _code_index(vault: Vault, code: str) -> bytes:
    return vault.index("scan", code[:80])


def _browser_index(vault: Vault, browser: str) -> bytes:
    return vault.index("scan_browser", browser[:200])
