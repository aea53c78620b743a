"""What comes into the throwaway database are a course's plans, and nothing of anybody who is really there."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import clock, ids, integrations, schedules
from app.assembly import Assembly, assemble
from app.db import Tx
from app.integrations import Asked
from app.keyring import Place
from app.models import Account, Course, Group, Schedule, Table
from app.rehearsal import copying
from migrations import running
from tests.rehearsal.boards import NOW, Board, board

#: What a course plans, and what it needs to stand: the only tables from which rows may be copied.
PLANS = {
    *("data_keys", "courses", "groups", "gatherings", "occasions", "waves", "wordings"),
    *("schedules", "polls", "prompts", "prompt_groups", "warm_words", "warm_plans"),
}
CANARY = "CANARY"


@pytest.fixture(autouse=True)
def _today() -> Iterator[None]:
    before = clock.hold(NOW)
    yield
    clock.hold(before)


def staged(made: Board, folder: Path) -> tuple[Assembly, Path]:
    """A stage with the copy of a board's course; its database has to be stopped."""
    path = folder / "stage.db"
    running.upgrade(f"sqlite:///{path}")
    stage = assemble(made.assembly.settings.model_copy(update={"database_url": f"sqlite:///{path}"}), throwaway=True)
    stage.database.start()
    copy = made.copy()
    stage.database.write_now(lambda tx: _put(tx, stage, copy))
    return stage, path


def _put(tx: Tx, stage: Assembly, copy: copying.Copy) -> None:
    key = stage.tools.keyring.create(tx).id
    sealed = dict.fromkeys(("token_sealed", "secret_sealed", "aes_key_sealed"), b"")
    values = {"name": "stage", "appid": "wx0", "original_id": "gh_0", "api_base": "http://127.0.0.1:9", "mode": "safe", **sealed}
    account = ids.new_id()
    tx.execute(sa.insert(Account).values(id=account, data_key_id=key, created_at=NOW, **values))
    copying.put(tx, stage.tools.keyring, copy, account)


def plant(tx: Tx, made: Board) -> set[str]:
    """A row with canaries in every table that holds no plans; returns the tables."""
    known: dict[str, int] = {"courses": made.course_id, "accounts": made.account_id, "groups": next(iter(made.groups.values()))}
    known["data_keys"] = tx.execute(sa.select(Course.data_key_id)).scalar_one()
    for name in ("waves", "schedules", "prompts", "warm_words", "warm_plans", "gatherings", "polls"):
        table = Table.metadata.tables[name]
        known[name] = tx.execute(sa.select(next(iter(table.primary_key))).limit(1)).scalar_one()
    planted = set()
    for table in Table.metadata.sorted_tables:
        if table.name in PLANS | {"accounts"}:
            continue
        values = {column.name: _value(column, known) for column in table.c if not (column.primary_key and column.autoincrement is True)}
        own = next(iter(table.primary_key))
        if own.foreign_keys:  # beside a row that exists there may stand one already
            tx.execute(sa.delete(table))
        tx.execute(sa.insert(table).values(**values))
        if not own.foreign_keys and own.name == "id":
            known[table.name] = tx.execute(sa.select(sa.func.max(own))).scalar_one()
        planted.add(table.name)
    return planted


def _value(column: Any, known: dict[str, int]) -> Any:
    for key in column.foreign_keys:
        return known.get(key.column.table.name)
    kind = column.type.python_type if not isinstance(column.type, sa.JSON) else dict
    words = f"{CANARY}-{column.table.name}.{column.name}"
    if column.primary_key and kind is int:
        return ids.new_id()
    made = {str: words, bytes: words.encode(), dict: {"words": words}, int: 7, float: 7.0, bool: False, date: NOW.date()}
    return made.get(kind, NOW)


