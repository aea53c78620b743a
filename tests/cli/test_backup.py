"""A backup is one whole file or none; what is damaged, foreign or newer is refused with one sentence; what is restored equals what was."""

import base64
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

import migrations
from app import accounts, audit, people
from app.backup import files, restoring, rows, writing
from app.backup.files import Contents
from app.cli.keys import new_key
from app.db import Database
from app.errors import AppError, Conflict, Invalid
from app.keyring import Keyring
from app.models import Audit, Table
from app.sealing import Vault
from app.settings import Settings
from bots.turns import Role
from migrations import running
from tests.cli.conftest import Tongban, refused
from tests.delivery.scene import NOW, Desk

ROOT = Path(__file__).parents[2]
#: Tables that a restore writes to itself.
CHANGED = {"access_tokens", "audit"}


def everything(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, in an order of its own."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        tables = Table.metadata.sorted_tables
        return {table.name: sorted(map(tuple, connection.execute(sa.select(*table.columns))), key=repr) for table in tables}


def with_people(url: str) -> Keyring:
    """A course with people and an announcement that nobody has sent yet; returns the keys."""
    with Desk(url) as desk:
        leader = desk.person("林老师", Role.LEADER)
        for name in ("小雨", "阿明 😀", "O'Neil"):
            desk.person(name)
        desk.plan("今晚见", author=leader, at=NOW + timedelta(days=1))
        return desk.keyring


def taken(url: str, keyring: Keyring, path: Path) -> Contents:
    with Database(url) as database:
        return writing.backup(database, keyring.vault, path, NOW)


def restored(url: str, keyring: Keyring, path: Path, *, over: bool = False, erasures: Path | None = None) -> restoring.Restored:
    return restoring.restore(url, keyring, path, NOW, replace=over, erasures=erasures)


def test_a_backup_restores_into_either_database_with_equal_rows(database_url: str, empty_database_url: str, tmp_path: Path) -> None:
    keyring = with_people(database_url)
    with Database(database_url) as database:  # whatever a text or a number may hold
        odd = {"text": 'a\n"\\\u2028😀', "big": 2**62, "float": 0.1, "none": None, "list": [True, {"x": []}]}
        database.write_now(lambda tx: audit.record(tx, NOW, "system", "odd", "x", **odd))
    contents = taken(database_url, keyring, tmp_path / "b")
    restored(empty_database_url, keyring, tmp_path / "b")
    before, after = everything(database_url), everything(empty_database_url)
    assert {name for name in before if before[name] != after[name]} <= CHANGED
    assert [row for row in before["audit"] if row not in after["audit"]] == []
    assert sum(map(len, before.values())) == contents.rows


def test_a_restored_database_goes_on_counting(sqlite_url: str, empty_database_url: str, tmp_path: Path) -> None:
    keyring = with_people(sqlite_url)
    taken(sqlite_url, keyring, tmp_path / "b")
    restored(empty_database_url, keyring, tmp_path / "b")
    with Database(empty_database_url) as database:
        database.write_now(lambda tx: audit.record(tx, NOW, "system", "after", "x"))
        numbers = database.read_now(lambda tx: list(tx.execute(sa.select(Audit.id).order_by(Audit.id)).scalars()))
    assert len(numbers) == len(set(numbers))


def test_every_column_has_a_kind_and_it_is_the_same_on_both_databases(database_url: str) -> None:
    kinds = {(table.name, column.name): rows.kind_of(column) for table in Table.metadata.sorted_tables for column in table.columns}
    assert set(kinds.values()) == set(rows._TYPES)
    with Database(database_url) as database:
        found = database.read_now(rows.tables_of)
    assert {(table.name, name): kind for table in found for name, kind in rows.columns_of(table)} == kinds


def test_what_is_written_meanwhile_is_in_it_whole_or_not_at_all(database_url: str, tmp_path: Path) -> None:
    keyring = with_people(database_url)
    stop, pairs = threading.Event(), [0]

    def write_pairs() -> None:
        with Database(database_url) as database:
            while not stop.is_set():

                def both(tx: Any) -> None:
                    for half in ("left", "right"):
                        audit.record(tx, NOW, "system", half, str(pairs[0]))

                database.write_now(both)
                pairs[0] += 1

    writer = threading.Thread(target=write_pairs)
    writer.start()
    try:
        wait_until(lambda: pairs[0] > 20)
        copies = []
        for number in range(2):
            first = pairs[0]
            taken(database_url, keyring, tmp_path / f"b{number}")
            wait_until(lambda: pairs[0] > first)  # noqa: B023 - asked at once; the writer was not stopped by it
            copies.append(tmp_path / f"b{number}")
    finally:
        stop.set()
        writer.join()
    for copy in copies:
        with files.opened(copy, keyring.vault) as archive:
            halves = [(line[3], line[4]) for line in archive.rows("audit")]
        left = {subject for action, subject in halves if action == "left"}
        assert left == {subject for action, subject in halves if action == "right"}
        assert 20 < len(left) < pairs[0]


def wait_until(met: Any, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.005)


def test_the_file_is_for_its_owner_and_holds_no_key_and_no_name(sqlite_url: str, tmp_path: Path) -> None:
    keyring = with_people(sqlite_url)
    taken(sqlite_url, keyring, tmp_path / "b")
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600
    with zipfile.ZipFile(tmp_path / "b") as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    for secret in (*keyring.vault.masters, keyring.vault.index_key):
        assert secret not in content
    for private in ("小雨", "今晚见", "林老师", "oDesk"):
        assert private.encode() not in content
        assert json.dumps(private)[1:-1].encode() not in content


@pytest.fixture
def copy(sqlite_template: Path, tmp_path: Path) -> tuple[Path, Keyring]:
    """A backup of a small course, and its keys."""
    shutil.copyfile(sqlite_template, tmp_path / "source.db")
    url = f"sqlite:///{tmp_path}/source.db"
    keyring = with_people(url)
    taken(url, keyring, tmp_path / "copy")
    return tmp_path / "copy", keyring


def refusal(keyring: Keyring, path: Path) -> str:
    with pytest.raises(AppError) as refused_with:
        restoring.check(path, keyring)
    assert refused_with.value.sentence.endswith(".")
    return refused_with.value.code


def test_a_file_that_is_cut_short_is_refused_wherever_it_is_cut(copy: tuple[Path, Keyring], tmp_path: Path) -> None:
    path, keyring = copy
    whole, cut = path.read_bytes(), tmp_path / "cut"
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 200, len(whole) - 1):
        cut.write_bytes(whole[:length])
        assert refusal(keyring, cut) == "damaged"


