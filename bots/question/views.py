"""What may be seen of questions: requests, and the frozen values that the application loads for whoever may see them."""

from dataclasses import dataclass, field
from datetime import datetime

from bots.facts import Fact

#: Bytes of UTF-8 that a question, a further question or an answer may hold as it is sent: 600 Chinese characters.
MOST_BYTES = 1_800
#: Questions that one person may have open at once.
MOST_OPEN = 5


@dataclass(frozen=True)
class Listener:
    """Somebody who sees the questions of a group. `away_until`: a leader who is away, and not called meanwhile."""

    name: str | None
    leads: bool
    away_until: datetime | None = None
    covers: bool = False


@dataclass(frozen=True)
class Listeners(Fact[tuple[Listener, ...]]):
    """Who would see a question to this group, leaders first; nobody where the asking person takes no part in it."""

    group: int


@dataclass(frozen=True)
class Line:
    """One thing that was said. `words` are None where they were thrown away."""

    asked: bool  # by who asks; else an answer
    by: str | None
    words: str | None = field(repr=False)
    at: datetime


@dataclass(frozen=True)
class Question:
    """A question as one reader may see it.

    `state`: open, claimed, answered, closed, gone (taken back, or who asked has left), foreign (nothing to see: everything else is empty).
    `own`: the reader asked it; `mine`: the reader has claimed or answered it. `answerer` is the name of who has.
    """

    id: int
    number: int
    state: str
    course_title: str = ""
    group_name: str = ""
    asker: str | None = None
    answerer: str | None = None
    own: bool = False
    mine: bool = False
    asked_at: datetime | None = None
    lines: tuple[Line, ...] = ()
    deaf: str = ""  # why an answer does not reach who asked just now: paused, unfollowed

    def last_asked(self) -> Line | None:
        """What was asked last."""
        return next((each for each in reversed(self.lines) if each.asked), None)

    def last_answer(self) -> Line | None:
        """What was answered last."""
        return next((each for each in reversed(self.lines) if not each.asked), None)


@dataclass(frozen=True)
class QuestionShown(Fact[Question]):
    """One question, in full, for who asked it and for the leader and assistants of its group."""

    id: int


@dataclass(frozen=True)
class MyQuestions(Fact[tuple[Question, ...]]):
    """What this person asked and did not take back, the newest first."""


@dataclass(frozen=True)
class OpenQuestions(Fact[tuple[Question, ...]]):
    """What is open or claimed in the groups that this person leads or assists, the oldest first.

    With a number: whatever has that number there, however it stands.
    """

    number: int = 0
