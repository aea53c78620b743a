"""What was planned fires once, at its moment or never, and its author learns why not."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import time_machine

from app import broadcasts, clock, groups, schedules
from app.db import Database, Tx
from app.errors import NotFound, Unavailable
from app.groups import Refused
from app.inbox import rows
from app.models import Attempt, Broadcast, Delivery, Firing, Schedule
from app.outbox import claims
from app.people import Known
from app.schedules import Reader
from app.worker import Worker
from bots.turns import Role
from tests.delivery.scene import NOW, Desk, alarms, announce, deliveries, lease, run, schedule_row, together
from tests.stage import Stage

HOUR = timedelta(hours=1)


def _reports(desk: Desk) -> list[tuple[int, dict[str, object]]]:
    """To whom a report goes, and its gaps."""

    def look(tx: Tx) -> list[tuple[int, dict[str, object]]]:
        query = sa.select(Delivery.person_id, Delivery.broadcast_id).join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        rows = tx.execute(query.where(Broadcast.kind == "report").order_by(Delivery.id)).all()
        details = broadcasts.details_of(tx, desk.keyring, [row.broadcast_id for row in rows])
        return [(row.person_id, details[row.broadcast_id]) for row in rows]

    return desk.read(look)


@pytest.mark.parametrize(("late", "state"), [(timedelta(0), "fired"), (HOUR, "fired"), (HOUR + timedelta(seconds=1), "missed")])
def test_what_is_more_than_an_hour_late_is_missed_and_its_author_is_told(database_url: str, late: timedelta, state: str) -> None:
    with Desk(database_url) as desk:
        leader, member = desk.person("李老师", Role.LEADER), desk.person()
        made = desk.plan(author=leader, at=NOW + HOUR)
        assert desk.fire(NOW + HOUR - timedelta(seconds=1)) is None
        assert desk.fire(NOW + HOUR + late) == made
        assert desk.read(lambda tx: schedule_row(tx, made)) == (state, None if state == "fired" else "late")
        assert set(desk.read(lambda tx: deliveries(tx, made))) == ({member.id} if state == "fired" else set())
        told = _reports(desk)
        if state == "fired":
            assert told == []
            return
        (reader, details) = told[0]
        assert (len(told), reader) == (1, leader.id)
        assert (details["reason"], details["group_name"], details["at"]) == ("late", "晨光组", NOW + HOUR)
        posts = desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW + HOUR + late).posts)
        assert [post.person_id for post in posts] == [leader.id]
        assert desk.fire(NOW + HOUR + late) is None, "once"


def test_an_operators_late_announcement_is_missed_without_anybody_to_tell(database_url: str) -> None:
    with Desk(database_url) as desk:
        made = desk.plan()
        assert desk.fire(NOW + 2 * HOUR) == made
        assert desk.read(lambda tx: schedule_row(tx, made)) == ("missed", "late")
        assert _reports(desk) == []


def test_a_role_withdrawn_before_the_moment_stops_it(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        desk.person()
        made = desk.plan(author=leader, at=NOW + HOUR)
        desk.write(lambda tx: groups.end_membership(tx, desk.group, leader.id, Role.LEADER, NOW, "left"))
        assert desk.fire(NOW + HOUR) == made
        assert desk.read(lambda tx: schedule_row(tx, made)) == ("missed", "role")
        assert [(reader, details["reason"]) for reader, details in _reports(desk)] == [(leader.id, "role")]
        assert desk.read(lambda tx: deliveries(tx, made)) == {}
        with pytest.raises(Refused) as refusal:
            desk.plan(author=leader)
        assert refusal.value.code == "role"


def _refused(desk: Desk, text: str, at: datetime | None, author: Known | None) -> str:
    with pytest.raises(Refused) as refusal:
        desk.plan(text, author=author, at=at)
    return refusal.value.code


def test_what_cannot_be_planned_is_refused_with_the_reason(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, member, assistant = desk.person("李老师", Role.LEADER), desk.person(), desk.person("助教", Role.ASSISTANT)
        assert _refused(desk, "今晚见", None, member) == "role"
        assert _refused(desk, " \n\u3000", None, leader) == "empty"
        assert _refused(desk, "长" * 501, None, leader) == "long"
        assert _refused(desk, "今晚见", NOW - timedelta(minutes=2), leader) == "past"
        assert desk.plan("长" * 500, author=leader)
        assert _refused(desk, "<" * 900, None, None) == "long", "each of them goes out as three bytes, from the terminal too"
        assert desk.plan("<" * 500)
        assert desk.plan(author=assistant, at=NOW)
        with pytest.raises(NotFound):
            desk.read(lambda tx: schedules.progress(tx, desk.keyring, desk.tools.words, 1, Reader("zh")))
        mine = desk.plan(author=leader)
        with pytest.raises(NotFound):
            desk.read(lambda tx: schedules.progress(tx, desk.keyring, desk.tools.words, mine, Reader("zh", member.id)))


def test_the_same_draft_is_one_announcement_and_equal_words_are_noticed(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)

        def confirm(tx: Tx) -> int:
            return schedules.plan_announcement(
                tx, desk.keyring, author_id=leader.id, group_id=desk.group, text="今晚 见", at=None, draft=77, now=NOW
            )

        made = together(desk, [confirm] * 4)
        assert len(set(made)) == 1
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Schedule)).scalar_one()) == 1
        for text, after, known in (("今晚\n见", 9, True), ("今晚见！", 0, False), ("今晚 见", 10, False)):
            assert desk.read(_said(desk, text, NOW + timedelta(minutes=after))) is known


def _said(desk: Desk, text: str, at: datetime) -> Callable[[Tx], bool]:
    return lambda tx: schedules.said_before(tx, desk.keyring, desk.group, text, at)


def test_two_workers_fire_each_schedule_once(database_url: str) -> None:
    with Desk(database_url) as desk:
        members = {desk.person(f"同学{number}").id for number in range(3)}
        made = [desk.plan(f"第{number}条") for number in range(8)]

        def fire_all(database: Database, fired: list[int], start: threading.Barrier) -> None:
            start.wait()
            while desk.read(lambda tx: schedules.oldest_due(tx, NOW)) is not None:
                found = database.write_now(lambda tx: schedules.fire_next(tx, desk.keyring, NOW))
                if found is not None:
                    fired.append(found)

        fired: list[int] = []
        start = threading.Barrier(2)
        with Database(database_url) as one, Database(database_url) as other:
            threads = [threading.Thread(target=fire_all, args=(database, fired, start)) for database in (one, other)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert sorted(fired) == sorted(made)
        assert desk.read(lambda tx: sorted(tx.execute(sa.select(Firing.schedule_id)).scalars())) == sorted(made)
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Broadcast)).scalar_one()) == 8
        for each in made:
            assert set(desk.read(lambda tx, each=each: deliveries(tx, each))) == members  # type: ignore[misc]


def test_a_moment_that_was_fired_before_is_not_fired_again(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person()
        made = desk.announced()
        desk.write(lambda tx: tx.execute(sa.update(Schedule).values(state="planned")).rowcount)  # a defect, or a restored backup
        assert desk.fire() is None
        assert desk.read(lambda tx: schedules.oldest_due(tx, NOW)) is None, "and it does not stand in the way of others"
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Broadcast)).scalar_one()) == 1
        assert len(desk.read(lambda tx: deliveries(tx, made))) == 1


def test_a_cancel_that_races_with_the_fire_leaves_nothing_to_send(database_url: str) -> None:
    with Desk(database_url) as desk:
        for _ in range(3):
            desk.person()
        for number in range(4):
            made = desk.plan(f"第{number}条")
            fire: Callable[[Tx], object] = lambda tx: schedules.fire_next(tx, desk.keyring, NOW)  # noqa: E731 - two of them side by side
            take_back: Callable[[Tx], object] = lambda tx, made=made: schedules.cancel(tx, made, None, NOW)  # type: ignore[misc]  # noqa: E731
            together(desk, [fire, take_back])
            assert desk.read(lambda tx, made=made: schedule_row(tx, made))[0] == "cancelled"  # type: ignore[misc]
            rows = desk.read(lambda tx, made=made: deliveries(tx, made))  # type: ignore[misc]
            assert len(rows) in (0, 3)
            assert {row.word for row in rows.values()} <= {("cancelled", "cancelled_by_author")}
            with pytest.raises(Refused) as refusal:
                desk.write(lambda tx, made=made: schedules.cancel(tx, made, None, NOW))  # type: ignore[misc]
            assert refusal.value.code == "gone"


def test_a_schedule_that_breaks_holds_up_no_other(database_url: str) -> None:
    run(_broken(database_url))


async def _broken(database_url: str) -> None:
    with Desk(database_url) as desk, time_machine.travel(NOW, tick=True):
        desk.person()
        broken, good = desk.plan("坏"), desk.plan("好")
        desk.write(lambda tx: tx.execute(sa.update(Schedule).where(Schedule.id == broken).values(details_sealed=b"?" * 60)).rowcount)
        worker = Worker(desk.assembly)
        await worker.tick()
        await worker.stop()
        assert desk.read(lambda tx: schedule_row(tx, broken)) == ("missed", "bug")
        assert desk.read(lambda tx: schedule_row(tx, good)) == ("fired", None)
        assert desk.read(alarms)[f"schedule_failed schedule:{broken}"] == 1


def test_a_worker_that_slept_is_late_and_does_not_play_what_it_missed(database_url: str) -> None:
    run(_slept(database_url))


async def _slept(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        desk.person()
        long_ago, lately = desk.plan("早该发的", author=leader, at=NOW + HOUR), desk.plan("刚到点", author=leader, at=NOW + 5 * HOUR)
        with time_machine.travel(NOW, tick=True):
            worker = Worker(desk.assembly)
            await worker.tick()
        with time_machine.travel(NOW + 5 * HOUR + timedelta(minutes=10), tick=True):
            await worker.tick()
            await worker.stop()
        assert desk.read(lambda tx: schedule_row(tx, long_ago)) == ("missed", "late")
        assert desk.read(lambda tx: schedule_row(tx, lately)) == ("fired", None)


def test_quiet_hours_hold_what_we_start_until_eight(database_url: str) -> None:
    with Desk(database_url) as desk:
        night = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)  # 22:30 in Shanghai
        person = desk.person(typed=night)
        made = desk.plan(at=night)
        desk.fire(night)
        assert desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, night).posts) == []
        row = desk.read(lambda tx: deliveries(tx, made))[person.id]
        assert (row.word, row.due_at) == (("ready", "quiet_hours"), datetime.fromisoformat("2026-11-24T08:00:00+08:00"))
        assert (
            desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, row.due_at - timedelta(seconds=1)).posts)
            == []
        )
        assert len(desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, row.due_at).posts)) == 1


def test_a_jump_of_a_week_plays_its_moments_in_order(database_url: str, tmp_path: Path) -> None:
    run(_week(database_url, tmp_path))


async def _week(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder, notices=True) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        person = await stage.member("小雨", group)
        start = clock.now()
        hours = {"第五天": 120, "今晚": 5, "明天": 24, "第三天": 72}  # planned out of order; 今晚 is 23:00
        made = {text: announce(stage, group, text, at=start + timedelta(hours=after)) for text, after in hours.items()}
        leader = await stage.member("李老师", group, Role.LEADER)
        gone = announce(stage, group, "不该发", author=leader, at=start + timedelta(hours=30))
        stage.write(lambda tx: groups.end_membership(tx, group, leader, Role.LEADER, clock.now(), "left"))
        await stage.advance(timedelta(days=7))
        fired = stage.read(lambda tx: {row.schedule_id: row.fired_at for row in tx.execute(sa.select(Firing.schedule_id, Firing.fired_at))})
        for text, schedule in made.items():
            assert abs(fired[schedule] - start - timedelta(hours=hours[text])) < timedelta(seconds=1), "as if the week had passed"
        assert stage.read(lambda tx: schedule_row(tx, gone)) == ("missed", "role")
        rows = {text: stage.read(lambda tx, each=each: deliveries(tx, each))[person] for text, each in made.items()}  # type: ignore[misc]
        order = ("今晚", "明天", "第三天", "第五天")
        accepted = [entry["client_id"] for entry in await stage.ledger() if entry["openid"] == stage.openids["小雨"]]
        assert accepted == [f"d{rows[text].id}" for text in order]
        mine = sa.select(Attempt.started_at).where(Attempt.delivery_id.in_([row.id for row in rows.values()])).order_by(Attempt.id)
        begun = stage.read(lambda tx: tx.execute(mine).scalars().all())
        assert begun[0] == datetime.fromisoformat("2026-11-24T08:00:00+08:00"), "what fell into the night went at eight"
        assert [round((at - start) / HOUR) for at in begun[1:]] == [24, 72, 120]


def test_numbers_stay_short_and_unique_in_a_course_also_under_a_race(database_url: str) -> None:
    with Desk(database_url) as desk:

        def plan(tx: Tx) -> int:
            return schedules.plan_announcement(
                tx, desk.keyring, author_id=None, group_id=desk.group, text="今晚见", at=None, draft=None, now=NOW
            )

        assert len(set(together(desk, [plan] * 6))) == 6
        assert sorted(desk.read(lambda tx: tx.execute(sa.select(Schedule.number)).scalars().all())) == [1, 2, 3, 4, 5, 6]


def test_a_broadcast_does_not_wait_for_a_members_own_push(postgres_url: str) -> None:
    with Desk(postgres_url) as desk, Database(postgres_url, patience=0.5) as other:
        member, waiter = desk.person(), desk.person("王芳")
        made = desk.plan()

        def push(tx: Tx) -> int | None:
            rows.find(tx, desk.keyring, desk.account_id, desk.openid(1), "")
            fired = other.write_now(lambda inner: schedules.fire_next(inner, desk.keyring, NOW))
            with pytest.raises(Unavailable):  # the lock itself holds: pushes of one person keep their order
                other.write_now(lambda inner: rows.find(inner, desk.keyring, desk.account_id, desk.openid(1), ""))
            return fired

        assert desk.write(push) == made
        assert set(desk.read(lambda tx: deliveries(tx, made))) == {member.id, waiter.id}
