"""What an announcement asks: one answer a person, until it closes; those who are silent, and nobody else, are asked once more."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import broadcasts, clock, follow_ups, groups, people, polls, retention, schedules
from app.channels import render
from app.db import Tx
from app.errors import NotFound
from app.groups import Refused
from app.models import Audit, Broadcast, Course, Delivery, Poll, PollAnswer
from app.outbox import claims
from app.people import Known
from app.schedules import Reader
from app.states import State
from bots.announcement import asking
from bots.effects import Poll as Wanted
from bots.facts import PollResult, PollState
from bots.turns import OccasionKind, Role
from tests.delivery.scene import NOW, Desk, deliveries, lease, run, says, schedule_row, together, touched
from tests.stage import Stage

CITIES = ("北京", "郑州", "青岛", "成都", "西安", "广州", "哈尔滨", "杭州")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def asked(desk: Desk, options: tuple[str, ...] = CITIES, *, author: Known | None = None, sent: bool = True) -> int:
    """An announcement with a poll that has just been fired; `sent`: WeChat has accepted it for everybody."""
    made = desk.write(
        lambda tx: schedules.plan_announcement(
            tx,
            desk.keyring,
            author_id=None if author is None else author.id,
            group_id=desk.group,
            text="止语半日在哪个城市？",
            at=None,
            draft=None,
            now=NOW,
            poll=Wanted(options),
        )
    )
    assert desk.fire() == made
    if sent:
        desk.write(lambda tx: tx.execute(sa.update(Delivery).where(Delivery.state == "ready").values(state=State.SENT, reason="service")))
    return made


def answer(desk: Desk, person: Known, schedule: int, choice: int, now: Any = NOW) -> None:
    desk.write(lambda tx: polls.answer(tx, desk.keyring, person.id, schedule, choice, now))


def follow_up(desk: Desk, schedule: int, actor: Known | None = None, text: str = "", now: Any = NOW) -> int:
    return desk.write(lambda tx: follow_ups.follow_up(tx, desk.keyring, schedule, None if actor is None else actor.id, text, now))


def followed(desk: Desk, schedule: int) -> dict[int, tuple[str, str]]:
    """How each follow-up stands, by person."""
    return {person: row.word for person, row in desk.read(lambda tx: deliveries(tx, schedule, OccasionKind.FOLLOW_UP)).items()}


def result(desk: Desk, schedule: int, now: Any = NOW) -> PollResult:
    found = desk.read(lambda tx: polls.result(tx, desk.keyring, schedule, now))
    assert found is not None
    return found


def refused(work: Callable[[], Any]) -> str:
    with pytest.raises(Refused) as refusal:
        work()
    return refusal.value.code


def test_a_later_answer_takes_the_place_of_the_earlier_one_and_is_counted(database_url: str) -> None:
    with Desk(database_url) as desk:
        rain = desk.person()
        made = asked(desk)
        for minutes, choice in ((0, 2), (1, 2), (2, 1), (3, 8)):
            answer(desk, rain, made, choice, NOW + minutes * MINUTE)
        columns = (PollAnswer.person_id, PollAnswer.choice, PollAnswer.changes, PollAnswer.first_at, PollAnswer.at)
        rows = desk.read(lambda tx: tx.execute(sa.select(*columns)).all())
        assert [tuple(row) for row in rows] == [(rain.id, 8, 2, NOW, NOW + 3 * MINUTE)]
        told = result(desk, made)
        assert told.answered[7] == ("小雨",)
        assert sum(map(len, told.answered)) == 1


def test_only_who_was_asked_may_answer_and_only_while_it_is_open(database_url: str) -> None:
    with Desk(database_url) as desk:
        rain, outside = desk.person(), desk.person("路人", None)
        made = asked(desk)
        late = desk.person("后来的")
        assert refused(lambda: answer(desk, outside, made, 1)) == "foreign"
        assert refused(lambda: answer(desk, late, made, 1)) == "foreign", "who joins later was not asked"
        assert refused(lambda: answer(desk, rain, made, 0)) == "foreign"
        assert refused(lambda: answer(desk, rain, made, 9)) == "foreign"
        assert refused(lambda: answer(desk, rain, made + 1, 1)) == "foreign"
        answer(desk, rain, made, 1, NOW + polls.OPEN_FOR - MINUTE)
        assert refused(lambda: answer(desk, rain, made, 2, NOW + polls.OPEN_FOR)) == "closed"
        desk.write(lambda tx: groups.end_membership(tx, desk.group, rain.id, Role.PARTICIPANT, NOW, "left"))
        assert refused(lambda: answer(desk, rain, made, 2)) == "foreign"
        assert result(desk, made).silent == (), "who has left the group is counted nowhere"
        assert sum(map(len, result(desk, made).answered)) == 0


def test_a_poll_that_cannot_be_asked_is_refused_with_the_reason(database_url: str) -> None:
    with Desk(database_url) as desk:

        def plan(options: tuple[str, ...], text: str = "去哪？", **poll: Any) -> str:
            def work(tx: Tx) -> int:
                wanted = Wanted(options, **poll)
                return schedules.plan_announcement(
                    tx, desk.keyring, author_id=None, group_id=desk.group, text=text, at=None, draft=None, now=NOW, poll=wanted
                )

            return refused(lambda: desk.write(work))

        assert plan(("北京",)) == "options"
        assert plan((*CITIES, "上海")) == "options"
        assert plan(("北京", "北京 ")) == "options"
        assert plan(("北京", " ")) == "options"
        assert plan(("北京", "长" * 13)) == "options"
        assert plan(CITIES, "长" * 400) == "long"
        assert plan(CITIES, until=NOW) == "until"
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Poll)).scalar_one()) == 0


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


def test_the_announcement_itself_still_goes_to_who_has_answered(database_url: str) -> None:
    with Desk(database_url) as desk:
        rain = desk.person()
        made = asked(desk, sent=False)
        answer(desk, rain, made, 1)
        posts = desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW).posts)
        assert [post.person_id for post in posts] == [rain.id]


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


def test_who_has_a_cancelled_announcement_already_is_told_that_it_is_cancelled(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, has_it, waits = desk.person("李老师", Role.LEADER), desk.person("有了"), desk.person("等着")
        made = asked(desk, author=leader)
        hers = Delivery.person_id == waits.id
        desk.write(lambda tx: tx.execute(sa.update(Delivery).where(hers).values(state=State.WAITING)))
        desk.write(lambda tx: schedules.cancel(tx, made, leader.id, NOW))
        assert refused(lambda: answer(desk, has_it, made, 1)) == "cancelled"
        assert desk.read(lambda tx: polls.asked_by(tx, desk.keyring, made, has_it.id, NOW)).state is PollState.CANCELLED


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


def test_who_leaves_or_is_erased_takes_the_answer_along(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, stays, leaves, goes = (
            desk.person(name, Role.LEADER if name == "李" else Role.PARTICIPANT) for name in ("李", "一", "二", "三")
        )
        made = asked(desk, author=leader)
        for place, each in enumerate((stays, leaves, goes), start=1):
            answer(desk, each, made, place)
        told = desk.read(lambda tx: people.export(tx, desk.keyring, stays.id))["poll_answers"]
        assert [(each["course"], each["announcement"], each["choice"], each["changes"]) for each in told] == [("msc", 1, 1, 0)]
        desk.write(lambda tx: people.withdraw(tx, leaves.id, NOW, erase_answers=False, actor="operator"))
        desk.write(lambda tx: people.erase(tx, desk.keyring, goes.id, NOW, actor="operator"))
        left = desk.read(lambda tx: list(tx.execute(sa.select(PollAnswer.person_id)).scalars()))
        assert left == [stays.id]
        assert sum(map(len, result(desk, made).answered)) == 1


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


def test_options_and_words_rest_sealed_and_nothing_of_them_is_audited(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, rain, _ = desk.person("李老师", Role.LEADER), desk.person(), desk.person("没答")
        made = asked(desk, author=leader)
        answer(desk, rain, made, 1)
        follow_up(desk, made, leader, "快选吧")
        desk.write(lambda tx: polls.close(tx, made, leader.id, NOW))
        stored = desk.read(lambda tx: tx.execute(sa.select(Poll.options_sealed)).scalar_one())
        assert "北京".encode() not in (stored or b"")
        assert stored
        audits = desk.read(lambda tx: tx.execute(sa.select(Audit.action, Audit.details).where(Audit.subject == f"schedule:{made}")).all())
        assert [row.action for row in audits] == ["announce", "announce.follow_up", "poll.close"]
        assert "快选" not in str(audits)
        assert "北京" not in str(audits)


def test_old_answers_are_thrown_away(database_url: str) -> None:
    with Desk(database_url) as desk:
        old, new = desk.person("旧"), desk.person("新")
        made = asked(desk)
        kept = retention.Keep(DAY, DAY, 180 * DAY, DAY)
        answer(desk, old, made, 1)
        answer(desk, new, made, 1)
        desk.write(lambda tx: tx.execute(sa.update(PollAnswer).where(PollAnswer.person_id == new.id).values(at=NOW + DAY)))
        now = NOW + 180 * DAY + MINUTE
        assert desk.read(lambda tx: retention.count(tx, kept, now))["poll_answers"] == 1
        step = retention.CHORES["retention"][1]["poll_answers"]
        assert desk.write(lambda tx: step(tx, kept, now, ())).gone == 1
        assert desk.read(lambda tx: list(tx.execute(sa.select(PollAnswer.person_id)).scalars())) == [new.id]


def test_what_is_asked_fits_into_one_message_however_long_the_names_are(database_url: str) -> None:
    long = "长" * 40
    with Desk(database_url) as desk:
        leader, rain = desk.person(long, Role.LEADER), desk.person()
        desk.write(lambda tx: tx.execute(sa.update(Course).values(title=long)))
        desk.write(lambda tx: tx.execute(sa.text("UPDATE groups SET name = :name").bindparams(name=long)))
        link = desk.assembly.links().for_person(rain.id)
        for options in ((), CITIES, ("x" * 36, "y" * 36), tuple(f"城市{place}号" for place in range(8))):
            words = "长" * (asking.most_text(options) // 3)
            own = "长" * (asking.most_text(options, own=True) // 3)

            def plan(tx: Tx, options: tuple[str, ...] = options, words: str = words) -> int:
                return schedules.plan_announcement(
                    tx,
                    desk.keyring,
                    author_id=leader.id,
                    group_id=desk.group,
                    text=words,
                    at=None,
                    draft=None,
                    now=NOW,
                    poll=Wanted(options),
                )

            made = desk.write(plan)
            assert desk.fire() == made
            desk.write(lambda tx: tx.execute(sa.update(Delivery).values(state=State.SENT)))
            follow_up(desk, made, leader)
            follow_up(desk, made, leader, own, NOW + DAY)
            sent = _broadcasts(desk, made)
            assert sorted(kind for kind, _ in sent) == ["announcement", "follow_up", "follow_up"]
            for kind, details in sent:
                for language in ("zh", "en"):
                    message = desk.tools.composer.compose("announcement", kind, language, "Asia/Shanghai", details)
                    assert len(message.choices) == max(1, len(options))
                    size = len(render(message, link).encode())
                    assert size <= desk.tools.rules.most_bytes - asking.room(message), "what is weighed is never less than what goes"
                    assert asking.room(message) >= 0


def _broadcasts(desk: Desk, made: int) -> list[tuple[str, dict[str, Any]]]:
    """Kind and gaps of everything that went out for an announcement."""

    def look(tx: Tx) -> list[tuple[str, dict[str, Any]]]:
        rows = tx.execute(sa.select(Broadcast.id, Broadcast.kind).where(Broadcast.schedule_id == made)).all()
        details = broadcasts.details_of(tx, desk.keyring, [row.id for row in rows])
        return [(row.kind, details[row.id]) for row in rows]

    return desk.read(look)


def test_typed_words_count_while_the_question_is_open_and_shown(database_url: str) -> None:
    with Desk(database_url) as desk:
        rain, unseen = desk.person(), desk.person("没看到")
        made = asked(desk)
        hers = Delivery.person_id == unseen.id
        desk.write(lambda tx: tx.execute(sa.update(Delivery).where(hers).values(state=State.HELD)))
        said, _ = says(desk, 1, "我选青岛吧")
        assert said.startswith("记下了：青岛。")
        said, _ = says(desk, 2, "青岛", key="2")
        assert "记下了" not in said
        assert desk.read(lambda tx: polls.last_asked(tx, desk.keyring, unseen.id, [desk.group], NOW)).state is PollState.NONE
        assert desk.read(lambda tx: polls.last_asked(tx, desk.keyring, rain.id, [], NOW)).state is PollState.NONE
        desk.write(lambda tx: polls.close(tx, made, None, NOW))
        said, _ = says(desk, 1, "北京", key="3")
        assert "北京" not in said
        chosen = desk.read(lambda tx: tx.execute(sa.select(PollAnswer.person_id, PollAnswer.choice)).all())
        assert [tuple(row) for row in chosen] == [(rain.id, 3)]


def test_the_read_page_says_how_to_answer_in_the_chat(database_url: str, tmp_path: Path) -> None:
    run(_read_page(database_url, tmp_path))


async def _read_page(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder, notices=True) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        rain = await stage.member("小雨", group)

        def plan(tx: Tx) -> int:
            return schedules.plan_announcement(
                tx,
                stage.keyring,
                author_id=None,
                group_id=group,
                text="去哪个城市？",
                at=None,
                draft=None,
                now=clock.now(),
                poll=Wanted(("北京", "<b>郑州")),
            )

        made = stage.write(plan)
        await stage.settle()
        card = (await stage.chat("小雨"))[-1]["card"]
        page = (await stage.web.get(card["url"].removeprefix(stage.settings.public_url))).text
        assert '<li dir="auto">1. 北京</li>' in page
        assert "2. ＜b＞郑州" in page
        assert "请回到和我们的聊天里，打出选项的文字，比如「北京」" in page
        assert "weixin://" not in page
        touched(stage, stage.openids["小雨"], "typed")
        assert "记下了：北京" in (await stage.says("小雨", "北京")).text
        told = stage.read(lambda tx: polls.result(tx, stage.keyring, made, clock.now()))
        assert told is not None
        assert told.answered == (("小雨",), ())
        assert stage.read(lambda tx: list(tx.execute(sa.select(PollAnswer.person_id)).scalars())) == [rain]
