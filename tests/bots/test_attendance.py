"""The attendance bot alone: which words it hears, how ticks are read, and that every page fits into one text."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bots import find
from bots.attendance.commands import Command, read_own, read_staff
from bots.attendance.register import MyAttendance, MyCourse, Register, RegisterOf, Seat, Sitting, needed
from bots.attendance.ticks import Tick, read_tick
from bots.clipping import room
from bots.effects import Answer, Attend, ClaimMakeUp, MarkAttendance, Message, Say
from bots.facts import Facts, Need
from bots.scans import gathering_code, is_gathering_code, scanned_gathering
from bots.turns import Event, Followed, Membership, Occasion, OccasionKind, Person, Role, Scanned, Sent, Tapped, Turn, Wrote

NOW = datetime(2026, 12, 14, 11, 40, tzinfo=UTC)
BOT = next(bot for bot in find() if bot.name == "attendance")
GROUPS = [(5, "晨光组"), (6, "晚霞组")]
BIG = 9_000_000_000_000_000_000  # ids are as long as they can be


def sitting(id_: int = BIG, number: int = 2, *, at: datetime = NOW, **other: Any) -> Sitting:
    return Sitting(id_, other.pop("kind", "class"), number, {"zh": "看一看", "en": "Looking"}, at, 60, **other)


def person(role: Role = Role.LEADER, *, groups: list[tuple[int, str]] | None = None, language: str = "zh") -> Person:
    own = tuple(Membership(1, "静心", id_, name, large=False, role=role) for id_, name in groups or GROUPS[:1])
    return Person("李老师", language, "Asia/Shanghai", own)


def register(people: int = 3, *, sittings: tuple[Sitting, ...] | None = None, name: str = "人") -> Register:
    seats = tuple(Seat(BIG + place, f"{name}{place}") for place in range(1, people + 1))
    return Register(True, 5, "晨光组", 6, sittings or (sitting(),), seats)


def answer(event: Event, who: Person, facts: Mapping[Any, Any], memory: Mapping[str, Any] | None = None, now: datetime = NOW) -> Answer:
    given = BOT.answer(Turn(event, who, now, memory=memory, facts=Facts(facts)))
    assert isinstance(given, Answer)
    return given


def said(given: Answer) -> Message:
    return next(effect.message for effect in given.effects if isinstance(effect, Say))


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("签到", Command("sign_in")),
        ("Sign in.", Command("sign_in")),
        ("我的出勤", Command("mine")),
        ("补课", Command("make_up")),
        ("补课 第3课", Command("make_up", "class", 3)),
        ("我补了第三次课", Command("make_up", "class", 3)),
        ("made up class 3", Command("make_up", "class", 3)),
        ("I made up class 12", Command("make_up", "class", 12)),
        ("补课好累", None),
        ("我今天签到了吗", None),
        ("打卡", None),
        ("make up your mind", None),
    ],
)
def test_what_participants_ask_for_is_understood(words: str, command: Command | None) -> None:
    assert read_own(words) == command


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("点名", Command("roll")),
        ("点名 第3课", Command("roll", "class", 3)),
        ("点名第十二次课", Command("roll", "class", 12)),
        ("attendance class 3", Command("roll", "class", 3)),
        ("点名 晚霞组", Command("roll", group=6)),
        ("点名 晚霞组 第3课", Command("roll", "class", 3, 6)),
        ("点名 静修", Command("roll", "retreat", 1)),
        ("点名 小组 2", None),
        ("点名 第2周小组", Command("roll", "meeting", 2)),
        ("出勤 晨光组", Command("grid", group=5)),
        ("Who came?", Command("grid")),
        ("点名 别的组", None),
        ("attendance is important", None),
    ],
)
def test_what_staff_ask_for_is_understood(words: str, command: Command | None) -> None:
    assert read_staff(words, GROUPS) == command


def test_f1_a_participant_has_no_word_for_the_roll() -> None:
    turn = Turn(Wrote("点名"), person(Role.PARTICIPANT), NOW)
    assert not BOT.wants(turn)
    assert not BOT.wants(replace(turn, event=Wrote("who came")))
    assert BOT.wants(replace(turn, event=Wrote("出勤"))), "their own"


@pytest.mark.parametrize(
    ("words", "tick"),
    [
        ("3 5 没到", Tick(away=frozenset({3, 5}))),
        ("３、５没到", Tick(away=frozenset({3, 5}))),
        ("3号和5号没来", Tick(away=frozenset({3, 5}))),
        ("小雨到了", Tick(here=frozenset({1}))),
        ("小雨、王芳 到了，3 没到", Tick(here=frozenset({1, 2}), away=frozenset({3}))),
        ("1 2 here, 3 not here", Tick(here=frozenset({1, 2}), away=frozenset({3}))),
        ("4 补课了", Tick(made_up=frozenset({4}))),
        ("4 made up", Tick(made_up=frozenset({4}))),
        ("都到了", Tick(everybody="all")),
        ("All here!", Tick(everybody="all")),
        ("其余都到了", Tick(everybody="rest")),
        ("都到了，除了3 5", Tick(away=frozenset({3, 5}), everybody="rest")),
        ("除了3和5都到了", Tick(away=frozenset({3, 5}), everybody="rest")),
        ("all here except 3 and 5", Tick(away=frozenset({3, 5}), everybody="rest")),
        ("Anna Lee here", Tick(here=frozenset({5}))),
        ("9 没到", Tick(unknown=("9",))),
        ("老王没到", Tick(unknown=("老王",))),
        ("没到", Tick(unknown=("",))),
        ("今天大家都很认真", None),
        ("谢谢", None),
    ],
)
def test_typed_ticks_are_read_and_never_guessed(words: str, tick: Tick | None) -> None:
    assert read_tick(words, ["小雨", "王芳", "阿明", "路路", "Anna Lee"]) == tick


def test_a_name_that_two_bear_is_nobodys() -> None:
    assert read_tick("阿明到了", ["阿明", "阿明"]) == Tick(unknown=("阿明",))


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", ["人", "名字特别特别长的一位组员朋友", "A participant whose name is long"])
def test_every_page_of_the_list_and_of_the_grid_fits(language: str, name: str) -> None:
    classes = tuple(sitting(BIG + number, number, at=NOW - timedelta(days=60 - 7 * number)) for number in range(1, 9))
    retreat = sitting(BIG + 9, 1, kind="retreat", at=NOW - timedelta(days=9))
    full = register(30, sittings=(*classes, retreat), name=name)
    who, facts = person(language=language), {RegisterOf(5): full}
    given = answer(Wrote("点名"), who, facts)
    shown = set[str]()
    for _ in range(30):
        assert room(said(given)) >= 0
        assert all(len(choice.id) <= 40 for choice in said(given).choices)
        page = {choice.id for choice in said(given).choices if choice.id.startswith("attendance.here.")}
        if page <= shown:
            break
        shown |= page
        given = answer(Wrote("下一页"), who, facts, given.memory)
    assert len(shown) == 30, "everybody can be tapped"
    everybody = answer(Wrote("都到了"), who, facts, given.memory)
    assert room(said(everybody)) >= 0
    for place in range(4):
        grid = answer(Tapped(f"attendance.grid.5.{place}", ""), who, facts)
        assert room(said(grid)) >= 0


def test_a_tap_on_another_list_changes_nothing() -> None:
    who, first, second = person(), sitting(BIG + 1, 1, at=NOW - timedelta(days=7)), sitting(BIG + 2, 2)
    facts = {RegisterOf(5): register(sittings=(first, second))}
    old = answer(Wrote("点名 第1课"), who, facts)
    open_ = answer(Wrote("点名"), who, facts)
    tap = next(choice.id for choice in said(old).choices if choice.id.startswith("attendance.here."))
    late = answer(Tapped(tap, "人1到了"), who, facts, open_.memory)
    assert not any(isinstance(effect, MarkAttendance) for effect in late.effects)
    assert late.memory == open_.memory, "and the list that is open stays open"
    fresh = next(choice.id for choice in said(open_).choices if choice.id.startswith("attendance.here."))
    assert MarkAttendance(5, BIG + 2, (BIG + 1,), "tick") in answer(Tapped(fresh, ""), who, facts, open_.memory).effects


def test_numbers_mean_the_list_that_was_shown_though_somebody_has_left_since() -> None:
    who, before = person(), register(3)
    given = answer(Wrote("点名"), who, {RegisterOf(5): before})
    after = replace(before, seats=before.seats[1:])
    ticked = answer(Wrote("3 到了"), who, {RegisterOf(5): after}, given.memory)
    assert MarkAttendance(5, BIG, (BIG + 3,), "tick") in ticked.effects
    gone = answer(Wrote("1 到了"), who, {RegisterOf(5): after}, given.memory)
    assert not any(isinstance(effect, MarkAttendance) for effect in gone.effects)


def test_a_list_that_lay_for_hours_is_put_away() -> None:
    who, facts = person(), {RegisterOf(5): register()}
    given = answer(Wrote("点名"), who, facts)
    late = answer(Wrote("都到了"), who, facts, given.memory, NOW + timedelta(hours=4))
    assert late.memory is None
    assert not any(isinstance(effect, MarkAttendance) for effect in late.effects)


def test_who_leads_several_groups_is_asked_which() -> None:
    who = person(groups=GROUPS)
    asked = said(answer(Wrote("点名 第2课"), who, {}))
    assert [choice.label for choice in asked.choices] == ["晨光组", "晚霞组"]
    tapped = BOT.answer(Turn(Tapped(asked.choices[1].id, "晚霞组"), who, NOW))
    assert isinstance(tapped, Need)
    assert tapped.requests == (RegisterOf(6),)


def test_f2_a_tap_that_names_a_foreign_group_shows_nothing() -> None:
    given = answer(Tapped("attendance.grid.7", ""), person(), {})
    assert "组长" in said(given).text
    assert BOT.answer(Turn(Tapped("attendance.roll.", ""), person(), NOW)) == given


def test_two_at_once_are_asked_and_a_number_answers() -> None:
    course = MyCourse(1, "静心", 6, (sitting(11), sitting(12, 3, kind="meeting")))
    who, facts = person(Role.PARTICIPANT), {MyAttendance(): (course,)}
    asked = answer(Wrote("签到"), who, facts)
    assert len(said(asked).choices) == 2
    assert asked.memory is not None
    assert Attend(12, "word") in answer(Wrote("2"), who, facts, asked.memory).effects
    assert Attend(11, "word") in answer(Tapped(said(asked).choices[0].id, ""), who, facts).effects
    assert answer(Wrote("什么"), who, facts, asked.memory).memory is not None
    assert answer(Sent("image"), who, facts, asked.memory).memory is not None


def test_who_never_said_the_city_is_told_later_that_it_is_over() -> None:
    retreat = sitting(11, 1, kind="retreat", cities=({"zh": "北京", "en": "Beijing"}, {"zh": "郑州", "en": "Zhengzhou"}))
    who, facts = person(Role.PARTICIPANT), {MyAttendance(): (MyCourse(1, "静心", 6, (retreat,)),)}
    asked = answer(Wrote("签到"), who, facts)
    assert asked.rests, "what waits for them may come along"
    late = answer(Wrote("你好"), who, facts, asked.memory, NOW + timedelta(days=2))
    assert "已经结束" in said(late).text
    assert late.memory is None


def test_with_a_course_over_or_unplanned_it_is_said() -> None:
    who, over = person(Role.PARTICIPANT), sitting(11, at=NOW - timedelta(days=3))
    assert "没有" in said(answer(Wrote("签到"), who, {MyAttendance(): (MyCourse(1, "静心", 6, (over,)),)})).text
    assert "还没有排好" in said(answer(Wrote("签到"), who, {MyAttendance(): ()})).text
    claimed = answer(Wrote("补课"), who, {MyAttendance(): (MyCourse(1, "静心", 6, (over,)),)})
    tapped = answer(Tapped(said(claimed).choices[0].id, ""), who, {MyAttendance(): (MyCourse(1, "静心", 6, (over,)),)})
    assert ClaimMakeUp(11) in tapped.effects


def test_a_code_of_a_gathering_is_told_from_an_invitation() -> None:
    code = gathering_code(BIG)
    assert len(code) <= 64, "what a QR code of the platform holds"
    assert scanned_gathering(Scanned(code)) == BIG
    assert scanned_gathering(Followed(code)) == BIG
    assert scanned_gathering(Scanned("MORNING234")) == 0
    assert is_gathering_code(Scanned("attend.!"))
    assert not is_gathering_code(Wrote(code)), "typed it is nothing"
    stranger = Person(None, "zh", "Asia/Shanghai", ())
    assert not BOT.wants(Turn(Scanned(code), stranger, NOW))


def test_the_rule_is_three_of_four_where_a_course_has_none() -> None:
    assert (needed(None, 8, 8), needed(None, 2, 2), needed(None, 5, 5), needed(6, 8, 8)) == (6, 2, 4, 6)
    assert needed(6, 8, 5) == 5, "what was called off can be asked of nobody"


@pytest.mark.parametrize("refusal", ["role", "foreign", "early", "closed", "gone", "city", "there", "asked", "?"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_refusal_is_answered_in_words(refusal: str, language: str) -> None:
    turn = Turn(Wrote("签到"), person(Role.PARTICIPANT, language=language), NOW, refusal=refusal)
    given = BOT.answer(turn)
    assert isinstance(given, Answer)
    assert said(given).text


def test_it_speaks_first_of_make_ups_only() -> None:
    with pytest.raises(LookupError):
        BOT.compose(Occasion(OccasionKind.REMINDER, "zh", {}))
