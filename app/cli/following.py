"""`tongban follow-up | close-poll`: the operator asks those once more who have not answered an announcement, or takes no more answers."""

from typing import Annotated

import typer

from app import clock, follow_ups, polls, schedules
from app.cli import desk
from app.cli.on_duty import InCourse
from app.errors import Conflict

Number = Annotated[int, typer.Argument(help="Number of the announcement.", show_default=False)]


def follow_up(
    number: Number,
    text: Annotated[str, typer.Argument(help="Other words; without them the announcement's own go once more.", show_default=False)] = "",
    *,
    course: InCourse = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Ask those once more who have not answered an announcement; nobody who has answered gets it.

    Example: tongban follow-up 12 "明天就截止了，还没选的同学选一下。"
    """
    with desk.at_work() as assembly:
        keyring, database = assembly.tools.keyring, assembly.database
        schedule_id = database.read_now(lambda tx: schedules.by_number(tx, number, course))
        found = database.read_now(lambda tx: polls.result(tx, keyring, schedule_id, clock.now()))
        if found is None:
            raise Conflict("poll", f"Announcement {number} asks for no answers; `tongban announce --poll` makes one that does.")
        typer.echo(f"{len(found.silent)} have not answered; {found.askable} of them would be asked once more.")
        if not yes and not typer.confirm("Send it?"):
            raise typer.Abort
        asked = database.write_now(lambda tx: follow_ups.follow_up(tx, keyring, schedule_id, None, text, clock.now()))
    typer.echo(f"On its way to {asked}. Who has answered: tongban progress {number}")


def close_poll(number: Number, *, course: InCourse = None) -> None:
    """Take no more answers to an announcement; what was still to ask for them is taken back.

    Example: tongban close-poll 12
    """
    with desk.at_work() as assembly:
        schedule_id = assembly.database.read_now(lambda tx: schedules.by_number(tx, number, course))
        assembly.database.write_now(lambda tx: polls.close(tx, schedule_id, None, clock.now()))
    typer.echo(f"Announcement {number} takes no more answers. What was answered: tongban progress {number}")
