"""`tongban person …`: what is stored about somebody, for themselves; and how they are erased."""

import json
import os
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from app import clock, courses, groups, overview, people
from app.cli import desk
from app.cli.on_duty import InCourse
from app.db import Tx
from app.errors import Invalid

Who = Annotated[str, typer.Argument(help="Id, participant number, or name.", show_default=False)]


def commands() -> typer.Typer:
    """The group `person`."""
    group = typer.Typer(name="person", help="People: find, move, export, erase.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"find": find, "move": move, "export": export, "erase": erase}
    for name, command in named.items():
        group.command(name)(command)
    return group


def find(who: Who) -> None:
    """Find people by name, participant number or id.

    Example: tongban person find 小雨
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring
        lines = assembly.database.read_now(lambda tx: overview.find_people(tx, keyring, who))
    if not lines:
        raise Invalid("person", f"Nobody is called {who!r} or has it as number or id; try a part of the name.")
    desk.table(
        ("id", "name", "number", "state", "groups"), [(p.id, p.name, ", ".join(p.numbers), p.state, ", ".join(p.places)) for p in lines]
    )


def move(
    who: Who, group: Annotated[str, typer.Option(help="Code of the small group to sit in.", show_default=False)], *, course: InCourse = None
) -> None:
    """Move a participant to another small group of their course.

    Example: tongban person move 43921 --group dawn
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring

        def work(tx: Tx) -> str:
            found = overview.person(tx, keyring, who)
            there = None if course is None else courses.by_code(tx, course)
            groups.move(tx, found.id, groups.by_code(tx, group, there), clock.now())
            return found.name or str(found.id)

        name = assembly.database.write_now(work)
    typer.echo(f"{name} sits in {group} now. Tell both leaders; the bot says nothing by itself.")


def export(
    who: Who, out: Annotated[Path, typer.Option(help="JSON file to write; it must not exist yet.", show_default=False, dir_okay=False)]
) -> None:
    """Write everything that is stored about one person into a file, readable, for the person themself.

    Example: tongban person export 43921 --out person.json
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring
        found = assembly.database.read_now(lambda tx: overview.person(tx, keyring, who))
        facts = assembly.database.read_now(lambda tx: people.export(tx, keyring, found.id))
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as refused:
        raise Invalid("out", f"Cannot make {out} ({refused.strerror}); name a file that does not exist yet.") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(facts, file, ensure_ascii=False, indent=2, default=_as_text)
    typer.echo(f"Written to {out}, readable by you only.")


def erase(who: Who, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Make one person unreadable for ever, in backups too; it cannot be undone.

    Example: tongban person erase 43921 --yes
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring
        found = assembly.database.read_now(lambda tx: overview.person(tx, keyring, who))
        if found.state == "erased":
            raise Invalid("person", f"Person {found.id} was erased before; there is nothing left to erase.")
        if not yes and not typer.confirm(f"Erase {found.name} ({found.id}) for ever?"):
            raise typer.Abort
        assembly.database.write_now(lambda tx: people.erase(tx, keyring, found.id, clock.now(), actor="operator"))
    typer.echo(f"Person {found.id} is erased: their key is destroyed, and nothing of theirs can be read again.")


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
