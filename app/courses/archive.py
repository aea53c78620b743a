"""Hides what a programme keeps of a course that is over: its calendar, what was said to its groups, and how many came and practised.

No participant stands in it, by name or by number: it is what a report is written from, and the next course begun with.
"""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import announced, audit, packed, schedules
from app.courses import calendar
from app.courses import file as course_file
from app.db import Database, Tx
from app.errors import Conflict
from app.keyring import Keyring
from app.models import Attendance, Broadcast, CheckIn, Course, Delivery, Gathering, Group, Membership, Prompt, PromptGroup, Schedule
from app.packed import Cell
from app.prompts import planning
from app.sealing import DataKey
from app.states import REACHED, State
from bots.turns import OccasionKind, Role

Row = dict[str, Cell]

#: What was said to groups; what passes between one person and another is nobody's to keep.
_TOLD = (
    OccasionKind.ANNOUNCEMENT,
    OccasionKind.PROMPT,
    OccasionKind.HOMEWORK,
    OccasionKind.REMINDER,
    OccasionKind.CALENDAR,
    OccasionKind.ENCOURAGEMENT,
    OccasionKind.INVITATION,
    OccasionKind.FOLLOW_UP,
)
_COLUMNS = {
    "groups.csv": ("group", "name", "participants", "ever", "moved", "left"),
    "calendar.csv": ("kind", "number", "group", "title", "starts_at", "minutes", "held", "came", "made_up"),
    "practice.csv": ("group", "week", "from", "until", "people", "days"),
    "announcements.csv": ("number", "group", "state", "at", "recipients", "reached", "words"),
    "prompts.csv": ("number", "group", "state", "rule", "until", "words"),
    "messages.csv": ("kind", "group", "week", "messages", *State),
}
_NOTES = """# {title} · {code}

{made}

| 文件 file | 内容 what it holds |
|---|---|
| course.json | 课程文件的冻结副本 the frozen copy of the course file |
| groups.csv | 各组人数 groups and how many sat in them |
| calendar.csv | 课、小组会、止语日，和到场人数 classes, meetings, the retreat, and how many came |
| practice.csv | 各组每周打卡人数和人天 per group and week, people who practised and their days |
| announcements.csv | 公告原文、状态、送达人数 announcements with their words and how many were reached |
| prompts.csv | 练习提醒原文 practice prompts with their words |
| messages.csv | 每周每类消息的条数和状态 messages of each kind and week, by what became of them |

这里没有任何参与者的名字、编号、微信号或他们写的话。None of the participants stands in it: no name, number, WeChat id or word of theirs.
"""


def write(database: Database, keyring: Keyring, course_id: int, path: Path, now: datetime, *, over: bool = False) -> int:
    """Write the archive of a course that has ended; returns how many tables it has. On record first.

    `over`: the file may take the place of another. Raises `Conflict` ("running", "calendar", or the place) and `Invalid`.
    """
    packed.check_place(path, over=over)
    database.write_now(lambda tx: _admit(tx, course_id, now))
    return database.read_now(lambda tx: _write(tx, keyring, course_id, path, now, over=over))


def _admit(tx: Tx, course_id: int, now: datetime) -> None:
    course = tx.execute(sa.select(Course.ended_at, Course.file.is_not(None).label("dated")).where(Course.id == course_id)).one()
    if not course.dated:
        raise Conflict("calendar", "This course never had a calendar, so there is nothing to archive; `tongban export` has its answers.")
    if course.ended_at is None:
        raise Conflict("running", "The course still runs; it is archived when it is over: by itself, or with `tongban course end`.")
    audit.record(tx, now, "operator", "course.archive", f"course:{course_id}")


