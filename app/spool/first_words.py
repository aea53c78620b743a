"""Hides what can be said to somebody while the database is away: what the safety bot says to these words, without knowing the person.

Only what holds whatever the database will say later: people to talk to, that messages stop, how to leave. Choices are shown but cannot
be tapped (a choice is bound to a person whom nobody can look up now); the words beside them can be typed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.channels import Push, PushKind, render
from bots import Bot, Message
from bots.conversation import FIRST
from bots.effects import Answer, Pause, RaiseFlag, Say
from bots.facts import Facts
from bots.texts import LANGUAGES, MOST_BYTES
from bots.turns import Event, Person, Pressed, Tapped, Turn, Wrote

_ZONE = "Asia/Shanghai"
_CHINESE = re.compile("[\u3400-\u9fff]")
_LATIN = re.compile("[A-Za-z]")
_ROUNDS = 2


@dataclass(frozen=True)
class FirstWords:
    """What is said at once. `grave`: it is about danger."""

    text: str = field(repr=False)
    grave: bool


def first_words(bots: Mapping[str, Bot], push: Push, now: datetime) -> FirstWords | None:
    """The safety bot's answer to this push; None where it has none, or where only the database knows whether it is true."""
    event = _event(push)
    if event is None:
        return None
    answers = [_answer(bots[FIRST], event, language, now) for language in _languages(push)]
    texts = [_text(answer) for answer in answers if answer is not None]
    if not texts:
        return None
    both = "\n\n".join(texts)
    grave = any(isinstance(effect, RaiseFlag) for answer in answers if answer is not None for effect in answer.effects)
    return FirstWords(both if len(both.encode()) <= MOST_BYTES else texts[0], grave)


def _event(push: Push) -> Event | None:
    match push.kind:
        case PushKind.WROTE:
            return Wrote(push.value)
        case PushKind.TAPPED:
            return Tapped("", push.value)  # whose choice it was nobody can check now, but its words count
        case PushKind.PRESSED:
            return Pressed(push.value)
        case _:
            return None


def _languages(push: Push) -> tuple[str, ...]:
    """Chinese words are answered in Chinese, others ("help", "SOS") in both, the reader's own first, as far as there is room."""
    if push.kind is PushKind.PRESSED or _CHINESE.search(push.value):
        return ("zh",)
    return ("en", "zh") if _LATIN.search(push.value) else LANGUAGES


def _answer(bot: Bot, event: Event, language: str, now: datetime) -> Answer | None:
    turn = Turn(event, Person(None, language, _ZONE), now)
    if not bot.wants(turn):
        return None
    facts = Facts()
    for _ in range(_ROUNDS + 1):
        answer = bot.answer(Turn(event, turn.person, now, facts=facts))
        if isinstance(answer, Answer):
            certain = all(isinstance(effect, Say | RaiseFlag | Pause) for effect in answer.effects)
            return answer if certain else None
        facts = Facts({**facts.loaded, **dict.fromkeys(answer.requests, "")})
    return None


def _text(answer: Answer) -> str:
    messages = [effect.message for effect in answer.effects if isinstance(effect, Say)]
    return "\n\n".join(map(_rendered, messages))


def _rendered(message: Message) -> str:
    return render(message, lambda _choice, shown, _bubble: shown)
