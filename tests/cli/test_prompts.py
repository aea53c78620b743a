"""Practice prompts at the terminal: planned, listed, shown, changed, steered; in a leader's name with a leader's rights and no more."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from app import accounts, courses, groups, people
from app.assembly import assemble
from app.db import Tx
from app.settings import Settings
from bots.turns import Role
from tests.cli.conftest import Ended, Tongban, refused

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _today() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
def two(tongban: Tongban) -> Tongban:
    """A course with two groups, each with a leader of its own."""
    for words in (
        ("account", "add", "msc", "--appid", "wx1", "--original-id", "gh_1", "--secret", "s3cret", "--api-base", "http://127.0.0.1:9"),
        ("course", "create", "msc-1", "--title", "正念", "--account", "msc", "--starts-on", "2026-11-23"),
        ("group", "create", "dawn", "--name", "晨光组"),
        ("group", "create", "dusk", "--name", "晚霞组"),
    ):
        assert tongban(*words).code == 0
    assembly = assemble(Settings(_env_file=None))  # type: ignore[call-arg]

    def seat(tx: Tx) -> None:
        account_id = accounts.by_name(tx, "msc")
        for number, (name, code) in enumerate((("李老师", "dawn"), ("周老师", "dusk"))):
            known = people.meet(tx, assembly.tools.keyring, account_id, f"o{number:027d}", NOW)
            people.rename(tx, known, name)
            groups.enter(tx, groups.by_code(tx, code, courses.by_code(tx, "msc-1")), known.id, Role.LEADER, NOW)

    with assembly.database as database:
        database.write_now(seat)
    return tongban


def add(two: Tongban, *words: str) -> Ended:
    """A prompt that is planned as it should be."""
    done = two("prompt", "add", "{name}，第 {week} 周了。", "--group", "dawn", "--yes", *words)
    assert done.code == 0, done.err
    return done


def test_a_prompt_is_planned_after_a_look_at_what_it_will_be(two: Tongban) -> None:
    done = add(two, "--when", "每周一三五 20:00", "--until", "20 Dec")
    assert "小雨，第 1 周了。" in done.out
    assert "Next: 2026-11-23 20:00, 2026-11-25 20:00, 2026-11-27 20:00" in done.out
    assert "1 people: 1 only when they next write." in done.out
    assert "Practice prompt 1 is planned." in done.out
    assert two("prompt", "list").out.splitlines()[1].split()[:2] == ["1", "晨光组"]
    shown = two("prompt", "show", "1").out
    assert "every Mon, Wed, Fri at 20:00, until 20 Dec. It is running." in shown
    assert "{name}，第 {week} 周了。" in shown


def test_without_yes_it_asks(two: Tongban) -> None:
    stopped = two("prompt", "add", "晚安", "--group", "dawn", "--when", "every day 20:00", typed="n\n")
    assert (stopped.code, stopped.err.strip()) == (1, "Stopped; nothing was done.")
    assert "no practice prompts yet" in two("prompt", "list").out
    assert two("prompt", "add", "晚安", "--group", "dawn", "--when", "every day 20:00", typed="y\n").code == 0


def test_it_is_paused_resumed_changed_and_cancelled(two: Tongban) -> None:
    add(two, "--when", "every day 20:00")
    assert "tongban prompt resume 1" in two("prompt", "pause", "1").out
    assert "It is paused." in two("prompt", "show", "1").out
    assert "cannot be paused" in refused(two("prompt", "pause", "1"))
    assert "Next: 2026-11-23 20:00." in two("prompt", "resume", "1").out
    assert "is changed" in two("prompt", "edit", "1", "--when", "week 2 Tuesday 21:00", "--text", "换一句。", "--yes").out
    assert "Tue of course week 2 (30 Nov to 6 Dec) at 21:00, this once. It is running." in two("prompt", "show", "1").out
    assert "is changed" in two("prompt", "edit", "1", "--group", "dawn", "--group", "dusk", "--yes").out
    assert "晨光组, 晚霞组" in two("prompt", "show", "1").out
    assert "cancelled" in two("prompt", "cancel", "1").out
    assert "ended already" in refused(two("prompt", "cancel", "1"))
    assert "It is cancelled (cancelled by author)." in two("prompt", "show", "1").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--when", "每天 8点"), 'may mean "daily 08:00" or "daily 20:00"'),
        (("--when", "每天 24:00"), "the clock has no such hour"),
        (("--when", "2月30日 20:00"), "the calendar has no such day"),
        (("--when", "昨天 20:00"), "it is over"),
        (("--when", "每月31日 20:00"), "it can be every day"),
        (("--when", "每周 20:00"), "days of the week"),
        (("--when", "whenever"), "write it like"),
        (("--when", "every day 20:00", "--until", "2026-11-01"), "no day to come"),
        (("--when", "第99周周二 20:00"), "no such week"),
    ],
)
def test_k1_what_cannot_be_or_is_not_clear_is_refused_in_one_sentence(words: tuple[str, ...], says: str, two: Tongban) -> None:
    assert says in refused(two("prompt", "add", "晚安", "--group", "dawn", "--yes", *words))
    assert "no practice prompts yet" in two("prompt", "list").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", "晚安", "--when", "every day 20:00"), "at least one group"),
        (("add", "晚安", "--when", "every day 20:00", "--group", "nowhere"), "no single group"),
        (("add", "{nmae}", "--when", "every day 20:00", "--group", "dawn", "--yes"), "{nmae}"),
        (("add", "字" * 501, "--when", "every day 20:00", "--group", "dawn", "--yes"), "1503 bytes"),
        (("edit", "1"), "at least one of"),
        (("edit", "9", "--text", "x"), "no single practice prompt 9"),
        (("show", "9"), "tongban prompt list"),
        (("pause", "9"), "tongban prompt list"),
        (("list", "--as", "nobody"), "no single person"),
    ],
)
def test_a_command_refuses_in_one_sentence(words: tuple[str, ...], says: str, two: Tongban) -> None:
    assert says in refused(two("prompt", *words))


def test_f2_in_a_leaders_name_only_their_own_groups_are_seen_and_addressed(two: Tongban) -> None:
    add(two, "--when", "every day 20:00", "--as", "李老师")
    assert "1 people" not in two("prompt", "show", "1", "--as", "李老师").out
    assert "no practice prompts yet" in two("prompt", "list", "--as", "周老师").out
    for step in ("show", "pause", "cancel", "resume"):
        assert "no single practice prompt 1" in refused(two("prompt", step, "1", "--as", "周老师"))
    assert "no single practice prompt 1" in refused(two("prompt", "edit", "1", "--text", "x", "--as", "周老师"))
    done = two("prompt", "add", "晚安", "--group", "dawn", "--when", "every day 20:00", "--yes", "--as", "周老师")
    assert "may address a group" in refused(done)
    both = ("--group", "dawn", "--group", "dusk")
    assert "may address a group" in refused(two("prompt", "add", "晚安", *both, "--when", "every day 20:00", "--yes", "--as", "李老师"))
    assert len(two("prompt", "list").out.splitlines()) == 2


def test_a_number_of_two_courses_wants_its_course(two: Tongban) -> None:
    two("course", "create", "msc-2", "--title", "正念二", "--account", "msc")
    two("group", "create", "far", "--name", "远方组", "--course", "msc-2")
    add(two, "--when", "every day 20:00")
    assert two("prompt", "add", "晚安", "--group", "far", "--when", "every day 20:00", "--yes").code == 0
    assert "--course" in refused(two("prompt", "pause", "1"))
    assert two("prompt", "pause", "1", "--course", "msc-2").code == 0
    assert "one course" in refused(two("prompt", "add", "晚安", "--group", "far", "--group", "dawn", "--when", "every day 20:00", "--yes"))
    assert [line.split()[1] for line in two("prompt", "list", "--course", "msc-2").out.splitlines()[1:]] == ["远方组"]
