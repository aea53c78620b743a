"""`tongban deliveries …`: what a person decides of messages that were held by a restore, or of which nobody knows whether they arrived."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from app import clock, courses, doubts, schedules
from app.assembly import Assembly
from app.cli import desk
from app.cli.on_duty import InCourse
from app.db import Tx
from app.doubts import Chosen
from app.errors import Invalid
from app.states import IN_DOUBT, State

Ids = Annotated[
    list[int] | None, typer.Argument(help="Ids of deliveries; `tongban deliveries list --each` shows them.", show_default=False)
]
Announcement = Annotated[int | None, typer.Option(help="Number of an announcement.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
OneState = Annotated[str | None, typer.Option(help="held or unknown; both where it is left out.", show_default=False)]
_MOST = 200


def commands() -> typer.Typer:
    """The group `deliveries`."""
    group = typer.Typer(name="deliveries", help="Messages in doubt: list, release, send again, write off.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"list": list_doubts, "release": release, "send-again": send_again, "write-off": write_off}
    for name, command in named.items():
        group.command(name)(command)
    group.command("resume-alerts")(resume_alerts)
    return group


def list_doubts(
    *,
    state: OneState = None,
    course: InCourse = None,
    announcement: Announcement = None,
    each: Annotated[bool, typer.Option("--each", help="One line a delivery, with its id; at most 200.")] = False,
) -> None:
    """List what waits for a decision: held after a restore, or unknown because WeChat's answer was lost.

    Example: tongban deliveries list --state unknown
    """
    states = _states(state)
    with desk.at_work() as assembly:
        chosen = _chosen(assembly, (), announcement, course)
        found = assembly.database.read_now(lambda tx: doubts.lines(tx, chosen, states, clock.now()))
        single = assembly.database.read_now(lambda tx: doubts.each(tx, chosen, states, _MOST)) if each else []
    if not found:
        typer.echo("Nothing is held and nothing is in doubt.")
        return
    if each:
        rows = [(one.id, one.person_id, one.state, one.reason, one.code or "", f"{one.since:%Y-%m-%d %H:%M}Z") for one in single]
        desk.table(("id", "person", "state", "reason", "code", "since"), rows)
    else:
        desk.table(
            ("no.", "kind", "course", "group", "state", "reason", "count", "past use", "since"),
            [
                (x.number or "", x.kind, x.course or "", x.group or "", x.state, x.reason, x.count, x.stale, f"{x.since:%Y-%m-%d %H:%M}Z")
                for x in found
            ],
        )
    typer.echo(f"{sum(line.count for line in found)} in all.")


def release(
    ids: Ids = None, *, announcement: Announcement = None, course: InCourse = None, everything: All = False, yes: Yes = False
) -> None:
    """Let held messages go out; each is rechecked first, and what is past its use expires instead.

    Example: tongban deliveries release --announcement 3
    """
    question = (
        "They may have arrived already, after the backup was taken. Let {count} messages go ({stale} are past their use and will expire)?"
    )
    _decide(_Asked(ids, announcement, course, everything, yes), (State.HELD,), question, doubts.release, "go out")


def send_again(
    ids: Ids = None, *, announcement: Announcement = None, course: InCourse = None, everything: All = False, yes: Yes = False
) -> None:
    """Send once more what may have arrived: whoever got it already gets it twice. What is past its use stays as it is.

    Example: tongban deliveries send-again 4711
    """
    question = "Whoever got it already gets it twice. Send {count} messages again ({stale} are past their use and stay as they are)?"
    _decide(_Asked(ids, announcement, course, everything, yes), (State.UNKNOWN,), question, doubts.send_again, "are sent again")


def write_off(
    ids: Ids = None,
    *,
    state: OneState = None,
    announcement: Announcement = None,
    course: InCourse = None,
    everything: All = False,
    yes: Yes = False,
) -> None:
    """Give messages up: what is held is cancelled, what is unknown stays unknown and is listed no longer.

    Example: tongban deliveries write-off --state unknown --all
    """
    states = _states(state)
    question = "Write {count} messages off? They are never sent."
    asked = _Asked(ids, announcement, course, everything, yes)
    _decide(asked, states, question, lambda tx, chosen, now: doubts.write_off(tx, chosen, states, now), "are written off")


def resume_alerts(*, yes: Yes = False) -> None:
    """Go on calling the people on duty for flags that were open in a restored backup.

    Example: tongban deliveries resume-alerts
    """
    with desk.at_work() as assembly:
        if not yes and not typer.confirm("The people on duty are called for every open flag of the last day. Go on?"):
            raise typer.Abort
        count = assembly.database.write_now(lambda tx: doubts.resume_alerts(tx, clock.now()))
    typer.echo(f"{count} flags are called for again.")


@dataclass(frozen=True)
class _Asked:
    """What somebody typed behind the command."""

    ids: list[int] | None
    announcement: int | None
    course: str | None
    everything: bool
    yes: bool


def _decide(asked: _Asked, states: Sequence[State], question: str, decide: Callable[[Tx, Chosen, datetime], int], done: str) -> None:
    """Show what is meant, ask, and carry it out a chunk at a time."""
    if not (asked.ids or asked.announcement is not None or asked.course is not None or asked.everything):
        raise Invalid("which", "Which ones? Name ids, --announcement NUMBER, --course CODE, or say --all.")
    with desk.at_work() as assembly:
        chosen = _chosen(assembly, tuple(asked.ids or ()), asked.announcement, asked.course)
        found = assembly.database.read_now(lambda tx: doubts.lines(tx, chosen, states, clock.now()))
        count, stale = sum(line.count for line in found), sum(line.stale for line in found)
        if not count:
            typer.echo("There is nothing of the kind; `tongban deliveries list` shows what is in doubt.")
            return
        if not asked.yes and not typer.confirm(question.format(count=count, stale=stale)):
            raise typer.Abort
        total = 0
        while some := assembly.database.write_now(lambda tx: decide(tx, chosen, clock.now())):
            total += some
    typer.echo(f"{total} messages {done}.")


def _chosen(assembly: Assembly, ids: tuple[int, ...], announcement: int | None, course: str | None) -> Chosen:
    def work(tx: Tx) -> Chosen:
        if announcement is not None:
            return Chosen(ids, schedules.by_number(tx, announcement, course))
        return Chosen(ids, None, None if course is None else courses.by_code(tx, course))

    return assembly.database.read_now(work)


def _states(word: str | None) -> tuple[State, ...]:
    if word is None:
        return IN_DOUBT
    if word not in IN_DOUBT:
        raise Invalid("state", f"--state {word!r} does not work: it is held or unknown.")
    return (State(word),)
