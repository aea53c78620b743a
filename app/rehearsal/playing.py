"""Hides how a course is played: from one moment at which something happens to the next, with everybody doing as their habit is."""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from app import clock, courses, groups, people
from app.db import Tx
from app.errors import Invalid
from app.models import Course, Gathering, Occasion, Participant, Prompt, Schedule, Wave
from app.outbox import claims
from app.rehearsal import habits, record
from app.rehearsal.copying import Copy
from app.rehearsal.habits import Habit
from app.rehearsal.record import Record
from app.rehearsal.theatre import Theatre
from app.sandbox.world import Person
from app.settings import Settings
from app.worker import next_fire, next_send
from bots.onboarding.steps import TICKS
from bots.turns import Role

#: Before the first thing that is planned everybody has joined already.
_BEFORE = timedelta(hours=2)
#: A course that plans nothing for longer than this has ended.
_LONGEST = timedelta(days=400)
#: Steps that somebody takes in one sitting: with a questionnaire, and with anything else.
_SITTING, _ELSE = 400, 8
#: What somebody's touch lets out follows the answer so soon.
_A_MOMENT = timedelta(seconds=3)
#: What has become stale is settled so often.
_REAP_EVERY = timedelta(hours=6)
#: For so long people do what they do, each at their own moment, before anybody asks again what the clock brings.
_TOGETHER = timedelta(minutes=30)
#: The sandbox's name of an answer to what somebody did: they have seen it at once.
_ANSWER = "passive"
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
    cap: int | None
    began: datetime
    ended: datetime
    seconds: float
    cpu_seconds: float
    deeds: int
    record: Record = field(repr=False)


async def play(settings: Settings, copy: Copy, options: Options, progress: Callable[[float], None]) -> Played:
    """Play a course to its end; `progress` hears how much of it has been played, from 0 to 1. Raises `Invalid` where nothing is planned."""
    with TemporaryDirectory(prefix="tongban-rehearsal-", ignore_cleanup_errors=True) as folder:
        return await _play_in(Path(folder), settings, copy, options, progress)


async def _play_in(folder: Path, settings: Settings, copy: Copy, options: Options, progress: Callable[[float], None]) -> Played:
    began, cpu = clock.steady(), clock.cpu_seconds()
    async with Theatre(settings, copy, folder) as theatre:
        if copy.notice_fields:
            theatre.give_notice(dict(copy.notice_fields))
        start, end = _span(theatre)
        theatre.at(start)
        await theatre.assembly.accounts.refresh(force=True)
        stage = _Stage(theatre, options, start, end)
        stage.fill()
        await stage.run(progress)
        read = theatre.assembly.database.read_now
        found = read(lambda tx: record.read(tx, theatre.assembly.tools, stage.everybody, theatre.sandbox.world, start, copy.zone))
        cap = copy.rows["courses"][0]["cap"]
        return Played(copy.title, copy.zone, cap, start, end, clock.steady() - began, clock.cpu_seconds() - cpu, stage.deeds, found)


@dataclass(frozen=True)
class Member:
    """Somebody of a course that is played where it is: they were there before, and stay."""

    name: str
    openid: str
    role: Role
    group_id: int
    person_id: int


@dataclass(frozen=True)
class Scene:
    """What somebody does at a moment, whatever their habit: one after the other, what they tap by its label or else type."""

    at: datetime
    name: str
    steps: tuple[str, ...]


async def live(
    theatre: Theatre, members: Sequence[Member], scenes: Sequence[Scene], until: datetime, progress: Callable[[float], None]
) -> int:
    """Play a course with its own people from now until a moment, at which the clock is left; returns how much they did."""
    stage = _Stage(theatre, Options(), clock.now(), until)
    await theatre.assembly.accounts.refresh(force=True)
    stage.gather(members, scenes)
    await stage.run(progress)
    await stage.act(until)  # what comes in the last minutes waits there for what comes with it
    theatre.at(until)
    return stage.deeds


