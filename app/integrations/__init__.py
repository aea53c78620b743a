"""Hides other systems that may use the API: makes them, gives them tokens, takes these away, and knows which there are.

A token is shown once and stored as a keyed hash. It carries a signature of ours, so that one which nobody was ever given costs no query.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from app import audit, ids, schedules
from app.db import Tx
from app.errors import Invalid, NotFound
from app.integrations.rules import Scope
from app.models import Course, Integration, IntegrationCourse, Schedule
from app.sealing import Vault
from app.states import TO_COME

__all__ = ["LONGEST_NAME", "Asked", "IntegrationLine", "add", "by_word", "forget_tokens", "listed", "renew", "revoke", "token_index"]

LONGEST_NAME = 60
#: By which a scanner of repositories or logs recognises a token that went astray.
_PREFIX, _SECRET, _SIGNATURE = "tongban_", 43, 16
_TOKEN = re.compile(f"{_PREFIX}([A-Za-z0-9_-]{{{_SECRET}}})([A-Za-z0-9_-]{{{_SIGNATURE}}})")


@dataclass(frozen=True)
class Asked:
    """What somebody wants to make: a name, the courses that it may see, and what it may do there, in words of `Scope`."""

    name: str
    courses: Sequence[int]
    scopes: Iterable[str]


def add(tx: Tx, vault: Vault, asked: Asked, at: datetime, now: datetime, *, by: int | None = None) -> tuple[int, str]:
    """A new integration: its id, and its token, which is stored nowhere. `by` None: the operator; `at`: the machine's moment.

    Raises `Invalid` with "integration_name", "integration_scopes" or "integration_courses".
    """
    name, scopes = _name(asked.name), _scopes(asked.scopes)
    if not asked.courses:
        raise Invalid("integration_courses", "Name the course that it may see.")
    made, token = ids.new_id(), _new_token(vault)
    kept = {"id": made, "name": name, "scopes": " ".join(scopes), "token_index": token_index(vault, token), "created_by": by}
    tx.execute(sa.insert(Integration).values(**kept, created_at=at, calls=0))
    courses = [{"integration_id": made, "course_id": course} for course in sorted(set(asked.courses))]
    tx.execute(sa.insert(IntegrationCourse), courses)
    audit.record(
        tx, now, audit.actor(by), "integration.add", _subject(made), scopes=list(scopes), courses=[each["course_id"] for each in courses]
    )
    return made, token


def _name(written: str) -> str:
    name = " ".join(written.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid("integration_name", f"Write a name of at most {LONGEST_NAME} characters for it.")
    return name


def _scopes(written: Iterable[str]) -> list[Scope]:
    asked = set(written)
    if not asked or asked - set(Scope):
        raise Invalid("integration_scopes", f"Say what it may do, with one or more of these: {', '.join(Scope)}.")
    return [scope for scope in Scope if scope in asked]


def renew(tx: Tx, vault: Vault, integration_id: int, now: datetime) -> str:
    """A new token in place of the former one, which works no more; what was planned stays planned. Raises `NotFound` for a revoked one."""
    token = _new_token(vault)
    mine = sa.update(Integration).where(Integration.id == integration_id, Integration.revoked_at.is_(None))
    if not tx.execute(mine.values(token_index=token_index(vault, token))).rowcount:
        raise NotFound("integration", "It is revoked, for good; `tongban integration add` makes another one.")
    audit.record(tx, now, "operator", "integration.renew", _subject(integration_id))
    return token


def revoke(tx: Tx, integration_id: int, at: datetime, now: datetime, *, by: int | None = None) -> int:
    """Its token works no more, on all processes at once, and what it has planned is taken back; returns how many announcements that were.

    What it plans at this very moment is refused when its time comes. Nothing happens to one that is revoked already.
    """
    mine = sa.update(Integration).where(Integration.id == integration_id, Integration.revoked_at.is_(None))
    if not tx.execute(mine.values(revoked_at=at)).rowcount:
        return 0
    theirs = sa.select(Schedule.id).where(Schedule.integration_id == integration_id, Schedule.state.in_(TO_COME))
    planned = tx.execute(theirs).scalars().all()
    for schedule_id in planned:
        schedules.cancel(tx, schedule_id, None, now, actor=audit.actor(by))
    audit.record(tx, now, audit.actor(by), "integration.revoke", _subject(integration_id), taken_back=len(planned))
    return len(planned)


def forget_tokens(tx: Tx) -> None:
    """No token works any more: one that was revoked after a backup would work again in the copy."""
    tx.execute(sa.update(Integration).values(token_index=None))


@dataclass(frozen=True)
class IntegrationLine:
    """An integration as whoever runs its courses sees it. `state`: active, asleep (a restore took its token) or revoked."""

    id: int
    name: str = field(repr=False)
    courses: tuple[str, ...]
    scopes: tuple[str, ...]
    created_by: int | None
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None
    state: str


def listed(tx: Tx, within: "sa.Select[int] | None" = None) -> list[IntegrationLine]:
    """Every integration, or those that see one of these courses: living ones first, then the newest. Courses by their titles."""
    columns = [column for column in Integration.__table__.columns if column.key != "token_index"]
    asleep = Integration.token_index.is_(None).label("asleep")
    query = sa.select(*columns, asleep).order_by(Integration.revoked_at.is_not(None), Integration.id.desc())
    if within is not None:
        seeing = sa.select(IntegrationCourse.integration_id).where(IntegrationCourse.course_id.in_(within))
        query = query.where(Integration.id.in_(seeing))
    rows = tx.execute(query).all()
    titles: dict[int, list[str]] = {row.id: [] for row in rows}
    seen = sa.select(IntegrationCourse.integration_id, Course.title).join(Course, Course.id == IntegrationCourse.course_id)
    for each in tx.execute(seen.where(IntegrationCourse.integration_id.in_(titles)).order_by(Course.id)):
        titles[each.integration_id].append(each.title)

    def state(row: object) -> str:
        if getattr(row, "revoked_at") is not None:  # noqa: B009 - rows have no static type
            return "revoked"
        return "asleep" if getattr(row, "asleep") else "active"  # noqa: B009 - as above

    return [
        IntegrationLine(
            id=row.id,
            name=row.name,
            courses=tuple(titles[row.id]),
            scopes=tuple(row.scopes.split()),
            created_by=row.created_by,
            created_at=row.created_at,
            used_at=row.used_at,
            revoked_at=row.revoked_at,
            state=state(row),
        )
        for row in rows
    ]


def by_word(tx: Tx, word: str) -> int:
    """The id of an integration that is not revoked, by its id or name. Raises `NotFound` with those there are."""
    living = sa.select(Integration.id, Integration.name).where(Integration.revoked_at.is_(None)).order_by(Integration.id)
    rows = tx.execute(living).all()
    found = [row.id for row in rows if word in (str(row.id), row.name)]
    if len(found) == 1:
        return int(found[0])
    there = ", ".join(f"{row.name} ({row.id})" for row in rows) or "none yet"
    raise NotFound("integration", f"There is no single integration {word!r}; use its id. Integrations: {there}.")


def token_index(vault: Vault, token: str) -> bytes | None:
    """By which a token is found; None where it is none of ours, which is seen without a query."""
    shaped = _TOKEN.fullmatch(token)
    if shaped is None or not vault.signed("integration", shaped.group(1), shaped.group(2), _SIGNATURE):
        return None
    return vault.index("integration", token)


def _new_token(vault: Vault) -> str:
    secret = ids.new_secret()
    return f"{_PREFIX}{secret}{vault.sign('integration', secret, _SIGNATURE)}"


def _subject(integration_id: int) -> str:
    return f"integration:{integration_id}"
