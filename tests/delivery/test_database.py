"""Jobs share commits and nothing else: one that fails, breaks or hangs does not cost another its work."""

import asyncio
import contextlib
import gc
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
import sqlalchemy as sa

from app import audit, db
from app.db import Database, Tx, short
from app.db.prepared import Prepared
from app.db.shared import Pen
from app.db.turnstile import Turnstile
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
def _counted() -> Iterator[list[Pen]]:
    """The transactions that begin: who began each."""
    begun: list[Pen] = []
    begin = Pen.begin

    def note(pen: Pen) -> Tx:
        tx = begin(pen)
        begun.append(pen)
        return tx

    with mock.patch.object(Pen, "begin", note):
        yield begun


def _held(database: Database) -> tuple[threading.Event, "asyncio.Future[Any]"]:
    """Occupy the writer until the event is set, so that what comes meanwhile waits together."""
    go = threading.Event()
    future = asyncio.ensure_future(database.write(lambda tx: go.wait(60) and _alarm("first")(tx)))
    return go, future


#: Short jobs run on the loop, all others in the writer's thread; what holds for the ones holds for the others.
both_verbs = pytest.mark.parametrize("verb", ["write", "write_short"])


@both_verbs
def test_writers_that_wait_share_a_commit(sqlite_url: str, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "TOGETHER_SECONDS", 5.0)
    monkeypatch.setattr(short, "TOGETHER_SECONDS", 5.0)
    run(_shared(sqlite_url, verb))


async def _shared(url: str, verb: str) -> None:
    with Database(url) as database, _counted() as begun:
        go, first = _held(database)
        await asyncio.sleep(0.05)
        rest = [asyncio.ensure_future(getattr(database, verb)(_alarm(f"kind{number}"))) for number in range(64)]
        await asyncio.sleep(0)
        go.set()
        done = await asyncio.gather(first, *rest)
        assert done == ["first", *(f"kind{number}" for number in range(64))], "each gets its own answer"
        assert len(begun) == 3, "65 writers, at most 32 behind the first of each commit"
        assert len(_kinds(database)) == 65


@both_verbs
def test_a_transaction_stays_open_for_ten_milliseconds_only(sqlite_url: str, verb: str) -> None:
    run(_short(sqlite_url, verb))


async def _short(url: str, verb: str) -> None:
    def slow(tx: Tx) -> None:
        audit.alarm(tx, NOW, "slow", "x")
        time.sleep(0.02)

    with Database(url) as database, _counted() as begun:
        await asyncio.gather(*(getattr(database, verb)(slow) for _ in range(4)))
        assert len(begun) == 4


@both_verbs
def test_a_job_that_fails_hurts_no_other(database_url: str, verb: str) -> None:
    run(_failing(database_url, verb))


async def _failing(url: str, verb: str) -> None:
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
        done = await asyncio.gather(*(getattr(database, verb)(job) for job in jobs), return_exceptions=True)
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


@both_verbs
def test_a_commit_that_fails_is_tried_again_for_each_alone(sqlite_url: str, verb: str) -> None:
    run(_uncommitted(sqlite_url, verb))


async def _uncommitted(url: str, verb: str) -> None:
    with Database(url) as database, _counted() as begun:
        go, first = _held(database)
        await asyncio.sleep(0.05)
        rest = [asyncio.ensure_future(getattr(database, verb)(job)) for job in (_alarm("one"), _orphan, _alarm("two"))]
        await asyncio.sleep(0)
        go.set()
        done = await asyncio.gather(first, *rest, return_exceptions=True)
        assert [type(each).__name__ for each in done] == ["str", "str", "IntegrityError", "str"]
        assert _kinds(database) == {"first", "one", "two"}
        assert len(begun) >= 4, "the shared one, and one for each good job"


@both_verbs
def test_who_waits_behind_a_broken_transaction_has_their_turn(sqlite_url: str, verb: str) -> None:
    run(_behind(sqlite_url, verb))


async def _behind(url: str, verb: str) -> None:
    def breaks(tx: Tx) -> None:
        tx.exec_driver_sql("ROLLBACK")
        raise KeyError("bug")

    with Database(url) as database:
        jobs = [breaks, *(_alarm(f"kind{number}") for number in range(40))]
        answers = asyncio.gather(*(getattr(database, verb)(job) for job in jobs), return_exceptions=True)
        done = await asyncio.wait_for(answers, 60)
        assert [type(each).__name__ for each in done] == ["KeyError", *["str"] * 40]
        assert len(_kinds(database)) == 40


@both_verbs
def test_a_locked_database_is_unavailable_after_its_patience(sqlite_url: str, verb: str) -> None:
    run(_locked(sqlite_url, verb))


async def _locked(url: str, verb: str) -> None:
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    with Database(url, patience=0.3) as database:
        await database.write(_alarm("before"))
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answers = await asyncio.gather(*(getattr(database, verb)(_alarm(f"while{number}")) for number in range(5)), return_exceptions=True)
        took = time.monotonic() - began
        assert {type(each) for each in answers} == {Unavailable}
        assert 0.25 < took < 10, "all wait for the same lock, not one after the other for ever"
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


