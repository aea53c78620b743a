"""What the world made of memory holds: plain rows, and the questions that several parts of it ask of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from bots.attendance.register import Mark, Sitting
from bots.effects import Message, Poll
from bots.recurrence import Rule
from bots.turns import ANNOUNCERS, Occasion, Role
from tests.dialogues.playing import TEN_SECONDS, Shown
from tests.dialogues.script import ZONE

_QUIET_FROM, _QUIET_UNTIL = time(22), time(8)
MASSES_A_MONTH = 4


class Refused(Exception):
    """An effect is refused; `args[0]` is the word for why."""


@dataclass
class Course:
    id: int
    title: str
    help: str
    consent_version: str
    consent_text: str
    file: str = ""
    first_day: date | None = None
    starts_on: date | None = None
    zone: str = "Asia/Shanghai"
    second_eyes: int = 0


@dataclass
class Group:
    id: int
    course: Course
    name: str
    capacity: int | None
    large: bool
    closed: bool


@dataclass
class Code:
    code: str
    group: Group
    role: Role
    once: bool
    name: str | None
    until: datetime | None
    used: bool = False


@dataclass
class Delivery:
    person: str
    announcement: int | None
    bot: str
    occasion: Occasion
    urgent: bool = False
    by_mass: bool = False
    state: str = "ready"  # as app/states.py: ready, sent, waiting, cancelled, expired, unreachable
    reason: str = ""
    stale_at: datetime | None = None
    prompt: int | None = None
    follows: int | None = None  # the announcement to which an answer is asked for once more
    made: datetime | None = None
    about: tuple[int, str] | None = None  # of a question: its id, and whether it is a call, an answer or a reminder

    def settle(self, state: str, reason: str) -> None:
        self.state, self.reason = state, reason


@dataclass
class Announcement:
    id: int
    number: int
    author: str
    group: Group
    text: str
    at: datetime
    made: datetime
    draft: int
    by_mass: bool = False
    state: str = "planned"
    poll: Poll | None = None
    closes_at: datetime | None = None
    poll_closed: bool = False
    answers: dict[str, int] = field(default_factory=dict)  # the option's place, by person
    why: str = ""  # for what reason a second person looks
    until: datetime | None = None
    seen_by: str = ""
    decision: str = ""


@dataclass
class Prompt:
    """A practice prompt. `next_at` None: nothing is to come."""

    id: int
    number: int
    author: str
    groups: list[Group]
    text: str
    rule: Rule
    until: date
    draft: int
    next_at: datetime | None
    version: int = 1
    state: str = "running"
    why: str = ""


@dataclass
class Flag:
    number: int  # short, for people
    person: str
    rule: str
    at: datetime
    course: Course | None
    step: int = 0
    next_alert: datetime | None = None
    taker: str | None = None


@dataclass
class Memory:
    """What a bot remembers; `open`: it waits for an answer; `rests`: but in no hurry."""

    kept: Mapping[str, Any]
    open: bool
    rests: bool


@dataclass
class Wave:
    """Questionnaires that are put to everybody who takes part in a course. `reminders`: so many days after the opening."""

    id: int
    course: Course
    title: str
    instruments: tuple[str, ...]
    opens_at: datetime
    closes_at: datetime
    reminders: tuple[int, ...]
    skips: bool
    keeps_late: bool
    state: str = "planned"


@dataclass
class Paper:
    """One instrument of somebody's assignment. `texts`: words of their own, by item."""

    id: int
    instrument: str
    answers: dict[int, int | None] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    handed_in: bool = False


@dataclass
class Assigned:
    """One wave, put to one person."""

    id: int
    person: str
    wave: Wave
    papers: list[Paper]
    remind_at: datetime | None
    state: str = "invited"


@dataclass
class Word:
    """A warm word of a course: proposed, approved, paused."""

    id: int
    course: Course
    number: int
    theme: str
    texts: dict[str, str]
    author: str
    state: str


@dataclass
class WarmPlan:
    """When the large group of a course is given a word: on these ISO weekdays at this hour, from the first day of the course on."""

    course: Course
    days: str
    hour: time
    starts: date
    next_at: datetime
    going: bool = True
    used: set[int] = field(default_factory=set)


@dataclass
class GivenOnce:
    """A warm word that somebody was given; `after`: plan, or what they did."""

    word: Word
    person: str
    after: str
    at: datetime
    thanked: bool = False


@dataclass(frozen=True)
class Held:
    """A gathering of a course, and the group that comes to it."""

    sitting: Sitting
    course: Course
    group: Group


@dataclass
class Marked:
    """Somebody was at a gathering, or made it up."""

    person: str
    held: Held
    mark: Mark


@dataclass
class Claim:
    """Somebody says that they made up a class."""

    id: int
    person: str
    held: Held


@dataclass
class Question:
    """What somebody asked the leader of their group; `lines`: who said what, when, and whether it was asked."""

    id: int
    number: int
    group: Group
    person: str
    asked_at: datetime
    claimed_at: datetime
    lines: list[tuple[bool, str, str, datetime]]
    drafts: list[int] = field(default_factory=list)
    state: str = "open"
    answerer: str | None = None
    step: int = 0
    next_at: datetime | None = None


