"""Hides what becomes of a flag after it was raised: its clock, the log of contacts, the closing note, who looked behind the number.

Notes are sealed under the key of the person whom they are about, so that they go with that person. A flag is closed once; whoever cries
again after that raises a new one.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import audit, ids
from app.db import Tx
from app.errors import Conflict, Invalid, NotFound
from app.flags.calling import NEXT_AFTER
from app.keyring import Keyring, Place
from app.models import Alert, Audit, Contact, Course, Flag, Person
from app.people import names

#: A flag that was taken over and is not closed after this long has perhaps been forgotten.
CLOSED_WITHIN = timedelta(hours=72)
_LONGEST_NOTE = 4_000
_OPERATOR = "operator"


@dataclass(frozen=True)
class Line:
    """A flag in a list: its clock, and nothing of the person."""

    number: int
    course: str | None
    rule: str
    raised_at: datetime
    taken_at: datetime | None
    closed_at: datetime | None
    contacts: int

    @property
    def taken_after(self) -> timedelta | None:
        """How long it waited for somebody; None while it waits."""
        return None if self.taken_at is None else self.taken_at - self.raised_at


@dataclass(frozen=True)
class Story:
    """One flag from the beginning. `taken_by` is None where the operator took over; `erased`: nothing about the person is left."""

    line: Line
    person_id: int
    erased: bool
    taken_by: int | None
    next_call_at: datetime | None
    calls: int  # how often somebody on call was alerted
    again: tuple[tuple[datetime, str], ...]  # cries of the minutes after, with the rule of each
    contacted_at: tuple[datetime, ...]


@dataclass(frozen=True)
class Revealed:
    """What is sealed about one flag. None where it was erased; `words` are empty where answers raised it, for they would be the answers."""

    name: str | None = field(repr=False)
    words: str | None = field(repr=False)
    notes: tuple[tuple[datetime, str | None], ...] = field(repr=False)
    closing: str | None = field(repr=False)


def lines(tx: Tx, *, closed: bool = False) -> list[Line]:
    """Every flag that is not closed, the oldest first; with `closed` also those that are."""
    wanted = sa.true() if closed else Flag.closed_at.is_(None)
    return [_line(row) for row in tx.execute(_query().where(wanted).order_by(Flag.number))]


def story(tx: Tx, number: int) -> Story:
    """One flag with everything that happened, without a word of anybody's. Raises `NotFound`."""
    row = _one(tx, number)
    calls = sa.select(sa.func.count(Alert.step.distinct())).where(Alert.flag_id == row.id)
    contacted = sa.select(Contact.at).where(Contact.flag_id == row.id).order_by(Contact.id)
    return Story(
        line=_line(row),
        person_id=row.person_id,
        erased=row.erased_at is not None,
        taken_by=row.acknowledged_by,
        next_call_at=row.next_alert_at,
        calls=tx.execute(calls).scalar_one(),
        again=_again(tx, row),
        contacted_at=tuple(tx.execute(contacted).scalars()),
    )


def reveal(tx: Tx, keyring: Keyring, number: int, now: datetime, *, actor: str = _OPERATOR, words: bool = True) -> Revealed:
    """Name, words and notes of one flag, in the open; that somebody looked stands in the audit. Raises `NotFound`.

    `words`: with what the person wrote; without, it stays sealed.
    """
    row = _one(tx, number)
    audit.record(tx, now, actor, "flag.reveal", f"flag:{row.id}")

    def opened(place: Place, sealed: bytes | None) -> str | None:
        return keyring.unseal(tx, row.data_key_id, place, sealed)

    noted = tx.execute(sa.select(Contact.id, Contact.at, Contact.note_sealed).where(Contact.flag_id == row.id).order_by(Contact.id)).all()
    return Revealed(
        name=names(tx, keyring, [row.person_id]).get(row.person_id),
        words=opened(Place("flags", "words_sealed", row.id), row.words_sealed) if words else None,
        notes=tuple((each.at, opened(Place("contacts", "note_sealed", each.id), each.note_sealed)) for each in noted),
        closing=opened(Place("flags", "closing_sealed", row.id), row.closing_sealed),
    )


