"""Silences of a course: in one, nothing that we start goes out; and what the recheck holds back for whatever reason is never lost."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import broadcasts, courses, reach
from app.channels import Rules
from app.db import Tx
from app.errors import Invalid
from app.forecast import forecast
from app.outbox import claims, riding
from app.outbox.pace import Gates
from app.outbox.recheck import EVENING
from app.states import State
from bots.facts import ReachForecast
from bots.turns import OccasionKind
from tests.delivery.scene import NOW, Desk, deliveries, lease, wrote

HOUR = timedelta(hours=1)
#: Monday, 20:00 in Shanghai.
END = NOW + 2 * HOUR


def _silent(desk: Desk, *silences: tuple[datetime, datetime], course: int | None = None) -> None:
    desk.write(lambda tx: courses.set_silences(tx, course or desk.course_id, silences, NOW))


def _claimed(desk: Desk, now: datetime) -> list[int]:
    return [post.id for post in desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, now).posts)]


def test_in_a_silence_nothing_that_we_start_goes_until_it_ends(database_url: str) -> None:
    with Desk(database_url) as desk:
        _silent(desk, (NOW - HOUR, NOW + HOUR), (NOW + HOUR, END))
        person, schedule = desk.person(), desk.announced()
        assert _claimed(desk, NOW) == []
        row = desk.read(lambda tx: deliveries(tx, schedule))[person.id]
        assert (row.word, row.due_at) == (("ready", "silence"), END)
        assert _claimed(desk, END - timedelta(seconds=1)) == []
        assert _claimed(desk, END) == [row.id]


def test_a_silence_that_ends_in_quiet_hours_leads_into_the_morning(database_url: str) -> None:
    with Desk(database_url) as desk:
        _silent(desk, (NOW, NOW + 5 * HOUR))
        person, schedule = desk.person(), desk.announced()
        morning = datetime.fromisoformat("2026-11-24T08:00:00+08:00")
        for moment in (NOW, NOW + 5 * HOUR):
            assert _claimed(desk, moment) == []
        row = desk.read(lambda tx: deliveries(tx, schedule))[person.id]
        assert (row.word, row.due_at) == (("ready", "quiet_hours"), morning)
        assert len(_claimed(desk, morning)) == 1


def test_alerts_answers_what_was_let_out_and_other_courses_go_in_a_silence(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, other = (
            desk.person(typed=None),
            desk.write(lambda tx: courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="two", title="第二个课")),
        )
        desk.announced("等着的")
        assert _claimed(desk, NOW) == []
        _silent(desk, (NOW, END))
        desk.write(lambda tx: wrote(tx, person.identity_id, NOW))
        assert desk.write(lambda tx: riding.release(tx, person.id, desk.account_id, 5, NOW)) == 1
        moment = NOW + timedelta(seconds=2)
        assert len(_claimed(desk, moment)) == 1, "the person's own words let it out"

        def send(course: int, **more: Any) -> None:
            def work(tx: Tx) -> int:
                key = desk.keyring.create(tx).id
                draft = broadcasts.Draft(desk.account_id, key, "announcement", OccasionKind.ANNOUNCEMENT, {}, course, **more)
                return broadcasts.send_to(tx, desk.keyring, draft, [person.id], NOW)

            desk.write(work)

        send(desk.course_id)
        send(desk.course_id, priority=broadcasts.ALERT, urgent=True)
        send(desk.course_id, priority=broadcasts.ANSWER)
        send(other)
        assert len(_claimed(desk, moment)) == 3
        assert len(_claimed(desk, END)) == 1


def test_a_silence_that_is_moved_or_dropped_lets_go_what_it_held(database_url: str) -> None:
    with Desk(database_url) as desk:
        _silent(desk, (NOW, END))
        desk.person(), desk.announced()
        assert _claimed(desk, NOW) == []
        _silent(desk, (NOW, NOW + HOUR))
        assert _claimed(desk, NOW) == []
        _silent(desk)
        assert len(_claimed(desk, NOW)) == 1


def test_a_silence_ends_after_it_begins(database_url: str) -> None:
    with Desk(database_url) as desk, pytest.raises(Invalid, match="change its end"):
        _silent(desk, (END, END))


@pytest.mark.parametrize(
    ("at", "silent", "quiet"),
    [
        (None, END, None),
        (NOW + HOUR, END, None),
        (END, None, None),
        (NOW + 9 * HOUR, None, "2026-11-24T08:00:00+08:00"),
        (NOW + 2 * timedelta(days=1) - HOUR, NOW + timedelta(days=2, hours=5), "2026-11-26T08:00:00+08:00"),
    ],
)
def test_the_forecast_says_until_when_it_is_silent(
    database_url: str, at: datetime | None, silent: datetime | None, quiet: str | None
) -> None:
    with Desk(database_url) as desk:
        desk.person()
        _silent(desk, (NOW, END), (NOW + timedelta(days=2) - HOUR, NOW + timedelta(days=2, hours=5)))
        found: ReachForecast = desk.read(lambda tx: forecast(tx, desk.tools.rules, desk.group, None, at, NOW))
        assert (found.silent_until, found.quiet_until) == (silent, None if quiet is None else datetime.fromisoformat(quiet))
        # windows are open for two days from NOW
        assert (found.now, found.later) == ((1, 0) if at is None or at < NOW + timedelta(days=1) else (0, 1))


# Whatever comes, by the pure rules alone --------------------------------------------------------------------------------------------

#: In these days the clocks change in Berlin, Havana and New York; at midnight in Santiago and Beirut.
BEGINNINGS = st.sampled_from(
    [datetime(2026, 3, 7, 6, tzinfo=UTC), datetime(2026, 3, 28, 6, tzinfo=UTC), datetime(2026, 10, 24, 6, tzinfo=UTC)]
)
ZONES = st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/Havana", "America/New_York", "America/Santiago", "Asia/Beirut"])
NIGHTS = st.sampled_from([("22:00", "08:00"), ("00:00", "00:00"), ("23:30", "02:30"), ("12:00", "14:00"), ("17:00", "09:00")])
SILENCES = st.lists(st.tuples(st.integers(0, 5 * 24), st.integers(1, 30)), max_size=2)
RULES, OPEN = Rules(), Gates({}, {}, notices=True)


@dataclass
class Message:
    """One message of a made-up course: `priority` as ever; it comes up so many minutes after the beginning."""

    id: int
    person: int
    priority: int
    minutes: int
    useful_hours: int
    state: str = "ready"
    reason: str = ""
    due_at: datetime = NOW
    went_at: datetime | None = None


MESSAGES = st.lists(
    st.builds(
        Message,
        id=st.just(0),
        person=st.integers(0, 1),
        priority=st.sampled_from([0, 1, 5, 5, 5, 9]),
        minutes=st.sampled_from([0, 0, 1, 700, 1_500, 3_000]) | st.integers(0, 4 * 24 * 60),
        useful_hours=st.integers(1, 24 * 7),
    ),
    max_size=40,
)


@dataclass
class Course:
    """A course with its rules, its people's ledgers, and everything that comes up in it, played from claim to claim."""

    begins: datetime
    zone: str
    quiet: tuple[str, str]
    cap: int | None
    silences: list[tuple[int, int]]
    messages: list[Message]
    ledgers: dict[int, reach.Traffic] = field(default_factory=dict)

    def spans(self) -> list[tuple[datetime, datetime]]:
        return [(self.begins + begin * HOUR, self.begins + (begin + hours) * HOUR) for begin, hours in self.silences]

    def row(self, message: Message) -> Any:
        ledger = self.ledgers[message.person]
        return SimpleNamespace(
            **dict.fromkeys(
                ("paused_at", "group_id", "member", "answered", "unreachable_code", "unfollowed_at", "notified_at", "in_doubt_since")
            ),
            id=message.id,
            identity_id=message.person,
            broadcast_state="going",
            wrapped=b"",
            openid_sealed=b"",
            consents=True,
            urgent=message.priority == 0,
            priority=message.priority,
            last_reason=message.reason,
            stale_at=self.begins + timedelta(minutes=message.minutes, hours=message.useful_hours),
            course_zone=self.zone,
            zone="UTC",
            quiet_from=self.quiet[0],
            quiet_until=self.quiet[1],
            cap=self.cap,
            silences=[[begin.isoformat(), end.isoformat()] for begin, end in self.spans()],
            **{
                name: getattr(ledger, name)
                for name in ("typed_until", "typed_left", "tapped_until", "tapped_left", "started_on", "started")
            },
        )

    def claim(self, now: datetime) -> list[tuple[Message, bool]]:
        """One claim of what is due, in the order of claims; which of it went."""
        due = sorted(
            (each for each in self.messages if each.state == "ready" and each.due_at <= now), key=lambda each: (each.priority, each.id)
        )
        by_id = {each.id: each for each in due}
        decisions = claims._decide([self.row(each) for each in due], RULES, OPEN, now)
        for number, decision in decisions.items():
            message = by_id[number]
            if decision.route is None:
                message.state, message.reason, message.due_at = decision.state.value, decision.reason, decision.due_at or message.due_at
                continue
            message.state, message.went_at = "sent", now
            if decision.day is not None:
                self.ledgers[message.person] = reach.counted(self.ledgers[message.person], decision.day)
        return [(each, each.state == "sent") for each in due]