def test_a_changed_byte_is_refused_or_changes_nothing(copy: tuple[Path, Keyring], tmp_path: Path) -> None:
    path, keyring = copy
    whole, draw, broken = path.read_bytes(), random.Random(20261126), tmp_path / "broken"
    found = set()
    for _ in range(150):
        place = draw.randrange(len(whole))
        changed = bytearray(whole)
        changed[place] ^= 1 << draw.randrange(8)
        broken.write_bytes(changed)
        try:
            # A zip holds bytes that mean nothing to us, such as a file's date: what is read is what was written all the same.
            assert restoring.check(broken, keyring).tables == restoring.check(path, keyring).tables
        except Invalid as refused_with:
            found.add(refused_with.code)
    assert "damaged" in found


def test_other_keys_are_told_apart(copy: tuple[Path, Keyring]) -> None:
    path, keyring = copy
    vault = keyring.vault
    assert refusal(Keyring(Vault(vault.masters, b"x" * 32)), path) == "index_key"
    assert refusal(Keyring(Vault([b"x" * 32], vault.index_key)), path) == "master_key"
    assert restoring.check(path, Keyring(Vault([b"x" * 32, *vault.masters], vault.index_key))).rows > 0


def test_a_file_by_a_foreign_hand_is_refused(copy: tuple[Path, Keyring], tmp_path: Path) -> None:
    path, keyring = copy
    forged = tmp_path / "forged"
    with files.opened(path, keyring.vault) as archive:
        about = replace(archive.contents, tables={})
    files.write(forged, Vault([b"x" * 32], b"y" * 32), about, lambda sink: None)
    assert refusal(keyring, forged) == "damaged"


def rewritten(path: Path, keyring: Keyring, to: Path, revision: str, columns: dict[str, set[str]]) -> None:
    """The same backup as an earlier or later revision would have written it: with these columns only."""
    with files.opened(path, keyring.vault) as archive:
        about = replace(archive.contents, revision=revision, tables={})

        def fill(sink: files.Sink) -> None:
            for name, listed in archive.contents.tables.items():
                kept = [place for place, (column, _) in enumerate(listed.columns) if column in columns.get(name, set())]
                if kept:
                    lines = ([line[place] for place in kept] for line in archive.rows(name))
                    sink.table(name, [listed.columns[place] for place in kept], lines)

        files.write(to, keyring.vault, about, fill)


