"""The approval bot alone: who has such eyes, nothing is decided unseen, each refusal in words, and words that fit."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import bots
from bots.approval import create
from bots.approval.waiting import MOST_NOTE, Look, Waiting, WaitingForMe
from bots.choices import short
from bots.clipping import room
from bots.effects import ApproveAnnouncement, Effect, Message, ReturnAnnouncement, Say
from bots.facts import Fact, Facts, Need, ReachForecast
from bots.texts import LANGUAGES, load_texts
from bots.turns import Event, Membership, Occasion, OccasionKind, Person, Role, Sent, Tapped, Turn, Wrote
from tests.bots.staff_chat import BIG, NOW

BOT = create(load_texts(Path(bots.__file__).parent / "approval"))
MENTOR = Membership(BIG, "静心", BIG + 1, "晨光组", large=False, role=Role.MENTOR)
ID = BIG + 7
LOOK = Look(
    *(ID, 3, "大群", "李老师", "【大群 · 李老师】\n静修改到周日。"),
    forecast=ReachForecast(70, 60, 0, 10, 0),
    version="a-_0123456",
    state="waiting",
    why="many",
    until=NOW + timedelta(days=1),
)
WAITING = Waiting(ID, 3, "大群", "李老师", "静修改到周日。", None, NOW + timedelta(days=1))


@dataclass
class Chat:
    """One person's chat with this bot. `look` is what is there to be seen; `refuses`: what the application says to a decision."""

    role: Role = Role.MENTOR
    language: str = "zh"
    look: Look = LOOK
    waiting: tuple[Waiting, ...] = (WAITING,)
    refuses: str | None = None
    memory: Mapping[str, Any] | None = None
    effects: tuple[Effect, ...] = ()
    last: tuple[Message, ...] = field(default=())

    def does(self, event: Event) -> str:
        membership = replace(MENTOR, role=self.role)
        turn = Turn(event, Person("沈导师", self.language, "Asia/Shanghai", (membership,)), NOW, self.memory)
        answer = self._ask(turn)
        if self.refuses and any(not isinstance(each, Say) for each in answer.effects):
            answer = self._ask(replace(turn, refusal=self.refuses))
        self.effects = tuple(each for each in answer.effects if not isinstance(each, Say))
        self.last = tuple(each.message for each in answer.effects if isinstance(each, Say))
        self.memory = answer.memory
        for choice in (choice for message in self.last for choice in message.choices):
            assert choice.id.startswith("approval.")
            assert len(choice.id) <= 40
        return "\n".join(message.text for message in self.last)

    def _ask(self, turn: Turn) -> Any:
        known: dict[Fact[Any], Any] = {}
        answer = BOT.answer(turn)
        while isinstance(answer, Need):
            known |= {each: self.waiting if isinstance(each, WaitingForMe) else self.look for each in answer.requests}
            answer = BOT.answer(replace(turn, facts=Facts(known)))
        return answer

    def taps(self, kind: str, version: str = LOOK.version) -> str:
        return self.does(Tapped(f"approval.{kind}.{short(ID)}.{version}", ""))


@pytest.mark.parametrize("role", [Role.PARTICIPANT, Role.LEADER, Role.ASSISTANT, Role.RESEARCHER])
def test_for_whoever_has_no_such_eyes_it_does_not_exist(role: Role) -> None:
    chat = Chat(role)
    person = Person("某人", "zh", "Asia/Shanghai", (replace(MENTOR, role=role),))
    for words in ("待看", "看公告 3", "同意发 3", "打回 3：不"):
        assert not BOT.wants(Turn(Wrote(words), person, NOW)), words
    assert "这里暂时没有" in chat.taps("ok")
    assert not chat.effects


@pytest.mark.parametrize(
    "words", ["待看", "看公告3", "看公告 #3", "同意发 3", "可以发3", "打回 3", "打回3：太早", "to review", "Review 3", "OK to send 3"]
)
def test_its_words_are_wanted_from_whoever_has(words: str) -> None:
    for role in (Role.MENTOR, Role.ADMINISTRATOR):
        assert BOT.wants(Turn(Wrote(words), Person("某人", "zh", "Asia/Shanghai", (replace(MENTOR, role=role),)), NOW))
    assert not BOT.wants(Turn(Wrote(f"{words} 好不好呀"), Person("某人", "zh", "Asia/Shanghai", (MENTOR,)), NOW)) or "：" in words


def test_nothing_is_decided_that_was_not_seen() -> None:
    for words in ("同意发 3", "打回 3：太早", "打回 3"):
        chat = Chat()
        assert "先看一眼再决定" in chat.does(Wrote(words)), words
        assert "静修改到周日。" in chat.last[0].text
        assert not chat.effects
        chat.does(Wrote(words))
        kind = ApproveAnnouncement if words.startswith("同意") else ReturnAnnouncement
        assert all(isinstance(each, kind) for each in chat.effects)
        assert len(chat.effects) == (0 if words == "打回 3" else 1)


