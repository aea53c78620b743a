"""Who was there: signed in, ticked, made up, each once, by whom it may be; what is left of it when somebody leaves or is erased."""

import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa

from app import attendance, broadcasts, groups, people
from app.attendance import lists
from app.courses import file, occasions, running
from app.courses.calendar import Evening
from app.courses.running import CallOff
from app.errors import Invalid
from app.groups import Refused
from app.models import Attendance, Audit, Delivery, Gathering, Group, MakeUp, Occasion
from app.people import Known
from bots.attendance.register import Register
from bots.effects import Attend, ClaimMakeUp, MarkAttendance, SettleMakeUp
from bots.turns import Role
from tests.delivery.scene import NOW, Desk

#: A Monday, two weeks after `NOW`.
FIRST = date(2026, 12, 7)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class School:
    """A course that runs, with two small groups of which the desk's is the first."""

    def __init__(self, desk: Desk, *, evenings: bool = False) -> None:
        self.desk = desk
        self.dusk = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组"))
        plan = file.read("msc-8-week")
        own = {desk.group: Evening(plan.class_time, 1), self.dusk: Evening(plan.class_time, 2)} if evenings else {}
        desk.write(lambda tx: running.start(tx, desk.tools, desk.course_id, running.Plan(plan, FIRST, own), NOW))
        self.large = desk.read(lambda tx: tx.execute(sa.select(Group.id).where(Group.large)).scalar_one())

    def person(self, name: str = "小雨", role: Role = Role.PARTICIPANT, group: int | None = None) -> Known:
        known = self.desk.person(name, None)

        def seat(tx) -> None:  # type: ignore[no-untyped-def]  # the transaction of the desk
            for each in (group or self.desk.group, self.large):
                groups.enter(tx, each, known.id, role, NOW)
            if role is Role.PARTICIPANT:
                groups.number_participant(tx, self.desk.course_id, known.id, NOW)

        self.desk.write(seat)
        return known

    def gathering(self, kind: str, number: int, group: int | None = None) -> tuple[int, datetime, timedelta]:
        """Its id, beginning and length."""
        query = sa.select(Gathering.id, Gathering.starts_at, Gathering.minutes).where(Gathering.kind == kind, Gathering.number == number)
        if group is not None:
            query = query.where(Gathering.group_id == group)
        row = self.desk.read(lambda tx: tx.execute(query.order_by(Gathering.id)).first())
        assert row is not None
        return row.id, row.starts_at, timedelta(minutes=row.minutes)

    def signs(self, known: Known, gathering: int, now: datetime, how: str = "word", city: str = "") -> None:
        self.desk.write(lambda tx: attendance.sign_in(tx, known.id, Attend(gathering, how, city), now))

    def marks(self, known: Known, gathering: int, of: list[Known], how: str, now: datetime, group: int | None = None) -> None:
        effect = MarkAttendance(group or self.desk.group, gathering, tuple(each.id for each in of), how)
        self.desk.write(lambda tx: attendance.mark(tx, known.id, effect, now))

    def claims(self, known: Known, gathering: int, now: datetime) -> int:
        self.desk.write(lambda tx: attendance.apply(tx, self.desk.keyring, known.id, ClaimMakeUp(gathering), now))
        query = sa.select(MakeUp.id).where(MakeUp.person_id == known.id, MakeUp.gathering_id == gathering)
        return self.desk.read(lambda tx: tx.execute(query).scalar_one())

    def settles(self, known: Known, claim: int, now: datetime, *, accepted: bool = True) -> None:
        effect = SettleMakeUp(claim, accepted)
        self.desk.write(lambda tx: attendance.apply(tx, self.desk.keyring, known.id, effect, now))

    def rows(self, known: Known | None = None) -> list[tuple[str, str | None]]:
        query = sa.select(Attendance.how, Attendance.city).order_by(Attendance.id)
        if known is not None:
            query = query.where(Attendance.person_id == known.id)
        return [(row.how, row.city) for row in self.desk.read(lambda tx: tx.execute(query).all())]

    def register(self, known: Known, group: int | None = None) -> Register:
        return self.desk.read(lambda tx: attendance.register(tx, self.desk.keyring, known.id, group or self.desk.group))

    def got(self, known: Known) -> list[str]:
        """What the attendance bot was to tell somebody."""
        query = sa.select(Delivery.broadcast_id).where(Delivery.person_id == known.id).order_by(Delivery.id)
        ids = self.desk.read(lambda tx: tx.execute(query).scalars().all())
        details = self.desk.read(lambda tx: broadcasts.details_of(tx, self.desk.keyring, ids))
        own = [details[each] for each in ids if "reason" in details[each]]
        return [self.desk.tools.composer.compose("attendance", "report", "zh", "Asia/Shanghai", each).text for each in own]


