"""A running course speaks by itself: each occasion once, in its order, to whom it concerns; a change runs before it or after it."""

import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import broadcasts, groups, people, schedules
from app.channels import Rules
from app.courses import anchors, file, occasions, running
from app.courses.calendar import Consequence, Effect
from app.courses.running import CallOff, Move
from app.errors import Conflict, Invalid
from app.models import Alarm, Attendance, Broadcast, ConsentGiven, Course, Delivery, Gathering, Group, Occasion, Participant, Schedule, Wave
from app.outbox import claims
from app.outbox.claims import Lease
from app.people import Known
from bots.recurrence import moment_on
from bots.turns import Role
from tests.delivery.scene import NOW, Desk

ZONE = "Asia/Shanghai"
#: A Monday, two weeks after `NOW`.
FIRST = date(2026, 12, 7)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Running:
    """A course that runs, and looks at its rows."""

    def __init__(self, desk: Desk, name: str = "msc-8-week", **plan: Any) -> None:
        self.desk = desk
        made = running.Plan(file.read(name), FIRST, **plan)
        desk.write(lambda tx: running.start(tx, desk.tools, desk.course_id, made, NOW))
        self.large = desk.read(lambda tx: tx.execute(sa.select(Group.id).where(Group.large)).scalar_one())

    def everybody(self, known: Known, role: Role = Role.PARTICIPANT) -> None:
        """Seat somebody in the large group too, as joining does."""
        self.desk.write(lambda tx: groups.enter(tx, self.large, known.id, role, NOW))

    def go(self, now: datetime) -> int:
        """Take every step that is due; returns how many."""
        steps = 0
        while self.desk.write(lambda tx: occasions.go_on(tx, self.desk.tools, now)):
            steps += 1
        return steps

    def at(self, code: str) -> datetime:
        moment: datetime = self.row(code).fire_at
        return moment

    def row(self, code: str) -> Any:
        """The occasion of this code; of the large group where several have it."""
        query = sa.select(*Occasion.__table__.columns).where(Occasion.code == code)
        return self.desk.read(lambda tx: tx.execute(query.order_by(Occasion.group_id == self.large)).all())[-1]

    def got(self, known: Known) -> list[str]:
        """What was written to somebody, by the first words."""
        query = sa.select(Delivery.broadcast_id).where(Delivery.person_id == known.id).order_by(Delivery.id)
        ids = self.desk.read(lambda tx: tx.execute(query).scalars().all())
        details = self.desk.read(lambda tx: broadcasts.details_of(tx, self.desk.keyring, ids))
        return [self.desk.tools.composer.compose("course", "calendar", "zh", ZONE, details[each]).text for each in ids]

    def move(self, key: tuple[str, int], to: datetime, now: datetime = NOW, **how: Any) -> list[Consequence]:
        change = Move(key, to, **how)
        foreseen = self.desk.read(lambda tx: running.preview(tx, self.desk.course_id, change, now))
        made = self.desk.write(lambda tx: running.change(tx, self.desk.keyring, self.desk.course_id, change, now))
        assert made == foreseen, "a preview says what will be done"
        return made

    def starts(self, key: tuple[str, int]) -> datetime:
        query = sa.select(sa.func.min(Gathering.starts_at)).where(Gathering.kind == key[0], Gathering.number == key[1])
        return self.desk.read(lambda tx: tx.execute(query).scalar_one())


@pytest.fixture
def course(database_url: str) -> Iterator[Running]:
    with Desk(database_url) as desk:
        yield Running(desk)


def local(day: date, clock: str) -> datetime:
    return moment_on(day, anchors.clock(clock), ZONE)


def test_an_occasion_is_fired_once_to_everybody_who_is_there(course: Running) -> None:
    rain, leader, foreign = course.desk.person(), course.desk.person("李老师", Role.LEADER), course.desk.person("路人", None)
    course.everybody(rain)
    course.everybody(leader, Role.LEADER)
    before = course.at("class.1.day-before")
    course.go(before - timedelta(seconds=1))
    assert course.got(rain) == []
    course.go(before)
    course.go(before + timedelta(minutes=1))
    assert [words.split("：")[0] for words in course.got(rain)] == ["明天是第 1 次课"]
    assert "时间：12月7日 周一 19:30" in course.got(rain)[0]
    assert len(course.got(leader)) == 1
    assert course.got(foreign) == []
    assert course.row("class.1.day-before").state == "fired"


