"""Reminders of questionnaires by their rule and by wish, and waves that are planned, moved and taken back."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from app import broadcasts, people
from app.errors import Conflict, Invalid
from app.groups import Refused
from app.models import Assignment, Broadcast, Delivery, Sheet
from app.people import Known
from app.questionnaires import brought, sheets, waves, wording
from app.questionnaires.waves import Plan, Rule
from app.states import ANSWERABLE
from bots.effects import BeginAssignment, Decline, RemindLater
from bots.questionnaire.instrument import find
from tests.delivery.asking import CLOSES, DAY, HOUR, OPENS, PLAN, SECOND, Round, local
from tests.delivery.scene import NOW, Desk


@pytest.fixture
def course(database_url: str) -> Iterator[Round]:
    with Desk(database_url) as desk:
        yield Round(desk)


# Reminders ---------------------------------------------------------------------------------------------------------------------------


def test_reminders_come_at_the_local_hour_of_the_planned_days_and_no_more(course: Round) -> None:
    rain = course.desk.person()
    course.add()
    course.go(OPENS)
    for moment, count in (
        (local(3) - SECOND, 0),
        (local(3), 1),
        (local(4), 1),
        (local(5) - SECOND, 1),
        (local(5), 2),
        (CLOSES - SECOND, 2),
    ):
        course.go(moment)
        assert len(course.messages(rain, "reminder")) == count, moment
    assert [due for _, _, _, due in course.messages(rain, "reminder")] == [local(3), local(5)]
    assert (course.row(rain).reminders, course.row(rain).remind_at) == (2, None)


@pytest.mark.parametrize("days", [(), (0,), (0, 1, 1, 2), (6, 7, 9), tuple(range(10))])
def test_never_more_reminders_than_planned_days_within_the_window(days: tuple[int, ...], course: Round) -> None:
    rain = course.desk.person()
    course.add(replace(PLAN, rule=Rule(days)))
    course.go(OPENS)
    for day in range(1, 12):
        for moment in (local(day) - SECOND, local(day), local(day) + SECOND):
            course.go(moment)
    assert [due for _, _, _, due in course.messages(rain, "reminder")] == [
        local(1 + day) for day in sorted(set(days)) if local(1 + day) < CLOSES
    ]


def test_a_worker_that_slept_reminds_once_and_goes_on_with_the_next(course: Round) -> None:
    rain = course.desk.person()
    course.add(replace(PLAN, rule=Rule((1, 2, 3, 5))))
    course.go(OPENS)
    course.go(local(4) + HOUR)
    assert len(course.messages(rain, "reminder")) == 1
    assert course.row(rain).remind_at == local(6)


def test_only_the_unfinished_are_reminded(course: Round) -> None:
    desk = course.desk
    idle, begun, done, declined, gone = (desk.person(name) for name in ("没动", "开了头", "答完", "不愿意", "退出"))
    course.add()
    course.go(OPENS)
    course.does(begun, BeginAssignment(course.row(begun).id), OPENS + HOUR)
    course.finishes(done, OPENS + HOUR)
    course.does(declined, Decline(course.row(declined).id), OPENS + HOUR)
    desk.write(lambda tx: people.withdraw(tx, gone.id, OPENS + HOUR, erase_answers=False, actor="operator"))
    course.go(local(3))
    assert [len(course.messages(each, "reminder")) for each in (idle, begun, done, declined, gone)] == [1, 1, 0, 0, 0]
    states = desk.read(lambda tx: waves.counts(tx, course.wave))
    assert states == {
        "invited": 1,
        "opened": 1,
        "complete": 1,
        "refused": 1,
        "withdrawn": 1,
    }


def test_what_is_queued_is_taken_back_when_somebody_finishes(course: Round) -> None:
    rain, calm = course.desk.person(), course.desk.person("阿静")
    course.add()
    course.go(OPENS)
    course.go(local(3))
    course.finishes(rain, local(3))
    assert [(kind, state, reason) for kind, state, reason, _ in course.messages(rain)] == [
        ("invitation", "cancelled", "answered"),
        ("reminder", "cancelled", "answered"),
    ]
    assert {state for _, state, _, _ in course.messages(calm)} == {"ready"}
    course.go(local(5))
    assert len(course.messages(rain)) == 2


def test_what_was_sent_stays_sent_when_somebody_finishes(course: Round) -> None:
    rain = course.desk.person()
    course.add()
    course.go(OPENS)
    course.settle(rain, "sent", OPENS)
    course.finishes(rain, OPENS + HOUR)
    assert [state for _, state, _, _ in course.messages(rain)] == ["sent"]


def test_of_two_waves_that_end_at_one_moment_finishing_one_leaves_the_reminder_of_the_other(course: Round) -> None:
    rain = course.desk.person()
    first = course.add()
    second = course.add(replace(PLAN, code="second", rule=Rule((3,))))
    course.go(OPENS)
    course.settle(rain, "sent", OPENS)
    course.go(local(4))
    assert [(kind, state) for kind, state, *_ in course.messages(rain, "reminder")] == [("reminder", "ready")] * 2
    course.finishes(rain, local(4), first)
    assert sorted(state for _, state, *_ in course.messages(rain, "reminder")) == ["cancelled", "ready"]
    course.finishes(rain, local(4), second)
    assert [state for _, state, *_ in course.messages(rain, "reminder")] == ["cancelled"] * 2


def test_finishing_one_wave_takes_back_nothing_of_another(course: Round) -> None:
    rain = course.desk.person()
    first = course.add(replace(PLAN, late="keep"))
    second = course.add(replace(PLAN, code="post", closes_at=CLOSES + 20 * DAY))
    same_end = course.add(replace(PLAN, code="diary"))
    course.go(OPENS)
    course.go(local(3))
    course.finishes(rain, local(3), first)
    states = Counter((kind, state) for kind, state, _, _ in course.messages(rain))
    assert states["invitation", "ready"] == 2
    assert states["invitation", "cancelled"] == 1
    assert states["reminder", "ready"] == 2
    assert [course.row(rain, wave).state for wave in (first, second, same_end)] == ["complete", "invited", "invited"]


def test_remind_me_later_comes_at_the_chosen_moment_and_is_not_counted(course: Round) -> None:
    rain = course.desk.person()
    course.add()
    course.go(OPENS)
    chosen = OPENS + 3 * HOUR
    course.does(rain, RemindLater(course.row(rain).id, chosen), OPENS + HOUR)
    assert course.go(chosen - SECOND) == 0
    course.go(chosen)
    assert course.messages(rain, "reminder") == [("reminder", "ready", "", chosen)]
    assert (course.row(rain).reminders, course.row(rain).remind_at) == (0, local(3))
    course.go(local(3))
    assert course.row(rain).reminders == 1


def test_remind_me_later_stands_for_a_planned_reminder_before_it(course: Round) -> None:
    rain = course.desk.person()
    course.add()
    course.go(OPENS)
    course.does(rain, RemindLater(course.row(rain).id, local(4)), OPENS + HOUR)
    course.go(local(3))
    assert course.messages(rain, "reminder") == []
    course.go(local(4))
    assert course.row(rain).remind_at == local(5)


def test_remind_me_later_is_refused_past_the_end_and_kept_where_late_answers_are(course: Round) -> None:
    rain = course.desk.person()
    course.add()
    course.go(OPENS)
    with pytest.raises(Refused, match="over by then"):
        course.does(rain, RemindLater(course.row(rain).id, CLOSES), OPENS + HOUR)
    kept = course.add(replace(PLAN, code="post", late="keep", rule=Rule((2, 4, 9))))
    course.go(OPENS)
    chosen = CLOSES + 2 * HOUR
    course.does(rain, RemindLater(course.row(rain, kept).id, chosen), OPENS + HOUR)
    course.go(CLOSES)
    course.go(chosen)
    assert [due for _, _, _, due in course.messages(rain, "reminder")][-1] == chosen
    useful = sa.select(Delivery.id).where(Delivery.person_id == rain.id, Delivery.due_at == chosen, Delivery.stale_at > chosen)
    assert course.desk.read(lambda tx: tx.execute(useful).first()) is not None


def test_a_paused_person_gets_nothing_until_they_resume(course: Round) -> None:
    rain = course.desk.person()
    course.add()
    course.go(OPENS)
    course.desk.write(lambda tx: people.pause(tx, rain.id, OPENS + HOUR))
    course.go(local(3))
    assert [(kind, state, reason) for kind, state, reason, _ in course.messages(rain)] == [("invitation", "cancelled", "paused")]
    course.desk.write(lambda tx: people.resume(tx, rain.id, local(4)))
    course.go(local(5))
    assert [due for _, _, _, due in course.messages(rain, "reminder")] == [local(5)]
    assert course.row(rain).reminders == 1


def test_nobody_is_reminded_after_the_end(course: Round) -> None:
    rain = course.desk.person()
    course.add(replace(PLAN, late="keep", rule=Rule((2, 4, 9))))
    course.go(OPENS)
    course.go(local(5))
    course.go(CLOSES)
    assert course.desk.read(waves.next_moment) is None
    course.go(CLOSES + 5 * DAY)
    assert len(course.messages(rain, "reminder")) == 1


@pytest.mark.parametrize(
    ("zone", "opens"),
    [("Europe/Berlin", datetime(2027, 3, 26, 8, tzinfo=UTC)), ("America/New_York", datetime(2026, 10, 30, 12, tzinfo=UTC))],
)
def test_the_local_hour_stays_when_the_clocks_change(zone: str, opens: datetime) -> None:
    moments = Rule((0, 1, 2, 3, 4)).moments(opens, zone)
    assert {f"{moment.astimezone(ZoneInfo(zone)):%H:%M}" for moment in moments} == {"19:00"}
    assert len({moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in moments}) == 2


# Moving and planning -----------------------------------------------------------------------------------------------------------------


def move(course: Round, *, opens_at: datetime | None = None, closes_at: datetime | None = None, now: datetime = NOW) -> None:
    keyring = course.desk.keyring
    course.desk.write(lambda tx: waves.move(tx, keyring, course.wave, opens_at=opens_at, closes_at=closes_at, now=now))


def test_a_wave_that_is_moved_opens_at_the_new_moment_and_its_reminders_with_it(course: Round) -> None:
    rain = course.desk.person()
    course.add()
    move(course, opens_at=OPENS + DAY)
    assert course.go(OPENS) == 0
    course.go(OPENS + DAY)
    assert course.row(rain).remind_at == local(4)
    with pytest.raises(Invalid, match="cannot be moved"):
        move(course, opens_at=OPENS + 2 * DAY)
    with pytest.raises(Invalid, match="closes after it opens"):
        move(course, closes_at=OPENS)


def test_a_later_end_makes_room_for_reminders_and_is_what_waiting_invitations_name(course: Round) -> None:
    rain = course.desk.person()
    course.add(replace(PLAN, rule=Rule((2, 9))))
    course.go(OPENS)
    course.go(local(3))
    assert course.row(rain).remind_at is None
    course.settle(rain, "waiting", local(3))
    later = CLOSES + 5 * DAY
    move(course, closes_at=later, now=local(4))
    assert course.row(rain).remind_at == local(10)
    found = course.desk.read(lambda tx: tx.execute(sa.select(Broadcast.id, Broadcast.stale_at)).all())
    details = course.desk.read(lambda tx: broadcasts.details_of(tx, course.desk.keyring, [row.id for row in found]))
    assert {each["closes_at"] for each in details.values()} == {later}
    assert course.desk.read(lambda tx: set(tx.execute(sa.select(Delivery.stale_at)).scalars())) == {later}
    course.go(CLOSES)
    assert course.wave_state() == "open"
    course.go(later)
    with pytest.raises(Invalid, match="closed"):
        move(course, closes_at=later + DAY)


def test_an_end_that_is_moved_before_now_closes_at_once(course: Round) -> None:
    rain = course.desk.person()
    course.add()
    course.go(OPENS)
    move(course, closes_at=OPENS + HOUR, now=local(3))
    course.go(OPENS + 2 * HOUR)
    assert course.state(rain) == "window_closed"
    assert course.desk.read(waves.next_moment) is None


def test_only_a_wave_that_has_not_opened_can_be_removed(course: Round) -> None:
    course.desk.person()
    course.add()
    course.desk.write(lambda tx: waves.remove(tx, course.wave, NOW))
    assert course.go(OPENS) == 0
    course.add()
    course.go(OPENS)
    with pytest.raises(Invalid, match="stays"):
        course.desk.write(lambda tx: waves.remove(tx, course.wave, NOW))


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (replace(PLAN, closes_at=OPENS), "closes after it opens"),
        (replace(PLAN, opens_at=NOW - 2 * DAY, closes_at=NOW), "over already"),
        (replace(PLAN, instruments=()), "at least one"),
        (replace(PLAN, instruments=("scs", "scs")), "none twice"),
        (replace(PLAN, instruments=("mood",)), "no instrument 'mood'"),
        (replace(PLAN, frames={"swls": "week"}), "does not ask about 'week'"),
        (replace(PLAN, frames={"dass21": "week"}), "does not ask about"),
        (replace(PLAN, rule=Rule(tuple(range(11)))), "At most 10"),
        (replace(PLAN, rule=Rule((-1,))), "some days after"),
        (replace(PLAN, late="perhaps"), "keep, refuse"),
        (replace(PLAN, title={}), "--title"),
        (replace(PLAN, title={"fr": "Avant"}), "--title"),
        (replace(PLAN, title={"zh": "课程前", "en": " "}), "--title"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_in_one_sentence(plan: Plan, says: str, course: Round) -> None:
    with pytest.raises(Invalid, match=says) as refusal:
        course.add(plan)
    assert refusal.value.sentence.endswith(".")


def test_two_waves_of_a_course_have_two_codes(course: Round) -> None:
    course.add()
    with pytest.raises(Conflict, match="already"):
        course.add()


def test_a_running_wave_keeps_its_wording_and_the_next_takes_the_newest(course: Round, tmp_path: Path) -> None:
    rain = course.desk.person()
    course.add()
    rows = brought.template(find()["swls"], ("zh",))
    for number, row in enumerate(rows[1:], start=-1):
        labels = "一|二|三|四|五|六|七" if number > 0 else ""
        rows[number + 2] = (*row[:5], f"第 {number} 句", labels, "作者", "来信", "validated")
    (tmp_path / "w.csv").write_text("\n".join(",".join(row) for row in rows), encoding="utf-8")
    read = brought.read(tmp_path / "w.csv", find())
    assert read.errors == ()
    made = course.desk.write(lambda tx: wording.freeze(tx, read, NOW))
    course.go(OPENS)
    first = course.wave
    course.add(replace(PLAN, code="post"))
    course.go(OPENS)
    worded = sa.select(Assignment.wave_id, Sheet.instrument, Sheet.wording_id).join(Sheet, Sheet.assignment_id == Assignment.id)
    found = course.desk.read(lambda tx: {(row.wave_id, row.instrument): row.wording_id for row in tx.execute(worded)})
    assert found == {(first, "shs"): None, (first, "swls"): None, (course.wave, "shs"): None, (course.wave, "swls"): made.id}
    views = course.desk.read(lambda tx: sheets.find(tx, course.desk.tools.shelf, rain.id, course.desk.account_id, "zh"))
    words = {view.wave: view.sheets[1].instrument.items[0].words["zh"] for view in views}
    assert words == {"baseline": find()["swls"].items[0].words["zh"], "post": "第 1 句"}


# Everything at once --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_whatever_people_do_in_whatever_order_the_states_add_up(seed: int, course: Round) -> None:
    draw = random.Random(seed)
    people_: list[Known] = []
    late = draw.choice(["keep", "refuse"])
    course.add(replace(PLAN, late=late))
    moment = OPENS - DAY
    while moment < CLOSES + DAY:
        moment += timedelta(hours=draw.randint(1, 9))
        if len(people_) < 12 and draw.random() < 0.6:
            people_.append(course.desk.person(f"组员{len(people_)}"))
        course.go(moment)
        _somebody_does_something(course, draw, people_, moment)
    course.go(CLOSES + 2 * DAY)
    states = Counter(course.state(known) for known in people_)
    assert sum(states.values()) == len(people_)
    assert late == "keep" or not {state.value for state in ANSWERABLE} & {state for state in states if state}
    for known in people_:
        history = course.history(known) if course.row(known) else []
        assert not history or history[-1][0] == course.state(known)
        assert [moment for _, _, moment in history] == sorted(moment for _, _, moment in history)
        assert course.row(known) is None or course.row(known).reminders <= 2


def _somebody_does_something(course: Round, draw: random.Random, people_: Sequence[Known], moment: datetime) -> None:
    if not people_:
        return
    known = draw.choice(people_)
    row, deed = course.row(known), draw.choice(["begin", "finish", "decline", "later", "pause", "resume", "withdraw", "sent", "nothing"])
    if deed in {"pause", "resume"}:
        course.desk.write(lambda tx: (people.pause if deed == "pause" else people.resume)(tx, known.id, moment))
    if row is None or row.state not in ANSWERABLE or course.wave_state() != "open":
        return
    if deed == "finish":
        course.finishes(known, moment)
    elif deed == "withdraw":
        course.desk.write(lambda tx: people.withdraw(tx, known.id, moment, erase_answers=draw.random() < 0.5, actor="operator"))
    elif deed == "sent":
        course.settle(known, "sent", moment)
    elif deed == "later" and moment + HOUR < CLOSES:
        course.does(known, RemindLater(row.id, moment + HOUR), moment)
    elif deed in {"begin", "decline"}:
        course.does(known, BeginAssignment(row.id) if deed == "begin" else Decline(row.id), moment)
