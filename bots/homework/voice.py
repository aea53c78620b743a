"""Hides how practices, check-ins and a group's week look in a chat."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from bots.choices import short
from bots.clipping import named, room, size
from bots.effects import Choice, Message
from bots.homework import days, hours
from bots.homework.book import GroupPractice, Mine, Practice, PracticeDay, Quieter, Seen
from bots.texts import MOST_BYTES, Texts, Words, load_texts, say_day

#: Minutes that are offered to tap.
MINUTES = (5, 10, 15, 20, 30)
#: Bytes that one line of a person may hold, and the words of a leader.
LINE_BYTES, LETTER_BYTES = 600, 1_200
_SPARE = 60
#: Of a week's message, for what can be tapped.
_FOR_TAPS = 320


@dataclass(frozen=True)
class Voice:
    """The bot's words for one reader."""

    texts: Texts
    language: str
    zone: str

    def __call__(self, key: str, **gaps: object) -> Words:
        """The words under `key`."""
        return self.texts.fill(key, self.language, self.zone, **gaps)

    def joined(self, names: Iterable[str]) -> Words:
        """Names in a row."""
        return Words(self("between").join(names))

    def practice(self, practice: Practice) -> Words:
        """What a practice is called."""
        return named(practice.name[self.language])

    def choice(self, key: str, id_: str, **gaps: object) -> Choice:
        """A way out or a step, without a number before it."""
        return Choice(f"homework.{id_}", self(f"choice.{key}", **gaps), mark="")


def suggested(least: int, language: str) -> Words:
    """A kind word to those of whom nothing was heard for so many days (one of `days.SILENCES`), for a leader to send or to change."""
    return _texts().fill(f"letter.suggested.{least}", language)


@cache
def _texts() -> Texts:
    return load_texts(Path(__file__).parent)


def key_of(course: int, day: date, place: int) -> str:
    """A check-in in few letters, as choices have it."""
    return f"{short(course)}.{short(day.toordinal())}.{short(place)}"


def fitting(text: Words, choices: Sequence[Choice], spare: int = 0) -> Message:
    """The words with as many of the choices, in their order, as fit beside them."""
    taken: tuple[Choice, ...] = ()
    for choice in choices:
        if room(Message(text, (*taken, choice))) < spare:
            break
        taken = (*taken, choice)
    return Message(text, taken)


# The week --------------------------------------------------------------------------------------------------------------------------


def hour_choices(say: Voice, day: date, quiets: Sequence[hours.Quiet]) -> tuple[Choice, ...]:
    """Hours to tap."""
    fit = hours.offered(say.zone, day, quiets)
    return tuple(Choice(f"homework.hour.{hour.replace(':', '')}", hours.shown(hour), mark="") for hour in fit)


def week(say: Voice, details: Mapping[str, Any]) -> Message:
    """The week's practices with a tap for each; the first time with the question for an hour.

    Details: `course`, `week`, `words` by language, `practices` (place, name by language, minutes), `asks`, `default`, `day`, `quiets`.
    """
    listed = [Practice(each["place"], "", each["name"], each["minutes"]) for each in details["practices"]]
    taps = tuple(_practised(say, details["course"], each) for each in listed)
    body = _Week(details["week"], details["words"][say.language], tuple(listed))
    if not details["asks"]:
        return fitting(body.text(say, say("week.foot")), taps)
    asked = Words(f"{say('week.foot')}\n\n{say('hour.ask', hour=Words(hours.shown(details['default'])))}")
    quiets = [hours.Quiet(*each) for each in details["quiets"]]
    chosen = hour_choices(say, date.fromisoformat(details["day"]), quiets)
    return fitting(body.text(say, asked), (*taps, *chosen, say.choice("keep", "keep")))


@dataclass(frozen=True)
class _Week:
    """The practices of a week and the words of the course file about them."""

    number: int
    words: str
    practices: Sequence[Practice]

    def text(self, say: Voice, foot: Words) -> Words:
        """All of it; long words of the course file are cut, so that the practices and some taps have room."""
        lines = Words("\n".join(say("week.line", practice=say.practice(each), minutes=each.minutes) for each in self.practices))
        without = say("week.words", number=self.number, words=Words(""), lines=lines)
        left = max(0, MOST_BYTES - size(without) - size(foot) - _FOR_TAPS)
        return Words(f"{say('week.words', number=self.number, words=named_lines(self.words, left), lines=lines)}\n{foot}")


