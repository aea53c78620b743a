"""Practice prompts as rows: planned, fired once each, rechecked when they fire, missed, changed, ended; bad inputs F, K and their own."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
import sqlalchemy as sa
import time_machine

from app import broadcasts, courses, groups, people
from app.backup import aftermath
from app.groups import Refused
from app.models import Audit, Broadcast, Course, Delivery, Group, Prompt
from app.outbox import claims
from app.people import Known
from app.prompts import firing, lists, planning
from app.worker import Worker
from bots.effects import CancelPrompt, ChangePrompt, PausePrompt, PlanPrompt, ResumePrompt
from bots.recurrence import Rule
from bots.turns import Role
from tests.delivery.prompting import (
    AT,
    DAY,
    EVENING,
    HOUR,
    MONDAY,
    UNTIL,
    fired,
    got,
    groups_of,
    plan,
    seat,
    second_group,
    stands,
    starts,
    tick,
    told,
    wanted,
)
from tests.delivery.scene import NOW, Desk, alarms, deliveries, lease, run


def refusal(desk: Desk, author: Known | None, plan: PlanPrompt, now: datetime = NOW) -> str:
    with pytest.raises(Refused) as refused:
        desk.write(lambda tx: planning.plan(tx, desk.keyring, None if author is None else author.id, plan, now))
    return refused.value.code


def steer(desk: Desk, actor: Known | None, step: PausePrompt | ResumePrompt | CancelPrompt, now: datetime = NOW) -> None:
    desk.write(lambda tx: planning.steer(tx, None if actor is None else actor.id, step, now))


def steering(desk: Desk, actor: Known, step: PausePrompt | ResumePrompt | CancelPrompt, now: datetime = NOW) -> str:
    with pytest.raises(Refused) as refused:
        steer(desk, actor, step, now)
    return refused.value.code


def test_each_moment_fires_once_and_goes_to_everybody_but_its_author(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, members = desk.person("李老师", Role.LEADER), {desk.person().id, desk.person("王芳").id}
        made = plan(desk, author=leader)
        assert tick(desk, AT - timedelta(seconds=1)) == 0
        for day in range(3):
            assert desk.read(firing.next_moment) == AT + day * DAY
            assert tick(desk, AT + day * DAY + timedelta(minutes=5)) == 1
            assert tick(desk, AT + day * DAY + timedelta(minutes=5)) == 0
        assert fired(desk, made) == [(AT + day * DAY, "fired") for day in range(3)]
        assert sorted(got(desk)) == sorted([(each, desk.group) for each in members] * 3)
        assert stands(desk, made).next_at == AT + 3 * DAY


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        (Rule(EVENING, day=MONDAY + 2 * DAY), [2]),
        (Rule(EVENING, weekdays=(0, 2)), [0, 2, 7, 9]),
        (Rule(EVENING, weekdays=(1, 3), week=2), [8, 10]),
    ],
)
def test_a_rule_comes_on_its_days_and_then_it_is_done(database_url: str, rule: Rule, days: list[int]) -> None:
    with Desk(database_url) as desk:
        starts(desk)
        made = plan(desk, rule=rule, until=MONDAY + timedelta(days=11))
        for day in range(14):
            tick(desk, AT + day * DAY)
        assert fired(desk, made) == [(AT + day * DAY, "fired") for day in days]
        assert (stands(desk, made).state, stands(desk, made).next_at) == ("done", None)


def test_several_groups_get_one_broadcast_each_in_one_step(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, other = desk.person("李老师", Role.LEADER), second_group(desk)
        seat(desk, leader, other, Role.LEADER)
        both, one = desk.person("两组", Role.PARTICIPANT), desk.person("一组")
        seat(desk, both, other, Role.PARTICIPANT)
        made = plan(desk, author=leader, groups=(desk.group, other))
        assert tick(desk, AT) == 1
        assert sorted(got(desk)) == sorted([(both.id, desk.group), (one.id, desk.group), (both.id, other)])
        assert fired(desk, made) == [(AT, "fired")]


@pytest.mark.parametrize(("late", "outcome"), [(HOUR, "fired"), (HOUR + timedelta(seconds=1), "missed")])
def test_k4_more_than_an_hour_late_is_missed_told_once_and_it_goes_on(database_url: str, late: timedelta, outcome: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        desk.person()
        made = plan(desk, author=leader)
        tick(desk, AT + late)
        assert fired(desk, made) == [(AT, outcome)]
        assert (stands(desk, made).state, stands(desk, made).next_at) == ("running", AT + DAY)
        assert [(each["reason"], each["count"], each["first"], each["next_at"]) for each in told(desk)] == (
            [] if outcome == "fired" else [("late", 1, AT, AT + DAY)]
        )
        assert got(desk, "report") == ([] if outcome == "fired" else [(leader.id, None)])


def test_k4_after_a_long_stop_its_author_gets_one_report_and_the_moment_that_is_not_late_goes_out(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, member = desk.person("李老师", Role.LEADER), desk.person()
        made = plan(desk, author=leader)
        up = AT + 40 * DAY + timedelta(minutes=10)
        assert tick(desk, up) == 2
        assert tick(desk, up) == 0
        assert fired(desk, made) == [*((AT + day * DAY, "missed") for day in range(40)), (AT + 40 * DAY, "fired")]
        (report,) = told(desk)
        assert (report["reason"], report["count"]) == ("late_many", 40)
        assert (report["first"], report["last"], report["next_at"]) == (AT, AT + 39 * DAY, AT + 40 * DAY)
        assert got(desk) == [(member.id, desk.group)]


def test_k4_a_clock_two_hours_off_fires_nothing_twice(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        desk.person()
        made = plan(desk, author=leader)
        for hours in (0, -2, 2, -1, 0):
            tick(desk, AT + hours * HOUR)
        # Set back, the author gives it the same time once more: the moment is settled, and the next day's comes.
        change = ChangePrompt(made, 1, wanted(desk, "换一句。", draft=9))
        desk.write(lambda tx: planning.change(tx, desk.keyring, leader.id, change, AT - HOUR))
        tick(desk, AT)
        assert fired(desk, made) == [(AT, "fired")]
        assert len(got(desk)) == 1
        assert stands(desk, made).next_at == AT + DAY


def test_k5_quiet_hours_hold_it_until_they_end(database_url: str) -> None:
    with Desk(database_url) as desk:
        member, night = desk.person(), NOW + 5 * HOUR  # 23:00 in Shanghai
        plan(desk, rule=Rule(time(23, 0)))
        tick(desk, night)
        assert desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, night).posts) == []
        row = desk.read(lambda tx: deliveries(tx, kind="prompt"))[member.id]
        assert (row.word, row.due_at) == (("ready", "quiet_hours"), datetime(2026, 11, 24, 0, 0, tzinfo=UTC))
        (post,) = desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, row.due_at).posts)
        assert post.person_id == member.id


def test_what_found_nobody_in_a_day_or_until_the_next_one_is_of_no_use_any_more(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person(typed=None)
        plan(desk)
        plan(desk, "每周", Rule(EVENING, weekdays=(0,)))
        tick(desk, AT)
        ends = desk.read(lambda tx: set(tx.execute(sa.select(Delivery.stale_at)).scalars()))
        assert ends == {AT + DAY}


def test_k7_a_role_withdrawn_in_one_group_ends_it_there_and_its_author_is_told(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, member, other = desk.person("李老师", Role.LEADER), desk.person(), second_group(desk)
        seat(desk, leader, other, Role.LEADER)
        outsider = desk.person("别组", None)
        seat(desk, outsider, other, Role.PARTICIPANT)
        made = plan(desk, author=leader, groups=(desk.group, other))
        desk.write(lambda tx: groups.end_membership(tx, other, leader.id, Role.LEADER, NOW, "left"))
        tick(desk, AT)
        assert got(desk) == [(member.id, desk.group)]
        assert groups_of(desk, made) == {desk.group}
        assert [(each["reason"], each["groups"], each["next_at"]) for each in told(desk)] == [("role", ["晚霞组"], AT + DAY)]
        tick(desk, AT + DAY)
        assert len(told(desk)) == 1, "once"


def test_k7_a_role_withdrawn_everywhere_stops_it_and_its_author_is_told(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        desk.person()
        made = plan(desk, author=leader)
        desk.write(lambda tx: groups.end_membership(tx, desk.group, leader.id, Role.LEADER, NOW, "left"))
        tick(desk, AT)
        assert (got(desk), fired(desk, made)) == ([], [(AT, "refused")])
        assert (stands(desk, made).state, stands(desk, made).why) == ("stopped", "role")
        assert [(each["reason"], each["next_at"]) for each in told(desk)] == [("role", None)]


def test_k7_nothing_goes_out_after_the_end_of_the_course(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        desk.person()
        made = plan(desk, author=leader)
        desk.write(lambda tx: tx.execute(sa.update(Course).values(ended_at=AT - HOUR)).rowcount)
        tick(desk, AT)
        assert got(desk) == []
        assert (stands(desk, made).state, stands(desk, made).why) == ("stopped", "course_ended")
        assert [each["reason"] for each in told(desk)] == ["course_ended"]
        assert refusal(desk, leader, wanted(desk)) == "until"


def test_a_course_that_knows_its_weeks_ends_its_prompts_with_them(database_url: str) -> None:
    with Desk(database_url) as desk:
        starts(desk)
        desk.write(lambda tx: tx.execute(sa.update(Course).values(details={"weeks": 2})).rowcount)
        assert refusal(desk, None, wanted(desk, until=MONDAY + 14 * DAY)) == "until"
        made = plan(desk, until=MONDAY + 13 * DAY)
        desk.write(lambda tx: tx.execute(sa.update(Course).values(details={"weeks": 1})).rowcount)
        for day in range(14):
            tick(desk, AT + day * DAY)
        assert fired(desk, made) == [(AT + day * DAY, "fired") for day in range(7)]


def test_a_course_that_is_moved_takes_its_weeks_along(database_url: str) -> None:
    with Desk(database_url) as desk:
        starts(desk)
        made, daily = plan(desk, rule=Rule(EVENING, weekdays=(1,), week=2)), plan(desk)
        starts(desk, MONDAY + timedelta(days=7))
        assert desk.write(lambda tx: firing.plan_again(tx, desk.course_id, NOW)) == 1
        assert stands(desk, made).next_at == AT + 15 * DAY
        starts(desk, MONDAY)  # moved back, and nobody told the prompts: the rule is looked at when its turn comes
        tick(desk, AT + 8 * DAY)
        assert stands(desk, daily).next_at == AT + 9 * DAY
        starts(desk, MONDAY + timedelta(days=14))
        tick(desk, AT + 15 * DAY)
        assert fired(desk, made) == []
        assert stands(desk, made).next_at == AT + 22 * DAY


def test_a_paused_prompt_rests_and_goes_on_with_the_next_moment_only(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        made = plan(desk, author=leader)
        steer(desk, leader, PausePrompt(made))
        assert tick(desk, AT + 3 * DAY) == 0
        assert steering(desk, leader, PausePrompt(made)) == "gone"
        steer(desk, leader, ResumePrompt(made), AT + 3 * DAY + HOUR)
        assert (stands(desk, made).state, stands(desk, made).next_at) == ("running", AT + 4 * DAY)
        assert steering(desk, leader, ResumePrompt(made)) == "gone"
        tick(desk, AT + 4 * DAY)
        assert (fired(desk, made), told(desk)) == ([(AT + 4 * DAY, "fired")], [])
        steer(desk, leader, PausePrompt(made))
        late = datetime.combine(UNTIL + 2 * DAY, time(), UTC)
        assert steering(desk, leader, ResumePrompt(made), late) == "past"


def test_a_cancelled_prompt_takes_back_what_has_not_left(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        desk.person(typed=None)
        made = plan(desk, author=leader)
        tick(desk, AT)
        steer(desk, leader, CancelPrompt(made), AT)
        (row,) = desk.read(lambda tx: deliveries(tx, kind="prompt")).values()
        assert row.word == ("cancelled", "cancelled_by_author")
        assert (stands(desk, made).state, tick(desk, AT + DAY)) == ("cancelled", 0)
        assert steering(desk, leader, CancelPrompt(made)) == "gone"


def test_what_came_once_can_be_taken_back_while_something_of_it_has_not_left(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        member = desk.person(typed=None)
        made = plan(desk, rule=Rule(EVENING, day=MONDAY), author=leader)
        tick(desk, AT)
        assert stands(desk, made).state == "done"
        steer(desk, leader, CancelPrompt(made), AT)
        assert desk.read(lambda tx: deliveries(tx, kind="prompt"))[member.id].word == ("cancelled", "cancelled_by_author")
        gone = plan(desk, rule=Rule(EVENING, day=MONDAY + DAY), author=leader)
        desk.write(lambda tx: people.pause(tx, member.id, AT))
        tick(desk, AT + DAY)
        desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, AT + DAY).posts)
        assert steering(desk, leader, CancelPrompt(gone), AT + DAY) == "gone"
        assert stands(desk, gone).state == "done"


def test_who_changes_a_prompt_speaks_from_then_on_and_a_change_of_an_older_version_is_refused(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, assistant, member = desk.person("李老师", Role.LEADER), desk.person("王助教", Role.ASSISTANT), desk.person()
        made = plan(desk, author=leader)
        change = ChangePrompt(made, 1, wanted(desk, "换一句。", Rule(time(21, 0)), draft=5))
        for _ in range(2):  # and a second confirmation of the same preview changes nothing
            desk.write(lambda tx: planning.change(tx, desk.keyring, assistant.id, change, NOW))
        with pytest.raises(Refused) as refused:
            desk.write(lambda tx: planning.change(tx, desk.keyring, leader.id, change, NOW))
        assert refused.value.code == "changed"
        tick(desk, AT)
        assert fired(desk, made) == []
        tick(desk, AT + HOUR)
        assert sorted(got(desk)) == sorted([(leader.id, desk.group), (member.id, desk.group)])
        details = desk.read(lambda tx: broadcasts.details_of(tx, desk.keyring, tx.execute(sa.select(Broadcast.id)).scalars().all()))
        assert [(each["text"], each["author_name"], each["author_role"]) for each in details.values()] == [
            ("换一句。", "王助教", "assistant")
        ]


def test_what_cannot_be_planned_is_refused_with_the_reason(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        assert refusal(desk, leader, wanted(desk, " \n\u3000")) == "empty"
        assert refusal(desk, leader, wanted(desk, "长" * 501)) == "long"
        assert refusal(desk, leader, wanted(desk, "长" * 480 + "{name}")) == "long", "with the longest name"
        assert refusal(desk, leader, wanted(desk, "{nmae}，晚安")) == "gap"
        assert refusal(desk, leader, wanted(desk, "第 {week} 周")) == "gap", "the course has no first day"
        assert refusal(desk, leader, wanted(desk, rule=Rule(EVENING, weekdays=(1,), week=3))) == "past", "nor weeks"
        starts(desk, MONDAY + DAY)
        assert refusal(desk, leader, wanted(desk, "第 {week} 周")) == "gap", "it begins behind the first moment"
        assert plan(desk, "第 {week} 周", Rule(EVENING, weekdays=(1,), week=1), author=leader)


def test_k1_the_past_and_what_is_years_ahead_are_refused_and_nothing_fires_at_once(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        assert refusal(desk, leader, wanted(desk, rule=Rule(EVENING, day=MONDAY - DAY))) == "past"
        assert refusal(desk, leader, wanted(desk, rule=Rule(time(17, 59), day=MONDAY))) == "past"
        assert refusal(desk, leader, wanted(desk, until=MONDAY - DAY)) == "past"
        assert refusal(desk, leader, wanted(desk, until=date(2036, 11, 23))) == "until"
        made = plan(desk, rule=Rule(time(18, 0)), author=leader)  # this very minute
        assert stands(desk, made).next_at == NOW + DAY
        assert tick(desk, NOW) == 0


def test_k3_so_many_prompts_and_no_more(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        made = [plan(desk, f"第{number}条", author=leader) for number in range(20)]
        assert refusal(desk, leader, wanted(desk)) == "many"
        steer(desk, leader, CancelPrompt(made[0]))
        assert plan(desk, author=leader)


def test_k2_the_prompt_keeps_local_time_and_zone_when_the_course_gets_another_one(database_url: str) -> None:
    with Desk(database_url) as desk:
        made = plan(desk)
        desk.write(lambda tx: tx.execute(sa.update(Course).values(zone="Europe/Berlin")).rowcount)
        tick(desk, AT)
        assert fired(desk, made) == [(AT, "fired")]
        row = desk.read(lambda tx: tx.execute(sa.select(Prompt.rule, Prompt.zone)).one())
        assert tuple(row) == ("daily 20:00", "Asia/Shanghai")


def test_f2_a_leader_of_another_group_can_neither_address_nor_see_nor_steer(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, stranger, other = desk.person("李老师", Role.LEADER), desk.person("陈老师", None), second_group(desk)
        seat(desk, stranger, other, Role.LEADER)
        made = plan(desk, author=leader)
        assert refusal(desk, stranger, wanted(desk)) == "role"
        assert refusal(desk, stranger, wanted(desk, groups=(other, desk.group))) == "role"
        assert desk.read(lambda tx: lists.every(tx, desk.keyring, stranger.id, 50)) == ()
        assert desk.read(lambda tx: lists.one(tx, desk.keyring, made, stranger.id)) is None
        for step in (PausePrompt(made), ResumePrompt(made), CancelPrompt(made)):
            assert steering(desk, stranger, step) == "role"
        with pytest.raises(Refused) as refused:
            desk.write(lambda tx: planning.change(tx, desk.keyring, stranger.id, ChangePrompt(made, 1, wanted(desk, groups=(other,))), NOW))
        assert refused.value.code == "role"
        assert stands(desk, made).state == "running"


def test_f2_a_leader_of_one_of_its_groups_sees_their_own_and_steers_nothing(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, neighbour, other = desk.person("李老师", Role.LEADER), desk.person("周老师", None), second_group(desk)
        seat(desk, leader, other, Role.LEADER)
        seat(desk, neighbour, other, Role.LEADER)
        made = plan(desk, author=leader, groups=(desk.group, other))
        (seen,) = desk.read(lambda tx: lists.every(tx, desk.keyring, neighbour.id, 50))
        assert (seen.groups, seen.others, seen.changeable) == (((other, "晚霞组"),), 1, False)
        assert steering(desk, neighbour, CancelPrompt(made)) == "role"
        # The author may end it also where they have lost one of its groups.
        desk.write(lambda tx: groups.end_membership(tx, other, leader.id, Role.LEADER, NOW, "left"))
        steer(desk, leader, CancelPrompt(made))


def test_f2_a_participant_a_mentor_and_a_researcher_can_nothing(database_url: str) -> None:
    with Desk(database_url) as desk:
        for role in (Role.PARTICIPANT, Role.MENTOR, Role.RESEARCHER, None):
            assert refusal(desk, desk.person(role=role), wanted(desk)) == "role"
        large = desk.read(lambda tx: tx.execute(sa.select(Group.id).where(Group.large)).scalar_one())
        leader, head = desk.person("李老师", Role.LEADER), desk.person("陈管理", None)
        seat(desk, leader, large, Role.LEADER)
        seat(desk, head, large, Role.ADMINISTRATOR)
        assert refusal(desk, leader, wanted(desk, groups=(large,))) == "role", "only an administrator speaks to everybody"
        assert plan(desk, author=head, groups=(large, desk.group))


def test_groups_of_two_courses_make_no_prompt(database_url: str) -> None:
    with Desk(database_url) as desk:
        apart = desk.write(lambda tx: courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="two", title="二"))
        foreign = desk.write(lambda tx: groups.create(tx, apart, code="far", name="远方组"))
        leader = desk.person("李老师", Role.LEADER)
        seat(desk, leader, foreign, Role.LEADER)
        assert refusal(desk, leader, wanted(desk, groups=(desk.group, foreign))) == "role"
        made = plan(desk, author=leader)
        with pytest.raises(Refused) as refused:
            desk.write(lambda tx: planning.change(tx, desk.keyring, leader.id, ChangePrompt(made, 1, wanted(desk, groups=(foreign,))), NOW))
        assert refused.value.code == "role"


def test_one_that_breaks_stops_is_told_of_and_holds_up_no_other(database_url: str) -> None:
    run(_broken(database_url))


async def _broken(database_url: str) -> None:
    with Desk(database_url) as desk, time_machine.travel(AT, tick=True):
        leader = desk.person("李老师", Role.LEADER)
        broken, good = plan(desk, "坏", author=leader), plan(desk, "好", author=leader)
        desk.write(lambda tx: tx.execute(sa.update(Prompt).where(Prompt.id == broken).values(words_sealed=b"?" * 60)).rowcount)
        worker = Worker(desk.assembly)
        await worker.tick()
        await worker.stop()
        assert (stands(desk, broken).state, stands(desk, broken).why) == ("stopped", "bug")
        assert (fired(desk, broken), fired(desk, good)) == ([], [(AT, "fired")])
        assert desk.read(alarms) == {f"prompt_failed prompt:{broken}": 1}
        assert [each["reason"] for each in told(desk)] == ["bug"]


def test_who_withdraws_or_is_erased_speaks_no_more(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, member = desk.person("李老师", Role.LEADER), desk.person()
        running, paused, ended = (plan(desk, each, author=leader) for each in "甲乙丙")
        steer(desk, leader, PausePrompt(paused))
        steer(desk, leader, CancelPrompt(ended))
        tick(desk, AT)
        desk.write(lambda tx: people.erase(tx, desk.keyring, leader.id, AT, actor="operator"))
        assert [stands(desk, each).state for each in (running, paused, ended)] == ["stopped", "stopped", "cancelled"]
        assert tick(desk, AT + DAY) == 0
        assert told(desk) == []
        details = desk.read(lambda tx: broadcasts.details_of(tx, desk.keyring, tx.execute(sa.select(Broadcast.id)).scalars().all()))
        assert {each["author_name"] for each in details.values()} == {None}
        assert [person for person, _ in got(desk)] == [member.id]


def test_audit_rows_hold_ids_and_words_of_ours_only(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        made = plan(desk, "请勿外传", author=leader)
        steer(desk, leader, PausePrompt(made))
        steer(desk, leader, ResumePrompt(made))
        tick(desk, AT + 2 * DAY)
        steer(desk, leader, CancelPrompt(made))
        rows = desk.read(lambda tx: tx.execute(sa.select(Audit).where(Audit.action.like("prompt.%")).order_by(Audit.id)).all())
        actions = desk.read(
            lambda tx: tx.execute(sa.select(Audit.action).where(Audit.action.like("prompt.%")).order_by(Audit.id)).scalars().all()
        )
        assert actions == ["prompt.plan", "prompt.pause", "prompt.resume", "prompt.missed", "prompt.cancel"]
        written = str(desk.read(lambda tx: tx.execute(sa.select(Audit.actor, Audit.subject, Audit.details)).all()))
        assert rows
        assert "李老师" not in written
        assert "请勿外传" not in written


# After a restore ----------------------------------------------------------------------------------------------------------------------


def test_after_a_restore_it_rests_until_the_next_moment_to_come(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        desk.person()
        passed, later = plan(desk, author=leader), plan(desk, "下个月", Rule(EVENING, day=date(2026, 12, 20)), author=leader)
        back = AT + 3 * DAY + timedelta(minutes=1)
        assert desk.write(lambda tx: aftermath.hold_everything(tx, desk.keyring, [], NOW, back)).prompts == 1
        assert tick(desk, back) == 0, "not even what is a minute late"
        assert fired(desk, passed) == [(AT + day * DAY, "missed") for day in range(4)]
        assert [(each["reason"], each["count"], each["next_at"]) for each in told(desk)] == [("restored", 4, AT + 4 * DAY)]
        assert stands(desk, later).next_at == datetime(2026, 12, 20, 12, tzinfo=UTC)
        tick(desk, AT + 4 * DAY)
        assert fired(desk, passed)[-1] == (AT + 4 * DAY, "fired")
