"""`tongban staff …`: who leads, assists, mentors, administers and studies, and how they come into the console."""

from collections.abc import Callable
from typing import Annotated

import segno
import typer

from app import clock, courses, groups, overview
from app.cli import desk, staffing
from app.cli.on_duty import InCourse
from app.console import logins, sessions
from app.db import Tx
from app.errors import Invalid
from bots.turns import Role

Who = Annotated[str, typer.Argument(help="Id or name.", show_default=False)]
_HOW = {"password+code": "password and one-time code", "password": "password", "wechat": "WeChat", "none": "NOT YET: staff link"}


def commands() -> typer.Typer:
    """The group `staff`."""
    tree = typer.Typer(name="staff", help="Leaders, assistants, mentors, administrators, researchers.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {
        "invite": invite,
        "link": link,
        "list": list_staff,
        "disable": disable,
        "enable": enable,
        "hand-over": staffing.hand_over,
        "end": staffing.end,
        "absent": staffing.absent,
        "back": staffing.back,
        "absences": staffing.absences,
    }
    for name, command in named.items():
        tree.command(name)(command)
    return tree


def invite(
    role: Annotated[Role, typer.Argument(help="What they become.", show_default=False)],
    name: Annotated[str, typer.Argument(help="Whom you mean; they may change it when they come.", show_default=False)],
    group: Annotated[
        str,
        typer.Option(
            help="The small group they look after, by its code; the large one for administrators and researchers.", show_default=False
        ),
    ],
    *,
    course: InCourse = None,
) -> None:
    """Print a one-time code that makes one person staff of a group, and a one-time link into the console.

    Example: tongban staff invite leader 李老师 --group dawn
    """
    if role is Role.PARTICIPANT:
        raise Invalid(
            "role", "Participants come by `tongban group qr` or `tongban roster import`; staff are leader, assistant, mentor and so on."
        )
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring

        def work(tx: Tx) -> tuple[str, str]:
            group_id = groups.by_code(tx, group, None if course is None else courses.by_code(tx, course))
            code = groups.invite(tx, keyring, group_id, clock.now(), role=role, once=True, name=name)
            return code, logins.invite(tx, keyring.vault, code, sessions.moment())

        code, token = assembly.database.write_now(work)
        public_url = assembly.settings.public_url
    typer.echo(f"{code}\n{name} follows the account and sends this code once.\n")
    _print(address(public_url, token), "The console, with a password of their own. Works once, for three days; before or after the code:")


def link(who: Who) -> None:
    """Print a one-time link for somebody who is staff already: their first password, or a new one. It works for half an hour.

    Example: tongban staff link 李老师
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring

        def work(tx: Tx) -> str:
            person_id = overview.person(tx, keyring, who).id
            return logins.let_in(tx, keyring.vault, person_id, sessions.moment(), clock.now())

        token = assembly.database.write_now(work)
        public_url = assembly.settings.public_url
    _print(address(public_url, token), "Works once, for 30 minutes; links for them that were printed before work no more:")


def list_staff() -> None:
    """List everybody who is staff, and how they sign in to the console.

    Example: tongban staff list
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring
        lines = assembly.database.read_now(lambda tx: logins.every(tx, keyring))
    if not lines:
        typer.echo("Nobody is staff yet; `tongban staff invite` makes somebody.")
        return
    rows = [
        (
            line.person_id,
            line.name,
            ", ".join(f"{seat.group_name} ({seat.role})" for seat in line.seats),
            "CLOSED" if line.disabled else _HOW[line.how],
        )
        for line in lines
    ]
    desk.table(("id", "name", "where", "signs in by"), rows)


def disable(who: Who) -> None:
    """Close somebody's way into the console at once, on all processes; their role in the chat stays.

    Example: tongban staff disable 李老师
    """
    ended = _set_disabled(who, disabled=True)
    typer.echo(f"Closed; {ended} sessions ended. Their role stays: what they may do in the chat, they still may.")


def enable(who: Who) -> None:
    """Open somebody's way into the console again.

    Example: tongban staff enable 李老师
    """
    _set_disabled(who, disabled=False)
    typer.echo("Open again. They sign in as before; sessions that ended stay ended.")


def address(public_url: str, token: str) -> str:
    """Where a one-time link leads."""
    return f"{public_url}/console/join/{token}"


def _set_disabled(who: str, *, disabled: bool) -> int:
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring

        def work(tx: Tx) -> int:
            person_id = overview.person(tx, keyring, who).id
            return logins.set_disabled(tx, person_id, sessions.moment(), clock.now(), disabled=disabled)

        return assembly.database.write_now(work)


def _print(link: str, words: str) -> None:
    typer.echo(f"{words}\n{link}")
    segno.make(link, error="l").terminal(compact=True)
