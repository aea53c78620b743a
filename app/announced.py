"""Hides how an announcement rests: its words sealed under its course's key, opened by whoever may see them, and who speaks in it."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import access, broadcasts, polls
from app.db import Tx
from app.keyring import Keyring, Place
from app.models import Course, Group, Schedule
from app.people import names
from app.sealing import DataKey
from bots.turns import OccasionKind, Role

#: As what somebody with several roles speaks to a group.
SPEAKS_AS = (Role.LEADER, Role.ASSISTANT, Role.ADMINISTRATOR)
#: What its author or an approver is told of an announcement is of use for so long.
_TOLD = timedelta(days=3)


def speaker(tx: Tx, keyring: Keyring, author_id: int | None, group_id: int) -> dict[str, str]:
    """The name of whoever speaks to a group, and as what; None: the operator."""
    author = names(tx, keyring, [author_id]).get(author_id, "") if author_id is not None else ""
    held = access.roles_in_group(tx, author_id, group_id) if author_id is not None else frozenset()
    return {"author_name": author, "author_role": next((role.value for role in SPEAKS_AS if role in held), "operator")}


def words_of(tx: Tx, keyring: Keyring, schedule_id: int) -> str:
    """The words of an announcement."""
    return str(details_of(tx, keyring, schedule_id)["text"])


def number_of(tx: Tx, schedule_id: int) -> int:
    """The short number of an announcement."""
    return tx.execute(sa.select(Schedule.number).where(Schedule.id == schedule_id)).scalar_one()


def details_of(tx: Tx, keyring: Keyring, schedule_id: int) -> dict[str, Any]:
    """The values of an announcement's gaps: what was said, to which group, by whom."""
    row = tx.execute(sa.select(Schedule.id, Schedule.course_id, Schedule.details_sealed).where(Schedule.id == schedule_id)).one()
    return details(tx, keyring, row)


def details(tx: Tx, keyring: Keyring, row: Any) -> dict[str, Any]:
    """The same of a row of `schedules`."""
    key_id = tx.execute(sa.select(Course.data_key_id).where(Course.id == row.course_id)).scalar_one()
    return opened(keyring.open(tx, key_id), row)


def opened(key: DataKey, row: Any) -> dict[str, Any]:
    """The same with its course's key at hand."""
    return broadcasts.thaw(key.unseal(Place("schedules", "details_sealed", row.id), row.details_sealed))


def bubble(tx: Tx, keyring: Keyring, row: Any) -> dict[str, Any]:
    """Everything that its readers will see of a row of `schedules`: the words with group and speaker, and what they can answer."""
    return details(tx, keyring, row) | polls.details(tx, keyring, row.id)


def tell(tx: Tx, keyring: Keyring, row: Any, bot: str, reason: str, people: list[int], now: datetime, **more: Any) -> None:
    """Tell these people in the chat what became of an announcement, in the words that the bot has for the reason."""
    group = tx.execute(sa.select(Group.name).where(Group.id == row.group_id)).scalar_one()
    said = {"reason": reason, "number": row.number, "group_name": group, "at": row.fire_at, **more}
    draft = broadcasts.in_course(tx, row.course_id, bot, OccasionKind.REPORT, said, schedule_id=row.id, stale_at=now + _TOLD)
    broadcasts.send_to(tx, keyring, draft, people, now)
