"""`tongban encouragement …`: the warm words of a course, and when they go to its large group."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from app import clock, courses, encouragement
from app.cli import desk
from app.db import Tx
from app.encouragement.library import Line, by_number, number_of, words_of_week
from app.encouragement.plans import PlanLine
from app.errors import Invalid
from bots.encouragement.words import ANY

_DAYS = {"mon": "1", "tue": "2", "wed": "3", "thu": "4", "fri": "5", "sat": "6", "sun": "7"}
_WHY = {"late": "it was more than an hour late", "restored": "it passed while the rows rested in a backup"}
_WHY |= {"theme_used_up": "the words of its week were used up, one for any week went", "used_up": "all words were used up"}
_STATES = ("proposed", "approved", "paused")

Course = Annotated[str, typer.Argument(help="The course's code.", show_default=False)]
Numbers = Annotated[list[int], typer.Argument(help="Numbers of words, as `list` shows them.", show_default=False)]


def commands() -> typer.Typer:
    """The group `encouragement`."""
    group = typer.Typer(
        name="encouragement", help="Warm words: adopt, list, add, approve, pause; plan when they go out.", no_args_is_help=True
    )
    named: dict[str, Callable[..., None]] = {
        "adopt": adopt,
        "list": list_words,
        "add": add,
        "approve": approve,
        "pause": pause,
        "plan": plan,
        "next": coming,
    }
    for name, command in named.items():
        group.command(name)(command)
    return group


def adopt(
    course: Course,
    *,
    theme: Annotated[
        list[str] | None,
        typer.Option(help="The theme of each week, in order; may be repeated. The eight of the shipped course.", show_default=False),
    ] = None,
) -> None:
    """Copy the shipped words into a course. They are our demonstration words: read them, and pause what does not fit.

    Example: tongban encouragement adopt msc-2026
    """
    with desk.at_work() as assembly:
        keyring, database = assembly.tools.keyring, assembly.database
        course_id = database.read_now(lambda tx: courses.by_code(tx, course))
        count = database.write_now(lambda tx: encouragement.adopt(tx, keyring, course_id, clock.now(), themes=theme))
    typer.echo(f"{count} words were copied and may be given. Next: tongban encouragement plan {course} --days mon,thu --hour 12:30")


def list_words(
    course: Course,
    *,
    theme: Annotated[str, typer.Option(help="Only words of this theme.", show_default=False)] = "",
    state: Annotated[str, typer.Option(help="Only words in this state: proposed, approved, paused.", show_default=False)] = "",
) -> None:
    """List the words with how often they were given and thanked for; never to whom, or by whom.

    Example: tongban encouragement list msc-2026 --state proposed
    """
    if state and state not in _STATES:
        raise Invalid("state", f"A word is one of {', '.join(_STATES)}, not {state!r}; correct --state.")
    with desk.at_work() as assembly:
        keyring, database = assembly.tools.keyring, assembly.database
        course_id = database.read_now(lambda tx: courses.by_code(tx, course))
        found = database.read_now(lambda tx: encouragement.lines(tx, keyring, course_id, state=state or None))
    shown = [line for line in found if not theme or line.theme == theme]
    if not shown:
        typer.echo(f"There are no such words. `tongban encouragement adopt {course}` copies the shipped ones, `add` takes your own.")
        return
    for line in shown:
        _print(line)
    given, thanked = sum(line.given for line in shown), sum(line.thanked for line in shown)
    typer.echo(f"In all: {len(shown)} words, given {given}, thanked {thanked}.")


def _print(line: Line) -> None:
    typer.echo(f"{line.number}. {line.theme}, {line.state}, given {line.given}, thanked {line.thanked}")
    for text in line.texts.values():
        typer.echo(f"   {text}")
    tone = f"; tone: {line.tone}" if line.tone else ""
    typer.echo(f"   by {line.author or 'somebody who was erased'}{tone}")


def add(
    course: Course,
    *,
    author: Annotated[str, typer.Option(help="Who wrote them; nobody stays unnamed.", show_default=False)],
    zh: Annotated[str, typer.Option(help="The words in Chinese.", show_default=False)] = "",
    en: Annotated[str, typer.Option(help="The words in English; each reader gets the language that there is.", show_default=False)] = "",
    theme: Annotated[str, typer.Option(help="The theme of a week, or any.")] = ANY,
    tone: Annotated[str, typer.Option(help="A note on the tone, for whoever approves.", show_default=False)] = "",
) -> None:
    """Add words of your own; they wait until somebody approves them.

    Example: tongban encouragement add msc-2026 --author 陈老师 --zh "茶凉了也可以慢慢喝。" --theme arriving --tone 轻
    """
    texts = {language: text for language, text in (("zh", zh), ("en", en)) if text}
    with desk.at_work() as assembly:
        keyring, database = assembly.tools.keyring, assembly.database
        course_id = database.read_now(lambda tx: courses.by_code(tx, course))

        def work(tx: Tx) -> int:
            word_id = encouragement.propose(tx, keyring, course_id, texts, clock.now(), author=author, theme=theme, tone=tone)
            return number_of(tx, word_id)

        number = database.write_now(work)
    typer.echo(f"Proposed as number {number}. To use it: tongban encouragement approve {course} {number}")


def approve(course: Course, numbers: Numbers) -> None:
    """Let words be given from now on.

    Example: tongban encouragement approve msc-2026 73 74
    """
    _settle(course, numbers, lambda tx, word: encouragement.approve(tx, word, clock.now()))
    typer.echo("Approved.")


def pause(course: Course, numbers: Numbers) -> None:
    """Let words rest: nobody gets them any more, and what has not left is taken back.

    Example: tongban encouragement pause msc-2026 12
    """
    taken = _settle(course, numbers, lambda tx, word: encouragement.pause(tx, word, clock.now()))
    typer.echo(f"Paused; {sum(count or 0 for count in taken)} messages on their way were taken back.")


def _settle(course: str, numbers: list[int], decide: Callable[[Tx, int], int | None]) -> list[int | None]:
    with desk.at_work() as assembly:

        def work(tx: Tx) -> list[int | None]:
            course_id = courses.by_code(tx, course)
            return [decide(tx, by_number(tx, course_id, number)) for number in numbers]

        return assembly.database.write_now(work)


def plan(
    course: Course,
    *,
    days: Annotated[str, typer.Option(help="Days of the week with commas: mon,thu.", show_default=False)] = "",
    hour: Annotated[str, typer.Option(help="Local time, HH:MM.")] = "12:30",
    zone: Annotated[str, typer.Option(help="An IANA time zone; the course's without it.", show_default=False)] = "",
    hold: Annotated[bool, typer.Option("--pause", help="Pause the plan.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Let it go on from now.")] = False,
) -> None:
    """Plan when the large group gets a warm word, or pause and resume that; the shipped words are adopted where a course has none.

    Example: tongban encouragement plan msc-2026 --days mon,thu --hour 12:30
    """
    if bool(days) + hold + resume != 1:
        raise Invalid("plan", "Say one thing: --days mon,thu makes or changes the plan, --pause and --resume keep it.")
    with desk.at_work() as assembly:
        keyring, database = assembly.tools.keyring, assembly.database
        course_id = database.read_now(lambda tx: courses.by_code(tx, course))

        def work(tx: Tx) -> int:
            if not days:
                encouragement.keep_plan(tx, course_id, clock.now(), going=resume)
                return 0
            encouragement.set_plan(tx, course_id, _weekdays(days), hour, clock.now(), zone=zone or None)
            empty = not encouragement.lines(tx, keyring, course_id)
            return encouragement.adopt(tx, keyring, course_id, clock.now()) if empty else 0

        adopted = database.write_now(work)
    if adopted:
        typer.echo(f"{adopted} shipped words were copied into the course; read them with `tongban encouragement list {course}`.")
    coming(course)


def coming(course: Course, *, count: Annotated[int, typer.Option(help="How many moments.", min=1, max=60)] = 6) -> None:
    """Show the next moments of the plan with the themes of their weeks, and what became of the last ones.

    Example: tongban encouragement next msc-2026
    """
    with desk.at_work() as assembly:
        database = assembly.database
        course_id = database.read_now(lambda tx: courses.by_code(tx, course))
        found = database.read_now(lambda tx: encouragement.plan_of(tx, course_id))
        moments = database.read_now(lambda tx: encouragement.upcoming(tx, course_id, clock.now(), count))
        themes = database.read_now(lambda tx: [words_of_week(tx, course_id, moment) for moment in moments])
    if found is None:
        typer.echo(f"Nothing is planned; tongban encouragement plan {course} --days mon,thu --hour 12:30 plans something.")
        return
    days = ", ".join(name for name, digit in _DAYS.items() if digit in found.days)
    typer.echo(f"{days} at {found.hour} ({found.zone}), {found.state}.")
    rows = [(_shown(moment, found), theme, f"{left} not given yet") for moment, (theme, left) in zip(moments, themes, strict=True)]
    desk.table(("next", "theme", "words"), rows)
    if found.past:
        typer.echo("")
        desk.table(("last", "", ""), [(_shown(moment, found), outcome, _WHY.get(why, "")) for moment, outcome, why in found.past])


def _shown(moment: datetime, line: PlanLine) -> str:
    return f"{moment.astimezone(ZoneInfo(line.zone)):%a %Y-%m-%d %H:%M}"


def _weekdays(typed: str) -> str:
    words = [each.strip().casefold()[:3] for each in typed.replace("，", ",").split(",") if each.strip()]
    if strange := [word for word in words if word not in _DAYS]:
        raise Invalid("days", f"--days takes {', '.join(_DAYS)} with commas, not {strange[0]!r}.")
    return "".join(_DAYS[word] for word in words)