def test_a_server_that_takes_no_rows_is_away(postgres_url: str) -> None:
    with Database(postgres_url) as database:

        def read_only(tx: Tx) -> None:
            tx.exec_driver_sql("SET TRANSACTION READ ONLY")
            _alarm("kind")(tx)

        with pytest.raises(Unavailable):
            database.write_now(read_only)


def test_who_clashes_again_and_again_may_come_back_later(postgres_url: str) -> None:
    """Not a defect of the work: a push would go to quarantine, a sender would give up its round."""
    tries = []

    def clash(tx: Tx) -> None:
        tries.append(1)
        tx.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$")

    with Database(postgres_url) as database, pytest.raises(Unavailable):
        database.write_now(clash)
    assert len(tries) == 3


@pytest.mark.parametrize("road", ["sqlalchemy", "prepared"])
def test_a_connection_that_the_server_has_ended_is_away(postgres_url: str, road: str) -> None:
    """As of a process that was stopped in the middle for longer than the server waits."""
    look = Prepared(lambda _: [sa.select(Alarm.kind)])

    def stopped(tx: Tx) -> None:
        tx.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 50")
        with psycopg.connect(postgres_url.replace("+psycopg", "")) as other:
            me = tx.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            for _ in range(200):
                if other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [me]).fetchone() is None:
                    break
                other.rollback()
                time.sleep(0.02)
        look.all(tx) if road == "prepared" else tx.execute(sa.select(Alarm.kind))

    with Database(postgres_url) as database:
        with pytest.raises(Unavailable):
            database.write_now(stopped)
        assert database.write_now(_alarm("after")) == "after"


def test_short_jobs_keep_their_connections_and_outlive_them(postgres_url: str) -> None:
    run(_kept(postgres_url))


def _wrong(_: Tx) -> None:
    raise KeyError("bug")


async def _kept(url: str) -> None:
    def backend(tx: Tx) -> int:
        _alarm("kind")(tx)
        return int(tx.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())

    with Database(url) as database:
        for _ in range(3):
            pids = set(await asyncio.gather(*(database.write_short(backend) for _ in range(40))))
            assert len(pids) <= db.SHORT_THREADS
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = ANY(%s)", (list(pids),))
            answers = await asyncio.gather(*(database.write_short(backend) for _ in range(40)), return_exceptions=True)
            lost = [each for each in answers if isinstance(each, BaseException)]
            assert {type(each) for each in lost} == {Unavailable}
            assert len(lost) <= len(pids), "each connection is lost once"
        with pytest.raises(KeyError):
            await database.write_short(_wrong)
        assert await database.write_short(backend) > 0


def test_by_default_three_seconds_are_waited(sqlite_url: str) -> None:
    with Database(sqlite_url) as database:
        waits = database.read_now(lambda tx: tx.exec_driver_sql("PRAGMA busy_timeout").scalar_one())
        assert (waits, db.PATIENCE_SECONDS) == (3_000, 3.0)
        assert database.read_now(lambda tx: tx.exec_driver_sql("PRAGMA synchronous").scalar_one()) == 2, "FULL"
        assert database.read_now(lambda tx: tx.exec_driver_sql("PRAGMA journal_mode").scalar_one()) == "wal"
        assert database.read_now(lambda tx: tx.exec_driver_sql("PRAGMA foreign_keys").scalar_one()) == 1


@both_verbs
def test_who_has_gone_away_is_not_written_for(sqlite_url: str, verb: str) -> None:
    run(_gone(sqlite_url, verb))


async def _gone(url: str, verb: str) -> None:
    with Database(url) as database:
        go, first = _held(database)
        await asyncio.sleep(0.05)
        waits = asyncio.ensure_future(getattr(database, verb)(_alarm("gone")))
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
    begun, go = threading.Event(), threading.Event()

    def patient(tx: Tx) -> str:
        begun.set()
        assert go.wait(60)
        return _alarm("first")(tx)

    with ThreadPoolExecutor(50) as callers:
        first = callers.submit(database.write_now, patient)
        assert begun.wait(60)
        waits = [callers.submit(database.write_now, _alarm(f"kind{number}")) for number in range(49)]
        while database._jobs.qsize() < 49:
            time.sleep(0.001)
        go.set()
        database.stop()
        assert first.result(30) == "first"
        assert [each.result(30) for each in waits] == [f"kind{number}" for number in range(49)]


def test_short_jobs_and_long_ones_never_write_at_the_same_time(sqlite_url: str) -> None:
    run(_in_turn(sqlite_url))


async def _in_turn(url: str) -> None:
    inside = 0

    def work(tx: Tx) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        tx.exec_driver_sql("UPDATE alarms SET count = count + 1")
        time.sleep(0.002)
        inside -= 1

    with Database(url, patience=5) as database:
        await database.write(_alarm("counted"))
        verbs = [database.write, database.write_short] * 40
        await asyncio.gather(*(verb(work) for verb in verbs))
        assert database.read_now(lambda tx: tx.execute(sa.select(Alarm.count)).scalar_one()) == 81


