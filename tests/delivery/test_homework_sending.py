"""The week's practices come to each person at their hour, once; reminders to those who have not practised, and to nobody else."""

from collections.abc import Iterator
from datetime import datetime

import pytest
import sqlalchemy as sa

from app import broadcasts, groups, people
from app.courses import occasions, running
from app.courses.running import Move
from app.db import Tx
from app.groups import Refused
from app.homework import hours
from app.models import Alarm, Broadcast, Delivery, PracticeHour
from bots.effects import CheckIn as Noted
from bots.turns import Role
from tests.delivery.practice import CLASS_DAY, DAY, HOUR, MINUTE, REMINDED_DAY, SENT_DAY, Practising, at
from tests.delivery.scene import Desk, says, together


@pytest.fixture
def course(database_url: str) -> Iterator[Practising]:
    with Desk(database_url) as desk:
        yield Practising(desk)


def choose(course: Practising, person_id: int, hour: str, now: datetime) -> None:
    course.desk.write(lambda tx: hours.choose(tx, person_id, hour, now))


READY = [("ready", "")]


def test_practices_come_at_each_ones_hour_and_once(course: Practising) -> None:
    early, late, usual = course.person("阿早", hour="08:00"), course.person("阿晚", hour="21:00"), course.person("小雨")
    leader = course.person("李老师", Role.LEADER)
    course.go(at(SENT_DAY, "07:59"))
    assert [course.got(each) for each in (early, late, usual)] == [[], [], []]
    course.go(at(SENT_DAY, "08:00"))
    assert [course.got(each) for each in (early, late, usual)] == [READY, [], []]
    assert course.occasion().fire_at == at(SENT_DAY, "20:00"), "on to the next hour that somebody has"
    course.go(at(SENT_DAY, "20:00"))
    course.go(at(SENT_DAY, "20:05"))
    assert [course.got(each) for each in (early, late, usual)] == [READY, [], READY]
    course.go(at(SENT_DAY, "21:00"))
    course.go(at(SENT_DAY, "23:59"))
    assert [course.got(each) for each in (early, late, usual)] == [READY, READY, READY]
    assert course.got(leader) == []
    assert course.occasion().state == "fired"
    assert len(course.broadcasts()) == 1


def test_the_hour_is_that_of_the_persons_own_clocks(course: Practising) -> None:
    berlin = course.person("Anna", hour="12:30", zone="Europe/Berlin")
    course.go(at(SENT_DAY, "12:30"))
    assert course.got(berlin) == []
    course.go(at(SENT_DAY, "19:30"))
    assert course.got(berlin) == READY


@pytest.mark.parametrize(
    ("before", "changed_at", "after"),
    [("08:00", "09:00", "21:00"), ("21:00", "20:30", "08:00"), ("12:30", "12:29", "20:00"), ("20:00", "20:30", "20:30")],
)
def test_a_change_of_the_hour_during_the_day_neither_sends_twice_nor_never(
    before: str, changed_at: str, after: str, course: Practising
) -> None:
    rain = course.person(hour=before)
    course.person("阿早", hour="08:00")
    for clock in ("08:00", "12:30", "20:00"):
        if clock < changed_at:
            course.go(at(SENT_DAY, clock))
    choose(course, rain.id, after, at(SENT_DAY, changed_at))
    for clock in (changed_at, "20:00", "20:30", "21:00", "23:59"):
        if clock >= changed_at:
            course.go(at(SENT_DAY, clock))
    assert course.got(rain) == READY


def test_who_joins_during_the_day_is_included(course: Practising) -> None:
    course.person("阿早", hour="08:00")
    course.go(at(SENT_DAY, "08:00"))
    rain = course.person("小雨", hour="12:30")
    now = at(SENT_DAY, "15:00")
    course.desk.write(lambda tx: hours.wake(tx, rain.id, now))
    course.go(now)
    assert course.got(rain) == READY


def test_who_comes_back_from_a_pause_during_the_day_is_included(course: Practising) -> None:
    rain = course.person(hour="08:00")
    course.person("阿晚", hour="21:00")
    course.desk.write(lambda tx: people.pause(tx, rain.id, at(SENT_DAY, "07:00")))
    course.go(at(SENT_DAY, "08:00"))
    assert course.got(rain) == []
    now = at(SENT_DAY, "15:00")
    course.desk.write(lambda tx: people.resume(tx, rain.id, now))
    course.desk.write(lambda tx: hours.wake(tx, rain.id, now))
    assert course.occasion().fire_at == now
    course.go(now)
    assert course.got(rain) == READY


