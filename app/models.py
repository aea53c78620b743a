"""Every table, and nothing else: what is stored, what is unique, what is deleted with what.

Statements are SQLAlchemy Core on these classes' columns; nothing is loaded as an object (docs/decisions/003). Columns named `*_sealed`
hold AES-256-GCM ciphertext bound to table, column and row (`app/sealing.py`); columns named `*_index` hold a keyed hash to look up by.
Ids of rows with sealed columns are issued by `app/ids.py` before the insert. Moments are UTC with zone.
"""

from datetime import UTC, date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime on both databases (SQLite keeps no zone, so it is put back on the way out)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: 64 bits on PostgreSQL; on SQLite an INTEGER, which alone counts up by itself.
Id = BigInteger().with_variant(Integer(), "sqlite")


class Table(DeclarativeBase):
    """The root of all tables; names of constraints follow one convention, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {datetime: Moment, int: Id, str: String, bytes: LargeBinary, bool: Boolean, dict[str, Any]: JSON}


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
    """How fast one API of an account may be called: parked until, and calls of the day."""

    __tablename__ = "paces"
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    api: Mapped[str] = mapped_column(primary_key=True)  # custom, notice, mass
    parked_until: Mapped[datetime | None]
    parked_code: Mapped[str | None]
    day: Mapped[date]
    calls: Mapped[int] = mapped_column(default=0)


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
    consent_version: Mapped[str]
    details: Mapped[dict[str, Any]]  # frozen: consent and resource texts by language, stale rules
    starts_on: Mapped[date | None]
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
    __table_args__ = (UniqueConstraint("course_id", "number"), UniqueConstraint("course_id", "person_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    number: Mapped[str]
    joined_at: Mapped[datetime]
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
    roster_index: Mapped[bytes | None]  # the roster's key for this row, so that the same roster twice is one invitation
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    used_by: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))


class Guess(Table):
    """A code that somebody typed and that led nowhere: at most five in an hour."""

    __tablename__ = "guesses"
    __table_args__ = (Index("ix_guesses_person_id", "person_id", "at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    at: Mapped[datetime]


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
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    reason: Mapped[str]
    raw_sealed: Mapped[bytes]
    received_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


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
    """What a person's last actions allow us to send them, as far as we know; the platform's word corrects it."""

    __tablename__ = "allowances"
    __table_args__ = (Index("ix_allowances_account_id", "account_id", "typed_until"),)
    identity_id: Mapped[int] = mapped_column(ForeignKey("identities.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    typed_until: Mapped[datetime | None]
    typed_left: Mapped[int] = mapped_column(default=0)
    tapped_until: Mapped[datetime | None]
    tapped_left: Mapped[int] = mapped_column(default=0)


class Schedule(Table):
    """Something that shall go out at a moment, once (recurring rules come with the course)."""

    __tablename__ = "schedules"
    __table_args__ = (
        UniqueConstraint("course_id", "number"),
        UniqueConstraint("author_id", "draft"),
        Index("ix_schedules_state", "state", "fire_at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    number: Mapped[int]  # short, for people
    draft: Mapped[int | None]  # the dialogue's id: a double confirmation finds it taken
    kind: Mapped[str]
    details_sealed: Mapped[bytes]
    details_hash: Mapped[bytes]  # keyed, to recognise equal words within ten minutes
    fire_at: Mapped[datetime]
    state: Mapped[str]  # planned, fired, cancelled, missed
    why: Mapped[str | None]
    created_at: Mapped[datetime]


class Firing(Table):
    """A schedule's moment, won by exactly one process."""

    __tablename__ = "firings"
    __table_args__ = (UniqueConstraint("schedule_id", "fire_at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"))
    fire_at: Mapped[datetime]
    fired_at: Mapped[datetime]
    broadcast_id: Mapped[int | None] = mapped_column(ForeignKey("broadcasts.id", ondelete="SET NULL"))
    outcome: Mapped[str]  # fired, missed, refused


