"""The practice prompts' bot: leaders plan words that come once or again and again, and steer them; readers get them by their own name.

For everybody but leaders, assistants and administrators its commands do not exist.
"""

from bots.choices import number_of, short
from bots.clipping import named
from bots.effects import Answer, CancelPrompt, Choice, Effect, Message, PausePrompt, ResumePrompt, Say
from bots.facts import Need
from bots.prompt import gaps
from bots.prompt import voice as words
from bots.prompt.answering import take_choice, take_thing, take_typed
from bots.prompt.commands import Command, changes_course, goes_on, leaves, other_groups, read_command
from bots.prompt.dialogue import (
    CODES,
    Here,
    ask_other_groups,
    ask_when,
    change,
    go_on,
    leave,
    let_go,
    missing,
    other_course,
    start,
)
from bots.prompt.draft import read_draft
from bots.prompt.plans import MOST_PROMPTS, Calendars, Prompts, PromptView
from bots.prompt.voice import Voice, groups_words, voice_for
from bots.recurrence import coming
from bots.texts import Texts, Words
from bots.turns import ANNOUNCERS, Occasion, OccasionKind, Pressed, Sent, Tapped, Turn, Wrote

_STEPS = ("pause", "resume", "edit", "cancel", "show")
_REASONS = frozenset(("late", "late_many", "role", "restored", "course_ended"))


def create(texts: Texts) -> "PromptBot":
    """The bot with these words."""
    return PromptBot(texts)


class PromptBot:
    """Practice prompts in chat: text, groups, when, preview with the next times, confirmation; lists, pausing, changing, cancelling."""

    name = "prompt"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def wants(self, turn: Turn) -> bool:
        """A command, from somebody who may give it."""
        if not turn.person.roles() & ANNOUNCERS:
            return False
        if isinstance(turn.event, Pressed):
            return turn.event.key.startswith("prompt.")
        return isinstance(turn.event, Wrote) and read_command(turn.event.text) is not None

    def answer(self, turn: Turn) -> Answer | Need:
        """The next step, for staff only."""
        here = Here(turn, voice_for(self._texts, turn), read_draft(turn.memory))
        if not turn.person.roles() & ANNOUNCERS:
            key = "refused.role" if here.draft.id else "outsider"
            return Answer((Say(Message(here.voice(key))),), None)
        if turn.refusal is not None:
            return _refused(here, turn.refusal)
        return _by_event(here)

    def compose(self, occasion: Occasion) -> Message:
        """The words of a prompt for one reader, or of a report to its author.

        Details of a PROMPT: text, week, group_name, author_name, author_role; `names_reader` says that the text asks for the reader's name,
        which is the occasion's. Of a REPORT: reason ("late", "late_many", "role", "restored", "course_ended"; any other is told without a
        why), number, groups (their names), count, first, last, next_at (None: nothing is to come). Raises `LookupError` for other kinds.
        """
        voice = Voice(self._texts, occasion.language, occasion.zone)
        match occasion.kind:
            case OccasionKind.PROMPT:
                return Message(_prompt(voice, occasion))
            case OccasionKind.REPORT:
                return Message(_report(voice, occasion))
            case _:
                raise LookupError(f"The prompt bot has no words for {occasion.kind}.")


def _prompt(voice: Voice, occasion: Occasion) -> Words:
    details = occasion.details
    role = f"role.{details.get('author_role')}"
    known = role in voice.texts.keys()  # noqa: SIM118 - not a mapping
    author = named(details.get("author_name") or "") or voice(role if known else "role.other")
    text = gaps.fill(details["text"], occasion.reader, details["week"], voice.nameless())
    return voice("prompt.words", group=named(details["group_name"]), author=author, text=text)


def _report(voice: Voice, occasion: Occasion) -> Words:
    details = occasion.details
    reason = details.get("reason")
    next_at = details.get("next_at")
    following = voice("report.last") if next_at is None else voice("report.next", at=next_at)
    gap = {name: details.get(name) for name in ("number", "count", "first", "last")} | {"next": following}
    groups = groups_words(voice, details["groups"])
    return voice(f"report.{reason if reason in _REASONS else 'other'}", groups=groups, **gap)


# Events -------------------------------------------------------------------------------------------------------------------------


def _by_event(here: Here) -> Answer | Need:
    match here.turn.event:
        case Pressed(key="prompt.list"):
            return _list(here)
        case Pressed():
            return start(here)
        case Tapped(choice=choice):
            return _tapped(here, choice)
        case Wrote(text=text):
            return _wrote(here, text)
        case Sent() if here.draft.id:
            return take_thing(here)
        case _:
            return _kept(here, here.voice("closed"))


def _refused(here: Here, refusal: str) -> Answer | Need:
    """The application refused what was confirmed (`bots.effects.PlanPrompt` and its like)."""
    match refusal:
        case "past" | "until":
            return ask_when(here.with_draft(here.voice("moment.past"))) if here.draft.id else _kept(here, here.voice("refused.gone_any"))
        case "long" | "empty" | "gap":
            return go_on(here.with_draft(here.voice("refused.text"), text=""))
        case "many":
            return Answer((Say(Message(here.voice("refused.many", limit=MOST_PROMPTS))),), None)
        case "changed":
            return let_go(here, "refused.changed")
        case "gone":
            return _kept(here, here.voice("refused.gone_any"))
        case _:
            return let_go(here, "refused.role")


