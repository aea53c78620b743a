"""What the API answers with, and no field beside it. Participants are their numbers; no name, openid, phone or text of anybody's is here.

Ids are text, because 63 bits are more than a number in JSON holds in many languages. Moments are UTC.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

Id = Annotated[str, Field(description="The id: a number as text.", examples=["117291871240192"])]
Next = Annotated[str | None, Field(description="What to send as `after` for the following page; null on the last one.")]
Number = Annotated[
    str, Field(description="The participant number: five digits, random, the same for the whole course.", examples=["48213"])
]
Reach = Literal["now", "notice", "later", "never"]
States = Annotated[dict[str, int], Field(description="How many stand in each state; a state in which nobody stands is left out.")]


@dataclass(frozen=True)
class CourseLine:
    """A course that this token may see."""

    id: Id
    code: str
    title: str
    zone: Annotated[str, Field(description="The IANA time zone in which the course lives.", examples=["Asia/Shanghai"])]
    starts_on: date | None
    ended: bool


@dataclass(frozen=True)
class CoursePage:
    """A page of courses, the oldest first."""

    items: tuple[CourseLine, ...]
    next: Next


@dataclass(frozen=True)
class GroupName:
    """A group by its name. `large`: the one in which everybody of the course sits."""

    id: Id
    code: str
    name: str
    large: bool


@dataclass(frozen=True)
class CourseDetail:
    """A course with the names of its groups."""

    id: Id
    code: str
    title: str
    zone: str
    starts_on: date | None
    ended: bool
    groups: tuple[GroupName, ...]


@dataclass(frozen=True)
class ReachCounts:
    """How a message that left now would find the participants of a group.

    `now`: in the chat at once. `notice`: by a notice that points to it. `later`: when they next write.
    `never`: they left, paused or blocked.
    """

    now: int
    notice: int
    later: int
    never: int


@dataclass(frozen=True)
class GroupLine:
    """A group: how many sit in it, and how they would be reached."""

    id: Id
    code: str
    name: str
    large: bool
    closed: Annotated[bool, Field(description="Whether nobody may join any more.")]
    capacity: Annotated[int | None, Field(description="Participants that it takes; null: any number.")]
    participants: int
    staff: Annotated[dict[str, int], Field(description="Leaders, assistants and so on, by role.")]
    reach: ReachCounts


@dataclass(frozen=True)
class GroupPage:
    """A page of groups, the oldest first."""

    items: tuple[GroupLine, ...]
    next: Next


@dataclass(frozen=True)
class MembershipLine:
    """Somebody's place in a group. Who is staff has no number here, also where they take part elsewhere."""

    participant: Annotated[str | None, Field(description="The participant number; null for staff.", examples=["48213"])]
    role: str
    since: datetime
    reach: Annotated[Reach, Field(description="How a message that left now would find them: now, by notice, when they next write, never.")]


@dataclass(frozen=True)
class MembershipPage:
    """A page of memberships, in the order of numbers, which are random: it does not tell who came when."""

    items: tuple[MembershipLine, ...]
    next: Next


@dataclass(frozen=True)
class ReasonCount:
    """How many deliveries stand in a state for this reason; `code` is WeChat's own."""

    state: str
    reason: str
    code: str | None
    count: int


@dataclass(frozen=True)
class AnnouncementLine:
    """An announcement and how far it went: each recipient is in exactly one state, and all of them add up to `total`."""

    id: Id
    number: Annotated[int, Field(description="The short number that staff know it by.")]
    group: Id
    at: Annotated[datetime, Field(description="When it goes, or went, out.")]
    state: Annotated[
        Literal["planned", "waiting", "returned", "going", "done", "cancelled", "missed"],
        Field(description="`waiting`: to be seen by a second person of the course first. `returned`: that person did not let it go."),
    ]
    by_mass: bool
    own: Annotated[bool, Field(description="Whether this integration planned it.")]
    text: Annotated[str | None, Field(description="Its words, where this integration wrote them; else null.")]
    total: int
    states: States
    reasons: Annotated[tuple[ReasonCount, ...], Field(description="The same recipients by state, reason and WeChat's code.")]


@dataclass(frozen=True)
class AnnouncementPage:
    """A page of announcements, the newest first."""

    items: tuple[AnnouncementLine, ...]
    next: Next


@dataclass(frozen=True)
class Expected:
    """The promise before a send: how many people would get it how. Quiet hours and a course's silence hold it until then."""

    total: int
    now: int
    notice: int
    capped: Annotated[int, Field(description="The day after, because of the day's cap.")]
    later: int
    never: int
    quiet_until: datetime | None
    silent_until: datetime | None


@dataclass(frozen=True)
class PlannedLine:
    """An announcement that was just planned for one group."""

    id: Id
    number: int
    group: Id
    at: datetime
    state: Annotated[
        Literal["planned", "waiting"], Field(description="`waiting`: it is for many, and a second person of the course sees it first.")
    ]
    text: str
    expected: Expected


@dataclass(frozen=True)
class Planned:
    """One announcement for each group, in the order of the request."""

    announcements: tuple[PlannedLine, ...]


@dataclass(frozen=True)
class Cancelled:
    """An announcement that was taken back. What had left already stays sent."""

    id: Id
    taken_back: Annotated[int, Field(description="Messages that had not left and will not leave.")]


@dataclass(frozen=True)
class Seated:
    """Where a participant sits from now on."""

    participant: Number
    group: Id
    since: datetime


@dataclass(frozen=True)
class WaveLine:
    """A wave of questionnaires in numbers: how many people stand where. No answer and no score is here."""

    id: Id
    code: str
    title: Annotated[dict[str, str], Field(description="Language to title.")]
    state: Literal["planned", "open", "closed", "missed"]
    opens_at: datetime
    closes_at: datetime
    assigned: Annotated[int, Field(description="To how many it was put.")]
    states: States


@dataclass(frozen=True)
class WavePage:
    """A page of waves, the oldest first."""

    items: tuple[WaveLine, ...]
    next: Next


@dataclass(frozen=True)
class Problem:
    """Why a request was refused, as RFC 9457 has it: one sentence with its remedy, in the language of the request."""

    title: str
    status: int
    code: Annotated[str, Field(description="A word for programs; it does not change with the language.")]
    detail: str
