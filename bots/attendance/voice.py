"""Hides how attendance looks in a chat: what a gathering is called, lists in pages that fit, the grid of a group, one's own record."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bots.attendance.register import Mark, MyCourse, Register, Seat, Sitting
from bots.choices import short
from bots.clipping import named, room, size
from bots.effects import Choice, Message
from bots.texts import Texts, Words

_MOST_NAME, _MOST_TITLE = 36, 60
#: Taps that stand below what somebody is missing, and below a grid.
_MOST_TAPS = 4
_DIGEST = 36**6


@dataclass(frozen=True)
class Voice:
    """The bot's words for one person."""

    texts: Texts
    language: str
    zone: str

    def __call__(self, key: str, **gaps: Any) -> Words:
        """The words under `key`."""
        return self.texts.fill(key, self.language, self.zone, **gaps)

    def what(self, sitting: Sitting) -> Words:
        """What a gathering is called."""
        return self.called(sitting.kind, sitting.number, sitting.title.get(self.language, ""))

    def called(self, kind: str, number: int, title: str) -> Words:
        """As `what`, from its parts."""
        return self(f"what.{kind}", number=number, title=named(title, _MOST_TITLE))

    def joined(self, parts: Iterable[str]) -> Words:
        """Several words in a row, with this language's comma."""
        return Words(self("comma").join(parts))

    def choice(self, key: str, id: str, **gaps: Any) -> Choice:  # noqa: A002 - it is the choice's id
        """A way on, with the label under `choice.<key>`."""
        return Choice(f"attendance.{id}", self(f"choice.{key}", **gaps), mark="")


def mark_of(sitting: int) -> str:
    """By which a tap knows the list that it belongs to."""
    return short(sitting % _DIGEST)


# Signing in -----------------------------------------------------------------------------------------------------------------------------


def which(say: Voice, sittings: Sequence[Sitting], how: str) -> Message:
    """Which of several gatherings is meant."""
    choices = tuple(Choice(f"attendance.in.{short(each.id)}.{how[0]}", say.what(each)) for each in sittings[:8])
    return Message(say("sign_in.which"), choices)


def cities(say: Voice, sitting: Sitting, how: str) -> Message:
    """In which city somebody is; as many taps as fit, the rest is typed."""
    message = Message(say("sign_in.city", what=say.what(sitting)))
    for choice in city_choices(say, sitting, how):
        longer = replace(message, choices=(*message.choices, choice))
        if room(longer) < 0:
            break
        message = longer
    return message


def city_choices(say: Voice, sitting: Sitting, how: str) -> tuple[Choice, ...]:
    """Every city, in each language that somebody may type."""
    return tuple(
        Choice(
            f"attendance.city.{short(sitting.id)}.{place}.{how[0]}",
            named(each[say.language], 40),
            tuple(each.values()),
        )
        for place, each in enumerate(sitting.cities)
    )


def record(say: Voice, course: MyCourse, now: datetime) -> Message:
    """How often somebody was there, what they are missing and can make up."""
    classes, marks = course.classes(), course.marks
    there = [each for each in classes if each.id in marks]
    made_up = sum(marks[each.id].how == "made_up" for each in there)
    missing = [each for each in classes if each.id not in marks and each.closes_at <= now]
    lines = [say("mine.head", course=named(course.title), there=len(there), all=len(classes), needed=course.needed)]
    lines += [say("mine.made_up", count=made_up)] if made_up else []
    waiting = [each for each in missing if each.id in course.asked]
    open_ones = [each for each in missing if each.id not in course.asked]
    lines += [say("mine.waiting", classes=numbers(say, waiting))] if waiting else []
    if open_ones:
        lines.append(say("mine.missing", classes=numbers(say, open_ones)))
    elif any(each.closes_at <= now for each in classes) and not waiting:
        lines.append(say("mine.complete"))
    for each in course.sittings:
        if each.kind == "retreat" and each.id in marks:
            city = each.city(marks[each.id].city, say.language)
            lines.append(say("mine.retreat", title=named(each.title.get(say.language, "")), city=named(city or say("mine.there"))))
    return Message(Words("\n".join(lines)), make_up_choices(say, open_ones))


