"""The prompts' bot alone: what is asked, what is refused, late taps, two courses, long texts, and what no words may ever do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bots
from bots import Answer, Need
from bots.clipping import room, size
from bots.effects import CancelPrompt, ChangePrompt, Choice, Effect, Message, PausePrompt, PlanPrompt, Say
from bots.facts import Fact, Facts, NewCode, Reach, ReachForecast
from bots.prompt import create
from bots.prompt.commands import read_command
from bots.prompt.draft import Draft, read_draft, written
from bots.prompt.plans import Calendar, Calendars, Prompts, PromptView
from bots.recurrence import Rule
from bots.texts import MOST_BYTES, load_texts
from bots.turns import Event, Membership, Occasion, OccasionKind, Person, Pressed, Role, Sent, Tapped, Turn, Wrote
from tests.bots.staff_chat import APART, BIG, NOW, ONE, TWO, group

TEXTS = load_texts(Path(bots.__file__).parent / "prompt")
BOT = create(TEXTS)
MONDAY = date(2026, 11, 23)
CALENDARS = tuple(Calendar(BIG + course, "Asia/Shanghai", MONDAY) for course in (1, 2))


def view(number: int, **other: Any) -> PromptView:
    """A prompt of the first group that runs each evening."""
    given: dict[str, Any] = {
        "id": BIG + 100 + number,
        "number": number,
        "version": 3,
        "course": BIG + 1,
        "groups": ((BIG + 1, "晨光组"),),
        "others": 0,
    }
    given |= {"text": "一起坐一会儿。", "rule": Rule(time(20, 0)), "until": date(2027, 1, 17), "zone": "Asia/Shanghai"}
    return PromptView(**(given | {"next_at": NOW + timedelta(hours=1), "state": "running"} | other))


@dataclass
class Chat:
    """One person's chat with this bot alone."""

    memberships: tuple[Membership, ...] = ONE
    language: str = "zh"
    zone: str = "Asia/Shanghai"
    name: str | None = "李老师"
    now: datetime = NOW
    calendars: tuple[Calendar, ...] = CALENDARS
    prompts: tuple[PromptView, ...] = ()
    forecast: ReachForecast = field(default_factory=lambda: ReachForecast(3, 2, 0, 1, 0))
    refuses: str | None = None
    memory: Mapping[str, Any] | None = None
    effects: tuple[Effect, ...] = ()
    last: tuple[Message, ...] = ()
    codes: int = BIG

    def does(self, event: Event) -> str:
        turn = Turn(event, Person(self.name, self.language, self.zone, self.memberships), self.now, self.memory)
        answer = self._ask(turn)
        if self.refuses and any(not isinstance(each, Say) for each in answer.effects):
            answer = self._ask(replace(turn, refusal=self.refuses))
        self.effects = tuple(each for each in answer.effects if not isinstance(each, Say))
        self.last = tuple(each.message for each in answer.effects if isinstance(each, Say))
        assert sum(room(each) - MOST_BYTES for each in self.last) + MOST_BYTES >= 0, "the answer does not fit into one message"
        self.memory = None if answer.memory is None else json.loads(json.dumps(answer.memory))
        for choice in self.choices():
            assert choice.id.isascii()
            assert len(choice.id) <= 40
            assert choice.id.startswith("prompt.")
        return self.text()

    def _ask(self, turn: Turn) -> Answer:
        known: dict[Fact[Any], Any] = {}
        for _ in range(3):
            answer = BOT.answer(replace(turn, facts=Facts(dict(known))))
            if isinstance(answer, Answer):
                return answer
            assert isinstance(answer, Need)
            assert not set(answer.requests) & set(known), "a fact was asked for twice"
            known |= {request: self._load(request) for request in answer.requests}
        raise AssertionError("facts were asked for more than twice")

    def _load(self, request: Fact[Any]) -> object:
        if isinstance(request, NewCode):
            self.codes += 1
            return self.codes
        if isinstance(request, Reach):
            return replace(self.forecast, at=request.at)
        courses = {each.course for each in self.memberships}
        own = tuple(each for each in self.calendars if each.course in courses)
        return {Calendars: own, Prompts: self.prompts}[type(request)]

    def types(self, *texts: str) -> str:
        for text in texts:
            self.does(Wrote(text))
        return self.text()

    def taps(self, label: str) -> str:
        return self.does(Tapped(self.id_of(label), label))

    def id_of(self, label: str) -> str:
        return next(choice.id for choice in self.choices() if choice.label == label)

    def choices(self) -> tuple[Choice, ...]:
        return tuple(choice for message in self.last for choice in message.choices)

    def labels(self) -> list[str]:
        return [choice.label for choice in self.choices()]

    def text(self) -> str:
        return "\n\n".join(message.text for message in self.last)

    def to_preview(self, text: str = "一起坐一会儿。", when: str = "每天 20:00") -> "Chat":
        self.types("练习提醒", text, when)
        assert "确认" in self.labels(), self.text()
        return self


