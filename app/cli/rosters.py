"""`tongban roster import`: shows what a roster would change, and on request imports it and writes down the personal codes."""

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, TextIO

import typer

from app import clock, courses, roster
from app.cli import desk
from app.cli.on_duty import InCourse
from app.errors import Invalid
from app.roster import Plan, Planned, Roster, RowError

_SHOWN_ERRORS = 20
_SHOWN_ROWS = 5


def commands() -> typer.Typer:
    """The group `roster`."""
    group = typer.Typer(name="roster", help="Lists of participants and staff.", no_args_is_help=True)
    group.callback()(lambda: None)  # so that `import` stays a word of its own
    group.command("import")(import_roster)
    return group


def import_roster(
    file: Annotated[
        Path, typer.Argument(help="CSV or Excel file with the columns name, role, group, phone (姓名 角色 小组 电话).", show_default=False)
    ],
    *,
    course: InCourse = None,
    commit: Annotated[bool, typer.Option("--commit", help="Import it; without this word nothing is changed.")] = False,
    codes: Annotated[
        Path | None,
        typer.Option(help="CSV file to write the personal codes into; it must not exist yet.", show_default=False, dir_okay=False),
    ] = None,
) -> None:
    """Check a roster line by line and show what it would change; with --commit import it.

    The same roster twice changes nothing the second time. With one wrong line nothing is imported.

    Example: tongban roster import roster.xlsx --course msc-demo --commit --codes codes.csv
    """
    read = roster.read(file)
    with desk.at_work() as assembly:
        keyring, database = assembly.tools.keyring, assembly.database
        course_id = database.read_now(lambda tx: courses.by_code(tx, course))
        planned = database.read_now(lambda tx: roster.plan(tx, keyring, course_id, read))
        _show(read, planned)
        if planned.errors:
            raise Invalid("roster", f"Nothing was imported: {len(planned.errors)} lines are wrong; mend them and try again.")
        if not commit:
            typer.echo("Nothing was changed. To import it, add --commit --codes codes.csv")
            return
        with _new_file(codes) as out:
            issued = database.write_now(lambda tx: roster.commit(tx, keyring, course_id, read, clock.now()))
            out.write(roster.codes_file(issued))
    typer.echo(f"Imported. {len(issued)} codes" + (f" are in {codes}." if codes else ", one a line above."))


def _show(read: Roster, planned: Plan) -> None:
    if read.rows:
        separator = {"\t": "TAB", "": ""}.get(read.separator, read.separator)
        typer.echo(f"Read as {read.encoding}{f', separated by {separator}' if separator else ''}. First lines, as they were understood:")
        desk.table(
            ("line", "name", "role", "group", "phone"), [(r.line, r.name, r.role, r.group, r.phone or "") for r in read.rows[:_SHOWN_ROWS]]
        )
    if read.ignored:
        typer.echo(f"Columns that are not used: {', '.join(read.ignored)}")
    _show_errors(planned.errors)
    if not planned.errors:
        kinds = (
            ("new", "new"),
            ("changed", "changed"),
            ("noted", "told more of"),
            ("known", "there already"),
            ("joined", "joined already, not changed"),
        )
        typer.echo("; ".join(f"{planned.count(kind)} {words}" for kind, words in kinds))
        for each in planned.people:
            if each.former is not None:
                typer.echo(f"  line {each.row.line}, {each.row.name}: {_difference(each)}")


def _show_errors(errors: Sequence[RowError]) -> None:
    for error in errors[:_SHOWN_ERRORS]:
        typer.echo(f"line {error.line}: {error.sentence}" if error.line else error.sentence, err=True)
    if len(errors) > _SHOWN_ERRORS:
        typer.echo(f"... and {len(errors) - _SHOWN_ERRORS} more", err=True)


def _difference(planned: Planned) -> str:
    former = planned.former
    if former is None:
        return ""
    what = [f"was in group {former.group}"] if former.group.casefold() != planned.row.group.casefold() else []
    what += ["has another phone number"] if former.phone_differs else []
    end = "joined with the earlier code; nothing is done" if former.used else "the earlier code ends, a new one is made"
    return f"{', '.join(what) or 'has another name'}: {end}"


@contextlib.contextmanager
def _new_file(path: Path | None) -> Iterator[TextIO]:
    """Where the codes go: made before anything is imported, readable by its owner only, removed where the import fails."""
    if path is None:
        out = io.StringIO()
        yield out
        typer.echo(out.getvalue().lstrip("\ufeff").rstrip())
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as refused:
        raise Invalid("codes", f"Cannot make {path} ({refused.strerror}); name a file that does not exist yet.") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out_file:
            yield out_file
    except BaseException:
        path.unlink()
        raise
