"""How one account is sent for: a window that slides, turns that are shared, a circuit that opens, and room that is kept for others."""

import asyncio
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from app import clock, courses, groups, people, schedules
from app.channels import Verdict
from app.db import Tx
from app.db.prepared import Prepared
from app.models import Broadcast, Delivery, Pace
from app.outbox import claims, ledger, pace, recheck, turns
from app.outbox.slots import Slots
from app.people import Known
from app.states import Route
from bots.turns import Role
from tests.delivery import scene
from tests.delivery.scene import NOW, Desk, Line, alarms, announce, calls, deliveries, lease, run, writers
from tests.stage import Stage

SEND = "message/custom/send"


def test_a_slow_answer_holds_up_nobody_and_never_are_more_than_eight_in_doubt(database_url: str) -> None:
    with Desk(database_url) as desk:
        for number in range(30):
            desk.person(f"同学{number}")
        schedule = desk.announced()
        others_through, in_doubt = asyncio.Event(), []

        async def wait(number: int) -> None:
            in_doubt.append(desk.read(_sending))
            if number == 30:
                others_through.set()
            if number == 1:
                await asyncio.wait_for(others_through.wait(), 60)

        line = Line(wait)
        run(desk.assembly.postman().send_due(desk.account_id, line, NOW))  # type: ignore[arg-type]
        assert max(in_doubt) == line.rules.service_in_flight
        assert len(set(line.sent)) == len(line.sent) == 30
        assert {row.word for row in desk.read(lambda tx: deliveries(tx, schedule)).values()} == {("sent", "service")}


def test_a_defect_in_the_middle_of_a_round_loses_no_answer(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(database_url) as desk:
        for number in range(12):
            desk.person(f"同学{number}")
        schedule = desk.announced()
        claim, claimed = claims.claim, asyncio.Event()

        def fail_the_second_time(*words: Any) -> claims.Claim:
            if claimed.is_set():
                raise RuntimeError("a defect")
            claimed.set()
            return claim(*words)

        async def wait(_: int) -> None:
            await asyncio.sleep(0.05)

        monkeypatch.setattr(claims, "claim", fail_the_second_time)
        line = Line(wait)
        with pytest.raises(RuntimeError, match="a defect"):
            run(desk.assembly.postman().send_due(desk.account_id, line, NOW))  # type: ignore[arg-type]
        states = Counter(row.state for row in desk.read(lambda tx: deliveries(tx, schedule)).values())
        assert states == {"sent": len(line.sent), "claimed": 12 - len(line.sent)}
        assert line.sent


def _sending(tx: Tx) -> int:
    return tx.execute(sa.select(sa.func.count()).where(Delivery.state == "sending")).scalar_one()


def _course(desk: Desk, code: str, members: list[Known]) -> int:
    """Another course with one group and these members; returns the group."""

    def make(tx: Tx) -> int:
        course = courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code=code, title=code)
        group = groups.create(tx, course, code=code, name=code)
        for known in members:
            people.consent(tx, known.id, course, courses.SHIPPED_CONSENT, ("online",), NOW)
            groups.enter(tx, group, known.id, Role.PARTICIPANT, NOW)
        return group

    return desk.write(make)


def _announced(desk: Desk, group: int, text: str) -> int:
    def make(tx: Tx) -> int:
        made = schedules.plan_announcement(tx, desk.keyring, author_id=None, group_id=group, text=text, at=None, draft=None, now=NOW)
        schedules.fire_next(tx, desk.keyring, NOW)
        return tx.execute(sa.select(Broadcast.id).where(Broadcast.schedule_id == made)).scalar_one()

    return desk.write(make)


def _claim(desk: Desk, most: int, served: Counter[int]) -> Counter[int]:
    """One claim: how many of each broadcast; whose turn it was is noted."""
    found = desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW, most, served))
    turn = max(served.values(), default=0) + 1
    served.update({each: turn - served[each] for each in found.broadcasts})
    return Counter(post.broadcast_id for post in found.posts)


