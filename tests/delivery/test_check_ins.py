"""Check-ins are their owner's own: stored once, corrected, shared by choice, seen by who leads, gone when somebody leaves."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import access, broadcasts, people, retention
from app.db import Tx
from app.groups import Refused, create, enter
from app.homework import checkins, looking, silent
from app.keyring import Place
from app.models import Audit, Broadcast, CheckIn, ConsentGiven, Course, Delivery, Person, PracticeHour, WarmGiven
from app.people import Known
from bots.effects import AddLine, ShareCheckIn, WriteToSilent
from bots.effects import CheckIn as Noted
from bots.homework.book import GroupPractice
from bots.turns import Role
from tests.delivery.practice import CLASS_DAY, DAY, SENT_DAY, Practising, at
from tests.delivery.scene import Desk, says, together

NOON = at(SENT_DAY, "12:00")


@pytest.fixture
def course(database_url: str) -> Iterator[Practising]:
    with Desk(database_url) as desk:
        yield Practising(desk)


def line(course: Practising, known: Known, text: str, day: date = SENT_DAY, now: datetime = NOON) -> None:
    """Put a line to the check-in of a day."""
    wish = AddLine(course.desk.course_id, day, "pause", text)
    course.desk.write(lambda tx: checkins.add_line(tx, course.situation(tx, known, now), wish))


def share(course: Practising, known: Known, *, aloud: bool, now: datetime = NOON) -> None:
    """Share the check-in of the day."""
    wish = ShareCheckIn(course.desk.course_id, SENT_DAY, "pause", aloud)
    course.desk.write(lambda tx: checkins.share(tx, course.desk.tools, course.situation(tx, known, now), wish))


def seen(course: Practising, known: Known, now: datetime = NOON, group: int | None = None) -> GroupPractice:
    """What somebody sees of the group."""
    there = course.desk.group if group is None else group
    return course.desk.read(lambda tx: looking.seen_by(tx, course.desk.keyring, there, known.id, now))


def refusal(work: Any) -> str:
    with pytest.raises(Refused) as refused:
        work()
    return refused.value.code


# One's own -------------------------------------------------------------------------------------------------------------------------


def test_a_second_check_in_for_the_same_practice_and_day_corrects_the_first(course: Practising) -> None:
    rain = course.person()
    course.checks_in(rain, NOON, minutes=5)
    course.checks_in(rain, NOON, minutes=20)
    course.checks_in(rain, NOON)
    course.checks_in(rain, NOON, practice="breath")
    assert [(row.practice, row.minutes) for row in course.noted(rain)] == [("breath", None), ("pause", 20)]


def test_check_ins_at_the_same_moment_are_one(course: Practising) -> None:
    rain = course.person()
    noted = Noted(course.desk.course_id, SENT_DAY, "pause", 5)

    def work(tx: Tx) -> None:
        tx.execute(sa.select(Person.id).where(Person.id == rain.id).with_for_update(key_share=True))  # as every push does
        course.note(tx, rain, NOON, noted)

    together(course.desk, [work] * 4)
    assert len(course.noted(rain)) == 1


@pytest.mark.parametrize(("back", "code"), [(0, ""), (1, ""), (2, ""), (3, "day"), (-1, "day")])
def test_today_and_two_days_back_are_noted_and_nothing_else(back: int, code: str, course: Practising) -> None:
    rain = course.person()
    if code:
        assert refusal(lambda: course.checks_in(rain, NOON, back=back)) == code
    else:
        course.checks_in(rain, NOON, back=back)
        assert [row.day for row in course.noted(rain)] == [SENT_DAY - back * DAY]


def test_the_day_is_that_of_the_person(course: Practising) -> None:
    anna = course.person("Anna", zone="America/New_York")
    course.checks_in(anna, NOON)
    assert [row.day for row in course.noted(anna)] == [SENT_DAY - DAY]


def test_who_takes_no_part_in_the_course_checks_in_nowhere(course: Practising) -> None:
    leader, stranger = course.person("李老师", Role.LEADER), course.desk.person("路人", None)
    rain = course.person()
    assert refusal(lambda: course.checks_in(leader, NOON)) == "role"
    assert refusal(lambda: course.checks_in(stranger, NOON)) == "role"
    assert refusal(lambda: course.checks_in(rain, NOON, practice="flying")) == "practice"
    course.desk.write(lambda tx: tx.execute(sa.update(Course).values(ended_at=NOON)))
    assert refusal(lambda: course.checks_in(rain, NOON)) == "role"


def test_nothing_is_noted_without_consent(course: Practising) -> None:
    rain = course.person()
    course.desk.write(lambda tx: tx.execute(sa.update(ConsentGiven).values(ended_at=NOON)))
    assert refusal(lambda: course.checks_in(rain, NOON)) == "role"


def test_a_line_rests_sealed_under_the_persons_own_key(course: Practising) -> None:
    rain = course.person()
    course.checks_in(rain, NOON)
    line(course, rain, "听见了鸟叫")
    row = course.noted(rain)[0]
    assert "鸟".encode() not in row.line_sealed
    assert rain.key.unseal(Place("check_ins", "line_sealed", row.id), row.line_sealed) == "听见了鸟叫"
    assert refusal(lambda: line(course, rain, "长" * 201)) == "long"
    assert refusal(lambda: line(course, rain, "没有这一天", SENT_DAY - DAY)) == "foreign"


def test_somebody_elses_check_in_can_neither_be_changed_nor_shared(course: Practising) -> None:
    rain, calm = course.person(), course.person("阿静")
    course.checks_in(rain, NOON)
    assert refusal(lambda: line(course, calm, "不是我的")) == "foreign"
    assert refusal(lambda: share(course, calm, aloud=True)) == "foreign"
    assert course.noted(rain)[0].shared_at is None


def test_a_first_practice_and_a_return_after_a_week_are_given_a_warm_word(course: Practising) -> None:
    rain = course.person()

    def given() -> list[str]:
        query = sa.select(WarmGiven.after).where(WarmGiven.person_id == rain.id).order_by(WarmGiven.at)
        return course.desk.read(lambda tx: list(tx.execute(query).scalars()))

    course.checks_in(rain, NOON)
    assert given() == ["first"]
    course.checks_in(rain, NOON + 6 * DAY)
    assert given() == ["first"]
    course.checks_in(rain, NOON + 13 * DAY)
    assert given() == ["first", "return"]


def test_the_book_shows_the_week_the_streak_and_what_can_still_be_changed(course: Practising) -> None:
    rain, _ = course.person(hour="08:00"), course.person("李老师", Role.LEADER)
    for back in (2, 1, 0):
        course.checks_in(rain, NOON, back=back, minutes=5)
    book = course.book(rain, NOON)
    mine = book.courses[0]
    assert (mine.week, mine.weekly, mine.group, mine.leaders, mine.companions) == (1, ("pause",), "晨光组", ("李老师",), 1)
    assert (book.hour, book.asked, book.default, len(mine.days), len(mine.done)) == ("08:00", True, "20:00", 3, 3)
    assert course.book(rain, NOON + DAY).courses[0].done[0].day == SENT_DAY - DAY


# What leaders see ------------------------------------------------------------------------------------------------------------------


def test_a_leader_sees_that_and_when_and_minutes_only_where_they_were_shared(course: Practising) -> None:
    rain, calm, leader = course.person(), course.person("阿静"), course.person("李老师", Role.LEADER)
    for known in (rain, calm):
        course.checks_in(known, NOON, minutes=15)
        line(course, known, f"{known.name}的话")
    share(course, calm, aloud=False)
    there = seen(course, leader)
    assert [(one.name, one.minutes, one.line) for one in there.days[0].who] == [("小雨", None, ""), ("阿静", 15, "阿静的话")]
    assert (there.people, there.practised, there.days[0].day, there.since) == (2, 2, SENT_DAY, CLASS_DAY)
    assert course.broadcasts("shared") == []


@pytest.mark.parametrize("role", [Role.PARTICIPANT, Role.MENTOR, Role.RESEARCHER])
def test_who_does_not_lead_sees_nothing_of_the_group(role: Role, course: Practising) -> None:
    course.checks_in(course.person(), NOON)
    other = course.person("别人", role)
    assert seen(course, other) == GroupPractice()


def test_a_leader_of_one_group_can_neither_see_nor_address_another(course: Practising) -> None:
    desk = course.desk
    other = desk.write(lambda tx: create(tx, desk.course_id, code="dusk", name="晚霞组"))
    course.checks_in(course.person(), NOON)
    stranger = desk.person("王老师", None)
    desk.write(lambda tx: enter(tx, other, stranger.id, Role.LEADER, NOON))
    assert seen(course, stranger) == GroupPractice()
    assert seen(course, stranger, group=other).seen
    letter = WriteToSilent(desk.group, 3, "你好吗")
    assert refusal(lambda: desk.write(lambda tx: silent.write(tx, desk.tools, stranger.id, letter, NOON + 9 * DAY))) == "role"
    assert not desk.read(lambda tx: access.may_see_practice(tx, stranger.id, course.large))


def test_a_leader_whose_role_was_withdrawn_sees_nothing_any_more(course: Practising) -> None:
    leader = course.person("李老师", Role.LEADER)
    assert seen(course, leader).seen
    course.desk.write(lambda tx: people.withdraw(tx, leader.id, NOON, erase_answers=False, actor="x"))
    assert not seen(course, leader).seen


def test_silence_counts_from_the_first_class_or_the_last_practice(course: Practising) -> None:
    rain, _, paused = course.person(), course.person("阿静"), course.person("阿停")
    leader = course.person("李老师", Role.LEADER)
    course.desk.write(lambda tx: people.pause(tx, paused.id, NOON))
    course.checks_in(rain, at(CLASS_DAY + 2 * DAY, "12:00"))
    assert seen(course, leader, at(CLASS_DAY + 2 * DAY, "13:00")).silent == ()
    there = seen(course, leader, at(CLASS_DAY + 7 * DAY, "12:00")).silent
    assert [(each.name, each.days) for each in there] == [("小雨", 5), ("阿静", 7)]


def test_a_leaders_words_go_to_the_silent_and_to_nobody_else(course: Practising) -> None:
    desk = course.desk
    rain, calm, leader = course.person(), course.person("阿静"), course.person("李老师", Role.LEADER)
    now = at(CLASS_DAY + 5 * DAY, "12:00")
    course.checks_in(rain, now)
    letter = WriteToSilent(desk.group, 3, "<a href='x'>还好吗</a>")
    assert desk.write(lambda tx: silent.write(tx, desk.tools, leader.id, letter, now)) == 1
    letters = sa.select(Delivery.person_id, Delivery.broadcast_id).join(Broadcast, Broadcast.id == Delivery.broadcast_id)
    letters = letters.where(Broadcast.kind == "announcement")
    rows = desk.read(lambda tx: tx.execute(letters).all())
    assert [row.person_id for row in rows] == [calm.id]
    details = desk.read(lambda tx: broadcasts.details_of(tx, desk.keyring, [rows[0].broadcast_id]))[rows[0].broadcast_id]
    text = desk.tools.composer.compose("announcement", "announcement", "zh", "Asia/Shanghai", details).text
    assert [part in text for part in ("还好吗", "李老师", "<")] == [True, True, False]
    told = desk.read(lambda tx: tx.execute(sa.select(Audit.subject, Audit.details).where(Audit.action == "homework.write")).one())
    assert told.subject == f"group:{desk.group}"
    assert "还好吗" not in str(told.details)


@pytest.mark.parametrize(
    ("text", "days", "code"), [("", 3, "empty"), ("  \n", 3, "empty"), ("长" * 401, 3, "long"), ("你好", 4, "empty"), ("你好", 7, "nobody")]
)
def test_letters_that_cannot_be_are_refused(text: str, days: int, code: str, course: Practising) -> None:
    desk = course.desk
    course.person()
    leader = course.person("李老师", Role.LEADER)
    now = at(CLASS_DAY + 5 * DAY, "12:00")
    letter = WriteToSilent(desk.group, days, text)
    assert refusal(lambda: desk.write(lambda tx: silent.write(tx, desk.tools, leader.id, letter, now))) == code


# Sharing ---------------------------------------------------------------------------------------------------------------------------


def test_what_is_told_to_the_group_goes_to_the_others_in_it_once(course: Practising) -> None:
    rain, calm, leader = course.person(), course.person("阿静"), course.person("李老师", Role.LEADER)
    course.checks_in(rain, NOON, minutes=10)
    line(course, rain, "听见了<a href='x'>鸟叫</a>")
    share(course, rain, aloud=True)
    share(course, rain, aloud=True)
    query = sa.select(Delivery.person_id).join(Broadcast, Broadcast.id == Delivery.broadcast_id).where(Broadcast.kind == "shared")
    assert set(course.desk.read(lambda tx: tx.execute(query).scalars().all())) == {calm.id, leader.id}
    text = _told(course) or ""
    assert [part in text for part in ("小雨", "10 分钟", "鸟叫", "<")] == [True, True, True, False]


def _told(course: Practising) -> str | None:
    desk = course.desk
    found = desk.read(lambda tx: tx.execute(sa.select(Broadcast.id).where(Broadcast.kind == "shared")).scalar_one())
    details = desk.read(lambda tx: broadcasts.details_of(tx, desk.keyring, [found])).get(found)
    return None if details is None else desk.tools.composer.compose("homework", "shared", "zh", "Asia/Shanghai", details).text


def test_who_sits_in_no_small_group_shares_with_nobody(course: Practising) -> None:
    alone = course.desk.person("独自", None)
    course.desk.write(lambda tx: enter(tx, course.large, alone.id, Role.PARTICIPANT, NOON))
    course.checks_in(alone, NOON)
    assert refusal(lambda: share(course, alone, aloud=True)) == "group"


# Leaving ---------------------------------------------------------------------------------------------------------------------------


def _noted_and_told(course: Practising) -> Known:
    rain, _ = course.person(hour="08:00"), course.person("阿静")
    course.checks_in(rain, NOON, minutes=10)
    line(course, rain, "听见了鸟叫")
    share(course, rain, aloud=True)
    return rain


def test_who_withdraws_leaves_day_practice_and_minutes_and_takes_the_line_along(course: Practising) -> None:
    rain = _noted_and_told(course)
    course.desk.write(lambda tx: people.withdraw(tx, rain.id, NOON, erase_answers=False, actor="x"))
    row = course.noted(rain)[0]
    assert (row.day, row.practice, row.minutes, row.line_sealed, row.shared_at) == (SENT_DAY, "pause", 10, None, None)
    assert _told(course) is None
    states = sa.select(Delivery.state).join(Broadcast, Broadcast.id == Delivery.broadcast_id).where(Broadcast.kind == "shared")
    assert course.desk.read(lambda tx: set(tx.execute(states).scalars())) == {"cancelled"}
    assert course.desk.read(lambda tx: tx.execute(sa.select(PracticeHour)).all()) == []


def test_who_withdraws_with_their_answers_leaves_no_check_in(course: Practising) -> None:
    rain = _noted_and_told(course)
    course.desk.write(lambda tx: people.withdraw(tx, rain.id, NOON, erase_answers=True, actor="x"))
    assert course.noted(rain) == []


def test_nothing_of_who_is_erased_can_be_read_any_more(course: Practising) -> None:
    rain = _noted_and_told(course)
    course.desk.write(lambda tx: people.erase(tx, course.desk.keyring, rain.id, NOON, actor="x"))
    assert course.noted(rain) == []
    assert _told(course) is None


def test_a_person_gets_their_own_practice_readable(course: Practising) -> None:
    rain = _noted_and_told(course)
    found = course.desk.read(lambda tx: people.export(tx, course.desk.keyring, rain.id))["practice"]
    assert found["hour"] == "08:00"
    assert [(each["practice"], each["minutes"], each["line"]) for each in found["check_ins"]] == [("pause", 10, "听见了鸟叫")]


def test_lines_of_courses_that_ended_long_ago_are_thrown_away_and_days_stay(course: Practising) -> None:
    rain = _noted_and_told(course)
    kept = retention.keep(course.desk.assembly.settings)
    later = NOON + kept.details + DAY

    def run() -> Any:
        return course.desk.write(lambda tx: retention.CHORES["retention"][1]["practice_lines"](tx, kept, later, ()))

    assert run().gone == 0
    course.desk.write(lambda tx: tx.execute(sa.update(Course).values(ended_at=NOON)))
    assert course.desk.read(lambda tx: retention.count(tx, kept, later))["practice_lines"] == 1
    assert run().gone == 1
    row = course.noted(rain)[0]
    assert (row.minutes, row.line_sealed) == (10, None)
    assert course.desk.read(lambda tx: tx.execute(sa.select(sa.func.count(CheckIn.id))).scalar_one()) == 1


def test_words_of_danger_in_the_line_raise_a_flag_and_are_not_kept(course: Practising) -> None:
    rain = course.person()
    says(course.desk, course.desk.count, "我练了5分钟", at=NOON)
    reply, _ = says(course.desk, course.desk.count, "我不想活了", at=NOON + timedelta(seconds=20))
    assert "分享" not in reply
    row = course.noted(rain)[0]
    assert (row.minutes, row.line_sealed) == (5, None)
    assert course.desk.read(lambda tx: tx.execute(sa.text("SELECT count(*) FROM flags")).scalar_one()) == 1
