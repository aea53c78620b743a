"""Tables: what shall go out, to whom, and what became of it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table, one_of


class Schedule(Table):
    """Something that shall go out at a moment, once (recurring rules come with the course)."""

    __tablename__ = "schedules"
    __table_args__ = (
        UniqueConstraint("course_id", "number"),
        UniqueConstraint("author_id", "draft"),
        Index("ix_schedules_state", "state", "fire_at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    integration_id: Mapped[int | None] = mapped_column(ForeignKey("integrations.id", ondelete="SET NULL"))  # the system that planned it
    number: Mapped[int]  # short, for people
    draft: Mapped[int | None]  # the dialogue's id: a double confirmation finds it taken
    kind: Mapped[str]
    details_sealed: Mapped[bytes]
    details_hash: Mapped[bytes]  # keyed, to recognise equal words within ten minutes
    fire_at: Mapped[datetime]
    state: Mapped[str]  # waiting (for a second pair of eyes), returned (by them), planned, fired, cancelled, missed
    why: Mapped[str | None]
    by_mass: Mapped[bool] = mapped_column(default=False, server_default="0")  # an administrator chose a mass send
    created_at: Mapped[datetime]


class Approval(Table):
    """That an announcement to many is for a second person to see first: which version of it, and what they said. One row, the latest."""

    __tablename__ = "approvals"
    __table_args__ = (Index("ix_approvals_state", "state", "until"),)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    version: Mapped[str]  # a keyed mark of everything that they see of it: words, group, moment, what it asks
    at_once: Mapped[bool]  # it goes when it is approved, at no moment of its own
    state: Mapped[str]  # asked, approved, returned, late
    why: Mapped[str]  # many, grew, changed, approver: for what reason it was asked
    asked_at: Mapped[datetime]
    until: Mapped[datetime]  # later than this it does not go out any more
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    decided_at: Mapped[datetime | None]
    note_sealed: Mapped[bytes | None]  # the sentence with which it was returned


class Firing(Table):
    """A schedule's moment, won by exactly one process."""

    __tablename__ = "firings"
    __table_args__ = (UniqueConstraint("schedule_id", "fire_at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"))
    fire_at: Mapped[datetime]
    fired_at: Mapped[datetime]
    broadcast_id: Mapped[int | None] = mapped_column(ForeignKey("broadcasts.id", ondelete="SET NULL"))
    outcome: Mapped[str]  # fired, missed, refused


class Broadcast(Table):
    """One message to a set of people: an announcement to a group, an alert to the on-call people, a report to an author."""

    __tablename__ = "broadcasts"
    __table_args__ = (
        Index("ix_broadcasts_state", "state"),
        Index("ix_broadcasts_schedule_id", "schedule_id"),
        Index("ix_broadcasts_prompt_id", "prompt_id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    course_id: Mapped[int | None] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id", ondelete="SET NULL"))
    schedule_id: Mapped[int | None] = mapped_column(ForeignKey("schedules.id", ondelete="SET NULL"))
    wave_id: Mapped[int | None] = mapped_column(ForeignKey("waves.id", ondelete="SET NULL"))  # whose invitation or reminder it is
    prompt_id: Mapped[int | None] = mapped_column(ForeignKey("prompts.id", ondelete="SET NULL"))  # the practice prompt that fired
    author_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    data_key_id: Mapped[int] = mapped_column(ForeignKey("data_keys.id", ondelete="RESTRICT"))
    bot: Mapped[str]
    kind: Mapped[str]
    details_sealed: Mapped[bytes]
    priority: Mapped[int]  # 0 alerts and replies, 5 announcements, 9 bulk
    urgent: Mapped[bool] = mapped_column(default=False)  # never waits silently, knows no quiet hours
    by_mass: Mapped[bool] = mapped_column(default=False, server_default="0")  # as mass sends first, and what is left over as ever
    state: Mapped[str]  # expanding, going, done, cancelled
    created_at: Mapped[datetime]
    stale_at: Mapped[datetime | None]
    expanded_through: Mapped[int | None]  # the last person id of the finished chunks


class Delivery(Table):
    """One broadcast to one person: exactly one state, with a reason (docs/states.md)."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("broadcast_id", "person_id", "part"),
        Index(
            "ix_deliveries_due",
            "account_id",
            "priority",
            "broadcast_id",
            "due_at",
            "id",
            sqlite_where=text("state IN ('ready', 'retry')"),
            postgresql_where=text("state IN ('ready', 'retry')"),
        ),
        Index(
            "ix_deliveries_open",
            "person_id",
            "id",
            sqlite_where=text("state IN ('waiting', 'notified')"),
            postgresql_where=text("state IN ('waiting', 'notified')"),
        ),
        Index(
            "ix_deliveries_open_by_broadcast",
            "broadcast_id",
            sqlite_where=text("state IN ('waiting', 'notified')"),
            postgresql_where=text("state IN ('waiting', 'notified')"),
        ),
        Index(
            "ix_deliveries_leased",
            "state",
            "lease_until",
            sqlite_where=text("state IN ('claimed', 'sending')"),
            postgresql_where=text("state IN ('claimed', 'sending')"),
        ),
        Index(
            "ix_deliveries_in_doubt",
            "state",
            "broadcast_id",
            sqlite_where=text("state IN ('held', 'unknown')"),
            postgresql_where=text("state IN ('held', 'unknown')"),
        ),
        Index(
            "ix_deliveries_inbox_id", "inbox_id", sqlite_where=text("inbox_id IS NOT NULL"), postgresql_where=text("inbox_id IS NOT NULL")
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    part: Mapped[int] = mapped_column(default=0)
    priority: Mapped[int]
    state: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")  # a key of the state's explanation (docs/states.md)
    code: Mapped[str | None]  # the platform's own errcode or status
    route: Mapped[str | None]
    due_at: Mapped[datetime]
    stale_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[float | None]
    attempts: Mapped[int] = mapped_column(default=0)
    notified_at: Mapped[datetime | None]  # a notice pointed to it: nobody is notified of the same words twice
    inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id", ondelete="SET NULL"))


class Attempt(Table):
    """One try to hand deliveries to the platform. Deliveries that went condensed into one message share a `call`."""

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("delivery_id", "number"),
        Index("ix_attempts_msgid", "msgid", sqlite_where=text("msgid IS NOT NULL"), postgresql_where=text("msgid IS NOT NULL")),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"))
    number: Mapped[int]
    call: Mapped[str]
    route: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    code: Mapped[str | None]
    msgid: Mapped[str | None]


class Receipt(Table):
    """What the platform reported later about a message; it may come before our own call returned, or twice."""

    __tablename__ = "receipts"
    __table_args__ = (
        UniqueConstraint("account_id", "msgid"),
        Index("ix_receipts_missed", "id", sqlite_where=text("applied_at IS NULL"), postgresql_where=text("applied_at IS NULL")),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    msgid: Mapped[str]
    status: Mapped[str]
    counts: Mapped[dict[str, Any] | None]  # of a mass send: total, kept, sent, errors
    received_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]


def stands(states: Iterable[str]) -> ColumnElement[bool]:
    """Whether a delivery is in one of these states, written out in this order, so that SQLite recognises a partial index's condition."""
    return one_of(Delivery.state, states)