def make_up_choices(say: Voice, sittings: Sequence[Sitting]) -> tuple[Choice, ...]:
    """One tap per class that was made up."""
    return tuple(say.choice("made_up", f"up.{short(each.id)}", number=each.number) for each in sittings[:_MOST_TAPS])


def numbers(say: Voice, sittings: Sequence[Sitting]) -> Words:
    """The numbers of classes, in a row."""
    return say.joined(str(each.number) for each in sittings)


# The staff ------------------------------------------------------------------------------------------------------------------------------


def groups(say: Voice, known: Sequence[tuple[int, str]], kind: str, rest: str) -> Message:
    """Which group is meant, and how to write it where there are more than can be tapped."""
    message = Message(say("staff.which"))
    for id_, name in known:
        longer = replace(message, choices=(*message.choices, Choice(f"attendance.{kind}.{short(id_)}{rest}", named(name, 48))))
        if room(longer) < 0:
            break
        message = longer
    return message


def roll(
    say: Voice, register: Register, sitting: Sitting, page: int, *, lead: Words | None = None, rest: bool = False
) -> tuple[Message, int]:
    """A page of the tick list, and which one it is: pages go round."""
    pages = list(_pages(say, register, sitting))
    place = page % len(pages)
    own = mark_of(sitting.id)
    marked = sum(sitting.id in each.marks for each in register.seats)
    head = say("roll.head", group=named(register.group_name), what=say.what(sitting), there=marked, all=len(register.seats))
    lines = [head, *(_line(say, number, seat, sitting) for number, seat in pages[place]), say("roll.hint")]
    choices = [_flip(say, seat, sitting) for _, seat in pages[place]]
    if marked < len(register.seats):
        choices.append(say.choice("rest" if rest else "all", f"{'rest' if rest else 'all'}.{own}"))
    if len(pages) > 1:
        choices.append(say.choice("next", f"page.{(place + 1) % len(pages)}.{own}"))
    words = Words("\n".join(lines))
    return Message(words if lead is None else Words(f"{lead}\n\n{words}"), tuple(choices)), place


def _pages(say: Voice, register: Register, sitting: Sitting) -> Iterable[list[tuple[int, Seat]]]:
    """The participants with their numbers, as many as fit into one text with the ways on and a line in front."""
    frame = Message(
        Words(
            f"{say('roll.head', group=named(register.group_name), what=say.what(sitting), there=100, all=100)}\n{say('roll.hint')}"
            f"\n\n{say('roll.noted', names=named('x' * _NOTED, _NOTED))}"
        ),
        (say.choice("rest", "rest.000000"), say.choice("next", "page.00.000000")),
    )
    page, message = list[tuple[int, Seat]](), frame
    for number, seat in enumerate(register.seats, start=1):
        longer = _with(say, message, number, seat, sitting)
        if page and room(longer) < 0:
            yield page
            page, longer = [], _with(say, frame, number, seat, sitting)
        page.append((number, seat))
        message = longer
    yield page


#: Bytes of the line that says what was noted.
_NOTED = 150


def _with(say: Voice, message: Message, number: int, seat: Seat, sitting: Sitting) -> Message:
    """Longest as it can be: either label may stand there."""
    unmarked = replace(seat, marks={})
    marked = replace(seat, marks={sitting.id: Mark("made_up")})
    longest = max((_flip(say, each, sitting) for each in (unmarked, marked)), key=lambda choice: size(choice.label))
    return Message(Words(f"{message.text}\n{_line(say, number, marked, sitting)}"), (*message.choices, longest))


