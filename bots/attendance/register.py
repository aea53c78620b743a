"""What the attendance bot may see: a person's own gatherings with their marks, and a group's register for its staff."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bots.facts import Fact

#: Who comes signs in from so long before the beginning until so long after the end.
EARLY, LATE = timedelta(minutes=15), timedelta(minutes=30)
#: How a mark came about.
HOWS = ("word", "qr", "list", "tick", "made_up")
#: What a course without a rule of its own asks for, of every four classes.
_OF_FOUR = 3


@dataclass(frozen=True)
class Sitting:
    """A class, a weekly meeting or the retreat. `cities`: where the retreat is held, by language."""

    id: int
    kind: str
    number: int
    title: Mapping[str, str]
    at: datetime
    minutes: int
    cities: tuple[Mapping[str, str], ...] = ()

    @property
    def opens_at(self) -> datetime:
        """From when on one signs in."""
        return self.at - EARLY

    @property
    def closes_at(self) -> datetime:
        """Until when one signs in."""
        return self.at + timedelta(minutes=self.minutes) + LATE

    def is_on(self, now: datetime) -> bool:
        """Whether one signs in now."""
        return self.opens_at <= now < self.closes_at

    def city(self, name: str, language: str) -> str:
        """The city of this name in a language; as it is where it is not known any more."""
        return next((each.get(language, name) for each in self.cities if name in each.values()), name)


@dataclass(frozen=True)
class Mark:
    """Somebody was there, or made it up. `how`: one of `HOWS`. `city`: of a retreat, by its Chinese name."""

    how: str
    city: str = ""


@dataclass(frozen=True)
class MyCourse:
    """A course in which this person takes part: its gatherings in the order of their moments, and their marks by gathering.

    `needed` of the classes count as taking part; `asked`: gatherings whose make-up waits for the leader's word.
    """

    course: int
    title: str
    needed: int
    sittings: tuple[Sitting, ...]
    marks: Mapping[int, Mark] = field(default_factory=dict)
    asked: frozenset[int] = frozenset()

    def classes(self) -> tuple[Sitting, ...]:
        """What the rule counts."""
        return tuple(each for each in self.sittings if each.kind == "class")


@dataclass(frozen=True)
class MyAttendance(Fact[tuple[MyCourse, ...]]):
    """Every course in which the person takes part, and that has a calendar."""


@dataclass(frozen=True)
class Seat:
    """One participant of a group. `claims`: their make-ups that wait for a word of the staff, by gathering."""

    person: int
    name: str
    marks: Mapping[int, Mark] = field(default_factory=dict)
    claims: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Register:
    """A small group's gatherings and participants, in the order in which they joined. `seen` False: not for this person."""

    seen: bool = False
    group: int = 0
    group_name: str = ""
    needed: int = 0
    sittings: tuple[Sitting, ...] = ()
    seats: tuple[Seat, ...] = ()

    def sitting(self, id_: int) -> Sitting | None:
        """The gathering with this id."""
        return next((each for each in self.sittings if each.id == id_), None)


@dataclass(frozen=True)
class RegisterOf(Fact[Register]):
    """The register of this group."""

    group: int


def needed(rule: int | None, planned: int, held: int) -> int:
    """How many classes count as taking part, where `planned` were meant to be and `held` are not called off."""
    return min(held, -(-planned * _OF_FOUR // 4) if rule is None else rule)
