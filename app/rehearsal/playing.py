"""Hides how a course is played: from one moment at which something happens to the next, with everybody doing as their habit is."""

import asyncio
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from app import clock, courses, groups, people
from app.db import Tx
from app.errors import Invalid
from app.models import Course, Occasion, Schedule, Wave
from app.rehearsal import habits, record
from app.rehearsal.copying import Copy
from app.rehearsal.habits import Habit
from app.rehearsal.record import Record
from app.rehearsal.theatre import Theatre
from app.sandbox.world import Person
from app.settings import Settings
from app.worker import next_moment
from bots.onboarding.steps import TICKS
from bots.turns import Role

#: Before the first thing that is planned everybody has joined already.
_BEFORE = timedelta(hours=2)
#: A course that plans nothing for longer than this has ended.
_LONGEST = timedelta(days=400)
#: Answers that somebody gives in one sitting, and people who act at the same time.
_SITTING, _AT_ONCE = 400, 24
#: What has become stale is settled so often.
_REAP_EVERY = timedelta(hours=6)
#: Deeds that lie so near to each other are done together.
_TOGETHER = timedelta(minutes=10)
_STAFF = ((Role.LEADER, "组长"), (Role.ASSISTANT, "助教一"), (Role.ASSISTANT, "助教二"))


@dataclass(frozen=True)
class Options:
    """How it shall be played. `participants`: so many in all, None for as many as sit there now (26 a group where nobody does)."""

    participants: int | None = None
    seed: int = 1


@dataclass
class Imagined:
    """Somebody who does not exist."""

    name: str
    role: Role
    group_id: int
    habit: Habit
    phone: Person
    person_id: int
    chance: random.Random
    left: bool = False
    reacting: bool = False


@dataclass(frozen=True)
class Played:
    """What was played, for the report."""

    title: str
    zone: str
    began: datetime
    ended: datetime
    seconds: float
    deeds: int
    record: Record = field(repr=False)


async def play(settings: Settings, copy: Copy, options: Options, progress: Callable[[float], None]) -> Played:
    """Play a course to its end; `progress` hears how much of it has been played, from 0 to 1. Raises `Invalid` where nothing is planned."""
    began = clock.steady()
    async with Theatre(settings, copy) as theatre:
        if copy.notice_fields:
            theatre.give_notice(dict(copy.notice_fields))
        start, end = _span(theatre)
        theatre.at(start)
        await theatre.assembly.accounts.refresh(force=True)
        stage = _Stage(theatre, options, start, end)
        stage.fill()
        await stage.run(progress)
        read = theatre.assembly.database.read_now
        found = read(lambda tx: record.read(tx, theatre.assembly.tools, stage.everybody, theatre.sandbox.world, copy.zone))
        return Played(copy.title, copy.zone, start, end, clock.steady() - began, stage.deeds, found)


def _span(theatre: Theatre) -> tuple[datetime, datetime]:
    """From shortly before the first thing that is planned until the course is over."""

    def look(tx: Tx) -> tuple[datetime | None, datetime | None]:
        moments = [
            tx.execute(sa.select(sa.func.min(Occasion.fire_at)).where(Occasion.state == "planned")).scalar_one_or_none(),
            tx.execute(sa.select(sa.func.min(Wave.opens_at)).where(Wave.state == "planned")).scalar_one_or_none(),
            tx.execute(sa.select(sa.func.min(Schedule.fire_at)).where(Schedule.state == "planned")).scalar_one_or_none(),
        ]
        over = tx.execute(sa.select(Course.over_at)).scalar_one()
        return min((each for each in moments if each is not None), default=None), over

    first, over = theatre.assembly.database.read_now(look)
    now = datetime.fromtimestamp(theatre.sandbox.world.clock.now(), UTC)
    if first is None or over is None or over <= now:
        raise Invalid("rehearsal", "Nothing of this course is still to come; `tongban course start` gives it a calendar.")
    start = max(first - _BEFORE, now)
    return start, min(over + timedelta(minutes=1), start + _LONGEST)


