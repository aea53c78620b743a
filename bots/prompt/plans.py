"""What the prompt bot sees: the calendars of the courses in which somebody leads, and the practice prompts that they may see."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from bots.facts import Fact
from bots.recurrence import Frame, Rule, days_of_week

#: How long a prompt goes on where nobody says otherwise and no end of the course is known.
USUAL = timedelta(weeks=8)
#: Bytes of a prompt's words as whoever has the longest name gets them; with its header it stays below what WeChat takes.
MOST_BYTES = 1_500
#: Prompts of one author in one course that run or are paused.
MOST_PROMPTS = 20
#: Nothing is planned for longer ahead than this.
FARTHEST = timedelta(days=366)


@dataclass(frozen=True)
class Calendar:
    """A course's zone, its first day and its last one (None: not known)."""

    course: int
    zone: str
    starts_on: date | None = None
    ends_on: date | None = None

    def usual_end(self, now: datetime) -> date:
        """The last day of a prompt where its author names none: the end of the course, or of eight weeks."""
        today = now.astimezone(ZoneInfo(self.zone)).date()
        eight = (self.starts_on or today) + USUAL - timedelta(days=1)
        return self.ends_on or (eight if eight >= today else today + USUAL - timedelta(days=1))

    def last_day(self, rule: Rule, now: datetime, named: date | None = None) -> date:
        """The last day that counts: the one that was named, or the usual one; what comes once may lie behind that."""
        until = named or self.usual_end(now)
        if named is not None or rule.recurs:
            return until
        if rule.day is not None:
            return max(until, rule.day)
        return until if self.starts_on is None else max(until, days_of_week(rule.week, self.starts_on)[1])

    def frame(self, until: date) -> Frame:
        """What a rule of this course lies in, up to this day."""
        return Frame(self.zone, self.starts_on, until if self.ends_on is None else min(until, self.ends_on))


@dataclass(frozen=True)
class Calendars(Fact[tuple[Calendar, ...]]):
    """The calendars of the courses in which this person may address a group."""


@dataclass(frozen=True)
class PromptView:
    """One practice prompt. `groups`: those of its groups that the person may address, by id and name; `others`: how many more there are.

    `state`: running, paused, done, cancelled or stopped (then `why` has the reason). `changeable`: whether this person may steer it.
    """

    id: int
    number: int  # short, per course, for people
    version: int
    course: int
    groups: tuple[tuple[int, str], ...]
    others: int
    text: str = field(repr=False)
    rule: Rule
    until: date
    zone: str
    next_at: datetime | None
    state: str
    why: str = ""
    changeable: bool = True


@dataclass(frozen=True)
class Prompts(Fact[tuple[PromptView, ...]]):
    """The prompts that this person may see: those that run first, by their next moment, then the newest, at most `limit`."""

    limit: int = 50
