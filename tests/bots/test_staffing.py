"""The staffing's bot alone: periods as people write them, each step of an absence, words that fit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import bots
from bots import Answer
from bots.clipping import room
from bots.effects import BeAway, Effect, Say
from bots.facts import Fact, Facts, NewCode
from bots.staffing import create
from bots.staffing.period import read_period
from bots.staffing.views import Cover, Covers, MyAbsences
from bots.texts import LANGUAGES, load_texts
from bots.turns import Event, Membership, Occasion, OccasionKind, Person, Role, Tapped, Turn, Wrote
from tests.bots.staff_chat import BIG, NOW

TEXTS = load_texts(Path(bots.__file__).parent / "staffing")
BOT = create(TEXTS)
ZONE = "Asia/Shanghai"
LED = Membership(BIG + 1, "静心", BIG + 2, "晨光组", large=False, role=Role.LEADER)
DUSK = Membership(BIG + 1, "静心", BIG + 3, "暮色组", large=False, role=Role.LEADER)


def local(day: int, hour: int = 0, month: int = 11) -> datetime:
    """A moment of 2026 in Shanghai, as UTC."""
    return datetime(2026, month, day, hour, tzinfo=UTC) - timedelta(hours=8)


@pytest.mark.parametrize(
    ("text", "starts", "ends"),
    [
        ("明天到周五", local(24), local(28)),
        ("从明天到周五", local(24), local(28)),
        ("11月25日到11月28日", local(25), local(29)),
        ("11月25日至28日", local(25), local(29)),
        ("到周日", NOW, local(30)),
        ("今天到明天", NOW, local(25)),
        ("明天", local(24), local(25)),
        ("今天", NOW, local(24)),
        ("明天 14:00 到周五 18:00", local(24, 14), local(27, 18)),
        ("周三20:00到周四", local(25, 20), local(27)),
        ("2026-11-25 到 2026-12-02", local(25), local(3, month=12)),
        ("tomorrow until Friday", local(24), local(28)),
        ("from tomorrow to Friday", local(24), local(28)),
        ("until Sunday", NOW, local(30)),
    ],
)
def test_a_period_is_read_as_people_write_it(text: str, starts: datetime, ends: datetime) -> None:
    assert read_period(text, NOW, ZONE) == (starts, ends)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("过几天", "unreadable"),
        ("到", "unreadable"),
        ("明天到火星", "unreadable"),
        ("2月30日到3月1日", "unreadable"),
        ("周五到明天", "past"),
        ("11月28日到11月25日", "past"),
        ("明天到2027年3月1日", "long"),
        ("", "unreadable"),
        ("到" * 500, "unreadable"),
    ],
)
def test_a_period_that_cannot_be_says_why(text: str, why: str) -> None:
    assert read_period(text, NOW, ZONE) == why


def test_days_are_those_of_the_zone_also_where_the_clocks_change() -> None:
    berlin = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)
    found = read_period("24 Oct until 25 Oct", berlin, "Europe/Berlin")
    assert found == (datetime(2026, 10, 23, 22, 0, tzinfo=UTC), datetime(2026, 10, 25, 23, 0, tzinfo=UTC))  # a day of 25 hours at its end


class Chat:
    """One leader's chat with this bot alone."""

    def __init__(self, *memberships: Membership, language: str = "zh", covers: tuple[Cover, ...] = (Cover(BIG + 9, "小王"),)) -> None:
        self.memberships, self.language, self.covers = memberships or (LED,), language, covers
        self.memory: Any = None
        self.effects: tuple[Effect, ...] = ()
        self.labels: list[str] = []
        self.refuses: str | None = None

    def does(self, event: Event) -> str:
        turn = Turn(event, Person("李老师", self.language, ZONE, self.memberships), NOW, self.memory, self.memory is not None)
        answer = self._ask(turn)
        if self.refuses and any(not isinstance(each, Say) for each in answer.effects):
            answer = self._ask(replace(turn, refusal=self.refuses))
        said = [each.message for each in answer.effects if isinstance(each, Say)]
        assert all(room(each) >= 0 for each in said)
        choices = [choice for each in said for choice in each.choices]
        assert all(len(each.id) <= 40 for each in choices)
        self.effects = tuple(each for each in answer.effects if not isinstance(each, Say))
        self.memory, self.labels = answer.memory, [each.label for each in choices]
        return "\n".join(each.text for each in said)

    def _ask(self, turn: Turn) -> Answer:
        known: dict[Fact[Any], Any] = {}
        for _ in range(3):
            answer = BOT.answer(replace(turn, facts=Facts(dict(known))))
            if isinstance(answer, Answer):
                return answer
            loaded = {NewCode: BIG + 5, Covers: self.covers, MyAbsences: ()}
            known |= {request: loaded[type(request)] for request in answer.requests}
        raise AssertionError("facts were asked for more than twice")

    def deeds(self) -> tuple[Effect, ...]:
        """What shall be done, besides what is said."""
        return self.effects

    def types(self, text: str) -> str:
        return self.does(Wrote(text))


