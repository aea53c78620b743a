"""The ledger of allowances stays true while workers, pushes and dead processes touch it at once; and an alert goes before all else."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import pytest
import sqlalchemy as sa

from app import courses, flags, inbox, people
from app.channels import Accepted, Rules, SendError, Verdict
from app.db import Database, Tx
from app.models import Account, Delivery
from app.outbox import claims, ledger, pace, results
from app.outbox.claims import Post
from app.states import Route
from bots.turns import Role
from tests.delivery.scene import NOW, Desk, begin, deliveries, incoming, lease, left, parked, push, run, says, wrote

T = TypeVar("T")
U = TypeVar("U")


def _during(
    desk: Desk, held: Callable[[Tx], T], other: Callable[[Tx], U], after: Callable[[Tx], object] = lambda _: None
) -> tuple[T, U, bool]:
    """Run `other` while the transaction of `held` is open, then `after` in it. True: `other` did not wait (SQLite has one writer)."""
    worked, done, found = threading.Event(), threading.Event(), list[U]()
    free: list[bool] = []

    def keep_open(tx: Tx) -> T:
        made = held(tx)
        worked.set()
        free.append(done.wait(0.7 if desk.database.is_sqlite else 2.5))  # within the patience for a lock; a busy machine is slow
        after(tx)
        return made

    def interfere() -> None:
        worked.wait(60)
        with Database(desk.database.url) as database:
            found.append(database.write_now(other))
        done.set()

    thread = threading.Thread(target=interfere)
    thread.start()
    with Database(desk.database.url) as database:
        made = database.write_now(keep_open)
    thread.join()
    return made, found[0], free[0]


def _claim(desk: Desk, owner: str, most: int = 32) -> Callable[[Tx], list[Post]]:
    return lambda tx: claims.claim(tx, desk.account_id, lease(owner), desk.tools.rules, NOW, most).posts


def test_two_workers_with_one_message_left_send_one(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person("小雨")
        desk.write(lambda tx: wrote(tx, person.identity_id, NOW, 1))
        schedules = [desk.announced("一"), desk.announced("二")]
        first, second, _ = _during(desk, _claim(desk, "one", 1), _claim(desk, "two", 1))
        later = desk.write(_claim(desk, "three"))
        assert [post.route for post in [*first, *second, *later]] == [Route.SERVICE]
        assert desk.read(lambda tx: left(tx, person.id)) == (0, 0)
        states = Counter(desk.read(lambda tx, each=each: deliveries(tx, each))[person.id].state for each in schedules)  # type: ignore[misc]
        assert states == {"claimed": 1, "waiting": 1}


def test_a_push_that_opens_the_window_during_a_claim_is_not_forgotten(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person("小雨")
        desk.write(lambda tx: wrote(tx, person.identity_id, NOW, 1))
        desk.announced()
        door = incoming(desk, push(desk, 1, "你好"))
        _, posts, free = _during(desk, lambda tx: inbox.take(tx, desk.tools, door), _claim(desk, "one"))
        posts += desk.write(_claim(desk, "two"))
        assert [post.route for post in posts] == [Route.SERVICE]
        assert desk.read(lambda tx: left(tx, person.id))[0] == 4, "five by the push, one of them reserved"
        assert free or desk.database.is_sqlite, "and the claim did not wait for the push"


def test_a_push_that_comes_after_a_claim_opens_the_whole_window(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person("小雨")
        desk.write(lambda tx: wrote(tx, person.identity_id, NOW, 1))
        desk.announced()
        door = incoming(desk, push(desk, 1, "你好"))
        _during(desk, _claim(desk, "one"), lambda tx: inbox.take(tx, desk.tools, door))
        assert desk.read(lambda tx: left(tx, person.id))[0] == 5


def test_a_claim_and_a_push_that_takes_everything_back_never_wait_for_each_other(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, other = desk.person("小雨"), desk.person("王芳")
        schedule = desk.announced()
        _, posts, free = _during(
            desk,
            lambda tx: ledger.hold(tx, [person.identity_id]),  # as far as a push is when it notes what it allows us
            _claim(desk, "one"),
            after=lambda tx: people.pause(tx, person.id, NOW),
        )
        assert free or desk.database.is_sqlite
        assert {post.person_id for post in posts} == {other.id}, "the others were not held up"
        rows = desk.read(lambda tx: deliveries(tx, schedule))
        assert (rows[person.id].word, rows[other.id].state) == (("cancelled", "paused"), "claimed")


def test_what_is_put_off_at_the_moment_a_probe_succeeds_is_due_again(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨"), desk.person("王芳")
        desk.announced()
        desk.write(lambda tx: tx.execute(sa.update(Account).values(notice_id="t1", notice_fields={})).rowcount)
        desk.write(lambda tx: pace.trouble(tx, desk.account_id, Route.SERVICE, pace.MOST_TROUBLES, NOW))
        later = NOW + timedelta(seconds=5)
        probes = desk.write(lambda tx: claims.claim(tx, desk.account_id, lease("one"), desk.tools.rules, later)).posts
        assert [post.probe for post in probes] == [True]
        claim, _, _ = _during(
            desk,
            lambda tx: claims.claim(tx, desk.account_id, lease("two"), desk.tools.rules, later),
            lambda tx: results.settle(tx, desk.account_id, [results.Outcome(probes[0], "7")], desk.tools.rules, later),
        )
        assert (claim.posts, claim.passed_over) == ([], 1), "the one that is left can only wait for the probe"
        rest = desk.read(lambda tx: tx.execute(sa.select(Delivery.due_at).where(Delivery.state == "ready")).scalars().all())
        assert rest == [later]
        assert len(desk.write(lambda tx: claims.claim(tx, desk.account_id, lease("two"), desk.tools.rules, later)).posts) == 1


def test_what_a_dead_worker_had_reserved_is_given_back(database_url: str) -> None:
    with Desk(database_url) as desk:
        rules, dead = desk.tools.rules, lease("dead")
        person, other = desk.person("小雨"), desk.person("王芳")
        desk.write(lambda tx: wrote(tx, person.identity_id, NOW, 1))
        schedule = desk.announced()
        assert len(desk.write(lambda tx: claims.claim(tx, desk.account_id, dead, rules, NOW).posts)) == 2
        assert desk.read(lambda tx: left(tx, person.id)) == (0, 0)
        desk.write(lambda tx: wrote(tx, other.identity_id, NOW))  # meanwhile they wrote again: all five
        assert desk.write(lambda tx: claims.reap(tx, NOW, dead.until + 1, rules)) == 2
        assert desk.read(lambda tx: left(tx, person.id)) == (1, 0)
        assert desk.read(lambda tx: left(tx, other.id)) == (5, 0), "never more than the platform allows"
        assert desk.write(lambda tx: claims.reap(tx, NOW, dead.until + 1, rules)) == 0
        assert {post.route for post in desk.write(_claim(desk, "two"))} == {Route.SERVICE}
        assert {row.state for row in desk.read(lambda tx: deliveries(tx, schedule)).values()} == {"claimed"}


@pytest.mark.parametrize(
    ("verdict", "remain", "state"),
    [
        (None, 4, "sent"),
        (Verdict.UNKNOWN, 4, "unknown"),
        (Verdict.BAD_MESSAGE, 4, "failed"),
        (Verdict.NOT_SENT, 5, "retry"),
        (Verdict.ALLOWANCE_USED, 0, "waiting"),
    ],
)
def test_announcements_that_go_as_one_message_use_one(database_url: str, verdict: Verdict | None, remain: int, state: str) -> None:
    with Desk(database_url) as desk:
        desk.write(lambda tx: courses.set_cap(tx, desk.course_id, None, NOW))
        person, other = desk.person("小雨"), desk.person("王芳", Role.LEADER)  # who hears one of them, because she wrote the others
        made = [desk.announced(f"第{number}条", author=other if number else None) for number in range(5)]
        line = _Line(error=None if verdict is None else SendError(verdict, "1"))
        run(desk.assembly.postman().send_due(desk.account_id, line, NOW))  # type: ignore[arg-type]
        assert sorted(line.sent) == [desk.openid(1), desk.openid(2)]
        assert {desk.read(lambda tx, each=each: deliveries(tx, each))[person.id].state for each in made} == {state}  # type: ignore[misc]
        assert [desk.read(lambda tx, each=each: left(tx, each))[0] for each in (person.id, other.id)] == [remain, remain]  # type: ignore[misc]


def test_an_outcome_that_is_written_down_twice_gives_back_once(database_url: str) -> None:
    """The first commit succeeded, and the word of it was lost."""
    with Desk(database_url) as desk:
        person = desk.person("小雨")
        for number in range(3):
            desk.announced(f"第{number}条")
        posts = desk.write(_claim(desk, "one"))
        begin(desk, posts, lease("one"), NOW)
        assert desk.read(lambda tx: left(tx, person.id))[0] == 2
        never = SendError(Verdict.NOT_SENT, "refused")
        outcomes = [results.Outcome(posts[0], error=never), *(results.Outcome(post, aboard=posts[1].id) for post in posts[1:])]
        for _ in range(2):
            desk.write(lambda tx: results.settle(tx, desk.account_id, outcomes, desk.tools.rules, NOW))
            assert desk.read(lambda tx: left(tx, person.id))[0] == 4, "of three that were reserved one was used"


def test_a_rest_is_never_shortened(database_url: str) -> None:
    with Desk(database_url) as desk:
        hour, minute, day = NOW + timedelta(hours=1), NOW + timedelta(minutes=1), NOW + timedelta(days=1)
        for until, code in ((hour, "48001"), (minute, "45011")):
            desk.write(lambda tx, until=until, code=code: pace.park(tx, desk.account_id, "service", until, code, NOW))  # type: ignore[misc]
        assert desk.read(lambda tx: parked(tx, desk.account_id)) == {"service": hour}
        assert desk.read(lambda tx: tx.execute(sa.text("SELECT parked_code FROM paces")).scalar_one()) == "48001"
        desk.write(lambda tx: pace.park(tx, desk.account_id, "service", day, "45009", NOW))
        assert desk.read(lambda tx: parked(tx, desk.account_id)) == {"service": day}


@dataclass
class _Line:
    """A channel that takes everything, or says what `error` is, and lets something happen during the first call."""

    happens: Callable[[], object] = lambda: None
    error: SendError | None = None
    rules: Rules = field(default_factory=Rules)
    sent: list[str] = field(default_factory=list)

    async def send(self, openid: str, _text: str) -> Accepted:
        self.sent.append(openid)
        if len(self.sent) == 1:
            self.happens()
        if self.error is not None:
            raise self.error
        return Accepted()


@pytest.mark.parametrize("members", [26, 70])
def test_an_alert_that_comes_up_during_a_broadcast_goes_next(database_url: str, members: int) -> None:
    with Desk(database_url) as desk:
        desk.write(lambda tx: courses.set_second_eyes(tx, desk.course_id, 0, NOW))
        for number in range(members):
            desk.person(f"同学{number}")
        leader = desk.person("李老师", Role.LEADER)
        desk.write(lambda tx: flags.add_on_call(tx, desk.keyring, desk.course_id, person_id=leader.id, email=None, webhook=None, now=NOW))
        schedule = desk.announced(author=leader)
        line = _Line(lambda: says(desk, 1, "我真的不想活下去了"))
        dealt: list[int] = []

        async def send() -> None:
            dealt.append(await desk.assembly.postman().send_due(desk.account_id, line, NOW))  # type: ignore[arg-type]

        while not dealt or dealt[-1]:
            run(send())
        assert line.sent[8] == desk.openid(members + 1), "right after the handful that was under way"
        assert Counter(line.sent) == Counter(desk.openid(number + 1) for number in range(members + 1)), "everybody once"
        assert sum(dealt) == members + 1
        rows = desk.read(lambda tx: deliveries(tx, schedule))
        assert {row.word for row in rows.values()} == {("sent", "service")}
        assert {row.attempts for row in rows.values()} == {1}
        assert {desk.read(lambda tx, each=each: left(tx, each))[0] for each in sorted(rows)[1:]} == {4}, "what stepped back lost nothing"  # type: ignore[misc]
        assert desk.read(lambda tx: tx.execute(sa.select(Delivery.id).where(Delivery.lease_owner.is_not(None))).first()) is None
