"""What docs/states.md says a leader reads is what a leader reads."""

import tomllib
from pathlib import Path

import pytest

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
