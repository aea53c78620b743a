"""Hides how somebody who takes part speaks of attendance: signs in, in their city, looks at their record, makes up a class."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bots.attendance import voice
from bots.attendance.commands import Command
from bots.attendance.register import MyAttendance, MyCourse, Sitting
from bots.attendance.voice import Voice
from bots.choices import normal, number_of, pick, short
from bots.clipping import named
from bots.effects import Answer, Attend, Choice, ClaimMakeUp, Message, Say
from bots.facts import Need
from bots.texts import Words
from bots.turns import Turn

_VERSION = 1
_LEAVING = frozenset(("取消", "返回", "退出", "算了", "不签了", "cancel", "back", "never mind", "nevermind"))
#: For so long after the end somebody is told that they are too late, rather than when it is next.
_STILL_MEANT = timedelta(hours=12)
_HOWS = {"w": "word", "q": "qr"}


def _only(words: Words, choices: tuple[Choice, ...] = ()) -> Answer:
    return Answer((Say(Message(words, choices)),))


def do(turn: Turn, say: Voice, command: Command, courses: Sequence[MyCourse]) -> Answer | Need:
    """What somebody who takes part asks for."""
    match command.name:
        case "sign_in":
            return _sign_in(turn, say, courses)
        case "make_up":
            return _make_up(turn, say, courses, command.number)
        case _:
            if not courses:
                return _only(say("sign_in.no_calendar"))
            return Answer(tuple(Say(voice.record(say, each, turn.now)) for each in courses))


def outside(turn: Turn, say: Voice, command: Command, *, leads: bool) -> Answer:
    """Who takes part in nothing is told so; who leads, what to send instead."""
    if leads and command.name in ("sign_in", "make_up"):
        return _only(say("sign_in.staff" if command.name == "sign_in" else "made_up.how"))
    if turn.person.memberships:
        return _only(say("mine.nowhere"))
    return _only(say("sign_in.nowhere"))


def scanned(turn: Turn, say: Voice, gathering: int) -> Answer | Need:
    """The QR code of a gathering."""
    courses = turn.facts.get(MyAttendance())
    if courses is None:
        return Need(MyAttendance())
    return _at(turn, say, courses, gathering, "qr")


def tapped(turn: Turn, say: Voice, kind: str, gathering: int, second: str, third: str) -> Answer | Need:
    """A gathering, a city or a class that was made up."""
    courses = turn.facts.get(MyAttendance())
    if courses is None:
        return Need(MyAttendance())
    if kind == "up":
        sitting = _find(courses, gathering)
        return _make_up(turn, say, courses, sitting.number if sitting else 0)
    if kind == "in":
        return _at(turn, say, courses, gathering, _HOWS.get(second, "word"))
    sitting, place = _find(courses, gathering), _place(second)
    city = sitting.cities[place]["zh"] if sitting is not None and 0 <= place < len(sitting.cities) else ""
    return _at(turn, say, courses, gathering, _HOWS.get(third, "word"), city)


def typed(turn: Turn, say: Voice) -> Answer | Need:
    """Words while a question of ours is open: a city, or which gathering is meant."""
    courses = turn.facts.get(MyAttendance())
    if courses is None:
        return Need(MyAttendance())
    memory: Mapping[str, Any] = turn.memory or {}
    if memory.get("v") != _VERSION or normal(turn.words()) in _LEAVING:
        return _only(say("sign_in.dropped"))
    how = str(memory.get("how", "word"))
    asked = [each for each in (_find(courses, id_) for id_ in memory.get("sittings", ())) if each is not None]
    sittings = [each for each in asked if each.is_on(turn.now)]
    if not sittings:
        return _off(turn, say, courses, asked[-1]) if asked else _sign_in(turn, say, courses)
    return _city(turn, say, courses, sittings[0], how) if memory.get("ask") == "city" else _which(turn, say, courses, sittings, how)


def _city(turn: Turn, say: Voice, courses: Sequence[MyCourse], sitting: Sitting, how: str) -> Answer:
    chosen = pick(turn.words(), voice.city_choices(say, sitting, how))
    if chosen is None:
        return _ask_city(say, sitting, how, say("sign_in.city_unclear"))
    return _at(turn, say, courses, sitting.id, how, sitting.cities[_place(chosen.id.split(".")[3])]["zh"])


def _which(turn: Turn, say: Voice, courses: Sequence[MyCourse], sittings: Sequence[Sitting], how: str) -> Answer:
    chosen = pick(turn.words(), voice.which(say, sittings, how).choices)
    if chosen is None:
        return _ask_which(say, sittings, how)
    return _at(turn, say, courses, number_of(chosen.id.split(".")[2]), how)


def _place(digits: str) -> int:
    """Which city of the list is meant; -1 where it is none."""
    return int(digits) if digits.isdecimal() and len(digits) < 3 else -1


def report(say: Voice, details: Mapping[str, Any]) -> Message:
    """What staff, or who asked, is told of a make-up."""
    what = say.called("class", details["number"], details["title"].get(say.language, ""))
    if details["reason"] == "settled":
        return Message(say("made_up.confirmed" if details["accepted"] else "made_up.declined", what=what))
    claim = short(details["claim"])
    choices = (say.choice("confirm", f"yes.{claim}"), say.choice("decline", f"no.{claim}"))
    return Message(say("made_up.claim", name=named(details.get("author_name") or "?"), what=what), choices)


# Signing in -----------------------------------------------------------------------------------------------------------------------------


def _all(courses: Sequence[MyCourse]) -> list[Sitting]:
    return sorted((each for course in courses for each in course.sittings), key=lambda each: (each.at, each.id))


def _find(courses: Sequence[MyCourse], gathering: int) -> Sitting | None:
    return next((each for each in _all(courses) if each.id == gathering), None)


def _is_marked(courses: Sequence[MyCourse], sitting: Sitting) -> bool:
    return any(sitting.id in course.marks for course in courses)


def _sign_in(turn: Turn, say: Voice, courses: Sequence[MyCourse]) -> Answer | Need:
    """Where one thing is on it is that; where several are it is asked; else when the next one is."""
    if not courses:
        return _only(say("sign_in.no_calendar"))
    on = [each for each in _all(courses) if each.is_on(turn.now)]
    fresh = [each for each in on if not _is_marked(courses, each)]
    if len(fresh) > 1:
        return _ask_which(say, fresh, "word")
    if on:
        return _at(turn, say, courses, (fresh or on)[0].id, "word")
    over = [each for each in _all(courses) if each.closes_at <= turn.now < each.closes_at + _STILL_MEANT]
    return _off(turn, say, courses, over[-1] if over else None)


def _off(turn: Turn, say: Voice, courses: Sequence[MyCourse], over: Sitting | None) -> Answer:
    """It is not on: what is over, or what comes next. `over`: what was meant, if anything; it may also be still to come."""
    if over is not None and over.opens_at > turn.now:
        return _only(say("sign_in.early", what=say.what(over), at=over.at))
    if over is not None and _is_marked(courses, over):
        return _only(say("sign_in.already", what=say.what(over)))
    coming = _next(courses, turn.now)
    if over is not None:
        words = [say("sign_in.late", what=say.what(over))]
        words += [say("sign_in.late_next", what=say.what(coming), at=coming.at)] if coming else []
        return _only(Words("\n".join(words)))
    return _only(say("sign_in.early", what=say.what(coming), at=coming.at) if coming else say("sign_in.none"))


def _next(courses: Sequence[MyCourse], now: datetime) -> Sitting | None:
    return next((each for each in _all(courses) if each.opens_at > now), None)


def _at(turn: Turn, say: Voice, courses: Sequence[MyCourse], gathering: int, how: str, city: str = "") -> Answer:
    """Signs in to this gathering, and asks for the city where there is a choice."""
    sitting = _find(courses, gathering)
    if sitting is None:
        return _only(say("sign_in.foreign"))
    return _there(say, courses, sitting, how, city) if sitting.is_on(turn.now) else _off(turn, say, courses, sitting)


def _there(say: Voice, courses: Sequence[MyCourse], sitting: Sitting, how: str, city: str) -> Answer:
    gathering = sitting.id
    mark = next((course.marks[gathering] for course in courses if gathering in course.marks), None)
    if sitting.cities and not city:
        if mark is None or not mark.city:
            return _ask_city(say, sitting, how)
        shown = named(sitting.city(mark.city, say.language))
        return _ask_city(say, sitting, how, instead=say("sign_in.already_city", what=say.what(sitting), city=shown))
    if mark is not None and mark.city == city:
        return _only(say("sign_in.already", what=say.what(sitting)))
    signed = Attend(gathering, how, city)
    if city:
        words = say("sign_in.done_city", what=say.what(sitting), city=named(sitting.city(city, say.language)))
    else:
        words = say("sign_in.done", what=say.what(sitting))
    return Answer((signed, Say(Message(words))))


def _ask_which(say: Voice, sittings: Sequence[Sitting], how: str) -> Answer:
    memory = {"v": _VERSION, "ask": "which", "sittings": [each.id for each in sittings], "how": how}
    return Answer((Say(voice.which(say, sittings, how)),), memory, rests=True)


def _ask_city(say: Voice, sitting: Sitting, how: str, lead: Words | None = None, instead: Words | None = None) -> Answer:
    memory = {"v": _VERSION, "ask": "city", "sittings": [sitting.id], "how": how}
    asked = voice.cities(say, sitting, how)
    words = instead or (asked.text if lead is None else Words(f"{lead}\n{asked.text}"))
    return Answer((Say(Message(words, asked.choices)),), memory, rests=True)


# Making up ------------------------------------------------------------------------------------------------------------------------------


def _make_up(turn: Turn, say: Voice, courses: Sequence[MyCourse], number: int) -> Answer:
    """Somebody made up a class, or asks which ones they can. In several courses the one where it is missing is meant."""
    if not courses:
        return _only(say("sign_in.no_calendar"))
    missing = [(course, each) for course in courses for each in course.classes() if _is_missing(course, each, turn.now)]
    if not number:
        choices = voice.make_up_choices(say, [each for course, each in missing if each.id not in course.asked])
        return _only(say("made_up.which" if choices else "made_up.none"), choices)
    found = next(((course, each) for course, each in missing if each.number == number), None)
    if found is None:
        return _only(say(f"made_up.{_why_not(courses, number)}", number=number))
    course, sitting = found
    if sitting.id in course.asked:
        return _only(say("made_up.already_asked", number=number))
    return Answer((ClaimMakeUp(sitting.id), Say(Message(say("made_up.asked", number=number)))))


def _is_missing(course: MyCourse, sitting: Sitting, now: datetime) -> bool:
    return sitting.id not in course.marks and sitting.at + timedelta(minutes=sitting.minutes) <= now


def _why_not(courses: Sequence[MyCourse], number: int) -> str:
    known = [(course, each) for course in courses for each in course.classes() if each.number == number]
    if any(each.id in course.marks for course, each in known):
        return "there"
    return "early" if known else "unknown"
