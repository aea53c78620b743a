"""Hides what the page shows by which a group is handed over: who does work in it and how much waits with each, and who may take it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import staffing
from app.db import Tx
from app.errors import NotFound
from app.keyring import Keyring
from app.models import Course, Group, Prompt, PromptGroup, Question, Schedule
from app.people import names
from app.prompts.planning import STEERABLE
from app.questions.listeners import staff
from app.states import TO_COME
from bots.turns import Role


@dataclass(frozen=True)
class Holder:
    """Who leads or assists in the group, and how many announcements, practice prompts and taken questions wait with them."""

    person_id: int
    name: str = field(repr=False)
    role: Role
    announcements: int
    prompts: int
    questions: int


@dataclass(frozen=True)
class HandoverPage:
    """A small group, who works in it, and who may take over: id and name of everybody who is staff of its course."""

    group_id: int
    group: str
    course: str
    holders: tuple[Holder, ...]
    successors: tuple[tuple[int, str], ...]


def page(tx: Tx, keyring: Keyring, group_id: int, now: datetime) -> HandoverPage:
    """What there is to hand over in a group of the actor's. Raises `NotFound` for the large group: nobody leads it."""
    query = sa.select(Group.name, Group.course_id, Course.title).join(Course, Course.id == Group.course_id)
    group = tx.execute(query.where(Group.id == group_id, ~Group.large)).one_or_none()
    if group is None:
        raise NotFound("group", "There is no such small group.")
    here, everybody = staff(tx, group_id, now), tx.execute(staffing.successors(group.course_id)).scalars().all()
    known = names(tx, keyring, [*everybody, *(each.person_id for each in here)])
    announcements, prompts, questions = _waiting(tx, group_id)
    holders = tuple(
        Holder(who, known.get(who, "?"), each.role, announcements.get(who, 0), prompts.get(who, 0), questions.get(who, 0))
        for each in here
        for who in [each.person_id]
    )
    return HandoverPage(group_id, group.name, group.title, holders, tuple((who, known.get(who, "?")) for who in everybody))


def _waiting(tx: Tx, group_id: int) -> tuple[Mapping[int, int], Mapping[int, int], Mapping[int, int]]:
    """How many announcements, practice prompts and taken questions wait in a group, by whose they are."""
    planned = sa.select(Schedule.author_id, sa.func.count()).where(Schedule.group_id == group_id, Schedule.state.in_(TO_COME))
    goes = sa.select(PromptGroup.prompt_id).where(PromptGroup.group_id == group_id)
    prompts = sa.select(Prompt.author_id, sa.func.count()).where(Prompt.id.in_(goes), Prompt.state.in_(STEERABLE))
    taken = sa.select(Question.answerer_id, sa.func.count()).where(Question.group_id == group_id, Question.state == "claimed")
    return _by_whom(tx, planned), _by_whom(tx, prompts), _by_whom(tx, taken)


def _by_whom(tx: Tx, query: "sa.Select[*tuple[Any, int]]") -> Mapping[int, int]:
    return {who: number for who, number in tx.execute(query.group_by(query.selected_columns[0])) if who is not None}
