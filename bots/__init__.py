"""Hides where bots come from: `find()` looks in this folder, so adding a bot edits no list.

A bot is a folder with an `__init__.py` that offers `create(texts) -> Bot`, and one file of words per language
(`texts.zh.toml`, `texts.en.toml`). Bots are pure: standard library and `bots/` only, no database, clock, network or chance.
"""

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from bots.effects import Answer, Message
from bots.facts import Fact, Need
from bots.texts import Texts, load_texts
from bots.turns import Occasion, Turn

#: A folder with words is a bot.
WORDS = "texts.zh.toml"

__all__ = [
    "Answer",
    "Bot",
    "Listener",
    "Message",
    "Need",
    "Occasion",
    "Patient",
    "Texts",
    "Turn",
    "find",
    "listener",
    "patient",
]


class Bot(Protocol):
    """One partner in the conversation.

    `wants` may look at the event, the person's roles and the floor only: it is asked before any fact is loaded.
    `answer` returns what shall be done, or the facts it must see first (at most two rounds a turn).
    `compose` gives the words for a scheduled occasion of this bot; a bot that has none raises `LookupError`.
    """

    name: str

    def wants(self, turn: Turn) -> bool: ...
    def answer(self, turn: Turn) -> Answer | Need: ...
    def compose(self, occasion: Occasion) -> Message: ...


class Patient(Bot, Protocol):
    """A bot that lends the floor: words that another bot wants are that bot's, and then its own question is put `again`.

    In `most` bytes at the most; None where nothing is open.
    """

    def again(self, turn: Turn, most: int) -> Message | None: ...


def patient(bot: Bot | None) -> Patient | None:
    """The bot itself, if it lends the floor, else None. Seen by its method: asking a protocol costs more than the whole order of a turn."""
    return cast("Patient", bot) if hasattr(bot, "again") else None


class Listener(Bot, Protocol):
    """A bot that asked something in a message of its own, and hears typed words as the answer where they are nobody else's.

    `heeds` is the fact it must see to know; `hears` is asked when it was loaded.
    """

    heeds: Fact[Any]

    def hears(self, turn: Turn) -> bool: ...


def listener(bot: Bot) -> Listener | None:
    """The bot itself, if it listens, else None."""
    return cast("Listener", bot) if hasattr(bot, "hears") else None


@cache
def find() -> tuple[Bot, ...]:
    """Every bot in this folder, in the order of names; made once, for bots are pure. Raises `TextError` where a bot's words do not fit."""
    folder = Path(__file__).parent
    names = sorted(each.name for each in pkgutil.iter_modules([str(folder)]) if each.ispkg and (folder / each.name / WORDS).exists())
    return tuple(_create(name, folder / name) for name in names)


def _create(name: str, folder: Path) -> Bot:
    bot: Bot = importlib.import_module(f"bots.{name}").create(load_texts(folder))
    if bot.name != name:
        raise LookupError(f"The bot in bots/{name} calls itself {bot.name!r}; the folder's name counts, make them equal.")
    return bot
