"""What the dialogues do not reach of the questionnaire bot: every question fits, every label is read back, no words are mistaken."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from bots import find
from bots.choices import normal
from bots.clipping import room
from bots.effects import Given, Message
from bots.facts import Facts, Need
from bots.questionnaire import QuestionnaireBot, reading, voice
from bots.questionnaire.instrument import LABELLED, Instrument, Item, Kind
from bots.questionnaire.instrument import find as instruments
from bots.questionnaire.place import Place, read_place
from bots.questionnaire.sheets import Assignment, OpenAssignments, Sheet
from bots.questionnaire.voice import Voice
from bots.texts import LANGUAGES, Words
from bots.turns import Membership, Occasion, OccasionKind, Person, Role, Turn, Wrote

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
BOTS = {bot.name: bot for bot in find()}
BOT = cast("QuestionnaireBot", BOTS["questionnaire"])
ALL = instruments()
ITEMS = [(instrument, item) for instrument in ALL.values() for item in instrument.items]
MEMBER = (Membership(1, "正念自我关怀", 1, "晨光组", large=False, role=Role.PARTICIPANT),)
LEADER = (Membership(1, "正念自我关怀", 1, "晨光组", large=False, role=Role.LEADER),)
#: A sheet's id with as many digits as one can have.
LONGEST_ID = 2**63 - 1


def _assignment(*sheets: Sheet, skips: bool = True) -> Assignment:
    closes = NOW + timedelta(days=5)
    return Assignment(
        LONGEST_ID, LONGEST_ID, 1, "正念自我关怀", "baseline", "课前问卷", "partial", closes, keeps_late=False, skips=skips, sheets=sheets
    )


def _voice(language: str) -> Voice:
    return Voice(BOT._texts, language, "Asia/Shanghai")


def _turn(text: str, *assignments: Assignment, memory: dict[str, Any] | None = None, language: str = "zh") -> Turn:
    person = Person("小雨", language, "Asia/Shanghai", MEMBER)
    return Turn(
        Wrote(text), person, NOW, memory, holds_floor=memory is not None, facts=Facts({OpenAssignments(): assignments}), sent_at=NOW
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_question_fits_into_one_message_whatever_stands_above_it(language: str) -> None:
    say = _voice(language)
    for instrument, item in ITEMS:
        for answers in ({}, {99: 1}):  # the opening stands above the first question
            sheet = Sheet(LONGEST_ID, instrument, next(iter(instrument.time_frames), None), answers)
            long = [Words("记" * 300), Words("得" * 100)]
            message = voice.question(say, _assignment(sheet), sheet, item, long, first=True)
            assert room(message) >= 0, (instrument.code, item.number)
            assert item.words[language] in message.text
            if item.kind in LABELLED:
                shown = [*(choice.label for choice in message.choices), *message.text.splitlines()]
                assert all(any(label in line for line in shown) for label in item.anchors[language])


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_review_fits_with_every_answer(language: str) -> None:
    for instrument in ALL.values():
        longest = {item.number: item.highest for item in instrument.items}
        message = voice.review(_voice(language), Sheet(LONGEST_ID, instrument, None, longest), [Words("谢" * 200)])
        assert room(message) >= 0, instrument.code
        assert len(message.choices) == 1


def test_every_label_and_number_of_every_item_is_read_back_as_its_value() -> None:
    for instrument, item in ITEMS:
        if item.kind not in LABELLED:
            continue
        for language in LANGUAGES:
            for value, label in zip(item.points, item.anchors[language], strict=True):
                for typed in (label, str(value), f"{value}. {label}", f"选{value}", f"{label}。"):
                    found = reading.given(item, typed)
                    assert found is not None, (instrument.code, item.number, typed)
                    assert found.value == value, (instrument.code, item.number, typed)


def test_no_label_and_no_item_is_taken_for_a_cry_or_for_another_bots_word() -> None:
    said = {label for _, item in ITEMS for labels in item.anchors.values() for label in labels} | {str(value) for value in range(100)}
    for words in sorted(said):
        for seats in (MEMBER, LEADER):
            turn = Turn(Wrote(words), Person("小雨", "zh", "Asia/Shanghai", seats), NOW)
            assert [name for name, bot in BOTS.items() if name not in ("fallback", "questionnaire") and bot.wants(turn)] == [], words


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_question_is_taken_for_a_cry_when_somebody_sends_it_back(language: str) -> None:
    for instrument, item in ITEMS:
        turn = Turn(Wrote(item.words[language]), Person("小雨", language, "Asia/Shanghai", LEADER), NOW)
        assert not BOTS["safety"].wants(turn), (instrument.code, item.number)


@pytest.mark.parametrize(("seats", "theirs"), [(MEMBER, set()), (LEADER, {"progress"})])
def test_the_words_of_a_questionnaire_are_no_other_bots(seats: tuple[Membership, ...], theirs: set[str]) -> None:
    lists = [_voice(language)(key).split("|") for language in LANGUAGES for key in sorted(BOT._texts.keys()) if key.startswith("accepts.")]
    others = [bot for name, bot in BOTS.items() if name not in ("fallback", "questionnaire")]
    turns = [Turn(Wrote(words), Person("小雨", "zh", "Asia/Shanghai", seats), NOW) for words in {each for some in lists for each in some}]
    assert {turn.words() for turn in turns if any(bot.wants(turn) for bot in others)} == theirs


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_that_is_advertised_is_understood_from_everybody(language: str) -> None:
    say = _voice(language)
    advertised = [first or second for first, second in re.findall(r"「([^「」]+)」|\"([^\"]+)\"", say("ask.how"))]
    commands = [words for words in advertised if reading.several(ALL["swls"].items, words) is None]
    assert len(commands) == 4
    for words in commands:
        assert normal(words) in BOT._says[language], words
        turn = Turn(Wrote(words), Person("小雨", language, "Asia/Shanghai", LEADER), NOW)
        assert [name for name, bot in BOTS.items() if name != "questionnaire" and bot.wants(turn)] == [], words


def _item(code: str, name: str) -> Item:
    return next(item for item in ALL[code].items if item.name == name)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("36", 36),
        ("３６", 36),
        ("36岁", 36),
        ("36 周岁", 36),
        ("36 years old", 36),
        ("17", None),
        ("100", None),
        ("三十六", None),
        ("3 6", None),
    ],
)
def test_an_age_is_a_number_within_its_range(typed: str, value: int | None) -> None:
    found = reading.given(_item("intake", "age"), typed)
    assert (None if found is None else found.value) == value


@pytest.mark.parametrize("letter", ["字", "a"])
def test_words_of_their_own_are_as_long_as_the_question_says(letter: str) -> None:
    city = _item("intake", "city")
    longest = letter * reading.LONGEST_TEXT
    assert reading.given(city, longest) == Given(city.number, 1, text=longest)
    assert reading.given(city, longest + letter) is None
    for language in LANGUAGES:
        assert str(reading.LONGEST_TEXT) in _voice(language)("ask.text")


@pytest.mark.parametrize("words", ["", " ", "\n"])
def test_words_of_their_own_are_not_nothing(words: str) -> None:
    assert reading.given(_item("intake", "city"), words) is None


def test_several_answers_of_a_form_are_each_read_by_their_own_item() -> None:
    found = reading.several(ALL["intake"].asked({4: 1}), "女 36岁 研究生 练过 2 1 没有 上海")
    assert found is not None
    assert [each.value for each in found.given] == [1, 36, 3, 1, 2, 1, 2]
    assert (found.failed, found.left_over) == ((), 1), "words of their own are asked for by themselves"


DAY = Item(1, "day", "day", {"zh": "哪天？", "en": "Which day?"}, {}, Kind.DATE, 1900_01_01, 2099_12_31)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("2026-11-26", 20261126),
        ("2026年11月26日", 20261126),
        ("2026/1/5", 20260105),
        ("20260105", 20260105),
        ("2026-02-30", None),
        ("明天", None),
        ("1899-01-01", None),
    ],
)
def test_a_date_is_one_that_the_calendar_has(typed: str, value: int | None) -> None:
    found = reading.given(DAY, typed)
    assert (None if found is None else found.value) == value


@pytest.mark.parametrize(
    ("typed", "given", "failed", "left_over"),
    [
        ("3 4 2", [3, 4, 2], (), 0),
        ("3，4、2；1", [3, 4, 2, 1], (), 0),
        ("3 x 2", [3, 2], (2,), 0),
        ("1 2 3 4 5 6", [1, 2, 3, 4], (), 2),
        ("有点 3", None, (), 0),
        ("3 今天有点累", None, (), 0),
        ("x 3", None, (), 0),
        ("34", None, (), 0),
        ("3", None, (), 0),
    ],
)
def test_several_answers_are_read_where_they_are_meant(
    typed: str, given: list[int] | None, failed: tuple[int, ...], left_over: int
) -> None:
    items = list(ALL["shs"].items)
    found = reading.several(items, typed)
    if given is None:
        assert found is None
    else:
        assert found is not None
        assert ([each.value for each in found.given], found.failed, found.left_over) == (given, failed, left_over)


@pytest.mark.parametrize(
    ("typed", "item", "words"),
    [
        ("改 7", 7, ""),
        ("改第7题", 7, ""),
        ("7=3", 7, "3"),
        ("第7题=有时", 7, "有时"),
        ("改7 3", 7, "3"),
        ("change 7", 7, ""),
        ("change 12 to", 12, "to"),
    ],
)
def test_a_correction_names_its_item(typed: str, item: int, words: str) -> None:
    assert reading.change(typed) == reading.Change(item, words)


@pytest.mark.parametrize("typed", ["7", "改天再说", "我想改变", "1=", "=3", "change my mind"])
def test_other_words_are_no_correction(typed: str) -> None:
    assert reading.change(typed) is None


@pytest.mark.parametrize("memory", [None, {}, {"v": 2}, {"v": 1, "wave": "x"}, {**Place(1, 2, 3, 4).memory(), "mode": "dancing"}])
def test_a_memory_that_cannot_be_read_is_none_and_the_question_comes_anew(memory: dict[str, Any] | None) -> None:
    assert read_place(memory) is None
    sheet = Sheet(5, ALL["shs"])
    answer = BOT.answer(_turn("3", _assignment(sheet), memory=memory))
    assert not isinstance(answer, Need)
    assert [type(effect).__name__ for effect in answer.effects] == ["Say"], "nothing is recorded of words that answer no question"


def test_a_place_is_remembered_as_it_is_read() -> None:
    place = Place(1, 2, 3, 4)
    assert read_place(place.memory()) == place


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", [OccasionKind.INVITATION, OccasionKind.REMINDER])
def test_invitation_and_reminder_fit_and_offer_three_ways(language: str, kind: OccasionKind) -> None:
    details = {
        "wave": LONGEST_ID,
        "course": "很长的课程名" * 20,
        "titles": {"zh": "很长的标题" * 20, "en": ""},
        "minutes": 25,
        "items": 115,
        "count": 8,
        "closes_at": NOW,
    }
    message: Message = BOT.compose(Occasion(kind, language, details))
    assert room(message) >= 0
    assert len(message.choices) == 3
    assert all(len(choice.id) <= 40 for choice in message.choices)
    late = BOT.compose(Occasion(OccasionKind.REMINDER, language, {**details, "over": True}))
    assert "11月" not in late.text
    assert "Nov" not in late.text, "nobody is asked to finish by a moment that has passed"


def test_there_are_no_words_for_other_occasions() -> None:
    with pytest.raises(LookupError, match="questionnaire"):
        BOT.compose(Occasion(OccasionKind.ALERT, "zh", {}))


def test_every_text_is_said_somewhere() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(voice.__file__).parent.glob("*.py")))
    heard = {f"accepts.{key}" for keys in BOT._says["zh"].values() for key in keys} | {"accepts.start"}
    said = {key for key in BOT._texts.keys() if f'"{key.removeprefix("choice.")}"' in source}  # noqa: SIM118 - no mapping
    assert sorted(BOT._texts.keys() - heard - said) == []


def test_without_its_facts_it_asks_for_them() -> None:
    turn = Turn(Wrote("问卷"), Person("小雨", "zh", "Asia/Shanghai", MEMBER), NOW)
    assert BOT.answer(turn) == Need(OpenAssignments())


def test_only_members_of_a_course_begin_with_a_word() -> None:
    for words in ("问卷", "survey", "开始", "Start"):
        assert BOT.wants(_turn(words))
        assert not BOT.wants(Turn(Wrote(words), Person(None, "zh", "Asia/Shanghai"), NOW))


def test_the_instruments_of_one_assignment_add_up_in_the_progress() -> None:
    first: Instrument = ALL["shs"]
    sheets = (Sheet(1, first, answers={1: 1, 2: 1, 3: 1, 4: 1}, handed_in=True), Sheet(2, ALL["swls"], answers={1: 1}))
    told = voice.progress(_voice("zh"), _assignment(*sheets), sheets[1], ALL["swls"].items[1])
    assert told == "生活满意度 2/5 · 总 6/9"
