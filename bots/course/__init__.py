"""The calendar's bot: reminds of classes, tells when one moves, greets late joiners, says what comes next."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bots.choices import normal
from bots.clipping import named, size
from bots.effects import Answer, Message, Say
from bots.facts import Calendar, Need, Planned
from bots.texts import MOST_BYTES, Texts, Words
from bots.turns import Occasion, OccasionKind, Pressed, Turn, Wrote

_ASKING = frozenset(
    (
        *("课表", "课程表", "日程", "课程安排", "安排", "下次课", "下次课什么时候", "什么时候上课", "下一次课", "上课时间"),
        *("schedule", "calendar", "timetable", "next class", "when is the next class", "class times"),
    )
)
KEY = "course.schedule"
#: Gatherings that one answer names; who wants more is reminded in time.
_MOST_LINES = 6
#: Room for the last line of a digest that did not fit.
_SPARE_BYTES = 120


def create(texts: Texts) -> "CourseBot":
    """The bot with these words."""
    return CourseBot(texts)


class CourseBot:
    """Speaks on dated occasions, and says when the next ones are."""

    name = "course"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def wants(self, turn: Turn) -> bool:
        """Who asks for the schedule."""
        match turn.event:
            case Pressed(key=key):
                return key == KEY
            case Wrote(text=text):
                return normal(text) in _ASKING
            case _:
                return False

    def answer(self, turn: Turn) -> Answer | Need:
        """What comes next, in each of the person's courses."""
        planned = turn.facts.get(Calendar())
        if planned is None:
            return Need(Calendar())
        voice = _Voice(self._texts, turn.person.language, turn.person.zone)
        courses = {each.course: each.course_title for each in turn.person.memberships}
        if not courses:
            return Answer((Say(Message(voice("list.nowhere"))),))
        said = [_listed(voice, title, [each for each in planned if each.course == course]) for course, title in courses.items()]
        return Answer(tuple(Say(Message(words)) for words in said))

    def compose(self, occasion: Occasion) -> Message:
        """A CALENDAR message, of what `what` says: words, digest, moved, moved_later, off, back. Raises `LookupError` for others."""
        if occasion.kind is not OccasionKind.CALENDAR:
            raise LookupError(f"The course bot has no words for {occasion.kind}.")
        voice = _Voice(self._texts, occasion.language, occasion.zone)
        details = occasion.details
        match details["what"]:
            case "words":
                return Message(_reminder(voice, details))
            case "digest":
                return Message(_digest(voice, details))
            case change:
                return Message(_changed(voice, change, details))


class _Voice:
    """The bot's words for one person."""

    def __init__(self, texts: Texts, language: str, zone: str) -> None:
        self._texts, self.language, self._zone = texts, language, zone

    def __call__(self, key: str, **gaps: Any) -> Words:
        return self._texts.fill(key, self.language, self._zone, **gaps)

    def what(self, kind: str, number: int, title: Mapping[str, str]) -> Words:
        """A gathering by its kind, number and title. A kind whose words have no number leaves it out."""
        return self(f"what.{kind}", title=named(title[self.language]), number=Words(str(number)))


def _reminder(voice: _Voice, details: Mapping[str, Any]) -> Words:
    """The course file's own words, then when and where."""
    title = details.get("title", {})
    gaps = {"title": named(title[voice.language]) if title else "", **{name: details[name] for name in ("number", "minutes", "week")}}
    said = Texts({voice.language: {"words": details["words"][voice.language]}}).fill("words", voice.language, **gaps)
    lines = [voice("begins", at=details["begins_at"])] if details.get("begins_at") else []
    lines += [voice("link", link=details["link"])] if details.get("link") else []
    return voice("reminder", words=said, where=Words("".join(f"\n{line}" for line in lines)))


def _changed(voice: _Voice, change: str, details: Mapping[str, Any]) -> Words:
    what = voice.what(details["kind"], details["number"], details["title"])
    if change in ("off", "back"):
        return voice(f"moved.{change}", what=what, at=details["at"])
    former = voice("moved.former", at=details["former"])
    return voice("moved.more" if change == "moved_later" else "moved.one", what=what, at=details["at"], former=former)


def _listed(voice: _Voice, course: str, planned: Sequence[Planned]) -> Words:
    gap = named(course)
    if not planned:
        return voice("list.none", course=gap)
    if planned[0].at is None:
        return voice("list.unplanned", course=gap)
    lines = [voice("list.head", course=gap)]
    for each in planned[:_MOST_LINES]:
        lines.append(voice("list.line", what=voice.what(each.kind, each.number, each.title), at=each.at))
        lines += [voice("list.link", link=each.link)] if each.link and each is planned[0] else []
    lines += [voice("list.later", count=len(planned) - _MOST_LINES)] if len(planned) > _MOST_LINES else []
    return Words("\n".join(lines))


def _digest(voice: _Voice, details: Mapping[str, Any]) -> Words:
    """What somebody who came late should know: the next dates, this week's practices, and those before where the course says so."""
    lines = [voice("digest.head", course=named(details["course"]))]
    upcoming = [
        voice("digest.line", what=voice.what(each["kind"], each["number"], each["title"]), at=datetime.fromisoformat(each["at"]))
        for each in details["next"]
    ]
    lines += [voice("digest.next"), *upcoming] if upcoming else []
    comma = "、" if voice.language == "zh" else ", "
    if details["week"]:
        lines.append(voice("digest.week", practices=named(comma.join(each[voice.language] for each in details["week"]), 300)))
    if details["past"]:
        lines.append(voice("digest.before"))
    for each in details["past"]:
        practices = named(comma.join(name[voice.language] for name in each["practices"]), 200)
        line = voice("digest.past", number=Words(str(each["number"])), title=named(each["title"][voice.language]), practices=practices)
        if size("\n".join([*lines, line])) > MOST_BYTES - _SPARE_BYTES:
            lines.append(voice("digest.more"))
            break
        lines.append(line)
    return Words("\n".join(lines))
