"""`tongban question …`: what members asked their leaders: list what waits, show one, answer for whoever cannot, call again."""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer

from app import clock, courses, ids, overview
from app.cli import desk
from app.cli.on_duty import InCourse
from app.cli.plain import plain
from app.db import Tx
from app.errors import AppError, Conflict, Forbidden, Invalid
from app.groups import Refused
from app.questions import answering, calling, views
from app.questions.views import Row
from bots.question.views import Question

Number = Annotated[int, typer.Argument(min=1, max=999_999_999, help="A question's number, as `list` shows it.", show_default=False)]
#: An answer on standard input may be no longer: what else is piped in by mistake is not read to its end.
_MOST_BYTES = 64 * 1024


def commands() -> typer.Typer:
    """The group `question`."""
    group = typer.Typer(name="question", help="Questions to the leaders of groups: list, show, answer, call.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"list": list_rows, "show": show, "answer": answer, "call": call}
    for name, command in named.items():
        group.command(name)(command)
    return group


def list_rows(
    *, course: InCourse = None, everything: Annotated[bool, typer.Option("--all", help="Also those that were answered or ended.")] = False
) -> None:
    """List the questions that wait for an answer, with the clock of each; no names, and no word of anybody's.

    Example: tongban question list
    """
    with desk.at_work() as assembly:
        found = assembly.database.read_now(lambda tx: views.rows(tx, _course(tx, course), everything=everything))
    if not found:
        typer.echo("Nobody has asked anything yet." if everything else "Nothing waits for an answer; --all shows what was answered.")
        return
    now = clock.now()
    desk.table(("no.", "course", "group", "asked", "state", "next by itself"), [_line(row, now) for row in found])


def show(
    number: Number,
    *,
    course: InCourse = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Also names and words; that you looked is written down.")] = False,
) -> None:
    """Show how one question stands; who asked and what was said only with --reveal.

    Example: tongban question show 3 --reveal
    """
    with desk.at_work() as assembly:
        keyring, now = assembly.tools.keyring, clock.now()
        row = assembly.database.read_now(lambda tx: views.by_number(tx, number, _course(tx, course)))
        opened = assembly.database.write_now(lambda tx: views.reveal(tx, keyring, row.id, now)) if reveal else None
    for name, words in _told(row, now):
        typer.echo(f"{name:9} {words}")
    if opened is not None:
        _print_revealed(opened)
    else:
        typer.echo(f"Who asked and what was said: tongban question show {number} --reveal (this is written down)")


def answer(
    number: Number,
    text: Annotated[
        str, typer.Argument(help="The answer; - reads it from standard input, out of the shell's history.", show_default=False)
    ] = "-",
    *,
    course: InCourse = None,
    person: Annotated[
        str | None,
        typer.Option(
            "--as", help="Name, number or id of the leader or assistant who answers; without it: the course team.", show_default=False
        ),
    ] = None,
) -> None:
    """Answer a question, for a leader or assistant who cannot write in WeChat, or as the course team.

    Example: tongban question answer 3 --as 李老师 -
    """
    words = _words(text)
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring

        def work(tx: Tx) -> None:
            row, now = views.by_number(tx, number, _course(tx, course)), clock.now()
            if person is None:
                answering.answer_for_team(tx, keyring, row.id, words, now)
                return
            author = overview.person(tx, keyring, person).id
            answering.claim(tx, author, row.id, now, actor="operator")
            answering.answer(tx, keyring, author, row.id, words, ids.new_id(), now, actor="operator")

        try:
            assembly.database.write_now(work)
        except Refused as refused:
            raise _in_words(refused, number, person) from None
    typer.echo(f"Question {number} is answered; the answer is on its way to whoever asked.")


def call(number: Number, *, course: InCourse = None) -> None:
    """Call the leader and assistants once more for a question that nobody has taken; after a restore nothing else does.

    Example: tongban question call 3
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring

        def work(tx: Tx) -> tuple[Row, int]:
            row = views.by_number(tx, number, _course(tx, course))
            return row, calling.call_by_hand(tx, keyring, row.id, clock.now(), actor="operator")

        row, called = assembly.database.write_now(work)
    if row.state != "open":
        raise Conflict("state", f"Question {number} is {_state(row.state)}; only what is open is called for.")
    if not called:
        raise Conflict("nobody", f"The group {row.group} has neither leader nor assistant; invite one: tongban staff invite leader.")
    typer.echo(f"{called} {'person is' if called == 1 else 'people are'} called for question {number}.")


def _course(tx: Tx, course: str | None) -> int | None:
    return None if course is None else courses.by_code(tx, course)


def _words(given: str) -> str:
    if given != "-":
        return given
    raw = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise Invalid("answer", "What comes on standard input is too long for an answer; write what matters.")
    try:
        return raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Invalid("answer", "What comes on standard input is no text in UTF-8; write the answer anew.") from None


def _in_words(refused: Refused, number: int, person: str | None) -> AppError:
    match refused.code:
        case "taken":
            return Conflict(
                "taken", f"Somebody has taken question {number}; `tongban question show {number}` says who, answer with --as them."
            )
        case "foreign":
            return Forbidden(
                "foreign", f"{person} is neither leader nor assistant of the group of question {number}, or asked it themself."
            )
        case "gone":
            return Conflict("gone", f"Question {number} is over; `tongban question show {number}` says how.")
        case _:
            return Invalid(refused.code, refused.sentence)


def _line(row: Row, now: datetime) -> tuple[object, ...]:
    ago = desk.length(max(0.0, (now - row.asked_at).total_seconds()))
    return row.number, row.course, row.group, f"{_moment(row.asked_at)} ({ago} ago)", _state(row.state), _next(row)


def _told(row: Row, now: datetime) -> list[tuple[str, str]]:
    told = [
        ("question", f"{row.number}, course {row.course}, group {row.group}"),
        ("asked", f"{_moment(row.asked_at)} ({desk.length(max(0.0, (now - row.asked_at).total_seconds()))} ago)"),
        ("state", f"{_state(row.state)} since {_moment(row.changed_at)}"),
    ]
    if row.answerer_id is not None:
        told.append(("answerer", f"person {row.answerer_id}"))
    return [*told, ("said", f"{row.said} times"), ("next", _next(row))]


def _state(state: str) -> str:
    return state.replace("_", " ")


def _next(row: Row) -> str:
    """What happens by itself, and when."""
    if row.state not in ("open", "claimed"):
        return "-"
    if row.next_at is None:
        return "nothing" if row.step > 2 else f"nothing: tongban question call {row.number}"
    what = {"claimed": ("reminded", "released")}.get(row.state, ("called again", "called again", "mentor told"))
    return f"{what[min(row.step, len(what) - 1)]} {_moment(row.next_at)}"


def _print_revealed(opened: Question) -> None:
    typer.echo("")
    typer.echo(f"{'person':9} {plain(opened.asker or '(no name)')}")
    for line in opened.lines:
        who = "asked" if line.asked else f"answer by {line.by or 'the course team'}"
        typer.echo(f"{_moment(line.at)} {plain(who)}: {plain(line.words or '(deleted)')}")
    if not opened.lines:
        typer.echo("Nothing that was said is left.")


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"
