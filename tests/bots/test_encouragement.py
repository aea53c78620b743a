"""The encouragement bot alone: what it says on its occasions, what it hears from whom, how its messages fit."""

from datetime import UTC, datetime
from typing import Any

import pytest

import bots
from bots.choices import short
from bots.clipping import room
from bots.conversation import FIRST, LAST, who_answers
from bots.effects import Answer, KeepWarmPlan, ProposeWords, Say, SettleWords, Thank
from bots.encouragement.commands import Command, read_command
from bots.encouragement.shelf import Given, GivenWord, Proposal, WarmShelf, WarmWords
from bots.encouragement.words import MOST_BYTES, Trigger
from bots.facts import Fact, Facts, Need
from bots.texts import LANGUAGES
from bots.turns import Event, Membership, Occasion, OccasionKind, Person, Role, Tapped, Turn, Wrote

BOT = next(bot for bot in bots.find() if bot.name == "encouragement")
NOW = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)
LARGEST = 2**63 - 1
DETAILS = {"word": LARGEST, "zh": "茶凉了也能喝。", "en": "Tea may be drunk cold.", "trigger": ""}


def _person(*roles: Role, courses: int = 1, language: str = "zh") -> Person:
    seats = tuple(
        Membership(course, f"课{course}", course, "组", large=False, role=role) for course in range(1, courses + 1) for role in roles
    )
    return Person("小雨", language, "Asia/Shanghai", seats)


def _turn(
    event: Event, person: Person, *, memory: Any = None, refusal: str | None = None, facts: dict[Fact[Any], Any] | None = None
) -> Turn:
    return Turn(event, person, NOW, memory=memory, refusal=refusal, facts=Facts(facts or {}))


def _answer(turn: Turn) -> Answer:
    answer = BOT.answer(turn)
    assert isinstance(answer, Answer)
    return answer


def _said(answer: Answer) -> str:
    return "\n".join(effect.message.text for effect in answer.effects if isinstance(effect, Say))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("trigger", ["", *Trigger])
def test_a_word_is_said_with_one_tap_below_it(trigger: str, language: str) -> None:
    message = BOT.compose(Occasion(OccasionKind.ENCOURAGEMENT, language, {**DETAILS, "trigger": trigger}))
    assert message.text.endswith(str(DETAILS[language]))
    assert message.text.count("\n\n") == bool(trigger)
    (choice,) = message.choices
    assert (choice.id, choice.mark) == (f"encouragement.thanks.{short(LARGEST)}", "")
    assert len(choice.id) <= 40


def test_a_word_in_one_language_is_said_to_everybody_in_that_one() -> None:
    assert "茶" in BOT.compose(Occasion(OccasionKind.ENCOURAGEMENT, "en", {"word": 1, "zh": "茶", "trigger": ""})).text


def test_relayed_words_are_inert() -> None:
    text = '<a href="weixin://bizmsgmenu?x">点</a>'
    message = BOT.compose(Occasion(OccasionKind.ENCOURAGEMENT, "zh", {"word": 1, "zh": text, "trigger": ""}))
    assert "<a" not in message.text
    assert "weixin://" not in message.text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", ["proposal", "theme_used_up", "used_up"])
def test_reports_to_administrators_fit(reason: str, language: str) -> None:
    details = {"reason": reason, "course": "课" * 80, "number": 999, "word": LARGEST, "text": "啊" * 200, "author_name": None, "theme": "x"}
    message = BOT.compose(Occasion(OccasionKind.REPORT, language, details))
    assert room(message) > 0
    assert len(message.choices) == (2 if reason == "proposal" else 0)
    assert all(len(choice.id) <= 40 for choice in message.choices)


def test_it_has_no_words_for_other_occasions() -> None:
    with pytest.raises(LookupError):
        BOT.compose(Occasion(OccasionKind.ALERT, "zh", {}))


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("鼓励", Command()),
        (" Warm words. ", Command()),
        ("encouragement", Command()),
        ("鼓励：茶凉了\n也能喝", Command("茶凉了 也能喝")),
        ("warm words: tea", Command("tea")),
        ("暖心话:茶", Command("茶")),
        ("鼓励一下大家", None),
        ("鼓励：", Command()),
        ("公告：鼓励", None),
    ],
)
def test_commands_are_read_as_people_type_them(typed: str, command: Command | None) -> None:
    assert read_command(typed) == command


@pytest.mark.parametrize("role", Role)
def test_f_only_leaders_assistants_and_administrators_have_the_command(role: Role) -> None:
    wanted = BOT.wants(_turn(Wrote("鼓励：茶凉了也能喝"), _person(role)))
    assert wanted is (role in {Role.LEADER, Role.ASSISTANT, Role.ADMINISTRATOR})


@pytest.mark.parametrize("choice", ["approve.a.1", "rest.a.1", "pause.a", "resume.a", "course.a", "nonsense", ""])
@pytest.mark.parametrize("role", [Role.PARTICIPANT, Role.RESEARCHER, Role.MENTOR])
def test_f_a_tap_of_staff_in_other_hands_does_nothing_and_tells_nothing(role: Role, choice: str) -> None:
    answer = _answer(_turn(Tapped(f"encouragement.{choice}", "通过"), _person(role)))
    assert [type(effect) for effect in answer.effects] == [Say]
    assert "鼓励" not in _said(answer)
    assert "管理员" not in _said(answer)


