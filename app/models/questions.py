"""Tables: what participants ask the leader of their small group, who answers, and who is away meanwhile."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class Question(Table):
    """A question to the leader and the assistants of one small group. Its words are `QuestionWords`, sealed under the asker's own key."""

    __tablename__ = "questions"
    __table_args__ = (
        UniqueConstraint("course_id", "number"),
        Index("ix_questions_person_id", "person_id"),
        Index("ix_questions_group_id", "group_id", "state"),
        Index(
            "ix_questions_next_at",
            "next_at",
            sqlite_where=text("next_at IS NOT NULL"),
            postgresql_where=text("next_at IS NOT NULL"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))  # who asks
    number: Mapped[int]  # short, for people
    state: Mapped[str]  # open, claimed, answered, closed (it helped), taken_back, left (who asked is gone)
    answerer_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    asked_at: Mapped[datetime]
    claimed_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    step: Mapped[int] = mapped_column(default=0)  # how often it was called for, or its answerer reminded, since it came to this state
    next_at: Mapped[datetime | None]  # when the next step of that kind is due


class QuestionWords(Table):
    """One thing that was said about a question, in its order: by who asks, or in answer."""

    __tablename__ = "question_words"
    __table_args__ = (UniqueConstraint("question_id", "place"), UniqueConstraint("question_id", "draft"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    question_id: Mapped[int] = mapped_column(ForeignKey("questions.id", ondelete="CASCADE"))
    place: Mapped[int]  # from 1
    asked: Mapped[bool]  # by who asks; else an answer
    author_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    draft: Mapped[int | None]  # the dialogue's id: a double confirmation finds it taken
    words_sealed: Mapped[bytes]  # under the key of who asks
    at: Mapped[datetime]


class QuestionCall(Table):
    """A broadcast that carries something of a question: a call for it, an answer, a reminder."""

    __tablename__ = "question_calls"
    __table_args__ = (UniqueConstraint("broadcast_id"), Index("ix_question_calls_question_id", "question_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    question_id: Mapped[int] = mapped_column(ForeignKey("questions.id", ondelete="CASCADE"))
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id", ondelete="CASCADE"))
    kind: Mapped[str]  # call, answer, reminder


class Absence(Table):
    """A leader is away from a group, from when to when; meanwhile `cover_id` is called first."""

    __tablename__ = "absences"
    __table_args__ = (Index("ix_absences_group_id", "group_id", "ends_at"), Index("ix_absences_person_id", "person_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    cover_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]  # ended before its time
