"""What is prepared says the same as what SQLAlchemy runs by itself: values, names, nothing, and errors."""

from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from app import audit
from app.db import Database, Tx, upserting
from app.db.prepared import NOW as ASKED
from app.db.prepared import Among, Anything, Earliest, Prepared, slot
from app.errors import Unavailable
from app.models import Alarm, Conversation, Delivery, Pace
from tests.delivery.scene import NOW, Desk

COLUMNS = (Conversation.id, Conversation.busy, Conversation.recent, Conversation.floor_sealed, Conversation.changed_at.label("at"))
ONE = Prepared(lambda _: [sa.select(*COLUMNS).where(Conversation.person_id == sa.bindparam("person", type_=Conversation.person_id.type))])
ALL = Prepared(lambda _: [sa.select(Alarm.kind, Alarm.count).where(Alarm.kind != "100% {sure}").order_by(Alarm.kind)])
ALARM = Prepared(
    lambda _: [
        sa.insert(Alarm).values(
            kind=sa.bindparam("kind", type_=Alarm.kind.type),
            subject=sa.bindparam("kind", type_=Alarm.kind.type),
            count=1,
            first_at=sa.bindparam("at", type_=Alarm.first_at.type),
            last_at=sa.bindparam("at", type_=Alarm.last_at.type),
        )
    ]
)


