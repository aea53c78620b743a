"""The questionnaires' bot: invites, asks one item a message, hears taps and typed answers, several at once, corrections, pauses.

What the answers are for, and who sees them, stands in the invitation. An instrument's words are in its file, or were brought by the study.
"""

from collections.abc import Callable

from bots.choices import normal, number, number_of, pick, short
from bots.clipping import named, room
from bots.effects import Answer, Message
from bots.facts import Need
from bots.questionnaire import dialogue, reading, voice
from bots.questionnaire.dialogue import Here
from bots.questionnaire.place import Mode, read_place
from bots.questionnaire.sheets import OpenAssignments
from bots.questionnaire.thresholds import load_thresholds
from bots.safety.resources import shipped_resources
from bots.texts import LANGUAGES, Texts
from bots.turns import Occasion, OccasionKind, Pressed, Sent, Tapped, Turn, Wrote


def create(texts: Texts) -> "QuestionnaireBot":
    """The bot with these words."""
    return QuestionnaireBot(texts)


class QuestionnaireBot:
    """One item a message; the rows say what is answered, the memory what was asked last."""

    name = "questionnaire"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._thresholds = load_thresholds()
        self._lines = shipped_resources()
        self._says = {language: _table(voice.Voice(texts, language, "UTC")) for language in LANGUAGES}

    def wants(self, turn: Turn) -> bool:
        """Words with which somebody begins, or goes on after a long time."""
        if isinstance(turn.event, Pressed):
            return turn.event.key.startswith("questionnaire.")
        if not isinstance(turn.event, Wrote) or not turn.person.memberships:
            return False
        return any("start" in said.get(normal(turn.event.text), ()) for said in self._says.values())

    def answer(self, turn: Turn) -> Answer | Need:
        """The next question, or what its asker has to say first."""
        here = self._here(turn)
        if here is None:
            return Need(OpenAssignments())
        if turn.refusal is not None:
            return _refused(here, turn.refusal)
        match turn.event:
            case Tapped(choice=choice):
                return _tapped(here, choice)
            case Wrote(text=text):
                return _wrote(here, text)
            case Sent():
                return dialogue.again(here, "again.picture")
            case _:
                return dialogue.start(here)

    def again(self, turn: Turn, most: int) -> Message | None:
        """The open question behind another bot's answer, in `most` bytes; where it does not fit, a line that says where it waits."""
        here = self._here(turn)
        if here is None or here.place is None or here.place.mode not in (Mode.ASK, Mode.AGAIN, Mode.REVIEW):
            return None
        assignment = here.of_wave(here.place.wave)
        sheet = None if assignment is None else assignment.next_sheet()
        if assignment is None or sheet is None or not assignment.takes(turn.now):
            return None
        item = next((each for each in sheet.asked() if each.number == here.place.item), None) or sheet.open_item()
        if item is None:
            question, item = voice.review(here.voice, sheet), sheet.asked()[-1]
        else:
            question = voice.question(here.voice, assignment, sheet, item)
        if room(question) >= room(Message("")) - most:
            return question
        return Message(here.voice("again.short", progress=voice.progress(here.voice, assignment, sheet, item)))

    def compose(self, occasion: Occasion) -> Message:
        """An invitation or a reminder.

        Details: `wave` (int), `course` (str), `titles` (by language), `minutes`, `items`, `count` (int), `closes_at` (aware datetime),
        `over` (bool: that moment has passed, and what comes late is kept).
        """
        reminder = "invitation.reminder_late" if occasion.details.get("over") else "invitation.reminder"
        keys = {OccasionKind.INVITATION: "invitation.words", OccasionKind.REMINDER: reminder}
        if occasion.kind not in keys:
            raise LookupError(f"The questionnaire bot has no words for {occasion.kind}.")
        say, details = voice.Voice(self._texts, occasion.language, occasion.zone), occasion.details
        gaps = {name: details[name] for name in ("minutes", "items", "count", "closes_at")}
        title = details["titles"].get(occasion.language) or next(filter(None, details["titles"].values()), "")
        words = say(keys[occasion.kind], course=named(details["course"]), title=named(title), **gaps)
        own = short(details["wave"])
        begin = "go" if occasion.kind is OccasionKind.INVITATION else "go_on"
        return Message(words, (say.choice(begin, f"go.{own}"), say.choice("later", f"later.{own}"), say.choice("refuse", f"refuse.{own}")))

    def _here(self, turn: Turn) -> Here | None:
        found = turn.facts.get(OpenAssignments())
        if found is None:
            return None
        says = self._says[turn.person.language]
        return Here(turn, voice.voice_for(self._texts, turn), says, found, read_place(turn.memory), self._thresholds, self._lines)


