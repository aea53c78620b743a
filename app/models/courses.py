"""Tables: courses, groups, who is in them and how they came."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class Course(Table):
    """One run of a course. `code` is its word in commands."""

    __tablename__ = "courses"
    __table_args__ = (UniqueConstraint("code"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    data_key_id: Mapped[int] = mapped_column(ForeignKey("data_keys.id", ondelete="RESTRICT"))
    code: Mapped[str]
    title: Mapped[str]
    zone: Mapped[str] = mapped_column(default="Asia/Shanghai")
    quiet_from: Mapped[str] = mapped_column(default="22:00")  # local time of the course
    quiet_until: Mapped[str] = mapped_column(default="08:00")
    cap: Mapped[int | None]  # messages that we start, per person and local day; None: no cap
    #: An announcement to more people than this wants a second pair of eyes; 0: none ever does.
    second_eyes: Mapped[int] = mapped_column(default=60, server_default="60")
    silences: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))  # each from when until when: two ISO moments in UTC
    consent_version: Mapped[str]
    details: Mapped[dict[str, Any]]  # frozen: consent and resource texts by language, stale rules
    starts_on: Mapped[date | None]
    file: Mapped[dict[str, Any] | None]  # frozen: the course file that it runs by; None until it is started
    late_joiners: Mapped[str] = mapped_column(default="digest", server_default="digest")  # skip, digest, all: what they get of what was
    over_at: Mapped[datetime | None]  # when it ends by itself
    ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Group(Table):
    """A small group, or the course's one large group."""

    __tablename__ = "groups"
    __table_args__ = (
        UniqueConstraint("course_id", "code"),
        Index("uq_groups_one_large", "course_id", unique=True, sqlite_where=text("large"), postgresql_where=text("large")),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    code: Mapped[str]
    name: Mapped[str]
    large: Mapped[bool] = mapped_column(default=False)
    capacity: Mapped[int | None]  # participants
    closed_at: Mapped[datetime | None]


class Membership(Table):
    """A person in a group with a role, from when to when. History stays; one open row per person, group and role."""

    __tablename__ = "memberships"
    __table_args__ = (
        Index(
            "uq_memberships_open",
            "group_id",
            "person_id",
            "role",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_memberships_person_id", "person_id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    role: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    why_ended: Mapped[str | None]


class Participant(Table):
    """A person as the study knows them in one course: a number that is random within the course."""

    __tablename__ = "participants"
    __table_args__ = (
        UniqueConstraint("course_id", "number"),
        UniqueConstraint("course_id", "person_id"),
        Index("ix_participants_person_id", "person_id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    number: Mapped[str]
    joined_at: Mapped[datetime]
    caught_up_at: Mapped[datetime | None]  # when they got what went before them, if anything
    withdrawn_at: Mapped[datetime | None]
    erase_answers: Mapped[bool] = mapped_column(default=False)


class Screening(Table):
    """One answer to the invitation to a course, for the flow chart: included, or excluded and why."""

    __tablename__ = "screenings"
    __table_args__ = (Index("ix_screenings_course_id", "course_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    source: Mapped[str]  # qr, code, roster
    included: Mapped[bool]
    why: Mapped[str]  # empty where included
    answered_at: Mapped[datetime]


class ConsentGiven(Table):
    """A consent: which text, which ticks, when; ended by a withdrawal."""

    __tablename__ = "consents"
    __table_args__ = (Index("ix_consents_person_id", "person_id", "course_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    version: Mapped[str]
    ticks: Mapped[dict[str, Any]]  # tick: moment it was made, ISO
    given_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Invitation(Table):
    """A code that leads into a group: a group's QR (used often) or a personal one-time code from the roster."""

    __tablename__ = "invitations"
    __table_args__ = (UniqueConstraint("code_index"), Index("ix_invitations_group_id", "group_id"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    data_key_id: Mapped[int] = mapped_column(ForeignKey("data_keys.id", ondelete="RESTRICT"))
    role: Mapped[str]
    once: Mapped[bool]
    code_index: Mapped[bytes]
    code_sealed: Mapped[bytes]
    name_sealed: Mapped[bytes | None]
    phone_sealed: Mapped[bytes | None]
    facts_sealed: Mapped[bytes | None]  # what the roster tells of gender, age, city and experience
    roster_index: Mapped[bytes | None]  # the roster's key for this row, so that the same roster twice is one invitation
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    used_by: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
