"""Tables: other systems that may use the API, what they may see and do, and what they were answered lately.

Moments here are the machine's, as those of the console: a demo that moves its clock takes no token away and forgets no answer.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class Integration(Table):
    """Another system with a token. Only a keyed hash of the token is here; once revoked it stays so, and its row stays."""

    __tablename__ = "integrations"
    __table_args__ = (UniqueConstraint("token_index"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    scopes: Mapped[str]  # words of a closed list, with spaces between them
    token_index: Mapped[bytes | None]  # None: a restore took it away, until it is renewed
    created_by: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))  # None: the operator
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    minute: Mapped[datetime | None]  # the minute in which its calls are counted
    calls: Mapped[int] = mapped_column(default=0)


class IntegrationCourse(Table):
    """A course that an integration may see."""

    __tablename__ = "integration_courses"
    __table_args__ = (Index("ix_integration_courses_course_id", "course_id"),)
    integration_id: Mapped[int] = mapped_column(ForeignKey("integrations.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)


class IdempotencyKey(Table):
    """A request that was carried out, by keyed hashes of its key and of itself, with the answer that a repeat gets."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("integration_id", "key_index"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    integration_id: Mapped[int] = mapped_column(ForeignKey("integrations.id", ondelete="CASCADE"))
    key_index: Mapped[bytes]
    request_index: Mapped[bytes]
    data_key_id: Mapped[int] = mapped_column(ForeignKey("data_keys.id", ondelete="RESTRICT"))  # the course's
    status: Mapped[int | None]  # None only within the transaction that carries the request out
    answer_sealed: Mapped[bytes | None]
    created_at: Mapped[datetime]
