"""Lets a browser in that shows one of our QR codes: whoever scanned it chooses the number that stands beside it.

Whoever was sent somebody else's code sees no number there, and a wrong one shuts the browser out.
"""

from collections.abc import Mapping
from typing import Any

from bots.choices import normal, pick
from bots.effects import Answer, Choice, ConfirmSignIn, Message, RefuseSignIn, Say
from bots.facts import Need, SignIn, SignInFound
from bots.texts import Texts, Words
from bots.turns import Followed, Occasion, Scanned, Tapped, Turn, Wrote, browser_code

_NOT_ME = "no"


def create(texts: Texts) -> "ConsoleBot":
    """The bot with these words."""
    return ConsoleBot(texts)


class ConsoleBot:
    """Asks for the number, once, and says what became of it."""

    name = "console"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def wants(self, turn: Turn) -> bool:
        """A scan of a browser's code."""
        return browser_code(turn.event) is not None

    def answer(self, turn: Turn) -> Answer | Need:
        """The question for the number, or what became of the answer."""
        if turn.refusal is not None:
            return self._only(turn, "over")
        match turn.event:
            case Scanned() | Followed():
                return self._ask(turn, browser_code(turn.event) or "")
            case Tapped(choice=choice):
                _, code, number = [*choice.split("."), "", ""][:3]
                return self._chosen(turn, code, number)
            case Wrote(text=text):
                return self._typed(turn, text)
        return self._only(turn, "again")

    def compose(self, occasion: Occasion) -> Message:
        """There is no occasion on which this bot speaks first."""
        raise LookupError(f"The console bot has no words for {occasion.kind}.")

    def _ask(self, turn: Turn, code: str) -> Answer | Need:
        found = turn.facts.get(SignIn(code))
        if found is None:
            return Need(SignIn(code))
        if found.state != "open":
            return self._only(turn, "stranger" if found.state == "stranger" else "over")
        numbers = sorted((found.number, *found.others))
        question = self._question(turn, code, numbers, binds=found.binds)
        return Answer((Say(question),), {"v": 1, "code": code, "numbers": numbers})

    def _question(self, turn: Turn, code: str, numbers: list[int], *, binds: bool) -> Message:
        shown = tuple(Choice(f"console.{code}.{number}", str(number), (str(number),), mark="") for number in numbers)
        not_me = Choice(f"console.{code}.{_NOT_ME}", self._say(turn, "not_me"), mark="")
        return Message(self._say(turn, "bind" if binds else "ask"), (*shown, not_me))

    def _typed(self, turn: Turn, text: str) -> Answer | Need:
        """A number that was typed instead of tapped; other words let go of the question."""
        code, numbers = _remembered(turn.memory)
        if not code:
            return self._only(turn, "again")
        if pick(text, self._question(turn, code, [], binds=False).choices) is not None and not normal(text).isdigit():
            return self._chosen(turn, code, _NOT_ME)
        typed = normal(text)
        return self._chosen(turn, code, typed) if typed in map(str, numbers) else self._only(turn, "again")

    def _chosen(self, turn: Turn, code: str, number: str) -> Answer | Need:
        if number == _NOT_ME:
            return Answer((RefuseSignIn(code), Say(Message(self._say(turn, "refused")))), None)
        found = turn.facts.get(SignIn(code))
        if found is None:
            return Need(SignIn(code))
        return self._decided(turn, code, found, number)

    def _decided(self, turn: Turn, code: str, found: SignInFound, number: str) -> Answer:
        if found.state != "open":
            return self._only(turn, "over")
        if number != str(found.number):
            return Answer((RefuseSignIn(code), Say(Message(self._say(turn, "wrong")))), None)
        return Answer((ConfirmSignIn(code, found.number), Say(Message(self._say(turn, "bound" if found.binds else "done")))), None)

    def _only(self, turn: Turn, key: str) -> Answer:
        return Answer((Say(Message(self._say(turn, key))),), None)

    def _say(self, turn: Turn, key: str) -> Words:
        return self._texts.fill(key, turn.person.language, turn.person.zone)


def _remembered(memory: Mapping[str, Any] | None) -> tuple[str, list[int]]:
    """Code and numbers of the open question; none where there is nothing, or nothing readable."""
    if not memory or memory.get("v") != 1:
        return "", []
    return str(memory.get("code", "")), [each for each in memory.get("numbers", []) if isinstance(each, int)]
