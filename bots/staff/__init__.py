"""The staff's bot: leaders, assistants and administrators announce to their groups, and see who got it.

For everybody else it does not exist: it wants none of their words, and what reaches it all the same gets a neutral line.
"""

from collections.abc import Callable

from bots.choices import number_of
from bots.clipping import named
from bots.effects import Answer, CancelAnnouncement, Message, Say
from bots.facts import Announcements, AnnouncementSummary, Need, ProgressOf
from bots.staff import following
from bots.staff import voice as words
from bots.staff.commands import Command, goes_on, leaves, read_command
from bots.staff.dialogue import Here, ask_when, go_on, let_go, start, take_choice, take_thing, take_typed
from bots.staff.draft import read_draft
from bots.staff.voice import voice_for
from bots.texts import Texts, Words
from bots.turns import ANNOUNCERS, Occasion, Pressed, Sent, Tapped, Turn, Wrote

#: How many announcements are looked through for a number that was typed.
_MANY = 50


def create(texts: Texts) -> "StaffBot":
    """The bot with these words."""
    return StaffBot(texts)


class StaffBot:
    """Announcements in chat: text, group, time, preview with forecast, confirmation; lists, cancelling, who got it."""

    name = "staff"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def wants(self, turn: Turn) -> bool:
        """A command, from somebody who may give it."""
        if not turn.person.roles() & ANNOUNCERS:
            return False
        if isinstance(turn.event, Pressed):
            return turn.event.key.startswith("staff.")
        return isinstance(turn.event, Wrote) and read_command(turn.event.text) is not None

    def answer(self, turn: Turn) -> Answer | Need:
        """The next step, for staff only."""
        here = Here(turn, voice_for(self._texts, turn), read_draft(turn.memory))
        if not turn.person.roles() & ANNOUNCERS:
            return _outsider(here)
        if turn.refusal is not None:
            return _refused(here, turn.refusal)
        return _by_event(here)

    def compose(self, occasion: Occasion) -> Message:
        """There is no occasion on which this bot speaks first."""
        raise LookupError(f"The staff bot has no words for {occasion.kind}.")


def _by_event(here: Here) -> Answer | Need:
    match here.turn.event:
        case Pressed(key="staff.announce"):
            return start(here)
        case Pressed():
            return _list(here)
        case Tapped(choice=choice):
            return _tapped(here, choice)
        case Wrote(text=text):
            return _wrote(here, text)
        case _:
            return take_thing(here) if isinstance(here.turn.event, Sent) and here.draft.id else _kept(here, here.voice("closed"))


def _outsider(here: Here) -> Answer:
    """Not staff, or no longer: an open draft is dropped, and said to be; else a line that tells nothing of commands."""
    key = "refused.role" if here.draft.id else "outsider"
    return Answer((Say(Message(here.voice(key))),), None)


def _refused(here: Here, refusal: str) -> Answer | Need:  # noqa: PLR0911 - one line per refusal
    """The application refused what was confirmed (`bots.effects.Announce`, `CancelAnnouncement`)."""
    about_answers = following.refused(here, refusal)
    if about_answers is not None:
        return about_answers
    match refusal:
        case "options" | "until":
            return go_on(here.with_draft(here.voice(f"poll.{refusal}"), asks=here.draft.asks if refusal == "until" else "", until=0))
        case "past":
            return ask_when(here.with_draft(here.voice("moment.past")))
        case "long" | "empty":
            return go_on(here.with_draft(here.voice("refused.text"), text=""))
        case "mass":
            return go_on(here.with_draft(here.voice("refused.mass"), mass=False))
        case "gone":
            return _kept(here, here.voice("cancel.gone"))
        case _:
            return let_go(here, "refused.role")


def _wrote(here: Here, text: str) -> Answer | Need:
    command = read_command(text)
    if command is not None and not (command.loose and _waits_for_words(here)):
        return _obey(here, command)
    if not here.draft.id:
        return following.typed(here, text) if here.draft.follow else Answer((Say(Message(here.voice("closed"))),), None)
    if leaves(text):
        return let_go(here, "left")
    if goes_on(text):
        return go_on(here)
    if here.draft.rests(here.turn.now):
        return go_on(here.with_draft(here.voice("rested")))
    return take_typed(here, text)


def _waits_for_words(here: Here) -> bool:
    """Whether what is typed now is the announcement itself, word for word."""
    return bool(here.draft.id) and here.draft.step == "text" and not here.draft.rests(here.turn.now)


def _obey(here: Here, command: Command) -> Answer | Need:  # noqa: PLR0911 - one line per command
    match command.name:
        case "announce":
            return start(here, command.text)
        case "list":
            return _list(here)
        case "course":
            return _change_course(here)
        case "who":
            return _who(here, command.number)
        case "follow":
            return _with_poll(here, command.number, lambda id_: following.start(here, id_, command.text))
        case "close":
            return _with_poll(here, command.number, lambda id_: following.close(here, id_))
        case _:
            return _cancel(here, command.number)


def _tapped(here: Here, choice: str) -> Answer | Need:  # noqa: PLR0911 - one line per kind of choice
    _, kind, value = [*choice.split("."), "", ""][:3]
    match kind:
        case "who":
            return _progress(here, number_of(value))
        case "cancel":
            return _take_back(here, id_=number_of(value))
        case "follow":
            return following.start(here, number_of(value))
        case "nudge":
            return following.send(here, number_of(value))
        case "unfollow":
            return following.leave(here)
        case "close":
            return following.close(here, number_of(value))
        case _:
            return take_choice(here, choice)


