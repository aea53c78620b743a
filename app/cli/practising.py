"""`tongban homework`: who practised in a group this week, and of whom nothing was heard."""

from typing import Annotated

import sqlalchemy as sa
import typer

from app import clock, courses, groups
from app.cli import desk
from app.db import Tx
from app.errors import NotFound
from app.homework import looking
from app.models import Group
from bots.homework.book import GroupPractice, Seen


def homework(
    course: Annotated[str, typer.Argument(help="The course's code.", show_default=False)],
    *,
    group: Annotated[str, typer.Option(help="Only the group with this code; every small group without it.", show_default=False)] = "",
) -> None:
    """Show who practised this week, by group and day, and who was not heard of for 3, 5, 7 days; minutes and lines only as shared.

    Example: tongban homework msc-2026 --group dawn
    """
    with desk.at_work() as assembly:
        keyring, database = assembly.tools.keyring, assembly.database

        def look(tx: Tx) -> list[GroupPractice]:
            course_id = courses.by_code(tx, course)
            return [looking.week(tx, keyring, group_id, clock.now()) for group_id in _groups(tx, course_id, group)]

        for seen in database.read_now(look):
            _print(seen)


def _groups(tx: Tx, course_id: int, code: str) -> list[int]:
    small = sa.select(Group.id).where(Group.course_id == course_id, ~Group.large).order_by(Group.code)
    if code:
        found = [groups.by_code(tx, code, course_id)]
        return list(tx.execute(small.where(Group.id.in_(found))).scalars()) or _none(f"{code!r} is the large group; name a small one.")
    return list(tx.execute(small).scalars()) or _none("The course has no small group yet; `tongban group create` makes one.")


def _none(sentence: str) -> list[int]:
    raise NotFound("group", sentence)


def _print(seen: GroupPractice) -> None:
    typer.echo(f"{seen.group}, since {seen.since}: {seen.practised} of {seen.people} have checked in.")
    for day in seen.days:
        typer.echo(f"  {day.day:%a %Y-%m-%d}  {', '.join(map(_person, day.who))}")
    for each in seen.silent:
        typer.echo(f"  not heard of for {each.days} days: {each.name or 'somebody without a name'}")


def _person(one: Seen) -> str:
    shared = [f"{one.minutes} minutes"] if one.minutes else []
    shared += [f"“{one.line}”"] if one.line else []
    name = one.name or "somebody without a name"
    return f"{name} ({', '.join(shared)})" if shared else name
