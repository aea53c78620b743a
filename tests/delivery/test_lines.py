"""Short work on PostgreSQL without a thread: together where it can be, alone where it must be, and nothing half done or done twice."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DataError, IntegrityError

from app import audit
from app.db import Database, Look, Tx
from app.db.prepared import Prepared
from app.errors import Unavailable
from app.models import Alarm
from app.models.columns import Moment
from tests.delivery.scene import NOW, run

_OURS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'tongban %'"
_KIND = sa.bindparam("kind", type_=Alarm.kind.type)
_COUNT = sa.bindparam("count", type_=Alarm.count.type)
_AT = sa.bindparam("at", type_=Alarm.first_at.type)


def _held(*, skip: bool) -> Any:
    return sa.select(Alarm.id).where(Alarm.kind == _KIND).with_for_update(skip_locked=skip)


HOLD = Prepared(lambda _: [_held(skip=False)], ahead=lambda _: _held(skip=True))
SEEN = Prepared(lambda _: [sa.select(Alarm.count, sa.func.pg_backend_pid().label("pid")).where(Alarm.kind == _KIND)])
MAKE = Prepared(lambda _: [sa.insert(Alarm).values(kind=_KIND, subject="x", count=_COUNT, first_at=_AT, last_at=_AT)])
COUNT = Prepared(lambda _: [sa.update(Alarm).where(Alarm.kind == _KIND).values(count=_COUNT)])


THINGS = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("words", sa.String),
    sa.Column("tree", sa.JSON),
    sa.Column("yes", sa.Boolean),
    sa.Column("at", Moment),
)
PUT = Prepared(lambda _: [sa.insert(THINGS).values({each.name: sa.bindparam(each.name, type_=each.type) for each in THINGS.c})])
GET = Prepared(lambda _: [sa.select(THINGS).where(THINGS.c.id == sa.bindparam("id", type_=sa.BigInteger()))])


def _create(tx: Tx) -> None:
    THINGS.create(tx)


def _looks(kind: str) -> tuple[Look, ...]:
    return ((HOLD, {"kind": kind}), (SEEN, {"kind": kind}))


def _counts_up(kind: str) -> Callable[[Tx], int]:
    """Adds one to what it sees: two that see the same lose one."""

    def work(tx: Tx) -> int:
        HOLD.first(tx, kind=kind)
        seen = SEEN.first(tx, kind=kind)
        if seen is None:
            MAKE.run(tx, kind=kind, count=1, at=NOW)
            return 1
        COUNT.run(tx, kind=kind, count=seen.count + 1)
        return int(seen.count) + 1

    return work


def _makes(kind: str) -> Callable[[Tx], None]:
    return lambda tx: MAKE.run(tx, kind=kind, count=1, at=NOW)


def _rows(database: Database) -> dict[str, int]:
    counted = Alarm.count.label("counted")
    return {row.kind: row.counted for row in database.read_now(lambda tx: tx.execute(sa.select(Alarm.kind, counted)).all())}


def test_what_waits_goes_together_and_each_gets_its_own_answer(postgres_url: str) -> None:
    run(_together(postgres_url))


async def _together(url: str) -> None:
    with Database(url) as database:
        kinds = [f"kind{number:02}" for number in range(40)]
        done = await asyncio.gather(*(database.write_in_turn(_looks(kind), _counts_up(kind), kind) for kind in kinds))
        assert done == [1] * 40
        assert _rows(database) == dict.fromkeys(kinds, 1)
        transactions = database.read_now(lambda tx: tx.exec_driver_sql("SELECT count(DISTINCT xmin::text) FROM alarms").scalar_one())
        assert transactions <= 4, "sixteen at a time, on two lines"


def test_work_of_one_owner_is_never_done_twice_at_a_time(postgres_url: str) -> None:
    run(_owners(postgres_url))


async def _owners(url: str) -> None:
    with Database(url) as database:
        database.write_now(_makes("a"))
        database.write_now(_makes("b"))
        work = [database.write_in_turn(_looks(kind), _counts_up(kind), kind) for _ in range(60) for kind in ("a", "b")]
        done = await asyncio.gather(*work)
        assert sorted(done) == sorted([*range(2, 62)] * 2), "each saw what the one before left"
        assert _rows(database) == {"a": 61, "b": 61}


def test_two_processes_lose_nothing_of_each_other(postgres_url: str) -> None:
    run(_two(postgres_url))


async def _two(url: str) -> None:
    with Database(url) as one, Database(url) as other:
        one.write_now(_makes("a"))
        done = await asyncio.gather(
            *(each.write_in_turn(_looks("a"), _through(_counts_up("a")), "a") for _ in range(40) for each in (one, other))
        )
        assert sorted(done) == [*range(2, 82)]
        assert _rows(one) == {"a": 81}


def _through(work: Callable[[Tx], int]) -> Callable[[Tx], int]:
    """As the way in does it: whoever is held by another is not found ahead, and is then waited for in a transaction."""

    def careful(tx: Tx) -> int:
        if HOLD.first(tx, kind="a") is None:
            tx.exec_driver_sql("SELECT 1")
        return work(tx)

    return careful


def test_work_that_needs_more_is_done_in_a_transaction(postgres_url: str) -> None:
    run(_more(postgres_url))


async def _more(url: str) -> None:
    asked: list[str] = []

    def needs(tx: Tx) -> int:
        asked.append(type(tx).__name__)
        MAKE.run(tx, kind="noted", count=1, at=NOW)
        audit.alarm(tx, NOW, "more", "x")
        with tx.begin_nested():
            return tx.execute(sa.select(sa.func.count()).select_from(Alarm)).scalar_one()

    with Database(url) as database:
        assert await database.write_in_turn(_looks("a"), needs, "a") == 2
        assert asked == ["Foreseen", "Connection"]
        assert set(_rows(database)) == {"noted", "more"}


def test_what_one_piece_of_work_does_wrong_costs_no_other(postgres_url: str) -> None:
    run(_wrong(postgres_url))


async def _wrong(url: str) -> None:
    def bug(tx: Tx) -> None:
        MAKE.run(tx, kind="half", count=1, at=NOW)
        raise KeyError("bug")

    def again(tx: Tx) -> None:
        MAKE.run(tx, kind="good", count=1, at=NOW)

    def null(tx: Tx) -> None:
        MAKE.run(tx, kind="null", count=None, at=NOW)

    with Database(url) as database:
        database.write_now(_makes("good"))
        jobs = {"a": _counts_up("a"), "bug": bug, "good": again, "null": null, "b": _counts_up("b")}
        done = await asyncio.gather(
            *(database.write_in_turn(_looks(kind), job, kind) for kind, job in jobs.items()), return_exceptions=True
        )
        assert [type(each) for each in done] == [int, KeyError, IntegrityError, IntegrityError, int]
        assert _rows(database) == {"good": 1, "a": 1, "b": 1}


def test_lines_that_were_cut_are_replaced_and_say_what_became_of_the_work(postgres_url: str) -> None:
    run(_cut(postgres_url))


async def _cut(url: str) -> None:
    def cut() -> None:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as other:
            other.execute(f"SELECT pg_terminate_backend(pid, 5000) {_OURS}")

    def in_the_middle(tx: Tx) -> None:
        MAKE.run(tx, kind="lost", count=1, at=NOW)
        cut()

    with Database(url) as database:
        assert await database.write_in_turn(_looks("a"), _counts_up("a"), "a") == 1
        cut()
        await asyncio.sleep(0.05)  # the loop hears of it by itself
        assert await database.write_in_turn(_looks("a"), _counts_up("a"), "a") == 2
        with pytest.raises(Unavailable):
            await database.write_in_turn(_looks("b"), in_the_middle, "b")
        assert await database.write_in_turn(_looks("a"), _counts_up("a"), "a") == 3
        assert _rows(database) == {"a": 3}


def test_whoever_is_not_waited_for_any_more_holds_up_nobody(postgres_url: str) -> None:
    run(_frozen(postgres_url))


async def _frozen(url: str) -> None:
    with Database(url) as database:
        pid = 0

        def freeze(tx: Tx) -> None:
            nonlocal pid
            pid = SEEN.first(tx, kind="a").pid
            os.kill(pid, signal.SIGSTOP)
            MAKE.run(tx, kind="frozen", count=1, at=NOW)

        database.write_now(_makes("a"))
        try:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await database.write_in_turn(_looks("a"), freeze, "a")
            for number in range(3):  # none of another owner, so that the frozen server's lock is nobody's
                assert await database.write_in_turn(_looks("b"), _counts_up("b"), "b") == number + 1
        finally:
            os.kill(pid, signal.SIGCONT)
        async with asyncio.timeout(20):  # its lock goes with the connection that we closed
            assert await database.write_in_turn(_looks("a"), _through(_counts_up("a")), "a") == 2
        rows = _rows(database)
        assert (rows["a"], rows["b"]) == (2, 3)
        assert rows.get("frozen") in (None, 1), "nobody was told: whoever kept the push meanwhile finds out when it is replayed"


def test_work_of_one_owner_is_done_in_the_order_in_which_it_came(postgres_url: str) -> None:
    run(_in_order(postgres_url))


async def _in_order(url: str) -> None:
    def makes(number: int) -> Callable[[Tx], None]:
        def work(tx: Tx) -> None:
            if number % 3 == 0:  # needs more than a line gives
                tx.exec_driver_sql("SELECT pg_sleep(0.01)")
            MAKE.run(tx, kind=f"{number:02}", count=number, at=NOW)

        return work

    with Database(url) as database:
        await asyncio.gather(*(database.write_in_turn(_looks("a"), makes(number), "a") for number in range(30)))
        made = database.read_now(lambda tx: tx.execute(sa.select(Alarm.kind).order_by(Alarm.id)).scalars().all())
        assert made == [f"{number:02}" for number in range(30)]


def test_a_row_that_another_holds_keeps_nobody_else_waiting(postgres_url: str) -> None:
    run(_held_by_another(postgres_url))


async def _held_by_another(url: str) -> None:
    with Database(url) as database:
        for kind in ("held", "a", "b"):
            database.write_now(_makes(kind))
        with psycopg.connect(url.replace("+psycopg", "")) as other:
            other.execute("SELECT 1 FROM alarms WHERE kind = 'held' FOR UPDATE")
            work = {kind: database.write_in_turn(_looks(kind), _counts_up(kind), kind) for kind in ("held", "a", "b")}
            tasks = {kind: asyncio.ensure_future(each) for kind, each in work.items()}
            assert list(await asyncio.gather(tasks["a"], tasks["b"])) == [2, 2]
            assert not tasks["held"].done()
        with contextlib.suppress(Unavailable):  # its own patience may be over
            await tasks["held"]


def test_a_line_that_is_refused_leaves_all_to_the_other(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(_refused(postgres_url, monkeypatch))


async def _refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Database(url) as database:
        connect, asked = database._connection, 0

        def once() -> Any:
            nonlocal asked
            asked += 1
            if asked > 1:
                raise OSError("too many open files")
            return connect()

        monkeypatch.setattr(database, "_connection", once)
        kinds = [f"kind{number:03}" for number in range(200)]
        done = await asyncio.gather(*(database.write_in_turn(_looks(kind), _counts_up(kind), kind) for kind in kinds))
        assert done == [1] * 200


def test_a_line_that_cannot_be_had_is_told_to_everybody(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(_none(postgres_url, monkeypatch))


async def _none(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Database(url) as database:

        def refuse() -> Any:
            raise OSError("too many open files")

        with monkeypatch.context() as patch:
            patch.setattr(database, "_connection", refuse)
            work = (database.write_in_turn(_looks(kind), _counts_up(kind), kind) for kind in ("a", "b", "c"))
            done = await asyncio.wait_for(asyncio.gather(*work, return_exceptions=True), 20)
            assert [type(each) for each in done] == [Unavailable] * 3
        database._stop_lines()
        assert await database.write_in_turn(_looks("a"), _counts_up("a"), "a") == 1


def test_who_stops_waiting_takes_nobody_along(postgres_url: str) -> None:
    run(_cancelled(postgres_url))


async def _cancelled(url: str) -> None:
    with Database(url) as database:
        kinds = [f"kind{number:02}" for number in range(12)]
        tasks = [asyncio.ensure_future(database.write_in_turn(_looks(kind), _counts_up(kind), kind)) for kind in kinds]
        again = asyncio.ensure_future(database.write_in_turn(_looks(kinds[5]), _counts_up(kinds[5]), kinds[5]))
        while not database._lines or not database._lines._open:  # noqa: ASYNC110 - a line offers no event for its opening
            await asyncio.sleep(0)
        tasks[5].cancel()
        done = await asyncio.gather(*tasks[:5], *tasks[6:])
        assert done == [1] * 11
        assert await again in (1, 2), "whoever of the same owner comes behind has a turn"


def test_a_text_that_cannot_go_over_the_wire_is_refused_as_everywhere_else(postgres_url: str) -> None:
    run(_nul(postgres_url))


async def _nul(url: str) -> None:
    with Database(url) as database:
        jobs = {"a": _counts_up("a"), "nul": lambda tx: MAKE.run(tx, kind="n\0l", count=1, at=NOW), "b": _counts_up("b")}
        work = (database.write_in_turn(_looks(kind), job, kind) for kind, job in jobs.items())
        done = await asyncio.gather(*work, return_exceptions=True)
        assert [type(each) for each in done] == [int, DataError, int]
        assert _rows(database) == {"a": 1, "b": 1}


def test_what_was_noted_is_not_read_back_from_what_stood_before(postgres_url: str) -> None:
    run(_read_back(postgres_url))


async def _read_back(url: str) -> None:
    def twice(tx: Tx) -> int:
        _counts_up("a")(tx)
        return _counts_up("a")(tx)

    with Database(url) as database:
        assert await database.write_in_turn(_looks("a"), twice, "a") == 2
        assert await database.write_in_turn(_looks("b"), _counts_up("a"), "b") == 3, "other values than those that were looked up"


def test_every_kind_of_value_arrives_as_it_was(postgres_url: str) -> None:
    run(_values(postgres_url))


async def _values(url: str) -> None:
    fixed = {"words": "晚安\\'\n", "tree": {"a": ["\\", None, "好"]}, "yes": True, "at": NOW}
    with Database(url) as database:
        database.write_now(_create)
        for number in range(20):
            given = {"id": number, "raw": os.urandom(300) + b"\\x'\0", **fixed}
            await database.write_in_turn(((GET, {"id": number}),), partial(PUT.run, **given), "a")
            row = await database.write_in_turn(((GET, {"id": number}),), partial(GET.first, id=number), "a")
            assert row._asdict() == given
            assert database.read_now(partial(GET.first, id=number)) == row


def test_a_loop_that_ends_takes_its_lines_along(postgres_url: str) -> None:
    with Database(postgres_url) as database:
        for number in range(3):
            assert asyncio.run(database.write_in_turn(_looks("a"), _counts_up("a"), "a")) == number + 1
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as other:
        query = f"SELECT count(*) {_OURS}"
        for _ in range(100):
            left = other.execute(query).fetchone()
            if left == (0,):
                break
            other.execute("SELECT pg_sleep(0.05)")
        assert left == (0,)