@pytest.fixture
def school(database_url: str) -> Iterator[School]:
    with Desk(database_url) as desk:
        yield School(desk)


@pytest.fixture
def evenings(database_url: str) -> Iterator[School]:
    with Desk(database_url) as desk:
        yield School(desk, evenings=True)


def refusal(error: pytest.ExceptionInfo[Refused]) -> str:
    return error.value.code


def test_who_signs_in_several_times_is_there_once(school: School) -> None:
    rain = school.person()
    class_1, starts, _ = school.gathering("class", 1)
    for how in ("word", "qr", "word"):
        school.signs(rain, class_1, starts, how)
    assert school.rows() == [("word", None)]


def test_one_signs_in_from_a_quarter_of_an_hour_before_until_half_an_hour_after(school: School) -> None:
    class_1, starts, length = school.gathering("class", 1)
    moments = {
        starts - 15 * MINUTE - timedelta(seconds=1): False,
        starts - 15 * MINUTE: True,
        starts + length + 30 * MINUTE - timedelta(seconds=1): True,
        starts + length + 30 * MINUTE: False,
    }
    for moment, open_ in moments.items():
        someone = school.person()
        if open_:
            school.signs(someone, class_1, moment)
        else:
            with pytest.raises(Refused) as error:
                school.signs(someone, class_1, moment)
            assert refusal(error) == "closed"
    assert len(school.rows()) == 2


def test_nobody_signs_in_where_they_do_not_take_part(evenings: School) -> None:
    rain, leader = evenings.person(), evenings.person("李老师", Role.LEADER)
    foreign, starts, _ = evenings.gathering("class", 1, evenings.dusk)
    own, _, _ = evenings.gathering("class", 1, evenings.desk.group)
    for known, gathering in ((rain, foreign), (leader, own), (rain, 7)):
        with pytest.raises(Refused) as error:
            evenings.signs(known, gathering, starts)
        assert refusal(error) == "foreign"
    assert evenings.rows() == []


def test_nobody_signs_in_to_what_is_called_off(school: School) -> None:
    rain = school.person()
    class_1, starts, _ = school.gathering("class", 1)
    off = CallOff(("class", 1), held=False)
    school.desk.write(lambda tx: running.change(tx, school.desk.keyring, school.desk.course_id, off, NOW, tell=False))
    with pytest.raises(Refused) as error:
        school.signs(rain, class_1, starts)
    assert refusal(error) == "foreign"