class _Stage:
    """The people on the stage, and what they will do when."""

    def __init__(self, theatre: Theatre, options: Options, start: datetime, end: datetime) -> None:
        self._theatre, self._options = theatre, options
        self._start, self._end = start, end
        self._plans: list[tuple[datetime, int, Imagined, Callable[[], Any]]] = []
        self._made = 0
        self._heard = 0
        self.everybody: dict[str, Imagined] = {}
        self.deeds = 0

    # -- who is there

    def fill(self) -> None:
        """Seat staff and participants, with consent, as if they had joined just now."""
        copy = self._theatre.copy
        database = self._theatre.assembly.database
        seats = self._seats()
        kinds = iter(habits.habits(sum(seats.values()), self._options.seed))
        for group_id, count in seats.items():
            staff = [(role, f"{copy.group_names[group_id]}{name}", habits.STAFF) for role, name in _STAFF]
            participants = [(Role.PARTICIPANT, f"{copy.group_names[group_id]} {number:02d}", next(kinds)) for number in range(1, count + 1)]
            for role, name, habit in [*staff, *participants]:
                database.write_now(partial(self._seat, role=role, name=name, habit=habit, group_id=group_id))
        database.write_now(partial(self._seat, role=Role.ADMINISTRATOR, name="管理员", habit=habits.STAFF, group_id=copy.large))
        database.write_now(self._give_authors)

    def _seats(self) -> dict[int, int]:
        there = {group: count or 26 for group, count in self._theatre.copy.seats.items()}
        if not there:
            raise Invalid("rehearsal", "The course has no small group yet; `tongban group create` makes one.")
        if self._options.participants is None:
            return there
        each, more = divmod(self._options.participants, len(there))
        return {group: each + (place < more) for place, group in enumerate(there)}

    def _seat(self, tx: Tx, *, role: Role, name: str, habit: Habit, group_id: int) -> None:
        theatre, number = self._theatre, len(self.everybody)
        openid = f"oRehearsal{number:018d}"
        keyring, now = theatre.assembly.tools.keyring, self._start
        known = people.meet(tx, keyring, theatre.account_id, openid, now)
        people.rename(tx, known, name)
        for each in {group_id, theatre.copy.large}:
            groups.enter(tx, each, known.id, role, now)
        if role is Role.PARTICIPANT:
            people.consent(tx, known.id, theatre.copy.course_id, courses.SHIPPED_CONSENT, TICKS, now)
            groups.number_participant(tx, theatre.copy.course_id, known.id, now)
        chance = random.Random(f"{self._options.seed}.{number}")  # noqa: S311 - what somebody imagined does is no secret
        made = Imagined(name, role, group_id, habit, theatre.arrive(openid, name), known.id, chance)
        self.everybody[openid] = made
        if habit.reacts:
            self._plan(self._start + timedelta(minutes=chance.randint(1, 60)), made, partial(self._types, made, "你好"))
            self._plan(self._start + timedelta(days=1), made, partial(self._day, made))
        if habit.leaves:
            day = self._start + timedelta(days=7 * (habit.leaves + 1), hours=chance.randint(0, 60))
            self._plan(day, made, partial(self._leaves, made))

    def _give_authors(self, tx: Tx) -> None:
        """What leaders have planned is theirs on the stage too: of each group's imagined leader."""
        for leader in (each for each in self.everybody.values() if each.role is Role.LEADER):
            tx.execute(sa.update(Schedule).where(Schedule.group_id == leader.group_id).values(author_id=leader.person_id))

    # -- time

    async def run(self, progress: Callable[[float], None]) -> None:
        """Play from moment to moment."""
        played = reaped = self._start
        while True:
            due = await self._theatre.assembly.database.read(partial(next_moment, after=played))
            mine = self._plans[0][0] + _TOGETHER if self._plans else None
            moment = min((each for each in (due, mine) if each is not None), default=self._end)
            if moment >= self._end:
                break
            moment = max(moment, played + timedelta(milliseconds=1))
            self._theatre.at(moment)
            if due is not None and due <= moment:
                await self._theatre.worker.fire_due(moment)
            await self._theatre.worker.send_due(moment)
            await self._act(moment)
            self._listen(moment)
            if moment - reaped > _REAP_EVERY:
                await self._theatre.worker.reap()
                reaped = moment
            played = moment
            progress((moment - self._start) / (self._end - self._start))
        await self._theatre.worker.reap()

    async def _act(self, now: datetime) -> None:
        """Everybody whose time has come does what they had in mind, many at once."""
        due: list[Callable[[], Any]] = []
        while self._plans and self._plans[0][0] <= now:
            due.append(heapq.heappop(self._plans)[3])
        gate = asyncio.Semaphore(_AT_ONCE)

        async def do(deed: Callable[[], Any]) -> None:
            async with gate:
                await deed()

        await asyncio.gather(*(do(deed) for deed in due))

    def _plan(self, at: datetime, who: Imagined, deed: Callable[[], Any]) -> None:
        self._made += 1
        heapq.heappush(self._plans, (at, self._made, who, deed))

    def _listen(self, now: datetime) -> None:
        """Whoever got a message by itself may react to it, when their habit lets them."""
        ledger = self._theatre.sandbox.world.ledger
        for line in ledger[self._heard :]:
            who = self.everybody.get(line["openid"])
            if who is None or who.left or who.reacting or who.chance.random() >= who.habit.reacts:
                continue
            who.reacting = True
            at = habits.when(who.habit, now, self._theatre.copy.zone, who.chance)
            self._plan(at, who, partial(self._reacts, who, str(line["text"])))
        self._heard = len(ledger)

    # -- what people do

    async def _reacts(self, who: Imagined, text: str) -> None:
        who.reacting = False
        if not who.left:
            await self._sit_down(who, habits.first(text, who.chance), text)

    async def _day(self, who: Imagined) -> None:
        """Another day: perhaps they write something by themselves."""
        if who.left:
            return
        zone, now = self._theatre.copy.zone, clock.now()
        self._plan(now + timedelta(days=1), who, partial(self._day, who))
        if who.chance.random() < who.habit.writes:
            at = habits.when(who.habit, now + timedelta(minutes=who.chance.randint(0, 900)), zone, who.chance)
            self._plan(at, who, partial(self._sit_down, who, habits.by_themselves(who.chance), ""))

    async def _sit_down(self, who: Imagined, deed: habits.Deed | None, before: str) -> None:
        """Do something, and go on with what is asked then."""
        tries = 0
        for _ in range(_SITTING):
            if deed is None or who.left:
                return
            self.deeds += 1
            shown = await (self._theatre.taps(who.phone, deed.href) if deed.href else self._theatre.says(who.phone, deed.text))
            if not shown:
                return
            tries = tries + 1 if _same(shown[-1], before) else 0
            if tries > 4:
                return
            deed = habits.following(who.habit, shown[-1], before, tries, who.chance)
            before = shown[-1]

    async def _types(self, who: Imagined, text: str) -> None:
        self.deeds += 1
        await self._theatre.says(who.phone, text)

    async def _leaves(self, who: Imagined) -> None:
        """Half of them leave the course with a word, the others just stop following."""
        who.left = True
        if who.chance.random() < 0.5:
            await self._theatre.unfollows(who.phone)
            return
        shown = await self._theatre.says(who.phone, "退出课程")
        for _ in range(3):
            answers = [each for each in habits.links(shown[-1] if shown else "") if each.answer]
            if not answers:
                return
            shown = await self._theatre.taps(who.phone, answers[0].href)


def _same(shown: str, before: str) -> bool:
    """Whether the same question is put again."""
    now, then = (habits.place(each) for each in (shown, before))
    return now is not None and now == then
