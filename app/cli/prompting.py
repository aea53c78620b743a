"""`tongban prompt …`: practice prompts that come once, daily, weekly or in a week of the course, in a leader's name or the team's."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

import bots
from app import clock, courses, forecast, groups, overview
from app.assembly import Assembly
from app.cli import desk, moments
from app.cli.on_duty import InCourse
from app.db import Tx
from app.errors import Invalid, NotFound
from app.prompts import lists, planning
from bots.effects import CancelPrompt, ChangePrompt, PausePrompt, PlanPrompt, ResumePrompt
from bots.facts import ReachForecast
from bots.prompt import gaps
from bots.prompt.plans import Calendar, PromptView
from bots.prompt.reading import Unclear, read_day, read_rule
from bots.prompt.voice import Voice, added, whole_rule
from bots.recurrence import Rule, course_week, upcoming
from bots.texts import load_texts

_MANY, _NEXT, _EXAMPLE = 200, 5, "小雨"
_REASONS = {
    "no_weekday": 'say on which days of the week: "every Mon, Wed 20:00"',
    "no_start": "the course has no first day yet, so its weeks cannot be counted; write a date",
    "week": "the course has no such week",
    "monthly": 'it can be every day, on some days of each week, or once: "every day 20:00", "每周一三五 20:00", "week 3 Tuesday 20:00"',
    "until": "its last day was not understood; give it with --until",
    "unreadable": 'write it like "every day 20:00", "每周一三五 20:00", "week 3 Tuesday 20:00" or "tomorrow 20:00"',
}

Number = Annotated[int, typer.Argument(help="The prompt's number.", show_default=False)]
Groups = Annotated[list[str] | None, typer.Option("--group", help="A group's code; may be repeated.", show_default=False)]
When = Annotated[str, typer.Option(help='"每天 8:00", "every Mon, Wed 20:00", "week 3 Tuesday 20:00", "明晚8点"; in the course\'s zone.')]
Until = Annotated[str, typer.Option(help='The last day: "2027-01-17", "20 Dec", "week 6"; else the end of the course, or of eight weeks.')]
As = Annotated[
    str, typer.Option("--as", help="Name, number or id of a leader in whose name, and with whose rights, it is done; else the team's.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def commands() -> typer.Typer:
    """The group `prompt`."""
    group = typer.Typer(name="prompt", help="Practice prompts: add, list, show, pause, resume, edit, cancel.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"add": add, "list": list_prompts, "show": show, "edit": edit}
    for name, command in (named | {"pause": pause, "resume": resume, "cancel": cancel}).items():
        group.command(name)(command)
    return group


def add(
    text: Annotated[
        str, typer.Argument(help="The words; {name} becomes each reader's own name, {week} the course week.", show_default=False)
    ],
    when: When,
    *,
    group: Groups = None,
    until: Until = "",
    course: InCourse = None,
    as_whom: As = "",
    yes: Yes = False,
) -> None:
    """Plan a practice prompt, after showing the next times, a filled example and whom the first will reach.

    Example: tongban prompt add "{name}，第 {week} 周了，晚上一起练习。" --group dawn --when "每周一三五 20:00"
    """
    with desk.at_work() as assembly:
        actor = _actor(assembly, as_whom)
        group_ids = assembly.database.read_now(lambda tx: _groups(tx, group or (), course))
        calendar = assembly.database.read_now(lambda tx: planning.calendar_for(tx, group_ids))
        rule, last = _when(when, until, calendar)
        wanted = PlanPrompt(group_ids, text, rule, last, 0)
        _promise(assembly, actor, wanted, calendar)
        if not yes and not typer.confirm("Plan it?"):
            raise typer.Abort
        made = assembly.database.write_now(lambda tx: planning.plan(tx, assembly.tools.keyring, actor, wanted, clock.now()))
        number = _one(assembly, made, actor).number
    typer.echo(f"Practice prompt {number} is planned. See it: tongban prompt show {number}")


def list_prompts(*, course: InCourse = None, as_whom: As = "") -> None:
    """List the practice prompts with their next times.

    Example: tongban prompt list --course msc-2026
    """
    with desk.at_work() as assembly:
        actor, keyring = _actor(assembly, as_whom), assembly.tools.keyring
        course_id = None if course is None else assembly.database.read_now(lambda tx: courses.by_code(tx, course))
        found = assembly.database.read_now(lambda tx: lists.every(tx, keyring, actor, _MANY, course_id=course_id))
        calendars = assembly.database.read_now(lambda tx: planning.calendars(tx, sorted({each.course for each in found})))
    if not found:
        typer.echo('There are no practice prompts yet; `tongban prompt add "…" --group CODE --when "every day 20:00"` plans one.')
        return
    starts = {each.course: each.starts_on for each in calendars}
    rows = [(p.number, _names(p), _rule(p, starts.get(p.course)), _next(p), p.state, p.text.replace("\n", " ")[:40]) for p in found]
    desk.table(("no.", "groups", "when", "next", "state", "words"), rows)


def show(number: Number, *, course: InCourse = None, as_whom: As = "") -> None:
    """Show a practice prompt: its words, its next times, and how the last ones went.

    Example: tongban prompt show 5
    """
    with desk.at_work() as assembly:
        actor = _actor(assembly, as_whom)
        found = _numbered(assembly, number, course, actor)
        (calendar,) = assembly.database.read_now(lambda tx: planning.calendars(tx, [found.course]))
        past = assembly.database.read_now(lambda tx: lists.fired(tx, found.id))
    why = f" ({found.why.replace('_', ' ')})" if found.why else ""
    typer.echo(f"#{found.number} {_names(found)}: {_rule(found, calendar.starts_on)}. It is {found.state}{why}.")
    typer.echo(found.text)
    if found.state == "running":
        frame = replace(calendar, zone=found.zone).frame(found.until)
        _print_moments(upcoming(found.rule, frame, clock.now(), _NEXT), found.zone)
    if past:
        typer.echo("")
        rows = [(moments.shown(each.at, found.zone), each.outcome, f"{each.reached}/{each.total}") for each in past]
        desk.table(("moment", "", "reached"), rows)


def edit(
    number: Number,
    *,
    text: Annotated[str, typer.Option(help="Other words.", show_default=False)] = "",
    when: When = "",
    group: Groups = None,
    until: Until = "",
    course: InCourse = None,
    as_whom: As = "",
    yes: Yes = False,
) -> None:
    """Give a practice prompt other words, times or groups; what is left out stays. It runs from then on, in the name of whoever changed it.

    Example: tongban prompt edit 5 --when "every day 20:00" --until "2027-01-17"
    """
    if not (text or when or group or until):
        raise Invalid("edit", "Give at least one of --text, --when, --group and --until.")
    with desk.at_work() as assembly:
        actor = _actor(assembly, as_whom)
        found = _numbered(assembly, number, course, actor)
        chosen = tuple(each for each, _ in found.groups)
        group_ids = assembly.database.read_now(lambda tx: _groups(tx, group, course)) if group else chosen
        calendar = assembly.database.read_now(lambda tx: planning.calendar_for(tx, group_ids))
        rule, last = _when(when, until, calendar) if when else (found.rule, found.until)
        if until and not when:
            last = _last_day(until, calendar)
        wanted = PlanPrompt(group_ids, text or found.text, rule, last, 0)
        _promise(assembly, actor, wanted, calendar)
        if not yes and not typer.confirm("Change it?"):
            raise typer.Abort
        changed = ChangePrompt(found.id, found.version, wanted)
        assembly.database.write_now(lambda tx: planning.change(tx, assembly.tools.keyring, actor, changed, clock.now()))
    typer.echo(f"Practice prompt {number} is changed.")


def pause(number: Number, *, course: InCourse = None, as_whom: As = "") -> None:
    """Let a practice prompt rest.

    Example: tongban prompt pause 5
    """
    _steer(number, course, as_whom, PausePrompt)
    typer.echo(f"Practice prompt {number} rests until: tongban prompt resume {number}")


def resume(number: Number, *, course: InCourse = None, as_whom: As = "") -> None:
    """Let a paused practice prompt go on with its next time.

    Example: tongban prompt resume 5
    """
    found = _steer(number, course, as_whom, ResumePrompt)
    typer.echo(f"Practice prompt {number} goes on. Next: {_next(found)}.")


def cancel(number: Number, *, course: InCourse = None, as_whom: As = "") -> None:
    """End a practice prompt and take back what has not left.

    Example: tongban prompt cancel 5
    """
    _steer(number, course, as_whom, CancelPrompt)
    typer.echo(f"Practice prompt {number} is cancelled; what was sent stays sent.")


def _steer(number: int, course: str | None, as_whom: str, step: type[PausePrompt | ResumePrompt | CancelPrompt]) -> PromptView:
    with desk.at_work() as assembly:
        actor = _actor(assembly, as_whom)
        found = _numbered(assembly, number, course, actor)
        assembly.database.write_now(lambda tx: planning.steer(tx, actor, step(found.id), clock.now()))
        return _one(assembly, found.id, actor)


def _actor(assembly: Assembly, as_whom: str) -> int | None:
    """In whose name it is done; None for the operator."""
    if not as_whom:
        return None
    keyring = assembly.tools.keyring
    return assembly.database.read_now(lambda tx: overview.person(tx, keyring, as_whom)).id


def _numbered(assembly: Assembly, number: int, course: str | None, actor: int | None) -> PromptView:
    """The prompt of this number among those that the actor may see. Raises `NotFound`: what is foreign looks like what is missing."""
    keyring = assembly.tools.keyring
    course_id = None if course is None else assembly.database.read_now(lambda tx: courses.by_code(tx, course))
    found = assembly.database.read_now(lambda tx: lists.every(tx, keyring, actor, None, course_id=course_id))
    meant = [each for each in found if each.number == number]
    if len(meant) != 1:
        remedy = "name the course with --course" if meant else "`tongban prompt list` shows what there is"
        raise NotFound("prompt", f"There is no single practice prompt {number}; {remedy}.")
    return meant[0]


def _one(assembly: Assembly, prompt_id: int, actor: int | None) -> PromptView:
    found = assembly.database.read_now(lambda tx: lists.one(tx, assembly.tools.keyring, prompt_id, actor))
    if found is None:
        raise NotFound("prompt", "It is not there any more; `tongban prompt list` shows what there is.")
    return found


def _groups(tx: Tx, codes: Sequence[str], course: str | None) -> tuple[int, ...]:
    if not codes:
        raise Invalid("group", "Name at least one group with --group; `tongban group list` shows their codes.")
    course_id = None if course is None else courses.by_code(tx, course)
    return tuple(dict.fromkeys(groups.by_code(tx, code, course_id) for code in codes))


def _when(when: str, until: str, calendar: Calendar) -> tuple[Rule, date]:
    """The rule and the last day that were typed. Raises `Invalid`."""
    read = read_rule(when, clock.now(), calendar.zone, calendar.starts_on)
    if isinstance(read, Unclear):
        raise Invalid("when", _unclear(when, read))
    named = _last_day(until, calendar) if until else read.until
    return read.rule, named or calendar.last_day(read.rule, clock.now())


def _unclear(when: str, read: Unclear) -> str:
    if read.key == "several":
        meant = " or ".join(f'"{each.rule.code()}"' for each in read.candidates)
        return f"--when {when!r} may mean {meant}; write the hour as 08:00 or 20:00."
    return f"--when {when!r} does not work: {_REASONS.get(read.key) or moments.REASONS[read.key]}."


def _last_day(until: str, calendar: Calendar) -> date:
    found = read_day(until, clock.now(), calendar.zone, calendar.starts_on)
    if found is None:
        raise Invalid("until", f'--until {until!r} is no day to come; write it like 2027-01-17, "20 Dec" or "week 6".')
    return found


def _promise(assembly: Assembly, actor: int | None, wanted: PlanPrompt, calendar: Calendar) -> None:
    """Print what would go out, when, and whom the first one would reach."""
    coming_up = upcoming(wanted.rule, calendar.frame(wanted.until), clock.now(), _NEXT)
    if not coming_up:
        raise Invalid("when", f"Until {wanted.until} it would never go out; choose another time, or another last day.")
    first, now, rules = coming_up[0], clock.now(), assembly.tools.rules
    found = assembly.database.read_now(lambda tx: [forecast.forecast(tx, rules, each, actor, first, now) for each in wanted.groups])
    day = first.astimezone(ZoneInfo(calendar.zone)).date()
    week = 0 if calendar.starts_on is None else course_week(day, calendar.starts_on)
    typer.echo(gaps.fill(wanted.text, _EXAMPLE, week, ("", "")))
    _print_moments(coming_up, calendar.zone)
    typer.echo(_reach(added(found), calendar.zone))


def _print_moments(coming_up: Sequence[datetime], zone: str) -> None:
    typer.echo(f"Next: {', '.join(moments.shown(each, zone) for each in coming_up) or 'nothing is to come'} ({zone}).")


def _reach(expected: ReachForecast, zone: str) -> str:
    parts = {
        "by the first time": expected.now,
        "by a notice that points to it": expected.notice,
        "only when they next write": expected.later,
        "not at all (left, paused or blocked)": expected.never,
    }
    said = f"{expected.total} people: " + (", ".join(f"{count} {words}" for words, count in parts.items() if count) or "nobody") + "."
    if expected.quiet_until is not None:
        said += f" Quiet hours hold it until {expected.quiet_until.astimezone(ZoneInfo(zone)):%H:%M}."
    return said


def _names(found: PromptView) -> str:
    others = f" and {found.others} more" if found.others else ""
    return ", ".join(name for _, name in found.groups) + others


def _next(found: PromptView) -> str:
    return "-" if found.next_at is None else moments.shown(found.next_at, found.zone)


def _rule(found: PromptView, starts_on: date | None) -> str:
    words = load_texts(Path(bots.__file__).parent / "prompt")
    return whole_rule(Voice(words, "en", found.zone), found.rule, starts_on, found.until)
