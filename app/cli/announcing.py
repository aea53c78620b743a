"""`tongban announce | progress`: the operator speaks to a group, and sees who got it."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from app import announced, clock, courses, forecast, groups, overview, polls, schedules
from app.assembly import Assembly
from app.cli import desk, moments
from app.cli.on_duty import InCourse
from app.db import Tx
from app.errors import Invalid
from app.schedules import Reader
from app.states import UNDER_WAY
from bots.effects import Poll
from bots.facts import MassForecast, PollResult, Progress, ReachForecast, SecondEyes

_MANY = 50
_WATCH_SECONDS = 1.0


def announce(
    text: Annotated[str, typer.Argument(help="The words.", show_default=False)],
    group: Annotated[str, typer.Option(help="The group's code.", show_default=False)],
    *,
    course: InCourse = None,
    at: Annotated[str, typer.Option(help="When, in the course's time zone; now where it is left out.")] = "",
    got_it: Annotated[bool, typer.Option("--got-it", help='Readers can tap "got it".')] = False,
    poll: Annotated[str, typer.Option(help="One question: 2 to 8 short options with | between.", show_default=False)] = "",
    until: Annotated[str, typer.Option(help="When answers end, in the course's time zone; a week after it goes out.")] = "",
    mass: Annotated[bool, typer.Option("--mass", help="As a mass send: the large group only, one of each person's four a month.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Send words to a group, now or later, after showing whom they will reach.

    Example: tongban announce --group dawn "今晚 20:00 第三课，链接稍后发。" --at "tomorrow 20:00"
    Example: tongban announce --group dawn "止语半日在哪个城市参加？" --poll "北京|郑州|青岛" --until "Friday 20:00"
    """
    with desk.at_work() as assembly:
        keyring, database = assembly.tools.keyring, assembly.database
        group_id = database.read_now(lambda tx: groups.by_code(tx, group, None if course is None else courses.by_code(tx, course)))
        zone = database.read_now(lambda tx: overview.course_of_group(tx, group_id))[1]
        moment = moments.coming("--at", at, zone) if at else None
        asks = _asks(text, poll, until, zone, moment or clock.now(), got_it=got_it)
        expected = database.read_now(lambda tx: forecast.forecast(tx, assembly.tools.rules, group_id, None, moment, clock.now()))
        if database.read_now(lambda tx: schedules.said_before(tx, keyring, group_id, text, clock.now())):
            typer.echo("The same words went to this group within the last ten minutes.")
        if mass and expected.mass is None:
            raise Invalid(
                "mass", "No mass send to this group: it is not a course's large group, or WeChat takes none just now. Leave out --mass."
            )
        typer.echo(_promise(expected, moment, zone, mass=mass))
        if asks is not None:
            typer.echo(f"It asks for one of: {', '.join(asks.options)}." if asks.options else 'It asks for a "got it" tap.')
        if not yes and not typer.confirm("Send it?"):
            raise typer.Abort
        number = database.write_now(lambda tx: _plan(tx, assembly, group_id, text, moment, asks, mass=mass))
    if expected.eyes is not None:
        typer.echo(
            f"Announcement {number} waits until a second person has seen it: {expected.eyes.people} can, in the chat or the console."
        )
    else:
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


def _asks(text: str, poll: str, until: str, zone: str, at: datetime, *, got_it: bool) -> Poll | None:
    """What the announcement asks its readers. Raises `Invalid` where that cannot be asked."""
    if got_it and poll:
        raise Invalid("poll", "An announcement asks one thing: give either --got-it or --poll.")
    if not got_it and not poll:
        if until:
            raise Invalid("until", "--until needs something that ends then: add --got-it or --poll.")
        return None
    options = tuple(part.strip() for part in poll.split("|") if part.strip()) if poll else ()
    if poll and not options:
        raise Invalid("poll", 'A poll has 2 to 8 options, as in --poll "北京|郑州".')
    asked = Poll(options, moments.coming("--until", until, zone) if until else None)
    polls.check(asked, text, at)
    return asked


