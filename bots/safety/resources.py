"""Hides where the shipped help lines come from: `resources.toml`, one line each, with its source and the day it was checked."""

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

from bots.texts import LANGUAGES, TextError, Words


@cache
def shipped_resources() -> Mapping[str, Words]:
    """The help lines that are shown where a course names none, by language."""
    return load_resources(Path(__file__).parent / "resources.toml")


def load_resources(path: Path) -> Mapping[str, Words]:
    """The help lines by language, one per line. Raises `TextError` where a line lacks a language, its source or its date."""
    lines = tomllib.loads(path.read_text(encoding="utf-8"))["lines"]
    for line in lines:
        if missing := {*LANGUAGES, "source", "checked", "remark"} - set(line):
            raise TextError(f"{path.name}: the line {line.get('zh', '?')!r} lacks {', '.join(sorted(missing))}.")
        if not isinstance(line["checked"], date):
            raise TextError(f"{path.name}: `checked` of {line['zh']!r} is no date; write it as 2026-11-23 without quotes.")
    return {language: Words("\n".join(f"· {line[language]}" for line in lines)) for language in LANGUAGES}