def _change_course(here: Here) -> Answer | Need:
    if len({each.course for each in here.turn.person.announces_to()}) < 2:
        return _kept(here, here.voice("one_course"))
    if not here.draft.id:
        return start(here.with_draft(course=0, day=""))
    return go_on(here.with_draft(course=0, day="", group=0))


# What was announced -------------------------------------------------------------------------------------------------------------


def _kept(here: Here, text: Words, message: Message | None = None) -> Answer:
    """Say something beside an open draft, and that the draft is still there."""
    choices = message.choices if message is not None else ()
    still = here.voice("draft_kept") if here.draft.id else None
    answer = here.say(text, choices)
    return answer if still is None else Answer((*answer.effects, Say(Message(still))), answer.memory)


def _list(here: Here) -> Answer | Need:
    found = here.turn.facts.get(Announcements())
    if found is None:
        return Need(Announcements())
    if not found:
        return _kept(here, here.voice("list.empty"))
    message = words.listed(here.voice, found)
    return _kept(here, Words(message.text), message)


def _who(here: Here, number: int) -> Answer | Need:
    found = here.turn.facts.get(Announcements(_MANY))
    if found is None:
        return Need(Announcements(_MANY))
    begun = [each for each in found if each.state in ("going out", "done") or _is_due(here, each)]
    meant = [each for each in found if each.number == number] if number else begun[:1]
    if len(meant) == 1:
        return _progress(here, meant[0].id)
    return _choose(here, tuple(meant), "who.none" if not number else "unknown_number")


def _with_poll(here: Here, number: int, do: Callable[[int], Answer | Need]) -> Answer | Need:
    """Do it with the announcement that has this number; without a number, with the newest that has gone out."""
    found = here.turn.facts.get(Announcements(_MANY))
    if found is None:
        return Need(Announcements(_MANY))
    begun = [each for each in found if each.state in ("going out", "done")]
    meant = [each for each in found if each.number == number] if number else begun[:1]
    return do(meant[0].id) if len(meant) == 1 else _choose(here, tuple(meant), "unknown_number" if number else "who.none")


def _is_due(here: Here, each: AnnouncementSummary) -> bool:
    """Whether it goes out within seconds."""
    return each.state == "planned" and each.at <= here.turn.now


def _progress(here: Here, id_: int) -> Answer | Need:
    progress, found = here.turn.facts.get(ProgressOf(id_)), here.turn.facts.get(Announcements(_MANY))
    if progress is None or found is None:
        missing = (ProgressOf(id_) if progress is None else None, Announcements(_MANY) if found is None else None)
        return Need(*(request for request in missing if request is not None))
    if progress.total < 0:
        return _kept(here, here.voice("unknown_number"))
    each = next((one for one in found if one.id == id_), None)
    if each is not None and not progress.total:
        return _nobody_yet(here, each)
    going, leave = each is not None and each.state == "going out", following.POLL_BYTES if progress.poll else 0
    told = words.progress_words(here.voice, progress, going=going, leave=leave)
    message = following.with_answers(here.voice, told, progress)
    return _kept(here, Words(message.text), message)


def _nobody_yet(here: Here, each: AnnouncementSummary) -> Answer:
    """It is nobody's yet: why, and when to look again."""
    gaps = {"number": each.number, "group": named(each.group_name)}
    if _is_due(here, each):
        return _kept(here, here.voice("who.just", **gaps), Message("", (words.refresh(here.voice, each.id),)))
    if each.state == "planned":
        return _kept(here, here.voice("who.planned", at=each.at, **gaps))
    return _kept(here, here.voice("who.nothing", state=words.standing(here.voice, each), **gaps))


def _cancel(here: Here, number: int) -> Answer | Need:
    found = here.turn.facts.get(Announcements(_MANY))
    if found is None:
        return Need(Announcements(_MANY))
    meant = tuple(each for each in found if each.number == number)
    return _take_back(here, meant[0].id) if len(meant) == 1 else _choose(here, meant, "unknown_number")


def _choose(here: Here, meant: tuple[AnnouncementSummary, ...], otherwise: str) -> Answer:
    """Two courses use one number: show both, to tap. None at all: say `otherwise`."""
    if not meant:
        return _kept(here, here.voice(otherwise))
    message = words.listed(here.voice, meant)
    return _kept(here, Words(message.text), message)


def _take_back(here: Here, id_: int) -> Answer | Need:
    found = here.turn.facts.get(Announcements(_MANY))
    if found is None:
        return Need(Announcements(_MANY))
    each = next((one for one in found if one.id == id_), None)
    if each is None:
        return _kept(here, here.voice("unknown_number"))
    if each.state in ("cancelled", "missed"):
        return _kept(here, here.voice("cancel.gone"))
    key = "cancel.planned" if each.state in words.TO_COME else "cancel.going"
    answer = _kept(here, here.voice(key, number=each.number, group=named(each.group_name)))
    return Answer((CancelAnnouncement(id_), *answer.effects), answer.memory, open=answer.open)
