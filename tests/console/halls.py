"""A course with people who wait for a group, some joined and some only on the roster, and a look at what a proposal made of them."""

import re
from collections import Counter

import sqlalchemy as sa

from app import groups, overview
from app.db import Tx
from app.models import Group, Invitation, Membership
from app.people import Known
from app.placing import proposals
from app.placing.facts import Facts, freeze
from app.placing.proposals import Draft
from bots.turns import Role
from tests.console.test_scheduling import shown
from tests.console.visiting import HOME, staff
from tests.delivery.scene import NOW, Desk

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
        return self.desk.read(lambda tx: overview.numbers(tx, self.desk.course_id))[known.id]

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


def shares(page: str) -> dict[str, list[str]]:
    """The rows of the table of a proposal: what it counts, in the whole and in each group."""
    table = re.search(r'<table class="came placed">(.*?)</table>', page, re.DOTALL)
    assert table is not None
    found = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', table.group(1), re.DOTALL)
    return {
        shown(head): [shown(re.sub(r"<span.*?</span>", "", cell)) for cell in re.findall(r"<td.*?</td>", cells)] for head, cells in found
    }