def columns_at(url: str, revision: str) -> dict[str, set[str]]:
    command.upgrade(running.config(url), revision)
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        return {name: {column["name"] for column in inspector.get_columns(name)} for name in inspector.get_table_names()}


def test_an_older_revision_is_migrated_after_it_was_loaded(copy: tuple[Path, Keyring], empty_database_url: str, tmp_path: Path) -> None:
    path, keyring = copy
    rewritten(path, keyring, tmp_path / "old", "0001", columns_at(f"sqlite:///{tmp_path}/old.db", "0001"))
    restored(empty_database_url, keyring, tmp_path / "old")
    assert migrations.current(empty_database_url) == migrations.head()
    after = everything(empty_database_url)
    assert len(after["persons"]) == 4
    assert len(after["memberships"]) == 4


def test_a_database_that_is_not_migrated_yet_is_backed_up_as_it_stands(
    course: Tongban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.downgrade(running.config(os.environ["TONGBAN_DATABASE_URL"]), "0001")
    assert "revision 0001" in course("backup", "b").out
    monkeypatch.setenv("TONGBAN_DATABASE_URL", f"sqlite:///{tmp_path}/new/fresh.db")
    assert "not know" in refused(course("backup", "c"))  # nothing is there yet
    assert course("restore", "b").code == 0
    assert "dawn" in course("group", "list").out


def test_a_newer_revision_is_refused(copy: tuple[Path, Keyring], empty_database_url: str, tmp_path: Path) -> None:
    path, keyring = copy
    every = {table.name: {column.name for column in table.columns} for table in Table.metadata.sorted_tables}
    rewritten(path, keyring, tmp_path / "new", "9999", every)
    with pytest.raises(Invalid, match="9999"):
        restored(empty_database_url, keyring, tmp_path / "new")


def test_rows_are_given_up_only_when_that_is_said(copy: tuple[Path, Keyring], database_url: str) -> None:
    path, keyring = copy
    with Desk(database_url) as desk:
        desk.person("别人")
    before = everything(database_url)
    with pytest.raises(Conflict, match="--replace"):
        restored(database_url, keyring, path)
    assert everything(database_url) == before
    restored(database_url, keyring, path, over=True)
    assert len(everything(database_url)["persons"]) == 4


def test_a_restore_that_breaks_off_changes_nothing(copy: tuple[Path, Keyring], database_url: str, tmp_path: Path) -> None:
    path, keyring = copy
    with Desk(database_url) as desk:
        desk.person("别人")
    before = everything(database_url)
    with files.opened(path, keyring.vault) as archive:
        about = replace(archive.contents, tables={})

        def fill(sink: files.Sink) -> None:  # the last rows refer to persons that the file does not hold
            for name, listed in archive.contents.tables.items():
                sink.table(name, listed.columns, [] if name == "persons" else archive.rows(name))

        files.write(tmp_path / "torn", keyring.vault, about, fill)
    with pytest.raises(Invalid, match="do not fit together"):
        restored(database_url, keyring, tmp_path / "torn", over=True)
    assert everything(database_url) == before


@pytest.fixture
def busy(database_url: str) -> Iterator[str]:
    """A database on which a service works."""
    with Database(database_url) as database:
        database.read_now(lambda tx: tx.execute(sa.select(Audit.id)).all())
        yield database_url


def test_nothing_is_restored_under_a_running_service(copy: tuple[Path, Keyring], busy: str) -> None:
    path, keyring = copy
    with pytest.raises(Conflict, match="still works on this database"):
        restored(busy, keyring, path)


def many(url: str, rows_of_audit: int = 25_000) -> None:
    """So many rows that there is a middle."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        row = {"at": NOW, "actor": "system", "action": "fill", "details": {}}
        connection.execute(sa.insert(Audit), [{**row, "subject": os.urandom(100).hex()} for _ in range(rows_of_audit)])
    engine.dispose()


def killed(url: str, keyring: Keyring, words: list[str], when: Callable[[], bool]) -> None:
    """Run a command in a process of its own and kill it in its middle."""
    environment = {
        **os.environ,
        "TONGBAN_DATABASE_URL": url,
        "TONGBAN_MASTER_KEY": base64.b64encode(keyring.vault.masters[0]).decode(),
        "TONGBAN_INDEX_KEY": base64.b64encode(keyring.vault.index_key).decode(),
    }
    with subprocess.Popen([sys.executable, "-m", "app", *words], cwd=ROOT, env=environment) as process:
        wait_until(lambda: when() or process.poll() is not None)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL


def test_a_backup_killed_in_the_middle_leaves_no_half_file(sqlite_url: str, tmp_path: Path) -> None:
    keyring = with_people(sqlite_url)
    many(sqlite_url)
    path, part = tmp_path / "b", tmp_path / "b.part"
    killed(sqlite_url, keyring, ["backup", str(path)], lambda: part.exists() and part.stat().st_size > 300_000)
    assert not path.exists()
    assert taken(sqlite_url, keyring, path).rows > 25_000  # what was left is written over
    assert not part.exists()


def test_a_restore_killed_in_the_middle_leaves_what_was_there(copy: tuple[Path, Keyring], sqlite_url: str, tmp_path: Path) -> None:
    keyring = copy[1]
    source = f"sqlite:///{tmp_path}/source.db"
    many(source)
    taken(source, keyring, tmp_path / "many")
    with Desk(sqlite_url) as desk:
        desk.person("别人")
    before = everything(sqlite_url)
    log = tmp_path / "tongban.db-wal"
    killed(
        sqlite_url,
        keyring,
        ["restore", str(tmp_path / "many"), "--replace"],
        lambda: log.exists() and log.stat().st_size > 3_000_000,
    )
    assert everything(sqlite_url) == before
    restored(sqlite_url, keyring, tmp_path / "many", over=True)
    assert len(everything(sqlite_url)["persons"]) == 4


def test_two_backups_to_one_name_do_not_mix(sqlite_url: str, tmp_path: Path) -> None:
    keyring = with_people(sqlite_url)
    with files._part(tmp_path / "b"), pytest.raises(Conflict, match="Another backup"):
        taken(sqlite_url, keyring, tmp_path / "b")
    taken(sqlite_url, keyring, tmp_path / "b")
    with pytest.raises(Conflict, match="exists already"):
        taken(sqlite_url, keyring, tmp_path / "b")


def test_the_operator_backs_up_checks_and_restores(course: Tongban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = course("backup", "b")
    assert done.code == 0
    assert "TONGBAN_MASTER_KEY" in done.out
    assert "exists already" in refused(course("backup", "b"))
    assert "is whole" in course("restore", "b", "--check").out
    assert "--replace" in refused(course("restore", "b"))
    assert "no backup of Tongban" in refused(course("restore", __file__, "--check"))
    assert "Cannot read" in refused(course("restore", "nothing", "--check"))
    assert "Cannot write" in refused(course("backup", "nowhere/b"))
    monkeypatch.setenv("TONGBAN_DATABASE_URL", f"sqlite:///{tmp_path}/new/fresh.db")
    restored_now = course("restore", "b")
    assert restored_now.code == 0, restored_now.err
    assert "erasures apply" in restored_now.out
    assert "dawn" in course("group", "list").out
    monkeypatch.setenv("TONGBAN_INDEX_KEY", new_key())
    assert "TONGBAN_INDEX_KEY" in refused(course("restore", "b", "--check"))


def test_the_operator_keeps_a_list_of_erasures(course: Tongban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings()  # type: ignore[call-arg]  # from the environment of the test
    keyring = Keyring(settings.vault())

    def meet(tx: Any) -> None:
        people.rename(tx, people.meet(tx, keyring, accounts.by_name(tx, "msc"), "oXiaoyu_1", NOW), "小雨")

    with Database(settings.database_url) as database:
        database.write_now(meet)
    assert course("backup", "b").code == 0
    assert "0 erasures" in course("erasures", "export", "list").out
    assert course("person", "erase", "小雨", "--yes").code == 0
    assert "1 erasures" in course("erasures", "export", "list").out
    assert "not a backup" in refused(course("restore", "list"))
    monkeypatch.setenv("TONGBAN_DATABASE_URL", f"sqlite:///{tmp_path}/fresh.db")
    assert course("restore", "b").code == 0
    assert course("person", "find", "小雨").code == 0
    assert "1 of 1 people" in course("erasures", "apply", "list").out
    assert "Nobody" in refused(course("person", "find", "小雨"))
    assert "0 of 1 people" in course("erasures", "apply", "list").out


def test_the_operator_sees_what_retention_would_throw_away(course: Tongban) -> None:
    with Database(os.environ["TONGBAN_DATABASE_URL"]) as database:
        database.write_now(lambda tx: audit.record(tx, NOW - timedelta(days=3000), "system", "old", "x"))
    assert "audit  1" in course("retention", "--dry-run").out
    assert "audit  1" in course("retention").out
    assert "Nothing is past its time" in course("retention", "--dry-run").out
