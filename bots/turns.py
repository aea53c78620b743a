"""What a bot is shown: the event, the person as a bot may know them, its own memory, the facts it asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from bots.facts import Facts


class Role(StrEnum):
    """What a person is in a group. Participant and researcher are never staff."""

    PARTICIPANT = "participant"
    LEADER = "leader"
    ASSISTANT = "assistant"
    MENTOR = "mentor"
    ADMINISTRATOR = "administrator"
    RESEARCHER = "researcher"


#: Who may address a group in chat, and see who got it.
ANNOUNCERS = frozenset({Role.LEADER, Role.ASSISTANT, Role.ADMINISTRATOR})
#: Whose eyes count as the second pair before an announcement goes to many: who runs the course, and who stands above its leaders.
APPROVERS = frozenset({Role.ADMINISTRATOR, Role.MENTOR})


@dataclass(frozen=True)
class Wrote:
    """The person typed words. `text` is normalised (no controls, no surrogates) and never empty."""

    text: str


@dataclass(frozen=True)
class Tapped:
    """The person tapped a choice that we sent to this very person. `choice` is its id, `text` the visible bubble.

    Of a forged or foreign id only an empty `choice` arrives: it is no bot's, and is answered like a late tap, never like typed words.
    """

    choice: str
    text: str


@dataclass(frozen=True)
class Pressed:
    """The person pressed an entry of the account's menu."""

    key: str


@dataclass(frozen=True)
class Scanned:
    """A follower scanned one of our QR codes."""

    code: str


@dataclass(frozen=True)
class Followed:
    """The person followed the account, perhaps by scanning one of our QR codes."""

    code: str | None = None


@dataclass(frozen=True)
class Left:
    """The person unfollowed. Nothing that a bot says can reach them now."""


@dataclass(frozen=True)
class Sent:
    """The person sent something that is not text: `kind` is image, voice, video, location, link, file or other."""

    kind: str


Event = Wrote | Tapped | Pressed | Scanned | Followed | Left | Sent


@dataclass(frozen=True)
class Membership:
    """One group that the person is in now. Ids are the application's; codes are for people."""

    course: int
    course_title: str
    group: int
    group_name: str
    large: bool
    role: Role


@dataclass(frozen=True)
class Person:
    """The person as a bot may know them: never an openid, never a phone number."""

    name: str | None
    language: str  # "zh" or "en"
    zone: str  # IANA name
    memberships: tuple[Membership, ...] = ()
    numbers: Mapping[int, str] = field(default_factory=dict)  # participant number by course
    paused: bool = False

    def roles(self) -> frozenset[Role]:
        """Every role that the person holds in any group."""
        return frozenset(each.role for each in self.memberships)

    def announces_to(self) -> tuple[Membership, ...]:
        """The groups that this person may address, one entry per group; only administrators speak to the large one."""
        speakers = {False: ANNOUNCERS, True: frozenset({Role.ADMINISTRATOR})}
        found = {each.group: each for each in self.memberships if each.role in speakers[each.large]}
        return tuple(found.values())


#: What stands before the code of a browser that waits to be let in; every other code that is scanned is an invitation.
BROWSER = "console."


def browser_code(event: Event) -> str | None:
    """The code that a browser shows and that was scanned, or None where something else happened."""
    scanned = event.code or "" if isinstance(event, Scanned | Followed) else ""
    return scanned.removeprefix(BROWSER) if scanned.startswith(BROWSER) else None


@dataclass(frozen=True)
class Turn:
    """One event as one bot sees it.

    `memory` is what this bot remembered last (None: nothing, or unreadable). `holds_floor` says whether this bot
    spoke last and has something open. `refusal` is set when the application refused the effects of the first
    answer (the group filled up meanwhile, the role was withdrawn): the bot then answers once more, in words.
    `seed` is the only randomness there is.
    """

    event: Event
    person: Person
    now: datetime  # aware, UTC
    memory: Mapping[str, Any] | None = None
    holds_floor: bool = False
    facts: Facts = field(default_factory=Facts)
    refusal: str | None = None
    seed: int = 0
    sent_at: datetime | None = None  # by the platform's clock, in whole seconds

    def words(self) -> str:
        """What the person typed, or the label of what they tapped; empty for every other event."""
        return self.event.text if isinstance(self.event, Wrote | Tapped) else ""


class OccasionKind(StrEnum):
    """What a scheduled or triggered message is about."""

    ANNOUNCEMENT = "announcement"
    ALERT = "alert"
    REPORT = "report"
    CONTINUATION = "continuation"
    INVITATION = "invitation"
    REMINDER = "reminder"
    CALENDAR = "calendar"
    ENCOURAGEMENT = "encouragement"
    PROMPT = "prompt"
    FOLLOW_UP = "follow_up"
    QUESTION = "question"
    ANSWER = "answer"
    HOMEWORK = "homework"
    SHARED = "shared"
    SEAT = "seat"
    APPROVAL = "approval"


@dataclass(frozen=True)
class Occasion:
    """A moment at which a bot speaks first: everything `compose` needs, per language of the reader.

    `details` holds the gaps' values by name (strings are made inert when they are filled in). `reader`: whom it is for, by their course
    name; given only where the details ask for it (`names_reader`), since else one text serves everybody of a language.
    """

    kind: OccasionKind
    language: str
    details: Mapping[str, Any]
    zone: str = "Asia/Shanghai"
    reader: str | None = field(default=None, repr=False)
