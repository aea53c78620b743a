"""A mentor's week: numbers of at most three groups on a page, and nobody's words or participant's name."""

from datetime import timedelta

import sqlalchemy as sa

from app import groups, ids
from app.db import Tx
from app.models import Attendance, Gathering, Question
from app.questionnaires import waves
from app.questionnaires.waves import Plan
from bots.turns import Role
from tests.console.visiting import HOME, browsing, staff
from tests.delivery.scene import NOW, Desk, at

NAME = "金丝雀的名字"


def _lived(desk: Desk) -> None:
    people = [desk.person(f"{NAME}{number}") for number in range(3)]
    large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))

    def make(tx: Tx) -> None:
        plan = Plan("post", {"zh": "课后", "en": "After"}, NOW, NOW + timedelta(days=7), ("shs",), {})
        waves.add(tx, desk.tools.shelf, desk.course_id, plan, NOW)
        for number, state in enumerate(("open", "claimed", "answered"), 1):
            tx.execute(
                sa.insert(Question).values(
                    id=ids.new_id(),
                    course_id=desk.course_id,
                    group_id=desk.group,
                    account_id=desk.account_id,
                    person_id=people[0].id,
                    number=number,
                    state=state,
                    asked_at=NOW - timedelta(days=number * 3),
                    changed_at=NOW,
                    step=0,
                )
            )
        for kind, ago in (("class", 2), ("meeting", 20)):
            gathering = ids.new_id()
            tx.execute(
                sa.insert(Gathering).values(
                    id=gathering,
                    course_id=desk.course_id,
                    group_id=large,
                    kind=kind,
                    number=4,
                    starts_at=NOW - timedelta(days=ago),
                    minutes=120,
                    held=True,
                )
            )
            for person in people[:2]:
                tx.execute(sa.insert(Attendance).values(gathering_id=gathering, person_id=person.id, how="online", at=NOW))

    desk.write(make)
    while desk.write(lambda tx: waves.go_on(tx, desk.tools, NOW)):
        pass


def test_a_mentor_sees_the_week_of_a_group_in_numbers(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        _lived(desk)
        staff(desk, "李组长", Role.LEADER)
        with browsing(desk, staff(desk, "沈导师", Role.MENTOR)) as browser:
            page = browser.get(f"{HOME}/week").text
        assert "李组长" in page
        assert NAME not in page
        for line in ("现在就能收到：3", "答完 0 / 3", "第 4 课", "来了 2 / 3"):
            assert line in page, line
        assert "小组会" not in page, "what was three weeks ago is not this week"
        assert '还没回答的提问</th><td class="odd">2</td>' in page
        assert "这一周的提问</th><td>2</td>" in page


def test_of_more_than_three_groups_three_stand_on_a_page(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        mentor = staff(desk, "沈导师", Role.MENTOR)

        def make(tx: Tx) -> None:
            for number in range(3):
                group = groups.create(tx, desk.course_id, code=f"more{number}", name=f"多出来的{number}")
                groups.enter(tx, group, mentor.known.id, Role.MENTOR, NOW)
            groups.create(tx, desk.course_id, code="foreign", name="别人的组")

        desk.write(make)
        with browsing(desk, mentor) as browser:
            first, second = (browser.get(f"{HOME}/week?page={number}").text for number in (0, 1))
        assert "你带着 4 个组" in first
        assert first.count('<li class="card">') == 3
        assert second.count('<li class="card">') == 1
        assert "别人的组" not in first + second
