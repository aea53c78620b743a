"""Tables: waves of questionnaires, whom they are put to, and every answer with its versions."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class Wave(Table):
    """A round of questionnaires in a course: open from `opens_at` on, and no longer at `closes_at`."""

    __tablename__ = "waves"
    __table_args__ = (UniqueConstraint("course_id", "code"), Index("ix_waves_state", "state"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    code: Mapped[str]
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime]
    late: Mapped[str]  # keep (and mark) or refuse what comes after the window
    skips: Mapped[bool]  # whether a question may be left out
    shuffled: Mapped[bool]  # whether each person has the instruments in an order of their own
    plan: Mapped[dict[str, Any]]  # frozen: instruments with version, wording and frame; titles; the rule of reminders
    state: Mapped[str]  # planned, open, closed; missed: should have opened while it rested in a backup
    created_at: Mapped[datetime]


class Assignment(Table):
    """One wave put to one person, in the words of survey science (docs/states.md)."""

    __tablename__ = "assignments"
    __table_args__ = (
        UniqueConstraint("wave_id", "person_id"),
        Index(
            "ix_assignments_open",
            "person_id",
            "account_id",
            sqlite_where=text("state IN ('invited', 'reached', 'opened', 'partial')"),
            postgresql_where=text("state IN ('invited', 'reached', 'opened', 'partial')"),
        ),
        Index(
            "ix_assignments_remind_at",
            "remind_at",
            sqlite_where=text("remind_at IS NOT NULL"),
            postgresql_where=text("remind_at IS NOT NULL"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    wave_id: Mapped[int] = mapped_column(ForeignKey("waves.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    seed: Mapped[int]  # by which the order of the instruments was drawn
    state: Mapped[str]
    changed_at: Mapped[datetime]
    broadcast_id: Mapped[int | None] = mapped_column(ForeignKey("broadcasts.id", ondelete="SET NULL"))  # the invitation
    remind_at: Mapped[datetime | None]
    reminders: Mapped[int] = mapped_column(default=0)  # by the rule; what somebody asked for themself is not counted


class AssignmentChange(Table):
    """A state that an assignment came into: when, and by what."""

    __tablename__ = "assignment_changes"
    __table_args__ = (Index("ix_assignment_changes_assignment_id", "assignment_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignments.id", ondelete="CASCADE"))
    state: Mapped[str]
    cause: Mapped[str]
    at: Mapped[datetime]


class Sheet(Table):
    """One instrument of an assignment; its version and wording never change. `answers`: item to [value or null, how often it was given]."""

    __tablename__ = "sheets"
    __table_args__ = (UniqueConstraint("assignment_id", "place"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignments.id", ondelete="CASCADE"))
    place: Mapped[int]  # from 1, in the order in which this person has them
    instrument: Mapped[str]
    version: Mapped[int]
    checksum: Mapped[str]
    wording_id: Mapped[int | None] = mapped_column(ForeignKey("wordings.id", ondelete="RESTRICT"))
    frame: Mapped[str | None]
    answers: Mapped[dict[str, Any]]
    changed_at: Mapped[datetime]
    handed_in_at: Mapped[datetime | None]
    asked: Mapped[int | None]  # how many items this person was asked, once it is handed in


class GivenAnswer(Table):
    """One answer to one item, in each version that was given; the last one counts. `raw`: the spelling, from a closed table."""

    __tablename__ = "answers"
    __table_args__ = (UniqueConstraint("sheet_id", "item", "version"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sheet_id: Mapped[int] = mapped_column(ForeignKey("sheets.id", ondelete="CASCADE"))
    item: Mapped[int]
    version: Mapped[int]  # from 1
    value: Mapped[int | None]
    missing: Mapped[str | None]  # why there is no value: skipped
    raw: Mapped[str | None]
    text_sealed: Mapped[bytes | None]  # words of their own, where an item asks for some
    road: Mapped[str]  # tapped, typed, many (one of several in a message), web
    at: Mapped[datetime]


class Wording(Table):
    """The words of an instrument that a study brought, frozen when they were imported."""

    __tablename__ = "wordings"
    __table_args__ = (UniqueConstraint("instrument", "version", "checksum"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    instrument: Mapped[str]
    version: Mapped[int]  # of the instrument
    words: Mapped[dict[str, Any]]  # language to title, opening, items and labels
    source: Mapped[str]
    permission: Mapped[str]
    translation: Mapped[str]  # how far the translation was checked
    checksum: Mapped[str]
    imported_at: Mapped[datetime]
