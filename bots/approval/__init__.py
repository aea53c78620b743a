"""The second pair of eyes: whoever may approve an announcement to many sees it as its readers will, lets it go or gives it back.

For everybody but administrators and mentors this bot does not exist. Its author hears from it what became of their words.
"""

from dataclasses import dataclass, replace
from typing import Any

from bots import memory as memories
from bots.approval.commands import Command, leaves, read_command
from bots.approval.waiting import MOST_NOTE, Look, LookAt, Waiting, WaitingForMe
from bots.choices import number_of, short
from bots.clipping import clip, named, room, size
from bots.effects import Answer, ApproveAnnouncement, Choice, Effect, Message, ReturnAnnouncement, Say
from bots.facts import Need
from bots.staff import voice as staff
from bots.texts import Texts, Words, inert
from bots.turns import APPROVERS, Occasion, OccasionKind, Tapped, Turn, Wrote

_VERSION = 1
_MOST_CHOICES, _SPARE_BYTES = 6, 200
_REPORTS = frozenset(("approved", "approved_now", "returned", "unapproved", "waits_grew", "waits_changed", "waits_approver"))


def create(texts: Texts) -> "ApprovalBot":
    """The bot with these words."""
    return ApprovalBot(texts)


@dataclass(frozen=True)
class _Place:
    """The announcement that was shown last, and the mark of what was seen; `asked`: the sentence of a return is asked for."""

    id: int = 0
    version: str = ""
    asked: bool = False


@dataclass(frozen=True)
class _Here:
    turn: Turn
    voice: staff.Voice
    place: _Place

    def end(self, text: Words, choices: tuple[Choice, ...] = (), *effects: Effect) -> Answer:
        """Say it, and leave nothing open: what was shown stays known, so that a word about it can follow."""
        return Answer((*effects, Say(Message(text, choices))), memories.written(_Place(), _VERSION, self.place), open=False)

    def ask(self, text: Words) -> Answer:
        return Answer((Say(Message(text)),), memories.written(_Place(), _VERSION, replace(self.place, asked=True)))

    def choice(self, key: str, id_: str, **gaps: Any) -> Choice:
        return Choice(f"approval.{id_}", self.voice(f"choice.{key}", **gaps))


class ApprovalBot:
    """Looks, says yes, or gives back with a sentence."""

    name = "approval"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def wants(self, turn: Turn) -> bool:
        """A command, from somebody whose eyes count."""
        may = bool(turn.person.roles() & APPROVERS)
        return may and isinstance(turn.event, Wrote) and read_command(turn.event.text) is not None

    def answer(self, turn: Turn) -> Answer | Need:
        """The next step; to everybody else a line that tells nothing."""
        voice = staff.Voice(self._texts, turn.person.language, turn.person.zone)
        here = _Here(turn, voice, memories.read(_Place(), _VERSION, turn.memory))
        if not turn.person.roles() & APPROVERS:
            return Answer((Say(Message(voice("outsider"))),), None)
        if turn.refusal is not None:
            return _refused(here, turn.refusal)
        match turn.event:
            case Tapped(choice=choice):
                return _tapped(here, choice)
            case Wrote(text=text):
                return _wrote(here, text)
            case _:
                return here.ask(voice("note.thing")) if here.place.asked else _list(here)

    def compose(self, occasion: Occasion) -> Message:
        """A call to whoever has a second pair of eyes, or word to the author of what became of it.

        Details of an APPROVAL: announcement (its id), number, why (many, grew, changed, approver), group_name, author_name, author_role,
        excerpt, at (None: as soon as it is approved). Of a REPORT: reason (approved, approved_now, returned, unapproved, waits_grew,
        waits_changed, waits_approver), number, group_name, at; by where somebody decided, note where it was returned. Raises
        `LookupError` for any other occasion.
        """
        voice = staff.Voice(self._texts, occasion.language, occasion.zone)
        match occasion.kind:
            case OccasionKind.APPROVAL:
                return _call(voice, occasion)
            case OccasionKind.REPORT if occasion.details["reason"] in _REPORTS:
                return Message(_report(voice, occasion))
            case _:
                raise LookupError(f"The approval bot has no words for {occasion.kind}.")


