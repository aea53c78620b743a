"""Hides what the page of an assignment shows: who waits for a group, a proposal beside the whole, what is odd, what became of the last."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import ceil

import sqlalchemy as sa

from app import access
from app.console.actors import Actor
from app.console.rules import RUNS
from app.db import Tx
from app.keyring import Keyring
from app.models import Course
from app.people import names
from app.placing import applying, balancing, codes, proposals
from app.placing.facts import FACTORS
from app.placing.known import ELSEWHERE, One, answers, called, everybody
from app.placing.proposals import FEWEST, MOST, USUAL, Basis, Draft, GroupOf
from app.questionnaires.shelf import Shelf

#: A cell that is so many people away from the group's share is marked.
FAR = 2.0
#: People left out who are named; of more only their number is said.
NAMED = 100
#: Order of answers in the table; those that are not named (cities) stand by how many they are, "not known" last.
_ORDER = ("female", "male", "another", "18", "30", "40", "50", "60", "none", "short", "long")


@dataclass(frozen=True)
class Cell:
    """How many in a group gave an answer, and how many more or fewer that is than the group's share of the whole."""

    count: int
    off: float

    @property
    def far(self) -> bool:
        """Whether that is worth a look."""
        return abs(self.off) >= FAR


@dataclass(frozen=True)
class Line:
    """An answer to a factor, in the whole and in each group."""

    factor: str
    answer: str
    whole: int
    percent: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Column:
    """A group of a proposal, with who comes to it. `odd`: few, many, or empty."""

    place: int
    group: GroupOf
    people: tuple[One, ...]
    size: int
    odd: str


@dataclass(frozen=True)
class Proposed:
    """A proposal as it is shown; of a draft also who changed it last, and which wishes it breaks.

    `gone`: seats of people who wait no longer; `come`: how many have begun to wait since.
    """

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    most_off: int
    draft: Draft | None = None
    by: str = field(default="", repr=False)
    broken: tuple[tuple[str, tuple[str, ...]], ...] = ()
    gone: int = 0
    come: int = 0

    @property
    def people(self) -> int:
        """How many get a seat."""
        return sum(len(column.people) for column in self.columns)


@dataclass(frozen=True)
class LeftOut:
    """Somebody who got no seat when a proposal was applied: `who` by their number, with the roster's name where there is one; `why`."""

    who: str = field(repr=False)
    why: str


@dataclass(frozen=True)
class Outcome:
    """What became of the last proposal that was applied."""

    at: datetime
    placed: int
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class PlacingPage:
    """A course with who waits for a group. `told`: of how many of them each factor is known."""

    id: int
    title: str
    zone: str
    joined: int
    invited: int
    told: tuple[tuple[str, int], ...]
    open: tuple[GroupOf, ...]
    usual: int
    waiting: tuple[One, ...]
    proposed: Proposed | None
    outcome: Outcome | None
    codes: tuple[tuple[int, str, int], ...]

    @property
    def many(self) -> int:
        """How many wait."""
        return self.joined + self.invited

    @property
    def version(self) -> int:
        """Of the draft; 0 where there is none."""
        return 0 if self.proposed is None or self.proposed.draft is None else self.proposed.draft.version


def courses(tx: Tx, actor: Actor) -> list[tuple[int, str]]:
    """The courses that somebody runs and that are not over, the newest first: id and title."""
    mine = sa.select(Course.id, Course.title).where(Course.id.in_(access.courses_of(actor.person_id, RUNS)), Course.ended_at.is_(None))
    return [(row.id, row.title) for row in tx.execute(mine.order_by(Course.id.desc()))]


def page(tx: Tx, keyring: Keyring, shelf: Shelf, course_id: int, now: datetime) -> PlacingPage:
    """The page of a course's assignment."""
    course = tx.execute(sa.select(Course.title, Course.zone).where(Course.id == course_id)).one()
    people = everybody(tx, keyring, shelf, course_id, now)
    waiting = tuple(one for one in people if one.group is None)
    joined = sum(one.person is not None for one in waiting)
    open_ = tuple(proposals.open_groups(tx, course_id, people))
    found = proposals.find(tx, course_id)
    draft = found if found is not None and found.state == "draft" else None
    return PlacingPage(
        id=course_id,
        title=course.title,
        zone=course.zone,
        joined=joined,
        invited=len(waiting) - joined,
        told=tuple((factor, sum(bool(one.facts.answer(factor)) for one in waiting)) for factor in FACTORS),
        open=open_,
        usual=max(1, round((len(waiting) + sum(group.sitting for group in open_)) / USUAL)),
        waiting=waiting,
        proposed=None if draft is None else _proposed(tx, keyring, draft, people),
        outcome=None if found is None or draft is not None else _outcome(tx, keyring, found, now),
        codes=tuple(codes.counted(tx, course_id, now)),
    )


