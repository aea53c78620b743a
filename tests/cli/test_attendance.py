"""Attendance from the terminal: a list of a video meeting is shown and then imported whole or not at all; a table; a code to scan."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import openpyxl
import pytest
import sqlalchemy as sa
import time_machine

from app import accounts, clock, courses, groups, people
from app.attendance import lists
from app.attendance.lists import List
from app.cli import desk
from app.db import Tx
from app.keyring import Keyring
from app.models import Group, Participant
from bots.turns import Role
from tests.cli.conftest import Ended, Tongban, refused

START = ("course", "start", "msc-1", "msc-8-week", "--start", "2027-03-01", "--yes")
#: Half an hour after the first class began, in Shanghai.
NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
PEOPLE = (("李老师", Role.LEADER), *((name, Role.PARTICIPANT) for name in ("小雨", "王芳", "阿明", "阿明", "=1+1")))
ZOOM = """Meeting ID,Topic,Start Time,End Time,User Email,Duration (Minutes),Participants
811 1111 1111,第 1 次课,03/01/2027 07:25:00 PM,03/01/2027 09:31:00 PM,host@example.org,126,5

Name (Original Name),User Email,Join Time,Leave Time,Duration (Minutes),Guest,Recording Consent
李老师 (Host),host@example.org,03/01/2027 07:25:00 PM,03/01/2027 09:31:00 PM,126,No,
小雨,,03/01/2027 07:28:00 PM,03/01/2027 08:10:00 PM,42,Yes,
小雨 (iPhone),,03/01/2027 08:12:00 PM,03/01/2027 09:30:00 PM,78,Yes,
王芳,,03/01/2027 07:28:00 PM,03/01/2027 07:40:00 PM,12,Yes,
路人甲,,03/01/2027 07:28:00 PM,03/01/2027 09:30:00 PM,122,Yes,
"""


@pytest.fixture
def school(course: Tongban) -> Iterator[Tongban]:
    """A course that runs, with a leader and five participants in one group, two of whom have the same name."""
    with time_machine.travel(datetime(2027, 2, 1, tzinfo=UTC), tick=True):
        assert course(*START).code == 0
        with desk.at_work() as assembly:
            assembly.database.write_now(lambda tx: _seat(tx, assembly.tools.keyring))
    with time_machine.travel(NOW, tick=True):
        yield course


def _seat(tx: Tx, keyring: Keyring) -> None:
    course_id = courses.by_code(tx, "msc-1")
    places = tx.execute(sa.select(Group.id).where(Group.course_id == course_id)).scalars().all()
    for place, (name, role) in enumerate(PEOPLE):
        known = people.meet(tx, keyring, accounts.by_name(tx, "msc"), f"o{place:027d}", clock.now())
        people.rename(tx, known, name)
        for group_id in places:
            groups.enter(tx, group_id, known.id, role, clock.now())
        if role is Role.PARTICIPANT:
            groups.number_participant(tx, course_id, known.id, clock.now())


def imported(school: Tongban, text: str | bytes, *options: str, name: str = "list.csv") -> Ended:
    """The list, imported for the first class."""
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return school("attendance", "import", "msc-1", "class", "1", name, *options)


def marks(school: Tongban) -> dict[str, str]:
    """How each participant stands at the first class; of two with one name the last."""
    return {row["name"]: row["class 1"] for row in csv.DictReader(io.StringIO(school("attendance", "show", "msc-1", "--csv").out))}


def numbers() -> list[str]:
    """The participants' numbers in the order in which they came."""
    with desk.at_work() as assembly:
        return assembly.database.read_now(lambda tx: list(tx.execute(sa.select(Participant.number).order_by(Participant.id)).scalars()))


def test_a_zoom_export_is_shown_first_and_then_imported(school: Tongban) -> None:
    shown = imported(school, ZOOM)
    assert (shown.code, shown.err) == (0, "")
    assert "At least 60 minutes count" in shown.out
    assert "小雨" in shown.out
    assert "120" in shown.out, "who was cut off and came back stands in two lines, and their minutes add up"
    assert "not long enough" in shown.out
    assert "staff, not counted" in shown.out
    assert "路人甲: nobody of the course" in shown.out
    assert "Nothing was changed" in shown.out
    assert set(marks(school).values()) == {""}
    done = imported(school, ZOOM, "--commit")
    assert "Imported. 1 marked" in done.out
    assert marks(school) == {"小雨": "list", "王芳": "", "阿明": "", "'=1+1": ""}
    assert "Imported. 0 marked" in imported(school, ZOOM, "--commit").out, "the same list twice changes nothing (J4)"
    assert "Imported. 1 marked" in imported(school, ZOOM, "--commit", "--minutes", "10").out


def test_a_name_that_two_bear_is_told_apart_by_the_number(school: Tongban) -> None:
    refusal = imported(school, "姓名,时长\n小雨,90\n阿明,90\n", "--commit")
    assert "阿明: may be several people" in refusal.out
    assert "several people" in refused(refusal)
    assert set(marks(school).values()) == {""}, "nothing is half imported"
    done = imported(school, f"姓名,时长\n小雨,90\n{numbers()[3]} 阿明,1小时20分\n", "--commit")
    assert "Imported. 2 marked" in done.out
    assert marks(school) == {"小雨": "list", "王芳": "", "阿明": "list", "'=1+1": ""}


def test_j2_one_wrong_line_and_nothing_is_imported(school: Tongban) -> None:
    done = imported(school, "name,duration\n小雨,90\n王芳,all of it\n,3\n", "--commit")
    assert done.code == 1
    assert "line 3: 'all of it' is no length of time" in done.err
    assert "line 4: There is no name" in done.err
    assert "2 lines are wrong" in done.err
    assert set(marks(school).values()) == {""}


