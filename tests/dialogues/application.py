"""The running application as a stage for transcripts: people act on the sandbox's phones, facts are read from rows."""

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self, assert_never

import sqlalchemy as sa

from app import clock
from app.channels import Channel
from app.menu import DEFAULT
from app.models import Alarm, Gathering, Mass
from bots.scans import gathering_code
from bots.texts import LANGUAGES
from tests.dialogues import script
from tests.dialogues.playing import TEN_SECONDS, Shown
from tests.dialogues.script import Beginning, Fact, Follows, Leaves, Presses, Scans, Sends, Taps, Types
from tests.dialogues.seeding import Seeding
from tests.dialogues.stored import Rows
from tests.stage import APPID, Stage

#: The shipped menu and an entry that an operator may add for leaders.
_MENU = {"button": [*DEFAULT["button"], {"type": "click", "name": "公告", "key": "staff.announce"}]}
_CHOICE = re.compile(r'^<a href="weixin://bizmsgmenu[^"]*">(?:\d+\. )?(.*)</a>$', re.MULTILINE)
#: What a follower sends, and the sandbox's word for it where it has another.
_SANDBOX_KINDS = {"other": "sticker"}
#: What the operators may be told while a transcript is played; every other alarm is a defect.
_ALARMS = {"alert_not_delivered", "guessing", "nobody_on_call", "flag_untaken", "questions_unanswered"}


