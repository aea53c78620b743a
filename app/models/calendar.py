"""Tables: where people of a running course come together, and the dated moments at which a bot speaks to a group."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class Gathering(Table):
    """A class, a weekly meeting or the retreat. `group_id`: who comes, the large group or a small one with evenings of its own."""

    __tablename__ = "gatherings"
    __table_args__ = (UniqueConstraint("group_id", "kind", "number"), Index("ix_gatherings_course_id", "course_id"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    kind: Mapped[str]  # class, meeting, retreat
    number: Mapped[int]
    starts_at: Mapped[datetime]
    minutes: Mapped[int]
    held: Mapped[bool] = mapped_column(default=True)  # False: cancelled
    link: Mapped[str | None]  # where it is held


class Occasion(Table):
    """A dated moment of a course at which a bot speaks to a group, once. `code` names it within the group, whenever it is."""

    __tablename__ = "occasions"
    __table_args__ = (UniqueConstraint("group_id", "code"), Index("ix_occasions_state", "state", "fire_at"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    gathering_id: Mapped[int | None] = mapped_column(ForeignKey("gatherings.id", ondelete="SET NULL"))
    code: Mapped[str]
    kind: Mapped[str]  # reminder, homework, homework_reminder, closing
    to: Mapped[str]  # everybody, participants, present, absent
    fire_at: Mapped[datetime]  # the next step; what goes at each person's own hour has several
    until: Mapped[datetime | None]  # the last moment of such
    details: Mapped[dict[str, Any]]  # words of the course file and what they may name: nobody's secrets
    state: Mapped[str]  # planned, fired, cancelled, missed
    why: Mapped[str]
    broadcast_id: Mapped[int | None] = mapped_column(ForeignKey("broadcasts.id", ondelete="SET NULL"))
    fired_at: Mapped[datetime | None]


class Attendance(Table):
    """Somebody was at a gathering, or made it up. `how`: word, qr, list, tick, made_up. `city`: of a retreat."""

    __tablename__ = "attendances"
    __table_args__ = (UniqueConstraint("gathering_id", "person_id"), Index("ix_attendances_person_id", "person_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    gathering_id: Mapped[int] = mapped_column(ForeignKey("gatherings.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    how: Mapped[str]
    city: Mapped[str | None]
    at: Mapped[datetime]


class MakeUp(Table):
    """Somebody says that they made up a class, and a leader has yet to confirm it; when that is done the row goes."""

    __tablename__ = "make_ups"
    __table_args__ = (UniqueConstraint("gathering_id", "person_id"), Index("ix_make_ups_person_id", "person_id"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    gathering_id: Mapped[int] = mapped_column(ForeignKey("gatherings.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    asked_at: Mapped[datetime]
