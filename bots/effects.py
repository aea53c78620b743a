"""What a bot may ask for: a closed set. This set is the security boundary; `app/effects.py` turns it into rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from bots.recurrence import Rule


@dataclass(frozen=True)
class Choice:
    """One answer to tap or type.

    `id` is ASCII, at most 40 bytes, begins with the bot's name and a dot, and names the draft or question that it
    belongs to, so that a late tap is recognised. `label` is what the person sees and what their bubble will say.
    `accepts` are further typed spellings (compared after `bots.choices.normal`). `mark` stands before the label instead of its place:
    the number of an answer, or nothing where it is no answer but a way out.
    """

    id: str
    label: str
    accepts: tuple[str, ...] = ()
    mark: str | None = None


@dataclass(frozen=True)
class Message:
    """Words, and what may be answered to them. Words with gaps were filled by `Texts`, so they are inert."""

    text: str
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class Say:
    """Answer this person, in the passive reply. Several in one answer are joined by an empty line."""

    message: Message


@dataclass(frozen=True)
class SetLanguage:
    """From now on speak "zh" or "en" with this person."""

    language: str


@dataclass(frozen=True)
class NamePerson:
    """Store the name that the person wants to be called by in the course."""

    name: str


@dataclass(frozen=True)
class Screen:
    """Record how somebody answered the invitation: included, or excluded and why (a word of the flow chart).

    `source` is how the invitation came to them: "qr", "code" (typed) or "roster" (meant for them by name).
    """

    course: int
    included: bool
    why: str = ""
    source: str = field(kw_only=True)


@dataclass(frozen=True)
class Consent:
    """Record the consent to a course, with the version of the text and the ticks that were made."""

    course: int
    version: str
    ticks: tuple[str, ...]


@dataclass(frozen=True)
class Join:
    """Use an invitation: become a member with the role it gives.

    Refused with "full", "closed", "used", "expired", "joined", "elsewhere" (a participant of another small group of this course) or
    "consent" (a participant without recorded consent).
    """

    code: str


@dataclass(frozen=True)
class CountGuess:
    """Somebody typed a code that leads nowhere; after five in an hour no code is looked up for them."""


@dataclass(frozen=True)
class Pause:
    """Start nothing more with this person until they resume; queued messages are cancelled."""


@dataclass(frozen=True)
class Resume:
    """End a pause."""


@dataclass(frozen=True)
class Withdraw:
    """Leave every course. `erase_answers`: also delete what they answered (else the answers stay, unnamed)."""

    erase_answers: bool


@dataclass(frozen=True)
class RaiseFlag:
    """Tell the on-call people at once that this person may be in danger; `rule` names the phrase rule that matched."""

    rule: str


@dataclass(frozen=True)
class AcknowledgeFlag:
    """An on-call person took over the flag with this short number.

    Refused with "foreign" (not on call for it) or "taken" (somebody else was first).
    """

    flag: int


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
class AnswerPoll:
    """Answer an announcement with the option at this place, from 1; a later answer takes the place of an earlier one.

    Refused with "closed", "cancelled" or "foreign" (it asks this person nothing, or has no such option).
    """

    announcement: int
    choice: int


@dataclass(frozen=True)
class FollowUp:
    """Ask once more, those only who were asked and have not answered. `text` empty: in the words of the announcement.

    Refused with "role", "closed", "long", "nobody" (all have answered) or "again" (they were asked within the last ten minutes).
    """

    announcement: int
    text: str = ""


@dataclass(frozen=True)
class ClosePoll:
    """Take no more answers, and take back what was still to ask for them. Refused with "role" or "closed"."""

    announcement: int


@dataclass(frozen=True)
class Given:
    """An answer to one item of a questionnaire: its value, and the spelling that was accepted for it.

    `value` None: left out. `text` holds words of their own, where the item asks for some.
    """

    item: int
    value: int | None
    raw: str = field(default="", repr=False)
    text: str = field(default="", repr=False)


@dataclass(frozen=True)
class Record:
    """Store answers of one sheet; an earlier answer to the same item is kept as a version. `road`: tapped, typed, many, web.

    Refused with "closed" (the window is over), "done" (handed in) or "foreign" (no open sheet of this person).
    """

    sheet: int
    given: tuple[Given, ...]
    road: str


@dataclass(frozen=True)
class BeginAssignment:
    """The person looks at the first question. Refused with "foreign"."""

    assignment: int


@dataclass(frozen=True)
class HandIn:
    """A sheet is finished. Refused as `Record` is, and with "open" where an item is neither answered nor left out."""

    sheet: int


@dataclass(frozen=True)
class Decline:
    """The person does not want to answer this wave; nothing reminds them any more. Refused with "foreign"."""

    assignment: int


@dataclass(frozen=True)
class RemindLater:
    """The person wants to be reminded at this moment. Refused with "foreign" and "closed" (the window will be over)."""

    assignment: int
    at: datetime


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


@dataclass(frozen=True)
class ConfirmSignIn:
    """Let the browser in that shows this code and this number. Refused with "over" or "stranger"."""

    code: str
    number: int


@dataclass(frozen=True)
class RefuseSignIn:
    """Let the browser that shows this code in no more, whoever confirms."""

    code: str


@dataclass(frozen=True)
class Attend:
    """The person is at a gathering of a group of theirs; `how`: word, qr. `city`: of a retreat, by its Chinese name. Twice is once.

    Refused with "foreign" (not of their groups), "closed" (too early, or too late) and "city" (the retreat is not there).
    """

    gathering: int
    how: str
    city: str = ""


@dataclass(frozen=True)
class MarkAttendance:
    """Staff mark these participants of their group: `how` tick, made_up, or empty where they were not there.

    Refused with "role", "foreign" (somebody is not of the group, or the gathering is not) and "early" (it has not begun).
    """

    group: int
    gathering: int
    people: tuple[int, ...]
    how: str


@dataclass(frozen=True)
class ClaimMakeUp:
    """The person says that they made up a class; their leaders are asked. Refused with "foreign", "early", "there" and "asked"."""

    gathering: int


@dataclass(frozen=True)
class SettleMakeUp:
    """Staff of the group say whether a class was made up, by the id of the claim. Refused with "role" and "gone"."""

    claim: int
    accepted: bool


@dataclass(frozen=True)
class CheckIn:
    """Note that the person practised on a day of theirs; a second time for the same practice and day corrects it.

    `minutes` None: they stay as they are. Refused with "role" (takes no part in this course), "day" (neither today nor one of the two
    days before) and "practice" (the course has none of this code).
    """

    course: int
    day: date
    practice: str
    minutes: int | None = None


@dataclass(frozen=True)
class AddLine:
    """Put a line to a check-in; it replaces an earlier one. Refused with "foreign" (there is no such check-in) and "long"."""

    course: int
    day: date
    practice: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class ShareCheckIn:
    """Let the leader of the small group see minutes and line of a check-in, and with `aloud` send them to the whole group, once.

    Refused with "foreign" and "group" (they sit in no small group).
    """

    course: int
    day: date
    practice: str
    aloud: bool


@dataclass(frozen=True)
class ChooseHour:
    """From now on practices come at this hour (`HH:MM`, a half hour) of the person's day; None: they were asked, and keep the course's.

    Refused with "hour" (no half hour) and "quiet" (within the quiet hours of a course).
    """

    hour: str | None


@dataclass(frozen=True)
class WriteToSilent:
    """Send words to those participants of a group of whom nothing was noted for so many days, and to nobody else.

    Refused with "role", "empty", "long" and "nobody" (all have practised meanwhile).
    """

    group: int
    days: int
    text: str = field(repr=False)


Effect = (
    Say
    | SetLanguage
    | NamePerson
    | Screen
    | Consent
    | Join
    | CountGuess
    | Pause
    | Resume
    | Withdraw
    | RaiseFlag
    | AcknowledgeFlag
    | Announce
    | CancelAnnouncement
    | AnswerPoll
    | FollowUp
    | ClosePoll
    | Record
    | BeginAssignment
    | HandIn
    | Decline
    | RemindLater
    | Thank
    | ProposeWords
    | SettleWords
    | KeepWarmPlan
    | PlanPrompt
    | ChangePrompt
    | PausePrompt
    | ResumePrompt
    | CancelPrompt
    | AskLeader
    | TakeBackQuestion
    | AskOn
    | EndQuestion
    | ClaimQuestion
    | ReleaseQuestion
    | AnswerQuestion
    | BeAway
    | ComeBack
    | ConfirmSignIn
    | RefuseSignIn
    | Attend
    | MarkAttendance
    | ClaimMakeUp
    | SettleMakeUp
    | CheckIn
    | AddLine
    | ShareCheckIn
    | ChooseHour
    | WriteToSilent
)


@dataclass(frozen=True)
class Answer:
    """Effects in the order in which they are applied, and the bot's new memory (None lets go of the floor).

    Memory is small JSON with a version under "v". Effects are applied all or none. With `open` False the memory is kept
    although nothing is left to answer: the floor goes back to whoever had it, or to nobody. Who `rests` keeps the floor in no hurry:
    what waited for the person may come along.
    """

    effects: tuple[Effect, ...]
    memory: Mapping[str, Any] | None = None
    open: bool = True
    rests: bool = False