class Application:
    """A `playing.Stage`: service and sandbox as two servers, encrypted pushes between them, a database below. Use as a context manager."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self._database_url, self._folder = database_url, folder
        self._runner = asyncio.Runner()
        self._stage: Stage
        self._started = False
        self._now: datetime
        self._scenes: set[str] = set()
        self._has_menu = False
        self._passed = 0  # lines of the sandbox's ledger that were looked at
        self._arrived: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._runner.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._started:
            self._runner.run(self._stage.__aexit__(None, None, None))
        self._runner.__exit__(*error)

    # The stage ------------------------------------------------------------------------------------------------------------------

    def set_up(self, beginning: Beginning, at: datetime) -> None:
        self._now = at
        self._stage = Stage(self._database_url, self._folder, at=at)
        self._started = True
        self._runner.run(self._set_up(beginning))

    def advance(self, to: datetime) -> None:
        self._runner.run(self._pass_until(to))
        self._runner.run(self._look())

    def act(self, person: str, act: script.Act) -> Shown | None:
        return self._runner.run(self._act(person, act))

    def reached(self, person: str) -> Sequence[Shown]:
        openid = self._stage.openids.get(person)
        return [_shown(row["text"]) for row in self._arrived if row["openid"] == openid and row["api"] != "passive"]

    def holds(self, fact: Fact) -> bool:
        keyring, account_id, openids = self._stage.keyring, self._stage.account_id, self._stage.openids
        return self._stage.read(lambda tx: Rows(tx, keyring, account_id, openids).holds(fact))

    def alarms(self) -> list[str]:
        """What the operators were told that no transcript may cause."""
        told = self._stage.read(lambda tx: list(tx.execute(sa.select(Alarm.kind)).scalars()))
        return sorted(set(told) - _ALARMS)

    # What happens ---------------------------------------------------------------------------------------------------------------

    async def _set_up(self, beginning: Beginning) -> None:
        await self._stage.__aenter__()
        member = {each.person for each in beginning.members}
        for person in beginning.people():
            await self._stage.openid(person, following=person in member or person in beginning.on_call)
        stage = self._stage
        stage.sandbox.world.commit("account_patched", appid=APPID, settings={}, switches={"mass_after": 0})
        stage.write(lambda tx: Seeding(tx, stage.assembly.tools, stage.account_id, stage.openids, clock.now()).write(beginning))

    async def _pass_until(self, moment: datetime) -> None:
        """Move the clock, and let the worker do what is due; how long a line took to play does not count."""
        self._now = moment
        ahead = max(0.0, (moment - clock.now()).total_seconds())
        await self._stage.ask("POST", "/sandbox/clock", {"advance": ahead})
        await self._stage.worker.tick()
        await self._stage.worker.send_due(clock.now())
        await self._reported()
        await self._stage.worker.tick()  # what was sent is noted

    async def _reported(self) -> None:
        """Wait for the receipts of mass sends, which the sandbox pushes by itself within milliseconds.

        One may be stored at the very moment in which its call is written down: as in the running worker, reaping finds it.
        """
        under_way = sa.select(Mass.id).where(Mass.state == "accepted").limit(1)
        for _ in range(600):
            if self._stage.read(lambda tx: tx.execute(under_way).first()) is None:
                return
            await asyncio.sleep(0.02)
            await self._stage.worker.reap()
        raise AssertionError("no receipt came of a mass send")

    async def _look(self) -> None:
        self._arrived = await self._stage.ask("GET", f"/sandbox/ledger?after={self._passed}&limit=1000")
        self._passed += len(self._arrived)

    async def _act(self, person: str, act: script.Act) -> Shown | None:
        openid = await self._stage.openid(person, following=not isinstance(act, Follows))
        deed, details = await self._deed(person, act)
        try:
            done = await self._stage.ask("POST", f"/sandbox/people/{openid}/{deed}", details)
        except RuntimeError as impossible:
            raise LookupError(str(impossible)) from impossible
        assert done["outcome"] in ("shown", "silent", "ignored"), done
        await self._stage.hooks.finish()
        await self._pass_until(self._now + TEN_SECONDS)
        await self._look()
        replies = [row["text"] for row in self._arrived if row["openid"] == openid and row["api"] == "passive"]
        return self._answer(replies[0]) if replies else None

    async def _deed(self, person: str, act: script.Act) -> tuple[str, dict[str, Any]]:  # noqa: PLR0911 - one branch per act
        match act:
            case Types(text=text):
                return "say", {"text": text}
            case Taps():
                return "tap", {"href": await self._stage.offered(person, act.label, earlier=act.earlier)}
            case Scans(code=code):
                return "scan", {"scene": await self._poster(code)}
            case Follows(code=code):
                return "follow", {"scene": code and await self._poster(code)}
            case Leaves():
                return "unfollow", {}
            case Sends(kind=kind):
                return "send", {"kind": _SANDBOX_KINDS.get(kind, kind)}
            case Presses(key=key):
                await self._menu()
                return "press", {"key": key}
        assert_never(act)

    async def _poster(self, code: str) -> str:
        """Make the QR code that is scanned, as an operator would have."""
        meant = script.gathering_scanned(code)
        if meant is not None:
            mine = (Gathering.kind == meant[0], Gathering.number == meant[1])
            query = sa.select(Gathering.id).where(*mine).order_by(Gathering.id).limit(1)
            code = gathering_code(self._stage.read(lambda tx: tx.execute(query).scalar_one()))
        if code not in self._scenes:
            await (await self._channel()).create_qr(code, None)
            self._scenes.add(code)
        return code

    async def _menu(self) -> None:
        if not self._has_menu:
            await (await self._channel()).set_menu(_MENU)
            self._has_menu = True

    async def _channel(self) -> Channel:
        return (await self._stage.worker._channels.all())[self._stage.account_id]

    def _answer(self, text: str) -> Shown | None:
        """Without the line that says how many messages wait; None where nothing else was said."""
        shown = _shown(text)
        for language in LANGUAGES:
            line = self._stage.assembly.tools.words.fill("ride.waits", language, count=0)
            shown = Shown(re.sub(re.escape(line).replace("0", r"\d+"), "", shown.text), shown.choices)
        return shown if shown.text.strip() or shown.choices else None


def _shown(text: str) -> Shown:
    return Shown(_CHOICE.sub("", text), tuple(_CHOICE.findall(text)))
