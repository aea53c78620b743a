"""What the tests of practice prompts share: a course with a first day, plans, ticks of the clock, and looks at the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import sqlalchemy as sa

from app import broadcasts, groups
from app.db import Tx
from app.models import Broadcast, Course, Delivery, Prompt, PromptFiring, PromptGroup
from app.people import Known
from app.prompts import firing, planning
from bots.effects import PlanPrompt
from bots.recurrence import Rule
from bots.turns import Role
from tests.delivery.scene import NOW, Desk

#: NOW is a Monday, 18:00 in Shanghai.
MONDAY = date(2026, 11, 23)
UNTIL = date(2027, 1, 17)
EVENING, DAILY = time(20, 0), Rule(time(20, 0))
AT = NOW + timedelta(hours=2)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def wanted(desk: Desk, text: str = "一起坐一会儿。", rule: Rule = DAILY, **other: object) -> PlanPrompt:
    """A plan for the desk's group."""
    given = {"groups": (desk.group,), "text": text, "rule": rule, "until": UNTIL, "draft": 0} | other
    return PlanPrompt(**given)  # type: ignore[arg-type]


def plan(
    desk: Desk, text: str = "一起坐一会儿。", rule: Rule = DAILY, *, author: Known | None = None, now: datetime = NOW, **other: object
) -> int:
    """A planned prompt; returns its id."""
    author_id = None if author is None else author.id
    return desk.write(lambda tx: planning.plan(tx, desk.keyring, author_id, wanted(desk, text, rule, **other), now))


def second_group(desk: Desk, name: str = "晚霞组") -> int:
    """Another group of the same course."""
    return desk.write(lambda tx: groups.create(tx, desk.course_id, code=name, name=name))


def seat(desk: Desk, person: Known, group: int, role: Role) -> None:
    """Let somebody sit in a group."""
    desk.write(lambda tx: groups.enter(tx, group, person.id, role, NOW))


def starts(desk: Desk, day: date | None = MONDAY) -> None:
    """The first day of the course."""
    desk.write(lambda tx: tx.execute(sa.update(Course).where(Course.id == desk.course_id).values(starts_on=day)).rowcount)


def tick(desk: Desk, now: datetime) -> int:
    """Settle everything that is due; returns how many steps that took."""
    steps = 0
    while desk.read(lambda tx: firing.any_due(tx, now)) and desk.write(lambda tx: firing.go_on(tx, desk.tools, now)):
        steps += 1
        assert steps < 50, "it goes on without end"
    return steps


@dataclass(frozen=True)
class Stands:
    """Where a prompt stands."""

    state: str
    why: str | None
    next_at: datetime | None


def stands(desk: Desk, prompt: int) -> Stands:
    """Where this prompt stands."""
    query = sa.select(Prompt.state, Prompt.why, Prompt.next_at).where(Prompt.id == prompt)
    return Stands(*desk.read(lambda tx: tx.execute(query).one()))


def fired(desk: Desk, prompt: int) -> list[tuple[datetime, str]]:
    """Each settled moment, and how it ended."""
    query = sa.select(PromptFiring.fire_at, PromptFiring.outcome).where(PromptFiring.prompt_id == prompt).order_by(PromptFiring.fire_at)
    return [(row.fire_at, row.outcome) for row in desk.read(lambda tx: tx.execute(query).all())]


def got(desk: Desk, kind: str = "prompt") -> list[tuple[int, int | None]]:
    """To whom something of this kind was written, from which group, in its order."""
    query = sa.select(Delivery.person_id, Broadcast.group_id).join(Broadcast, Broadcast.id == Delivery.broadcast_id)
    query = query.where(Broadcast.kind == kind).order_by(Delivery.id)
    return [(row.person_id, row.group_id) for row in desk.read(lambda tx: tx.execute(query).all())]


def told(desk: Desk) -> list[dict[str, object]]:
    """The gaps of each report to an author, the oldest first."""

    def look(tx: Tx) -> list[dict[str, object]]:
        ids: Sequence[int] = tx.execute(sa.select(Broadcast.id).where(Broadcast.kind == "report").order_by(Broadcast.id)).scalars().all()
        found = broadcasts.details_of(tx, desk.keyring, ids)
        return [found[each] for each in ids]

    return desk.read(look)


def groups_of(desk: Desk, prompt: int) -> set[int]:
    """The groups that a prompt goes to."""
    return set(desk.read(lambda tx: tx.execute(sa.select(PromptGroup.group_id).where(PromptGroup.prompt_id == prompt)).scalars().all()))
