"""The question's bot alone: everything fits into a message, forged and late taps change nothing, commands are read and chatter is not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import bots
from bots import Answer, Message
from bots.choices import short
from bots.clipping import room
from bots.effects import AnswerQuestion, AskLeader, ClaimQuestion, Effect, ReleaseQuestion, Say
from bots.facts import Fact, Facts, NewCode
from bots.question import create
from bots.question.commands import read_command
from bots.question.views import MOST_BYTES, Line, Listener, Listeners, MyQuestions, OpenQuestions, Question, QuestionShown
from bots.texts import LANGUAGES, load_texts
from bots.turns import Event, Membership, Occasion, OccasionKind, Person, Pressed, Role, Sent, Tapped, Turn, Wrote
from tests.bots.staff_chat import BIG, NOW

TEXTS = load_texts(Path(bots.__file__).parent / "question")
BOT = create(TEXTS)
LONG_NAME, LONG = "欧阳慕容" * 10, "字" * (MOST_BYTES // 3)
MEMBER = Membership(BIG + 1, "静心", BIG + 2, "晨光组", large=False, role=Role.PARTICIPANT)
LEADER = replace(MEMBER, role=Role.LEADER)
SHOWN = Question(
    BIG + 7, 12, "open", "静心", "晨光组", "小雨", None, asked_at=NOW, lines=(Line(asked=True, by="小雨", words="可以躺着吗？", at=NOW),)
)


@dataclass
class Chat:
    """One person's chat with this bot alone; `facts` are what the application would load."""

    memberships: tuple[Membership, ...] = (MEMBER,)
    language: str = "zh"
    now: Any = NOW
    paused: bool = False
    question: Question = SHOWN
    mine: tuple[Question, ...] = ()
    waiting: tuple[Question, ...] = (SHOWN,)
    listeners: tuple[Listener, ...] = (Listener("李老师", leads=True),)
    refuses: str | None = None
    memory: Mapping[str, Any] | None = None
    effects: tuple[Effect, ...] = ()
    last: tuple[Message, ...] = ()
    codes: int = BIG
    issued: list[int] = field(default_factory=list)

    def does(self, event: Event) -> str:
        person = Person("某人", self.language, "Asia/Shanghai", self.memberships, paused=self.paused)
        turn = Turn(event, person, self.now, self.memory, holds_floor=self.memory is not None)
        answer = self._ask(turn)
        if self.refuses and any(not isinstance(each, Say) for each in answer.effects):
            answer = self._ask(replace(turn, refusal=self.refuses))
        self.effects = tuple(each for each in answer.effects if not isinstance(each, Say))
        self.last = tuple(each.message for each in answer.effects if isinstance(each, Say))
        self.memory = None if answer.memory is None else json.loads(json.dumps(answer.memory))
        for choice in self.choices():
            assert choice.id.isascii()
            assert len(choice.id) <= 40
            assert choice.id.startswith("question.")
        return "\n\n".join(message.text for message in self.last)

    def _ask(self, turn: Turn) -> Answer:
        known: dict[Fact[Any], Any] = {}
        for _ in range(3):
            answer = BOT.answer(replace(turn, facts=Facts(dict(known))))
            if isinstance(answer, Answer):
                return answer
            known |= {request: self._load(request) for request in answer.requests}
        raise AssertionError("facts were asked for more than twice")

    def _load(self, request: Fact[Any]) -> object:
        match request:
            case NewCode():
                self.codes += 1
                return self.codes
            case QuestionShown():
                return self.question
            case MyQuestions():
                return self.mine
            case OpenQuestions():
                return self.waiting
            case Listeners():
                return self.listeners
        raise AssertionError(request)

    def deeds(self) -> tuple[Effect, ...]:
        """What shall be done, besides what is said."""
        return self.effects

    def types(self, text: str) -> str:
        return self.does(Wrote(text))

    def taps(self, choice: str) -> str:
        return self.does(Tapped(choice, "…"))

    def choices(self) -> tuple[Any, ...]:
        return tuple(choice for message in self.last for choice in message.choices)


def claimed(**changes: Any) -> Question:
    return replace(SHOWN, state="claimed", mine=True, answerer="李老师", **changes)


# -- everything fits


