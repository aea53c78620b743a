"""Hides how practice prompts are listed: queries start from what the reader may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import access
from app.db import Tx
from app.keyring import Keyring
from app.models import Broadcast, Delivery, Group, Prompt, PromptFiring, PromptGroup
from app.prompts.planning import rule_of, text_of, with_course
from app.sealing import DataKey
from app.states import REACHED
from bots.prompt.plans import PromptView
from bots.turns import OccasionKind


def every(tx: Tx, keyring: Keyring, person_id: int | None, limit: int | None, *, course_id: int | None = None) -> tuple[PromptView, ...]:
    """The prompts that this person may see (None: the operator, who sees all), as `bots.prompt.plans.Prompts` orders them."""
    query = with_course()
    if course_id is not None:
        query = query.where(Prompt.course_id == course_id)
    allowed = None if person_id is None else frozenset(access.announced_groups(tx, person_id))
    if allowed is not None:
        mine = sa.select(PromptGroup.id).where(PromptGroup.prompt_id == Prompt.id, PromptGroup.group_id.in_(allowed))
        query = query.where(mine.exists())
    order = sa.case((Prompt.state == "running", 0), (Prompt.state == "paused", 1), else_=2)
    rows = tx.execute(query.order_by(order, Prompt.next_at, Prompt.id.desc()).limit(limit)).all()
    groups = _groups(tx, [row.id for row in rows])
    keys = keyring.open_all(tx, (row.data_key_id for row in rows))  # a course's words go with its key
    known = [row for row in rows if row.data_key_id in keys]
    return tuple(_view(row, keys[row.data_key_id], groups[row.id], person_id, allowed) for row in known)


def one(tx: Tx, keyring: Keyring, prompt_id: int, person_id: int | None) -> PromptView | None:
    """The prompt with this id, if the person may see it; else None."""
    row = tx.execute(with_course().where(Prompt.id == prompt_id)).one_or_none()
    allowed = None if person_id is None else frozenset(access.announced_groups(tx, person_id))
    if row is None:
        return None
    groups = _groups(tx, [row.id])[row.id]
    if allowed is not None and not allowed & {each.id for each in groups}:
        return None
    key = keyring.open_all(tx, [row.data_key_id]).get(row.data_key_id)
    return None if key is None else _view(row, key, groups, person_id, allowed)


def _groups(tx: Tx, prompt_ids: Sequence[int]) -> dict[int, list[Any]]:
    query = (
        sa.select(PromptGroup.prompt_id, Group.id, Group.name)
        .join(Group, Group.id == PromptGroup.group_id)
        .where(PromptGroup.prompt_id.in_(prompt_ids))
        .order_by(Group.large, Group.id)
    )
    found: dict[int, list[Any]] = {each: [] for each in prompt_ids}
    for row in tx.execute(query):
        found[row.prompt_id].append(row)
    return found


def _view(row: Any, key: DataKey, groups: Sequence[Any], person_id: int | None, allowed: frozenset[int] | None) -> PromptView:
    seen = [each for each in groups if allowed is None or each.id in allowed]
    return PromptView(
        id=row.id,
        number=row.number,
        version=row.version,
        course=row.course_id,
        groups=tuple((each.id, each.name) for each in seen),
        others=len(groups) - len(seen),
        text=text_of(key, row),
        rule=rule_of(row),
        until=row.until,
        zone=row.zone,
        next_at=row.next_at,
        state=row.state,
        why=row.why or "",
        changeable=allowed is None or len(seen) == len(groups) or row.author_id == person_id,
    )


@dataclass(frozen=True)
class Fired:
    """A moment that was settled: how it ended, how many people it was for, and how many of them it reached."""

    at: datetime
    outcome: str
    total: int = 0
    reached: int = 0


def fired(tx: Tx, prompt_id: int, limit: int = 10) -> list[Fired]:
    """The newest moments of a prompt. Broadcasts are told apart by the moment at which they were made."""
    moments = sa.select(PromptFiring.fire_at, PromptFiring.fired_at, PromptFiring.outcome).where(PromptFiring.prompt_id == prompt_id)
    rows = tx.execute(moments.order_by(PromptFiring.fire_at.desc()).limit(limit)).all()
    counted = tx.execute(
        sa.select(Broadcast.created_at, Delivery.state, sa.func.count().label("number"))
        .join(Delivery, Delivery.broadcast_id == Broadcast.id)
        .where(Broadcast.prompt_id == prompt_id, Broadcast.kind == OccasionKind.PROMPT.value)
        .group_by(Broadcast.created_at, Delivery.state)
    ).all()

    def sums(at: datetime, *, reached: bool) -> int:
        return sum(each.number for each in counted if each.created_at == at and (not reached or each.state in REACHED))

    return [Fired(row.fire_at, row.outcome, sums(row.fired_at, reached=False), sums(row.fired_at, reached=True)) for row in rows]
