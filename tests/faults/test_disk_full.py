"""The disk is full, of the database or of the spool: what was acknowledged is there, and with room all goes on."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from migrations import running
from tests import postgres
from tests.faults.disks import limit_files, small_disk
from tests.faults.fleet import Fleet
from tests.faults.front import Front, meanwhile, until
from tests.faults.outages import database
from tests.faults.processes import Nursery

#: Pushes a second, and how many when all shall be as before again: then the run must not hang on how busy the machine is.
RATE, GENTLE = 40.0, 10.0
ROOM = 200_000
#: So many pushes meet with the full disk.
MOST = 40


@dataclass(frozen=True)
class Disk:
    """A database on a disk that a test can fill."""

    url: str
    fill: Callable[[Front], None]
    make_room: Callable[[Front], None]


@contextlib.contextmanager
def _sqlite_on_a_small_disk(folder: Path) -> Iterator[Disk]:
    with small_disk(folder / "disk") as disk:
        url = f"sqlite:///{disk.place / 'tongban.db'}"
        running.upgrade(url)
        yield Disk(url, lambda _: disk.leave(ROOM), lambda _: disk.resize(1 << 26))


@contextlib.contextmanager
def _sqlite_with_limited_files(folder: Path) -> Iterator[Disk]:
    path = folder / "tongban.db"
    running.upgrade(f"sqlite:///{path}")

    def fill(front: Front) -> None:
        largest = max(each.stat().st_size for each in folder.glob("tongban.db*"))
        limit_files(front.pids(), largest + ROOM)

    yield Disk(f"sqlite:///{path}", fill, lambda front: limit_files(front.pids(), None))


@contextlib.contextmanager
def _postgres_on_a_small_disk(_folder: Path) -> Iterator[Disk]:
    """The tables lie on the small disk, in a tablespace; the server's own journal does not."""
    with postgres.throwaway(durable=True) as server, small_disk(server.folder / "disk", server.folder.stat().st_uid) as disk:
        with psycopg.connect(server.url("postgres").replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{disk.place}'".encode())
            connection.execute("CREATE DATABASE tongban TABLESPACE small")
        running.upgrade(server.url("tongban"))
        try:
            yield Disk(server.url("tongban"), lambda _: disk.leave(ROOM), lambda _: disk.resize(1 << 27))
        finally:
            server.stop()


WAYS = {
    "sqlite on a small disk": _sqlite_on_a_small_disk,
    "sqlite with limited files": _sqlite_with_limited_files,
    "postgres on a small disk": _postgres_on_a_small_disk,
}


#: The short run takes the one that costs least.
SHORT = "sqlite on a small disk"


@pytest.mark.parametrize("way", [way if way == SHORT else pytest.param(way, marks=pytest.mark.long) for way in WAYS])
def test_with_the_databases_disk_full_pushes_wait_in_the_spool_and_go_on_when_there_is_room(
    way: str, tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    with WAYS[way](tmp_path) as disk, Front(disk.url, tmp_path, nursery, seed) as front:
        asyncio.run(_database_full(disk, front))


async def _database_full(disk: Disk, front: Front) -> None:
    front.start_all()
    async with front.fleet(rate=RATE) as fleet, meanwhile(lambda: fleet.play(front.lives(5_000), at_once=40)):
        await until(lambda: len(fleet.posted) >= 60)
        await until(front.all_serve)
        disk.fill(front)
        await until(lambda: sum(each.bare for each in fleet.posted) >= MOST)
        disk.make_room(front)
        await fleet.end_gently(GENTLE)
    await front.drained(fleet.posted)
    print(f"{len(fleet.posted)} pushes, {sum(each.bare for each in fleet.posted)} of them answered from the spool")
    assert [each for each in fleet.posted if not each.acknowledged] == []
    assert front.broken(fleet.posted) == []


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_with_the_spools_disk_full_too_the_platform_is_told_to_come_back(kind: str, tmp_path: Path, nursery: Nursery, seed: int) -> None:
    with small_disk(tmp_path / "spool") as disk, database(kind, tmp_path) as outage, Front(outage.url, tmp_path, nursery, seed) as front:

        async def run() -> Fleet:
            front.start_all()
            async with front.fleet(rate=RATE) as fleet, meanwhile(lambda: fleet.play(front.lives(5_000), at_once=100)):
                await until(lambda: len(fleet.posted) >= 60)
                await until(front.all_serve)
                disk.leave(ROOM)
                async with outage.away():
                    await until(lambda: sum(answer.status == 503 for each in fleet.posted for answer in each.answers) >= MOST)
                disk.resize(1 << 26)
                await fleet.end_gently(GENTLE)
            await front.drained(fleet.posted)
            return fleet

        fleet = asyncio.run(run())
        spooled = sum(each.bare for each in fleet.posted)
        refused = sum(not each.acknowledged for each in fleet.posted)
        print(f"{len(fleet.posted)} pushes, {spooled} answered from the spool, {refused} that the platform gave up")
        assert spooled
        assert {answer.status for each in fleet.posted for answer in each.answers} <= {0, 200, 503}
        assert front.broken(fleet.posted) == []
        front.nursery.end_all()  # before its disk goes
