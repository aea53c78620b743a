"""Hides how much a message weighs on the wire, and how words are cut without cutting a character that a reader sees as one."""

import unicodedata

from bots.effects import Choice, Message
from bots.texts import MOST_BYTES, Words, inert

#: What a tappable choice weighs besides its label: the anchor, its signed id, a line end.
_ANCHOR_BYTES = 160
#: A label stands once as it is read and once percent-encoded, at three bytes for each byte of Chinese.
_LABEL_TIMES = 4
_JOINER = "\u200d"


def size(text: str) -> int:
    """Bytes of UTF-8."""
    return len(text.encode())


def choices_size(choices: tuple[Choice, ...]) -> int:
    """Bytes that these choices add to a message at the most."""
    return sum(_ANCHOR_BYTES + _LABEL_TIMES * size(choice.label) for choice in choices)


def room(message: Message) -> int:
    """Bytes that are left of what WeChat takes in one text; negative where the message is too large."""
    return MOST_BYTES - size(message.text) - choices_size(message.choices)


def clip(text: str, most: int) -> str:
    """The text in at most `most` bytes; what was cut off is marked by an ellipsis. Inert words stay inert."""
    if size(text) <= most:
        return text
    cut = text.encode()[: max(most - 3, 0)].decode(errors="ignore")
    while cut and _belongs_together(cut[-1], text[len(cut)], _flags_before(cut)):
        cut = cut[:-1]
    clipped = cut.rstrip() + "…"
    if size(clipped) > most:
        clipped = ""
    return Words(clipped) if isinstance(text, Words) else clipped


def named(text: str, most: int = 90) -> Words:
    """A name or a title from people as it stands in a sentence: inert, on one line, in at most `most` bytes."""
    return Words(clip(inert(" ".join(text.split())), most))


def _belongs_together(before: str, after: str, flags: int) -> bool:
    if _JOINER in (before, after) or unicodedata.combining(after) or unicodedata.category(after) in {"Mn", "Me", "Mc"}:
        return True
    if 0x1F3FB <= ord(after) <= 0x1F3FF:  # skin tones
        return True
    return _is_flag(after) and flags % 2 == 1


def _flags_before(cut: str) -> int:
    return len(cut) - len(cut.rstrip("".join(map(chr, range(0x1F1E6, 0x1F200)))))


def _is_flag(character: str) -> bool:
    return 0x1F1E6 <= ord(character) <= 0x1F1FF