def _ledgers(begins: datetime) -> dict[int, reach.Traffic]:
    """Of two people: one wrote at the beginning, the other one only notices reach."""
    return {0: reach.Traffic(), 1: reach.Traffic(typed_until=begins + timedelta(days=30), typed_left=100)}


@settings(deadline=None)
@given(BEGINNINGS, ZONES, NIGHTS, st.none() | st.integers(1, 5), SILENCES, MESSAGES)
def test_no_day_has_more_than_the_cap_nothing_is_lost_and_the_more_important_goes_first(
    begins: datetime, zone: str, quiet: tuple[str, str], cap: int | None, silences: list[tuple[int, int]], messages: list[Message]
) -> None:
    for number, message in enumerate(messages):
        message.id, message.due_at = number, begins + timedelta(minutes=message.minutes)
    course = Course(begins, zone, quiet, cap, silences, messages, _ledgers(begins))
    claims_made, now = 0, begins
    while any(each.state == "ready" for each in messages):
        now = max(now, min(each.due_at for each in messages if each.state == "ready"))
        _in_order(course, course.claim(now), now)
        claims_made += 1
        assert claims_made <= 60 * (len(messages) + 1), "nothing is looked at over and over"
        assert all(each.due_at > now for each in messages if each.state == "ready"), "and what is held, is held until later"
    assert {each.state for each in messages} <= {"sent", "expired"}
    started: dict[tuple[int, Any], int] = {}
    for each in messages:
        if each.went_at is None:
            assert each.state == State.EXPIRED
            assert each.priority > broadcasts.ANSWER, "alerts and answers wait for nothing"
        elif each.priority > broadcasts.ANSWER:
            day = each.person, reach.local_day(each.went_at, zone)
            started[day] = started.get(day, 0) + 1
            assert reach.quiet_until(each.went_at, zone, *quiet) is None
            assert reach.silent_until(each.went_at, course.spans()) is None
    assert cap is None or all(count <= cap for count in started.values())
    if cap is None and not silences and quiet == ("00:00", "00:00"):
        assert all(each.went_at == begins + timedelta(minutes=each.minutes) for each in messages), "nothing else holds anything back"


def _in_order(course: Course, looked_at: list[tuple[Message, bool]], now: datetime) -> None:
    """Nobody is sent the less important while the more important is held, in one and the same claim.

    But for what is left over from another day: that leaves room for what is new, however important it is itself.
    """
    for place, (message, went) in enumerate(looked_at):
        if went or message.reason != "cap" or message.due_at == reach.later_today(now, course.zone, EVENING):
            continue
        after = [other for other, gone in looked_at[place + 1 :] if gone and other.person == message.person]
        assert [other for other in after if other.priority > broadcasts.ANSWER] == []
