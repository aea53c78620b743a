"""Absence and hand-over: who is called meanwhile, what a successor gets, what is dropped; a role that ends without a successor."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from app import groups, people, schedules, staffing
from app.errors import AppError, Invalid, NotFound
from app.groups import Refused
from app.models import Audit, Broadcast, Conversation, Delivery, Schedule
from app.people import Known
from app.questions import calling
from bots.turns import Role
from tests.delivery.asked import DAY, HOUR, WORDS, answer, ask, called, claim, large, letters, neighbours, on, row, seat, told
from tests.delivery.scene import NOW, Desk, says, schedule_row, together
from tests.delivery.test_questions_end import outcome


def crew(desk: Desk) -> tuple[Known, Known, Known, Known]:
    """Who asks, the leader, two assistants: the persons 1 to 4."""
    return desk.person(), desk.person("李老师", Role.LEADER), desk.person("小王", Role.ASSISTANT), desk.person("小张", Role.ASSISTANT)


def be_away(desk: Desk, who: Known, cover: Known, starts: datetime = NOW, ends: datetime = NOW + 3 * DAY, now: datetime = NOW) -> None:
    desk.write(lambda tx: staffing.be_away(tx, desk.keyring, who.id, desk.group, cover.id, starts, ends, now))


def hand_over(desk: Desk, former: Known, successor: Known, now: datetime = NOW, *, stays: bool = False) -> staffing.HandedOver:
    return desk.write(lambda tx: staffing.hand_over(tx, desk.keyring, desk.group, former.id, successor.id, now, stays=stays))


def roles(desk: Desk, who: Known) -> set[Role]:
    return set(desk.read(lambda tx: groups.roles_of_staff(tx, desk.group, who.id)))


# -- absence


def test_while_a_leader_is_away_who_covers_is_called_first_then_everybody_who_is_there(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant, cover = crew(desk)
        be_away(desk, leader, cover)
        assert "请你在晨光组代班" in told(desk, cover)[0]
        question = ask(desk, asker)
        assert called(desk) == [cover.id]
        on(desk, NOW + DAY)
        assert called(desk) == [assistant.id, cover.id]
        claim(desk, leader, question, NOW + DAY)  # who is away may still answer
        assert row(desk, question).answerer_id == leader.id
        assert on(desk, NOW + DAY + HOUR) == 0


def test_an_absence_ends_by_itself_or_before_its_time(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant, cover = crew(desk)
        be_away(desk, leader, cover)
        ask(desk, asker, now=NOW + 3 * DAY - timedelta(seconds=1))
        assert called(desk) == [cover.id]
        ask(desk, asker, "之后", now=NOW + 3 * DAY)
        assert called(desk) == [cover.id, leader.id, assistant.id, cover.id]
        be_away(desk, leader, assistant, NOW + 3 * DAY, NOW + 5 * DAY, NOW + 3 * DAY)
        desk.write(lambda tx: staffing.come_back(tx, leader.id, NOW + 4 * DAY))
        with pytest.raises(Refused, match="not away"):
            desk.write(lambda tx: staffing.come_back(tx, leader.id, NOW + 4 * DAY))
        assert desk.read(lambda tx: staffing.absences(tx, NOW + 4 * DAY)) == []


def test_what_a_leader_took_and_did_not_answer_goes_back_when_they_go(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant, cover = crew(desk)
        question = ask(desk, asker)
        claim(desk, leader, question)
        be_away(desk, leader, cover, NOW + HOUR, NOW + 2 * DAY)
        assert on(desk, NOW + HOUR - timedelta(seconds=1)) == 0
        assert desk.read(calling.next_moment) == NOW + HOUR
        assert on(desk, NOW + HOUR) == 2
        assert row(desk, question).state == "open"
        assert set(called(desk)) == {assistant.id, cover.id}


def test_a_new_absence_replaces_the_former_and_a_cover_who_leaves_covers_no_longer(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant, cover = crew(desk)
        be_away(desk, leader, cover)
        be_away(desk, leader, assistant)
        ask(desk, asker)
        assert called(desk) == [assistant.id]
        desk.write(lambda tx: groups.end_membership(tx, desk.group, assistant.id, Role.ASSISTANT, NOW, "ended"))
        ask(desk, asker, "第二个")
        assert called(desk)[1:] == [cover.id]


@pytest.mark.parametrize(
    ("who", "by", "starts", "ends", "code"),
    [
        (2, 1, 0, 24, "role"),  # an assistant
        (0, 2, 0, 24, "role"),  # a participant
        (1, 1, 0, 24, "cover"),  # oneself
        (1, 0, 0, 24, "cover"),  # a participant covers
        (1, 2, 0, -1, "past"),
        (1, 2, 5, 5, "past"),
        (1, 2, 0, 24 * 61, "past"),
    ],
)
def test_an_absence_that_cannot_be_is_refused(database_url: str, who: int, by: int, starts: int, ends: int, code: str) -> None:
    with Desk(database_url) as desk:
        known = crew(desk)
        with pytest.raises(Refused) as refused:
            be_away(desk, known[who], known[by], NOW + starts * HOUR, NOW + ends * HOUR)
        assert refused.value.code == code


def test_f2_a_leader_is_not_away_from_anothers_group(database_url: str) -> None:
    with Desk(database_url) as desk:
        *_, cover = crew(desk)
        stranger = desk.person("陈老师", None)
        seat(desk, stranger, neighbours(desk), Role.LEADER)
        with pytest.raises(Refused) as refused:
            be_away(desk, stranger, cover)
        assert refused.value.code == "role"
        assert desk.read(lambda tx: staffing.covers(tx, desk.keyring, stranger.id, desk.group, NOW)) == ()


# -- hand-over


def test_a_successor_gets_planned_announcements_claimed_questions_and_the_role(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, successor, _ = crew(desk)
        planned = desk.plan("周五见", author=leader, at=NOW + 5 * HOUR)
        sent = desk.announced("今晚见", author=leader)
        question, done = ask(desk, asker), ask(desk, asker, "第二个")
        claim(desk, leader, question)
        claim(desk, leader, done)
        answer(desk, leader, done)
        got = hand_over(desk, leader, successor, NOW + HOUR)
        assert got == staffing.HandedOver((1,), (), (1,), 0)
        assert (roles(desk, leader), roles(desk, successor)) == (set(), {Role.LEADER, Role.ASSISTANT})
        found = row(desk, question)
        assert (found.state, found.answerer_id, found.next_at) == ("claimed", successor.id, NOW + HOUR + DAY)
        assert row(desk, done).answerer_id == successor.id
        authors = desk.read(lambda tx: {each.id: each.author_id for each in tx.execute(sa.select(Schedule.id, Schedule.author_id))})
        assert authors == {planned: successor.id, sent: leader.id}
        assert desk.fire(NOW + 5 * HOUR) == planned
        assert any("【晨光组 · 小王】\n周五见" in each for each in told(desk, asker))
        answer(desk, successor, question, now=NOW + 6 * HOUR)


def test_both_are_told_what_went_over_and_each_step_is_audited(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, successor, _ = crew(desk)
        desk.plan("周五见", author=leader, at=NOW + 5 * HOUR)
        claim(desk, leader, ask(desk, asker))
        hand_over(desk, leader, successor)
        got, gave = told(desk, successor)[-1], told(desk, leader)[-1]
        assert got.startswith("李老师把晨光组的事交给你了：")
        assert gave.startswith("晨光组的事已经交给小王：")
        for each in (got, gave):
            assert "1 条（#1）" in each
            assert "1 个（#1）" in each
            assert WORDS not in each
        actions = desk.read(lambda tx: set(tx.execute(sa.select(Audit.action)).scalars()))
        assert {"hand_over", "announce.hand_over", "question.hand_over", "role.end"} <= actions


def test_drafts_in_the_chat_of_who_goes_are_dropped_and_both_are_told(database_url: str) -> None:
    with Desk(database_url) as desk:
        _, leader, successor, _ = crew(desk)
        says(desk, 2, "公告：还没写完的一条")
        got = hand_over(desk, leader, successor)
        assert got.drafts == 1
        assert "草稿有 1 份" in told(desk, successor)[-1]
        assert "草稿有 1 份" in told(desk, leader)[-1]
        floors = desk.read(lambda tx: list(tx.execute(sa.select(Conversation.floor_sealed)).scalars()))
        assert floors == [None]
        reply, _ = says(desk, 2, "确认", key="late")
        assert "公告" not in reply
        assert desk.read(lambda tx: tx.execute(sa.select(Schedule.id)).all()) == []


def test_what_a_leader_writes_for_another_group_stays_theirs(database_url: str) -> None:
    with Desk(database_url) as desk:
        _, leader, successor, _ = crew(desk)
        dusk = neighbours(desk)
        seat(desk, leader, dusk, Role.LEADER)
        seat(desk, leader, large(desk), Role.LEADER)
        says(desk, 2, "公告：给暮色组的", key="a")
        says(desk, 2, "暮色组", key="b")
        says(desk, 2, "现在", key="c")
        elsewhere = desk.write(
            lambda tx: schedules.plan_announcement(
                tx, desk.keyring, author_id=leader.id, group_id=dusk, text="别动", at=NOW + HOUR, draft=None, now=NOW
            )
        )
        got = hand_over(desk, leader, successor)
        assert got == staffing.HandedOver((), (), (), 0)
        reply, _ = says(desk, 2, "确认", key="d")
        assert "正在发给暮色组" in reply
        author = desk.read(lambda tx: tx.execute(sa.select(Schedule.author_id).where(Schedule.id == elsewhere)).scalar_one())
        assert author == leader.id
        held = desk.read(lambda tx: people.view(tx, leader)).memberships
        assert {(each.group, each.large) for each in held} == {(dusk, False), (large(desk), True)}  # they still lead a group


def test_who_stays_keeps_the_role_and_gives_the_work(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, successor, _ = crew(desk)
        question = ask(desk, asker)
        claim(desk, leader, question)
        hand_over(desk, leader, successor, stays=True)
        assert roles(desk, leader) == {Role.LEADER}
        assert row(desk, question).answerer_id == successor.id


def test_nobody_hands_over_what_they_do_not_have_nor_to_somebody_who_is_no_staff(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant, _ = crew(desk)
        stranger = desk.person("陈老师", None)
        for former, successor, kind in (
            (asker, assistant, NotFound),
            (stranger, assistant, NotFound),
            (leader, asker, Invalid),
            (leader, stranger, Invalid),
            (leader, leader, Invalid),
        ):
            error: type[AppError] = kind
            with pytest.raises(error):
                hand_over(desk, former, successor)
        assert roles(desk, leader) == {Role.LEADER}


def test_an_administrator_can_take_a_group_over(database_url: str) -> None:
    with Desk(database_url) as desk:
        _, leader, *_ = crew(desk)
        administrator = desk.person("陈管理", None)
        seat(desk, administrator, large(desk), Role.ADMINISTRATOR)
        hand_over(desk, leader, administrator)
        assert roles(desk, administrator) == {Role.LEADER}


def test_a_role_that_ends_without_a_successor_stops_its_announcements_and_frees_its_questions(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant, cover = crew(desk)
        planned = desk.plan("周五见", author=leader, at=NOW + HOUR)
        question = ask(desk, asker)
        claim(desk, leader, question)
        desk.write(lambda tx: staffing.end_role(tx, desk.group, leader.id, Role.LEADER, NOW, why="ended"))
        assert desk.fire(NOW + HOUR) == planned
        assert desk.read(lambda tx: schedule_row(tx, planned)) == ("missed", "role")
        assert any("没有发出" in each for each in told(desk, leader))
        on(desk, NOW)
        assert row(desk, question).state == "open"
        assert set(called(desk)) == {assistant.id, cover.id}


def fires_meanwhile(desk: Desk, leader: Known, successor: Known, at: datetime) -> list[str]:
    """A group is handed over while an announcement of its leader's fires."""
    jobs = [
        outcome(lambda tx: schedules.fire_next(tx, desk.keyring, at)),
        outcome(lambda tx: staffing.hand_over(tx, desk.keyring, desk.group, leader.id, successor.id, at, stays=True)),
    ]
    return together(desk, jobs)


