"""`tongban group …`: groups and their QR codes."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from app import clock, courses, groups, overview
from app.assembly import Assembly
from app.cli import desk, pictures
from app.cli.courses import check_code
from app.cli.on_duty import InCourse
from app.courses import running
from app.db import Tx
from app.errors import Invalid
from bots.turns import Role

Group = Annotated[str, typer.Argument(help="The group's code.", show_default=False)]


def commands() -> typer.Typer:
    """The group `group`."""
    tree = typer.Typer(name="group", help="Groups: create, list, code, QR code.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"create": create, "list": list_groups, "code": code, "qr": qr, "close": close}
    for name, command in named.items():
        tree.command(name)(command)
    return tree


def create(
    group: Group,
    name: Annotated[str, typer.Option(help="What its members read.", show_default=False)],
    *,
    course: InCourse = None,
    capacity: Annotated[int, typer.Option(help="Most participants.", min=1, max=10_000)] = 30,
) -> None:
    """Create a small group.

    Example: tongban group create dawn --course msc-demo --name 晨光组 --capacity 30
    """
    check_code(group, "A group's code")
    with desk.at_work() as assembly:
        assembly.database.write_now(
            lambda tx: running.adopt(
                tx, groups.create_once(tx, courses.by_code(tx, course), code=group, name=name, capacity=capacity), clock.now()
            )
        )
    typer.echo(f"Created. Its QR code: tongban group qr {group}")


def list_groups(*, course: InCourse = None) -> None:
    """List the groups and how many sit in them.

    Example: tongban group list --course msc-demo
    """
    with desk.at_work() as assembly:
        lines = assembly.database.read_now(lambda tx: overview.groups(tx, None if course is None else courses.by_code(tx, course)))
    shown = [(g.course, g.code, g.name, g.members.get(Role.PARTICIPANT, 0), g.capacity or "-", sum(g.members.values())) for g in lines]
    desk.table(("course", "code", "name", "participants", "at most", "members"), shown)


def close(group: Group, *, course: InCourse = None) -> None:
    """Let nobody join a group any more; who is in it stays.

    Example: tongban group close dawn
    """
    with desk.at_work() as assembly:
        assembly.database.write_now(lambda tx: groups.close(tx, _group(tx, group, course), clock.now()))
    typer.echo("Closed. Its code is answered kindly, and lets nobody in.")


def code(group: Group, *, course: InCourse = None) -> None:
    """Print the code by which participants join a group.

    Example: tongban group code dawn
    """
    with desk.at_work() as assembly:
        typer.echo(_code(assembly, group, course)[1])


def qr(
    group: Group,
    *,
    course: InCourse = None,
    png: Annotated[Path | None, typer.Option(help="Write a picture for print.", show_default=False, dir_okay=False)] = None,
    permanent: Annotated[bool, typer.Option("--permanent", help="For ever; an account has 100,000 of these. Else for 30 days.")] = False,
) -> None:
    """Make the QR code that leads into a group; whoever scans it follows the account and is welcomed.

    Example: tongban group qr dawn --png dawn.png
    """
    with desk.at_work() as assembly:
        account_id, joining = _code(assembly, group, course)
        typer.echo(f"Code to type: {joining}")
        pictures.show_qr(assembly, account_id, joining, png, permanent=permanent, instead="the code above works in the chat")


def _group(tx: Tx, group: str, course: str | None) -> int:
    return groups.by_code(tx, group, None if course is None else courses.by_code(tx, course))


def _code(assembly: Assembly, group: str, course: str | None) -> tuple[int, str]:
    """Account and joining code of a group. Raises `Invalid` for the large group, into which nobody is invited."""
    keyring = assembly.tools.keyring

    def work(tx: Tx) -> tuple[int, str]:
        group_id = _group(tx, group, course)
        if any(line.large for line in overview.groups(tx) if line.id == group_id):
            raise Invalid("large", "Everybody who joins a small group is in the large one too; name a small group.")
        return overview.course_of_group(tx, group_id)[0], groups.group_code(tx, keyring, group_id, clock.now())

    return assembly.database.write_now(work)