def test_a_thank_you_is_counted_and_answered_once() -> None:
    person, tap = _person(Role.PARTICIPANT), Tapped("encouragement.thanks.a", "谢谢，收到了 👍")
    assert BOT.answer(_turn(tap, person)) == Need(GivenWord(10))
    first = _answer(_turn(tap, person, facts={GivenWord(10): Given(10)}))
    assert first.effects[0] == Thank(10)
    assert _said(first)
    assert _answer(_turn(tap, person, facts={GivenWord(10): Given(10, thanked=True)})) == Answer(())
    assert _answer(_turn(tap, person, facts={GivenWord(10): Given()})) == Answer(())
    assert _answer(_turn(tap, person, refusal="foreign")) == Answer(())


@pytest.mark.parametrize("label", ["谢谢，收到了 👍", "Thank you, got it 👍"])
def test_the_label_typed_is_the_tap_for_the_newest_word(label: str) -> None:
    assert BOT.wants(_turn(Wrote(label), _person(Role.PARTICIPANT)))
    assert not BOT.wants(_turn(Wrote(label), _person()))
    assert BOT.answer(_turn(Wrote(label), _person(Role.PARTICIPANT))) == Need(GivenWord(0))
    assert not BOT.wants(_turn(Wrote("谢谢"), _person(Role.PARTICIPANT)))


def test_who_works_in_several_courses_is_asked_once_and_the_sentence_is_kept() -> None:
    person = _person(Role.LEADER, courses=2)
    asked = _answer(_turn(Wrote("鼓励：茶凉了也能喝"), person))
    (say,) = asked.effects
    assert isinstance(say, Say)
    assert [choice.label for choice in say.message.choices] == ["课1", "课2"]
    assert not asked.open
    chosen = _answer(_turn(Tapped("encouragement.course.2", "课2"), person, memory=asked.memory))
    assert chosen.effects[0] == ProposeWords(2, "茶凉了也能喝")
    assert chosen.memory is None
    elsewhere = _answer(_turn(Tapped("encouragement.course.7", "别的课"), person, memory=asked.memory))
    assert [type(effect) for effect in elsewhere.effects] == [Say]
    forgotten = _answer(_turn(Tapped("encouragement.course.2", "课2"), person, memory={"v": 9, "text": "x"}))
    assert [type(effect) for effect in forgotten.effects] == [Say]


def test_an_administrator_decides_by_tap_and_keeps_the_plan() -> None:
    boss = _person(Role.ADMINISTRATOR)
    assert _answer(_turn(Tapped("encouragement.approve.a.1", "通过 1"), boss)).effects[0] == SettleWords(10, approved=True)
    assert _answer(_turn(Tapped("encouragement.rest.a.1", "先不用 1"), boss)).effects[0] == SettleWords(10, approved=False)
    assert _answer(_turn(Tapped("encouragement.pause.1", "暂停发送"), boss)).effects[0] == KeepWarmPlan(1, going=False)
    assert _answer(_turn(Tapped("encouragement.resume.1", "恢复发送"), boss)).effects[0] == KeepWarmPlan(1, going=True)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("count", [0, 1, 40])
def test_the_library_fits_into_one_message_however_much_waits(count: int, language: str) -> None:
    boss = _person(Role.ADMINISTRATOR, language=language)
    waiting = tuple(Proposal(LARGEST - place, 900 + place, "啊" * 200, "长" * 60) for place in range(count))
    shelf = WarmShelf(True, "课" * 80, "Asia/Shanghai", 70, 2, waiting, "going", (NOW, NOW, NOW), 400, 120)
    answer = _answer(_turn(Wrote("鼓励"), boss, facts={WarmWords(1): shelf}))
    (say,) = answer.effects
    assert isinstance(say, Say)
    assert room(say.message) >= 0
    assert len(say.message.choices) >= 1 + 2 * (count > 0)
    assert BOT.answer(_turn(Wrote("鼓励"), boss)) == Need(WarmWords(1))


@pytest.mark.parametrize(("plan", "label"), [("going", "暂停发送"), ("paused", "恢复发送"), ("", None)])
def test_the_library_offers_what_can_be_done_with_the_plan(plan: str, label: str | None) -> None:
    answer = _answer(_turn(Wrote("鼓励"), _person(Role.ADMINISTRATOR), facts={WarmWords(1): WarmShelf(True, "静心", plan=plan)}))
    (say,) = answer.effects
    assert isinstance(say, Say)
    assert [choice.label for choice in say.message.choices] == ([label] if label else [])


def test_what_is_not_for_this_person_is_not_shown() -> None:
    answer = _answer(_turn(Wrote("鼓励"), _person(Role.ADMINISTRATOR), facts={WarmWords(1): WarmShelf()}))
    assert "做不了" in _said(answer)
    assert "鼓励：" in _said(_answer(_turn(Wrote("鼓励"), _person(Role.LEADER))))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("refusal", ["role", "empty", "long", "alike", "unfit", "gone", "name"])
def test_every_refusal_is_one_sentence_with_a_remedy(refusal: str, language: str) -> None:
    said = _said(_answer(_turn(Wrote("鼓励：x"), _person(Role.LEADER, language=language), refusal=refusal)))
    assert said
    assert (str(MOST_BYTES) in said) is (refusal == "long")


@pytest.mark.parametrize(
    "typed", ["鼓励", "鼓励：茶凉了也能喝", "warm words", "warm words: tea", "谢谢，收到了 👍", "Thank you, got it 👍"]
)
@pytest.mark.parametrize("role", [None, *Role])
def test_no_other_bot_wants_its_words(role: Role | None, typed: str) -> None:
    turn = _turn(Wrote(typed), _person(*([] if role is None else [role])))
    others = [bot.name for bot in bots.find() if bot.name not in (BOT.name, FIRST, LAST) and bot.wants(turn)]
    assert others == []
    by_all = who_answers({bot.name: bot for bot in bots.find()}, turn, None).name
    assert by_all == (BOT.name if BOT.wants(turn) else LAST)
