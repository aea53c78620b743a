"""Practice between the classes: the week's practices at each one's hour, check-ins by tap or words, a leader's look at the group.

What somebody noted is their own. A leader sees that they practised, and when; minutes and a line only where they were shared. Nobody is
ranked, no gap is scolded.
"""

from bots.choices import normal
from bots.clipping import room
from bots.effects import Answer, Message, Say
from bots.facts import Need
from bots.homework import dialogue, leading, voice, words
from bots.homework.place import read_place
from bots.homework.voice import Voice
from bots.texts import Texts
from bots.turns import Occasion, OccasionKind, Sent, Tapped, Turn, Wrote

_LEADING = frozenset(("who", "write", "send", "drop"))
_REFUSALS = frozenset(("role", "day", "practice", "foreign", "long", "group", "hour", "quiet", "empty", "nobody"))


def create(texts: Texts) -> "HomeworkBot":
    """The bot with these words."""
    return HomeworkBot(texts)


class HomeworkBot:
    """Hears that people practised, and tells those who lead of it."""

    name = "homework"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def wants(self, turn: Turn) -> bool:
        """A check-in, a wish to see the practices or to change the hour, from a participant; who practised, from who leads."""
        if not isinstance(turn.event, Wrote):
            return False
        text = turn.event.text
        if leading.asks_who(text, turn.person):
            return bool(leading.groups_of(turn.person))
        return dialogue.takes_part(turn) and _begins(text)

    def answer(self, turn: Turn) -> Answer | Need:
        """The next step."""
        say, place = self._say(turn), read_place(turn.memory)
        if turn.refusal is not None:
            key = turn.refusal if turn.refusal in _REFUSALS else "role"
            return Answer((Say(Message(say(f"refused.{key}"))),))
        leads = leading.Here(turn, say, place)
        match turn.event:
            case Tapped(choice=choice):
                _, kind, *rest = [*choice.split("."), ""] if "." not in choice else choice.split(".")
                if kind in _LEADING:
                    return leading.tapped(leads, kind, rest)
                here = dialogue.here_of(turn, say, place)
                return dialogue.NEED if here is None else dialogue.tapped(here, kind, rest)
            case Wrote(text=text):
                return _wrote(leads, text)
            case Sent() if place.step:
                return Answer((Say(Message(say("words_only"))),), turn.memory, rests=place.step != "letter")
            case _:
                return Answer((Say(Message(say("nothing.left"))),))

    def again(self, turn: Turn, most: int) -> Message | None:
        """What was asked of a participant a moment ago, behind another bot's answer, where it fits into `most` bytes."""
        place = read_place(turn.memory)
        question = dialogue.again(self._say(turn), place, turn) if place.step in ("minutes", "line") else None
        return question if question is not None and room(question) >= room(Message("")) - most else None

    def compose(self, occasion: Occasion) -> Message:
        """HOMEWORK, of what `what` says: `week` (the week's practices) or `reminder`; SHARED: what a companion shared.

        Details stand at `voice.week` and `voice.shared`. Raises `LookupError` for any other occasion.
        """
        say = Voice(self._texts, occasion.language, occasion.zone)
        match occasion.kind:
            case OccasionKind.HOMEWORK:
                return (voice.reminder if occasion.details["what"] == "reminder" else voice.week)(say, occasion.details)
            case OccasionKind.SHARED:
                return voice.shared(say, occasion.details)
            case _:
                raise LookupError(f"The homework bot has no words for {occasion.kind}.")

    def _say(self, turn: Turn) -> Voice:
        return Voice(self._texts, turn.person.language, turn.person.zone)


def _begins(text: str) -> bool:
    """Whether these words begin something, whatever is open."""
    return words.read_check_in(text) is not None or normal(text) in words.HOMEWORK | words.HOUR


def _wrote(leads: leading.Here, text: str) -> Answer | Need:  # noqa: PLR0911 - one return per kind of words
    turn, place = leads.turn, leads.place
    if leading.asks_who(text, turn.person):
        return leading.who(leads, text)
    if place.step == "letter":
        return leading.typed(leads, text)
    if not dialogue.takes_part(turn):
        return Answer((Say(Message(leads.say("outsider"))),))
    here = dialogue.here_of(turn, leads.say, place)
    if here is None:
        return dialogue.NEED
    if normal(text) in words.HOUR:
        return dialogue.ask_hour(here)
    if normal(text) in words.HOMEWORK:
        return dialogue.show_homework(here)
    said = words.read_check_in(text)
    if said is not None:
        return dialogue.check_in(here, said)
    if place.step:
        return dialogue.typed(here, text)
    return Answer((Say(Message(leads.say("nothing.left"))),))
