"""Questionnaires under several hands at once: whoever comes second finds what the first one left, and nobody half of it."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import groups, inbox, people
from app.channels import PushKind
from app.db import Database, Tx
from app.inbox import Late
from app.models import Broadcast, Delivery, Flag, GivenAnswer, Participant, Sheet
from app.questionnaires import pages, waves
from app.questionnaires.pages import Go
from app.questionnaires.shelf import Shelf
from app.questionnaires.waves import Rule
from bots.questionnaire.instrument import every
from tests.delivery.answering import CLOSES, OPENS, Talk, go_on, standing, stored, wave
from tests.delivery.asking import PLAN, Round
from tests.delivery.scene import NOW, Desk, alarms, incoming

#: How long the first one waits with its commit, so that the second one comes while its rows are written and not there yet.
_MEANWHILE = 0.3


def one_inside_the_other(desk: Desk, first: Callable[[Tx], Any], second: Callable[[Tx], Any]) -> None:
    """`second` begins after `first` has written and before it commits; on SQLite it waits for that."""
    written, failures = threading.Event(), list[BaseException]()

    def begin(tx: Tx) -> None:
        first(tx)
        written.set()
        threading.Event().wait(_MEANWHILE)

    def follow(tx: Tx) -> None:
        second(tx)

    def work(job: Callable[[Tx], None], after: threading.Event | None = None) -> None:
        try:
            with Database(desk.database.url) as database:
                if after is not None:
                    assert after.wait(5)
                database.write_now(job)
        except BaseException as failure:  # noqa: BLE001 - told by the test
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(begin,)), threading.Thread(target=work, args=(follow, written))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def answering(desk: Desk, talk: Talk, text: str) -> Callable[[Tx], Any]:
    """Somebody's next words, as work."""
    talk.now += timedelta(seconds=10)
    door = incoming(desk, talk.made(PushKind.WROTE, text))
    return lambda tx: inbox.take(tx, desk.tools, door)


