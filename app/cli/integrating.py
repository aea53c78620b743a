"""`tongban integration …`: other systems that may use the API, their tokens, taking these away."""

from collections.abc import Callable
from typing import Annotated

import typer

from app import clock, courses, integrations
from app.cli import desk
from app.console.sessions import moment
from app.db import Tx
from app.integrations import Asked
from app.integrations.rules import Scope

Which = Annotated[str, typer.Argument(help="Its id or name.", show_default=False)]
_STATES = {"active": "", "asleep": "WITHOUT A TOKEN: integration renew", "revoked": "REVOKED"}


def commands() -> typer.Typer:
    """The group `integration`."""
    tree = typer.Typer(name="integration", help="Other systems that may use the API.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"add": add, "list": list_integrations, "renew": renew, "revoke": revoke}
    for name, command in named.items():
        tree.command(name)(command)
    return tree


def add(
    name: Annotated[str, typer.Argument(help="Which system, for those who read the list.", show_default=False)],
    *,
    course: Annotated[
        list[str], typer.Option("--course", help="Code of a course that it may see; several times for several.", show_default=False)
    ],
    scope: Annotated[
        list[str], typer.Option("--scope", help=f"What it may do; several times for several: {', '.join(Scope)}.", show_default=False)
    ],
) -> None:
    """Let another system use the API; its token is printed this once and stored nowhere.

    Example: tongban integration add "Sign-up site" --course msc-demo --scope courses:read --scope memberships:read
    """
    with desk.at_work() as assembly:
        vault = assembly.tools.keyring.vault

        def work(tx: Tx) -> tuple[int, str]:
            asked = Asked(name, [courses.by_code(tx, each) for each in course], scope)
            return integrations.add(tx, vault, asked, moment(), clock.now())

        made, token = assembly.database.write_now(work)
        public_url = assembly.settings.public_url
    typer.echo(f"Integration {made}. Its token, shown this once; give it to that system alone:\n\n{token}\n")
    typer.echo(f'To try it: curl -H "Authorization: Bearer $TOKEN" {public_url}/api/v1/courses')


def list_integrations() -> None:
    """List the systems that may use the API, or once might.

    Example: tongban integration list
    """
    with desk.at_work() as assembly:
        lines = assembly.database.read_now(integrations.listed)
    if not lines:
        typer.echo("No system is connected; `tongban integration add NAME --course CODE --scope courses:read` connects one.")
        return
    rows = [
        (
            line.id,
            line.name,
            ", ".join(line.courses),
            " ".join(line.scopes),
            f"{line.used_at:%Y-%m-%d %H:%M}Z" if line.used_at else "never",
            _STATES[line.state],
        )
        for line in lines
    ]
    desk.table(("id", "name", "courses", "scopes", "last used", ""), rows)


def renew(which: Which) -> None:
    """Print a new token for an integration; the former one works no more, and what it has planned stays planned.

    Example: tongban integration renew "Sign-up site"
    """
    with desk.at_work() as assembly:
        vault = assembly.tools.keyring.vault
        token = assembly.database.write_now(lambda tx: integrations.renew(tx, vault, integrations.by_word(tx, which), clock.now()))
    typer.echo(f"The former token works no more. The new one, shown this once:\n\n{token}")


def revoke(
    which: Which,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take an integration's token away for good, and what it has planned back.

    Example: tongban integration revoke "Sign-up site"
    """
    with desk.at_work() as assembly:
        found = assembly.database.read_now(lambda tx: integrations.by_word(tx, which))
        if not yes and not typer.confirm("Its token stops at once and for good, and its planned announcements are taken back. Revoke it?"):
            raise typer.Abort
        taken = assembly.database.write_now(lambda tx: integrations.revoke(tx, found, moment(), clock.now()))
    typer.echo(f"Revoked. {taken} planned announcement(s) of its were taken back.")