def test_the_way_to_a_prompt_ends_in_one_effect() -> None:
    chat = Chat().to_preview("{name}，晚安。", "每周一三 20:00 到12月20日")
    chat.taps("确认")
    (planned,) = chat.effects
    assert isinstance(planned, PlanPrompt)
    assert (planned.groups, planned.text) == ((BIG + 1,), "{name}，晚安。")
    assert (planned.rule, planned.until) == (Rule(time(20, 0), weekdays=(0, 2)), date(2026, 12, 20))
    assert chat.memory == {"v": 1, "course": BIG + 1, "done": planned.draft, "touched": int(NOW.timestamp())}


def test_a_late_tap_on_an_older_preview_plans_nothing() -> None:
    chat = Chat().to_preview()
    old = chat.id_of("确认")
    chat.types("每天 21:00")
    assert "已经失效" in chat.does(Tapped(old, "确认"))
    assert not chat.effects
    fresh = chat.id_of("确认")
    chat.does(Tapped(fresh, "确认"))
    assert len(chat.effects) == 1
    assert "已经确认过" in chat.does(Tapped(fresh, "确认"))
    assert not chat.effects


@pytest.mark.parametrize(
    "choice", ["prompt.ok.zzz", "prompt.ok.", "prompt.at.1.99", "prompt.g.0.0", "prompt.pause.zz", "prompt.nothing", "prompt."]
)
def test_forged_choices_change_nothing(choice: str) -> None:
    for chat in (Chat(), Chat().to_preview()):
        chat.does(Tapped(choice, "x"))
        assert not chat.effects


def test_a_preview_older_than_ten_minutes_is_shown_again() -> None:
    chat = Chat().to_preview()
    chat.now += timedelta(minutes=11)
    assert "超过 10 分钟" in chat.taps("确认")
    assert not chat.effects
    chat.taps("确认")
    assert len(chat.effects) == 1


def test_a_moment_that_passed_while_the_preview_stood_is_not_planned() -> None:
    chat = Chat().to_preview(when="今晚 20:00")
    chat.now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    chat.memory = dict(chat.memory or {}) | {"shown": int(chat.now.timestamp())}
    assert "已经过去" in chat.taps("确认")
    assert not chat.effects


def test_a_draft_that_rested_is_not_taken_up_by_chance_words() -> None:
    chat = Chat()
    chat.types("练习提醒")
    chat.now += timedelta(hours=3)
    assert "放了两个多小时" in chat.types("今天天气不错")
    assert "什么时候发" in chat.types("今天天气不错")


def test_two_courses_are_asked_once_and_remembered_for_the_day() -> None:
    chat = Chat(APART)
    assert "几门课程" in chat.types("练习提醒")
    chat.taps("课程2")
    assert "课程：课程2" in chat.text()
    chat.types("晚安", "每天 20:00")
    assert chat.text().startswith("发给晚霞组，")
    chat.taps("确认")
    assert "课程：课程2" in chat.types("练习提醒")
    assert "几门课程" in chat.types("换课程")
    chat.taps("课程1")
    assert "课程：课程1" in chat.text()
    chat.now += timedelta(days=1)
    assert "几门课程" in chat.types("取消", "练习提醒")


