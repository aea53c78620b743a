"""What is kept of signing in, for how long, and what a restored backup lets in: nobody."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import clock, retention
from app.backup import aftermath
from app.console import logins, scans, sessions, tries
from app.db import Tx
from app.models import ConsoleSession, Login, Pass, Scan, SigninTry
from app.retention import Keep
from bots.turns import Role
from tests.console.visiting import HOME, browsing, staff
from tests.delivery.scene import NOW, Desk, at, run

KEPT = Keep(timedelta(days=30), timedelta(days=30), timedelta(days=180), timedelta(days=1825))


def left(desk: Desk) -> dict[str, int]:
    tables = (ConsoleSession, Login, Pass, Scan, SigninTry)
    return desk.read(
        lambda tx: {table.__tablename__: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in tables}
    )


def _something_of_each(desk: Desk, tx: Tx, login_id: int, person_id: int) -> None:
    vault = desk.keyring.vault
    sessions.begin(tx, vault, login_id, "password", "phone", NOW)
    logins.let_in(tx, vault, person_id, NOW, NOW)
    scans.begin(tx, vault, desk.account_id, None, NOW)
    tries.note(tx, tries.who(vault, "x", "203.0.113.1"), "password", NOW)


def test_tries_and_scans_go_after_a_day_sessions_and_links_after_a_month_and_logins_stay(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        desk.write(lambda tx: _something_of_each(desk, tx, leader.login_id, leader.known.id))
        with at(NOW + timedelta(days=2)):
            due = desk.read(lambda tx: retention.count(tx, KEPT, NOW + timedelta(days=2)))
            assert {kind: due[kind] for kind in ("tries", "scans", "sessions", "links")} == {
                "tries": 1,
                "scans": 1,
                "sessions": 0,
                "links": 0,
            }
            run(retention.run_due(desk.database, KEPT))
        assert left(desk) == {"console_sessions": 1, "logins": 1, "passes": 1, "scans": 0, "signin_tries": 0}
        with at(NOW + timedelta(days=32)):
            run(retention.run_due(desk.database, KEPT))
        assert left(desk) == {"console_sessions": 0, "logins": 1, "passes": 0, "scans": 0, "signin_tries": 0}


def test_a_demo_that_is_weeks_ahead_throws_away_no_link_of_today(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = tmp_path / "clock"
    ahead.write_text(str(timedelta(days=60).total_seconds()))
    monkeypatch.setenv(clock.CLOCK_FILE, str(ahead))
    with Desk(sqlite_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        desk.write(lambda tx: _something_of_each(desk, tx, leader.login_id, leader.known.id))
        run(retention.run_due(desk.database, KEPT))
        assert left(desk) == {"console_sessions": 1, "logins": 1, "passes": 1, "scans": 1, "signin_tries": 1}


def test_a_restored_backup_signs_everybody_out_and_its_links_work_no_more(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        token = desk.write(lambda tx: logins.let_in(tx, desk.keyring.vault, leader.known.id, NOW, NOW))
        with browsing(desk, leader) as browser:
            desk.write(lambda tx: aftermath.hold_everything(tx, desk.keyring, [], NOW, NOW))
            assert browser.get(f"{HOME}/sessions").status_code == 303
            assert browser.get(f"{HOME}/join/{token}").status_code == 404