def test_a_large_broadcast_keeps_a_later_one_of_another_course_waiting_for_a_moment_only(database_url: str) -> None:
    with Desk(database_url) as desk:
        members = [desk.person(f"同学{number}") for number in range(40)]
        small = _course(desk, "small", members[:6])
        large_one, small_one = _announced(desk, desk.group, "大"), _announced(desk, small, "小")
        served: Counter[int] = Counter()
        assert _claim(desk, 8, served) == {large_one: 4, small_one: 4}
        assert _claim(desk, 8, served) == {large_one: 4, small_one: 2}
        assert _claim(desk, 64, served) == {large_one: 32}


def test_every_broadcast_has_its_turn_and_courses_alternate(database_url: str) -> None:
    with Desk(database_url) as desk:
        members = [desk.person(f"同学{number}") for number in range(4)]
        other = _course(desk, "other", members)
        many = [_announced(desk, desk.group, f"第{number}条") for number in range(20)]
        single = _announced(desk, other, "另一门课")
        served: Counter[int] = Counter()
        first = _claim(desk, 8, served)
        assert first[single] == 1, "one course with twenty broadcasts keeps no other course waiting"
        assert set(first.values()) == {1}
        for _ in range(2):
            _claim(desk, 8, served)
        assert set(served) == {*many, single}, "who has waited longest comes first: nobody starves"


def test_more_urgent_messages_are_claimed_first(database_url: str) -> None:
    with Desk(database_url) as desk:
        for number in range(6):
            desk.person(f"同学{number}")
        bulk, answer = _announced(desk, desk.group, "大"), _announced(desk, desk.group, "答")
        desk.write(lambda tx: tx.execute(sa.update(Delivery).where(Delivery.broadcast_id == answer).values(priority=1)).rowcount)
        assert _claim(desk, 8, Counter()) == {answer: 6, bulk: 2}


def test_what_is_held_is_never_claimed(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        desk.announced()
        desk.write(lambda tx: tx.execute(sa.update(Delivery).values(state="held")).rowcount)
        assert desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW)).posts == []
        assert not desk.read(lambda tx: claims.any_due(tx, desk.account_id, NOW))