def test_the_word_that_ends_a_pause_wakes_the_occasion_of_the_day(course: Practising) -> None:
    rain, number = course.person(hour="08:00"), course.desk.count
    course.person("阿晚", hour="21:00")
    says(course.desk, number, "停", at=at(SENT_DAY, "07:00"))
    course.go(at(SENT_DAY, "08:00"))
    says(course.desk, number, "恢复", at=at(SENT_DAY, "15:00"))
    course.go(at(SENT_DAY, "15:01"))
    assert course.got(rain) == READY


def test_a_message_that_everybody_had_goes_on_to_who_comes_later(course: Practising) -> None:
    early, late = course.person("阿早", hour="08:00"), course.person("阿晚", hour="21:00")
    course.go(at(SENT_DAY, "08:00"))
    sent = sa.update(Delivery).where(Delivery.person_id == early.id).values(state="sent", reason="service")
    course.desk.write(lambda tx: tx.execute(sent))
    course.desk.write(broadcasts.close_finished)
    assert course.broadcasts() == ["going"], "an occasion still adds readers to it"
    course.desk.write(lambda tx: tx.execute(sa.update(Broadcast).values(state="done")))
    course.go(at(SENT_DAY, "21:00"))
    assert course.got(late) == READY
    assert course.broadcasts() == ["going"]
    course.go(at(SENT_DAY, "23:59"))
    course.desk.write(lambda tx: tx.execute(sa.update(Delivery).values(state="sent", reason="service")))
    course.desk.write(broadcasts.close_finished)
    assert course.broadcasts() == ["done"]


def test_everybody_is_asked_for_an_hour_once_with_the_first_practices(course: Practising) -> None:
    rain, settled = course.person(), course.person("阿早", hour="08:00")
    course.go(at(SENT_DAY, "08:00"))
    course.go(at(SENT_DAY, "20:00"))
    columns = (PracticeHour.person_id, PracticeHour.hour)
    rows = course.desk.read(lambda tx: {row.person_id: row.hour for row in tx.execute(sa.select(*columns))})
    assert rows == {rain.id: None, settled.id: "08:00"}
    asks = _details(course, "homework.1")["asks"]
    course.go(at(SENT_DAY, "23:59"))
    course.go(at(SENT_DAY + 7 * DAY, "20:00"))
    assert (asks, _details(course, "homework.2")["asks"]) == (True, False)


def _details(course: Practising, code: str) -> dict[str, object]:
    broadcast_id = course.occasion(code).broadcast_id
    return course.desk.read(lambda tx: broadcasts.details_of(tx, course.desk.keyring, [broadcast_id]))[broadcast_id]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("code", ["homework.1", "homework.1.reminder1"])
def test_the_words_can_be_written_in_both_languages_and_fit(code: str, language: str, course: Practising) -> None:
    course.person()
    course.go(at(SENT_DAY if code == "homework.1" else REMINDED_DAY, "20:00"))
    message = course.desk.tools.composer.compose("homework", "homework", language, "Asia/Shanghai", _details(course, code))
    assert message.choices
    assert len(message.text.encode()) < 2048


def test_who_has_practised_since_the_class_is_not_reminded(course: Practising) -> None:
    rain, calm, cloud = course.person(), course.person("阿静"), course.person("小云")
    course.checks_in(rain, at(CLASS_DAY, "22:30"))
    course.checks_in(cloud, at(CLASS_DAY, "20:00"), back=1)
    course.go(at(REMINDED_DAY, "20:00"))
    code = "homework.1.reminder1"
    assert [course.got(each, code) for each in (rain, calm, cloud)] == [[], READY, READY]


def test_a_check_in_takes_the_waiting_reminder_back_and_nothing_else(course: Practising) -> None:
    rain, calm = course.person(), course.person("阿静")
    course.go(at(SENT_DAY, "20:00"))
    course.go(at(REMINDED_DAY, "20:00"))
    course.checks_in(rain, at(REMINDED_DAY, "20:01"))
    code = "homework.1.reminder1"
    assert course.got(rain, code) == [("cancelled", "practised")]
    assert (course.got(calm, code), course.got(rain)) == (READY, READY)
    course.go(at(REMINDED_DAY, "23:59"))
    assert course.got(rain, code) == [("cancelled", "practised")]


def test_a_check_in_at_the_moment_of_the_reminder_leaves_none_on_its_way(course: Practising) -> None:
    rain = course.person()
    course.go(at(SENT_DAY, "20:00"))
    course.go(at(SENT_DAY, "23:59"))
    now = at(REMINDED_DAY, "20:00")
    noted = Noted(course.desk.course_id, REMINDED_DAY, "pause", 5)

    def check_in(tx: Tx) -> bool:
        course.note(tx, rain, now, noted)
        return True

    together(course.desk, [check_in, *[lambda tx: occasions.go_on(tx, course.desk.tools, now)] * 3])
    course.go(now)
    course.go(now + MINUTE)
    assert [state for state, _ in course.got(rain, "homework.1.reminder1") if state != "cancelled"] == []


