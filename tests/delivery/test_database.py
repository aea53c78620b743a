"""Jobs share commits and nothing else: one that fails, breaks or hangs does not cost another its work."""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from app import audit, db
from app.db import Database, Tx
from app.errors import Unavailable
from app.models import Alarm, Conversation
from tests.delivery.scene import NOW, run


def _alarm(kind: str) -> "db.Work[str]":
    def work(tx: Tx) -> str:
        audit.alarm(tx, NOW, kind, "x")
        return kind

    return work


def _kinds(database: Database) -> set[str]:
    return set(database.read_now(lambda tx: tx.execute(sa.select(Alarm.kind)).scalars().all()))


@contextlib.contextmanager
def _counted(database: Database) -> Iterator[list[str]]:
    """The transactions that begin, as statements."""
    begun: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("BEGIN"):
            begun.append(statement)

    sa.event.listen(database._writers, "before_cursor_execute", note)
    yield begun
    sa.event.remove(database._writers, "before_cursor_execute", note)


def _held(database: Database) -> tuple[threading.Event, "asyncio.Future[Any]"]:
    """Occupy the writer until the event is set, so that what comes meanwhile waits together."""
    go = threading.Event()
    future = asyncio.ensure_future(database.write(lambda tx: go.wait(10) and _alarm("first")(tx)))
    return go, future


def test_writers_that_wait_share_a_commit(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "_TOGETHER_SECONDS", 5.0)
    run(_shared(sqlite_url))


async def _shared(url: str) -> None:
    with Database(url) as database, _counted(database) as begun:
        go, first = _held(database)
        await asyncio.sleep(0.05)
        rest = [asyncio.ensure_future(database.write(_alarm(f"kind{number}"))) for number in range(64)]
        await asyncio.sleep(0)
        go.set()
        done = await asyncio.gather(first, *rest)
        assert done == ["first", *(f"kind{number}" for number in range(64))], "each gets its own answer"
        assert begun == ["BEGIN IMMEDIATE"] * 3, "65 writers, at most 32 behind the first of each commit"
        assert len(_kinds(database)) == 65


def test_a_transaction_stays_open_for_ten_milliseconds_only(sqlite_url: str) -> None:
    run(_short(sqlite_url))


async def _short(url: str) -> None:
    def slow(tx: Tx) -> None:
        audit.alarm(tx, NOW, "slow", "x")
        time.sleep(0.02)

    with Database(url) as database, _counted(database) as begun:
        await asyncio.gather(*(database.write(slow) for _ in range(4)))
        assert len(begun) == 4


def test_a_job_that_fails_hurts_no_other(database_url: str) -> None:
    run(_failing(database_url))


async def _failing(url: str) -> None:
    def bug(tx: Tx) -> None:
        audit.alarm(tx, NOW, "half", "done")
        raise KeyError("bug")

    def nested(tx: Tx) -> str:
        audit.alarm(tx, NOW, "outer", "x")
        with contextlib.suppress(KeyError), tx.begin_nested():
            bug(tx)
        with tx.begin_nested():
            audit.alarm(tx, NOW, "inner", "x")
        return "nested"

    def wrong(tx: Tx) -> None:
        audit.alarm(tx, NOW, "before", "x")
        tx.execute(sa.text("SELECT nothing FROM nowhere"))

    def twice(tx: Tx) -> None:
        audit.alarm(tx, NOW, "kept", "x")
        tx.execute(sa.insert(Alarm).values(kind="kept", subject="x", count=1, first_at=NOW, last_at=NOW))

    with Database(url) as database:
        jobs = [_alarm("good"), bug, nested, wrong, twice, _alarm("better")]
        done = await asyncio.gather(*(database.write(job) for job in jobs), return_exceptions=True)
        assert [type(each).__name__ for each in done] == [
            "str",
            "KeyError",
            "str",
            "OperationalError" if database.is_sqlite else "ProgrammingError",
            "IntegrityError",
            "str",
        ]
        assert _kinds(database) == {"good", "outer", "inner", "better"}


def _orphan(tx: Tx) -> None:
    """A row that no commit takes: its foreign keys are looked at only then."""
    tx.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
    audit.alarm(tx, NOW, "orphan", "x")
    tx.execute(sa.insert(Conversation).values(id=1, person_id=1, account_id=1, busy=False, recent={}, changed_at=NOW))


