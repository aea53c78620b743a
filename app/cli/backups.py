"""`tongban backup | restore | erasures …`: takes a copy of everything while the service runs, and puts one back that stays silent."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

import migrations
from app import audit, clock
from app.backup import aftermath, restoring, writing
from app.backup.files import Contents
from app.cli import desk
from app.db import Database, Tx
from app.errors import Invalid
from app.keyring import Keyring

File = Annotated[Path, typer.Argument(help="The file.", show_default=False, dir_okay=False)]
Erasures = Annotated[
    Path | None,
    typer.Option(help="Who was erased since: a list by `tongban erasures export`, or a later backup.", show_default=False, dir_okay=False),
]


def erasures_commands() -> typer.Typer:
    """The group `erasures`."""
    group = typer.Typer(name="erasures", help="Who was erased, so that no backup brings them back.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"export": export_erasures, "apply": apply_erasures}
    for name, command in named.items():
        group.command(name)(command)
    return group


def backup(file: File) -> None:
    """Write everything, as it stands at this moment, to a new file; the service may go on running.

    Example: tongban backup /backups/tongban-2026-11-26.backup
    """
    settings = desk.read_settings()
    _require_known(settings.database_url)
    with Database(settings.database_url) as database:
        now = clock.now()
        contents = writing.backup(database, settings.vault(), file, now)
        size = file.stat().st_size
        database.write_now(lambda tx: audit.record(tx, now, "operator", "backup", "database", rows=contents.rows, bytes=size))
    typer.echo(f"Written to {file}: {_described(contents)}, {size:,} bytes.")
    typer.echo("It holds no key: without TONGBAN_MASTER_KEY and TONGBAN_INDEX_KEY nobody can read it, so keep both, but in another place.")
    typer.echo("Take the file off this machine. `tongban restore FILE --check` reads it through.")


def restore(
    file: File,
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Give up every row that is there.")] = False,
    erasures: Erasures = None,
    check: Annotated[bool, typer.Option("--check", help="Only read the file through; no database is touched.")] = False,
) -> None:
    """Put a backup into an empty database, of either kind. Nothing of it goes out until somebody releases it.

    Example: tongban restore /backups/tongban-2026-11-26.backup --erasures /backups/erasures
    """
    settings = desk.read_settings()
    keyring = Keyring(settings.vault())
    if check:
        typer.echo(f"{file} is whole: {_described(restoring.check(file, keyring))}.")
        return
    done = restoring.restore(settings.database_url, keyring, file, clock.now(), replace=replace, erasures=erasures)
    typer.echo(f"Restored {_described(done.contents)}.")
    after = done.after
    for count, words in (
        (after.held, "messages had not gone out when the backup was taken: they are held"),
        (after.unknown, "messages were just going out: whether they arrived is unknown"),
        (after.missed, "planned announcements were due since: they are missed, and their authors are told"),
        (after.words, "moments of a plan of warm words have passed since: they are missed, the next ones go on by themselves"),
        (after.prompts, "practice prompts came due since: these times are missed, their authors are told, and the next ones go out"),
        (after.waves, "rounds of questionnaires should have opened since: `tongban wave move` with a new opening opens them"),
        (after.occasions, "dated occasions of courses should have been sent since: `tongban course calendar` lists them as missed"),
        (after.questions, "questions to leaders wait, and nobody is called for them by itself: `tongban question list`, then `call`"),
        (after.erased, "people were erased since the backup, and have been erased again"),
        (after.flags, "flags are open, and the people on duty are not called again by themselves"),
    ):
        if count:
            typer.echo(f"  {count} {words}.")
    _say_what_next(done.after, knew_erasures=replace or erasures is not None)


def export_erasures(file: File) -> None:
    """Write the list of who was erased (ids, never names) to a file, adding to what is there; keep it beside the backups, daily.

    Example: tongban erasures export /backups/erasures
    """
    settings = desk.read_settings()
    with desk.migrated(settings) as database:
        count = writing.export_erasures(database, settings.vault(), file, clock.now())
    typer.echo(f"{count} erasures are in {file}.")


def apply_erasures(file: File) -> None:
    """Erase everybody of a list, or of a later backup's list, who is readable here.

    Example: tongban erasures apply /backups/erasures
    """
    settings = desk.read_settings()
    keyring = Keyring(settings.vault())
    listed = writing.erasures_in(file, keyring.vault)

    def work(tx: Tx) -> int:
        return aftermath.erase_again(tx, keyring, listed)

    with desk.migrated(settings) as database:
        count = database.write_now(work)
    typer.echo(f"{count} of {len(listed)} people were readable here and have been erased.")


def _require_known(url: str) -> None:
    """A database may stand at an older revision: before an upgrade is the very moment for a backup. Raises `Invalid` or `Unavailable`."""
    found = desk.revision(url)
    if found not in migrations.known():
        raise Invalid("revision", f"The database stands at {found or 'nothing'}, which this program does not know; nothing was written.")


def _say_what_next(after: aftermath.Aftermath, *, knew_erasures: bool) -> None:
    if not knew_erasures:
        typer.echo(
            "Whoever was erased after the backup is readable again. If you have a list or a later backup: tongban erasures apply FILE"
        )
    if after.flags:
        typer.echo("Look after the open flags first. To call the people on duty again: tongban deliveries resume-alerts")
    if after.held or after.unknown:
        typer.echo("See what is in doubt: tongban deliveries list. Then: tongban deliveries release, send-again or write-off.")
    typer.echo("Then start the service; `tongban check` looks at every account first.")


def _described(contents: Contents) -> str:
    taken = f"{contents.created_at:%Y-%m-%d %H:%M:%S}Z"
    return f"{contents.rows:,} rows in {len(contents.tables)} tables, as of {taken}, revision {contents.revision}"