@pytest.mark.parametrize(
    ("typed", "groups"),
    [
        ("1", [1]),
        ("1 2", [1, 2]),
        ("晨光组、晚霞组", [1, 2]),
        ("2和1", [2, 1]),
        ("晚霞", [2]),
        ("全部", [1, 2]),
        ("1 1", [1]),
        ("晨光组 和 2", [1, 2]),
    ],
)
def test_groups_are_tapped_typed_by_name_or_by_number(typed: str, groups: list[int]) -> None:
    chat = Chat(TWO)
    chat.types("练习提醒", "晚安", typed, "每天 20:00")
    chat.taps("确认")
    (planned,) = chat.effects
    assert isinstance(planned, PlanPrompt)
    assert planned.groups == tuple(BIG + each for each in groups)


@pytest.mark.parametrize("typed", ["9", "1 9", "组", "晨光组 没有组", "0", "²"])
def test_groups_that_are_not_clear_are_asked_again(typed: str) -> None:
    chat = Chat(TWO)
    assert "没有找到这个组" in chat.types("练习提醒", "晚安", typed)
    assert chat.labels()[:2] == ["晨光组", "晚霞组"]


def test_other_groups_may_be_chosen_at_the_preview() -> None:
    chat = Chat(TWO)
    chat.types("练习提醒", "晚安", "1", "每天 20:00", "换组", "2")
    assert chat.text().startswith("发给晚霞组，每天 20:00")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" \u3164 ", "没有看到文字"),
        ("长" * 501, "太长了"),
        ("字" * 480 + "{name}", "太长了"),
        ("{nmae}，晚安", "「{nmae}」是什么"),
        ("{心情}", "「{心情}」是什么"),
    ],
)
def test_words_that_do_not_fit_are_refused_and_the_rest_is_kept(text: str, words: str) -> None:
    chat = Chat()
    chat.types("练习提醒 每天 20:00")
    assert words in chat.types(text)
    assert "每天 20:00" in chat.types("晚安")


def test_the_week_needs_a_first_day_and_a_first_moment_behind_it() -> None:
    nowhere = Chat(calendars=(Calendar(BIG + 1, "Asia/Shanghai"),))
    assert "还没有开始的日子" in nowhere.types("练习提醒", "第 {week} 周了")
    early = Chat(calendars=(Calendar(BIG + 1, "Asia/Shanghai", date(2026, 12, 1)),))
    assert "12月1日 才开始" in early.types("练习提醒", "第 {week} 周了", "每天 20:00")
    assert "第 1 周了" in early.types("第1周周二 20:00")


def test_no_prompt_goes_on_longer_than_its_course() -> None:
    chat = Chat(calendars=(Calendar(BIG + 1, "Asia/Shanghai", MONDAY, date(2026, 12, 6)),))
    assert "到 12月6日 为止" in chat.to_preview().text()
    assert "课程到 12月6日 就结束了" in chat.types("到12月20日")
    assert "课程到 12月6日 就结束了" in chat.types("每天 20:00 到12月20日")
    assert "课程没有这一周" in chat.types("第60周周二 20:00")


def test_a_name_that_the_leader_has_not_left_is_an_example() -> None:
    assert "「小雨，晚安。」" in Chat(name=None).to_preview("{name}，晚安。").text()


@pytest.mark.parametrize("refusal", ["role", "past", "until", "long", "empty", "gap", "many", "changed", "gone", "new"])
def test_every_refusal_is_answered_in_words(refusal: str) -> None:
    chat = Chat(refuses=refusal).to_preview()
    assert chat.taps("确认")
    assert not chat.effects
    assert "排好了" not in chat.text()


