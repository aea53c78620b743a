"""Hides how a course comes into the throwaway database: its plans, and nothing of the people who are in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.db import Tx
from app.models import Account, Course, DataKey, Group, Membership, Table
from bots.turns import Role

#: What belongs to people, and what became of them: imagined ones take their place.
_OF_PEOPLE = frozenset(
    {
        *("persons", "identities", "memberships", "participants", "screenings", "consents", "invitations", "inbox", "conversations"),
        *("broadcasts", "deliveries", "attempts", "receipts", "firings", "assignments", "on_call", "flags", "attendances"),
    }
)


@dataclass(frozen=True)
class Copy:
    """A course's plans as rows by table, in the order in which they can be written. `seats`: participants by group id."""

    course_id: int
    account_id: int
    title: str
    zone: str
    rows: Mapping[str, list[dict[str, Any]]]
    seats: Mapping[int, int]
    group_names: Mapping[int, str]
    large: int
    notice_fields: Mapping[str, str] | None  # of the account; None: it has no notices


def take(tx: Tx, course_id: int) -> Copy:
    """The plans of a course as they stand."""
    course = tx.execute(sa.select(*Course.__table__.columns).where(Course.id == course_id)).one()
    rows = {
        "data_keys": _rows(tx, sa.select(*DataKey.__table__.columns).where(DataKey.id == course.data_key_id)),
        "courses": _rows(tx, sa.select(*Course.__table__.columns).where(Course.id == course_id)),
        "groups": _rows(tx, sa.select(*Group.__table__.columns).where(Group.course_id == course_id, Group.closed_at.is_(None))),
    }
    groups = rows["groups"]
    for table in Table.metadata.sorted_tables:
        if "course_id" in table.c and table.name not in _OF_PEOPLE | set(rows):
            rows[table.name] = _rows(tx, sa.select(*table.c).where(table.c.course_id == course_id))
    _forget_people(rows)
    _add_wordings(tx, rows)
    seats = sa.select(Membership.group_id, sa.func.count().label("number")).where(
        Membership.group_id.in_([each["id"] for each in groups]), Membership.ended_at.is_(None), Membership.role == Role.PARTICIPANT.value
    )
    counted = {row.group_id: row.number for row in tx.execute(seats.group_by(Membership.group_id))}
    return Copy(
        course_id,
        course.account_id,
        course.title,
        course.zone,
        rows,
        {each["id"]: counted.get(each["id"], 0) for each in groups if not each["large"]},
        {each["id"]: each["name"] for each in groups},
        next(each["id"] for each in groups if each["large"]),
        tx.execute(sa.select(Account.notice_fields).where(Account.id == course.account_id)).scalar_one(),
    )


def _rows(tx: Tx, query: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in tx.execute(query).mappings()]


def _forget_people(rows: Mapping[str, list[dict[str, Any]]]) -> None:
    """No row names a person or a message that was sent: those do not exist on the stage."""
    people = [(table.name, column.name) for table in Table.metadata.sorted_tables for column in table.c if _names_somebody(column)]
    for table, column in people:
        for row in rows.get(table, ()):
            row[column] = None


def _names_somebody(column: Any) -> bool:
    targets = {key.column.table.name for key in column.foreign_keys}
    return bool(targets & {"persons", "broadcasts"}) and column.nullable


def _add_wordings(tx: Tx, rows: dict[str, list[dict[str, Any]]]) -> None:
    """The wording that a study brought is asked in the rehearsal too."""
    wanted = {each["wording"] for wave in rows.get("waves", ()) for each in wave["plan"]["instruments"] if each.get("wording")}
    table = Table.metadata.tables["wordings"]
    rows["wordings"] = _rows(tx, sa.select(*table.c).where(table.c.id.in_(wanted)))


def put(tx: Tx, copy: Copy, account_id: int) -> None:
    """Write the plans into an empty database that has this account."""
    for table in Table.metadata.sorted_tables:
        for row in copy.rows.get(table.name, ()):
            moved = {**row, **({"account_id": account_id} if "account_id" in row else {})}
            tx.execute(sa.insert(table).values(**moved))
