"""Hides lists of who was there, as video meetings export them: reads rows strictly, finds whose they are, marks them all or none.

A Zoom export may begin with lines about the meeting; the heading is the first line that has a column of names (bad-inputs.md J).
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app import audit, spreadsheets
from app.attendance.marking import put
from app.db import Tx
from app.errors import Invalid, NotFound
from app.keyring import Keyring
from app.models import Attendance, Group, Membership, Participant
from app.models import Gathering as GatheringRow
from app.people import names
from app.spreadsheets import MOST_ROWS, Line, RowError, Rows, Wrong, shown
from bots.attendance.register import EARLY
from bots.choices import normal
from bots.turns import Role

_WHAT = "attendance list"
_HEADS = {
    "name": (
        *("name", "name (original name)", "full name", "participant", "user name", "display name", "attendee", "姓名", "名字", "名称"),
        *(
            "昵称",
            "用户名",
            "用户昵称",
            "参会者",
            "参会人",
            "成员",
            "参会者名称",
            "姓名(原名称)",
            "姓名（原名称）",
            "名称(原始名称)",
            "名称（原始名称）",
        ),
    ),
    "join": ("join", "join time", "joined", "joined at", "加入时间", "入会时间", "进入时间", "首次入会时间"),
    "leave": ("leave", "leave time", "left", "left at", "离开时间", "退会时间", "离会时间", "最后退会时间"),
    "minutes": (
        *("duration", "duration (minutes)", "minutes", "time in meeting (minutes)", "时长", "时长(分钟)", "时长（分钟）", "参会时长"),
        *("持续时间(分钟)", "持续时间（分钟）"),
    ),
    "total": ("total duration (minutes)", "total duration", "总时长", "总时长(分钟)", "总时长（分钟）", "累计参会时长", "累计时长"),
}
_HEAD_OF = {word: head for head, words in _HEADS.items() for word in words}
#: Lines about the meeting that may stand above the heading.
_ABOVE = 12
_MOMENTS = (
    *("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M"),
    *("%b %d, %Y %H:%M:%S", "%H:%M:%S", "%H:%M"),
)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})")
_SPOKEN = re.compile(
    r"(?:(\d+) ?(?:小时|时|hours?|hrs?|h) ?)?(?:(\d+(?:\.\d+)?) ?(?:分钟|分|minutes?|mins?|m)? ?)?(?:(\d+) ?(?:秒|seconds?|secs?|s))?"
)
_MOST_MINUTES = 24 * 60
_INSIDE = re.compile(r"^(.*?)\s*[(\[【]\s*(.*?)\s*[)\]】]\s*$")


@dataclass(frozen=True)
class Row:
    """One line: a name as the meeting knew it, and for how many minutes it was there. None: the list does not say."""

    line: int
    name: str = field(repr=False)
    minutes: float | None
    total: bool = False  # the minutes are those of all lines of this name


@dataclass(frozen=True)
class List:
    """A file as it was understood. With a single error nothing of it may be imported."""

    rows: tuple[Row, ...]
    errors: tuple[RowError, ...]
    encoding: str = ""
    separator: str = ""
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """Somebody of the course who stands in the list. `kind`: new, there (marked already), short (not long enough), staff."""

    person_id: int
    name: str = field(repr=False)
    lines: tuple[int, ...]
    minutes: float | None
    kind: str
    gathering_id: int = 0


@dataclass(frozen=True)
class Plan:
    """What an import would do."""

    found: tuple[Found, ...]
    unknown: tuple[Row, ...]
    ambiguous: tuple[Row, ...]
    errors: tuple[RowError, ...]
    least: int

    def count(self, kind: str) -> int:
        """How many people are of a kind."""
        return sum(each.kind == kind for each in self.found)


# Reading --------------------------------------------------------------------------------------------------------------------------------


def read(path: Path) -> List:
    """The list in a .csv, .tsv, .txt or .xlsx file. Raises `Invalid` where there is no such file."""
    try:
        return _understand(spreadsheets.read(path, _HEAD_OF, _WHAT))
    except Wrong as wrong:
        return List((), (wrong.error,))


def parse(suffix: str, content: bytes) -> List:
    """The list in a file's bytes; `suffix` is how its name ends, with the dot."""
    try:
        return _understand(spreadsheets.parse(suffix, content, _HEAD_OF, _WHAT))
    except Wrong as wrong:
        return List((), (wrong.error,))


