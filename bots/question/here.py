"""Hides what every step of the dialogue has at hand: the turn, the words for this person, where they are."""

from dataclasses import dataclass, replace
from typing import Any

from bots.effects import Answer, Choice, Effect, Message, Say
from bots.question.place import Place, written
from bots.question.voice import Voice
from bots.texts import Words
from bots.turns import Turn


@dataclass(frozen=True)
class Here:
    """Where the dialogue stands, and something to say before the next question."""

    turn: Turn
    voice: Voice
    place: Place
    before: Words | None = None

    def at(self, before: Words | None = None, /, **changes: Any) -> "Here":
        """The same dialogue at a changed place."""
        return replace(self, place=replace(self.place, **changes), before=before or self.before)

    def say(self, text: Words, choices: tuple[Choice, ...] = (), *effects: Effect) -> Answer:
        """Answer, and wait for what this person says next."""
        return Answer((*effects, Say(Message(self._after(text), choices))), written(self._touched()))

    def end(self, key: str, choices: tuple[Choice, ...] = (), *effects: Effect, **gaps: Any) -> Answer:
        """Answer with the words under `key`; nothing is open any more."""
        return self.done(self.voice(key, **gaps), choices, *effects)

    def done(self, text: Words, choices: tuple[Choice, ...] = (), *effects: Effect) -> Answer:
        """Answer; nothing is open any more."""
        kept = Place(done=self.place.done)
        memory = written(kept) if kept.done else None
        return Answer((*effects, Say(Message(self._after(text), choices))), memory, open=False)

    def aside(self, text: Words, choices: tuple[Choice, ...] = (), *effects: Effect) -> Answer:
        """Answer beside what is being written, which stays as it is."""
        if not self.place.step:
            return self.done(text, choices, *effects)
        kept = self.voice("kept.answer" if self.place.step in ("answer", "preview") else "kept.ask")
        return Answer((*effects, Say(Message(self._after(text), choices)), Say(Message(kept))), written(self.place))

    def _touched(self) -> Place:
        return replace(self.place, touched=int(self.turn.now.timestamp()))

    def _after(self, text: Words) -> Words:
        return text if self.before is None else Words(f"{self.before}\n\n{text}")
