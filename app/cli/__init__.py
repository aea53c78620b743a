"""The command line `tongban`: every refusal is one sentence with its remedy on standard error, and exit code 1."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from app.channels import SendError
from app.cli import accounts, announcing, chatting, checking, courses, demo, desk, groups, keys, people, rosters, serving
from app.errors import AppError

__all__ = ["build", "main"]

_PROGRAM = Path(__file__).parents[1]


def build() -> typer.Typer:
    """The tree of commands."""
    tree = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    tree.callback(help="Tongban carries a course with peer groups in a WeChat Official Account. Begin with `tongban demo`.")(_root)
    for serve in (demo.demo, serving.run, serving.web, serving.worker, serving.sandbox, serving.migrate, keys.keys, keys.rewrap_keys):
        tree.command()(serve)
    for work in (checking.check, chatting.chat, announcing.announce, announcing.progress):
        tree.command()(work)
    for group in (accounts.commands, courses.commands, groups.commands, groups.staff_commands, rosters.commands):
        tree.add_typer(group())
    for group in (people.commands, courses.on_call_commands, courses.alarm_commands):
        tree.add_typer(group())
    return tree


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command, then leave with its exit code."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = typer.main.get_command(build()).main(arguments, prog_name="tongban", standalone_mode=False)
    except typer.Abort:
        return _refuse("Stopped; nothing was done.")
    except TyperException as misused:
        return _misused(misused)
    except (AppError, SendError) as refused:
        return _refuse(refused.sentence if isinstance(refused, AppError) else desk.platform_says(refused))
    except Exception as bug:  # noqa: BLE001 - the operator gets a sentence, not a traceback
        return _survive(bug)
    return code if isinstance(code, int) else 0


def _survive(bug: Exception) -> int:
    if isinstance(bug, BrokenPipeError):  # whoever read our output has seen enough
        return 1
    return _refuse(f"This should not have happened ({type(bug).__name__} at {_where(bug)}); please report it.")


def _root(
    settings: Annotated[
        Path, typer.Option(help="File with the settings, one TONGBAN_NAME=value a line; the environment goes before it.", dir_okay=False)
    ] = desk.DEFAULT_FILE,
) -> None:
    desk.use_file(settings)


def _misused(misused: TyperException) -> int:
    said = misused.format_message().strip()
    if not said or "\n" in said:  # the help itself, where no command was named
        typer.echo(said)
        return 0
    return _refuse(f"{said.rstrip('.')}; `tongban --help`, or `--help` behind the command, shows how.")


def _refuse(sentence: str) -> int:
    typer.echo(sentence, err=True)
    return 1


def _where(bug: Exception) -> str:
    """The last place in a file of ours: what was called from there is somebody else's."""
    frames = traceback.extract_tb(bug.__traceback__)
    frame = next((each for each in reversed(frames) if Path(each.filename).is_relative_to(_PROGRAM)), frames[-1])
    return f"{Path(frame.filename).name}:{frame.lineno}"
