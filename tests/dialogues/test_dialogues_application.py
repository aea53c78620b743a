"""Every transcript, played through the running application: encrypted pushes, real servers, both databases."""

from pathlib import Path

import pytest

from tests.dialogues import stored
from tests.dialogues.application import Application
from tests.dialogues.patterns import FACTS
from tests.dialogues.playing import Disagreement, play
from tests.dialogues.script import Taps, _fact, read

TRANSCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_dialogue_goes_as_written_in_the_running_application(path: Path, database_url: str, tmp_path: Path) -> None:
    with Application(database_url, tmp_path) as application:
        play(read(path.read_text(encoding="utf-8"), path.name), application)
        assert application.alarms() == []


BEFORE = """
= course 静心
= group 晨光组
= 李老师 leads 晨光组
= 小雨 is in 晨光组
= wave 课前问卷: shs

@ 2026-11-23 19:00
李老师> 公告
"""
WRONG = [
    "小雨 is leader of 晨光组",
    "小雨 is not in 晨光组",
    "小雨 is called 雨雨",
    "陌生人 consented to 静心",
    "小雨 has not consented to 静心",
    "小雨 was included in 静心",
    "小雨 was excluded from 静心: declined",
    "小雨 speaks en",
    "小雨 is paused",
    "小雨 withdrew, answers stay",
    "code MORNING234 is open",
    "flag for 小雨",
    "2 flags for 小雨",
    "flag for 小雨 is taken by 李老师",
    "announcement to 晨光组 planned for 2026-11-23 20:00",
    "announcement to 晨光组 went out",
    "1 announcements to 晨光组",
    "something waits for 李老师",
    "小雨 stands at opened in 课前问卷",
    "小雨 stands at invited in 课后问卷",
    "小雨 answered shs of 课前问卷: 1=5",
    "小雨 answered swls of 课前问卷: nothing",
]


def test_what_did_not_come_true_is_seen_in_the_running_application(sqlite_url: str, tmp_path: Path) -> None:
    with Application(sqlite_url, tmp_path) as application:
        play(read(BEFORE, "a.txt"), application)
        assert [line for line in WRONG if application.holds(_fact(1, line))] == []
        assert application.reached("李老师") == []
        with pytest.raises(LookupError):
            application.act("李老师", Taps("没有的选项"))


def test_an_answer_with_other_words_is_seen_in_the_running_application(sqlite_url: str, tmp_path: Path) -> None:
    with Application(sqlite_url, tmp_path) as application, pytest.raises(Disagreement, match=r"a\.txt:10"):
        play(read(f"{BEFORE}李老师< 别的话\n", "a.txt"), application)


def test_every_fact_that_may_be_written_can_be_read_from_rows() -> None:
    assert set(stored.CHECKS) | {"nothing_reached"} == set(FACTS)
