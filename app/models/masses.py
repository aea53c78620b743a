"""Tables: mass sends, and the tags by which WeChat knows their audiences."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class Mass(Table):
    """One mass send: what a broadcast says in one language, to those of its audience who read it.

    The id that WeChat counts as one for a day is `client_id`; beside it stands a hash of all that went under it. Whom it went to is
    written in `attempts`, whose `call` it is.
    """

    __tablename__ = "masses"
    __table_args__ = (
        UniqueConstraint("broadcast_id", "language"),
        UniqueConstraint("account_id", "client_id"),
        Index("ix_masses_msgid", "account_id", "msgid"),
        Index("ix_masses_month", "account_id", "month"),
        Index("ix_masses_next_at", "account_id", "next_at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id", ondelete="CASCADE"))
    language: Mapped[str]
    state: Mapped[str]  # planned, sending, accepted, done, failed, void
    code: Mapped[str | None]  # the platform's last errcode or status, or our word for why it is void
    generation: Mapped[int] = mapped_column(default=1)  # a part of the client id: another audience or content never goes under a former one
    client_id: Mapped[str | None]
    content_hash: Mapped[bytes | None]  # of words, tag and audience
    text_sealed: Mapped[bytes | None]  # under the broadcast's key, from the first call to the end
    in_doubt: Mapped[bool] = mapped_column(default=False)  # a call may have arrived whose answer was lost
    tries: Mapped[int] = mapped_column(default=0)
    month: Mapped[str | None]  # the month in Beijing of whose four it takes one, as 2026-11
    first_at: Mapped[datetime | None]  # the first call under this client id
    called_at: Mapped[datetime | None]  # the last one
    accepted_at: Mapped[datetime | None]
    msgid: Mapped[str | None]
    audience: Mapped[int | None]  # how many it went to, as we know it
    total: Mapped[int | None]  # as WeChat reports: addressed, left after its filters, reached, failed
    kept: Mapped[int | None]
    sent: Mapped[int | None]
    errors: Mapped[int | None]
    to_tell: Mapped[str | None]  # what the author has still to be told of it
    next_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[float | None]


class Tag(Table):
    """The tag that WeChat keeps for those members of a large group who read one language."""

    __tablename__ = "tags"
    __table_args__ = (
        UniqueConstraint("group_id", "language"),
        UniqueConstraint("account_id", "name"),
        Index("ix_tags_next", "account_id", "next_at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    language: Mapped[str]
    name: Mapped[str]
    number: Mapped[int | None]  # the platform's id; None: it was not made yet, or is gone
    mass_id: Mapped[int | None] = mapped_column(ForeignKey("masses.id", ondelete="SET NULL"))  # whose audience it holds just now
    listed_at: Mapped[datetime | None]  # when WeChat last told who has it; None: what we believe is in doubt
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    code: Mapped[str | None]
    next_at: Mapped[datetime]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[float | None]


class TagMember(Table):
    """Who has a tag, as far as we know; `refused_at`: WeChat gave it to everybody but them."""

    __tablename__ = "tag_members"
    __table_args__ = (Index("ix_tag_members_identity_id", "identity_id"),)
    tag_id: Mapped[int] = mapped_column(ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    identity_id: Mapped[int] = mapped_column(ForeignKey("identities.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    refused_at: Mapped[datetime | None]
