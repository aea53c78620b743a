"""What the tests of polls share: a poll that is out, answers and follow-ups given on the desk, and looks at them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import follow_ups, polls, schedules
from app.groups import Refused
from app.models import Delivery
from app.people import Known
from app.states import State
from bots.effects import Poll as Wanted
from bots.facts import PollResult
from bots.turns import OccasionKind
from tests.delivery.scene import NOW, Desk, deliveries

CITIES = ("北京", "郑州", "青岛", "成都", "西安", "广州", "哈尔滨", "杭州")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def asked(desk: Desk, options: tuple[str, ...] = CITIES, *, author: Known | None = None, sent: bool = True) -> int:
    """An announcement with a poll that has just been fired; `sent`: WeChat has accepted it for everybody."""
    made = desk.write(
        lambda tx: schedules.plan_announcement(
            tx,
            desk.keyring,
            author_id=None if author is None else author.id,
            group_id=desk.group,
            text="止语半日在哪个城市？",
            at=None,
            draft=None,
            now=NOW,
            poll=Wanted(options),
        )
    )
    assert desk.fire() == made
    if sent:
        desk.write(lambda tx: tx.execute(sa.update(Delivery).where(Delivery.state == "ready").values(state=State.SENT, reason="service")))
    return made


def answer(desk: Desk, person: Known, schedule: int, choice: int, now: Any = NOW) -> None:
    desk.write(lambda tx: polls.answer(tx, desk.keyring, person.id, schedule, choice, now))


def follow_up(desk: Desk, schedule: int, actor: Known | None = None, text: str = "", now: Any = NOW) -> int:
    return desk.write(lambda tx: follow_ups.follow_up(tx, desk.keyring, schedule, None if actor is None else actor.id, text, now))


def followed(desk: Desk, schedule: int) -> dict[int, tuple[str, str]]:
    """How each follow-up stands, by person."""
    return {person: row.word for person, row in desk.read(lambda tx: deliveries(tx, schedule, OccasionKind.FOLLOW_UP)).items()}


def result(desk: Desk, schedule: int, now: Any = NOW) -> PollResult:
    found = desk.read(lambda tx: polls.result(tx, desk.keyring, schedule, now))
    assert found is not None
    return found


def refused(work: Callable[[], Any]) -> str:
    with pytest.raises(Refused) as refusal:
        work()
    return refusal.value.code