def test_commands_steer_the_prompt_of_their_number() -> None:
    chat = Chat(prompts=(view(5), view(6, state="paused", next_at=None), view(7, state="done", next_at=None)))
    chat.types("暂停提醒 5")
    assert list(chat.effects) == [PausePrompt(view(5).id)]
    assert "已经暂停" in chat.types("暂停提醒 6")
    assert "恢复了" in chat.types("恢复提醒 6")
    assert "没有暂停" in chat.types("恢复提醒 5")
    chat.types("取消提醒 5")
    assert list(chat.effects) == [CancelPrompt(view(5).id)]
    assert "已经取消或结束" in chat.types("暂停提醒 7")
    chat.types("取消提醒 7")
    assert list(chat.effects) == [CancelPrompt(view(7).id)], "something of it may still be on its way"
    chat.refuses = "gone"
    assert "没有改动" in chat.types("取消提醒 7")
    assert "没有找到" in chat.types("取消提醒 8")
    assert not chat.effects


def test_a_number_of_two_courses_is_asked() -> None:
    chat = Chat(APART, prompts=(view(5), view(5, id=BIG + 200, course=BIG + 2, groups=((BIG + 2, "晚霞组"),))))
    assert "哪一条" in chat.types("取消提醒 5")
    chat.taps("取消 5（晚霞组）")
    assert list(chat.effects) == [CancelPrompt(BIG + 200)]


def test_a_change_names_the_version_that_was_seen() -> None:
    chat = Chat(prompts=(view(5),))
    assert "一起坐一会儿" in chat.types("改提醒 5")
    chat.types("每天 21:00")
    chat.taps("确认")
    (changed,) = chat.effects
    assert isinstance(changed, ChangePrompt)
    assert (changed.id, changed.version, changed.plan.rule) == (view(5).id, 3, Rule(time(21, 0)))
    assert "不改了" in chat.types("改提醒 5", "取消")


def test_one_whose_time_is_over_is_asked_for_a_new_time() -> None:
    chat = Chat(prompts=(view(5, rule=Rule(time(20, 0), day=date(2026, 11, 20)), state="done", next_at=None),))
    assert "什么时候发" in chat.types("改提醒 5")


def test_an_open_draft_outlives_looking_at_the_list() -> None:
    chat = Chat(prompts=(view(5),))
    chat.types("练习提醒", "晚安")
    assert "还在" in chat.types("提醒列表")
    assert "什么时候发" in chat.types("继续")


def test_long_lists_and_long_texts_fit() -> None:
    many = tuple(view(number, text="<" * 400, groups=tuple((BIG + each, "很长的组名" * 8) for each in range(9))) for number in range(1, 40))
    for language in ("zh", "en"):
        chat = Chat(language=language, prompts=many)
        assert "39" not in chat.types("提醒列表" if language == "zh" else "my prompts")
        chat.types("看提醒 3" if language == "zh" else "show prompt 3")
        groups = tuple(replace(each, group_name="很长的组名" * 8) for each in (group(number) for number in range(1, 30)))
        crowd = Chat(groups, language, forecast=ReachForecast(999, 333, 111, 333, 222, quiet_until=NOW + timedelta(hours=9)))
        crowd.types("practice prompt", "<" * 400 + "{name}", "1 2" if language == "zh" else "all", "每周一二三四五 22:30 到12月20日")
        assert crowd.labels()[0] in ("确认", "Confirm")


def test_for_everybody_else_it_does_not_exist() -> None:
    for role in (Role.PARTICIPANT, Role.MENTOR, Role.RESEARCHER):
        person = Person("小雨", "zh", "Asia/Shanghai", (group(1, role=role),))
        for event in (Wrote("练习提醒"), Wrote("取消提醒 5"), Pressed("prompt.list")):
            assert not BOT.wants(Turn(event, person, NOW))
        chat = Chat((group(1, role=role),))
        assert "练习提醒" not in chat.does(Tapped("prompt.cancel.1", "取消 1"))
        assert not chat.effects


