"""Many people answer all 107 items at once, each in their own way, through the sandbox: signed pushes in, replies out.

Every answer is stored once, everybody is complete, and no message was refused for want of allowance.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from app import clock
from app.db import Tx
from app.models import Assignment, AssignmentChange, GivenAnswer, Sheet
from app.questionnaires import waves
from app.questionnaires.waves import Plan, Rule
from app.sandbox import actions
from app.sandbox.actions import Done, Phone
from bots.questionnaire.instrument import Instrument
from tests.delivery.scene import calls
from tests.stage import APPID, Stage

SEVEN = ("scs", "cs24", "dass21", "focs", "swls", "shs", "cams_r")
ITEMS = 107
HABITS = ("five", "quits", "web", "five", "quits")
#: Of twenty-five one taps every answer, and one types each.
PATIENT = {3: "taps", 7: "types"}
#: People who talk at the same time.
AT_ONCE = 16

_QUESTION = re.compile(r"(?P<title>\S+) (?P<number>\d+)/(?P<of>\d+) · 总 \d+/107\n")
_LINK = re.compile(r'<a href="(?P<href>weixin://bizmsgmenu[^"]*)">(?P<shown>[^<]*)</a>')


def expected(number: int, instrument: Instrument, item: int) -> int:
    """What person `number` answers: any value may come, but none that calls for help."""
    points = instrument.points
    chosen = points[(number * 31 + item * 17 + len(instrument.code) * 7) % len(points)]
    return min(chosen, 1) if instrument.code == "dass21" else chosen


@dataclass
class Participant:
    """One person on their phone."""

    stage: Stage
    number: int
    openid: str
    instruments: dict[str, Instrument]  # by title
    habit: str
    shown: str = ""
    turns: int = 0
    left: set[int] = field(default_factory=set)  # turns at which they have gone away

    async def answer_all(self) -> None:
        """From the invitation to the thanks."""
        await self._say("开始")
        while "全部填完了" not in self.shown:
            self.turns += 1
            assert self.turns < 3 * ITEMS, self.shown
            if "交上去" in self.shown:
                await self._say("交")
                continue
            found = _QUESTION.search(self.shown)
            assert found is not None, self.shown
            await getattr(self, f"_{self.habit}")(self.instruments[found["title"]], int(found["number"]), int(found["of"]))

    async def _taps(self, instrument: Instrument, item: int, _of: int) -> None:
        value = expected(self.number, instrument, item)
        href = next(link["href"] for link in _LINK.finditer(self.shown) if link["shown"].startswith(f"{value}. "))
        await self._do(lambda phone: actions.tap(phone, *actions.parse_link(unescape(href))))

    async def _types(self, instrument: Instrument, item: int, _of: int) -> None:
        await self._say(str(expected(self.number, instrument, item)))

    async def _five(self, instrument: Instrument, item: int, of: int) -> None:
        values = [expected(self.number, instrument, each) for each in range(item, min(item + 5, of + 1))]
        await self._say(" ".join(map(str, values)))

    async def _quits(self, instrument: Instrument, item: int, of: int) -> None:
        """Goes away twice in the middle, once by leaving the account, and comes back."""
        if self.turns in (11, 23) and self.turns not in self.left:
            self.left.add(self.turns)
            if self.turns == 11:
                await self._say("暂停")
                await self._say("我回来了")
            else:
                await self._do(actions.unfollow)
                await self._do(lambda phone: actions.follow(phone, None))
            assert _QUESTION.search(self.shown), self.shown
            return
        await self._five(instrument, item, of)

    async def _web(self, instrument: Instrument, item: int, of: int) -> None:
        """Answers the rest of a questionnaire on the page, every other time, and goes on in the chat."""
        if self.turns % 2:
            await self._five(instrument, item, of)
            return
        await self._say("网页")
        address = next(word for word in self.shown.split() if word.startswith("http"))
        path = urlsplit(address).path
        for each in range(item, min(item + 10, of + 1)):
            await self._answer_on_page(path, instrument, each)
        await self._say("接着来")

    async def _answer_on_page(self, path: str, instrument: Instrument, item: int) -> None:
        value = expected(self.number, instrument, item)
        page = (await self.stage.web.get(path)).text
        form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)"', page))
        assert form["item"] == str(item), page
        posted = await self.stage.web.post(path, data={**form, "value": str(value)})
        assert posted.status_code == 303

    async def _say(self, text: str) -> None:
        await self._do(lambda phone: actions.say(phone, text))

    async def _do(self, deed: Callable[[Phone], Done]) -> None:
        """Do it on the phone, without the page's road to it; the push goes its real road."""
        world = self.stage.sandbox.world
        person = world.people[self.openid]
        before = len(person.entries)
        done = deed(Phone(world, self.stage.sandbox.pusher, person))
        if done.push is not None:
            await done.push
        entries = person.entries[before:]
        replies = [entry.text for entry in entries if entry.side == "account"]
        assert all(entry.kind != "fault" for entry in entries), entries
        self.shown = replies[-1] if replies else self.shown


