"""What a bot may ask to see before it answers, and the frozen values it gets.

A request is a small frozen object; asking is `turn.facts.get(request)`, which is None until the application loaded it:
the bot then returns `Need(request, ...)` and is asked again within the same transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Fact(Generic[T]):
    """A request for one frozen value of type T."""


@dataclass(frozen=True)
class Facts:
    """The facts loaded so far in this turn."""

    loaded: Mapping[Fact[Any], Any] = field(default_factory=dict)

    def get(self, request: Fact[T]) -> T | None:
        """The value of this request, or None while it has not been loaded."""
        return cast("T | None", self.loaded.get(request))


@dataclass(frozen=True)
class Need:
    """The facts that a bot must see before it can answer."""

    requests: tuple[Fact[Any], ...]

    def __init__(self, *requests: Fact[Any]) -> None:
        object.__setattr__(self, "requests", requests)


class InvitationState(StrEnum):
    """What became of a code. GUESSING is answered to everything once somebody tried too often."""

    OPEN = "open"
    FULL = "full"
    CLOSED = "closed"
    USED = "used"
    EXPIRED = "expired"
    JOINED = "joined"
    ELSEWHERE = "elsewhere"  # a participant sits in one small group of a course, and this person sits in another
    UNKNOWN = "unknown"
    GUESSING = "guessing"


@dataclass(frozen=True)
class InvitationFound:
    """Where a code leads. Everything but `state` is empty unless the state is OPEN, FULL, CLOSED, JOINED or ELSEWHERE."""

    state: InvitationState
    code: str = ""
    course: int = 0
    course_title: str = ""
    group: int = 0
    group_name: str = ""
    leader_name: str | None = None
    role: str = ""  # the role that it gives; "participant" for a group's QR code
    invited_name: str | None = None  # whom the roster means, for personal codes
    consent_version: str = ""
    consent_text: str = ""  # the course's own words where a study brought some, in the reader's language; else empty


@dataclass(frozen=True)
class Invitation(Fact[InvitationFound]):
    """A code as scanned or typed (any case, spaces and dashes ignored)."""

    code: str


@dataclass(frozen=True)
class MassForecast:
    """What a mass send to a group would find; `reached`, `used_up` and those who are never reached add up to the forecast's total."""

    reached: int
    used_up: int  # have had all they may get this month: they are reached as ever
    left: int  # mass sends that everybody who is reached may still get this month, after those that are planned
    most: int  # mass sends that one person may get in a month


@dataclass(frozen=True)
class SecondEyes:
    """An announcement to more than `above` people waits until one of `people` others has seen it."""

    above: int
    people: int


@dataclass(frozen=True)
class ReachForecast:
    """How many people a message to a group would find, by route; the parts add up to `total`. `mass`: None where there is no such way."""

    total: int
    now: int  # by service message, at once
    notice: int  # by a notice that points to the text
    later: int  # only when they next write
    never: int  # unfollowed, paused or blocked us
    at: datetime | None = None  # None: now; for a later moment the forecast counts windows still open then
    notices_possible: bool = False  # False: the account has no approved notice
    quiet_until: datetime | None = None  # quiet hours would hold it until then
    mass: MassForecast | None = None
    silent_until: datetime | None = None  # the course is silent until then, in a retreat for example
    capped: int = 0  # only on the next day: they have had as many messages as the course starts with anybody on one day
    eyes: SecondEyes | None = None  # None: it goes out without a second person's look


@dataclass(frozen=True)
class Reach(Fact[ReachForecast]):
    """Who would be reached in this group if a message left at `at` (None: now)."""

    group: int
    at: datetime | None = None


@dataclass(frozen=True)
class AnnouncementSummary:
    """One announcement of the asking person's groups, for lists."""

    id: int
    number: int  # short, per course, for people
    group_name: str
    excerpt: str
    at: datetime
    state: str  # "planned", "waiting" (for a second person's look), "returned" (by them), "going out", "done", "cancelled", "missed"
    total: int = 0
    reached: int = 0
    notified: int = 0  # have a notice that points to it, and have not opened it yet


