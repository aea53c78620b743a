"""Hides what the pages of flags show and do: cries for help with their clock, never what somebody wrote or answered.

The list and a flag's page hold no name. Whom it is about, and the notes, are shown to whoever asks for them, and the audit says so.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import access, flags
from app.console.actors import Actor
from app.console.rules import RUNS
from app.db import Tx
from app.errors import Conflict
from app.flags import CLOSED_WITHIN, NEXT_AFTER, Revealed, Story
from app.groups import Refused
from app.keyring import Keyring
from app.models import Course, Flag
from app.people import names
from bots.questionnaire.thresholds import from_answers

#: Flags on one page of those that are closed.
PAGE = 50


@dataclass(frozen=True)
class FlagLine:
    """A flag with its clock. `state`: waiting, taken or closed; `late`: nobody came within what is promised. `by_answers`: not words."""

    id: int
    number: int
    course: str
    by_answers: bool
    state: str
    late: bool
    raised_at: datetime
    taken_at: datetime | None
    closed_at: datetime | None
    waits: timedelta  # until somebody took it over, or until now


@dataclass(frozen=True)
class FlagList:
    """Open flags, those that nobody has taken first; and a page of those that are closed."""

    open: tuple[FlagLine, ...]
    closed: tuple[FlagLine, ...]
    more: bool


@dataclass(frozen=True)
class FlagPage:
    """One flag. `taken_by` is a name of the staff; empty where the operator took over, or nobody."""

    line: FlagLine
    story: Story
    taken_by: str = field(repr=False)
    mine: bool


def listed(tx: Tx, actor: Actor, number: int, now: datetime) -> FlagList:
    """The flags that this person may follow; page `number`, from 0, of the closed ones."""
    mine = _query().where(Flag.id.in_(access.flags_of(actor.person_id, RUNS, on_call=actor.on_call)))
    standing = tx.execute(mine.where(Flag.closed_at.is_(None)).order_by(Flag.acknowledged_at.is_not(None), Flag.raised_at, Flag.id)).all()
    over = mine.where(Flag.closed_at.is_not(None)).order_by(Flag.closed_at.desc(), Flag.id).limit(PAGE + 1).offset(number * PAGE)
    closed = tx.execute(over).all()
    return FlagList(tuple(_line(row, now) for row in standing), tuple(_line(row, now) for row in closed[:PAGE]), len(closed) > PAGE)


def page(tx: Tx, keyring: Keyring, actor: Actor, flag_id: int, now: datetime) -> FlagPage:
    """One flag of theirs with everything that happened, without anybody's words."""
    line = _line(tx.execute(_query().where(Flag.id == flag_id)).one(), now)
    story = flags.story(tx, line.number)
    by = story.taken_by
    known = names(tx, keyring, [by]) if by is not None else {}
    return FlagPage(line, story, "" if by is None else known.get(by, "?"), mine=by == actor.person_id)


def reveal(tx: Tx, keyring: Keyring, actor: Actor, flag_id: int, now: datetime) -> Revealed:
    """Whom a flag is about, and the notes; that this person looked stands in the audit. What was written or answered stays sealed."""
    return flags.reveal(tx, keyring, _number(tx, flag_id), now, actor=actor.word, words=False)


def take(tx: Tx, actor: Actor, flag_id: int, now: datetime) -> None:
    """Take a flag over; nobody else is called for it. Raises `Conflict` ("taken") where somebody else was first."""
    try:
        flags.take_over(tx, _number(tx, flag_id), now, person_id=actor.person_id)
    except Refused:
        raise Conflict("taken", "Somebody else has taken this over already.") from None


def note_contact(tx: Tx, keyring: Keyring, actor: Actor, flag_id: int, note: str, now: datetime) -> None:
    """Log a try to talk with the person. Raises `Conflict` ("closed", "erased") and `Invalid` ("note")."""
    flags.note_contact(tx, keyring, _number(tx, flag_id), note, now, actor=actor.word)


def close(tx: Tx, keyring: Keyring, actor: Actor, flag_id: int, note: str, now: datetime) -> None:
    """End a flag with a note how it ended. Raises `Conflict` ("closed", "untaken") and `Invalid` ("note")."""
    flags.close(tx, keyring, _number(tx, flag_id), note, now, actor=actor.word)


def _number(tx: Tx, flag_id: int) -> int:
    return tx.execute(sa.select(Flag.number).where(Flag.id == flag_id)).scalar_one()


def _query() -> "sa.Select[*tuple[Any, ...]]":
    columns = (Flag.id, Flag.number, Flag.rule, Flag.raised_at, Flag.acknowledged_at, Flag.closed_at, Course.title)
    return sa.select(*columns).outerjoin(Course, Course.id == Flag.course_id)


def _line(row: Any, now: datetime) -> FlagLine:
    state = "closed" if row.closed_at else "taken" if row.acknowledged_at else "waiting"
    late = {
        "waiting": now - row.raised_at > NEXT_AFTER,
        "taken": row.acknowledged_at is not None and now - row.acknowledged_at > CLOSED_WITHIN,
        "closed": False,
    }[state]
    return FlagLine(
        id=row.id,
        number=row.number,
        course=row.title or "",
        by_answers=from_answers(row.rule),
        state=state,
        late=late,
        raised_at=row.raised_at,
        taken_at=row.acknowledged_at,
        closed_at=row.closed_at,
        waits=max(timedelta(), (row.acknowledged_at or row.closed_at or now) - row.raised_at),
    )
