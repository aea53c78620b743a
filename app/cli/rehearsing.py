"""`tongban rehearse`: plays a whole course before anybody is in it."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from app import courses, logs, rehearsal
from app.cli import desk
from app.rehearsal import copying


def rehearse(
    course: Annotated[str, typer.Argument(help="The course's code.", show_default=False)],
    *,
    people: Annotated[
        int | None, typer.Option(min=1, max=5_000, help="Participants in all; else as many as sit there now.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the report.", file_okay=False)] = Path("var/rehearsal"),
    seed: Annotated[int, typer.Option(help="Another seed, other chances.")] = 1,
) -> None:
    """Play a whole course with imagined participants, and write down what each of them would get, when, and why not.

    Nothing of it touches the course or the real WeChat. A course that runs already is played from now on. Ctrl-C stops it and leaves
    nothing.

    Example: tongban rehearse msc-2026 --people 253
    """
    with desk.at_work() as assembly:
        copy = assembly.database.read_now(lambda tx: copying.take(tx, courses.by_code(tx, course)))
        settings = assembly.settings
    with logs.only("ERROR"), typer.progressbar(length=1_000, label="Rehearsing", show_pos=False) as bar:
        shown = 0

        def progress(part: float) -> None:
            nonlocal shown
            reached = min(1_000, int(part * 1_000))
            bar.update(reached - shown)
            shown = reached

        played = asyncio.run(rehearsal.play(settings, copy, rehearsal.Options(people, seed), progress))
        bar.update(1_000 - shown)
    page = rehearsal.write(played, out / course, dict(copy.group_names))
    record = played.record
    typer.echo(
        f"{len(record.messages)} messages, {record.reached} accepted by WeChat; at most {record.most_started} that we started with one "
        f"person on one day (cap: {played.cap or 'none'}). It took {played.seconds:.0f} s."
    )
    typer.echo(f"Read {page}; the tables beside it have every message and every occasion.")
    if record.disagreements:
        typer.echo(f"WeChat's ledger says otherwise in {len(record.disagreements)} places; please report this.", err=True)
        raise typer.Exit(1)
