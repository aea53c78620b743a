"""The grids of a group: who practised on which day, who was at which class; done or not, and nothing else."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app import attendance, groups
from app.db import Tx
from app.models import Attendance, Gathering
from app.people import Known
from bots.turns import Role
from tests.console.visiting import HOME, browsing, queries, staff
from tests.delivery import asked
from tests.delivery.practice import CLASS_DAY, DAY, SENT_DAY, Practising
from tests.delivery.practice import at as moment
from tests.delivery.scene import Desk, at

NOON = moment(SENT_DAY, "12:00")


def grids(group: int) -> str:
    return f"{HOME}/groups/{group}/grids"


def came(course: Practising, known: Known, how: str = "tick", number: int = 1) -> None:
    """Somebody was at a class."""

    def work(tx: Tx) -> None:
        there = sa.select(Gathering.id).where(Gathering.kind == "class", Gathering.number == number)
        tx.execute(sa.insert(Attendance).values(gathering_id=tx.execute(there).scalar_one(), person_id=known.id, how=how, at=NOON))

    course.desk.write(work)


def squares(page: str) -> list[str]:
    """The kinds of the squares of each member."""
    lines = re.findall(r"<g>(.*?)</g>", page, re.DOTALL)
    return ["".join(kind[0] for kind in re.findall(r'<rect class="(\w+)"', line)) for line in lines]


def test_the_calendar_says_on_which_days_and_nothing_of_how_long_or_what(database_url: str) -> None:
    with Desk(database_url) as desk:
        course, leader = Practising(desk), staff(desk, "李老师", Role.LEADER)
        rain = course.person("小雨")
        course.person("阿宁")
        course.checks_in(rain, NOON, minutes=37)
        course.checks_in(rain, NOON, practice="breath", minutes=41)
        course.checks_in(rain, NOON, back=1)
        with at(NOON + 2 * DAY), browsing(desk, leader) as browser:
            page = browser.get(grids(desk.group)).text
        assert squares(page) == ["ddoo", "oooo"]
        assert "2 位组员，4 天" in page
        assert re.search(r"小雨</th><td>11/24、11/23</td>", page), "in words as well"
        assert re.search(r"阿宁</th><td>还没有打过卡</td>", page)
        assert not re.search(r"\b(37|41|78)\b", re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL))


def test_attendance_says_who_came_and_blames_nobody_where_no_roll_was_taken(database_url: str) -> None:
    with Desk(database_url) as desk:
        course, leader = Practising(desk), staff(desk, "李老师", Role.LEADER)
        rain, ning, away, claims = (course.person(name) for name in ("小雨", "阿宁", "静静", "小北"))
        came(course, rain)
        came(course, ning, "made_up")
        with at(NOON), browsing(desk, leader) as browser:
            first = desk.read(
                lambda tx: tx.execute(sa.select(Gathering.id).where(Gathering.kind == "class", Gathering.number == 1)).scalar_one()
            )
            desk.write(lambda tx: attendance.claim(tx, desk.keyring, claims.id, first, NOON))
            page = browser.get(grids(desk.group)).text
        cells = {
            name: re.findall(r'aria-label="([^"]+)"', row)
            for name, row in re.findall(
                r'<tr><th scope="row" dir="auto">([^<]+)</th>(.*?)</tr>', page.split('id="attendance"')[1], re.DOTALL
            )
        }
        assert {name: found[0] for name, found in cells.items()} == {
            "小雨": "来了",
            "阿宁": "补了课",
            "静静": "点名时不在",
            "小北": "说补了课，等着确认",
        }
        assert {found[1] for found in cells.values()} == {"还没上"}
        with at(moment(CLASS_DAY + 8 * DAY, "12:00")), browsing(desk, leader) as browser:
            assert browser.get(grids(desk.group)).text.count('aria-label="没有点名"') == 4
        assert away.id


@pytest.mark.parametrize(
    ("role", "where", "status"),
    [
        (Role.LEADER, "own", 200),
        (Role.ASSISTANT, "own", 200),
        (Role.ADMINISTRATOR, "own", 200),
        (Role.ADMINISTRATOR, "large", 404),
        (Role.LEADER, "neighbour", 404),
        (Role.MENTOR, "own", 404),
        (Role.RESEARCHER, "own", 404),
    ],
)
def test_only_who_looks_after_a_group_sees_its_grids(sqlite_url: str, role: Role, where: str, status: int) -> None:
    with Desk(sqlite_url) as desk:
        course, dusk = Practising(desk), asked.neighbours(desk)
        seat = course.large if role in (Role.ADMINISTRATOR, Role.RESEARCHER) else desk.group
        who = staff(desk, "自己", role, group=seat)
        with at(NOON), browsing(desk, who) as browser:
            assert browser.get(grids({"own": desk.group, "neighbour": dusk, "large": course.large}[where])).status_code == status
            linked = "/grids" in browser.get(f"{HOME}/groups/{desk.group}").text
            assert linked is (role not in (Role.MENTOR, Role.RESEARCHER))


def test_a_group_without_calendar_or_people_says_so(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOON), browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
        page = browser.get(grids(desk.group)).text
        assert "还没有可以看的练习" in page
        assert "这门课还没有日程" in page
        assert desk.read(lambda tx: groups.by_code(tx, "msc-all"))


def test_the_grids_ask_the_database_as_often_for_thirty_as_for_five(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, queries(desk) as statements:
        course, leader = Practising(desk), staff(desk, "李老师", Role.LEADER)
        counted = list[int]()
        for many in (5, 25):
            for number in range(many):
                known = course.person(f"组员{number}")
                course.checks_in(known, NOON, minutes=10)
                came(course, known)
            with at(NOON + timedelta(hours=1)), browsing(desk, leader) as browser:
                statements.clear()
                page = browser.get(grids(desk.group)).text
                counted.append(len(statements))
        assert len(squares(page)) == 30
        assert counted[0] == counted[1] < 25
