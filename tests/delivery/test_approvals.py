"""The second pair of eyes: nothing goes to many that only its author has seen, whoever races, whatever changes in between."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import announced, approvals, broadcasts, clock, courses, follow_ups, groups, people, polls, schedules, staffing
from app.console import scans
from app.db import Tx
from app.groups import Refused
from app.keyring import Place
from app.models import Approval, Audit, Broadcast, Course, Delivery, Membership, Schedule
from app.people import Known
from app.schedules import Reader
from bots.approval.waiting import Look
from bots.effects import Poll as Wanted
from bots.turns import Role
from tests.delivery.scene import NOW, Desk, alarms, deliveries, says, schedule_row, together

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TONIGHT = NOW + 2 * HOUR


class Hall:
    """A group of three readers in a course where more than two need second eyes, a leader who speaks, and two who may look."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        desk.write(lambda tx: courses.set_second_eyes(tx, desk.course_id, 2, NOW))
        self.author = desk.person("李老师", Role.LEADER)
        self.mentor, self.admin = desk.person("沈导师", Role.MENTOR), desk.person("王管理", None)
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        desk.write(lambda tx: groups.enter(tx, large, self.admin.id, Role.ADMINISTRATOR, NOW))
        self.readers = [desk.person("小雨"), desk.person("阿宁")]

    def plan(self, text: str = "今晚见", at: Any = None, now: Any = NOW, **more: Any) -> int:
        about = {"author_id": self.author.id, "group_id": self.desk.group, "text": text, "at": at, "draft": None, "now": now, **more}
        return self.desk.write(lambda tx: schedules.plan_announcement(tx, self.desk.keyring, **about))

    def look(self, schedule: int, who: Known | None = None, now: Any = NOW) -> Look:
        person = (who or self.mentor).id
        found = self.desk.read(lambda tx: approvals.look(tx, self.desk.tools, person, schedule, "zh", "Asia/Shanghai", now))
        assert found is not None
        return found

    def approve(self, schedule: int, who: Known | None = None, seen: str | None = None, now: Any = NOW) -> str:
        """Say yes to what is seen; returns why it was refused, or nothing."""
        mark = self.look(schedule, now=now).version if seen is None else seen
        person = (who or self.mentor).id
        return self._tried(lambda tx: approvals.approve(tx, self.desk.keyring, person, schedule, mark, now))

    def give_back(self, schedule: int, note: str = "先别发", who: Known | None = None, now: Any = NOW) -> str:
        mark, person = self.look(schedule, now=now).version, (who or self.mentor).id
        return self._tried(lambda tx: approvals.give_back(tx, self.desk.keyring, person, schedule, mark, note, now))

    def _tried(self, deed: Callable[[Tx], None]) -> str:
        try:
            self.desk.write(deed)
        except Refused as refused:
            return refused.code
        return ""

    def state(self, schedule: int) -> str:
        return self.desk.read(lambda tx: schedule_row(tx, schedule))[0]

    def got(self, schedule: int) -> set[int]:
        return set(self.desk.read(lambda tx: deliveries(tx, schedule)))

    def called(self, schedule: int) -> set[int]:
        return set(self.desk.read(lambda tx: deliveries(tx, schedule, "approval")))

    def told(self, who: Known) -> list[str]:
        """For what reasons somebody was written to by the bot of approvals."""

        def read(tx: Tx) -> list[str]:
            query = sa.select(Broadcast.id).join(Delivery, Delivery.broadcast_id == Broadcast.id).order_by(Broadcast.id)
            ids = tx.execute(query.where(Delivery.person_id == who.id, Broadcast.bot == "approval", Broadcast.kind == "report")).scalars()
            return [str(each["reason"]) for each in broadcasts.details_of(tx, self.desk.keyring, list(ids)).values()]

        return self.desk.read(read)

    def audited(self) -> list[tuple[str, str]]:
        query = sa.select(Audit.action, Audit.actor).where(Audit.action.startswith("announce.")).order_by(Audit.id)
        return [(row.action, row.actor) for row in self.desk.read(lambda tx: tx.execute(query).all())]

    def late(self, now: Any) -> bool:
        return self.desk.write(lambda tx: approvals.go_on(tx, self.desk.tools, now))


