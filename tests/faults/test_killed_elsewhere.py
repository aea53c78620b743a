"""Killed in the middle of a migration and of a backup: what was there is whole, and the next try goes through."""

from pathlib import Path

import pytest
import sqlalchemy as sa

import migrations
from tests.faults.arena import Arena
from tests.faults.processes import PATIENCE, Nursery
from tests.stage import KEY


@pytest.mark.parametrize("nth", [1, 40])
def test_a_migration_that_dies_halfway_leaves_nothing_and_is_done_again(
    nth: int, empty_database_url: str, tmp_path: Path, nursery: Nursery
) -> None:
    environment = {"TONGBAN_DATABASE_URL": empty_database_url, "TONGBAN_MASTER_KEY": KEY, "TONGBAN_INDEX_KEY": KEY}
    dying = nursery.start("migrate", environment=environment, points={"CP19": nth}, folder=tmp_path)
    dying.wait()
    assert dying.crashed_at() == "CP19", dying.said()
    assert _tables(empty_database_url) <= {"alembic_version"}
    again = nursery.start("migrate", environment=environment, folder=tmp_path)
    assert again.wait(PATIENCE) == 0, again.said()
    assert migrations.current(empty_database_url) == migrations.head()


def _tables(url: str) -> set[str]:
    engine = sa.create_engine(migrations.address(url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return set(sa.inspect(connection).get_table_names())


@pytest.mark.parametrize(("point", "nth"), [("CP20-reading", 8), ("CP20-syncing", 2)])
def test_a_backup_that_dies_halfway_never_passes_for_a_whole_one(
    point: str, nth: int, database_url: str, tmp_path: Path, nursery: Nursery
) -> None:
    with Arena(database_url, tmp_path, nursery) as arena:
        arena.announce(arena.group(arena.account("dawn"), members=500))
        file = tmp_path / "there.backup"
        arena.crash(point, nth, "backup", words=(str(file),))
        if file.exists():
            assert _run(arena, "restore", str(file), "--check") == 0
            file = tmp_path / "again.backup"
        assert _run(arena, "backup", str(file)) == 0
        assert _run(arena, "restore", str(file), "--check") == 0


def _run(arena: Arena, program: str, *words: str) -> int:
    return arena.start(program, *words).wait(PATIENCE)
