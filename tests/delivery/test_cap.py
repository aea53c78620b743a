"""A cap on what we start with a person on one day, over all bots and courses: kept in races, over midnights, and nothing is lost by it."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import broadcasts, courses, people
from app.broadcasts import Draft
from app.channels import Accepted, Notice, Rules, SendError, Verdict
from app.db import Tx
from app.forecast import forecast
from app.models import Account, Allowance, Broadcast, Course, Delivery, Person
from app.outbox import claims, riding
from app.outbox.claims import Claim, Post
from app.outbox.results import Outcome, settle
from app.people import Known
from app.states import Route
from bots.turns import OccasionKind
from tests.delivery.scene import NOW, Desk, begin, lease, left, run, says, together, wrote

#: The first allowed minute of the next day, in Shanghai.
TOMORROW = datetime.fromisoformat("2026-11-24T08:00:00+08:00")


def _capped(desk: Desk, cap: int | None, course: int | None = None) -> None:
    desk.write(lambda tx: courses.set_cap(tx, course or desk.course_id, cap, NOW))


def _noticed(desk: Desk) -> None:
    """The account has an approved template."""
    desk.write(lambda tx: tx.execute(sa.update(Account).values(notice_id="t1", notice_fields={})).rowcount)


def _send(desk: Desk, person: Known, *, course: int | None = None, now: datetime = NOW, **more: Any) -> int:
    """One message to one person; returns its delivery."""

    def work(tx: Tx) -> int:
        key = tx.execute(sa.select(Person.data_key_id).where(Person.id == person.id)).scalar_one()
        details = {"text": "今晚见", "group_name": "晨光组", "author_name": "李老师", "author_role": "leader", "course_title": "课"}
        draft = Draft(desk.account_id, key, "announcement", OccasionKind.ANNOUNCEMENT, details, course or desk.course_id, **more)
        made = broadcasts.send_to(tx, desk.keyring, draft, [person.id], now)
        return int(tx.execute(sa.select(Delivery.id).where(Delivery.broadcast_id == made)).scalar_one())

    return desk.write(work)


def _claim(desk: Desk, now: datetime = NOW, most: int = 32, owner: str = "one") -> Claim:
    return desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(owner), desk.tools.rules, now, most))


def _gone(desk: Desk, now: datetime = NOW, most: int = 32) -> list[int]:
    """What goes at this moment, and is taken by the platform."""
    posts = begin(desk, _claim(desk, now, most).posts, lease("one"), now)
    desk.write(lambda tx: settle(tx, desk.account_id, [Outcome(post, str(post.id)) for post in posts], desk.tools.rules, now))
    return [post.id for post in posts]


def _rows(desk: Desk) -> dict[int, Any]:
    columns = (Delivery.id, Delivery.state, Delivery.reason, Delivery.due_at, Delivery.route)
    return desk.read(lambda tx: {row.id: row for row in tx.execute(sa.select(*columns))})


def _started(desk: Desk, person: Known) -> tuple[str, int]:
    row = desk.read(
        lambda tx: tx.execute(sa.select(Allowance.started_on, Allowance.started).where(Allowance.identity_id == person.identity_id)).one()
    )
    return str(row.started_on), row.started


def test_a_new_course_starts_four_messages_a_day_and_no_more(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, other = desk.person("小雨"), desk.person("王芳")
        desk.write(lambda tx: wrote(tx, person.identity_id, NOW, 9))
        mine = [_send(desk, person) for _ in range(6)]
        hers = _send(desk, other)
        assert set(_gone(desk)) == {*mine[:4], hers}
        assert _started(desk, person) == ("2026-11-23", 4)
        rows = _rows(desk)
        assert [(rows[each].state, rows[each].reason, rows[each].due_at) for each in mine[4:]] == [("ready", "cap", TOMORROW)] * 2
        assert _gone(desk, TOMORROW - timedelta(seconds=1)) == []
        assert _gone(desk, TOMORROW) == mine[4:]
        assert _started(desk, person) == ("2026-11-24", 2)


def test_a_course_from_before_has_no_cap(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person()
        desk.write(lambda tx: wrote(tx, person.identity_id, NOW, 9))
        desk.write(lambda tx: tx.execute(sa.update(Course).values(cap=None)).rowcount)
        assert len({_send(desk, person) for _ in range(7)} & set(_gone(desk))) == 7
        assert _started(desk, person)[1] == 7, "counted all the same: another course may have a cap"


def test_notices_count_too_and_their_repeat_does_not(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person(typed=None)
        _noticed(desk)
        _capped(desk, 2)
        made = [_send(desk, person) for _ in range(3)]
        posts = begin(desk, _claim(desk).posts, lease("one"), NOW)
        assert [post.route for post in posts] == [Route.NOTICE] * 2
        lost = [Outcome(post, error=SendError(Verdict.UNKNOWN, "1")) for post in posts]
        desk.write(lambda tx: settle(tx, desk.account_id, lost, desk.tools.rules, NOW))
        assert _started(desk, person)[1] == 2
        later = NOW + timedelta(seconds=20)
        assert sorted(_gone(desk, later)) == made[:2], "they go again under their ids"
        assert _started(desk, person)[1] == 2
        assert _rows(desk)[made[2]].reason == "cap"


def test_a_refused_service_message_that_goes_as_a_notice_is_one_message(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person()
        _noticed(desk)
        _capped(desk, 1)
        _send(desk, person)
        posts = begin(desk, _claim(desk).posts, lease("one"), NOW)
        refused = [Outcome(post, error=SendError(Verdict.WINDOW_CLOSED, "45015")) for post in posts]
        desk.write(lambda tx: settle(tx, desk.account_id, refused, desk.tools.rules, NOW))
        assert (_started(desk, person)[1], desk.read(lambda tx: left(tx, person.id))) == (0, (0, 0))
        assert len(_gone(desk)) == 1
        assert [row.route for row in _rows(desk).values()] == ["notice"]
        assert _started(desk, person)[1] == 1


@pytest.mark.parametrize(
    ("verdict", "counted"),
    [
        (None, 1),
        (Verdict.UNKNOWN, 1),
        (Verdict.BUSY, 1),
        (Verdict.NOT_SENT, 0),
        (Verdict.WAIT_DAY, 0),
        (Verdict.ACCOUNT_BROKEN, 0),
        (Verdict.BAD_MESSAGE, 0),
        (Verdict.RECIPIENT_CLOSED, 0),
    ],
)
def test_what_certainly_did_not_come_counts_for_no_day(database_url: str, verdict: Verdict | None, counted: int) -> None:
    with Desk(database_url) as desk:
        person = desk.person()
        _send(desk, person)
        posts = begin(desk, _claim(desk).posts, lease("one"), NOW)
        assert _started(desk, person)[1] == 1
        outcomes = [Outcome(post, "7", None if verdict is None else SendError(verdict, "1")) for post in posts]
        for _ in range(2):  # the word that the first commit succeeded was lost
            desk.write(lambda tx: settle(tx, desk.account_id, outcomes, desk.tools.rules, NOW))
            assert _started(desk, person)[1] == counted


def test_several_that_go_as_one_message_count_once(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person()
        for _ in range(3):
            _send(desk, person)
        run(desk.assembly.postman().send_due(desk.account_id, _Takes(), NOW))  # type: ignore[arg-type]
        assert _started(desk, person)[1] == 1


class _Takes:
    """A channel that takes everything."""

    rules = Rules()

    async def send(self, _openid: str, _text: str) -> Accepted:
        return Accepted()

    async def notify(self, _openid: str, _notice: Notice) -> Accepted:
        return Accepted()


def test_what_a_dead_or_stopping_worker_had_reserved_does_not_count(database_url: str) -> None:
    with Desk(database_url) as desk:
        writer, silent = desk.person("小雨"), desk.person("王芳", typed=None)
        _noticed(desk)
        for person in (writer, silent):
            _send(desk, person)
        dead = lease("dead")
        assert len(desk.write(lambda tx: claims.claim(tx, desk.account_id, dead, desk.tools.rules, NOW)).posts) == 2
        assert [_started(desk, each)[1] for each in (writer, silent)] == [1, 1]
        assert desk.write(lambda tx: claims.reap(tx, NOW, dead.until + 1, desk.tools.rules)) == 2
        assert [_started(desk, each)[1] for each in (writer, silent)] == [0, 0]
        posts, mine = _claim(desk).posts, lease("one")
        assert desk.write(lambda tx: claims.put_back(tx, posts, mine, desk.tools.rules, NOW)) == 2
        assert [_started(desk, each)[1] for each in (writer, silent)] == [0, 0]
        assert desk.read(lambda tx: left(tx, writer.id)) == (5, 0)


def test_what_is_given_back_after_midnight_takes_nothing_from_the_new_day(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.write(lambda tx: courses.set_quiet_hours(tx, desk.course_id, "00:00", "00:00"))
        before, after = datetime.fromisoformat("2026-11-23T23:59:59+08:00"), datetime.fromisoformat("2026-11-24T00:00:01+08:00")
        person = desk.person(typed=before)
        _send(desk, person, now=before)
        old = begin(desk, _claim(desk, before).posts, lease("one"), before)
        _send(desk, person, now=before)
        assert len(_gone(desk, after)) == 1
        never = [Outcome(post, error=SendError(Verdict.NOT_SENT, "refused")) for post in old]
        desk.write(lambda tx: settle(tx, desk.account_id, never, desk.tools.rules, after))
        assert _started(desk, person) == ("2026-11-24", 1)


def test_alerts_answers_and_what_the_person_let_out_go_over_the_cap_and_do_not_count(database_url: str) -> None:
    with Desk(database_url) as desk:
        _capped(desk, 1)
        person = desk.person(typed=None)
        waits = _send(desk, person)
        assert _gone(desk) == []
        assert _rows(desk)[waits].state == "waiting"
        desk.write(lambda tx: wrote(tx, person.identity_id, NOW, 9))
        assert desk.write(lambda tx: riding.release(tx, person.id, desk.account_id, 5, NOW)) == 1
        alert, answer = _send(desk, person, priority=0, urgent=True), _send(desk, person, priority=broadcasts.ANSWER)
        first, second = _send(desk, person), _send(desk, person)
        later = NOW + timedelta(seconds=2)
        assert set(_gone(desk, later)) == {alert, answer, waits, first}
        assert _started(desk, person) == ("2026-11-23", 1)
        assert _rows(desk)[second].reason == "cap"
        assert desk.read(lambda tx: left(tx, person.id))[0] == 5, "of the window they take all the same"


def test_a_dead_worker_gives_nothing_back_of_a_day_for_what_did_not_count(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, dead = desk.person(), lease("dead")
        _send(desk, person)
        assert len(_gone(desk)) == 1
        _send(desk, person, priority=broadcasts.ANSWER)
        desk.write(lambda tx: claims.claim(tx, desk.account_id, dead, desk.tools.rules, NOW))
        assert desk.write(lambda tx: claims.reap(tx, NOW, dead.until + 1, desk.tools.rules)) == 1
        assert _started(desk, person)[1] == 1


def test_the_cap_of_a_person_is_one_over_all_their_courses(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person()
        second = desk.write(lambda tx: courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="two", title="第二个课"))
        _capped(desk, 2)
        _capped(desk, 3, second)
        mine = [_send(desk, person, course=course) for course in (desk.course_id, second, second, second, desk.course_id)]
        assert len(_gone(desk)) == 3
        held = [each for each in mine if _rows(desk)[each].reason == "cap"]
        assert len(held) == 2
        assert _started(desk, person)[1] == 3


def test_what_waits_at_nobodys_window_is_not_held_but_waits_for_their_words(database_url: str) -> None:
    with Desk(database_url) as desk:
        _capped(desk, 1)
        person = desk.person()
        desk.write(lambda tx: wrote(tx, person.identity_id, NOW, 1))
        made = [_send(desk, person) for _ in range(2)]
        assert _gone(desk) == made[:1]
        assert (_rows(desk)[made[1]].state, _rows(desk)[made[1]].reason) == ("waiting", "window_closed")


def test_the_more_important_goes_first_and_still_finds_room_beside_what_was_left_over(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person()
        desk.write(lambda tx: wrote(tx, person.identity_id, NOW + timedelta(days=2), 30))
        bulk = [_send(desk, person, priority=9) for _ in range(7)]
        news = _send(desk, person)
        assert _gone(desk) == [news, *bulk[:3]]
        more = _send(desk, person, now=TOMORROW)
        assert _gone(desk, TOMORROW) == [more, bulk[3]], "what was left over takes half of the cap, what is new counted in"
        noon, evening = TOMORROW + timedelta(hours=4), TOMORROW + timedelta(hours=10)
        another = _send(desk, person, now=noon)
        assert _gone(desk, noon) == [another]
        assert {_rows(desk)[each].due_at for each in bulk[4:]} == {evening}
        assert _gone(desk, evening) == [bulk[4]], "in the evening what is left of the day is theirs"
        assert _started(desk, person) == ("2026-11-24", 4)
        assert {_rows(desk)[each].due_at for each in bulk[5:]} == {TOMORROW + timedelta(days=1)}
        assert _gone(desk, TOMORROW + timedelta(days=1)) == bulk[5:]


def test_what_is_of_no_use_tomorrow_expires_at_its_own_hour(database_url: str) -> None:
    with Desk(database_url) as desk:
        _capped(desk, 1)
        person, end = desk.person(), NOW + timedelta(hours=3)
        made = [_send(desk, person, stale_at=end) for _ in range(2)]
        assert _gone(desk) == made[:1]
        assert _rows(desk)[made[1]].due_at == end
        assert _gone(desk, end) == []
        assert (_rows(desk)[made[1]].state, _rows(desk)[made[1]].reason) == ("expired", "stale")


@pytest.mark.parametrize(("cap", "goes"), [(2, 0), (3, 1), (None, 4)])
def test_a_cap_that_is_raised_lets_go_what_the_old_one_held(database_url: str, cap: int | None, goes: int) -> None:
    with Desk(database_url) as desk:
        morning = NOW - timedelta(hours=6)
        _capped(desk, 2)
        person = desk.person()
        desk.write(lambda tx: wrote(tx, person.identity_id, morning, 9))
        for _ in range(6):
            _send(desk, person, now=morning)
        assert len(_gone(desk, morning)) == 2
        desk.write(lambda tx: courses.set_cap(tx, desk.course_id, cap, morning))
        assert len(_gone(desk, morning)) == goes


def test_the_cap_holds_where_workers_claim_at_the_same_moment(database_url: str) -> None:
    with Desk(database_url) as desk:
        _noticed(desk)
        _capped(desk, 3)
        writers = [desk.person(f"同学{number}") for number in range(4)]
        silent = [desk.person(f"来客{number}", typed=None) for number in range(4)]
        for _ in range(6):
            for person in (*writers, *silent):
                _send(desk, person)
        for _ in range(4):  # whom another worker holds stays due for the next claim
            together(desk, [_worker(desk, name) for name in ("one", "two", "three")])
        _claim(desk, owner="last")
        rows = desk.read(lambda tx: tx.execute(sa.select(Delivery.person_id, Delivery.state)).all())
        claimed = Counter(row.person_id for row in rows if row.state == "claimed")
        assert claimed == {person.id: 3 for person in (*writers, *silent)}
        assert {_started(desk, person)[1] for person in (*writers, *silent)} == {3}
        assert {(row.state, row.reason) for row in _rows(desk).values()} == {("claimed", ""), ("ready", "cap")}


def _worker(desk: Desk, owner: str) -> Callable[[Tx], list[Post]]:
    return lambda tx: claims.claim(tx, desk.account_id, lease(owner), desk.tools.rules, NOW, 5).posts


def test_the_forecast_says_who_gets_it_the_day_after(database_url: str) -> None:
    with Desk(database_url) as desk:
        _capped(desk, 1)
        person, silent, _ = desk.person("小雨"), desk.person("王芳", typed=None), desk.person("李明")

        def promise(at: datetime | None = None) -> tuple[int, int, int, int]:
            found = desk.read(lambda tx: forecast(tx, desk.tools.rules, desk.group, None, at, NOW))
            assert found.total == found.now + found.notice + found.later + found.never + found.capped
            return found.now, found.notice, found.later, found.capped

        _send(desk, person)
        assert len(_gone(desk)) == 1
        assert promise() == (1, 0, 1, 1)
        assert promise(TOMORROW) == (2, 0, 1, 0)
        _noticed(desk)
        _send(desk, silent)
        assert len(_gone(desk)) == 1
        assert promise() == (1, 0, 0, 2)
        assert promise(NOW + timedelta(hours=6)) == (2, 1, 0, 0), "it is quiet then, and it goes in the morning"


def test_a_thousand_broadcasts_that_are_held_keep_no_other_back(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person()
        made = _send(desk, person)

        def hold_many(tx: Tx) -> None:
            row = tx.execute(sa.select(*Broadcast.__table__.columns)).one()._asdict()
            delivery = tx.execute(sa.select(*Delivery.__table__.columns)).one()._asdict()
            held = [(number, row["id"] - number) for number in range(1, 1_200)]
            tx.execute(sa.insert(Broadcast), [{**row, "id": each} for _, each in held])
            due = {**delivery, "reason": "cap", "due_at": TOMORROW}
            tx.execute(sa.insert(Delivery), [{**due, "id": made + number, "broadcast_id": each} for number, each in held])

        desk.write(hold_many)
        assert _gone(desk) == [made]


def test_who_leaves_and_comes_back_on_the_same_day_has_had_their_messages(database_url: str) -> None:
    with Desk(database_url) as desk:
        _capped(desk, 1)
        person = desk.person()
        _send(desk, person)
        assert len(_gone(desk)) == 1
        desk.write(lambda tx: people.left(tx, person, NOW))
        desk.write(lambda tx: people.came(tx, person, desk.openid(1), NOW))
        says(desk, 1, "你好")
        assert _started(desk, person)[1] == 1, "what they write opens the window, and leaves the day alone"
        _send(desk, person)
        assert _gone(desk) == []
