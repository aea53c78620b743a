"""Hides how the QR code of a gathering is told from one that leads into a group."""

from bots.choices import number_of, short
from bots.turns import Event, Followed, Scanned

_MARK = "attend."


def gathering_code(gathering: int) -> str:
    """What the QR code of this gathering holds."""
    return f"{_MARK}{short(gathering)}"


def scanned_gathering(event: Event) -> int:
    """The gathering whose QR code was scanned, perhaps to follow; 0 for every other event."""
    code = (event.code or "").strip() if isinstance(event, Followed | Scanned) else ""
    return number_of(code.removeprefix(_MARK)) if code.startswith(_MARK) else 0


def is_gathering_code(event: Event) -> bool:
    """Whether a QR code of a gathering was scanned, a broken one too."""
    return isinstance(event, Followed | Scanned) and (event.code or "").strip().startswith(_MARK)
