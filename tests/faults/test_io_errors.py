"""The disk answers with errors, of the database or of the spool: what was acknowledged is there, and the file is whole."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from app import clock
from migrations import running
from tests import postgres
from tests.faults.disks import failing
from tests.faults.front import Front, meanwhile, until
from tests.faults.outages import Outage, database
from tests.faults.processes import Nursery

#: Pushes a second, and how many when all shall be as before again: then the run must not hang on how busy the machine is.
RATE, GENTLE = 40.0, 10.0
ERRORS = 50
#: SIGKILLs of PostgreSQL's own processes; each ends every connection and lets the server recover.
SERVER_KILLS = 10


@pytest.mark.long
def test_fifty_io_errors_of_the_databases_file_cost_no_push(sqlite_url: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    with Front(sqlite_url, tmp_path, nursery, seed) as front:
        asyncio.run(_file_fails(front, Path(sqlite_url.removeprefix("sqlite:///"))))


async def _file_fails(front: Front, path: Path) -> None:
    front.start_all()
    async with front.fleet(rate=RATE) as fleet, meanwhile(lambda: fleet.play(front.lives(5_000), at_once=40)):
        await until(front.all_serve)
        files = [path, path.with_name(f"{path.name}-wal")]
        with failing(front.pids(), front.folder, "fsync,fdatasync,pwrite64", "5+11", files) as errors:
            await until(lambda: errors.count() >= ERRORS)
        await fleet.end_gently(GENTLE)
    await front.drained(fleet.posted)
    print(f"{len(fleet.posted)} pushes, {errors.count()} errors, {sum(each.bare for each in fleet.posted)} answered from the spool")
    assert [each for each in fleet.posted if not each.acknowledged] == []
    assert front.broken(fleet.posted) == []


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def test_fifty_io_errors_of_the_spool_lose_nothing_that_was_acknowledged(kind: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    with database(kind, tmp_path) as outage, Front(outage.url, tmp_path, nursery, seed) as front:
        asyncio.run(_spool_fails(outage, front))


async def _spool_fails(outage: Outage, front: Front) -> None:
    front.start_all()
    async with front.fleet(rate=RATE) as fleet, meanwhile(lambda: fleet.play(front.lives(5_000), at_once=100)):
        await until(lambda: len(fleet.posted) >= 30)
        await until(front.all_serve)
        with failing(front.pids(), front.folder, "fsync,rename", "2+3") as errors:
            async with outage.away():
                await until(lambda: errors.count() >= ERRORS)
        await fleet.end_gently(GENTLE)
    await front.drained(fleet.posted)
    refused = sum(answer.status == 503 for each in fleet.posted for answer in each.answers)
    print(f"{len(fleet.posted)} pushes, {errors.count()} errors, {sum(each.bare for each in fleet.posted)} answered from the spool")
    assert refused, "no error reached a push"
    assert front.broken(fleet.posted) == []


@pytest.mark.long
def test_a_server_whose_processes_are_killed_at_random_costs_no_push(tmp_path: Path, nursery: Nursery, seed: int) -> None:
    with postgres.throwaway(durable=True) as server:
        running.upgrade(server.url("postgres"))
        with Front(server.url("postgres"), tmp_path, nursery, seed) as front:
            asyncio.run(_backends_die(front, server))


async def _backends_die(front: Front, server: postgres.Server) -> None:
    front.start_all()
    async with front.fleet(rate=RATE) as fleet, meanwhile(lambda: fleet.play(front.lives(5_000), at_once=60)):
        for _ in range(SERVER_KILLS):
            await fleet.as_before(clock.steady())
            assert server.process is not None
            serving = [
                each for each in psutil.Process(server.process.pid).children() if "tongban postgres [local]" in " ".join(each.cmdline())
            ]
            os.kill(front.chance.choice(serving).pid, signal.SIGKILL)
        await fleet.end_gently(GENTLE)
    await front.drained(fleet.posted)
    print(f"{len(fleet.posted)} pushes, {sum(each.bare for each in fleet.posted)} answered from the spool")
    assert [each for each in fleet.posted if not each.acknowledged] == []
    assert front.broken(fleet.posted) == []