def test_no_answer_outlives_an_erasure_that_began_while_it_was_written(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        wave(desk, ["scs"])
        talk.says("问卷")
        talk.says("3 3 3")
        one_inside_the_other(
            desk, answering(desk, talk, "4"), lambda tx: people.erase(tx, desk.keyring, person.id, talk.now, actor="operator")
        )
        assert desk.read(lambda tx: tx.execute(sa.select(GivenAnswer.id)).scalars().all()) == []
        assert desk.read(lambda tx: tx.execute(sa.select(Sheet.answers)).scalars().all()) == [{}]


def test_an_answer_that_comes_during_an_erasure_finds_nothing_to_answer(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        talk.says("3 3 3")
        one_inside_the_other(
            desk,
            lambda tx: people.withdraw(tx, person.id, talk.now, erase_answers=True, actor="operator"),
            answering(desk, talk, "4"),
        )
        assert stored(desk, person.id, asked) == {"scs": {}}
        assert standing(desk, person.id, asked) == "withdrawn"


def test_who_withdraws_while_a_wave_invites_is_not_invited(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, calm = desk.person(), desk.person("阿静")
        course = Round(desk)
        course.add()
        desk.write(lambda tx: waves.go_on(tx, desk.tools, PLAN.opens_at))  # open, and nobody invited yet

        def withdraw(tx: Tx) -> None:
            people.withdraw(tx, person.id, PLAN.opens_at, erase_answers=False, actor="operator")

        one_inside_the_other(desk, withdraw, lambda tx: waves.go_on(tx, desk.tools, PLAN.opens_at))
        go_on(desk, PLAN.opens_at)
        assert (course.state(person), course.state(calm)) == (None, "invited")
        assert course.messages(person) == []


def test_who_withdraws_behind_an_invitation_gets_it_taken_back(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person()
        course = Round(desk)
        course.add()
        desk.write(lambda tx: waves.go_on(tx, desk.tools, PLAN.opens_at))
        one_inside_the_other(
            desk,
            lambda tx: waves.go_on(tx, desk.tools, PLAN.opens_at),
            lambda tx: people.withdraw(tx, person.id, PLAN.opens_at, erase_answers=False, actor="operator"),
        )
        assert course.state(person) == "withdrawn"
        states = desk.read(lambda tx: tx.execute(sa.select(Delivery.state).where(Delivery.person_id == person.id)).scalars().all())
        assert states == ["cancelled"]


def finishing(desk: Desk, talk: Talk) -> Callable[[Tx], Any]:
    """Somebody hands in their only sheet, as work."""
    talk.says("问卷")
    talk.says("3 3 3 3")
    return answering(desk, talk, "交")


def test_who_finishes_before_a_reminder_is_written_is_not_reminded(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["shs"], rule=Rule((1,), time(19, 0)))
        moment = OPENS + timedelta(days=2)
        one_inside_the_other(desk, finishing(desk, talk), lambda tx: waves.go_on(tx, desk.tools, moment))
        go_on(desk, moment)
        assert standing(desk, person.id, asked) == "complete"
        assert kinds(desk, person.id) == [("invitation", "cancelled")]


def test_a_reminder_that_is_written_while_somebody_finishes_is_taken_back(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["shs"], rule=Rule((1,), time(19, 0)))
        done, moment = finishing(desk, talk), OPENS + timedelta(days=2)
        one_inside_the_other(desk, lambda tx: waves.go_on(tx, desk.tools, moment), done)
        assert standing(desk, person.id, asked) == "complete"
        assert kinds(desk, person.id) == [("invitation", "cancelled"), ("reminder", "cancelled")]


def kinds(desk: Desk, person_id: int) -> list[tuple[str, str]]:
    """What was written to somebody, and what became of it."""
    query = sa.select(Broadcast.kind, Delivery.state).join(Delivery, Delivery.broadcast_id == Broadcast.id)
    rows = desk.read(lambda tx: tx.execute(query.where(Delivery.person_id == person_id).order_by(Broadcast.id)).all())
    return [(row.kind, row.state) for row in rows]


def test_an_answer_that_is_written_while_its_wave_closes_is_kept_and_the_wave_stays_closed(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1, pace=timedelta())
        asked = wave(desk, ["shs"])
        talk.now = CLOSES - timedelta(seconds=12)
        talk.says("问卷")
        one_inside_the_other(desk, answering(desk, talk, "4"), lambda tx: waves.go_on(tx, desk.tools, CLOSES))
        go_on(desk, CLOSES)
        assert stored(desk, person.id, asked) == {"shs": {1: 4}}
        assert standing(desk, person.id, asked) == "window_closed"


def test_chat_and_page_at_once_are_one_after_the_other(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["shs"])
        talk.says("问卷")
        assignment, sheet = desk.read(lambda tx: tuple(tx.execute(sa.select(Sheet.assignment_id, Sheet.id)).one()))
        form = {"sheet": str(sheet), "item": "1", "value": "2", "again": "0"}
        one_inside_the_other(desk, answering(desk, talk, "4"), lambda tx: pages.submit(tx, desk.tools, assignment, form, talk.now))
        assert stored(desk, person.id, asked) == {"shs": {1: 4}}, "the page had not seen this answer, and does not replace it"
        form["item"] = "2"
        one_inside_the_other(desk, lambda tx: pages.submit(tx, desk.tools, assignment, form, talk.now), answering(desk, talk, "5"))
        found = stored(desk, person.id, asked)["shs"]
        assert found[1] == 4
        assert found == {1: 4, 2: 2}


@pytest.mark.parametrize(("seconds", "taken"), [(-1, True), (0, False)])
def test_e11_an_answer_that_waited_on_the_disk_counts_by_the_moment_at_which_it_came(database_url: str, seconds: int, taken: bool) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1, pace=timedelta())
        asked = wave(desk, ["shs"])
        talk.now = CLOSES - timedelta(minutes=1)
        talk.says("问卷")
        talk.says("3 3 3")
        talk.now = CLOSES + timedelta(seconds=seconds)
        doors = [incoming(desk, talk.made(PushKind.WROTE, text)) for text in ("4", "交")]
        late = Late(talk.now, answered=False, words_of=bytes.decode, row_id=1)
        go_on(desk, CLOSES)  # the database is back, and the clockwork is faster than the spool
        assert standing(desk, person.id, asked) == "window_closed"
        talk.now = CLOSES + timedelta(hours=1)
        for door in doors:
            desk.write(lambda tx, door=door: inbox.take(tx, desk.tools, replace(door, late=late)))  # type: ignore[misc]
        assert stored(desk, person.id, asked)["shs"] == {1: 3, 2: 3, 3: 3, **({4: 4} if taken else {})}
        go_on(desk, CLOSES + timedelta(hours=1))
        assert standing(desk, person.id, asked) == ("complete" if taken else "window_closed")


def test_d11_words_of_crisis_are_heard_where_the_file_of_an_instrument_is_gone(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs", "shs"])
        talk.says("问卷")
        talk.says("3")
        whole = desk.tools.shelf
        object.__setattr__(desk.tools, "shelf", Shelf([each for each in every() if each.code != "shs"]))
        assert "12356" in talk.says("我不想活了")
        assert desk.read(lambda tx: tx.execute(sa.select(Flag.person_id)).scalars().all()) == [person.id]
        assert talk.says("4"), "there is an answer of some kind"
        assert desk.read(alarms)["bot_failed FileGone"] >= 2
        object.__setattr__(desk.tools, "shelf", whole)
        assert "自我关怀 2/26" in talk.says("问卷")
        talk.says("4")
        assert stored(desk, person.id, asked) == {"scs": {1: 3, 2: 4}, "shs": {}}


def test_d11_the_page_hears_words_of_crisis_where_the_file_of_an_instrument_is_gone(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person()
        wave(desk, ["intake", "shs"])
        query = sa.select(Sheet.assignment_id, Sheet.id).where(Sheet.instrument == "intake")
        assignment, sheet = desk.read(lambda tx: tuple(tx.execute(query).one()))
        object.__setattr__(desk.tools, "shelf", Shelf([each for each in every() if each.code != "shs"]))
        form = {"sheet": str(sheet), "item": "8", "text": "我不想活了"}
        assert desk.write(lambda tx: pages.submit(tx, desk.tools, assignment, form, NOW)) == Go("help=called")
        assert desk.read(lambda tx: tx.execute(sa.select(Flag.person_id)).scalars().all()) == [person.id]
        assert desk.write(lambda tx: pages.look(tx, desk.tools, assignment, NOW)) is None
        assert "bot_failed FileGone" in desk.read(alarms)


@pytest.mark.parametrize("scene", ["MORNING234", "NOSUCHCODE", "x" * 64])
def test_e9_who_returns_by_another_code_is_the_same_participant_and_goes_on(database_url: str, scene: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        other = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="暮色组"))
        desk.write(lambda tx: groups.invite(tx, desk.keyring, other, NOW, code="MORNING234"))
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        talk.says("3 3 3")
        talk.leaves()
        assert talk.returns(scene)
        for words in ("算了", "不同意", "问卷", "5"):
            talk.says(words)
        assert stored(desk, person.id, asked)["scs"] == {1: 3, 2: 3, 3: 3, 4: 5}
        assert desk.read(lambda tx: tx.execute(sa.select(Participant.person_id)).scalars().all()) == [person.id]
