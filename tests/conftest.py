"""What every test may use: a migrated database of its own on SQLite and on PostgreSQL, and guards that nothing leaks.

    def test_something(database_url: str) -> None: ...      # runs twice: [sqlite] and [postgres]
    def test_of_one(sqlite_url: str) -> None: ...
    def test_of_other(postgres_url: str) -> None: ...

The databases stand on the newest revision and are empty; `-k sqlite` leaves PostgreSQL out, and it is then never started.
"""

import contextlib
import gc
import importlib.util
import ipaddress
import itertools
import multiprocessing.connection
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import psutil
import psycopg
import pytest
from psycopg import sql

import migrations
from migrations import running
from tests import compiled, postgres

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("wild", deadline=None, print_blob=True, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

#: Named in the environment, so that the processes of pytest-xdist find the one server of the run.
DESK = "TONGBAN_TEST_POSTGRES"
#: Folders and files whose tests start processes, kill them and wait.
_SLOW = {"faults", "benchmarks", "test_bad_crowds", "test_fuzz", "test_stopping"}
_desk = pytest.StashKey["PostgresDesk"]()


class PostgresDesk:
    """Starts one PostgreSQL when the first test of the run asks, and tells every test process where it is.

    Lives in the process that outlives all others: the one that the terminal started.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tongban-desk-"))
        self._listener = multiprocessing.connection.Listener(str(self.folder / "s"), family="AF_UNIX")
        self._server: postgres.Server | None = None
        self._thread = threading.Thread(target=self._serve, name="postgres-desk", daemon=True)

    def open(self) -> None:
        """Begin to answer."""
        os.environ[DESK] = str(self.folder / "s")
        self._thread.start()

    def close(self) -> None:
        """End the server, whoever still uses it."""
        ask(str(self.folder / "s"), "close")
        self._thread.join()
        self._listener.close()
        if self._server is not None:
            postgres.remove(self._server)
        shutil.rmtree(self.folder)
        os.environ.pop(DESK, None)

    def processes(self) -> set[int]:
        """The ids of the server's own processes, where it runs."""
        return self._server.processes() if self._server is not None else set()

    def _serve(self) -> None:
        word = "open"
        while word != "close":
            with self._listener.accept() as connection:
                word = connection.recv()
                connection.send(None if word == "close" else self._url())

    def _url(self) -> str | Exception:
        try:
            if self._server is None:
                made = postgres.create()
                self._server = made
                made.start()
            return self._server.url("{name}")
        except Exception as error:  # noqa: BLE001 - told to the test that asked
            return error


def ask(desk: str, word: str) -> Any:
    """One question to the desk."""
    with multiprocessing.connection.Client(desk, family="AF_UNIX") as connection:
        connection.send(word)
        return connection.recv()


def pytest_configure(config: pytest.Config) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop_politely)
    sys.addaudithook(_refuse_far_addresses)
    compiled.share()
    _look_for_it_once("sniffio")
    if not hasattr(config, "workerinput"):
        config.stash[_desk] = PostgresDesk()
        config.stash[_desk].open()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that take seconds come first: one process has most of them, and at the end nobody waits for a last long one."""
    items.sort(key=lambda item: not _SLOW.intersection((item.path.parent.name, item.path.stem)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is loaded by now stays to the end: the garbage collector need not walk through it in every test."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _desk in config.stash:
        config.stash[_desk].close()


def _look_for_it_once(name: str) -> None:
    """httpcore tries to import this with every request; where it is missing, each try would walk the whole path."""
    if importlib.util.find_spec(name) is None:
        sys.modules[name] = None  # type: ignore[assignment]  # as Python's reference says: the import fails at once


def _stop_politely(_number: int, _frame: object) -> NoReturn:
    """A terminated run ends as an interrupted one does, so that it tidies up."""
    raise KeyboardInterrupt


def _refuse_far_addresses(event: str, arguments: tuple[Any, ...]) -> None:
    """pytest-socket watches `connect` within tests; this also sees look-ups, datagrams and threads that outlive their test."""
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"} and isinstance(arguments[1], tuple):
        _refuse_unless_near(arguments[1][0])
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        _refuse_unless_near(arguments[0])


def _refuse_unless_near(host: str | bytes | None) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in {None, "", "localhost", "0.0.0.0", "::"}:
        return
    try:
        near = ipaddress.ip_address(str(name)).is_loopback
    except ValueError:
        near = False
    if not near:
        raise RuntimeError(f"A test reached for {name!r}; tests stay on this machine.")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "tongban.db"
    running.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The address of a migrated, empty SQLite database of this test's own."""
    path = tmp_path / "tongban.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