def _table(words: voice.Voice) -> dict[str, tuple[str, ...]]:
    """What typed words may mean, by their normal form."""
    found: dict[str, tuple[str, ...]] = {}
    for key in (*_COMMANDS, "hand_in", "refuse_sure", "tomorrow"):
        for each in words(f"accepts.{key}").split("|"):
            found[normal(each)] = (*found.get(normal(each), ()), key)
    return found


def _refused(here: Here, refusal: str) -> Answer | Need:
    match refusal:
        case "closed":
            return here.end("none.closed")
        case "done":
            return dialogue.again(here, "done.twice")
        case "open":
            return dialogue.again(here)
        case _:
            return dialogue.again(here, "again.foreign")


def _tapped(here: Here, choice: str) -> Answer | Need:  # noqa: PLR0911 - one line per kind of choice
    _, kind, own, *rest = [*choice.split("."), "", ""]
    match kind, rest:
        case "", _:
            return dialogue.again(here, "again.foreign")
        case "v", [item, value, *_] if (given := number(value)) is not None:
            return dialogue.tapped(here, number_of(own), _item(item), given)
        case "skip", [item, *_]:
            return dialogue.tapped(here, number_of(own), _item(item), None)
        case "in", _:
            return dialogue.hand_in(here, number_of(own))
    assignment = here.of_wave(number_of(own))
    if assignment is None:
        return here.end("none.over") if not here.open else dialogue.again(here, "again.foreign")
    match kind, rest:
        case "later", _:
            return dialogue.later(here, assignment)
        case "h", [hours, *_] if hours.isdecimal() and 0 < int(hours) <= 24:
            return dialogue.remind(here, assignment, int(hours))
        case "refuse", _:
            return dialogue.refuse(here, assignment)
        case "no", _:
            return dialogue.decline(here, assignment)
    return dialogue.go(here, assignment)


def _item(letters: str) -> int:
    return int(letters) if letters.isdecimal() and letters.isascii() and len(letters) < 3 else 0


def _wrote(here: Here, text: str) -> Answer | Need:
    if here.place is None or here.assignment() is None:
        gone = here.place is not None and "start" not in here.meanings(text)
        return here.end("none.over") if gone else dialogue.start(here)
    if here.place.mode in _CHOOSING:
        return _CHOOSING[here.place.mode](here, text)
    wanted = reading.change(text)
    if wanted is not None:
        return dialogue.change(here, wanted)
    command = next((key for key in here.meanings(text) if key in _COMMANDS), None)
    if command is not None and (here.place.mode is not Mode.PAUSED or command == "start"):
        return _COMMANDS[command](here)
    if here.place.mode is Mode.REVIEW:
        return _reviewing(here, text)
    return (None if here.place.mode is Mode.PAUSED else dialogue.wrote(here, text)) or dialogue.unclear(here)


def _reviewing(here: Here, text: str) -> Answer | Need:
    if "hand_in" in here.meanings(text):
        return dialogue.hand_in(here, here.place.sheet if here.place else 0)
    item = number(text)
    return dialogue.change(here, reading.Change(item)) if item else dialogue.review(here)


def _hours(here: Here, text: str) -> Answer | Need:
    assignment, hours = here.assignment(), dialogue.hours_of(here, text)
    if assignment is None or hours is None:
        return dialogue.start(here)
    return dialogue.remind(here, assignment, hours)


def _sure(here: Here, text: str) -> Answer | Need:
    assignment = here.assignment()
    sure = not {"refuse_sure", "refuse"}.isdisjoint(here.meanings(text))
    return dialogue.decline(here, assignment) if sure and assignment is not None else dialogue.start(here)


def _which(here: Here, text: str) -> Answer | Need:
    takes = dialogue.takes(here)
    chosen = pick(text, dialogue.which(here, takes))
    return dialogue.start(here) if chosen is None else _tapped(here, chosen.id)


def _later(here: Here) -> Answer:
    assignment = here.assignment()
    return dialogue.again(here) if assignment is None else dialogue.later(here, assignment)


def _refuse(here: Here) -> Answer:
    assignment = here.assignment()
    return dialogue.again(here) if assignment is None else dialogue.refuse(here, assignment)


_CHOOSING: dict[Mode, Callable[[Here, str], Answer | Need]] = {Mode.HOURS: _hours, Mode.REFUSE: _sure, Mode.WHICH: _which}
_COMMANDS: dict[str, Callable[[Here], Answer | Need]] = {
    "start": dialogue.again,
    "back": dialogue.back,
    "skip": dialogue.skip,
    "pause": dialogue.pause,
    "where": dialogue.where,
    "review": dialogue.review,
    "page": dialogue.page,
    "later": _later,
    "refuse": _refuse,
}