def test_a_hand_over_that_races_with_the_firing_goes_out_once_under_one_name(database_url: str) -> None:
    with Desk(database_url) as desk:
        _, leader, successor, _ = crew(desk)
        for hour in (1, 2, 3):
            planned = desk.plan(f"第{hour}条", author=leader, at=NOW + hour * HOUR)
            assert fires_meanwhile(desk, leader, successor, NOW + hour * HOUR) == ["", ""]
            while desk.fire(NOW + hour * HOUR) is not None:
                pass
            assert schedule_of(desk, planned) == (("fired", None), 1)


def schedule_of(desk: Desk, planned: int) -> tuple[tuple[str, str | None], int]:
    """How an announcement stands, and how often it went out."""
    count = sa.select(sa.func.count()).select_from(Broadcast).where(Broadcast.schedule_id == planned)
    return desk.read(lambda tx: (schedule_row(tx, planned), tx.execute(count).scalar_one()))


def test_erasing_who_went_takes_their_name_out_of_what_their_successor_was_told(database_url: str) -> None:
    with Desk(database_url) as desk:
        _, leader, successor, _ = crew(desk)
        hand_over(desk, leader, successor)
        desk.write(lambda tx: people.erase(tx, desk.keyring, leader.id, NOW, actor="operator"))
        assert told(desk, successor)[-1].startswith("一位同事把晨光组")
        assert letters(desk) == []
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Delivery)).scalar_one()) == 2
