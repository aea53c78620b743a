"""Hides how the staff's messages are put into words so that they fit: previews, forecasts, clipped lists."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bots.choices import short
from bots.clipping import clip, named, room, size
from bots.effects import Choice, Message
from bots.facts import AnnouncementSummary, MassForecast, Progress, ReachForecast, Unreached
from bots.staff.draft import Draft
from bots.texts import Texts, Words, inert
from bots.turns import Turn

#: Bytes of an announcement's text, counted as it will be sent. With the header it stays below what WeChat takes.
MOST_TEXT_BYTES = 1500
_MOST_LABEL_BYTES = 48
_MOST_PREVIEW_BYTES = 900
#: Room that lists leave: for the line that counts what was cut, and for the one that reminds of an open draft.
_SPARE_BYTES = 240

_NOTHING = Words("")
#: Of these an announcement can be taken back whole.
TO_COME = ("planned", "waiting", "returned")


@dataclass(frozen=True)
class Voice:
    """The bot's words for one person."""

    texts: Texts
    language: str
    zone: str

    def __call__(self, key: str, **gaps: Any) -> Words:
        """The words under `key`, in the person's language and zone."""
        return self.texts.fill(key, self.language, self.zone, **gaps)

    def choice(self, key: str, id: str, **gaps: Any) -> Choice:  # noqa: A002 - it is the choice's id
        """A choice whose label stands under `choice.<key>` and whose further spellings under `accepts.<key>`."""
        accepts = self(f"accepts.{key}").split("|") if f"accepts.{key}" in self.texts.keys() else []  # noqa: SIM118 - not a mapping
        return Choice(f"staff.{id}", self(f"choice.{key}", **gaps), tuple(accepts))

    def joined(self, parts: Iterable[Words]) -> Words:
        """Several words in a row, with this language's comma."""
        return Words(self("comma").join(parts))

    def names(self, names: list[str], total: int, most: int) -> Words:
        """As many of these names as fit into `most` bytes, of `total` people."""
        shown = [named(name) for name in names]
        while shown and size(self("who.between").join(shown)) > most:
            shown.pop()
        listed = Words(self("who.between").join(shown))
        return listed if len(shown) == total else self("follow.names_cut", names=listed, count=total - len(shown))


def voice_for(texts: Texts, turn: Turn) -> Voice:
    """The voice for the person of this turn."""
    return Voice(texts, turn.person.language, turn.person.zone)


def label(text: str) -> Words:
    """A name as the label of a choice."""
    return named(text, _MOST_LABEL_BYTES)


def text_size(text: str) -> int:
    """Bytes of an announcement's words as they will be sent."""
    return size(inert(text))


def is_empty(text: str) -> bool:
    """Whether a reader would see nothing."""
    return not any(each.isprintable() and not each.isspace() and each not in "\u3164\u2800\u115f\u1160\uffa0" for each in text)


def when(voice: Voice, at: datetime | None) -> Words:
    """At once, or the moment."""
    return voice("when.now") if at is None else voice("when.at", at=at)


def preview_choices(voice: Voice, draft: Draft) -> tuple[Choice, ...]:
    """What can be done with a preview; each names it, so that a tap on an older one is recognised. A mass send takes no answers."""
    own = short(draft.preview)
    other_way = voice.choice("each", f"each.{own}") if draft.mass else voice.choice("mass", f"mass.{own}")
    return (
        voice.choice("confirm_mass" if draft.mass else "confirm", f"ok.{own}"),
        *((other_way,) if draft.massable and not draft.asks else ()),
        voice.choice("change_text", f"text.{own}"),
        voice.choice("change_time", f"time.{own}"),
        *(() if draft.mass else (voice.choice("change_answers" if draft.asks else "answers", f"ask.{own}"),)),
        voice.choice("leave", f"leave.{short(draft.id)}"),
    )


