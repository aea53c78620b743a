"""`tongban quarantine …`: signed pushes that nobody could handle, kept sealed: list them, let them through again, drop them."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated

import typer

from app import clock, quarantine
from app.assembly import Assembly
from app.cli import desk
from app.errors import Invalid
from app.quarantine import Outcome

Ids = Annotated[list[int] | None, typer.Argument(help="Ids, as `tongban quarantine list` shows them.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def commands() -> typer.Typer:
    """The group `quarantine`."""
    group = typer.Typer(name="quarantine", help="Pushes that nobody could handle: list, replay, drop.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"list": list_lines, "replay": replay, "drop": drop}
    for name, command in named.items():
        group.command(name)(command)
    return group


def list_lines(*, settled: Annotated[bool, typer.Option("--settled", help="Also those that were let through.")] = False) -> None:
    """List pushes in quarantine: why, when, how large. Their content is never shown.

    Example: tongban quarantine list
    """
    with desk.at_work() as assembly:
        found = assembly.database.read_now(lambda tx: quarantine.lines(tx, settled=settled))
    if not found:
        typer.echo("Nothing is in quarantine.")
        return
    rows = [(x.id, x.account, _short(x.received_at), x.size, x.reason, _short(x.settled_at)) for x in found]
    desk.table(("id", "account", "came", "bytes", "reason", "settled"), rows)


def replay(ids: Ids = None, *, everything: All = False, yes: Yes = False) -> None:
    """Let pushes through again, oldest first, each once; an answer goes out as a message. What fails again stays.

    Example: tongban quarantine replay --all
    """
    with desk.at_work() as assembly:
        chosen = _chosen(assembly, ids, everything=everything)
        if not chosen:
            return
        if not yes and not typer.confirm(f"Let {len(chosen)} pushes through again, as of the moment when each came?"):
            raise typer.Abort
        links = assembly.links()
        counts: Counter[Outcome] = Counter()
        for row_id in chosen:
            once = partial(quarantine.replay, tools=assembly.tools, link_for=links.for_person, row_id=row_id, now=clock.now())
            outcome, reason = assembly.database.write_now(once)
            counts[outcome] += 1
            if outcome is Outcome.STAYS:
                typer.echo(f"{row_id} stays: {reason}")
    typer.echo(", ".join(f"{count} {outcome.value}" for outcome, count in counts.items()) + ".")


def drop(ids: Ids = None, *, everything: All = False, yes: Yes = False) -> None:
    """Delete pushes unread.

    Example: tongban quarantine drop 4711
    """
    with desk.at_work() as assembly:
        chosen = _chosen(assembly, ids, everything=everything)
        if not chosen:
            return
        if not yes and not typer.confirm(f"Delete {len(chosen)} pushes for good?"):
            raise typer.Abort
        gone = assembly.database.write_now(lambda tx: quarantine.drop(tx, chosen, clock.now()))
    typer.echo(f"{gone} dropped.")


def _chosen(assembly: Assembly, ids: list[int] | None, *, everything: bool) -> list[int]:
    if not ids and not everything:
        raise Invalid("which", "Which ones? Name ids as `tongban quarantine list` shows them, or say --all.")
    there = [line.id for line in assembly.database.read_now(quarantine.lines)]
    missing = sorted(set(ids or ()) - set(there))
    if missing:
        raise Invalid("id", f"There is no {missing[0]} in quarantine; `tongban quarantine list` shows what is there.")
    if not there:
        typer.echo("Nothing is in quarantine.")
    return [each for each in there if everything or each in (ids or ())]


def _short(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}Z"
