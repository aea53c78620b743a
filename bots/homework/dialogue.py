"""Hides the conversation of one participant: which practice, how many minutes, a line, sharing, the hour."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

from bots.choices import normal, number_of, pick, short
from bots.clipping import named, size
from bots.effects import AddLine, Answer, CheckIn, Choice, ChooseHour, Effect, Message, Say, ShareCheckIn
from bots.facts import Need
from bots.homework import days, hours, voice, words
from bots.homework.book import Book, Mine, MyPractice, Practice
from bots.homework.place import Place
from bots.homework.voice import Voice
from bots.texts import Words
from bots.turns import Role, Tapped, Turn

_KEY_PARTS = 3


@dataclass(frozen=True)
class Here:
    """One turn of a participant: what they did, what they have noted, and what is open."""

    turn: Turn
    say: Voice
    place: Place
    book: Book

    @property
    def today(self) -> date:
        """The day that it is where the person is."""
        return days.today(self.turn.now, self.turn.person.zone)

    def mine(self, course: int) -> Mine | None:
        """Their practice in this course, if they take part in it."""
        return next((each for each in self.book.courses if each.course == course), None)

    def ends(self, text: Words, *effects: Effect) -> Answer:
        """Say it, and nothing is open any more."""
        return Answer((*effects, Say(Message(text))))

    def asks(self, place: Place, message: Message, *effects: Effect) -> Answer:
        """Say it, and wait for an answer in no hurry."""
        return Answer((*effects, Say(message)), place.memory(self.turn.now), rests=True)


def here_of(turn: Turn, say: Voice, place: Place) -> Here | None:
    """The turn with what it must know; None while that has to be loaded."""
    book = turn.facts.get(MyPractice())
    return None if book is None else Here(turn, say, place, book)


def takes_part(turn: Turn) -> bool:
    """Whether somebody takes part in a course."""
    return Role.PARTICIPANT in turn.person.roles()


NEED = Need(MyPractice())


# Beginning -------------------------------------------------------------------------------------------------------------------------


def check_in(here: Here, said: words.Said) -> Answer:
    """Somebody says that they practised; what they named is noted at once."""
    day = here.today - timedelta(days=said.back)
    ready = [each for each in here.book.courses if each.practices and each.week]
    if not ready:
        return here.ends(here.say("nothing.yet") if here.book.courses else here.say("nothing.nowhere"))
    named_ones = [(each, found) for each in ready if said.practice and (found := words.meant(said.practice, each.practices))]
    if len(named_ones) == 1:
        return note(here, named_ones[0][0], day, named_ones[0][1], said.minutes)
    if len(ready) > 1:
        open_ = Place(step="course", back=said.back, minutes=said.minutes or 0)
        taps = [voice_course(here, each) for each in ready]
        return here.asks(open_, voice.fitting(here.say("which.course"), taps))
    return choose_practice(here, ready[0], day, said.minutes)


def voice_course(here: Here, mine: Mine) -> Choice:
    """A tap for a course."""
    label = here.say("choice.course", course=named(mine.title, 60))
    return Choice(f"homework.course.{short(mine.course)}", label, (mine.title,))


def choose_practice(here: Here, mine: Mine, day: date, minutes: int | None) -> Answer:
    """Ask which practice it was; where the week has one only, and it is not noted yet, there is nothing to ask."""
    weekly = mine.of_week()
    open_ = Place(step="practice", course=mine.course, day=day.isoformat(), minutes=minutes or 0)
    if len(weekly) == 1 and not _before(mine, day, weekly[0]):
        return note(here, mine, day, weekly[0], minutes)
    return here.asks(open_, voice.which(here.say, mine, day, here.today))


def show_homework(here: Here) -> Answer:
    """The week's practices of each course."""
    ready = [each for each in here.book.courses if each.week and each.weekly]
    if not ready:
        return here.ends(here.say("nothing.yet") if here.book.courses else here.say("nothing.nowhere"))
    return Answer(tuple(Say(voice.homework(here.say, each)) for each in ready[:2]))


# A check-in ------------------------------------------------------------------------------------------------------------------------


def _before(mine: Mine, day: date, practice: Practice) -> bool:
    return any(each.day == day and each.practice == practice.code for each in mine.done)


