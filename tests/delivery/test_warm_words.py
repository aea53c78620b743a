"""Warm words by plan: at their moment and no later, each person each word once, the week's theme first, whole or not at all."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import encouragement, people, schedules
from app.backup import aftermath
from app.db import Tx
from app.encouragement import library, plans
from app.errors import Invalid
from app.groups import Refused
from app.models import Audit, Broadcast, Course, Membership, WarmFiring, WarmGiven, WarmWord
from app.people import Known
from bots.encouragement.words import EIGHT_WEEKS, Trigger, shipped
from bots.turns import Role
from tests.delivery.scene import Desk, alarms, together
from tests.delivery.warming import MONDAY, WEEK, Warm, noon

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
THURSDAY = MONDAY + 3 * DAY


@pytest.fixture
def warm(database_url: str) -> Iterator[Warm]:
    with Desk(database_url) as desk:
        yield Warm(desk)


# By the clock --------------------------------------------------------------------------------------------------------------------------


def test_a_word_of_the_week_goes_to_the_large_group_at_its_moment_and_not_before(warm: Warm) -> None:
    rain, leader = warm.person(), warm.person("李老师", Role.LEADER)
    only_small = warm.desk.person("在小组里")
    warm.begin()
    assert warm.go(noon() - SECOND) == 0
    assert warm.next_at() == noon()
    assert warm.go(noon()) == 2
    for known in (rain, leader):
        assert warm.given(known) == [("arriving", "plan")]
        assert warm.messages(known) == [("ready", "", 9)]
    assert warm.given(only_small) == [], "they do not sit in the large group"
    assert warm.go(noon() + SECOND) == 0
    assert warm.next_at() == noon(THURSDAY)
    assert warm.firings() == [(noon().astimezone(UTC), "arriving", "fired", "")]


def test_in_eight_weeks_everybody_gets_sixteen_words_none_of_them_twice_each_week_in_its_theme(warm: Warm) -> None:
    rain = warm.person()
    warm.begin()
    for day in (MONDAY + timedelta(days=offset) for offset in range(8 * 7)):
        warm.go(noon(day))
    assert [theme for theme, _ in warm.given(rain)] == [theme for theme in EIGHT_WEEKS for _ in range(2)]
    assert len(set(warm.word_ids(rain))) == 16


def test_before_the_first_day_nothing_is_given_and_after_the_last_week_words_for_any_week(warm: Warm) -> None:
    rain = warm.person()
    warm.begin(now=noon() - 3 * WEEK)
    assert warm.next_at() == noon()
    warm.go(noon() - SECOND)
    assert warm.given(rain) == []
    warm.go(noon())
    warm.desk.write(lambda tx: tx.execute(sa.update(Course).values(starts_on=MONDAY - 8 * WEEK)))
    warm.go(noon(THURSDAY))
    assert warm.given(rain) == [("arriving", "plan"), ("any", "plan")]


def test_a_first_day_that_was_moved_is_waited_for(warm: Warm) -> None:
    warm.person()
    warm.begin()
    warm.desk.write(lambda tx: tx.execute(sa.update(Course).values(starts_on=MONDAY + WEEK)))
    warm.go(noon())
    assert (warm.firings(), warm.next_at()) == ([], noon(MONDAY + WEEK))


def test_an_ended_course_gives_nothing_more(warm: Warm) -> None:
    rain = warm.person()
    warm.begin()
    warm.desk.write(lambda tx: tx.execute(sa.update(Course).values(ended_at=noon() - SECOND)))
    assert warm.go(noon()) == 0
    assert warm.desk.read(encouragement.next_moment) is None
    assert warm.after(rain, Trigger.FIRST, noon()) is None
    with pytest.raises(Invalid):
        warm.begin()


@pytest.mark.parametrize(("late", "outcome"), [(schedules.LATE, "fired"), (schedules.LATE + SECOND, "missed")])
def test_what_is_late_by_more_than_an_hour_is_missed_and_listed(late: timedelta, outcome: str, warm: Warm) -> None:
    rain = warm.person()
    warm.begin()
    warm.go(noon() + late)
    assert [(state, why) for _, _, state, why in warm.firings()] == [(outcome, "late" if outcome == "missed" else "")]
    assert len(warm.given(rain)) == (outcome == "fired")
    listed = warm.desk.read(lambda tx: encouragement.plan_of(tx, warm.desk.course_id))
    assert listed is not None
    assert listed.past[0][1] == outcome


def test_every_moment_of_a_long_silence_is_missed_and_the_next_one_fires(warm: Warm) -> None:
    rain = warm.person()
    warm.begin()
    warm.go(noon(MONDAY + WEEK) - SECOND)
    assert [state for _, _, state, _ in warm.firings()] == ["missed", "missed"]
    warm.go(noon(MONDAY + WEEK))
    assert warm.given(rain) == [("mindfulness", "plan")]


def test_a_plan_keeps_to_the_clock_of_its_zone_when_clocks_change(warm: Warm) -> None:
    course_id, before = warm.desk.course_id, datetime(2026, 3, 23, tzinfo=UTC)
    warm.desk.write(lambda tx: encouragement.set_plan(tx, course_id, "7", "02:30", before, zone="Europe/Berlin"))
    found = warm.desk.read(lambda tx: encouragement.upcoming(tx, course_id, before, 33))
    assert len(set(found)) == 33
    assert list(found) == sorted(found)
    assert [moment.hour for moment in found][:3] == [1, 0, 0], "on 29 March that hour does not exist there: it is half past three"
    assert found[31].hour == 1, "on 25 October it comes twice, and once is enough"


def test_a_leap_day_is_a_day(warm: Warm) -> None:
    course_id, before = warm.desk.course_id, datetime(2028, 2, 28, 12, tzinfo=UTC)
    warm.desk.write(lambda tx: encouragement.set_plan(tx, course_id, "2", "12:30", before))
    assert warm.next_at() == noon(date(2028, 2, 29))


# Rotation ------------------------------------------------------------------------------------------------------------------------------


def test_the_word_that_fewest_have_is_taken_and_who_has_it_is_left_out(warm: Warm) -> None:
    rain, cloud = warm.person(), warm.person("小云")
    warm.begin()
    warm.only("doorway")
    word = warm.desk.read(lambda tx: tx.execute(sa.select(WarmWord.id).where(WarmWord.code == "doorway")).scalar_one())
    assert warm.after(rain, Trigger.FIRST, noon() - timedelta(minutes=30)) is not None
    assert warm.word_ids(rain) == [word]
    warm.go(noon())
    assert (warm.word_ids(cloud), warm.word_ids(rain)) == ([word], [word])
    assert len(warm.messages(rain)) == 1


def test_what_somebody_got_after_a_deed_is_not_repeated_by_the_plan_where_there_is_another(warm: Warm) -> None:
    rain = warm.person()
    warm.person("小云")
    warm.begin()
    warm.only("doorway", "names")
    assert warm.after(rain, Trigger.WAVE, noon() - timedelta(minutes=30)) is not None
    warm.go(noon())
    assert len(set(warm.word_ids(rain))) == len(warm.given(rain)) == 2


def test_when_a_theme_is_used_up_administrators_are_told_once_and_words_for_any_week_go_then_it_rests(warm: Warm) -> None:
    rain, boss = warm.person(), warm.person("陈管理", Role.ADMINISTRATOR)
    warm.begin(days="1234567")
    warm.only("doorway", "shoulders", "no-ledger")
    for offset in range(5):
        warm.go(noon(MONDAY + timedelta(days=offset)))
    assert [theme for theme, _ in warm.given(rain)] == ["arriving", "any", "any"]
    assert [(state, why) for _, _, state, why in warm.firings()] == [
        ("fired", ""),
        ("fired", "theme_used_up"),
        ("fired", "theme_used_up"),
        ("rested", "used_up"),
        ("rested", "used_up"),
    ]
    assert len(warm.messages(boss, "report")) == 2, "one for the theme, one when nothing was left"
    assert warm.messages(rain, "report") == []
    added = warm.words(zh="茶放凉了，也可以慢慢喝完。", theme="arriving")
    reports = len(warm.messages(boss, "report"))
    warm.go(noon(MONDAY + 5 * DAY))
    assert warm.word_ids(rain)[-1] == added, "it goes on by itself"
    warm.go(noon(MONDAY + 6 * DAY))
    assert len(warm.messages(boss, "report")) == reports + 1, "used up anew"


def test_without_an_administrator_the_operators_are_told(warm: Warm) -> None:
    warm.person()
    warm.begin()
    warm.only()
    warm.go(noon())
    assert warm.desk.read(alarms) == {f"words_used_up course:{warm.desk.course_id}": 1}


def test_in_an_empty_group_no_word_is_used(warm: Warm) -> None:
    warm.begin()
    warm.go(noon())
    assert warm.firings() == [(noon().astimezone(UTC), "arriving", "nobody", "")]


def test_who_is_paused_or_had_an_open_flag_is_left_out_and_keeps_the_word_for_later(warm: Warm) -> None:
    rain, cloud, wind = warm.person(), warm.person("小云"), warm.person("小风")
    warm.begin()
    warm.desk.write(lambda tx: people.pause(tx, rain.id, noon()))
    _flag(warm, cloud, noon() - 30 * DAY, closed=None)
    warm.go(noon())
    assert (warm.given(rain), warm.given(cloud), len(warm.given(wind))) == ([], [], 1)


def _flag(warm: Warm, known: Known, raised: datetime, *, closed: datetime | None) -> None:
    from app.models import Flag

    def work(tx: Tx) -> None:
        number = tx.execute(sa.select(sa.func.count()).select_from(Flag)).scalar_one() + 1
        row = {"id": number, "number": number, "person_id": known.id, "account_id": warm.desk.account_id, "rule": "zh.x"}
        tx.execute(sa.insert(Flag).values(**row, words_sealed=b"", raised_at=raised, closed_at=closed))

    warm.desk.write(work)


def test_a_large_audience_is_written_in_chunks_and_nobody_twice(warm: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "CHUNK", 3)
    everybody = [warm.person(f"第{number}位") for number in range(7)]
    warm.begin()
    assert warm.desk.write(lambda tx: encouragement.go_on(tx, warm.desk.tools, noon()))  # won
    assert warm.desk.write(lambda tx: encouragement.go_on(tx, warm.desk.tools, noon()))  # three of seven
    assert sum(len(warm.given(known)) for known in everybody) == 3
    warm.desk.restart()
    warm.go(noon() + SECOND)
    assert [len(warm.given(known)) for known in everybody] == [1] * 7
    assert len({word for known in everybody for word in warm.word_ids(known)}) == 1
    assert [len(warm.messages(known)) for known in everybody] == [1] * 7


# Pausing, races, restoring -------------------------------------------------------------------------------------------------------------


def test_a_paused_plan_gives_nothing_and_goes_on_with_the_next_moment(warm: Warm) -> None:
    rain = warm.person()
    warm.begin()
    course_id = warm.desk.course_id
    warm.desk.write(lambda tx: encouragement.keep_plan(tx, course_id, noon() - SECOND, going=False))
    assert warm.go(noon()) == 0
    assert warm.desk.read(lambda tx: encouragement.upcoming(tx, course_id, noon())) == ()
    warm.desk.write(lambda tx: encouragement.keep_plan(tx, course_id, noon() + DAY, going=True))
    assert (warm.given(rain), warm.next_at(), warm.firings()) == ([], noon(THURSDAY), [])
    warm.desk.write(lambda tx: encouragement.keep_plan(tx, course_id, noon() + 2 * DAY, going=True))
    assert warm.next_at() == noon(THURSDAY), "twice is once"


def test_many_workers_fire_one_moment_once(warm: Warm) -> None:
    everybody = [warm.person(f"第{number}位") for number in range(5)]
    warm.begin()
    tools = warm.desk.tools
    together(warm.desk, [lambda tx: encouragement.go_on(tx, tools, noon())] * 4)
    together(warm.desk, [lambda tx: encouragement.go_on(tx, tools, noon())] * 4)
    warm.go(noon())
    assert [len(warm.messages(known)) for known in everybody] == [1] * 5
    assert len(warm.firings()) == 1


def test_a_pause_that_races_with_the_firing_leaves_it_whole_or_not_at_all(warm: Warm) -> None:
    everybody = [warm.person(f"第{number}位") for number in range(5)]
    warm.begin(days="1234567")
    tools, course_id = warm.desk.tools, warm.desk.course_id
    for offset in range(6):
        moment = noon(MONDAY + timedelta(days=offset))

        def fire(tx: Tx, moment: datetime = moment) -> object:
            return encouragement.go_on(tx, tools, moment)

        def hold(tx: Tx, moment: datetime = moment) -> object:
            encouragement.keep_plan(tx, course_id, moment, going=False)
            return None

        together(warm.desk, [fire, hold])
        warm.go(moment)
        counts = Counter(len(warm.given(known)) for known in everybody)
        assert len(counts) == 1, counts
        warm.desk.write(lambda tx, moment=moment: encouragement.keep_plan(tx, course_id, moment + SECOND, going=True))  # type: ignore[misc]


def test_a_word_that_is_paused_while_it_goes_out_is_taken_back_from_everybody(warm: Warm) -> None:
    everybody = [warm.person(f"第{number}位") for number in range(4)]
    warm.begin()
    warm.only("doorway")
    word = warm.desk.read(lambda tx: tx.execute(sa.select(WarmWord.id).where(WarmWord.code == "doorway")).scalar_one())
    tools = warm.desk.tools
    together(warm.desk, [lambda tx: encouragement.go_on(tx, tools, noon()), lambda tx: encouragement.pause(tx, word, noon())])
    warm.go(noon())
    states = {state for known in everybody for state, *_ in warm.messages(known)}
    assert states <= {"cancelled"}


def test_a_word_by_plan_and_one_after_a_deed_at_the_same_moment_are_never_the_same(warm: Warm) -> None:
    everybody = [warm.person(f"第{number}位") for number in range(3)]
    warm.begin()
    warm.only("doorway")
    tools, course_id = warm.desk.tools, warm.desk.course_id
    warm.desk.write(lambda tx: encouragement.go_on(tx, tools, noon()))  # won, nobody has it yet

    def deed(known: Known) -> Any:
        return lambda tx: encouragement.after(tx, tools, course_id, known.id, Trigger.RETURN, noon())

    together(warm.desk, [lambda tx: encouragement.go_on(tx, tools, noon()), *map(deed, everybody)])
    warm.go(noon())
    assert [len(warm.given(known)) for known in everybody] == [1, 1, 1]
    assert [len(warm.messages(known)) for known in everybody] == [1, 1, 1]


def test_after_a_restore_what_passed_is_missed_and_a_half_written_audience_is_finished_and_held(
    warm: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = [warm.person(f"第{number}位") for number in range(5)]
    warm.begin()
    monkeypatch.setattr(plans, "CHUNK", 2)
    for _ in range(2):
        warm.desk.write(lambda tx: encouragement.go_on(tx, warm.desk.tools, noon()))
    now = noon(MONDAY + WEEK) + SECOND
    done = warm.desk.write(lambda tx: aftermath.hold_everything(tx, warm.desk.keyring, [], noon(), now))
    assert (done.words, done.held) == (2, 5)
    assert [(state, why) for _, _, state, why in warm.firings()] == [("fired", ""), ("missed", "restored"), ("missed", "restored")]
    assert warm.go(now) == 0
    assert [[state for state, *_ in warm.messages(known)] for known in everybody] == [["held"]] * 5
    warm.go(noon(THURSDAY + WEEK))
    assert [len(warm.given(known)) for known in everybody] == [2] * 5


# Who may -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_f_nobody_but_an_administrator_of_this_course_decides(role: Role, warm: Warm) -> None:
    somebody, elsewhere = warm.person("某人", role), _administrator_elsewhere(warm)
    warm.begin()
    word = warm.words(zh="茶放凉了，也可以慢慢喝完。")
    course_id, keyring = warm.desk.course_id, warm.desk.keyring
    for known in (somebody, elsewhere):
        for decide in (
            lambda tx, known=known: encouragement.approve(tx, word, noon(), actor_id=known.id),
            lambda tx, known=known: encouragement.pause(tx, word, noon(), actor_id=known.id),
            lambda tx, known=known: encouragement.keep_plan(tx, course_id, noon(), going=False, actor_id=known.id),
        ):
            with pytest.raises(Refused) as refused:
                warm.desk.write(decide)
            assert refused.value.code == "role"
        seen = warm.desk.read(lambda tx, known=known: encouragement.shelf_of(tx, keyring, course_id, known.id, "zh", ()))  # type: ignore[misc]
        assert (seen.seen, seen.approved, seen.proposals) == (False, 0, ())


def _administrator_elsewhere(warm: Warm) -> Known:
    from app import courses, groups
    from app.models import Group

    known = warm.desk.person("别处的管理员", None)

    def work(tx: Tx) -> None:
        other = courses.create(tx, warm.desk.keyring, noon(), account_id=warm.desk.account_id, code="other", title="别的课")
        large = tx.execute(sa.select(Group.id).where(Group.course_id == other)).scalar_one()
        groups.enter(tx, large, known.id, Role.ADMINISTRATOR, noon())

    warm.desk.write(work)
    return known


def test_f_who_is_no_administrator_any_more_decides_nothing(warm: Warm) -> None:
    boss = warm.person("陈管理", Role.ADMINISTRATOR)
    warm.begin()
    word = warm.words(zh="茶放凉了，也可以慢慢喝完。")
    warm.desk.write(lambda tx: encouragement.pause(tx, word, noon(), actor_id=boss.id))
    warm.desk.write(lambda tx: tx.execute(sa.update(Membership).where(Membership.person_id == boss.id).values(ended_at=noon())))
    with pytest.raises(Refused):
        warm.desk.write(lambda tx: encouragement.approve(tx, word, noon(), actor_id=boss.id))


def test_proposals_come_from_staff_by_name_and_wait_for_an_administrator(warm: Warm) -> None:
    leader, boss, rain = warm.person("李老师", Role.LEADER), warm.person("陈管理", Role.ADMINISTRATOR), warm.person()
    warm.begin()
    course_id, keyring = warm.desk.course_id, warm.desk.keyring

    def propose(tx: Tx, known: Known, text: str = "茶放凉了，也可以慢慢喝完。") -> int:
        return encouragement.propose(tx, keyring, course_id, {"zh": text}, noon(), author_id=known.id)

    with pytest.raises(Refused, match="Only leaders"):
        warm.desk.write(lambda tx: propose(tx, rain))
    word = warm.desk.write(lambda tx: propose(tx, leader))
    lines = warm.desk.read(lambda tx: encouragement.lines(tx, keyring, course_id, state="proposed"))
    assert [(line.id, line.author, line.texts["zh"]) for line in lines] == [(word, "李老师", "茶放凉了，也可以慢慢喝完。")]
    assert (len(warm.messages(boss, "report")), warm.messages(rain, "report")) == (1, [])
    warm.only()
    warm.go(noon())
    assert warm.given(rain) == [], "what is only proposed is given to nobody"
    warm.desk.write(lambda tx: encouragement.approve(tx, word, noon(), actor_id=boss.id))
    warm.go(noon(THURSDAY))
    assert warm.word_ids(rain) == [word]
    told = warm.desk.read(lambda tx: tx.execute(sa.select(Audit.actor, Audit.action).where(Audit.action.like("encouragement.%"))).all())
    assert (f"person:{leader.id}", "encouragement.propose") in told
    assert (f"person:{boss.id}", "encouragement.approved") in told


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        ({}, "empty"),
        ({"zh": "  "}, "empty"),
        ({"zh": "啊" * 201}, "long"),
        ({"zh": "坚持练习，一切都会好起来的。"}, "unfit"),
        ({"en": "You should keep going, it will get better."}, "unfit"),
        ({"zh": shipped()[0].texts["zh"].replace("，", "。")}, "alike"),
        ({"en": shipped()[0].texts["en"].upper()}, "alike"),
    ],
)
def test_words_that_do_not_fit_are_refused(texts: dict[str, str], code: str, warm: Warm) -> None:
    warm.begin()
    course_id, keyring = warm.desk.course_id, warm.desk.keyring
    with pytest.raises(Refused) as refused:
        warm.desk.write(lambda tx: encouragement.propose(tx, keyring, course_id, texts, noon(), author="陈老师"))
    assert refused.value.code == code
    assert warm.desk.read(lambda tx: encouragement.lines(tx, keyring, course_id, state="proposed")) == []


@pytest.mark.parametrize(("author", "theme", "code"), [(" ", "any", "name"), ("陈老师", "winter", "theme")])
def test_no_word_without_a_name_or_under_a_theme_that_the_course_does_not_have(author: str, theme: str, code: str, warm: Warm) -> None:
    course_id, keyring = warm.desk.course_id, warm.desk.keyring
    with pytest.raises(Refused) as refused:
        warm.desk.write(lambda tx: encouragement.propose(tx, keyring, course_id, {"zh": "茶凉了"}, noon(), author=author, theme=theme))
    assert refused.value.code == code


def test_adopting_again_adds_nothing_and_leaves_what_was_decided(warm: Warm) -> None:
    warm.begin()
    course_id, keyring = warm.desk.course_id, warm.desk.keyring
    warm.only("doorway")
    assert warm.desk.write(lambda tx: encouragement.adopt(tx, keyring, course_id, noon())) == 0
    states = Counter(line.state for line in warm.desk.read(lambda tx: encouragement.lines(tx, keyring, course_id)))
    assert states == {"approved": 1, "paused": len(shipped()) - 1}


def test_a_course_has_themes_of_its_own(warm: Warm) -> None:
    rain = warm.person()
    course_id, keyring = warm.desk.course_id, warm.desk.keyring
    warm.desk.write(lambda tx: encouragement.adopt(tx, keyring, course_id, noon(), themes=["relationships", "winter"]))
    warm.begin()
    assert warm.desk.read(lambda tx: library.words_of_week(tx, course_id, noon())) == ("relationships", 8)
    assert warm.desk.read(lambda tx: library.words_of_week(tx, course_id, noon() + WEEK)) == ("winter", 0)
    warm.go(noon())
    assert warm.given(rain) == [("relationships", "plan")]
    with pytest.raises(Invalid):
        warm.desk.write(lambda tx: encouragement.adopt(tx, keyring, course_id, noon(), themes=[""]))


# What stays of somebody ---------------------------------------------------------------------------------------------------------------


def test_an_erasure_takes_out_who_was_given_what_and_the_name_of_an_author(warm: Warm) -> None:
    leader, rain = warm.person("李老师", Role.LEADER), warm.person()
    warm.person("陈管理", Role.ADMINISTRATOR)
    warm.begin()
    course_id, keyring = warm.desk.course_id, warm.desk.keyring
    warm.desk.write(lambda tx: encouragement.propose(tx, keyring, course_id, {"zh": "茶凉了也能喝。"}, noon(), author_id=leader.id))
    warm.go(noon())
    told = warm.desk.read(lambda tx: people.export(tx, keyring, rain.id))["warm_words"]
    assert [each["after"] for each in told] == ["plan"]
    for known in (leader, rain):
        warm.desk.write(lambda tx, known=known: people.erase(tx, keyring, known.id, noon(), actor="operator"))  # type: ignore[misc]
    lines = warm.desk.read(lambda tx: encouragement.lines(tx, keyring, course_id, state="proposed"))
    assert [(line.author, line.texts["zh"]) for line in lines] == [("", "茶凉了也能喝。")]
    assert warm.desk.read(lambda tx: tx.execute(sa.select(WarmGiven.id).where(WarmGiven.person_id == rain.id)).all()) == []
    from app import broadcasts

    reports = warm.desk.read(lambda tx: list(tx.execute(sa.select(Broadcast.id).where(Broadcast.kind == "report")).scalars()))
    found = warm.desk.read(lambda tx: broadcasts.details_of(tx, keyring, reports))
    assert [details["author_name"] for details in found.values()] == [None]


def test_who_withdraws_and_returns_gets_no_word_a_second_time(warm: Warm) -> None:
    rain = warm.person()
    warm.begin()
    warm.only("doorway")
    warm.go(noon())
    warm.desk.write(lambda tx: people.withdraw(tx, rain.id, noon(), erase_answers=False, actor="x"))
    assert [state for state, *_ in warm.messages(rain)] == ["cancelled"]
    assert warm.after(rain, Trigger.RETURN, noon() + WEEK) is None
    back = Warm(warm.desk)
    from app import groups
    from app.models import Group

    def enter(tx: Tx) -> None:
        large = tx.execute(sa.select(Group.id).where(Group.large)).scalar_one()
        groups.enter(tx, large, rain.id, Role.PARTICIPANT, noon())

    back.desk.write(enter)
    back.go(noon(THURSDAY))
    assert len(warm.word_ids(rain)) == 1
    assert warm.desk.read(lambda tx: tx.execute(sa.select(WarmFiring.outcome)).scalars().all()) == ["fired", "rested"]