def test_a_loop_that_ends_leaves_the_pen_to_others(sqlite_url: str) -> None:
    with Database(sqlite_url, patience=1) as database:

        async def given_up() -> None:
            await database.write_short(_alarm("first"))
            committing = asyncio.ensure_future(database.write_short(_alarm("committing")))
            while not database._short._committing:  # type: ignore[union-attr]  # noqa: ASYNC110 - used just now, and tells nobody
                await asyncio.sleep(0)
            assert not committing.done(), "it has begun, and the loop does not wait for its commit"

        run(given_up())
        assert database.write_now(_alarm("after")) == "after"
        run(_again(database))
        assert _kinds(database) == {"first", "committing", "after", "again"}


async def _again(database: Database) -> None:
    await database.write_short(_alarm("again"))


def test_a_caller_that_blocks_the_loop_finds_no_transaction_open_on_it(sqlite_url: str) -> None:
    run(_blocking(sqlite_url))


async def _blocking(url: str) -> None:
    with Database(url, patience=1) as database:
        short = [asyncio.ensure_future(database.write_short(_alarm(f"short{number}"))) for number in range(200)]
        while not all(each.done() for each in short):
            database.write_now(_alarm("blocking"))
            await asyncio.sleep(0)
        assert len(_kinds(database)) == 201


def test_a_moment_without_a_zone_is_refused_and_one_with_comes_back_in_utc(database_url: str) -> None:
    with Database(database_url) as database:
        here = datetime.fromisoformat("2026-11-24T08:00:00.123456+08:00")
        database.write_now(lambda tx: audit.alarm(tx, here, "kind", "x"))
        back = database.read_now(lambda tx: tx.execute(sa.select(Alarm.first_at)).scalar_one())
        assert (back, back.tzinfo) == (here, UTC)
        with pytest.raises(sa.exc.StatementError):
            database.write_now(lambda tx: audit.alarm(tx, here.replace(tzinfo=None), "kind", "y"))


@both_verbs
def test_a_lock_that_lasts_uses_up_no_connections(sqlite_url: str, verb: str) -> None:
    gc.disable()  # what is given back must not wait for the collector
    try:
        run(_lasting(sqlite_url, verb))
    finally:
        gc.enable()


async def _lasting(url: str, verb: str) -> None:
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    refused: list[BaseException] = []
    with Database(url, patience=0.05) as database:
        write = getattr(database, verb)
        other.execute("BEGIN IMMEDIATE")
        for number in range(20):
            with pytest.raises(Unavailable) as away:
                await write(_alarm(f"kind{number}"))
            refused.append(away.value)  # with its frames, as a log or a future keeps it
        other.execute("ROLLBACK")
        assert await write(_alarm("after")) == "after"
        assert _kinds(database) == {"after"}
    other.close()


def test_a_process_that_writes_all_the_time_leaves_room_for_another(sqlite_url: str) -> None:
    run(_crowded(sqlite_url))


async def _crowded(url: str) -> None:
    stopped = False

    async def hammer(database: Database) -> int:
        written = 0
        while not stopped:
            await database.write_short(_alarm("short"))
            written += 1
        return written

    with Database(url) as busy, Database(url) as other:
        hammers = [asyncio.ensure_future(hammer(busy)) for _ in range(40)]
        long = [asyncio.ensure_future(busy.write(_alarm(f"long{number}"))) for number in range(40)]
        for number in range(20):
            assert await other.write(_alarm(f"other{number}")) == f"other{number}"
        stopped = True
        written = sum(await asyncio.gather(*hammers))
        await asyncio.gather(*long)
        assert written > 20, "nor is it kept out itself"


def test_a_process_that_is_frozen_in_the_turnstile_holds_up_nobody_for_good(sqlite_url: str) -> None:
    frozen = Turnstile(Path(f"{sqlite_url.removeprefix('sqlite:///')}-turn"))
    assert frozen.enter(0)
    with Database(sqlite_url) as database:
        assert database.write_now(_alarm("after")) == "after"
        run(_again(database))
    frozen.close()


@both_verbs
def test_a_connection_that_was_closed_below_us_costs_one_job_and_no_lock(sqlite_url: str, verb: str) -> None:
    run(_closed(sqlite_url, verb))


async def _closed(url: str, verb: str) -> None:
    def close(tx: Tx) -> None:
        tx.connection.dbapi_connection.close()  # type: ignore[union-attr]  # there is one

    with Database(url) as database:
        jobs = [_alarm("before"), close, _alarm("behind")]
        done = await asyncio.wait_for(asyncio.gather(*(getattr(database, verb)(job) for job in jobs), return_exceptions=True), 30)
        assert isinstance(done[1], Exception)
        assert await asyncio.wait_for(getattr(database, verb)(_alarm("after")), 30) == "after"
        told = {job for job in done if isinstance(job, str)}
        assert told | {"after"} <= set(_kinds(database)), "whoever was told that it is written finds it there"