def test_two_sign_ins_that_race_are_one(school: School) -> None:
    rain = school.person()
    class_1, starts, _ = school.gathering("class", 1)
    begin = threading.Barrier(4)
    failed: list[Exception] = []

    def sign(how: str) -> None:
        begin.wait()
        try:
            school.signs(rain, class_1, starts, how)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failed.append(error)

    threads = [threading.Thread(target=sign, args=(how,)) for how in ("word", "qr", "word", "qr")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(school.rows(rain)) == 1


def test_the_city_of_the_retreat_is_kept_and_can_be_corrected(school: School) -> None:
    rain = school.person()
    retreat, starts, _ = school.gathering("retreat", 1)
    for city in ("", "火星"):
        with pytest.raises(Refused) as error:
            school.signs(rain, retreat, starts, city=city)
        assert refusal(error) == "city"
    school.signs(rain, retreat, starts, city="郑州")
    school.signs(rain, retreat, starts, city="北京")
    assert school.rows(rain) == [("word", "北京")]


def test_staff_tick_correct_and_note_what_was_made_up(school: School) -> None:
    rain, wind, leader = school.person(), school.person("王芳"), school.person("李老师", Role.LEADER)
    class_1, starts, _ = school.gathering("class", 1)
    school.signs(rain, class_1, starts)
    school.marks(leader, class_1, [rain, wind], "tick", starts)
    assert (school.rows(rain), school.rows(wind)) == ([("word", None)], [("tick", None)]), "who signed in themself stays so"
    school.marks(leader, class_1, [wind], "", starts)
    assert school.rows(wind) == []
    school.marks(leader, class_1, [wind], "made_up", starts + DAY)
    assert school.rows(wind) == [("made_up", None)]
    school.marks(leader, class_1, [wind], "tick", starts + DAY)
    assert school.rows(wind) == [("tick", None)]


def test_f2_a_leader_of_one_group_neither_sees_nor_marks_another(school: School) -> None:
    foreign = school.person("路过", group=school.dusk)
    leader = school.person("李老师", Role.LEADER)
    class_1, starts, _ = school.gathering("class", 1)
    assert not school.register(leader, school.dusk).seen
    for group, code in ((school.dusk, "role"), (school.desk.group, "foreign"), (school.large, "role")):
        with pytest.raises(Refused) as error:
            school.marks(leader, class_1, [foreign], "tick", starts, group)
        assert refusal(error) == code
    meeting, begins, _ = school.gathering("meeting", 1, school.dusk)
    with pytest.raises(Refused) as error:
        school.marks(leader, meeting, [], "tick", begins)
    assert refusal(error) == "foreign"
    assert school.rows() == []


def test_f3_whose_role_was_withdrawn_marks_nobody_any_more(school: School) -> None:
    rain, leader = school.person(), school.person("李老师", Role.LEADER)
    class_1, starts, _ = school.gathering("class", 1)
    school.marks(leader, class_1, [rain], "tick", starts)
    for group in (school.desk.group, school.large):
        school.desk.write(lambda tx, group=group: groups.end_membership(tx, group, leader.id, Role.LEADER, starts, "left"))  # type: ignore[misc]  # bound here
    with pytest.raises(Refused) as error:
        school.marks(leader, class_1, [rain], "", starts)
    assert refusal(error) == "role"
    assert not school.register(leader).seen
    assert school.rows(rain) == [("tick", None)]


@pytest.mark.parametrize("role", [Role.PARTICIPANT, Role.MENTOR, Role.RESEARCHER])
def test_f1_who_is_not_the_staff_of_a_group_has_no_register(school: School, role: Role) -> None:
    someone, rain = school.person("别人", role), school.person()
    class_1, starts, _ = school.gathering("class", 1)
    assert not school.register(someone).seen
    with pytest.raises(Refused) as error:
        school.marks(someone, class_1, [rain], "tick", starts)
    assert refusal(error) == "role"


def test_an_administrator_keeps_the_register_of_each_small_group(school: School) -> None:
    rain, boss = school.person(), school.person("陈管理", Role.ADMINISTRATOR, school.large)
    class_1, starts, _ = school.gathering("class", 1)
    school.marks(boss, class_1, [rain], "tick", starts)
    assert [seat.name for seat in school.register(boss).seats] == ["小雨"]
    assert not school.register(boss, school.large).seen


def test_nobody_is_marked_before_it_begins_and_no_name_is_audited(school: School) -> None:
    rain, leader = school.person(), school.person("李老师", Role.LEADER)
    class_1, starts, _ = school.gathering("class", 1)
    with pytest.raises(Refused) as error:
        school.marks(leader, class_1, [rain], "tick", starts - HOUR)
    assert refusal(error) == "early"
    school.marks(leader, class_1, [rain], "tick", starts)
    found = school.desk.read(lambda tx: tx.execute(sa.select(Audit.actor, Audit.details).where(Audit.action == "attendance.mark")).one())
    assert found.actor == f"person:{leader.id}"
    assert found.details == {"group": school.desk.group, "how": "tick", "people": 1}


def test_a_make_up_counts_when_the_leader_confirms_it(school: School) -> None:
    rain, leader, other = school.person(), school.person("李老师", Role.LEADER), school.person("赵老师", Role.LEADER, school.dusk)
    class_3, starts, length = school.gathering("class", 3)
    with pytest.raises(Refused) as error:
        school.claims(rain, class_3, starts)
    assert refusal(error) == "early"
    claim = school.claims(rain, class_3, starts + length)
    with pytest.raises(Refused) as error:
        school.claims(rain, class_3, starts + length)
    assert refusal(error) == "asked"
    assert [words[:10] for words in school.got(leader)] == ["小雨说补上了第 3 "]
    assert school.got(other) == []
    assert school.rows() == []
    with pytest.raises(Refused) as error:
        school.settles(other, claim, starts + DAY)
    assert refusal(error) == "role"
    school.settles(leader, claim, starts + DAY)
    assert school.rows(rain) == [("made_up", None)]
    assert "补课" in school.got(rain)[-1]
    with pytest.raises(Refused) as error:
        school.settles(leader, claim, starts + DAY)
    assert refusal(error) == "gone"
    with pytest.raises(Refused) as error:
        school.claims(rain, class_3, starts + 2 * DAY)
    assert refusal(error) == "there"


def test_a_make_up_that_is_not_confirmed_does_not_count_and_may_be_claimed_again(school: School) -> None:
    rain, leader = school.person(), school.person("李老师", Role.LEADER)
    class_3, starts, _ = school.gathering("class", 3)
    school.settles(leader, school.claims(rain, class_3, starts + DAY), starts + DAY, accepted=False)
    assert school.rows() == []
    assert "还没有确认" in school.got(rain)[-1]
    assert school.claims(rain, class_3, starts + 2 * DAY)


def test_two_leaders_who_confirm_at_once_make_it_up_once(school: School) -> None:
    rain = school.person()
    leaders = [school.person("李老师", Role.LEADER), school.person("张助教", Role.ASSISTANT)]
    class_3, starts, _ = school.gathering("class", 3)
    claim = school.claims(rain, class_3, starts + DAY)
    begin, ends = threading.Barrier(2), list[str]()

    def settle(leader: Known) -> None:
        begin.wait()
        try:
            school.settles(leader, claim, starts + DAY)
            ends.append("done")
        except Refused as refused:
            ends.append(refused.code)

    threads = [threading.Thread(target=settle, args=(leader,)) for leader in leaders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["done", "gone"]
    assert school.rows(rain) == [("made_up", None)]
    assert len(school.got(rain)) == 1


def test_the_record_counts_classes_by_the_rule_of_the_course(school: School) -> None:
    rain = school.person()
    for kind, number in (("class", 1), ("class", 2), ("meeting", 1)):
        gathering, starts, _ = school.gathering(kind, number, school.desk.group if kind == "meeting" else None)
        school.signs(rain, gathering, starts)
    mine = school.desk.read(lambda tx: attendance.mine(tx, rain.id))
    assert [(each.needed, len(each.classes())) for each in mine] == [(6, 8)]
    there = [each.number for each in mine[0].classes() if each.id in mine[0].marks]
    assert there == [1, 2]


def test_who_moved_to_another_group_keeps_what_they_attended(evenings: School) -> None:
    rain, leader = evenings.person(), evenings.person("赵老师", Role.LEADER, evenings.dusk)
    class_1, starts, _ = evenings.gathering("class", 1, evenings.desk.group)
    evenings.signs(rain, class_1, starts)
    evenings.desk.write(lambda tx: groups.move(tx, rain.id, evenings.dusk, starts + DAY))
    register = evenings.register(leader, evenings.dusk)
    first = next(each for each in register.sittings if (each.kind, each.number) == ("class", 1))
    assert [seat.marks[first.id].how for seat in register.seats] == ["word"]
    evenings.marks(leader, first.id, [rain], "", starts + 2 * DAY, evenings.dusk)
    assert evenings.rows(rain) == []


def test_an_erasure_leaves_no_row_and_a_withdrawal_no_claim(school: School) -> None:
    rain, wind, leader = school.person(), school.person("王芳"), school.person("李老师", Role.LEADER)
    class_1, starts, _ = school.gathering("class", 1)
    class_2, later, _ = school.gathering("class", 2)
    for known in (rain, wind):
        school.signs(known, class_1, starts)
        school.claims(known, class_2, later + DAY)
    exported = school.desk.read(lambda tx: people.export(tx, school.desk.keyring, rain.id))
    assert [(each["kind"], each["number"], each["how"]) for each in exported["attendance"]] == [("class", 1, "word")]
    school.desk.write(lambda tx: people.erase(tx, school.desk.keyring, rain.id, later + DAY, actor="operator"))
    school.desk.write(lambda tx: people.withdraw(tx, wind.id, later + DAY, erase_answers=False, actor="operator"))
    assert (school.rows(rain), school.rows(wind)) == ([], [("word", None)])
    assert school.desk.read(lambda tx: tx.execute(sa.select(MakeUp.id)).all()) == []
    query = sa.select(Delivery.broadcast_id).where(Delivery.person_id == leader.id)
    ids = school.desk.read(lambda tx: tx.execute(query).scalars().all())
    kept = school.desk.read(lambda tx: broadcasts.details_of(tx, school.desk.keyring, ids))
    assert [each.get("author_name") for each in kept.values() if each.get("reason") == "claim"].count("小雨") == 0


def test_nobody_is_missed_in_a_group_whose_roll_was_not_taken(school: School) -> None:
    rain, wind, other = school.person(), school.person("王芳"), school.person("路路", group=school.dusk)
    class_1, starts, _ = school.gathering("class", 1)
    school.signs(wind, class_1, starts)
    query = sa.select(Occasion.fire_at).where(Occasion.code == "class.1.missed")
    moment = school.desk.read(lambda tx: tx.execute(query).scalar_one())
    while school.desk.write(lambda tx: occasions.go_on(tx, school.desk.tools, moment)):
        pass
    missed = sa.select(Delivery.person_id).join(Occasion, Occasion.broadcast_id == Delivery.broadcast_id)
    found = school.desk.read(lambda tx: tx.execute(missed.where(Occasion.code == "class.1.missed")).scalars().all())
    assert list(found) == [rain.id]
    assert other.id not in found


def test_a_list_marks_all_or_none_and_twice_is_once(evenings: School) -> None:
    rain, wind = evenings.person(), evenings.person("王芳", group=evenings.dusk)
    got = lists.parse(".csv", "姓名,时长\n小雨,100\n王芳,100\n".encode())
    wrong = lists.parse(".csv", "姓名,时长\n小雨,100\n王芳,x\n".encode())
    _, starts, _ = evenings.gathering("class", 1, evenings.dusk)
    keyring, course_id, key = evenings.desk.keyring, evenings.desk.course_id, ("class", 1)
    with pytest.raises(Invalid):
        evenings.desk.write(lambda tx: lists.commit(tx, keyring, course_id, key, wrong, starts + DAY))
    assert evenings.rows() == []
    for new in (2, 0):
        done = evenings.desk.write(lambda tx: lists.commit(tx, keyring, course_id, key, got, starts + DAY))
        assert done.count("new") == new
    assert (evenings.rows(rain), evenings.rows(wind)) == ([("list", None)], [("list", None)])
    for group, known in ((evenings.desk.group, rain), (evenings.dusk, wind)):
        gathering, _, _ = evenings.gathering("class", 1, group)
        at = sa.select(Attendance.person_id).where(Attendance.gathering_id == gathering)
        assert evenings.desk.read(lambda tx, at=at: list(tx.execute(at).scalars())) == [known.id], "each at the evening of their group"  # type: ignore[misc]  # bound here
