"""Hides how an assignment goes from state to state: each change with its moment and its cause, and what ends with it."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from app.db import Tx
from app.db.prepared import Prepared, slot
from app.models import Assignment, AssignmentChange, Broadcast, Delivery, GivenAnswer, Sheet
from app.models.columns import one_of
from app.states import ANSWERABLE, STOPPABLE, Asked, State

#: As the partial index has it: SQLite recognises no other words.
OPEN = one_of(Assignment.state, ANSWERABLE)


def move(tx: Tx, assignment_id: int, state: Asked, cause: str, now: datetime) -> None:
    """The assignment stands here from now on."""
    _STAND.run(tx, assignment=assignment_id, state=state.value, now=now)
    _CHANGE.run(tx, assignment_id=assignment_id, state=state.value, cause=cause, at=now)


def count(tx: Tx, wave_ids: Sequence[int], *which: "sa.ColumnElement[bool]") -> dict[int, dict[Asked, int]]:
    """How many people stand in each state of these waves, of those assignments for which `which` holds; a state without anybody is 0.

    A word that is none of our states, which only somebody at the database can have written, is left out: an export tells none.
    """
    known = (Assignment.wave_id.in_(wave_ids), Assignment.state.in_([state.value for state in Asked]))
    query = sa.select(Assignment.wave_id, Assignment.state, sa.func.count().label("number")).where(*known, *which)
    found = {wave_id: dict.fromkeys(Asked, 0) for wave_id in wave_ids}
    for row in tx.execute(query.group_by(Assignment.wave_id, Assignment.state)):
        found[row.wave_id][Asked(row.state)] = row.number
    return found


def all_become(tx: Tx, which: "sa.ColumnElement[bool]", state: Asked, cause: str, now: datetime) -> None:
    """All assignments for which this holds stand here from now on."""
    # Whoever is answering one just now is waited for, so that the change and the state are told of the same people.
    tx.execute(sa.select(Assignment.id).where(which).order_by(Assignment.id).with_for_update())
    changes = sa.select(Assignment.id, sa.literal(state.value), sa.literal(cause), sa.literal(now, AssignmentChange.__table__.c.at.type))
    tx.execute(sa.insert(AssignmentChange).from_select(["assignment_id", "state", "cause", "at"], changes.where(which)))
    tx.execute(sa.update(Assignment).where(which).values(state=state.value, changed_at=now, remind_at=None))


def end(tx: Tx, assignment_id: int, state: Asked, cause: str, now: datetime) -> None:
    """Nothing more is asked."""
    move(tx, assignment_id, state, cause, now)
    tx.execute(sa.update(Assignment).where(Assignment.id == assignment_id).values(remind_at=None))
    take_back(tx, assignment_id, now)


def take_back(tx: Tx, assignment_id: int, now: datetime) -> None:
    """Take back the invitation and the reminders that have not left; those of the person's other waves stay."""
    mine = tx.execute(sa.select(Assignment.person_id, Assignment.wave_id).where(Assignment.id == assignment_id)).one()
    ours = sa.select(Broadcast.id).where(Broadcast.wave_id == mine.wave_id, Broadcast.state == "going")
    tx.execute(
        sa.update(Delivery)
        .where(Delivery.person_id == mine.person_id, Delivery.broadcast_id.in_(ours), Delivery.state.in_(STOPPABLE))
        .values(state=State.CANCELLED, reason="answered", changed_at=now, lease_owner=None, lease_until=None)
    )


def withdraw(tx: Tx, person_id: int, now: datetime, *, erase_answers: bool) -> None:
    """The person leaves: what is open ends; with `erase_answers` every answer of theirs is deleted, else they stay, unnamed."""
    mine = Assignment.person_id == person_id
    all_become(tx, sa.and_(mine, OPEN), Asked.WITHDRAWN, "withdrew", now)
    if erase_answers:
        sheets = sa.select(Sheet.id).join(Assignment, Assignment.id == Sheet.assignment_id).where(mine)
        tx.execute(sa.delete(GivenAnswer).where(GivenAnswer.sheet_id.in_(sheets)))
        tx.execute(sa.update(Sheet).where(Sheet.id.in_(sheets)).values(answers={}))


_STAND = Prepared(
    lambda _: [
        sa.update(Assignment)
        .where(Assignment.id == slot("assignment", Assignment.id))
        .values(state=slot("state", Assignment.state), changed_at=slot("now", Assignment.changed_at))
    ]
)
_CHANGED = ("assignment_id", "state", "cause", "at")
_CHANGE = Prepared(
    lambda _: [sa.insert(AssignmentChange).values({name: slot(name, AssignmentChange.__table__.c[name]) for name in _CHANGED})]
)
