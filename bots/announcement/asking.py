"""Hides how an announcement asks: its choices, what they weigh on the wire, which options it may offer, and which words answer it."""

import re
from collections.abc import Sequence

from bots.choices import normal, number, short
from bots.clipping import size
from bots.effects import Choice, Message
from bots.facts import Asked, PollState
from bots.texts import LANGUAGES, MOST_BYTES, Texts, Words, inert

FEWEST, MOST = 2, 8
#: An option is a few words: it stands on one line and in each tap twice.
MOST_OPTION_BYTES = 36
#: As every announcement's.
_MOST_TEXT = 1500
#: What stands around the words at the most: group, author, and the line that says how to answer; and in a follow-up what it is about.
_FRAME_BYTES, _ABOUT_BYTES = 380, 96
#: Fewer bytes are no announcement.
_LEAST_TEXT = 90
#: What a tap link weighs besides its id, its label (once read, once percent-encoded) and its number.
_LINK_BYTES = 76
_LABEL_TIMES = 4
_PREFIX = re.compile(r"^(?:我?(?:想|要|就)?(?:选择?|去|投)|i (?:choose|pick|vote for|go to)|option)[:： ]*")
_SUFFIX = re.compile(r"(?:吧|了|啦|呀|哦|please)$")
_NO_WORDS = re.compile(r"[\W_]+")


def choices(texts: Texts, language: str, announcement: int, options: Sequence[str]) -> tuple[Choice, ...]:
    """What can be tapped: the options in their order, or one "got it"."""
    if not options:
        return (Choice(f"announcement.{short(announcement)}.1", texts.fill("choice.got", language), mark=""),)
    return tuple(Choice(f"announcement.{short(announcement)}.{place}", inert(option)) for place, option in enumerate(options, start=1))


def room(message: Message) -> int:
    """Bytes that are left of what WeChat takes, as this message goes over the wire; negative where it is too large."""
    links = sum(_LINK_BYTES + len(each.id) + _LABEL_TIMES * size(each.label) for each in message.choices)
    return MOST_BYTES - size(message.text) - links


def most_text(options: Sequence[str], *, own: bool = False) -> int:
    """Bytes of words that fit into one message beside these options and what stands around them, for `own` words of a follow-up too."""
    links = room(Message("", tuple(Choice("announcement.wwwwwwwwwwwww.1", inert(option)) for option in (options or ("Got it",)))))
    return min(_MOST_TEXT, links - _FRAME_BYTES - (_ABOUT_BYTES if own else 0))


def read_options(text: str) -> tuple[str, ...]:
    """The options that somebody wrote, by lines, else by marks, else by spaces; each once."""
    parts: list[str] = []
    for between in (r"\n", r"[|｜/、，,;；]", r"\s"):
        parts = [" ".join(part.split()) for part in re.split(between, text.strip()) if normal(part)]
        if len(parts) > 1:
            break
    return tuple(part for place, part in enumerate(parts) if normal(part) not in map(normal, parts[:place]))


def wrong_with(options: Sequence[str]) -> str | None:
    """Why these cannot be the options of a poll: "few", "many", "long" or "equal"; None where they can."""
    if len(options) < FEWEST:
        return "few"
    if len(options) > MOST:
        return "many"
    if any(size(inert(option)) > MOST_OPTION_BYTES for option in options) or most_text(options) < _LEAST_TEXT:
        return "long"
    return "equal" if len({normal(option) for option in options} - {""}) < len(options) else None


def spellings(texts: Texts) -> frozenset[str]:
    """The words that say "got it", in every language, as they are compared."""
    return frozenset(_bare(each) for language in LANGUAGES for each in texts.fill("accepts.got", language).split("|"))


def meant(asked: Asked, text: str, got_it: frozenset[str]) -> int:
    """The place of the option that typed words mean, 0 for none.

    The label of an option means it at any time; its number, or a mere "got it", only where nothing was announced since: "got it" once.
    """
    if asked.state is not PollState.OPEN:
        return 0
    if not asked.options:
        return int(asked.newest and not asked.choice and (_bare(text) in got_it or number(text) == 1))
    words = normal(text)
    forms = {_bare(each) for each in (words, _PREFIX.sub("", words), _SUFFIX.sub("", words), _SUFFIX.sub("", _PREFIX.sub("", words)))}
    for place, option in enumerate(asked.options, start=1):
        if _bare(option) in forms - {""}:
            return place
    typed = number(text) if asked.newest else None
    return typed if typed and typed <= len(asked.options) else 0


def label(texts: Texts, language: str, asked: Asked, place: int) -> Words:
    """What the option at this place says."""
    return inert(asked.options[place - 1]) if asked.options else texts.fill("choice.got", language)


def _bare(text: str) -> str:
    """Words without marks and signs, unless they are nothing else."""
    word = normal(text)
    return _NO_WORDS.sub("", word) or word
