"""What the program has, the documents name; what the documents name, the program has."""

import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import bots
from app.cli import build
from app.settings import Settings
from app.states import State
from bots.effects import Effect

ROOT = Path(__file__).parents[2]
READMES = ["README.md", "README.zh-CN.md"]
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
STATES = {state.value for state in State}


def read(name: str) -> str:
    path = ROOT / name
    assert path.exists(), f"{name} is missing"
    return path.read_text(encoding="utf-8")


def everything() -> dict[str, str]:
    """Every document for people, by its path."""
    paths = [ROOT / name for name in (*READMES, "CHANGELOG.md")] + sorted((ROOT / "docs").rglob("*.md"))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths if path.exists()}


def named(words: set[str], text: str) -> set[str]:
    """Those of the words that stand in the text as code: between backticks, also with something behind them."""
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^```.*?^```", text, re.DOTALL | re.MULTILINE)
    return {word for word in words if any(re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", piece) for piece in code)}


def settings() -> set[str]:
    return {f"TONGBAN_{name.upper()}" for name in Settings.model_fields}


def commands() -> set[str]:
    """Every command as it is typed: `tongban account add`."""
    return set(_paths(get_command(build()), "tongban"))


def _paths(command: Any, path: str) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path
        return
    for name, one in inner.items():
        yield from _paths(one, f"{path} {name}")


@pytest.mark.parametrize("readme", READMES)
def test_every_setting_is_in_the_readme(readme: str) -> None:
    assert settings() - named(settings(), read(readme)) == set()


def test_every_setting_is_in_the_example() -> None:
    example = set(re.findall(r"^#? ?(TONGBAN_\w+)=", read(".env.example"), re.MULTILINE))
    assert example == settings()


def test_no_document_names_a_setting_that_is_gone() -> None:
    gone = {(name, word) for name, text in everything().items() for word in re.findall(r"TONGBAN_[A-Z_]+[A-Z]", text)}
    assert {(name, word) for name, word in gone if word not in settings() and name != "CHANGELOG.md"} == set()


@pytest.mark.parametrize("readme", READMES)
def test_every_command_is_in_the_readme(readme: str) -> None:
    assert commands() - named(commands(), read(readme)) == set()


def typed(words: list[str], groups: set[str]) -> str:
    """The command that these words begin with: what stands behind it is no part of it."""
    command = ""
    while words and (not command or command in groups):
        command = f"{command} {words.pop(0)}".strip()
    return command


def test_no_document_names_a_command_that_is_gone() -> None:
    there = {command.removeprefix("tongban ") for command in commands()}
    groups = {command.rsplit(" ", depth)[0] for command in there for depth in (1, 2)} - there
    written = {
        (name, typed(words.split(), groups))
        for name, text in everything().items()
        for words in re.findall(r"(?:`|^|^\$ |/)tongban ([a-z][a-z-]*(?: [a-z][a-z-]*)*)", text, re.MULTILINE)
    }
    assert {(name, command) for name, command in written if command not in there and name != "CHANGELOG.md"} == set()


@pytest.mark.parametrize("readme", READMES)
def test_every_bot_is_in_the_readme(readme: str) -> None:
    names = {bot.name for bot in bots.find()}
    assert names - named(names, read(readme)) == set()


def test_every_effect_is_in_the_documents() -> None:
    effects = {effect.__name__ for effect in typing.get_args(Effect)}
    assert effects - named(effects, "\n\n".join(everything().values())) == set()


def test_every_delivery_state_has_a_sentence() -> None:
    """In docs/states.md each state begins a line (a table row, a heading or a list item), with words behind it."""
    lines = read("docs/states.md").splitlines()
    explained = {state for state in STATES for line in lines if re.match(rf"[|#*\- ]*`{state}`\W+\w.{{15,}}", line)}
    assert explained == STATES


def test_links_between_documents_lead_somewhere() -> None:
    links = [(name, link) for name, text in everything().items() for link in LINK.findall(text)]
    assert [(name, link) for name, link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


def test_make_targets_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", read("Makefile"), re.MULTILINE))
    written = {(name, word) for name, text in everything().items() for word in re.findall(r"(?:`|^)make ([a-z0-9-]+)", text, re.MULTILINE)}
    assert {(name, word) for name, word in written if word not in targets} == set()


def test_both_readmes_show_the_two_commands_a_newcomer_needs() -> None:
    for readme in READMES:
        assert {"make run", "make test"} <= named({"make run", "make test"}, read(readme)), readme
