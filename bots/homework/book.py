"""What the homework bot may see: a participant's own practices and check-ins, and a leader's look at a group."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from bots.facts import Fact
from bots.homework.hours import Quiet


@dataclass(frozen=True)
class Practice:
    """Something to practise, as the course file has it. `place`: where it stands in the file, from 0."""

    place: int
    code: str
    name: Mapping[str, str]
    minutes: int


@dataclass(frozen=True)
class Done:
    """One check-in. `minutes` None: not said; `told`: the group got it as a message."""

    day: date
    practice: str
    minutes: int | None = None
    line: bool = False
    shared: bool = False
    told: bool = False


@dataclass(frozen=True)
class Mine:
    """One course as somebody practises in it. `week` 0: it has not begun, or has no calendar."""

    course: int
    title: str
    week: int = 0
    practices: tuple[Practice, ...] = ()
    weekly: tuple[str, ...] = ()  # codes of the practices of this week
    homework: Mapping[str, str] = field(default_factory=dict)  # the week's words, by language
    done: tuple[Done, ...] = ()  # of the last days, as far as they can be changed
    days: frozenset[date] = frozenset()  # every day with a check-in
    group: str = ""  # the small group; empty where they sit in none
    leaders: tuple[str, ...] = ()
    companions: int = 0  # others in the small group who would get what is shared

    def practice(self, code: str) -> Practice | None:
        """The practice of this code, if the course has it."""
        return next((each for each in self.practices if each.code == code), None)

    def of_week(self) -> tuple[Practice, ...]:
        """The practices of this week, in the order of the week."""
        found = (self.practice(code) for code in self.weekly)
        return tuple(each for each in found if each is not None)


@dataclass(frozen=True)
class Book:
    """Everything of somebody's practice. `hour` empty: they have chosen none; `asked`: they were asked for one."""

    courses: tuple[Mine, ...] = ()
    hour: str = ""
    asked: bool = False
    default: str = "20:00"
    quiets: tuple[Quiet, ...] = ()


@dataclass(frozen=True)
class MyPractice(Fact[Book]):
    """The practices and check-ins of the person who asks."""


@dataclass(frozen=True)
class Seen:
    """What a leader sees of one person's day: that they practised; minutes and a line only where they were shared."""

    name: str
    minutes: int | None = None
    line: str = ""


@dataclass(frozen=True)
class PracticeDay:
    """Who practised on one day."""

    day: date
    who: tuple[Seen, ...]


@dataclass(frozen=True)
class Quieter:
    """Somebody of whom nothing was noted for so many days."""

    name: str
    days: int


@dataclass(frozen=True)
class GroupPractice:
    """A group's week of practice. `seen` False: not for this person. `days`: newest last; `silent`: in the order in which they joined."""

    seen: bool = False
    group: str = ""
    since: date = date.min
    people: int = 0
    practised: int = 0
    days: tuple[PracticeDay, ...] = ()
    silent: tuple[Quieter, ...] = ()


@dataclass(frozen=True)
class WhoPractised(Fact[GroupPractice]):
    """The week of practice of this group."""

    group: int
