"""Hides what a token opens: a rule names one scope and a kind of thing, and says whether this very thing is of the token's courses.

As in the console, what is not theirs is looked for among what is, so it is missing, as a thing that never existed is.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from app.db import Tx
from app.models import Course, Group, Integration, IntegrationCourse, Schedule


class Scope(StrEnum):
    """What an integration may do: a closed list. Each says one thing and includes no other."""

    COURSES_READ = "courses:read"
    GROUPS_READ = "groups:read"
    MEMBERSHIPS_READ = "memberships:read"
    MEMBERSHIPS_WRITE = "memberships:write"
    ANNOUNCEMENTS_READ = "announcements:read"
    ANNOUNCEMENTS_WRITE = "announcements:write"
    COMPLETION_READ = "completion:read"


class Of(StrEnum):
    """The kind of thing that a path names by its id."""

    NOTHING = "nothing"
    COURSE = "course"
    GROUP = "group"
    ANNOUNCEMENT = "announcement"
    OWN_ANNOUNCEMENT = "own announcement"  # one that this integration has planned itself


@dataclass(frozen=True)
class Rule:
    """`scope`: what the token must have been given. None: any token, and nothing that is anybody's is looked at."""

    scope: Scope | None
    of: Of = Of.NOTHING


@dataclass(frozen=True)
class Caller:
    """The integration that asks."""

    id: int
    scopes: frozenset[str]

    @property
    def word(self) -> str:
        """As an audit row names it."""
        return f"integration:{self.id}"


def courses_of(integration_id: int) -> "sa.Select[int]":
    """The ids of the courses that an integration may see: where every query of the API begins."""
    return sa.select(IntegrationCourse.course_id).where(IntegrationCourse.integration_id == integration_id)


def integrations_in(courses: "sa.Select[int]") -> "sa.Select[int]":
    """The ids of the integrations that see one of these courses: whoever runs a course may take a token for it away."""
    seeing = sa.select(IntegrationCourse.integration_id).where(IntegrationCourse.course_id.in_(courses))
    return sa.select(Integration.id).where(Integration.id.in_(seeing))


def course_of(tx: Tx, caller: Caller, rule: Rule, thing: int) -> int | None:
    """The course of the thing with this id, where it is among those that the rule gives to this integration; else None."""
    mine = _things(caller, rule.of).subquery()
    return tx.execute(sa.select(mine.c.course_id).where(mine.c.id == thing).limit(1)).scalar_one_or_none()


def _things(caller: Caller, of: Of) -> "sa.Select[*tuple[Any, ...]]":
    courses = courses_of(caller.id)
    announced = sa.select(Schedule.id, Schedule.course_id.label("course_id")).where(Schedule.course_id.in_(courses))
    found: dict[Of, sa.Select[*tuple[Any, ...]]] = {
        Of.COURSE: sa.select(Course.id, Course.id.label("course_id")).where(Course.id.in_(courses)),
        Of.GROUP: sa.select(Group.id, Group.course_id.label("course_id")).where(Group.course_id.in_(courses)),
        Of.ANNOUNCEMENT: announced,
        Of.OWN_ANNOUNCEMENT: announced.where(Schedule.integration_id == caller.id),
    }
    return found[of]