def test_what_goes_to_many_waits_is_seen_and_then_goes_once(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        made = hall.plan()
        assert hall.state(made) == "waiting"
        assert desk.fire(NOW + MINUTE) is None, "it cannot fire"
        assert hall.called(made) == {hall.mentor.id, hall.admin.id}
        look = hall.look(made)
        assert (look.bubble, look.state, look.at) == ("【晨光组 · 李老师】\n今晚见", "waiting", None)
        assert look.forecast is not None
        assert look.forecast.total == 3
        assert hall.approve(made) == ""
        assert hall.state(made) == "planned"
        assert {desk.fire(NOW + MINUTE), desk.fire(NOW + MINUTE)} == {made, None}
        assert hall.got(made) == {hall.mentor.id, *(each.id for each in hall.readers)}
        assert hall.told(hall.author) == ["approved_now"]
        mentor, author = f"person:{hall.mentor.id}", f"person:{hall.author.id}"
        assert hall.audited() == [("announce.wait", author), ("announce.approve", mentor)]


def test_fewer_than_that_go_as_ever_and_0_means_never(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        desk.write(lambda tx: courses.set_second_eyes(tx, desk.course_id, 3, NOW))
        made = hall.plan()
        assert (hall.state(made), desk.fire()) == ("planned", made)
        desk.write(lambda tx: courses.set_second_eyes(tx, desk.course_id, 0, NOW))
        for number in range(3):
            desk.person(f"同学{number}")
        other = hall.plan("明天见")
        assert (hall.state(other), desk.fire()) == ("planned", other)
        assert desk.read(lambda tx: tx.execute(sa.select(Approval)).first()) is None


def test_a_new_course_has_sixty_and_one_that_starts_by_a_file_what_the_file_says(database_url: str) -> None:
    with Desk(database_url) as desk:
        query = sa.text("SELECT second_eyes FROM courses")
        assert desk.read(lambda tx: tx.execute(query).scalar_one()) == 60
        for wrong in (-1, 1_000_001):
            with pytest.raises(Exception, match="number of people"):
                desk.write(lambda tx, wrong=wrong: courses.set_second_eyes(tx, desk.course_id, wrong, NOW))  # type: ignore[misc]


def test_the_operators_words_wait_too_and_no_terminal_can_say_yes(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        made = hall.plan(author_id=None)
        assert hall.state(made) == "waiting"
        assert hall.called(made) == {hall.mentor.id, hall.admin.id}
        assert hall.approve(made, hall.admin) == ""
        assert desk.fire() == made


def test_nobody_approves_their_own_words_nor_whoever_has_no_such_eyes(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        made = hall.plan(author_id=hall.admin.id)
        seen = hall.look(made).version
        assert hall.look(made, hall.admin).state == "own"
        assert hall.approve(made, hall.admin, seen) == "own"
        stranger, helper = desk.person("路人", None), desk.person("助教", Role.ASSISTANT)
        dusk = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组"))
        elsewhere = desk.person("别组的导师", None)
        desk.write(lambda tx: groups.enter(tx, dusk, elsewhere.id, Role.MENTOR, NOW))
        for nobody in (stranger, helper, hall.readers[0], hall.author, elsewhere):
            assert hall.approve(made, nobody, seen) == "role", nobody.id
            assert desk.read(lambda tx, who=nobody: approvals.look(tx, desk.tools, who.id, made, "zh", "Asia/Shanghai", NOW)) is None  # type: ignore[misc]
        assert desk.read(lambda tx: approvals.waiting(tx, desk.keyring, hall.admin.id)) == (), "not their own"
        assert [each.id for each in desk.read(lambda tx: approvals.waiting(tx, desk.keyring, hall.mentor.id))] == [made]
        assert hall.state(made) == "waiting"


def test_a_mentor_of_any_group_looks_at_what_goes_to_everybody(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        for each in hall.readers:
            desk.write(lambda tx, each=each: groups.enter(tx, large, each.id, Role.PARTICIPANT, NOW))  # type: ignore[misc]
        desk.write(lambda tx: groups.enter(tx, large, hall.mentor.id, Role.MENTOR, NOW))
        made = hall.plan(author_id=hall.admin.id, group_id=large)
        assert hall.called(made) == {hall.mentor.id}
        assert hall.approve(made) == ""


def test_the_author_reads_why_it_came_back_and_may_take_it_away(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        made = hall.plan(at=TONIGHT)
        assert hall.give_back(made, " \n ") == "empty"
        assert hall.give_back(made, "长" * 201) == "long"
        assert hall.give_back(made, "早上还是晚上？") == ""
        assert (hall.state(made), hall.told(hall.author)) == ("returned", ["returned"])
        given = desk.read(lambda tx: approvals.standing(tx, desk.keyring, made))
        assert given is not None
        assert (given.state, given.by, given.note) == ("returned", "沈导师", "早上还是晚上？")
        assert hall.approve(made, hall.admin) == "decided"
        assert desk.fire(TONIGHT + MINUTE) is None
        assert not hall.late(TONIGHT + 2 * HOUR), "it was answered"
        desk.write(lambda tx: schedules.cancel(tx, made, hall.author.id, NOW))
        assert hall.state(made) == "cancelled"


def test_what_was_taken_back_cannot_be_approved_and_calls_that_have_not_left_are_taken_back(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        made = hall.plan()
        seen = hall.look(made).version
        assert desk.write(lambda tx: schedules.cancel(tx, made, hall.author.id, NOW)) == 0
        assert hall.approve(made, seen=seen) == "gone"
        assert hall.look(made).state == "gone"
        calls = desk.read(lambda tx: deliveries(tx, made, "approval"))
        assert {row.word for row in calls.values()} == {("cancelled", "taken")}


def test_nobody_looks_and_it_is_missed_an_hour_late_or_after_a_day(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        tonight, soon = hall.plan("今晚见", at=TONIGHT), hall.plan("马上见")
        assert desk.read(approvals.next_moment) == TONIGHT + HOUR
        assert not hall.late(TONIGHT + HOUR - MINUTE)
        assert hall.approve(tonight, seen="x", now=TONIGHT + HOUR) == "late"
        assert hall.late(TONIGHT + HOUR)
        assert (hall.state(tonight), hall.state(soon)) == ("missed", "waiting")
        assert desk.read(lambda tx: approvals.any_due(tx, NOW + timedelta(days=1)))
        assert hall.late(NOW + timedelta(days=1))
        assert not hall.late(NOW + timedelta(days=1))
        assert hall.state(soon) == "missed"
        assert hall.told(hall.author) == ["unapproved", "unapproved"]


def test_what_is_approved_too_late_for_its_moment_is_missed_as_ever(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        made = hall.plan(at=TONIGHT)
        assert hall.approve(made, now=TONIGHT + 59 * MINUTE) == ""
        assert desk.fire(TONIGHT + 61 * MINUTE) == made
        assert desk.read(lambda tx: schedule_row(tx, made)) == ("missed", "late")


def test_a_group_that_grew_meanwhile_makes_it_wait_and_all_are_told(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        desk.write(lambda tx: courses.set_second_eyes(tx, desk.course_id, 3, NOW))
        made = hall.plan(at=TONIGHT)
        assert hall.state(made) == "planned"
        desk.person("后来的")
        assert desk.fire(TONIGHT) == made, "it was dealt with"
        assert (hall.state(made), hall.got(made)) == ("waiting", set())
        assert hall.told(hall.author) == ["waits_grew"]
        assert hall.called(made) == {hall.mentor.id, hall.admin.id}
        assert hall.look(made).why == "grew"
        assert hall.approve(made, now=TONIGHT + MINUTE) == ""
        assert desk.fire(TONIGHT + MINUTE) == made
        assert len(hall.got(made)) == 4


def rewritten(desk: Desk, schedule: int, text: str) -> None:
    """Put other words into an announcement."""

    def write(tx: Tx) -> None:
        details = announced.details_of(tx, desk.keyring, schedule) | {"text": text}
        key_id = tx.execute(sa.select(Course.data_key_id)).scalar_one()
        sealed = desk.keyring.open(tx, key_id).seal(Place("schedules", "details_sealed", schedule), broadcasts.freeze(details))
        tx.execute(sa.update(Schedule).where(Schedule.id == schedule).values(details_sealed=sealed))

    desk.write(write)


def _moved(desk: Desk, schedule: int) -> None:
    later = sa.update(Schedule).where(Schedule.id == schedule).values(fire_at=TONIGHT + MINUTE)
    desk.write(lambda tx: tx.execute(later))


def _asks_more(desk: Desk, schedule: int) -> None:
    desk.write(lambda tx: polls.attach(tx, desk.keyring, schedule, 0, Wanted(), TONIGHT))


@pytest.mark.parametrize(
    "change", [lambda desk, made: rewritten(desk, made, "明天见"), _moved, _asks_more], ids=["words", "moment", "poll"]
)
def test_whatever_is_seen_of_it_changes_the_approval_is_void(database_url: str, change: Callable[[Desk, int], None]) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        made = hall.plan(at=TONIGHT)
        before = hall.look(made).version
        change(desk, made)
        assert hall.approve(made, seen=before) == "changed", "what was seen is no longer what would go"
        assert hall.approve(made) == ""
        rewritten(desk, made, "后天见")
        assert desk.fire(TONIGHT + 2 * MINUTE) == made
        assert (hall.state(made), hall.told(hall.author)) == ("waiting", ["approved", "waits_changed"])
        assert hall.got(made) == set()
        assert hall.approve(made, hall.admin, now=TONIGHT + 3 * MINUTE) == ""
        assert desk.fire(TONIGHT + 3 * MINUTE) == made
        assert len(hall.got(made)) == 3


def test_whoever_approved_and_has_lost_the_role_since_counts_no_more(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        made = hall.plan(at=TONIGHT)
        assert hall.approve(made) == ""
        desk.write(lambda tx: groups.end_membership(tx, desk.group, hall.mentor.id, Role.MENTOR, NOW, "left"))
        desk.person("补位的")
        assert desk.fire(TONIGHT) == made
        assert (hall.state(made), hall.told(hall.author)) == ("waiting", ["approved", "waits_approver"])
        assert hall.called(made) >= {hall.admin.id}
        assert hall.approve(made, hall.admin, hall.look(made, hall.admin, TONIGHT).version, TONIGHT) == ""
        assert desk.fire(TONIGHT) == made


def test_an_author_who_has_lost_the_role_is_told_so_as_ever(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        made = hall.plan(at=TONIGHT)
        assert hall.approve(made) == ""
        desk.write(lambda tx: groups.end_membership(tx, desk.group, hall.author.id, Role.LEADER, NOW, "left"))
        assert desk.fire(TONIGHT) == made
        assert desk.read(lambda tx: schedule_row(tx, made)) == ("missed", "role")


def test_two_logins_of_one_person_are_one_pair_of_eyes(database_url: str) -> None:
    """Who came by a link and later binds their WeChat is one person from then on: also where the other one had said yes."""
    with Desk(database_url) as desk:
        hall = Hall(desk)
        twin = desk.person("李老师", Role.LEADER)
        desk.write(lambda tx: groups.enter(tx, desk.group, twin.id, Role.MENTOR, NOW))
        made = hall.plan(at=TONIGHT)
        assert hall.approve(made, twin) == ""
        desk.write(lambda tx: scans._hand_over(tx, desk.keyring, hall.author.id, twin.id, NOW))
        desk.write(lambda tx: groups.end_membership(tx, desk.group, hall.author.id, Role.LEADER, NOW, "left"))
        desk.person("补位的")
        assert desk.fire(TONIGHT) == made
        assert hall.state(made) == "waiting"
        assert hall.approve(made, twin) == "own"


def test_what_is_handed_over_waits_in_the_name_of_the_successor(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        successor = desk.person("赵老师", Role.ASSISTANT)
        made = hall.plan(at=TONIGHT)
        seen = hall.look(made).version
        desk.write(lambda tx: staffing.hand_over(tx, desk.keyring, desk.group, hall.author.id, successor.id, NOW))
        assert hall.look(made).author_name == "赵老师"
        assert hall.approve(made, seen=seen) == "changed"
        assert hall.approve(made) == ""
        assert hall.told(successor) == ["approved"]


def test_an_erased_author_or_approver_lets_nothing_go_unseen(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        made = hall.plan(at=TONIGHT)
        assert hall.approve(made, hall.mentor) == ""
        desk.write(lambda tx: people.erase(tx, desk.keyring, hall.mentor.id, NOW, actor="operator"))
        for number in range(2):
            desk.person(f"同学{number}")
        assert desk.fire(TONIGHT) == made
        assert hall.state(made) == "waiting"


def test_a_course_in_which_nobody_could_look_raises_an_alarm(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        desk.write(lambda tx: tx.execute(sa.delete(Membership).where(Membership.person_id == hall.mentor.id)))
        desk.person("补位的")
        made = hall.plan(author_id=hall.admin.id)
        assert hall.called(made) == set()
        assert desk.read(alarms) == {f"nobody_to_approve course:{desk.course_id}": 1}


def test_the_end_of_the_course_takes_what_waits_along(database_url: str) -> None:
    with Desk(database_url) as desk:
        from app.courses import occasions

        hall = Hall(desk)
        made = hall.plan(at=TONIGHT)
        desk.write(lambda tx: occasions.end(tx, desk.course_id, NOW))
        assert hall.state(made) == "cancelled"
        assert not hall.late(TONIGHT + 2 * HOUR)


def test_other_words_to_many_silent_readers_are_no_way_around(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        made = hall.plan(poll=Wanted())
        assert hall.look(made).choices == ("收到",)
        assert hall.approve(made) == ""
        assert desk.fire() == made
        desk.write(lambda tx: tx.execute(sa.update(Delivery).values(state="sent")))

        def ask(text: str) -> int:
            return desk.write(lambda tx: follow_ups.follow_up(tx, desk.keyring, made, hall.author.id, text, clock.now()))

        with pytest.raises(Refused, match="Nobody else has seen these words"):
            ask("别的话")
        assert ask("") == 3, "its own words have been seen"


def test_it_is_listed_as_what_it_is(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        waits, back = hall.plan(at=TONIGHT), hall.plan("别的", at=TONIGHT)
        hall.give_back(back)
        listed = desk.read(lambda tx: schedules.announcements(tx, desk.keyring, Reader("zh", hall.author.id), 10))
        assert {each.id: each.state for each in listed} == {waits: "waiting", back: "returned"}


def test_the_longest_announcement_is_seen_whole_in_the_chat(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        words = "".join(f"第{number}句，很长很长。" for number in range(1, 55))
        hall.plan(words)
        reply, _ = says(desk, 2, "看公告 1")
        rest = [each["text"] for each in _continued(desk)]
        assert all(f"第{number}句" in "".join((reply, *rest)) for number in range(1, 55))
        assert "同意发 1" in "".join((reply, *rest))
        assert len(reply.encode()) <= 2048


def _continued(desk: Desk) -> list[dict[str, Any]]:
    def read(tx: Tx) -> list[dict[str, Any]]:
        ids = list(tx.execute(sa.select(Broadcast.id).where(Broadcast.kind == "continuation").order_by(Broadcast.id)).scalars())
        return list(broadcasts.details_of(tx, desk.keyring, ids).values())

    return desk.read(read)


# Races ----------------------------------------------------------------------------------------------------------------------------


def _or_word(deed: Callable[[Tx], Any]) -> Callable[[Tx], str]:
    def tried(tx: Tx) -> str:
        try:
            deed(tx)
        except Refused as refused:
            return refused.code
        return ""

    return tried


def _approves(hall: Hall, who: Known, schedule: int, now: Any = NOW) -> Callable[[Tx], str]:
    seen = hall.look(schedule).version
    return _or_word(lambda tx: approvals.approve(tx, hall.desk.keyring, who.id, schedule, seen, now))


def _gives_back(hall: Hall, who: Known, schedule: int) -> Callable[[Tx], str]:
    seen = hall.look(schedule).version
    return _or_word(lambda tx: approvals.give_back(tx, hall.desk.keyring, who.id, schedule, seen, "不", NOW))


def _cancels(hall: Hall, schedule: int) -> Callable[[Tx], str]:
    return _or_word(lambda tx: schedules.cancel(tx, schedule, hall.author.id, NOW))


def test_of_several_who_decide_at_once_one_wins_and_the_others_are_told(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        for round_ in range(3):
            made = hall.plan(f"第{round_}次")
            jobs = [_approves(hall, hall.mentor, made), _approves(hall, hall.admin, made), _gives_back(hall, hall.admin, made)]
            ends = together(desk, jobs)
            assert sorted(ends) == ["", "decided", "decided"]
            assert hall.state(made) == ("planned" if "" in ends[:2] else "returned")
            assert len(hall.told(hall.author)) == round_ + 1
            desk.write(_cancels(hall, made))


def test_an_approval_races_with_its_author_who_takes_it_back(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        for round_ in range(3):
            made = hall.plan(f"第{round_}次")
            approved, cancelled = together(desk, [_approves(hall, hall.mentor, made), _cancels(hall, made)])
            assert (cancelled, hall.state(made)) == ("", "cancelled")
            assert approved in ("", "gone")
            assert desk.fire() is None


def test_an_approval_races_with_the_firing_and_with_its_being_too_late(database_url: str) -> None:
    with Desk(database_url) as desk:
        hall = Hall(desk)
        made, late = hall.plan(at=TONIGHT), TONIGHT + HOUR
        approved, missed, fired = together(
            desk,
            [
                _approves(hall, hall.mentor, made, late - MINUTE),
                lambda tx: str(approvals.go_on(tx, desk.tools, late)),
                lambda tx: str(schedules.fire_next(tx, desk.keyring, late - MINUTE)),
            ],
        )
        if approved == "":
            assert (missed, hall.state(made)) in (("False", "planned"), ("False", "fired"))
        else:
            assert (approved, missed, fired, hall.state(made)) == ("gone", "True", "None", "missed")
        assert len(hall.got(made)) == (3 if hall.state(made) == "fired" else 0)