def proposed(basis: Basis, places: Mapping[str, int]) -> Proposed:
    """A proposal that is not kept yet, as it would be shown."""
    return _seen(basis.groups, basis.people, places)


def _proposed(tx: Tx, keyring: Keyring, draft: Draft, people: Sequence[One]) -> Proposed:
    groups = proposals.with_sitting(draft.groups, people)
    found = _seen(groups, people, draft.places)
    by_key = {one.key: one for one in people}
    wished, _ = proposals.wished_of(people, groups, draft.together, draft.apart)
    waiting = {one.key for one in people if one.group is None}
    places = {seat.key: seat.place for seat in draft.seats if seat.key in waiting}
    places |= {one.key: place for place, group in enumerate(groups) for one in people if one.group is not None and one.group == group.id}
    return replace(
        found,
        draft=draft,
        by="" if draft.author_id is None else names(tx, keyring, [draft.author_id]).get(draft.author_id, ""),
        broken=tuple((how, tuple(sorted(by_key[key].number for key in who))) for how, who in balancing.kept(wished, places)),
        gone=sum(seat.key not in waiting for seat in draft.seats),
        come=len(waiting - {seat.key for seat in draft.seats}),
    )


def _seen(groups: Sequence[GroupOf], people: Sequence[One], places: Mapping[str, int]) -> Proposed:
    waiting = [one for one in people if one.group is None and one.key in places]
    columns = tuple(_column(place, group, [one for one in waiting if places[one.key] == place]) for place, group in enumerate(groups))
    lines = _lines(columns, people)
    most_off = ceil(max((abs(cell.off) for line in lines for cell in line.cells), default=0) - 1e-6)
    return Proposed(columns, lines, most_off)


def _column(place: int, group: GroupOf, ones: list[One]) -> Column:
    size = group.sitting + len(ones)
    odd = "few" if size < FEWEST else "many" if size > MOST else ""
    return Column(place, group, tuple(ones), size, odd)


def _lines(columns: Sequence[Column], people: Iterable[One]) -> tuple[Line, ...]:
    """Every answer in the whole and in each group. Those who sit there count with those who come."""
    there = {column.place: [one for one in people if one.group is not None and one.group == column.group.id] for column in columns}
    meant = {column.place: [*there[column.place], *column.people] for column in columns}
    counted = answers(one for ones in meant.values() for one in ones)
    total = max(1, len(counted))
    found = []
    for factor, name in enumerate(FACTORS):
        whole = Counter(each[factor] for each in counted.values())
        for answer in sorted(whole, key=lambda each: _rank(each, whole[each])):
            cells = []
            for column in columns:
                count = sum(counted[one.key][factor] == answer for one in meant[column.place])
                cells.append(Cell(count, count - whole[answer] * column.size / total))
            found.append(Line(name, answer, whole[answer], round(100 * whole[answer] / total), tuple(cells)))
    return tuple(found)


def _rank(answer: str, many: int) -> tuple[int, int, str]:
    known = _ORDER.index(answer) if answer in _ORDER else -1
    return (2 if not answer else 1 if answer == ELSEWHERE else 0, known if known >= 0 else -many, answer)


def _outcome(tx: Tx, keyring: Keyring, draft: Draft, now: datetime) -> Outcome:
    seats = applying.left_out(draft)
    known = called(tx, keyring, draft.course_id, [seat.person for seat in seats if seat.person is not None], now) if seats else {}
    return Outcome(
        draft.changed_at, len(draft.seats) - len(seats), tuple(LeftOut(known.get(seat.key, "?"), seat.outcome) for seat in seats)
    )


def key_of(page: PlacingPage, typed: str) -> str:
    """The key of whom this number names among those who have a seat in the draft; empty where it is nobody's."""
    word = typed.strip().upper()
    return next((one.key for one in page.waiting if one.number.upper() == word), "")
