"""Looking after people from the terminal, and talking to the bots on the keyboard."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app import accounts, courses, groups, people
from app.channels import PushKind
from app.channels.terminal import Keyboard
from app.db import Database, Tx
from app.keyring import Keyring
from app.settings import Settings
from bots.turns import Role
from tests.cli.conftest import Tongban, refused

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def someone(course: Tongban) -> Tongban:
    """The same terminal, with 小雨 in the group."""
    settings = Settings()  # type: ignore[call-arg]  # from the environment of the test
    keyring = Keyring(settings.vault())

    def seat(tx: Tx) -> None:
        account = accounts.by_name(tx, "msc")
        known = people.meet(tx, keyring, account, "oXiaoyu_1", NOW)
        people.rename(tx, known, "小雨")
        course_id = courses.by_code(tx, "msc-1")
        groups.enter(tx, groups.by_code(tx, "dawn"), known.id, Role.PARTICIPANT, NOW)
        groups.number_participant(tx, course_id, known.id, NOW)

    with Database(settings.database_url) as database:
        database.write_now(seat)
    return course


def test_a_person_is_found_by_name_and_by_number(someone: Tongban) -> None:
    line = someone("person", "find", "雨").out.splitlines()[1]
    number = line.split()[2]
    assert "小雨" in someone("person", "find", number).out
    assert "晨光组" in line


def test_somebody_is_moved_to_another_group_of_their_course(someone: Tongban) -> None:
    assert someone("group", "create", "evening", "--name", "晚霞组").code == 0
    assert "小雨" in someone("person", "move", "小雨", "--group", "evening").out
    line = someone("person", "find", "小雨").out.splitlines()[1]
    assert "晚霞组" in line
    assert "晨光组" not in line
    assert "no single group" in refused(someone("person", "move", "小雨", "--group", "nothing"))


def test_an_export_is_readable_by_its_owner_only(someone: Tongban, tmp_path: Path) -> None:
    assert someone("person", "export", "小雨", "--out", "out.json").code == 0
    assert json.loads((tmp_path / "out.json").read_text())["name"] == "小雨"
    assert stat.S_IMODE((tmp_path / "out.json").stat().st_mode) == 0o600
    assert "does not exist yet" in refused(someone("person", "export", "小雨", "--out", "out.json"))


def test_erasing_asks_and_then_nothing_can_be_read(someone: Tongban) -> None:
    person = someone("person", "find", "小雨").out.splitlines()[1].split()[0]
    assert someone("person", "erase", "小雨", typed="n\n").code == 1
    assert someone("person", "find", "小雨").code == 0
    assert someone("person", "erase", "小雨", "--yes").code == 0
    assert "Nobody" in refused(someone("person", "find", "小雨"))
    assert "erased before" in refused(someone("person", "erase", person, "--yes"))


def test_the_bots_answer_on_the_keyboard(course: Tongban) -> None:
    done = course("chat", "--account", "msc", typed="/follow\n帮助\n/as 谁\n/quit\nnever read\n")
    assert done.code == 0
    assert "This is real" in done.out
    assert "你好" in done.out
    assert "Only in the demo" in done.err


def test_an_announcement_is_written_confirmed_and_sent_in_the_throwaway_demo(tongban: Tongban, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAN_CLOCK_FILE", "put back after the test")
    monkeypatch.delenv("TONGBAN_CLOCK_FILE")
    done = tongban("chat", "--demo", typed="/as 李老师\n公告\n今晚八点见\n1\n1\n")
    assert done.code == 0, done.err
    assert "You are 李老师 now" in done.out
    assert "[1]" in done.out
    assert "29 others" in done.out, done.out


def test_a_number_takes_the_choice_that_stands_there() -> None:
    keyboard = Keyboard("terminal_1")
    keyboard.choices.link("staff.now.1~sig", "1. 现在", "现在")
    tapped, said = keyboard.push("1", NOW), keyboard.push("2", NOW)
    assert (tapped.kind, tapped.choice, tapped.value) == (PushKind.TAPPED, "staff.now.1~sig", "现在")
    assert (said.kind, said.value) == (PushKind.WROTE, "2")
    assert tapped.dedupe_key != said.dedupe_key
