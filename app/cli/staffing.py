"""`tongban staff hand-over | end | absent | back | absences`: who does a leader's work when they go, or are away."""

from collections.abc import Callable
from typing import Annotated

import typer

from app import clock, courses, groups, overview, staffing
from app.assembly import Assembly
from app.cli import desk, moments
from app.cli.on_duty import InCourse
from app.db import Tx
from app.errors import AppError, Conflict, Forbidden, Invalid, NotFound
from app.groups import Refused
from app.keyring import Keyring
from bots.staffing.period import read_period

InGroup = Annotated[str, typer.Option(help="The group's code.", show_default=False)]
_WHO = "Id, participant number, or name."


def hand_over(
    former: Annotated[str, typer.Argument(metavar="FROM", help=f"Who goes. {_WHO}", show_default=False)],
    successor: Annotated[
        str, typer.Argument(metavar="TO", help=f"Who takes over, staff of the course already. {_WHO}", show_default=False)
    ],
    group: InGroup,
    *,
    course: InCourse = None,
    stays: Annotated[bool, typer.Option("--stays", help="FROM keeps their role; only the work goes over.")] = False,
) -> None:
    """Hand a group over: planned announcements, practice prompts, questions that were taken, the role. Both are told in the chat.

    Drafts in FROM's chat are sealed under their own key, so TO cannot get them: they are dropped, and both are told how many.

    Example: tongban staff hand-over 李老师 小王 --group dawn
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring

        def work(tx: Tx) -> staffing.HandedOver:
            group_id = _group(tx, group, course)
            from_id, to_id = (overview.person(tx, keyring, each).id for each in (former, successor))
            return staffing.hand_over(tx, keyring, group_id, from_id, to_id, clock.now(), stays=stays)

        got = assembly.database.write_now(work)
    kinds = (got.announcements, "planned announcement"), (got.prompts, "practice prompt"), (got.questions, "question")
    typer.echo(f"Handed over to {successor}: {', '.join(_many(numbers, kind) for numbers, kind in kinds)}.")
    if got.drafts:
        typer.echo(f"Dropped, because only {former} could read them: {got.drafts} drafts.")
    if not stays:
        typer.echo(f"{former} is staff of {group} no longer.")


def end(
    who: Annotated[str, typer.Argument(help=_WHO, show_default=False)],
    group: InGroup,
    *,
    course: InCourse = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End somebody's roles as leader and assistant of a group, without a successor.

    What they planned is refused when it should go out, and they are told; questions they took are everybody's again.

    Example: tongban staff end 李老师 --group dawn
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring
        if not yes and not typer.confirm(f"End every role of {who} in {group}? `tongban staff hand-over` gives their work to somebody."):
            raise typer.Abort

        def work(tx: Tx) -> int:
            group_id, person_id = _group(tx, group, course), overview.person(tx, keyring, who).id
            held = groups.roles_of_staff(tx, group_id, person_id)
            for role in held:
                staffing.end_role(tx, group_id, person_id, role, clock.now(), why="ended")
            return len(held)

        ended = assembly.database.write_now(work)
    if not ended:
        raise NotFound("role", f"{who} is neither leader nor assistant of {group}; `tongban person find` shows who is what.")
    typer.echo(f"{who} is staff of {group} no longer.")


def absent(
    who: Annotated[str, typer.Argument(help=f"The leader. {_WHO}", show_default=False)],
    group: InGroup,
    cover: Annotated[str, typer.Option(help="Who is called first meanwhile: an assistant of the group.", show_default=False)],
    until: Annotated[str, typer.Option(help="The last day, or a moment, in the course's time zone.", show_default=False)],
    *,
    start: Annotated[str, typer.Option("--from", help="The first day, or a moment; now where it is left out.")] = "",
    course: InCourse = None,
) -> None:
    """Let a leader be away from a group; whoever covers is told, and it ends by itself.

    Example: tongban staff absent 李老师 --group dawn --cover 小王 --from tomorrow --until Friday
    """
    with desk.at_work() as assembly:
        zone = assembly.database.read_now(lambda tx: overview.course_of_group(tx, _group(tx, group, course))[1])
        period = read_period(f"{start} until {until}", clock.now(), zone)
        if isinstance(period, str):
            raise Invalid("period", f"--from {start!r} --until {until!r} does not work: {_PERIODS[period]}.")
        starts, ends = period
        keyring = assembly.tools.keyring

        def work(tx: Tx) -> None:
            group_id = _group(tx, group, course)
            person_id, cover_id = (overview.person(tx, keyring, each).id for each in (who, cover))
            staffing.be_away(tx, keyring, person_id, group_id, cover_id, starts, ends, clock.now(), actor="operator")

        _try(assembly, work, who, group, cover)
    typer.echo(f"{who} is away from {group} from {moments.shown(starts, zone)} until {moments.shown(ends, zone)} {zone}; {cover} covers.")


def back(who: Annotated[str, typer.Argument(help=f"The leader. {_WHO}", show_default=False)]) -> None:
    """End a leader's absences before their time.

    Example: tongban staff back 李老师
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring

        def work(tx: Tx) -> None:
            staffing.come_back(tx, overview.person(tx, keyring, who).id, clock.now(), actor="operator")

        _try(assembly, work, who, "", "")
    typer.echo(f"{who} is there again.")


def absences() -> None:
    """List who is away, now or later, and who covers.

    Example: tongban staff absences
    """
    with desk.at_work() as assembly:
        keyring = assembly.tools.keyring
        found = assembly.database.read_now(lambda tx: _absences(tx, keyring))
    if not found:
        typer.echo("Nobody is away.")
        return
    desk.table(("group", "away", "covers", "from", "until"), found)


def _absences(tx: Tx, keyring: Keyring) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for each in staffing.absences(tx, clock.now()):
        zone = overview.course_of_group(tx, each.group_id)[1]
        people = {one: overview.person(tx, keyring, str(one)).name for one in (each.person_id, each.cover_id) if one is not None}
        covers = "-" if each.cover_id is None else people[each.cover_id]
        found.append((each.group, people[each.person_id], covers, moments.shown(each.starts_at, zone), moments.shown(each.ends_at, zone)))
    return found


_PERIODS = {
    "unreadable": 'write days like "tomorrow", "Friday", "11月28日" or moments like "2026-11-28 20:00"',
    "past": "it must end after it begins, and after now",
    "long": f"nobody is away for more than {staffing.LONGEST.days} days; hand the group over: `tongban staff hand-over`",
}


def _try(assembly: Assembly, work: Callable[[Tx], None], who: str, group: str, cover: str) -> None:
    try:
        assembly.database.write_now(work)
    except Refused as refused:
        raise _in_words(refused, who, group, cover) from None


def _in_words(refused: Refused, who: str, group: str, cover: str) -> AppError:
    match refused.code:
        case "role":
            return Forbidden("role", f"{who} does not lead {group}; only a leader is away. `tongban person find` shows who is what.")
        case "cover":
            return Invalid("cover", f"{cover} cannot cover {group}: name an assistant of the group, or another leader of it.")
        case "gone":
            return Conflict("gone", f"{who} is not away; `tongban staff absences` lists who is.")
        case _:
            return Invalid(refused.code, refused.sentence)


def _group(tx: Tx, group: str, course: str | None) -> int:
    return groups.by_code(tx, group, None if course is None else courses.by_code(tx, course))


def _many(numbers: tuple[int, ...], word: str) -> str:
    listed = f" ({', '.join(f'#{each}' for each in numbers)})" if numbers else ""
    return f"{len(numbers)} {word}{'' if len(numbers) == 1 else 's'}{listed}"