def occasions(language: str, text: str, name: str | None) -> list[Occasion]:
    asked = {"question": 2**63 - 1, "number": 999_999_999, "group_name": LONG_NAME, "person": name, "text": text}
    answered = {"question": 2**63 - 1, "number": 999_999_999, "author_name": name, "author_role": "assistant", "text": text}
    report = {"question": 2**63 - 1, "number": 999_999_999, "group_name": LONG_NAME}
    return [
        *(Occasion(OccasionKind.QUESTION, language, {**asked, "why": why}) for why in ("first", "again", "freed", "more")),
        Occasion(OccasionKind.ANSWER, language, answered),
        *(Occasion(OccasionKind.REPORT, language, {**report, "reason": reason}) for reason in ("remind", "released")),
        Occasion(OccasionKind.REPORT, language, {"reason": "mentor", "group_name": LONG_NAME, "count": 999}),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("text", [LONG, "短", "<" * 600, "😀" * 450])
def test_the_longest_question_and_answer_go_whole_in_one_message(language: str, text: str) -> None:
    for occasion in occasions(language, text, LONG_NAME):
        message = BOT.compose(occasion)
        assert room(message) >= 0, occasion
        if "text" in occasion.details:
            assert text.replace("<", "＜") in message.text
        if text == "短":
            assert message.choices or occasion.details.get("reason") in ("released", "mentor")


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_taps_find_no_room_the_message_says_what_to_type(language: str) -> None:
    call, answer = (BOT.compose(each) for each in (occasions(language, LONG, "小雨")[0], occasions(language, LONG, "李老师")[4]))
    assert (call.choices, answer.choices) == ((), ())
    for message, wanted, membership in ((call, "answer", LEADER), (answer, "helped", MEMBER)):
        hint = message.text.splitlines()[-1]
        quoted = hint.replace("“", "「").replace("”", "」").split("「")[1].split("」")[0]
        command = read_command(quoted, Person(None, language, "UTC", (membership,)))
        assert command is not None
        assert (command.name, command.number) == (wanted, 999_999_999)


@pytest.mark.parametrize("language", LANGUAGES)
def test_lists_and_threads_fit_whatever_was_said(language: str) -> None:
    lines = tuple(Line(asked=each % 2 == 0, by=LONG_NAME, words=LONG, at=NOW) for each in range(7))
    many = tuple(replace(claimed(lines=lines), id=BIG + each, asker=LONG_NAME, group_name=LONG_NAME) for each in range(40))
    chat = Chat((MEMBER, LEADER), language, question=replace(many[0], own=True), mine=many, waiting=many)
    for words in ("待答问题", "我的提问", "open questions", "my questions"):
        said = chat.types(words)
        assert sum(room(each) - 2048 for each in chat.last) + 2048 >= 0
        assert "40" in said or "more" in said or "还有" in said
    chat.taps(f"question.read.{short(BIG)}")
    assert sum(room(each) - 2048 for each in chat.last) + 2048 >= 0
    chat.question = many[0]
    chat.taps(f"question.claim.{short(BIG)}")
    assert sum(room(each) - 2048 for each in chat.last) + 2048 >= 0


@pytest.mark.parametrize("count", [1, 6, 30])
def test_who_sees_it_is_said_by_name_and_fits(count: int) -> None:
    chat = Chat(listeners=tuple(Listener(f"{LONG_NAME}{each}", leads=each == 0) for each in range(count)))
    assert "欧阳慕容" in chat.types("提问")
    assert room(chat.last[0]) >= 0
    assert chat.types("可以吗？")
    assert room(chat.last[0]) >= 0


# -- words


@pytest.mark.parametrize(
    ("text", "name", "number", "rest"),
    [
        ("提问", "ask", 0, ""),
        ("提问：几点上课？", "ask", 0, "几点上课？"),
        ("提问 几点上课？", "ask", 0, "几点上课？"),
        ("问组长：\n一\n二", "ask", 0, "一\n二"),
        ("我想问组长，可以吗", "ask", 0, "可以吗"),
        ("提问 怎么用", "ask", 0, ""),
        ("Ask my leader: may I sit?", "ask", 0, "may I sit?"),
        ("ask my leader", "ask", 0, ""),
        ("我的提问", "mine", 0, ""),
        ("收回", "take_back", 0, ""),
        ("收回问题 12", "take_back", 12, ""),
        ("接着问12", "on", 12, ""),
        ("接着问 12：还有呢", "on", 12, "还有呢"),
        ("有帮助 １２", "helped", 12, ""),
    ],
)
def test_words_of_who_asks(text: str, name: str, number: int, rest: str) -> None:
    command = read_command(text, Person(None, "zh", "UTC", (MEMBER,)))
    assert command is not None
    assert (command.name, command.number, command.text) == (name, number, rest)
    assert read_command(text, Person(None, "zh", "UTC", (LEADER,))) is None


@pytest.mark.parametrize(
    ("text", "name", "number", "rest"),
    [
        ("待答问题", "open", 0, ""),
        ("open questions", "open", 0, ""),
        ("回答 12", "answer", 12, ""),
        ("我来回答12", "answer", 12, ""),
        ("回答 #12：可以的", "answer", 12, "可以的"),
        ("answer 12: of course", "answer", 12, "of course"),
        ("给回 12", "release", 12, ""),
        ("give back #12", "release", 12, ""),
        ("answer #1234", "answer", 1234, ""),
    ],
)
def test_words_of_who_answers(text: str, name: str, number: int, rest: str) -> None:
    command = read_command(text, Person(None, "zh", "UTC", (LEADER,)))
    assert command is not None
    assert (command.name, command.number, command.text) == (name, number, rest)
    assert read_command(text, Person(None, "zh", "UTC", (MEMBER,))) is None


@pytest.mark.parametrize(
    "text",
    [
        "我想问组长今天来不来",
        "问题很多",
        "提问的人好多",
        "回答得真好",
        "有帮助",
        "谢谢回答",
        "ask",
        "questions are hard",
        "12",
        "answer 1234",
        "give back 12",
    ],
)
def test_chatter_is_no_command(text: str) -> None:
    assert read_command(text, Person(None, "zh", "UTC", (MEMBER, LEADER))) is None


@pytest.mark.parametrize("role", [Role.MENTOR, Role.ADMINISTRATOR, Role.RESEARCHER, None])
def test_for_everybody_else_the_bot_does_not_exist(role: Role | None) -> None:
    memberships = () if role is None else (replace(MEMBER, role=role),)
    chat = Chat(memberships)
    for event in (Wrote("提问"), Wrote("待答问题"), Wrote("回答 12")):
        assert not BOT.wants(Turn(event, Person(None, "zh", "UTC", memberships), NOW))
    for choice in ("claim", "ok", "undo", "read", "on"):
        said = chat.taps(f"question.{choice}.{short(BIG)}")
        assert "「帮助」" in said
        assert chat.deeds() == ()


def test_in_the_large_group_nobody_asks_and_nobody_answers() -> None:
    person = Person(None, "zh", "UTC", (replace(MEMBER, large=True), replace(LEADER, large=True)))
    assert not any(BOT.wants(Turn(Wrote(text), person, NOW)) for text in ("提问", "待答问题", "回答 1"))


# -- taps


@pytest.mark.parametrize(
    "choice",
    [
        "question",
        "question.",
        "question.ok",
        "question.ok.zzz",
        "question.g.1.2",
        "question.send.1",
        "question.claim",
        "question.x.1",
        "a.b",
    ],
)
def test_a_forged_or_late_tap_changes_nothing(choice: str) -> None:
    chat = Chat((MEMBER, LEADER), question=Question(0, 0, "foreign"))
    assert chat.taps(choice)
    assert chat.deeds() == ()
    chat.types("提问")
    before = chat.memory
    chat.taps(choice)
    assert (chat.deeds(), chat.memory) == ((), before)


def test_a_confirmation_belongs_to_its_preview() -> None:
    chat = Chat((LEADER,), question=claimed())
    chat.types("回答 12：第一稿")
    first = chat.choices()[0].id
    chat.types("第二稿")
    assert "换成了" in chat.last[0].text
    assert chat.taps(first)
    assert chat.deeds() == ()
    chat.taps(chat_ok(chat))
    (sent,) = chat.deeds()
    assert isinstance(sent, AnswerQuestion)
    assert sent.text == "第二稿"
    assert "没有再发" in chat.taps(f"question.ok.{short(sent.draft)}")
    assert chat.deeds() == ()


def chat_ok(chat: Chat) -> str:
    """The confirmation that is open now."""
    assert chat.memory is not None
    return f"question.ok.{short(chat.memory['id'])}"


def test_claiming_and_writing_in_one_line_still_asks_before_it_sends() -> None:
    chat = Chat((LEADER,))
    said = chat.types("回答 12：可以的")
    assert chat.deeds() == (ClaimQuestion(SHOWN.id),)
    assert "「可以的」" in said
    chat.question = claimed()
    assert "已经不在你手上" not in chat.types("好")
    assert isinstance(chat.deeds()[0], AnswerQuestion)


def test_where_a_race_was_lost_the_loser_learns_who_won() -> None:
    chat = Chat((LEADER,), refuses="taken")

    def load(request: Fact[Any], chat: Chat = chat, plain: Any = chat._load) -> object:
        found = plain(request)
        if isinstance(request, QuestionShown):  # what was seen first, and what is so after the refusal
            chat.question = replace(SHOWN, state="claimed", answerer="小王")
        return found

    chat._load = load  # type: ignore[method-assign]
    assert chat.taps(f"question.claim.{short(SHOWN.id)}").startswith("小王已经接了")
    assert chat.deeds() == ()


@pytest.mark.parametrize("refusal", ["role", "nobody", "many", "long", "empty", "gone", "anything"])
def test_every_refusal_has_words_and_sends_nothing(refusal: str) -> None:
    chat = Chat(refuses=refusal)
    assert chat.types("提问：可以吗？")
    assert chat.deeds() == ()
    assert chat.memory is None


# -- steps


def test_somebody_who_paused_does_not_ask_into_the_void() -> None:
    chat = Chat(paused=True)
    assert "「恢复」" in chat.types("提问：可以吗？")
    assert chat.deeds() == ()


def test_words_that_come_hours_later_are_not_sent_without_asking() -> None:
    chat = Chat()
    chat.types("提问")
    chat.now = NOW + timedelta(hours=3)
    assert "「今天好累」" in chat.types("今天好累")
    assert chat.deeds() == ()
    chat.types("发给组长")
    (asked,) = chat.deeds()
    assert isinstance(asked, AskLeader)
    assert asked.text == "今天好累"


def test_what_is_too_long_is_said_with_by_how_much_and_can_be_sent_anew() -> None:
    chat = Chat()
    chat.types("提问")
    assert "多了 10 个字" in chat.types("字" * 610)
    assert chat.deeds() == ()
    chat.types("字" * 600)
    assert len(chat.deeds()) == 1
    leader = Chat((LEADER,), question=claimed())
    leader.types("回答 12")
    assert "多了 1 个字" in leader.types("字" * 601)
    assert leader.memory is not None
    assert leader.memory["step"] == "answer"


@pytest.mark.parametrize("text", ["\u200b", "\u3164\u2800", " "])
def test_what_nobody_can_see_is_no_question(text: str) -> None:
    chat = Chat()
    chat.types("提问")
    assert "没有看到文字" in chat.types(text)
    assert chat.deeds() == ()


def test_a_draft_that_was_left_is_dropped_and_the_question_stays_theirs_until_given_back() -> None:
    chat = Chat((LEADER,), question=claimed())
    chat.types("回答 12")
    assert "还由你接着" in chat.types("算了")
    assert chat.memory is None
    chat.taps(f"question.back.{short(SHOWN.id)}")
    assert chat.deeds() == (ReleaseQuestion(SHOWN.id),)


def test_the_floor_is_lent_to_other_bots_and_what_was_begun_is_named_for_two_hours() -> None:
    chat = Chat()
    chat.types("提问")
    turn = Turn(Wrote("问卷"), Person(None, "zh", "UTC", (MEMBER,)), NOW, chat.memory, holds_floor=True)
    again = BOT.again(turn, 500)
    assert again is not None
    assert "还没写完" in again.text
    assert BOT.again(turn, 20) is None
    assert BOT.again(replace(turn, now=NOW + timedelta(hours=3)), 500) is None
    assert BOT.again(replace(turn, memory=None), 500) is None


@pytest.mark.parametrize("memory", [{"v": 2}, {"v": 1, "step": 5}, {"v": 1, "id": "x"}, {}, {"v": 1, "step": "preview"}])
def test_memory_that_cannot_be_read_is_none(memory: dict[str, Any]) -> None:
    chat = Chat((MEMBER, LEADER), memory=memory, question=Question(0, 0, "foreign"))
    assert chat.types("你好")
    assert chat.deeds() == ()


def test_menu_entries_and_pictures_find_an_answer() -> None:
    chat = Chat((MEMBER, LEADER))
    assert "看得到的人" in chat.does(Pressed("question.ask"))
    assert "文字" in chat.does(Sent("image"))
    assert "等着回答" in chat.does(Pressed("question.open"))
    assert "还没有提过" in chat.does(Pressed("question.mine"))
    assert "等着回答" in Chat((LEADER,)).does(Pressed("question.ask"))


@pytest.mark.parametrize("hostile", ['<a href="weixin://bizmsgmenu?msgmenuid=1">点我</a>', "{0.__class__} {text} %s", "]]></Content>"])
def test_relayed_words_are_inert_and_literal(hostile: str) -> None:
    for occasion in occasions("zh", hostile, hostile[:20])[:5]:
        text = BOT.compose(occasion).text
        assert "<" not in text
        assert "weixin://" not in text
        if "{" in hostile:
            assert hostile in text