#: Back to the state after the migration, in milliseconds where a new copy takes a third of a second. Foreign keys sleep meanwhile.
EMPTY = """
DO $$
DECLARE
    name text;
BEGIN
    PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        IF pg_relation_size(quote_ident(name)) > 1000000 THEN
            EXECUTE format('TRUNCATE %I CASCADE', name);
        ELSE
            EXECUTE format('DELETE FROM %I', name);
        END IF;
    END LOOP;
    PERFORM setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) FROM pg_sequences WHERE last_value IS NOT NULL;
END $$
"""


class PostgresDatabases:
    """The databases of one test process: one migrated and used again and again, and new ones on demand."""

    def __init__(self, url: str, worker: str) -> None:
        self._url = url
        self._names = (f"{worker}_{number}" for number in itertools.count())
        self._server = psycopg.connect(self._address("postgres"), autocommit=True)
        self._spare: list[tuple[str, psycopg.Connection]] = []

    def url(self, name: str) -> str:
        """The address of a database, for TONGBAN_DATABASE_URL."""
        return self._url.format(name=name)

    @contextlib.contextmanager
    def migrated(self) -> Iterator[str]:
        """A database on the newest revision without a row in it."""
        name, connection = self._spare.pop() if self._spare else self._make_migrated()
        yield self.url(name)
        try:
            connection.execute(EMPTY)
            stands = connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(migrations.head(),)]
        except psycopg.Error:
            connection.close()
            self._drop(name)
            raise
        if stands:
            self._spare.append((name, connection))
        else:  # a test of migrations or restores left it elsewhere
            connection.close()
            self._drop(name)

    @contextlib.contextmanager
    def empty(self) -> Iterator[str]:
        """A database without a table."""
        name = self._make()
        yield self.url(name)
        self._drop(name)

    def close(self) -> None:
        """Let go of the server."""
        for connection in (self._server, *(connection for _, connection in self._spare)):
            connection.close()

    def _make_migrated(self) -> tuple[str, psycopg.Connection]:
        name = self._make()
        running.upgrade(self.url(name))
        return name, psycopg.connect(self._address(name), autocommit=True)

    def _make(self) -> str:
        name = next(self._names)
        self._server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def _drop(self, name: str) -> None:
        self._server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _address(self, name: str) -> str:
        return self.url(name).replace("+psycopg", "")


@pytest.fixture(scope="session")
def postgres_databases(worker_id: str) -> Iterator[PostgresDatabases]:
    """The run's PostgreSQL, started now if nobody has asked before."""
    answer = ask(os.environ[DESK], "url")
    if isinstance(answer, Exception):
        raise answer
    databases = PostgresDatabases(answer, worker_id)
    yield databases
    databases.close()


@pytest.fixture
def postgres_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """The address of a migrated, empty PostgreSQL database of this test's own; afterwards its connections are cut."""
    with postgres_databases.migrated() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated, empty database of this test's own, once on each of the two."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table, once on each of the two."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    with databases.empty() as url:
        yield url


@pytest.fixture(autouse=True)
def _spool_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test spools must not be replayed into another one's database."""
    monkeypatch.setenv("TONGBAN_SPOOL", str(tmp_path / "spool"))


@pytest.fixture(autouse=True)
def _no_process_stays_behind(pytestconfig: pytest.Config) -> Iterator[None]:
    """A test that starts a process ends it; one that stays is ended here, and the test fails."""
    before = _children(pytestconfig)
    yield
    left = _children(pytestconfig) - before
    for process in left:
        process.kill()
    assert not left, f"processes stayed behind: {sorted(map(str, left))}"


def _children(config: pytest.Config) -> set[psutil.Process]:
    """The living processes that this one started, but for the run's own PostgreSQL."""
    ours = config.stash[_desk].processes() if _desk in config.stash else set()
    started = [child for child in _started() if child.pid not in ours]
    return {process for child in started for process in _family(child) if _counts(process)}


def _started() -> list[psutil.Process]:
    """Our own children. Linux lists them by thread; psutil would read every process of the machine, twice a test."""
    try:
        listed = [each.read_text() for each in Path("/proc/self/task").glob("*/children")]
    except OSError:  # a thread has just ended
        listed = []
    if not listed:
        return psutil.Process().children()
    found = []
    for pid in " ".join(listed).split():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(int(pid)))
    return found


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _counts(process: psutil.Process) -> bool:
    """Zombies are gone, and Python's own resource tracker may stay."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "multiprocessing.resource_tracker" not in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