def _plan(tx: Tx, assembly: Assembly, group_id: int, text: str, moment: datetime | None, asks: Poll | None, *, mass: bool) -> int:
    made = schedules.plan_announcement(
        tx,
        assembly.tools.keyring,
        author_id=None,
        group_id=group_id,
        text=text,
        at=moment,
        draft=None,
        by_mass=mass,
        now=clock.now(),
        poll=asks,
    )
    return announced.number_of(tx, made)


def _promise(expected: ReachForecast, moment: datetime | None, zone: str, *, mass: bool) -> str:
    by_mass = expected.mass if mass else None
    parts = (
        _by_mass(expected, by_mass)
        if by_mass is not None
        else {
            "get it at once" if moment is None else "will get it then": expected.now,
            "get a notice that points to it": expected.notice,
            "the day after, because of the day's cap": expected.capped,
            "only when they next write": expected.later,
            "not at all (left, paused or blocked)": expected.never,
        }
    )
    lines = [f"{expected.total} people: " + (", ".join(f"{count} {words}" for words, count in parts.items() if count) or "nobody") + "."]
    if expected.mass is not None:
        lines.append(_budget(expected.mass, mass=mass))
    if moment is not None:
        lines.append(f"At {moments.shown(moment, zone)} {zone}.")
    if expected.eyes is not None:
        lines.append(_eyes(expected.eyes))
    if expected.silent_until is not None:
        held = max(expected.silent_until, expected.quiet_until or expected.silent_until)
        lines.append(f"The course is silent; it goes at {moments.shown(held, zone)}.")
    elif expected.quiet_until is not None:
        lines.append(f"Quiet hours hold it until {expected.quiet_until.astimezone(ZoneInfo(zone)):%H:%M}.")
    return "\n".join(lines)


def _eyes(eyes: SecondEyes) -> str:
    """That a second person looks first. At a terminal nobody knows who types, so nobody approves here."""
    who = f"{eyes.people} administrators and mentors can" if eyes.people else "but there is no administrator or mentor yet who could"
    return f"It goes to more than {eyes.above} people, so it waits until a second person has approved it; {who}."


def _by_mass(expected: ReachForecast, mass: MassForecast) -> dict[str, int]:
    return {
        "get it by a mass send (WeChat says how many, not who)": mass.reached,
        "had all of this month's, and get it the usual way": mass.used_up,
        "not at all (left, paused or blocked)": expected.never,
    }


def _budget(forecast: MassForecast, *, mass: bool) -> str:
    """What a mass send would reach, and what it takes of the month's few."""
    left = f"{forecast.left} of this month's {forecast.most} are left"
    if mass:
        return f"Each person can get {forecast.most} mass sends a month: {left} before this one."
    return f"Or as a mass send (--mass): {forecast.reached} get it without waiting for them to write; {left}."


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
    for note in shown.notes:
        typer.echo(f"  {note}")
    for each in shown.unreached:
        typer.echo(f"  {each.name}: {each.reason}")
    if shown.poll is not None:
        _print_answers(shown.poll)


def _print_answers(poll: PollResult) -> None:
    """Who answered what, and who has not."""
    answered = sum(map(len, poll.answered))
    end = f"{'closes' if poll.open else 'closed'} {poll.until:%Y-%m-%d %H:%M}Z"
    typer.echo(f"Asked {answered + len(poll.silent)}, answered {answered}; {end}.")
    for option, who in zip(poll.options or ("got it",), poll.answered, strict=True):
        typer.echo(f"  {len(who)} {option}{_named(who)}")
    if poll.silent:
        typer.echo(f"  {len(poll.silent)} no answer yet{_named(poll.silent)}")
    if poll.followed_at is not None:
        typer.echo(f"  last follow-up {poll.followed_at:%Y-%m-%d %H:%M}Z: {poll.followed_reached} of {poll.followed} have it")


def _named(names: Sequence[str]) -> str:
    known = [name for name in names if name]
    rest = len(names) - len(known)
    return (": " + ", ".join([*known, *([f"and {rest} more"] if rest else [])])) if names else ""


def _moving(assembly: Assembly, shown: Progress) -> bool:
    """Whether something still moves by itself; what waits for a person or a later hour does not."""
    words = {str(assembly.tools.words.fill(f"state.{state}", "en")) for state in UNDER_WAY}
    return not shown.by_state or any(state in words for state, _ in shown.by_state)
