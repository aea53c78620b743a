"""One person's chat with the staff's bot alone, for its tests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bots
from bots import Answer, Message, Need
from bots.clipping import room
from bots.effects import Announce, CancelAnnouncement, Effect, Say
from bots.facts import (
    Announcements,
    EqualAnnouncement,
    Fact,
    Facts,
    NewCode,
    Reach,
    ReachForecast,
)
from bots.staff import create
from bots.texts import MOST_BYTES, load_texts
from bots.turns import Event, Membership, Person, Role, Tapped, Turn, Wrote

TEXTS = load_texts(Path(bots.__file__).parent / "staff")
BOT = create(TEXTS)
#: Monday, 23 November 2026, 19:00 in Shanghai.
NOW = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
#: As large as ids of the application are.
BIG = 2**62


def group(number: int, name: str = "", *, course: int = 1, role: Role = Role.LEADER, large: bool = False) -> Membership:
    return Membership(BIG + course, f"课程{course}", BIG + number, name or f"第{number}组", large, role)


ONE = (group(1, "晨光组"),)
TWO = (group(1, "晨光组"), group(2, "晚霞组", role=Role.ASSISTANT))
APART = (group(1, "晨光组"), group(2, "晚霞组", course=2))


@dataclass
class Chat:
    """One person's chat with this bot alone. Facts are what `facts` holds; codes count up."""

    memberships: tuple[Membership, ...] = ONE
    language: str = "zh"
    now: datetime = NOW
    forecast: ReachForecast = field(default_factory=lambda: ReachForecast(3, 2, 0, 1, 0))
    facts: dict[Fact[Any], Any] = field(default_factory=dict)
    refuses: str | None = None
    memory: Mapping[str, Any] | None = None
    open: bool = False
    effects: tuple[Effect, ...] = ()
    last: tuple[Message, ...] = ()
    asked: list[Fact[Any]] = field(default_factory=list)
    codes: int = BIG

    def does(self, event: Event) -> str:
        turn = Turn(event, Person("李老师", self.language, "Asia/Shanghai", self.memberships), self.now, self.memory, self.open)
        answer = self._ask(turn)
        if self.refuses and any(isinstance(each, Announce | CancelAnnouncement) for each in answer.effects):
            answer = self._ask(replace(turn, refusal=self.refuses))
        self.effects = tuple(each for each in answer.effects if not isinstance(each, Say))
        self.last = tuple(each.message for each in answer.effects if isinstance(each, Say))
        assert sum(room(each) - MOST_BYTES for each in self.last) + MOST_BYTES >= 0, "the answer does not fit into one message"
        self.memory = None if answer.memory is None else json.loads(json.dumps(answer.memory))
        self.open = answer.memory is not None and answer.open
        for choice in self.choices():
            assert choice.id.isascii()
            assert len(choice.id) <= 40
            assert choice.id.startswith("staff.")
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
            self.asked += answer.requests
        raise AssertionError("facts were asked for more than twice")

    def _load(self, request: Fact[Any]) -> object:
        if request in self.facts:
            return self.facts[request]
        if isinstance(request, NewCode):
            self.codes += 1
            return self.codes
        if isinstance(request, Reach):
            return replace(self.forecast, at=request.at)
        return {Announcements: (), EqualAnnouncement: False}.get(type(request))

    def types(self, text: str) -> str:
        return self.does(Wrote(text))

    def taps(self, label: str) -> str:
        return self.does(Tapped(self.id_of(label), label))

    def id_of(self, label: str) -> str:
        return next(choice.id for choice in self.choices() if choice.label == label)

    def choices(self) -> tuple[bots.effects.Choice, ...]:
        return tuple(choice for message in self.last for choice in message.choices)

    def labels(self) -> list[str]:
        return [choice.label for choice in self.choices()]

    def text(self) -> str:
        return "\n\n".join(message.text for message in self.last)

    def to_preview(self, text: str = "明天见", when: str = "现在") -> "Chat":
        self.types("公告")
        self.types(text)
        self.types(when)
        assert "确认发送" in self.labels(), self.text()
        return self


def says(key: str, language: str = "zh", **gaps: Any) -> str:
    return TEXTS.fill(key, language, **gaps)
