"""`tongban flags …`: people who may be in danger, from the cry to the closing note: list them, take over, log contacts, close."""

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated

import typer

from app import clock, flags, overview
from app.cli import desk
from app.cli.plain import plain
from app.db import Tx
from app.errors import Conflict, Invalid
from app.flags import Line, Revealed, Story
from app.groups import Refused
from bots.questionnaire.thresholds import from_answers
from bots.safety.labels import label
from bots.texts import LANGUAGES

Number = Annotated[int, typer.Argument(min=1, max=999_999_999, help="A flag's number, as the alert names it.", show_default=False)]
Note = Annotated[
    str,
    typer.Option(
        help="What to note down; - reads it from standard input, so that it does not stay in the shell's history.", show_default=False
    ),
]
Language = Annotated[str, typer.Option("--language", help="zh or en: in which language a flag's sign is named.")]
#: A note on standard input may be no longer: what else is piped in by mistake is not read to its end.
_MOST_BYTES = 64 * 1024


def commands() -> typer.Typer:
    """The group `flags`."""
    group = typer.Typer(name="flags", help="People who may be in danger: list, show, take, contact, close.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"list": list_lines, "show": show, "take": take, "contact": contact, "close": close}
    for name, command in named.items():
        group.command(name)(command)
    return group


def list_lines(
    *, everything: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False, language: Language = LANGUAGES[1]
) -> None:
    """List flags that are not closed, with the clock of each; no names.

    Example: tongban flags list
    """
    _check(language)
    with desk.at_work() as assembly:
        found = assembly.database.read_now(lambda tx: flags.lines(tx, closed=everything))
    if not found:
        typer.echo("There is no flag." if everything else "No flag is open; --all shows those that were closed.")
        return
    now = clock.now()
    head = ("no.", "course", "sign", "raised", "taken", "contacts", "closed")
    desk.table(head, [_row(line, language, now) for line in found])


def show(
    number: Number,
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Also name, words and notes; that you looked is written down.")] = False,
    language: Language = LANGUAGES[1],
) -> None:
    """Show one flag from the cry to its end; who it is, what they wrote and what was noted only with --reveal.

    Example: tongban flags show 3 --reveal
    """
    _check(language)
    with desk.at_work() as assembly:
        keyring, now = assembly.tools.keyring, clock.now()
        told = assembly.database.read_now(lambda tx: flags.story(tx, number))
        opened = assembly.database.write_now(lambda tx: flags.reveal(tx, keyring, number, now)) if reveal else None
    for name, words in _told(told, language, now):
        typer.echo(f"{name:9} {words}")
    if opened is not None:
        _print_revealed(told, opened)
    elif not told.erased:
        typer.echo(f"Who it is and what was noted: tongban flags show {number} --reveal (this is written down)")


def take(
    number: Number,
    *,
    person: Annotated[
        str | None,
        typer.Option(
            "--as", help="Name, number or id of the person on call who takes over; without it: you, the operator.", show_default=False
        ),
    ] = None,
) -> None:
    """Take a flag over, for whoever cannot tap it in WeChat; nobody else is called for it then.

    Example: tongban flags take 3 --as 李老师
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring

        def work(tx: Tx) -> None:
            flags.story(tx, number)  # a number that does not exist has a sentence of its own
            if person is None:
                flags.take_over(tx, number, clock.now())
            else:
                flags.acknowledge(tx, number, overview.person(tx, keyring, person).id, clock.now(), actor="operator")

        try:
            assembly.database.write_now(work)
        except Refused as refused:
            raise _in_words(refused, number, person) from None
    typer.echo(f"Flag {number} is taken over; nobody else is called for it. Log every contact: tongban flags contact {number} --note -")


def contact(number: Number, *, note: Note) -> None:
    """Log a try to talk with the person: when is known, what was said or agreed stands in the note.

    Example: tongban flags contact 3 --note -
    """
    words = _note(note)
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring

        def work(tx: Tx) -> Line:
            flags.note_contact(tx, keyring, number, words, clock.now())
            return flags.story(tx, number).line

        line = assembly.database.write_now(work)
    typer.echo(f"Logged: contact {line.contacts} of flag {number}.")
    if line.taken_at is None:
        typer.echo(f"Nobody has taken it over yet, so people on call are still alerted: tongban flags take {number}", err=True)


def close(number: Number, *, note: Note) -> None:
    """End a flag that was taken over, with a note how it ended.

    Example: tongban flags close 3 --note -
    """
    words = _note(note)
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring
        kept = assembly.database.write_now(lambda tx: flags.close(tx, keyring, number, words, clock.now()))
    typer.echo(f"Flag {number} is closed." if kept else f"Flag {number} is closed. The person was erased, so the note was not kept.")


def _check(language: str) -> None:
    if language not in LANGUAGES:
        raise Invalid("language", f"There is no {language!r} here; choose {' or '.join(LANGUAGES)}.")


def _note(given: str) -> str:
    if given != "-":
        return given
    raw = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise Invalid("note", "What comes on standard input is too long for a note; write what matters.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("note", "What comes on standard input is no text in UTF-8; write the note anew.") from None


def _in_words(refused: Refused, number: int, person: str | None) -> Conflict:
    if refused.code == "taken":
        return Conflict("taken", f"Flag {number} was taken over before; `tongban flags show {number}` says when.")
    return Conflict(
        "foreign", f"{person} is not on call for the course of flag {number}; `tongban oncall list` names who is, or leave --as out."
    )


def _row(line: Line, language: str, now: datetime) -> tuple[object, ...]:
    taken = "not yet" if line.taken_after is None else f"after {_long(line.taken_after)}"
    closed = "" if line.closed_at is None else _moment(line.closed_at)
    sign = label(line.rule, language)
    return (
        line.number,
        line.course or "-",
        sign,
        f"{_moment(line.raised_at)} ({_long(now - line.raised_at)} ago)",
        taken,
        line.contacts,
        closed,
    )


def _told(story: Story, language: str, now: datetime) -> list[tuple[str, str]]:
    """What happened, a line each."""
    line = story.line
    who = "the operator" if story.taken_by is None else f"person {story.taken_by}"
    told = [
        ("flag", f"{line.number}, {f'course {line.course}' if line.course else 'in no course'}"),
        ("sign", label(line.rule, language)),
        ("raised", f"{_moment(line.raised_at)} ({_long(now - line.raised_at)} ago)"),
    ]
    told += [("again", f"{_moment(at)} {label(rule, language)}") for at, rule in story.again]
    called = {0: "nobody", 1: "once"}.get(story.calls, f"{story.calls} times")
    told.append(("called", called + (f", the next time at {_moment(story.next_call_at)}" if story.next_call_at else "")))
    if line.taken_at is None or line.taken_after is None:
        told.append(("taken", f"not yet: tongban flags take {line.number}"))
    else:
        told.append(("taken", f"{_moment(line.taken_at)}, after {_long(line.taken_after)}, by {who}"))
    told += [("contact", _moment(at)) for at in story.contacted_at]
    if line.closed_at is not None:
        told.append(("closed", _moment(line.closed_at)))
    if story.erased:
        told.append(("person", "erased: neither name nor words nor notes are left"))
    return told


def _print_revealed(story: Story, opened: Revealed) -> None:
    if story.erased:
        return
    typer.echo("")
    typer.echo(f"{'person':9} {plain(opened.name or '(no name)')} ({story.person_id})")
    if from_answers(story.line.rule):
        typer.echo(f"{'words':9} none: answers to a questionnaire raised it, and they are not shown")
    else:
        typer.echo(f"{'words':9} {plain(opened.words or '(none)')}")
    for at, note in opened.notes:
        typer.echo(f"{'contact':9} {_moment(at)} {plain(note or '(none)')}")
    if opened.closing is not None:
        typer.echo(f"{'closing':9} {plain(opened.closing)}")


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"


def _long(time: timedelta) -> str:
    return desk.length(max(0.0, time.total_seconds()))
