"""Tables: what people practised, and at which hour of their day practices come."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class CheckIn(Table):
    """Somebody practised something on a day of theirs, once. The line is sealed under the person's own key."""

    __tablename__ = "check_ins"
    __table_args__ = (
        UniqueConstraint("course_id", "person_id", "day", "practice"),
        Index("ix_check_ins_person_id", "person_id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    day: Mapped[date]  # where the person was
    practice: Mapped[str]  # its code in the course file
    minutes: Mapped[int | None]
    line_sealed: Mapped[bytes | None]
    shared_at: Mapped[datetime | None]  # from then on those who lead the small group see minutes and line
    told_at: Mapped[datetime | None]  # when the small group got it as a message
    broadcast_id: Mapped[int | None] = mapped_column(ForeignKey("broadcasts.id", ondelete="SET NULL"))  # that message
    noted_at: Mapped[datetime]


class PracticeHour(Table):
    """At which hour of their day somebody gets practices. `hour` None: they were asked, and keep the course's."""

    __tablename__ = "practice_hours"
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    hour: Mapped[str | None]  # HH:MM, a half hour
    asked_at: Mapped[datetime]