def test_the_link_stands_in_a_reminder_before_the_class_and_not_after_it(course: Running) -> None:
    rain = course.desk.person()
    course.everybody(rain)
    address = "https://example.org/j/1"
    course.desk.write(lambda tx: running.set_link(tx, course.desk.course_id, ("class", 0), address, NOW))
    course.go(course.at("class.1.hour-before"))
    assert f"入口：{address}" in course.got(rain)[-1]
    with pytest.raises(Invalid, match="https"):
        course.desk.write(lambda tx: running.set_link(tx, course.desk.course_id, ("class", 0), "javascript:alert(1)", NOW))


def test_moving_a_class_moves_what_hangs_on_it_and_back_again(course: Running) -> None:
    before = {code: course.at(code) for code in ("class.3.day-before", "class.3.hour-before", "homework.3", "class.4.day-before")}
    former = course.starts(("class", 3))
    made = course.move(("class", 3), former + DAY)
    assert {each.effect for each in made} == {Effect.MOVED}
    for code in ("class.3.day-before", "class.3.hour-before", "homework.3"):
        assert course.at(code) == before[code] + DAY
    assert course.at("class.4.day-before") == before["class.4.day-before"]
    course.move(("class", 3), former)
    assert {code: course.at(code) for code in before} == before


def test_what_was_sent_is_never_sent_again_by_a_move(course: Running) -> None:
    rain = course.desk.person()
    course.everybody(rain)
    now = course.at("class.3.day-before")
    course.go(now)
    sent = len(course.got(rain))
    made = course.move(("class", 3), course.starts(("class", 3)) + DAY, now)
    assert (Effect.STAYS, "class.3.day-before") in {(each.effect, each.code) for each in made}
    assert "改到" in course.got(rain)[-1], "who was told the old date is told the new one"
    course.go(now + DAY)
    assert [words for words in course.got(rain)[sent:] if "明天是第 3 次课" in words] == []


def test_a_class_moved_nearer_misses_the_reminders_whose_moment_is_over(course: Running) -> None:
    former = course.starts(("class", 1))
    now = former - 3 * DAY
    made = course.move(("class", 1), now + 2 * HOUR, now)
    assert (Effect.TOO_LATE, "class.1.day-before") in {(each.effect, each.code) for each in made}
    assert (course.row("class.1.day-before").state, course.row("class.1.day-before").why) == ("missed", "moved_past")
    course.move(("class", 1), former, now)
    assert course.row("class.1.day-before").state == "planned", "and back again they are planned as before"


def test_later_ones_move_along_where_they_are_asked_to(course: Running) -> None:
    former = {number: course.starts(("class", number)) for number in range(1, 9)}
    retreat, meeting = course.starts(("retreat", 1)), course.starts(("meeting", 5))
    course.move(("class", 3), former[3] + 7 * DAY, later=True)
    for number in range(1, 9):
        assert course.starts(("class", number)) == former[number] + (7 * DAY if number > 2 else timedelta())
    assert course.starts(("retreat", 1)) == retreat + 7 * DAY
    assert course.starts(("meeting", 5)) == meeting + 7 * DAY
    wave = course.desk.read(lambda tx: {row.code: row.opens_at for row in tx.execute(sa.select(Wave.code, Wave.opens_at))})
    assert wave["post"] == local(FIRST + 57 * DAY, "09:00")
    with pytest.raises(Invalid, match="and-later"):
        course.move(("class", 3), course.starts(("class", 4)) + HOUR)


def test_the_silence_of_the_retreat_moves_with_it(course: Running) -> None:
    def silent() -> Any:
        return course.desk.read(lambda tx: tx.execute(sa.select(Course.silences)).scalar_one())

    began = course.starts(("retreat", 1))
    assert silent() == [[began.isoformat(), (began + 4 * HOUR).isoformat()]]
    course.move(("retreat", 1), began + DAY)
    assert silent() == [[(began + DAY).isoformat(), (began + DAY + 4 * HOUR).isoformat()]]
    course.desk.write(lambda tx: running.change(tx, course.desk.keyring, course.desk.course_id, CallOff(("retreat", 1)), NOW))
    assert silent() == []


def test_a_class_called_off_sends_nothing_and_its_people_are_told(course: Running) -> None:
    rain = course.desk.person()
    course.everybody(rain)
    desk, key = course.desk, ("class", 2)
    made = desk.write(lambda tx: running.change(tx, desk.keyring, desk.course_id, CallOff(key), NOW))
    assert {each.effect for each in made} == {Effect.DROPPED}
    assert course.got(rain)[-1].startswith("【取消】第 2 次课")
    assert course.row("class.2.day-before").state == "cancelled"
    desk.write(lambda tx: running.change(tx, desk.keyring, desk.course_id, CallOff(key, held=True), NOW))
    assert course.row("class.2.day-before").state == "planned"
    assert "照常" in course.got(rain)[-1]