def _understand(file: Rows) -> List:
    place = next((place for place, line in enumerate(file.lines[:_ABOVE]) if _is_heading(line)), None)
    if place is None:
        raise Wrong(
            file.lines[0][0], "No column is headed name; a list has name, and join and leave or duration (姓名 加入时间 离开时间 时长)."
        )
    head, *body = file.lines[place:]
    columns, ignored = spreadsheets.columns(head, _HEAD_OF)
    if not body:
        raise Wrong(head[0], "There is nobody below the heading.")
    if len(body) > MOST_ROWS:
        raise Wrong(0, f"There are more than {MOST_ROWS:,} lines in the file; import them in parts.")
    rows = [_row(line, columns, len(head[1])) for line in body]
    return List(
        tuple(each for each in rows if isinstance(each, Row)),
        tuple(each for each in rows if isinstance(each, RowError)),
        file.encoding,
        file.separator,
        ignored,
    )


def _is_heading(line: Line) -> bool:
    return any(_HEAD_OF.get(shown(cell).casefold().strip(' "')) == "name" for cell in line[1])


def _row(line: Line, columns: Mapping[str, int], width: int) -> Row | RowError:
    at, cells = line
    if (overfull := spreadsheets.overfull(line, width)) is not None:
        return RowError(at, overfull)
    got = {head: cells[place] if place < len(cells) else None for head, place in columns.items()}
    name = shown(got["name"])
    if not name:
        return RowError(at, "There is no name; write one, or remove the line.")
    try:
        if shown(got.get("total")):
            return Row(at, name, _minutes(got["total"]), total=True)
        if shown(got.get("minutes")):
            return Row(at, name, _minutes(got["minutes"]))
        return Row(at, name, _between(got.get("join"), got.get("leave")))
    except ValueError as wrong:
        return RowError(at, str(wrong))


def _minutes(cell: Any) -> float:
    """A length of time: 83, 83 minutes, 1:23:45, 1小时23分."""
    found = _length(cell)
    if found is None or not 0 <= found <= _MOST_MINUTES:
        raise ValueError(f"{shown(cell)[:30]!r} is no length of time; write the minutes, like 83.")
    return found


def _length(cell: Any) -> float | None:
    if isinstance(cell, timedelta):
        return cell.total_seconds() / 60
    if isinstance(cell, time):
        return cell.hour * 60 + cell.minute + cell.second / 60
    if isinstance(cell, bool | datetime):
        return None
    text = unicodedata.normalize("NFKC", shown(cell)).casefold().strip()
    if clock := _CLOCK.fullmatch(text):  # `12:30` alone may be hours or minutes: refused below
        return int(clock[1]) * 60 + int(clock[2]) + int(clock[3]) / 60
    spoken = _SPOKEN.fullmatch(text)
    if spoken is None or not any(spoken.groups()):
        return None
    return int(spoken[1] or 0) * 60 + float(spoken[2] or 0) + int(spoken[3] or 0) / 60


def _between(join: Any, leave: Any) -> float | None:
    """From joining to leaving; None where the list says neither."""
    if not shown(join) and not shown(leave):
        return None
    begins, ends = _moment(join), _moment(leave)
    minutes = (ends - begins).total_seconds() / 60
    if not 0 <= minutes <= _MOST_MINUTES:
        raise ValueError("Leaving lies before joining, or more than a day after it; correct one of them.")
    return minutes


def _moment(cell: Any) -> datetime:
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=None)
    text = unicodedata.normalize("NFKC", shown(cell))
    for pattern in _MOMENTS:
        try:
            return datetime.strptime(text, pattern)  # noqa: DTZ007 - both are of the same clock; only the time between them counts
        except ValueError:
            continue
    raise ValueError(f"{text[:30]!r} is no moment; write it like 2026-12-14 19:30:00, or give the minutes in a column duration.")


# Whose they are -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Person:
    id: int
    name: str
    number: str
    gathering_id: int
    staff: bool


def plan(
    tx: Tx,
    keyring: Keyring,
    course_id: int,
    key: tuple[str, int],
    got: List,
    now: datetime,
    *,
    group_id: int | None = None,
    least: int | None = None,
) -> Plan:
    """What this list would mark; changes nothing. `least` minutes count as there; None: half of the gathering.

    Raises `NotFound` where the course has no such gathering, and `Invalid` where it has not begun.
    """
    minutes, ids = _gatherings(tx, course_id, key, now, group_id)
    least = minutes // 2 if least is None else least
    people = _people(tx, keyring, course_id, ids, group_id)
    whose: dict[int, list[Row]] = defaultdict(list)
    unknown, ambiguous = list[Row](), list[Row]()
    for row in got.rows:
        meant = _meant(row.name, people)
        if len(meant) == 1:
            whose[meant[0].id].append(row)
        else:
            (ambiguous if meant else unknown).append(row)
    known = {each.id: each for each in people}
    there = set(tx.execute(sa.select(Attendance.person_id).where(Attendance.gathering_id.in_(ids.values()))).scalars())
    found = [_found(known[person], rows, there, least) for person, rows in whose.items()]
    return Plan(tuple(sorted(found, key=lambda each: each.lines)), tuple(unknown), tuple(ambiguous), got.errors, least)


