"""`tongban wave …`: when a course asks which questionnaires, and how far people are with them."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, time
from typing import Annotated

import typer

from app import clock, courses
from app.cli import desk, moments
from app.cli.courses import check_code
from app.cli.courses import find as find_course
from app.db import Tx
from app.errors import Invalid, NotFound
from app.overview import courses as course_lines
from app.questionnaires import overview, waves
from app.questionnaires.overview import Asks, WaveLine
from app.questionnaires.shelf import Shelf
from app.questionnaires.waves import Plan, Rule
from app.states import Asked
from bots.texts import LANGUAGES, Texts

#: The instruments of the study, in its order; before the course the form comes first.
SEVEN = ("scs", "cs24", "dass21", "focs", "swls", "shs", "cams_r")
BASELINE, FORM = "baseline", "intake"

Course = Annotated[str, typer.Argument(help="The course's code.", show_default=False)]
Code = Annotated[str, typer.Argument(help="The wave's code: baseline, post, or a word of your own.", show_default=False)]
Opens = Annotated[str, typer.Option(help='First moment, in the course\'s time zone: "2026-12-01 09:00".', show_default=False)]
Closes = Annotated[str, typer.Option(help="The moment from which on answers are late.", show_default=False)]
_WHOSE = {"imported": "imported", "demonstration": "DEMONSTRATION, never validated", "gone": "ITS FILE IS GONE, put it back"}


def commands() -> typer.Typer:
    """The group `wave`."""
    group = typer.Typer(name="wave", help="Rounds of questionnaires: add, list, show, move, remove.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"add": add, "list": list_waves, "show": show, "move": move, "remove": remove}
    for name, command in named.items():
        group.command(name)(command)
    return group


def add(
    course: Course,
    code: Code,
    opens: Opens,
    closes: Closes,
    *,
    instruments: Annotated[str, typer.Option(help="Codes with commas, in their order; the seven of the study.", show_default=False)] = "",
    title: Annotated[
        list[str] | None, typer.Option(help="What people read, zh=… and en=…; may be given twice.", show_default=False)
    ] = None,
    frame: Annotated[
        list[str] | None, typer.Option(help="What time an instrument asks about: dass21=week; may be repeated.", show_default=False)
    ] = None,
    remind_after: Annotated[
        list[int] | None,
        typer.Option(help="Days after the opening on which the unfinished are reminded; may be repeated.", show_default=False),
    ] = None,
    remind_hour: Annotated[str, typer.Option(help="When they are reminded, HH:MM.")] = "19:00",
    late: Annotated[str, typer.Option(help="What comes after the end: keep (and mark) or refuse.")] = "refuse",
    skips: Annotated[bool, typer.Option("--skips", help="A question may be left out.")] = False,
    shuffled: Annotated[bool, typer.Option("--shuffled", help="Each person has the instruments in an order of their own.")] = False,
) -> None:
    """Plan a round of questionnaires: it opens and closes by itself, and who joins meanwhile is invited too.

    Example: tongban wave add msc-2026 baseline --opens "2026-12-01 09:00" --closes "2026-12-08 19:00" --remind-after 2 --remind-after 4
    """
    check_code(code, "A wave's code")
    rule = Rule(tuple(remind_after or ()), _hour(remind_hour))
    with desk.at_work() as assembly:
        shelf, words, database = assembly.tools.shelf, assembly.tools.words, assembly.database
        course_id, zone = database.read_now(lambda tx: _course(tx, course))
        plan = Plan(
            code=code,
            title=_titles(code, title or (), words),
            opens_at=moments.any_time("--opens", opens, zone),
            closes_at=moments.any_time("--closes", closes, zone),
            instruments=_codes(code, instruments),
            frames=_pairs("--frame", frame or (), "dass21=week"),
            rule=rule,
            late=late,
            skips=skips,
            shuffled=shuffled,
        )
        database.write_now(lambda tx: waves.add(tx, shelf, course_id, plan, clock.now()))
        line = database.read_now(lambda tx: _find(tx, shelf, course, code))
    opens = "at once" if line.opens_at <= clock.now() else f"at {_moments(line)[0]}"
    typer.echo(f"Planned. It opens {opens} and closes at {_moments(line)[1]} ({line.zone}).")
    _print_reminders(line)
    _warn(line)


def list_waves(
    course: Annotated[str | None, typer.Argument(help="The course's code; all courses without it.", show_default=False)] = None,
) -> None:
    """List the waves with their windows and how many people have finished.

    Example: tongban wave list msc-2026
    """
    with desk.at_work() as assembly:
        shelf = assembly.tools.shelf
        if course is not None:
            assembly.database.read_now(lambda tx: courses.by_code(tx, course))
        lines = assembly.database.read_now(lambda tx: overview.every(tx, shelf, course))
    if not lines:
        typer.echo("There are no waves yet; `tongban wave add` plans one.")
        return
    rows = [(x.course, x.code, x.state, *_moments(x), len(x.asks), f"{x.counts[Asked.COMPLETE]}/{x.total}", _marks(x)) for x in lines]
    desk.table(("course", "wave", "state", "opens", "closes", "instruments", "complete", ""), rows)


def show(course: Course, code: Code) -> None:
    """Show a wave: its window, its instruments and in whose words they ask, and how many people stand where.

    Example: tongban wave show msc-2026 baseline
    """
    with desk.at_work() as assembly:
        shelf = assembly.tools.shelf
        line = assembly.database.read_now(lambda tx: _find(tx, shelf, course, code))
    typer.echo(f"{line.course} {line.code}: {' / '.join(line.title[language] for language in LANGUAGES)}")
    typer.echo(f"{_window(line)} It is {line.state}.")
    rules = [f"what comes late is {'kept and marked' if line.late == 'keep' else 'refused'}"]
    rules += ["questions may be left out"] if line.skips else []
    rules += ["each person has an order of their own"] if line.shuffled else []
    typer.echo(f"{'; '.join(rules).capitalize()}.")
    _print_reminders(line)
    typer.echo("")
    desk.table(("instrument", "version", "items", "about", "words"), [_asked(each) for each in line.asks])
    typer.echo("")
    desk.table(("people", ""), [*((count, state.replace("_", " ")) for state, count in line.counts.items()), (line.total, "in all")])
    _warn(line)


def move(
    course: Course,
    code: Code,
    *,
    opens: Annotated[str, typer.Option(help="Another first moment, while it has not opened.", show_default=False)] = "",
    closes: Annotated[str, typer.Option(help="Another end, while it has not closed.", show_default=False)] = "",
) -> None:
    """Move the window of a wave; reminders move with its opening, and invitations that wait name the new end.

    Example: tongban wave move msc-2026 baseline --closes "2026-12-09 19:00"
    """
    if not opens and not closes:
        raise Invalid("window", "Say what to move: --opens or --closes, or both.")
    with desk.at_work() as assembly:
        database, tools = assembly.database, assembly.tools
        wave = database.read_now(lambda tx: waves.find(tx, course, code))
        zone = database.read_now(lambda tx: _course(tx, course))[1]
        opens_at = moments.any_time("--opens", opens, zone) if opens else None
        closes_at = moments.any_time("--closes", closes, zone) if closes else None
        database.write_now(lambda tx: waves.move(tx, tools.keyring, wave.id, opens_at=opens_at, closes_at=closes_at, now=clock.now()))
        line = database.read_now(lambda tx: _find(tx, tools.shelf, course, code))
    typer.echo(f"Moved. {_window(line)}")
    _print_reminders(line)


def remove(course: Course, code: Code) -> None:
    """Take back a wave that has not opened, for example to plan it again in other words.

    Example: tongban wave remove msc-2026 baseline
    """
    with desk.at_work() as assembly:
        wave = assembly.database.read_now(lambda tx: waves.find(tx, course, code))
        assembly.database.write_now(lambda tx: waves.remove(tx, wave.id, clock.now()))
    typer.echo("Removed; nobody was invited.")


# What was typed ------------------------------------------------------------------------------------------------------------------------


def _course(tx: Tx, code: str) -> tuple[int, str]:
    line = find_course(course_lines(tx), courses.by_code(tx, code))
    return line.id, line.zone


def _find(tx: Tx, shelf: Shelf, course: str, code: str) -> WaveLine:
    found = overview.every(tx, shelf, course, code)
    if not found:
        raise NotFound("wave", f"The course {course!r} has no wave {code!r}; `tongban wave list` shows what there is.")
    return found[0]


def _codes(code: str, typed: str) -> tuple[str, ...]:
    if typed:
        return tuple(each.strip().casefold() for each in re.split("[,，]", typed) if each.strip())
    return (FORM, *SEVEN) if code == BASELINE else SEVEN


def _titles(code: str, typed: Sequence[str], words: Texts) -> dict[str, str]:
    """The titles that were given; for a language without one, what such a wave is called anyhow."""
    key = f"wave.{code}" if f"wave.{code}" in words.keys() else "wave.other"  # noqa: SIM118 - `Texts` is no dict
    return {language: str(words.fill(key, language)) for language in LANGUAGES} | _pairs("--title", typed, "zh=课程前问卷")


def _pairs(option: str, typed: Sequence[str], example: str) -> dict[str, str]:
    pairs = [each.partition("=") for each in typed]
    if strange := [name for name, equals, value in pairs if not (name.strip() and equals and value.strip())]:
        raise Invalid("option", f"{option} {strange[0]!r} does not work; write it like {option} {example}.")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _hour(typed: str) -> time:
    try:
        if re.fullmatch(r"\d\d:\d\d", typed):
            return time.fromisoformat(typed)
    except ValueError:
        pass
    raise Invalid("time", f"--remind-hour {typed!r} is no time of day; write it like 19:00.")


# What is shown -------------------------------------------------------------------------------------------------------------------------


def _moments(line: WaveLine) -> tuple[str, str]:
    return moments.shown(line.opens_at, line.zone), moments.shown(line.closes_at, line.zone)


def _window(line: WaveLine) -> str:
    opens, closes = _moments(line)
    return f"It opens at {opens} and closes at {closes} ({line.zone})."


def _print_reminders(line: WaveLine) -> None:
    """The moments at which the unfinished are reminded; one outside the window is never sent, and that is said."""
    if not line.reminders:
        typer.echo("Nobody is reminded, but for who asks for it.")
        return
    typer.echo(f"The unfinished are reminded at {', '.join(_reminder(line, moment) for moment in line.reminders)}.")


def _reminder(line: WaveLine, moment: datetime) -> str:
    inside = line.opens_at < moment < line.closes_at
    return moments.shown(moment, line.zone) + ("" if inside else " (OUTSIDE THE WINDOW: never sent)")


def _asked(each: Asks) -> tuple[str, int, int, str, str]:
    whose = _WHOSE.get(each.whose, f"its file ({each.whose})")
    return each.code, each.version, each.items, each.frame or "", f"{whose} {(each.checksum or '')[:8]}".strip()


def _marks(line: WaveLine) -> str:
    return "DEMONSTRATION WORDING" if line.demonstrations else ""


def _warn(line: WaveLine) -> None:
    if line.demonstrations:
        typer.echo(
            f"DEMONSTRATION WORDING, never validated: {', '.join(line.demonstrations)}. What people answer to it measures nothing. "
            "Bring the authors' words (tongban instrument wording template CODE), then remove the wave and add it again, before it opens.",
            err=True,
        )
