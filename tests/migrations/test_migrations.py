"""The schema that the revisions make is the one that app/models describes, on both databases and both ways."""

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

import migrations
from app.models import Table
from migrations import running

ROOT = Path(__file__).parents[2]


def tables(url: str) -> set[str]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        return set(sa.inspect(connection).get_table_names())


def test_an_empty_database_gets_every_table(empty_database_url: str) -> None:
    assert migrations.current(empty_database_url) is None
    running.upgrade(empty_database_url)
    assert migrations.current(empty_database_url) == migrations.head()
    assert tables(empty_database_url) == set(Table.metadata.tables) | {"alembic_version"}


def test_every_revision_can_be_taken_back_and_made_again(empty_database_url: str) -> None:
    running.upgrade(empty_database_url)
    command.downgrade(running.config(empty_database_url), "base")
    assert tables(empty_database_url) == {"alembic_version"}
    running.upgrade(empty_database_url)
    assert migrations.current(empty_database_url) == migrations.head()


def test_models_and_revisions_describe_the_same_schema(database_url: str) -> None:
    command.check(running.config(database_url))


def test_a_missing_sqlite_file_is_made_by_an_upgrade_and_not_by_a_question(tmp_path: Path) -> None:
    path = tmp_path / "var" / "100%" / "tongban.db"
    assert migrations.current(f"sqlite:///{path}") is None
    assert not path.parent.exists()
    running.upgrade(f"sqlite:///{path}")
    assert migrations.current(f"sqlite:///{path}") == migrations.head()


def test_processes_that_upgrade_at_once_wait_for_each_other(empty_database_url: str) -> None:
    code = f"from migrations import running; running.upgrade({empty_database_url!r})"
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)]
    ends = [(process.communicate(timeout=180)[1], process.returncode) for process in processes]
    assert ends == [(b"", 0)] * 3
    assert migrations.current(empty_database_url) == migrations.head()


def test_a_revision_that_fails_halfway_leaves_nothing_of_itself(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(op, "create_index", fail)
    with pytest.raises(RuntimeError, match="the disk is full"):
        running.upgrade(empty_database_url)
    assert tables(empty_database_url) == set()
    assert migrations.current(empty_database_url) is None


def _row(tx: sa.Connection, name: str, **given: object) -> None:
    """A row of a table as it stands at this revision, with something in every column that needs it."""
    table = sa.Table(name, sa.MetaData(), autoload_with=tx)
    something: dict[type, object] = {
        sa.Integer: 1,
        sa.Boolean: False,
        sa.LargeBinary: b"x",
        sa.DateTime: datetime(2026, 11, 26, tzinfo=UTC),
        sa.Date: date(2026, 11, 26),
        sa.String: "x",
        sa.JSON: {},
    }
    needed = {
        column.name: next(value for kind, value in something.items() if isinstance(column.type, kind))
        for column in table.columns
        if not column.nullable and column.server_default is None
    }
    tx.execute(sa.insert(table).values({**needed, **given}))


def test_rows_of_the_first_revision_come_through_the_second_and_back(empty_database_url: str) -> None:
    command.upgrade(running.config(empty_database_url), "0001")
    engine = sa.create_engine(empty_database_url, poolclass=sa.pool.NullPool)

    def all_of(query: str) -> list[tuple[object, ...]]:
        with engine.connect() as tx:
            return [tuple(row) for row in tx.execute(sa.text(query))]

    with engine.begin() as tx:
        for name in ("data_keys", "accounts", "persons", "broadcasts"):
            _row(tx, name, id=1)
        for number, state in enumerate(("planned", "ready", "sent", "unknown", "waiting"), 1):
            _row(tx, "persons", id=number + 1)
            _row(tx, "deliveries", id=number, person_id=number + 1, state=state)
        _row(tx, "paces", api="service", calls=7)
        _row(tx, "quarantine", id=1)
    command.upgrade(running.config(empty_database_url), "head")
    command.check(running.config(empty_database_url))
    states = [("ready",), ("ready",), ("sent",), ("unknown",), ("waiting",)]
    assert all_of("SELECT state FROM deliveries ORDER BY id") == states, "nothing waits any more for its audience to be complete"
    assert all_of("SELECT calls, pause, troubles, probe_at FROM paces") == [(7, 0, 0, None)]
    with engine.begin() as tx:
        tx.execute(sa.text("UPDATE paces SET pause = 4, troubles = 2"))
    command.downgrade(running.config(empty_database_url), "0001")
    assert all_of("SELECT state FROM deliveries ORDER BY id") == states
    assert all_of("SELECT calls FROM paces") == [(7,)]
    command.upgrade(running.config(empty_database_url), "head")
    assert all_of("SELECT calls, pause, troubles FROM paces") == [(7, 0, 0)]


def test_a_course_from_before_the_cap_has_none_and_nobody_has_been_started_with(empty_database_url: str) -> None:
    command.upgrade(running.config(empty_database_url), "0003")
    engine = sa.create_engine(empty_database_url, poolclass=sa.pool.NullPool)
    with engine.begin() as tx:
        for name in ("data_keys", "accounts", "courses", "persons", "identities"):
            _row(tx, name, id=1)
        _row(tx, "allowances", identity_id=1)
    command.upgrade(running.config(empty_database_url), "head")
    with engine.connect() as tx:
        assert tx.execute(sa.text("SELECT cap, silences FROM courses")).one() == (None, None)
        assert tx.execute(sa.text("SELECT started_on, started FROM allowances")).one() == (None, 0)
    command.downgrade(running.config(empty_database_url), "0003")
    command.upgrade(running.config(empty_database_url), "head")


def test_a_course_from_before_second_eyes_goes_on_without_and_nothing_that_waits_goes_out_unseen(empty_database_url: str) -> None:
    command.upgrade(running.config(empty_database_url), "0006")
    engine = sa.create_engine(empty_database_url, poolclass=sa.pool.NullPool)
    with engine.begin() as tx:
        for name in ("data_keys", "accounts", "courses", "persons", "groups"):
            _row(tx, name, id=1)
    command.upgrade(running.config(empty_database_url), "0007")
    with engine.begin() as tx:
        assert tx.execute(sa.text("SELECT second_eyes FROM courses")).scalar_one() == 0
        _row(tx, "schedules", id=1, state="waiting", number=1)
        _row(tx, "schedules", id=2, state="planned", number=2)
    command.downgrade(running.config(empty_database_url), "0006")
    with engine.connect() as tx:
        assert list(tx.execute(sa.text("SELECT state FROM schedules ORDER BY id")).scalars()) == ["cancelled", "planned"]
    command.upgrade(running.config(empty_database_url), "head")
