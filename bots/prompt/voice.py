"""Hides how a practice prompt is put into words so that it fits: rules, the next times, previews, clipped lists."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bots.choices import short
from bots.clipping import clip, named, room, size
from bots.effects import Choice, Message
from bots.facts import ReachForecast
from bots.prompt import gaps
from bots.prompt.draft import Draft
from bots.prompt.plans import Calendar, PromptView
from bots.recurrence import Rule, days_of_week, upcoming
from bots.texts import Texts, Words, inert, say_time
from bots.turns import Person, Turn

#: Times that are written out.
NEXT = 3
_MOST_LABEL_BYTES, _MOST_GROUPS_BYTES, _MOST_PREVIEW_BYTES, _EXCERPT_BYTES = 48, 120, 600, 60
#: Room that lists leave: for the line that counts what was cut, and for the one that reminds of an open draft.
_SPARE_BYTES = 360


@dataclass(frozen=True)
class Voice:
    """The bot's words for one person; times are those of `zone`."""

    texts: Texts
    language: str
    zone: str

    def __call__(self, key: str, **gap: Any) -> Words:
        """The words under `key`."""
        return self.texts.fill(key, self.language, self.zone, gap_name=Words("{name}"), gap_week=Words("{week}"), **gap)

    def choice(self, key: str, id: str, **gap: Any) -> Choice:  # noqa: A002 - it is the choice's id
        """A choice whose label stands under `choice.<key>` and whose further spellings under `accepts.<key>`."""
        accepts = self(f"accepts.{key}").split("|") if f"accepts.{key}" in self.texts.keys() else []  # noqa: SIM118 - not a mapping
        return Choice(f"prompt.{id}", self(f"choice.{key}", **gap), tuple(accepts))

    def joined(self, parts: Iterable[str], between: str = "comma") -> Words:
        """Several words in a row."""
        return Words(self(between).join(parts))

    def nameless(self) -> tuple[str, str]:
        """How somebody without a name is spoken to, in Chinese words and in others."""
        return self("nameless.zh"), self("nameless.other")


def voice_for(texts: Texts, turn: Turn) -> Voice:
    """The voice for the person of this turn."""
    return Voice(texts, turn.person.language, turn.person.zone)


def label(text: str) -> Words:
    """A name as the label of a choice."""
    return named(text, _MOST_LABEL_BYTES)


def is_empty(text: str) -> bool:
    """Whether a reader would see nothing."""
    return not any(each.isprintable() and not each.isspace() and each not in "\u3164\u2800\u115f\u1160\uffa0" for each in text)


# Rules and times ----------------------------------------------------------------------------------------------------------------


def day_words(voice: Voice, day: date) -> Words:
    """A day as people write it: `12月7日`, `7 Dec`."""
    return voice("day", day=day.day, name_of_month=Words(voice("months").split("|")[day.month - 1]))


def rule_words(voice: Voice, rule: Rule, starts_on: date | None) -> Words:
    """When it goes out: `每周一、三 20:00`."""
    names = voice("weekdays").split("|")
    days, clock = voice.joined([names[each] for each in rule.weekdays], "between"), Words(f"{rule.at:%H:%M}")
    if rule.day is not None:
        return voice("rule.once", day=day_words(voice, rule.day), weekday=Words(names[rule.day.weekday()]), clock=clock)
    if rule.week and starts_on is not None:
        first, last = (day_words(voice, each) for each in days_of_week(rule.week, starts_on))
        return voice("rule.week", week=rule.week, first=first, last=last, days=days, clock=clock)
    if rule.week:
        return voice("rule.week_bare", week=rule.week, days=days, clock=clock)
    return voice("rule.weekly", days=days, clock=clock) if days else voice("rule.daily", clock=clock)


def whole_rule(voice: Voice, rule: Rule, starts_on: date | None, until: date) -> Words:
    """When it goes out, and until when; or that it comes once."""
    words = rule_words(voice, rule, starts_on)
    if rule.recurs:
        return voice("rule.until", rule=words, day=day_words(voice, until))
    once = rule.day is not None or len(rule.weekdays) == 1
    return voice("rule.only", rule=words) if once else words


