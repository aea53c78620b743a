"""Whose a delivery is from its claim to its answer: what a dead worker held, what is taken back, and a commit whose word was lost."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import accounts, clock, groups, people, schedules
from app.db import Database, Tx
from app.db.pipeline import Pipeline
from app.errors import Unavailable, database_away
from app.models import Attempt, Delivery
from app.outbox import claims, results
from app.outbox.claims import Start
from tests.delivery.scene import NOW, Desk, Line, begin, deliveries, lease, run


def test_a_dead_workers_claims_are_freed_and_what_it_was_sending_is_unknown(database_url: str) -> None:
    with Desk(database_url) as desk:
        rules, first = desk.tools.rules, lease("first")
        members = [desk.person(f"同学{number}") for number in range(4)]
        schedule = desk.announced()
        posts = desk.write(lambda tx: claims.claim(tx, desk.account_id, first, rules, NOW).posts)
        assert len(posts) == 4
        assert desk.write(lambda tx: claims.claim(tx, desk.account_id, lease("second"), rules, NOW).posts) == [], "nobody else gets them"
        sending = begin(desk, posts[:2], first, NOW)
        assert len(sending) == 2
        assert desk.write(lambda tx: claims.reap(tx, NOW, first.until - 1, rules)) == 0, "the lease still runs"
        assert desk.write(lambda tx: claims.reap(tx, NOW, first.until + 1, rules)) == 4
        assert Counter(row.word for row in desk.read(lambda tx: deliveries(tx, schedule)).values()) == {
            ("unknown", "answer_lost"): 2,
            ("ready", ""): 2,
        }
        again = desk.write(lambda tx: claims.claim(tx, desk.account_id, lease("second"), rules, NOW).posts)
        assert {post.id for post in again} == {post.id for post in posts[2:]}
        assert begin(desk, posts[2:], first, NOW) == [], "the dead wakes up"
        late = [results.Outcome(post) for post in sending]
        desk.write(lambda tx: results.settle(tx, desk.account_id, late, rules, NOW))
        assert [row.word for row in desk.read(lambda tx: deliveries(tx, schedule)).values()].count(("unknown", "answer_lost")) == 2
        assert {member.id for member in members} == set(desk.read(lambda tx: deliveries(tx, schedule)))


def test_what_is_cancelled_while_claimed_is_not_sent(database_url: str) -> None:
    with Desk(database_url) as desk:
        rules, mine = desk.tools.rules, lease()
        stays, leaves = desk.person("小雨"), desk.person("王芳")
        first = desk.announced()
        posts = desk.write(lambda tx: claims.claim(tx, desk.account_id, mine, rules, NOW).posts)
        desk.write(lambda tx: people.withdraw(tx, leaves.id, NOW, erase_answers=False, actor="operator"))
        going = begin(desk, posts, mine, NOW)
        assert [post.person_id for post in going] == [stays.id]
        with pytest.raises(groups.Refused, match="gone out already"):
            desk.write(lambda tx: schedules.cancel(tx, first, None, NOW))
        second = desk.announced("第二条")
        posts = desk.write(lambda tx: claims.claim(tx, desk.account_id, mine, rules, NOW).posts)
        assert len(posts) == 1
        assert desk.write(lambda tx: schedules.cancel(tx, second, None, NOW)) == 1
        assert begin(desk, posts, mine, NOW) == []
        assert desk.read(lambda tx: deliveries(tx, second))[stays.id].word == ("cancelled", "cancelled_by_author")
        assert desk.read(lambda tx: deliveries(tx, first))[stays.id].state == "sending", "what is in flight runs to its end"


def test_a_notice_that_a_dead_worker_was_sending_is_repeated_within_eight_minutes_only(database_url: str) -> None:
    with Desk(database_url) as desk:
        rules = desk.tools.rules
        desk.write(lambda tx: accounts.set_notice(tx, desk.account_id, "template", {"kind": "thing1"}))
        person = desk.person(typed=None)
        schedule = desk.announced()
        for minutes, word in ((0, ("retry", "answer_lost")), (7, ("retry", "answer_lost")), (8, ("unknown", "answer_lost"))):
            now, mine = NOW + timedelta(minutes=minutes), lease()
            posts = desk.write(lambda tx, mine=mine, now=now: claims.claim(tx, desk.account_id, mine, rules, now).posts)  # type: ignore[misc]
            assert len(posts) == (1 if minutes < 8 else 0)
            begin(desk, posts, mine, now)
            desk.write(lambda tx, mine=mine, now=now: claims.reap(tx, now, mine.until + 1, rules))  # type: ignore[misc]
            assert desk.read(lambda tx: deliveries(tx, schedule))[person.id].word == word


def test_who_begins_twice_finds_what_they_began_and_nothing_more_urgent_is_passed_by(database_url: str) -> None:
    with Desk(database_url) as desk:
        schedule = _everybody(desk, 3)
        posts = desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW).posts)
        mine = lease()
        calls = {post.id: "call" for post in posts}
        urgent = Start(desk.account_id, posts, calls, mine, NOW, before=5, due_at=NOW)
        desk.write(lambda tx: _alert(tx, posts[2].id, due_at=NOW))
        assert desk.write(lambda tx: claims.begin(tx, urgent)) is None
        assert desk.read(lambda tx: {row.state for row in deliveries(tx, schedule).values()}) == {"claimed", "ready"}
        desk.write(lambda tx: _alert(tx, posts[2].id, due_at=NOW + timedelta(seconds=1)))  # not yet
        for _ in range(2):
            assert desk.write(lambda tx: claims.begin(tx, urgent)) == posts[:2]
        assert [post.id for post in begin(desk, posts, lease(), NOW)] == [], "what goes already is begun by nobody else"
        counted = sa.select(sa.func.count()).select_from(Attempt)
        assert desk.read(lambda tx: tx.execute(counted).scalar_one()) == 2


def _alert(tx: Tx, delivery: int, **values: Any) -> None:
    tx.execute(sa.update(Delivery).where(Delivery.id == delivery).values(priority=0, state="ready", **values))


def test_a_turn_whose_commit_had_no_word_is_found_by_the_next_try(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(database_url) as desk:
        schedule = _everybody(desk, 20)
        write, lost = Database.write_in_turn, iter([True, False, True, True])

        async def without_a_word(database: Database, looks: Any, work: Any, owner: str, *, whole: bool) -> Any:
            made = await write(database, looks, work, owner, whole=whole)
            if next(lost, False):
                raise database_away()
            return made

        monkeypatch.setattr(Database, "write_in_turn", without_a_word)
        line = Line(_nothing)
        run(desk.assembly.postman().send_due(desk.account_id, line, NOW))  # type: ignore[arg-type]
        assert {row.word for row in desk.read(lambda tx: deliveries(tx, schedule)).values()} == {("sent", "service")}
        assert len(set(line.sent)) == len(line.sent) == 20
        assert next(lost, None) is None, "all were lost"


def test_after_a_turn_without_a_word_nothing_else_begins_before_its_lease_is_over(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Desk(database_url) as desk:
        schedule = _everybody(desk, 20)
        write = Database.write_in_turn
        gone, machine = [0.0], clock.machine_seconds()
        monkeypatch.setattr(clock, "machine_seconds", lambda: machine + gone[0])
        steady = clock.steady
        monkeypatch.setattr(clock, "steady", lambda: steady() + gone[0])

        async def without_a_word(database: Database, looks: Any, work: Any, owner: str, *, whole: bool) -> Any:
            await write(database, looks, work, owner, whole=whole)
            gone[0] += desk.assembly.settings.lease_seconds - 2  # so long the database said nothing
            raise database_away()

        def under_way() -> int:
            return [row.word[0] for row in desk.read(lambda tx: deliveries(tx, schedule)).values()].count("sending")

        postman, line = desk.assembly.postman(), Line(_nothing)

        def send() -> int:
            return asyncio.run(postman.send_due(desk.account_id, line, NOW))  # type: ignore[arg-type]

        monkeypatch.setattr(Database, "write_in_turn", without_a_word)
        with pytest.raises(Unavailable):
            send()
        assert under_way() == desk.tools.rules.service_in_flight
        monkeypatch.setattr(Database, "write_in_turn", write)
        desk.write(lambda tx: tx.execute(sa.update(Delivery).where(Delivery.state == "claimed").values(state="ready", lease_owner=None)))
        assert send() == 0
        assert under_way() == desk.tools.rules.service_in_flight
        assert line.sent == [], "whether they began nobody knew"
        gone[0] += 3
        run(postman.reap(NOW))
        assert send() == 12
        assert len(line.sent) == 12, "the eight are in doubt and go to nobody twice"


def test_turns_need_no_thread_on_postgres(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(postgres_url) as desk:
        _everybody(desk, 40)
        asked: Counter[str] = Counter()
        ask, short = Pipeline.ask, Database.write_short

        async def by_line(line: Pipeline, steps: Any) -> Any:
            asked["line"] += 1
            return await ask(line, steps)

        async def by_thread(database: Database, work: Any) -> Any:
            asked["thread"] += 1
            return await short(database, work)

        monkeypatch.setattr(Pipeline, "ask", by_line)
        monkeypatch.setattr(Database, "write_short", by_thread)
        run(desk.assembly.postman().send_due(desk.account_id, Line(_nothing), NOW))  # type: ignore[arg-type]
        assert asked["line"] >= 4, "one round trip a turn, eight messages a turn"
        assert asked["thread"] <= 2, "only the turns that count the day's calls"


def _everybody(desk: Desk, count: int) -> int:
    for number in range(count):
        desk.person(f"同学{number}")
    return desk.announced()


async def _nothing(_number: int) -> None:
    """The platform takes it at once."""
