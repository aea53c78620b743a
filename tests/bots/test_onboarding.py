"""Onboarding from the scan to the seat in a group: codes, steps, ends, late taps, played against the bot alone."""

from dataclasses import replace
from pathlib import Path

import pytest

import bots.onboarding
from bots.effects import Consent, CountGuess, Join, NamePerson, Screen
from bots.facts import InvitationFound, InvitationState
from bots.onboarding import Onboarding, create
from bots.texts import load_texts
from bots.turns import (
    Event,
    Followed,
    Left,
    Person,
    Pressed,
    Scanned,
    Sent,
    Tapped,
    Turn,
    Wrote,
)
from tests.bots.onboarding_chat import CODE, MEMBER, NOW, OPEN, OTHER, Chat


@pytest.fixture(scope="module")
def bot() -> Onboarding:
    return create(load_texts(Path(bots.onboarding.__file__).parent))


@pytest.fixture
def chat(bot: Onboarding) -> Chat:
    return Chat(bot)


def test_a_scan_leads_by_taps_into_the_group(chat: Chat) -> None:
    welcome = chat.gets(Followed(CODE))
    assert "正念自我关怀" in welcome
    assert "晨光组" in welcome
    assert "李老师" in welcome
    assert "自动回复" in welcome
    assert chat.labels() == ["开始", "以后再说", "English"]
    assert "版本 2" in chat.taps("开始")
    assert "示范文本" in chat.said.text
    assert chat.labels() == ["同意", "不同意", "再想想"]
    assert "问卷" in chat.taps("同意")
    assert "八周" in chat.taps("愿意")
    assert "称呼" in chat.taps("能")
    done = chat.writes("小雨")
    assert chat.did() == [
        Consent(7, "2", ("questionnaires", "finish")),
        NamePerson("小雨"),
        Screen(7, included=True, source="qr"),
        Join(CODE),
    ]
    assert "小雨" in done
    assert "「停」" in done
    assert "回我一个字" not in done, "the typed name has opened the 48 hours"
    assert chat.memory is None


def test_nothing_is_stored_before_the_last_answer(chat: Chat) -> None:
    chat.gets(Scanned(CODE))
    for label in ("开始", "同意", "愿意", "能"):
        assert chat.did() == []
        chat.taps(label)
    assert chat.did() == []


@pytest.mark.parametrize(
    "words",
    [
        ("好", "同意", "愿意", "能"),
        ("1", "1", "1", "1"),
        ("开始", "我同意", "可以", "没问题"),
        ("①", "选1", "第一个", "１"),
        ("ok", "agree", "yes", "i can"),
    ],
)
def test_every_choice_can_be_typed(chat: Chat, words: tuple[str, ...]) -> None:
    chat.gets(Scanned(CODE))
    for each in words:
        chat.writes(each)
    chat.writes("我叫小雨。")
    assert NamePerson("小雨") in chat.did()
    assert Join(CODE) in chat.did()


@pytest.mark.parametrize(
    "typed",
    [
        "MRNNG23456",
        "mrnng23456",
        "mrnng-23456",
        "MRN NG2 3456",
        "ＭＲＮＮＧ２３４５６",
        "加入 mrnng23456",
        "Join MRNNG-23456",
        "邀请码：mrnng23456",
        "我的是",
    ],
)
def test_a_typed_code_is_recognised_in_any_dress(bot: Onboarding, chat: Chat, typed: str) -> None:
    wanted = bot.wants(Turn(Wrote(typed), chat.person, NOW))
    assert wanted is (typed != "我的是")
    if wanted:
        assert "晨光组" in chat.writes(typed)


@pytest.mark.parametrize(
    "words",
    ["你好", "今天练习了", "afterwards", "3425234253", "13912345678", "加入我们吧", "join us tomorrow", "we met at 9 2 2 3", "停", "帮助"],
)
def test_ordinary_words_of_a_member_are_left_to_others(bot: Onboarding, words: str) -> None:
    member = Person("小雨", "zh", "Asia/Shanghai", MEMBER)
    assert not bot.wants(Turn(Wrote(words), member, NOW))


def test_a_code_of_letters_only_is_recognised_where_it_cannot_be_a_word(bot: Onboarding, chat: Chat) -> None:
    member = Person("小雨", "zh", "Asia/Shanghai", MEMBER)
    assert bot.wants(Turn(Wrote("BCDFG-HJKMN"), member, NOW))
    assert bot.wants(Turn(Wrote("bcdfghjkmn"), chat.person, NOW))
    assert not bot.wants(Turn(Wrote("bcdfghjkmn"), member, NOW))