async def _play(stage: Stage, people: int) -> None:
    stage.course("正念自我关怀")
    group = stage.group("晨光组")
    ids = [await stage.member(f"同学{number}", group) for number in range(people)]
    openids = [stage.openids[f"同学{number}"] for number in range(people)]
    await stage.ask("POST", "/sandbox/people/wrote", {"appid": APPID, "openids": openids})
    shelf, now = stage.assembly.tools.shelf, clock.now()
    plan = Plan("baseline", {"zh": "课前问卷"}, now, now + timedelta(days=5), SEVEN, {}, Rule((2,)))
    wave_id = stage.write(lambda tx: waves.add(tx, shelf, stage.course_id, plan, now))
    await stage.settle()
    titles = {shelf.newest()[code].title["zh"]: shelf.newest()[code] for code in SEVEN}
    everybody = [
        Participant(stage, number, openid, titles, PATIENT.get(number % 25) or HABITS[number % len(HABITS)])
        for number, openid in enumerate(openids)
    ]
    turnstile = asyncio.Semaphore(AT_ONCE)

    async def one(participant: Participant) -> None:
        async with turnstile:
            await participant.answer_all()

    flying = asyncio.create_task(_fly(stage))
    await asyncio.gather(*map(one, everybody))
    flying.cancel()
    await stage.settle()
    stage.read(lambda tx: _check(tx, stage, wave_id, ids))
    print(f"{people} people, {sum(each.turns for each in everybody)} turns, calls of the API: {dict(calls(stage, 'message/custom/send'))}")
    assert set(calls(stage, "message/custom/send")) <= {0}, "nothing was refused, for allowance or otherwise"


async def _fly(stage: Stage) -> None:
    """Time flies: nobody answers thirty questions in ten seconds, and whoever does is taken for a machine (bad-inputs.md D12)."""
    while True:
        await asyncio.sleep(0.2)
        await stage.ask("POST", "/sandbox/clock", {"advance": 10})


def _check(tx: Tx, stage: Stage, wave_id: int, ids: list[int]) -> None:
    assert waves.counts(tx, wave_id) == {"complete": len(ids)}
    newest = stage.assembly.tools.shelf.newest()
    given = (
        sa.select(Assignment.person_id, Sheet.instrument, GivenAnswer.item, GivenAnswer.version, GivenAnswer.value)
        .join(Sheet, Sheet.assignment_id == Assignment.id)
        .join(GivenAnswer, GivenAnswer.sheet_id == Sheet.id)
        .where(Assignment.wave_id == wave_id)
    )
    rows = tx.execute(given).all()
    assert {row.version for row in rows} == {1}, "every answer is stored once"
    assert Counter(row.person_id for row in rows) == dict.fromkeys(ids, ITEMS)
    place = {person_id: number for number, person_id in enumerate(ids)}
    wrong = [row for row in rows if row.value != expected(place[row.person_id], newest[row.instrument], row.item)]
    assert wrong == []
    changes = sa.select(AssignmentChange.state, sa.func.count()).join(Assignment, Assignment.id == AssignmentChange.assignment_id)
    counted = {row[0]: row[1] for row in tx.execute(changes.where(Assignment.wave_id == wave_id).group_by(AssignmentChange.state))}
    assert all(counted[state] == len(ids) for state in ("invited", "opened", "partial", "complete"))


def test_fifty_people_answer_all_of_it_each_in_their_own_way(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_played(database_url, tmp_path, 50))


@pytest.mark.long
def test_five_hundred_people_answer_all_of_it(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_played(database_url, tmp_path, 500))


async def _played(database_url: str, tmp_path: Path, people: int) -> None:
    async with Stage(database_url, tmp_path, at=None) as stage:
        await _play(stage, people)
