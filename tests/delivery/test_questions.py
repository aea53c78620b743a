"""A question goes to leader and assistants of its group; the first who takes it answers; the clock calls again; nobody else sees it."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from app import groups, ids
from app.groups import Refused
from app.models import Audit, Broadcast, Question, QuestionWords
from app.questions import answering, asking, calling, views
from bots.question.views import MOST_BYTES, MOST_OPEN
from bots.turns import Role
from tests.delivery.asked import (
    ANSWER,
    DAY,
    HOUR,
    WORDS,
    answer,
    ask,
    called,
    claim,
    end_course,
    large,
    letters,
    neighbours,
    on,
    row,
    seat,
    shown,
    states,
    told,
    withdraw,
    words,
)
from tests.delivery.scene import NOW, Desk, alarms, says


def test_a_question_is_put_before_leader_and_assistants_of_the_group_and_nobody_else(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant = desk.person(), desk.person("李老师", Role.LEADER), desk.person("小王", Role.ASSISTANT)
        others = [desk.person("王芳"), desk.person("导师", Role.MENTOR), desk.person("研究", Role.RESEARCHER), desk.person("别组", None)]
        seat(desk, others[3], neighbours(desk), Role.LEADER)
        question = ask(desk, asker)
        assert called(desk) == [leader.id, assistant.id]
        assert WORDS in told(desk, leader)[0]
        assert all(shown(desk, each, question).state == "foreign" for each in others)
        assert [shown(desk, each, question).state for each in (asker, leader, assistant)] == ["open"] * 3
        assert [each.name for each in desk.read(lambda tx: views.listeners(tx, desk.keyring, asker.id, desk.group, NOW))] == [
            "李老师",
            "小王",
        ]


def test_a_question_goes_before_announcements_and_is_no_emergency(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("李老师", Role.LEADER)
        ask(desk, desk.person())
        priority, urgent = desk.read(lambda tx: tx.execute(sa.select(Broadcast.priority, Broadcast.urgent)).one())
        assert 1 < priority < 5
        assert not urgent


def test_nothing_that_was_asked_or_answered_stands_readable_in_a_row(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader = desk.person(), desk.person("李老师", Role.LEADER)
        question = ask(desk, asker)
        claim(desk, leader, question)
        answer(desk, leader, question)
        tables = (Question, QuestionWords, Broadcast, Audit)
        rows = desk.read(lambda tx: [tuple(each) for table in tables for each in tx.execute(sa.select(table.__table__))])
        raw = b"".join(each if isinstance(each, bytes) else str(each).encode() for line in rows for each in line)
        assert len(raw) > 500
        assert not any(each.encode() in raw for each in (WORDS, ANSWER, "小雨", "李老师"))


@pytest.mark.parametrize("role", [None, Role.MENTOR, Role.ADMINISTRATOR, Role.RESEARCHER, Role.LEADER])
def test_only_who_takes_part_in_a_small_group_asks_its_leader(database_url: str, role: Role | None) -> None:
    with Desk(database_url) as desk:
        desk.person("李老师", Role.LEADER)
        somebody = desk.person("别人", role)
        with pytest.raises(Refused) as refused:
            ask(desk, somebody)
        assert refused.value.code == "role"
        assert states(desk) == []


def test_nobody_asks_in_a_group_that_is_not_theirs_nor_in_the_large_one(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, dusk = desk.person(), neighbours(desk)
        seat(desk, desk.person("陈老师", None), dusk, Role.LEADER)
        seat(desk, asker, large(desk), Role.PARTICIPANT)
        for group in (dusk, large(desk)):
            with pytest.raises(Refused, match="takes part"):
                ask(desk, asker, group=group)
        assert desk.read(lambda tx: views.listeners(tx, desk.keyring, asker.id, dusk, NOW)) == ()


@pytest.mark.parametrize(
    ("text", "code"), [("", "empty"), (" \u3000\n", "empty"), ("字" * 601, "long"), ("<" * 601, "long"), ("字" * 600, ""), ("😀" * 450, "")]
)
def test_what_is_empty_or_too_long_is_refused_as_it_would_be_sent(database_url: str, text: str, code: str) -> None:
    with Desk(database_url) as desk:
        desk.person("李老师", Role.LEADER)
        asker = desk.person()
        if code:
            with pytest.raises(Refused) as refused:
                ask(desk, asker, text)
            assert refused.value.code == code
        else:
            assert len(text.encode()) <= MOST_BYTES
            ask(desk, asker, text)
        assert len(states(desk)) == (0 if code else 1)


def test_a_group_without_leader_and_assistant_takes_no_question(database_url: str) -> None:
    with Desk(database_url) as desk:
        with pytest.raises(Refused) as refused:
            ask(desk, desk.person())
        assert refused.value.code == "nobody"


def test_one_person_has_only_so_many_questions_open_and_the_same_one_only_once(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, asker, other = desk.person("李老师", Role.LEADER), desk.person(), desk.person("王芳")
        made = [ask(desk, asker, f"问题{number}") for number in range(MOST_OPEN)]
        with pytest.raises(Refused) as refused:
            ask(desk, asker)
        assert refused.value.code == "many"
        ask(desk, other)
        desk.write(lambda tx: asking.ask(tx, desk.keyring, asker.id, desk.account_id, desk.group, made[0], "问题0", NOW))
        assert len(states(desk)) == MOST_OPEN + 1
        claim(desk, leader, made[0])
        answer(desk, leader, made[0])
        ask(desk, asker)
        assert [row(desk, each).number for each in made] == [1, 2, 3, 4, 5]


def test_the_first_who_claims_answers_and_calls_that_have_not_left_are_taken_back(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant = desk.person(), desk.person("李老师", Role.LEADER), desk.person("小王", Role.ASSISTANT)
        question = ask(desk, asker)
        claim(desk, assistant, question)
        claim(desk, assistant, question)  # twice by one is once
        assert called(desk) == []
        with pytest.raises(Refused) as refused:
            claim(desk, leader, question)
        assert refused.value.code == "taken"
        assert shown(desk, leader, question).answerer == "小王"
        with pytest.raises(Refused) as refused:
            answer(desk, leader, question)
        assert refused.value.code == "taken"
        answer(desk, assistant, question)
        assert letters(desk, "answer") == [(asker.id, "answer", "ready")]
        assert ANSWER in told(desk, asker)[0]
        assert "小王（助教）" in told(desk, asker)[0]


def test_an_answer_that_is_confirmed_twice_goes_once(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader = desk.person(), desk.person("李老师", Role.LEADER)
        question, draft = ask(desk, asker), ids.new_id()
        claim(desk, leader, question)
        for _ in range(3):
            answer(desk, leader, question, draft=draft)
        assert len(letters(desk, "answer")) == 1
        answer(desk, leader, question, "还有一句", draft=ids.new_id())
        assert len(letters(desk, "answer")) == 2


def test_f2_a_leader_of_one_group_neither_sees_nor_answers_anothers_questions(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker = desk.person()
        desk.person("李老师", Role.LEADER)
        stranger = desk.person("陈老师", None)
        seat(desk, stranger, neighbours(desk), Role.LEADER)
        seat(desk, stranger, large(desk), Role.LEADER)
        question = ask(desk, asker)
        for deed in (
            lambda tx: answering.claim(tx, stranger.id, question, NOW),
            lambda tx: answering.answer(tx, desk.keyring, stranger.id, question, ANSWER, 1, NOW),
            lambda tx: answering.release(tx, desk.keyring, stranger.id, question, NOW),
            lambda tx: asking.take_back(tx, stranger.id, question, NOW),
            lambda tx: asking.ask_on(tx, desk.keyring, stranger.id, question, WORDS, 1, NOW),
            lambda tx: asking.end(tx, stranger.id, question, NOW),
        ):
            with pytest.raises(Refused) as refused:
                desk.write(deed)
            assert refused.value.code == "foreign"
        assert states(desk) == ["open"]
        assert desk.read(lambda tx: views.waiting(tx, desk.keyring, stranger.id)) == ()
        assert desk.read(lambda tx: views.waiting(tx, desk.keyring, stranger.id, 1)) == ()


def test_f2_in_the_chat_another_groups_question_looks_like_one_that_does_not_exist_and_the_reach_is_audited(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker = desk.person()
        desk.person("李老师", Role.LEADER)
        stranger = desk.person("陈老师", None)
        seat(desk, stranger, neighbours(desk), Role.LEADER)
        ask(desk, asker)
        foreign, _ = says(desk, 3, "回答 1：看看", key="a")
        missing, _ = says(desk, 3, "回答 99：看看", key="b")
        assert foreign == missing
        assert states(desk) == ["open"]


def test_f1_command_words_of_staff_are_nothing_from_a_participant(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person()
        desk.person("李老师", Role.LEADER)
        ask(desk, desk.person("王芳"))
        for place, command in enumerate(("待答问题", "回答 1", "回答 1：我来", "给回 1")):
            reply, _ = says(desk, 1, command, key=str(place))
            assert WORDS not in reply
            assert "#1" not in reply
        assert states(desk) == ["open"]


def test_f3_a_role_that_was_withdrawn_a_second_ago_answers_nothing_and_the_question_is_everybodys(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant = desk.person(), desk.person("李老师", Role.LEADER), desk.person("小王", Role.ASSISTANT)
        question = ask(desk, asker)
        claim(desk, leader, question)
        later = NOW + timedelta(seconds=1)
        desk.write(lambda tx: groups.end_membership(tx, desk.group, leader.id, Role.LEADER, later, "ended"))
        with pytest.raises(Refused) as refused:
            answer(desk, leader, question, now=later)
        assert refused.value.code == "foreign"
        assert shown(desk, leader, question).state == "foreign"
        assert on(desk, later) == 1
        assert called(desk) == [assistant.id]


def test_nobody_answers_their_own_question(database_url: str) -> None:
    with Desk(database_url) as desk:
        both, leader = desk.person("小王"), desk.person("李老师", Role.LEADER)
        seat(desk, both, desk.group, Role.ASSISTANT)
        question = ask(desk, both)
        assert called(desk) == [leader.id]
        with pytest.raises(Refused):
            claim(desk, both, question)


# -- the clock


def test_an_unclaimed_question_is_called_again_after_a_day_and_once_more_the_mentor_is_told_a_number(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader = desk.person(), desk.person("李老师", Role.LEADER)
        mentor = desk.person("周导师", None)
        seat(desk, mentor, large(desk), Role.MENTOR)
        ask(desk, asker)
        ask(desk, desk.person("王芳"), "录音在哪里？", NOW + HOUR)
        assert on(desk, NOW + DAY - timedelta(seconds=1)) == 0
        assert on(desk, NOW + DAY) == 1
        assert on(desk, NOW + DAY + HOUR) == 1
        assert [(person, state) for person, _, state in letters(desk, "call")] == [
            (leader.id, "cancelled"),
            (leader.id, "cancelled"),
            (leader.id, "ready"),
            (leader.id, "ready"),
        ]
        assert told(desk, mentor) == []
        assert on(desk, NOW + 2 * DAY) == 1
        (message,) = told(desk, mentor)
        assert "晨光组有 2 个" in message
        assert WORDS not in message
        assert "小雨" not in message
        assert on(desk, NOW + 9 * DAY) == 0  # nothing more by itself, and one message for both
        assert states(desk) == ["open", "open"]
        assert desk.read(calling.next_moment) is None


def test_where_there_is_no_mentor_the_administrators_are_told_and_without_any_the_operators(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("李老师", Role.LEADER)
        question = ask(desk, desk.person())
        for days in (1, 2):
            on(desk, NOW + days * DAY)
        assert f"questions_unanswered group:{desk.group}" in desk.read(alarms)
        administrator = desk.person("陈管理", None)
        seat(desk, administrator, large(desk), Role.ADMINISTRATOR)
        desk.write(lambda tx: tx.execute(sa.update(Question).values(step=2, next_at=NOW + 3 * DAY)))
        on(desk, NOW + 3 * DAY)
        assert len(told(desk, administrator)) == 1
        assert row(desk, question).state == "open"


def test_who_claimed_and_says_nothing_is_reminded_then_it_is_everybodys_again(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant = desk.person(), desk.person("李老师", Role.LEADER), desk.person("小王", Role.ASSISTANT)
        question = ask(desk, asker)
        claim(desk, leader, question, NOW + HOUR)
        assert on(desk, NOW + DAY) == 0
        assert on(desk, NOW + DAY + HOUR) == 1
        assert letters(desk, "reminder") == [(leader.id, "reminder", "ready")]
        assert WORDS not in told(desk, leader)[-1]
        assert on(desk, NOW + 2 * DAY + HOUR) == 1
        found = row(desk, question)
        assert (found.state, found.answerer_id, found.claimed_at) == ("open", None, None)
        assert called(desk) == [assistant.id]
        claim(desk, assistant, question, NOW + 2 * DAY + 2 * HOUR)
        assert called(desk) == []


def test_an_answered_question_reminds_nobody(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader = desk.person(), desk.person("李老师", Role.LEADER)
        question = ask(desk, asker)
        claim(desk, leader, question)
        on(desk, NOW + DAY)
        answer(desk, leader, question, now=NOW + DAY + HOUR)
        assert [state for _, _, state in letters(desk, "reminder")] == ["cancelled"]
        assert on(desk, NOW + 30 * DAY) == 0


def test_a_question_that_was_asked_on_comes_to_its_answerer_or_to_everybody_where_they_are_gone(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant = desk.person(), desk.person("李老师", Role.LEADER), desk.person("小王", Role.ASSISTANT)
        question = ask(desk, asker)
        claim(desk, assistant, question)
        answer(desk, assistant, question)

        def further(text: str, now: datetime, draft: int) -> None:
            desk.write(lambda tx: asking.ask_on(tx, desk.keyring, asker.id, question, text, draft, now))

        further("那要多久？", NOW + HOUR, 1)
        further("那要多久？", NOW + HOUR, 1)
        assert called(desk) == [assistant.id]
        assert row(desk, question).state == "claimed"
        answer(desk, assistant, question, now=NOW + 2 * HOUR)
        withdraw(desk, assistant, NOW + 3 * HOUR)
        further("再问一句", NOW + 4 * HOUR, 2)
        assert called(desk) == [leader.id]
        assert row(desk, question).state == "open"
        assert words(desk) == 5


def test_of_a_course_that_has_ended_nobody_is_called(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("李老师", Role.LEADER)
        ask(desk, desk.person())
        end_course(desk, NOW + HOUR)
        assert on(desk, NOW + 5 * DAY) == 0
        assert desk.read(calling.next_moment) is None
