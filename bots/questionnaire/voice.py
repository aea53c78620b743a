"""Hides how questions are put into words so that they fit into one message: progress, options, review, what was heard."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bots.choices import short
from bots.clipping import clip, named, room, size
from bots.effects import Choice, Given, Message
from bots.questionnaire import reading
from bots.questionnaire.instrument import LABELLED, Item, Kind
from bots.questionnaire.sheets import Assignment, Sheet
from bots.texts import Texts, Words, inert
from bots.turns import Turn

_MOST_NAMES_BYTES = 400
#: Values that need a line each in a review; numbers stand in a row.
_CELLS = frozenset({Kind.SCALE})
#: So many answers of one message are echoed with their labels, more by their numbers.
_MOST_LABELS = 6


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
        """A way on: a choice without a number, with the label `choice.<key>`."""
        return Choice(f"questionnaire.{id_}", self(f"choice.{key}", **gaps), mark="")

    def title(self, sheet: Sheet) -> Words:
        """What a questionnaire is called."""
        return _titled(sheet.instrument.title[self.language])

    def names(self, sheets: Sequence[Sheet]) -> Words:
        """Several questionnaires in a row."""
        return Words(clip(Words(self("heard.comma").join(map(self.title, sheets))), _MOST_NAMES_BYTES))

    def label(self, item: Item, value: int | None) -> str:
        """An answer as people read it."""
        return self("heard.left_out") if value is None else reading.label(item, value, self.language)


#: The titles of instruments: a few that come with every question.
_titled = lru_cache(maxsize=64)(named)


def voice_for(texts: Texts, turn: Turn) -> Voice:
    """The voice for the person of this turn."""
    return Voice(texts, turn.person.language, turn.person.zone)


def progress(voice: Voice, assignment: Assignment, sheet: Sheet, item: Item) -> Words:
    """How far somebody is: in this questionnaire, and in all of them."""
    numbers = [each.number for each in sheet.asked()]
    place = numbers.index(item.number) + 1 if item.number in numbers else len(numbers)
    sizes = [each.size() for each in assignment.sheets]
    done = sum(sizes[: assignment.sheets.index(sheet)]) + place
    return voice("ask.progress", title=voice.title(sheet), number=place, of=len(numbers), done=done, all=sum(sizes))


def question(
    voice: Voice, assignment: Assignment, sheet: Sheet, item: Item, before: Sequence[Words] = (), *, first: bool = False
) -> Message:
    """One item with its options; `before` stands above it as far as it fits. `first`: how to answer is told."""
    opening = [Words(sheet.instrument.opening(voice.language, sheet.frame))] if not sheet.answers else []
    told = [voice("ask.how")] if first and item.kind in LABELLED else []
    words = voice("ask.item", progress=progress(voice, assignment, sheet, item), words=Words(item.words[voice.language]))
    bare = Words(f"{words}\n{hint}") if (hint := _hint(voice, item)) else words
    options = _options(voice, assignment, sheet, item)
    message = Message(bare, options)
    left = room(message)
    if left < 0:  # what cannot be tapped can still be typed
        lines = [voice("ask.plain_option", mark=each.mark or "", label=Words(each.label)) for each in options if each.mark]
        message = Message(Words("\n".join([bare, *lines])), tuple(each for each in options if not each.mark))
        left = room(message)
    return _with(message, left, [*before, *opening, *told])


def _with(message: Message, left: int, above: Sequence[Words]) -> Message:
    """The message, which leaves so many bytes, below these words; those that do not fit any more are left out, the last ones first."""
    for count in range(len(above), 0, -1):
        words = "".join(f"{each}\n\n" for each in above[:count])
        if size(words) <= left:
            return Message(Words(words + message.text), message.choices)
    return message


def _hint(voice: Voice, item: Item) -> Words | None:
    match item.kind:
        case Kind.NUMBER:
            return voice("ask.number", lowest=item.lowest, highest=item.highest)
        case Kind.DATE:
            return voice("ask.date")
        case Kind.TEXT:
            return voice("ask.text")
        case _:
            return None


def _options(voice: Voice, assignment: Assignment, sheet: Sheet, item: Item) -> tuple[Choice, ...]:
    at = f"{short(sheet.id)}.{item.number}"
    skip = (voice.choice("skip", f"skip.{at}"),) if assignment.skips else ()
    if item.kind not in LABELLED:
        return skip
    return (*[Choice(f"questionnaire.v.{at}.{value}", label, mark=value) for value, label in item.labelled[voice.language]], *skip)


def review(voice: Voice, sheet: Sheet, before: Sequence[Words] = ()) -> Message:
    """Every answer of a questionnaire on one screen, and the way to hand it in."""
    asked = sheet.asked()
    cells = all(item.kind in _CELLS for item in asked)
    key, between = ("review.cell", "  ") if cells else ("review.line", "\n")
    answers = (_short_answer(voice, item, sheet.answers[item.number], cells=cells) for item in asked)
    listed = between.join(voice(key, item=item.number, answer=answer) for item, answer in zip(asked, answers, strict=True))
    parts = (voice("review.head", title=voice.title(sheet)), listed, voice("review.how"))
    message = Message(Words("\n".join(parts)), (voice.choice("hand_in", f"in.{short(sheet.id)}"),))
    return _with(message, room(message), before)


def _short_answer(voice: Voice, item: Item, value: int | None, *, cells: bool) -> str:
    return str(value) if cells and value is not None else "–" if value is None else voice.label(item, value)


def noted(voice: Voice, sheet: Sheet, given: Sequence[Given], *, echo: bool) -> list[Words]:
    """What was heard: new answers where they shall be echoed, and what changed or was left out in any case."""
    new = [each for each in given if each.item not in sheet.answers]
    told = [_changed(voice, sheet, each) for each in given if each.item in sheet.answers]
    if len(new) > 1:
        return [*told, _many(voice, sheet, new)] if echo else told
    skipped = [voice("heard.skipped", item=each.item) for each in new if each.value is None]
    one = [voice("heard.one", item=each.item, answer=_said(voice, sheet, each)) for each in new if echo and each.value is not None]
    return [*told, *skipped, *one]


def _many(voice: Voice, sheet: Sheet, new: Sequence[Given]) -> Words:
    if len(new) > _MOST_LABELS:
        cells = [voice("review.cell", item=each.item, answer=str(each.value)) for each in new]
        return voice("heard.many", answers=Words("  ".join(cells)))
    cells = [voice("heard.each", item=each.item, answer=_said(voice, sheet, each)) for each in new]
    return voice("heard.many", answers=Words(voice("heard.comma").join(cells)))


def _said(voice: Voice, sheet: Sheet, given: Given) -> str:
    return given.text or voice.label(sheet.instrument.items[given.item - 1], given.value)


def _changed(voice: Voice, sheet: Sheet, given: Given) -> Words:
    item, before, now = sheet.instrument.items[given.item - 1], sheet.answers[given.item], given.value
    if before == now and item.kind is not Kind.TEXT:
        return voice("heard.same", item=item.number, answer=voice.label(item, now))
    return voice("heard.changed", item=item.number, answer=voice.label(item, now), before=voice.label(item, before))


def help_lines(voice: Voice, lines: str, otherwise: str) -> Words:
    """Whom to talk to now: the course's own lines where it has some."""
    shown = inert(lines.strip()) or otherwise
    most = 1_000 - size(voice("safe.words", resources=""))
    return voice("safe.words", resources=Words(clip(Words(shown), most)))
