"""Hides how the demo comes to have weeks behind it: its course starts, its people live by their habits, and the clock is left there.

It is played as a rehearsal is, but over the demo's own database and its own imitation of WeChat, while neither of them serves anybody.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import clock, courses
from app import demo as fiction
from app.assembly import Assembly
from app.courses import file, running
from app.db import Tx
from app.demo import Addresses
from app.encouragement import plans
from app.keyring import Keyring
from app.models import Course, Group, Membership
from app.rehearsal import Member, Scene, copying, live
from app.rehearsal.theatre import Theatre
from app.situation import Tools

_FILE = "msc-8-week"
#: In which weeks of that course the demo may begin.
LAST_WEEK = 8
_ZONE = ZoneInfo("Asia/Shanghai")
_LINK = "https://zoom.example.org/j/8005550199"
#: Questionnaires open a week before the first day.
_AHEAD = timedelta(days=8)
#: Thursday morning: a class lies behind, practices go on, and in the evening the small groups meet.
_WEEKDAY, _HOUR = 3, time(10, 0)


def has_begun(tx: Tx) -> bool:
    """Whether the demo's course has its calendar already, or its clock was moved: then there is no past to make up any more."""
    started = tx.execute(sa.select(Course.starts_on).where(Course.code == fiction.COURSE)).scalar_one_or_none()
    return started is not None or clock.offset() > timedelta()


async def live_until(assembly: Assembly, at: Addresses, week: int, progress: Callable[[float], None]) -> int:
    """Start the demo's course and play it up to the Thursday of a week (1 to 8); the demo's clock stands there then.

    Nothing else has the database or the imitation open meanwhile. Returns how many things people did; `progress` hears how much of it
    has been played, from 0 to 1.
    """
    database, tools, now = assembly.database, assembly.tools, clock.now()
    first_day = _first_day(now)
    until = _local(first_day + timedelta(days=7 * (week - 1) + _WEEKDAY), _HOUR)
    database.write_now(lambda tx: _start(tx, tools, first_day, now))
    copy = database.read_now(lambda tx: copying.take(tx, courses.by_code(tx, fiction.COURSE)))
    members = database.read_now(lambda tx: _members(tx, tools.keyring))
    scenes = [each for each in _scenes(first_day, until) if now < each.at < until]
    async with Theatre(assembly.settings, copy, at.folder, account=fiction.ACCOUNT) as theatre:
        deeds = await live(theatre, members, scenes, until, progress)
    _leave_clock(at, until)
    return deeds


def _first_day(now: datetime) -> date:
    """The first Monday that leaves time for the questionnaires before the course."""
    day = (now + _AHEAD).astimezone(_ZONE).date()
    return day + timedelta(days=-day.weekday() % 7)


def _local(day: date, at: time) -> datetime:
    return datetime.combine(day, at, _ZONE).astimezone(UTC)


def _start(tx: Tx, tools: Tools, first_day: date, now: datetime) -> None:
    course_id = courses.by_code(tx, fiction.COURSE)
    running.start(tx, tools, course_id, running.Plan(file.read(_FILE), first_day), now)
    for kind in ("class", "meeting"):
        running.set_link(tx, course_id, (kind, 0), _LINK, now)
    plans.set_plan(tx, course_id, "25", "12:30", now)


def _members(tx: Tx, keyring: Keyring) -> list[Member]:
    """Everybody with their small group, or the large one where they have none."""
    seated = tx.execute(
        sa.select(Membership.person_id, Membership.group_id)
        .join(Group, Group.id == Membership.group_id)
        .join(Course, Course.id == Group.course_id)
        .where(Course.code == fiction.COURSE, Membership.ended_at.is_(None))
        .order_by(Group.large.desc(), Membership.id)
    ).all()
    groups = {row.person_id: row.group_id for row in seated}
    everybody = fiction.everybody(tx, keyring, tx.execute(sa.select(Course.account_id).where(Course.code == fiction.COURSE)).scalar_one())
    return [Member(each.name, each.openid, each.role, groups[each.person_id], each.person_id) for each in everybody]


def _leave_clock(at: Addresses, until: datetime) -> None:
    """The demo's clock goes on from there, by as many seconds ahead of the machine."""
    ahead = until - datetime.fromtimestamp(clock.machine_seconds(), UTC)
    (at.folder / "sandbox" / "clock").write_text(f"{max(0.0, ahead.total_seconds()):.3f}", encoding="ascii")


def _scenes(first_day: date, until: datetime) -> Iterator[Scene]:
    """What the course's staff do in their weeks, and what waits for them on the last morning."""

    def on(day: int, hour: int, minute: int, name: str, *steps: str) -> Scene:
        return Scene(_local(first_day + timedelta(days=day), time(hour, minute)), name, steps)

    leader, other = (staff[0] for staff in fiction.STAFF.values())
    yield on(-2, 19, 0, leader, "公告", "大家好，我是李老师。周一晚上见，请带一条毯子，和一个不会被打扰的角落。", "现在", "确认发送")
    yield on(1, 12, 40, leader, "练习提醒", "{name}，第 {week} 周了，睡前一起做三分钟呼吸。", "每周一三五 20:00", "确认")
    yield on(2, 12, 40, other, "练习提醒", "{name}，今天给自己留十分钟，坐一坐。", "每周二四六 07:30", "确认")
    yield on(8, 12, 10, leader, "公告：静修半日，你想在哪个城市参加？", "现在", "要回应", "北京 郑州 青岛", "确认发送")
    yield on(9, 21, 10, leader, "鼓励：走神了也没关系，发现自己走神的那一刻，就已经回来了。")
    for week in range(LAST_WEEK):
        yield on(7 * week, 20, 10, leader, "点名", "其余都到了" if week % 3 == 2 else "好了")
    yield Scene(until - timedelta(hours=11), "小雨", ("提问", "做慈心练习的时候，对自己说不出祝福的话，怎么办？"))
    yield Scene(until - timedelta(minutes=50), "晓晴", ("提问", "昨天的录音在哪里可以再听一遍？"))
    yield Scene(until - timedelta(minutes=20), "若水", ("最近真的撑不下去，我不想活了",))