def preview(voice: Voice, draft: Draft, group_name: str, forecast: ReachForecast, before: Words | None, asks: Words = _NOTHING) -> Message:
    """What will be sent, to whom, when, what it asks, and whom it will find; the text is clipped where it must be."""
    choices = preview_choices(voice, draft)
    below = Words("\n".join(filter(None, (asks, _forecast_words(voice, draft, forecast), _eyes_words(voice, forecast)))))

    def message(text: str) -> Message:
        words = voice("preview", group=named(group_name), when=when(voice, draft.at()), text=Words(text), forecast=below)
        return Message(_after(before, words), choices)

    whole = inert(draft.text)
    note = Words(f"\n{voice('preview_clipped')}")
    most = min(room(message("")) - size(note), _MOST_PREVIEW_BYTES)
    return message(whole if size(whole) <= most else clip(whole, most) + note)


def forecast_words(voice: Voice, forecast: ReachForecast) -> Words:
    """Whom it will find, in one honest sentence whose parts add up; and whether quiet hours or a silence will hold it."""
    if forecast.total <= 0:
        return voice("forecast.nobody")
    moment = _moment(forecast)
    counts = (
        (moment, forecast.now),
        ("notice", forecast.notice),
        ("capped", forecast.capped),
        ("later", forecast.later),
        ("never", forecast.never),
    )
    parts = voice.joined(voice(f"forecast.{key}", count=count) for key, count in counts if count)
    sentences = [voice("forecast.all", total=forecast.total, parts=parts)]
    if forecast.mass is not None and forecast.mass.reached:
        sentences.append(voice("forecast.or_mass", count=forecast.mass.reached, left=forecast.mass.left, most=forecast.mass.most))
    return _with_hold(voice, forecast, sentences)


def mass_words(voice: Voice, forecast: ReachForecast, mass: MassForecast) -> Words:
    """Whom a mass send will find, what it costs of the month's few, and which way the others go."""
    counts = (("mass", mass.reached), ("used_up", mass.used_up), ("never", forecast.never))
    parts = voice.joined(voice(f"forecast.{key}", count=count) for key, count in counts if count)
    sentences = [voice("forecast.all", total=forecast.total, parts=parts)]
    key = "costs" if mass.left else "costs_last"
    sentences.append(voice(f"forecast.{key}", most=mass.most, left=max(0, mass.left - 1)))
    return _with_hold(voice, forecast, sentences)


def _forecast_words(voice: Voice, draft: Draft, forecast: ReachForecast) -> Words:
    by_mass = draft.mass and forecast.mass is not None and forecast.total > 0
    return mass_words(voice, forecast, forecast.mass) if by_mass and forecast.mass else forecast_words(voice, forecast)


def _eyes_words(voice: Voice, forecast: ReachForecast) -> Words:
    """That a second person looks first, where it goes to many; and that there is nobody who could."""
    if forecast.eyes is None:
        return _NOTHING
    return voice("forecast.eyes" if forecast.eyes.people else "forecast.eyes_nobody", above=forecast.eyes.above)


def _held_until(forecast: ReachForecast) -> datetime | None:
    return max((each for each in (forecast.quiet_until, forecast.silent_until) if each is not None), default=None)


def _moment(forecast: ReachForecast) -> str:
    return "now" if forecast.at is None and _held_until(forecast) is None else "then"


def _with_hold(voice: Voice, forecast: ReachForecast, sentences: list[Words]) -> Words:
    """And until when quiet hours or a silence hold it."""
    held = _held_until(forecast)
    why = "quiet" if forecast.silent_until is None else "silent"
    return Words("\n".join((*sentences, *([] if held is None else [voice(f"forecast.{why}", until=held)]))))


def _after(before: Words | None, words: Words) -> Words:
    return words if before is None else Words(f"{before}\n\n{words}")


def listed(voice: Voice, announcements: tuple[AnnouncementSummary, ...]) -> Message:
    """The announcements, newest last where room ends, each with the one thing that can be done with it."""
    message = Message(voice("list.head"))
    for each in announcements:
        lines = Words(f"{message.text}\n{_line(voice, each)}")
        longer = Message(lines, (*message.choices, *_possible(voice, each)))
        if room(longer) < _SPARE_BYTES or len(longer.choices) > 8:
            break
        message = longer
    return message


def _line(voice: Voice, each: AnnouncementSummary) -> Words:
    excerpt = Words(clip(inert(each.excerpt), 90))
    return voice("list.line", number=each.number, group=named(each.group_name), at=each.at, state=standing(voice, each), excerpt=excerpt)