def test_nothing_of_a_real_person_is_copied(database_url: str, tmp_path: Path) -> None:
    with board(database_url) as made:
        planted = made.write(lambda tx: plant(tx, made))
        assert {"persons", "memberships", "inbox", "deliveries", "questions", "warm_given", "poll_answers", "audit"} <= planted
        leaders = [f"{name}的真组长" for name in made.groups]
        stage, path = staged(made, tmp_path)
    try:
        counts = stage.database.read_now(_counts)
        assert {name for name, count in counts.items() if count} == {*PLANS - {"wordings"}, "accounts"}
        held = stage.database.read_now(lambda tx: _words(tx, stage))
        assert stage.database.read_now(lambda tx: tx.exec_driver_sql("PRAGMA synchronous").scalar_one()) == 0, "nothing waits for a disk"
    finally:
        stage.database.stop()
    assert not any(name in words for name in leaders for words in held)
    assert any("什么时候见面" in words for words in held), "the plan itself is there"
    stored = b"".join(each.read_bytes() for each in path.parent.glob("stage.db*"))
    assert CANARY.encode() not in stored
    assert not any(name.encode() in stored for name in leaders)


def _counts(tx: Tx) -> dict[str, int]:
    return {table.name: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in Table.metadata.sorted_tables}


def _words(tx: Tx, stage: Assembly) -> list[str]:
    """What rests sealed of the plans, opened, as whoever has the keys would."""
    found: list[str] = []
    for table, column in (("schedules", "details_sealed"), ("warm_words", "words_sealed"), ("prompts", "words_sealed")):
        columns = Table.metadata.tables[table].c
        key = stage.tools.keyring.open(tx, tx.execute(sa.select(Course.data_key_id)).scalar_one())
        rows = tx.execute(sa.select(columns.id, columns[column].label("sealed")))
        found += [key.unseal(Place(table, column, row.id), row.sealed) for row in rows]
    return found


def test_what_the_operator_has_planned_stays_the_operators(sqlite_url: str) -> None:
    with board(sqlite_url) as made:
        group = next(iter(made.groups.values()))
        own = made.write(
            lambda tx: schedules.plan_announcement(
                tx,
                made.assembly.tools.keyring,
                author_id=None,
                group_id=group,
                text="明天放假一天。",
                at=datetime(2026, 12, 1, 4, 0, tzinfo=UTC),
                draft=None,
                now=NOW,
            )
        )
        copy = made.copy()
    assert own not in copy.by_people
    assert len(copy.by_people) == 4, "a poll and a prompt of each leader"
    assert all(row["author_id"] is None for row in copy.rows["schedules"])


def test_what_another_system_has_planned_is_played_without_that_system(sqlite_url: str, tmp_path: Path) -> None:
    with board(sqlite_url) as made:
        keyring, group = made.assembly.tools.keyring, next(iter(made.groups.values()))

        def plan(tx: Tx) -> int:
            course = tx.execute(sa.select(Group.course_id).where(Group.id == group)).scalar_one()
            system, _ = integrations.add(tx, keyring.vault, Asked("报名系统", [course], ["announcements:write"]), NOW, NOW)
            at = datetime(2026, 12, 1, 4, 0, tzinfo=UTC)
            given: dict[str, Any] = {"author_id": None, "draft": None, "integration_id": system}
            return schedules.plan_announcement(tx, keyring, group_id=group, text="明天放假一天。", at=at, now=NOW, **given)

        planned = made.write(plan)
        stage, _ = staged(made, tmp_path)
        columns = (Schedule.integration_id, Schedule.state)
        found = stage.database.read_now(lambda tx: tx.execute(sa.select(*columns).where(Schedule.id == planned)).one())
        stage.database.stop()
    assert tuple(found) == (None, "planned")


def test_what_has_gone_out_and_what_was_in_closed_groups_is_not_copied(sqlite_url: str) -> None:
    with board(sqlite_url) as made:
        first, second = made.groups.values()
        made.write(lambda tx: tx.execute(sa.update(Schedule).where(Schedule.group_id == first).values(state="fired")))
        made.write(lambda tx: tx.execute(sa.update(Group).where(Group.id == second).values(closed_at=NOW)))
        copy = made.copy()
    assert copy.rows["schedules"] == copy.rows["polls"] == []
    assert second not in copy.seats
    assert {row["group_id"] for name in ("gatherings", "occasions", "prompt_groups") for row in copy.rows[name]} <= set(copy.group_names)