def test_it_wants_follows_scans_languages_and_its_own_entries_only(bot: Onboarding, chat: Chat) -> None:
    def wants(*events: Event) -> set[bool]:
        return {bot.wants(Turn(event, chat.person, NOW)) for event in events}

    ours = (Followed(), Scanned("x"), Wrote("English"), Wrote("中文"), Pressed("onboarding.where"), Tapped("onboarding.staff.yes.X", ""))
    assert wants(*ours) == {True}
    assert wants(Left(), Sent("image"), Pressed("staff.list"), Tapped("safety.resume", "恢复")) == {False}


def test_a_follow_without_a_code_explains_how_to_enter_one(chat: Chat) -> None:
    assert "邀请码" in chat.gets(Followed())
    assert chat.labels() == ["English"]
    assert chat.memory is None


def test_a_member_who_follows_again_is_welcomed_back(bot: Onboarding) -> None:
    chat = Chat(bot, Person("小雨", "zh", "Asia/Shanghai", MEMBER))
    text = chat.gets(Followed())
    assert "欢迎回来" in text
    assert "正念自我关怀：晨光组（学员）" in text


def test_the_wish_to_join_without_a_code_is_answered_with_the_question_for_it(bot: Onboarding, chat: Chat) -> None:
    assert bot.wants(Turn(Wrote("加入"), chat.person, NOW))
    assert "邀请码" in chat.writes("加入")
    assert chat.memory is None


@pytest.mark.parametrize("state", [InvitationState.UNKNOWN, InvitationState.USED, InvitationState.EXPIRED])
def test_a_typed_code_that_leads_nowhere_gets_one_generic_answer_and_is_counted(chat: Chat, state: InvitationState) -> None:
    generic = chat.writes("AAAAA22222")
    chat.invitations["BBBBB22222"] = InvitationFound(state)
    assert chat.writes("BBBBB22222") == generic
    assert chat.did() == [CountGuess()]
    assert chat.memory is None


def test_guessing_gets_the_same_answer_and_is_not_counted_further(chat: Chat) -> None:
    generic = chat.writes("AAAAA22222")
    chat.invitations["BBBBB22222"] = InvitationFound(InvitationState.GUESSING)
    assert chat.writes("BBBBB22222") == generic
    assert chat.did() == []


@pytest.mark.parametrize("state", [InvitationState.UNKNOWN, InvitationState.USED, InvitationState.EXPIRED])
def test_a_scanned_code_that_leads_nowhere_is_no_guess(chat: Chat, state: InvitationState) -> None:
    chat.invitations[OTHER] = InvitationFound(state)
    assert "新的二维码" in chat.gets(Scanned(OTHER))
    assert chat.did() == []


@pytest.mark.parametrize(
    ("state", "words"), [(InvitationState.FULL, "满了"), (InvitationState.CLOSED, "停止报名"), (InvitationState.JOINED, "已经在「晨光组」")]
)
@pytest.mark.parametrize("event", [Scanned(CODE), Wrote(CODE), Followed(CODE)])
def test_full_closed_and_joined_are_said_plainly(chat: Chat, state: InvitationState, words: str, event: Event) -> None:
    chat.invitations[CODE] = replace(OPEN, state=state)
    assert words in chat.gets(event)
    assert chat.did() == []


@pytest.mark.parametrize(
    ("taps", "why"),
    [
        (["开始", "不同意"], "declined"),
        (["开始", "同意", "不愿意"], "no questionnaires"),
        (["开始", "同意", "愿意", "恐怕不能"], "no time"),
    ],
)
def test_who_declines_is_recorded_with_the_reason_and_told_how_to_come_back(chat: Chat, taps: list[str], why: str) -> None:
    chat.gets(Scanned(CODE))
    for label in taps:
        text = chat.taps(label)
    assert chat.did() == [Screen(7, included=False, why=why, source="qr")]
    assert "再扫一次二维码" in text
    assert chat.memory is None
    assert "欢迎" in chat.gets(Scanned(CODE))


@pytest.mark.parametrize("path", [["以后再说"], ["开始", "再想想"]])
def test_who_wants_to_think_is_not_recorded_as_declined(chat: Chat, path: list[str]) -> None:
    chat.gets(Scanned(CODE))
    for label in path:
        text = chat.taps(label)
    assert chat.did() == []
    assert "慢慢想" in text
    assert chat.memory is None


