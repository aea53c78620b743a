"""The cohort of those who came to enough classes: counted by the course's own rule, once a class, and not told of a handful."""

import sqlalchemy as sa

from app import attendance
from app.db import Tx
from app.models import Attendance, Gathering
from app.study import reading, tables
from tests.delivery.scene import Desk
from tests.delivery.test_attendance import School


def came(desk: Desk, person: int, numbers: range, *, how: str = "word", group: int | None = None) -> None:
    """Somebody was at these classes, of their group or of another one."""

    def work(tx: Tx) -> None:
        query = sa.select(Gathering.id, Gathering.starts_at).where(Gathering.kind == "class", Gathering.number.in_(numbers))
        query = query if group is None else query.where(Gathering.group_id == group)
        rows = tx.execute(query.order_by(Gathering.number)).all()
        assert len(rows) == len(numbers)
        values = [{"gathering_id": row.id, "person_id": person, "how": how, "at": row.starts_at} for row in rows]
        tx.execute(sa.insert(Attendance), values)

    desk.write(work)


def told(desk: Desk) -> object:
    """What the flow says of them; None where it says nothing."""
    found = desk.read(lambda tx: list(tables.flow(tx, reading.study(tx, desk.tools.shelf, desk.course_id))))
    return next((row["count"] for row in found if row["step"] == "came_enough"), None)


def test_six_of_eight_with_what_was_made_up_is_enough_and_five_is_not(database_url: str) -> None:
    with Desk(database_url) as desk:
        school = School(desk)
        people = [school.person(f"某人{number}").id for number in range(12)]
        for person in people[:5]:
            came(desk, person, range(1, 7))
        came(desk, people[5], range(1, 6))
        came(desk, people[5], range(8, 9), how="made_up")
        for person in people[6:]:
            came(desk, person, range(1, 6))
        assert desk.read(lambda tx: attendance.came_enough(tx, desk.course_id)) == 6
        assert told(desk) == 6


def test_a_class_counts_once_though_one_sat_with_two_groups(database_url: str) -> None:
    with Desk(database_url) as desk:
        school = School(desk, evenings=True)
        person = school.person().id
        came(desk, person, range(1, 6), group=desk.group)
        came(desk, person, range(1, 4), group=school.dusk)
        assert desk.read(lambda tx: attendance.came_enough(tx, desk.course_id)) == 0
        came(desk, person, range(6, 7), group=school.dusk)
        assert desk.read(lambda tx: attendance.came_enough(tx, desk.course_id)) == 1


def test_i7_a_handful_who_came_or_stayed_away_is_not_told(database_url: str) -> None:
    with Desk(database_url) as desk:
        school = School(desk)
        people = [school.person(f"某人{number}").id for number in range(8)]
        assert told(desk) == 0
        came(desk, people[0], range(1, 9))
        assert told(desk) == "<5"
        for person in people[1:5]:
            came(desk, person, range(1, 9))
        assert told(desk) == ""  # five came, and the three who did not would be known
        for person in people[5:]:
            came(desk, person, range(1, 9))
        assert told(desk) == 8


def test_without_a_calendar_there_is_no_such_cohort(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person()
        assert told(desk) is None
