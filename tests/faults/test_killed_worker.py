"""A worker is killed with SIGKILL in the middle of a broadcast to 500: nobody is lost, nobody gets it twice, what is in doubt is listed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random

import sqlalchemy as sa

from app import clock, courses, groups, people, schedules
from app.db import Tx
from app.models import Allowance, Delivery
from app.states import SETTLED, State
from bots.turns import Role
from tests.stage import APPID, KEY, Stage

MEMBERS = 500
KILLS = 4
SEED = 20261123
#: Custom messages that one process has in flight.
IN_FLIGHT = 8


def test_a_worker_killed_in_the_middle_of_a_broadcast_loses_nobody_and_repeats_nobody(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_killed(database_url, tmp_path))


async def _killed(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path, at=None) as stage:
        stage.course("正念自我关怀")
        stage.write(lambda tx: courses.set_quiet_hours(tx, stage.course_id, "00:00", "00:00"))  # real time: the test runs at night too
        group = stage.group("晨光组")
        openids = await _members(stage, group)
        await stage.faults(api="message/custom/send", delay_ms=15, times=MEMBERS * 2)
        schedule = stage.write(
            lambda tx: schedules.plan_announcement(
                tx, stage.keyring, author_id=None, group_id=group, text="今晚见", at=None, draft=None, now=clock.now()
            )
        )
        kills = await _kill_until_done(stage, database_url, Random(SEED))
        states = stage.read(_states)
        accepted = Counter(row["openid"] for row in await stage.ledger())
        assert kills == KILLS
        assert sum(states.values()) == MEMBERS
        assert set(accepted) <= set(openids)
        assert max(accepted.values()) == 1, "somebody got it twice"
        assert states.get(State.UNKNOWN, 0) <= kills * IN_FLIGHT
        assert states.get(State.SENT, 0) + states.get(State.UNKNOWN, 0) == MEMBERS, states
        assert states.get(State.SENT, 0) <= len(accepted) <= MEMBERS
        progress = stage.read(
            lambda tx: schedules.progress(tx, stage.keyring, stage.assembly.tools.words, schedule, schedules.Reader("zh"))
        )
        assert sum(count for _, count in progress.by_state) == progress.total == MEMBERS
        assert len(progress.unreached) == states.get(State.UNKNOWN, 0)
        print(f"{database_url.partition(':')[0]}: {kills} kills, {dict(states)}, accepted {len(accepted)}")


async def _members(stage: Stage, group: int) -> list[str]:
    made = [{"name": f"同学{number}", "openid": f"oKill{number:023d}", "following": True, "wrote": True} for number in range(MEMBERS)]
    (await stage.phones.post("/sandbox/people/batch", json={"appid": APPID, "people": made})).raise_for_status()
    openids = [each["openid"] for each in made]

    def enter(tx: Tx) -> None:
        now = clock.now()
        for openid in openids:
            known = people.meet(tx, stage.keyring, stage.account_id, str(openid), now)
            people.consent(tx, known.id, stage.course_id, courses.SHIPPED_CONSENT, ("online",), now)
            groups.enter(tx, group, known.id, Role.PARTICIPANT, now)
        tx.execute(sa.update(Allowance).values(typed_until=now + timedelta(hours=47), typed_left=5))

    stage.write(enter)
    return [str(each) for each in openids]


async def _kill_until_done(stage: Stage, database_url: str, random: Random) -> int:
    kills = 0
    while True:
        process = _start_worker(stage, database_url)
        if kills < KILLS:
            settled = stage.read(_settled)
            await _until_settled(stage, process, min(MEMBERS, settled + random.randint(5, 60)))
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        await _until_settled(stage, process, MEMBERS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        return kills


async def _until_settled(stage: Stage, process: "subprocess.Popen[bytes]", number: int) -> None:
    async with asyncio.timeout(90):
        while stage.read(_settled) < number:
            assert process.poll() is None, "the worker ended by itself"
            await asyncio.sleep(0.01)


def _start_worker(stage: Stage, database_url: str) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "TONGBAN_DATABASE_URL": database_url,
        "TONGBAN_MASTER_KEY": KEY,
        "TONGBAN_INDEX_KEY": KEY,
        "TONGBAN_LEASE_SECONDS": "1",
        "TONGBAN_CLOCK_FILE": str(stage.settings.clock_file),
    }
    return subprocess.Popen([sys.executable, "-m", "app", "worker"], env=environment, stdout=subprocess.DEVNULL)


def _settled(tx: Tx) -> int:
    query = sa.select(sa.func.count()).select_from(Delivery).where(Delivery.state.in_(SETTLED))
    return int(tx.execute(query).scalar_one())


def _states(tx: Tx) -> "Counter[str]":
    return Counter(tx.execute(sa.select(Delivery.state)).scalars())
