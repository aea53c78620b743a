"""What a rehearsal plays is what would be: every message and occasion ends somewhere, and only its own audience gets it."""

import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app import clock, rehearsal
from app.rehearsal import Played, habits, report
from app.states import REACHED, SETTLED, State
from tests.rehearsal.boards import NOW, board

#: What may be left at the end: whoever never wrote again has something waiting for them.
_MAY_WAIT = {State.WAITING, State.NOTIFIED}


@pytest.fixture(autouse=True)
def _today() -> Iterator[None]:
    before = clock.hold(NOW)
    yield
    clock.hold(before)


@pytest.fixture(scope="module")
def small(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A small course with a cap of three a day, played once for the tests that look at it."""
    real = Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("small") / "real.db"))
    before = clock.hold(NOW)
    try:
        with board(f"sqlite:///{real}", cap=3) as made:
            return made.play(16)
    finally:
        clock.hold(before)


def test_the_ledger_and_the_database_agree_message_by_message_and_every_planned_occasion_of_every_member_ends_in_one_state(
    small: Played,
) -> None:
    record = small.record
    assert record.disagreements == ()
    assert sum(record.calls.values()) > 100
    assert {each.state for each in record.occasions} <= {"fired", "missed", "cancelled"}
    assert all(each.state in SETTLED | _MAY_WAIT for each in record.messages)
    classes = [each for each in record.occasions if each.code == "class.2.day-before"]
    assert sum(sum(each.counts.values()) for each in classes) > 0


def test_no_more_than_the_cap_is_started_with_anybody_on_a_day_and_nobody_outside_the_audience_gets_anything(small: Played) -> None:
    assert 0 < small.record.most_started <= 3
    assert small.record.disagreements == ()


def test_what_leaders_have_planned_is_said_by_the_imagined_leaders_of_their_groups(small: Played) -> None:
    kinds = Counter((each.bot, each.kind) for each in small.record.messages if each.state in REACHED)
    assert kinds["announcement", "announcement"] > 0
    assert kinds["prompt", "prompt"] > 0


def test_imagined_people_ask_and_their_leaders_answer(small: Played) -> None:
    assert any(each.bot == "question" for each in small.record.messages)


def test_a_course_that_is_half_over_is_played_from_here_on(sqlite_url: str) -> None:
    with board(sqlite_url) as made:
        middle = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)
        clock.hold(middle)
        played = made.play(4)
    assert clock.now() == middle, "the time of the process is as it was"
    assert played.began >= middle
    codes = {each.code for each in played.record.occasions if each.state == "fired"}
    assert "class.2.day-before" not in codes
    assert codes
    assert not any(each.kind == "digest" for each in played.record.messages)
    assert played.record.disagreements == ()


def test_an_interrupted_rehearsal_leaves_nothing(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()

    def interrupt(_part: float) -> None:
        assert list((tmp_path / "t").iterdir()), "the stage stands there while it is played"
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever was started in the background has none
    try:
        with board(sqlite_url) as made, pytest.raises(KeyboardInterrupt):
            made.play(2, interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert list((tmp_path / "t").iterdir()) == []
    assert clock.now() == NOW


@pytest.mark.long
def test_a_rehearsal_of_sixty_keeps_the_cap_and_its_audiences(sqlite_url: str) -> None:
    names = tuple(f"第{number}组" for number in range(1, 4))
    with board(sqlite_url, code="two-week-pilot", names=names, cap=3) as made:
        record = made.play(60).record
    assert record.disagreements == ()
    assert 0 < record.most_started <= 3
    assert {each.state for each in record.occasions} <= {"fired", "missed", "cancelled"}
    assert all(each.state in SETTLED | _MAY_WAIT for each in record.messages)


def test_the_page_says_in_words_what_the_tables_name_by_codes(small: Played, tmp_path: Path) -> None:
    page = rehearsal.write(small, tmp_path, {}).read_text(encoding="utf-8")
    for code in ("course.calendar", "<td>expired", "<td>fired", "<td>service", "（eager）", "（staff）"):
        assert code not in page
    for words in ("课程提醒 · From your course", "微信已接收 · accepted by WeChat", "客服消息 · service", "（积极 · eager）"):
        assert words in page
    assert {each.name for each in (*habits.HABITS, habits.STAFF)} == set(report.HABITS)