def test_a_change_of_the_hour_at_the_moment_of_firing_sends_once(course: Practising) -> None:
    rain = course.person(hour="20:00")
    now = at(SENT_DAY, "20:00")
    change = [lambda tx: hours.choose(tx, rain.id, "21:00", now)]
    together(course.desk, [*change, *[lambda tx: occasions.go_on(tx, course.desk.tools, now)] * 3])
    for clock in ("20:00", "20:01", "21:00", "23:59"):
        course.go(at(SENT_DAY, clock))
    assert course.got(rain) == READY


def test_processes_that_fire_together_write_to_nobody_twice(course: Practising) -> None:
    everybody = [course.person(f"人{number}") for number in range(6)]
    now = at(SENT_DAY, "20:00")
    together(course.desk, [lambda tx: occasions.go_on(tx, course.desk.tools, now)] * 4)
    course.go(now)
    assert [course.got(each) for each in everybody] == [READY] * 6
    assert len(course.broadcasts()) == 1


def test_who_left_is_paused_or_sits_in_no_group_gets_nothing(course: Practising) -> None:
    left, paused, foreign = course.person("阿走"), course.person("阿停"), course.desk.person("路人", None)
    course.desk.write(lambda tx: people.withdraw(tx, left.id, at(SENT_DAY, "09:00"), erase_answers=False, actor="x"))
    course.desk.write(lambda tx: people.pause(tx, paused.id, at(SENT_DAY, "09:00")))
    course.go(at(SENT_DAY, "20:00"))
    assert [course.got(each) for each in (left, paused, foreign)] == [[], [], []]


def test_nothing_goes_out_by_itself_after_a_restore(course: Practising) -> None:
    rain = course.person()
    course.desk.write(lambda tx: occasions.rest(tx, at(SENT_DAY, "20:30")))
    course.go(at(SENT_DAY, "20:30"))
    course.go(at(SENT_DAY, "23:59"))
    assert course.got(rain) == []
    assert (course.occasion().state, course.occasion().why) == ("missed", "restored")


def test_a_worker_that_was_away_writes_later_the_same_day_and_not_the_day_after(course: Practising) -> None:
    rain, late = course.person(hour="08:00"), course.person("阿晚", hour="21:00")
    course.go(at(SENT_DAY, "15:00"))
    assert course.got(rain) == READY
    course.go(at(SENT_DAY + DAY, "09:00"))
    assert course.got(late) == []
    assert course.occasion().state == "fired"


def test_an_outage_of_the_whole_day_is_missed_and_told(course: Practising) -> None:
    rain = course.person()
    course.go(at(SENT_DAY + DAY, "09:00"))
    assert course.got(rain) == []
    assert course.occasion().state == "missed"
    assert "occasion_missed" in course.desk.read(lambda tx: tx.execute(sa.select(Alarm.kind)).scalars().all())


def test_a_group_in_which_nobody_is_raises_no_alarm(course: Practising) -> None:
    course.go(at(SENT_DAY, "00:00"))
    course.go(at(SENT_DAY, "23:59"))
    assert course.occasion().state == "fired"
    assert course.desk.read(lambda tx: tx.execute(sa.select(Alarm.kind)).scalars().all()) == []


def test_a_day_that_is_under_way_is_no_change_of_the_calendar(course: Practising) -> None:
    course.person()
    course.go(at(SENT_DAY, "09:00"))
    change = Move(("class", 2), at(CLASS_DAY + 8 * DAY, "19:30"))
    foreseen = course.desk.read(lambda tx: running.preview(tx, course.desk.course_id, change, at(SENT_DAY, "09:00")))
    assert [each.code for each in foreseen if each.code.startswith("homework.1")] == []


@pytest.mark.parametrize(
    ("hour", "code"), [("22:30", "quiet"), ("07:00", "quiet"), ("12:15", "hour"), ("24:00", "hour"), ("x", "hour"), ("", "hour")]
)
def test_hours_that_cannot_be_are_refused(hour: str, code: str, course: Practising) -> None:
    rain = course.person()
    with pytest.raises(Refused) as refused:
        choose(course, rain.id, hour, at(SENT_DAY, "09:00"))
    assert refused.value.code == code


def test_a_late_class_of_another_week_is_not_woken(course: Practising) -> None:
    rain = course.person()
    before = course.occasion("homework.2").fire_at
    course.desk.write(lambda tx: hours.wake(tx, rain.id, at(SENT_DAY, "09:00")))
    assert course.occasion("homework.2").fire_at == before
    course.desk.write(lambda tx: groups.enter(tx, course.desk.group, rain.id, Role.LEADER, at(SENT_DAY, "09:00")))
    assert course.occasion().fire_at < at(SENT_DAY, "09:00") + HOUR
