"""Warm words at the terminal: adopted, listed with counts, added by a named author, approved, paused, planned."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from app.assembly import assemble
from app.encouragement import go_on
from app.settings import Settings
from bots.encouragement.words import shipped
from tests.cli.conftest import Ended, Tongban, refused

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)  # Monday, 11:00 in Shanghai
OWN = ("--author", "陈老师", "--zh", "茶放凉了，也可以慢慢喝完。")


@pytest.fixture(autouse=True)
def _today() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


def done(course: Tongban, *words: str) -> Ended:
    """A command that works."""
    ended = course("encouragement", *words)
    assert ended.code == 0, ended.err
    return ended


def test_a_plan_adopts_the_shipped_words_and_lists_its_next_moments(course: Tongban) -> None:
    out = done(course, "plan", "msc-1", "--days", "mon,thu", "--hour", "12:30").out
    assert f"{len(shipped())} shipped words were copied" in out
    assert "mon, thu at 12:30 (Asia/Shanghai), going." in out
    lines = out.splitlines()
    moments = [line.split("  ")[0] for line in lines[lines.index(next(line for line in lines if line.startswith("next"))) + 1 :]]
    assert moments[:3] == ["Mon 2026-11-23 12:30", "Thu 2026-11-26 12:30", "Mon 2026-11-30 12:30"]
    assert "8 not given yet" in out
    again = done(course, "plan", "msc-1", "--days", "tue", "--hour", "08:15", "--zone", "Europe/Berlin").out
    assert "copied" not in again
    assert "tue at 08:15 (Europe/Berlin), going." in again


def test_a_plan_is_paused_and_goes_on(course: Tongban) -> None:
    done(course, "plan", "msc-1", "--days", "mon")
    assert "paused." in done(course, "plan", "msc-1", "--pause").out
    assert "2026" not in done(course, "next", "msc-1").out
    assert "Mon 2026-11-23 12:30" in done(course, "plan", "msc-1", "--resume").out
    assert done(course, "next", "msc-1", "--count", "3").out.count(" 12:30") == 4, "the hour of the plan and three moments"


def test_what_was_missed_is_listed(course: Tongban) -> None:
    done(course, "plan", "msc-1", "--days", "mon")
    assembly = assemble(Settings(_env_file=None))  # type: ignore[call-arg]  # the rest comes from the environment
    with assembly.database as database:
        database.write_now(lambda tx: go_on(tx, assembly.tools, datetime(2026, 11, 23, 5, 31, tzinfo=UTC)))
    out = done(course, "next", "msc-1").out
    assert "Mon 2026-11-23 12:30  missed  it was more than an hour late" in out


def test_words_of_their_own_have_an_author_and_wait_for_approval(course: Tongban) -> None:
    done(course, "adopt", "msc-1")
    added = done(course, "add", "msc-1", *OWN, "--theme", "arriving", "--tone", "轻")
    assert "Proposed as number 73" in added.out
    waiting = done(course, "list", "msc-1", "--state", "proposed").out
    assert "73. arriving, proposed, given 0, thanked 0" in waiting
    assert "by 陈老师; tone: 轻" in waiting
    assert "In all: 1 words" in waiting
    assert "Approved." in done(course, "approve", "msc-1", "73").out
    assert "73. arriving, approved" in done(course, "list", "msc-1", "--theme", "arriving").out
    assert "Paused; 0 messages" in done(course, "pause", "msc-1", "1", "73").out
    assert "In all: 2 words" in done(course, "list", "msc-1", "--state", "paused").out


def test_the_shipped_words_are_listed_as_ours_in_both_languages(course: Tongban) -> None:
    done(course, "adopt", "msc-1")
    out = done(course, "list", "msc-1").out
    for word in shipped():
        assert all(text in out for text in word.texts.values()), word.code
    assert out.count("demonstration words") == len(shipped())
    assert "0 words were copied" in done(course, "adopt", "msc-1").out


def test_a_course_may_have_themes_of_its_own(course: Tongban) -> None:
    done(course, "adopt", "msc-1", "--theme", "winter", "--theme", "arriving")
    assert "Proposed" in done(course, "add", "msc-1", *OWN, "--theme", "winter").out
    assert "no theme 'mindfulness'" in refused(
        course("encouragement", "add", "msc-1", "--author", "陈", "--zh", "雪落下来。", "--theme", "mindfulness")
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", "msc-1", "--author", " ", "--zh", "茶凉了"), "--author"),
        (("add", "msc-1", "--zh", "茶凉了"), "--author"),
        (("add", "msc-1", "--author", "陈"), "--zh or --en"),
        (("add", "msc-1", "--author", "陈", "--zh", "加油，别放弃"), "put it another way"),
        (("add", "msc-1", "--author", "陈", "--en", "We promise it will get better."), "put it another way"),
        (("add", "msc-1", "--author", "陈", "--zh", shipped()[0].texts["zh"]), "Number 1 says nearly the same"),
        (("add", "msc-1", "--author", "陈", "--zh", "啊" * 300), "600 bytes"),
        (("add", "nowhere", "--author", "陈", "--zh", "茶"), "msc-1"),
        (("approve", "msc-1", "999"), "no warm word 999"),
        (("pause", "msc-1", "999"), "no warm word 999"),
        (("list", "msc-1", "--state", "loved"), "proposed, approved, paused"),
        (("plan", "msc-1"), "Say one thing"),
        (("plan", "msc-1", "--days", "mon", "--pause"), "Say one thing"),
        (("plan", "msc-1", "--pause"), "no plan"),
        (("plan", "msc-1", "--resume"), "no plan"),
        (("plan", "msc-1", "--days", "someday"), "mon, tue"),
        (("plan", "msc-1", "--days", ","), "at least one day"),
        (("plan", "msc-1", "--days", "mon", "--hour", "25:00"), "12:30"),
        (("plan", "msc-1", "--days", "mon", "--zone", "Moon/Sea"), "Asia/Shanghai"),
    ],
)
def test_a_refusal_is_one_sentence_with_its_remedy(words: tuple[str, ...], says: str, course: Tongban) -> None:
    done(course, "adopt", "msc-1")
    assert says in refused(course("encouragement", *words))


def test_an_empty_library_and_a_course_without_a_plan_say_what_to_do(course: Tongban) -> None:
    assert "adopt msc-1" in done(course, "list", "msc-1").out
    assert "--days mon,thu" in done(course, "next", "msc-1").out
