"""What the questionnaire bot sees of a person's questionnaires: which are put to them, how far they are, what may still be answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bots.facts import Fact
from bots.questionnaire.instrument import Instrument, Item


@dataclass(frozen=True)
class Sheet:
    """One instrument of an assignment. `answers`: value by item, None where it was left out; what is not there is still open.

    `versions`: how often each item has been answered. `total`: how many items were asked, of one that is handed in and whose answers
    nobody needs to see any more.
    """

    id: int
    instrument: Instrument
    frame: str | None = None
    answers: Mapping[int, int | None] = field(default_factory=dict, repr=False)
    handed_in: bool = False
    versions: Mapping[int, int] = field(default_factory=dict, repr=False)
    total: int | None = None

    def asked(self) -> tuple[Item, ...]:
        """The items that this person is asked, as their answers so far have it."""
        return self.instrument.asked(self.answers)

    def size(self) -> int:
        """How many items this person is asked."""
        return len(self.asked()) if self.total is None else self.total

    def answered(self) -> int:
        """How many of them are answered or left out."""
        return sum(item.number in self.answers for item in self.asked()) if self.total is None else self.total

    def open_item(self) -> Item | None:
        """The first item that is still open; None where all are answered."""
        return next((item for item in self.asked() if item.number not in self.answers), None)

    def with_answers(self, answers: Mapping[int, int | None]) -> "Sheet":
        """The same sheet as these answers make it."""
        return Sheet(self.id, self.instrument, self.frame, answers, self.handed_in, self.versions, self.total)


@dataclass(frozen=True)
class Assignment:
    """One wave put to one person. `state` is a word of docs/states.md; `title` is in the reader's language."""

    id: int
    wave_id: int
    course: int
    course_title: str
    wave: str
    title: str
    state: str
    closes_at: datetime
    keeps_late: bool
    skips: bool
    sheets: tuple[Sheet, ...]

    def takes(self, now: datetime) -> bool:
        """Whether an answer still counts: the window ends at `closes_at`, that moment not included (bad-inputs.md E11)."""
        return self.keeps_late or now < self.closes_at

    def sheet(self, sheet_id: int) -> Sheet | None:
        """The sheet with this id."""
        return next((sheet for sheet in self.sheets if sheet.id == sheet_id), None)

    def with_sheet(self, sheet: Sheet) -> "Assignment":
        """The same assignment with this sheet in the place of its own one."""
        sheets = tuple([sheet if each.id == sheet.id else each for each in self.sheets])
        about = (self.id, self.wave_id, self.course, self.course_title, self.wave, self.title)
        return Assignment(*about, self.state, self.closes_at, self.keeps_late, self.skips, sheets)

    def next_sheet(self) -> Sheet | None:
        """The first sheet that is not handed in."""
        return next((sheet for sheet in self.sheets if not sheet.handed_in), None)

    def counts(self) -> tuple[int, int]:
        """How many items are answered or left out, and how many there are."""
        return sum(sheet.answered() for sheet in self.sheets), sum(sheet.size() for sheet in self.sheets)


@dataclass(frozen=True)
class OpenAssignments(Fact[tuple[Assignment, ...]]):
    """The questionnaires that are put to this person and not finished, the one that closes first before the others."""


@dataclass(frozen=True)
class AnswerPage(Fact[str]):
    """The address of the web page on which this assignment can be answered; it is this person's alone and expires."""

    assignment: int