def _write(tx: Tx, keyring: Keyring, course_id: int, path: Path, now: datetime, *, over: bool) -> int:
    columns = (Course.code, Course.title, Course.zone, Course.starts_on, Course.data_key_id, course_file.COPY)
    course = tx.execute(sa.select(*columns).where(Course.id == course_id)).one()
    zone, key = ZoneInfo(course.zone), keyring.open(tx, course.data_key_id)
    tables = {
        "groups.csv": _groups(tx, course_id),
        "calendar.csv": _calendar(tx, course_id, course_file.frozen(course.file), zone),
        "practice.csv": _practice(tx, course_id, course.starts_on),
        "announcements.csv": _announcements(tx, key, course_id, zone),
        "prompts.csv": _prompts(tx, key, course_id),
        "messages.csv": _messages(tx, course_id, course.starts_on, zone),
    }
    with packed.written(path, now.astimezone(zone), over=over) as out:
        out.text("course.json", json.dumps(json.loads(course.file), ensure_ascii=False, indent=2))
        for name, rows in tables.items():
            out.table(name, _COLUMNS[name], rows)
        out.text("notes.md", _NOTES.format(title=course.title, code=course.code, made=now.astimezone(zone).isoformat(timespec="minutes")))
    return len(tables)


# Tables -------------------------------------------------------------------------------------------------------------------------------


def _groups(tx: Tx, course_id: int) -> Iterator[Row]:
    """`ever`: how many took part there at any time; `moved` of them into another group; `left` the course."""
    query = (
        sa.select(
            Group.code,
            Group.name,
            sa.func.sum(sa.case((Membership.ended_at.is_(None), 1), else_=0)).label("now"),
            sa.func.count(Membership.person_id.distinct()).label("ever"),
            sa.func.sum(sa.case((Membership.why_ended == "moved", 1), else_=0)).label("moved"),
            sa.func.sum(sa.case((Membership.why_ended == "withdrew", 1), else_=0)).label("gone"),
        )
        .outerjoin(Membership, sa.and_(Membership.group_id == Group.id, Membership.role == Role.PARTICIPANT.value))
        .where(Group.course_id == course_id)
        .group_by(Group.id, Group.code, Group.name)
        .order_by(Group.code)
    )
    for row in tx.execute(query):
        yield {
            "group": row.code,
            "name": row.name,
            "participants": int(row.now or 0),
            "ever": row.ever,
            "moved": int(row.moved or 0),
            "left": int(row.gone or 0),
        }


def _calendar(tx: Tx, course_id: int, file: course_file.CourseFile, zone: ZoneInfo) -> Iterator[Row]:
    made_up = sa.func.sum(sa.case((Attendance.how == "made_up", 1), else_=0))
    columns = (Gathering.kind, Gathering.number, Group.code, Gathering.starts_at, Gathering.minutes, Gathering.held)
    query = (
        sa.select(*columns, sa.func.count(Attendance.id).label("marks"), made_up.label("made_up"))
        .join(Group, Group.id == Gathering.group_id)
        .outerjoin(Attendance, Attendance.gathering_id == Gathering.id)
        .where(Gathering.course_id == course_id)
        .group_by(Gathering.id, *columns)
        .order_by(Gathering.starts_at, Gathering.id)
    )
    for row in tx.execute(query):
        title = calendar.title(file, row.kind, row.number)
        later = int(row.made_up or 0)
        yield {
            "kind": row.kind,
            "number": row.number,
            "group": row.code,
            "title": title.get("zh") or next(iter(title.values()), ""),
            "starts_at": _moment(row.starts_at, zone),
            "minutes": row.minutes,
            "held": int(row.held),
            "came": row.marks - later,
            "made_up": later,
        }


