"""Tables: the accounts and what paces them, the data keys, what operators are told."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class DataKey(Table):
    """A key of one person, course or account, wrapped by the master key. Destroying it (`wrapped` empty) erases them."""

    __tablename__ = "data_keys"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    wrapped: Mapped[bytes | None]
    master_version: Mapped[int]
    destroyed_at: Mapped[datetime | None]


class Account(Table):
    """One WeChat Official Account. `name` is its word in addresses and commands."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("name"), UniqueConstraint("appid"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data_key_id: Mapped[int] = mapped_column(ForeignKey("data_keys.id", ondelete="RESTRICT"))
    name: Mapped[str]
    appid: Mapped[str]
    original_id: Mapped[str]
    api_base: Mapped[str]
    mode: Mapped[str]  # plaintext, compatible, safe
    token_sealed: Mapped[bytes]
    secret_sealed: Mapped[bytes]
    aes_key_sealed: Mapped[bytes]
    previous_aes_key_sealed: Mapped[bytes | None]
    previous_aes_key_until: Mapped[datetime | None]
    notice_id: Mapped[str | None]  # id of the approved template; None: notices do not exist here
    notice_fields: Mapped[dict[str, Any] | None]  # our gap (kind, sender, time) to the template's field name
    created_at: Mapped[datetime]


class AccessToken(Table):
    """The account's access token, refreshed under a lease by one process at a time."""

    __tablename__ = "access_tokens"
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    token_sealed: Mapped[bytes | None]
    expires_at: Mapped[datetime | None]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[float | None]
    forced_at: Mapped[datetime | None]
    forced_day: Mapped[date | None]
    forced_count: Mapped[int] = mapped_column(default=0)


class Pace(Table):
    """How fast one API of an account may be called: parked until, probed by one message from when on, and calls of the day."""

    __tablename__ = "paces"
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    api: Mapped[str] = mapped_column(primary_key=True)  # custom, notice, mass
    parked_until: Mapped[datetime | None]
    parked_code: Mapped[str | None]
    probe_at: Mapped[datetime | None]  # parked: from then on one message may try whether it is over
    pause: Mapped[int] = mapped_column(default=0, server_default="0")  # seconds until the last probe; it grows while probes fail
    troubles: Mapped[int] = mapped_column(default=0, server_default="0")  # calls in doubt, less those that went well since
    day: Mapped[date]
    calls: Mapped[int] = mapped_column(default=0)


class Alarm(Table):
    """Something that an operator must know (a bot raised, an account is broken); equal ones are counted, not repeated."""

    __tablename__ = "alarms"
    __table_args__ = (UniqueConstraint("kind", "subject"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    subject: Mapped[str]
    count: Mapped[int]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    told_at: Mapped[datetime | None]  # when the operators' webhook last took it


class Heartbeat(Table):
    """A worker that lives, or has died within the last day. By the machine's clock, which no demo moves."""

    __tablename__ = "heartbeats"
    owner: Mapped[str] = mapped_column(primary_key=True)  # machine, process and a random word
    started_at: Mapped[float]
    beat_at: Mapped[float]


class Audit(Table):
    """Who did what to what, written in the transaction it describes. Ids and words of our own only, never a name."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_at", "at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]  # person:<id>, operator, system
    action: Mapped[str]
    subject: Mapped[str]
    details: Mapped[dict[str, Any]]


class Erasure(Table):
    """A person who was erased, by blind index, so that a restored backup erases them again."""

    __tablename__ = "erasures"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int]
    data_key_id: Mapped[int]
    at: Mapped[datetime]


class Chore(Table):
    """Work that one process does every so often for all: when it is due next, and who has it in hand until when."""

    __tablename__ = "chores"
    name: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime]
    lease_until: Mapped[float | None]
    through: Mapped[int | None]  # the id up to which it is done, where it goes on from there
