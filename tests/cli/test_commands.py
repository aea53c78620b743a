"""Every command, what it does and how it refuses."""

import http.server
import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
import typer.main
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app import menu
from app.cli import build
from app.db import Database
from app.models import OnCall
from app.settings import Settings
from bots import find
from bots.conversation import who_answers
from bots.turns import Membership, Person, Pressed, Role, Turn
from tests.cli.conftest import Ended, Tongban, refused

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def tree(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""
    below = getattr(command, "commands", {})
    for name, each in below.items():
        yield from tree(each, (*words, name))
    if not below:
        yield words, command


COMMANDS = dict(tree(typer.main.get_command(build())))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_a_sentence_and_an_example(words: tuple[str, ...]) -> None:
    help_text = " ".join((COMMANDS[words].help or "").split())
    assert re.match(r"[A-Z][^.]+\.", help_text)
    assert f"Example: tongban {' '.join(words)}" in help_text


@pytest.mark.parametrize("words", [*COMMANDS, ()], ids=" ".join)
def test_help_is_shown_without_any_setting(words: tuple[str, ...], tongban: Tongban, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TONGBAN_MASTER_KEY")
    assert tongban(*words, "--help").code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("frobnicate",), "No such command"),
        (("account", "add"), "Missing"),
        (("account", "show", "nobody"), "no account 'nobody'"),
        (("account", "menu", "nobody"), "no account 'nobody'"),
        (("account", "notice", "nobody", "--id", "t"), "no account 'nobody'"),
        (("account", "rotate-key", "nobody"), "no account 'nobody'"),
        (("course", "create", "a", "--title", "b", "--account", "nobody"), "no account 'nobody'"),
        (("course", "show", "nothing"), "tongban course create"),
        (("course", "quiet-hours", "a", "25:00", "08:00"), "write it like 22:00"),
        (("group", "list", "--course", "nothing"), "Which course?"),
        (("group", "code", "nothing"), "no single group"),
        (("group", "qr", "nothing"), "no single group"),
        (("group", "create", "GROSS", "--name", "x"), "small letters"),
        (("staff", "invite", "leader", "李老师", "--group", "nothing"), "no single group"),
        (("staff", "invite", "king", "李老师", "--group", "nothing"), "king"),
        (("oncall", "add"), "--email or --webhook"),
        (("oncall", "list"), "Which course?"),
        (("alarm", "test"), "Which course?"),
        (("announce", "hello", "--group", "nothing"), "no single group"),
        (("progress", "7"), "no single announcement 7"),
        (("progress", "seven"), "valid integer"),
        (("person", "find", "谁"), "Nobody is called"),
        (("person", "export", "谁", "--out", "x.json"), "tongban person find"),
        (("person", "erase", "谁", "--yes"), "tongban person find"),
        (("roster", "import", "nothing.csv"), "Cannot read"),
        (("chat",), "--demo"),
        (("--settings", "nothing.env", "keys"), "no settings file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_refuses_in_one_sentence(words: tuple[str, ...], says: str, tongban: Tongban) -> None:
    assert says in refused(tongban(*words))


NEEDS_A_DATABASE = [
    ("run",),
    ("web",),
    ("worker",),
    ("account", "list"),
    ("course", "list"),
    ("group", "list"),
    ("oncall", "list"),
    ("progress",),
    ("person", "find", "x"),
]


@pytest.mark.parametrize("words", NEEDS_A_DATABASE, ids=" ".join)
def test_a_database_that_was_never_migrated_is_named_with_its_remedy(
    words: tuple[str, ...], tongban: Tongban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONGBAN_DATABASE_URL", f"sqlite:///{tmp_path / 'new.db'}")
    assert "tongban migrate" in refused(tongban(*words))


@pytest.mark.parametrize("words", NEEDS_A_DATABASE[:4], ids=" ".join)
def test_a_missing_key_is_named_with_its_remedy(words: tuple[str, ...], tongban: Tongban, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TONGBAN_INDEX_KEY")
    sentence = refused(tongban(*words))
    assert "TONGBAN_INDEX_KEY" in sentence
    assert "tongban keys" in sentence


def test_a_key_that_is_none_is_refused_without_being_shown(tongban: Tongban, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAN_MASTER_KEY", "hunter2hunter2")
    sentence = refused(tongban("account", "list"))
    assert "TONGBAN_MASTER_KEY" in sentence
    assert "hunter2" not in sentence


def test_a_server_that_is_not_there_is_one_sentence_without_the_password(tongban: Tongban, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAN_DATABASE_URL", "postgresql://somebody:pa55word@127.0.0.1:9/tongban")
    sentence = refused(tongban("account", "list"))
    assert "TONGBAN_DATABASE_URL" in sentence
    assert "pa55word" not in sentence


def test_keys_are_fresh_and_fit(tongban: Tongban) -> None:
    first, second = tongban("keys").out, tongban("keys").out
    assert first != second
    values = dict(line.split("=", 1) for line in first.splitlines())
    vault = Settings(_env_file=None, master_key=values["TONGBAN_MASTER_KEY"], index_key=values["TONGBAN_INDEX_KEY"]).vault()  # type: ignore[call-arg, arg-type]
    AESGCM(vault.masters[0])


def test_settings_come_from_the_named_file(tongban: Tongban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "MASTER_KEY", "INDEX_KEY"):
        monkeypatch.delenv(f"TONGBAN_{name}")
    (tmp_path / "other.env").write_text(tongban("keys").out + f"TONGBAN_DATABASE_URL=sqlite:///{tmp_path}/other.db\n")
    assert "Migrated" in tongban("--settings", "other.env", "migrate").out
    assert (tmp_path / "other.db").exists()
    assert tongban("--settings", "other.env", "account", "list").code == 0


def test_migrate_says_where_it_stands(tongban: Tongban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAN_DATABASE_URL", f"sqlite:///{tmp_path / 'deep' / 'new.db'}")
    assert "from nothing to" in tongban("migrate").out
    assert "stands at" in tongban("migrate").out


# Accounts ----------------------------------------------------------------------------------------------------------------------------


def test_account_show_json_has_exactly_the_keys_that_an_operator_copies(course: Tongban) -> None:
    shown = json.loads(course("account", "show", "msc", "--json").out)
    assert list(shown) == ["webhook_url", "token", "aes_key", "appid", "secret", "original_id", "api_base"]
    assert shown["webhook_url"] == "http://127.0.0.1:8000/hooks/wechat/msc"
    assert shown["secret"] == "s3cret"
    assert all(isinstance(value, str) for value in shown.values())


def test_account_show_masks_secrets_unless_asked(course: Tongban) -> None:
    assert "s3cret" not in course("account", "show", "msc").out
    assert "s3cret" in course("account", "show", "msc", "--reveal").out


def test_a_secret_may_come_from_standard_input(tongban: Tongban) -> None:
    assert tongban("account", "add", "a", "--appid", "wx1", "--original-id", "gh_1", "--secret-stdin", typed="quiet\n").code == 0
    assert json.loads(tongban("account", "show", "a", "--json").out)["secret"] == "quiet"


@pytest.mark.parametrize(
    "options",
    [{"--secret": ""}, {"--mode": "shouted"}, {"--token": "a b"}, {"--aes-key": "short"}, {"--appid": "wx 1"}],
    ids=lambda options: next(iter(options)),
)
def test_an_account_that_cannot_work_is_not_stored(options: dict[str, str], tongban: Tongban) -> None:
    given = {"--appid": "wx1", "--original-id": "gh_1", "--secret": "s", **options}
    refused(tongban("account", "add", "a", *(word for pair in given.items() for word in pair)))
    assert "wx" not in tongban("account", "list").out


def test_the_same_account_twice_is_refused(course: Tongban) -> None:
    assert "already" in refused(course("account", "add", "msc", "--appid", "wx2", "--original-id", "gh_2", "--secret", "s"))


def test_rotating_the_key_changes_it(course: Tongban) -> None:
    before = json.loads(course("account", "show", "msc", "--json").out)["aes_key"]
    fresh = course("account", "rotate-key", "msc").out.strip().splitlines()[-1]
    assert json.loads(course("account", "show", "msc", "--json").out)["aes_key"] == fresh != before


def test_a_notice_is_named_by_its_fields(course: Tongban) -> None:
    assert course("account", "notice", "msc", "--id", "TEMPLATE", "--kind", "thing1", "--sender", "name2", "--time", "time3").code == 0
    assert "TEMPLATE" in course("account", "list").out
    assert "field of its own" in refused(course("account", "notice", "msc", "--id", "T", "--kind", "thing1", "--sender", "thing1"))


def test_the_menu_is_shown_and_a_platform_that_is_away_is_one_sentence(course: Tongban) -> None:
    assert json.loads(course("account", "menu", "msc").out) == menu.DEFAULT
    assert "WeChat did not take it" in refused(course("account", "menu", "msc", "--push"))


@pytest.mark.parametrize("role", [Role.LEADER, Role.ADMINISTRATOR])
@pytest.mark.parametrize("key", menu.keys(menu.DEFAULT))
def test_every_entry_of_the_menu_is_answered_by_a_bot(key: str, role: Role) -> None:
    person = Person("李老师", "zh", "Asia/Shanghai", (Membership(1, "正念", 2, "晨光组", role is Role.ADMINISTRATOR, role),))
    turn = Turn(Pressed(key), person, NOW)
    assert who_answers({bot.name: bot for bot in find()}, turn, None).name == key.split(".", maxsplit=1)[0]


# Courses, groups, staff, on-call -------------------------------------------------------------------------------------------------------


def test_a_course_is_created_shown_and_listed(course: Tongban) -> None:
    assert "正念" in course("course", "list").out
    shown = course("course", "show", "msc-1").out
    assert "晨光组" in shown
    assert "大群" in shown
    assert "Nobody is on call" in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("course", "create", "msc-1", "--title", "x", "--account", "msc"), "already"),
        (("course", "create", "c", "--title", "x", "--account", "msc", "--zone", "Mars/Base"), "no time zone"),
        (("course", "create", "c", "--title", "x", "--account", "msc", "--starts-on", "2026-02-30"), "no day"),
        (("course", "consent", "msc-1", "--version", "v1"), "--zh"),
        (("course", "consent", "msc-1", "--version", "v1", "--zh", "nothing.txt"), "nothing.txt"),
        (("group", "create", "dawn", "--name", "x"), "already"),
        (("group", "code", "msc-1-all"), "name a small group"),
        (("staff", "invite", "participant", "小雨", "--group", "dawn"), "roster import"),
        (("oncall", "add", "--email", "nowhere"), "no mail address"),
        (("oncall", "add", "--webhook", "ftp://x"), "no address"),
        (("oncall", "add", "--email", "a@example.org", "--person", "谁"), "no single person"),
        (("alarm", "test"), "Nobody is reachable"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_course_command_refuses_in_one_sentence(words: tuple[str, ...], says: str, course: Tongban) -> None:
    assert says in refused(course(*words))


def test_a_course_gets_its_own_consent_text_and_a_read_version_is_frozen(course: Tongban, tmp_path: Path) -> None:
    (tmp_path / "zh.txt").write_text("知情同意", encoding="utf-8")
    (tmp_path / "other.txt").write_text("另一份", encoding="utf-8")
    given = course("course", "consent", "msc-1", "--version", "v1", "--zh", "zh.txt")
    assert given.code == 0
    assert "none in en" in given.err
    assert "consent v1: zh" in course("course", "show", "msc-1").out
    assert "another version" in refused(course("course", "consent", "msc-1", "--version", "v1", "--zh", "other.txt"))


def test_a_group_keeps_its_code_and_staff_get_one_each(course: Tongban) -> None:
    assert course("group", "code", "dawn").out == course("group", "code", "dawn").out
    codes = {course("staff", "invite", "leader", "李老师", "--group", "dawn").out.splitlines()[0] for _ in range(2)}
    assert len(codes) == 2


def test_a_qr_code_without_a_platform_still_names_the_code_to_type(course: Tongban) -> None:
    done = course("group", "qr", "dawn")
    assert course("group", "code", "dawn").out.strip() in done.out
    assert "No QR code" in refused(done)


class Sink(http.server.BaseHTTPRequestHandler):
    """Takes alerts at /good and refuses them elsewhere."""

    taken: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200 if self.path == "/good" else 500)
        self.send_header("content-length", "0")
        self.end_headers()
        self.taken.append(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def sink() -> Iterator[str]:
    Sink.taken = []
    with http.server.HTTPServer(("127.0.0.1", 0), Sink) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_test_alarm_goes_to_everybody_and_says_which_route_failed(course: Tongban, sink: str) -> None:
    course("oncall", "add", "--webhook", f"{sink}/good")
    first = course("alarm", "test")
    assert first.code == 0
    assert "left" in first.out
    course("oncall", "add", "--webhook", f"{sink}/bad")
    second = course("alarm", "test")
    assert "1 of 2 test alerts did not leave" in refused(second)
    assert "FAILED: webhook: status 500" in second.out
    assert len(Sink.taken) == 3
    assert "good" in course("oncall", "list").out


# Check -------------------------------------------------------------------------------------------------------------------------------


def fails(done: Ended) -> str:
    assert done.code == 1
    return "\n".join(line for line in done.err.splitlines() if line.startswith("FAIL"))


def test_check_passes_on_an_empty_database(tongban: Tongban) -> None:
    done = tongban("check")
    assert done.code == 0, done.err
    assert "All is well" in done.out


def test_check_fails_without_keys_and_without_migration(tongban: Tongban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAN_DATABASE_URL", f"sqlite:///{tmp_path / 'new.db'}")
    assert "tongban migrate" in fails(tongban("check"))
    monkeypatch.delenv("TONGBAN_MASTER_KEY")
    assert "tongban keys" in fails(tongban("check"))


def test_check_fails_where_nobody_on_call_is_reachable_outside_wechat(course: Tongban) -> None:
    assert "tongban oncall add --course msc-1" in fails(course("check"))
    course("oncall", "add", "--webhook", "https://example.org/hook")
    done = course("check")
    assert done.code == 0
    assert "no consent text of its own" in done.out
    assert "in WeChat only" not in done.out


def test_check_fails_for_alert_mails_without_a_mail_server(course: Tongban, monkeypatch: pytest.MonkeyPatch) -> None:
    course("oncall", "add", "--email", "oncall@example.org")
    failed = fails(course("check"))
    assert "set TONGBAN_SMTP_URL" in failed
    assert "nobody on call is reachable" in failed, "an address without a server is no route"
    course("oncall", "add", "--webhook", "https://example.org/hook")
    done = course("check")
    assert "set TONGBAN_SMTP_URL" in fails(done), "also where somebody else is reachable"
    assert "nobody on call is reachable" not in fails(done)
    assert "number 1 on call is reachable in WeChat only" in done.out
    monkeypatch.setenv("TONGBAN_SMTP_URL", "smtp://127.0.0.1:2525")
    done = course("check")
    assert done.code == 0, done.err
    assert "in WeChat only" not in done.out


def test_check_warns_of_each_person_on_call_who_is_reachable_in_wechat_only(course: Tongban, sqlite_url: str) -> None:
    for route in ("a", "b"):
        course("oncall", "add", "--webhook", f"https://example.org/{route}")
    with Database(sqlite_url) as database:
        database.write_now(lambda tx: tx.execute(sa.update(OnCall).where(OnCall.position == 2).values(webhook_sealed=None)).rowcount)
    done = course("check")
    assert done.code == 0
    warned = [line for line in done.out.splitlines() if "in WeChat only" in line]
    assert len(warned) == 1
    assert warned[0].startswith("WARNING  course msc-1: number 2 on call")


def test_check_fails_for_a_real_account_that_no_phone_could_reach(tongban: Tongban, monkeypatch: pytest.MonkeyPatch) -> None:
    tongban("account", "add", "real", "--appid", "wx1", "--original-id", "gh_1", "--secret", "s", "--mode", "plaintext")
    done = tongban("check")
    assert "TONGBAN_PUBLIC_URL" in fails(done)
    assert "!!! account real runs in plaintext mode" in done.out
    monkeypatch.setenv("TONGBAN_PUBLIC_URL", "https://group.example.org")
    assert tongban("check").code == 0


def test_check_fails_where_the_master_key_is_another_one(course: Tongban, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAN_MASTER_KEY", dict(line.split("=", 1) for line in course("keys").out.splitlines())["TONGBAN_MASTER_KEY"])
    assert "does not open" in fails(course("check"))


# Announcements -------------------------------------------------------------------------------------------------------------------------


def test_an_announcement_is_shown_asked_and_planned(course: Tongban) -> None:
    assert "nothing was done" in refused_last(course("announce", "今晚八点", "--group", "dawn", "--at", "tomorrow 20:00", typed="n\n"))
    assert "no announcements" in course("progress").out
    done = course("announce", "今晚八点", "--group", "dawn", "--at", "tomorrow 20:00", typed="y\n")
    assert "0 people: nobody" in done.out
    assert "Announcement 1 is planned" in done.out
    assert "今晚八点" in course("progress").out
    assert "not begun yet" in course("progress", "1").out


def test_a_mass_send_shows_its_price_before_it_is_planned(course: Tongban) -> None:
    offered = course("announce", "静修", "--group", "msc-1-all", "--at", "tomorrow 20:00", typed="n\n")
    assert "Or as a mass send (--mass): 0 get it without waiting for them to write; 4 of this month's 4 are left." in offered.out
    chosen = course("announce", "静修", "--group", "msc-1-all", "--at", "tomorrow 20:00", "--mass", typed="y\n")
    assert "Each person can get 4 mass sends a month: 4 of this month's 4 are left before this one." in chosen.out
    assert "Announcement 1 is planned" in chosen.out
    again = course("announce", "静修二", "--group", "msc-1-all", "--at", "tomorrow 21:00", "--mass", typed="n\n")
    assert "3 of this month's 4 are left before this one" in again.out
    assert "not a course's large group" in refused(course("announce", "静修", "--group", "dawn", "--mass", "--yes"))


def refused_last(done: Ended) -> str:
    assert done.code == 1
    return done.err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("when pigs fly", "write it like"),
        ("yesterday 20:00", "is over"),
        ("2027-02-30 20:00", "no such day"),
        ("tomorrow", "hour"),
        ("明天8点", "may mean"),
    ],
)
def test_a_time_that_does_not_work_is_explained(at: str, says: str, course: Tongban) -> None:
    assert says in refused(course("announce", "x", "--group", "dawn", "--at", at, "--yes"))


@pytest.mark.parametrize(("text", "says"), [("  ", "needs words"), ("长" * 501, "at most")])
def test_words_that_do_not_fit_are_refused(text: str, says: str, course: Tongban) -> None:
    assert says in refused(course("announce", text, "--group", "dawn", "--yes"))


def test_equal_words_are_pointed_out(course: Tongban) -> None:
    course("announce", "同一句话", "--group", "dawn", "--yes")
    assert "same words" in course("announce", "同一句话", "--group", "dawn", "--yes").out
