"""Hides logins: made by a link that works once, found by name, changed, closed; and the second factor of those who see names."""

import base64
import hmac
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyotp
import sqlalchemy as sa

from app import audit, groups, ids, people
from app.access import STAFF
from app.console import actors, sessions, tries
from app.console.actors import Seat
from app.db import Tx
from app.errors import Conflict, Forbidden, NotFound
from app.keyring import Keyring, Place
from app.models import Group, Invitation, Login, Membership, Pass, Person
from app.sealing import Vault
from bots.turns import Role

#: How long a link works: for somebody new, and for somebody who is there already (bad-inputs.md G8).
FOR_AN_INVITATION, FOR_A_PERSON = timedelta(days=3), timedelta(minutes=30)
_STEP_SECONDS = 30
SHORTEST_NAME, LONGEST_NAME = 2, 40
_SECRET_BYTES = 20


# Links that work once --------------------------------------------------------------------------------------------------------------------


def invite(tx: Tx, vault: Vault, code: str, at: datetime) -> str:
    """The token of a link for whom this invitation code is meant, whether they have used it in the chat or not."""
    invitation_id = tx.execute(
        sa.select(Invitation.id).where(Invitation.code_index == vault.index("invitation", ids.normal_code(code)))
    ).scalar_one()
    return _make_pass(tx, vault, at, FOR_AN_INVITATION, invitation_id=invitation_id)


def let_in(tx: Tx, vault: Vault, person_id: int, at: datetime, now: datetime, *, actor: str = "operator") -> str:
    """The token of a link for somebody who is staff already: their first password, or a new one. Raises `Forbidden` for who is not."""
    if not actors.seats(tx, person_id):
        raise Forbidden("staff", "This person is not staff anywhere; `tongban staff invite` makes somebody staff.")
    tx.execute(sa.update(Pass).where(Pass.person_id == person_id, Pass.used_at.is_(None)).values(used_at=at))  # only the newest works
    audit.record(tx, now, actor, "console.link", f"person:{person_id}")
    return _make_pass(tx, vault, at, FOR_A_PERSON, person_id=person_id)


def _make_pass(tx: Tx, vault: Vault, at: datetime, life: timedelta, **whom: int) -> str:
    token = ids.new_secret()
    values = {"id": ids.new_id(), "token_index": _pass_index(vault, token), "created_at": at, "expires_at": at + life, **whom}
    tx.execute(sa.insert(Pass).values(**values))
    return token


@dataclass(frozen=True)
class Admission:
    """For whom a link is: a person who is there, or an invitation that makes one. `guarded`: they need a second factor."""

    pass_id: int
    person_id: int | None
    invitation_id: int | None
    name: str = field(repr=False)
    guarded: bool


def admission(tx: Tx, keyring: Keyring, token: str, at: datetime) -> Admission | None:
    """What a link leads to; None where it was never made, has been used or is too old. To look at it uses nothing up."""
    row = tx.execute(
        sa.select(Pass.id, Pass.person_id, Pass.invitation_id).where(
            Pass.token_index == _pass_index(keyring.vault, token), Pass.used_at.is_(None), Pass.expires_at > at
        )
    ).one_or_none()
    if row is None:
        return None
    if row.person_id is not None:
        return _of_person(tx, keyring, row.id, row.person_id)
    invited = tx.execute(
        sa.select(Invitation.role, Invitation.used_by, Invitation.data_key_id, Invitation.name_sealed).where(
            Invitation.id == row.invitation_id
        )
    ).one()
    if invited.used_by is not None:  # they sent the code in the chat before they opened the link
        return _of_person(tx, keyring, row.id, invited.used_by)
    place = Place("invitations", "name_sealed", row.invitation_id)
    name = keyring.unseal(tx, invited.data_key_id, place, invited.name_sealed) or ""
    return Admission(row.id, None, row.invitation_id, name, guarded=invited.role != Role.RESEARCHER.value)


def _of_person(tx: Tx, keyring: Keyring, pass_id: int, person_id: int) -> Admission | None:
    held = actors.seats(tx, person_id)
    if not held:
        return None
    return Admission(pass_id, person_id, None, people.names(tx, keyring, [person_id]).get(person_id, ""), actors.needs_code(held))


@dataclass(frozen=True)
class Chosen:
    """What somebody chose for themself; `secret` is that of their second factor, None for none."""

    name: str = field(repr=False)
    password_hash: str = field(repr=False)
    secret: str | None = field(repr=False)
    step: int = 0


