"""`tongban oncall … | alarm …`: who is called when somebody may be in danger, and what operators should know."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

import typer

from app import audit, clock, courses, flags, overview
from app.alerts import Alerter, AlertFailed
from app.assembly import Assembly
from app.cli import desk
from app.errors import Invalid
from app.overview import OnCallLine
from bots.texts import LANGUAGES

InCourse = Annotated[
    str | None, typer.Option("--course", help="The course's code; may be left out where there is only one.", show_default=False)
]


def on_call_commands() -> typer.Typer:
    """The group `oncall`."""
    group = typer.Typer(name="oncall", help="Who is called when somebody may be in danger.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"add": add_on_call, "list": list_on_call}
    for name, command in named.items():
        group.command(name)(command)
    return group


def alarm_commands() -> typer.Typer:
    """The group `alarm`."""
    group = typer.Typer(name="alarm", help="Alerts to the on-call people, and what operators should know.", no_args_is_help=True)
    group.command("test")(try_alarms)
    group.command("list")(list_alarms)
    return group


def add_on_call(
    *,
    course: InCourse = None,
    person: Annotated[
        str | None,
        typer.Option(help="Name, number or id of somebody who is in the course: they are also written to in WeChat.", show_default=False),
    ] = None,
    email: Annotated[str | None, typer.Option(help="Where mails reach them.", show_default=False)] = None,
    webhook: Annotated[str | None, typer.Option(help="Address that takes JSON {text}.", show_default=False)] = None,
) -> None:
    """Put somebody at the end of a course's on-call list.

    Example: tongban oncall add --course msc-demo --person 李老师 --email oncall@example.org
    """
    if not (email or webhook):
        raise Invalid("oncall", "Give --email or --webhook: WeChat may refuse a message, so at least one way must lead outside it.")
    if email is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise Invalid("email", f"{email!r} is no mail address.")
    if webhook is not None and urlsplit(webhook).scheme not in {"http", "https"}:
        raise Invalid("webhook", f"{webhook!r} is no address; it begins with https://.")
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring
        found = None if person is None else assembly.database.read_now(lambda tx: overview.person(tx, keyring, person)).id
        assembly.database.write_now(
            lambda tx: flags.add_on_call(
                tx, keyring, courses.by_code(tx, course), person_id=found, email=email, webhook=webhook, now=clock.now()
            )
        )
    typer.echo("Added. Now try it: tongban alarm test" + (f" --course {course}" if course else ""))


def list_on_call(*, course: InCourse = None) -> None:
    """List who is called, in order, and by which routes.

    Example: tongban oncall list --course msc-demo
    """
    with desk.at_work() as assembly:
        lines = _called(assembly, course)
    print_on_call(lines)


def try_alarms(*, course: InCourse = None) -> None:
    """Send a test alert to each on-call person by every route outside WeChat, and say which worked.

    Example: tongban alarm test --course msc-demo
    """
    with desk.at_work() as assembly:
        lines = _called(assembly, course)
        tries = [(line, route, address) for line in lines for route, address in line.routes.items() if route != "chat"]
        if not tries:
            raise Invalid("oncall", "Nobody is reachable outside WeChat; `tongban oncall add --email …` changes that.")
        failed = asyncio.run(_try_all(assembly, tries))
    if failed:
        raise Invalid("alarm", f"{failed} of {len(tries)} test alerts did not leave; see above, mend it and test again.")
    typer.echo("All test alerts left. Ask each person whether theirs arrived.")


def list_alarms(*, days: Annotated[int, typer.Option(min=1, max=365, help="How far back.")] = 7) -> None:
    """List what operators should know of: what went wrong, how often and when last (docs/alarms.md explains each).

    Example: tongban alarm list --days 1
    """
    with desk.at_work() as assembly:
        since = clock.now() - timedelta(days=days)
        rows = assembly.database.read_now(lambda tx: audit.alarms(tx, since))
    shown = [(row.kind, row.subject, row.count, f"{row.last_at:%Y-%m-%d %H:%M} UTC") for row in rows]
    desk.table(("alarm", "about", "times", "last"), shown)


async def _try_all(assembly: Assembly, tries: list[tuple[OnCallLine, str, str]]) -> int:
    alerter = Alerter(assembly.database, assembly.tools.keyring, assembly.tools.words, assembly.settings)
    words = assembly.tools.words
    subject = str(words.fill("alert.test_subject", "zh"))
    body = "\n\n".join(str(words.fill("alert.test_mail", language)) for language in LANGUAGES)
    failed = 0
    for line, route, address in tries:
        try:
            await alerter.send(route, address, subject, body)
            result = "left"
        except AlertFailed as why:
            failed, result = failed + 1, f"FAILED: {why}"
        typer.echo(f"{line.position}. {line.name or '(no name)'}  {route} {address}: {result}")
    return failed


def _called(assembly: Assembly, course: str | None) -> list[OnCallLine]:
    keyring = assembly.tools.keyring
    return assembly.database.read_now(lambda tx: overview.on_call(tx, keyring, courses.by_code(tx, course)))


def print_on_call(lines: list[OnCallLine]) -> None:
    """Print who is called, in order."""
    if not lines:
        typer.echo("Nobody is on call; `tongban oncall add` changes that.")
        return
    shown = [(line.position, line.name or "-", ", ".join(f"{route} {address}" for route, address in line.routes.items())) for line in lines]
    desk.table(("on call", "name", "routes"), shown)