def reminder(say: Voice, details: Mapping[str, Any]) -> Message:
    """A kind word to who has not checked in this week. Details as of `week`."""
    listed = [Practice(each["place"], "", each["name"], each["minutes"]) for each in details["practices"]]
    return fitting(say("week.reminder"), tuple(_practised(say, details["course"], each) for each in listed))


def _practised(say: Voice, course: int, each: Practice) -> Choice:
    return Choice(f"homework.do.{short(course)}.0.{short(each.place)}", say("choice.practised", practice=say.practice(each)), mark="")


def named_lines(text: str, most: int) -> Words:
    """Words of a course file, which may stand on several lines."""
    return Words("\n".join(named(line, most) for line in text.split("\n"))) if size(text) <= most else named(text, most)


def homework(say: Voice, mine: Mine) -> Message:
    """The week's practices for who asks for them."""
    body = _Week(mine.week, mine.homework[say.language], mine.of_week())
    return fitting(body.text(say, say("week.foot")), tuple(_practised(say, mine.course, each) for each in mine.of_week()))


# Check-ins -------------------------------------------------------------------------------------------------------------------------


def day_words(say: Voice, day: date, here: date) -> Words:
    """今天, 昨天, 前天; another day by its date."""
    back = (here - day).days
    return say(f"day.{back}") if 0 <= back <= days.MAKE_UP else say_day(day, say.language)


def which(say: Voice, mine: Mine, day: date, here: date) -> Message:
    """Which practice it was: those of the week to tap, what is noted of that day, and the days before."""
    noted = [_noted(say, mine, each.practice, each.minutes) for each in mine.done if each.day == day]
    lines = [say("which.ask", day=day_words(say, day, here))]
    if noted:
        lines.append(say("which.noted", noted=say.joined(noted)))
    taps = [
        Choice(f"homework.do.{key_of(mine.course, day, each.place)}", say.practice(each), tuple(each.name.values()))
        for each in mine.of_week()
    ]
    others = [back for back in range(days.MAKE_UP + 1) if here - timedelta(days=back) != day]
    taps += [say.choice(f"day.{back}", f"day.{short(mine.course)}.{back}") for back in others]
    return fitting(Words("\n".join(lines)), taps)


def _noted(say: Voice, mine: Mine, code: str, minutes: int | None) -> Words:
    practice = mine.practice(code)
    name = say.practice(practice) if practice is not None else named(code)
    return say("which.done", practice=name, minutes=minutes) if minutes else name


def minutes_choices(say: Voice, course: int, day: date, place: int) -> tuple[Choice, ...]:
    """Minutes to tap, and the way around them."""
    key = key_of(course, day, place)
    taps = [Choice(f"homework.min.{key}.{short(each)}", say("choice.minutes", minutes=each), mark="") for each in MINUTES]
    return (*taps, say.choice("no_minutes", f"none.{key}"))


def line_choices(say: Voice, mine: Mine, day: date, place: int) -> tuple[Choice, ...]:
    """Sharing, where there is a group, and the end."""
    return (*share_choice(say, mine, day, place), say.choice("enough", "end"))


def share_choice(say: Voice, mine: Mine, day: date, place: int) -> tuple[Choice, ...]:
    """The tap that begins to share; nothing happens by it alone."""
    return (say.choice("share", f"share.{key_of(mine.course, day, place)}"),) if mine.group else ()


def share_question(say: Voice, mine: Mine, day: date, place: int) -> Message:
    """Who would see what, in words, before anything is shared."""
    key = key_of(mine.course, day, place)
    leaders = say("share.leaders", names=say.joined(named(each) for each in mine.leaders)) if mine.leaders else say("share.staff")
    text = say("share.ask", group=named(mine.group), leaders=leaders, count=mine.companions)
    return Message(
        text, (say.choice("show", f"show.{key}"), say.choice("tell", f"tell.{key}"), say.choice("not_shared", f"end.{short(mine.course)}"))
    )