def moments_words(voice: Voice, moments: Sequence[datetime], person: Person) -> Words:
    """The next times, written out; beside each what the clocks of the reader show, where they show something else."""
    if not moments:
        return voice("next.none")
    said = [_there(voice, each, person) for each in moments]
    words = voice("next.many" if len(moments) > 1 else "next.one", moments=voice.joined(said))
    apart = any(_offset(each, voice.zone) != _offset(each, person.zone) for each in moments)
    return Words(f"{words}\n{voice('next.zone', zone=Words(voice.zone))}") if apart else words


def _there(voice: Voice, moment: datetime, person: Person) -> Words:
    if _offset(moment, voice.zone) == _offset(moment, person.zone):
        return say_time(moment, voice.language, voice.zone)
    return voice("next.there", at=moment, there=say_time(moment, voice.language, person.zone))


def _offset(moment: datetime, zone: str) -> Any:
    return moment.astimezone(ZoneInfo(zone)).utcoffset()


# The preview --------------------------------------------------------------------------------------------------------------------


def preview_choices(voice: Voice, draft: Draft) -> tuple[Choice, ...]:
    """What can be done with a preview; each choice names it, so that a tap on an older one is recognised."""
    own = short(draft.preview)
    return (
        voice.choice("confirm", f"ok.{own}"),
        voice.choice("change_text", f"text.{own}"),
        voice.choice("change_time", f"time.{own}"),
        voice.choice("leave", f"leave.{short(draft.id)}"),
    )


@dataclass(frozen=True)
class Shown:
    """What a preview shows: the words filled for one reader, to whom, when, the next times, and whom the first will find."""

    groups: Sequence[str]
    rule: Rule
    until: date
    calendar: Calendar
    text: Words
    moments: Sequence[datetime]
    forecast: ReachForecast
    names: bool  # whether the example holds a reader's name


def preview(voice: Voice, draft: Draft, shown: Shown, person: Person, before: Words | None) -> Message:
    """What will be sent, to whom, when, whom it will find; the text is clipped where it must be."""
    choices = preview_choices(voice, draft)
    hints = [voice("hint.example")] if shown.names else []
    hints.append(voice("hint.plain" if shown.rule.recurs else "hint.once"))

    def message(text: str) -> Message:
        words = voice(
            "preview",
            groups=groups_words(voice, shown.groups),
            rule=whole_rule(voice, shown.rule, shown.calendar.starts_on, shown.until),
            text=Words(text),
            moments=moments_words(voice, shown.moments, person),
            forecast=forecast_words(voice, shown.forecast),
            hint=Words("\n".join(hints)),
        )
        return Message(words if before is None else Words(f"{before}\n\n{words}"), choices)

    note = Words(f"\n{voice('preview_clipped')}")
    most = min(room(message("")), _MOST_PREVIEW_BYTES)
    return message(shown.text if size(shown.text) <= most else clip(shown.text, max(most - size(note), 0)) + note)


def groups_words(voice: Voice, names: Sequence[str], others: int = 0) -> Words:
    """The names of groups in a row, in little room; those that do not fit, and those that are not the reader's, are counted."""
    said: list[Words] = []
    for place, name in enumerate(names):
        longer = [*said, named(name, _MOST_LABEL_BYTES)]
        if place and size(voice.joined(longer, "between")) > _MOST_GROUPS_BYTES:
            others += len(names) - place
            break
        said = longer
    words = voice.joined(said, "between")
    return voice("list.other_groups", groups=words, count=others) if others else words


def forecast_words(voice: Voice, forecast: ReachForecast) -> Words:
    """Whom the first one will find, in one honest sentence whose parts add up; and whether quiet hours will hold it."""
    if forecast.total <= 0:
        return voice("forecast.nobody")
    counts = (("then", forecast.now), ("notice", forecast.notice), ("later", forecast.later), ("never", forecast.never))
    parts = voice.joined(voice(f"forecast.{key}", count=count) for key, count in counts if count)
    sentence = voice("forecast.all", total=forecast.total, parts=parts)
    if forecast.quiet_until is None:
        return sentence
    return Words(f"{sentence}\n{voice('forecast.quiet', until=forecast.quiet_until)}")