def _call(voice: staff.Voice, occasion: Occasion) -> Message:
    details = occasion.details
    gaps = {"number": details["number"], "group": named(details["group_name"]), "author": _name(voice, details["author_name"])}
    excerpt = Words(clip(inert(details["excerpt"]), 90))
    said = voice(f"call.{details['why']}", excerpt=excerpt, when=_when(voice, details["at"]), **gaps)
    look = Choice(f"approval.look.{short(details['announcement'])}", voice("choice.look", number=details["number"]))
    return Message(said, (look,))


def _report(voice: staff.Voice, occasion: Occasion) -> Words:
    details = occasion.details
    gaps = {"number": details["number"], "group": named(details["group_name"]), "at": details["at"]}
    if "by" in details:
        gaps["by"] = _name(voice, details["by"])
    if "note" in details:
        gaps["note"] = details["note"]
    return voice(f"report.{details['reason']}", **gaps)


def _name(voice: staff.Voice, name: str) -> Words:
    return named(name) if name else voice("somebody")


def _when(voice: staff.Voice, at: Any) -> Words:
    return voice("when.approved") if at is None else voice("when.at", at=at)


# What somebody types or taps ------------------------------------------------------------------------------------------------------


def _tapped(here: _Here, choice: str) -> Answer | Need:
    _, kind, letters, version = [*choice.split("."), "", "", ""][:4]
    id_ = number_of(letters)
    match kind:
        case "ok":
            return _approve(here, id_, version)
        case "back":
            return _ask_why(here, id_, version)
        case "look":
            return _look(here, id_)
        case _:
            return _list(here)


def _wrote(here: _Here, text: str) -> Answer | Need:
    command = read_command(text)
    if command is not None:
        return _obey(here, command)
    if not here.place.asked:
        return _list(here)
    if leaves(text):
        return replace(here, place=replace(here.place, asked=False)).end(here.voice("note.left"))
    return _give_back(here, here.place.id, here.place.version, text)


def _obey(here: _Here, command: Command) -> Answer | Need:
    found = here.turn.facts.get(WaitingForMe())
    if found is None:
        return Need(WaitingForMe())
    meant = [each for each in found if each.number == command.number]
    if command.name == "list" or len(meant) != 1:
        return _listed(here, tuple(meant) or found, "unknown" if command.number and not meant else "")
    id_ = meant[0].id
    if command.name == "look" or here.place.id != id_:  # nobody says yes or no to what they have not seen
        return _look(here, id_, "look_first" if command.name != "look" else "")
    if command.name == "approve":
        return _approve(here, id_, here.place.version)
    return _give_back(here, id_, here.place.version, command.text) if command.text else _ask_why(here, id_, here.place.version)


def _list(here: _Here) -> Answer | Need:
    found = here.turn.facts.get(WaitingForMe())
    return Need(WaitingForMe()) if found is None else _listed(here, found)


def _listed(here: _Here, found: tuple[Waiting, ...], before: str = "") -> Answer:
    head = [here.voice(f"list.{before}")] if before else []
    if not found:
        return here.end(Words("\n".join([*head, here.voice("list.empty")])))
    message = Message(Words("\n".join([*head, here.voice("list.head")])))
    for each in found:
        excerpt = Words(clip(inert(each.excerpt), 90))
        line = here.voice(
            "list.line",
            number=each.number,
            group=named(each.group_name),
            author=_name(here.voice, each.author_name),
            when=_when(here.voice, each.at),
            excerpt=excerpt,
        )
        look = here.choice("look", f"look.{short(each.id)}", number=each.number)
        longer = Message(Words(f"{message.text}\n{line}"), (*message.choices, look))
        if room(longer) < _SPARE_BYTES or len(longer.choices) > _MOST_CHOICES:
            break
        message = longer
    return here.end(Words(message.text), message.choices)


