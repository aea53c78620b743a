"""`tongban course plan | start | calendar | move | call-off | link | qr | end | archive`: the calendar of a course.

It is made from a course file and a first day. Every change is shown before it is made.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from app import clock, courses, groups, overview
from app.cli import attending, desk
from app.cli.moments import any_time, shown
from app.courses import agenda, anchors, archive, calendar, occasions, running
from app.courses import file as course_file
from app.courses.calendar import Consequence, Effect, Evening, Gap
from app.courses.running import CallOff, Change, Move
from app.errors import Invalid

Code = Annotated[str, typer.Argument(help="The course's code.", show_default=False)]
File = Annotated[str, typer.Argument(help="A course file, or the name of a shipped one: msc-8-week, two-week-pilot.", show_default=False)]
Start = Annotated[str, typer.Option("--start", help="First day, YYYY-MM-DD: the day of the first class.", show_default=False)]
Skip = Annotated[
    list[str] | None, typer.Option("--skip", help="Days without classes, FROM..TO; may be given several times.", show_default=False)
]
What = Annotated[str, typer.Argument(help="class, meeting or retreat.", show_default=False)]
Number = Annotated[int, typer.Argument(help="Its number, as the calendar lists it.", show_default=False)]
InGroup = Annotated[str | None, typer.Option("--group", help="Only of this group; else of every group that has it.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Quietly = Annotated[bool, typer.Option("--quietly", help="Tell nobody of the change.")]
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EFFECTS = {
    Effect.ADDED: "new",
    Effect.MOVED: "moves",
    Effect.DROPPED: "falls away",
    Effect.STAYS: "was sent already: not again",
    Effect.TOO_LATE: "its moment is over: not sent",
}


def named() -> dict[str, Any]:
    """The commands of the calendar, by their words below `tongban course`."""
    return {
        "plan": plan,
        "start": start,
        "calendar": show_calendar,
        "move": move,
        "call-off": call_off,
        "link": link,
        "qr": attending.qr,
        "end": end,
        "archive": keep,
    }


def plan(
    file: File,
    *,
    start: Start,
    zone: Annotated[str, typer.Option(help="IANA time zone of the course.")] = "Asia/Shanghai",
    skip: Skip = None,
) -> None:
    """Print the whole calendar that a course file gives from a first day, before anything exists.

    Example: tongban course plan msc-8-week --start 2027-03-01 --skip 2027-04-05..2027-04-06
    """
    found = course_file.read(file)
    first, gaps = day("--start", start), _gaps(skip)
    known = calendar.gatherings(found, first, check_zone(zone), None, gaps)
    typer.echo(f"{found.title['zh']} / {found.title['en']}  ({found.code}.{found.version}, {zone})")
    _print(agenda.lines(found, known, zone), zone)


def start(
    code: Code,
    file: File,
    *,
    start: Start,
    skip: Skip = None,
    evening: Annotated[
        list[str] | None,
        typer.Option(
            "--evening", help="GROUP=wed 19:30: this group has its classes then; every small group then has its own.", show_default=False
        ),
    ] = None,
    late_joiners: Annotated[str, typer.Option(help="What late joiners get: skip, digest, all.")] = "digest",
    yes: Yes = False,
) -> None:
    """Give a course its calendar: classes, meetings, reminders, homework, rounds of questionnaires.

    Example: tongban course start msc-2026 msc-8-week --start 2027-03-01 --evening "dawn=wed 19:30"
    """
    found, first, gaps = course_file.read(file), day("--start", start), _gaps(skip)
    with desk.at_work() as assembly:
        database, tools, now = assembly.database, assembly.tools, clock.now()
        course_id = database.read_now(lambda tx: courses.by_code(tx, code))
        known_groups = {each.code: each for each in database.read_now(lambda tx: overview.groups(tx, course_id))}
        evenings = dict(_evening(each, known_groups) for each in evening or ())
        wanted = running.Plan(found, first, evenings, gaps, late_joiners)
        zone = database.read_now(lambda tx: overview.zone_of(tx, course_id))
        known = calendar.gatherings(found, first, zone, next(iter(evenings.values()), None), gaps)
        _print(agenda.lines(found, known, zone), zone)
        if not yes and not typer.confirm(f"Start {code} with this calendar?"):
            raise typer.Abort
        done = database.write_now(lambda tx: running.start(tx, tools, course_id, wanted, now))
    typer.echo(f"Started: {_counted(done)}. `tongban course calendar {code}` shows all, `tongban rehearse {code}` plays it.")


def show_calendar(
    code: Code,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also what is over.")] = False,
) -> None:
    """Show what a course has planned, and what became of what was.

    Example: tongban course calendar msc-2026
    """
    with desk.at_work() as assembly:
        now = clock.now()
        course_id, zone = assembly.database.read_now(
            lambda tx: (courses.by_code(tx, code), overview.zone_of(tx, courses.by_code(tx, code)))
        )
        lines = assembly.database.read_now(lambda tx: agenda.of_course(tx, course_id))
    _print([each for each in lines if everything or each.at >= now - timedelta(days=1)], zone)


def move(
    code: Code,
    what: What,
    number: Number,
    to: Annotated[
        str, typer.Argument(help='Its new beginning: "2027-03-16 19:30", "tomorrow 19:30", or "1 day later".', show_default=False)
    ],
    *,
    and_later: Annotated[bool, typer.Option("--and-later", help="What follows moves as far.")] = False,
    group: InGroup = None,
    quietly: Quietly = False,
    yes: Yes = False,
) -> None:
    """Move a class, a meeting or the retreat, and all that hangs on it; shows what that does before it is done.

    Example: tongban course move msc-2026 class 3 "1 day later"
    """
    with desk.at_work() as assembly:
        course_id = assembly.database.read_now(lambda tx: courses.by_code(tx, code))
        zone = assembly.database.read_now(lambda tx: overview.zone_of(tx, course_id))
        group_id = _group(assembly, course_id, group)
        former = assembly.database.read_now(lambda tx: agenda.begins(tx, course_id, (what, number), group_id))
        wanted = Move((what, number), _to(to, former, zone), and_later, group_id)
        _make(assembly, course_id, wanted, zone, yes=yes, tell=not quietly)


def call_off(
    code: Code,
    what: What,
    number: Number,
    *,
    back: Annotated[bool, typer.Option("--back", help="It takes place after all.")] = False,
    group: InGroup = None,
    quietly: Quietly = False,
    yes: Yes = False,
) -> None:
    """Cancel a class, a meeting or the retreat; what hangs on it falls away.

    Example: tongban course call-off msc-2026 meeting 4
    """
    with desk.at_work() as assembly:
        course_id = assembly.database.read_now(lambda tx: courses.by_code(tx, code))
        zone = assembly.database.read_now(lambda tx: overview.zone_of(tx, course_id))
        wanted = CallOff((what, number), back, _group(assembly, course_id, group))
        _make(assembly, course_id, wanted, zone, yes=yes, tell=not quietly)


def link(
    code: Code,
    what: What,
    address: Annotated[str, typer.Argument(help="Where it is held, https://…", show_default=False)],
    *,
    number: Annotated[int, typer.Option(help="Only this one; else all of the kind.")] = 0,
    group: InGroup = None,
) -> None:
    """Say where classes or meetings are held: reminders and the schedule carry the link.

    Example: tongban course link msc-2026 class https://example.org/j/123
    """
    with desk.at_work() as assembly:
        course_id = assembly.database.read_now(lambda tx: courses.by_code(tx, code))
        group_id = _group(assembly, course_id, group)
        count = assembly.database.write_now(
            lambda tx: running.set_link(tx, course_id, (what, number), address, clock.now(), group_id=group_id)
        )
    typer.echo(f"Set for {count}.")


def end(code: Code, *, yes: Yes = False) -> None:
    """End a course at once: it starts nothing any more. By itself it ends when its calendar says.

    Example: tongban course end msc-2026
    """
    if not yes and not typer.confirm(f"End {code} now? Nothing that is planned will be sent."):
        raise typer.Abort
    with desk.at_work() as assembly:
        assembly.database.write_now(lambda tx: occasions.end(tx, courses.by_code(tx, code), clock.now(), actor="operator"))
    typer.echo("Ended.")


def keep(
    code: Code,
    file: Annotated[Path, typer.Argument(help="The zip to write.", show_default=False)],
    *,
    force: Annotated[bool, typer.Option("--force", help="The file may take the place of another.")] = False,
) -> None:
    """Write what a programme keeps of a course that is over: calendar, announcements, how many came and practised. No participant is in it.

    Example: tongban course archive msc-2026 msc-2026.zip
    """
    with desk.at_work() as assembly:
        course_id = assembly.database.read_now(lambda tx: courses.by_code(tx, code))
        tables = archive.write(assembly.database, assembly.tools.keyring, course_id, file, clock.now(), over=force)
    typer.echo(f"Written to {file}, readable by you only: {tables} tables, the course file and notes. It names no participant.")


def _make(assembly: Any, course_id: int, wanted: Change, zone: str, *, yes: bool, tell: bool) -> None:
    database, now = assembly.database, clock.now()
    effects = database.read_now(lambda tx: running.preview(tx, course_id, wanted, now))
    _print_effects(effects, zone)
    if tell:
        typer.echo("The groups that come to it are told.")
    if not yes and not typer.confirm("Do it?"):
        raise typer.Abort
    keyring = assembly.tools.keyring
    done = database.write_now(lambda tx: running.change(tx, keyring, course_id, wanted, clock.now(), tell=tell))
    typer.echo(f"Done: {_counted(done)}.")


def _print(lines: Iterable[agenda.Line], zone: str) -> None:
    rows = [(shown(each.at, zone), _weekday(each.at, zone), each.group, each.what, each.note) for each in lines]
    desk.table(("when", "day", "group", "what", "state"), rows)


def _weekday(moment: datetime, zone: str) -> str:
    return _DAYS[moment.astimezone(ZoneInfo(zone)).weekday()]


def _print_effects(effects: Sequence[Consequence], zone: str) -> None:
    if not effects:
        typer.echo("Nothing else hangs on it.")
        return
    rows = [
        (
            each.group or "-",
            each.code,
            _shown(each.former, zone),
            _shown(each.new, zone),
            _EFFECTS[each.effect],
        )
        for each in effects
    ]
    desk.table(("group", "occasion", "from", "to", "what happens"), rows)


def _shown(moment: datetime | None, zone: str) -> str:
    return "-" if moment is None else shown(moment, zone)


def _counted(done: Sequence[Consequence]) -> str:
    counts = {words: sum(_EFFECTS[each.effect] == words for each in done) for words in _EFFECTS.values()}
    return ", ".join(f"{number} {words}" for words, number in counts.items() if number) or "nothing hangs on it"


def _group(assembly: Any, course_id: int, code: str | None) -> int | None:
    return None if code is None else assembly.database.read_now(lambda tx: groups.by_code(tx, code, course_id))


_BY = re.compile(r"(\d{1,3}) (day|hour|minute|week)s? (later|earlier)")


def _to(typed: str, former: datetime, zone: str) -> datetime:
    if by := _BY.fullmatch(typed.strip()):
        unit, count = ("day", int(by[1]) * 7) if by[2] == "week" else (by[2], int(by[1]))
        return anchors.read(f"class {'+' if by[3] == 'later' else '-'} {count} {unit}s").moment(former, zone)
    return any_time("the new beginning", typed, zone)


def day(option: str, typed: str) -> date:
    """A day, YYYY-MM-DD. Raises `Invalid`, which names the option."""
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise Invalid("day", f"{option} {typed!r} is no day of the calendar; write it like 2027-03-01.") from None


def check_zone(zone: str) -> str:
    """The zone, if there is one of this name. Raises `Invalid`."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid("zone", f"There is no time zone {zone!r}; write it like Asia/Shanghai.") from None
    return zone


def _gaps(typed: Sequence[str] | None) -> list[Gap]:
    found = []
    for each in typed or ():
        first, _, last = each.partition("..")
        gap = Gap(day("--skip", first.strip()), day("--skip", (last or first).strip()))
        if gap.last < gap.first:
            raise Invalid("gap", f"--skip {each!r} ends before it begins; write the earlier day first.")
        found.append(gap)
    return found


def _evening(typed: str, known: dict[str, overview.GroupLine]) -> tuple[int, Evening]:
    found = re.fullmatch(r"([a-z0-9-]+)\s*=\s*(mon|tue|wed|thu|fri|sat|sun) (\d\d:\d\d)", typed.strip().lower())
    if found is None or found[1] not in known or known[found[1]].large:
        there = ", ".join(code for code, each in known.items() if not each.large)
        raise Invalid("evening", f'--evening {typed!r} does not work: write it like "dawn=wed 19:30"; small groups: {there or "none yet"}.')
    return known[found[1]].id, Evening(_clock(found[3]), _DAYS.index(found[2]))


def _clock(typed: str) -> time:
    try:
        return anchors.clock(typed)
    except ValueError as wrong:
        raise Invalid("clock", f"{wrong}.") from None