def note(here: Here, mine: Mine, day: date, practice: Practice, minutes: int | None) -> Answer:
    """Note a practice, or correct what was noted, and ask for what was not said."""
    say = here.say
    if not days.may_note(day, here.today):
        return here.ends(say("refused.day"))
    former = next((each for each in mine.done if each.day == day and each.practice == practice.code), None)
    gaps = {"day": voice.day_words(say, day, here.today), "practice": say.practice(practice)}
    if former is not None:
        head = say("noted.corrected", minutes=minutes, **gaps) if minutes else say("noted.again", **gaps)
    else:
        head = say("noted.with", minutes=minutes, **gaps) if minutes else say("noted.without", **gaps)
    streak = voice.streak_line(say, mine, day, here.today) if former is None else None
    lines = [head] if streak is None else [head, streak]
    effect = CheckIn(mine.course, day, practice.code, minutes)
    place = Place(course=mine.course, day=day.isoformat(), place=practice.place)
    if minutes:
        return _ask_line(here, mine, place, lines, effect)
    key = "minutes.which" if former is not None and former.minutes else "minutes.ask"
    lines.append(say(key, minutes=former.minutes) if former is not None and former.minutes else say(key))
    taps = voice.minutes_choices(say, mine.course, day, practice.place)
    return here.asks(replace(place, step="minutes"), Message(Words("\n".join(lines)), taps), effect)


def note_minutes(here: Here, mine: Mine, place: Place, minutes: int | None) -> Answer:
    """The minutes of a check-in; None: they are left out."""
    practice = _practice(mine, place)
    if practice is None or not days.may_note(place.noted_day(), here.today):
        return here.ends(here.say("refused.day"))
    if minutes is None:
        return _ask_line(here, mine, place, [])
    told = here.say("noted.minutes", minutes=minutes)
    return _ask_line(here, mine, place, [told], CheckIn(mine.course, place.noted_day(), practice.code, minutes))


def _ask_line(here: Here, mine: Mine, place: Place, lines: list[Words], *effects: Effect) -> Answer:
    text = Words("\n".join([*lines, here.say("line.ask")]))
    taps = voice.line_choices(here.say, mine, place.noted_day(), place.place)
    return here.asks(replace(place, step="line"), Message(text, taps), *effects)


def add_line(here: Here, mine: Mine, place: Place, text: str) -> Answer:
    """Put a line to the check-in, for the person's own eyes."""
    practice = _practice(mine, place)
    if practice is None:
        return here.ends(here.say("refused.foreign"))
    line = " ".join(text.split())
    if size(line) > voice.LINE_BYTES:
        return here.asks(place, Message(here.say("line.long"), voice.line_choices(here.say, mine, place.noted_day(), place.place)))
    effect = AddLine(mine.course, place.noted_day(), practice.code, line)
    taps = voice.line_choices(here.say, mine, place.noted_day(), place.place)
    if not mine.group:
        return _finish(here, here.say("line.noted"), effect)
    return here.asks(replace(place, step="share", text=""), Message(here.say("line.noted"), taps), effect)


def _practice(mine: Mine, place: Place) -> Practice | None:
    return next((each for each in mine.practices if each.place == place.place), None)


def _finish(here: Here, text: Words, *effects: Effect) -> Answer:
    """The end of a check-in. Who was never asked for an hour is asked now, once."""
    if here.book.asked:
        return here.ends(text, *effects)
    asked = here.say("hour.ask", hour=Words(hours.shown(here.book.default)))
    message = Message(Words(f"{text}\n\n{asked}"), (*_hours_to_tap(here), here.say.choice("keep", "keep")))
    return here.asks(Place(step="hour"), message, *effects, ChooseHour(None))


# Sharing ---------------------------------------------------------------------------------------------------------------------------


def ask_share(here: Here, mine: Mine, place: Place) -> Answer:
    """Say who would see it before anything is shared."""
    if not mine.group:
        return here.ends(here.say("refused.group"))
    question = voice.share_question(here.say, mine, place.noted_day(), place.place)
    return here.asks(replace(place, step="share"), question)


def share(here: Here, mine: Mine, place: Place, *, aloud: bool) -> Answer:
    """Share a check-in, after it was said with whom."""
    practice = _practice(mine, place)
    if practice is None or not mine.group:
        return here.ends(here.say("refused.group"))
    told = here.say("share.told" if aloud else "share.shown", group=named(mine.group))
    return _finish(here, told, ShareCheckIn(mine.course, place.noted_day(), practice.code, aloud))


# The hour --------------------------------------------------------------------------------------------------------------------------


def ask_hour(here: Here, before: Words | None = None) -> Answer:
    """Ask at which hour practices shall come."""
    shown = hours.shown(here.book.hour or here.book.default)
    asked = here.say("hour.change", hour=Words(shown))
    text = asked if before is None else Words(f"{before}\n{asked}")
    return here.asks(Place(step="hour"), Message(text, (*_hours_to_tap(here), here.say.choice("keep", "keep"))))


