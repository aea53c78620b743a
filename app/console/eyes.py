"""Hides what the pages of second eyes show and do: announcements that wait for somebody's look, and above how many people they do."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app import access, approvals, courses
from app.console import versions
from app.console.actors import Actor
from app.console.rules import RUNS
from app.db import Tx
from app.errors import Invalid, NotFound
from app.models import Course
from app.situation import Tools
from bots.approval.waiting import Look, Waiting


@dataclass(frozen=True)
class Setting:
    """Above how many people a second person looks at an announcement of a course; 0: never. `version`: the mark of that."""

    course: int
    title: str
    above: int
    version: str


def waiting(tx: Tx, tools: Tools, actor: Actor) -> tuple[Waiting, ...]:
    """What waits for this person's look, the oldest first."""
    return approvals.waiting(tx, tools.keyring, actor.person_id)


def settings(tx: Tx, actor: Actor) -> list[Setting]:
    """The courses that this person runs, the newest first."""
    mine = Course.id.in_(access.courses_of(actor.person_id, RUNS))
    rows = tx.execute(
        sa.select(Course.id, Course.title, Course.second_eyes).where(mine, Course.ended_at.is_(None)).order_by(Course.id.desc())
    ).all()
    marks = versions.second_eyes(tx, [row.id for row in rows])
    return [Setting(row.id, row.title, row.second_eyes, marks[row.id]) for row in rows]


def look(tx: Tx, tools: Tools, actor: Actor, schedule_id: int, language: str, zone: str, now: datetime) -> Look:
    """An announcement as its readers would see it. Raises `NotFound`."""
    found = approvals.look(tx, tools, actor.person_id, schedule_id, language, zone, now)
    if found is None:
        raise NotFound("approval", "There is no such announcement for you to look at.")
    return found


def approve(tx: Tx, tools: Tools, actor: Actor, schedule_id: int, seen: str, now: datetime) -> None:
    """Let it go out. Raises `Refused` as `approvals.approve`."""
    approvals.approve(tx, tools.keyring, actor.person_id, schedule_id, seen, now)


def give_back(tx: Tx, tools: Tools, actor: Actor, schedule_id: int, seen: str, note: str, now: datetime) -> None:
    """Give it back with a sentence. Raises `Refused` as `approvals.give_back`."""
    approvals.give_back(tx, tools.keyring, actor.person_id, schedule_id, seen, note, now)


def set_above(tx: Tx, actor: Actor, course_id: int, typed: str, now: datetime) -> None:
    """Let announcements to more people than this wait. Raises `Invalid` ("second_eyes")."""
    digits = typed.strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 7:
        raise Invalid("second_eyes", "Write a number of people, or 0 for never.")
    courses.set_second_eyes(tx, course_id, int(digits), now, actor=actor.word)
