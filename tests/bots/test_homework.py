"""The homework bot by itself: whom it hears, late and foreign taps, what fits into a message."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

import bots
from bots import Answer, Bot, Need
from bots.choices import short
from bots.clipping import room
from bots.effects import CheckIn, ChooseHour, Message, Say, ShareCheckIn, WriteToSilent
from bots.facts import Facts
from bots.homework.book import Book, Done, GroupPractice, Mine, MyPractice, Practice, PracticeDay, Quieter, Seen, WhoPractised
from bots.homework.hours import Quiet
from bots.turns import Event, Membership, Occasion, OccasionKind, Person, Role, Sent, Tapped, Turn, Wrote

NOW = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
TODAY = date(2026, 11, 23)
PRACTICES = tuple(Practice(place, f"p{place}", {"zh": f"练习{place}号", "en": f"Practice {place}"}, 5 + place) for place in range(8))
MINE = Mine(
    7, "静心", 2, PRACTICES, ("p0", "p1"), {"zh": "每天一次。", "en": "Once a day."}, group="晨光组", leaders=("李老师",), companions=3
)
BOOK = Book((MINE,), quiets=(Quiet("Asia/Shanghai", "22:00", "08:00"),))
WEEK = GroupPractice(
    True, "晨光组", TODAY, 3, 1, (PracticeDay(TODAY, (Seen("小雨", 10, "静"),)),), (Quieter("阿静", 4), Quieter("小云", 8))
)


def person(*roles: Role, large: bool = False) -> Person:
    seats = tuple(Membership(7, "静心", 70 + place, f"第{place}组", large=large, role=role) for place, role in enumerate(roles))
    return Person("小雨", "zh", "Asia/Shanghai", seats)


RAIN, LEADER = person(Role.PARTICIPANT), person(Role.LEADER)


@pytest.fixture(scope="module")
def bot() -> Bot:
    return next(each for each in bots.find() if each.name == "homework")


def ask(
    bot: Bot, event: Event, who: Person = RAIN, *, book: Book = BOOK, week: GroupPractice = WEEK, memory: Any = None, **more: Any
) -> Answer:
    """The answer after the bot has seen what it asked for."""
    turn = Turn(event, who, more.pop("now", NOW), memory=memory, holds_floor=memory is not None, **more)
    answer = bot.answer(turn)
    if isinstance(answer, Need):
        loaded = {request: book if isinstance(request, MyPractice) else week for request in answer.requests}
        answer = bot.answer(replace(turn, facts=Facts(loaded)))
    assert isinstance(answer, Answer)
    return answer


def message(answer: Answer) -> Message:
    return next(effect.message for effect in answer.effects if isinstance(effect, Say))


def ids(answer: Answer) -> list[str]:
    return [choice.id for choice in message(answer).choices]


@pytest.mark.parametrize(
    "who", [person(), LEADER, person(Role.MENTOR), person(Role.RESEARCHER)], ids=["stranger", "leader", "mentor", "researcher"]
)
def test_only_participants_check_in_by_words(who: Person, bot: Bot) -> None:
    assert not bot.wants(Turn(Wrote("打卡"), who, NOW))
    assert bot.wants(Turn(Wrote("打卡"), RAIN, NOW))


@pytest.mark.parametrize(
    ("who", "heard"),
    [
        (LEADER, True),
        (person(Role.ASSISTANT), True),
        (person(Role.ADMINISTRATOR), True),
        (RAIN, False),
        (person(Role.MENTOR), False),
        (person(), False),
        (person(Role.LEADER, large=True), False),
    ],
    ids=["leader", "assistant", "administrator", "participant", "mentor", "stranger", "in the large group only"],
)
def test_only_who_leads_asks_who_practised(who: Person, heard: bool, bot: Bot) -> None:
    for words in ("谁练了", "who practised"):
        assert bot.wants(Turn(Wrote(words), who, NOW)) is heard


def test_a_group_that_the_application_hides_is_not_shown(bot: Bot) -> None:
    for choice in ("homework.who.9", "homework.write.9.3"):
        answer = ask(bot, Tapped(choice, "x"), LEADER, week=GroupPractice())
        assert [type(effect) for effect in answer.effects] == [Say]
        assert "晨光组" not in message(answer).text


@pytest.mark.parametrize(
    "choice",
    [
        *("homework", "homework.", "homework.do", "homework.do.7", "homework.do.8.0.0", "homework.do.7.0.99", "homework.do.7.zzzzzzzzzz.0"),
        *("homework.min.7.0.0", "homework.min.7.0.0.0", "homework.min.7.0.0.zzz", "homework.share.7", "homework.yes"),
        *("homework.day", "homework.course.8", "homework.send.1.3.0", "homework.write.1.4", "homework.who", "homework.nonsense.7.0.0"),
    ],
)
def test_a_tap_that_leads_nowhere_changes_nothing(choice: str, bot: Bot) -> None:
    for who in (RAIN, LEADER, person()):
        answer = ask(bot, Tapped(choice, "x"), who, book=BOOK if who is RAIN else Book(), week=GroupPractice())
        assert not [effect for effect in answer.effects if isinstance(effect, CheckIn | ShareCheckIn | WriteToSilent)]
        assert message(answer).text


def test_a_late_tap_notes_the_day_on_which_it_was_offered_or_says_that_it_is_over(bot: Bot) -> None:
    offered = next(each for each in ids(ask(bot, Wrote("打卡"))) if ".do." in each)
    tomorrow = ask(bot, Tapped(offered, "练习0号"), now=NOW + timedelta(days=1))
    assert tomorrow.effects[0] == CheckIn(7, TODAY, "p0", None)
    assert "昨天" in message(tomorrow).text
    late = ask(bot, Tapped(offered, "练习0号"), now=NOW + timedelta(days=3))
    assert [type(effect) for effect in late.effects] == [Say]


def test_a_tap_on_the_weeks_message_notes_the_day_of_the_tap(bot: Bot) -> None:
    answer = ask(bot, Tapped("homework.do.7.0.1", "练了"), now=NOW + timedelta(days=2))
    assert answer.effects[0] == CheckIn(7, TODAY + timedelta(days=2), "p1", None)


def test_minutes_that_were_said_first_are_kept_until_the_practice_is_chosen(bot: Bot) -> None:
    first = ask(bot, Wrote("我练了15分钟"))
    chosen = next(each for each in ids(first) if ".do." in each)
    assert ask(bot, Tapped(chosen, "练习0号"), memory=first.memory).effects[0] == CheckIn(7, TODAY, "p0", 15)
    assert ask(bot, Wrote("2"), memory=first.memory).effects[0] == CheckIn(7, TODAY, "p1", 15)


def test_nothing_is_shared_before_it_was_said_who_will_see_it(bot: Bot) -> None:
    asked = ask(bot, Tapped("homework.share.7.0.0", "分享给我的小组"))
    assert [type(effect) for effect in asked.effects] == [Say]
    assert all(word in message(asked).text for word in ("李老师", "晨光组", "3", "助教", "管理员"))
    assert ask(bot, Wrote("好的呀"), memory=asked.memory).effects[0].__class__ is Say
    told = ask(bot, Wrote("发给全组"), memory=asked.memory)
    assert told.effects[0] == ShareCheckIn(7, TODAY, "p0", aloud=True)


def test_who_sits_in_no_small_group_is_not_offered_to_share(bot: Bot) -> None:
    alone = Book((replace(MINE, group=""),), asked=True)
    assert not [each for each in ids(ask(bot, Tapped("homework.none.7.0.0", "不记分钟"), book=alone)) if "share" in each]
    assert "只有你自己" in message(ask(bot, Tapped("homework.share.7.0.0", "x"), book=alone)).text


def test_a_gap_is_never_named(bot: Bot) -> None:
    days = frozenset(TODAY - timedelta(days=back) for back in (9, 10, 11))
    back = message(ask(bot, Tapped("homework.do.7.0.0", "x"), book=Book((replace(MINE, days=days),)))).text
    assert "又见到你了" in back
    for word in ("断", "没练", "落下", "第 0", "9"):
        assert word not in back


@pytest.mark.parametrize(
    "code", ["role", "day", "practice", "foreign", "long", "group", "hour", "quiet", "empty", "nobody", "what is this"]
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_refusal_has_words(code: str, language: str, bot: Bot) -> None:
    answer = ask(bot, Wrote("打卡"), replace(RAIN, language=language), refusal=code)
    assert message(answer).text
    assert answer.memory is None


@pytest.mark.parametrize("kind", ["image", "voice", "video", "location", "link", "file", "other"])
def test_a_picture_in_the_middle_leaves_the_question_open(kind: str, bot: Bot) -> None:
    open_ = ask(bot, Tapped("homework.none.7.0.0", "不记分钟")).memory
    answer = ask(bot, Sent(kind), memory=open_)
    assert answer.memory == open_


@pytest.mark.parametrize(
    "memory", [{}, {"v": 1}, {"v": 2, "step": "line"}, {"v": 1, "step": "line", "course": "x"}, {"v": 1, "step": "line", "day": "x"}]
)
def test_a_memory_that_cannot_be_read_is_none(memory: dict[str, Any], bot: Bot) -> None:
    answer = ask(bot, Wrote("一句话"), memory=memory)
    assert [type(effect) for effect in answer.effects] == [Say]


def test_a_line_that_is_too_long_is_asked_for_again(bot: Bot) -> None:
    open_ = ask(bot, Tapped("homework.none.7.0.0", "不记分钟")).memory
    answer = ask(bot, Wrote("长" * 300), memory=open_)
    assert "太长" in message(answer).text
    assert answer.memory is not None


def test_a_choice_of_hours_is_asked_once_and_only_the_first_time(bot: Bot) -> None:
    asked = ask(bot, Tapped("homework.end", "就这样"))
    assert ChooseHour(None) in asked.effects
    assert "20:00" in message(asked).text
    again = ask(bot, Tapped("homework.end", "就这样"), book=replace(BOOK, asked=True))
    assert [type(effect) for effect in again.effects] == [Say]


def test_the_steps_of_silence_are_offered_only_where_they_hold_somebody_else(bot: Bot) -> None:
    assert [each.rpartition(".")[2] for each in ids(ask(bot, Tapped("homework.who.1z", "x"), LEADER))] == ["3", "7"]
    nobody = replace(WEEK, silent=())
    assert ids(ask(bot, Tapped("homework.who.1z", "x"), LEADER, week=nobody)) == []


def test_a_letter_is_sent_once_and_an_old_preview_is_shown_anew(bot: Bot) -> None:
    shown = ask(bot, Tapped("homework.write.1z.3", "x"), LEADER)
    send = next(each for each in ids(shown) if ".send." in each)
    sent = ask(bot, Tapped(send, "发出去"), LEADER, memory=shown.memory)
    assert isinstance(sent.effects[0], WriteToSilent)
    assert sent.memory is None
    assert [type(effect) for effect in ask(bot, Tapped(send, "发出去"), LEADER).effects] == [Say]
    old = ask(bot, Tapped(send, "发出去"), LEADER, memory=shown.memory, now=NOW + timedelta(hours=1))
    assert [type(effect) for effect in old.effects] == [Say]
    assert old.memory is not None


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_full_week_of_a_large_group_fits_into_a_message(language: str, bot: Bot) -> None:
    crowd = tuple(Seen(f"名字很长的组员{number}", 20, "一句很长的话" * 20) for number in range(40))
    days = tuple(PracticeDay(TODAY + timedelta(days=each), crowd) for each in range(7))
    full = GroupPractice(
        True, "名字很长的小组" * 9, TODAY, 40, 40, days, tuple(Quieter(f"名字很长的组员{each}", each) for each in range(3, 40))
    )
    said = message(ask(bot, Tapped("homework.who.1z", "x"), replace(LEADER, language=language), week=full))
    assert room(said) >= 0
    assert room(message(ask(bot, Tapped("homework.write.1z.3", "x"), replace(LEADER, language=language), week=full))) >= 0


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("what", ["week", "reminder"])
def test_the_longest_week_fits_into_a_message(what: str, language: str, bot: Bot) -> None:
    names = [
        {"place": place, "name": {"zh": "名字很长的练习" * 9, "en": "A practice with a long name " * 5}, "minutes": 180}
        for place in range(8)
    ]
    details = {"what": what, "course": 2**62, "week": 52, "words": {"zh": "很长的话" * 120, "en": "long words " * 130}, "practices": names}
    details |= {"asks": True, "default": "20:00", "day": "2026-11-24", "quiets": [["Asia/Shanghai", "22:00", "08:00"]]}
    said = bot.compose(Occasion(OccasionKind.HOMEWORK, language, details))
    assert room(said) >= 0
    assert all(len(each.id.encode()) <= 40 for each in said.choices)


def test_ids_of_choices_are_short_whatever_the_course(bot: Bot) -> None:
    far = Book((replace(MINE, course=2**62, practices=PRACTICES * 5, done=(Done(TODAY, "p0", 5),)),))
    for event in (
        Wrote("打卡"),
        Tapped("homework.do." + short(2**62) + ".0.0", "x"),
        Tapped("homework.none." + short(2**62) + ".0.0", "x"),
    ):
        assert all(len(each.encode()) <= 40 for each in ids(ask(bot, event, book=far)))


def test_there_are_words_for_no_other_occasion(bot: Bot) -> None:
    for kind in set(OccasionKind) - {OccasionKind.HOMEWORK, OccasionKind.SHARED}:
        with pytest.raises(LookupError):
            bot.compose(Occasion(kind, "zh", {}))
    assert WhoPractised(1) == WhoPractised(1)