def _span(theatre: Theatre) -> tuple[datetime, datetime]:
    """From shortly before the first thing that is planned until the course is over."""

    def look(tx: Tx) -> tuple[datetime | None, datetime | None]:
        moments = [
            tx.execute(sa.select(sa.func.min(Occasion.fire_at)).where(Occasion.state == "planned")).scalar_one_or_none(),
            tx.execute(sa.select(sa.func.min(Wave.opens_at)).where(Wave.state == "planned")).scalar_one_or_none(),
            tx.execute(sa.select(sa.func.min(Schedule.fire_at)).where(Schedule.state == "planned")).scalar_one_or_none(),
            tx.execute(sa.select(sa.func.min(Prompt.next_at)).where(Prompt.state == "running")).scalar_one_or_none(),
        ]
        over = tx.execute(sa.select(Course.over_at)).scalar_one()
        return min((each for each in moments if each is not None), default=None), over

    first, over = theatre.assembly.database.read_now(look)
    now = clock.now()
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
            # They have been there from the beginning: nobody greets them as late joiners of a course that runs already.
            tx.execute(sa.update(Participant).where(Participant.person_id == known.id).values(caught_up_at=now))
        self._begin(tx, Member(name, openid, role, group_id, known.id), habit, theatre.arrive(openid, name))

    def gather(self, members: Sequence[Member], scenes: Sequence[Scene]) -> None:
        """Give everybody who is there a habit, and some of them what they do besides."""
        database, world = self._theatre.assembly.database, self._theatre.sandbox.world
        participants = [each for each in members if each.role is Role.PARTICIPANT]
        kinds = iter(habits.habits(len(participants), self._options.seed))
        for each in members:
            habit = next(kinds) if each.role is Role.PARTICIPANT else habits.STAFF
            database.read_now(partial(self._begin, member=each, habit=habit, phone=world.people[each.openid]))
        named = {each.name: each for each in self.everybody.values()}
        for scene in scenes:
            self._plan(scene.at, named[scene.name], partial(self._performs, named[scene.name], scene.steps))

    def _begin(self, tx: Tx, member: Member, habit: Habit, phone: Person) -> None:
        """From now on they live by their habit."""
        chance = random.Random(f"{self._options.seed}.{len(self.everybody)}")  # noqa: S311 - what somebody imagined does is no secret
        made = Imagined(member.name, member.role, member.group_id, habit, phone, member.person_id, chance, left=not phone.following)
        self.everybody[member.openid] = made
        if made.left:
            return
        if habit.reacts:
            self._plan(self._start + timedelta(minutes=chance.randint(1, 60)), made, partial(self._types, made, "你好"))
            self._plan(self._start + timedelta(days=1), made, partial(self._day, made))
        if member.role is Role.PARTICIPANT:
            self._plan_classes(tx, made)
            self._plan_leaving(made)

    def _plan_classes(self, tx: Tx, who: Imagined) -> None:
        """Who comes to a class, a meeting or the retreat signs in there."""
        query = sa.select(Gathering.starts_at).where(Gathering.group_id.in_([who.group_id, self._theatre.copy.large]), Gathering.held)
        for starts_at in tx.execute(query.order_by(Gathering.starts_at)).scalars():
            if who.chance.random() < who.habit.comes and starts_at > self._start:
                at = starts_at + timedelta(minutes=who.chance.randint(-10, 10))
                self._plan(at, who, partial(self._sit_down, who, habits.Deed(text=habits.SIGN_IN), ""))

    def _plan_leaving(self, who: Imagined) -> None:
        """Whose week to leave is over already stays, or they would not sit there."""
        began = self._theatre.copy.starts_on or self._start.date()
        week = datetime.combine(began, time(12), UTC) + timedelta(days=7 * (who.habit.leaves - 1))
        at = week + timedelta(hours=who.chance.randint(0, 140))
        if who.habit.leaves and at > self._start:
            self._plan(at, who, partial(self._leaves, who))

    def _give_authors(self, tx: Tx) -> None:
        """What people have planned is theirs on the stage too: of a group's imagined leader, or the administrator's."""
        leaders = {each.group_id: each.person_id for each in self.everybody.values() if each.role is Role.LEADER}
        administrator = next(each.person_id for each in self.everybody.values() if each.role is Role.ADMINISTRATOR)
        for table, audiences in self._theatre.copy.authored():
            for row_id, audience in audiences.items():
                author = leaders.get(audience[0], administrator) if len(audience) == 1 else administrator
                tx.execute(sa.update(table).where(table.c.id == row_id).values(author_id=author))

    # -- time

    async def run(self, progress: Callable[[float], None]) -> None:
        """Play from moment to moment."""
        played = reaped = self._start
        while True:
            fire, send = await self._theatre.assembly.database.read(partial(_next, after=played))
            soon = [self._plans[0][0]] if self._plans else []
            soon += [each] if (each := self._theatre.sandbox.agenda.next_moment()) else []
            together = [each + _TOGETHER for each in soon]
            moment = min((each for each in (fire, send, *together) if each is not None), default=self._end)
            if moment >= self._end:
                break
            moment = max(moment, played + timedelta(milliseconds=1))
            await self.act(moment)
            self._theatre.at(moment)
            await self._theatre.sandbox.agenda.catch_up()
            if fire is not None and fire <= moment:
                await self._theatre.worker.fire_due(moment)
            await self._send(moment, look=send is None or send > moment)
            if moment - reaped > _REAP_EVERY:
                await self._theatre.worker.reap()
                reaped = moment
            played = moment
            progress((moment - self._start) / (self._end - self._start))
        await self._theatre.worker.reap()

    async def act(self, until: datetime) -> None:
        """Everybody whose time comes until then does what they have in mind, at their own moment; what that lets out goes at once."""
        while self._plans and self._plans[0][0] <= until:
            at, _, _, deed = heapq.heappop(self._plans)
            self._theatre.at(at)
            await deed()
            self._theatre.at(at + _A_MOMENT)
            await self._send(at + _A_MOMENT, look=True)

    async def _send(self, now: datetime, *, look: bool) -> None:
        """Send what is due; `look`: only where something is, which is asked first."""
        theatre = self._theatre
        if not look or await theatre.assembly.database.read(lambda tx: claims.any_due(tx, theatre.account_id, now)):
            await theatre.worker.send_due(now)
        self._listen(now)

    def _plan(self, at: datetime, who: Imagined, deed: Callable[[], Any]) -> None:
        self._made += 1
        heapq.heappush(self._plans, (at, self._made, who, deed))

    def _listen(self, now: datetime) -> None:
        """Whoever got a message by itself may react to it, when their habit lets them."""
        ledger = self._theatre.sandbox.world.ledger
        for line in ledger[self._heard :]:
            who = self.everybody.get(line["openid"])
            if line["api"] == _ANSWER or who is None or who.left or who.reacting or who.chance.random() >= who.habit.reacts:
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
            self._plan(at, who, partial(self._sit_down, who, habits.by_themselves(who.habit, who.chance), ""))

    async def _sit_down(self, who: Imagined, deed: habits.Deed | None, before: str) -> None:
        """Do something, and go on with what is asked then."""
        tries = other = 0
        for _ in range(_SITTING):
            if deed is None or who.left or other >= _ELSE:
                return
            self.deeds += 1
            shown = await (self._theatre.taps(who.phone, deed.href) if deed.href else self._theatre.says(who.phone, deed.text))
            if not shown:
                return
            other = 0 if habits.place(shown[-1]) else other + 1
            tries = tries + 1 if _same(shown[-1], before) else 0
            if tries > 4:
                return
            deed = habits.following(who.habit, shown[-1], before, tries, who.chance)
            before = shown[-1]

    async def _types(self, who: Imagined, text: str) -> None:
        self.deeds += 1
        await self._theatre.says(who.phone, text)

    async def _performs(self, who: Imagined, steps: Sequence[str]) -> None:
        shown: list[str] = []
        for step in steps:
            self.deeds += 1
            label = next((each for each in habits.links("\n".join(shown)) if each.label == step), None)
            shown = await (self._theatre.taps(who.phone, label.href) if label else self._theatre.says(who.phone, step))

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


def _next(tx: Tx, after: datetime) -> tuple[datetime | None, datetime | None]:
    return next_fire(tx), next_send(tx, after)


def _same(shown: str, before: str) -> bool:
    """Whether the same question is put again."""
    now, then = (habits.place(each) for each in (shown, before))
    return now is not None and now == then
