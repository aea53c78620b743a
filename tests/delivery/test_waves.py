"""Waves of questionnaires: open at their moment and no longer, put to whom they concern, each step once, in order."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import groups, people
from app.db import Tx
from app.groups import Refused
from app.models import Assignment, AssignmentChange, Broadcast, Course, Delivery, GivenAnswer, Sheet, Wave
from app.people import Known
from app.questionnaires import assigning, sheets, waves
from app.questionnaires.waves import Rule
from bots.effects import BeginAssignment, Given, Record
from bots.turns import Role
from tests.delivery.asking import CLOSES, DAY, HOUR, OPENS, PLAN, SECOND, ZONE, Round, local
from tests.delivery.scene import NOW, Desk, run, together
from tests.stage import START, Stage


@pytest.fixture
def course(database_url: str) -> Iterator[Round]:
    with Desk(database_url) as desk:
        yield Round(desk)


# Opening and inviting ------------------------------------------------------------------------------------------------------------------


def test_a_wave_opens_at_its_moment_and_not_before(course: Round) -> None:
    rain = course.desk.person()
    course.add()
    assert course.go(OPENS - SECOND) == 0
    assert (course.wave_state(), course.row(rain)) == ("planned", None)
    assert course.go(OPENS) == 2
    assert (course.wave_state(), course.state(rain)) == ("open", "invited")
    assert course.messages(rain) == [("invitation", "ready", "", OPENS)]
    assert course.history(rain) == [("invited", "wave_open", OPENS)]
    assert course.go(OPENS + HOUR) == 0


@pytest.mark.parametrize(("late", "state"), [("refuse", "window_closed"), ("keep", "invited")])
def test_the_window_is_half_open(late: str, state: str, course: Round) -> None:
    rain = course.desk.person()
    course.add(replace(PLAN, late=late, rule=Rule()))
    course.go(OPENS)
    assert course.go(CLOSES - SECOND) == 0
    late_comer = course.desk.person("阿宁")
    assert course.go(CLOSES) == 1
    assert (course.wave_state(), course.state(rain)) == ("closed", state)
    assert course.row(late_comer) is None
    assert course.go(CLOSES + DAY) == 0


def test_an_answer_counts_until_the_last_second_and_not_at_the_end(course: Round) -> None:
    rain, calm = course.desk.person(), course.desk.person("阿静")
    course.add(replace(PLAN, rule=Rule()))
    course.go(OPENS)
    for known, moment, state in ((rain, CLOSES - SECOND, "partial"), (calm, CLOSES, "invited")):
        sheet = course.desk.read(lambda tx, known=known: sheets.find(tx, course.desk.tools.shelf, known.id, course.desk.account_id, "zh"))  # type: ignore[misc]  # as above
        effect = Record(sheet[0].sheets[0].id, (Given(1, 3, "3"),), "tapped")
        if moment < CLOSES:
            course.does(known, effect, moment)
        else:
            with pytest.raises(Refused, match="over"):
                course.does(known, effect, moment)
        assert course.state(known) == state


def test_a_late_answer_is_kept_where_the_wave_keeps_it(course: Round) -> None:
    rain = course.desk.person()
    course.add(replace(PLAN, late="keep"))
    course.go(OPENS)
    course.go(CLOSES)
    course.finishes(rain, CLOSES + DAY)
    assert course.state(rain) == "complete"
    assert course.history(rain)[-1] == ("complete", "handed_in", CLOSES + DAY)


def test_only_who_takes_part_and_consents_is_invited(course: Round) -> None:
    desk = course.desk
    rain = desk.person()
    leader, assistant = desk.person("李老师", Role.LEADER), desk.person("助教", Role.ASSISTANT)
    stranger = desk.person("路人", None)
    gone, unsure, removed, promoted, paused = (desk.person(name) for name in ("已退出", "没同意", "移出", "升任", "暂停"))

    def change(tx: Tx) -> None:
        people.withdraw(tx, gone.id, NOW, erase_answers=False, actor="operator")
        tx.execute(sa.text("UPDATE consents SET ended_at = given_at WHERE person_id = :person"), {"person": unsure.id})
        groups.end_membership(tx, desk.group, removed.id, Role.PARTICIPANT, NOW, "left")
        groups.end_membership(tx, desk.group, promoted.id, Role.PARTICIPANT, NOW, "promoted")
        groups.enter(tx, desk.group, promoted.id, Role.ASSISTANT, NOW)
        people.pause(tx, paused.id, NOW)

    desk.write(change)
    course.add()
    course.go(OPENS)
    assert course.state(rain) == "invited"
    nobody = (leader, assistant, stranger, gone, unsure, removed, promoted, paused)
    assert [(course.row(each), course.messages(each)) for each in nobody] == [(None, [])] * len(nobody)
    desk.write(lambda tx: people.resume(tx, paused.id, OPENS + HOUR))
    course.go(OPENS + HOUR)
    assert course.state(paused) == "invited"


def test_a_participant_of_another_course_is_not_invited(course: Round) -> None:
    desk = course.desk

    def elsewhere(tx: Tx) -> Known:
        from app import courses

        other = courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="other", title="另一门")
        group = groups.create(tx, other, code="other", name="别组")
        known = people.meet(tx, desk.keyring, desk.account_id, "oElsewhere000000000000000001", NOW)
        people.consent(tx, known.id, other, courses.SHIPPED_CONSENT, ("online",), NOW)
        groups.enter(tx, group, known.id, Role.PARTICIPANT, NOW)
        groups.number_participant(tx, other, known.id, NOW)
        return known

    known = desk.write(elsewhere)
    course.add()
    course.go(OPENS)
    assert course.row(known) is None


def test_who_joins_while_a_wave_is_open_is_invited_too(course: Round) -> None:
    course.desk.person()
    course.add()
    course.go(OPENS)
    late = course.desk.person("阿宁")
    course.go(OPENS + 3 * DAY)
    assert course.history(late) == [("invited", "wave_open", OPENS + 3 * DAY)]
    assert course.row(late).remind_at == local(5)


def test_who_returns_is_not_invited_twice(course: Round) -> None:
    rain = course.desk.person()
    course.add()
    course.go(OPENS)
    course.desk.write(lambda tx: people.withdraw(tx, rain.id, OPENS + HOUR, erase_answers=False, actor="operator"))
    assert course.state(rain) == "withdrawn"

    def come_back(tx: Tx) -> None:
        people.consent(tx, rain.id, course.desk.course_id, "1", ("online",), OPENS + DAY)
        groups.enter(tx, course.desk.group, rain.id, Role.PARTICIPANT, OPENS + DAY)
        groups.number_participant(tx, course.desk.course_id, rain.id, OPENS + DAY)

    course.desk.write(come_back)
    course.go(OPENS + DAY)
    assert course.state(rain) == "withdrawn"
    assert len(course.messages(rain)) == 1


def test_a_large_course_is_invited_in_chunks_and_everybody_once(course: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waves, "CHUNK", 3)
    everybody = [course.desk.person(f"组员{number}") for number in range(8)]
    course.add()
    assert course.go(OPENS) == 4
    assert [len(course.messages(each)) for each in everybody] == [1] * 8
    assert course.go(local(3)) == 3
    assert [len(course.messages(each, "reminder")) for each in everybody] == [1] * 8


def test_a_wave_of_a_course_that_has_ended_does_not_open_and_stops_no_clock(course: Round) -> None:
    course.desk.person()
    course.add()
    course.desk.write(lambda tx: tx.execute(sa.update(Course).values(ended_at=NOW)))
    assert course.go(OPENS) == 0
    assert course.desk.read(waves.next_moment) is None


def test_a_window_that_passed_while_nothing_ran_invites_nobody(course: Round) -> None:
    rain = course.desk.person()
    course.add()
    course.go(CLOSES + HOUR)
    assert (course.wave_state(), course.row(rain)) == ("closed", None)


# Reached -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delivery", "state"),
    [("sent", "reached"), ("confirmed", "reached"), ("waiting", "invited"), ("notified", "invited"), ("unknown", "invited")],
)
def test_reached_is_noted_from_the_moment_of_the_delivery(delivery: str, state: str, course: Round) -> None:
    rain = course.desk.person()
    course.add()
    course.go(OPENS)
    course.settle(rain, delivery, OPENS + 90 * SECOND)
    course.go(OPENS + HOUR)
    assert course.state(rain) == state
    assert course.history(rain)[1:] == ([("reached", "delivered", OPENS + 90 * SECOND)] if state == "reached" else [])


def test_who_was_reached_before_the_end_is_reached_before_the_window_is_closed(course: Round) -> None:
    rain = course.desk.person()
    course.add(replace(PLAN, rule=Rule()))
    course.go(OPENS)
    course.settle(rain, "sent", CLOSES - SECOND)
    course.go(CLOSES)
    assert [state for state, _, _ in course.history(rain)] == ["invited", "reached", "window_closed"]


def test_who_has_answered_is_not_set_back_to_reached(course: Round) -> None:
    rain = course.desk.person()
    course.add()
    course.go(OPENS)
    course.does(rain, BeginAssignment(course.row(rain).id), OPENS + HOUR)
    course.settle(rain, "sent", OPENS + HOUR)
    course.go(OPENS + HOUR)
    assert course.state(rain) == "opened"


# Order -------------------------------------------------------------------------------------------------------------------------------

SEVEN = ("scs", "cs24", "dass21", "focs", "swls", "shs", "cams_r")


def _orders(course: Round) -> dict[int, list[str]]:
    query = sa.select(Sheet.assignment_id, Sheet.instrument).order_by(Sheet.assignment_id, Sheet.place)
    found: dict[int, list[str]] = {}
    for row in course.desk.read(lambda tx: tx.execute(query).all()):
        found.setdefault(row.assignment_id, []).append(row.instrument)
    return found


def test_the_order_is_that_of_the_plan_unless_it_is_shuffled(course: Round) -> None:
    for number in range(5):
        course.desk.person(f"组员{number}")
    course.add(replace(PLAN, instruments=("intake", *SEVEN)))
    course.go(OPENS)
    assert list(_orders(course).values()) == [["intake", *SEVEN]] * 5


def test_a_shuffled_order_is_that_of_the_recorded_seed_and_the_form_comes_first(course: Round) -> None:
    for number in range(5):
        course.desk.person(f"组员{number}")
    course.add(replace(PLAN, instruments=("scs", "intake", *SEVEN[1:]), shuffled=True))
    course.go(OPENS)
    rows = course.desk.read(lambda tx: tx.execute(sa.select(Assignment.id, Assignment.seed)).all())
    plan = course.desk.read(lambda tx: tx.execute(sa.select(Wave.plan)).scalar_one())
    for row in rows:
        order = [each["code"] for each in assigning.ordered(plan["instruments"], row.seed)]
        assert _orders(course)[row.id] == order
        assert order[0] == "intake"
    assert len({tuple(order) for order in _orders(course).values()}) > 1


def test_over_two_hundred_people_every_instrument_comes_first_for_some_about_equally() -> None:
    draw = random.Random(7)
    plan = [{"code": code, "form": False} for code in SEVEN]
    first = Counter(assigning.ordered(plan, draw.getrandbits(31))[0]["code"] for _ in range(200))
    assert set(first) == set(SEVEN)
    assert all(12 <= count <= 50 for count in first.values()), first  # 200 / 7 = 29, four deviations either way
    assert assigning.ordered(plan, 5) == assigning.ordered(list(reversed(plan)), 5)


# Two workers -------------------------------------------------------------------------------------------------------------------------


def test_two_workers_at_once_take_each_step_once(course: Round) -> None:
    everybody = [course.desk.person(f"组员{number}") for number in range(6)]
    course.add()
    for moment in (OPENS, OPENS, local(3), local(5), CLOSES, CLOSES):
        together(course.desk, [lambda tx, moment=moment: waves.go_on(tx, course.desk.tools, moment)] * 3)  # type: ignore[misc]  # as above
        course.go(moment)
    for known in everybody:
        assert [(kind, due) for kind, _, _, due in course.messages(known)] == [
            ("invitation", OPENS),
            ("reminder", local(3)),
            ("reminder", local(5)),
        ]
        assert [(state, cause) for state, cause, _ in course.history(known)] == [("invited", "wave_open"), ("window_closed", "wave_closed")]
    assert (
        course.desk.read(
            lambda tx: tx.execute(sa.text("SELECT count(*) FROM audit WHERE action IN ('wave.open', 'wave.close')")).scalar_one()
        )
        == 2
    )
    assert course.desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Broadcast)).scalar_one()) == 3


def test_an_answer_in_the_last_second_is_stored_and_the_wave_is_closed_whoever_is_first(course: Round) -> None:
    everybody = [course.desk.person(f"组员{number}") for number in range(4)]
    course.add(replace(PLAN, rule=Rule()))
    course.go(OPENS)
    shelf, account = course.desk.tools.shelf, course.desk.account_id

    def answers(known: Known) -> Any:
        found = course.desk.read(lambda tx: sheets.find(tx, shelf, known.id, account, "zh"))
        effect = Record(found[0].sheets[0].id, (Given(1, 2, "2"),), "tapped")
        return lambda tx: sheets.record(tx, known, found, effect, CLOSES - SECOND)

    jobs = [answers(known) for known in everybody]
    together(course.desk, [*jobs[:3], lambda tx: waves.go_on(tx, course.desk.tools, CLOSES)])
    course.go(CLOSES)
    course.desk.write(jobs[3])  # read before the end, stored after the wave was closed
    assert course.state(everybody[3]) == "partial"
    course.go(CLOSES + SECOND)
    assert [course.state(known) for known in everybody] == ["window_closed"] * 4
    assert [course.history(known)[-1][0] for known in everybody] == ["window_closed"] * 4
    assert course.desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(GivenAnswer)).scalar_one()) == 4


# The clock ---------------------------------------------------------------------------------------------------------------------------


def test_a_jump_of_the_clock_plays_the_moments_in_order(database_url: str, tmp_path: Path) -> None:
    run(_jump(database_url, tmp_path))


async def _jump(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        course_id = stage.course("正念自我关怀")
        group = stage.group("晨光组")
        person = await stage.member("小雨", group)
        plan = replace(PLAN, opens_at=START + DAY, closes_at=START + 8 * DAY)
        stage.write(lambda tx: waves.add(tx, stage.assembly.tools.shelf, course_id, plan, START))
        await stage.advance(9 * DAY)
        changes = sa.select(AssignmentChange.state, AssignmentChange.at).order_by(AssignmentChange.id)
        found = stage.read(lambda tx: [(row.state, row.at) for row in tx.execute(changes)])
        assert found == [("invited", START + DAY), ("window_closed", START + 8 * DAY)]
        rows = sa.select(Broadcast.kind, Broadcast.created_at).join(Delivery, Delivery.broadcast_id == Broadcast.id)
        sent = stage.read(
            lambda tx: [(row.kind, row.created_at) for row in tx.execute(rows.where(Delivery.person_id == person).order_by(Broadcast.id))]
        )
        evening = datetime(2026, 11, 24, 19, 0, tzinfo=ZONE)
        assert sent == [("invitation", START + DAY), ("reminder", evening + 2 * DAY), ("reminder", evening + 4 * DAY)]


def test_the_next_moment_is_the_earliest_of_what_is_due_by_itself(course: Round) -> None:
    course.desk.person()
    course.add()
    assert course.desk.read(waves.next_moment) == OPENS
    for moment, then in ((OPENS, local(3)), (local(3), local(5)), (local(5), CLOSES), (CLOSES, None)):
        course.go(moment)
        assert course.desk.read(waves.next_moment) == then