def note_contact(tx: Tx, keyring: Keyring, number: int, note: str, now: datetime, *, actor: str = _OPERATOR) -> None:
    """Log a try to talk with the person, also while nobody has taken over. Raises `NotFound`, `Conflict` and `Invalid`."""
    row, words = _held(tx, number), _note(note)
    if row.closed_at is not None:
        raise Conflict("closed", f"Flag {number} is closed, and its log with it; a new cry raises a new flag.")
    if row.erased_at is not None:
        raise Conflict("erased", f"The person of flag {number} was erased, so nothing about them can be kept; close the flag instead.")
    contact_id = ids.new_id()
    sealed = keyring.open(tx, row.data_key_id).seal(Place("contacts", "note_sealed", contact_id), words)
    tx.execute(sa.insert(Contact).values(id=contact_id, flag_id=row.id, at=now, note_sealed=sealed))
    audit.record(tx, now, actor, "flag.contact", f"flag:{row.id}")


def close(tx: Tx, keyring: Keyring, number: int, note: str, now: datetime, *, actor: str = _OPERATOR) -> bool:
    """End a flag with a note how it ended; the calls for it stopped when somebody took it over.

    Returns whether the note was kept: of a person who was erased none is. Raises `NotFound`, `Conflict` and `Invalid`.
    """
    row, words = _held(tx, number), _note(note)
    if row.closed_at is not None:
        raise Conflict("closed", f"Flag {number} was closed at {row.closed_at:%Y-%m-%d %H:%M}Z; a new cry raises a new flag.")
    if row.acknowledged_at is None:
        raise Conflict("untaken", f"Nobody has taken flag {number} over; somebody must before it is closed: `tongban flags take {number}`.")
    kept = row.erased_at is None
    sealed = keyring.open(tx, row.data_key_id).seal(Place("flags", "closing_sealed", row.id), words) if kept else None
    tx.execute(sa.update(Flag).where(Flag.id == row.id).values(closed_at=now, closing_sealed=sealed))
    audit.record(tx, now, actor, "flag.close", f"flag:{row.id}")
    return kept


def _query() -> "sa.Select[Any]":
    contacts = sa.select(sa.func.count()).where(Contact.flag_id == Flag.id).scalar_subquery()
    return (
        sa.select(*Flag.__table__.columns, Course.code.label("course"), contacts.label("contacts"), Person.data_key_id, Person.erased_at)
        .join(Person, Person.id == Flag.person_id)
        .outerjoin(Course, Course.id == Flag.course_id)
    )


def _line(row: Any) -> Line:
    return Line(row.number, row.course, row.rule, row.raised_at, row.acknowledged_at, row.closed_at, row.contacts)


def _one(tx: Tx, number: int) -> Any:
    row = tx.execute(_query().where(Flag.number == number)).one_or_none()
    if row is None:
        raise NotFound("flag", f"There is no flag {number}; `tongban flags list --all` shows every one.")
    return row


def _held(tx: Tx, number: int) -> Any:
    """The flag, ours alone until the end of the transaction, so that a note does not come in behind a closing."""
    tx.execute(sa.select(Flag.id).where(Flag.number == number).with_for_update())
    return _one(tx, number)


def _again(tx: Tx, row: Any) -> tuple[tuple[datetime, str], ...]:
    """They stand in the audit only, and in the minutes after the flag only: the index by moment finds them."""
    minutes = Audit.at.between(row.raised_at, row.raised_at + NEXT_AFTER)
    query = sa.select(Audit.at, Audit.details).where(minutes, Audit.action == "flag.again", Audit.subject == f"flag:{row.id}")
    return tuple((each.at, str(each.details.get("rule", ""))) for each in tx.execute(query.order_by(Audit.id)))


def _note(text: str) -> str:
    """What may be kept as a note. Raises `Invalid`."""
    words = text.strip()
    if not words:
        raise Invalid("note", "The note is empty; say in a few words what was done.")
    if len(words) > _LONGEST_NOTE:
        raise Invalid("note", f"The note has {len(words)} characters; write what matters in at most {_LONGEST_NOTE}.")
    try:
        words.encode()
    except UnicodeEncodeError:
        raise Invalid("note", "The note is no text in UTF-8; write it anew.") from None
    return words
