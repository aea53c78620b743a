"""Which words answer an announcement, and what is said to whoever answers."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import bots
from bots import Answer, Need, find
from bots.announcement import asking, create
from bots.choices import short
from bots.conversation import who_answers, who_listens
from bots.effects import AnswerPoll, Say
from bots.facts import Asked, AskedBy, Facts, LastAsked, PollState
from bots.texts import load_texts
from bots.turns import Membership, Person, Role, Sent, Tapped, Turn, Wrote

BOT = create(load_texts(Path(bots.__file__).parent / "announcement"))
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ID = 2**62
PEOPLE = (Membership(1, "静心", 1, "晨光组", large=False, role=Role.PARTICIPANT),)
CITIES = Asked(ID, ("北京", "郑州", "西安 / 咸阳", "At home"), PollState.OPEN, AT, newest=True)
GOT_IT = Asked(ID, (), PollState.OPEN, AT, newest=True)


def turn(event: Any, language: str = "zh", **facts: Any) -> Turn:
    known = {LastAsked(): facts.get("last", Asked()), AskedBy(ID): facts.get("by", Asked())}
    return Turn(event, Person("小雨", language, "Asia/Shanghai", PEOPLE), AT, facts=Facts(known), refusal=facts.get("refusal"))


def heard(text: str, asked: Asked) -> int:
    """The place that these words choose, 0 where they are not heard."""
    at = turn(Wrote(text), last=asked)
    if not BOT.hears(at):
        return 0
    answer = BOT.answer(at)
    assert isinstance(answer, Answer)
    (effect,) = [each for each in answer.effects if isinstance(each, AnswerPoll)]
    return effect.choice


@pytest.mark.parametrize(
    ("text", "place"),
    [
        *(
            ("北京", 1),
            ("北京！", 1),
            (" 北京。", 1),
            ("我选北京", 1),
            ("我去郑州吧", 2),
            ("选郑州了", 2),
            ("1", 1),
            ("第二个", 2),
            ("选3", 3),
        ),
        *(("西安/咸阳", 3), ("西安 咸阳", 3), ("at home", 4), ("I choose At home!", 4), ("③", 3)),
        *(
            ("5", 0),
            ("0", 0),
            ("12", 0),
            ("上海", 0),
            ("北京郑州", 0),
            ("北京还是郑州好", 0),
            ("谢谢", 0),
            ("收到", 0),
            ("¹", 0),
            ("去", 0),
        ),
    ],
)
def test_typed_words_mean_an_option_or_nothing(text: str, place: int) -> None:
    assert heard(text, CITIES) == place


@pytest.mark.parametrize("text", ["收到", "收到！", "收到🙏", "好的，收到", "知道了", "好的", "1", "Got it!", "ok", "👍"])
def test_words_that_say_got_it_are_heard_once(text: str) -> None:
    assert heard(text, GOT_IT) == 1
    assert heard(text, replace(GOT_IT, choice=1)) == 0, "then they are a pleasantry again"
    assert heard(text, replace(GOT_IT, newest=False)) == 0, "and where something came since, they may mean that"


@pytest.mark.parametrize("text", ["收到了吗", "没收到", "2", "不好", "谢谢", "好的但是我那天有事"])
def test_words_that_say_more_are_not_taken_for_got_it(text: str) -> None:
    assert heard(text, GOT_IT) == 0


def test_a_number_typed_in_a_pause_is_no_answer_but_an_option_is() -> None:
    for text, hears in (("2", False), ("郑州", True)):
        at = turn(Wrote(text), last=CITIES)
        assert BOT.hears(replace(at, person=replace(at.person, paused=True))) is hears


def test_an_option_that_is_a_number_means_itself_before_a_place() -> None:
    hours = replace(CITIES, options=("3", "1", "2"))
    assert [heard(text, hours) for text in ("1", "2", "3")] == [2, 3, 1]


def test_a_number_counts_only_where_nothing_newer_came_and_a_label_always() -> None:
    older = replace(CITIES, newest=False)
    assert (heard("2", older), heard("郑州", older)) == (0, 2)


@pytest.mark.parametrize("state", [PollState.CLOSED, PollState.CANCELLED, PollState.NONE])
def test_nothing_is_heard_where_nothing_is_open(state: PollState) -> None:
    assert heard("北京", replace(CITIES, state=state)) == 0
    assert heard("收到", replace(GOT_IT, state=state)) == 0


def tapped(place: object, asked: Asked, language: str = "zh", refusal: str | None = None) -> tuple[str, list[AnswerPoll]]:
    answer = BOT.answer(turn(Tapped(f"announcement.{short(ID)}.{place}", "x"), language, by=asked, refusal=refusal))
    assert isinstance(answer, Answer)
    assert answer.memory is None
    (said,) = [each.message.text for each in answer.effects if isinstance(each, Say)]
    return said, [each for each in answer.effects if isinstance(each, AnswerPoll)]


def test_a_tap_notes_changes_and_repeats_and_says_which() -> None:
    assert tapped(1, CITIES) == ("记下了：北京。11月23日 周一 20:00 前想改，点别的选项或直接打字就行。", [AnswerPoll(ID, 1)])
    assert tapped(2, replace(CITIES, choice=1)) == ("已经改成「郑州」（之前是「北京」）。", [AnswerPoll(ID, 2)])
    assert tapped(1, replace(CITIES, choice=1)) == ("你选的就是「北京」，已经记着了。", [AnswerPoll(ID, 1)])
    assert tapped(1, GOT_IT, "en") == ("Thank you, noted that you got it.", [AnswerPoll(ID, 1)])
    assert tapped(2, replace(CITIES, newest=False))[1] == [AnswerPoll(ID, 2)], "a tap is its owner's, however old"


@pytest.mark.parametrize("place", ["0", "5", "x", "", "²", "-1", "1.1"])
def test_a_tap_on_no_option_notes_nothing(place: str) -> None:
    said, effects = tapped(place, CITIES)
    assert effects == ([AnswerPoll(ID, 1)] if place == "1.1" else [])
    assert said


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("asked", [CITIES, GOT_IT, replace(CITIES, choice=2), replace(GOT_IT, choice=1)])
@pytest.mark.parametrize("late", ["closed", "cancelled", "foreign"])
def test_who_comes_too_late_is_told_kindly_also_where_it_closed_in_that_moment(language: str, asked: Asked, late: str) -> None:
    state = {"closed": PollState.CLOSED, "cancelled": PollState.CANCELLED, "foreign": PollState.NONE}[late]
    before = tapped(1, replace(asked, state=state), language)
    assert before == tapped(1, asked, language, refusal=late), "the same words, whoever was faster"
    assert before[1] == []
    assert ("郑州" in before[0]) is (asked.options != () and asked.choice == 2 and late == "closed")


def test_it_asks_for_what_it_must_see() -> None:
    bare = Turn(Tapped(f"announcement.{short(ID)}.1", "x"), Person(None, "zh", "Asia/Shanghai"), AT)
    assert BOT.answer(bare) == Need(AskedBy(ID))
    assert BOT.answer(replace(bare, event=Wrote("北京"))) == Need(LastAsked())
    assert not BOT.hears(replace(bare, event=Wrote("北京"))), "before it has seen anything it hears nothing"


def test_who_is_asked_for_words_is_the_last_in_line_or_one_at_rest() -> None:
    known = {bot.name: bot for bot in find()}
    said = turn(Wrote("北京"))
    chosen = who_answers(known, said, None)
    assert chosen.name == "fallback"
    assert [bot.name for bot in who_listens(known, said, chosen, rests=False)] == ["announcement"]
    questionnaire = known["questionnaire"]
    assert who_answers(known, said, "questionnaire") is questionnaire
    assert who_listens(known, said, questionnaire, rests=False) == ()
    assert [bot.name for bot in who_listens(known, said, questionnaire, rests=True)] == ["announcement"]
    assert who_listens(known, turn(Wrote("问卷")), questionnaire, rests=True) == (), "with these words it would begin itself"
    assert who_listens(known, turn(Sent("image")), known["fallback"], rests=False) == ()
    assert who_listens(known, turn(Tapped("", "北京")), known["fallback"], rests=False) == (), "a forged tap is no typed word"


@pytest.mark.parametrize(
    ("typed", "options"),
    [
        ("北京 郑州", ("北京", "郑州")),
        ("北京、郑州，青岛", ("北京", "郑州", "青岛")),
        ("at home\nin Xi'an\n", ("at home", "in Xi'an")),
        ("at home | in Xi'an", ("at home", "in Xi'an")),
        ("北京 郑州 北京", ("北京", "郑州")),
        ("北京", ("北京",)),
        ("  ", ()),
        ("\n", ()),
    ],
)
def test_options_are_read_by_lines_else_by_marks_else_by_spaces(typed: str, options: tuple[str, ...]) -> None:
    assert asking.read_options(typed) == options


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (("北京", "郑州"), None),
        (tuple("一二三四五六七八"), None),
        (tuple("一二三四五六七八九"), "many"),
        (("北京",), "few"),
        ((), "few"),
        (("北京", "长" * 12), None),
        (("北京", "长" * 13), "long"),
        (tuple(f"{each}" + "长" * 11 for each in range(8)), "long"),
        (("Home", "home "), "equal"),
        (("北京", "！"), "equal"),
    ],
)
def test_options_that_cannot_be_offered_are_named(options: tuple[str, ...], wrong: str | None) -> None:
    assert asking.wrong_with(options) == wrong
