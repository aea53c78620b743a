"""Questions to the leader, and who stands in for one who is away."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class AskLeader:
    """Put a question to the leader and assistants of the asker's small group; `question` is its id, issued before.

    Refused with "role" (takes no part there), "nobody" (the group has neither leader nor assistant), "many" (too many of theirs are
    open), "long" or "empty".
    """

    group: int
    question: int
    text: str = field(repr=False)


@dataclass(frozen=True)
class TakeBackQuestion:
    """Who asked takes the question back while nobody has answered it. Refused with "foreign" or "gone"."""

    question: int


@dataclass(frozen=True)
class AskOn:
    """A further question about the same thing, to whoever answered it. `draft` makes a double one harmless.

    Refused with "foreign", "gone", "nobody", "long" or "empty".
    """

    question: int
    text: str = field(repr=False)
    draft: int


@dataclass(frozen=True)
class EndQuestion:
    """Who asked has what they need. Refused with "foreign" or "gone"."""

    question: int


@dataclass(frozen=True)
class ClaimQuestion:
    """A leader or assistant takes it upon themself to answer. Refused with "foreign" (not theirs), "taken" or "gone"."""

    question: int


@dataclass(frozen=True)
class ReleaseQuestion:
    """Who claimed a question gives it back; the others are called again. Refused with "foreign" or "gone"."""

    question: int


@dataclass(frozen=True)
class AnswerQuestion:
    """The answer of who claimed the question goes to who asked. `draft` makes a double confirmation harmless.

    Refused with "foreign" (not theirs, or no longer), "taken", "gone", "long" or "empty".
    """

    question: int
    text: str = field(repr=False)
    draft: int


@dataclass(frozen=True)
class BeAway:
    """A leader is away from a group for a time; meanwhile `cover` is called first. It replaces what they planned before.

    Refused with "role" (no leader there), "cover" (no assistant there) or "past".
    """

    group: int
    cover: int
    starts: datetime
    ends: datetime


@dataclass(frozen=True)
class ComeBack:
    """A leader is there again, before the time that was said, for every group. Refused with "gone" (was not away)."""
