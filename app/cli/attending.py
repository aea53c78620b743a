"""`tongban attendance import | show` and `tongban course qr`: who was there, lists of it, and the code that is scanned."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from app import attendance, clock, courses, groups, overview
from app.assembly import Assembly
from app.attendance import lists
from app.attendance.lists import List, Plan
from app.cells import harmless
from app.cli import desk, pictures
from app.db import Tx
from app.errors import Invalid
from bots.attendance.register import Register, Seat, Sitting
from bots.scans import gathering_code

_SHOWN = 40
_KINDS = {"new": "will be marked", "there": "marked already", "short": "not long enough", "staff": "staff, not counted"}

Code = Annotated[str, typer.Argument(help="The course's code.", show_default=False)]
What = Annotated[str, typer.Argument(help="class, meeting or retreat.", show_default=False)]
Number = Annotated[int, typer.Argument(help="Its number, as the calendar lists it.", show_default=False)]
InGroup = Annotated[str | None, typer.Option("--group", help="Only of this group.", show_default=False)]


def commands() -> typer.Typer:
    """The group `attendance`."""
    tree = typer.Typer(name="attendance", help="Who was there: show it, import a list of a video meeting.", no_args_is_help=True)
    tree.command("import")(import_list)
    tree.command("show")(show)
    return tree


def import_list(
    code: Code,
    what: What,
    number: Number,
    file: Annotated[
        Path,
        typer.Argument(help="CSV or Excel file with name, and join and leave or duration: a Zoom export as it is.", show_default=False),
    ],
    *,
    group: InGroup = None,
    minutes: Annotated[
        int | None, typer.Option(help="So many minutes count as there; else half of the gathering.", min=0, max=1440, show_default=False)
    ] = None,
    commit: Annotated[bool, typer.Option("--commit", help="Import it; without this word nothing is changed.")] = False,
) -> None:
    """Show whom a list of a video meeting would mark as there, and on request mark them.

    People are found by their course name or participant number. The same list twice changes nothing the second time.

    Example: tongban attendance import msc-2026 class 3 zoom.csv --commit
    """
    read = lists.read(file)
    with desk.at_work() as assembly:
        database, keyring = assembly.database, assembly.tools.keyring
        course_id, group_id = database.read_now(lambda tx: _places(tx, code, group))
        chosen: dict[str, Any] = {"group_id": group_id, "least": minutes}
        key, now = (_kind(what), number), clock.now()
        planned = database.read_now(lambda tx: lists.plan(tx, keyring, course_id, key, read, now, **chosen))
        _explain(read, planned)
        lists.refuse_unclear(planned)
        if not commit:
            typer.echo("Nothing was changed. To import it, add --commit")
            return
        done = database.write_now(lambda tx: lists.commit(tx, keyring, course_id, key, read, now, **chosen))
    typer.echo(f"Imported. {done.count('new')} marked as there.")


def _places(tx: Tx, code: str, group: str | None) -> tuple[int, int | None]:
    course_id = courses.by_code(tx, code)
    return course_id, None if group is None else groups.by_code(tx, group, course_id)


def _kind(what: str) -> str:
    if what not in ("class", "meeting", "retreat"):
        raise Invalid("kind", f"{what!r} is nothing of a calendar; write class, meeting or retreat.")
    return what


def _explain(read: List, planned: Plan) -> None:
    if read.rows:
        separator = {"\t": "TAB", "": ""}.get(read.separator, read.separator)
        typer.echo(f"Read as {read.encoding}{f', separated by {separator}' if separator else ''}. At least {planned.least} minutes count.")
    if read.ignored:
        typer.echo(f"Columns that are not used: {', '.join(read.ignored)}")
    if planned.found:
        rows = [(_lines(each.lines), each.name, _length(each.minutes), _KINDS[each.kind]) for each in planned.found]
        desk.table(("line", "name", "minutes", "what happens"), rows)
    for words, found in (("nobody of the course", planned.unknown), ("may be several people", planned.ambiguous)):
        for row in found[:_SHOWN]:
            typer.echo(f"line {row.line}: {row.name[:60]}: {words}")
        if len(found) > _SHOWN:
            typer.echo(f"... and {len(found) - _SHOWN} more: {words}")
    for error in planned.errors[:_SHOWN]:
        typer.echo(f"line {error.line}: {error.sentence}" if error.line else error.sentence, err=True)
    typer.echo("; ".join(f"{planned.count(kind)} {words}" for kind, words in _KINDS.items()))


def _lines(lines: Sequence[int]) -> str:
    return ", ".join(map(str, lines))


def _length(minutes: float | None) -> str:
    return "-" if minutes is None else f"{minutes:.0f}"


def show(
    code: Code,
    *,
    group: InGroup = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, one line a participant.")] = False,
) -> None:
    """Show who came to which class, of each small group.

    Example: tongban attendance show msc-2026 --group dawn
    """
    with desk.at_work() as assembly:
        registers = assembly.database.read_now(lambda tx: _registers(tx, assembly, code, group))
        numbers = assembly.database.read_now(lambda tx: overview.numbers(tx, courses.by_code(tx, code)))
    if not registers:
        raise Invalid("groups", "The course has no small group with a calendar yet; `tongban course start` gives it one.")
    if as_csv:
        typer.echo(_csv(registers, numbers).rstrip())
        return
    for register in registers:
        typer.echo(f"{register.group_name}: {register.needed} of {len(_classes(register))} classes count as having taken part")
        head, rows = _rows(register, numbers)
        desk.table(head, rows)


def _registers(tx: Tx, assembly: Assembly, code: str, group: str | None) -> list[Register]:
    course_id, group_id = _places(tx, code, group)
    small = [each.id for each in overview.groups(tx, course_id) if not each.large and group_id in (None, each.id)]
    found = [attendance.register_for(tx, assembly.tools.keyring, each) for each in small]
    return [each for each in found if each.seen]


def _classes(register: Register) -> list[Sitting]:
    return [each for each in register.sittings if each.kind == "class"]


def _rows(register: Register, numbers: dict[int, str]) -> tuple[list[str], list[list[str]]]:
    """A heading, and a line for each participant: classes, then the retreats with their cities, then how many and whether enough."""
    classes = _classes(register)
    retreats = [each for each in register.sittings if each.kind == "retreat"]
    head = ["number", "name", *(f"class {each.number}" for each in classes), *("retreat" for _ in retreats), "classes", "enough"]
    return head, [_line(register, seat, numbers, classes, retreats) for seat in register.seats]


def _line(register: Register, seat: Seat, numbers: dict[int, str], classes: list[Sitting], retreats: list[Sitting]) -> list[str]:
    marks = [seat.marks[each.id].how if each.id in seat.marks else "asked" if each.id in seat.claims else "" for each in classes]
    cities = [(seat.marks[each.id].city or "yes") if each.id in seat.marks else "" for each in retreats]
    there = sum(each.id in seat.marks for each in classes)
    return [numbers.get(seat.person, ""), seat.name, *marks, *cities, str(there), "yes" if there >= register.needed else "no"]


def _csv(registers: Sequence[Register], numbers: dict[int, str]) -> str:
    """One table for all groups; no cell is a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    widest = max(registers, key=lambda each: len(each.sittings))
    writer.writerow(["group", *_rows(widest, numbers)[0]])
    for register in registers:
        writer.writerows([[harmless(cell) for cell in (register.group_name, *row)] for row in _rows(register, numbers)[1]])
    return out.getvalue()


def qr(
    code: Code,
    what: What,
    number: Number,
    *,
    group: Annotated[str | None, typer.Option(help="The group, where each has a gathering of its own.", show_default=False)] = None,
    png: Annotated[Path | None, typer.Option(help="Write a picture for print.", show_default=False, dir_okay=False)] = None,
    permanent: Annotated[bool, typer.Option("--permanent", help="For ever; an account has 100,000 of these. Else for 30 days.")] = False,
) -> None:
    """Make the QR code by which people sign in at a class, a meeting or the retreat; a stranger who scans it is welcomed.

    Example: tongban course qr msc-2026 class 3 --png class-3.png
    """
    with desk.at_work() as assembly:
        course_id, group_id = assembly.database.read_now(lambda tx: _places(tx, code, group))
        gathering, account_id = assembly.database.read_now(lambda tx: attendance.gathering_of(tx, course_id, _kind(what), number, group_id))
        instead = "people sign in all the same: they send 签到 (sign in)"
        pictures.show_qr(assembly, account_id, gathering_code(gathering), png, permanent=permanent, instead=instead)