def streak_line(say: Voice, mine: Mine, day: date, here: date) -> Words | None:
    """One kind line; a gap is never named."""
    if days.returns(mine.days, here):
        return say("streak.back")
    count = days.streak({*mine.days, day}, here)
    if not mine.days:
        return say("streak.first")
    return say("streak.days", count=count) if count > 1 else None


def shared(say: Voice, details: Mapping[str, Any]) -> Message:
    """What a companion shared. Details: `author_name`, `group_name`, `practice` by language, `minutes` (or None), `text`."""
    who = named(details.get("author_name") or "") or say("shared.somebody")
    practice = named(details["practice"][say.language])
    minutes = say("shared.minutes", minutes=details["minutes"]) if details.get("minutes") else Words("")
    line = Words(f"\n{say('shared.line', line=details['text'])}") if details.get("text") else Words("")
    return Message(say("shared.words", group=named(details["group_name"]), name=who, practice=practice, minutes=minutes, line=line))


# A leader's view -------------------------------------------------------------------------------------------------------------------


def group_week(say: Voice, group: int, seen: GroupPractice) -> Message:
    """Who practised, day by day, and of whom nothing was noted for some days; as much as fits."""
    lines: list[Words] = [
        say("who.head", group=named(seen.group), since=say_day(seen.since, say.language), people=seen.people, practised=seen.practised)
    ]
    tail = _silent_lines(say, seen.silent)
    choices = write_choices(say, group, seen)
    weight = MOST_BYTES - room(Message("\n".join(tail), choices))
    for each in seen.days:
        line = _day_line(say, each, full=True)
        if size("\n".join([*lines, line])) + weight > MOST_BYTES - _SPARE:
            line = _day_line(say, each, full=False)
        lines.append(line)
    if not seen.days:
        lines.append(say("who.nobody"))
    return fitting(Words("\n".join([*lines, *tail])), choices)


def _day_line(say: Voice, each: PracticeDay, *, full: bool) -> Words:
    day = say_day(each.day, say.language)
    if not full:
        return say("who.count", day=day, count=len(each.who))
    return say("who.day", day=day, count=len(each.who), who=say.joined(_seen(say, one) for one in each.who))


def _seen(say: Voice, one: Seen) -> Words:
    name = named(one.name) or say("who.unnamed")
    parts = [say("who.minutes", minutes=one.minutes)] if one.minutes else []
    parts += [say("who.line", line=named(one.line, 90))] if one.line else []
    return say("who.shared", name=name, what=say.joined(parts)) if parts else name


def _silent_lines(say: Voice, silent: Sequence[Quieter]) -> list[Words]:
    lines = []
    for least, following in zip(days.SILENCES, (*days.SILENCES[1:], None), strict=True):
        there = [
            named(each.name) or say("who.unnamed") for each in silent if least <= each.days and (not following or each.days < following)
        ]
        if there:
            lines.append(say(f"who.silent.{least}", names=named(say.joined(there), 400)))
    return [say("who.silent.head"), *lines] if lines else []


def write_choices(say: Voice, group: int, seen: GroupPractice) -> tuple[Choice, ...]:
    """For each step of silence that holds somebody else than the one before: a tap to write to these people."""
    found: list[Choice] = []
    before = 0
    for least in reversed(days.SILENCES):
        count = sum(each.days >= least for each in seen.silent)
        if count > before:
            found.append(say.choice("write", f"write.{short(group)}.{least}", days=least, count=count))
        before = count
    return tuple(reversed(found))


def letter(say: Voice, group: int, seen: GroupPractice, least: int, text: str, at: datetime) -> Message:
    """What a leader is about to send, and to whom."""
    to = [named(each.name) or say("who.unnamed") for each in seen.silent if each.days >= least]
    body = say("letter.preview", names=named(say.joined(to), 400), count=len(to), text=text)
    stamp = short(int(at.timestamp()))
    return Message(body, (say.choice("send", f"send.{short(group)}.{least}.{stamp}"), say.choice("drop", "drop")))
