"""The ground that all tests stand on: fresh databases, no way out of this machine, nothing left behind."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from app.models import Alarm
from tests import postgres

ROOT = Path(__file__).parents[1]
#: An address of the documentation range (RFC 5737): nobody is there, and nothing must try.
FAR = "192.0.2.1"
ADD_ALARM = sa.text("INSERT INTO alarms (kind, subject, count, first_at, last_at) VALUES ('bot', 'x', 1, :now, :now)")


def add_an_alarm_and_stay_connected(url: str) -> tuple[int, int]:
    """How many alarms there were, and the id of the new one."""
    connection = sa.create_engine(url, poolclass=sa.pool.NullPool).connect()
    before = connection.scalar(sa.select(sa.func.count()).select_from(Alarm)) or 0
    connection.execute(ADD_ALARM, {"now": "2026-03-01 12:00:00+00:00"})
    connection.commit()
    made = connection.scalar(sa.select(Alarm.id)) or 0
    if not url.startswith("sqlite"):
        connection.detach()  # left open on purpose, in the hands of the garbage collector
    connection.close()
    return before, made


@pytest.mark.parametrize("round_", ["first", "second", "third"])
def test_a_database_is_fresh_each_time(database_url: str, round_: str) -> None:
    assert add_an_alarm_and_stay_connected(database_url) == (0, 1)


def test_engines_of_one_kind_share_what_they_compile_and_of_two_kinds_do_not(sqlite_url: str, postgres_url: str, tmp_path: Path) -> None:
    """So that a driver's own way to write a statement never reaches the other's server, and no test pays for what one before has paid."""
    query = sa.select(Alarm.id).where(Alarm.subject == "nobody else asks this", Alarm.kind.in_(["bot", "web"]))
    other = tmp_path / "other.db"
    shutil.copyfile(sqlite_url.removeprefix("sqlite:///"), other)
    seen = []
    for url in (sqlite_url, f"sqlite:///{other}", postgres_url, postgres_url):
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            done = connection.execute(query)
            seen.append((done.context.cache_hit.name, done.all()))
    assert seen == [("CACHE_MISS", []), ("CACHE_HIT", []), ("CACHE_MISS", []), ("CACHE_HIT", [])]


def through_connect() -> None:
    socket.create_connection((FAR, 9), timeout=1)


def through_a_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.sendto(b"x", (FAR, 9))


def through_connect_ex() -> None:
    with socket.socket() as one:
        one.connect_ex((FAR, 9))


def through_a_name() -> None:
    socket.getaddrinfo("group.example.org", 443)


def through_asyncio() -> None:
    asyncio.run(_open_stream())


async def _open_stream() -> None:
    await asyncio.wait_for(asyncio.open_connection("group.example.org", 9), 1)


WAYS = [through_connect, through_a_datagram, through_connect_ex, through_a_name, through_asyncio]


@pytest.mark.filterwarnings("ignore:A test tried to use socket:UserWarning")
@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_out_of_this_machine(way: Callable[[], None]) -> None:
    with pytest.raises(RuntimeError, match=r"192\.0\.2\.1|example\.org"):
        way()


@pytest.mark.filterwarnings("ignore:A test tried to use socket:UserWarning")
@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_out_from_a_thread(way: Callable[[], None]) -> None:
    caught: list[BaseException] = []

    def go() -> None:
        try:
            way()
        except BaseException as error:  # noqa: BLE001 - looked at below
            caught.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    assert [isinstance(error, RuntimeError) for error in caught] == [True]


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"


def test_a_process_that_stays_behind_fails_its_test(tmp_path: Path) -> None:
    (tmp_path / "test_leak.py").write_text(
        "import subprocess, sys\n"
        "def test_leak():\n"
        "    test_leak.kept = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "processes stayed behind" in run.stdout


def test_the_server_of_the_tests_ends_with_a_killed_run(tmp_path: Path) -> None:
    code = (
        "import os, signal\nfrom tests import postgres\n"
        "server = postgres.create(); server.start()\n"
        "print(server.process.pid, server.folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    number, folder = said.split()
    for _ in range(100):
        if not Path(folder).exists():
            break
        time.sleep(0.1)
    assert not Path(folder).exists()
    assert not psutil.pid_exists(int(number)) or psutil.Process(int(number)).status() == psutil.STATUS_ZOMBIE


def test_a_durable_server_survives_a_crash_with_its_rows() -> None:
    with postgres.throwaway(durable=True) as server:
        engine = sa.create_engine(server.url("postgres"), poolclass=sa.pool.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE kept AS SELECT 1 AS one"))
            assert connection.scalar(sa.text("SHOW fsync")) == "on"
        server.crash()
        server.start()
        with engine.begin() as connection:
            assert connection.scalar(sa.text("SELECT one FROM kept")) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must hand the server to another account")
def test_a_checkout_that_only_root_can_enter_still_gets_its_server(tmp_path: Path) -> None:
    source = postgres.find_programs().parent
    closed = tmp_path / "closed"
    shutil.copytree(source, closed / source.parent.name / source.name, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    for libraries in source.parent.parent.glob(f"{source.parent.name}.libs"):
        shutil.copytree(libraries, closed / libraries.name, symlinks=True)
    closed.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PG_BIN", str(closed / source.parent.name / source.name / "bin"))
        with postgres.throwaway() as server:
            assert server.folder in server.programs.parents
