"""Every transcript, played against the bots alone."""

import re
from pathlib import Path

import pytest

import bots
from bots import Bot
from tests.dialogues import holding
from tests.dialogues.patterns import FACTS
from tests.dialogues.playing import Disagreement, Shown, _agrees, play
from tests.dialogues.script import TranscriptError, Wording, read
from tests.dialogues.world import World

TRANSCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.fixture(scope="module")
def all_bots() -> tuple[Bot, ...]:
    return bots.find()


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_dialogue_goes_as_written_however_chance_falls(path: Path, all_bots: tuple[Bot, ...]) -> None:
    for seed in range(6):  # bots that vary their words have two or three ways to say something
        play(read(path.read_text(encoding="utf-8"), path.name), World(all_bots, seed))


def test_there_are_transcripts_to_play() -> None:
    assert len(TRANSCRIPTS) >= 5


def test_every_fact_that_may_be_written_can_be_checked() -> None:
    assert set(holding._CHECKS) | {"nothing_reached"} == set(FACTS)


def test_every_fact_is_explained_to_readers() -> None:
    readme = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    explained = [line.split("|")[1] for line in readme.splitlines() if line.startswith("| `= ")]
    sentences = [each.strip().strip("`").removeprefix("= ") for cell in explained for each in cell.split(" / ")]
    assert [kind for kind, pattern in FACTS.items() if not any(re.fullmatch(pattern, each) for each in sentences)] == []


def _written(line: str) -> str:
    world = "= course 静心\n= group 晨光组\n= 李老师 leads 晨光组\n= 小雨 is in 晨光组\n= wave 课前问卷: shs\n"
    return f"{world}@ 2026-11-23 19:00\n李老师> 公告\n{line}\n"


@pytest.mark.parametrize(
    "line",
    [
        "李老师< 别的话",
        "李老师< (nothing)",
        "李老师< …\n    [1. 好]",
        "小雨<< …",
        "= 小雨 is leader of 晨光组",
        "= flag for 小雨",
        "= announcement to 晨光组 planned for 2026-11-23 20:00",
        "= 1 announcements to 晨光组",
        "= something waits for 李老师",
        "= 小雨 stands at opened in 课前问卷",
        "= 小雨 stands at invited in 课后问卷",
        "= 小雨 answered shs of 课前问卷: 1=5",
        "= 小雨 answered swls of 课前问卷: nothing",
        "= 小雨 is paused",
        "= 小雨 is not in 晨光组",
        "= 小雨 speaks en",
        "李老师> [没有的选项]",
    ],
)
def test_a_line_that_does_not_come_true_fails(line: str, all_bots: tuple[Bot, ...]) -> None:
    with pytest.raises(Disagreement, match=r"a\.txt:8"):
        play(read(_written(line), "a.txt"), World(all_bots))


@pytest.mark.parametrize(
    "line",
    [
        "= 小雨 is happy",
        "= 小雨 stands at happy in 课前问卷",
        "= 小雨 answered shs of 课前问卷: 1:5",
        "nonsense",
        "小雨> (dances)",
        "小雨> (sends a cake)",
        "@ yesterday",
        "@ 2026-11-22 10:00",
        "小雨< 你好",
    ],
)
def test_a_line_that_nobody_can_read_is_named(line: str, all_bots: tuple[Bot, ...]) -> None:
    with pytest.raises(TranscriptError, match=r"a\.txt:8"):
        play(read(_written(line), "a.txt"), World(all_bots))


@pytest.mark.parametrize(
    "sentence",
    [
        "= 小雨 is in 晚霞组",
        "= group",
        "= 小雨 is old",
        "= 小雨 lives in Nowhere/Land",
        "= invitation X for 晨光组 as king",
        "= wave 课前问卷",
        "= wave 课前问卷: shs; sings",
        "= wave 课前问卷: horoscope",
    ],
)
def test_a_world_that_nobody_can_read_is_refused(sentence: str) -> None:
    with pytest.raises(TranscriptError, match=r"a\.txt:3"):
        read(f"= course 静心\n= group 晨光组\n{sentence}\n", "a.txt")


@pytest.mark.parametrize(
    "expected", ["…第一步…", "…\n第二步", "第一步\n…\n第二步", "第一步\n…", "[...]步", "第一步\n第二步", "第一步\n第二步\n…", "…"]
)
def test_wildcards_stand_for_any_words(expected: str) -> None:
    assert _fits(expected, "第一步\n\n第二步 ")


@pytest.mark.parametrize("expected", ["第一步", "…第三步…", "第二步\n…", "第一步\n…\n第一步", "一步\n第二步"])
def test_words_without_a_wildcard_must_agree(expected: str) -> None:
    assert not _fits(expected, "第一步\n\n第二步 ")


def _fits(expected: str, text: str) -> bool:
    return _agrees(Wording(1, "小雨", expected, None, pushed=False), Shown(text), open_end=False)
