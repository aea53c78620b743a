"""Hides the keyboard as a channel: lines that somebody types become pushes, messages become lines, choices become numbers.

Nothing leaves the machine. There is no platform behind it, so what only a platform has (followers, menus, tags) is refused.
"""

# ruff: noqa: ARG002 - the contract names its parameters; a keyboard needs few of them

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.channels import Accepted, MassState, Notice, Push, PushKind, Rules, SendError, Verdict

#: What a line may begin with, and the push it makes.
VERBS = {
    "/scan": PushKind.SCANNED,
    "/follow": PushKind.FOLLOWED,
    "/leave": PushKind.LEFT,
    "/press": PushKind.PRESSED,
    "/send": PushKind.SENT,
}


@dataclass
class Choices:
    """The choices that stand on the screen, numbered over all messages of a reply."""

    shown: list[tuple[str, str]] = field(default_factory=list)

    def link(self, choice: str, _shown: str, bubble: str) -> str:
        """A line with the next number; taken as `LinkMaker`."""
        self.shown.append((choice, bubble))
        return f"  [{len(self.shown)}] {bubble}"

    def take(self, line: str) -> tuple[str, str] | None:
        """The choice and its bubble that a typed number names."""
        place = int(line) if line.isascii() and line.isdecimal() and len(line) < 3 else 0
        return self.shown[place - 1] if 0 < place <= len(self.shown) else None

    def clear(self) -> None:
        """Nothing is on the screen any more."""
        self.shown.clear()


@dataclass
class Keyboard:
    """Turns the lines of one person into pushes. `count` tells equal lines apart."""

    openid: str
    choices: Choices = field(default_factory=Choices)
    count: int = 0

    def push(self, line: str, now: datetime) -> Push:
        """The push that a line makes: a number taps, `/scan CODE` scans, everything else is what the person wrote."""
        kind, value, choice = self._read(line)
        self.count += 1
        key = f"{int(now.timestamp())}.{self.openid}.{now.microsecond}.{self.count}"
        return Push(kind, self.openid, value, now, key, hashlib.sha256(line.encode()).digest(), line.encode(), choice)

    def _read(self, line: str) -> tuple[PushKind, str, str | None]:
        tapped = self.choices.take(line)
        if tapped is not None:
            return PushKind.TAPPED, tapped[1], tapped[0]
        word, _, rest = line.partition(" ")
        if word in VERBS:
            return VERBS[word], rest.strip(), None
        return PushKind.WROTE, line, None


class Terminal:
    """The channel of a conversation on the keyboard: `show(openid, text)` gets every message."""

    def __init__(self, show: Callable[[str, str], None], rules: Rules) -> None:
        self.rules = rules
        self._show = show

    async def send(self, openid: str, text: str) -> Accepted:
        """Show a text."""
        self._show(openid, text)
        return Accepted()

    async def notify(self, openid: str, notice: Notice) -> Accepted:
        """Show a notice with the address of the read page."""
        self._show(openid, f"[{notice.kind} · {notice.sender}] {notice.url}")
        return Accepted(notice.client_id)

    async def show_typing(self, openid: str) -> None:
        """A terminal shows no typing."""

    async def fetch_token(self, *, force: bool) -> tuple[str, timedelta]:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("token")

    async def user_info(self, openid: str) -> Mapping[str, object]:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("user_info")

    async def followers(self) -> Sequence[str]:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("followers")

    async def create_qr(self, code: str, seconds: int | None) -> str:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("qr")

    async def set_menu(self, menu: Mapping[str, object]) -> None:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("menu")

    async def send_to_tag(self, tag: int, text: str, client_id: str) -> Accepted:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("mass")

    async def mass_state(self, msgid: str) -> MassState:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("mass")

    async def create_tag(self, name: str) -> int:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("tag")

    async def find_tag(self, name: str) -> int | None:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("tag")

    async def delete_tag(self, tag: int) -> None:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("tag")

    async def tagged(self, tag: int) -> Sequence[str]:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("tag")

    async def tag(self, tag: int, openids: Sequence[str]) -> Sequence[str]:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("tag")

    async def untag(self, tag: int, openids: Sequence[str]) -> Sequence[str]:
        """There is no platform. Raises `SendError`."""
        raise _no_platform("tag")


def _no_platform(what: str) -> SendError:
    return SendError(Verdict.ACCOUNT_BROKEN, "terminal", f"{what}: a keyboard has no platform behind it")
