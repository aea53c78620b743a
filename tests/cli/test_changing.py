"""What can be changed later: an account's secret and mode, a group's door, the master key; and what operators are told."""

import json
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app import accounts, audit, clock, courses, groups
from app.cli import moments
from app.cli.keys import new_key
from app.db import Database, Tx
from app.keyring import Keyring
from app.models import AccessToken, Audit, Course, DataKey, Group, Person
from app.settings import Settings
from bots.turns import Role
from tests.cli.conftest import Tongban, refused
from tests.delivery.scene import NOW


def test_a_new_secret_is_taken_and_the_old_token_forgotten(course: Tongban, sqlite_url: str) -> None:
    with Database(sqlite_url) as database:
        database.write_now(lambda tx: tx.execute(sa.update(AccessToken).values(token_sealed=b"old", expires_at=clock.now())))
    assert course("account", "change", "msc", "--secret-stdin", typed="fresh-secret\n").code == 0
    assert "fresh-secret" in course("account", "show", "msc", "--json").out
    with Database(sqlite_url) as database:
        assert database.read_now(lambda tx: tx.execute(sa.select(AccessToken.token_sealed)).scalar_one()) is None


@pytest.mark.parametrize(
    ("words", "typed", "says"),
    [
        (("account", "change", "msc"), "", "Say what changes"),
        (("account", "change", "msc", "--mode", "open"), "", "plaintext, compatible, safe"),
        (("account", "change", "msc", "--secret-stdin"), "\n", "no AppSecret on standard input"),
        (("account", "change", "nobody", "--mode", "safe"), "", "no account 'nobody'"),
        (("group", "close", "nothing"), "", "no single group"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_change_that_does_not_fit_is_refused_in_one_sentence(words: tuple[str, ...], typed: str, says: str, course: Tongban) -> None:
    assert says in refused(course(*words, typed=typed))


def test_the_mode_is_changed_and_written_down(course: Tongban, sqlite_url: str) -> None:
    assert course("account", "change", "msc", "--mode", "plaintext").code == 0
    with Database(sqlite_url) as database:
        actions = database.read_now(lambda tx: list(tx.execute(sa.select(Audit.action)).scalars()))
    assert "account.change" in actions


def test_a_new_webhook_token_is_made_printed_and_used(course: Tongban) -> None:
    former = json.loads(course("account", "show", "msc", "--json").out)["token"]
    said = course("account", "change", "msc", "--new-token").out
    shown = json.loads(course("account", "show", "msc", "--json").out)
    assert shown["token"] in said
    assert shown["token"] != former
    assert shown["secret"] == "s3cret"


def test_a_closed_group_lets_nobody_in(course: Tongban, sqlite_url: str) -> None:
    assert course("group", "close", "dawn").code == 0
    with Database(sqlite_url) as database:
        assert database.read_now(lambda tx: tx.execute(sa.select(Group.closed_at).where(Group.code == "dawn")).scalar_one()) is not None


def test_a_new_master_key_takes_over_and_the_former_one_can_go(course: Tongban, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    former, index_key = (_environment(name) for name in ("MASTER_KEY", "INDEX_KEY"))
    monkeypatch.setenv("TONGBAN_PREVIOUS_MASTER_KEY", former)
    monkeypatch.setenv("TONGBAN_MASTER_KEY", new_key())
    said = course("rewrap-keys").out
    monkeypatch.delenv("TONGBAN_PREVIOUS_MASTER_KEY")
    assert "s3cret" in course("account", "show", "msc", "--json").out
    keyring = Keyring(Settings(_env_file=None, master_key=_environment("MASTER_KEY"), index_key=index_key).vault())  # type: ignore[call-arg, arg-type]  # the settings of this test
    with Database(sqlite_url) as database:
        versions = database.read_now(lambda tx: set(tx.execute(sa.select(DataKey.master_version)).scalars()))
        count = database.read_now(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(DataKey)).scalar_one())
        account_id = database.read_now(lambda tx: accounts.by_name(tx, "msc"))
        assert database.read_now(lambda tx: accounts.credentials(tx, keyring, account_id)).secret == "s3cret"
    assert versions == {keyring.vault.newest}
    assert re.match(rf"{count} data keys", said)


def test_alarms_are_listed_with_how_often_they_went_off(course: Tongban, sqlite_url: str) -> None:
    with Database(sqlite_url) as database:
        for _ in range(3):
            database.write_now(lambda tx: audit.alarm(tx, clock.now(), "quarantine", "json"))
    assert re.search(r"quarantine\s+json\s+3", course("alarm", "list").out)


def _environment(name: str) -> str:
    return str(Settings(_env_file=None).model_dump()[name.lower()].get_secret_value())  # type: ignore[call-arg]  # from the environment


def test_a_cap_is_set_shown_and_taken_away(course: Tongban, sqlite_url: str) -> None:
    assert "at most 4 started messages per person and day" in course("course", "show", "msc-1").out
    assert course("course", "cap", "msc-1", "2").out == "At most 2 started messages per person and day.\n"
    assert "at most 2 started messages" in course("course", "show", "msc-1").out
    assert course("course", "cap", "msc-1", "None").out == "No cap on messages per person and day.\n"
    assert "no cap on messages" in course("course", "show", "msc-1").out
    with Database(sqlite_url) as database:
        noted = database.read_now(lambda tx: tx.execute(sa.select(Audit.details).where(Audit.action == "course.cap")).scalars().all())
    assert noted == [{"cap": 2}, {"cap": None}]


def test_an_announcement_to_many_waits_at_the_terminal_too(course: Tongban) -> None:
    said = "An announcement to more than 2 people waits for a second person.\n"
    assert course("course", "second-eyes", "msc-1", "2").out == said
    assert said.strip(".\n").lower() in course("course", "show", "msc-1").out
    assert course("course", "second-eyes", "msc-1", "Never").out == "No announcement waits for a second person.\n"
    for typed in ("many", "-3", "1.5", ""):
        assert "write it like 60, or never" in course("course", "second-eyes", "msc-1", "--", typed).err
    assert "number of people" in course("course", "second-eyes", "msc-1", "9999999").err


def test_the_operators_announcement_to_many_is_not_on_its_way_until_somebody_looked(course: Tongban, sqlite_url: str) -> None:
    def seat(tx: Tx) -> None:
        group = groups.by_code(tx, "dawn")
        for number in range(1, 4):
            tx.execute(sa.insert(Person).values(id=number, data_key_id=sa.select(Course.data_key_id).scalar_subquery(), created_at=NOW))
            groups.enter(tx, group, number, Role.LEADER, NOW)

    with Database(sqlite_url) as database:
        database.write_now(seat)
    course("course", "second-eyes", "msc-1", "2")
    said = course("announce", "今晚见", "--group", "dawn", "--yes").out
    assert "more than 2 people, so it waits until a second person has approved it; but there is no administrator or mentor yet" in said
    assert "Announcement 1 waits until a second person has seen it" in said
    assert "waiting" in course("progress").out
    assert "not begun yet" in course("progress", "1").out


@pytest.mark.parametrize("typed", ["0", "100", "-1", "four", "2.5", "", "４"])
def test_what_is_no_cap_is_refused_with_what_would_be_one(course: Tongban, typed: str) -> None:
    assert "none" in refused(course("course", "cap", "msc-1", "--", typed))
    assert "at most 4" in course("course", "show", "msc-1").out


def test_a_silence_is_shown_until_it_is_over_and_an_announcement_says_that_it_waits(course: Tongban, sqlite_url: str) -> None:
    now = clock.now()
    past, ahead = (now - timedelta(hours=9), now - timedelta(hours=1)), (now - timedelta(hours=1), now + timedelta(days=2))
    with Database(sqlite_url) as database:
        database.write_now(lambda tx: courses.set_quiet_hours(tx, courses.by_code(tx, "msc-1"), "00:00", "00:00"))
        database.write_now(lambda tx: courses.set_silences(tx, courses.by_code(tx, "msc-1"), [ahead, past], now))
    shown = course("course", "show", "msc-1").out
    assert shown.count("silent from") == 1
    end = moments.shown(ahead[1], "Asia/Shanghai")
    assert f"to {end}" in shown
    assert f"The course is silent; it goes at {end}." in course("announce", "今晚见", "--group", "dawn", "--yes").out
