"""Hides how the practice prompts of a leader who goes become a successor's: whole, or that part of them which goes to the group."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import audit, ids
from app.db import Tx
from app.keyring import Keyring, Place
from app.models import Prompt, PromptGroup
from app.prompts.planning import STEERABLE, text_of, with_course


def pass_on(tx: Tx, keyring: Keyring, group_id: int, from_id: int, to_id: int, now: datetime, actor: str) -> tuple[int, ...]:
    """Let what the former sends to a group go on in the successor's name, at the same times; returns its numbers.

    One that goes to other groups too stays the former's there, and this group gets one of its own. Who fires just now has the row, and
    what it settled is not fired again. How many prompts one author may have is not counted here: nothing is lost by a hand-over.
    """
    goes = sa.select(PromptGroup.prompt_id).where(PromptGroup.group_id == group_id)
    query = with_course().where(Prompt.author_id == from_id, Prompt.id.in_(goes), Prompt.state.in_(STEERABLE)).order_by(Prompt.number)
    rows = tx.execute(query.with_for_update(of=Prompt)).all()
    return tuple(_pass(tx, keyring, row, group_id, to_id, now, actor) for row in rows)


def _pass(tx: Tx, keyring: Keyring, row: Any, group_id: int, to_id: int, now: datetime, actor: str) -> int:
    others = sa.select(PromptGroup.id).where(PromptGroup.prompt_id == row.id, PromptGroup.group_id != group_id)
    if tx.execute(others.limit(1)).first() is None:
        # The draft's id was for a double confirmation of the former's; whoever looks at it just now looks again.
        values = {"author_id": to_id, "draft": None, "version": row.version + 1}
        tx.execute(sa.update(Prompt).where(Prompt.id == row.id).values(**values))
        prompt_id, number = row.id, row.number
    else:
        prompt_id, number = _part(tx, keyring, row, group_id, to_id, now)
    audit.record(tx, now, actor, "prompt.hand_over", f"prompt:{prompt_id}", former=row.author_id, successor=to_id, of=row.id)
    return int(number)


def _part(tx: Tx, keyring: Keyring, row: Any, group_id: int, to_id: int, now: datetime) -> tuple[int, int]:
    """A prompt of its own for the group, which goes on where the other one stands; its id and number."""
    prompt_id, key = ids.new_id(), keyring.open(tx, row.data_key_id)
    number = tx.execute(sa.select(sa.func.max(Prompt.number)).where(Prompt.course_id == row.course_id)).scalar_one() + 1
    kept = {name: getattr(row, name) for name in ("course_id", "rule", "zone", "until", "after_at", "next_at", "state", "why")}
    sealed = key.seal(Place("prompts", "words_sealed", prompt_id), text_of(key, row))
    made = {"id": prompt_id, "author_id": to_id, "number": number, "words_sealed": sealed, "created_at": now, **kept}
    tx.execute(sa.insert(Prompt).values(**made))
    tx.execute(sa.update(PromptGroup).where(PromptGroup.prompt_id == row.id, PromptGroup.group_id == group_id).values(prompt_id=prompt_id))
    tx.execute(sa.update(Prompt).where(Prompt.id == row.id).values(version=row.version + 1))
    return prompt_id, number
