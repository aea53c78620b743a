"""Hides how an integration announces: by the same functions and checks as staff, as the course's team; and how far announcements went."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from app import announced, forecast, schedules
from app.db import Tx
from app.errors import NotFound
from app.groups import Refused
from app.integrations.reading import Page
from app.integrations.refusals import Refusal
from app.integrations.rules import Caller
from app.integrations.shapes import AnnouncementLine, AnnouncementPage, Cancelled, Expected, Planned, PlannedLine, ReasonCount
from app.keyring import Keyring
from app.models import Broadcast, Course, Delivery, Group, Schedule
from app.situation import Tools
from app.states import UNDER_WAY, State
from bots.turns import OccasionKind

#: At once, in place of a moment: somebody has to say it.
NOW_WORD = "now"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_MOST_DAYS = 366


@dataclass(frozen=True)
class Wanted:
    """What an integration wants to announce: words, the ids of groups, a moment, and whether it knows that the same was said just now."""

    text: str = field(repr=False)
    groups: Sequence[int]
    at: str
    again: bool = False


def plan(tx: Tx, tools: Tools, caller: Caller, course_id: int, wanted: Wanted, now: datetime) -> Planned:
    """Announce to these groups of a course, now or later: all of them or none.

    Raises `NotFound` for a group that is not of this course, `Refusal` with "ended", "moment", "past", "far", "empty", "long" or "said".
    """
    if tx.execute(sa.select(Course.ended_at).where(Course.id == course_id)).scalar_one() is not None:
        raise Refusal(409, "ended")
    at = moment(wanted.at, now)
    known = tx.execute(sa.select(Group.id).where(Group.id.in_(wanted.groups), Group.course_id == course_id)).scalars().all()
    if set(wanted.groups) - set(known):
        raise NotFound("group", "There is no such group in this course.")
    if not wanted.again and any(schedules.said_before(tx, tools.keyring, group, wanted.text, now) for group in wanted.groups):
        raise Refusal(409, "said")
    return Planned(tuple(_planned(tx, tools, caller, group, wanted.text, at, now) for group in wanted.groups))


def moment(written: str, now: datetime) -> datetime | None:
    """The moment that was written, None for at once. Raises `Refusal` with "moment", "past" or "far"."""
    if written == NOW_WORD:
        return None
    try:
        at = datetime.fromisoformat(written).astimezone(UTC) if _MOMENT.fullmatch(written) else None
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise Refusal(422, "moment")
    if at < now:
        raise Refusal(422, "past")
    if (at - now).days > _MOST_DAYS:
        raise Refusal(422, "far")
    return at


def _planned(tx: Tx, tools: Tools, caller: Caller, group_id: int, text: str, at: datetime | None, now: datetime) -> PlannedLine:
    try:
        made = schedules.plan_announcement(
            tx,
            tools.keyring,
            author_id=None,
            group_id=group_id,
            text=text,
            at=at,
            draft=None,
            now=now,
            integration_id=caller.id,
        )
    except Refused as refused:
        raise Refusal(422, refused.code, most=schedules.MOST_BYTES) from None
    number, state = tx.execute(sa.select(Schedule.number, Schedule.state).where(Schedule.id == made)).one()
    found = forecast.forecast(tx, tools.rules, group_id, None, at, now)
    expected = Expected(
        total=found.total,
        now=found.now,
        notice=found.notice,
        capped=found.capped,
        later=found.later,
        never=found.never,
        quiet_until=found.quiet_until,
        silent_until=found.silent_until,
    )
    return PlannedLine(str(made), number, str(group_id), at or now, "waiting" if state == "waiting" else "planned", text, expected)


def cancel(tx: Tx, caller: Caller, schedule_id: int, now: datetime) -> Cancelled:
    """Take back what has not left of an announcement of this integration's own. Raises `Refused` with "gone"."""
    return Cancelled(str(schedule_id), schedules.cancel(tx, schedule_id, None, now, actor=caller.word))


def listed(tx: Tx, keyring: Keyring, caller: Caller, course_id: int, page: Page) -> AnnouncementPage:
    """The announcements of a course, the newest first, and how far they went."""
    query, after = _announcements().where(Schedule.course_id == course_id), page.after_id
    if after is not None:
        query = query.where(Schedule.id < after)
    rows, more = page.cut(tx.execute(query.order_by(Schedule.id.desc()).limit(page.limit + 1)).all())
    return AnnouncementPage(_lines(tx, keyring, caller, rows), str(rows[-1].id) if more else None)


def one(tx: Tx, keyring: Keyring, caller: Caller, schedule_id: int) -> AnnouncementLine:
    """One announcement, and how far it went."""
    return _lines(tx, keyring, caller, tx.execute(_announcements().where(Schedule.id == schedule_id)).all())[0]


def _announcements() -> "sa.Select[*tuple[Any, ...]]":
    columns = (Schedule.id, Schedule.number, Schedule.group_id, Schedule.fire_at, Schedule.state, Schedule.by_mass)
    query = sa.select(*columns, Schedule.integration_id, Schedule.details_sealed, Course.data_key_id)
    return query.join(Course, Course.id == Schedule.course_id).where(Schedule.kind == OccasionKind.ANNOUNCEMENT.value)


def _lines(tx: Tx, keyring: Keyring, caller: Caller, rows: Sequence[Any]) -> tuple[AnnouncementLine, ...]:
    reasons = _reasons(tx, [row.id for row in rows])
    keys = keyring.open_all(tx, (row.data_key_id for row in rows if row.integration_id == caller.id))
    return tuple(_line(caller, row, reasons[row.id], keys) for row in rows)


def _line(caller: Caller, row: Any, reasons: Sequence[ReasonCount], keys: Mapping[int, Any]) -> AnnouncementLine:
    own = row.integration_id == caller.id
    text = str(announced.opened(keys[row.data_key_id], row)["text"]) if own and row.data_key_id in keys else None
    states: dict[str, int] = {}
    stands: Any
    for each in reasons:
        states[each.state] = states.get(each.state, 0) + each.count
    stands = ("going" if any(state in states for state in UNDER_WAY) else "done") if row.state == "fired" else row.state
    return AnnouncementLine(
        id=str(row.id),
        number=row.number,
        group=str(row.group_id),
        at=row.fire_at,
        state=stands,
        by_mass=row.by_mass,
        own=own,
        text=text,
        total=sum(states.values()),
        states={state: states[state] for state in State if state in states},
        reasons=tuple(reasons),
    )


def _reasons(tx: Tx, schedule_ids: Sequence[int]) -> dict[int, list[ReasonCount]]:
    by = (Broadcast.schedule_id, Delivery.state, Delivery.reason, Delivery.code)
    rows = tx.execute(
        sa.select(*by, sa.func.count().label("number"))
        .join(Delivery, Delivery.broadcast_id == Broadcast.id)
        .where(Broadcast.schedule_id.in_(schedule_ids), Broadcast.kind == OccasionKind.ANNOUNCEMENT.value)
        .group_by(*by)
        .order_by(*by)
    )
    found: dict[int, list[ReasonCount]] = {each: [] for each in schedule_ids}
    for row in rows:
        found[row.schedule_id].append(ReasonCount(row.state, row.reason, row.code, row.number))
    return found