def _seen(here: _Here, id_: int) -> Look | Need:
    return here.turn.facts.get(LookAt(id_)) or Need(LookAt(id_))


def _look(here: _Here, id_: int, before: str = "") -> Answer | Need:
    """The announcement as its readers will see it, whom it finds now, and when it goes."""
    look = _seen(here, id_)
    if isinstance(look, Need):
        return look
    if look.state != "waiting":
        return _nothing_to_say(here, look)
    own = f"{short(look.id)}.{look.version}"
    choices = (here.choice("ok", f"ok.{own}", number=look.number), here.choice("back", f"back.{own}", number=look.number))
    shown = replace(here, place=_Place(look.id, look.version))
    parts = [here.voice(before)] if before else []
    return shown.end(Words("\n".join([*parts, *_face(here.voice, look)])), choices)


def _face(voice: staff.Voice, look: Look) -> list[Words]:
    gaps = {"number": look.number, "group": named(look.group_name), "author": _name(voice, look.author_name)}
    parts = [voice("look.head", when=_when(voice, look.at), **gaps), Words(look.bubble)]
    if look.choices:
        parts.append(voice("look.choices", choices=voice.joined(inert(each) for each in look.choices)))
    if look.forecast is not None:
        by_mass = look.forecast.mass if look.by_mass else None
        plain = replace(look.forecast, mass=None)
        parts.append(staff.mass_words(voice, look.forecast, by_mass) if by_mass else staff.forecast_words(voice, plain))
    if look.until is not None:
        parts.append(voice("look.until", until=look.until))
    return parts


def _approve(here: _Here, id_: int, version: str) -> Answer | Need:
    look = _seen(here, id_)
    if isinstance(look, Need):
        return look
    if look.state != "waiting":
        return _nothing_to_say(here, look)
    key = "done.now" if look.at is None else "done.later"
    gaps = {"at": look.at} if look.at is not None else {}
    said = here.voice(key, number=look.number, group=named(look.group_name), **gaps)
    return replace(here, place=_Place()).end(said, (), ApproveAnnouncement(id_, version))


def _ask_why(here: _Here, id_: int, version: str) -> Answer | Need:
    look = _seen(here, id_)
    if isinstance(look, Need):
        return look
    if look.state != "waiting":
        return _nothing_to_say(here, look)
    asked = replace(here, place=_Place(id_, version))
    return asked.ask(here.voice("note.ask", number=look.number, author=_name(here.voice, look.author_name)))


def _give_back(here: _Here, id_: int, version: str, text: str) -> Answer | Need:
    if staff.is_empty(text):
        return here.ask(here.voice("note.empty"))
    if (weighs := size(inert(" ".join(text.split())))) > MOST_NOTE:
        return here.ask(here.voice("note.long", limit=MOST_NOTE, size=weighs))
    look = _seen(here, id_)
    if isinstance(look, Need):
        return look
    if look.state != "waiting":
        return _nothing_to_say(here, look)
    said = here.voice("note.done", number=look.number, author=_name(here.voice, look.author_name))
    return replace(here, place=_Place()).end(said, (), ReturnAnnouncement(id_, version, text))


def _nothing_to_say(here: _Here, look: Look) -> Answer:
    """It needs no word of theirs any more, or never did."""
    told = replace(here, place=_Place())
    if look.state in ("approved", "returned"):
        return told.end(here.voice(f"past.{look.state}", number=look.number, by=_name(here.voice, look.by)))
    return told.end(here.voice(f"past.{look.state if look.state in ('own', 'unknown') else 'gone'}"))


def _refused(here: _Here, refusal: str) -> Answer | Need:
    """The application refused it: something came between the look and the word."""
    id_ = here.place.id
    if isinstance(here.turn.event, Tapped):
        id_ = number_of([*here.turn.event.choice.split("."), "", ""][2])
    if refusal == "changed":
        return _look(here, id_, "changed")
    look = _seen(here, id_)
    if isinstance(look, Need):
        return look
    return here.end(here.voice("past.late")) if refusal == "late" else _nothing_to_say(here, look)