def added(forecasts: Sequence[ReachForecast]) -> ReachForecast:
    """Several groups as one: whoever sits in two of them gets the words twice, and is counted twice."""
    first = forecasts[0]
    sums = {name: sum(getattr(each, name) for each in forecasts) for name in ("total", "now", "notice", "later", "never")}
    return ReachForecast(**sums, at=first.at, notices_possible=first.notices_possible, quiet_until=first.quiet_until)


# Lists --------------------------------------------------------------------------------------------------------------------------


def listed(voice: Voice, prompts: Sequence[PromptView], calendars: Sequence[Calendar]) -> Message:
    """The prompts, as many as fit, and how one is steered; the only one can be steered by a tap."""
    choices = steering(voice, prompts[0]) if len(prompts) == 1 else ()
    foot = "" if choices else f"\n{voice('list.foot', number=prompts[0].number)}"
    text = voice("list.head")
    for place, each in enumerate(prompts):
        longer = Words(f"{text}\n{_line(voice, each, calendars)}")
        if room(Message(Words(longer + foot), choices)) < _SPARE_BYTES:
            text = Words(f"{text}\n{voice('list.more', count=len(prompts) - place)}")
            break
        text = longer
    return Message(Words(text + foot), choices)


def _line(voice: Voice, each: PromptView, calendars: Sequence[Calendar]) -> Words:
    there = Voice(voice.texts, voice.language, each.zone)
    return there(
        "list.line",
        number=each.number,
        groups=groups_words(there, [name for _, name in each.groups], each.others),
        excerpt=Words(clip(inert(" ".join(each.text.split())), _EXCERPT_BYTES)),
        rule=whole_rule(there, each.rule, starts_on(each, calendars), each.until),
        state=standing(there, each),
    )


def starts_on(each: PromptView, calendars: Sequence[Calendar]) -> date | None:
    """The first day of a prompt's course."""
    return next((calendar.starts_on for calendar in calendars if calendar.course == each.course), None)


def standing(voice: Voice, each: PromptView) -> Words:
    """Where a prompt stands."""
    if each.state == "running":
        return voice("state.running", at=each.next_at) if each.next_at is not None else voice("state.running_never")
    if each.state != "stopped":
        return voice(f"state.{each.state}")
    known = f"why.{each.why}" in voice.texts.keys()  # noqa: SIM118 - not a mapping
    return voice("state.stopped", why=voice(f"why.{each.why if known else 'other'}"))


def steering(voice: Voice, each: PromptView) -> tuple[Choice, ...]:
    """What this person can do with a prompt."""
    if not each.changeable:
        return ()
    steps = {"running": ("pause", "edit", "cancel"), "paused": ("resume", "edit", "cancel")}.get(each.state, ("edit",))
    return tuple(voice.choice(step, f"{step}.{short(each.id)}", number=each.number) for step in steps)


def show(voice: Voice, each: PromptView, calendars: Sequence[Calendar], person: Person, now: datetime) -> Message:
    """One prompt in full, as far as it fits, with its next times."""
    there = Voice(voice.texts, voice.language, each.zone)
    calendar = next((one for one in calendars if one.course == each.course), Calendar(each.course, each.zone))
    running = each.state == "running"
    coming = upcoming(each.rule, Calendar(each.course, each.zone, calendar.starts_on, calendar.ends_on).frame(each.until), now, NEXT)
    moments, choices = moments_words(there, coming, person) if running else Words(""), steering(voice, each)

    def message(text: Words) -> Message:
        return Message(
            there(
                "list.shown",
                number=each.number,
                groups=groups_words(there, [name for _, name in each.groups], each.others),
                text=text,
                rule=whole_rule(there, each.rule, calendar.starts_on, each.until),
                state=standing(there, each),
                moments=moments,
            ),
            choices,
        )

    most = room(message(Words(""))) - _SPARE_BYTES
    return message(Words(clip(inert(each.text), most)))


def example(voice: Voice, text: str, person: Person, week: int) -> Words:
    """The words filled for one reader: the author, or somebody with a name where they have none."""
    return gaps.fill(text, person.name or voice("example_name"), week, voice.nameless())