def commit(
    tx: Tx,
    keyring: Keyring,
    course_id: int,
    key: tuple[str, int],
    got: List,
    now: datetime,
    *,
    group_id: int | None = None,
    least: int | None = None,
) -> Plan:
    """Mark everybody whom the list shows as there, all or none. Raises `Invalid` where a line is wrong or means several people."""
    planned = plan(tx, keyring, course_id, key, got, now, group_id=group_id, least=least)
    refuse_unclear(planned)
    new = [each for each in planned.found if each.kind == "new"]
    for gathering_id in {each.gathering_id for each in new}:
        put(tx, gathering_id, [each.person_id for each in new if each.gathering_id == gathering_id], "list", now)
    audit.record(tx, now, "operator", "attendance.import", f"course:{course_id}", kind=key[0], number=key[1], new=len(new))
    return planned


def refuse_unclear(planned: Plan) -> None:
    """Raise `Invalid` where an import would be half of one."""
    if planned.errors:
        raise Invalid("list", f"Nothing was imported: {len(planned.errors)} lines are wrong; mend them and try again.")
    if planned.ambiguous:
        raise Invalid(
            "list",
            f"Nothing was imported: {len(planned.ambiguous)} lines may mean several people; write participant numbers there.",
        )


def _found(person: _Person, rows: Sequence[Row], there: set[int], least: int) -> Found:
    """Whoever was cut off and came back stands in several lines; their minutes add up."""
    counted = [each.minutes for each in rows if each.minutes is not None]
    minutes = None if not counted else max(counted) if any(each.total for each in rows) else sum(counted)
    kind = "new" if minutes is None or minutes >= least else "short"
    if person.id in there:
        kind = "there"
    return Found(person.id, person.name, tuple(each.line for each in rows), minutes, "staff" if person.staff else kind, person.gathering_id)


def _meant(name: str, people: Sequence[_Person]) -> list[_Person]:
    """Who is called or numbered so: as a whole, else without what stands in brackets or inside them, else by a number in it."""
    whole = normal(name)
    inside = _INSIDE.fullmatch(unicodedata.normalize("NFKC", name))
    parts = [normal(each) for each in inside.groups()] if inside else []
    numbers = [each for each in re.split(r"[\s_\-/#:.()]+", whole) if each.isdecimal()]
    for forms in ([whole], parts, numbers):
        found = [each for each in people if forms and (normal(each.name) in forms or (each.number and each.number in forms))]
        if found:
            return found
    return []


def _gatherings(tx: Tx, course_id: int, key: tuple[str, int], now: datetime, group_id: int | None) -> tuple[int, dict[int, int]]:
    """Minutes, and the gathering's id by the group that comes to it."""
    query = sa.select(GatheringRow.id, GatheringRow.group_id, GatheringRow.minutes, GatheringRow.starts_at, Group.large)
    mine = (GatheringRow.course_id == course_id, GatheringRow.kind == key[0], GatheringRow.number == key[1], GatheringRow.held)
    rows = tx.execute(query.join(Group, Group.id == GatheringRow.group_id).where(*mine)).all()
    rows = [row for row in rows if group_id is None or row.large or row.group_id == group_id]
    if not rows:
        raise NotFound("gathering", f"There is no {key[0]} {key[1]} here; `tongban course calendar` shows what there is.")
    begun = [row for row in rows if row.starts_at - EARLY <= now]
    if not begun:
        raise Invalid("early", f"{key[0].capitalize()} {key[1]} has not begun; import its list afterwards.")
    return begun[0].minutes, {row.group_id: row.id for row in begun}


def _people(tx: Tx, keyring: Keyring, course_id: int, ids: Mapping[int, int], group_id: int | None) -> list[_Person]:
    """Everybody of the course, staff too, so that a leader in the list is no riddle; where one group is meant its participants only."""
    query = sa.select(Membership.person_id, Membership.role, Membership.group_id).join(Group, Group.id == Membership.group_id)
    rows = tx.execute(query.where(Group.course_id == course_id, Membership.ended_at.is_(None))).all()
    seats: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        if row.role == Role.PARTICIPANT.value:
            seats[row.person_id].add(row.group_id)
    everybody = sorted({row.person_id for row in rows})
    known = names(tx, keyring, everybody)
    counted = sa.select(Participant.person_id, Participant.number).where(Participant.course_id == course_id)
    numbers = {row.person_id: row.number for row in tx.execute(counted)}
    found = []
    for person in everybody:
        own = next((ids[group] for group in sorted(seats[person]) if group in ids), 0)
        if person in seats and seats[person] and (not own or (group_id is not None and group_id not in seats[person])):
            continue
        found.append(_Person(person, known.get(person, ""), numbers.get(person, ""), own, staff=not seats[person]))
    return [each for each in found if each.name or each.number]
