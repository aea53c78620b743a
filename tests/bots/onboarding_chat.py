"""One person talking with the onboarding bot, and the invitations that the application would find."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bots.clipping import room
from bots.effects import Answer, Effect, Message, Say
from bots.facts import Facts, Invitation, InvitationFound, InvitationState, Need
from bots.onboarding import Onboarding
from bots.turns import (
    Event,
    Membership,
    Person,
    Role,
    Scanned,
    Tapped,
    Turn,
    Wrote,
)

CODE = "MRNNG23456"
OTHER = "SUNNY23456"
NOW = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
OPEN = InvitationFound(
    InvitationState.OPEN,
    code=CODE,
    course=7,
    course_title="正念自我关怀",
    group=3,
    group_name="晨光组",
    leader_name="李老师",
    role="participant",
    consent_version="2",
)
STAFF = replace(OPEN, role="leader", leader_name=None)
MEMBER = (Membership(7, "正念自我关怀", 3, "晨光组", large=False, role=Role.PARTICIPANT),)


@dataclass
class Chat:
    """One person talking with the bot; `invitations` is what the application would find."""

    bot: Onboarding
    person: Person = field(default_factory=lambda: Person(None, "zh", "Asia/Shanghai"))
    invitations: dict[str, InvitationFound] = field(default_factory=lambda: {CODE: OPEN})
    memory: Mapping[str, Any] | None = None
    effects: tuple[Effect, ...] = ()
    said: Message = field(default_factory=lambda: Message(""))

    def gets(self, event: Event, refusal: str | None = None) -> str:
        answer = self._ask(Turn(event, self.person, NOW, self.memory, self.memory is not None, refusal=refusal))
        self.memory, self.effects = answer.memory, answer.effects
        self.said = next(effect.message for effect in answer.effects if isinstance(effect, Say))
        assert room(self.said) >= 0, f"too long for one message: {self.said.text}"
        assert all(len(each.id) <= 40 and each.id.isascii() and each.id.startswith("onboarding.") for each in self.said.choices)
        return self.said.text

    def _ask(self, turn: Turn) -> Answer:
        loaded: dict[Any, Any] = {}
        for _ in range(3):
            answer = self.bot.answer(replace(turn, facts=Facts(loaded)))
            if isinstance(answer, Answer):
                return answer
            assert isinstance(answer, Need)
            for request in answer.requests:
                assert isinstance(request, Invitation)
                code = request.code.upper().replace("-", "").replace(" ", "")
                loaded[request] = self.invitations.get(code, InvitationFound(InvitationState.UNKNOWN))
        raise AssertionError("more than two rounds of facts")

    def writes(self, text: str) -> str:
        return self.gets(Wrote(text))

    def taps(self, label: str) -> str:
        choice = next(each for each in self.said.choices if each.label == label)
        return self.gets(Tapped(choice.id, choice.label))

    def labels(self) -> list[str]:
        return [each.label for each in self.said.choices]

    def did(self) -> list[Effect]:
        return [effect for effect in self.effects if not isinstance(effect, Say)]

    def until_name(self) -> None:
        self.gets(Scanned(CODE))
        for label in ("开始", "同意", "愿意", "能"):
            self.taps(label)
