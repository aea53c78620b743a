"""Hides how a course comes into the throwaway database: its plans, and nothing of the people who are in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from app import broadcasts
from app.db import Tx
from app.keyring import Keyring, Place
from app.models import Account, Course, DataKey, Group, Membership, Poll, Prompt, PromptGroup, Schedule, Table
from bots.turns import Role

#: What a course plans: rows that name it, but for those that hang on others, which are read by themselves.
_PLANS = ("gatherings", "occasions", "waves", "warm_words", "warm_plans")
#: Prompts that have something to come.
_PROMPTING = ("running", "paused")


@dataclass(frozen=True)
class Copy:
    """A course's plans as rows by table. `seats`: participants by group id.

    `by_people`: ids of what somebody planned who is not the operator.
    """

    course_id: int
    account_id: int
    title: str
    zone: str
    starts_on: date | None
    rows: Mapping[str, list[dict[str, Any]]]
    seats: Mapping[int, int]
    group_names: Mapping[int, str]
    large: int
    notice_fields: Mapping[str, str] | None  # of the account; None: it has no notices
    by_people: frozenset[int] = frozenset()

    def authored(self) -> list[tuple[sa.Table, dict[int, list[int]]]]:
        """What people planned: by table the groups of each row."""
        tables = Table.metadata.tables
        schedules = {row["id"]: [row["group_id"]] for row in self.rows["schedules"] if row["id"] in self.by_people}
        prompts: dict[int, list[int]] = {row["id"]: [] for row in self.rows["prompts"] if row["id"] in self.by_people}
        for row in self.rows["prompt_groups"]:
            if row["prompt_id"] in prompts:
                prompts[row["prompt_id"]].append(row["group_id"])
        return [(tables["schedules"], schedules), (tables["prompts"], prompts)]


def take(tx: Tx, course_id: int) -> Copy:
    """The plans of a course as they stand."""
    course = tx.execute(sa.select(*Course.__table__.columns).where(Course.id == course_id)).one()
    rows = {
        "data_keys": _rows(tx, DataKey, DataKey.id == course.data_key_id),
        "courses": _rows(tx, Course, Course.id == course_id),
        "groups": _rows(tx, Group, Group.course_id == course_id, Group.closed_at.is_(None)),
        **{name: _named(tx, name, course_id) for name in _PLANS},
        **_written(tx, course_id),
    }
    groups = rows["groups"]
    open_groups = {each["id"] for each in groups}
    for name in ("gatherings", "occasions", "prompt_groups"):
        rows[name] = [row for row in rows[name] if row["group_id"] in open_groups]
    by_people = frozenset(row["id"] for name in ("schedules", "prompts") for row in rows[name] if row["author_id"] is not None)
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
        course.starts_on,
        rows,
        {each["id"]: counted.get(each["id"], 0) for each in groups if not each["large"]},
        {each["id"]: each["name"] for each in groups},
        next(each["id"] for each in groups if each["large"]),
        tx.execute(sa.select(Account.notice_fields).where(Account.id == course.account_id)).scalar_one(),
        by_people,
    )


def _written(tx: Tx, course_id: int) -> dict[str, list[dict[str, Any]]]:
    """What leaders and administrators have planned and is still to come, with what hangs on it. What has gone is history, and theirs."""
    closed = sa.select(Group.id).where(Group.course_id == course_id, Group.closed_at.is_not(None))
    schedules = _rows(tx, Schedule, Schedule.course_id == course_id, Schedule.state == "planned", Schedule.group_id.not_in(closed))
    prompts = _rows(tx, Prompt, Prompt.course_id == course_id, Prompt.state.in_(_PROMPTING))
    return {
        "schedules": schedules,
        "polls": _rows(tx, Poll, Poll.schedule_id.in_([row["id"] for row in schedules])),
        "prompts": prompts,
        "prompt_groups": _rows(tx, PromptGroup, PromptGroup.prompt_id.in_([row["id"] for row in prompts])),
    }


def _named(tx: Tx, name: str, course_id: int) -> list[dict[str, Any]]:
    table = Table.metadata.tables[name]
    return [dict(row) for row in tx.execute(sa.select(*table.c).where(table.c.course_id == course_id)).mappings()]


def _rows(tx: Tx, table: type[Any], *which: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in tx.execute(sa.select(*table.__table__.c).where(*which)).mappings()]


def _forget_people(rows: Mapping[str, list[dict[str, Any]]]) -> None:
    """No row names a person, another system or a message that was sent: those do not exist on the stage."""
    people = [(table.name, column.name) for table in Table.metadata.sorted_tables for column in table.c if _names_somebody(column)]
    for table, column in people:
        for row in rows.get(table, ()):
            row[column] = None


def _names_somebody(column: Any) -> bool:
    targets = {key.column.table.name for key in column.foreign_keys}
    return bool(targets & {"persons", "integrations", "broadcasts"}) and column.nullable


def _add_wordings(tx: Tx, rows: dict[str, list[dict[str, Any]]]) -> None:
    """The wording that a study brought is asked in the rehearsal too."""
    wanted = {each["wording"] for wave in rows.get("waves", ()) for each in wave["plan"]["instruments"] if each.get("wording")}
    table = Table.metadata.tables["wordings"]
    rows["wordings"] = [dict(row) for row in tx.execute(sa.select(*table.c).where(table.c.id.in_(wanted))).mappings()]


def put(tx: Tx, keyring: Keyring, copy: Copy, account_id: int) -> None:
    """Write the plans into an empty database that has this account."""
    for table in Table.metadata.sorted_tables:
        for row in copy.rows.get(table.name, ()):
            moved = {**row, **({"account_id": account_id} if "account_id" in row else {})}
            tx.execute(sa.insert(table).values(**moved))
    _rename_authors(tx, keyring, copy)


def _rename_authors(tx: Tx, keyring: Keyring, copy: Copy) -> None:
    """What was sealed with the name of whoever wrote it is sealed without it."""
    key = keyring.open(tx, copy.rows["courses"][0]["data_key_id"])
    for row in copy.rows["schedules"]:
        place = Place("schedules", "details_sealed", row["id"])
        details = broadcasts.thaw(key.unseal(place, row["details_sealed"]))
        details |= {"author_name": ""} if "author_name" in details else {}
        _seal_again(tx, "schedules", row["id"], "details_sealed", key.seal(place, broadcasts.freeze(details)))
    for row in copy.rows["warm_words"]:
        place = Place("warm_words", "words_sealed", row["id"])
        content = json.loads(key.unseal(place, row["words_sealed"]))
        if content.get("author_name"):
            sealed = key.seal(place, json.dumps({**content, "author_name": ""}, ensure_ascii=False))
            _seal_again(tx, "warm_words", row["id"], "words_sealed", sealed)


def _seal_again(tx: Tx, name: str, row_id: int, column: str, sealed: bytes) -> None:
    table = Table.metadata.tables[name]
    tx.execute(sa.update(table).where(table.c.id == row_id).values({column: sealed}))
