"""Stop, resume, withdraw, help, crisis and alerts, played against the bot alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import bots.safety
from bots.clipping import room
from bots.effects import AcknowledgeFlag, Answer, Effect, Message, Pause, RaiseFlag, Resume, Say, Withdraw
from bots.facts import CourseResources, Facts, Need
from bots.safety import Safety, create
from bots.texts import load_texts
from bots.turns import Event, Left, Membership, Occasion, OccasionKind, Person, Pressed, Role, Scanned, Sent, Tapped, Turn, Wrote

NOW = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
MEMBER = (Membership(7, "正念自我关怀", 3, "晨光组", large=False, role=Role.PARTICIPANT),)
LEADER = (Membership(7, "正念自我关怀", 3, "晨光组", large=False, role=Role.LEADER),)
FLAG = 999_999_999  # the largest number that is taken for one


@pytest.fixture(scope="module")
def bot() -> Safety:
    return create(load_texts(Path(bots.safety.__file__).parent))


@dataclass
class Chat:
    """One person talking with the bot, which holds the floor whenever it remembers something."""

    bot: Safety
    person: Person = field(default_factory=lambda: Person("小雨", "zh", "Asia/Shanghai", MEMBER))
    now: datetime = NOW
    lines: str = ""
    memory: Mapping[str, Any] | None = None
    effects: tuple[Effect, ...] = ()
    said: Message = field(default_factory=lambda: Message(""))

    def turn(self, event: Event, refusal: str | None = None) -> Turn:
        return Turn(event, self.person, self.now, self.memory, self.memory is not None, refusal=refusal)

    def wants(self, event: Event) -> bool:
        return self.bot.wants(self.turn(event))

    def gets(self, event: Event, refusal: str | None = None) -> str:
        turn = self.turn(event, refusal)
        answer = self.bot.answer(turn)
        if isinstance(answer, Need):
            assert answer.requests == (CourseResources(),)
            answer = self.bot.answer(replace(turn, facts=Facts({CourseResources(): self.lines})))
        assert isinstance(answer, Answer)
        self.memory, self.effects = answer.memory, answer.effects
        self.said = next(effect.message for effect in answer.effects if isinstance(effect, Say))
        assert room(self.said) >= 0, f"too long for one message: {self.said.text}"
        assert all(len(each.id) <= 40 and each.id.isascii() and each.id.startswith("safety.") for each in self.said.choices)
        for effect in answer.effects:
            if isinstance(effect, Pause | Resume):
                self.person = replace(self.person, paused=isinstance(effect, Pause))
        return self.said.text

    def writes(self, text: str) -> str:
        assert self.wants(Wrote(text)) or self.memory is not None, f"nobody asked the safety bot about {text!r}"
        return self.gets(Wrote(text))

    def taps(self, label: str) -> str:
        choice = next(each for each in self.said.choices if each.label == label)
        assert self.wants(Tapped(choice.id, choice.label))
        return self.gets(Tapped(choice.id, choice.label))

    def labels(self) -> list[str]:
        return [each.label for each in self.said.choices]

    def did(self) -> list[Effect]:
        return [effect for effect in self.effects if not isinstance(effect, Say)]


@pytest.fixture
def chat(bot: Safety) -> Chat:
    return Chat(bot)


@pytest.mark.parametrize(
    "word", ["停", "停止", "停！", "别发了", "退订", "TD", "stop", "STOP.", "Unsubscribe", "ｓｔｏｐ", "不要再發了", " 停 "]
)
def test_a_stop_word_pauses_at_once_and_says_how_to_resume_and_to_leave(chat: Chat, word: str) -> None:
    text = chat.writes(word)
    assert chat.did() == [Pause()]
    assert "恢复" in text
    assert "退出课程" in text
    assert chat.labels() == ["恢复消息", "退出课程"]
    assert chat.memory is None


@pytest.mark.parametrize(
    "words",
    [
        "停不下来地想事情",
        "please stop the music before the bell",
        "公交停在门口",
        "今天暂停一次可以吗",
        "我不想退订报纸",
        "暂停",
        "T",
        "继续",
        "continue",
        "go on",
        "取消",
    ],
)
def test_sentences_and_words_of_others_are_not_taken(chat: Chat, words: str) -> None:
    assert not chat.wants(Wrote(words))


@pytest.mark.parametrize("word", ["继续", "恢复", "resume", "Continue", "恢復"])
def test_resume_words_count_only_while_paused(bot: Safety, word: str) -> None:
    assert not Chat(bot).wants(Wrote(word))
    chat = Chat(bot, Person("小雨", "zh", "Asia/Shanghai", MEMBER, paused=True))
    assert "欢迎回来" in chat.writes(word)
    assert chat.did() == [Resume()]


def test_stopping_twice_is_harmless_and_says_so(chat: Chat) -> None:
    chat.writes("停")
    assert "现在就是停着的" in chat.writes("停")


def test_a_late_tap_on_resume_changes_nothing(chat: Chat) -> None:
    assert "没有停" in chat.gets(Tapped("safety.resume", "恢复消息"))
    assert chat.did() == []


@pytest.mark.parametrize(
    "word", ["退出", "我要退出", "退出课程", "退出研究", "退课", "withdraw", "Quit the course", "quit", "我要退出！", "刪除我的答案"]
)
def test_withdrawing_pauses_at_once_and_asks_in_which_way(chat: Chat, word: str) -> None:
    chat.writes(word)
    assert chat.did() == [Pause()]
    assert chat.labels() == ["只退出", "退出并删除", "先不退出"]
    assert chat.memory is not None


@pytest.mark.parametrize(("label", "erase", "words"), [("只退出", False, "不带姓名"), ("退出并删除", True, "一并删除")])
def test_each_way_of_withdrawing_says_what_happens(chat: Chat, label: str, erase: bool, words: str) -> None:
    for reply in (chat.taps, chat.writes):
        chat.person, chat.memory = replace(chat.person, paused=False), None
        chat.writes("退出课程")
        assert words in reply(label)
        assert chat.did() == [Withdraw(erase_answers=erase)]
        assert chat.memory is None


@pytest.mark.parametrize("reply", ["3", "先不退出", "算了", "never mind", "③"])
def test_never_mind_brings_the_messages_back(chat: Chat, reply: str) -> None:
    chat.writes("退出课程")
    assert "一切照旧" in chat.writes(reply)
    assert chat.did() == [Resume()]
    assert not chat.person.paused


def test_never_mind_leaves_a_pause_that_was_there_before(chat: Chat) -> None:
    chat.writes("停")
    chat.writes("退出课程")
    chat.writes("我要退出")
    assert "还是停着的" in chat.taps("先不退出")
    assert chat.did() == []
    assert chat.person.paused


def test_resuming_answers_the_question_too(chat: Chat) -> None:
    chat.writes("退出课程")
    chat.writes("恢复")
    assert chat.did() == [Resume()]
    assert chat.memory is None


@pytest.mark.parametrize("other", ["今天天气不错", "停", "7"])
def test_other_words_never_decide_a_withdrawal(chat: Chat, other: str) -> None:
    chat.writes("退出课程")
    assert not chat.wants(Wrote(other))
    assert "还差你的一个选择" in chat.gets(Wrote(other))
    assert chat.did() == []
    assert "先放下" in chat.gets(Wrote(other))
    assert chat.did() == []
    assert chat.memory is None


def test_a_picture_does_not_decide_a_withdrawal_either(chat: Chat) -> None:
    chat.writes("退出课程")
    assert "还差你的一个选择" in chat.gets(Sent("image"))


def test_a_late_tap_never_deletes_but_asks_once_more(chat: Chat) -> None:
    chat.writes("退出课程")
    erase = chat.said.choices[1]
    chat.writes("算了")
    chat.now += timedelta(days=7)
    assert "再确认一次" in chat.gets(Tapped(erase.id, erase.label))
    assert chat.did() == []
    assert "一并删除" in chat.taps("退出并删除")
    assert chat.did() == [Withdraw(erase_answers=True)]


def test_a_typed_answer_after_a_day_is_asked_once_more(chat: Chat) -> None:
    chat.writes("退出课程")
    chat.now += timedelta(hours=25)
    assert "再确认一次" in chat.writes("2")
    assert chat.did() == []


def test_a_tap_of_an_earlier_question_does_not_answer_the_later_one(chat: Chat) -> None:
    chat.writes("退出课程")
    erase = chat.said.choices[1]
    chat.now += timedelta(minutes=5)
    chat.writes("退出课程")
    chat.gets(Tapped(erase.id, erase.label))
    assert chat.did() == []


def test_numbers_belong_to_others_while_no_question_is_open(chat: Chat) -> None:
    assert not any(chat.wants(Wrote(words)) for words in ("1", "2", "3", "删除", "算了", "no"))


def test_quit_alone_means_the_course_only_for_who_is_in_one(bot: Safety) -> None:
    stranger = Chat(bot, Person(None, "zh", "Asia/Shanghai"))
    assert not stranger.wants(Wrote("退出"))
    assert stranger.wants(Wrote("删除我的数据"))


@pytest.mark.parametrize("word", ["帮助", "help", "?", "？", "菜单", "Help!", "幫助"])
def test_help_tells_what_can_be_typed_and_who_can_be_called(chat: Chat, word: str) -> None:
    text = chat.writes(word)
    assert "停" in text
    assert "退出课程" in text
    assert "12356" in text
    assert "公告" not in text
    assert chat.memory is None


def test_help_for_leaders_knows_announcements_and_for_strangers_the_code(bot: Safety) -> None:
    text = Chat(bot, Person("李老师", "zh", "Asia/Shanghai", LEADER)).writes("帮助")
    assert text.index("· 公告：") < text.index("· 列表：") < text.index("· 谁收到了：") < text.index("· 停：")
    assert "邀请码" in Chat(bot, Person(None, "zh", "Asia/Shanghai")).writes("帮助")


def test_help_in_the_menu_and_in_the_middle_keeps_the_open_question(chat: Chat) -> None:
    assert chat.wants(Pressed("safety.help"))
    chat.writes("退出课程")
    chat.gets(Pressed("safety.help"))
    assert chat.memory is not None
    chat.writes("1")
    assert chat.did() == [Withdraw(erase_answers=False)]


@pytest.mark.parametrize(
    "event", [Left(), Scanned("x"), Sent("image"), Pressed("staff.list"), Tapped("onboarding.consent.yes.X", "同意"), Wrote("你好")]
)
def test_what_is_not_its_own_is_left_alone(chat: Chat, event: Event) -> None:
    assert not chat.wants(event)


@pytest.mark.parametrize("event", [Wrote("我不想活了"), Tapped("questionnaire.7.3", "我想自杀")])
def test_crisis_words_bring_people_to_talk_to_and_a_flag_in_one_answer(chat: Chat, event: Event) -> None:
    assert chat.wants(event)
    text = chat.gets(event)
    assert [type(effect) for effect in chat.effects] == [Say, RaiseFlag]
    assert "12356" in text
    assert "120" in text
    assert "没有人一直看着" in text
    assert "已经转告" in text
    assert chat.memory is None


@pytest.mark.parametrize("roles", [(), MEMBER, LEADER])
@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_crisis_words_are_heard_from_everybody_in_every_state(
    bot: Safety, roles: tuple[Membership, ...], paused: bool, language: str
) -> None:
    for memory in (None, {"v": 1, "asked": 1, "was_paused": False, "repeated": False}, {"v": 9}):
        chat = Chat(bot, Person(None, language, "Asia/Shanghai", roles, paused=paused), memory=memory)
        text = chat.writes("我想自杀")
        assert chat.did() == [RaiseFlag("suicide")]
        assert all(number in text for number in ("12356", "010-82951332", "400-161-9995", "120", "110"))


def test_the_courses_own_lines_are_shown_instead_of_the_shipped_ones(chat: Chat) -> None:
    chat.lines = "校心理中心 010-00000000"
    text = chat.writes("我想自杀")
    assert "校心理中心" in text
    assert "12356" not in text
    assert "120" in text


def test_lines_that_are_too_long_are_shortened_and_never_the_rest(bot: Safety) -> None:
    for language in ("zh", "en"):
        chat = Chat(bot, Person("李老师", language, "Asia/Shanghai", LEADER), lines="<a href='weixin://x'>很长的热线说明</a>" * 200)
        text = chat.writes("我想自杀")
        assert "<" not in text
        assert text.rstrip().endswith(("）", ")"))
        chat.writes("help")


def test_a_leader_who_drafts_about_crisis_is_told_that_nothing_was_sent(bot: Safety) -> None:
    assert "没有放进公告" in Chat(bot, Person("李老师", "zh", "Asia/Shanghai", LEADER)).writes("有人说想自杀，大家多关心")
    assert "公告" not in Chat(bot).writes("我想自杀")


def test_an_on_call_person_takes_over_by_tap_and_by_typing(chat: Chat) -> None:
    for event in (Tapped(f"safety.take.{FLAG}", "我来跟进"), Wrote(f"我来跟进 {FLAG}"), Wrote(f"跟进{FLAG}"), Wrote(f"Take #{FLAG}")):
        assert chat.wants(event)
        assert "由你跟进" in chat.gets(event)
        assert chat.did() == [AcknowledgeFlag(FLAG)]


@pytest.mark.parametrize("event", [Tapped(f"safety.take.{FLAG}", "我来跟进"), Wrote("我来跟进 12")])
def test_a_flag_of_others_is_refused_in_words(chat: Chat, event: Event) -> None:
    assert "不在你的值班范围" in chat.gets(event, refusal="foreign")
    assert chat.did() == []


def test_a_flag_that_somebody_else_has_taken_is_said_to_be_taken(chat: Chat) -> None:
    assert "已经有值班的同事在跟进" in chat.gets(Tapped(f"safety.take.{FLAG}", "我来跟进"), refusal="taken")
    assert chat.did() == []


@pytest.mark.parametrize(
    "event", [Wrote("我来跟进"), Wrote(f"我来跟进 {FLAG + 1}"), Tapped("safety.take.x1", "我来跟进"), Tapped("safety.take", "我来跟进")]
)
def test_taking_over_without_a_number_is_answered_with_how(chat: Chat, event: Event) -> None:
    assert "编号" in chat.gets(event)
    assert chat.did() == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_alert_names_person_rule_time_and_step_and_can_be_taken(bot: Safety, language: str) -> None:
    details = {"flag": FLAG, "course": "正念自我关怀", "person": "小雨", "rule": "not_living", "at": NOW, "step": 2}
    message = bot.compose(Occasion(OccasionKind.ALERT, language, details))
    assert all(words in message.text for words in ("正念自我关怀", "小雨", "19:00", str(FLAG), "2"))
    assert ("不想活下去" if language == "zh" else "not wanting to live") in message.text
    assert [choice.id for choice in message.choices] == [f"safety.take.{FLAG}"]
    assert len(message.choices[0].id) <= 40
    assert room(message) >= 0


def test_an_alert_stays_whole_with_hostile_long_or_missing_details(bot: Safety) -> None:
    evil = "<a href='weixin://bizmsgmenu'>点</a>" * 50
    for name, course in ((evil, evil), (None, None)):
        message = bot.compose(
            Occasion(OccasionKind.ALERT, "zh", {"flag": 1, "course": course, "person": name, "rule": "gone", "at": NOW, "step": 1})
        )
        assert "<" not in message.text
        assert "weixin://" not in message.text
        assert "危险的信号" in message.text
        assert room(message) >= 0


def test_it_has_words_for_alerts_only(bot: Safety) -> None:
    with pytest.raises(LookupError):
        bot.compose(Occasion(OccasionKind.REPORT, "zh", {}))