def admit(tx: Tx, keyring: Keyring, token: str, chosen: Chosen, at: datetime, now: datetime) -> int:
    """Use a link; returns the login's id. Every session that the person had ends.

    Raises `NotFound` where the link works no longer, `Forbidden` where a second factor is missing, `Conflict` ("name").
    """
    found = admission(tx, keyring, token, at)
    used = sa.update(Pass).where(Pass.id == (found.pass_id if found else 0), Pass.used_at.is_(None)).values(used_at=at)
    if found is None or tx.execute(used.returning(Pass.id)).first() is None:
        raise NotFound("link", "This link has been used, or is too old; ask for a new one.")
    if found.guarded and chosen.secret is None:
        raise Forbidden("code", "Who sees names signs in with a second factor.")
    person_id = found.person_id or _take_seat(tx, keyring, found, now)
    login_id = _login_of(tx, person_id, at)
    _check_free(tx, keyring.vault, chosen.name, login_id)
    _set(tx, keyring, person_id, login_id, chosen)
    sessions.end_all(tx, login_id, "password", at)
    audit.record(tx, now, f"person:{person_id}", "console.password", f"login:{login_id}")
    return login_id


def _take_seat(tx: Tx, keyring: Keyring, found: Admission, now: datetime) -> int:
    """Make the person whom an invitation means, and use it for them."""
    row = tx.execute(sa.select(Invitation.data_key_id, Invitation.code_sealed).where(Invitation.id == found.invitation_id)).one()
    code = keyring.open(tx, row.data_key_id).unseal(Place("invitations", "code_sealed", found.invitation_id or 0), row.code_sealed)
    person_id = people.make(tx, keyring, found.name, now)
    try:
        groups.join(tx, keyring, person_id, code, now)
    except groups.Refused as refused:
        raise NotFound("link", refused.sentence) from None
    return person_id


def _login_of(tx: Tx, person_id: int, at: datetime) -> int:
    known = tx.execute(sa.select(Login.id).where(Login.person_id == person_id)).scalar_one_or_none()
    if known is not None:
        return known
    login_id = ids.new_id()
    tx.execute(sa.insert(Login).values(id=login_id, person_id=person_id, totp_step=0, created_at=at))
    return login_id


def _check_free(tx: Tx, vault: Vault, name: str, login_id: int) -> None:
    taken = sa.select(Login.id).where(Login.name_index == tries.name_index(vault, name), Login.id != login_id)
    if tx.execute(taken).first() is not None:
        raise Conflict("name", "Somebody signs in with this name already; choose another.")


def _set(tx: Tx, keyring: Keyring, person_id: int, login_id: int, chosen: Chosen) -> None:
    key = keyring.open(tx, tx.execute(sa.select(Person.data_key_id).where(Person.id == person_id)).scalar_one())
    totp = None if chosen.secret is None else key.seal(Place("logins", "totp_sealed", login_id), chosen.secret)
    tx.execute(
        sa.update(Login)
        .where(Login.id == login_id)
        .values(
            name_index=tries.name_index(keyring.vault, chosen.name),
            name_sealed=key.seal(Place("logins", "name_sealed", login_id), chosen.name.strip()),
            password_hash=chosen.password_hash,
            totp_sealed=totp,
            totp_step=chosen.step,
        )
    )


def is_name(name: str) -> bool:
    """Whether somebody may sign in by this name."""
    meant = tries.normal_name(name)
    return SHORTEST_NAME <= len(meant) <= LONGEST_NAME and all(not unicodedata.category(each).startswith(("C", "Z")) for each in meant)


# Signing in ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """What a name leads to. Without a login it has the same shape, so that the same is done with it."""

    login_id: int | None = None
    password_hash: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    guarded: bool = False


def by_name(tx: Tx, keyring: Keyring, name: str) -> Stored:
    """The login of this name; an empty one where there is none, it is closed, or its person is no staff any more."""
    row = tx.execute(
        sa.select(Login.id, Login.person_id, Login.password_hash, Login.totp_sealed, Person.data_key_id)
        .join(Person, Person.id == Login.person_id)
        .where(Login.name_index == tries.name_index(keyring.vault, name), Login.disabled_at.is_(None))
    ).one_or_none()
    held = () if row is None else actors.seats(tx, row.person_id)
    if row is None or not held:
        return Stored()
    secret = keyring.unseal(tx, row.data_key_id, Place("logins", "totp_sealed", row.id), row.totp_sealed)
    return Stored(row.id, row.password_hash, secret, actors.needs_code(held))


def new_secret(vault: Vault, token: str) -> str:
    """The secret of a second factor that a link offers: the same each time it is looked at, another one for each link."""
    return base64.b32encode(vault.index("totp", token)[1 : 1 + _SECRET_BYTES]).decode()


def provisioning(secret: str, name: str) -> str:
    """What the QR code for an authenticator holds."""
    return pyotp.TOTP(secret).provisioning_uri(name=name or "Tongban", issuer_name="Tongban")