def _hours_to_tap(here: Here) -> tuple[Choice, ...]:
    return voice.hour_choices(here.say, here.today, here.book.quiets)


def choose_hour(here: Here, hour: str) -> Answer:
    """Practices come at this hour from now on."""
    if not hours.is_hour(hour):
        return ask_hour(here, here.say("hour.unreadable"))
    if not hours.allowed(hour, here.turn.person.zone, here.today, here.book.quiets):
        return ask_hour(here, here.say("hour.quiet", hour=Words(hours.shown(hour))))
    return here.ends(here.say("hour.chosen", hour=Words(hours.shown(hour))), ChooseHour(hour))


def take_hour(here: Here, text: str) -> Answer:
    """An hour that was typed."""
    if normal(text) in words.SKIP:
        return here.ends(here.say("hour.kept", hour=Words(hours.shown(here.book.hour or here.book.default))))
    found = hours.typed(text)
    if found is None:
        return ask_hour(here, here.say("hour.unreadable"))
    fit = [each for each in found.hours if hours.allowed(each, here.turn.person.zone, here.today, here.book.quiets)]
    if not fit:
        return ask_hour(here, here.say("hour.quiet", hour=Words(hours.shown(found.hours[0]))))
    if len(fit) == 1 and not found.rounded:
        return choose_hour(here, fit[0])
    taps = tuple(Choice(f"homework.hour.{each.replace(':', '')}", hours.shown(each), mark="") for each in fit)
    key = "hour.half" if found.rounded else "hour.several"
    return here.asks(Place(step="hour"), Message(here.say(key), (*taps, here.say.choice("keep", "keep"))))


# Answers, tapped and typed ---------------------------------------------------------------------------------------------------------


def tapped(here: Here, kind: str, rest: list[str]) -> Answer:  # noqa: PLR0911 - one return per kind of choice
    """A choice of ours, whenever it was offered: each names the check-in that it belongs to."""
    match kind:
        case "hour":
            typed = rest[0] if rest else ""
            return choose_hour(here, f"{typed[:2]}:{typed[2:]}")
        case "keep":
            hour = Words(hours.shown(here.book.hour or here.book.default))
            return here.ends(here.say("hour.kept", hour=hour), ChooseHour(None))
        case "end":
            return _finish(here, here.say("ended.well"))
        case "yes" | "no":
            return _settle_old_line(here, taken=kind == "yes")
    mine = here.mine(number_of(rest[0])) if rest else None
    if mine is None or not mine.practices or not mine.week:
        return here.ends(here.say("nothing.left"))
    if kind == "course":
        day = here.today - timedelta(days=here.place.back)
        return choose_practice(here, mine, day, here.place.minutes or None)
    if kind == "day":
        back = number_of(rest[1]) if len(rest) > 1 else 0
        return here.asks(*_which_day(here, mine, here.today - timedelta(days=min(back, days.MAKE_UP))))
    return _tapped_check_in(here, mine, kind, rest)


def _which_day(here: Here, mine: Mine, day: date) -> tuple[Place, Message]:
    minutes = here.place.minutes if here.place.step == "practice" else 0
    place = Place(step="practice", course=mine.course, day=day.isoformat(), minutes=minutes)
    return place, voice.which(here.say, mine, day, here.today)


def _tapped_check_in(here: Here, mine: Mine, kind: str, rest: list[str]) -> Answer:  # noqa: PLR0911 - as above
    place = _place(here, mine, rest)
    practice = None if place is None else _practice(mine, place)
    if place is None or practice is None:
        return here.ends(here.say("nothing.left"))
    match kind:
        case "do":
            return note(here, mine, place.noted_day(), practice, _said_before(here, place))
        case "min" if len(rest) > _KEY_PARTS and 0 < number_of(rest[_KEY_PARTS]) <= 600:
            return note_minutes(here, mine, place, number_of(rest[_KEY_PARTS]))
        case "none":
            return note_minutes(here, mine, place, None)
        case "share":
            return ask_share(here, mine, place)
        case "show" | "tell":
            return share(here, mine, place, aloud=kind == "tell")
        case _:
            return here.ends(here.say("nothing.left"))


def _said_before(here: Here, place: Place) -> int | None:
    """Minutes that were said together with the wish to check in."""
    open_ = here.place
    same = open_.step == "practice" and open_.course == place.course and open_.day == place.day
    return open_.minutes or None if same else None


