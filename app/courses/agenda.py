"""Hides how a calendar is listed: gatherings and occasions in one row of dates, before a course exists and while it runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.courses import calendar
from app.courses.calendar import Gathering, Key
from app.courses.file import CourseFile
from app.db import Tx
from app.errors import NotFound
from app.models import Gathering as GatheringRow
from app.models import Group, Wave
from app.models import Occasion as OccasionRow


@dataclass(frozen=True)
class Line:
    """One date of a calendar. `group`: its code, empty where the course has none yet or it concerns all; `note`: where it stands."""

    at: datetime
    group: str
    what: str
    note: str = ""


def lines(file: CourseFile, known: Iterable[Gathering], zone: str) -> list[Line]:
    """Everything that a course file gives where these gatherings are: what `tongban course plan` prints."""
    own = list(known)
    found = [Line(each.starts_at, "", f"{each.kind} {each.number}", calendar.title(file, each.kind, each.number)["zh"]) for each in own]
    found += [Line(each.at, "", each.code, "at each one's hour" if each.until else "") for each in calendar.occasions(file, own, zone)]
    for window in calendar.windows(file, [own], zone):
        found += [Line(window.opens_at, "", f"wave {window.code} opens"), Line(window.closes_at, "", f"wave {window.code} closes")]
    return sorted([*found, Line(calendar.over_at(file, [own], zone), "", "course ends")], key=lambda each: (each.at, each.what))


def of_course(tx: Tx, course_id: int) -> list[Line]:
    """Every date of a running course with where it stands."""
    codes = {row.id: row.code for row in tx.execute(sa.select(Group.id, Group.code).where(Group.course_id == course_id))}
    gatherings = tx.execute(sa.select(*GatheringRow.__table__.columns).where(GatheringRow.course_id == course_id)).all()
    occasions = tx.execute(sa.select(*OccasionRow.__table__.columns).where(OccasionRow.course_id == course_id)).all()
    waves = tx.execute(sa.select(*Wave.__table__.columns).where(Wave.course_id == course_id)).all()
    found = [Line(row.starts_at, codes[row.group_id], f"{row.kind} {row.number}", "" if row.held else "called off") for row in gatherings]
    found += [Line(row.fired_at or row.fire_at, codes[row.group_id], row.code, f"{row.state} {row.why}".strip()) for row in occasions]
    for row in waves:
        found += [
            Line(row.opens_at, "", f"wave {row.code} opens", row.state),
            Line(row.closes_at, "", f"wave {row.code} closes", row.state),
        ]
    return sorted(found, key=lambda each: (each.at, each.group, each.what))


def begins(tx: Tx, course_id: int, key: Key, group_id: int | None = None) -> datetime:
    """When a gathering begins, of the first group that has it. Raises `NotFound`."""
    query = sa.select(sa.func.min(GatheringRow.starts_at)).where(
        GatheringRow.course_id == course_id, GatheringRow.kind == key[0], GatheringRow.number == key[1]
    )
    found = tx.execute(query if group_id is None else query.where(GatheringRow.group_id == group_id)).scalar_one_or_none()
    if found is None:
        raise NotFound("gathering", f"There is no {key[0]} {key[1]} here; `tongban course calendar` shows what there is.")
    return found
