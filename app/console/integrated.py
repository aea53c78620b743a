"""Hides what an administrator sees of the systems that their courses are connected to, and how one is connected."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from app import access, integrations, people
from app.console.actors import Actor
from app.console.rules import RUNS
from app.db import Tx
from app.errors import NotFound
from app.integrations import Asked, IntegrationLine
from app.keyring import Keyring
from app.models import Course


@dataclass(frozen=True)
class Connected:
    """An integration, with the name of whoever made it; empty: the operator."""

    line: IntegrationLine
    maker: str = field(repr=False)


def listed(tx: Tx, keyring: Keyring, actor: Actor) -> list[Connected]:
    """The integrations of the courses that this person runs, living ones first."""
    lines = integrations.listed(tx, access.courses_of(actor.person_id, RUNS))
    makers = people.names(tx, keyring, [line.created_by for line in lines if line.created_by is not None])
    return [Connected(line, "" if line.created_by is None else makers.get(line.created_by, "?")) for line in lines]


def courses(tx: Tx, actor: Actor) -> list[tuple[int, str]]:
    """The courses to which this person may connect a system: id and title, the newest first."""
    mine = sa.select(Course.id, Course.title).where(Course.id.in_(access.courses_of(actor.person_id, RUNS)))
    return [(row.id, row.title) for row in tx.execute(mine.order_by(Course.id.desc()))]


def add(
    tx: Tx, keyring: Keyring, actor: Actor, name: str, course_id: int, scopes: Iterable[str], at: datetime, now: datetime
) -> tuple[int, str]:
    """Connect a system to a course: the integration's id, and its token.

    Raises `NotFound` for a foreign course, else as `integrations.add`.
    """
    if course_id not in {each for each, _ in courses(tx, actor)}:
        raise NotFound("course", "There is no such course.")
    return integrations.add(tx, keyring.vault, Asked(name, [course_id], scopes), at, now, by=actor.person_id)


def revoke(tx: Tx, actor: Actor, integration_id: int, at: datetime, now: datetime) -> int:
    """Take a token away, for good; returns how many planned announcements were taken back with it."""
    return integrations.revoke(tx, integration_id, at, now, by=actor.person_id)
