"""The sandbox is the second opinion, so it borrows nothing from the first; and it refuses in words."""

import re
from pathlib import Path

from app.sandbox.errors import MEANINGS

FOLDER = Path(__file__).parents[2] / "app" / "sandbox"
SOURCES = sorted(FOLDER.glob("*.py"))


def test_every_code_that_is_refused_has_its_words() -> None:
    used = {int(code) for path in SOURCES for code in re.findall(r"Refused\((-?\d+)", path.read_text(encoding="utf-8"))}
    assert len(used) > 40
    assert used <= set(MEANINGS)