def test_a_late_worker_misses_rather_than_reminds_at_night(course: Running) -> None:
    rain = course.desk.person()
    course.everybody(rain)
    moment = course.at("class.1.day-before")
    course.go(moment + 2 * HOUR)
    assert [words for words in course.got(rain) if "明天" in words] == []
    assert (course.row("class.1.day-before").state, course.row("class.1.day-before").why) == ("missed", "late")
    assert "occasion_missed" in course.desk.read(lambda tx: tx.execute(sa.select(Alarm.kind)).scalars().all())


def test_who_missed_a_class_hears_of_it_and_nobody_where_none_was_marked(course: Running) -> None:
    rain, calm = course.desk.person(), course.desk.person("阿静")
    for each in (rain, calm):
        course.everybody(each)
    for number, there in ((1, False), (2, True)):
        gathering = course.row(f"class.{number}.missed").gathering_id
        if there:
            row = {"gathering_id": gathering, "person_id": calm.id, "how": "word", "at": NOW}
            course.desk.write(lambda tx, row=row: tx.execute(sa.insert(Attendance).values(**row)))  # type: ignore[misc]  # bound here
        course.go(course.at(f"class.{number}.missed"))
    assert (course.row("class.1.missed").state, course.row("class.1.missed").why) == ("missed", "no_attendance")
    assert [words for words in course.got(rain) if "没见到你" in words] == [course.got(rain)[-1]]
    assert [words for words in course.got(calm) if "没见到你" in words] == []


def test_two_workers_fire_an_occasion_once(course: Running) -> None:
    rain = course.desk.person()
    course.everybody(rain)
    moment, done = course.at("class.1.day-before"), []

    def work() -> None:
        while course.desk.write(lambda tx: occasions.go_on(tx, course.desk.tools, moment)):
            done.append(1)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert len([words for words in course.got(rain) if "明天是第 1 次课" in words]) == 1