def _practice(tx: Tx, course_id: int, starts_on: date) -> Iterator[Row]:
    """Weeks count from the first day; who moved counts in the group in which they are now, or were last."""
    last = (
        sa.select(sa.func.max(Membership.id))
        .join(Group, Group.id == Membership.group_id)
        .where(
            *(Membership.person_id == CheckIn.person_id, Membership.role == Role.PARTICIPANT.value),
            *(Group.course_id == course_id, ~Group.large),
        )
        .correlate(CheckIn)
        .scalar_subquery()
    )
    query = (
        sa.select(Group.code, CheckIn.day, CheckIn.person_id)
        .distinct()
        .select_from(CheckIn)
        .join(Membership, Membership.id == last)
        .join(Group, Group.id == Membership.group_id)
        .where(CheckIn.course_id == course_id)
    )
    people: dict[tuple[str, int], set[int]] = {}
    days: dict[tuple[str, int], int] = {}
    for row in tx.execute(query):
        key = (row.code, _week(row.day, starts_on))
        people.setdefault(key, set()).add(row.person_id)
        days[key] = days.get(key, 0) + 1
    for (group, week), count in sorted(days.items()):
        first = starts_on + timedelta(weeks=week - 1)
        until = first + timedelta(days=6)
        span: Row = {"from": first.isoformat(), "until": until.isoformat()}
        yield {"group": group, "week": week, **span, "people": len(people[group, week]), "days": count}


def _announcements(tx: Tx, key: DataKey, course_id: int, zone: ZoneInfo) -> Iterator[Row]:
    columns = (Schedule.id, Schedule.number, Schedule.state, Schedule.fire_at, Schedule.details_sealed, Group.code)
    query = sa.select(*columns).join(Group, Group.id == Schedule.group_id).where(Schedule.course_id == course_id)
    rows = tx.execute(query.order_by(Schedule.number)).all()
    counts = schedules.states_of(tx, [row.id for row in rows])
    for row in rows:
        yield {
            "number": row.number,
            "group": row.code,
            "state": row.state,
            "at": _moment(row.fire_at, zone),
            "recipients": sum(counts[row.id].values()),
            "reached": sum(counts[row.id].get(state, 0) for state in REACHED),
            "words": str(announced.opened(key, row)["text"]),
        }


def _prompts(tx: Tx, key: DataKey, course_id: int) -> Iterator[Row]:
    """One that goes to several groups has a row for each."""
    columns = (Prompt.id, Prompt.number, Prompt.state, Prompt.rule, Prompt.until, Prompt.words_sealed, Group.code)
    query = sa.select(*columns).join(PromptGroup, PromptGroup.prompt_id == Prompt.id).join(Group, Group.id == PromptGroup.group_id)
    for row in tx.execute(query.where(Prompt.course_id == course_id).order_by(Prompt.number, Group.code)):
        words = planning.text_of(key, row)
        until = row.until.isoformat()
        yield {"number": row.number, "group": row.code, "state": row.state, "rule": row.rule, "until": until, "words": words}


def _messages(tx: Tx, course_id: int, starts_on: date, zone: ZoneInfo) -> Iterator[Row]:
    """How many of each kind went to each group in each week of the course, and what became of them."""
    query = (
        sa.select(Broadcast.id, Broadcast.kind, Broadcast.created_at, Group.code, Delivery.state, sa.func.count().label("number"))
        .join(Delivery, Delivery.broadcast_id == Broadcast.id)
        .outerjoin(Group, Group.id == Broadcast.group_id)
        .where(Broadcast.course_id == course_id, Broadcast.kind.in_([kind.value for kind in _TOLD]))
        .group_by(Broadcast.id, Broadcast.kind, Broadcast.created_at, Group.code, Delivery.state)
    )
    counted: dict[tuple[str, str, int], dict[str, int]] = {}
    for row in tx.execute(query):
        key = (row.kind, row.code or "", _week(row.created_at.astimezone(zone).date(), starts_on))
        into = counted.setdefault(key, {})
        into[row.state] = into.get(row.state, 0) + row.number
    for (kind, group, week), states in sorted(counted.items()):
        yield {
            "kind": kind,
            "group": group,
            "week": week,
            "messages": sum(states.values()),
            **{each.value: states.get(each, 0) for each in State},
        }


def _week(day: date, starts_on: date) -> int:
    """The week of the course, counted from 1; the days before it are week 0 and less."""
    return (day - starts_on).days // 7 + 1


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(timespec="minutes")