class Broadcast(Table):
    """One message to a set of people: an announcement to a group, an alert to the on-call people, a report to an author."""

    __tablename__ = "broadcasts"
    __table_args__ = (Index("ix_broadcasts_state", "state"), Index("ix_broadcasts_schedule_id", "schedule_id"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    course_id: Mapped[int | None] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id", ondelete="SET NULL"))
    schedule_id: Mapped[int | None] = mapped_column(ForeignKey("schedules.id", ondelete="SET NULL"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    data_key_id: Mapped[int] = mapped_column(ForeignKey("data_keys.id", ondelete="RESTRICT"))
    bot: Mapped[str]
    kind: Mapped[str]
    details_sealed: Mapped[bytes]
    priority: Mapped[int]  # 0 alerts and replies, 5 announcements, 9 bulk
    urgent: Mapped[bool] = mapped_column(default=False)  # never waits silently, knows no quiet hours
    state: Mapped[str]  # expanding, going, done, cancelled
    created_at: Mapped[datetime]
    stale_at: Mapped[datetime | None]
    expanded_through: Mapped[int | None]  # the last person id of the finished chunks


class Delivery(Table):
    """One broadcast to one person: exactly one state, with a reason (docs/states.md)."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("broadcast_id", "person_id", "part"),
        Index(
            "ix_deliveries_due",
            "account_id",
            "priority",
            "due_at",
            "id",
            sqlite_where=text("state IN ('ready', 'retry')"),
            postgresql_where=text("state IN ('ready', 'retry')"),
        ),
        Index(
            "ix_deliveries_open",
            "person_id",
            "id",
            sqlite_where=text("state IN ('waiting', 'notified')"),
            postgresql_where=text("state IN ('waiting', 'notified')"),
        ),
        Index(
            "ix_deliveries_leased",
            "state",
            "lease_until",
            sqlite_where=text("state IN ('claimed', 'sending')"),
            postgresql_where=text("state IN ('claimed', 'sending')"),
        ),
        Index(
            "ix_deliveries_inbox_id", "inbox_id", sqlite_where=text("inbox_id IS NOT NULL"), postgresql_where=text("inbox_id IS NOT NULL")
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    part: Mapped[int] = mapped_column(default=0)
    priority: Mapped[int]
    state: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")  # a key of the state's explanation, see app/reach.py
    code: Mapped[str | None]  # the platform's own errcode or status
    route: Mapped[str | None]
    due_at: Mapped[datetime]
    stale_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[float | None]
    attempts: Mapped[int] = mapped_column(default=0)
    notified_at: Mapped[datetime | None]  # a notice pointed to it: nobody is notified of the same words twice
    inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id", ondelete="SET NULL"))


class Attempt(Table):
    """One try to hand deliveries to the platform. Deliveries that went condensed into one message share a `call`."""

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("delivery_id", "number"),
        Index("ix_attempts_msgid", "msgid", sqlite_where=text("msgid IS NOT NULL"), postgresql_where=text("msgid IS NOT NULL")),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"))
    number: Mapped[int]
    call: Mapped[str]
    route: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    code: Mapped[str | None]
    msgid: Mapped[str | None]


class Receipt(Table):
    """What the platform reported later about a message; it may come before our own call returned, or twice."""

    __tablename__ = "receipts"
    __table_args__ = (UniqueConstraint("account_id", "msgid"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    msgid: Mapped[str]
    status: Mapped[str]
    received_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]


class Flag(Table):
    """A person may be in danger: which rule saw it, who took it over, how it ended."""

    __tablename__ = "flags"
    __table_args__ = (Index("ix_flags_open", "acknowledged_at", "next_alert_at"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    course_id: Mapped[int | None] = mapped_column(ForeignKey("courses.id", ondelete="SET NULL"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    rule: Mapped[str]
    words_sealed: Mapped[bytes]
    raised_at: Mapped[datetime]
    step: Mapped[int] = mapped_column(default=0)  # how many on-call people have been alerted
    next_alert_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))


class OnCall(Table):
    """Who is alerted for a course, in which order, and how outside WeChat."""

    __tablename__ = "oncall"
    __table_args__ = (UniqueConstraint("course_id", "position"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    position: Mapped[int]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))
    email_sealed: Mapped[bytes | None]
    webhook_sealed: Mapped[bytes | None]


class Alert(Table):
    """One alert over one route to one on-call person; chat alerts are deliveries and are named here too."""

    __tablename__ = "alerts"
    __table_args__ = (UniqueConstraint("flag_id", "oncall_id", "route", "step"), Index("ix_alerts_state", "state", "due_at"))
    id: Mapped[int] = mapped_column(primary_key=True)
    flag_id: Mapped[int | None] = mapped_column(ForeignKey("flags.id", ondelete="CASCADE"))
    oncall_id: Mapped[int] = mapped_column(ForeignKey("oncall.id", ondelete="CASCADE"))
    step: Mapped[int]  # of the flag, from 1
    route: Mapped[str]  # chat, email, webhook
    state: Mapped[str]  # ready, sending, sent, failed
    due_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[float | None]
    error: Mapped[str | None]
    broadcast_id: Mapped[int | None] = mapped_column(ForeignKey("broadcasts.id", ondelete="SET NULL"))


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
