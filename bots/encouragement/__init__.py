"""Warm words: how they are put, what a thank-you is answered with, and how staff look after the library in the chat.

For participants there is nothing but the words and the tap below them. Leaders and assistants propose, administrators approve.
"""

from bots.choices import number_of
from bots.effects import Answer, Choice, KeepWarmPlan, Message, ProposeWords, Say, SettleWords, Thank
from bots.encouragement import voice
from bots.encouragement.commands import read_command
from bots.encouragement.shelf import GivenWord, WarmWords
from bots.encouragement.voice import Voice
from bots.encouragement.words import MOST_BYTES
from bots.facts import Need
from bots.texts import Texts, Words
from bots.turns import ANNOUNCERS, Occasion, OccasionKind, Role, Tapped, Turn, Wrote

_VERSION = 1
_REFUSALS = frozenset(("role", "empty", "long", "alike", "unfit", "gone"))


def create(texts: Texts) -> "EncouragementBot":
    """The bot with these words."""
    return EncouragementBot(texts)


class EncouragementBot:
    """Speaks on occasions; hears thanks from whoever was given a word, and the staff's word for the library."""

    name = "encouragement"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._thanks = voice.thanks_spelled(texts)

    def wants(self, turn: Turn) -> bool:
        """A thank-you as our own choice has it, or a command from staff."""
        if not isinstance(turn.event, Wrote):
            return False
        if turn.event.text.strip() in self._thanks:
            return bool(turn.person.memberships)
        return bool(turn.person.roles() & ANNOUNCERS) and read_command(turn.event.text) is not None

    def answer(self, turn: Turn) -> Answer | Need:
        """The next step."""
        say = Voice(self._texts, turn.person.language, turn.person.zone)
        if turn.refusal is not None:
            return _refused(say, turn.refusal)
        if isinstance(turn.event, Tapped):
            return self._tapped(turn, say, turn.event.choice)
        if turn.words().strip() in self._thanks:
            return _thank(turn, say, 0)
        command = read_command(turn.words())
        if command is None or not turn.person.roles() & ANNOUNCERS:
            return _lets_go(say("staff.outsider"))
        return _propose(turn, say, command.text) if command.text else _look(turn, say)

    def compose(self, occasion: Occasion) -> Message:
        """A warm word with its tap, or a report to administrators. Raises `LookupError` for any other occasion.

        Details of an ENCOURAGEMENT: `word` (id), `zh`, `en` (one may be missing), `trigger` (first, return, wave or empty). Of a REPORT:
        `reason` (proposal, theme_used_up, used_up), `course`, and `number`, `word`, `text`, `author_name` or `theme`.
        """
        say = Voice(self._texts, occasion.language, occasion.zone)
        match occasion.kind:
            case OccasionKind.ENCOURAGEMENT:
                return voice.warm_word(say, occasion.details)
            case OccasionKind.REPORT:
                return voice.report(say, occasion.details)
            case _:
                raise LookupError(f"The encouragement bot has no words for {occasion.kind}.")

    def _tapped(self, turn: Turn, say: Voice, choice: str) -> Answer | Need:
        _, kind, letters, number = [*choice.split("."), "", "", ""][:4]
        id_ = number_of(letters)
        if kind == "thanks":
            return _thank(turn, say, id_)
        if not turn.person.roles() & ANNOUNCERS:
            return _lets_go(say("staff.outsider"))
        match kind:
            case "approve" | "rest":
                key = "staff.approved" if kind == "approve" else "staff.rests"
                return _lets_go(say(key, number=number_of(number)), SettleWords(id_, approved=kind == "approve"))
            case "pause" | "resume":
                key = "staff.paused" if kind == "pause" else "staff.resumed"
                return _lets_go(say(key), KeepWarmPlan(id_, going=kind == "resume"))
            case "course":
                return _chosen(turn, say, id_)
            case _:
                return _look(turn, say)


def _lets_go(text: Words, *effects: KeepWarmPlan | SettleWords | ProposeWords | Thank, choices: tuple[Choice, ...] = ()) -> Answer:
    return Answer((*effects, Say(Message(text, choices))))


def _refused(say: Voice, refusal: str) -> Answer:
    """The application refused it; a thank-you for nothing is met with silence, as a second one is."""
    if refusal == "foreign":
        return Answer(())
    key = refusal if refusal in _REFUSALS else "role"
    return _lets_go(say(f"refused.{key}", limit=MOST_BYTES) if key == "long" else say(f"refused.{key}"))


def _thank(turn: Turn, say: Voice, word: int) -> Answer | Need:
    """The first thank-you for a word is counted and answered; those that follow are not."""
    given = turn.facts.get(GivenWord(word))
    if given is None:
        return Need(GivenWord(word))
    if not given.word or given.thanked:
        return Answer(())
    return _lets_go(say(f"thanked.{turn.seed % 2}"), Thank(given.word))


# The staff ------------------------------------------------------------------------------------------------------------------------


def _courses(turn: Turn, *, administered: bool) -> dict[int, str]:
    roles = frozenset({Role.ADMINISTRATOR}) if administered else ANNOUNCERS
    return {each.course: each.course_title for each in turn.person.memberships if each.role in roles}


def _ask_course(say: Voice, courses: dict[int, str], text: str) -> Answer:
    """Which course is meant; what was written for it is remembered until the tap."""
    memory = {"v": _VERSION, "text": text} if text else None
    return Answer((Say(Message(say("staff.which"), voice.course_choices(say, courses))),), memory, open=False)


def _look(turn: Turn, say: Voice) -> Answer | Need:
    """The library as it stands, for administrators; others are told how to propose something."""
    courses = _courses(turn, administered=True)
    if not courses:
        return _lets_go(say("staff.how"))
    if len(courses) > 1:
        return _ask_course(say, courses, "")
    return _show(turn, say, next(iter(courses)))


def _show(turn: Turn, say: Voice, course: int) -> Answer | Need:
    shelf = turn.facts.get(WarmWords(course))
    if shelf is None:
        return Need(WarmWords(course))
    if not shelf.seen:
        return _lets_go(say("refused.role"))
    message = voice.shelf(say, course, shelf)
    return _lets_go(Words(message.text), choices=message.choices)


def _propose(turn: Turn, say: Voice, text: str) -> Answer:
    courses = _courses(turn, administered=False)
    if len(courses) > 1:
        return _ask_course(say, courses, text)
    return _put(say, next(iter(courses), 0), text)


def _put(say: Voice, course: int, text: str) -> Answer:
    return _lets_go(say("staff.proposed"), ProposeWords(course, text))


def _chosen(turn: Turn, say: Voice, course: int) -> Answer | Need:
    memory = turn.memory or {}
    text = memory.get("text") if memory.get("v") == _VERSION else None
    if isinstance(text, str) and text:
        return _put(say, course, text) if course in _courses(turn, administered=False) else _lets_go(say("refused.role"))
    if course in _courses(turn, administered=True):
        return _show(turn, say, course)
    return _lets_go(say("staff.forgotten"))