def test_the_turns_are_found_by_stepping_over_broadcasts_and_not_over_rows(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk:

        def explain(tx: Tx) -> list[str]:
            text = turns._HEADS.compiled(tx.dialect)[0].text
            rows = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", tuple("0" * text.count("?")))
            return [row[-1] for row in rows]

        plan = desk.read(explain)
        assert "SEARCH n USING INDEX ix_deliveries_due (account_id=? AND priority=? AND broadcast_id>?)" in plan
        assert "SEARCH m USING INDEX ix_deliveries_due (account_id=? AND priority>?)" in plan


@pytest.mark.parametrize("step", [ledger._SEIZE, recheck._EVERYTHING], ids=["seize", "everything"])
def test_what_a_claim_looks_at_is_found_by_the_deliveries_own_ids_even_where_statistics_know_no_row(
    postgres_url: str, step: Prepared
) -> None:
    with Desk(postgres_url) as desk:
        for number in range(50):
            desk.person(f"同学{number}")
        desk.announced()

        def explain(tx: Tx) -> str:
            tx.exec_driver_sql("UPDATE pg_class SET reltuples = 0, relpages = 60 WHERE relnamespace = 'public'::regnamespace")
            tx.exec_driver_sql("SET LOCAL enable_seqscan = off")  # these tables have one page
            (compiled,) = step.compiled(tx.dialect)
            driver: Any = tx.connection.dbapi_connection
            cursor: Any = psycopg.RawCursor(driver)
            return "\n".join(row[0] for row in cursor.execute(f"EXPLAIN (GENERIC_PLAN) {compiled.text}", prepare=False))

        plan = desk.write(explain)
        assert set(re.findall(r"\w+_deliveries\w*", plan)) == {"pk_deliveries"}, plan
        assert "Seq Scan on deliveries" not in plan


# -- the circuit


def test_after_repeated_doubts_the_circuit_opens_one_message_probes_and_everything_goes_on(database_url: str, tmp_path: Path) -> None:
    run(_circuit(database_url, tmp_path))


async def _circuit(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("大组")
        await writers(stage, group, [f"同学{number}" for number in range(30)])
        await stage.faults(api=SEND, errcode=-1, times=None)
        schedule = announce(stage, group)
        await stage.worker.tick()
        await stage.worker.send_due(clock.now())
        assert calls(stage, SEND)[-1] == 8, "what was under way, and then no more"
        assert _states(stage, schedule) == {"unknown": 8, "ready": 22}
        for pause, asked in ((2, 9), (4, 10), (8, 11), (16, 12), (30, 13), (30, 14)):
            await stage.advance(timedelta(seconds=pause))
            assert calls(stage, SEND)[-1] == asked, "one message probes, after pauses that grow to half a minute"
        assert stage.read(alarms)[f"circuit_open account:{stage.account_id}"] == 1
        await stage.phones.delete("/sandbox/faults")
        await stage.advance(timedelta(seconds=30))
        assert _states(stage, schedule) == {"unknown": 14, "sent": 16}
        assert stage.read(lambda tx: tx.execute(sa.select(sa.func.max(Pace.pause))).scalar_one()) == 0
        assert scene.sums(list(_states(stage, schedule).items())) == 30


def _states(stage: Stage, schedule: int) -> Counter[str]:
    return Counter(row.state for row in stage.read(lambda tx: deliveries(tx, schedule)).values())


def test_now_and_then_a_lost_answer_opens_no_circuit(database_url: str) -> None:
    with Desk(database_url) as desk:
        for _ in range(40):
            desk.write(lambda tx: pace.trouble(tx, desk.account_id, Route.SERVICE, 1 - 9, NOW))
            desk.write(lambda tx: pace.trouble(tx, desk.account_id, Route.SERVICE, 1, NOW))
        assert not desk.read(lambda tx: pace.look(tx, desk.account_id, NOW)).shut
        for _ in range(pace.MOST_TROUBLES - 1):
            desk.write(lambda tx: pace.trouble(tx, desk.account_id, Route.SERVICE, 1, NOW))
        assert desk.read(lambda tx: pace.look(tx, desk.account_id, NOW)).shut.keys() == {"service", "notice"}


def test_of_two_processes_one_probes(database_url: str) -> None:
    with Desk(database_url) as desk:
        for number in range(3):
            desk.person(f"同学{number}")
        desk.announced()
        desk.write(lambda tx: pace.refused(tx, desk.account_id, Route.SERVICE, Verdict.WAIT_DAY, "45009", NOW))
        untouched = desk.read(lambda tx: tx.execute(sa.select(Delivery.id, Delivery.state, Delivery.changed_at)).all())
        soon = NOW + pace.PROBE
        claim = claims.claim
        assert desk.write(lambda tx: claim(tx, desk.account_id, lease(), desk.tools.rules, soon - timedelta(seconds=1))).posts == []
        assert desk.read(lambda tx: tx.execute(sa.select(Delivery.id, Delivery.state, Delivery.changed_at)).all()) == untouched
        found = scene.together(
            desk,
            [lambda tx, owner=owner: claim(tx, desk.account_id, lease(owner), desk.tools.rules, soon).posts for owner in ("one", "two")],  # type: ignore[misc]
        )
        assert sorted(len(posts) for posts in found) == [0, 1]
        assert all(post.probe for posts in found for post in posts)


# -- room


def test_no_account_takes_the_room_that_is_kept_for_another() -> None:
    slots, event = Slots(8), asyncio.Event()
    slots.enter(1, event)
    assert slots.room(1) == 8, "alone it may have all of it"
    slots.take(1, 8)
    slots.enter(2, event)
    assert slots.room(2) == 0
    for _ in range(8):
        slots.give_back(1)
    assert (slots.room(1), slots.room(2)) == (4, 4)
    slots.take(1, 4)
    assert (slots.room(1), slots.room(2)) == (0, 4), "what is kept for the other stays free"
    slots.leave(2)
    assert slots.room(1) == 4
