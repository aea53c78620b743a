"""Hides what the API shows of courses, groups, places and waves: a page at a time, in as many statements for many rows as for few."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from app import forecast
from app.channels import Rules
from app.db import Tx
from app.groups import seated
from app.ids import id_of
from app.integrations.refusals import Refusal
from app.integrations.rules import Caller, courses_of
from app.integrations.shapes import (
    CourseDetail,
    CourseLine,
    CoursePage,
    GroupLine,
    GroupName,
    GroupPage,
    MembershipLine,
    MembershipPage,
    ReachCounts,
    WaveLine,
    WavePage,
)
from app.models import Course, Group, Membership, Participant, Wave
from app.questionnaires import standing
from app.states import Asked
from bots.turns import Role

Row = TypeVar("Row")


@dataclass(frozen=True)
class Page:
    """Which part of a list is meant: so many at most, behind the one that `after` names; empty: from the beginning."""

    limit: int
    after: str = ""

    @property
    def after_id(self) -> int | None:
        """`after`, where a list goes by ids. Raises `Refusal` for one that no page of ours gave."""
        if self.after and not id_of(self.after):
            raise Refusal(422, "after")
        return id_of(self.after) or None

    def cut(self, rows: Sequence[Row]) -> tuple[Sequence[Row], bool]:
        """The rows of this page, of which one more was asked for, and whether there is a following one."""
        return rows[: self.limit], len(rows) > self.limit


def courses(tx: Tx, caller: Caller, page: Page) -> CoursePage:
    """The courses of an integration."""
    query = _courses().where(Course.id.in_(courses_of(caller.id)))
    rows, more = _part(tx, query, Course.id, page)
    return CoursePage(tuple(_course(row) for row in rows), str(rows[-1].id) if more else None)


def course(tx: Tx, course_id: int) -> CourseDetail:
    """One course with the names of its groups, the large one last."""
    row = tx.execute(_courses().where(Course.id == course_id)).one()
    named = sa.select(Group.id, Group.code, Group.name, Group.large).where(Group.course_id == course_id)
    names = tuple(GroupName(str(each.id), each.code, each.name, each.large) for each in tx.execute(named.order_by(Group.large, Group.code)))
    return CourseDetail(**vars(_course(row)), groups=names)


def _courses() -> "sa.Select[*tuple[Any, ...]]":
    return sa.select(Course.id, Course.code, Course.title, Course.zone, Course.starts_on, Course.ended_at)


def _course(row: Any) -> CourseLine:
    return CourseLine(str(row.id), row.code, row.title, row.zone, row.starts_on, row.ended_at is not None)


def _part(tx: Tx, query: Any, key: Any, page: Page) -> tuple[Sequence[Any], bool]:
    after = page.after_id
    query = query if after is None else query.where(key > after)
    return page.cut(tx.execute(query.order_by(key).limit(page.limit + 1)).all())


def groups(tx: Tx, rules: Rules, course_id: int, page: Page, now: datetime) -> GroupPage:
    """The groups of a course, and how they stand."""
    rows, more = _part(tx, _groups().where(Group.course_id == course_id), Group.id, page)
    return GroupPage(_group_lines(tx, rules, course_id, rows, now), str(rows[-1].id) if more else None)


def group(tx: Tx, rules: Rules, course_id: int, group_id: int, now: datetime) -> GroupLine:
    """One group of a course, and how it stands."""
    rows = tx.execute(_groups().where(Group.id == group_id)).all()
    return _group_lines(tx, rules, course_id, rows, now)[0]


def _groups() -> "sa.Select[*tuple[Any, ...]]":
    return sa.select(Group.id, Group.code, Group.name, Group.large, Group.capacity, Group.closed_at)


def _group_lines(tx: Tx, rules: Rules, course_id: int, rows: Sequence[Any], now: datetime) -> tuple[GroupLine, ...]:
    ids = [row.id for row in rows]
    counts = seated(tx, ids)
    reach = forecast.participants_by_way(tx, rules, course_id, ids, now)
    return tuple(
        GroupLine(
            id=str(row.id),
            code=row.code,
            name=row.name,
            large=row.large,
            closed=row.closed_at is not None,
            capacity=row.capacity,
            participants=counts[row.id].get(Role.PARTICIPANT, 0),
            staff={role: number for role, number in sorted(counts[row.id].items()) if role != Role.PARTICIPANT},
            reach=ReachCounts(**{way: reach[row.id].get(way, 0) for way in ("now", "notice", "later", "never")}),
        )
        for row in rows
    )


def memberships(tx: Tx, rules: Rules, course_id: int, group_id: int, page: Page, now: datetime) -> MembershipPage:
    """Who sits in a group: participants by their numbers, then staff, who have none here."""
    number = sa.case((Membership.role == Role.PARTICIPANT.value, Participant.number))
    key = sa.func.coalesce(number, sa.literal("s").concat(sa.cast(Membership.id, sa.String)))
    query = (
        sa.select(Membership.person_id, Membership.role, Membership.started_at, number.label("participant"), key.label("key"))
        .outerjoin(Participant, sa.and_(Participant.person_id == Membership.person_id, Participant.course_id == course_id))
        .where(Membership.group_id == group_id, Membership.ended_at.is_(None))
    )
    if page.after:
        query = query.where(key > page.after)
    rows, more = page.cut(tx.execute(query.order_by(key).limit(page.limit + 1)).all())
    ways = forecast.ways(tx, rules, group_id, now, only=[row.person_id for row in rows])
    lines = tuple(MembershipLine(row.participant, row.role, row.started_at, ways.get(row.person_id, "never")) for row in rows)  # type: ignore[arg-type]  # one of the four words
    return MembershipPage(lines, rows[-1].key if more else None)


def waves(tx: Tx, course_id: int, page: Page) -> WavePage:
    """The waves of a course in numbers."""
    query = sa.select(Wave.id, Wave.code, Wave.plan, Wave.state, Wave.opens_at, Wave.closes_at).where(Wave.course_id == course_id)
    rows, more = _part(tx, query, Wave.id, page)
    counts = standing.count(tx, [row.id for row in rows])
    return WavePage(tuple(_wave(row, counts[row.id]) for row in rows), str(rows[-1].id) if more else None)


def _wave(row: Any, counts: Mapping[Asked, int]) -> WaveLine:
    return WaveLine(
        id=str(row.id),
        code=row.code,
        title=dict(row.plan["title"]),
        state=row.state,
        opens_at=row.opens_at,
        closes_at=row.closes_at,
        assigned=sum(counts.values()),
        states={state: number for state, number in counts.items() if number},
    )