def _place(here: Here, mine: Mine, rest: list[str]) -> Place | None:
    """The check-in that a choice names. Day 0 is the day of the tap."""
    if len(rest) < _KEY_PARTS:
        return None
    ordinal = number_of(rest[1])
    if not 0 <= ordinal <= date.max.toordinal():
        return None
    day = date.fromordinal(ordinal) if ordinal else here.today
    return Place(course=mine.course, day=day.isoformat(), place=number_of(rest[2]))


def typed(here: Here, text: str) -> Answer:  # noqa: PLR0911 - one return per question that may be open
    """Words in answer to what is open."""
    place = here.place
    if place.step == "hour":
        return take_hour(here, text)
    if place.step == "course":
        chosen = pick(text, [voice_course(here, each) for each in here.book.courses if each.week])
        if chosen is not None:
            return tapped(here, "course", chosen.id.split(".")[2:])
        return (
            here.ends(here.say("ended.well"))
            if normal(text) in words.SKIP
            else check_in(here, words.Said(place.back, place.minutes or None))
        )
    mine = here.mine(place.course)
    if mine is None:
        return here.ends(here.say("nothing.left"))
    match place.step:
        case "practice":
            return _typed_practice(here, mine, text)
        case "minutes":
            return _typed_minutes(here, mine, text)
        case _:
            return _typed_line(here, mine, text)


def _typed_practice(here: Here, mine: Mine, text: str) -> Answer:
    if normal(text) in words.SKIP:
        return here.ends(here.say("ended.well"))
    day = here.place.noted_day()
    chosen = pick(text, voice.which(here.say, mine, day, here.today).choices)
    if chosen is not None:
        _, kind, *rest = chosen.id.split(".")
        return tapped(here, kind, rest)
    found = words.meant(text, mine.practices)
    if found is not None:
        return note(here, mine, day, found, here.place.minutes or None)
    return here.asks(here.place, voice.which(here.say, mine, day, here.today))


def _typed_minutes(here: Here, mine: Mine, text: str) -> Answer:
    minutes = words.read_minutes(text)
    if minutes is not None:
        return note_minutes(here, mine, here.place, minutes)
    taps = voice.minutes_choices(here.say, mine.course, here.place.noted_day(), here.place.place)
    chosen = pick(text, taps[-1:])
    if chosen is not None or normal(text) in words.SKIP:
        return note_minutes(here, mine, here.place, None)
    return here.asks(here.place, Message(here.say("minutes.unreadable"), taps))


def _typed_line(here: Here, mine: Mine, text: str) -> Answer:  # noqa: PLR0911 - as above
    place = here.place
    if place.step == "sure":
        sure = normal(text)
        if sure in {normal(here.say("choice.yes")), "是", "是的", "对", "yes", "1"}:
            return _settle_old_line(here, taken=True)
        return _settle_old_line(here, taken=False)
    taps = voice.line_choices(here.say, mine, place.noted_day(), place.place)
    chosen = pick(text, taps) if len(text) > 1 else None
    if chosen is not None:
        _, kind, *rest = chosen.id.split(".")
        return tapped(here, kind, rest)
    if normal(text) in words.SKIP:
        return _finish(here, here.say("ended.well"))
    if place.step == "share":
        return _typed_at_share(here, mine, text)
    if not place.fresh(here.turn.now):
        asked = (here.say.choice("yes", "yes"), here.say.choice("no", "no"))
        return here.asks(replace(place, step="sure", text=text[:400]), Message(here.say("line.sure"), asked))
    return add_line(here, mine, place, text)


def _typed_at_share(here: Here, mine: Mine, text: str) -> Answer:
    """The question with whom, once more; one of its ways may be typed."""
    question = voice.share_question(here.say, mine, here.place.noted_day(), here.place.place)
    chosen = pick(text, question.choices) if len(text) > 1 else None
    if chosen is not None:
        _, kind, *rest = chosen.id.split(".")
        return tapped(here, kind, rest)
    return here.ends(here.say("ended.unheard"))


def _settle_old_line(here: Here, *, taken: bool) -> Answer:
    mine = here.mine(here.place.course)
    if mine is None or here.place.step != "sure" or not here.place.text:
        return here.ends(here.say("nothing.left"))
    if not taken:
        return here.ends(here.say("line.left"))
    return add_line(here, mine, here.place, here.place.text)


def again(say: Voice, place: Place, turn: Turn) -> Message | None:
    """The open question behind another bot's answer, where somebody is in the middle of it."""
    if not place.fresh(turn.now) or isinstance(turn.event, Tapped):
        return None
    if place.step == "minutes":
        return Message(say("again.minutes"), voice.minutes_choices(say, place.course, place.noted_day(), place.place))
    return Message(say("again.line"), (say.choice("enough", "end"),)) if place.step == "line" else None
