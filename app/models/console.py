"""Tables: who may sign in to the console, with what, from where; and the tries that failed.

Moments here are the machine's: a demo that moves its clock signs nobody out, and a second factor knows no other time.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class Login(Table):
    """A person's way into the console. Without a name and a password they sign in by WeChat only."""

    __tablename__ = "logins"
    __table_args__ = (UniqueConstraint("person_id"), UniqueConstraint("name_index"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    name_index: Mapped[bytes | None]
    name_sealed: Mapped[bytes | None]
    password_hash: Mapped[str | None]  # argon2id with its own salt and figures
    totp_sealed: Mapped[bytes | None]
    totp_step: Mapped[int] = mapped_column(default=0)  # the step of the last code that was used: none is taken twice
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class ConsoleSession(Table):
    """A browser that is signed in. Only a keyed hash of its token is here; `roles`: what the person was when they signed in."""

    __tablename__ = "console_sessions"
    __table_args__ = (UniqueConstraint("token_index"), Index("ix_console_sessions_login_id", "login_id"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    login_id: Mapped[int] = mapped_column(ForeignKey("logins.id", ondelete="CASCADE"))
    token_index: Mapped[bytes]
    roles: Mapped[str]
    how: Mapped[str]  # password, wechat, link
    device: Mapped[str]  # one of a few words, never what the browser says of itself
    began_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    why_ended: Mapped[str | None]


class Pass(Table):
    """A link that lets somebody set their password once: for an invitation, or for a person who is there already."""

    __tablename__ = "passes"
    __table_args__ = (UniqueConstraint("token_index"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token_index: Mapped[bytes]
    invitation_id: Mapped[int | None] = mapped_column(ForeignKey("invitations.id", ondelete="CASCADE"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SigninTry(Table):
    """A sign-in that failed, by keyed hashes of the name and of the address it came from."""

    __tablename__ = "signin_tries"
    __table_args__ = (
        Index("ix_signin_tries_name_index", "name_index", "at"),
        Index("ix_signin_tries_address_index", "address_index", "at"),
        Index("ix_signin_tries_at", "at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    name_index: Mapped[bytes]
    address_index: Mapped[bytes]
    kind: Mapped[str]  # password, code (a wrong second factor while the name is closed), scan (a QR code that was asked for)
    at: Mapped[datetime]


class Scan(Table):
    """A QR code that a browser shows until somebody scans and confirms it in the chat: to sign in, or to bind a login to WeChat."""

    __tablename__ = "scans"
    __table_args__ = (UniqueConstraint("code_index"), UniqueConstraint("browser_index"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    code_index: Mapped[bytes]
    browser_index: Mapped[bytes]  # keyed hash of the cookie: no other browser is signed in
    login_id: Mapped[int | None] = mapped_column(ForeignKey("logins.id", ondelete="CASCADE"))  # whom it binds; None: it signs in
    number: Mapped[int]  # two digits that stand beside the QR code, for the person to choose in the chat
    picture: Mapped[str | None]  # the address that the QR code holds
    person_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))  # who confirmed
    state: Mapped[str]  # open, confirmed, refused, used
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
