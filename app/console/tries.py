"""Hides the limits of signing in: failed tries as rows, per name and per address, so that all processes count together.

After `PER_NAME` failures a name is closed for a while to whoever has no right second factor; its owner has one and still comes in. Names
that nobody has are counted and closed as others are. Stored are keyed hashes only.
"""

import ipaddress
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import audit
from app.db import Tx
from app.models import SigninTry
from app.sealing import Vault

#: Failures count for so long.
WITHIN = timedelta(minutes=15)
#: So many close a name, or an address (a clinic sits behind one); so many of all are an alarm.
PER_NAME, PER_ADDRESS, OF_ALL = 10, 30, 200
#: Wrong second factors for a closed name; QR codes that one address may ask for.
CODES, SCANS = 20, 20


@dataclass(frozen=True)
class Who:
    """By what tries are counted."""

    name: bytes
    address: bytes


def who(vault: Vault, name: str, address: str) -> Who:
    """The keyed hashes of a name and of the network it comes from."""
    return Who(name_index(vault, name), vault.index("signin_address", _network(address)))


def name_index(vault: Vault, name: str) -> bytes:
    """By which a name is found, however it is typed."""
    return vault.index("login", normal_name(name))


def normal_name(name: str) -> str:
    """The name that is meant."""
    return " ".join(unicodedata.normalize("NFKC", name[:200]).casefold().split())


@dataclass(frozen=True)
class Closed:
    """What is closed just now. `code`: even a right second factor comes too late."""

    name: bool
    address: bool
    code: bool


def closed(tx: Tx, who: Who, at: datetime) -> Closed:
    """What is closed to a further try."""
    mine = SigninTry.name_index == who.name
    return Closed(
        name=_count(tx, at, mine, SigninTry.kind == "password") >= PER_NAME,
        address=_count(tx, at, SigninTry.address_index == who.address, SigninTry.kind != "scan") >= PER_ADDRESS,
        code=_count(tx, at, mine, SigninTry.kind == "code") >= CODES,
    )


def note(tx: Tx, who: Who, kind: str, at: datetime) -> None:
    """Count a try, before anybody knows whether it is right: a thousand at the same moment shall not all find the name open."""
    tx.execute(sa.insert(SigninTry).values(name_index=who.name, address_index=who.address, kind=kind, at=at))


def tell(tx: Tx, who: Who, at: datetime, now: datetime) -> None:
    """A try was wrong: the operators are told where it closed something."""
    reached = {
        "name": _count(tx, at, SigninTry.name_index == who.name, SigninTry.kind == "password") >= PER_NAME,
        "address": _count(tx, at, SigninTry.address_index == who.address, SigninTry.kind != "scan") >= PER_ADDRESS,
        "many": _count(tx, at, SigninTry.kind != "scan") >= OF_ALL,
    }
    for subject in (subject for subject, full in reached.items() if full):
        audit.alarm(tx, now, "signin_guessing", subject)


def scan_asked(tx: Tx, who: Who, at: datetime) -> bool:
    """Count a QR code that is asked for; False where its address has asked for too many."""
    if _count(tx, at, SigninTry.address_index == who.address, SigninTry.kind == "scan") >= SCANS:
        return False
    note(tx, who, "scan", at)
    return True


def forgive(tx: Tx, who: Who) -> None:
    """Somebody came in: what they mistyped before counts no longer."""
    tx.execute(sa.delete(SigninTry).where(SigninTry.name_index == who.name, SigninTry.kind != "scan"))


def _count(tx: Tx, at: datetime, *which: "sa.ColumnElement[bool]") -> int:
    query = sa.select(sa.func.count()).select_from(SigninTry).where(*which, SigninTry.at > at - WITHIN)
    return tx.execute(query).scalar_one()


def _network(address: str) -> str:
    """One household has 2^64 addresses of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