@pytest.mark.parametrize("event", [Sent("image"), Pressed("prompt.start"), Pressed("prompt.list")])
def test_pictures_and_menu_entries_are_answered(event: Event) -> None:
    for chat in (Chat(), Chat().to_preview()):
        assert chat.does(event)
        assert not chat.effects


@pytest.mark.parametrize(
    "word",
    ["停", "停止", "帮助", "取消", "继续", "公告", "列表", "取消 5", "恢复", "提醒我", "练习", "打卡", "practice", "resume", "cancel 5"],
)
def test_words_of_others_are_no_commands(word: str) -> None:
    assert read_command(word) is None


@pytest.mark.parametrize(
    "memory", [{"v": 1, "rule": "monthly"}, {"v": 1, "groups": "x"}, {"v": 2}, {"v": 1, "id": "1"}, {"v": 1, "until": 5}]
)
def test_a_memory_that_cannot_be_read_is_none(memory: dict[str, Any]) -> None:
    assert read_draft(memory) == Draft()


def test_a_draft_comes_back_from_its_memory() -> None:
    draft = Draft(
        id=5, step="when", groups="1 2", rule="daily 20:00", until="2026-12-20", offered="daily 08:00|daily 20:00 until 2026-12-20"
    )
    assert read_draft(json.loads(json.dumps(written(draft)))) == draft
    assert [(each.rule.code(), each.until) for each in draft.readings()] == [("daily 08:00", None), ("daily 20:00", date(2026, 12, 20))]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("reason", ["late", "late_many", "role", "restored", "course_ended", "bug", "new"])
def test_each_report_is_a_sentence_with_what_comes_next(language: str, reason: str) -> None:
    details = {"reason": reason, "number": 5, "groups": ["晨光组", "<晚霞组>"], "count": 3, "first": NOW, "last": NOW, "next_at": NOW}
    for each in (details, details | {"next_at": None}):
        said = BOT.compose(Occasion(OccasionKind.REPORT, language, each)).text
        assert "#5" in said
        assert "<" not in said
    with pytest.raises(LookupError):
        BOT.compose(Occasion(OccasionKind.ALERT, language, {}))


def test_the_longest_prompt_fits_into_one_message() -> None:
    text = "字" * 446 + "{name}"
    details = {
        "text": text,
        "week": 52,
        "group_name": "很长的组名" * 9,
        "author_name": "很长的名字" * 9,
        "author_role": "leader",
        "names_reader": True,
    }
    for name in ("𠀀" * 40, "<" * 40, None):
        said = BOT.compose(Occasion(OccasionKind.PROMPT, "en", details, reader=name)).text
        assert size(said) <= MOST_BYTES


_WORDS = [
    "练习提醒",
    "晚安",
    "每天 20:00",
    "每天 8点",
    "1",
    "2",
    "取消",
    "继续",
    "改提醒 5",
    "暂停提醒 5",
    "到12月20日",
    "换组",
    "换课程",
    "提醒列表",
    "确认",
    "{x}",
    "昨天",
    "全部",
    "practice prompt: hi",
    "第3周周二 20:00",
]


@settings(max_examples=60, deadline=None)
@given(
    acts=st.lists(st.one_of(st.sampled_from(_WORDS), st.integers(0, 5), st.text(min_size=1, max_size=12)), max_size=12),
    places=st.sampled_from([ONE, TWO, APART]),
)
def test_whatever_is_typed_and_tapped_is_answered_and_nothing_is_planned_unconfirmed(
    acts: list[str | int], places: tuple[Membership, ...]
) -> None:
    chat = Chat(places, prompts=(view(5),))
    for act in acts:
        labels = chat.labels()
        typed = act if isinstance(act, str) else labels[act % len(labels)] if labels else "练习提醒"
        before = chat.text()
        assert chat.types(typed)
        if any(isinstance(each, PlanPrompt) for each in chat.effects):
            assert "接下来" in before or "发出的时间" in before or "还要再排一条吗" in before
