"""What is left of questions when somebody leaves, is erased, pauses; after the course, after a restore; and who wins a race."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app import ids, people, retention
from app.backup import aftermath
from app.db import Tx
from app.groups import Refused
from app.models import Broadcast, Question, QuestionWords
from app.people import Known
from app.questions import answering, asking, calling
from app.retention import Keep
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
    letters,
    on,
    row,
    shown,
    states,
    told,
    withdraw,
    words,
)
from tests.delivery.scene import NOW, Desk, at, says, together

KEPT = Keep(pushes=timedelta(days=30), quarantine=timedelta(days=30), details=timedelta(days=180), audit=timedelta(days=1825))


def crew(desk: Desk) -> tuple[Known, Known, Known]:
    """Somebody who asks, a leader, an assistant."""
    return desk.person(), desk.person("李老师", Role.LEADER), desk.person("小王", Role.ASSISTANT)


def outcome(work: Callable[[Tx], object]) -> Callable[[Tx], str]:
    """What became of a deed: "" where it was done, else the word of its refusal."""

    def job(tx: Tx) -> str:
        try:
            with tx.begin_nested():
                work(tx)
        except Refused as refused:
            return refused.code
        return ""

    return job


def take_back(desk: Desk, who: Known, question: int) -> None:
    desk.write(lambda tx: asking.take_back(tx, who.id, question, NOW))


def sealed_details(desk: Desk) -> list[bytes]:
    return desk.read(lambda tx: list(tx.execute(sa.select(Broadcast.details_sealed).where(Broadcast.bot == "question")).scalars()))


# -- taken back, left, erased


def test_what_is_taken_back_is_gone_with_its_words_and_calls(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, _ = crew(desk)
        question = ask(desk, asker)
        claim(desk, leader, question)
        take_back(desk, asker, question)
        assert states(desk) == ["taken_back"]
        assert words(desk) == 0
        assert sealed_details(desk) == [b""]
        assert called(desk) == []
        refusals = [
            outcome(lambda tx: answering.claim(tx, leader.id, question, NOW)),
            outcome(lambda tx: answering.answer(tx, desk.keyring, leader.id, question, ANSWER, 1, NOW)),
            outcome(lambda tx: asking.take_back(tx, asker.id, question, NOW)),
        ]
        assert [desk.write(each) for each in refusals] == ["gone"] * 3
        assert on(desk, NOW + 9 * DAY) == 0


def test_what_has_an_answer_cannot_be_taken_back_even_when_it_was_asked_on(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, _ = crew(desk)
        question = ask(desk, asker)
        claim(desk, leader, question)
        answer(desk, leader, question)
        desk.write(lambda tx: asking.ask_on(tx, desk.keyring, asker.id, question, "还有", 5, NOW))
        with pytest.raises(Refused):
            take_back(desk, asker, question)
        assert words(desk) == 3


@pytest.mark.parametrize("erase_answers", [False, True])
def test_who_withdraws_takes_their_questions_along_whatever_becomes_of_their_answers(database_url: str, erase_answers: bool) -> None:
    with Desk(database_url) as desk:
        asker, leader, _ = crew(desk)
        first, second = ask(desk, asker), ask(desk, asker, "第二个")
        claim(desk, leader, first)
        answer(desk, leader, first)
        claim(desk, leader, second)
        withdraw(desk, asker, erase_answers=erase_answers)
        assert states(desk) == ["left", "left"]
        assert words(desk) == 0
        assert {state for _, _, state in letters(desk)} == {"cancelled"}
        with pytest.raises(Refused) as refused:
            answer(desk, leader, second)
        assert refused.value.code == "gone"
        assert on(desk, NOW + 9 * DAY) == 0


def test_who_was_to_answer_and_withdraws_leaves_it_to_the_others(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant = crew(desk)
        question = ask(desk, asker)
        claim(desk, leader, question)
        withdraw(desk, leader, NOW + HOUR)
        assert row(desk, question).state == "open"
        assert on(desk, NOW + HOUR) == 1
        assert called(desk) == [assistant.id]


def test_erasing_who_asked_leaves_no_word_and_erasing_who_answered_leaves_no_name(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, _ = crew(desk)
        question = ask(desk, asker)
        claim(desk, leader, question)
        answer(desk, leader, question)
        assert any("李老师" in each for each in told(desk, asker))
        desk.write(lambda tx: people.erase(tx, desk.keyring, leader.id, NOW, actor="operator"))
        assert any(ANSWER in each for each in told(desk, asker))
        assert not any("李老师" in each for each in told(desk, asker))
        assert shown(desk, asker, question).answerer is None
        desk.write(lambda tx: people.erase(tx, desk.keyring, asker.id, NOW, actor="operator"))
        assert words(desk) == 0
        assert set(sealed_details(desk)) == {b""}


def test_a_person_gets_everything_that_was_said_about_what_they_asked(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, _ = crew(desk)
        question = ask(desk, asker)
        claim(desk, leader, question)
        answer(desk, leader, question)
        mine = desk.read(lambda tx: people.export(tx, desk.keyring, asker.id))["questions"]
        assert [(each["asked"], each["words"]) for each in mine] == [(True, WORDS), (False, ANSWER)]
        assert desk.read(lambda tx: people.export(tx, desk.keyring, leader.id))["questions"] == []


def test_the_answer_to_somebody_who_paused_is_kept_for_them_and_who_answers_is_told(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, _ = crew(desk)
        question = ask(desk, asker)
        desk.write(lambda tx: people.pause(tx, asker.id, NOW))
        assert shown(desk, leader, question).deaf == "paused"
        claim(desk, leader, question)
        answer(desk, leader, question)
        line = shown(desk, asker, question).last_answer()
        assert line is not None
        assert line.words == ANSWER
        reply, _ = says(desk, 1, "我的提问")
        assert "李老师回答了" in reply


# -- after the course, after a restore


def test_half_a_year_after_the_course_the_words_go_and_that_it_was_answered_stays(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, _ = crew(desk)
        question = ask(desk, asker)
        claim(desk, leader, question)
        answer(desk, leader, question)

        def run(moment: timedelta) -> int:
            with at(NOW + moment):
                expected = desk.read(lambda tx: retention.count(tx, KEPT, NOW + moment))["questions"]
                desk.write(retention.make_due)
                gone = asyncio.run(retention.run_due(desk.database, KEPT)).get("questions", 0)
            assert gone == expected
            return gone

        assert run(400 * DAY) == 0  # a course that has not ended keeps them
        end_course(desk, NOW + 400 * DAY)
        assert run(579 * DAY) == 0
        assert run(581 * DAY) == 2
        assert (states(desk), words(desk)) == (["answered"], 0)
        assert set(sealed_details(desk)) == {b""}
        assert shown(desk, asker, question).lines == ()


def test_after_a_restore_nobody_is_called_by_itself_but_by_hand(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, assistant = crew(desk)
        first, second, third = ask(desk, asker), ask(desk, asker, "第二个"), ask(desk, asker, "第三个")
        claim(desk, leader, second)
        claim(desk, leader, third)
        answer(desk, leader, third)
        done = desk.write(lambda tx: aftermath.hold_everything(tx, desk.keyring, [], NOW, NOW + DAY))
        assert done.questions == 2
        assert on(desk, NOW + 30 * DAY) == 0
        assert called(desk) == []
        assert states(desk) == ["open", "claimed", "answered"]
        count = desk.write(lambda tx: calling.call_by_hand(tx, desk.keyring, first, NOW + 2 * DAY, actor="operator"))
        assert count == 2
        assert called(desk) == [leader.id, assistant.id]
        assert desk.write(lambda tx: calling.call_by_hand(tx, desk.keyring, second, NOW + 2 * DAY, actor="operator")) == 0
        claim(desk, assistant, first, NOW + 2 * DAY)
        assert on(desk, NOW + 3 * DAY) == 1


# -- races


def claims(desk: Desk, question: int, staff: list[Known]) -> list[str]:
    return together(desk, [outcome(lambda tx, who=who: answering.claim(tx, who.id, question, NOW)) for who in staff])  # type: ignore[misc]


def test_of_two_who_claim_at_once_exactly_one_has_it(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, *staff = crew(desk)
        staff += [desk.person(f"助教{each}", Role.ASSISTANT) for each in range(2)]
        for number in range(3):
            question = ask(desk, asker, f"问题{number}")
            done = claims(desk, question, staff)
            assert sorted(done) == ["", "taken", "taken", "taken"]
            assert row(desk, question).answerer_id == staff[done.index("")].id
            take_back(desk, asker, question)


def left_of(desk: Desk, asker: Known) -> tuple[list[str], int]:
    """How the questions of somebody stand, and how many pieces of text are left of them."""
    mine = Question.person_id == asker.id
    rest = sa.select(sa.func.count()).select_from(QuestionWords).join(Question, Question.id == QuestionWords.question_id).where(mine)
    states = sa.select(Question.state).where(mine)
    return desk.read(lambda tx: (list(tx.execute(states).scalars()), tx.execute(rest).scalar_one()))


def withdraws_meanwhile(desk: Desk, asker: Known, leader: Known) -> list[str]:
    """Somebody withdraws while one question of theirs is claimed and another answered."""
    free, taken = ask(desk, asker), ask(desk, asker, "第二个")
    claim(desk, leader, taken)
    jobs = [
        outcome(lambda tx: answering.claim(tx, leader.id, free, NOW)),
        outcome(lambda tx: people.withdraw(tx, asker.id, NOW, erase_answers=False, actor="system")),
        outcome(lambda tx: answering.answer(tx, desk.keyring, leader.id, taken, ANSWER, 7, NOW)),
    ]
    return together(desk, jobs)


def test_a_claim_and_an_answer_that_race_with_a_withdrawal_leave_no_word_behind(database_url: str) -> None:
    with Desk(database_url) as desk:
        for number in range(3):
            asker, leader = desk.person(f"学员{number}"), desk.person(f"组长{number}", Role.LEADER)
            claimed, withdrew, answered = withdraws_meanwhile(desk, asker, leader)
            assert withdrew == ""
            assert {claimed, answered} <= {"", "gone"}
            assert left_of(desk, asker) == (["left", "left"], 0)
            assert not [state for person, _, state in letters(desk, "answer") if person == asker.id and state != "cancelled"]


def takes_back_meanwhile(desk: Desk, asker: Known, leader: Known, question: int) -> list[str]:
    """Somebody takes a question back while it is being answered."""
    jobs = [
        outcome(lambda tx: answering.answer(tx, desk.keyring, leader.id, question, ANSWER, ids.new_id(), NOW)),
        outcome(lambda tx: asking.take_back(tx, asker.id, question, NOW)),
    ]
    return together(desk, jobs)


def test_an_answer_that_races_with_taking_back_is_either_sent_or_refused(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, _ = crew(desk)
        for number in range(3):
            question = ask(desk, asker, f"问题{number}")
            claim(desk, leader, question)
            done = takes_back_meanwhile(desk, asker, leader, question)
            assert sorted(done) == ["", "gone"]
            assert row(desk, question).state == ("answered" if done[0] == "" else "taken_back")


def test_a_claim_that_races_with_the_next_call_has_one_winner(database_url: str) -> None:
    with Desk(database_url) as desk:
        asker, leader, _ = crew(desk)
        question = ask(desk, asker)
        jobs = [
            outcome(lambda tx: answering.claim(tx, leader.id, question, NOW + DAY)),
            outcome(lambda tx: calling.go_on(tx, desk.tools, NOW + DAY)),
            outcome(lambda tx: calling.go_on(tx, desk.tools, NOW + DAY)),
        ]
        assert together(desk, jobs)[0] == ""
        found = row(desk, question)
        assert (found.state, found.answerer_id) == ("claimed", leader.id)
        assert called(desk) == []