@dataclass
class Absence:
    person: str
    group: Group
    cover: str
    starts: datetime
    ends: datetime
    over: bool = False


@dataclass
class Noted:
    """Somebody practised something on a day."""

    person: str
    course: Course
    day: date
    practice: str
    minutes: int | None
    line: str = ""
    shared: bool = False
    told: bool = False


@dataclass
class Someone:
    name: str | None = None
    language: str = "zh"
    zone: str = "Asia/Shanghai"
    paused: bool = False
    follows: bool = False
    memberships: list[tuple[Group, Role]] = field(default_factory=list)
    consents: set[str] = field(default_factory=set)
    screened: dict[str, tuple[bool, str]] = field(default_factory=dict)
    withdrew: str | None = None
    guesses: list[datetime] = field(default_factory=list)
    memories: dict[str, Memory] = field(default_factory=dict)  # by bot, the last to speak last
    typed_until: datetime | None = None
    typed_left: int = 0
    tapped_until: datetime | None = None
    tapped_left: int = 0
    masses: list[str] = field(default_factory=list)  # the month of each mass send that they had
    shown: list[Message] = field(default_factory=list)
    reached: list[Shown] = field(default_factory=list)

    def floor(self) -> str | None:
        return next((bot for bot, memory in reversed(self.memories.items()) if memory.open), None)

    def rests(self, bot: str) -> bool:
        """Whether this bot has something open, in no hurry."""
        return self.floor() == bot and self.memories[bot].rests

    def busy(self) -> bool:
        return any(memory.open and not memory.rests for memory in self.memories.values())


@dataclass
class State:
    now: datetime
    courses: list[Course] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    codes: list[Code] = field(default_factory=list)
    people: dict[str, Someone] = field(default_factory=dict)
    on_call: list[str] = field(default_factory=list)
    announcements: list[Announcement] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    waves: list[Wave] = field(default_factory=list)
    assigned: list[Assigned] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    warm_plans: list[WarmPlan] = field(default_factory=list)
    given: list[GivenOnce] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    marked: list[Marked] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    noted: list[Noted] = field(default_factory=list)
    hours: dict[str, str] = field(default_factory=dict)  # by person; empty: they were asked, and chose none
    practice_sent: dict[tuple[int, str], set[str]] = field(default_factory=dict)  # by course and occasion
    started: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    issued: int = 1_000_000_000_000

    def new_id(self) -> int:
        self.issued += 7_919
        return self.issued

    def group(self, name: str) -> Group:
        return next(each for each in self.groups if each.name == name)

    def group_of(self, id_: int) -> Group:
        return next(each for each in self.groups if each.id == id_)

    def course(self, id_: int) -> Course:
        return next(each for each in self.courses if each.id == id_)

    def code(self, typed: str) -> Code | None:
        meant = "".join(typed.upper().replace("-", "").split())
        return next((each for each in self.codes if each.code == meant), None)

    def members(self, group: Group, role: Role) -> list[str]:
        return [name for name, each in self.people.items() if (group, role) in each.memberships]

    def audience(self, group: Group, author: str) -> list[str]:
        return [name for name, each in self.people.items() if name != author and any(one is group for one, _ in each.memberships)]

    def may_announce(self, person: str, group: Group) -> bool:
        own = self.people[person].memberships
        administers = any(role is Role.ADMINISTRATOR and one.course is group.course for one, role in own)
        return administers or (not group.large and any(one is group and role in ANNOUNCERS for one, role in own))

    def waiting(self, person: str) -> list[Delivery]:
        for each in self.deliveries:
            if each.state == "waiting" and each.stale_at is not None and each.stale_at <= self.now:
                each.settle("expired", "stale")
        return [each for each in self.deliveries if each.person == person and each.state == "waiting"]

    def had_masses(self, someone: Someone, moment: datetime) -> int:
        """How many mass sends somebody has had in the month of this moment."""
        return someone.masses.count(month(moment))

    def way(self, someone: Someone, moment: datetime) -> str:
        """Whether somebody is reached at once ("now"), when they next write ("later"), or not at all ("never")."""
        if someone.paused or not someone.follows:
            return "never"
        typed = someone.typed_left > 0 and someone.typed_until is not None and someone.typed_until > moment + TEN_SECONDS
        tapped = someone.tapped_left > 0 and someone.tapped_until is not None and someone.tapped_until > moment + TEN_SECONDS
        return "now" if typed or tapped else "later"


def month(moment: datetime) -> str:
    return f"{moment.astimezone(ZONE):%Y-%m}"


def quiet_until(moment: datetime) -> datetime | None:
    local = moment.astimezone(ZONE)
    if _QUIET_UNTIL <= local.time() < _QUIET_FROM:
        return None
    day = local.date() + timedelta(days=1 if local.time() >= _QUIET_FROM else 0)
    return datetime.combine(day, _QUIET_UNTIL, ZONE).astimezone(UTC)
