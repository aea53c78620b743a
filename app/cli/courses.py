"""`tongban course …`: courses, their texts, their hours and limits."""

import re
from collections.abc import Callable
from datetime import date, time
from pathlib import Path
from typing import Annotated

import typer

from app import accounts, clock, courses, overview
from app.cli import calendars, desk, moments, on_duty, placing
from app.errors import Invalid
from app.overview import CourseLine
from bots.texts import LANGUAGES

_MOST_TEXT_BYTES = 20_000

Code = Annotated[str, typer.Argument(help="The course's code.", show_default=False)]
TextFile = Annotated[Path | None, typer.Option(help="Text file in UTF-8.", show_default=False, dir_okay=False)]


def commands() -> typer.Typer:
    """The group `course`."""
    group = typer.Typer(
        name="course",
        help="Courses: create, list, show, consent, quiet hours, cap, second eyes, assignment to groups, calendar.",
        no_args_is_help=True,
    )
    named: dict[str, Callable[..., None]] = {
        "create": create,
        "list": list_courses,
        "show": show,
        "consent": consent,
        "quiet-hours": quiet_hours,
        "cap": cap,
        "assign": placing.assign,
        "second-eyes": second_eyes,
        **calendars.named(),
    }
    for name, command in named.items():
        group.command(name)(command)
    return group


def create(
    code: Code,
    title: Annotated[str, typer.Option(help="What participants read.", show_default=False)],
    account: Annotated[str, typer.Option(help="Name of the WeChat account that carries it.", show_default=False)],
    *,
    starts_on: Annotated[str, typer.Option(help="First day, YYYY-MM-DD.")] = "",
    zone: Annotated[str, typer.Option(help="Its IANA time zone.")] = "Asia/Shanghai",
    large_group: Annotated[str, typer.Option(help="Name of the group of everybody.")] = "大群",
) -> None:
    """Create a course with its large group.

    Example: tongban course create msc-2026 --title 正念自我关怀 --account msc --starts-on 2026-03-02
    """
    check_code(code, "A course's code")
    calendars.check_zone(zone)
    first_day = _day(starts_on) if starts_on else None
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring
        assembly.database.write_now(
            lambda tx: courses.create(
                tx,
                keyring,
                clock.now(),
                account_id=accounts.by_name(tx, account),
                code=code,
                title=title,
                zone=zone,
                starts_on=first_day,
                large_group=large_group,
            )
        )
    typer.echo(f"Created. Next: tongban group create dawn --course {code} --name 晨光组; tongban oncall add --course {code} --email …")


def list_courses() -> None:
    """List the courses.

    Example: tongban course list
    """
    with desk.at_work() as assembly:
        lines = assembly.database.read_now(overview.courses)
    desk.table(
        ("code", "title", "account", "quiet hours", "consent"),
        [(c.code, c.title, c.account, "-".join(c.quiet), c.consent_version) for c in lines],
    )