@pytest.mark.parametrize("round_", range(6))
def test_a_move_that_races_with_the_firing_comes_before_it_or_after_it(course: Running, round_: int) -> None:
    rain = course.desk.person()
    course.everybody(rain)
    moment, to = course.at("class.3.hour-before"), course.starts(("class", 3)) + DAY
    course.go(moment - timedelta(seconds=1))
    began = len(course.got(rain))
    start = threading.Barrier(2)
    change = Move(("class", 3), to)

    def fire() -> None:
        start.wait()
        course.go(moment)

    def move() -> None:
        start.wait()
        course.desk.write(lambda tx: running.change(tx, course.desk.keyring, course.desk.course_id, change, moment, tell=False))

    threads = [threading.Thread(target=each) for each in (fire, move)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    row, said = course.row("class.3.hour-before"), course.got(rain)[began:]
    fired = [words for words in said if "还有一小时" in words]
    assert (row.state, len(fired)) in {("fired", 1), ("planned", 0)}
    if row.state == "planned":
        assert row.fire_at == moment + DAY


def test_a_late_joiner_is_greeted_once_as_the_course_says(database_url: str) -> None:
    with Desk(database_url) as desk:
        for rule, expected in (("digest", 1), ("all", 1), ("skip", 0)):
            desk.write(lambda tx: tx.execute(sa.delete(Occasion)))
            desk.write(lambda tx: tx.execute(sa.delete(Gathering)))
            desk.write(lambda tx: tx.execute(sa.delete(Wave)))
            desk.write(lambda tx: tx.execute(sa.update(Course).values(file=None)))
            course = Running(desk, late_joiners=rule)
            early = desk.person(f"早{rule}")
            now = course.starts(("class", 3)) + DAY
            late = desk.person(f"晚{rule}")
            joined = sa.update(Participant).where(Participant.person_id == late.id).values(joined_at=now)
            desk.write(lambda tx, joined=joined: tx.execute(joined))  # type: ignore[misc]  # bound here
            desk.write(lambda tx: tx.execute(sa.update(Occasion).values(state="cancelled")))
            course.go(now)
            course.go(now + HOUR)
            said = course.got(late)
            assert len(said) == expected
            assert course.got(early) == []
            if said:
                assert "第 4 次课" in said[0]
                assert "慈心祝愿" in said[0], "the practices of the week that runs"
                assert ("安抚触摸" in said[0]) is (rule == "all"), "and of the weeks before where the course says so"


def test_a_course_ends_by_itself_and_starts_nothing_any_more(course: Running) -> None:
    rain = course.desk.person()
    course.everybody(rain)
    over = course.desk.read(lambda tx: tx.execute(sa.select(Course.over_at)).scalar_one())
    assert over is not None
    course.desk.plan("以后再说", at=over + DAY, now=NOW)
    for code in ("class.1.day-before", "closing"):
        course.go(course.at(code))
    assert "八周走完了" in course.got(rain)[-1]
    course.go(over)
    assert course.desk.read(lambda tx: tx.execute(sa.select(Course.ended_at)).scalar_one()) == over
    states = course.desk.read(lambda tx: set(tx.execute(sa.select(Occasion.state)).scalars()))
    assert "planned" not in states
    assert course.desk.read(lambda tx: tx.execute(sa.select(Schedule.state, Schedule.why)).one()) == ("cancelled", "course_ended")
    assert course.desk.write(lambda tx: schedules.fire_next(tx, course.desk.keyring, over + 2 * DAY)) is None
    with pytest.raises(Conflict, match="ended"):
        course.move(("class", 8), over + DAY, over)


def test_nothing_is_sent_by_itself_after_a_restore(course: Running) -> None:
    rain = course.desk.person()
    course.everybody(rain)
    now = course.at("class.2.hour-before") + timedelta(minutes=5)
    passed = course.desk.write(lambda tx: occasions.rest(tx, now))
    assert passed > 5
    course.go(now)
    assert course.got(rain) == []
    course.go(course.at("class.3.day-before"))
    assert len(course.got(rain)) == 1, "what is still to come goes on"


def test_a_group_that_is_made_later_gets_the_meetings_to_come(course: Running) -> None:
    now = course.starts(("class", 3)) + HOUR

    def make(tx: Any) -> int:
        group = groups.create(tx, course.desk.course_id, code="late", name="新组")
        running.adopt(tx, group, now)
        running.adopt(tx, group, now)
        return group

    group = course.desk.write(make)
    numbers = sa.select(Gathering.number).where(Gathering.group_id == group, Gathering.kind == "meeting").order_by(Gathering.number)
    assert course.desk.read(lambda tx: list(tx.execute(numbers).scalars())) == [3, 4, 5, 6, 7, 8]


def test_who_withdraws_gets_nothing_of_the_course(course: Running) -> None:
    rain = course.desk.person()
    course.everybody(rain)
    course.desk.write(lambda tx: people.withdraw(tx, rain.id, NOW, erase_answers=False, actor="operator"))
    course.go(course.at("class.1.day-before"))
    assert course.got(rain) == []


def test_a_wave_moves_with_its_class_and_one_that_was_moved_by_hand_stays(course: Running) -> None:
    def closes(code: str) -> datetime:
        return course.desk.read(lambda tx: tx.execute(sa.select(Wave.closes_at).where(Wave.code == code)).scalar_one())

    former = course.starts(("class", 1))
    assert closes("baseline") == former
    course.move(("class", 1), former + DAY)
    assert closes("baseline") == former + DAY
    end = closes("post")
    course.move(("class", 2), course.starts(("class", 2)) + DAY)
    assert closes("post") == end


def test_the_numbers_of_a_broadcast_add_up_for_each_occasion(course: Running) -> None:
    for name in "甲乙丙丁":
        course.everybody(course.desk.person(name))
    course.go(course.at("class.1.day-before"))
    query = sa.select(sa.func.count()).join(Broadcast, Broadcast.id == Delivery.broadcast_id).where(Broadcast.bot == "course")
    assert course.desk.read(lambda tx: tx.execute(query.select_from(Delivery)).scalar_one()) == 4
    assert course.row("class.1.day-before").broadcast_id is not None


def test_nothing_goes_to_a_participant_before_they_consent(course: Running) -> None:
    rain = course.desk.person()
    course.everybody(rain)
    course.desk.write(lambda tx: tx.execute(sa.update(ConsentGiven).where(ConsentGiven.person_id == rain.id).values(ended_at=NOW)))
    moment = course.at("class.1.day-before")
    course.go(moment)
    course.desk.database.write_now(lambda tx: claims.claim(tx, course.desk.account_id, Lease("w", 1e12), Rules(), moment))
    query = sa.select(Delivery.state, Delivery.reason).where(Delivery.person_id == rain.id)
    assert course.desk.read(lambda tx: tx.execute(query).all()) == [("cancelled", "no_consent")]


def test_a_file_may_say_where_a_class_is_held(database_url: str) -> None:
    with Desk(database_url) as desk:
        plan = file.read("two-week-pilot")
        tree = plan.model_dump(mode="json")
        tree["weeks"][1]["link"] = "https://example.org/j/2"
        made = running.Plan(file.of(tree), FIRST)
        desk.write(lambda tx: running.start(tx, desk.tools, desk.course_id, made, NOW))
        links = sa.select(Gathering.number, Gathering.link).where(Gathering.kind == "class").order_by(Gathering.number)
        assert desk.read(lambda tx: [tuple(row) for row in tx.execute(links)]) == [(1, None), (2, "https://example.org/j/2")]
