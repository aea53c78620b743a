"""Who somebody is to us: their name and language, courses, silence, leaving; and cries for help."""

from dataclasses import dataclass, field


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
class ConfirmSignIn:
    """Let the browser in that shows this code and this number. Refused with "over" or "stranger"."""

    code: str
    number: int


@dataclass(frozen=True)
class RefuseSignIn:
    """Let the browser that shows this code in no more, whoever confirms."""

    code: str
