"""The demo: seeded once whatever happens, and alive within seconds of a command."""

import collections
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from app import accounts, clock, demo, overview
from app.assembly import Assembly, assemble
from app.cli.demo import give_past, welcome
from app.cli.keys import new_key
from app.cli.listening import listen
from app.console import logins, sessions
from app.db import Database, Tx
from app.demo import Addresses
from app.errors import Invalid
from app.keyring import Keyring
from app.models import (
    Assignment,
    Attendance,
    CheckIn,
    Course,
    Flag,
    Invitation,
    OnCall,
    Participant,
    Person,
    Prompt,
    Question,
    Schedule,
    Table,
)
from bots.turns import Role
from migrations import running as migrations
from tests.cli.conftest import Tongban, refused

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def counts(tx: Tx) -> dict[str, int]:
    """How many rows of each kind there are."""
    tables = (Person, Participant, Course, Invitation, OnCall)
    return {table.__tablename__: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in tables}


def test_seeding_twice_changes_nothing(database_url: str, keyring: Keyring, tmp_path: Path) -> None:
    at = Addresses(tmp_path, 8000, 8001)
    with Database(database_url) as database:
        first = database.write_now(lambda tx: demo.seed(tx, keyring, at, NOW))
        seeded, codes = database.read_now(counts), database.write_now(lambda tx: demo.codes(tx, keyring, NOW))
        assert database.write_now(lambda tx: demo.seed(tx, keyring, at, NOW)) == first
        assert database.read_now(counts) == seeded
        assert database.write_now(lambda tx: demo.codes(tx, keyring, NOW)) == codes
        assert seeded == {"persons": 60, "participants": 52, "courses": 1, "invitations": 2, "oncall": 2}


def test_the_groups_hold_whom_the_study_had(database_url: str, keyring: Keyring, tmp_path: Path) -> None:
    with Database(database_url) as database:
        database.write_now(lambda tx: demo.seed(tx, keyring, Addresses(tmp_path, 8000, 8001), NOW))
        groups = {group.code: group for group in database.read_now(overview.groups)}
    small = {Role.PARTICIPANT: 26, Role.LEADER: 1, Role.ASSISTANT: 2, Role.MENTOR: 1}
    assert groups["chenguang"].members == groups["qingfeng"].members == small
    assert groups["chenguang"].capacity == 30
    assert sum(groups["msc-demo-all"].members.values()) == 60


def _lets_in(tx: Tx, keyring: Keyring, doors: dict[Role, tuple[str, str]]) -> dict[Role, object]:
    return {role: logins.admission(tx, keyring, token, sessions.moment()) for role, (_, token) in doors.items()}


