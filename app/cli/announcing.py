"""`tongban announce | progress`: the operator speaks to a group, and sees who got it."""

import time
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from app import clock, courses, forecast, groups, overview, schedules
from app.assembly import Assembly
from app.cli import desk, moments
from app.cli.courses import InCourse
from app.db import Tx
from app.schedules import Reader
from app.states import UNDER_WAY
from bots.facts import Progress, ReachForecast

_MANY = 50
_WATCH_SECONDS = 1.0


def announce(
    text: Annotated[str, typer.Argument(help="The words.", show_default=False)],
    group: Annotated[str, typer.Option(help="The group's code.", show_default=False)],
    *,
    course: InCourse = None,
    at: Annotated[str, typer.Option(help="When, in the course's time zone; now where it is left out.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Send words to a group, now or later, after showing whom they will reach.

    Example: tongban announce --group dawn "今晚 20:00 第三课，链接稍后发。" --at "tomorrow 20:00"
    """
    with desk.at_work() as assembly:
        keyring, database = assembly.tools.keyring, assembly.database
        group_id = database.read_now(lambda tx: groups.by_code(tx, group, None if course is None else courses.by_code(tx, course)))
        zone = database.read_now(lambda tx: overview.course_of_group(tx, group_id))[1]
        moment = moments.coming("--at", at, zone) if at else None
        expected = database.read_now(lambda tx: forecast.forecast(tx, assembly.tools.rules, group_id, None, moment, clock.now()))
        if database.read_now(lambda tx: schedules.said_before(tx, keyring, group_id, text, clock.now())):
            typer.echo("The same words went to this group within the last ten minutes.")
        typer.echo(_promise(expected, moment, zone))
        if not yes and not typer.confirm("Send it?"):
            raise typer.Abort
        number = database.write_now(lambda tx: _plan(tx, assembly, group_id, text, moment))
    typer.echo(f"Announcement {number} is on its way." if moment is None else f"Announcement {number} is planned.")
    typer.echo(f"Who got it: tongban progress {number}")


def progress(
    number: Annotated[
        int | None, typer.Argument(help="Number of an announcement; without one, all are listed.", show_default=False)
    ] = None,
    *,
    course: InCourse = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again each second until all is settled.")] = False,
) -> None:
    """Show who got an announcement, each person in exactly one state, or list the announcements.

    Example: tongban progress 3 --watch
    """
    with desk.at_work() as assembly:
        if number is None:
            _list(assembly)
            return
        schedule_id = assembly.database.read_now(lambda tx: schedules.by_number(tx, number, course))
        shown = _progress(assembly, schedule_id)
        _print(shown)
        while watch and _moving(assembly, shown):
            time.sleep(_WATCH_SECONDS)
            before, shown = shown, _progress(assembly, schedule_id)
            if shown != before:
                _print(shown)


def _plan(tx: Tx, assembly: Assembly, group_id: int, text: str, moment: datetime | None) -> int:
    made = schedules.plan_announcement(
        tx, assembly.tools.keyring, author_id=None, group_id=group_id, text=text, at=moment, draft=None, now=clock.now()
    )
    return schedules.number_of(tx, made)


def _promise(expected: ReachForecast, moment: datetime | None, zone: str) -> str:
    parts = {
        "get it at once" if moment is None else "will get it then": expected.now,
        "get a notice that points to it": expected.notice,
        "the day after, because of the day's cap": expected.capped,
        "only when they next write": expected.later,
        "not at all (left, paused or blocked)": expected.never,
    }
    lines = [f"{expected.total} people: " + (", ".join(f"{count} {words}" for words, count in parts.items() if count) or "nobody") + "."]
    if moment is not None:
        lines.append(f"At {moments.shown(moment, zone)} {zone}.")
    if expected.silent_until is not None:
        held = max(expected.silent_until, expected.quiet_until or expected.silent_until)
        lines.append(f"The course is silent; it goes at {moments.shown(held, zone)}.")
    elif expected.quiet_until is not None:
        lines.append(f"Quiet hours hold it until {expected.quiet_until.astimezone(ZoneInfo(zone)):%H:%M}.")
    return "\n".join(lines)


def _list(assembly: Assembly) -> None:
    found = assembly.database.read_now(lambda tx: schedules.announcements(tx, assembly.tools.keyring, Reader("en"), _MANY))
    if not found:
        typer.echo('There are no announcements yet; `tongban announce --group CODE "…"` makes one.')
        return
    rows = [(a.number, a.group_name, f"{a.at:%Y-%m-%d %H:%M}Z", a.state, f"{a.reached}/{a.total}", a.excerpt) for a in found]
    desk.table(("no.", "group", "when", "state", "reached", "words"), rows)


def _progress(assembly: Assembly, schedule_id: int) -> Progress:
    tools = assembly.tools
    return assembly.database.read_now(lambda tx: schedules.progress(tx, tools.keyring, tools.words, schedule_id, Reader("en")))


def _print(shown: Progress) -> None:
    typer.echo(f"#{shown.number} {shown.group_name} “{shown.excerpt}”: {shown.total} people")
    typer.echo("  " + (", ".join(f"{count} {state}" for state, count in shown.by_state) or "not begun yet"))
    for each in shown.unreached:
        typer.echo(f"  {each.name}: {each.reason}")


def _moving(assembly: Assembly, shown: Progress) -> bool:
    """Whether something still moves by itself; what waits for a person or a later hour does not."""
    words = {str(assembly.tools.words.fill(f"state.{state}", "en")) for state in UNDER_WAY}
    return not shown.by_state or any(state in words for state, _ in shown.by_state)
