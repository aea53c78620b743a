"""The sandbox is the second opinion, so it borrows nothing from the first; and it refuses in words."""

import ast
import re
from pathlib import Path

from app.sandbox.errors import MEANINGS

FOLDER = Path(__file__).parents[2] / "app" / "sandbox"
SOURCES = sorted(FOLDER.glob("*.py"))


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_nothing_of_the_service_and_no_sdk_is_imported() -> None:
    assert SOURCES
    for path in SOURCES:
        for name in imported(path):
            assert not name.startswith(("wechatpy", "bots")), (path.name, name)
            assert not name.startswith("app.") or name.startswith(("app.sandbox", "app.clock")), (path.name, name)


def test_every_code_that_is_refused_has_its_words() -> None:
    used = {int(code) for path in SOURCES for code in re.findall(r"Refused\((-?\d+)", path.read_text(encoding="utf-8"))}
    assert len(used) > 40
    assert used <= set(MEANINGS)
