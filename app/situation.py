"""What a turn happens in: the tools that every part needs, and who did what, where and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.broadcasts import Composer
from app.channels import Rules
from app.keyring import Keyring
from app.people import Known
from bots import Bot
from bots.texts import Texts
from bots.turns import Person


@dataclass(frozen=True)
class Tools:
    """What a process has at hand: keys, bots, the system's own words, the channel's figures."""

    keyring: Keyring
    bots: Mapping[str, Bot]
    words: Texts
    rules: Rules
    tapped_opens_window: bool = False

    @property
    def composer(self) -> Composer:
        """What puts broadcasts into words."""
        return Composer(self.bots)


@dataclass(frozen=True)
class Situation:
    """Who did something, at which account, when; `inbox_id` names the push and `said` what they wrote, if anything."""

    account_id: int
    known: Known
    person: Person
    inbox_id: int
    now: datetime
    said: str = ""
