"""Tables: the warm words of a course, when they go out by plan, and who was given which."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class WarmWord(Table):
    """A text that a course may give: a frozen copy of a shipped one, or one of its own. Sealed under the course's key."""

    __tablename__ = "warm_words"
    __table_args__ = (UniqueConstraint("course_id", "number"), UniqueConstraint("course_id", "code"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    number: Mapped[int]  # short, for people
    code: Mapped[str | None]  # of the shipped word that was copied
    theme: Mapped[str]
    words_sealed: Mapped[bytes]  # texts by language, the author's name and the tone
    author_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    state: Mapped[str]  # proposed, approved, paused
    created_at: Mapped[datetime]


class WarmPlan(Table):
    """When a course gives words to its large group: on these days at this hour of its zone."""

    __tablename__ = "warm_plans"
    __table_args__ = (
        UniqueConstraint("course_id"),
        Index("ix_warm_plans_next_at", "next_at", sqlite_where=text("state = 'going'"), postgresql_where=text("state = 'going'")),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    days: Mapped[str]  # ISO weekdays, Monday is 1: "14"
    hour: Mapped[str]  # HH:MM
    zone: Mapped[str]
    state: Mapped[str]  # going, paused
    next_at: Mapped[datetime]
    created_at: Mapped[datetime]


class WarmFiring(Table):
    """A moment of a plan, won by exactly one process, and what became of it."""

    __tablename__ = "warm_firings"
    __table_args__ = (
        UniqueConstraint("plan_id", "fire_at"),
        Index("ix_warm_firings_going", "id", sqlite_where=text("outcome = 'going'"), postgresql_where=text("outcome = 'going'")),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("warm_plans.id", ondelete="CASCADE"))
    fire_at: Mapped[datetime]
    fired_at: Mapped[datetime]
    theme: Mapped[str]  # of the week
    word_id: Mapped[int | None] = mapped_column(ForeignKey("warm_words.id", ondelete="SET NULL"))
    outcome: Mapped[str]  # going (its audience is being written), fired, missed, rested (no words were left), nobody
    why: Mapped[str]  # late, restored, theme_used_up, used_up, or nothing
    through: Mapped[int | None]  # the last person id of the finished chunks


class WarmGiven(Table):
    """A word given to a person, once for all: by the plan, or after something that they did; and whether they thanked for it."""

    __tablename__ = "warm_given"
    __table_args__ = (
        UniqueConstraint("word_id", "person_id"),
        Index("ix_warm_given_person_id", "person_id", "course_id", "at"),
        Index(
            "uq_warm_given_first",
            "course_id",
            "person_id",
            unique=True,
            sqlite_where=text("after = 'first'"),
            postgresql_where=text("after = 'first'"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    word_id: Mapped[int] = mapped_column(ForeignKey("warm_words.id", ondelete="CASCADE"))
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    after: Mapped[str]  # first, return, wave; plan
    at: Mapped[datetime]
    broadcast_id: Mapped[int | None] = mapped_column(ForeignKey("broadcasts.id", ondelete="SET NULL"))
    thanked_at: Mapped[datetime | None]