def test_one_of_each_role_has_a_way_into_the_console_that_works_once_and_is_made_anew_at_each_start(
    database_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    with Database(database_url) as database:
        database.write_now(lambda tx: demo.seed(tx, keyring, Addresses(tmp_path, 8000, 8001), NOW))
        seeded = database.read_now(counts)
        first, second = (database.write_now(lambda tx: demo.doors(tx, keyring, NOW)) for _ in range(2))
        assert {role: name for role, (name, _) in second.items()} == {
            Role.LEADER: "李老师",
            Role.ASSISTANT: "阿岚",
            Role.MENTOR: demo.MENTOR,
            Role.ADMINISTRATOR: demo.ADMINISTRATOR,
            Role.RESEARCHER: demo.RESEARCHER,
        }
        works = [database.read_now(partial(_lets_in, keyring=keyring, doors=doors)) for doors in (first, second)]
        assert all(works[1].values())
        assert works[0][Role.LEADER] is None, "of two only the newest works"
        assert database.read_now(counts)["persons"] == seeded["persons"], "a researcher is made by following the link"


def test_another_port_is_followed_by_the_account_and_by_the_alerts(database_url: str, keyring: Keyring, tmp_path: Path) -> None:
    with Database(database_url) as database:
        account = database.write_now(lambda tx: demo.seed(tx, keyring, Addresses(tmp_path, 8000, 8001), NOW))
        database.write_now(lambda tx: demo.seed(tx, keyring, Addresses(tmp_path, 9000, 9001), NOW))
        assert database.read_now(lambda tx: accounts.credentials(tx, keyring, account)).api_base == "http://127.0.0.1:9001"
        course = database.read_now(lambda tx: tx.execute(sa.select(Course.id)).scalar_one())
        routes = [line.routes["webhook"] for line in database.read_now(lambda tx: overview.on_call(tx, keyring, course))]
    assert routes == ["http://127.0.0.1:9001/sandbox/alerts"] * 2


def test_two_of_three_have_written_lately(sqlite_url: str, keyring: Keyring, tmp_path: Path) -> None:
    with Database(sqlite_url) as database:
        account = database.write_now(lambda tx: demo.seed(tx, keyring, Addresses(tmp_path, 8000, 8001), NOW))
        everybody = database.read_now(lambda tx: demo.everybody(tx, keyring, account))
    wrote = collections.Counter(each.role for each in demo.talkers(everybody))
    assert wrote[Role.PARTICIPANT] == 34
    assert wrote[Role.LEADER] == 2
    assert {demo.UNFOLLOWED, demo.PAUSED}.isdisjoint(each.name for each in demo.talkers(everybody))
    assert len({each.name for each in everybody}) == 60


def test_credentials_are_made_once_and_are_their_owners_only(tmp_path: Path) -> None:
    at = Addresses(tmp_path / "var", 8000, 8001)
    first, second = demo.settings(at, new_key), demo.settings(Addresses(tmp_path / "var", 9000, 9001), new_key)
    assert first.master_key == second.master_key
    assert (first.public_url, second.public_url) == ("http://127.0.0.1:8000", "http://127.0.0.1:9000")
    assert stat.S_IMODE(at.settings_file.stat().st_mode) == 0o600
    assert demo.settings(Addresses(tmp_path / "other", 8000, 8001), new_key).master_key != first.master_key


def test_a_port_that_is_taken_is_one_sentence(tongban: Tongban, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "choose another with --port" in refused(tongban("demo", "--port", port, "--data", str(tmp_path)))
        assert "choose another with --sandbox-port" in refused(
            tongban("demo", "--port", str(free_port()), "--sandbox-port", port, "--data", str(tmp_path))
        )
        assert "choose another with --port" in refused(tongban("sandbox", "--port", port, "--data", str(tmp_path)))


_FEW = {"chenguang": "小雨 晓晴 若水 阿宁", "qingfeng": "阿澄 星河"}


def test_a_demo_may_begin_in_a_week_of_its_course_with_what_people_did_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_PARTICIPANTS", _FEW)
    monkeypatch.setenv(clock.CLOCK_FILE, str(tmp_path / "sandbox" / "clock"))
    at = Addresses(tmp_path, free_port(), free_port())
    settings = demo.settings(at, new_key)
    migrations.upgrade(settings.database_url)
    assembly = assemble(settings)
    with assembly.database:
        account = assembly.database.write_now(lambda tx: demo.seed(tx, assembly.tools.keyring, at, clock.now()))
        with listen("127.0.0.1", at.port, "--port") as service, listen("127.0.0.1", at.sandbox_port, "--sandbox-port") as sandbox:
            give_past(assembly, at, account, (service, sandbox), 2)
            with pytest.raises(Invalid, match="has begun already"):
                give_past(assembly, at, account, (service, sandbox), 3)
        began = assembly.database.read_now(lambda tx: tx.execute(sa.select(Course.starts_on)).scalar_one())
        today = clock.now().astimezone(ZoneInfo("Asia/Shanghai"))
        assert began is not None
        assert (today.date() - began, today.hour, today.weekday()) == (timedelta(days=7 + 3), 10, 3), "the Thursday of the second week"
        found = {table.__name__: _number(assembly, table) for table in (CheckIn, Attendance, Question, Flag, Prompt, Schedule)}
        assert {name for name, number in found.items() if not number} == set()
        complete = assembly.database.read_now(
            lambda tx: tx.execute(sa.select(sa.func.count()).where(Assignment.state == "complete")).scalar_one()
        )
        assert complete, "some have answered the questionnaires before the course"


def _number(assembly: Assembly, table: type[Table]) -> int:
    return assembly.database.read_now(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


class Running(NamedTuple):
    """A demo in a process of its own."""

    process: subprocess.Popen[str]
    sandbox: int
    settings: Path
    said: str


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    ports = free_port(), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TONGBAN_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "demo", "--port", str(ports[0]), "--sandbox-port", str(ports[1]), "--data", str(tmp_path / "var")],
        cwd=ROOT,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C" in line:
            break
    yield Running(process, ports[1], tmp_path / "var" / "demo.env", said)
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stdout.close()


def call(port: int, method: str, path: str, body: object = None) -> Any:
    """One call to the sandbox's controls."""
    http_ = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    http_.request(method, path, None if body is None else json.dumps(body), {"content-type": "application/json"})
    answer = http_.getresponse()
    content = json.loads(answer.read())
    http_.close()
    assert answer.status < 300, content
    return content


def test_the_demo_lives(running: Running, tongban: Tongban, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "小组码 / group codes" in running.said, running.said
    appid = call(running.sandbox, "GET", "/sandbox/accounts")[0]["appid"]
    people = {each["name"]: each for each in call(running.sandbox, "GET", f"/sandbox/people?appid={appid}")}
    assert (people[demo.UNFOLLOWED]["following"], people["小雨"]["following"], people["新朋友甲"]["following"]) == (False, True, False)

    openid = people["小雨"]["openid"]
    told = call(running.sandbox, "POST", f"/sandbox/people/{openid}/say", {"text": "帮助"})
    assert told["outcome"] == "shown", told

    for name in ("DATABASE_URL", "MASTER_KEY", "INDEX_KEY"):
        monkeypatch.delenv(f"TONGBAN_{name}")
    monkeypatch.setenv("TONGBAN_CLOCK_FILE", "put back after the test")
    monkeypatch.delenv("TONGBAN_CLOCK_FILE")
    on_it = ("--settings", str(running.settings))
    assert "weixin.qq.com" in tongban(*on_it, "group", "qr", "chenguang", "--png", "qr.png").out
    assert Path("qr.png").read_bytes().startswith(b"\x89PNG")
    assert "30 people" in tongban(*on_it, "announce", "今晚八点见", "--group", "chenguang", "--yes").out
    deadline = time.monotonic() + 90
    while "今晚八点见" not in str(call(running.sandbox, "GET", f"/sandbox/people/{openid}/chat")) and time.monotonic() < deadline:
        time.sleep(0.1)
    progress = tongban(*on_it, "progress", "1").out
    assert "30 people" in progress
    assert "no longer follows" in progress

    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0
    assert running.process.stdout is not None
    rest = running.process.stdout.read()
    assert "Traceback" not in rest
    assert "Stopped" in rest


def test_the_welcome_names_addresses_people_and_codes(tmp_path: Path) -> None:
    people, doors = [demo.Somebody("李老师", "o1", Role.LEADER)], {Role.ADMINISTRATOR: ("林管理员", "TOKEN")}
    said = welcome(Addresses(tmp_path, 8000, 8001), people, {"晨光组": "ABCDEFGH23"}, doors)
    assert "林管理员  http://127.0.0.1:8000/console/join/TOKEN" in said
    for part in ("http://127.0.0.1:8001/phones?names=", "http://127.0.0.1:8000", "ABCDEFGH23", "李老师", "demo.env"):
        assert part in said
