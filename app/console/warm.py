"""Hides what the page of encouragement shows and does: a course's warm words, who decides about them, when they go, what they cost."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app import access, encouragement, forecast
from app.console.actors import Actor
from app.console.rules import ANNOUNCES, RUNS
from app.db import Tx
from app.encouragement import library
from app.encouragement.library import Line, themes_of
from app.encouragement.plans import PlanLine
from app.errors import Invalid
from app.models import Course, Group, WarmPlan, WarmWord
from app.outbox import mass_rows
from app.situation import Tools
from bots.encouragement.words import ANY
from bots.facts import MassForecast

_NEXT, _PAST = 6, 5
_LONGEST = 2_000


@dataclass(frozen=True)
class CourseLine:
    """A course with warm words. `keeps`: whether this person decides about them."""

    id: int
    title: str
    zone: str
    ended: bool
    keeps: bool
    themes: tuple[str, ...]


def courses(tx: Tx, actor: Actor, only: int | None = None) -> list[CourseLine]:
    """The courses whose staff this person is, newest first; `only` one of them."""
    keeps = Course.id.in_(access.courses_of(actor.person_id, RUNS)).label("keeps")
    query = (
        sa.select(Course.id, Course.title, Course.zone, Course.ended_at, Course.details, keeps)
        .where(Course.id.in_(access.courses_of(actor.person_id, ANNOUNCES)))
        .order_by(Course.id.desc())
    )
    rows = tx.execute(query if only is None else query.where(Course.id == only)).all()
    return [
        CourseLine(row.id, row.title, row.zone, row.ended_at is not None, bool(row.keeps), (*themes_of(row.details), ANY)) for row in rows
    ]


@dataclass(frozen=True)
class Budget:
    """Mass sends of this month to the large group; `planned` of them are announced for later. `found` None: WeChat takes none."""

    found: MassForecast | None
    planned: int


@dataclass(frozen=True)
class Page:
    """A course's warm words as this person may see them. `week`: the theme of now, `fresh`: how many of its words are left."""

    course: CourseLine
    words: tuple[Line, ...]
    plan: PlanLine | None
    upcoming: tuple[datetime, ...]
    week: str
    fresh: int
    budget: Budget | None

    @property
    def waiting(self) -> tuple[Line, ...]:
        """The words that wait for somebody to decide."""
        return tuple(each for each in self.words if each.state == "proposed")

    @property
    def shelves(self) -> list[tuple[str, tuple[Line, ...]]]:
        """The other words by their theme, in the order of the course's weeks; themes that it has no more come last."""
        decided = [each for each in self.words if each.state != "proposed"]
        gone = sorted({each.theme for each in decided} - set(self.course.themes))
        shelves = [(theme, tuple(each for each in decided if each.theme == theme)) for theme in (*self.course.themes, *gone)]
        return [shelf for shelf in shelves if shelf[1]]

    @property
    def given(self) -> int:
        """How often words were given."""
        return sum(each.given for each in self.words)

    @property
    def thanked(self) -> int:
        """How many of these were thanked for."""
        return sum(each.thanked for each in self.words)


def page(tx: Tx, tools: Tools, actor: Actor, course_id: int, now: datetime) -> Page:
    """Everything for an administrator of the course; for other staff the words that they proposed themselves."""
    course = courses(tx, actor, course_id)[0]
    words = encouragement.lines(tx, tools.keyring, course_id)
    if not course.keeps:
        own = set(
            tx.execute(sa.select(WarmWord.id).where(WarmWord.course_id == course_id, WarmWord.author_id == actor.person_id)).scalars()
        )
        return Page(course, tuple(each for each in words if each.id in own), None, (), "", 0, None)
    week, fresh = library.words_of_week(tx, course_id, now)
    upcoming = encouragement.upcoming(tx, course_id, now, _NEXT)
    plan = encouragement.plan_of(tx, course_id, _PAST)
    return Page(course, tuple(words), plan, upcoming, week, fresh, _budget(tx, tools, actor, course_id, now))


def _budget(tx: Tx, tools: Tools, actor: Actor, course_id: int, now: datetime) -> Budget:
    large = tx.execute(sa.select(Group.id).where(Group.course_id == course_id, Group.large)).scalar_one()
    found = forecast.forecast(tx, tools.rules, large, actor.person_id, None, now).mass
    return Budget(found, mass_rows.planned_in(tx, large, mass_rows.month_of(now), now))


def course_of(tx: Tx, word_id: int) -> int:
    """The course of a word."""
    return tx.execute(sa.select(WarmWord.course_id).where(WarmWord.id == word_id)).scalar_one()


def propose(tx: Tx, tools: Tools, actor: Actor, course_id: int, texts: dict[str, str], theme: str, now: datetime) -> None:
    """Put words into the library, for an administrator to approve. Raises `Refused` as `encouragement.propose`."""
    if any(len(text) > _LONGEST for text in texts.values()):
        raise Invalid("long", "Warm words are short.")
    encouragement.propose(tx, tools.keyring, course_id, texts, now, author_id=actor.person_id, theme=theme or ANY)


def decide(tx: Tx, actor: Actor, word_id: int, now: datetime, *, approved: bool) -> None:
    """Let a word be given from now on, or to nobody any more."""
    (encouragement.approve if approved else encouragement.pause)(tx, word_id, now, actor_id=actor.person_id)


def set_plan(tx: Tx, actor: Actor, course_id: int, days: str, hour: str, now: datetime) -> None:
    """Give words on these ISO weekdays at this hour of the course. Raises `Invalid` ("days", "hour", "ended")."""
    encouragement.set_plan(tx, course_id, days, hour[:5], now, actor=actor.word)


def keep_plan(tx: Tx, actor: Actor, course_id: int, now: datetime) -> None:
    """Pause the plan where it goes, else let it go on. Raises `Refused` ("gone")."""
    state = tx.execute(sa.select(WarmPlan.state).where(WarmPlan.course_id == course_id)).scalar_one_or_none()
    encouragement.keep_plan(tx, course_id, now, going=state != "going", actor_id=actor.person_id)
