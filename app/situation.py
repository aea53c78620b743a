"""What a turn happens in: the tools that every part needs, and who did what, where and when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.broadcasts import Composer
from app.channels import Rules
from app.keyring import Keyring
from app.people import Known
from app.questionnaires.shelf import Shelf
from bots import Bot
from bots.questionnaire.sheets import Assignment
from bots.texts import Texts
from bots.turns import Person


@dataclass(frozen=True)
class Tools:
    """What a process has at hand: keys, bots, the system's own words, the channel's figures, the instruments.

    `answer_url`: where an assignment is answered on the web, from a moment on.
    """

    keyring: Keyring
    bots: Mapping[str, Bot]
    words: Texts
    rules: Rules
    tapped_opens_window: bool = False
    shelf: Shelf = field(default_factory=Shelf)
    answer_url: Callable[[int, datetime], str] = lambda _, __: ""

    @property
    def composer(self) -> Composer:
        """What puts broadcasts into words."""
        return Composer(self.bots)


@dataclass(frozen=True)
class Situation:
    """Who did something, at which account, when; `inbox_id` names the push, `said` what they wrote, if anything.

    `assignments`: the questionnaires that are put to them and not finished.
    """

    account_id: int
    known: Known
    person: Person
    inbox_id: int
    now: datetime
    said: str = ""
    assignments: tuple[Assignment, ...] = ()
