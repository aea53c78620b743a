"""Hides how questions and answers are put into words so that they fit into one message: whole, with taps where there is room for them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bots.choices import short
from bots.clipping import clip, named, room, size
from bots.effects import Choice, Message
from bots.question.views import Line, Listener, Question
from bots.texts import MOST_BYTES, Texts, Words, inert
from bots.turns import Turn

_MOST_NAME_BYTES = 45
_EXCERPT_BYTES = 90
_MOST_EARLIER_BYTES = 300
#: What a list leaves for the line that counts what was cut, and for another bot's question behind it.
_SPARE_BYTES = 240
_MOST_LISTED = 8


@dataclass(frozen=True)
class Voice:
    """The bot's words for one person."""

    texts: Texts
    language: str
    zone: str

    def __call__(self, key: str, **gaps: Any) -> Words:
        """The words under `key`, in the person's language and zone."""
        return self.texts.fill(key, self.language, self.zone, **gaps)

    def choice(self, key: str, id_: str, **gaps: Any) -> Choice:
        """A choice whose label stands under `choice.<key>` and whose further spellings under `accepts.<key>`."""
        accepts = self(f"accepts.{key}").split("|") if f"accepts.{key}" in self.texts.keys() else []  # noqa: SIM118 - not a mapping
        return Choice(f"question.{id_}", self(f"choice.{key}", **gaps), tuple(accepts))

    def name(self, given: str | None) -> Words:
        """A name as it stands in a sentence; a word for somebody who left none."""
        return named(given, _MOST_NAME_BYTES) if given else self("nameless")

    def answerer(self, given: str | None) -> Words:
        """The name of who answers; the course team where nobody does by name."""
        return named(given, _MOST_NAME_BYTES) if given else self("author.team")

    def joined(self, parts: Iterable[Words]) -> Words:
        """Several words in a row."""
        return Words(self("between").join(parts))


def voice_for(texts: Texts, turn: Turn) -> Voice:
    """The voice for the person of this turn."""
    return Voice(texts, turn.person.language, turn.person.zone)


def weight(text: str) -> int:
    """Bytes of somebody's words as they will be sent."""
    return size(inert(text))


def is_empty(text: str) -> bool:
    """Whether a reader would see nothing."""
    return not any(each.isprintable() and not each.isspace() and each not in "\u3164\u2800\u115f\u1160\uffa0" for each in text)


def fitting(words: Words, choices: tuple[Choice, ...], instead: Words) -> Message:
    """The words with something to tap; where the taps find no room, with the line that says what may be typed `instead`."""
    tapped = Message(words, choices)
    return tapped if room(tapped) >= 0 else Message(Words(f"{words}\n{instead}"))


# Who sees it ------------------------------------------------------------------------------------------------------------------------


def who_sees(voice: Voice, listeners: Sequence[Listener]) -> Words:
    """The names of those who see a question, each with what they are; and that the leader is away, where so."""
    people = voice.joined(
        voice("listener.leads" if each.leads else "listener.assists", name=voice.name(each.name)) for each in listeners[:6]
    )
    away = next((each for each in listeners if each.away_until is not None), None)
    cover = next((each for each in listeners if each.covers), None)
    if away is None:
        return people
    gaps = {"people": people, "leader": voice.name(away.name), "until": away.away_until}
    return voice("listener.away", **gaps) if cover is None else voice("listener.covered", cover=voice.name(cover.name), **gaps)


# One question -----------------------------------------------------------------------------------------------------------------------


def told(voice: Voice, question: Question, most: int) -> Words:
    """Everything that was said, the last thing asked or answered whole, what came before it clipped; in at most `most` bytes."""
    lines = [_line(voice, each, None if place == len(question.lines) else _MOST_EARLIER_BYTES) for place, each in _numbered(question.lines)]
    while len(lines) > 1 and sum(size(each) + 1 for each in lines) > most:
        lines.pop(0)
    return Words(clip(Words("\n".join(lines)), most))


def _numbered(lines: Sequence[Line]) -> Iterable[tuple[int, Line]]:
    return enumerate(lines, start=1)


def _line(voice: Voice, line: Line, most: int | None) -> Words:
    words = voice("told.gone") if line.words is None else inert(line.words)
    shown = words if most is None else Words(clip(words, most))
    return voice("told.line", by=voice.name(line.by) if line.asked else voice.answerer(line.by), at=line.at, words=shown)