def test_what_is_no_list_of_this_course_is_refused_with_its_remedy(school: Tongban) -> None:
    Path("list.csv").write_text("name,duration\n小雨,90\n", encoding="utf-8")
    for words, remedy in (
        (("msc-1", "class", "9", "list.csv"), "course calendar"),
        (("msc-1", "class", "2", "list.csv"), "has not begun"),
        (("msc-1", "lesson", "1", "list.csv"), "class, meeting or retreat"),
        (("msc-1", "class", "1", "nothing.csv"), ".csv or .xlsx"),
        (("msc-1", "class", "1", "list.csv", "--group", "dusk"), "Groups: "),
    ):
        assert remedy in refused(school("attendance", "import", *words)), words


def test_the_table_shows_each_group_and_its_csv_runs_no_formula(school: Tongban) -> None:
    imported(school, "name,duration\n小雨,90\n", "--commit")
    shown = school("attendance", "show", "msc-1", "--group", "dawn")
    assert (shown.code, shown.err) == (0, "")
    assert "晨光组: 6 of 8 classes count" in shown.out
    assert "list" in shown.out
    rows = list(csv.reader(io.StringIO(school("attendance", "show", "msc-1", "--csv").out)))
    assert rows[0] == ["group", "number", "name", *(f"class {n}" for n in range(1, 9)), "retreat", "classes", "enough"]
    assert rows[1][0] == "晨光组"
    assert rows[1][2:4] == ["小雨", "list"]
    assert rows[1][-2:] == ["1", "no"]
    assert rows[-1][2] == "'=1+1", "I4"


def test_a_code_that_the_platform_does_not_give_is_no_obstacle(school: Tongban) -> None:
    done = school("course", "qr", "msc-1", "class", "1")
    assert "签到" in refused(done)
    assert "--group" not in done.err
    assert "course calendar" in refused(school("course", "qr", "msc-1", "class", "9"))
    school("group", "create", "dusk", "--name", "晚霞组")
    assert "--group" in refused(school("course", "qr", "msc-1", "meeting", "1"))


# Reading (bad-inputs.md J) ------------------------------------------------------------------------------------------------------------


def text(content: str, encoding: str = "utf-8") -> List:
    return lists.parse(".csv", content.encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_j1_encodings_of_chinese_excel_are_read(encoding: str) -> None:
    read = text("姓名,时长\n小雨,90\n𠮷野,45\n", encoding)
    assert [(row.name, row.minutes) for row in read.rows] == [("小雨", 90), ("𠮷野", 45)], read.errors


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"", 0, "empty"),
        (b"name,duration\n", 1, "nobody"),
        (b"who,when\nx,1\n", 1, "headed name"),
        (b"name,name\nx,y\n", 1, "Two columns"),
        (b'name,duration\n"x,1\n', 2, "Quotation marks"),
        (b"name,duration\nx,1,2\n", 2, "more cells"),
        ("姓名,时长\n小雨,90\n".encode() + "王芳,3\n".encode("gbk"), 3, "two encodings"),
        (b"name,duration\nx,-5\n", 2, "no length"),
        (b"name,duration\nx,1e9\n", 2, "no length"),
        (b"name,duration\nx,12:30\n", 2, "no length"),
        (b"name,join,leave\nx,20:00,19:00\n", 2, "before joining"),
        (b"name,join,leave\nx,yesterday,today\n", 2, "no moment"),
        (b"\x00\x01\x02name", 1, "zero byte"),
        (b"PK\x03\x04rest", 0, "Excel or zip"),
    ],
)
def test_j2_what_does_not_fit_is_named_with_its_line(content: bytes, line: int, says: str) -> None:
    errors = lists.parse(".csv", content).errors
    assert [(error.line, says in error.sentence) for error in errors] == [(line, True)], errors


@pytest.mark.parametrize(
    ("cell", "minutes"),
    [("83", 83), ("83 分钟", 83), ("1小时23分", 83), ("1:23:00", 83), ("83 min", 83), ("1 hour 23 minutes", 83), ("83.0", 83)],
)
def test_a_length_is_read_as_meetings_write_it(cell: str, minutes: float) -> None:
    assert [row.minutes for row in text(f"name,duration\nx,{cell}\n").rows] == [minutes]


def test_without_a_length_it_follows_from_joining_and_leaving(school: Tongban) -> None:
    assert [row.minutes for row in text("name,join,leave\nx,2027-03-01 19:30:00,2027-03-01 20:45:30\n").rows] == [75.5]
    assert [row.minutes for row in text("name\nx\n").rows] == [None]
    assert "Imported. 1 marked" in imported(school, "name\n小雨\n", "--commit").out, "a list of names alone marks whoever stands in it"


def test_j3_an_excel_list_is_read_with_its_kinds_of_cells() -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (
        ("姓名", "加入时间", "离开时间", "时长"),
        ("小雨", None, None, 90),
        ("王芳", datetime(2027, 3, 1, 19, 30), datetime(2027, 3, 1, 20, 30), None),  # noqa: DTZ001 - as Excel has it
        (12345, None, None, timedelta(minutes=75)),
        ("阿明", None, None, time(1, 15)),
    ):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    read = lists.parse(".xlsx", out.getvalue())
    assert [(row.name, row.minutes) for row in read.rows] == [("小雨", 90), ("王芳", 60), ("12345", 75), ("阿明", 75)], read.errors
