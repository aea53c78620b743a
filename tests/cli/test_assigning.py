"""Groups from the terminal: a proposal is printed, and made true only on request and just as it was printed."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Tongban

ASSIGN = ("course", "assign", "msc-1")


@pytest.fixture
def waiting(course: Tongban, tmp_path: Path) -> Tongban:
    """Twelve people on the roster who get their group later."""
    rows = [f"客人{number},待分组,{'女男'[number % 2]},{30 + number},北京,没有" for number in range(12)]
    path = tmp_path / "roster.csv"
    path.write_text("\n".join(["姓名,小组,性别,年龄,城市,冥想经验", *rows]), encoding="utf-8")
    assert course("roster", "import", str(path), "--commit").code == 0
    return course


def _sizes(course: Tongban) -> list[str]:
    return re.findall(r"^msc-1 +([\w-]+) ", course("group", "list").out, re.MULTILINE)


def test_a_proposal_is_printed_and_then_made_true_as_printed(waiting: Tongban) -> None:
    shown = waiting(*ASSIGN, "--groups", "2", "--only-new", "--apart", "R1 R2")
    assert shown.code == 0, shown.err
    assert re.search(r"gender: female +6 \(50%\) +3 +3", shown.out)
    assert re.search(r"people +12 +6 +6", shown.out)
    assert "客人" not in shown.out
    assert _sizes(waiting) == ["dawn", "msc-1-all"]
    seed = re.search(r"add --seed (\d+) --apply", shown.out)
    assert seed is not None
    done = waiting(*ASSIGN, "--groups", "2", "--only-new", "--apart", "R1 R2", "--seed", seed.group(1), "--apply")
    assert done.code == 0, done.err
    assert "12 personal codes lead into their group" in done.out
    lists = re.findall(r"^第\d组 \(6.*$", shown.out, re.MULTILINE)
    assert len(lists) == 2
    assert all(line in done.out for line in lists)
    assert "Everybody of this course has a group." in waiting(*ASSIGN, "--groups", "2").err


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ((), "either --groups or --size"),
        (("--groups", "2", "--size", "6"), "either --groups or --size"),
        (("--groups", "2", "--together", "R1 R99"), "R99"),
        (("--groups", "2", "--together", "R1 R2", "--apart", "R1 R2"), "take one of the two wishes back: R1, R2"),
        (("--groups", "2", "--apart", "R1 R2 R3"), "ask for more groups"),
    ],
)
def test_what_cannot_be_is_refused_with_its_remedy(waiting: Tongban, words: tuple[str, ...], remedy: str) -> None:
    refused = waiting(*ASSIGN, *words)
    assert refused.code == 1
    assert remedy in refused.err
