"""The contract between the program and a messaging platform; knows no tables. One file or folder beside this one per channel.

Outcomes of a send are a closed list (bad-inputs.md, part 4): `Accepted`, or a `SendError` that says what to do next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from bots.effects import Message


class Verdict(StrEnum):
    """What a failed call means for the message and for the account."""

    TOKEN = "token"  # noqa: S105 - no secret: the token was rejected, refresh once, same attempt
    NOT_SENT = "not_sent"  # it never left (DNS, refused, TLS, pool): try again with back-off
    UNKNOWN = "unknown"  # the answer was lost or unreadable: it may have arrived
    BUSY = "busy"  # -1: with a client id repeat it, else as UNKNOWN
    WAIT_MINUTE = "wait_minute"  # 45011: the account is parked until the minute turns
    WAIT_DAY = "wait_day"  # 45009: the account is parked until the day turns
    SAME_ID_TOO_SOON = "same_id_too_soon"  # 45066: in 60 s, with the same id
    DUPLICATE = "duplicate"  # 45065, 40241: the platform says it has this already
    WINDOW_CLOSED = "window_closed"  # 45015
    ALLOWANCE_USED = "allowance_used"  # 45047
    RECIPIENT_CLOSED = "recipient_closed"  # unfollowed, blocked, restricted, not of this account
    TOO_OFTEN = "too_often"  # 43117: this recipient got too many notices
    QUOTA_USED = "quota_used"  # 45028: no mass send is left
    BAD_MESSAGE = "bad_message"  # the message is bad for everybody
    ACCOUNT_BROKEN = "account_broken"  # secret, whitelist, right or punishment: nothing goes until an operator acts


class SendError(Exception):
    """A call that the platform did not accept. Carries no address, token, openid or text: safe to log and to store.

    `code` is the platform's own errcode as text, or our word for a transport failure; `detail` the errmsg, scrubbed and cut to 200
    characters.
    """

    def __init__(self, verdict: Verdict, code: str, detail: str = "", msgid: str | None = None) -> None:
        super().__init__(f"{verdict.value} ({code})")
        self.verdict = verdict
        self.code = code
        self.detail = detail[:200]
        self.msgid = msgid


class RefusedPush(Exception):
    """A request that is not from the platform, or not for this account: 403 with an empty body whatever the cause.

    `cause` is one word for counters (signature, timestamp, nonce, mode, appid, repeated, ...), never shown to the sender.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class BadPush(Exception):
    """A validly signed push that cannot be understood: 200 `success`, sealed raw copy to quarantine.

    `raw` is what was decrypted as far as that went; `reason` one word or short phrase without any content.
    """

    def __init__(self, reason: str, raw: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.raw = raw


@dataclass(frozen=True)
class Credentials:
    """What is needed to speak with one account. `repr` shows the name only."""

    account: str
    appid: str
    original_id: str
    api_base: str
    mode: str  # plaintext, compatible, safe
    token: str = field(repr=False)
    secret: str = field(repr=False)
    aes_key: str = field(repr=False)
    previous_aes_key: str | None = field(default=None, repr=False)
    previous_aes_key_until: datetime | None = None
    notice_id: str | None = None
    notice_fields: Mapping[str, str] | None = None


class PushKind(StrEnum):
    """What a push is for us."""

    WROTE = "wrote"
    TAPPED = "tapped"
    PRESSED = "pressed"
    SCANNED = "scanned"
    FOLLOWED = "followed"
    LEFT = "left"
    SENT = "sent"
    RECEIPT = "receipt"
    IGNORED = "ignored"


@dataclass(frozen=True)
class MassCounts:
    """What a mass send came to, in fans: addressed, left after the platform's filters, reached, failed. Never who."""

    total: int
    kept: int
    sent: int
    errors: int


@dataclass(frozen=True)
class Push:
    """One decrypted, parsed and checked push.

    `value` by kind: the text (wrote, tapped), the menu key (pressed), the code (scanned, followed; may be empty), the kind
    of thing (sent), the status (receipt). `choice` is the tapped choice's id as the platform reported it, not yet verified;
    empty where it cannot be one of ours.
    `dedupe_key` begins with the ten-digit CreateTime; `content_hash` tells a repeat from another push under the same key.
    """

    kind: PushKind
    openid: str = field(repr=False)
    value: str = field(repr=False)
    sent_at: datetime
    dedupe_key: str
    content_hash: bytes = field(repr=False)
    raw: bytes = field(repr=False)
    choice: str | None = None
    msgid: str | None = None
    counts: MassCounts | None = None  # of a mass send's receipt
    note: str | None = None  # one word for an alarm: "clock" (CreateTime an hour off), "controls" (characters were removed)
    aes_key_used: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Accepted:
    """The platform took the message. `msgid` where it gives one (notices, mass sends)."""

    msgid: str | None = None


class MassState(StrEnum):
    """Where the platform says that a mass send stands."""

    UNDER_WAY = "under_way"
    SENT = "sent"
    FAILED = "failed"
    TAKEN_BACK = "taken_back"


@dataclass(frozen=True)
class Rules:
    """The figures of a channel (platform reference, sections 4.1, 5 and 9.1), as data."""

    typed_messages: int = 5
    typed_window: timedelta = timedelta(hours=48)
    tapped_messages: int = 3
    tapped_window: timedelta = timedelta(minutes=1)
    #: Before its end we stop using a window: clocks differ and calls take time.
    window_margin: timedelta = timedelta(seconds=10)
    service_a_day: int = 500_000
    notices_a_day: int = 100_000
    notice_repeat: timedelta = timedelta(minutes=8)  # of the platform's ten for an equal client id
    most_bytes: int = 2048
    service_in_flight: int = 8
    notices_in_flight: int = 32
    #: Mass sends: of one account, and those that one person receives in a calendar month (sections 6 and 9.1).
    masses_a_month: int = 4
    masses_a_day: int = 100
    masses_a_minute: int = 60
    #: An equal client id counts once for a day; we repeat a call within this time of the first.
    mass_repeat: timedelta = timedelta(hours=23)
    #: The same id again within a minute is refused (45066).
    mass_pause: timedelta = timedelta(seconds=61)
    tagged_at_once: int = 50


@dataclass(frozen=True)
class Notice:
    """A pointer to a text: kind, sender and time fill the approved template, `url` opens the read page."""

    kind: str
    sender: str
    time: datetime
    url: str
    client_id: str


class Channel(Protocol):
    """One account of a platform, ready to be called. Network only; raises `SendError` and nothing else."""

    rules: Rules

    async def send(self, openid: str, text: str) -> Accepted: ...
    async def notify(self, openid: str, notice: Notice) -> Accepted: ...
    async def show_typing(self, openid: str) -> None: ...
    async def fetch_token(self, *, force: bool) -> tuple[str, timedelta]: ...
    async def user_info(self, openid: str) -> Mapping[str, object]: ...
    async def followers(self) -> Sequence[str]: ...
    async def create_qr(self, code: str, seconds: int | None) -> str: ...
    async def set_menu(self, menu: Mapping[str, object]) -> None: ...
    async def send_to_tag(self, tag: int, text: str, client_id: str) -> Accepted: ...
    async def mass_state(self, msgid: str) -> MassState: ...
    async def create_tag(self, name: str) -> int: ...
    async def find_tag(self, name: str) -> int | None: ...
    async def delete_tag(self, tag: int) -> None: ...
    async def tagged(self, tag: int) -> Sequence[str]: ...
    async def tag(self, tag: int, openids: Sequence[str]) -> Sequence[str]: ...
    async def untag(self, tag: int, openids: Sequence[str]) -> Sequence[str]: ...


class TokenKeeper(Protocol):
    """Where a channel gets its access token from; the keeper refreshes under a lease, one process at a time."""

    async def current(self) -> str: ...
    async def refused(self, token: str) -> str:
        """The platform refused this very token: returns a newer one, forcing a refresh only where nothing else helps."""
        ...


def render(message: Message, link: "LinkMaker") -> str:
    """The wire text of a message: its words, then one line per choice."""
    lines = [message.text]
    for place, choice in enumerate(message.choices, start=1):
        mark = str(place) if choice.mark is None else choice.mark
        lines.append(link(choice.id, f"{mark}. {choice.label}" if mark else choice.label, choice.label))
    return "\n".join(lines)


class LinkMaker(Protocol):
    """Turns a choice into something to tap: (id, what is shown, what the bubble will say) to text."""

    def __call__(self, choice: str, shown: str, bubble: str) -> str: ...