@pytest.mark.parametrize("word", ["取消", "cancel", "退出"])
def test_cancel_ends_the_dialogue_and_stores_nothing(chat: Chat, word: str) -> None:
    chat.until_name()
    assert "什么都没有提交" in chat.writes(word)
    assert chat.did() == []
    assert chat.memory is None


def test_back_leads_to_the_step_before_and_no_further_than_the_first(chat: Chat) -> None:
    chat.until_name()
    assert "按时完成" in chat.writes("返回")
    assert "问卷" in chat.writes("back")
    assert "参与说明" in chat.writes("上一步")
    assert "正念自我关怀" in chat.writes("返回")
    assert chat.labels()[0] == "开始"
    chat.writes("返回")
    assert chat.labels()[0] == "开始"


def test_a_late_tap_of_an_older_step_shows_the_current_question(chat: Chat) -> None:
    chat.gets(Scanned(CODE))
    chat.taps("开始")
    agree, disagree = (each for each in chat.said.choices if each.label in ("同意", "不同意"))
    chat.taps("同意")
    for late in (disagree, agree):
        assert "之前的一步" in chat.gets(Tapped(late.id, late.label))
        assert chat.labels() == ["愿意", "不愿意"]
        assert chat.did() == []


def test_a_tap_on_a_choice_that_a_step_does_not_have_changes_nothing(chat: Chat) -> None:
    chat.gets(Scanned(CODE))
    before = chat.memory
    chat.gets(Tapped(f"onboarding.welcome.finish.{CODE}", "开始"))
    assert chat.memory == before
    assert chat.did() == []


def test_a_tap_after_the_dialogue_was_left_begins_it_again(chat: Chat) -> None:
    chat.gets(Scanned(CODE))
    chat.taps("开始")
    agree = chat.said.choices[0]
    chat.taps("再想想")
    assert "欢迎" in chat.gets(Tapped(agree.id, agree.label))
    assert chat.labels()[0] == "开始"
    assert chat.did() == []


def test_a_tap_after_joining_says_that_the_person_is_in(chat: Chat) -> None:
    chat.until_name()
    able = Tapped(f"onboarding.able.yes.{CODE}", "能")
    chat.writes("小雨")
    chat.invitations[CODE] = replace(OPEN, state=InvitationState.JOINED)
    assert "已经在「晨光组」" in chat.gets(able)
    assert chat.did() == []


def test_scanning_the_same_code_in_the_middle_goes_on(chat: Chat) -> None:
    chat.gets(Scanned(CODE))
    chat.taps("开始")
    chat.taps("同意")
    assert "我们接着来" in chat.gets(Scanned(CODE))
    assert chat.labels() == ["愿意", "不愿意"]


def test_scanning_another_code_in_the_middle_begins_with_that_one(chat: Chat) -> None:
    chat.invitations[OTHER] = replace(OPEN, code=OTHER, group=4, group_name="晚风组")
    chat.until_name()
    assert "晚风组" in chat.gets(Scanned(OTHER))
    chat.taps("开始")
    chat.taps("同意")
    chat.taps("愿意")
    chat.taps("能")
    chat.writes("小雨")
    assert Join(OTHER) in chat.did()


def test_a_wrong_code_in_the_middle_does_not_lose_the_place(chat: Chat) -> None:
    chat.gets(Scanned(CODE))
    chat.taps("开始")
    chat.writes("AAAAA22222")
    assert chat.did() == [CountGuess()]
    assert "问卷" in chat.writes("同意")


def test_a_picture_in_the_middle_is_answered_with_the_question(chat: Chat) -> None:
    chat.until_name()
    text = chat.gets(Sent("image"))
    assert "只看得懂文字" in text
    assert "称呼" in text


def test_words_that_are_no_answer_bring_the_question_again(chat: Chat) -> None:
    chat.gets(Scanned(CODE))
    text = chat.writes("什么时候开课呀")
    assert "写「取消」" in text
    assert chat.labels()[0] == "开始"


def test_an_invitation_that_closes_in_the_middle_is_said_at_the_next_answer(chat: Chat) -> None:
    chat.gets(Scanned(CODE))
    chat.invitations[CODE] = replace(OPEN, state=InvitationState.CLOSED)
    assert "停止报名" in chat.taps("开始")
    assert chat.memory is None