def test_a_prepared_row_is_the_row(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person("小雨", typed=NOW)
        desk.write(
            lambda tx: tx.execute(
                sa.insert(Conversation).values(
                    id=7, person_id=person.id, account_id=desk.account_id, busy=True, recent={"ours": ["晨光"], "n": 1}, changed_at=NOW
                )
            )
        )

        def both(tx: Tx) -> tuple[Any, Any]:
            plain = tx.execute(sa.select(*COLUMNS).where(Conversation.person_id == person.id)).one()
            return ONE.first(tx, person=person.id), plain

        for _ in range(8):  # psycopg prepares a statement on the server after a few runs
            prepared, plain = desk.read(both)
            assert tuple(prepared) == tuple(plain)
            assert (prepared.at, prepared.busy, prepared.recent) == (NOW, True, {"ours": ["晨光"], "n": 1})
        assert desk.read(lambda tx: ONE.first(tx, person=1)) is None


def test_a_statement_keeps_its_literals_and_runs_for_many_rows(database_url: str) -> None:
    with Database(database_url) as database:
        for kind in ("b", "a", "100% {sure}"):
            database.write_now(partial(ALARM.run, kind=kind, at=NOW))
        assert [tuple(row) for row in database.read_now(ALL.all)] == [("a", 1), ("b", 1)]


SOME = Among(lambda some: sa.select(Alarm.kind).where(Alarm.kind.in_(some), Alarm.first_at <= ASKED).order_by(Alarm.kind))


@pytest.mark.parametrize("many", [0, 1, 2, 3, 5, 1_500])
def test_a_list_of_any_length_finds_each_row_once(database_url: str, many: int) -> None:
    with Database(database_url) as database:
        for kind in ("a", "b", "c", "d"):
            database.write_now(partial(ALARM.run, kind=kind, at=NOW))
        wanted = ["d", "a", "x", *map(str, range(many))][:many]
        found = [row.kind for row in database.read_now(lambda tx: SOME.all(tx, wanted, now=NOW))]
        assert found == sorted({"a", "d"} & set(wanted))
        assert database.read_now(lambda tx: SOME.all(tx, wanted, now=NOW - timedelta(seconds=1))) == []


RENAME = Prepared(lambda _: [sa.update(Alarm).where(Alarm.kind == slot("kind")).values(subject=slot("to"))])
RENAME_ALL = Among(lambda some: sa.update(Alarm).where(Alarm.kind.in_(some)).values(subject=slot("to")))
ONCE = Prepared(
    lambda dialect: [
        upserting(dialect, Alarm)
        .values(kind=slot("kind"), subject="", count=1, first_at=ASKED, last_at=ASKED)
        .on_conflict_do_nothing()
        .returning(Alarm.kind, Alarm.first_at)
    ]
)


def test_many_rows_are_written_at_once_and_whoever_changes_some_hears_how_many(database_url: str) -> None:
    with Database(database_url) as database:
        database.write_now(lambda tx: ALARM.each(tx, [{"kind": kind, "at": NOW} for kind in ("a", "b", "c")]))
        database.write_now(lambda tx: ALARM.each(tx, []))
        assert database.write_now(lambda tx: RENAME.count(tx, kind="a", to="x")) == 1
        assert database.write_now(lambda tx: RENAME.count(tx, kind="z", to="x")) == 0
        assert database.write_now(lambda tx: RENAME_ALL.count(tx, ["b", "c", "z"], to="y")) == 2
        assert database.write_now(lambda tx: RENAME_ALL.count(tx, ["b", *map(str, range(1_500))], to="w")) == 1
        assert database.write_now(lambda tx: RENAME_ALL.count(tx, [], to="v")) == 0
        rows = database.read_now(lambda tx: tx.execute(sa.select(Alarm.kind, Alarm.subject).order_by(Alarm.kind)).all())
        assert [tuple(row) for row in rows] == [("a", "x"), ("b", "w"), ("c", "y")]


def test_what_an_insert_returns_is_read_as_every_row(database_url: str) -> None:
    with Database(database_url) as database:
        written = database.write_now(lambda tx: ONCE.first(tx, kind="a", now=NOW))
        assert tuple(written) == ("a", NOW)
        assert database.write_now(lambda tx: ONCE.first(tx, kind="a", now=NOW)) is None


def test_a_column_whose_default_only_python_knows_has_to_be_named(database_url: str) -> None:
    left_out = Prepared(lambda _: [sa.insert(Pace).values(account_id=slot("account"), api="x", day=slot("day"))])
    with Database(database_url) as database, pytest.raises(TypeError, match="pause"):
        database.write_now(lambda tx: left_out.run(tx, account=1, day=NOW.date()))


def test_a_fraction_comes_out_as_it_is(database_url: str) -> None:
    lease = Prepared(lambda _: [sa.select(sa.cast(sa.literal_column("1.5"), Delivery.lease_until.type).label("until"))])
    with Database(database_url) as database:
        found = database.read_now(lease.first).until
        assert (type(found), found) == (float, 1.5)


THERE = Anything(lambda: sa.select(Alarm.id).where(Alarm.kind == slot("kind")), lambda: sa.select(Alarm.id).where(Alarm.last_at < ASKED))
FIRST = Earliest(
    lambda: sa.select(sa.func.min(Alarm.last_at)).where(Alarm.last_at > ASKED),
    lambda: sa.select(sa.func.min(Conversation.changed_at)),
)


def test_whether_any_is_there_and_when_the_first_comes_is_one_question(database_url: str) -> None:
    with Database(database_url) as database:
        assert database.read_now(lambda tx: FIRST.moment(tx, now=NOW)) is None
        assert not database.read_now(lambda tx: THERE.there(tx, kind="a", now=NOW))
        database.write_now(partial(ALARM.run, kind="a", at=NOW))
        database.write_now(partial(ALARM.run, kind="b", at=NOW + timedelta(hours=1)))
        assert database.read_now(lambda tx: THERE.there(tx, kind="a", now=NOW))
        assert not database.read_now(lambda tx: THERE.there(tx, kind="c", now=NOW))
        assert database.read_now(lambda tx: THERE.there(tx, kind="c", now=NOW + timedelta(seconds=1)))
        assert database.read_now(lambda tx: FIRST.moment(tx, now=NOW)) == NOW + timedelta(hours=1)
        assert database.read_now(lambda tx: FIRST.moment(tx, now=NOW + timedelta(hours=1))) is None


def test_its_errors_are_those_of_everywhere_else_and_name_no_value(database_url: str) -> None:
    with Database(database_url) as database:
        database.write_now(lambda tx: ALARM.run(tx, kind="secret", at=NOW))
        with pytest.raises(sa.exc.IntegrityError) as refused:
            database.write_now(lambda tx: ALARM.run(tx, kind="secret", at=NOW + timedelta(days=1)))
        assert "2026" not in str(refused.value)
        database.write_now(lambda tx: audit.alarm(tx, NOW, "after", "x"))


def test_a_connection_that_was_cut_is_away_and_the_next_one_is_new(postgres_url: str) -> None:
    with Database(postgres_url) as database:
        database.write_now(lambda tx: ALARM.run(tx, kind="before", at=NOW))

        def cut(tx: Tx) -> None:
            pid = tx.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
            ALARM.run(tx, kind="lost", at=NOW)

        with pytest.raises(Unavailable):
            database.write_now(cut)
        database.write_now(lambda tx: ALARM.run(tx, kind="after", at=NOW))
        assert [row.kind for row in database.read_now(ALL.all)] == ["after", "before"]
