"""Tables: persons, how an account knows them, and what they said and may be sent."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class Person(Table):
    """One human being. `paused_at`: we start nothing. `erased_at`: the data key is destroyed and nothing readable is left."""

    __tablename__ = "persons"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data_key_id: Mapped[int] = mapped_column(ForeignKey("data_keys.id", ondelete="RESTRICT"))
    name_sealed: Mapped[bytes | None]
    phone_sealed: Mapped[bytes | None]
    language: Mapped[str] = mapped_column(default="zh")
    zone: Mapped[str] = mapped_column(default="Asia/Shanghai")
    paused_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Identity(Table):
    """How a person is known to one account: the openid, sealed, and its blind index."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("account_id", "openid_index"), UniqueConstraint("person_id", "account_id"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    openid_sealed: Mapped[bytes | None]
    openid_index: Mapped[bytes]
    followed_at: Mapped[datetime | None]
    unfollowed_at: Mapped[datetime | None]
    unreachable_code: Mapped[str | None]  # the platform's own word for "this recipient is closed"


class Conversation(Table):
    """What the bots remember of one person at one account; the last entry of `floor` is the bot that spoke last."""

    __tablename__ = "conversations"
    __table_args__ = (UniqueConstraint("person_id", "account_id"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    floor_sealed: Mapped[bytes | None]
    busy: Mapped[bool] = mapped_column(default=False)  # a dialogue is open: nothing rides along
    recent: Mapped[dict[str, Any]]  # the last equal exchanges, for the loop breaker
    changed_at: Mapped[datetime]


class Allowance(Table):
    """What a person's last actions allow us to send them, as far as we know (the platform's word corrects it); and what we started."""

    __tablename__ = "allowances"
    __table_args__ = (Index("ix_allowances_account_id", "account_id", "typed_until"),)
    identity_id: Mapped[int] = mapped_column(ForeignKey("identities.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    typed_until: Mapped[datetime | None]
    typed_left: Mapped[int] = mapped_column(default=0)
    tapped_until: Mapped[datetime | None]
    tapped_left: Mapped[int] = mapped_column(default=0)
    started_on: Mapped[date | None]  # the last local day on which we started something with them
    started: Mapped[int] = mapped_column(default=0, server_default="0")  # how many messages that day, over all bots and courses


class InboxItem(Table):
    """One push, once: the key that makes it unique and the finished reply for a repeat."""

    __tablename__ = "inbox"
    __table_args__ = (UniqueConstraint("account_id", "dedupe_key"), Index("ix_inbox_person_id", "person_id", "id"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    dedupe_key: Mapped[str]  # begins with the moment the platform gave, so that the index grows at its end
    content_hash: Mapped[bytes]
    kind: Mapped[str]
    sent_at: Mapped[datetime]  # as the platform says
    received_at: Mapped[datetime]
    reply_sealed: Mapped[bytes | None]
    bot: Mapped[str | None]


class Quarantined(Table):
    """A validly signed push that could not be handled; its raw copy is sealed and can be replayed."""

    __tablename__ = "quarantine"
    __table_args__ = (
        Index("ix_quarantine_open", "account_id", sqlite_where=text("settled_at IS NULL"), postgresql_where=text("settled_at IS NULL")),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    reason: Mapped[str]
    raw_sealed: Mapped[bytes]
    received_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class Guess(Table):
    """A code that somebody typed and that led nowhere: at most five in an hour."""

    __tablename__ = "guesses"
    __table_args__ = (Index("ix_guesses_person_id", "person_id", "at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    at: Mapped[datetime]
