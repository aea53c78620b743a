"""`tongban health`: plain words, a remedy for each thing that needs somebody, and an exit code that says whether there is one."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app import audit, clock, heartbeat
from app.cli import health
from app.db import Database, Tx
from app.gauges import AccountGauges, Api, Gauges
from tests.cli.conftest import Tongban

IDLE: Mapping[str, int] = dict.fromkeys(("ready", "claimed", "sending", "waiting", "notified", "unknown", "held"), 0)
APIS = {"service": Api(500_000), "notice": Api(100_000)}


def account(counts: Mapping[str, int] | None = None, **other: Any) -> AccountGauges:
    """An account where all is well but for what is said."""
    known: dict[str, Any] = {
        "account": "msc",
        "deliveries": {**IDLE, **(counts or {})},
        "oldest_ready": 0.0,
        "expanding": 0,
        "schedules_due": 0,
        "schedules_overdue": 0,
        "quarantined": 0,
        "flags": 0,
        "oldest_flag": 0.0,
        "token_left": 7000.0,
        "forced_today": 0,
        "apis": APIS,
        "pushes": 12,
    }
    return AccountGauges(**known | other)


def parked(code: str, seconds: float = 1800) -> dict[str, Api]:
    return {"service": Api(0, seconds, code), "notice": Api(100_000)}


CASES = {
    "nobody took the flag over": (account(flags=1, oldest_flag=1000), "ACT", "tongban oncall list"),
    "somebody was just called": (account(flags=1, oldest_flag=100), "note", "have been called"),
    "nobody closed the flag": (
        account(unclosed=2, oldest_unclosed=4 * 86_400),
        "ACT",
        "the first taken over 4 days ago",
    ),
    "quarantine": (account(quarantined=3), "ACT", "tongban quarantine list"),
    "held": (account({"held": 2}), "ACT", "tongban deliveries list"),
    "in doubt": (account({"unknown": 2}), "note", "tongban deliveries list --state unknown"),
    "overdue": (account(schedules_due=1, schedules_overdue=1), "ACT", "overdue"),
    "nobody sends": (account({"ready": 5}, oldest_ready=300), "ACT", "nobody sends them"),
    "a large broadcast goes on": (account({"ready": 5000, "sending": 8}, oldest_ready=300), "ok", "5008 messages on their way"),
    "expanding": (account(expanding=1), "note", "being written out"),
    "the day's quota": (account({"ready": 5}, oldest_ready=300, apis=parked("45009")), "note", "limit is reached"),
    "our own count of it": (account(apis=parked("quota")), "note", "limit is reached"),
    "refused": (account(apis=parked("40164")), "ACT", "40164"),
    "the road is bad": (account({"ready": 5}, oldest_ready=60, apis=parked("circuit")), "note", "tried again by itself"),
    "the road stays bad": (account({"ready": 5}, oldest_ready=900, apis=parked("circuit")), "ACT", "look at the line"),
    "the token is taken away": (account(forced_today=10), "ACT", "AppSecret"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said_with_its_remedy(case: str) -> None:
    reading, verdict, words = CASES[case]
    findings = list(health.judge(Gauges((reading,), workers=1, alarms_untold=0)))
    assert [each for each in findings if each.verdict == verdict and words in each.words], findings
    assert {each.verdict for each in findings if each.verdict == "ACT"} == ({"ACT"} if verdict == "ACT" else set())


def test_an_idle_account_needs_nobody() -> None:
    assert {each.verdict for each in health.judge(Gauges((account(),), workers=2, alarms_untold=0))} == {"ok"}


def test_health_ends_with_1_while_no_worker_lives_and_with_0_while_one_does(course: Tongban, sqlite_url: str) -> None:
    done = course("health")
    assert (done.code, "no worker lives" in done.out) == (1, True)
    assert "say what to do" in done.err

    def live(tx: Tx) -> None:
        heartbeat.beat(tx, "one", clock.machine_seconds())
        audit.alarm(tx, clock.now(), "quota", "account:1.service")
        audit.alarm(tx, clock.now() - timedelta(days=2), "guessing", "person:1")

    with Database(sqlite_url) as database:
        database.write_now(live)
    done = course("health")
    assert (done.code, done.err) == (0, "")
    assert "account msc: 0 pushes in five minutes; nothing on its way" in done.out
    assert "quota (account:1.service)" in done.out
    assert "guessing" not in done.out
    assert len(done.out.splitlines()) < 12
    told = json.loads(course("health", "--json").out)
    assert told["needs_somebody"] is False
    assert told["database"]["accounts"][0]["deliveries"]["ready"] == 0
    assert told["spool"] == {"waiting": 0, "aside": 0, "oldest": None}


def test_a_database_that_is_not_there_or_not_ready_is_said_and_needs_somebody(tongban: Tongban, course: Tongban, sqlite_url: str) -> None:
    for revision, remedy in (("9999", "install the newer program"), ("0001", "tongban migrate")):
        file = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
        file.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        file.commit()
        file.close()
        done = tongban("health")
        assert (done.code, "ACT" in done.out, remedy in done.out) == (1, True, True)
    told = tongban("health", "--json")
    assert (told.code, json.loads(told.out)["needs_somebody"], json.loads(told.out)["database"]) == (1, True, None)


def test_pushes_that_stay_in_the_spool_need_somebody(course: Tongban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAN_SPOOL", str(tmp_path / "spool"))
    for shelf, name in (("00", f"1700000000-{'0' * 20}-{'0' * 16}-{'a' * 24}.push"), ("bad", "x")):
        (tmp_path / "spool" / shelf).mkdir(parents=True)
        (tmp_path / "spool" / shelf / name).touch()
    out = course("health").out
    assert "1 pushes wait in the spool" in out
    assert "1 files of the spool" in out
