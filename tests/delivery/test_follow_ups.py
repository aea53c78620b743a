"""Those who are silent, and nobody else, are asked once more, until the poll closes: whole or not at all, whoever races."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app import broadcasts, follow_ups, groups, people, polls, schedules
from app.db import Tx
from app.errors import NotFound
from app.groups import Refused
from app.models import Broadcast, Delivery, Poll, PollAnswer
from app.outbox import claims
from app.people import Known
from app.schedules import Reader
from app.states import State
from bots.effects import Poll as Wanted
from bots.turns import Role
from tests.delivery.polling import DAY, MINUTE, answer, asked, follow_up, followed, refused, result
from tests.delivery.scene import NOW, Desk, lease, schedule_row, together


def test_only_those_who_are_silent_and_have_been_asked_are_asked_once_more(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, helper = desk.person("李老师", Role.LEADER), desk.person("助教", Role.ASSISTANT)
        done, silent, waits = desk.person("答了"), desk.person("没答"), desk.person("等着")
        made = asked(desk, author=leader)
        hers = sa.and_(Delivery.person_id == waits.id, Delivery.state == "sent")
        desk.write(lambda tx: tx.execute(sa.update(Delivery).where(hers).values(state=State.WAITING)))
        desk.person("后来的")
        answer(desk, done, made, 1)
        assert set(result(desk, made).silent) == {"助教", "没答", "等着"}
        assert result(desk, made).askable == 2
        assert follow_up(desk, made, helper) == 1, "nor does who asks get it"
        assert followed(desk, made) == {silent.id: ("ready", "")}
        told = result(desk, made, NOW + MINUTE)
        assert (told.followed_at, told.followed, told.followed_reached) == (NOW, 1, 0)
        assert refused(lambda: follow_up(desk, made, leader, now=NOW + 9 * MINUTE)) == "again"
        answer(desk, silent, made, 2, NOW + MINUTE)
        assert followed(desk, made) == {silent.id: ("cancelled", "answered")}
        answer(desk, helper, made, 2, NOW + MINUTE)
        assert refused(lambda: follow_up(desk, made, leader, now=NOW + 11 * MINUTE)) == "nobody"


def test_an_answer_is_looked_for_once_more_in_the_claim(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, silent, done = desk.person("李老师", Role.LEADER), desk.person("没答"), desk.person("答了")
        made = asked(desk, author=leader)
        follow_up(desk, made, leader)
        row = {"schedule_id": made, "person_id": done.id, "choice": 1, "changes": 0, "first_at": NOW, "at": NOW}
        desk.write(lambda tx: tx.execute(sa.insert(PollAnswer).values(**row)))
        posts = desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW).posts)
        assert [(post.person_id, post.kind) for post in posts] == [(silent.id, "follow_up")]
        assert followed(desk, made)[done.id] == ("cancelled", "answered")


def test_whoever_may_not_announce_to_the_group_sees_and_does_nothing(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, member = desk.person("李老师", Role.LEADER), desk.person()
        made = asked(desk, author=leader)
        other_group = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组"))
        other = desk.person("陈老师", None)
        desk.write(lambda tx: groups.enter(tx, other_group, other.id, Role.LEADER, NOW))
        mentor = desk.person("督导", Role.MENTOR)
        for nobody in (other, member, mentor):
            _sees_and_does_nothing(desk, made, nobody)
        assert followed(desk, made) == {}
        assert result(desk, made).open
        desk.write(lambda tx: groups.end_membership(tx, desk.group, leader.id, Role.LEADER, NOW, "left"))
        assert refused(lambda: follow_up(desk, made, leader)) == "role", "nor who was leader once"


def _sees_and_does_nothing(desk: Desk, made: int, nobody: Known) -> None:
    assert refused(lambda: follow_up(desk, made, nobody)) == "role"
    assert refused(lambda: desk.write(lambda tx: polls.close(tx, made, nobody.id, NOW))) == "role"
    with pytest.raises(NotFound):
        desk.read(lambda tx: schedules.progress(tx, desk.keyring, desk.tools.words, made, Reader("zh", nobody.id), NOW))


def _whole_or_not_at_all(desk: Desk, made: int, members: set[int]) -> str:
    """After the end of a poll nothing of a follow-up may still go; it had reached everybody's rows, or nobody's."""
    words = followed(desk, made)
    assert set(words) in (members, set())
    assert {state for state, _ in words.values()} <= {"cancelled"}
    return "before" if words else "after"


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_a_follow_up_that_races_with_the_end_is_taken_back_whole_or_never_begins(database_url: str, end: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        members = {desk.person(f"同学{number}").id for number in range(6)}
        for _ in range(3):
            made = asked(desk, author=leader)

            def ends(tx: Tx, made: int = made) -> None:
                # Where all has gone out and no follow-up is there to stop, there is nothing to cancel either.
                (polls.close if end == "close" else schedules.cancel)(tx, made, leader.id, NOW)

            def asks(tx: Tx, made: int = made) -> None:
                follow_ups.follow_up(tx, desk.keyring, made, leader.id, "", NOW)

            together(desk, [_tried(ends), _tried(asks)])
            closed = _found(desk, made)
            if end == "close":
                assert closed.closed_at == NOW
                _whole_or_not_at_all(desk, made, members)
            elif _announced(desk, made) == "cancelled":
                assert _whole_or_not_at_all(desk, made, members) == "before"
            else:
                assert set(followed(desk, made)) == members


def _found(desk: Desk, made: int) -> Any:
    return desk.read(lambda tx: polls.find(tx, made))


def _announced(desk: Desk, made: int) -> str:
    return desk.read(lambda tx: schedule_row(tx, made))[0]


def _tried(work: Callable[[Tx], None]) -> Callable[[Tx], str]:
    """Whoever comes second may be refused; what they wrote is undone."""

    def job(tx: Tx) -> str:
        try:
            with tx.begin_nested():
                work(tx)
        except Refused as refusal:
            return refusal.code
        return ""

    return job


def test_an_answer_that_races_with_a_follow_up_leaves_nothing_to_go_to_who_answered(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, quick, slow = desk.person("李老师", Role.LEADER), desk.person("快"), desk.person("慢")
        for _ in range(4):
            made = asked(desk, author=leader)
            _answer_and_ask(desk, made, quick, leader)
            words = followed(desk, made)
            assert words[slow.id] == ("ready", "")
            assert words.get(quick.id, ("cancelled", "answered")) == ("cancelled", "answered")


def _answer_and_ask(desk: Desk, made: int, quick: Known, leader: Known) -> None:
    def answers(tx: Tx) -> None:
        polls.answer(tx, desk.keyring, quick.id, made, 1, NOW)

    def asks(tx: Tx) -> None:
        follow_ups.follow_up(tx, desk.keyring, made, leader.id, "", NOW)

    together(desk, [answers, asks])


def test_two_who_ask_once_more_at_the_same_moment_are_one(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, member = desk.person("李老师", Role.LEADER), desk.person()
        made = asked(desk, author=leader)

        def ask(tx: Tx) -> None:
            follow_ups.follow_up(tx, desk.keyring, made, leader.id, "", NOW)

        assert sorted(together(desk, [_tried(ask)] * 3)) == ["", "again", "again"]
        assert set(followed(desk, made)) == {member.id}
        query = sa.select(sa.func.count()).select_from(Broadcast).where(Broadcast.kind == "follow_up")
        assert desk.read(lambda tx: tx.execute(query).scalar_one()) == 1


def _reports(desk: Desk) -> list[tuple[int, dict[str, Any]]]:
    def look(tx: Tx) -> list[tuple[int, dict[str, Any]]]:
        query = sa.select(Delivery.person_id, Delivery.broadcast_id).join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        rows = tx.execute(query.where(Broadcast.kind == "report")).all()
        return [(row.person_id, broadcasts.details_of(tx, desk.keyring, [row.broadcast_id])[row.broadcast_id]) for row in rows]

    return desk.read(look)


def test_what_has_not_gone_out_takes_no_answers_and_cannot_be_followed_up(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, rain = desk.person("李老师", Role.LEADER), desk.person()

        def plan(tx: Tx) -> int:
            return schedules.plan_announcement(
                tx, desk.keyring, author_id=leader.id, group_id=desk.group, text="去哪？", at=NOW + DAY, draft=None, now=NOW, poll=Wanted()
            )

        made = desk.write(plan)
        assert not result(desk, made).open
        assert result(desk, made).until == NOW + DAY + polls.OPEN_FOR, "a week after it goes out"
        assert refused(lambda: answer(desk, rain, made, 1)) == "foreign"
        assert refused(lambda: follow_up(desk, made, leader)) == "closed"
        assert refused(lambda: desk.write(lambda tx: polls.close(tx, made, leader.id, NOW))) == "closed"
        desk.write(lambda tx: schedules.cancel(tx, made, leader.id, NOW))
        end = NOW + DAY + polls.OPEN_FOR
        assert desk.write(lambda tx: polls.go_on(tx, desk.tools, end))
        assert _reports(desk) == [], "what never went out has no end to tell of"


def test_a_poll_closes_at_its_moment_once_and_its_author_is_told_how_it_ended(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, one, _ = desk.person("李老师", Role.LEADER), desk.person("一"), desk.person("二")
        made = asked(desk, ("北京", "郑州"), author=leader)
        answer(desk, one, made, 2)
        follow_up(desk, made, leader)
        end = NOW + polls.OPEN_FOR
        assert desk.read(polls.next_moment) == end
        assert not desk.read(lambda tx: polls.any_due(tx, end - MINUTE))
        assert desk.read(lambda tx: polls.any_due(tx, end))
        went = together(desk, [lambda tx: polls.go_on(tx, desk.tools, end)] * 3)
        assert sorted(went) == [False, False, True]
        assert not desk.write(lambda tx: polls.go_on(tx, desk.tools, end))
        assert [state for state, _ in followed(desk, made).values()] == ["cancelled"]
        ((reader, told),) = _reports(desk)
        assert reader == leader.id
        assert (told["reason"], told["counts"], told["asked"], told["answered"]) == ("closed", [["北京", 0], ["郑州", 1]], 2, 1)
        for language in ("zh", "en"):
            assert "1" in desk.tools.composer.compose("announcement", "report", language, "Asia/Shanghai", told).text
        assert refused(lambda: follow_up(desk, made, leader, now=end)) == "closed"
        assert not result(desk, made, end).open


def test_nobody_is_told_of_the_end_who_leads_there_no_more_nor_after_a_restore(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, _ = desk.person("李老师", Role.LEADER), desk.person()
        for _ in range(2):
            asked(desk, (), author=leader)
        end = NOW + polls.OPEN_FOR
        first = desk.read(lambda tx: tx.execute(sa.select(sa.func.min(Poll.schedule_id))).scalar_one())
        desk.write(lambda tx: tx.execute(sa.update(Poll).where(Poll.schedule_id == first).values(closes_at=NOW)))
        assert desk.write(lambda tx: polls.rest(tx, NOW + MINUTE)) == 1
        desk.write(lambda tx: groups.end_membership(tx, desk.group, leader.id, Role.LEADER, NOW, "left"))
        assert desk.write(lambda tx: polls.go_on(tx, desk.tools, end))
        assert not desk.write(lambda tx: polls.go_on(tx, desk.tools, end))
        assert _reports(desk) == []


def test_the_name_of_an_erased_leader_is_in_no_follow_up(database_url: str) -> None:
    with Desk(database_url) as desk:
        helper, member = desk.person("助教小林", Role.ASSISTANT), desk.person()
        made = asked(desk)
        follow_up(desk, made, helper, "快选")
        desk.write(lambda tx: people.erase(tx, desk.keyring, helper.id, NOW, actor="operator"))
        ids = desk.read(lambda tx: list(tx.execute(sa.select(Broadcast.id).where(Broadcast.kind == "follow_up")).scalars()))
        details = desk.read(lambda tx: broadcasts.details_of(tx, desk.keyring, ids))[ids[0]]
        assert (details["author_name"], details["text"]) == (None, "快选")
        assert followed(desk, made) == {member.id: ("ready", "")}
