"""Warm words after something was done: rarely, never to somebody who may be in danger, and thanks that are counted once."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import encouragement, people
from app.db import Tx
from app.encouragement.giving import FLAGGED, ONE_IN
from app.groups import Refused
from app.models import Delivery, Flag, WarmGiven
from app.people import Known
from bots.encouragement.shelf import Given
from bots.encouragement.words import Trigger
from bots.turns import Role
from tests.app.devices import assignment, device, put
from tests.delivery.answering import Talk
from tests.delivery.scene import NOW, Desk, at, run, says, texts, together, touched
from tests.delivery.warming import Warm, noon
from tests.stage import Stage

SECOND = timedelta(seconds=1)


@pytest.fixture
def warm(database_url: str) -> Iterator[Warm]:
    with Desk(database_url) as desk:
        made = Warm(desk)
        made.begin()
        yield made


def test_after_a_first_practice_there_is_a_word_once_and_never_again(warm: Warm) -> None:
    rain = warm.person()
    assert warm.after(rain, Trigger.FIRST, noon()) is not None
    assert warm.given(rain) == [("any", "first")]
    assert warm.messages(rain) == [("ready", "", 9)]
    assert warm.after(rain, Trigger.FIRST, noon() + 100 * ONE_IN) is None
    assert warm.after(rain, Trigger.RETURN, noon() + 100 * ONE_IN) is not None


def test_one_word_in_three_days_whatever_is_done(warm: Warm) -> None:
    rain = warm.person()
    assert warm.after(rain, Trigger.WAVE, noon()) is not None
    for trigger in Trigger:
        assert warm.after(rain, trigger, noon() + ONE_IN - SECOND) is None
    assert warm.after(rain, Trigger.WAVE, noon() + ONE_IN) is not None
    assert len(set(warm.word_ids(rain))) == 2


def test_what_the_plan_gave_does_not_count_against_a_deed(warm: Warm) -> None:
    rain = warm.person()
    warm.go(noon())
    assert warm.after(rain, Trigger.RETURN, noon() + SECOND) is not None
    assert [after for _, after in warm.given(rain)] == ["plan", "return"]


def test_when_the_words_for_any_week_are_known_one_of_the_week_follows_and_then_none(warm: Warm) -> None:
    rain = warm.person()
    warm.only("shoulders", "doorway")
    moments = [noon() + number * ONE_IN for number in range(2)]
    assert [warm.after(rain, Trigger.RETURN, moment) is not None for moment in moments] == [True, True]
    assert [theme for theme, _ in warm.given(rain)] == ["any", "arriving"]
    assert warm.after(rain, Trigger.RETURN, noon() + 2 * ONE_IN) is None


def test_a_course_without_words_gives_none(database_url: str) -> None:
    with Desk(database_url) as desk:
        warm = Warm(desk)
        rain = warm.person()
        assert warm.after(rain, Trigger.FIRST, noon()) is None
        assert warm.messages(rain) == []


def _paused(warm: Warm, known: Known) -> None:
    warm.desk.write(lambda tx: people.pause(tx, known.id, noon()))


def _withdrawn(warm: Warm, known: Known) -> None:
    warm.desk.write(lambda tx: people.withdraw(tx, known.id, noon(), erase_answers=False, actor="x"))


def _erased(warm: Warm, known: Known) -> None:
    warm.desk.write(lambda tx: people.erase(tx, warm.desk.keyring, known.id, noon(), actor="x"))


@pytest.mark.parametrize("leave", [_paused, _withdrawn, _erased])
def test_nothing_is_given_to_who_is_paused_has_left_or_was_erased(leave: Callable[[Warm, Known], None], warm: Warm) -> None:
    rain = warm.person()
    leave(warm, rain)
    assert [warm.after(rain, trigger, noon()) for trigger in Trigger] == [None, None, None]
    assert warm.given(rain) == []


def test_nothing_is_given_to_staff_or_to_strangers_of_the_course(warm: Warm) -> None:
    leader, stranger = warm.person("李老师", Role.LEADER), warm.desk.person("路人", None)
    assert [warm.after(known, Trigger.FIRST, noon()) for known in (leader, stranger)] == [None, None]


@pytest.mark.parametrize(
    ("closed", "given"),
    [(None, False), (noon() - FLAGGED + SECOND, False), (noon() - FLAGGED, True)],
    ids=["open since long", "closed within the week", "closed before"],
)
def test_nothing_is_given_to_somebody_whose_flag_was_open_within_a_week(closed: datetime | None, given: bool, warm: Warm) -> None:
    rain = warm.person()
    row = {"id": 1, "number": 1, "person_id": rain.id, "account_id": warm.desk.account_id, "rule": "zh.x", "words_sealed": b""}
    raised = noon() - timedelta(days=40)
    warm.desk.write(lambda tx: tx.execute(sa.insert(Flag).values(**row, raised_at=raised, closed_at=closed)))
    assert (warm.after(rain, Trigger.RETURN, noon()) is not None) is given


def test_a_cry_for_help_takes_back_the_words_that_are_on_their_way_and_only_those(warm: Warm) -> None:
    rain, cloud = warm.person(), warm.person("小云")
    warm.go(noon())
    warm.after(rain, Trigger.RETURN, noon())
    says(warm.desk, 1, "我不想活了", at=noon() + SECOND)
    assert [(state, why) for state, why, _ in warm.messages(rain)] == [("cancelled", "not_now")] * 2
    assert [state for state, *_ in warm.messages(cloud)] == ["ready"]
    assert warm.after(rain, Trigger.FIRST, noon() + 100 * ONE_IN) is None


def test_deeds_at_the_same_moment_give_one_word(warm: Warm) -> None:
    rain = warm.person()
    tools, course_id = warm.desk.tools, warm.desk.course_id
    together(warm.desk, [lambda tx: encouragement.after(tx, tools, course_id, rain.id, Trigger.FIRST, noon())] * 4)
    assert warm.given(rain) == [("any", "first")]
    assert len(warm.messages(rain)) == 1


@pytest.mark.parametrize("road", ["chat", "web"])
def test_who_finishes_a_wave_is_given_a_word_with_the_last_sheet(road: str, warm: Warm) -> None:
    with at(NOW):
        rain = warm.desk.person()
        mine = assignment(warm.desk, rain, put(warm.desk, ("shs", "swls"), closes_at=NOW + timedelta(days=5)))
        finish = _in_chat if road == "chat" else _on_the_web
        finish(warm, mine, first=True)
        assert warm.given(rain) == []
        finish(warm, mine, first=False)
    assert warm.given(rain) == [("any", "wave")]
    assert warm.messages(rain) == [("ready", "", 9)]


def _in_chat(warm: Warm, _mine: int, *, first: bool) -> None:
    talk = Talk(warm.desk, 1, now=NOW + timedelta(minutes=1 if first else 2))
    talk.says("问卷")
    for word in ("4 4 4 4" if first else "4 4 4 4 4", "交上去"):
        talk.says(word)
    assert ("全部填完了" in talk.reply) is not first


def _on_the_web(warm: Warm, mine: int, *, first: bool) -> None:
    with device(warm.desk, mine) as phone:
        phone.open()
        if not first and "接着答「生活满意度」" in phone.page.links:
            phone.tap("接着答「生活满意度」")
        for _ in range(4 if first else 5):
            phone.tap(next(label for label in phone.page.buttons if label.startswith("4")))
        phone.tap("交上这一份")
        assert (phone.heading == "谢谢你，都答完了") is not first


@pytest.mark.parametrize("road", ["chat", "web"])
def test_who_finishes_with_answers_that_worry_us_is_called_and_not_cheered(road: str, warm: Warm) -> None:
    with at(NOW):
        rain = warm.desk.person()
        mine = assignment(warm.desk, rain, put(warm.desk, ("dass21",), closes_at=NOW + timedelta(days=5)))
        answers = ["1" if number in (10, 21) else "3" for number in range(1, 22)]  # only the score of the whole sheet raises a flag
        if road == "chat":
            talk = Talk(warm.desk, 1)
            for word in ("问卷", " ".join(answers), "交上去"):
                talk.says(word)
        else:
            with device(warm.desk, mine) as phone:
                phone.open()
                for answer in answers:
                    phone.tap(next(label for label in phone.page.buttons if label.startswith(answer)))
                phone.tap("交上这一份")
    assert warm.desk.read(lambda tx: tx.execute(sa.select(Flag.rule)).scalars().all()) == ["answers_score"]
    assert {state for state, *_ in warm.messages(rain)} <= {"cancelled"}


# Thanks -------------------------------------------------------------------------------------------------------------------------------


def test_thanks_are_counted_once_for_a_person_and_a_word_and_never_by_name(warm: Warm) -> None:
    rain, cloud = warm.person(), warm.person("小云")
    warm.go(noon())
    (word,) = warm.word_ids(rain)

    def thank(tx: Tx, known: Known) -> None:
        encouragement.thank(tx, known.id, word, noon() + SECOND)

    for known in (rain, rain, cloud):
        warm.desk.write(lambda tx, known=known: thank(tx, known))  # type: ignore[misc]
    line = next(each for each in _lines(warm) if each.id == word)
    assert (line.given, line.thanked) == (2, 2)
    assert not {"小雨", "小云", str(rain.id), str(cloud.id)} & set(map(str, vars(line).values()))
    assert warm.desk.read(lambda tx: encouragement.given_to(tx, rain.id, word)) == Given(word, thanked=True)


def test_nobody_thanks_for_a_word_that_they_were_not_given(warm: Warm) -> None:
    rain, stranger = warm.person(), warm.desk.person("路人")
    warm.go(noon())
    (word,) = warm.word_ids(rain)
    for person_id, meant in ((stranger.id, word), (rain.id, word + 1)):
        with pytest.raises(Refused) as refused:
            warm.desk.write(lambda tx, person_id=person_id, meant=meant: encouragement.thank(tx, person_id, meant, noon()))  # type: ignore[misc]
        assert refused.value.code == "foreign"
        assert warm.desk.read(lambda tx, p=person_id, m=meant: encouragement.given_to(tx, p, m)) == Given()  # type: ignore[misc]
    assert sum(line.thanked for line in _lines(warm)) == 0


def test_many_taps_at_once_are_one(warm: Warm) -> None:
    rain = warm.person()
    warm.go(noon())
    (word,) = warm.word_ids(rain)
    together(warm.desk, [lambda tx: encouragement.thank(tx, rain.id, word, noon())] * 4)
    assert sum(line.thanked for line in _lines(warm)) == 1


def _lines(warm: Warm) -> list[encouragement.library.Line]:
    return warm.desk.read(lambda tx: encouragement.lines(tx, warm.desk.keyring, warm.desk.course_id))


# In the running application -----------------------------------------------------------------------------------------------------------


def test_a_word_reaches_the_phone_a_tap_is_answered_once_and_the_second_with_silence(database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(database_url, tmp_path) as stage:
            stage.course("正念自我关怀")
            group = stage.group("晨光组")
            rain = await stage.member("小雨", group)
            touched(stage, stage.openids["小雨"], "typed")
            stage.write(lambda tx: encouragement.adopt(tx, stage.keyring, stage.course_id, _now()))
            tools = stage.assembly.tools
            stage.write(lambda tx: encouragement.after(tx, tools, stage.course_id, rain, Trigger.FIRST, _now()))
            await stage.settle()
            (word,) = texts(stage, "小雨")
            assert "第一次练习" in word
            first = await stage.taps("小雨", "谢谢，收到了 👍")
            assert len(first.texts) == 1
            for deed in (stage.taps("小雨", "谢谢，收到了 👍"), stage.says("小雨", "谢谢，收到了 👍")):
                assert (await deed).texts == ()
            thanked = stage.read(lambda tx: tx.execute(sa.select(WarmGiven.thanked_at)).scalars().all())
            assert [each is not None for each in thanked] == [True]
            assert stage.read(lambda tx: tx.execute(sa.select(Delivery.state)).scalars().all()) == ["sent"]

    run(play())


def _now() -> datetime:
    from app import clock

    return clock.now()
