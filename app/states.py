"""The states of a delivery and its ways out: closed lists (docs/states.md says what each means, and what may follow)."""

from enum import StrEnum


class State(StrEnum):
    """Where one message to one person stands. Exactly one at any time."""

    READY = "ready"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    CONFIRMED = "confirmed"
    NOTIFIED = "notified"
    WAITING = "waiting"
    RETRY = "retry"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNREACHABLE = "unreachable"
    HELD = "held"


class Route(StrEnum):
    """The ways out, in the order of the reach ladder."""

    REPLY = "reply"
    SERVICE = "service"
    NOTICE = "notice"
    MASS = "mass"


#: The message has reached the platform, as far as can be known.
REACHED = frozenset({State.SENT, State.CONFIRMED})
#: Nothing more happens by itself.
SETTLED = frozenset({State.SENT, State.CONFIRMED, State.FAILED, State.UNKNOWN, State.EXPIRED, State.CANCELLED, State.UNREACHABLE})
#: On its way right now: the next seconds decide.
UNDER_WAY = (State.READY, State.CLAIMED, State.SENDING, State.RETRY)
#: Not gone yet: a word of stop takes these back.
STOPPABLE = (State.READY, State.CLAIMED, State.WAITING, State.NOTIFIED, State.RETRY, State.HELD)
#: What the outbox may claim.
DUE = (State.READY, State.RETRY)
#: What the person's next touch releases.
OPEN = (State.WAITING, State.NOTIFIED)
#: A process has these in hand, under a lease.
LEASED = (State.CLAIMED, State.SENDING)
#: These wait for a person's decision (app/doubts.py), but for what is unknown and `WRITTEN_OFF`.
IN_DOUBT = (State.HELD, State.UNKNOWN)
#: The reason of an unknown delivery that a person has closed: it stays unknown, since nobody learned more, and is listed no longer.
WRITTEN_OFF = "written_off"


class Asked(StrEnum):
    """How far somebody is with a wave of questionnaires, in the words of survey science. Exactly one at any time."""

    INVITED = "invited"
    REACHED = "reached"
    OPENED = "opened"
    PARTIAL = "partial"
    COMPLETE = "complete"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    INELIGIBLE = "ineligible"
    WINDOW_CLOSED = "window_closed"


#: Of these a person may still answer.
ANSWERABLE = (Asked.INVITED, Asked.REACHED, Asked.OPENED, Asked.PARTIAL)
#: A wave in one of these has been put to nobody: its moment has not come, or came while it rested in a backup.
UNOPENED = ("planned", "missed")
#: An announcement in one of these has not gone out, and may yet: it waits for a second person's look, was returned by them, or is planned.
TO_COME = ("planned", "waiting", "returned")
