"""The export from the terminal."""

import stat
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import accounts, clock, courses, groups, people
from app.db import Database, Tx
from app.keyring import Keyring
from app.models import Audit, Wave
from app.questionnaires import waves
from app.questionnaires.shelf import Shelf
from app.questionnaires.waves import Plan
from app.settings import Settings
from bots.turns import Role
from tests.cli.conftest import Tongban, refused
from tests.study.scene import files


@pytest.fixture
def studied(course: Tongban) -> Tongban:
    """The same terminal; 小雨 takes part, 王博士 is a researcher, and a wave is open."""
    settings = Settings()  # type: ignore[call-arg]  # from the environment of the test
    keyring = Keyring(settings.vault())

    def seat(tx: Tx) -> None:
        account, course_id, now = accounts.by_name(tx, "msc"), courses.by_code(tx, "msc-1"), clock.now()
        for name, role in (("小雨", Role.PARTICIPANT), ("王博士", Role.RESEARCHER)):
            known = people.meet(tx, keyring, account, f"o_{role}", now)
            people.rename(tx, known, name)
            groups.enter(tx, groups.by_code(tx, "dawn"), known.id, role, now)
            if role is Role.PARTICIPANT:
                groups.number_participant(tx, course_id, known.id, now)
        plan = Plan("baseline", {"zh": "课前"}, now, now.replace(year=now.year + 1), ("swls",), {})
        waves.add(tx, Shelf(), course_id, plan, now)
        tx.execute(sa.update(Wave).values(state="open"))

    with Database(settings.database_url) as database:
        database.write_now(seat)
    return course


def test_an_export_is_written_for_its_owner_and_says_what_it_holds(studied: Tongban, tmp_path: Path) -> None:
    done = studied("export", "msc-1", "study.zip")
    assert done.code == 0, done.err
    assert "participants: 1, waves: 1" in done.out
    assert "measures nothing: swls" in done.out
    assert stat.S_IMODE((tmp_path / "study.zip").stat().st_mode) == 0o600
    assert "baseline" in files(tmp_path / "study.zip")["wide.csv"]


def test_another_file_is_kept_unless_it_is_forced_away(studied: Tongban, tmp_path: Path) -> None:
    (tmp_path / "study.zip").write_text("former")
    assert "--force" in refused(studied("export", "msc-1", "study.zip"))
    assert (tmp_path / "study.zip").read_text() == "former"
    assert studied("export", "msc-1", "study.zip", "--force").code == 0
    assert "notes.md" in files(tmp_path / "study.zip")


def test_it_is_made_for_a_researcher_of_the_course_and_nobody_else(studied: Tongban, tmp_path: Path) -> None:
    assert "Only a researcher" in refused(studied("export", "msc-1", "study.zip", "--for", "小雨"))
    assert "no single person" in refused(studied("export", "msc-1", "study.zip", "--for", "谁"))
    assert not (tmp_path / "study.zip").exists()
    assert studied("export", "msc-1", "study.zip", "--for", "王博士").code == 0
    with Database(Settings().database_url) as database:  # type: ignore[call-arg]  # from the environment of the test
        rows = database.read_now(lambda tx: tx.execute(sa.select(Audit.actor, Audit.action).where(Audit.action.like("export%"))).all())
    assert [row.action for row in rows] == ["export.refused", "export"]
    assert all(row.actor.startswith("person:") for row in rows)


def test_a_course_or_a_place_that_is_not_there_is_refused(studied: Tongban) -> None:
    assert "Which course?" in refused(studied("export", "nothing", "study.zip"))
    assert "no folder" in refused(studied("export", "msc-1", "nowhere/study.zip"))