def step_of(secret: str | None, code: str, at: datetime) -> int | None:
    """The step whose code this is, one before or behind the clock at most; None where it is none. Takes the same time in any case."""
    typed = "".join(unicodedata.normalize("NFKC", code[:20]).split())
    now, factor = int(at.timestamp()) // _STEP_SECONDS, pyotp.TOTP(secret or "A" * 32)
    fitting = [step for step in (now - 1, now, now + 1) if hmac.compare_digest(factor.generate_otp(step).encode(), typed.encode())]
    return fitting[-1] if fitting and secret is not None else None


def use_step(tx: Tx, login_id: int, step: int) -> bool:
    """Use a code up; False where it, or a later one, has been used."""
    used = sa.update(Login).where(Login.id == login_id, Login.totp_step < step).values(totp_step=step)
    return tx.execute(used.returning(Login.id)).first() is not None


# Afterwards ------------------------------------------------------------------------------------------------------------------------------


def of_person(tx: Tx, person_id: int, at: datetime) -> int | None:
    """The login of somebody who proved by WeChat who they are, made where there is none. None where they are no staff or it is closed."""
    if not actors.seats(tx, person_id):
        return None
    login_id = _login_of(tx, person_id, at)
    disabled = tx.execute(sa.select(Login.disabled_at).where(Login.id == login_id)).scalar_one()
    return login_id if disabled is None else None


def set_disabled(tx: Tx, person_id: int, at: datetime, now: datetime, *, disabled: bool, actor: str = "operator") -> int:
    """Close somebody's way into the console and end their sessions, or open it again; returns how many sessions ended."""
    login_id = _login_of(tx, person_id, at)
    tx.execute(sa.update(Login).where(Login.id == login_id).values(disabled_at=at if disabled else None))
    ended = sessions.end_all(tx, login_id, "disabled", at) if disabled else 0
    tx.execute(sa.update(Pass).where(Pass.person_id == person_id, Pass.used_at.is_(None)).values(used_at=at))
    audit.record(tx, now, actor, "console.disable" if disabled else "console.enable", f"login:{login_id}")
    return ended


def change_password(tx: Tx, login_id: int, password_hash: str, at: datetime, now: datetime, *, but: int, actor: str) -> None:
    """Take a new password; every other session ends."""
    tx.execute(sa.update(Login).where(Login.id == login_id).values(password_hash=password_hash))
    sessions.end_all(tx, login_id, "password", at, but=but)
    audit.record(tx, now, actor, "console.password", f"login:{login_id}")


@dataclass(frozen=True)
class Means:
    """With what somebody signs in."""

    name: str = field(repr=False)
    password: str | None = field(repr=False)
    code: bool
    wechat: bool


def means(tx: Tx, keyring: Keyring, login_id: int) -> Means:
    """With what this login signs in."""
    row = tx.execute(
        sa.select(Login.name_sealed, Login.password_hash, Login.totp_sealed, Login.person_id, Person.data_key_id)
        .join(Person, Person.id == Login.person_id)
        .where(Login.id == login_id)
    ).one()
    name = keyring.unseal(tx, row.data_key_id, Place("logins", "name_sealed", login_id), row.name_sealed) or ""
    return Means(name, row.password_hash, row.totp_sealed is not None, people.is_followed(tx, row.person_id))


@dataclass(frozen=True)
class StaffLine:
    """One person who is staff, as an operator sees them."""

    person_id: int
    name: str = field(repr=False)
    seats: tuple[Seat, ...]
    how: str  # password, password+code, wechat, none
    disabled: bool


def every(tx: Tx, keyring: Keyring) -> list[StaffLine]:
    """Everybody who is staff somewhere, with what they sign in."""
    staff = [role.value for role in STAFF]
    people_ids = list(
        tx.execute(
            sa.select(Membership.person_id)
            .join(Group, Group.id == Membership.group_id)
            .where(Membership.ended_at.is_(None), Membership.role.in_(staff))
            .distinct()
            .order_by(Membership.person_id)
        ).scalars()
    )
    names = people.names(tx, keyring, people_ids)
    columns = (Login.person_id, Login.password_hash, Login.totp_sealed, Login.disabled_at)
    known = {row.person_id: row for row in tx.execute(sa.select(*columns).where(Login.person_id.in_(people_ids)))}
    return [_staff_line(tx, each, names.get(each, "?"), known.get(each)) for each in people_ids]


def _staff_line(tx: Tx, person_id: int, name: str, row: Any) -> StaffLine:
    if row is None or row.password_hash is None:
        how = "wechat" if people.is_followed(tx, person_id) else "none"
    else:
        how = "password" if row.totp_sealed is None else "password+code"
    return StaffLine(person_id, name, actors.seats(tx, person_id), how, row is not None and row.disabled_at is not None)


def _pass_index(vault: Vault, token: str) -> bytes:
    return vault.index("pass", token[:200])
