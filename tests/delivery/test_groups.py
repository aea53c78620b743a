"""Who may sit where: one small group per course and participant; and how the invitation came is kept for the flow chart."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from app import courses, effects, groups, people
from app.db import Tx
from app.errors import NotFound
from app.groups import Refused
from app.models import Course, Group, Membership, Screening
from app.people import Known
from app.situation import Situation
from bots.effects import Screen
from bots.facts import InvitationFound, InvitationState
from bots.turns import Role
from tests.delivery.scene import NOW, Desk


def _invited(desk: Desk, group: int, role: Role = Role.PARTICIPANT) -> str:
    return desk.write(lambda tx: groups.invite(tx, desk.keyring, group, NOW, role=role))


def _small(desk: Desk, course: int, code: str) -> int:
    return desk.write(lambda tx: groups.create(tx, course, code=code, name=code))


def _looks(desk: Desk, who: Known, code: str) -> InvitationFound:
    return desk.read(lambda tx: groups.look_up(tx, desk.keyring, who.id, code, "zh", NOW))


def _joins(desk: Desk, who: Known, code: str) -> str:
    """The word for why not, or "in"."""
    try:
        desk.write(lambda tx: groups.join(tx, desk.keyring, who.id, code, NOW))
    except Refused as refusal:
        return refusal.code
    return "in"


def _seats(desk: Desk, who: Known) -> set[tuple[int, str]]:
    query = sa.select(Membership.group_id, Membership.role).where(Membership.person_id == who.id, Membership.ended_at.is_(None))
    return desk.read(lambda tx: {(row.group_id, row.role) for row in tx.execute(query)})


def test_a_participant_of_one_small_group_gets_no_seat_in_another_of_the_same_course(database_url: str) -> None:
    with Desk(database_url) as desk:
        member, evening = desk.person(), _small(desk, desk.course_id, "evening")
        code = _invited(desk, evening)
        found = _looks(desk, member, code)
        assert (found.state, found.course, found.group) == (InvitationState.ELSEWHERE, desk.course_id, evening)
        before = _seats(desk, member)
        assert _joins(desk, member, code) == "elsewhere"
        assert _seats(desk, member) == before
        desk.write(lambda tx: groups.close(tx, evening, NOW))
        assert _looks(desk, member, code).state is InvitationState.ELSEWHERE, "another group is no help to them"


def test_who_was_taken_out_of_the_one_small_group_may_join_the_other(database_url: str) -> None:
    with Desk(database_url) as desk:
        member, evening = desk.person(), _small(desk, desk.course_id, "evening")
        desk.write(lambda tx: groups.end_membership(tx, desk.group, member.id, Role.PARTICIPANT, NOW, "moved"))
        assert _joins(desk, member, _invited(desk, evening)) == "in"
        assert (evening, "participant") in _seats(desk, member)
        assert _joins(desk, member, _invited(desk, desk.group)) == "elsewhere", "and now it is the other way round"


@pytest.mark.parametrize("role", [Role.LEADER, Role.ASSISTANT, Role.MENTOR])
def test_staff_may_be_in_several_groups_and_take_part_in_one(database_url: str, role: Role) -> None:
    with Desk(database_url) as desk:
        staff, evening = desk.person("李老师", role), _small(desk, desk.course_id, "evening")
        assert _joins(desk, staff, _invited(desk, evening, role)) == "in"
        assert _joins(desk, staff, _invited(desk, evening)) == "in", "who leads one group takes part in another"
        assert _joins(desk, staff, _invited(desk, desk.group)) == "elsewhere"
        participant = desk.person()
        assert _joins(desk, participant, _invited(desk, evening, role)) == "in", "and who takes part in one leads another"


def test_a_seat_in_the_large_group_or_in_another_course_is_no_seat_elsewhere(database_url: str) -> None:
    with Desk(database_url) as desk:
        member = desk.person()
        other = desk.write(
            lambda tx: courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="calm", title="静心", large_group="大组二")
        )
        desk.write(lambda tx: people.consent(tx, member.id, other, courses.SHIPPED_CONSENT, ("online",), NOW))
        assert _joins(desk, member, _invited(desk, _small(desk, other, "stars"))) == "in"
        newcomer = desk.person("阿木", None)
        large = desk.read(lambda tx: tx.execute(sa.select(Group.id).where(Group.course_id == desk.course_id, Group.large)).scalar_one())
        desk.write(lambda tx: groups.enter(tx, large, newcomer.id, Role.PARTICIPANT, NOW))
        assert _looks(desk, newcomer, _invited(desk, desk.group)).state is InvitationState.OPEN
        assert _looks(desk, member, _invited(desk, large)).state is InvitationState.OPEN


def test_a_course_that_is_over_holds_nobody_elsewhere(database_url: str) -> None:
    """Bots are not shown a membership of such a course, so they could not say where somebody sits."""
    with Desk(database_url) as desk:
        member, evening = desk.person(), _small(desk, desk.course_id, "evening")
        code = _invited(desk, evening)
        desk.write(lambda tx: tx.execute(sa.update(Course).values(ended_at=NOW)))
        assert _looks(desk, member, code).state is not InvitationState.ELSEWHERE


def _screened(desk: Desk, who: Known, effect: Screen) -> None:
    def apply(tx: Tx) -> None:
        situation = Situation(desk.account_id, who, people.view(tx, who), 1, NOW + timedelta(minutes=1))
        effects.apply(tx, desk.tools, situation, (effect,))

    desk.write(apply)


@pytest.mark.parametrize("source", ["qr", "code", "roster"])
def test_a_screening_says_how_the_invitation_came(database_url: str, source: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person(role=None)
        _screened(desk, person, Screen(desk.course_id, included=False, why="no time", source=source))
        _screened(desk, person, Screen(desk.course_id, included=True, source=source))
        query = sa.select(Screening.source, Screening.included, Screening.why).order_by(Screening.id)
        rows = desk.read(lambda tx: [tuple(row) for row in tx.execute(query)])
        assert rows == [(source, False, "no time"), (source, True, "")]


@pytest.mark.parametrize("source", ["chat", "", "QR"])
def test_a_screening_from_nowhere_known_is_a_bug_and_leaves_no_row(database_url: str, source: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person(role=None)
        with pytest.raises(ValueError, match="code, qr, roster"):
            _screened(desk, person, Screen(desk.course_id, included=True, source=source))
        assert desk.read(lambda tx: tx.execute(sa.select(Screening.id)).first()) is None


def test_somebody_who_is_moved_sits_in_one_group_and_keeps_the_number(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person()
        other = desk.write(lambda tx: groups.create(tx, desk.course_id, code="evening", name="晚霞组"))
        before = desk.read(lambda tx: people.view(tx, person))
        desk.write(lambda tx: groups.move(tx, person.id, other, NOW))
        after = desk.read(lambda tx: people.view(tx, person))
        assert [each.group for each in after.memberships if not each.large] == [other]
        assert after.numbers == before.numbers
        stranger = desk.person("王芳", role=None)
        with pytest.raises(NotFound, match="tongban group code"):
            desk.write(lambda tx: groups.move(tx, stranger.id, other, NOW))
