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
class ReachForecast:
    """How many people a message to a group would find, by route; the parts add up to `total`."""

    total: int
    now: int  # by service message, at once
    notice: int  # by a notice that points to the text
    later: int  # only when they next write
    never: int  # unfollowed, paused or blocked us
    at: datetime | None = None  # None: now; for a later moment the forecast counts windows still open then
    notices_possible: bool = False  # False: the account has no approved notice
    quiet_until: datetime | None = None  # quiet hours would hold it until then


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
    state: str  # "planned", "going out", "done", "cancelled", "missed"
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
class Progress:
    """How far an announcement went. `by_state` adds up to `total`."""

    id: int
    number: int
    group_name: str
    excerpt: str
    total: int
    by_state: tuple[tuple[str, int], ...]  # (words for the state, count), in the reader's language
    unreached: tuple[Unreached, ...] = ()


@dataclass(frozen=True)
class ProgressOf(Fact[Progress]):
    """Who got announcement `id`. Loaded as a Progress with total -1 where the person may not see it."""

    id: int


@dataclass(frozen=True)
class EqualAnnouncement(Fact[bool]):
    """Whether the same words went to the same group, or are planned for it, within the last ten minutes."""

    group: int
    text: str


@dataclass(frozen=True)
class NewCode(Fact[int]):
    """A fresh id, issued by the application, to bind a preview to its confirmation. `purpose` keeps requests apart."""

    purpose: str


@dataclass(frozen=True)
class CourseResources(Fact[str]):
    """The help lines that the person's course named, in their language; empty where it named none."""


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