def _line(say: Voice, number: int, seat: Seat, sitting: Sitting) -> Words:
    mark = seat.marks.get(sitting.id)
    key = "none" if mark is None else "made_up" if mark.how == "made_up" else "there"
    return say("roll.line", number=number, name=named(seat.name, _MOST_NAME), mark=say(f"mark.{key}"))


def _flip(say: Voice, seat: Seat, sitting: Sitting) -> Choice:
    kind = "away" if sitting.id in seat.marks else "here"
    return say.choice(kind, f"{kind}.{short(seat.person)}.{mark_of(sitting.id)}", name=named(seat.name, _MOST_NAME))


def noted(say: Voice, names: Sequence[str]) -> Words:
    """Who was just marked."""
    return say("roll.noted", names=named(say.joined(names), _NOTED))


def grid(say: Voice, register: Register, now: datetime, page: int) -> Message:
    """Who came to which class, in pages; the retreat by city, and the make-ups that wait for a word."""
    classes = [each for each in register.sittings if each.kind == "class"]
    head = [
        say("grid.head", group=named(register.group_name), needed=register.needed, all=len(classes)),
        say("grid.marks"),
        say("grid.classes", numbers=Words(" ".join(str(each.number) for each in classes))),
    ]
    tail = [*_retreats(say, register, now), *([say("grid.claims")] if any(seat.claims for seat in register.seats) else [])]
    claims = _claim_choices(say, register)
    nav = say.choice("next", f"grid.{short(register.group)}.00")
    frame = Message(Words("\n".join([*head, *tail])), (*claims, nav))
    pages: list[list[Words]] = [[]]
    for number, seat in enumerate(register.seats, start=1):
        line = _row(say, number, seat, classes, now)
        if pages[-1] and room(Message(Words("\n".join([frame.text, *pages[-1], line])), frame.choices)) < 0:
            pages.append([])
        pages[-1].append(line)
    place = page % len(pages)
    more = (replace(nav, id=f"attendance.grid.{short(register.group)}.{(place + 1) % len(pages)}"),) if len(pages) > 1 else ()
    return Message(Words("\n".join([*head, *pages[place], *tail])), (*claims, *more))


def _row(say: Voice, number: int, seat: Seat, classes: Sequence[Sitting], now: datetime) -> Words:
    marks = Words(" ".join(say(f"mark.{_standing(seat, each, now)}") for each in classes))
    there = sum(each.id in seat.marks for each in classes)
    return say("grid.line", number=number, name=named(seat.name, _MOST_NAME), marks=marks, there=there)


def _standing(seat: Seat, sitting: Sitting, now: datetime) -> str:
    if sitting.id in seat.marks:
        return "made_up" if seat.marks[sitting.id].how == "made_up" else "there"
    if sitting.id in seat.claims:
        return "asked"
    return "none" if sitting.closes_at <= now else "coming"


def _retreats(say: Voice, register: Register, now: datetime) -> list[Words]:
    lines = []
    for each in register.sittings:
        if each.kind != "retreat" or each.opens_at > now:
            continue
        where = [each.city(seat.marks[each.id].city, say.language) or say("mine.there") for seat in register.seats if each.id in seat.marks]
        counts = say.joined(f"{named(city)} {where.count(city)}" for city in dict.fromkeys(where))
        lines.append(
            say("grid.retreat", title=named(each.title.get(say.language, "")), count=len(where), cities=counts or say("grid.nobody"))
        )
    return lines


def _claim_choices(say: Voice, register: Register) -> tuple[Choice, ...]:
    found = [(seat, sitting, claim) for seat in register.seats for sitting, claim in seat.claims.items()]
    choices = []
    for seat, id_, claim in found[:_MOST_TAPS]:
        sitting = register.sitting(id_)
        if sitting is not None:
            gaps = {"name": named(seat.name, _MOST_NAME), "number": sitting.number}
            choices.append(say.choice("confirm_named", f"yes.{short(claim)}", **gaps))
    return tuple(choices)
