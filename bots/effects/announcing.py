"""Words to groups: announcements and what they ask, practice prompts, warm words."""

from dataclasses import dataclass, field
from datetime import date, datetime

from bots.recurrence import Rule


@dataclass(frozen=True)
class Poll:
    """What an announcement asks its readers: one question with 2 to 8 short options, or, without options, a tap that says "got it".

    `until`: no answer counts from this moment on; None: a week after the announcement.
    """

    options: tuple[str, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True)
class Announce:
    """Send words to a group, at once (`at` None) or later. `draft` makes a double confirmation harmless.

    `by_mass`: as one mass send of each reader's four a month; the large group only, and only because its author chose so.
    Refused with "role" (no longer leader there), "past", "long", "empty" or "mass" (not the large group); of a poll with "options" and
    "until" (it would close first).
    """

    group: int
    text: str
    at: datetime | None
    draft: int
    poll: Poll | None = None
    by_mass: bool = False


@dataclass(frozen=True)
class CancelAnnouncement:
    """Take back an announcement that has not gone out; what was sent stays sent. Refused with "role" or "gone"."""

    id: int


@dataclass(frozen=True)
class ApproveAnnouncement:
    """Let an announcement to many go out, as this person saw it: `version` is the mark of that.

    Refused with "role", "own" (nobody is the second pair of eyes for their own words), "decided" (somebody was first), "gone", "late" or
    "changed" (it is no longer what was seen).
    """

    id: int
    version: str


@dataclass(frozen=True)
class ReturnAnnouncement:
    """Give an announcement to many back to its author, with a sentence. Refused as `ApproveAnnouncement`, and with "empty" and "long"."""

    id: int
    version: str
    note: str = field(repr=False)


@dataclass(frozen=True)
class AnswerPoll:
    """Answer an announcement with the option at this place, from 1; a later answer takes the place of an earlier one.

    Refused with "closed", "cancelled" or "foreign" (it asks this person nothing, or has no such option).
    """

    announcement: int
    choice: int


@dataclass(frozen=True)
class FollowUp:
    """Ask once more, those only who were asked and have not answered. `text` empty: in the words of the announcement.

    Refused with "role", "closed", "long", "nobody" (all have answered), "again" (they were asked within the last ten minutes) or "eyes"
    (other words, to so many that a second person would have to see them).
    """

    announcement: int
    text: str = ""


@dataclass(frozen=True)
class ClosePoll:
    """Take no more answers, and take back what was still to ask for them. Refused with "role" or "closed"."""

    announcement: int


@dataclass(frozen=True)
class Thank:
    """The person thanks for a warm word, by its id. Counted once. Refused with "foreign" (they were not given it)."""

    word: int


@dataclass(frozen=True)
class ProposeWords:
    """Put words of one's own into the library of a course, for its administrators to approve.

    Refused with "role", "long", "empty", "alike" (the course has such words) and "unfit" (they promise health, or urge).
    """

    course: int
    text: str


@dataclass(frozen=True)
class SettleWords:
    """Approve a warm word, by its id, or let it rest. Refused with "role"."""

    word: int
    approved: bool


@dataclass(frozen=True)
class KeepWarmPlan:
    """Let the plan of a course's warm words go on, or pause it. Refused with "role" and "gone" (the course has none)."""

    course: int
    going: bool


@dataclass(frozen=True)
class PlanPrompt:
    """Let words go out to groups of one course by a rule, up to a last day. `draft` makes a double confirmation harmless.

    Refused with "role" (may not address one of the groups), "empty", "long", "gap" (one that nobody knows), "past" (nothing is to come),
    "until" (beyond the course's end, or too far) or "many".
    """

    groups: tuple[int, ...]
    text: str = field(repr=False)
    rule: Rule
    until: date
    draft: int


@dataclass(frozen=True)
class ChangePrompt:
    """Let a prompt be like this from now on, and run. Refused as `PlanPrompt` is, and with "changed" (it has another `version`)."""

    id: int
    version: int
    plan: PlanPrompt


@dataclass(frozen=True)
class PausePrompt:
    """Let a prompt rest. Refused with "role", or "gone" where it does not run."""

    id: int


@dataclass(frozen=True)
class ResumePrompt:
    """Let a paused prompt go on with its next moment. Refused with "role", "gone" (not paused) or "past" (nothing is to come)."""

    id: int


@dataclass(frozen=True)
class CancelPrompt:
    """End a prompt and take back what has not left. Refused with "role", or "gone" where it has ended and everything has left."""

    id: int
