"""docs/alarms.md explains every alarm that the program can raise, and no other."""

import ast
import re

from bots.texts import load_texts
from tests.architecture.source import ROOT, sources


def raised() -> set[str]:
    """The kinds that stand in calls of `audit.alarm`, also where one of two is chosen."""
    calls = (
        node
        for source in sources("app")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "alarm"
    )
    words = (leaf.value for call in calls for leaf in ast.walk(call.args[2]) if isinstance(leaf, ast.Constant))
    return {word for word in words if isinstance(word, str)}


def test_every_alarm_is_explained_and_no_other() -> None:
    explained = set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs" / "alarms.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert len(explained) > 10
    assert explained == raised()


def test_an_administrator_reads_every_alarm_in_words() -> None:
    words = {key.removeprefix("alarm.") for key in load_texts(ROOT / "app" / "console").keys() if key.startswith("alarm.")}  # noqa: SIM118 - `Texts` is no dict
    assert words == raised()