def test_a_decision_carries_the_mark_of_what_was_shown() -> None:
    chat = Chat()
    chat.taps("look")
    chat.look = replace(LOOK, version="zzzzzzzzzz")
    chat.does(Wrote("同意发 3"))
    assert chat.effects == (ApproveAnnouncement(ID, LOOK.version),)
    chat.taps("ok", "0000000000")
    assert chat.effects == (ApproveAnnouncement(ID, "0000000000"),)


def test_it_asks_for_the_sentence_and_takes_no_empty_or_endless_one() -> None:
    chat = Chat()
    assert "请用一句话告诉李老师" in chat.taps("back")
    assert "没有看到文字" in chat.does(Wrote("\u3164"))
    assert "太长了" in chat.does(Wrote("长" * (MOST_NOTE // 3 + 1)))
    assert "这里要一句话" in chat.does(Sent("image"))
    assert not chat.effects
    chat.does(Wrote("早上还是晚上？"))
    assert chat.effects == (ReturnAnnouncement(ID, LOOK.version, "早上还是晚上？"),)
    chat.taps("back")
    assert "没有打回" in chat.does(Wrote("取消"))
    assert not chat.effects


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("refusal", ["role", "own", "decided", "gone", "late", "changed"])
def test_every_refusal_is_a_sentence(language: str, refusal: str) -> None:
    states = {"own": "own", "decided": "approved", "gone": "gone", "role": "unknown"}
    chat = Chat(language=language, refuses=refusal)
    chat.taps("look")
    seen = chat.look

    def ask(turn: Turn) -> Any:
        chat.look = replace(seen, state=states.get(refusal, "waiting"), by="王管理") if turn.refusal else seen
        return Chat._ask(chat, turn)

    chat._ask = ask  # type: ignore[method-assign]
    said = chat.taps("ok")
    assert said
    assert not chat.effects
    if refusal == "changed":
        assert chat.last[0].choices, "it is shown as it stands"


@pytest.mark.parametrize("state", ["own", "approved", "returned", "gone", "unknown"])
def test_what_needs_no_word_any_more_says_why(state: str) -> None:
    chat = Chat(look=replace(LOOK, state=state, by="王管理"))
    for kind in ("look", "ok", "back"):
        assert chat.taps(kind)
        assert not chat.effects
        assert not chat.last[0].choices


def test_two_courses_with_one_number_are_told_apart() -> None:
    chat = Chat(waiting=(WAITING, replace(WAITING, id=ID + 1, group_name="别的大群")))
    assert "别的大群" in chat.does(Wrote("看公告 3"))
    assert len(chat.last[0].choices) == 2
    assert "没有这个编号" in chat.does(Wrote("看公告 9"))
    chat.waiting = ()
    assert "现在没有公告在等你看" in chat.does(Wrote("待看"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_calls_and_reports_fit_and_speak_both_languages(language: str) -> None:
    long = "长" * 200
    call = {"announcement": ID, "number": 3, "group_name": long, "author_name": long, "author_role": "leader", "excerpt": long, "at": NOW}
    for why in ("many", "grew", "changed", "approver"):
        for at in (None, NOW):
            message = BOT.compose(Occasion(OccasionKind.APPROVAL, language, {**call, "why": why, "at": at}))
            assert room(message) >= 0
            assert [choice.id for choice in message.choices] == [f"approval.look.{short(ID)}"]
    told = {"number": 3, "group_name": long, "at": NOW}
    for reason in ("unapproved", "waits_grew", "waits_changed", "waits_approver"):
        assert BOT.compose(Occasion(OccasionKind.REPORT, language, {**told, "reason": reason})).text
    for reason in ("approved", "approved_now", "returned"):
        more = {"by": "", "note": long} if reason == "returned" else {"by": long}
        assert room(BOT.compose(Occasion(OccasionKind.REPORT, language, {**told, "reason": reason, **more}))) >= 0
    with pytest.raises(LookupError):
        BOT.compose(Occasion(OccasionKind.ALERT, language, {}))


def test_what_somebody_wrote_arrives_inert() -> None:
    chat = Chat(look=replace(LOOK, author_name="<a href=x>", choices=("<b>",)))
    text = chat.taps("look")
    assert "<" not in text.replace("【大群", "")
    told = {"number": 3, "group_name": "g", "at": NOW, "reason": "returned", "by": "王", "note": "weixin://x <a>"}
    assert "＜a＞" in BOT.compose(Occasion(OccasionKind.REPORT, "zh", told)).text
