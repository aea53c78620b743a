"""The command line `tongban`: every refusal is one sentence with its remedy on standard error, and exit code 1.

A command's module is imported when its word is used, and no other: a worker does not wait for what serves the web.
"""

import gc
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
from typer.exceptions import TyperException

from app.channels import SendError
from app.cli import threshold
from app.errors import AppError

__all__ = ["build", "main"]

_PROGRAM = Path(__file__).parents[1]

#: Commands: the word, and the module under app/cli with the function that does it.
_COMMANDS = {
    "demo": "demo:demo",
    "run": "serving:run",
    "web": "serving:web",
    "worker": "working:worker",
    "sandbox": "imitating:sandbox",
    "migrate": "migrating:migrate",
    "keys": "keys:keys",
    "rewrap-keys": "rewrapping:rewrap_keys",
    "check": "checking:check",
    "health": "health:health",
    "chat": "chatting:chat",
    "announce": "announcing:announce",
    "progress": "announcing:progress",
    "follow-up": "following:follow_up",
    "close-poll": "following:close_poll",
    "homework": "practising:homework",
    "backup": "backups:backup",
    "restore": "backups:restore",
    "retention": "retaining:retention",
    "export": "exporting:export",
    "rehearse": "rehearsing:rehearse",
}
#: Groups of commands: the word, and the module with the function that makes the group.
_GROUPS = {
    "account": "accounts:commands",
    "course": "courses:commands",
    "group": "groups:commands",
    "staff": "staff:commands",
    "roster": "rosters:commands",
    "person": "people:commands",
    "oncall": "on_duty:on_call_commands",
    "alarm": "on_duty:alarm_commands",
    "flags": "flagging:commands",
    "erasures": "backups:erasures_commands",
    "deliveries": "deliveries:commands",
    "quarantine": "quarantine:commands",
    "instrument": "instruments:commands",
    "wave": "waves:commands",
    "encouragement": "encouraging:commands",
    "prompt": "prompting:commands",
    "question": "questions:commands",
    "attendance": "attending:commands",
    "integration": "integrating:commands",
}


def build() -> typer.Typer:
    """The tree of commands."""
    tree = _tree(_Tree)
    tree.callback(help="Tongban carries a course with peer groups in a WeChat Official Account. Begin with `tongban demo`.")(_root)
    return tree


class _Shelf(Mapping[str, Any]):
    """Every word with its command, which is made when somebody takes it."""

    def __getitem__(self, word: str) -> Any:
        branch = _tree(typer.core.TyperGroup)
        branch.callback()(lambda: None)  # so that a single command stays below its word
        if word in _COMMANDS:
            branch.command(word)(_take(_COMMANDS[word]))
        else:
            branch.add_typer(_take(_GROUPS[word])())
        return typer.main.get_group(branch).commands[word]

    def __iter__(self) -> Iterator[str]:
        return iter((*_COMMANDS, *_GROUPS))

    def __len__(self) -> int:
        return len(_COMMANDS) + len(_GROUPS)


class _Tree(typer.core.TyperGroup):
    """The root of the commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**{**attributes, "commands": _Shelf()})


def _tree(kind: type[typer.core.TyperGroup]) -> typer.Typer:
    return typer.Typer(cls=kind, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _take(place: str) -> Any:
    module, _, name = place.partition(":")
    gc.disable()  # what an import makes stays: looking through it again and again is a sixth of a start
    try:
        return getattr(import_module(f"{__name__}.{module}"), name)
    finally:
        gc.enable()


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
        return _refuse(refused.sentence if isinstance(refused, AppError) else threshold.platform_says(refused))
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
    ] = threshold.DEFAULT_FILE,
) -> None:
    threshold.use_file(settings)


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