def space(head: Words, choices: tuple[Choice, ...] = ()) -> int:
    """Bytes that a message with this beginning leaves for more."""
    return min(MOST_BYTES, room(Message(head, choices))) - len("\n\n")


# Lists ------------------------------------------------------------------------------------------------------------------------------


def listed_open(voice: Voice, found: Sequence[Question]) -> Message:
    """What waits for an answer, the oldest first, each with the one thing that can be done."""
    return _listed(voice, voice("open.head", count=len(found)), found, _open_line, _open_choice)


def listed_mine(voice: Voice, found: Sequence[Question]) -> Message:
    """What somebody asked, the newest first."""
    return _listed(voice, voice("mine.head"), found, _mine_line, _mine_choice)


def _listed(voice: Voice, head: Words, found: Sequence[Question], line: Any, choice: Any) -> Message:
    message, shown = Message(head), 0
    for each in found:
        longer = Message(Words(f"{message.text}\n{line(voice, each)}"), (*message.choices, *choice(voice, each)))
        if room(longer) < _SPARE_BYTES or shown == _MOST_LISTED:
            break
        message, shown = longer, shown + 1
    if shown < len(found):
        return Message(Words(f"{message.text}\n{voice('list.more', count=len(found) - shown)}"), message.choices)
    return message


def _excerpt(each: Question) -> Words:
    asked = each.last_asked()
    return Words(clip(inert(" ".join((asked.words or "").split())), _EXCERPT_BYTES)) if asked is not None else Words("")


def _open_line(voice: Voice, each: Question) -> Words:
    gaps = {"number": each.number, "group": named(each.group_name), "asker": voice.name(each.asker), "at": each.asked_at}
    key = "open.free" if each.state == "open" else "open.mine" if each.mine else "open.taken"
    extra = {"answerer": voice.answerer(each.answerer)} if key == "open.taken" else {}
    return voice("open.line", excerpt=_excerpt(each), state=voice(key, **extra), **gaps)


def _open_choice(voice: Voice, each: Question) -> tuple[Choice, ...]:
    if each.own or (each.state != "open" and not each.mine):
        return ()
    return (voice.choice("claim" if each.state == "open" else "write", f"claim.{short(each.id)}", number=each.number),)


def _mine_line(voice: Voice, each: Question) -> Words:
    extra = {"answerer": voice.answerer(each.answerer)} if each.state in ("claimed", "answered") else {}
    state = voice(f"mine.{each.state}", **extra)
    return voice("mine.line", number=each.number, group=named(each.group_name), at=each.asked_at, excerpt=_excerpt(each), state=state)


def _mine_choice(voice: Voice, each: Question) -> tuple[Choice, ...]:
    if each.last_answer() is not None:
        return (voice.choice("read", f"read.{short(each.id)}", number=each.number),)
    return (voice.choice("undo_one", f"undo.{short(each.id)}", number=each.number),) if each.state in ("open", "claimed") else ()


# On occasions -----------------------------------------------------------------------------------------------------------------------


def call(voice: Voice, details: Any) -> Message:
    """A question as the leader and the assistants get it."""
    why = details["why"] if details["why"] in _WHY else "first"
    gaps = {
        "number": details["number"],
        "group": named(details["group_name"], _MOST_NAME_BYTES),
        "asker": voice.name(details.get("person")),
    }
    words = voice(f"call.{why}", text=details["text"], **gaps)
    claim = voice.choice("write" if why == "more" else "claim", f"claim.{short(details['question'])}", number=details["number"])
    return fitting(words, (claim,), voice("call.type", number=details["number"]))


_WHY = frozenset({"first", "again", "freed", "more"})


def answer(voice: Voice, details: Any) -> Message:
    """An answer as who asked gets it."""
    own, number = short(details["question"]), details["number"]
    role = f"author.{details.get('author_role')}"
    name = voice.answerer(details.get("author_name"))
    by = voice(role, name=name) if role in voice.texts.keys() else name  # noqa: SIM118 - not a mapping
    words = voice("answered.words", by=by, number=number, text=details["text"])
    choices = (voice.choice("helped", f"helped.{own}"), voice.choice("on", f"on.{own}"))
    return fitting(words, choices, voice("answered.type", number=number))
