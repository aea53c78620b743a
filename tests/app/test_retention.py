"""Retention deletes what is past its time and nothing else; one process does it; a reply is forgotten after minutes."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import audit, broadcasts, clock, flags, inbox, people, retention
from app.broadcasts import Draft
from app.db import Database
from app.models import (
    Alarm,
    Attempt,
    Audit,
    Broadcast,
    Chore,
    ConsentGiven,
    Contact,
    Course,
    Delivery,
    Flag,
    Guess,
    InboxItem,
    Participant,
    Quarantined,
    Receipt,
    Table,
)
from app.retention import Keep
from app.states import State
from app.worker import Worker
from bots.turns import OccasionKind
from tests.delivery.scene import NOW, Desk, at, incoming, push, says

DAYS = Keep(pushes=timedelta(days=30), quarantine=timedelta(days=30), details=timedelta(days=180), audit=timedelta(days=1825))
OLD, ANCIENT = NOW - timedelta(days=31), NOW - timedelta(days=2000)


def run(desk: Desk, moment: datetime = NOW) -> dict[str, int]:
    with at(moment):
        desk.write(retention.make_due)
        return asyncio.run(retention.run_due(desk.database, DAYS))


def counts(desk: Desk) -> dict[str, int]:
    tables = Table.metadata.sorted_tables
    return desk.read(lambda tx: {table.name: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in tables})


def value(desk: Desk, *columns: Any) -> list[Any]:
    return [tuple(row) for row in desk.read(lambda tx: tx.execute(sa.select(*columns)).all())]


def test_a_reply_is_forgotten_after_minutes_and_the_push_stays(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person()
        for minute in range(5):
            says(desk, 1, f"你好{minute}", at=NOW + timedelta(minutes=minute * 10), key=str(minute))
        assert run(desk, NOW + timedelta(minutes=41))["replies"] == 3  # 0, 10 and 20 minutes; the others came within a quarter of an hour
        kept = value(desk, InboxItem.received_at, InboxItem.reply_sealed)
        assert len(kept) == 5
        assert sum(sealed is not None for _, sealed in kept) == 2
        assert run(desk, NOW + timedelta(hours=2))["replies"] == 2
        assert "replies" not in run(desk, NOW + timedelta(hours=3))


def test_old_pushes_go_in_chunks_and_newer_ones_stay(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 3)
    with Desk(database_url) as desk:
        desk.person()
        for number in range(8):
            says(desk, 1, f"旧{number}", at=OLD + timedelta(minutes=number), key=f"old{number}")
        _, recent = says(desk, 1, "新", at=NOW - timedelta(days=29), key="new")
        with at(NOW):
            expected = desk.read(lambda tx: retention.count(tx, DAYS, clock.now()))
        gone = run(desk)
        assert gone["pushes"] == expected["pushes"] == 8
        assert value(desk, InboxItem.id) == [(recent.inbox_id,)]
        with at(NOW - timedelta(days=29)):  # a repeat of what stays is still known
            again = desk.write(lambda tx: inbox.take(tx, desk.tools, incoming_again(desk)))
        assert again.inbox_id == recent.inbox_id


def incoming_again(desk: Desk) -> inbox.Incoming:
    return incoming(desk, push(desk, 1, "新", at=NOW - timedelta(days=29), key="new"))


def test_of_quarantine_only_what_was_settled_long_ago_goes(database_url: str) -> None:
    with Desk(database_url) as desk:
        for number, (moment, settled) in enumerate(((ANCIENT, None), (ANCIENT, OLD), (OLD, NOW - timedelta(days=1)), (NOW, None)), 1):

            def keep(tx: Any, number: int = number, moment: datetime = moment, settled: datetime | None = settled) -> None:
                inbox.quarantine(tx, desk.tools, desk.account_id, "x", b"x", moment, row_id=number)
                tx.execute(sa.update(Quarantined).where(Quarantined.id == number).values(settled_at=settled))

            desk.write(keep)
        assert run(desk)["quarantine"] == 1
        assert sorted(value(desk, Quarantined.id)) == [(1,), (3,), (4,)]


def test_what_is_open_flags_consents_and_participants_outlast_everything(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person()
        says(desk, 1, "我不想活了", at=ANCIENT, key="cry")
        with at(ANCIENT):
            desk.announced("很久以前", now=ANCIENT)
        desk.write(lambda tx: tx.execute(sa.update(Course).values(ended_at=ANCIENT)))
        desk.write(lambda tx: flags.take_over(tx, 1, ANCIENT))
        desk.write(lambda tx: flags.note_contact(tx, desk.keyring, 1, "打了电话", ANCIENT))
        desk.write(lambda tx: flags.close(tx, desk.keyring, 1, "平安", ANCIENT))
        before = counts(desk)
        assert (before["flags"], before["contacts"]) == (1, 1)
        assert before["deliveries"] >= 1
        run(desk)
        after = counts(desk)
        opened = desk.write(lambda tx: flags.reveal(tx, desk.keyring, 1, NOW))
        assert (opened.words, opened.notes, opened.closing) == ("我不想活了", ((ANCIENT, "打了电话"),), "平安")
        for table in (Flag, Contact, ConsentGiven, Participant, Delivery, Broadcast, Course):
            assert after[table.__tablename__] == before[table.__tablename__], table
        assert after["inbox"] == 0


def ended(desk: Desk, state: State) -> int:
    """An announcement of old to three people, whose every delivery has come to `state` after one try; returns its broadcast."""
    for _ in range(3):
        desk.person()
    schedule = desk.announced(now=ANCIENT)

    def work(tx: Any) -> int:
        broadcast = tx.execute(sa.select(Broadcast.id).where(Broadcast.schedule_id == schedule)).scalar_one()
        tx.execute(sa.update(Delivery).values(state=state))
        tx.execute(sa.update(Broadcast).values(state="done"))
        for delivery in tx.execute(sa.select(Delivery.id)).scalars().all():
            tx.execute(sa.insert(Attempt).values(delivery_id=delivery, number=1, call="c", route="service", started_at=ANCIENT))
        return int(broadcast)

    return desk.write(work)


def test_tries_go_after_the_course_has_ended_and_what_became_of_each_message_stays(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)
    with Desk(database_url) as desk:
        ended(desk, State.SENT)
        assert "attempts" not in run(desk)  # the course goes on
        desk.write(lambda tx: tx.execute(sa.update(Course).values(ended_at=NOW - timedelta(days=179))))
        assert "attempts" not in run(desk)
        desk.write(lambda tx: tx.execute(sa.update(Course).values(ended_at=NOW - timedelta(days=181))))
        with at(NOW):
            assert desk.read(lambda tx: retention.count(tx, DAYS, NOW))["attempts"] == 3
        assert run(desk)["attempts"] == 3
        assert value(desk, Delivery.state) == [("sent",)] * 3
        assert "attempts" not in run(desk)
        with at(NOW):
            assert desk.read(lambda tx: retention.count(tx, DAYS, NOW))["attempts"] == 0


def test_the_rest_goes_by_its_age(database_url: str) -> None:
    with Desk(database_url) as desk:
        known = desk.person()

        def work(tx: Any) -> None:
            for moment in (ANCIENT, NOW - timedelta(hours=1)):
                tx.execute(sa.insert(Guess).values(person_id=known.id, at=moment))
                tx.execute(sa.insert(Receipt).values(account_id=desk.account_id, msgid=str(moment), status="success", received_at=moment))
                audit.record(tx, moment, "system", "x", "x")
                audit.alarm(tx, moment, "quota", str(moment))

        desk.write(work)
        before = counts(desk)
        gone = run(desk)
        assert gone == {"guesses": 1, "receipts": 1, "audit": 1, "alarms": 1}
        after = counts(desk)
        assert {name: before[name] - after[name] for name in before if after[name] != before[name] and name != "chores"} == {
            Guess.__tablename__: 1,
            Receipt.__tablename__: 1,
            Audit.__tablename__: 1,
            Alarm.__tablename__: 1,
        }


def test_answers_of_old_go_with_their_deliveries_when_all_have_ended(database_url: str) -> None:
    with Desk(database_url) as desk:
        author = desk.person()

        def made(state: str) -> Callable[[Any], None]:
            def work(tx: Any) -> None:
                draft = Draft(desk.account_id, author.key.id, "announcement", OccasionKind.CONTINUATION, {"text": "x"})
                one = broadcasts.send_to(tx, desk.keyring, draft, [author.id], ANCIENT)
                tx.execute(sa.update(Broadcast).where(Broadcast.id == one).values(state=state))

            return work

        with at(ANCIENT):
            for state in ("done", "going"):
                desk.write(made(state))
        assert run(desk)["answers"] == 1
        assert value(desk, Broadcast.state) == [("going",)]
        assert len(value(desk, Delivery.id)) == 1


def test_one_process_does_it_and_takes_over_from_a_dead_one(database_url: str) -> None:
    with Desk(database_url) as desk, Database(database_url) as other, at(NOW):
        says(desk, 1, "旧", at=OLD, key="old")
        assert desk.write(lambda tx: retention._begin(tx, "retention"))
        assert not other.write_now(lambda tx: retention._begin(tx, "retention"))
        asyncio.run(retention.run_due(other, DAYS))
        assert len(value(desk, InboxItem.id)) == 1  # the first is at it
        desk.write(lambda tx: tx.execute(sa.update(Chore).values(lease_until=clock.machine_seconds() - 1)))
        assert asyncio.run(retention.run_due(other, DAYS))["pushes"] == 1
        assert asyncio.run(retention.run_due(desk.database, DAYS)) == {}  # not again before tomorrow


def test_an_erased_person_does_not_stop_it(database_url: str) -> None:
    with Desk(database_url) as desk:
        known = desk.person()
        says(desk, 1, "你好", at=OLD, key="old")
        desk.write(lambda tx: people.erase(tx, desk.keyring, known.id, NOW, actor="operator"))
        assert run(desk)["pushes"] == 1


def test_a_worker_does_it_by_itself(sqlite_url: str) -> None:
    async def play(desk: Desk) -> None:
        worker = Worker(desk.assembly)
        worker.start()
        try:
            assert "retention" in {job.id for job in worker._ticker.get_jobs()}
            await worker._retain()
        finally:
            await worker.stop()

    with Desk(sqlite_url) as desk:
        says(desk, 1, "旧", at=OLD, key="old")
        with at(NOW):
            asyncio.run(play(desk))
        assert value(desk, InboxItem.id) == []
