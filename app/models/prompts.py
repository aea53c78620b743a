"""Tables: practice prompts, which words go to which groups by which rule, and each moment at which one fired or was missed."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class Prompt(Table):
    """Words that go out by a rule in local time. `after_at`: everything up to here is settled; the next moment follows from the rule.

    The words rest under the course's key. Who wrote them last is their author, and speaks.
    """

    __tablename__ = "prompts"
    __table_args__ = (
        UniqueConstraint("course_id", "number"),
        UniqueConstraint("author_id", "draft"),
        Index("ix_prompts_state", "state", "next_at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))  # None: the operator
    number: Mapped[int]  # short, for people
    draft: Mapped[int | None]  # the last preview that was confirmed: a double confirmation finds it taken
    version: Mapped[int] = mapped_column(default=1)  # grows with each change of words, groups or times
    words_sealed: Mapped[bytes]
    rule: Mapped[str]  # `bots.recurrence.Rule.code`
    zone: Mapped[str]  # IANA, of the course when it was planned
    until: Mapped[date]  # the last day, in that zone
    after_at: Mapped[datetime]
    next_at: Mapped[datetime | None]  # None where nothing is to come by itself
    state: Mapped[str]  # running, paused, done, cancelled, stopped (docs/states.md)
    why: Mapped[str | None]
    created_at: Mapped[datetime]


class PromptGroup(Table):
    """A group to which a prompt goes."""

    __tablename__ = "prompt_groups"
    __table_args__ = (UniqueConstraint("prompt_id", "group_id"), Index("ix_prompt_groups_group_id", "group_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    prompt_id: Mapped[int] = mapped_column(ForeignKey("prompts.id", ondelete="CASCADE"))
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))


class PromptFiring(Table):
    """A prompt's moment, won by exactly one process."""

    __tablename__ = "prompt_firings"
    __table_args__ = (UniqueConstraint("prompt_id", "fire_at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    prompt_id: Mapped[int] = mapped_column(ForeignKey("prompts.id", ondelete="CASCADE"))
    fire_at: Mapped[datetime]
    fired_at: Mapped[datetime]
    outcome: Mapped[str]  # fired, missed, refused
