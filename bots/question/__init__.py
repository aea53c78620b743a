"""The question's bot: participants ask the leader and assistants of their small group; whoever claims it first answers, in chat.

For everybody else it does not exist. It lends the floor: words that another bot wants are that bot's.
"""

from dataclasses import replace

from bots.choices import number_of, short
from bots.clipping import named, size
from bots.effects import Answer, Message, Say
from bots.facts import Need
from bots.question import answering, asking
from bots.question import voice as words
from bots.question.commands import Command, answers_in, asks_in, leads_nowhere, read_command
from bots.question.here import Here
from bots.question.place import Place, read_place
from bots.question.voice import voice_for
from bots.texts import Texts
from bots.turns import Occasion, OccasionKind, Pressed, Sent, Tapped, Turn, Wrote

_ASKING = frozenset({"group", "text", "sure", "on", "on_sure"})


def create(texts: Texts) -> "QuestionBot":
    """The bot with these words."""
    return QuestionBot(texts)


class QuestionBot:
    """Both ends of a question: who asks, and who answers."""

    name = "question"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def wants(self, turn: Turn) -> bool:
        """A command, from somebody who may give it."""
        if isinstance(turn.event, Pressed):
            return turn.event.key.startswith("question.")
        return isinstance(turn.event, Wrote) and read_command(turn.event.text, turn.person) is not None

    def answer(self, turn: Turn) -> Answer | Need:
        """The next step of whoever asks or answers."""
        here = Here(turn, voice_for(self._texts, turn), read_place(turn.memory))
        if leads_nowhere(turn.person):
            return Answer((Say(Message(here.voice("outsider"))),), None)
        answer = _by_event(here)
        if turn.refusal is None or isinstance(answer, Need) or all(isinstance(effect, Say) for effect in answer.effects):
            return answer  # after a race the facts say what has happened meanwhile
        key = f"refused.{turn.refusal}"
        return here.end(key if key in self._texts.keys() else "refused.other")  # noqa: SIM118 - not a mapping

    def again(self, turn: Turn, most: int) -> Message | None:
        """One line that says what is still being written; nothing where it was left alone for long."""
        here = Here(turn, voice_for(self._texts, turn), read_place(turn.memory))
        if not here.place.step or here.place.rests(turn.now) or most < size(here.voice("kept.answer")):
            return None
        return Message(here.voice("kept.ask" if here.place.step in _ASKING else "kept.answer"))

    def compose(self, occasion: Occasion) -> Message:
        """A question, an answer, or a word to staff about questions.

        Details of a QUESTION: question (id), number, group_name, person (who asks), text, why (first, again, freed, more). Of an ANSWER:
        question, number, author_name, author_role, text. Of a REPORT: reason (remind, released, mentor), number, question, group_name;
        count instead of the two in the middle where it is "mentor".
        """
        voice = words.Voice(self._texts, occasion.language, occasion.zone)
        match occasion.kind:
            case OccasionKind.QUESTION:
                return words.call(voice, occasion.details)
            case OccasionKind.ANSWER:
                return words.answer(voice, occasion.details)
            case OccasionKind.REPORT:
                return _report(voice, occasion)
            case _:
                raise LookupError(f"The question bot has no words for {occasion.kind}.")


def _report(voice: words.Voice, occasion: Occasion) -> Message:
    details, group = occasion.details, named(occasion.details["group_name"])
    if details["reason"] == "mentor":
        return Message(voice("report.mentor", group=group, count=details["count"]))
    said = voice(f"report.{details['reason']}", group=group, number=details["number"])
    if details["reason"] != "remind":
        return Message(said)
    own = short(details["question"])
    return Message(said, (voice.choice("write", f"claim.{own}", number=details["number"]), voice.choice("back", f"back.{own}")))


def _by_event(here: Here) -> Answer | Need:
    match here.turn.event:
        case Tapped(choice=choice):
            return _tapped(here, choice)
        case Wrote(text=text):
            return _wrote(here, text)
        case Pressed(key=key):
            return _pressed(here, key)
        case Sent() if here.place.step:
            return replace(here.aside(here.voice("thing")), open=True)
        case _:
            return here.aside(here.voice("closed.asker" if asks_in(here.turn.person) else "closed.answerer"))


def _pressed(here: Here, key: str) -> Answer | Need:
    if key == "question.mine" and asks_in(here.turn.person):
        return asking.show_mine(here)
    return asking.start(here) if key != "question.open" and asks_in(here.turn.person) else answering.show_open(here)


def _wrote(here: Here, text: str) -> Answer | Need:
    command = read_command(text, here.turn.person)
    if command is not None:
        return _obey(here, command)
    if here.place.step in _ASKING:
        return asking.wrote(here, text)
    if here.place.step:
        return answering.wrote(here, text)
    return here.aside(here.voice("closed.asker" if asks_in(here.turn.person) else "closed.answerer"))


def _obey(here: Here, command: Command) -> Answer | Need:
    match command.name:
        case "ask":
            return asking.start(here, command.text)
        case "mine":
            return asking.show_mine(here)
        case "open":
            return answering.show_open(here)
        case "answer" | "release":
            return answering.by_number(here, command.number, command.name, command.text)
        case _:
            return asking.by_number(here, command.number, command.name, command.text)


def _tapped(here: Here, choice: str) -> Answer | Need:
    _, kind, own, value = [*choice.split("."), "", "", ""][:4]
    if kind in _OF_ASKER and asks_in(here.turn.person):
        return _OF_ASKER[kind](here, number_of(own))
    if kind in ("g", "send", "drop"):
        return asking.tapped_own(here, kind, number_of(own), number_of(value))
    if kind in _OF_ANSWERER and answers_in(here.turn.person):
        return _OF_ANSWERER[kind](here, number_of(own))
    if kind in ("ok", "edit", "leave") and answers_in(here.turn.person):
        return answering.tapped_own(here, kind, number_of(own))
    return here.aside(here.voice("refused.role" if kind in _OF_ANSWERER or kind == "ok" else "stale"))


_OF_ASKER = {"undo": asking.take_back, "read": asking.read, "helped": asking.helped, "on": asking.ask_on}
_OF_ANSWERER = {"claim": answering.claim, "back": answering.release}

__all__ = ["Place", "QuestionBot", "create"]