def show(code: Code) -> None:
    """Show a course with its groups and who is on call.

    Example: tongban course show msc-demo
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring
        course = assembly.database.read_now(lambda tx: find(overview.courses(tx), courses.by_code(tx, code)))
        groups = assembly.database.read_now(lambda tx: overview.groups(tx, course.id))
        called = assembly.database.read_now(lambda tx: overview.on_call(tx, keyring, course.id))
    own = ", ".join(course.texts["consent"]) or "none of its own, the shipped template is shown"
    typer.echo(f"{course.code}  {course.title}  (account {course.account}, {course.zone}, quiet {'-'.join(course.quiet)})")
    typer.echo(f"consent {course.consent_version}: {own}")
    typer.echo(_cap_words(course.cap))
    typer.echo(_eyes_words(course.second_eyes))
    now = clock.now()
    for begin, end in course.silences:
        if end > now:
            typer.echo(f"silent from {moments.shown(begin, course.zone)} to {moments.shown(end, course.zone)}")
    desk.table(("group", "name", "members"), [(g.code, g.name, ", ".join(f"{n} {role}" for role, n in g.members.items())) for g in groups])
    on_duty.print_on_call(called)


def consent(
    code: Code,
    version: Annotated[
        str, typer.Option(help="A new word for this version of the text, as the ethics committee knows it.", show_default=False)
    ],
    *,
    zh: TextFile = None,
    en: TextFile = None,
    resources_zh: TextFile = None,
    resources_en: TextFile = None,
) -> None:
    """Give a course its own consent text, and the help lines that people in need are shown.

    Example: tongban course consent msc-2026 --version ethics-2026-01 --zh consent.zh.txt --en consent.en.txt
    """
    texts = {"consent": {"zh": zh, "en": en}, "resources": {"zh": resources_zh, "en": resources_en}}
    read = {kind: {language: _text(path) for language, path in files.items() if path is not None} for kind, files in texts.items()}
    if not read["consent"]:
        raise Invalid("consent", "A version needs a text: give --zh and --en, a text file each.")
    with desk.at_work() as assembly:
        assembly.database.write_now(lambda tx: courses.set_texts(tx, courses.by_code(tx, code), version, read, clock.now()))
    missing = [language for language in LANGUAGES if language not in read["consent"]]
    typer.echo(f"The consent text is now version {version}; whoever joins from now on reads it.")
    if missing:
        typer.echo(f"There is none in {', '.join(missing)}: readers of that language see the shipped template.", err=True)


def quiet_hours(
    code: Code,
    begin: Annotated[str, typer.Argument(help="Local time, HH:MM.", show_default=False)],
    end: Annotated[str, typer.Argument(help="Local time, HH:MM; equal to the first: no quiet hours.", show_default=False)],
) -> None:
    """Set the hours in which nothing is started; answers and alerts go at any hour.

    Example: tongban course quiet-hours msc-demo 22:00 08:00
    """
    for moment in (begin, end):
        _check_time(moment)
    with desk.at_work() as assembly:
        assembly.database.write_now(lambda tx: courses.set_quiet_hours(tx, courses.by_code(tx, code), begin, end))
    typer.echo("No quiet hours." if begin == end else f"Quiet from {begin} to {end}.")


def cap(
    code: Code,
    messages: Annotated[str, typer.Argument(help="Messages per person and day, or none for no cap.", show_default=False)],
) -> None:
    """Start at most so many messages with each person on one day, over all bots; answers and alerts go anyhow.

    What is over the cap goes on the next day, the more important first, and what is left over from a day never takes the whole next one.

    Example: tongban course cap msc-demo 4
    """
    most = _number(messages)
    with desk.at_work() as assembly:
        assembly.database.write_now(lambda tx: courses.set_cap(tx, courses.by_code(tx, code), most, clock.now()))
    typer.echo(f"{_cap_words(most).capitalize()}.")


def second_eyes(
    code: Code,
    people: Annotated[
        str, typer.Argument(help="To how many an announcement may go by itself, or never for no second look.", show_default=False)
    ],
) -> None:
    """Let an announcement to more people than this wait until an administrator or mentor, not its author, has seen and approved it.

    Example: tongban course second-eyes msc-demo 60
    """
    above = _people(people)
    with desk.at_work() as assembly:
        assembly.database.write_now(lambda tx: courses.set_second_eyes(tx, courses.by_code(tx, code), above, clock.now()))
    typer.echo(f"{_eyes_words(above).capitalize()}.")


def find(lines: list[CourseLine], course_id: int) -> CourseLine:
    """The course with this id."""
    return next(line for line in lines if line.id == course_id)


def check_code(word: str, what: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", word):
        raise Invalid("code", f"{what} holds 1 to 32 small letters, digits and dashes, like msc-2026.")


def _check_time(text: str) -> None:
    try:
        fits = bool(re.fullmatch(r"\d\d:\d\d", text)) and time.fromisoformat(text) is not None
    except ValueError:
        fits = False
    if not fits:
        raise Invalid("time", f"{text!r} is no time of day; write it like 22:00.")


def _number(text: str) -> int | None:
    if text.strip().lower() == "none":
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise Invalid("cap", f"{text!r} is no number of messages; write it like 4, or none.")
    return int(text)


def _people(text: str) -> int:
    if text.strip().lower() == "never":
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise Invalid("second_eyes", f"{text!r} is no number of people; write it like 60, or never.")
    return int(text)


def _eyes_words(above: int) -> str:
    return (
        f"an announcement to more than {above} people waits for a second person" if above else "no announcement waits for a second person"
    )


def _cap_words(most: int | None) -> str:
    return "no cap on messages per person and day" if most is None else f"at most {most} started messages per person and day"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid("date", f"{text!r} is no day of the calendar; write it like 2026-03-02.") from None


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        raise Invalid("file", f"{path} is not a readable text file in UTF-8.") from None
    if not text or len(text.encode()) > _MOST_TEXT_BYTES:
        raise Invalid("file", f"{path} must hold between 1 and {_MOST_TEXT_BYTES} bytes of text.")
    return text
