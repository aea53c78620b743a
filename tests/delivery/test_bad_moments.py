"""Bad inputs, K4: a server that was down while forty moments passed, and clocks that jump two hours either way."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
import time_machine

from app import broadcasts, clock
from app.assembly import assemble
from app.db import Tx
from app.models import Attempt, Broadcast, Delivery, Firing, Schedule
from app.worker import Worker
from bots.turns import Role
from tests.delivery.scene import NOW, Desk, announce, run, writers
from tests.stage import Stage

HOUR = timedelta(hours=1)
HALF = timedelta(minutes=30)
#: NOW is 18:00 in Shanghai; forty moments half an hour apart end at 14:00 of the next day.
MOMENTS = 40


def _states(tx: Tx) -> dict[int, tuple[str, str | None]]:
    return {row.id: (row.state, row.why) for row in tx.execute(sa.select(Schedule.id, Schedule.state, Schedule.why))}


def _fired(tx: Tx) -> list[int]:
    return sorted(tx.execute(sa.select(Firing.schedule_id)).scalars())


def _announced(tx: Tx) -> list[int]:
    """The schedules that became announcements, each as often as it did."""
    made = sa.select(Broadcast.schedule_id).where(Broadcast.kind == "announcement", Broadcast.schedule_id.is_not(None))
    return sorted(each for each in tx.execute(made).scalars() if each is not None)


async def _wakes(desk: Desk, at: datetime, *, ticks: int = 2) -> None:
    """A new worker starts at this moment of the machine's clock, and ends."""
    with time_machine.travel(at, tick=True):
        worker = Worker(assemble(desk.assembly.settings))
        worker._assembly.database.start()
        for _ in range(ticks):
            await worker.tick()
        await worker.stop()
        worker._assembly.database.stop()


def test_k4_forty_moments_that_passed_while_the_server_was_down_are_missed_or_late_once_and_each_is_reported(database_url: str) -> None:
    run(_down(database_url))


async def _down(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, member = desk.person("李老师", Role.LEADER), desk.person()
        made = [desk.plan(f"第{number}条", author=leader, at=NOW + HALF * (number + 1)) for number in range(MOMENTS)]
        up = NOW + HALF * MOMENTS + timedelta(minutes=10)  # 14:10: the last two are not yet an hour late
        for _ in range(2):  # and a second start finds nothing to do
            await _wakes(desk, up)
            states = desk.read(_states)
            assert [states[each] for each in made] == [("missed", "late")] * (MOMENTS - 2) + [("fired", None)] * 2
            assert desk.read(_fired) == sorted(made), "each moment is settled once"
            assert desk.read(_announced) == sorted(made[-2:])
        got = desk.read(lambda tx: tx.execute(sa.select(Delivery.person_id, Delivery.part)).all())
        assert sum(row.person_id == member.id for row in got) == 2
        missed = _missed_reports(desk, leader.id)
        assert sorted(missed) == sorted(NOW + HALF * (number + 1) for number in range(MOMENTS - 2)), "the author is told of each by name"


def _missed_reports(desk: Desk, reader: int) -> list[datetime]:
    """The moments of which this person was told that they were missed."""

    def look(tx: Tx) -> list[datetime]:
        query = sa.select(Delivery.broadcast_id).join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        told = tx.execute(query.where(Broadcast.kind == "report", Delivery.person_id == reader)).scalars().all()
        details = broadcasts.details_of(tx, desk.keyring, told)
        assert all(each["reason"] == "late" for each in details.values())
        return [each["at"] for each in details.values() if isinstance(each["at"], datetime)]

    return desk.read(look)


def test_k4_a_clock_that_jumps_two_hours_back_and_forth_fires_nothing_twice_and_nothing_too_early_again(database_url: str) -> None:
    run(_jumps(database_url))


async def _jumps(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        desk.person()
        made = [desk.plan(f"第{number}条", author=leader, at=NOW + HALF * (number + 1)) for number in range(12)]  # to midnight
        settled: dict[int, tuple[str, str | None]] = {}
        # +1:05, back two hours, on again, two hours ahead at once, back, and slowly through it a second time
        for minutes in (65, -55, 70, 190, 75, 130, 185, 195, 250, 370):
            await _wakes(desk, NOW + timedelta(minutes=minutes), ticks=1)
            states = desk.read(_states)
            over = {each for each in made if states[each][0] != "planned"}
            assert {each: states[each] for each in settled} == settled, "what was settled stays so, whatever the clock says"
            settled = {each: states[each] for each in over}
            assert desk.read(_fired) == sorted(over), "once each"
            assert desk.read(_announced) == sorted(each for each in over if states[each][0] == "fired")
        words = [settled[each] for each in made]
        assert words[:2] == [("fired", None)] * 2
        assert ("missed", "late") in words, "the jump of two hours made some too late"
        assert len(settled) == len(made)
        missed = [NOW + HALF * (number + 1) for number, word in enumerate(words) if word == ("missed", "late")]
        assert sorted(_missed_reports(desk, leader.id)) == missed


def test_k4_what_was_due_in_the_evening_is_not_sent_at_night(database_url: str, tmp_path: Path) -> None:
    run(_at_night(database_url, tmp_path))


async def _at_night(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        await writers(stage, group, ["小雨", "王芳"])
        evening = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)  # 21:30 in Shanghai; quiet from 22:00
        for number in range(4):
            announce(stage, group, f"第{number}条", at=evening + timedelta(minutes=5 * number))
        await stage.ask("POST", "/sandbox/clock", {"advance": (evening + timedelta(minutes=50) - clock.now()).total_seconds()})
        late = Worker(stage.assembly)  # started at 22:20, fifty minutes late at most: within the limit, and in the night
        await late.tick()
        await late.send_due(clock.now())
        assert set(stage.read(_states).values()) == {("fired", None)}
        assert stage.read(_begun) == []
        await late.stop()
        await stage.advance_to(datetime(2026, 11, 24, 0, 1, tzinfo=UTC))  # 8:01
        begun = stage.read(_begun)
        assert len(begun) >= 2
        assert min(begun) >= datetime(2026, 11, 24, 0, 0, tzinfo=UTC), "nothing before eight"
        reached = stage.read(lambda tx: set(tx.execute(sa.select(Delivery.state)).scalars()))
        assert reached == {"sent"}


def _begun(tx: Tx) -> list[datetime]:
    return list(tx.execute(sa.select(Attempt.started_at)).scalars())
