"""What docs/states.md says a leader reads is what a leader reads, and no state or cause of a questionnaire is missing there."""

import re
import tomllib
from pathlib import Path

import pytest

from app.states import Asked
from app.study.columns import OTHER, WORDS

ROOT = Path(__file__).parents[2]


def words(language: str, table: str) -> dict[str, str]:
    read: dict[str, dict[str, str]] = tomllib.loads((ROOT / f"app/texts.{language}.toml").read_text(encoding="utf-8"))
    return {key: text for key, text in read[table].items() if text}


@pytest.mark.parametrize("table", ["state", "reason"])
def test_every_state_and_reason_is_quoted_as_people_read_it(table: str) -> None:
    lines = (ROOT / "docs/states.md").read_text(encoding="utf-8").splitlines()
    zh, en = words("zh", table), words("en", table)
    missing = [key for key in zh if not any(line.startswith(f"| `{key}` |") and f"{zh[key]} · {en[key]} |" in line for line in lines)]
    assert missing == []


def rows_of(head: str) -> list[str]:
    """The first cells of the table with this first heading in the part about waves, each with at least a sentence behind it."""
    part = (ROOT / "docs/states.md").read_text(encoding="utf-8").partition("\n# How far somebody is with a wave\n")[2]
    table = part.partition(f"\n| {head} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \| \w.{15,}", table, re.MULTILINE)


def test_how_far_somebody_is_with_a_wave_is_told_state_by_state_in_their_order() -> None:
    assert rows_of("state") == [state.value for state in Asked]


def test_every_cause_of_a_change_is_told() -> None:
    assert rows_of("cause") == [cause for cause in WORDS["assignments.csv", "cause"] if cause != OTHER]
