"""Hides which practice prompts somebody sees in the console, how their rule is told, and that they are paused and resumed."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.console.actors import Actor
from app.db import Tx
from app.keyring import Keyring
from app.models import Prompt
from app.prompts import lists, planning
from bots.effects import PausePrompt, ResumePrompt
from bots.prompt.plans import PromptView

_LISTED = 50


@dataclass(frozen=True)
class PromptLine:
    """A prompt with its rule as a text key's end: daily, weekly, week or once. `days`: ISO weekdays."""

    view: PromptView
    rule: str
    days: tuple[int, ...]

    @property
    def clock(self) -> str:
        """At what time, of the course."""
        return f"{self.view.rule.at:%H:%M}"


def of_course(tx: Tx, keyring: Keyring, actor: Actor, course_id: int) -> list[PromptLine]:
    """The prompts of a course that go on or rest, and that this person sees: those to groups that they may address."""
    views = lists.every(tx, keyring, actor.person_id, _LISTED, course_id=course_id)
    return [_line(view) for view in views if view.state in planning.STEERABLE]


def _line(view: PromptView) -> PromptLine:
    rule = view.rule
    kind = "once" if rule.day else "week" if rule.week else "weekly" if rule.weekdays else "daily"
    return PromptLine(view, kind, tuple(day + 1 for day in rule.weekdays))


def course_of(tx: Tx, prompt_id: int) -> int:
    """The course of a prompt."""
    return tx.execute(sa.select(Prompt.course_id).where(Prompt.id == prompt_id)).scalar_one()


def keep(tx: Tx, actor: Actor, prompt_id: int, now: datetime, *, going: bool) -> None:
    """Let a prompt go on, or rest. Raises `Refused` ("role", "gone", "past")."""
    planning.steer(tx, actor.person_id, ResumePrompt(prompt_id) if going else PausePrompt(prompt_id), now)