def standing(voice: Voice, each: AnnouncementSummary) -> Words:
    """Where an announcement stands; once it has gone out, with counts that add up."""
    state = voice(f"state.{each.state.replace(' ', '_')}")
    if each.state == "cancelled" and each.reached:
        return voice("state.stopped", reached=each.reached)
    if each.state not in ("going out", "done"):
        return state
    if not each.total:
        return voice("state.nobody")
    if each.reached == each.total or not each.reached + each.notified:
        return voice("state.everybody" if each.reached else "state.none_yet", state=state, total=each.total)
    missing = each.total - each.reached - each.notified
    counts = (("reached", each.reached), ("notified", each.notified), ("missing", missing))
    parts = voice.joined(voice(f"count.{key}", count=count) for key, count in counts if count)
    return voice("state.counted", state=state, total=each.total, parts=parts)


def _possible(voice: Voice, each: AnnouncementSummary) -> Iterator[Choice]:
    if each.state in TO_COME:
        yield voice.choice("cancel", f"cancel.{short(each.id)}", number=each.number)
    elif each.state in ("going out", "done"):
        yield voice.choice("who", f"who.{short(each.id)}", number=each.number)


def progress_words(voice: Voice, progress: Progress, *, going: bool, leave: int = 0) -> Message:
    """How far an announcement went: counts that add up, then who has not got it, by reason. `going`: more happens by itself.

    `leave`: bytes that stay free for what stands below.
    """
    states = voice.joined(voice("who.state", state=Words(state), count=count) for state, count in progress.by_state)
    head = voice(
        "who.head",
        number=progress.number,
        group=named(progress.group_name),
        excerpt=Words(clip(inert(progress.excerpt), 90)),
        total=progress.total,
        states=states or voice("who.not_yet"),
    )
    choices = (refresh(voice, progress.id),)
    notes = tuple(voice("who.note", note=Words(note)) for note in progress.notes)
    ending = (*notes, *((voice("who.going"),) if going else ()))
    space = room(Message(Words("\n".join((head, *ending))), choices)) - _SPARE_BYTES - leave
    return Message(Words("\n".join((head, *by_reason(voice, progress.unreached, space), *ending))), choices)


def refresh(voice: Voice, id_: int) -> Choice:
    """The choice that asks once more how far an announcement went."""
    return voice.choice("who_again", f"who.{short(id_)}")


def by_reason(voice: Voice, unreached: tuple[Unreached, ...], most: int, kind: str = "who") -> list[Words]:
    """One line per reason with the names after it, in at most `most` bytes; whoever is left out is counted. `kind`: who, or answer."""
    people: dict[str, list[Words]] = {}
    for each in unreached:
        people.setdefault(each.reason, []).append(named(each.name))
    lines: dict[str, Words] = {}
    for reason, names in people.items():
        line = _reason_line(voice, reason, names, 0, kind)
        if size(line) + 1 > most:
            break
        lines[reason], most = line, most - size(line) - 1
    for reason in sorted(lines, key=lambda reason: len(people[reason])):  # a long list does not push out the names of the few
        line = _fullest(voice, reason, people[reason], most + size(lines[reason]), kind)
        lines[reason], most = line, most + size(lines[reason]) - size(line)
    left_out = sum(len(names) for reason, names in people.items() if reason not in lines)
    return [*lines.values(), *([voice("who.more", count=left_out)] if left_out else [])]


def _fullest(voice: Voice, reason: str, names: list[Words], most: int, kind: str) -> Words:
    """The line of a reason with as many names as fit."""
    fitting = min(sum(1 for each in names if each), most // 3)
    while fitting and size(_reason_line(voice, reason, names, fitting, kind)) > most:
        fitting -= 1
    return _reason_line(voice, reason, names, fitting, kind)


def _reason_line(voice: Voice, reason: str, names: list[Words], shown: int, kind: str) -> Words:
    """How many, why, and the first `shown` names. People beyond those that the application named have an empty name."""
    line = voice(f"{kind}.reason", count=len(names), reason=Words(clip(inert(reason), 120)))
    if not shown:
        return line
    listed = Words(voice("who.between").join([each for each in names if each][:shown]))
    rest = len(names) - shown
    return voice("who.names_cut", line=line, names=listed, count=rest) if rest else voice("who.names", line=line, names=listed)