def test_in_one_line_with_one_assistant_only_the_yes_is_asked() -> None:
    chat = Chat()
    assert "由小王代班" in chat.types("请假 明天到周五")
    assert chat.deeds() == ()
    chat.types("确认")
    assert chat.deeds() == (BeAway(LED.group, BIG + 9, local(24), local(28)),)
    assert chat.memory is None


def test_of_several_groups_one_is_chosen_and_another_time_can_be_typed_at_the_end() -> None:
    chat = Chat(LED, DUSK)
    chat.types("请假")
    assert chat.labels == ["晨光组", "暮色组"]
    chat.types("暮色组")
    chat.types("明天到周五")
    chat.types("明天到周四")
    chat.types("好的")
    assert chat.deeds() == (BeAway(DUSK.group, BIG + 9, local(24), local(27)),)


def test_without_an_assistant_nobody_can_cover() -> None:
    chat = Chat(covers=())
    assert "没有助教" in chat.types("请假")
    assert chat.memory is None


@pytest.mark.parametrize("role", [Role.PARTICIPANT, Role.ASSISTANT, Role.MENTOR, Role.ADMINISTRATOR, Role.RESEARCHER])
def test_only_leaders_are_away_here(role: Role) -> None:
    person = Person("某人", "zh", ZONE, (replace(LED, role=role), replace(LED, large=True)))
    assert not any(BOT.wants(Turn(Wrote(text), person, NOW)) for text in ("请假", "销假", "请假到周五", "I'm away"))


@pytest.mark.parametrize("choice", ["staffing.sure.1", "staffing", "staffing.g.1.2", "staffing.c..", "staffing.zzz.x"])
def test_a_late_or_forged_tap_changes_nothing(choice: str) -> None:
    chat = Chat()
    assert chat.does(Tapped(choice, "…"))
    assert chat.deeds() == ()
    chat.types("请假 明天到周五")
    before = chat.memory
    chat.does(Tapped(choice, "…"))
    assert (chat.deeds(), chat.memory) == ((), before)


@pytest.mark.parametrize("refusal", ["role", "cover", "past", "anything"])
def test_every_refusal_has_words(refusal: str) -> None:
    chat = Chat()
    chat.types("请假 明天到周五")
    chat.refuses = refusal
    assert chat.types("确认")
    assert chat.deeds() == ()


@pytest.mark.parametrize("text", ["我生病了想请假怎么办", "他请假了", "away we go", "请"])
def test_chatter_is_no_absence(text: str) -> None:
    person = Person("李老师", "zh", ZONE, (LED,))
    assert not BOT.wants(Turn(Wrote(text), person, NOW))


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_successor_reads_fits_and_says_what_was_dropped(language: str) -> None:
    numbers = list(range(1, 400))
    details = {"group_name": "晨光组" * 30, "author_name": "李老师" * 30, "announcements": numbers, "questions": numbers, "drafts": 2}
    for reason in ("got", "gave"):
        message = BOT.compose(Occasion(OccasionKind.REPORT, language, {**details, "reason": reason}))
        assert room(message) >= 0
        assert message.text.count("\n") == 3
    empty = {**details, "announcements": [], "questions": [], "drafts": 0, "reason": "got"}
    assert BOT.compose(Occasion(OccasionKind.REPORT, language, empty)).text.count("\n") == 1
