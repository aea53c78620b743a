"""Hides the sessions of the console: rows that hold a keyed hash of the cookie, so that whoever reads the database signs in as nobody."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from app import clock, ids
from app.console import actors
from app.console.actors import Actor
from app.db import Tx
from app.keyring import Keyring, Place
from app.models import ConsoleSession, Login, Person
from app.models import DataKey as DataKeyRow
from app.sealing import Vault

#: A session ends after so long without a request, and in any case so long after it began.
IDLE, LONGEST = timedelta(hours=2), timedelta(hours=12)
#: How often it is written down that somebody is still there.
SEEN_EVERY = timedelta(minutes=1)
DEVICES = ("wechat", "phone", "computer")


def moment() -> datetime:
    """Now by the machine: sessions and second factors know no demo's clock."""
    return datetime.fromtimestamp(clock.machine_seconds(), UTC)


def device(agent: str) -> str:
    """What kind of browser says this of itself."""
    if "MicroMessenger" in agent:
        return "wechat"
    return "phone" if "Mobile" in agent or "Android" in agent else "computer"


def begin(tx: Tx, vault: Vault, login_id: int, how: str, device: str, at: datetime) -> str:
    """Sign somebody in; returns the token for the cookie, which is stored nowhere."""
    token = ids.new_secret()
    person_id = tx.execute(sa.select(Login.person_id).where(Login.id == login_id)).scalar_one()
    tx.execute(
        sa.insert(ConsoleSession).values(
            id=ids.new_id(),
            login_id=login_id,
            token_index=_index(vault, token),
            roles=actors.fingerprint(actors.seats(tx, person_id)),
            how=how,
            device=device,
            began_at=at,
            seen_at=at,
        )
    )
    return token


@dataclass(frozen=True)
class Found:
    """What a cookie leads to. `outdated`: a session to end, because its person is no longer what they were. `seen`: write that down."""

    actor: Actor | None = None
    outdated: int | None = None
    seen: bool = False


def find(tx: Tx, keyring: Keyring, token: str, at: datetime) -> Found:
    """Who is signed in with this token: nobody where it is unknown, has ended, or was not used for too long."""
    row = tx.execute(
        sa.select(
            *(ConsoleSession.id, ConsoleSession.login_id, ConsoleSession.roles, ConsoleSession.seen_at),
            *(Person.id.label("person_id"), Person.name_sealed, Person.language, Person.zone),
            *(DataKeyRow.id.label("key_id"), DataKeyRow.wrapped, DataKeyRow.master_version),
        )
        .join(Login, Login.id == ConsoleSession.login_id)
        .join(Person, Person.id == Login.person_id)
        .join(DataKeyRow, DataKeyRow.id == Person.data_key_id)
        .where(ConsoleSession.token_index == _index(keyring.vault, token), *_live(at), Login.disabled_at.is_(None))
    ).one_or_none()
    if row is None or row.wrapped is None:
        return Found()
    seats = actors.seats(tx, row.person_id)
    if not seats or actors.fingerprint(seats) != row.roles:
        return Found(outdated=row.id)
    key = keyring.vault.unwrap(row.key_id, row.master_version, row.wrapped)
    name = "" if row.name_sealed is None else key.unseal(Place("persons", "name_sealed", row.person_id), row.name_sealed)
    actor = Actor(row.login_id, row.person_id, row.id, name, row.language, row.zone, seats, actors.is_on_call(tx, row.person_id, seats))
    return Found(actor, seen=at - row.seen_at > SEEN_EVERY)


def touch(tx: Tx, session_id: int, at: datetime) -> None:
    """The person is still there."""
    tx.execute(sa.update(ConsoleSession).where(ConsoleSession.id == session_id, ConsoleSession.ended_at.is_(None)).values(seen_at=at))


def end(tx: Tx, session_id: int, why: str, at: datetime) -> None:
    """Sign one browser out, on all processes at once."""
    mine = sa.and_(ConsoleSession.id == session_id, ConsoleSession.ended_at.is_(None))
    tx.execute(sa.update(ConsoleSession).where(mine).values(ended_at=at, why_ended=why))


def end_all(tx: Tx, login_id: int, why: str, at: datetime, *, but: int | None = None) -> int:
    """Sign somebody out everywhere, but for one session; returns how many ended."""
    mine = sa.and_(ConsoleSession.login_id == login_id, ConsoleSession.ended_at.is_(None))
    if but is not None:
        mine = sa.and_(mine, ConsoleSession.id != but)
    return tx.execute(sa.update(ConsoleSession).where(mine).values(ended_at=at, why_ended=why)).rowcount


@dataclass(frozen=True)
class SessionLine:
    """A session that lives."""

    id: int
    how: str
    device: str
    began_at: datetime
    seen_at: datetime


def living(tx: Tx, login_id: int, at: datetime) -> list[SessionLine]:
    """Where somebody is signed in now, the newest first."""
    columns = (ConsoleSession.id, ConsoleSession.how, ConsoleSession.device, ConsoleSession.began_at, ConsoleSession.seen_at)
    rows = tx.execute(sa.select(*columns).where(ConsoleSession.login_id == login_id, *_live(at)).order_by(ConsoleSession.id.desc()))
    return [SessionLine(*row) for row in rows]


def _live(at: datetime) -> "tuple[sa.ColumnElement[bool], ...]":
    return ConsoleSession.ended_at.is_(None), ConsoleSession.seen_at > at - IDLE, ConsoleSession.began_at > at - LONGEST


def _index(vault: Vault, token: str) -> bytes:
    return vault.index("console_session", token)
