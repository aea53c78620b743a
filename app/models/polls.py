"""Tables: what an announcement asks its readers, and what each of them answered last."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class Poll(Table):
    """The one question of an announcement, or its "got it" tap. It takes answers from the announcement's moment until it closes."""

    __tablename__ = "polls"
    __table_args__ = (
        Index("ix_polls_open", "closes_at", sqlite_where=text("closed_at IS NULL"), postgresql_where=text("closed_at IS NULL")),
    )
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    options_sealed: Mapped[bytes | None]  # a list of labels, under the course's key; none for a "got it" tap
    closes_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]  # by the clock, by its author, or with the announcement


class PollAnswer(Table):
    """What one person chose: the option's place, from 1. A later answer takes the place of the earlier one and is counted."""

    __tablename__ = "poll_answers"
    __table_args__ = (UniqueConstraint("schedule_id", "person_id"), Index("ix_poll_answers_person_id", "person_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("polls.schedule_id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    choice: Mapped[int]
    changes: Mapped[int] = mapped_column(default=0)
    first_at: Mapped[datetime]
    at: Mapped[datetime]
