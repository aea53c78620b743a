"""`tongban export`: one file with the numbers and answers of a course for its research team, without a name in it."""

from pathlib import Path
from typing import Annotated

import typer

from app import clock, courses, overview
from app.cli import desk
from app.db import Tx
from app.study import export as study


def export(
    course: Annotated[str, typer.Argument(help="The course's code.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="The zip to write.", show_default=False)],
    *,
    asker: Annotated[
        str | None,
        typer.Option(
            "--for", help="Id, number or name of the researcher who asked for it; they must be one in this course.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="The file may take the place of another.")] = False,
) -> None:
    """Write what researchers may have into one zip: answers, scores, codebook and notes, by participant number and never with a name.

    Example: tongban export msc-demo study.zip --for 王博士
    """
    with desk.at_work() as assembly:
        keyring, database = assembly.tools.keyring, assembly.database

        def found(tx: Tx) -> tuple[int, int | None]:
            return courses.by_code(tx, course), None if asker is None else overview.person(tx, keyring, asker).id

        course_id, asker_id = database.read_now(found)
        done = study.export(database, assembly.tools.shelf, course_id, file, clock.now(), asker=asker_id, over=force)
    typer.echo(
        f"Written to {file}, readable by you only: participants: {done.people}, waves: {done.waves}, prorated scores: {done.prorated}."
    )
    if done.demonstration:
        typer.echo(f"These were asked in demonstration wording, which measures nothing: {', '.join(done.demonstration)}.")
    typer.echo("It holds no names, but answers under numbers: hand it over on a safe road, and delete it where it is no longer needed.")
