"""What the tests of questionnaires share: a wave, a talk that taps and types, and the answers as they stand in the rows."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa
import time_machine

from app import inbox
from app.channels import Push, PushKind
from app.db import Tx
from app.inbox import Taken
from app.models import Assignment, GivenAnswer, Participant, Sheet, Wave
from app.questionnaires import waves
from app.questionnaires.waves import Plan, Rule
from tests.delivery.scene import NOW, Desk, incoming

OPENS, CLOSES = NOW - timedelta(hours=1), NOW + timedelta(days=5)
SEVEN = ("scs", "cs24", "dass21", "focs", "swls", "shs", "cams_r")
_LINK = re.compile(r'<a href="weixin://bizmsgmenu\?msgmenucontent=([^&]*)&msgmenuid=([^"]*)">([^<]*)</a>')
_KEYS = count(1)


def wave(desk: Desk, instruments: Sequence[str], code: str = "baseline", course_id: int | None = None, **more: Any) -> int:
    """A wave that is open, put to everybody who takes part; returns its id."""
    made = {"opens_at": OPENS, "closes_at": CLOSES, "frames": {}, "rule": Rule(), **more}
    titles = {"baseline": "课前问卷", "post": "课后问卷"}
    plan = Plan(code=code, title={"zh": titles.get(code, code), "en": code}, instruments=instruments, **made)
    wave_id = desk.write(lambda tx: waves.add(tx, desk.tools.shelf, course_id or desk.course_id, plan, NOW))
    go_on(desk)
    return wave_id


def go_on(desk: Desk, now: datetime = NOW) -> None:
    """Let the clockwork of the waves take every step that is due."""
    while desk.write(lambda tx: waves.go_on(tx, desk.tools, now)):
        pass


@dataclass
class Talk:
    """One person's chat. Every push comes `pace` after the one before."""

    desk: Desk
    number: int
    now: datetime = NOW
    pace: timedelta = timedelta(seconds=7)
    links: dict[str, str] = field(default_factory=dict)  # label to the newest choice of that label
    reply: str = ""  # the last one, as it is read
    wire: str = ""

    def says(self, text: str, *, sent: datetime | None = None) -> str:
        """Type these words; `sent`: when, by the platform's clock."""
        return self._push(PushKind.WROTE, text, sent=sent)

    def taps(self, label: str) -> str:
        """Tap the newest choice with this label."""
        return self.taps_id(self.links[label], label)

    def taps_id(self, choice: str, label: str = "") -> str:
        """Tap a choice by its id on the wire."""
        return self._push(PushKind.TAPPED, label or choice, choice)

    def sends(self, kind: str) -> str:
        """Send a picture, a voice …"""
        return self._push(PushKind.SENT, kind)

    def leaves(self) -> None:
        """Unfollow."""
        self._push(PushKind.LEFT, "")

    def returns(self, scene: str = "") -> str:
        """Follow again; by the code that this scene stands for."""
        return self._push(PushKind.FOLLOWED, scene)

    def _push(self, kind: PushKind, value: str, choice: str | None = None, *, sent: datetime | None = None) -> str:
        self.now += self.pace
        pushed = self.made(kind, value, choice, sent=sent)
        self.read(self.take(pushed))
        return self.reply

    def made(self, kind: PushKind, value: str, choice: str | None = None, *, sent: datetime | None = None) -> Push:
        """The push, not yet taken."""
        key = f"{int(self.now.timestamp())}.{self.number}.{next(_KEYS)}"
        content = hashlib.sha256(f"{kind}{value}{choice}".encode()).digest()
        whole = (sent or self.now).replace(microsecond=0)
        return Push(kind, self.desk.openid(self.number), value, whole, key, content, value.encode(), choice)

    def take(self, pushed: Push) -> Taken:
        """Let the inbox take a push at this talk's moment."""
        with time_machine.travel(self.now, tick=True):
            return self.desk.write(lambda tx: inbox.take(tx, self.desk.tools, incoming(self.desk, pushed)))

    def read(self, taken: Taken) -> None:
        """What the person sees now."""
        self.wire = (taken.reply or b"").decode()
        self.links |= {unquote(bubble): choice for bubble, choice, _ in _LINK.findall(self.wire)}
        self.reply = _LINK.sub(r"\3", self.wire)


def value_label(desk: Desk, code: str, item: int, value: int, language: str = "zh") -> str:
    """The label of an answer."""
    found = desk.tools.shelf.newest()[code].items[item - 1]
    return found.anchors[language][value - found.lowest]


def stored(desk: Desk, person_id: int, wave_id: int) -> dict[str, dict[int, int | None]]:
    """The newest answers by instrument and item, read from the versions alone; the sheet's own copy must say the same."""

    def look(tx: Tx) -> dict[str, dict[int, int | None]]:
        mine = sa.select(Sheet.id, Sheet.instrument, Sheet.answers).join(Assignment, Assignment.id == Sheet.assignment_id)
        found: dict[str, dict[int, int | None]] = {}
        for sheet in tx.execute(mine.where(Assignment.person_id == person_id, Assignment.wave_id == wave_id)):
            given = sa.select(GivenAnswer.item, GivenAnswer.version, GivenAnswer.value).where(GivenAnswer.sheet_id == sheet.id)
            rows = tx.execute(given.order_by(GivenAnswer.item, GivenAnswer.version)).all()
            found[sheet.instrument] = {}
            versions: dict[int, int] = {}
            for row in rows:
                versions[row.item] = versions.get(row.item, 0) + 1
                assert row.version == versions[row.item], "no version is missing or twice"
                found[sheet.instrument][row.item] = row.value
            copy = {str(item): [value, versions[item]] for item, value in found[sheet.instrument].items()}
            assert sheet.answers == copy
        return found

    return desk.read(look)


def standing(desk: Desk, person_id: int, wave_id: int) -> str:
    """The state of somebody's assignment."""
    query = sa.select(Assignment.state).where(Assignment.person_id == person_id, Assignment.wave_id == wave_id)
    return desk.read(lambda tx: str(tx.execute(query).scalar_one()))


def number_of(desk: Desk, person_id: int) -> str:
    """Somebody's participant number."""
    query = sa.select(Participant.number).where(Participant.person_id == person_id)
    return desk.read(lambda tx: str(tx.execute(query).scalar_one()))


def wave_state(desk: Desk, wave_id: int) -> str:
    """Where a wave stands."""
    return desk.read(lambda tx: str(tx.execute(sa.select(Wave.state).where(Wave.id == wave_id)).scalar_one()))