@dataclass(frozen=True)
class Announcements(Fact[tuple[AnnouncementSummary, ...]]):
    """The newest announcements that this person may see: planned ones first, then newest first, at most `limit`."""

    limit: int = 8


@dataclass(frozen=True)
class Unreached:
    """One recipient who has not been reached: name (empty where only counted) and why, in the reader's language."""

    name: str
    reason: str


@dataclass(frozen=True)
class PollResult:
    """What was answered to an announcement. Names are empty beyond those that the application named.

    `silent` were asked, are in the group and have not answered; `askable` of them can be asked once more, for the others the
    announcement itself is still on its way.
    """

    options: tuple[str, ...]  # none: a "got it" tap
    answered: tuple[tuple[str, ...], ...]  # who chose each option; of a "got it" one entry
    silent: tuple[str, ...]
    askable: int
    until: datetime
    open: bool
    followed_at: datetime | None = None  # when those who were silent were last asked once more
    followed: int = 0  # how many of them, and how many have that message
    followed_reached: int = 0


@dataclass(frozen=True)
class Progress:
    """How far an announcement went. `by_state` adds up to `total`."""

    id: int
    number: int
    group_name: str
    excerpt: str
    total: int
    by_state: tuple[tuple[str, int], ...]  # (words for the state, count), in the reader's language
    unreached: tuple[Unreached, ...] = ()
    poll: PollResult | None = None  # None: it asks nothing
    notes: tuple[str, ...] = ()  # what is to be known of the whole, in the reader's language


@dataclass(frozen=True)
class ProgressOf(Fact[Progress]):
    """Who got announcement `id`. Loaded as a Progress with total -1 where the person may not see it."""

    id: int


@dataclass(frozen=True)
class EqualAnnouncement(Fact[bool]):
    """Whether the same words went to the same group, or are planned for it, within the last ten minutes."""

    group: int
    text: str


class PollState(StrEnum):
    """Whether an announcement takes an answer of this person; NONE: it never asked them anything."""

    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    NONE = "none"


@dataclass(frozen=True)
class Asked:
    """What an announcement asks this person, and what they answered last (`choice`: the option's place from 1, 0 for nothing).

    `newest`: nothing was announced to them since, so that a number or a mere "got it" can mean nothing else.
    """

    id: int = 0
    options: tuple[str, ...] = ()
    state: PollState = PollState.NONE
    until: datetime | None = None
    choice: int = 0
    newest: bool = False


@dataclass(frozen=True)
class AskedBy(Fact[Asked]):
    """What announcement `id` asks this person."""

    id: int


@dataclass(frozen=True)
class LastAsked(Fact[Asked]):
    """The open question that was put to this person last."""


@dataclass(frozen=True)
class NewCode(Fact[int]):
    """A fresh id, issued by the application, to bind a preview to its confirmation. `purpose` keeps requests apart."""

    purpose: str


@dataclass(frozen=True)
class CourseResources(Fact[str]):
    """The help lines that the person's course named, in their language; empty where it named none."""


@dataclass(frozen=True)
class Planned:
    """One gathering that is still to come: of a kind (class, meeting, retreat). `at` None: its course has no calendar yet."""

    course: int
    kind: str = ""
    number: int = 0
    title: Mapping[str, str] = field(default_factory=dict)  # by language
    at: datetime | None = None
    link: str = ""


@dataclass(frozen=True)
class Calendar(Fact[tuple[Planned, ...]]):
    """What is still to come for this person, in the order of its moments."""


@dataclass(frozen=True)
class SignInFound:
    """A browser that waits. `state`: "open", "over", or "stranger" for whoever may not sign in; the rest is empty unless it is open.

    `number` stands beside the QR code; `others` do not. `binds`: it does not sign in, but names this person's WeChat for a login.
    """

    state: str
    number: int = 0
    others: tuple[int, ...] = ()
    binds: bool = False


@dataclass(frozen=True)
class SignIn(Fact[SignInFound]):
    """The browser that shows this code."""

    code: str