def test_a_commit_that_fails_is_tried_again_for_each_alone(sqlite_url: str) -> None:
    run(_uncommitted(sqlite_url))


async def _uncommitted(url: str) -> None:
    with Database(url) as database, _counted(database) as begun:
        go, first = _held(database)
        await asyncio.sleep(0.05)
        rest = [asyncio.ensure_future(database.write(job)) for job in (_alarm("one"), _orphan, _alarm("two"))]
        await asyncio.sleep(0)
        go.set()
        done = await asyncio.gather(first, *rest, return_exceptions=True)
        assert [type(each).__name__ for each in done] == ["str", "str", "IntegrityError", "str"]
        assert _kinds(database) == {"first", "one", "two"}
        assert len(begun) >= 4, "the shared one, and one for each good job"


def test_a_locked_database_is_unavailable_after_its_patience(sqlite_url: str) -> None:
    run(_locked(sqlite_url))


async def _locked(url: str) -> None:
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    with Database(url, patience=0.3) as database:
        await database.write(_alarm("before"))
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answers = await asyncio.gather(*(database.write(_alarm(f"while{number}")) for number in range(5)), return_exceptions=True)
        took = time.monotonic() - began
        assert {type(each) for each in answers} == {Unavailable}
        assert 0.25 < took < 2.5, "all wait for the same lock, not one after the other for ever"
        assert await database.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Alarm)).scalar_one()) == 1
        other.execute("ROLLBACK")
        await database.write(_alarm("after"))
        assert _kinds(database) == {"before", "after"}
    other.close()


def test_a_locked_row_is_unavailable_after_its_patience(postgres_url: str) -> None:
    run(_locked_row(postgres_url))


async def _locked_row(url: str) -> None:
    with Database(url, patience=0.3) as database:
        await database.write(_alarm("kind"))
        with psycopg.connect(url.replace("+psycopg", "")) as other:
            other.execute("SELECT * FROM alarms FOR UPDATE")
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await database.write(_alarm("kind"))
            assert 0.25 < time.monotonic() - began < 3
            other.rollback()
        assert await database.write(_alarm("kind")) == "kind"


def test_by_default_three_seconds_are_waited(sqlite_url: str) -> None:
    with Database(sqlite_url) as database:
        waits = database.read_now(lambda tx: tx.exec_driver_sql("PRAGMA busy_timeout").scalar_one())
        assert (waits, db.PATIENCE_SECONDS) == (3_000, 3.0)
        assert database.read_now(lambda tx: tx.exec_driver_sql("PRAGMA synchronous").scalar_one()) == 2, "FULL"
        assert database.read_now(lambda tx: tx.exec_driver_sql("PRAGMA journal_mode").scalar_one()) == "wal"
        assert database.read_now(lambda tx: tx.exec_driver_sql("PRAGMA foreign_keys").scalar_one()) == 1


def test_who_has_gone_away_is_not_written_for(sqlite_url: str) -> None:
    run(_gone(sqlite_url))


async def _gone(url: str) -> None:
    with Database(url) as database:
        go, first = _held(database)
        await asyncio.sleep(0.05)
        waits = asyncio.ensure_future(database.write(_alarm("gone")))
        await asyncio.sleep(0)
        waits.cancel()
        await asyncio.sleep(0)
        go.set()
        await first
        await database.write(_alarm("last"))
        assert _kinds(database) == {"first", "last"}


def test_what_is_queued_is_finished_before_the_end(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.start()
    futures = [database._enqueue(_alarm(f"kind{number}")) for number in range(50)]
    database.stop()
    assert [future.result(0) for future in futures] == [f"kind{number}" for number in range(50)]


def test_a_moment_without_a_zone_is_refused_and_one_with_comes_back_in_utc(database_url: str) -> None:
    with Database(database_url) as database:
        here = datetime.fromisoformat("2026-11-24T08:00:00.123456+08:00")
        database.write_now(lambda tx: audit.alarm(tx, here, "kind", "x"))
        back = database.read_now(lambda tx: tx.execute(sa.select(Alarm.first_at)).scalar_one())
        assert (back, back.tzinfo) == (here, UTC)
        with pytest.raises(sa.exc.StatementError):
            database.write_now(lambda tx: audit.alarm(tx, here.replace(tzinfo=None), "kind", "y"))