def _wrote(here: Here, text: str) -> Answer | Need:
    command = read_command(text)
    if command is not None and not (command.text and _waits_for_words(here)):
        return _obey(here, command)
    if not here.draft.id:
        return Answer((Say(Message(here.voice("closed"))),), None)
    if leaves(text):
        return leave(here)
    if goes_on(text):
        return go_on(here)
    if here.draft.rests(here.turn.now):
        return go_on(here.with_draft(here.voice("rested")))
    return _answered(here, text)


def _answered(here: Here, text: str) -> Answer | Need:
    if changes_course(text):
        return other_course(here)
    if other_groups(text) and here.draft.step in ("when", "preview", "again"):
        need = missing(here, Calendars())
        return need or ask_other_groups(here)
    return take_typed(here, text)


def _waits_for_words(here: Here) -> bool:
    """Whether what is typed now is the prompt itself, word for word."""
    return bool(here.draft.id) and here.draft.step == "text" and not here.draft.rests(here.turn.now)


def _obey(here: Here, command: Command) -> Answer | Need:
    if command.name == "start":
        return start(here, command.text, spaced=command.spaced)
    return _list(here) if command.name == "list" else _steer_number(here, command)


def _tapped(here: Here, choice: str) -> Answer | Need:
    _, kind, value = [*choice.split("."), "", ""][:3]
    if kind not in _STEPS:
        return take_choice(here, choice)
    need = missing(here, Prompts(), *(CODES if kind == "edit" else (Calendars(),)))
    if need is not None:
        return need
    each = next((one for one in here.prompts() if one.id == number_of(value)), None)
    return _kept(here, here.voice("unknown_number")) if each is None else _steer(here, kind, each)


# Prompts that are there ----------------------------------------------------------------------------------------------------------


def _kept(here: Here, text: Words, choices: tuple[Choice, ...] = (), *effects: Effect) -> Answer:
    """Say something beside an open draft, and that the draft is still there."""
    answer = here.say(text, choices, *effects)
    still = Say(Message(here.voice("draft_kept")))
    return Answer((*answer.effects, still), answer.memory) if here.draft.id else answer


def _list(here: Here) -> Answer | Need:
    need = missing(here, Prompts(), Calendars())
    if need is not None:
        return need
    found = here.prompts()
    if not found:
        return _kept(here, here.voice("list.empty"))
    message = words.listed(here.voice, found, here.calendars())
    return _kept(here, Words(message.text), message.choices)


def _steer_number(here: Here, command: Command) -> Answer | Need:
    """Do this with the prompt of this number; where two courses use it, show both, to tap."""
    need = missing(here, Prompts(), *(CODES if command.name == "edit" else (Calendars(),)))
    if need is not None:
        return need
    meant = [each for each in here.prompts() if each.number == command.number]
    if not meant:
        return _kept(here, here.voice("unknown_number"))
    if len(meant) == 1:
        return _steer(here, command.name, meant[0])
    choices = tuple(_in_group(here, command.name, each) for each in meant[:4])
    return _kept(here, here.voice("which"), choices)


def _in_group(here: Here, step: str, each: PromptView) -> Choice:
    offered = here.voice.choice(step, f"{step}.{short(each.id)}", number=each.number)
    group = words.label(each.groups[0][1]) if each.groups else Words("")
    return Choice(offered.id, here.voice("choice.in_group", label=Words(offered.label), group=group))


def _steer(here: Here, step: str, each: PromptView) -> Answer | Need:
    gap = {"number": each.number}
    if step == "show":
        message = words.show(here.voice, each, here.calendars(), here.turn.person, here.turn.now)
        return _kept(here, Words(message.text), message.choices)
    if not each.changeable:
        return _kept(here, here.voice("refused.not_yours"))
    if step == "edit":
        return change(here, each)
    if each.state not in ("running", "paused") and (step, each.state) != ("cancel", "done"):  # of which something may be on its way
        return _kept(here, here.voice("refused.gone", **gap))
    return _turn(here, step, each)


def _turn(here: Here, step: str, each: PromptView) -> Answer:
    """Pause, resume or cancel what is running or paused."""
    gap = {"number": each.number}
    if step == "cancel":
        groups = words.groups_words(here.voice, [name for _, name in each.groups], each.others)
        return _kept(here, here.voice("done.cancelled", groups=groups, **gap), (), CancelPrompt(each.id))
    if step == "pause":
        paused = each.state == "paused"
        said = here.voice("refused.is_paused" if paused else "done.paused", **gap)
        return _kept(here, said, (), *(() if paused else (PausePrompt(each.id),)))
    if each.state != "paused":
        return _kept(here, here.voice("refused.not_paused", **gap))
    next_at = coming(each.rule, here.calendar(each.course).frame(each.until), here.turn.now)
    if next_at is None:
        return _kept(here, here.voice("refused.nothing_left", **gap))
    there = Voice(here.voice.texts, here.voice.language, each.zone)
    return _kept(here, there("done.resumed", at=next_at, **gap), (), ResumePrompt(each.id))
