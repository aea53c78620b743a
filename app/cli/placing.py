"""`tongban course assign`: prints a balanced proposal of groups for those who have none, and applies it on request."""

from typing import Annotated

import typer

from app import clock, courses, ids
from app.cli import desk
from app.console import placing
from app.console.placing import Proposed
from app.db import Tx
from app.errors import Conflict, Invalid
from app.placing import applying, proposals
from app.placing.proposals import Asked

#: Groups that are to be made are named as people read it; a course has no language, and Chinese is the first.
_NEW = "第{number}组"
_WORDS = {"": "not known", "another": "another gender", "none": "no meditation", "short": "under 3 months", "long": "3 months or more"}


def assign(
    code: Annotated[str, typer.Argument(help="The course's code.", show_default=False)],
    *,
    groups: Annotated[int | None, typer.Option(help="How many groups.", show_default=False, min=1, max=proposals.MOST_GROUPS)] = None,
    size: Annotated[int | None, typer.Option(help="Or how many people in each.", show_default=False, min=1, max=1_000)] = None,
    only_new: Annotated[bool, typer.Option("--only-new", help="Make new groups only; those there are stay as they are.")] = False,
    together: Annotated[list[str] | None, typer.Option(help="Numbers of people to be together, in quotes.", show_default=False)] = None,
    apart: Annotated[list[str] | None, typer.Option(help="Numbers of people to be apart.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Deal as this number says; else by a new one.", show_default=False, min=0)] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this word nothing is changed.")] = False,
) -> None:
    """Print balanced groups for everybody who has none: by gender, age, city and prior meditation; with --apply make them true.

    People are named by number, as in the console; there the same can be changed by hand before it is applied.

    Example: tongban course assign msc-2026 --groups 10 --apart "R17 dawn" --seed 7 --apply
    """
    if (groups is None) is (size is None):
        raise Invalid("number", "Say either --groups or --size.")
    asked = Asked(
        "groups" if size is None else "size",
        str(size or groups),
        "new" if only_new else "open",
        "\n".join(together or ()),
        "\n".join(apart or ()),
    )
    now, chosen = clock.now(), ids.new_seed() if seed is None else seed
    with desk.at_work() as assembly:
        keyring, shelf, database = assembly.tools.keyring, assembly.tools.shelf, assembly.database
        course_id = database.read_now(lambda tx: courses.by_code(tx, code))
        basis = database.read_now(lambda tx: proposals.gather(tx, keyring, shelf, course_id, asked, _NEW, now))
        places = proposals.balance(basis, chosen)
        _show(placing.proposed(basis, places), chosen)
        if not apply:
            typer.echo(f"Nothing was changed. To do just this, add --seed {chosen} --apply")
            return
        if basis.version:
            raise Conflict("draft", "Somebody works on a proposal in the console; apply that one there, or throw it away first.")

        def work(tx: Tx) -> applying.Applied:
            proposals.keep(tx, basis, places, chosen, None, 0, now)
            draft = proposals.find(tx, course_id)
            assert draft is not None  # noqa: S101 - it was kept just now
            return applying.apply(tx, keyring, course_id, draft.version, None, now)

        done = database.write_now(work)
    typer.echo(f"Done. {done.seated} people have a seat, {done.told} of them are told; {done.led} personal codes lead into their group.")
    if done.left_out:
        typer.echo(f"{done.left_out} were left out, because something changed meanwhile; the console's page names them.")


def _show(found: Proposed, seed: int) -> None:
    head = ("", "whole", *(f"{column.group.name}{'' if column.group.id else ' (new)'}" for column in found.columns))
    sizes = [column.size for column in found.columns]
    answers = [
        (_called(each.factor, each.answer), f"{each.whole} ({each.percent}%)", *(cell.count for cell in each.cells)) for each in found.lines
    ]
    desk.table(head, [("people", sum(sizes), *sizes), *answers])
    for column in found.columns:
        odd = {"few": ", fewer than the method asks for", "many": ", more than the method asks for"}.get(column.odd, "")
        typer.echo(f"{column.group.name} ({column.size}{odd}): {' '.join(one.number for one in column.people) or 'nobody new'}")
    typer.echo(f"No cell is more than {found.most_off} people away from the group's share of the whole. Seed {seed}.")


def _called(factor: str, answer: str) -> str:
    if factor == "age" and answer:
        return f"age from {answer} on"
    return f"{factor}: {_WORDS.get(answer, answer)}"
