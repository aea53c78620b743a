"""An assignment: who waits, a balanced proposal beside the whole, changes by hand, two administrators at once, and making it true."""

from collections import Counter
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app import groups
from app.db import Tx
from app.models import Group, Invitation, Membership
from app.people import Known
from app.placing import proposals
from app.placing.facts import Facts, freeze
from app.placing.proposals import Draft
from bots.turns import Role
from tests.console.test_scheduling import shown
from tests.console.visiting import HOME, browsing, staff
from tests.delivery.scene import NOW, Desk, at

ASKED = {"how": "groups", "number": "2", "use": "new", "together": "", "apart": "", "version": "0"}


class Hall:
    """A course with people who wait: some have joined, some are only on the roster."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        self.admin = staff(desk, "王管理", Role.ADMINISTRATOR, group=self.large)
        self.page = f"{HOME}/assign/{desk.course_id}"

    def joined(self, name: str) -> Known:
        """Somebody who takes part in the course and sits in no small group."""
        known = self.desk.person(name, role=None)

        def enter(tx: Tx) -> None:
            groups.enter(tx, self.large, known.id, Role.PARTICIPANT, NOW)
            groups.number_participant(tx, self.desk.course_id, known.id, NOW)

        self.desk.write(enter)
        return known

    def invite(self, name: str, *, group: int | None = None, phone: str | None = None, **facts: object) -> str:
        """Somebody on the roster; returns their code."""
        told = freeze(Facts(**facts))  # type: ignore[arg-type]
        keyring, where = self.desk.keyring, group or self.large
        return self.desk.write(lambda tx: groups.invite(tx, keyring, where, NOW, once=True, name=name, phone=phone, facts=told))

    def crowd(self, many: int) -> None:
        """So many on the roster, half women and half men, from two cities."""
        for number in range(many):
            gender, city = ("female", "male")[number % 2], ("北京", "西安")[number % 4 // 2]
            self.invite(f"客人{number:02d}", gender=gender, city=city, age=30 + number % 3, experience="none")

    def number(self, known: Known) -> str:
        """Somebody's participant number."""
        return self.desk.read(lambda tx: people_number(tx, self.desk.course_id, known.id))

    def draft(self) -> Draft:
        """The last proposal."""
        found = self.desk.read(lambda tx: proposals.find(tx, self.desk.course_id))
        assert found is not None
        return found

    def version(self) -> dict[str, str]:
        return {"version": str(self.draft().version)}

    def members(self, name: str) -> set[int]:
        """The participants of the group with this name."""
        query = sa.select(Membership.person_id).join(Group, Group.id == Membership.group_id)
        mine = (Group.name == name, Membership.ended_at.is_(None), Membership.role == Role.PARTICIPANT.value)
        return set(self.desk.read(lambda tx: tx.execute(query.where(*mine)).scalars().all()))

    def led(self) -> Counter[str]:
        """How many unused personal codes lead into each group, by its name."""
        query = sa.select(Group.name).join(Invitation, Invitation.group_id == Group.id).where(*groups.unused(NOW))
        return Counter(self.desk.read(lambda tx: tx.execute(query).scalars().all()))


def people_number(tx: Tx, course_id: int, person_id: int) -> str:
    return groups.number_participant(tx, course_id, person_id, NOW) if False else _number(tx, course_id, person_id)


def _number(tx: Tx, course_id: int, person_id: int) -> str:
    from app.overview import numbers

    return numbers(tx, course_id)[person_id]


@pytest.fixture
def hall(database_url: str) -> Iterator[Hall]:
    with Desk(database_url) as desk, at(NOW):
        yield Hall(desk)


def test_thin(hall: Hall) -> None:
    hall.crowd(8)
    a = hall.joined("小雨")
    with browsing(hall.desk, hall.admin) as browser:
        page = browser.get(hall.page)
        assert page.status_code == 200
        print(shown(page.text)[:1500])
        r = browser.post(hall.page + "/propose", ASKED)
        assert r.status_code == 303, shown(r.text)
        page = browser.get(hall.page)
        print(shown(page.text))
        r = browser.post(hall.page + "/move", {**hall.version(), "number": "R1", "place": "1"})
        assert r.status_code == 303
        r = browser.post(hall.page + "/apply", hall.version())
        assert r.status_code == 303, shown(r.text)
        print(shown(browser.get(hall.page).text)[:900])
        print(hall.led(), hall.members("第1组"), hall.members("第2组"))
        r = browser.post(hall.page + "/file", {"kind": "csv"})
        print(r.content.decode("utf-8-sig"))
        r = browser.post(hall.page + "/codes", {"group": ""})
        print(r.status_code, shown(r.text)[:300])
