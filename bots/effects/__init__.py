"""What a bot may ask for: a closed set. This set is the security boundary; `app/effects.py` turns it into rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bots.effects.announcing import (
    Announce,
    AnswerPoll,
    ApproveAnnouncement,
    CancelAnnouncement,
    CancelPrompt,
    ChangePrompt,
    ClosePoll,
    FollowUp,
    KeepWarmPlan,
    PausePrompt,
    PlanPrompt,
    Poll,
    ProposeWords,
    ResumePrompt,
    ReturnAnnouncement,
    SettleWords,
    Thank,
)
from bots.effects.answering import BeginAssignment, Decline, Given, HandIn, Record, RemindLater
from bots.effects.asking import (
    AnswerQuestion,
    AskLeader,
    AskOn,
    BeAway,
    ClaimQuestion,
    ComeBack,
    EndQuestion,
    ReleaseQuestion,
    TakeBackQuestion,
)
from bots.effects.belonging import (
    AcknowledgeFlag,
    ConfirmSignIn,
    Consent,
    CountGuess,
    Join,
    NamePerson,
    Pause,
    RaiseFlag,
    RefuseSignIn,
    Resume,
    Screen,
    SetLanguage,
    Withdraw,
)
from bots.effects.practising import (
    AddLine,
    Attend,
    CheckIn,
    ChooseHour,
    ClaimMakeUp,
    MarkAttendance,
    SettleMakeUp,
    ShareCheckIn,
    WriteToSilent,
)
from bots.effects.saying import Choice, Message, Say

__all__ = [
    "AcknowledgeFlag",
    "AddLine",
    "Announce",
    "Answer",
    "AnswerPoll",
    "AnswerQuestion",
    "ApproveAnnouncement",
    "AskLeader",
    "AskOn",
    "Attend",
    "BeAway",
    "BeginAssignment",
    "CancelAnnouncement",
    "CancelPrompt",
    "ChangePrompt",
    "CheckIn",
    "Choice",
    "ChooseHour",
    "ClaimMakeUp",
    "ClaimQuestion",
    "ClosePoll",
    "ComeBack",
    "ConfirmSignIn",
    "Consent",
    "CountGuess",
    "Decline",
    "Effect",
    "EndQuestion",
    "FollowUp",
    "Given",
    "HandIn",
    "Join",
    "KeepWarmPlan",
    "MarkAttendance",
    "Message",
    "NamePerson",
    "Pause",
    "PausePrompt",
    "PlanPrompt",
    "Poll",
    "ProposeWords",
    "RaiseFlag",
    "Record",
    "RefuseSignIn",
    "ReleaseQuestion",
    "RemindLater",
    "Resume",
    "ResumePrompt",
    "ReturnAnnouncement",
    "Say",
    "Screen",
    "SetLanguage",
    "SettleMakeUp",
    "SettleWords",
    "ShareCheckIn",
    "TakeBackQuestion",
    "Thank",
    "Withdraw",
    "WriteToSilent",
]

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
    | ApproveAnnouncement
    | ReturnAnnouncement
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
