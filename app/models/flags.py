"""Tables: cries for help and who is called."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class Flag(Table):
    """A person may be in danger: which rule saw it, who took it over, how it ended."""

    __tablename__ = "flags"
    __table_args__ = (UniqueConstraint("number"), Index("ix_flags_open", "acknowledged_at", "next_alert_at"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]  # short, for people to type
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    course_id: Mapped[int | None] = mapped_column(ForeignKey("courses.id", ondelete="SET NULL"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    rule: Mapped[str]
    words_sealed: Mapped[bytes]
    raised_at: Mapped[datetime]
    step: Mapped[int] = mapped_column(default=0)  # how many on-call people have been alerted
    next_alert_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    closed_at: Mapped[datetime | None]
    closing_sealed: Mapped[bytes | None]  # how it ended, under the person's own key


class Contact(Table):
    """One try to talk with somebody about a flag, as whoever made it wrote it down."""

    __tablename__ = "contacts"
    __table_args__ = (Index("ix_contacts_flag_id", "flag_id"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    flag_id: Mapped[int] = mapped_column(ForeignKey("flags.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    note_sealed: Mapped[bytes]  # under the person's own key


class OnCall(Table):
    """Who is alerted for a course, in which order, and how outside WeChat."""

    __tablename__ = "oncall"
    __table_args__ = (UniqueConstraint("course_id", "position"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    position: Mapped[int]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    email_sealed: Mapped[bytes | None]
    webhook_sealed: Mapped[bytes | None]


class Alert(Table):
    """One alert over one route to one on-call person; chat alerts are deliveries and are named here too."""

    __tablename__ = "alerts"
    __table_args__ = (UniqueConstraint("flag_id", "oncall_id", "route", "step"), Index("ix_alerts_state", "state", "due_at"))
    id: Mapped[int] = mapped_column(primary_key=True)
    flag_id: Mapped[int | None] = mapped_column(ForeignKey("flags.id", ondelete="CASCADE"))
    oncall_id: Mapped[int] = mapped_column(ForeignKey("oncall.id", ondelete="CASCADE"))
    step: Mapped[int]  # of the flag, from 1
    route: Mapped[str]  # chat, email, webhook
    state: Mapped[str]  # ready, sending, sent, failed, cancelled (somebody took over)
    due_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[float | None]
    error: Mapped[str | None]
    broadcast_id: Mapped[int | None] = mapped_column(ForeignKey("broadcasts.id", ondelete="SET NULL"))
